package reach

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"onsite/devicecfg/zk"
	"onsite/internal/special"
	"onsite/report"
)

// lookInside looks at each target in the LAN, then over the loop-back: the
// second needs to know what to expect. The targets are looked at side by side,
// but each by one connection at a time: clocks have few sessions.
func (c *check) lookInside(ctx context.Context) {
	var work sync.WaitGroup
	for i := range c.result.Ports {
		p := &c.result.Ports[i]
		work.Go(func() {
			c.lookLAN(ctx, p)
			c.lookLoopback(ctx, p)
		})
	}
	work.Wait()
}

func (c *check) lookLAN(ctx context.Context, p *Port) {
	if p.Inside == "" {
		p.LAN.How = "it is not known where it should end in the LAN"
		return
	}
	p.LAN = Look{From: "here", To: p.Inside}
	pr := c.portProbe(p, func(ctx context.Context) (net.Conn, netip.AddrPort, error) { return c.dial(ctx, p.Inside) })
	pr.expect = p.expect()
	pr.key = c.o.Key
	c.look(ctx, pr, &p.LAN)
	if p.LAN.Outcome == Refused && pr.expect == KindClock {
		c.lookUDP(ctx, p)
	}
	if p.LAN.Identity.Kind != KindHTTP {
		return
	}
	// A page that changes by itself tells nothing by its digest.
	again := c.portProbe(p, pr.dial)
	again.expect, again.thrifty = KindHTTP, true
	if second, _, err := again.look(ctx); err == nil && second.Digest != p.LAN.Identity.Digest {
		p.LAN.Identity.Varies = true
	}
}

// lookUDP asks a clock by UDP that refuses TCP: older ones speak nothing else.
func (c *check) lookUDP(ctx context.Context, p *Port) {
	start := c.o.Now()
	o := zk.Options{Addr: p.Inside, Network: "udp", Key: c.o.Key, Timeout: c.o.Timeout, DialContext: c.o.DialContext}
	what, err := clockIdentity(ctx, o, nil)
	observed := report.Observation{Server: p.Inside, Question: "UDP, clock?", Answer: what.String(), Milliseconds: c.since(start)}
	if err != nil {
		observed.Answer, observed.Error = "", plainDial(err)
	} else {
		p.LAN.Identity, p.LAN.Outcome, p.LAN.Network = what, Connected, "udp"
	}
	c.observe(observed)
}

// expect is the kind that a target should be.
func (p *Port) expect() Kind {
	if p.inside != nil {
		return KindBeacon
	}
	return cmp.Or(p.target.Expect, KindAny)
}

// known is the kind that was seen in the LAN, or that should be there.
func (p *Port) known() Kind {
	if askable(p.LAN.Identity.Kind) {
		return p.LAN.Identity.Kind
	}
	return p.expect()
}

func (c *check) portProbe(p *Port, dial dialer) *probe {
	pr := c.probe(p.target.Host, p.Target, p.known(), dial)
	pr.beacon = p.inside
	pr.thrifty = p.LAN.Identity.Kind != ""
	return pr
}

// lookLoopback connects to the public address from within the LAN.
func (c *check) lookLoopback(ctx context.Context, p *Port) {
	addr := c.loopbackAddr(p)
	if !addr.IsValid() {
		p.Loopback.How = "the public address is not known"
		return
	}
	p.Loopback = Look{From: "here", To: netip.AddrPortFrom(addr, uint16(p.target.Port)).String()} //nolint:gosec // G115: a port
	pr := c.portProbe(p, func(ctx context.Context) (net.Conn, netip.AddrPort, error) { return c.dial(ctx, p.Loopback.To) })
	if addr == c.confirmed {
		pr.key = c.o.Key
	}
	c.look(ctx, pr, &p.Loopback)
	c.compare(ctx, p, &p.Loopback)
	if p.Inside == "" && c.o.Public.IsValid() && addr != c.o.Public {
		// The name leads to another address than this network's own: whoever is
		// there is looked at from outside.
		p.Loopback.From = "this network"
		p.Outside = append(p.Outside, p.Loopback)
		p.Loopback = Look{How: "this computer is in another network than the target"}
	}
}

