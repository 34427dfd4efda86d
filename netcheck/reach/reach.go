// Package reach answers one question: can this port be reached from outside?
// The answer is yes, no, or not known, and it says how it is known.
//
//	result, findings, err := reach.Check(ctx, reach.Options{
//		Targets:  []reach.Target{{Host: "portal.acme.example", Port: 8888, Inside: "192.168.1.50:8888"}},
//		Vantages: []reach.Vantage{reach.Reflector(client)},
//		Public:   public,
//	})
//
// A port is looked at three ways: from here at its inside address; over the
// loop-back, which is the public address as seen from within the LAN; and from
// outside, by a vantage. It counts as reached only when what answers outside is
// what answers inside, by its TLS key, its serial number, a keyed beacon, or, which
// is weak, its page. The loop-back alone never proves it: a router that sends a
// LAN's own connections back hides what a provider filters and what a clock
// without a gateway cannot answer.
//
// Evidence has grades: 0, the router lists a forwarding; 1, the loop-back
// reached the right thing; 2, another network reached it; 3, the real remote
// party did. "It works" takes 2 or 3.
//
// Nothing is changed anywhere. The comm key of a clock is sent to its inside
// address and to this site's confirmed public address, from the LAN or from a
// hotspot; never through somebody's server, nor to an address that one names.
package reach

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"onsite/devicecfg/zk"
	"onsite/report"
)

// Target is one port of the site, as it is known outside.
type Target struct {
	Host string // a name or an address
	Port int
	// Inside is where it should end in the LAN, as host:port; "" when that is
	// not known.
	Inside string
	// Found says that Inside is not what somebody said, but what was found.
	Found bool
	// Listed is the forwarding of this port that the router lists, in words; "" when
	// it lists none, or was not asked.
	Listed string
	// Expect is the kind of thing that should answer; "" is KindAny.
	Expect Kind
}

// KindOf is what is expected on a port of the inside, by its number: the ports of
// clocks and of the portal mean something.
func KindOf(port int) Kind {
	switch port {
	case zk.DefaultPort:
		return KindClock
	case 443, 4444:
		return KindHTTPS
	}
	return KindAny
}

func (t Target) String() string { return net.JoinHostPort(t.Host, strconv.Itoa(t.Port)) }

// Vantage is a place outside, from which this site's public address can be
// connected to.
type Vantage interface {
	// Name says which, for people: a URL.
	Name() string
	// Seen is the address that this site has there.
	Seen(ctx context.Context) (netip.Addr, error)
	// Dial connects to a port of that address. source is where the connection
	// comes from as the site sees it; it may be zero. A connection that was tried
	// and failed is a *DialError; any other error says nothing of the site.
	Dial(ctx context.Context, port int) (conn net.Conn, source netip.AddrPort, err error)
}

// Options says what to check. The zero value of every field but Targets is the
// real thing, or leaves that part out.
type Options struct {
	Targets  []Target
	Vantages []Vantage
	// Public is the confirmed public address of this network; zero: not known.
	Public netip.Addr
	// PublicHow says how it is known.
	PublicHow string
	// Gateways are the routers of this computer's networks.
	Gateways []netip.Addr
	// NAT is what is known of the way to the Internet: facts named "nat", with
	// the values single, double, carrier and private.
	NAT report.Evidence
	// Resolve asks what the world gets for a name; nil: names are not looked up.
	Resolve func(ctx context.Context, name string) Names
	// Key opens a clock that asks for its comm key; nil: there is none.
	Key *zk.Key
	// Beacon has this process itself listen at the inside addresses.
	Beacon bool
	// Siblings are further outside ports to try when one is silent: where they
	// answer, the silence is about that port alone. nil: 8888, 4444 and 4500.
	Siblings []int
	// Timeout bounds each wait; 0: 4 s, which is longer than a router takes to
	// say that nobody has an address. Limit bounds everything; 0: 50 s.
	Timeout, Limit time.Duration
	Roots          *x509.CertPool   // nil: this computer's
	Now            func() time.Time // nil: time.Now
	// DialContext makes connections, as net.Dialer's method does; nil uses that.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
	// Sockets lists the established connections of this computer and what
	// listens here; nil asks the system.
	Sockets func() ([]Socket, error)
	// Progress is told, by one goroutine at a time, what is done; nil drops it.
	Progress func(what string)
}

// Names is what a name leads to.
type Names struct {
	Addrs []netip.Addr
	// Missing says that the name is known not to be there.
	Missing      bool
	How          string // who said so, or why nobody did
	Observations []report.Observation
}

// Result is what was seen.
type Result struct {
	// Public is this site's public address, "" when it is not known.
	Public       string               `json:"public"`
	Via          []string             `json:"via"` // the vantages, in order
	Ports        []Port               `json:"ports"`
	Observations []report.Observation `json:"observations"`
}

