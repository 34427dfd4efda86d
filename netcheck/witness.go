package netcheck

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"onsite/internal/dnsq"
)

// Who says what a witness is.
type Who string

// The three kinds of witnesses.
const (
	WhoAuthority Who = "authority" // one of the zone's own servers
	WhoHere      Who = "here"      // a resolver that this computer uses, or one that was named
	WhoPublic    Who = "public"    // a resolver that everybody uses
)

// Says is what a witness says about a name, in one word.
type Says string

// What witnesses say.
const (
	SaysAddresses Says = "addresses"  // the name has some
	SaysAlias     Says = "alias"      // it leads to another name
	SaysNone      Says = "none"       // it exists, and has neither addresses nor an alias
	SaysMissing   Says = "missing"    // it does not exist (NXDOMAIN)
	SaysLame      Says = "lame"       // it should answer for the zone, and does not
	SaysError     Says = "error"      // the answer is an error
	SaysNothing   Says = "nothing"    // no answer came
	SaysUnlisted  Says = "no-address" // the server has no address, so nobody can ask it
)

// Witness is one server, and what it says about a name.
type Witness struct {
	Who     Who    `json:"who"`
	Server  string `json:"server"`  // its name, where it has one
	Address string `json:"address"` // where it was asked: an address with its port
	Name    string `json:"name"`    // what it was asked about
	Says    Says   `json:"says"`
	// Addresses are those of the name, or for a resolver those that it found at
	// the end of all aliases.
	Addresses []netip.Addr `json:"addresses"`
	Alias     string       `json:"alias"` // where the name leads to; "" when it is none
	// TTL is for how many seconds the answer holds: at a resolver, what is left.
	TTL    int64  `json:"ttl"`
	Serial uint32 `json:"serial"` // the version of the zone that an authority has
	// Error says what is wrong with the answer, or why there is none.
	Error        string `json:"error"`
	Milliseconds int64  `json:"ms"`

	code          dnsq.Code
	authoritative bool
	unreachable   bool          // this computer has no way there
	records       []dnsq.Record // of the answer, in order: aliases first
	negative      time.Duration // for how long it will remember that the name is missing
	asked         netip.AddrPort
}

// good reports whether it says something about the name.
func (w *Witness) good() bool {
	switch w.Says {
	case SaysAddresses, SaysAlias, SaysNone, SaysMissing:
		return true
	}
	return false
}

// same reports whether two witnesses say the same.
func (w *Witness) same(o *Witness) bool {
	return w.Says == o.Says && w.Alias == o.Alias && slices.Equal(w.Addresses, o.Addresses)
}

// questions is how many each authority is asked at once: A, AAAA, CNAME, SOA.
const questions = 4

// interview asks every server of a zone, at all its addresses, about a name.
func (f *finder) interview(ctx context.Context, z *zone, name string) []Witness {
	var witnesses []Witness
	var ask []dnsq.Question
	for _, s := range z.servers {
		if len(s.addrs) == 0 {
			witnesses = append(witnesses, Witness{
				Who: WhoAuthority, Server: s.name, Name: name, Says: SaysUnlisted, Addresses: []netip.Addr{},
				Error: "the server's own name has no address",
			})
		}
		for _, at := range s.addrs {
			witnesses = append(witnesses, Witness{Who: WhoAuthority, Server: s.name, Address: at.String(), Name: name, asked: at})
			ask = append(
				ask,
				dnsq.Question{Server: at, Name: name, Type: dnsq.A},
				dnsq.Question{Server: at, Name: name, Type: dnsq.AAAA},
				dnsq.Question{Server: at, Name: name, Type: dnsq.CNAME},
				dnsq.Question{Server: at, Name: z.name, Type: dnsq.SOA},
			)
		}
	}
	answers := f.ask(ctx, ask)
	for i := range witnesses {
		if w := &witnesses[i]; w.Says == "" {
			w.hear(answers[:questions])
			answers = answers[questions:]
			for _, r := range w.records {
				if r.Type == dnsq.SOA && r.Name == z.name {
					w.Serial = r.Serial
				}
			}
		}
	}
	return witnesses
}

