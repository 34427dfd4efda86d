// Package netcheck judges what a site shows to the network. Here is the name:
// what the servers of its zone say about it, and what resolvers make of that.
//
//	result, findings, err := netcheck.Check(ctx, netcheck.Options{
//		Name: "portal.acme.example", Expect: netip.MustParseAddr("203.0.113.10"),
//	})
//
// The zone's own servers are asked first, each of them: a stale cache, a server
// that is behind and a wrong record are three things with three remedies. The
// first finding is the verdict, the others are what else was noticed. It asks
// and judges; it changes no record.
package netcheck

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"onsite/internal/dnsq"
	"onsite/report"
)

// Options says what to check.
type Options struct {
	Sources
	Name string // a host name, with or without the final dot
	// Expect is the address that the name should lead to; the zero value takes any.
	Expect netip.Addr
	// CA is the domain of the authority that shall issue certificates for the
	// name, as CAA records name it: letsencrypt.org. Empty: none is chosen.
	CA  string
	Now func() time.Time // nil: time.Now
	// Connect opens a TCP connection to an IPv6 address of the name; nil: the
	// system's own.
	Connect func(ctx context.Context, network, address string) (net.Conn, error)
	// Limit is the longest time for a whole check; 0: 50 s.
	Limit time.Duration
}

const defaultLimit = 50 * time.Second

// Result is what a check saw.
type Result struct {
	Name string `json:"name"`
	Zone string `json:"zone"`
	// NamedBy says who named the zone's servers: the zone above, or a resolver
	// where the root servers cannot be asked.
	NamedBy string `json:"named_by"`
	Expect  string `json:"expect"` // "" for any
	// Addresses are those that the zone's own servers lead to; empty when they
	// lead nowhere or differ.
	Addresses []netip.Addr `json:"addresses"`
	Alias     string       `json:"alias"` // the name at the end of all aliases; "" when there is none
	Servers   []Witness    `json:"servers"`
	Resolvers []Witness    `json:"resolvers"`
	CAA       *CAA         `json:"caa"` // null where it could not be found out
	// ChangesAt is when the last cache that was asked forgets an old answer; nil
	// when none has one, or when it is the record that must change.
	ChangesAt    *time.Time           `json:"changes_at"`
	Observations []report.Observation `json:"observations"`
}

// check is a check under way.
type check struct {
	Options
	f            *finder
	hops         []hop
	here, public []Witness
	caa          *CAA
	caaErr       error
	result       Result
}

// Check asks everybody about a name and judges what they say. The error says
// that the options are wrong, or that nobody could be asked.
func Check(ctx context.Context, o Options) (Result, []report.Finding, error) {
	c, err := newCheck(o)
	if err != nil {
		return Result{}, nil, err
	}
	return c.run(ctx)
}

func newCheck(o Options) (*check, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Limit == 0 {
		o.Limit = defaultLimit
	}
	name, err := readName(o.Name)
	if err != nil {
		return nil, err
	}
	o.Name, o.Expect, o.CA = name, o.Expect.Unmap(), dnsq.Canonical(strings.TrimSpace(o.CA))
	if o.CA == "." {
		o.CA = ""
	}
	return &check{Options: o, f: newFinder(o.Sources)}, nil
}

func (c *check) run(outer context.Context) (Result, []report.Finding, error) {
	ctx, cancel := context.WithTimeout(outer, c.Limit)
	defer cancel()
	c.f.forget()
	c.result.ChangesAt = nil
	if err := c.gather(ctx); err != nil {
		return c.sum(), nil, noAnswer(outer, c.Name, err)
	}
	if err := outer.Err(); err != nil {
		return c.sum(), nil, err
	}
	findings := c.judge(ctx)
	return c.sum(), findings, outer.Err()
}