// Port is what was seen of one target.
type Port struct {
	Target string `json:"target"`
	Inside string `json:"inside"` // "" when it is not known
	// InsideFound says that nobody gave the inside address: it was found.
	InsideFound bool          `json:"inside_found"`
	Listed      string        `json:"listed"` // see Target
	Verdict     report.Status `json:"verdict"`
	Code        string        `json:"code"` // of the finding with the verdict
	// Grade is that of the best evidence that it works; null: there is none.
	Grade    *int   `json:"grade"`
	GradeHow string `json:"grade_means"`
	LAN      Look   `json:"lan"`
	Loopback Look   `json:"loopback"`
	Outside  []Look `json:"outside"` // as many as there are vantages

	target Target
	inside *beacon
}

// Look is one look at a port, from one side.
type Look struct {
	From string `json:"from"` // "here", or the name of a vantage
	To   string `json:"to"`
	// Network is tcp, or udp for a clock that refuses TCP and answers by UDP.
	Network string `json:"network"`
	// Outcome is connected, refused, timeout or unreachable; "" when it was not
	// tried, or when nothing can be said of the port.
	Outcome string `json:"outcome"`
	// Verdict compares the identity with that in the LAN: same, alike, other,
	// mute, router; "" when there is nothing to compare.
	Verdict      string   `json:"compared"`
	How          string   `json:"how"` // how that is known, or why nothing is
	Identity     Identity `json:"identity"`
	Milliseconds int64    `json:"ms"`
}

var defaultSiblings = []int{8888, 4444, 4500}

const (
	defaultTimeout = 4 * time.Second
	defaultLimit   = 50 * time.Second
)

