package netcheck

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"onsite/internal/dnsq"
	"onsite/report"
)

// CAA is the set of records that says which authorities may issue certificates
// for a name (RFC 8659): the first that is met on the way from the name to the
// root. Without records any authority may.
type CAA struct {
	Owner   string      `json:"owner"` // the name that has the records; "" when none has any
	Records []CAARecord `json:"records"`
}

// CAARecord is one record of the set.
type CAARecord struct {
	Critical bool   `json:"critical"`
	Tag      string `json:"tag"`
	Value    string `json:"value"`
}

func (r CAARecord) String() string {
	s := fmt.Sprintf("%s %q", r.Tag, r.Value)
	if r.Critical {
		s += " (critical)"
	}
	return s
}

func (c *CAA) String() string {
	var list []string
	for _, r := range c.Records {
		list = append(list, r.String())
	}
	return strings.Join(list, ", ")
}

// critical is the bit that tells an authority to refuse what it does not understand.
const critical = 128

// caa climbs from the name to the root and stops at the first set. The root
// itself is not asked (RFC 8659, section 3).
func (f *finder) caa(ctx context.Context, name string) (*CAA, error) {
	type level struct {
		records []dnsq.Record
		owner   string
		err     error
	}
	var names []string
	for up, ok := dnsq.Canonical(name), true; ok && up != "."; up, ok = dnsq.Parent(up) {
		names = append(names, up)
	}
	names = names[max(0, len(names)-maxCuts):]
	levels := make([]level, len(names))
	ask := make([]func(), len(names))
	for i := range names {
		l := &levels[i]
		ask[i] = func() { l.records, l.owner, l.err = f.caaOf(ctx, names[i]) }
	}
	parallel(ask...)
	for _, l := range levels {
		if l.err != nil {
			return nil, l.err // what stands there counts before what stands above
		}
		if len(l.records) == 0 {
			continue
		}
		set := &CAA{Owner: l.owner, Records: []CAARecord{}}
		for _, r := range l.records {
			set.Records = append(set.Records, CAARecord{Critical: r.Flag&critical != 0, Tag: r.Tag, Value: r.Value})
		}
		return set, nil
	}
	return &CAA{Records: []CAARecord{}}, nil
}

// caaOf asks for the records of one name, and of the name that it is an alias
// of: those count as its own.
func (f *finder) caaOf(ctx context.Context, name string) (records []dnsq.Record, owner string, err error) {
	owner = name
	for range maxAliases {
		a, ok := f.tell(ctx, owner, dnsq.CAA)
		if !ok {
			return nil, "", fmt.Errorf("no server tells the CAA records of %s", owner)
		}
		if list := a.Of(owner, dnsq.CAA); len(list) > 0 {
			return list, owner, nil
		}
		alias := a.Of(owner, dnsq.CNAME)
		if len(alias) == 0 {
			return nil, "", nil
		}
		owner = alias[0].Target
	}
	return nil, "", fmt.Errorf("the aliases of %s have no end", name)
}

// tell asks one of the servers of a name's zone, or else a resolver.
func (f *finder) tell(ctx context.Context, name string, t dnsq.Type) (dnsq.Answer, bool) {
	z, err := f.find(ctx, name)
	if err == nil {
		if a, ok := f.first(ctx, z.addresses(), dnsq.Question{Name: name, Type: t}, speaksFor); ok {
			return a, true
		}
	}
	return f.first(ctx, f.resolvers(), dnsq.Question{Name: name, Type: t, Recurse: true}, resolves)
}

// knownTags are the properties that authorities understand (IANA's registry,
// state of 2025-10).
var knownTags = []string{"issue", "issuewild", "iodef", "contactemail", "contactphone", "issuevmc", "issuemail"}

// judgeCAA says whether an authority may issue for a name.
func judgeCAA(name, authority string, set *CAA, err error) report.Finding {
	if err != nil {
		return report.Unknown("dns.caa.unknown", name, "whether "+authority+" may issue could not be found out: "+err.Error(),
			"mend the name servers first: an authority that gets no answer does not issue either")
	}
	if set.Owner == "" {
		return report.Pass("dns.caa.none", name, "neither it nor a name above it has CAA records: any authority may issue")
	}
	for _, r := range set.Records {
		if r.Critical && !slices.Contains(knownTags, r.Tag) {
			return report.Fail("dns.caa.critical", name, fmt.Sprintf("%s has the CAA record %s: no authority may issue that does not know this property", set.Owner, r),
				fmt.Sprintf("remove it from %s, or clear its critical bit", set.Owner))
		}
	}
	var allowed []string
	restricted := false
	for _, r := range set.Records {
		if r.Tag == "issue" {
			restricted = true
			domain, _, _ := strings.Cut(r.Value, ";")
			if domain = dnsq.Canonical(strings.TrimSpace(domain)); domain != "." {
				allowed = append(allowed, domain)
			}
		}
	}
	switch {
	case !restricted:
		return report.Pass("dns.caa.allowed", name, fmt.Sprintf("the CAA records of %s name no authority: any may issue (%s)", set.Owner, set))
	case slices.Contains(allowed, authority):
		return report.Pass("dns.caa.allowed", name, fmt.Sprintf("%s may issue, say the CAA records of %s", authority, set.Owner))
	case len(allowed) == 0:
		return report.Fail("dns.caa.forbidden", name, fmt.Sprintf("no authority may issue, say the CAA records of %s (%s)", set.Owner, set),
			fmt.Sprintf(`add CAA 0 issue %q to %s`, authority, set.Owner))
	}
	return report.Fail("dns.caa.forbidden", name, fmt.Sprintf("%s may not issue: the CAA records of %s allow %s alone", authority, set.Owner, and(allowed)),
		fmt.Sprintf(`add CAA 0 issue %q to %s, or have the certificate issued by %s`, authority, set.Owner, allowed[0]))
}