// gather asks everybody. What does not rest on each other is asked at once.
func (c *check) gather(ctx context.Context) error {
	parallel(
		func() {
			c.here = c.f.consult(ctx, WhoHere, c.Sources.here(), c.Name)
			c.public = c.f.consult(ctx, WhoPublic, notIn(c.Sources.public(), c.Sources.here()), c.Name)
		},
		func() { c.hops, _ = c.f.follow(ctx, c.Name) },
		func() { c.caa, c.caaErr = c.f.caa(ctx, c.Name) },
	)
	heard := func(w Witness) bool { return w.Says != SaysNothing && w.Says != SaysUnlisted }
	for _, h := range c.hops {
		if slices.ContainsFunc(h.witnesses, heard) {
			return nil
		}
	}
	if slices.ContainsFunc(c.here, heard) || slices.ContainsFunc(c.public, heard) {
		return nil
	}
	return errNobody
}

// notIn leaves out what is in another list.
func notIn(list, other []netip.AddrPort) []netip.AddrPort {
	return slices.DeleteFunc(slices.Clone(list), func(a netip.AddrPort) bool { return slices.Contains(other, a) })
}

// sum fills the result.
func (c *check) sum() Result {
	r := Result{
		Name: c.Name, Addresses: []netip.Addr{}, Servers: []Witness{}, CAA: c.caa, Observations: c.f.observations,
		Resolvers: slices.Concat([]Witness{}, c.here, c.public), ChangesAt: c.result.ChangesAt,
	}
	if c.Expect.IsValid() {
		r.Expect = c.Expect.String()
	}
	for _, h := range c.hops {
		r.Servers = append(r.Servers, h.witnesses...)
	}
	if len(c.hops) > 0 {
		r.Zone, r.NamedBy = c.hops[0].zone.name, c.hops[0].zone.by
		if end, ok := ending(c.hops); ok {
			r.Addresses = end.Addresses
			if end.Name != c.Name {
				r.Alias = end.Name
			}
		}
	}
	return r
}

// CheckName reports whether a text is a name that can be checked.
func CheckName(text string) error {
	_, err := readName(text)
	return err
}

// readName takes a name as people type it: with capitals, a final dot, letters
// of any language.
func readName(text string) (string, error) {
	name := dnsq.Canonical(strings.TrimSpace(text))
	if strings.ContainsFunc(name, func(r rune) bool { return r > '~' }) && len(name) < 1000 {
		if ascii, err := idna.Lookup.ToASCII(name); err == nil {
			name = ascii
		}
	}
	if _, err := netip.ParseAddr(name); err == nil || name == "." || !dnsq.Valid(name) || strings.ContainsAny(name, `/:@\`) {
		return "", wrongName(text)
	}
	return name, nil
}

func wrongName(text string) error {
	remedy := "give a host name such as portal.acme.example"
	bare := text
	if _, after, ok := strings.Cut(bare, "://"); ok {
		bare = after
	}
	bare, _, _ = strings.Cut(bare, "/")
	bare, _, _ = strings.Cut(bare, ":")
	if _, err := netip.ParseAddr(bare); err != nil && bare != text && dnsq.Valid(bare) && !strings.ContainsAny(bare, `@\`) {
		remedy = "did you mean " + bare + "?"
	}
	return report.Errorf(report.KindUsage, "dns.name.wrong", remedy, "%q is no host name", report.Shorten(text, 100))
}

// and joins words as a sentence does.
func and(words []string) string {
	switch n := len(words); n {
	case 0:
		return ""
	case 1:
		return words[0]
	default:
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
}

func join(addrs []netip.Addr) string {
	list := make([]string, len(addrs))
	for i, a := range addrs {
		list[i] = a.String()
	}
	return and(list)
}

// clock is a moment as it is said to a person, with the day when that is not today.
func clock(t, now time.Time) string {
	if t.Format(time.DateOnly) != now.Format(time.DateOnly) {
		return t.Format("15:04 on 2006-01-02")
	}
	return t.Format("15:04")
}
