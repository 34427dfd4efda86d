package netcheck

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// world is a small Internet of name servers on loopback. Its addresses are those
// of documentation; Dial leads them to the ports where the servers are.
type world struct {
	t testing.TB
	// resolvers of this computer, and public ones
	here, public []netip.AddrPort

	mu    sync.Mutex
	ports map[string]string
	asked map[string]int // questions by address
}

// The servers of the world.
const (
	rootAddr = "192.0.2.1"
	tldAddr  = "192.0.2.2"
	ns1Addr  = "192.0.2.11"
	ns2Addr  = "192.0.2.12"
	dynAddr  = "192.0.2.21"
	hereAddr = "192.0.2.101"
	pubAddr  = "192.0.2.201"
	pub2Addr = "192.0.2.202"
)

func newWorld(t testing.TB) *world {
	return &world{
		t: t, ports: map[string]string{}, asked: map[string]int{},
		here: onPort53(hereAddr), public: onPort53(pubAddr, pub2Addr),
	}
}

func (w *world) sources() Sources {
	return Sources{
		Roots: onPort53(rootAddr), Resolvers: w.here, Public: w.public, Dial: w.dial, Timeout: 700 * time.Millisecond,
	}
}

func (w *world) dial(ctx context.Context, network, address string) (net.Conn, error) {
	w.mu.Lock()
	w.asked[address]++
	port := w.ports[address]
	w.mu.Unlock()
	if port == "" {
		return nil, fmt.Errorf("dial %s: %w", address, errNoRoute)
	}
	return new(net.Dialer).DialContext(ctx, network, port)
}

// at puts a server at an address of the world. A nil handler is silent.
func (w *world) at(addr string, h dns.HandlerFunc) {
	w.t.Helper()
	if h == nil {
		h = silent
	}
	where := serve(w.t, h)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ports[net.JoinHostPort(addr, "53")] = where
}

// gone takes a server away: there is no way to its address.
func (w *world) gone(addr string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.ports, net.JoinHostPort(addr, "53"))
}

// zoneFile is a zone, ready to be served.
type zoneFile struct {
	origin string
	rrs    []dns.RR
}

func parseZone(t testing.TB, origin, text string) zoneFile {
	t.Helper()
	z := zoneFile{origin: dns.Fqdn(origin)}
	parser := dns.NewZoneParser(strings.NewReader(text), z.origin, "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		z.rrs = append(z.rrs, rr)
	}
	if err := parser.Err(); err != nil {
		t.Fatal(err)
	}
	return z
}

func (z zoneFile) of(name string, types ...uint16) []dns.RR {
	var list []dns.RR
	for _, rr := range z.rrs {
		if !strings.EqualFold(rr.Header().Name, name) {
			continue
		}
		for _, t := range types {
			if rr.Header().Rrtype == t {
				list = append(list, rr)
			}
		}
	}
	return list
}

func (z zoneFile) exists(name string) bool {
	for _, rr := range z.rrs {
		if dns.IsSubDomain(name, rr.Header().Name) {
			return true
		}
	}
	return false
}

// cut is the delegation above or at a name.
func (z zoneFile) cut(name string) []dns.RR {
	for off, end := 0, false; !end; off, end = dns.NextLabel(name, off) {
		at := name[off:]
		if strings.EqualFold(at, z.origin) || !dns.IsSubDomain(z.origin, at) {
			return nil
		}
		if ns := z.of(at, dns.TypeNS); len(ns) > 0 {
			return ns
		}
	}
	return nil
}

// authority answers as a server that holds zones (RFC 1034, section 4.3.2).
func authority(zones ...zoneFile) dns.HandlerFunc {
	return func(w dns.ResponseWriter, question *dns.Msg) {
		m := new(dns.Msg).SetReply(question)
		m.RecursionDesired = question.RecursionDesired
		q := question.Question[0]
		var z *zoneFile
		for i := range zones {
			if dns.IsSubDomain(zones[i].origin, q.Name) && (z == nil || len(zones[i].origin) > len(z.origin)) {
				z = &zones[i]
			}
		}
		if z == nil {
			m.Rcode = dns.RcodeRefused
			w.WriteMsg(m)
			return
		}
		if ns := z.cut(q.Name); ns != nil {
			m.Ns = ns
			for _, rr := range ns {
				m.Extra = append(m.Extra, z.of(rr.(*dns.NS).Ns, dns.TypeA, dns.TypeAAAA)...)
			}
			w.WriteMsg(m)
			return
		}
		m.Authoritative = true
		name := q.Name
		for range 8 {
			alias := z.of(name, dns.TypeCNAME)
			if len(alias) == 0 || q.Qtype == dns.TypeCNAME {
				break
			}
			m.Answer = append(m.Answer, alias...)
			name = alias[0].(*dns.CNAME).Target
		}
		m.Answer = append(m.Answer, z.of(name, q.Qtype)...)
		if len(z.of(name, q.Qtype)) == 0 && dns.IsSubDomain(z.origin, name) {
			m.Ns = z.of(z.origin, dns.TypeSOA)
			if !z.exists(name) {
				m.Rcode = dns.RcodeNameError
			}
		}
		w.WriteMsg(m)
	}
}

// resolver answers with records in the form of a zone file, follows aliases in
// them, and knows of no other name. It offers recursion.
func resolver(t testing.TB, lines ...string) dns.HandlerFunc {
	z := parseZone(t, ".", strings.Join(lines, "\n")+"\n")
	return func(w dns.ResponseWriter, question *dns.Msg) {
		m := new(dns.Msg).SetReply(question)
		m.RecursionAvailable = true
		q := question.Question[0]
		name := q.Name
		for range 8 {
			alias := z.of(name, dns.TypeCNAME)
			if len(alias) == 0 {
				break
			}
			m.Answer = append(m.Answer, alias...)
			name = alias[0].(*dns.CNAME).Target
		}
		found := z.of(name, q.Qtype)
		m.Answer = append(m.Answer, found...)
		if !z.exists(name) {
			m.Rcode = dns.RcodeNameError
		}
		for off, end := 0, false; !end && len(found) == 0 && len(m.Ns) == 0; off, end = dns.NextLabel(name, off) {
			m.Ns = z.of(name[off:], dns.TypeSOA)
		}
		w.WriteMsg(m)
	}
}

// listen takes a port that is free for UDP and for TCP.
func listen(t testing.TB) (net.PacketConn, net.Listener) {
	t.Helper()
	for {
		udp, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		tcp, err := net.Listen("tcp", udp.LocalAddr().String())
		if err == nil {
			return udp, tcp
		}
		udp.Close() // somebody has the port for TCP: take another
	}
}

// serve runs a name server on loopback, by UDP and on the same port by TCP.
func serve(t testing.TB, answer dns.HandlerFunc) string {
	t.Helper()
	udp, tcp := listen(t)
	for _, s := range []*dns.Server{{PacketConn: udp, Handler: answer}, {Listener: tcp, Handler: answer}} {
		started, stopped := make(chan struct{}), make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go func() {
			defer close(stopped)
			if err := s.ActivateAndServe(); err != nil {
				t.Errorf("name server: %v", err)
			}
		}()
		<-started
		t.Cleanup(func() {
			if err := s.Shutdown(); err != nil {
				t.Errorf("stop the name server: %v", err)
			}
			<-stopped
		})
	}
	return udp.LocalAddr().String()
}

func rcode(code int) dns.HandlerFunc {
	return func(w dns.ResponseWriter, question *dns.Msg) {
		w.WriteMsg(new(dns.Msg).SetRcode(question, code))
	}
}

func silent(dns.ResponseWriter, *dns.Msg) {}