// loopbackAddr is the public address of the site; when that is not known, the
// one that the name leads to.
func (c *check) loopbackAddr(p *Port) netip.Addr {
	var first netip.Addr
	for _, a := range c.names[p.target.Host].Addrs {
		if special.Global(a) {
			first = a
			break
		}
	}
	if p.Inside == "" && first.IsValid() {
		return first
	}
	if c.o.Public.IsValid() {
		return c.o.Public
	}
	return first
}

// lookOutside looks at the targets from every vantage, one port at a time: a
// reflector makes one connection at a time.
func (c *check) lookOutside(ctx context.Context) {
	var work sync.WaitGroup
	looks := make([][]Look, len(c.vantages))
	open := make([]map[int]string, len(c.vantages))
	for i, v := range c.vantages {
		work.Go(func() {
			if v.err != nil {
				return
			}
			open[i] = map[int]string{}
			for n := range c.result.Ports {
				l := c.lookFrom(ctx, v, &c.result.Ports[n])
				looks[i] = append(looks[i], l)
				open[i][c.result.Ports[n].target.Port] = l.Outcome
			}
			c.trySiblings(ctx, v, open[i])
		})
	}
	work.Wait()
	c.siblings = map[int]string{}
	for i := range c.vantages {
		for n, l := range looks[i] {
			c.result.Ports[n].Outside = append(c.result.Ports[n].Outside, l)
		}
		for port, out := range open[i] {
			if out != "" && c.siblings[port] != Connected {
				c.siblings[port] = out
			}
		}
	}
}

func (c *check) lookFrom(ctx context.Context, v vantage, p *Port) Look {
	l := Look{From: v.Name(), To: netip.AddrPortFrom(v.seen, uint16(p.target.Port)).String()} //nolint:gosec // G115: a port
	pr := c.portProbe(p, func(ctx context.Context) (net.Conn, netip.AddrPort, error) { return v.Dial(ctx, p.target.Port) })
	if c.plan != nil {
		pr.key = c.o.Key // there is no server in between
	}
	arrived := false
	pr.settle = func(source netip.AddrPort) { arrived = arrived || c.arrived(p, source) }
	c.look(ctx, pr, &l)
	c.compare(ctx, p, &l)
	strong := l.Verdict == same && l.Identity.Kind != KindHTTP
	if arrived && l.Outcome == Connected && l.Verdict != mute && !strong {
		// Whatever the page looks like from there: it is this computer that was reached.
		l.Verdict, l.How = same, "this computer's own table of connections shows the one that came from there, at the inside port"
	}
	return l
}

// trySiblings tries further ports when those that were asked for are silent: it
// makes the difference between no forwarding at all and this one.
func (c *check) trySiblings(ctx context.Context, v vantage, seen map[int]string) {
	silent := false
	for _, out := range seen {
		if out == Connected || out == Refused || out == Unreachable {
			return
		}
		silent = silent || out == Timeout
	}
	if !silent {
		return
	}
	for _, port := range c.o.Siblings {
		if _, done := seen[port]; done || ctx.Err() != nil {
			continue
		}
		start := c.o.Now()
		conn, _, err := v.Dial(ctx, port)
		out := outcome(ctx, err)
		if conn != nil {
			conn.Close()
		}
		if out == "" {
			continue // the vantage does not go there
		}
		seen[port] = out
		c.observe(report.Observation{Server: v.Name(), Question: fmt.Sprintf("TCP connect to port %d", port), Answer: out, Milliseconds: c.since(start)})
	}
}

// look makes one look and notes what was observed.
func (c *check) look(ctx context.Context, pr *probe, l *Look) {
	start := c.o.Now()
	what, out, err := pr.look(ctx)
	l.Identity, l.Outcome, l.Network, l.Milliseconds = what, out, "tcp", c.since(start)
	observed := report.Observation{Server: l.To, Question: "TCP connect, then who is there", Milliseconds: l.Milliseconds}
	if l.From != "here" {
		observed.Question += ", through " + l.From
	}
	switch {
	case out == Connected:
		observed.Answer = what.String()
	case out != "":
		observed.Answer = out
	case ctx.Err() != nil:
		l.How, observed.Error = "the time for the whole check was over", "not in time"
	default:
		l.How, observed.Error = plainDial(err), plainDial(err)
	}
	c.observe(observed)
	c.progress(l.To)
}

