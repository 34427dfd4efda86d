package netcheck

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"

	"onsite/internal/dnsq"
	"onsite/internal/special"
	"onsite/report"
)

// judge turns what everybody said into findings, the verdict first.
func (c *check) judge(ctx context.Context) []report.Finding {
	e := c.evidence(ctx)
	verdict := verdicts.Decide(c.Name, e)
	findings := []report.Finding{verdict}
	findings = append(findings, c.aboutWay()...)
	if verdict.Code != "dns.zone.lame" && verdict.Code != "dns.zone.silent" {
		findings = append(findings, c.aboutServers()...)
	}
	findings = append(findings, c.aboutResolvers(verdict)...)
	findings = append(findings, c.aboutIPv6(ctx)...)
	if c.CA != "" {
		findings = append(findings, judgeCAA(c.Name, c.CA, c.caa, c.caaErr))
	}
	return findings
}

// evidence is what is known, in the words of the table.
func (c *check) evidence(ctx context.Context) report.Evidence {
	e := report.Evidence{c.zoneFact()}
	e = append(e, c.record(ctx)...)
	here, until := c.resolverFact("here", c.here)
	public, later := c.resolverFact("public", c.public)
	e = append(e, here, public)
	c.result.ChangesAt = nil
	if last := latest(until, later); !last.IsZero() {
		last = last.UTC().Truncate(time.Second)
		c.result.ChangesAt = &last
	}
	if here.Value != isOld || until.IsZero() || public.Value == isOld {
		until = latest(until, later)
	}
	when := "its resolver forgets the old answer"
	if !until.IsZero() {
		when = clock(until, c.Now())
	}
	wanted, found := "the site's public address", ""
	if c.Expect.IsValid() {
		wanted = c.Expect.String()
	}
	if end, ok := c.ending(); ok {
		found = join(c.comparable(end.Addresses))
	} else {
		found = join(c.comparable(c.foundByResolvers()))
	}
	return append(
		e,
		report.Fact{Name: "wanted", Value: wanted}, report.Fact{Name: "found", Value: found},
		report.Fact{Name: "family", Value: c.family()}, report.Fact{Name: "until", Value: when},
	)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (c *check) ending() (*Witness, bool) {
	if len(c.hops) == 0 {
		return nil, false
	}
	return ending(c.hops)
}

// family is the type of record that an address is compared with.
func (c *check) family() string {
	if c.Expect.Is6() {
		return "AAAA"
	}
	return "A"
}

// comparable are the addresses of that type.
func (c *check) comparable(addrs []netip.Addr) []netip.Addr {
	var list []netip.Addr
	for _, a := range addrs {
		if a.Is4() != c.Expect.Is6() {
			list = append(list, a)
		}
	}
	return list
}

func (c *check) foundByResolvers() []netip.Addr {
	for _, w := range slices.Concat(c.public, c.here) {
		if w.Says == SaysAddresses {
			return w.Addresses
		}
	}
	return nil
}

// zoneFact says what the servers do of the first zone on the way that has no
// server to speak for it; of the name's own, when all have.
func (c *check) zoneFact() report.Fact {
	f := report.Fact{Name: "zone"}
	if len(c.hops) == 0 {
		f.How = "nobody could name the servers of its zone"
		return f
	}
	for i := range c.hops {
		h := &c.hops[i]
		if len(h.heard()) > 0 {
			continue
		}
		lame := h.servers(SaysLame)
		switch {
		case c.f.blind() == whyIntercepted:
			f.How = whyIntercepted
		case len(lame) > 0:
			f.Value, f.How = "lame", h.complaints()
		default:
			f.Value, f.How = "silent", h.complaints()
		}
		return f
	}
	f.Value = "answers"
	return f
}

// mute is the first hop whose zone has no server that speaks for it, or the first.
func (c *check) mute() *hop {
	for i := range c.hops {
		if len(c.hops[i].heard()) == 0 {
			return &c.hops[i]
		}
	}
	if len(c.hops) == 0 {
		return &hop{name: c.Name, zone: &zone{name: c.Name}}
	}
	return &c.hops[0]
}

// servers names the witnesses of a hop that say one thing.
func (h *hop) servers(says Says) []string {
	var list []string
	for i := range h.witnesses {
		if h.witnesses[i].Says == says {
			list = append(list, h.witnesses[i].Title())
		}
	}
	return list
}

// Title is what a witness is called: by its name and its address.
func (w *Witness) Title() string {
	where := strings.TrimSuffix(w.Address, ":53")
	where = strings.TrimSuffix(strings.TrimPrefix(where, "["), "]")
	if strings.Contains(w.Address, "]:") && !strings.HasSuffix(w.Address, ":53") {
		where = w.Address
	}
	switch {
	case w.Server == "":
		return where
	case where == "":
		return w.Server
	}
	return w.Server + " (" + where + ")"
}

// complaints lists what is wrong with each server of a zone.
func (h *hop) complaints() string {
	var list []string
	for i := range h.witnesses {
		if w := &h.witnesses[i]; w.Error != "" {
			list = append(list, w.Title()+": "+w.Error)
		}
	}
	return strings.Join(list, "; ")
}

// record judges what the zone's servers say. Beside the fact come the words that
// the sentences about it need.
func (c *check) record(ctx context.Context) []report.Fact {
	origin, end := c.mute().zone.name, c.Name
	words := func(more ...string) []report.Fact {
		list := []report.Fact{{Name: "origin", Value: origin}, {Name: "end", Value: end}, {Name: "label", Value: label(c.Name, origin)}}
		for i := 0; i+1 < len(more); i += 2 {
			list = append(list, report.Fact{Name: more[i], Value: more[i+1]})
		}
		return list
	}
	fact := func(value, how string, more ...string) []report.Fact {
		return append([]report.Fact{{Name: "record", Value: value, How: how}}, words(more...)...)
	}
	if len(c.hops) == 0 {
		return words()
	}
	owner := c.Name
	for range maxAliases {
		i := slices.IndexFunc(c.hops, func(h hop) bool { return h.name == end })
		if i < 0 {
			return fact("circle", "", "owner", owner)
		}
		h := &c.hops[i]
		origin = h.zone.name
		w := h.agreed()
		switch {
		case len(h.heard()) == 0:
			return words()
		case w == nil:
			return c.differing(h, fact)
		case w.Says == SaysAlias && c.before(i, w.Alias):
			return fact("circle", h.alsoSay(w), "owner", owner)
		case w.Says == SaysAlias:
			owner, end = end, w.Alias
			continue
		case w.Says == SaysAddresses && len(c.comparable(w.Addresses)) > 0:
			return c.addressFact(ctx, h, w, fact)
		case end != c.Name:
			return fact("dangling", owner+" is an alias of "+end+", "+h.alsoSay(w), "owner", owner)
		case w.Says == SaysMissing:
			return c.missing(ctx, h, w, fact)
		}
		how := h.alsoSay(w)
		if len(w.Addresses) > 0 {
			how = "it has " + join(w.Addresses) + " alone; " + how
		}
		return fact("none", how)
	}
	return fact("circle", "", "owner", owner)
}

// before reports whether a name was met before hop i on the way: a circle.
func (c *check) before(i int, name string) bool {
	j := slices.IndexFunc(c.hops, func(h hop) bool { return h.name == name })
	return j >= 0 && j <= i
}

// label is what one types into the form of a DNS provider: the name without the
// domain.
func label(name, zone string) string {
	if name == zone {
		return "@ (the domain itself)"
	}
	return strings.TrimSuffix(name, "."+zone)
}

// alsoSay says who says it.
func (h *hop) alsoSay(w *Witness) string {
	var names []string
	for _, o := range h.heard() {
		if o.same(w) {
			names = append(names, o.Title())
		}
	}
	verb := " says "
	if len(names) > 1 {
		verb = " say "
	}
	what := "so"
	switch w.Says {
	case SaysMissing:
		what = "that " + h.name + " does not exist"
	case SaysNone:
		what = "that " + h.name + " has no address"
	}
	return and(names) + verb + what
}

// addressFact compares addresses that all servers agree on.
func (c *check) addressFact(ctx context.Context, h *hop, w *Witness, fact func(string, string, ...string) []report.Fact) []report.Fact {
	found, how := c.comparable(w.Addresses), h.alsoSay(w)
	if h.name != c.Name {
		how = "by way of " + h.name + "; " + how
	}
	right := slices.Contains(found, c.Expect)
	switch {
	case right && len(found) > 1:
		return fact("several", how)
	case right:
		return fact("right", how)
	case slices.ContainsFunc(found, inner):
		i := slices.IndexFunc(found, inner)
		b, _ := special.Lookup(found[i])
		return fact("private", found[i].String()+" is for "+b.Name+" ("+b.RFC+"); "+how)
	case !c.Expect.IsValid():
		return fact("found", how)
	case h.name != c.Name:
		return fact("alias-wrong", h.alsoSay(w))
	}
	if provider := c.sameProvider(ctx, found[0]); provider != "" {
		return fact("earlier", "both addresses belong to "+provider+" by their reverse names; "+how)
	}
	return fact("wrong", how)
}

// inner reports whether nobody outside can reach an address. Documentation's
// addresses are not the Internet's either, but some networks of their own use them.
func inner(a netip.Addr) bool {
	b, ok := special.Lookup(a)
	return ok && !b.Global && !strings.Contains(b.Name, "documentation") && !strings.Contains(b.Name, "benchmarking")
}

// sameProvider is the domain in which both the expected address and another have
// their reverse names; "" when they have not.
func (c *check) sameProvider(ctx context.Context, other netip.Addr) string {
	var domains [2]string
	var asks []func()
	for i, addr := range []netip.Addr{c.Expect, other} {
		asks = append(asks, func() {
			name := reverse(addr)
			a, ok := c.f.tell(ctx, name, dnsq.PTR)
			if list := a.Of(name, dnsq.PTR); ok && len(list) > 0 {
				domains[i], _ = publicsuffix.EffectiveTLDPlusOne(list[0].Target)
			}
		})
	}
	parallel(asks...)
	if domains[0] == domains[1] {
		return domains[0]
	}
	return ""
}

// reverse is the name under which the name of an address stands.
func reverse(a netip.Addr) string {
	var b strings.Builder
	if a.Is4() {
		for _, octet := range slices.Backward(a.AsSlice()) {
			b.WriteString(strconv.Itoa(int(octet)) + ".")
		}
		return b.String() + "in-addr.arpa"
	}
	const digits = "0123456789abcdef"
	for _, octet := range slices.Backward(a.AsSlice()) {
		b.Write([]byte{digits[octet&15], '.', digits[octet>>4], '.'})
	}
	return b.String() + "ip6.arpa"
}

// differing judges servers of one zone that say different things.
func (c *check) differing(h *hop, fact func(string, string, ...string) []report.Fact) []report.Fact {
	var parts, behind []string
	newest := h.heard()[0]
	for _, w := range h.heard() {
		if older(newest.Serial, w.Serial) {
			newest = w
		}
	}
	for _, w := range h.heard() {
		parts = append(parts, w.Title()+" has "+w.String()+", serial "+strconv.FormatUint(uint64(w.Serial), 10))
		if older(w.Serial, newest.Serial) {
			behind = append(behind, w.Title())
		}
	}
	how := strings.Join(parts, "; ")
	if len(behind) == 0 {
		return fact("differs", how)
	}
	return fact("behind", how, "behind", and(behind))
}

// older compares serial numbers, which go round (RFC 1982).
func older(a, b uint32) bool {
	const half = 1 << 31
	return a != b && b-a < half
}

// String is what a witness says.
func (w *Witness) String() string {
	switch w.Says {
	case SaysAddresses:
		return join(w.Addresses)
	case SaysAlias:
		return "an alias of " + w.Alias
	case SaysNone:
		return "no address"
	case SaysMissing:
		return "no such name"
	case SaysLame:
		return "does not answer for its zone: " + w.Error
	}
	return w.Error
}

// missing finds out what is there in place of a name that is not.
func (c *check) missing(ctx context.Context, h *hop, w *Witness, fact func(string, string, ...string) []report.Fact) []report.Fact {
	apex := h.zone.name
	suffix, listed := publicsuffix.PublicSuffix(c.Name)
	if apex == "." || listed && suffix == apex || dnsq.Under(suffix, apex) {
		domain := c.Name
		if own, err := publicsuffix.EffectiveTLDPlusOne(c.Name); err == nil {
			domain = own
		}
		return fact("unregistered", h.alsoSay(w), "domain", domain)
	}
	var names []string
	for up, ok := dnsq.Parent(c.Name); ok && up != apex && dnsq.Under(up, apex); up, ok = dnsq.Parent(up) {
		names = append(names, up)
	}
	doubled := c.Name + "." + apex
	names = append(names, doubled)
	undoubled := strings.TrimSuffix(c.Name, "."+apex)
	if dnsq.Under(undoubled, apex) && undoubled != apex {
		names = append(names, undoubled)
	}
	var ask []dnsq.Question
	for _, n := range names {
		ask = append(ask, dnsq.Question{Server: w.asked, Name: n, Type: dnsq.A})
	}
	nearest, there := apex, func(a dnsq.Answer) bool { return speaksFor(a) && (a.Code == dnsq.NoError || len(a.Records) > 0) }
	for _, a := range slices.Backward(c.f.ask(ctx, ask)) {
		switch {
		case !there(a):
		case a.Name == doubled && len(a.Records) > 0:
			return fact("doubled", w.Title()+" has "+short(a), "doubled", doubled)
		case a.Name == undoubled:
			return fact("twice", w.Title()+" has "+short(a), "undoubled", undoubled)
		case a.Name != doubled:
			nearest = a.Name
		}
	}
	return fact("missing", h.alsoSay(w), "nearest", nearest)
}

// short is the records of an answer.
func short(a dnsq.Answer) string {
	var list []string
	for _, r := range a.Records {
		list = append(list, r.String())
	}
	if len(list) == 0 {
		return "the name " + a.Name
	}
	return and(list)
}