// hear puts together what an authority answered to A, AAAA, CNAME and SOA.
func (w *Witness) hear(answers []dnsq.Answer) {
	a := answers[0]
	w.Addresses, w.code, w.authoritative, w.Milliseconds = []netip.Addr{}, a.Code, a.Authoritative, a.Took.Milliseconds()
	for _, b := range answers {
		w.records = append(w.records, b.Records...)
	}
	switch {
	case a.Err != nil:
		w.Says, w.Error, w.unreachable = SaysNothing, a.Err.Error(), errors.Is(a.Err, dnsq.ErrUnreachable)
		return
	case !speaksFor(a):
		w.Says, w.Error = SaysLame, unwilling(a)
		return
	}
	for _, b := range answers[:3] {
		if !speaksFor(b) {
			continue
		}
		if alias := b.Of(w.Name, dnsq.CNAME); len(alias) > 0 {
			w.Says, w.Alias, w.TTL, w.Addresses = SaysAlias, alias[0].Target, seconds(alias[0].TTL), []netip.Addr{}
			return
		}
		for _, t := range []dnsq.Type{dnsq.A, dnsq.AAAA} {
			w.take(b.Of(w.Name, t))
		}
	}
	switch {
	case len(w.Addresses) > 0:
		w.Says = SaysAddresses
	case a.Code == dnsq.NXDomain:
		w.Says = SaysMissing
	default:
		w.Says = SaysNone
	}
	w.negative = remembered(a)
}

// take adds addresses; the shortest time to live is that of them all.
func (w *Witness) take(records []dnsq.Record) {
	for _, r := range records {
		if slices.Contains(w.Addresses, r.Addr) {
			continue
		}
		if len(w.Addresses) == 0 || seconds(r.TTL) < w.TTL {
			w.TTL = seconds(r.TTL)
		}
		w.Addresses = append(w.Addresses, r.Addr)
	}
	slices.SortFunc(w.Addresses, netip.Addr.Compare)
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

// remembered is for how long a negative answer holds (RFC 2308, section 5).
func remembered(a dnsq.Answer) time.Duration {
	for _, r := range a.Authority {
		if r.Type == dnsq.SOA {
			return r.Negative
		}
	}
	return 0
}

// unwilling says what a server answers that does not answer for its zone.
func unwilling(a dnsq.Answer) string {
	s := a.Code.String()
	if a.Code == dnsq.NoError {
		s = "not as the zone's server: the answer is not marked as authoritative"
	}
	return s + because(a.Extended)
}

func because(list []dnsq.Extended) string {
	var words []string
	for _, e := range list {
		words = append(words, e.String())
	}
	if len(words) == 0 {
		return ""
	}
	return ": " + strings.Join(words, "; ")
}

// consult asks resolvers about a name.
func (f *finder) consult(ctx context.Context, who Who, servers []netip.AddrPort, name string) []Witness {
	var ask []dnsq.Question
	for _, s := range servers {
		ask = append(
			ask,
			dnsq.Question{Server: s, Name: name, Type: dnsq.A, Recurse: true},
			dnsq.Question{Server: s, Name: name, Type: dnsq.AAAA, Recurse: true},
		)
	}
	answers := f.ask(ctx, ask)
	witnesses := make([]Witness, len(servers))
	for i, s := range servers {
		w := &witnesses[i]
		*w = Witness{Who: who, Address: s.String(), Name: name, Addresses: []netip.Addr{}, asked: s}
		w.found(answers[2*i], answers[2*i+1])
	}
	return witnesses
}

// found puts together what a resolver answered to A and AAAA.
func (w *Witness) found(a, b dnsq.Answer) {
	w.code, w.authoritative, w.records, w.Milliseconds = a.Code, a.Authoritative, a.Records, a.Took.Milliseconds()
	switch {
	case a.Err != nil:
		w.Says, w.Error, w.unreachable = SaysNothing, a.Err.Error(), errors.Is(a.Err, dnsq.ErrUnreachable)
		return
	case a.Code != dnsq.NoError && a.Code != dnsq.NXDomain:
		w.Says, w.Error = SaysError, a.Code.String()+because(a.Extended)
		return
	}
	end, alias := w.Name, ""
	for range maxAliases {
		next := a.Of(end, dnsq.CNAME)
		if len(next) == 0 {
			break
		}
		if alias == "" {
			alias = next[0].Target
		}
		end = next[0].Target
	}
	w.Alias = alias
	w.take(a.Of(end, dnsq.A))
	if resolves(b) {
		w.take(b.Of(end, dnsq.AAAA))
		w.records = append(w.records, b.Records...)
	}
	w.negative = remembered(a)
	switch {
	case len(w.Addresses) > 0:
		w.Says = SaysAddresses
	case a.Code == dnsq.NXDomain:
		w.Says, w.TTL = SaysMissing, seconds(w.negative)
	default:
		w.Says, w.TTL = SaysNone, seconds(w.negative)
	}
}