func plainDial(err error) string {
	if err == nil {
		return "nothing is known"
	}
	if e := report.AsError(err); e.Code != "failed" {
		return e.Message
	}
	return err.Error()
}

// compare sets the verdict of a look beside that in the LAN.
func (c *check) compare(ctx context.Context, p *Port, l *Look) {
	if l.Outcome != Connected {
		return
	}
	want := p.LAN.Identity
	if want.Kind != "" && want.Kind != KindSilent && want.Kind != KindClosed {
		l.Verdict, l.How = want.compare(l.Identity)
	} else if l.Identity.Kind == KindSilent || l.Identity.Kind == KindClosed {
		l.Verdict, l.How = mute, l.Identity.String()
	} else {
		l.How = "it is " + l.Identity.String()
	}
	if l.Verdict == same || l.Verdict == mute {
		return
	}
	if how, ok := l.Identity.isRouter(c.gatewayPages(ctx)); ok {
		if _, also := want.isRouter(c.gatewayPages(ctx)); !also { // the target may be a router
			l.Verdict, l.How = router, how
		}
	}
}

// arrived reports whether this computer has a connection from source to the
// inside port: then the forwarding leads here, whatever answers.
func (c *check) arrived(p *Port, source netip.AddrPort) bool {
	inside, err := netip.ParseAddrPort(p.Inside)
	if err != nil || !source.IsValid() || !isLocal(inside.Addr()) {
		return false
	}
	sockets, err := c.o.Sockets()
	return err == nil && slices.ContainsFunc(sockets, func(s Socket) bool {
		return s.Established && s.Local.Port() == inside.Port() && s.Remote == source
	})
}

// isLocal reports whether an address is one of this computer's.
func isLocal(addr netip.Addr) bool {
	if addr.IsLoopback() {
		return true
	}
	addrs, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(addrs, func(a net.Addr) bool {
		prefix, err := netip.ParsePrefix(a.String())
		return err == nil && prefix.Addr().Unmap() == addr.Unmap()
	})
}

// standing is a beacon that listens.
type standing struct {
	listener net.Listener
	work     sync.WaitGroup
}

// maxBeacons bounds the connections of a beacon that are open at once.
const maxBeacons = 16

// standBeacons listens at the inside addresses in place of the service.
func (c *check) standBeacons() error {
	if c.own != nil {
		for i := range c.result.Ports {
			c.result.Ports[i].inside = c.own
		}
		return nil
	}
	if !c.o.Beacon {
		return nil
	}
	for i := range c.result.Ports {
		p := &c.result.Ports[i]
		inside, err := netip.ParseAddrPort(p.Inside)
		if err != nil || !isLocal(inside.Addr()) {
			c.end()
			return report.Errorf(report.KindUsage, "port.beacon.elsewhere", "run it on the computer that the port is forwarded to, and give that computer's own address with --inside",
				"a beacon listens on this computer, and the inside address %s is not one of its own", cmp.Or(p.Inside, "is not given: it"))
		}
		l, err := listenBeacon(net.JoinHostPort("", strconv.Itoa(int(inside.Port()))))
		if err != nil {
			c.end()
			return err
		}
		p.inside = newBeacon(p.target.Port)
		c.beacons = append(c.beacons, stand(l, p.inside))
	}
	return nil
}

func stand(l net.Listener, b *beacon) *standing {
	s := &standing{listener: l}
	slots := make(chan struct{}, maxBeacons)
	s.work.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			select {
			case slots <- struct{}{}:
			default:
				conn.Close()
				continue
			}
			s.work.Go(func() {
				defer func() { <-slots }()
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(defaultTimeout)) //nolint:errcheck // a closed connection shows when it is read
				b.serve(conn)
			})
		}
	})
	return s
}

// end takes the beacons down.
func (c *check) end() {
	for _, s := range c.beacons {
		s.listener.Close()
		s.work.Wait()
	}
	c.beacons = nil
}
