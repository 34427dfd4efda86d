// Package ddns keeps a name pointed at an address that moves: it has the name's
// A record changed by dyndns2, which most dynamic-DNS providers speak, or by RFC
// 2136 with TSIG, which name servers speak.
//
//	u, err := ddns.Look(ctx, ddns.Options{
//		Name: "site.acme.example", Protocol: &ddns.DynDNS2{URL: url, Username: "acme", Password: password},
//		Public: public, Authority: authority, StateDir: dir,
//	})
//	if err == nil && u.Due() {
//		err = u.Send(ctx)
//	}
//
// Something is sent only when what the zone's own servers answer differs from a
// confirmed public address, when the address is one that the whole Internet can
// reach, and when no earlier answer asks to wait. What was sent and what came back
// is remembered in a small file, so that a provider is not asked again and again
// by a program that is started again and again: they ban for that.
//
// It changes A records alone. Behind NAT the router's address is that of the whole
// site; with IPv6 every computer has its own, and the one that runs this is rarely
// the one that is meant.
package ddns

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"onsite/internal/dnsq"
	"onsite/internal/special"
	"onsite/report"
)

// Protocol is a way of having a record changed: *DynDNS2 or *RFC2136.
type Protocol interface {
	// Name is "dyndns2" or "rfc2136".
	Name() string
	// Server is who is asked, as it was given: a URL, a host, or "" for the server
	// that the zone names.
	Server() string
	// User is the account's name or that of the key.
	User() string

	// check says what is wrong with the values; findings are warnings.
	check(name string) ([]report.Finding, error)
	// fingerprint holds all that is sent but the address: when it changes, what
	// the server refused may be right now.
	fingerprint() []byte
	// send asks for the record, once.
	send(ctx context.Context, name string, addr netip.Addr, zone Authority) answer
}

// Public is what is known about the site's public address.
type Public struct {
	Addr netip.Addr // zero: it is not confirmed
	// Answered says that some witness saw an address, confirmed or not.
	Answered bool
	// Router is the router's outside address by its own word; zero: it does not say.
	Router netip.Addr
	// Tunnel says that a VPN carries this computer's connections.
	Tunnel bool
	// Findings say how it is known, or why it is not.
	Findings     []report.Finding
	Observations []report.Observation
}

// Authority is what the zone's own servers answer for the name.
type Authority struct {
	Servers []Answer // those that answered; none: it is not known
	// Alias is the name that this one is a CNAME for; empty when it is none.
	Alias string
	// Zone is the zone that the name lies in, Primary the server that its SOA names
	// for changes, as host:port, one for each address that is known.
	Zone         string
	Primary      []string
	Findings     []report.Finding // why nobody answered
	Observations []report.Observation
}

// Answer is that of one server.
type Answer struct {
	Server string
	Addrs  []netip.Addr
}

// Options says what to keep up to date, and how.
type Options struct {
	Name     string // a host name, with or without the final dot
	Protocol Protocol
	// Public finds the public address by several witnesses who agree.
	Public func(context.Context) Public
	// Address is taken instead, when somebody states it.
	Address netip.Addr
	// Authority asks the name servers of the zone.
	Authority func(context.Context) Authority
	// StateDir is the folder of the file that remembers what was sent.
	StateDir string
	// Force sends in spite of what an earlier answer asks for.
	Force bool
	Now   func() time.Time // nil: time.Now
	// Settle is how long to wait, after the server has accepted the change, for the
	// zone's servers to show it; 0: 10 s.
	Settle time.Duration
	// After makes timers; nil: time.After.
	After func(time.Duration) <-chan time.Time

	rounds int // of the fingerprint; 0: manyRounds. Tests have no time for them
}

func (o *Options) defaults() {
	o.Name = strings.ToLower(strings.TrimSuffix(o.Name, "."))
	o.Settle = cmp.Or(o.Settle, 10*time.Second)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.After == nil {
		o.After = time.After
	}
}

// Result is what was found and done.
type Result struct {
	Name         string               `json:"name"`
	Protocol     string               `json:"protocol"`
	Server       string               `json:"server"`
	Public       string               `json:"public"`   // the confirmed address; "" when there is none
	Before       []string             `json:"before"`   // what the zone's servers answered
	After        []string             `json:"after"`    // what they answered last
	Sent         bool                 `json:"sent"`     // whether something was sent
	NextTry      *time.Time           `json:"next_try"` // not before; null: any time, or never by itself
	Observations []report.Observation `json:"observations"`
}

