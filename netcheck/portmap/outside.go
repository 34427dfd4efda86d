package portmap

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"onsite/report"
)

// Outside connects from outside to a port of this site's own address. The
// outcome of what did not connect is "refused", "timeout" or "unreachable"; an
// error says that the attempt itself could not be made.
type Outside func(ctx context.Context, port uint16) (conn net.Conn, outcome string, err error)

const (
	proofWait = 3 * time.Second // for what is inside
	proofSize = 32
)

// prove connects to what was made from outside. A forwarding that the router
// lists and that is dead is taken away, made once more and tried again: that
// alone heals some routers (github.com/tailscale/tailscale/issues/21208).
func (p *Plan) prove(ctx context.Context) []report.Finding {
	name := p.Made.name()
	if p.Made.Protocol != "tcp" {
		return []report.Finding{report.Unknown("forward.unchecked", name, "UDP cannot be checked from outside: silence says nothing", "try it with the program that uses it")}
	}
	inside, how, done := p.inside(ctx)
	defer done()
	first, err := p.reach(ctx, inside)
	switch {
	case err != nil:
		return []report.Finding{report.Unknown("forward.unchecked", name, "from outside: "+err.Error(), "check it with onsite port check")}
	case first == reached:
		return []report.Finding{p.proven(inside, "")}
	case how == "":
		return []report.Finding{report.Unknown("forward.unchecked", name,
			fmt.Sprintf("from outside: %s; but from here %s does not answer either", first, p.Made.target()),
			"start the service there, and check with onsite port check")}
	case addressKind(p.External) != "public":
		return []report.Finding{p.dead(first+" from outside, while "+how,
			"let the router in front forward the port too (onsite port guide), or ask the provider for a public address")}
	}
	if err := p.router.remove(ctx, &p.notes, *p.Made); err != nil {
		return []report.Finding{p.dead(fmt.Sprintf("%s from outside, while %s; and it cannot be made anew: %s", first, how, err), byHandNow(*p.Made))}
	}
	p.Before, p.Made = nil, nil
	if findings := p.apply(ctx); p.Made == nil || report.Failed(findings) {
		return findings
	}
	second, err := p.reach(ctx, inside)
	switch {
	case err != nil:
		return []report.Finding{report.Unknown("forward.unchecked", name, "it was made anew; from outside: "+err.Error(), "check it with onsite port check")}
	case second == reached:
		return []report.Finding{p.proven(inside, "; it was dead at first ("+first+") and was made anew")}
	}
	return []report.Finding{p.dead(fmt.Sprintf("%s from outside, also after it was made anew, while %s", second, how), byHandNow(*p.Made))}
}

func byHandNow(f Forwarding) string {
	return "type the rule into the router by hand: onsite port guide --forward " + ruleFlag(f) +
		"; if that does not help either, onsite port check tells what else may block it"
}

func (p *Plan) dead(detail, remedy string) report.Finding {
	return report.Fail("forward.dead", p.Made.name(), detail, remedy)
}

func (p *Plan) proven(inside *beacon, more string) report.Finding {
	if inside != nil {
		return report.Pass("forward.proven", p.Made.name(), "a connection from outside reached this very program"+more)
	}
	return report.Pass("forward.open", p.Made.name(), "something answers from outside; whether it is the right thing, onsite port check tells"+more)
}

const reached = "reached"

// reach connects from outside once and says how that went.
func (p *Plan) reach(ctx context.Context, inside *beacon) (string, error) {
	conn, outcome, err := p.outside(ctx, p.Made.External)
	if err != nil {
		return "", err
	}
	if conn == nil {
		return outcome, nil
	}
	defer conn.Close()
	if inside == nil {
		return reached, nil
	}
	if inside.knows(ctx, conn) {
		return reached, nil
	}
	return "something else answers", nil
}

// inside looks whether what is forwarded to answers in this network: how says
// how that is known, and is empty when it does not answer. Where nothing
// listens on this computer, a beacon does.
func (p *Plan) inside(ctx context.Context) (b *beacon, how string, done func()) {
	ctx, cancel := context.WithTimeout(ctx, proofWait)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp4", p.Made.target())
	if err == nil {
		conn.Close()
		return nil, p.Made.target() + " answers in this network", func() {}
	}
	host, parsed := netip.ParseAddr(p.Made.Host)
	if parsed != nil || host != p.router.o.Local {
		return nil, "", func() {}
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp4", p.Made.target())
	if err != nil {
		return nil, "", func() {}
	}
	b = newBeacon(l)
	return b, "this program listens on " + p.Made.target(), b.close
}

// beacon is a listener that is told from every other: what is sent through a
// connection from outside must arrive here.
type beacon struct {
	listener net.Listener
	arrived  chan []byte
	ended    chan struct{}
}

func newBeacon(l net.Listener) *beacon {
	b := &beacon{listener: l, arrived: make(chan []byte, 8), ended: make(chan struct{})}
	go b.serve()
	return b
}

// serve takes connections one by one: those who wait lose nothing by it.
func (b *beacon) serve() {
	defer close(b.ended)
	for {
		conn, err := b.listener.Accept()
		if err != nil {
			return
		}
		got := make([]byte, proofSize)
		err = conn.SetDeadline(time.Now().Add(proofWait))
		if err == nil {
			_, err = io.ReadFull(conn, got)
		}
		conn.Close()
		if err == nil {
			select {
			case b.arrived <- got:
			default: // others than the one that is waited for
			}
		}
	}
}

// knows sends a fresh number through a connection and waits for it to arrive.
func (b *beacon) knows(ctx context.Context, conn net.Conn) bool {
	sent := make([]byte, proofSize)
	rand.Read(sent)
	if err := conn.SetDeadline(time.Now().Add(proofWait)); err != nil {
		return false
	}
	if _, err := conn.Write(sent); err != nil {
		return false
	}
	timer := time.NewTimer(proofWait)
	defer timer.Stop()
	for {
		select {
		case got := <-b.arrived:
			if subtle.ConstantTimeCompare(got, sent) == 1 {
				return true
			}
		case <-timer.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

func (b *beacon) close() {
	b.listener.Close()
	<-b.ended
}
