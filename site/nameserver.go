package site

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

// nameServer is the simulated site's authoritative name server: it knows one
// name, and listens on loopback.
type nameServer struct {
	name    string // with the final dot
	addr    netip.Addr
	conn    net.PacketConn
	server  *dns.Server
	stopped chan struct{}
}

// startNameServer answers for name with one A record until close is called.
func startNameServer(ctx context.Context, name string, addr netip.Addr) (*nameServer, error) {
	conn, err := new(net.ListenConfig).ListenPacket(ctx, "udp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the simulated name server: %w", err)
	}
	n := &nameServer{name: dns.Fqdn(name), addr: addr, conn: conn, stopped: make(chan struct{})}
	started := make(chan struct{})
	n.server = &dns.Server{PacketConn: conn, Handler: n, NotifyStartedFunc: func() { close(started) }}
	go func() {
		defer close(n.stopped)
		n.server.ActivateAndServe() //nolint:errcheck // it ends when close is called
	}()
	select {
	case <-started:
	case <-n.stopped:
		return nil, fmt.Errorf("start the simulated name server: it ended at once")
	}
	return n, nil
}

func (n *nameServer) addresses() []netip.AddrPort {
	return []netip.AddrPort{netip.MustParseAddrPort(n.conn.LocalAddr().String())}
}

func (n *nameServer) close() {
	n.server.Shutdown() //nolint:errcheck // nothing is lost with it
	<-n.stopped
}

const recordTTL = 60

// start is the SOA record of the zone, which is the domain of the name.
func (n *nameServer) start() *dns.SOA {
	off, _ := dns.NextLabel(n.name, 0)
	zone := n.name[off:]
	return &dns.SOA{
		Hdr: dns.RR_Header{Name: zone, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: recordTTL},
		Ns:  n.name, Mbox: "hostmaster." + zone, Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: recordTTL,
	}
}

// ServeDNS implements dns.Handler.
func (n *nameServer) ServeDNS(w dns.ResponseWriter, question *dns.Msg) {
	answer := new(dns.Msg)
	answer.SetReply(question)
	answer.Authoritative = true
	switch q := question.Question; {
	case len(q) != 1:
		answer.Rcode = dns.RcodeFormatError
	case q[0].Qtype == dns.TypeA && strings.EqualFold(q[0].Name, n.name):
		answer.Answer = []dns.RR{&dns.A{
			Hdr: dns.RR_Header{Name: q[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: recordTTL},
			A:   n.addr.AsSlice(),
		}}
	default:
		if !dns.IsSubDomain(q[0].Name, n.name) {
			answer.Rcode = dns.RcodeNameError
		}
		answer.Ns = []dns.RR{n.start()}
	}
	w.WriteMsg(answer) //nolint:errcheck // who asked will ask again
}