// Update is one name at one moment: what it should be, what it is, and whether
// something may be sent.
type Update struct {
	Result   Result
	Findings []report.Finding

	o      Options
	public netip.Addr
	before Authority
	due    bool
	state  store
}

// Look finds out whether the record is right, and if it is not, whether it may be
// changed now. The Update is never nil. An error says that it could not be known:
// nothing may be sent then.
func Look(ctx context.Context, o Options) (*Update, error) {
	o.defaults()
	u := &Update{o: o, state: store{dir: o.StateDir, now: o.Now}}
	u.Result = Result{
		Name: o.Name, Protocol: o.Protocol.Name(), Server: o.Protocol.Server(),
		Before: []string{}, After: []string{}, Observations: []report.Observation{},
	}
	if !dnsq.Valid(o.Name) {
		return u, report.Errorf(report.KindUsage, "dns.name.wrong", "give a host name such as site.acme.example", "%q is no name that DNS can hold", o.Name)
	}
	findings, err := o.Protocol.check(o.Name)
	u.Findings = append(u.Findings, findings...)
	if err != nil {
		return u, err
	}
	if err := u.findPublic(ctx); err != nil {
		return u, err
	}
	before, err := u.ask(ctx)
	if err != nil {
		return u, err
	}
	u.before = before
	if u.Result.Server == "" && len(before.Primary) > 0 {
		u.Result.Server = before.Primary[0]
	}
	u.Result.Before, u.Result.After = before.addresses(), before.addresses()
	if before.Alias != "" {
		u.add(report.Fail("ddns.alias", o.Name, fmt.Sprintf("it is another name (CNAME) for %s, and has no address of its own that could be changed", before.Alias),
			"update "+strings.TrimSuffix(before.Alias, ".")+" instead; this name follows by itself"))
		return u, nil
	}
	return u, u.judge(before)
}

func (u *Update) add(f ...report.Finding) { u.Findings = append(u.Findings, f...) }

// Due reports whether Send has something to do.
func (u *Update) Due() bool { return u.due }

// Public is the address that the name should have.
func (u *Update) Public() netip.Addr { return u.public }

// findPublic takes the stated address, else one that witnesses agree on.
func (u *Update) findPublic(ctx context.Context) error {
	u.public = u.o.Address.Unmap()
	if !u.public.IsValid() {
		public := u.o.Public(ctx)
		u.Result.Observations = append(u.Result.Observations, public.Observations...)
		if err := ctx.Err(); err != nil {
			return err
		}
		if !public.Addr.IsValid() {
			u.add(public.Findings...)
		}
		if !public.Addr.IsValid() && public.Answered {
			return report.Errorf(report.KindRefused, "ddns.public.unconfirmed",
				"see why above; when you know the address from the router's own page, state it with --address",
				"the witnesses do not agree on the public address of this site, so nothing was sent for %s", u.o.Name)
		}
		if !public.Addr.IsValid() {
			return report.Errorf(report.KindNoAnswer, "ddns.public.unknown",
				"check the Internet connection; a network that lets only its own sign-in page through gives no answer either",
				"nobody could be asked for the public address of this site, so nothing was sent for %s", u.o.Name)
		}
		if err := u.elsewhere(public); err != nil {
			return err
		}
		u.public = public.Addr.Unmap()
	}
	if !u.public.Is4() || !special.Global(u.public) {
		what := "an IPv6 address, and only A records are kept"
		if b, ok := special.Lookup(u.public); ok {
			what = b.Name + ", " + b.RFC
		}
		return report.Errorf(report.KindRefused, "ddns.address.not-public",
			"give the address that the Internet provider gave to the line; onsite net shows it",
			"%s is no address that visitors from outside could reach (%s): it was not published for %s", u.public, what, u.o.Name)
	}
	u.Result.Public = u.public.String()
	return nil
}

