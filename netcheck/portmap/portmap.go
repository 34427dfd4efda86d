// Package portmap talks to the router: it asks for its outside address, for
// the forwardings that it lists, and for a new one. It speaks UPnP IGD, NAT-PMP
// (RFC 6886) and PCP (RFC 6887).
//
//	router := portmap.Ask(ctx, portmap.Options{Gateway: netip.MustParseAddr("192.168.1.1")})
//	fmt.Println(router.UPnP.External, router.NATPMP.External, router.PCP.External)
//
// One gateway is asked and nobody else: what another device in the network
// answers is never followed. Ask and List change nothing on the router.
package portmap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"onsite/report"
)

// Options says which router to ask. The zero value of every field but Gateway
// is the real thing.
type Options struct {
	Gateway netip.Addr // the router's address in this network, IPv4
	// Local is this computer's address towards it; zero: the one that the system
	// chooses, which may be wrong where there is a VPN.
	Local netip.Addr
	// Timeout bounds everything that is asked at once; 0: 5 s.
	Timeout time.Duration
	// SSDPPort and PCPPort are the router's ports for tests; 0: 1900 and 5351.
	SSDPPort, PCPPort uint16
	// Memory is where forwardings are written down that are made; nil: nowhere.
	Memory *Memory
	// Watch is how often Keep looks after a forwarding; 0: every minute.
	Watch time.Duration
	Now   func() time.Time // nil: time.Now

	// patience is the first wait for an answer to a datagram; 0: 250 ms.
	patience time.Duration
}

const defaultTimeout = 5 * time.Second

func (o Options) withDefaults() Options {
	o.Gateway, o.Local = o.Gateway.Unmap(), o.Local.Unmap()
	o.Timeout = cmp.Or(o.Timeout, defaultTimeout)
	o.SSDPPort = cmp.Or(o.SSDPPort, 1900)
	o.PCPPort = cmp.Or(o.PCPPort, 5351)
	o.patience = cmp.Or(o.patience, 250*time.Millisecond)
	if o.Now == nil {
		o.Now = time.Now
	}
	if !o.Local.IsValid() && o.Gateway.Is4() {
		o.Local = localTowards(o.Gateway)
	}
	return o
}

// localTowards is the address that this computer would use towards another: the
// zero value when it has none. Nothing is sent for that.
func localTowards(other netip.Addr) netip.Addr {
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(other, 9)))
	if err != nil {
		return netip.Addr{}
	}
	defer conn.Close()
	return localOf(conn)
}

// Method is a way to ask a router for a forwarding.
type Method string

// The three methods.
const (
	UPnP   Method = "upnp"
	PCP    Method = "pcp"
	NATPMP Method = "nat-pmp"
)

func (m Method) String() string {
	switch m {
	case UPnP:
		return "UPnP"
	case PCP:
		return "PCP"
	case NATPMP:
		return "NAT-PMP"
	}
	return string(m)
}

// Answer is what came of asking for the router's outside address in one way.
type Answer struct {
	// External is the address; the zero value when none was given. Refusals may
	// carry one too: PCP's do.
	External netip.Addr
	// Code is the protocol's own number for a refusal: UPnP 501, NAT-PMP 3,
	// PCP 8. 0: not refused.
	Code int
	// Meaning is the name of the code, as the protocol's text has it.
	Meaning string
	// Err says why there is no answer that could be read; ErrSilent when
	// nothing came back at all.
	Err error
}

// ErrSilent says that nobody answered.
var ErrSilent = errors.New("no answer")

// Answered reports whether the router speaks this protocol, be it to refuse.
func (a Answer) Answered() bool { return a.Err == nil }

func (a Answer) String() string {
	switch {
	case a.Err != nil:
		return a.Err.Error()
	case a.Code != 0 && a.External.IsValid():
		return fmt.Sprintf("refused with %d (%s), and names %s", a.Code, a.Meaning, a.External)
	case a.Code != 0:
		return fmt.Sprintf("refused with %d (%s)", a.Code, a.Meaning)
	case !a.External.IsValid():
		return "no address"
	}
	return a.External.String()
}

// Router is what one router told about itself.
type Router struct {
	Gateway netip.Addr
	Device  string // how it calls itself; "" without UPnP
	Service string // "WANIPConnection:2"; "" without UPnP
	UPnP    Answer
	NATPMP  Answer
	PCP     Answer
	// ConnectionType and Status are UPnP's words: "IP_Routed", "Connected".
	ConnectionType, Status string
	Uptime                 time.Duration // of the connection, by UPnP; 0: not told
	// Findings are what should be known about the asking itself: somebody else
	// in the network says that he is the router, for example.
	Findings     []report.Finding
	Observations []report.Observation

	o   Options
	igd *igd // nil without UPnP
}

// Answered reports whether the router answered to anything.
func (r Router) Answered() bool {
	return r.UPnP.Answered() || r.NATPMP.Answered() || r.PCP.Answered()
}

// External is the router's outside address by its own word: the first that
// UPnP, NAT-PMP and PCP name, in this order; the zero value when none does.
func (r Router) External() netip.Addr {
	for _, a := range []Answer{r.UPnP, r.NATPMP, r.PCP} {
		if a.External.IsValid() {
			return a.External
		}
	}
	return netip.Addr{}
}

// udn is the router's own name by UPnP, which no other device has; "" without.
func (r *Router) udn() string {
	if r.igd == nil {
		return ""
	}
	return r.igd.udn
}

// Local is this computer's address towards the router.
func (r *Router) Local() netip.Addr { return r.o.Local }

// clock is the time of day after a while, with the date where it is not today's.
func (r *Router) clock(after time.Duration) string {
	now := r.o.Now()
	if then := now.Add(after); then.YearDay() == now.YearDay() {
		return then.Format("15:04:05")
	}
	return now.Add(after).Format("2006-01-02 15:04:05")
}

// Ask puts the three questions to one router, at the same time. It changes
// nothing there.
func Ask(ctx context.Context, o Options) Router {
	o = o.withDefaults()
	r := Router{Gateway: o.Gateway, o: o, Observations: []report.Observation{}}
	if !o.Gateway.Is4() {
		err := fmt.Errorf("no IPv4 gateway to ask: %s", o.Gateway)
		r.UPnP.Err, r.NATPMP.Err, r.PCP.Err = err, err, err
		return r
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	var upnp, natpmp, pcp notes
	upnp.now, natpmp.now, pcp.now = o.Now, o.Now, o.Now
	var wait sync.WaitGroup
	wait.Go(func() { r.askUPnP(ctx, &upnp) })
	wait.Go(func() { r.NATPMP = o.askNATPMP(ctx, &natpmp) })
	wait.Go(func() { r.PCP = o.askPCP(ctx, &pcp) })
	wait.Wait()
	for _, n := range []notes{upnp, natpmp, pcp} {
		r.Observations = append(r.Observations, n.list...)
	}
	return r
}

// notes are the observations of one piece of work, in order.
type notes struct {
	now  func() time.Time
	list []report.Observation
}

// begin starts the time of a question; the function that it returns notes what
// came back.
func (n *notes) begin(server, question string) func(answer string, err error) {
	begun := n.now()
	return func(answer string, err error) {
		o := report.Observation{
			Server: server, Question: question, Answer: report.Printable(answer),
			Milliseconds: n.now().Sub(begun).Milliseconds(),
		}
		if err != nil {
			o.Error = report.Printable(err.Error())
		}
		n.list = append(n.list, o)
	}
}