func (o Options) withDefaults() Options {
	o.Timeout = cmp.Or(o.Timeout, defaultTimeout)
	o.Limit = cmp.Or(o.Limit, defaultLimit)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.DialContext == nil {
		o.DialContext = new(net.Dialer).DialContext
	}
	if o.Siblings == nil {
		o.Siblings = defaultSiblings
	}
	if o.Sockets == nil {
		o.Sockets = Sockets
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	return o
}

// Check looks at the targets and judges them. The error is a *report.Error:
// "port.beacon.elsewhere" or "port.listen.in-use" when a beacon cannot listen,
// "port.nothing" (KindNoAnswer) when nothing could be reached at all; or ctx's
// own. What is wrong with the site is a finding.
func Check(ctx context.Context, o Options) (Result, []report.Finding, error) {
	return checkWith(ctx, o, nil)
}

// checkWith is Check with a beacon that stands already, or none.
func checkWith(ctx context.Context, o Options, own *beacon) (Result, []report.Finding, error) {
	c := &check{o: o.withDefaults(), own: own, result: Result{Via: []string{}, Ports: []Port{}, Observations: []report.Observation{}}}
	limited, cancel := context.WithTimeout(ctx, c.o.Limit)
	defer cancel()
	if err := c.begin(limited); err != nil {
		return c.result, nil, err
	}
	defer c.end()
	c.lookInside(limited)
	c.lookOutside(limited)
	if errors.Is(ctx.Err(), context.Canceled) {
		return c.result, nil, ctx.Err()
	}
	findings := c.judge(limited)
	if c.nothing() {
		return c.result, findings, nothingError()
	}
	return c.result, findings, nil
}

func nothingError() error {
	return report.Errorf(report.KindNoAnswer, "port.nothing", "check this computer's network: onsite net shows it",
		"nothing could be reached: neither the inside address, nor the public one, nor anything outside")
}

// check is one Check at work.
type check struct {
	o        Options
	result   Result
	once     sync.Once
	gateways []Identity // see gatewayPages
	names    map[string]Names
	vantages []vantage
	siblings map[int]string // outcome of further outside ports
	findings []report.Finding
	beacons  []*standing
	// confirmed is Public as the caller knows it: a vantage may lie about it, and
	// a comm key goes to no address that a vantage names.
	confirmed netip.Addr
	plan      *Plan   // in hotspot mode
	own       *beacon // that stands already
	mu        sync.Mutex
}

// vantage is a Vantage with what became of it.
type vantage struct {
	Vantage
	seen netip.Addr
	err  error
}

func (c *check) observe(o report.Observation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.result.Observations = append(c.result.Observations, o)
}

func (c *check) progress(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.o.Progress(what)
}

// begin takes the beacons' addresses; then it looks up names and asks the
// vantages who we are, all at once.
func (c *check) begin(ctx context.Context) error {
	for _, t := range c.o.Targets {
		c.result.Ports = append(c.result.Ports, Port{Target: t.String(), Inside: t.Inside, InsideFound: t.Found, Listed: t.Listed, Outside: []Look{}, target: t})
	}
	if err := c.standBeacons(); err != nil {
		return err
	}
	c.names = map[string]Names{}
	c.vantages = make([]vantage, len(c.o.Vantages))
	var work sync.WaitGroup
	for i, v := range c.o.Vantages {
		c.result.Via = append(c.result.Via, v.Name())
		work.Go(func() {
			start := c.o.Now()
			seen, err := v.Seen(ctx)
			c.vantages[i] = vantage{Vantage: v, seen: seen.Unmap(), err: err}
			observed := report.Observation{Server: v.Name(), Question: "which address do you see?", Milliseconds: c.since(start)}
			if err != nil {
				observed.Error = err.Error()
			} else {
				observed.Answer = seen.String()
			}
			c.observe(observed)
		})
	}
	for _, t := range c.o.Targets {
		if _, known := c.names[t.Host]; known || c.o.Resolve == nil {
			continue
		}
		c.names[t.Host] = Names{}
		if addr, err := netip.ParseAddr(t.Host); err == nil {
			c.names[t.Host] = Names{Addrs: []netip.Addr{addr.Unmap()}, How: "it is an address"}
			continue
		}
		work.Go(func() {
			n := c.o.Resolve(ctx, t.Host)
			c.mu.Lock()
			defer c.mu.Unlock()
			c.names[t.Host] = n
			c.result.Observations = append(c.result.Observations, n.Observations...)
		})
	}
	work.Wait()
	c.settlePublic()
	return nil
}

// gatewayPages are what the gateways show on their own web ports. They are asked
// once, and only when something else than the target was seen.
func (c *check) gatewayPages(ctx context.Context) []Identity {
	c.once.Do(func() {
		if c.plan != nil { // they are elsewhere now
			c.gateways = c.plan.Pages
			return
		}
		pages := make([]Identity, 2*len(c.o.Gateways))
		var work sync.WaitGroup
		for i, g := range c.o.Gateways {
			for j, kind := range []Kind{KindHTTP, KindHTTPS} {
				work.Go(func() { pages[2*i+j] = c.gatewayPage(ctx, g, kind) })
			}
		}
		work.Wait()
		c.gateways = slices.DeleteFunc(pages, func(i Identity) bool { return i.Kind == "" })
	})
	return c.gateways
}

// gatewayPage is what a gateway shows on its own web port, to know it again.
func (c *check) gatewayPage(ctx context.Context, gateway netip.Addr, kind Kind) Identity {
	addr := net.JoinHostPort(gateway.String(), map[Kind]string{KindHTTP: "80", KindHTTPS: "443"}[kind])
	p := c.probe(addr, addr, kind, func(ctx context.Context) (net.Conn, netip.AddrPort, error) { return c.dial(ctx, addr) })
	p.thrifty, p.talk = true, min(p.talk, 2*time.Second)
	what, _, _ := p.look(ctx)
	if what.Kind != kind {
		return Identity{}
	}
	return what
}

// settlePublic takes the public address: what the services say, or else what the
// vantages see.
func (c *check) settlePublic() {
	public := c.o.Public.Unmap()
	c.confirmed = public
	for _, v := range c.vantages {
		if v.err == nil && !public.IsValid() {
			public = v.seen
			c.o.PublicHow = "it is the address that " + v.Name() + " sees"
		}
	}
	c.o.Public = public
	if public.IsValid() {
		c.result.Public = public.String()
	}
}

// dial connects from here.
func (c *check) dial(ctx context.Context, addr string) (net.Conn, netip.AddrPort, error) {
	limited, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	conn, err := c.o.DialContext(limited, "tcp", addr)
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		err = &DialError{Outcome: Timeout} // whatever the dialer calls it
	}
	return conn, netip.AddrPort{}, err
}

func (c *check) probe(name, host string, expect Kind, dial dialer) *probe {
	if h, _, err := net.SplitHostPort(name); err == nil {
		name = h
	}
	if _, err := netip.ParseAddr(name); err == nil {
		name = "" // SNI is for names (RFC 6066, section 3)
	}
	return &probe{dial: dial, name: name, host: host, roots: c.o.Roots, now: c.o.Now, talk: c.o.Timeout, expect: expect}
}

func (c *check) since(start time.Time) int64 { return c.o.Now().Sub(start).Milliseconds() }

// nothing reports whether not one connection, answer or look-up came about.
func (c *check) nothing() bool {
	for _, p := range c.result.Ports {
		for _, l := range append([]Look{p.LAN, p.Loopback}, p.Outside...) {
			if l.Outcome == Connected || l.Outcome == Refused {
				return false
			}
		}
	}
	for _, v := range c.vantages {
		if v.err == nil {
			return false
		}
	}
	for _, n := range c.names {
		if n.Missing || len(n.Observations) > 0 && len(n.Addrs) > 0 {
			return false
		}
	}
	return !c.o.Public.IsValid()
}