// elsewhere says why the address of this computer's connections is not the site's.
// A router whose own address is not public says nothing about that: it sits behind
// another one.
func (u *Update) elsewhere(p Public) error {
	const remedy = "end the VPN or run this on a computer without one; or state the site's address with --address"
	router := p.Router.Unmap()
	switch {
	case special.Global(router) && router != p.Addr.Unmap():
		return report.Errorf(report.KindRefused, "ddns.public.elsewhere", remedy,
			"this computer reaches the Internet as %s, but the router says that the site's address is %s, so nothing was sent for %s", p.Addr, router, u.o.Name)
	case p.Tunnel:
		return report.Errorf(report.KindRefused, "ddns.public.elsewhere", remedy,
			"a VPN carries this computer's connections, so %s is not known to be the site's address, and nothing was sent for %s", p.Addr, u.o.Name)
	}
	return nil
}

// ask puts the question to the zone's servers.
func (u *Update) ask(ctx context.Context) (Authority, error) {
	a := u.o.Authority(ctx)
	u.Result.Observations = append(u.Result.Observations, a.Observations...)
	if err := ctx.Err(); err != nil {
		return a, err
	}
	if len(a.Servers) == 0 && a.Alias == "" {
		u.add(a.Findings...)
		return a, report.Errorf(report.KindNoAnswer, "ddns.authority.unknown",
			"check that this computer may reach name servers on port 53, and that the name is spelled as the provider shows it",
			"none of the zone's own name servers says what %s is now, so nothing was sent", u.o.Name)
	}
	return a, nil
}

// judge compares what the servers answer with what it should be.
func (u *Update) judge(a Authority) error {
	right, behind := a.split(u.public)
	switch {
	case len(right) > 0 && len(behind) == 0:
		u.add(report.Pass("ddns.current", u.o.Name, fmt.Sprintf("A %s, as it should be, %s", u.public, says(a.Servers))))
		return u.settled()
	case len(right) > 0:
		u.add(report.Warn("ddns.behind", u.o.Name,
			fmt.Sprintf("A %s, as it should be, %s; but %s", u.public, says(right), others(behind)),
			"wait until the zone's servers have told each other; after an hour, tell who runs them"))
		return u.settled()
	}
	held, next, damaged, err := u.state.gate(u.o, u.public)
	if damaged != nil {
		u.add(*damaged)
	}
	if err != nil {
		return err
	}
	if u.due = held.Code == ""; !u.due {
		u.hold(held, next)
	}
	return nil
}

// hold says why nothing may be sent now, and until when.
func (u *Update) hold(f report.Finding, next time.Time) {
	u.due = false
	u.add(f)
	u.setNext(next)
}

func (u *Update) setNext(next time.Time) {
	u.Result.NextTry = nil
	if next.After(u.o.Now()) {
		next = next.UTC()
		u.Result.NextTry = &next
	}
}

// settled notes that the record is right: waiting for what went wrong has an end.
func (u *Update) settled() error {
	damaged, err := u.state.settle(u.o)
	if damaged != nil {
		u.add(*damaged)
	}
	return err
}

// split divides the servers into those that answer exactly addr, and the others.
func (a Authority) split(addr netip.Addr) (right, behind []Answer) {
	for _, s := range a.Servers {
		if len(s.Addrs) > 0 && !slices.ContainsFunc(s.Addrs, func(other netip.Addr) bool { return other.Unmap() != addr }) {
			right = append(right, s)
		} else {
			behind = append(behind, s)
		}
	}
	return right, behind
}

// addresses are those of all servers, each once.
func (a Authority) addresses() []string {
	var all []netip.Addr
	for _, s := range a.Servers {
		for _, addr := range s.Addrs {
			all = append(all, addr.Unmap())
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return texts(slices.Compact(all))
}

func texts(addrs []netip.Addr) []string {
	list := make([]string, len(addrs))
	for i, a := range addrs {
		list[i] = a.String()
	}
	return list
}

// says tells which servers answered alike.
func says(list []Answer) string {
	names := make([]string, len(list))
	for i, s := range list {
		names[i] = s.Server
	}
	if len(list) == 1 {
		return "says name server " + names[0]
	}
	return "say name servers " + strings.Join(names, ", ")
}

// others tells what each of the other servers answers.
func others(list []Answer) string {
	parts := make([]string, len(list))
	for i, s := range list {
		parts[i] = s.Server + " still answers " + cmp.Or(strings.Join(texts(s.Addrs), ", "), "no address")
	}
	return strings.Join(parts, "; ")
}
