package dnsq

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

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
func serve(t testing.TB, answer dns.HandlerFunc) netip.AddrPort {
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
	return netip.MustParseAddrPort(udp.LocalAddr().String())
}

// reply answers with records in the form of a zone file.
func reply(question *dns.Msg, lines ...string) *dns.Msg {
	m := new(dns.Msg).SetReply(question)
	for _, line := range lines {
		rr, err := dns.NewRR(line)
		if err != nil {
			panic(err)
		}
		m.Answer = append(m.Answer, rr)
	}
	return m
}

const record = "portal.acme.example. 60 IN A 203.0.113.10"

// byTCP is true for a question that came by TCP.
func byTCP(w dns.ResponseWriter) bool { return w.RemoteAddr().Network() == "tcp" }

func TestOne(t *testing.T) {
	t.Parallel()
	var second atomic.Bool
	tests := []struct {
		name    string
		server  dns.HandlerFunc
		ask     string // "": portal.acme.example
		typ     Type
		timeout time.Duration
		want    string // String of the answer
		tcp     bool
	}{
		{name: "address", server: func(w dns.ResponseWriter, q *dns.Msg) { w.WriteMsg(reply(q, record)) }, want: "NOERROR: portal.acme.example 60 A 203.0.113.10"},
		{name: "capitals and final dot", ask: "PORTAL.acme.example.", server: func(w dns.ResponseWriter, q *dns.Msg) { w.WriteMsg(reply(q, record)) }, want: "NOERROR: portal.acme.example 60 A 203.0.113.10"},
		{
			name: "authoritative, negative, extended", server: func(w dns.ResponseWriter, q *dns.Msg) {
				m := reply(q)
				m.Authoritative, m.Rcode = true, dns.RcodeNameError
				rr, _ := dns.NewRR("acme.example. 300 IN SOA ns1.acme.example. host. 7 1 1 1 60")
				m.Ns = []dns.RR{rr}
				m.SetEdns0(udpSize, false)
				m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: 20, ExtraText: "not mine"}}
				w.WriteMsg(m)
			},
			want: "NXDOMAIN, authoritative, authority: acme.example 300 SOA ns1.acme.example serial 7; Not Authoritative (not mine)",
		},
		{
			name: "truncated: TCP has it all", server: func(w dns.ResponseWriter, q *dns.Msg) {
				m := reply(q, record)
				if !byTCP(w) {
					m.Answer, m.Truncated = nil, true
				}
				w.WriteMsg(m)
			}, want: "NOERROR: portal.acme.example 60 A 203.0.113.10", tcp: true,
		},
		{
			name: "silent by UDP, not by TCP", timeout: 50 * time.Millisecond, server: func(w dns.ResponseWriter, q *dns.Msg) {
				if byTCP(w) {
					w.WriteMsg(reply(q, record))
				}
			}, want: "NOERROR: portal.acme.example 60 A 203.0.113.10", tcp: true,
		},
		{
			name: "first datagram lost", timeout: 500 * time.Millisecond, server: func(w dns.ResponseWriter, q *dns.Msg) {
				if second.Swap(true) {
					w.WriteMsg(reply(q, record))
				}
			}, want: "NOERROR: portal.acme.example 60 A 203.0.113.10",
		},
		{
			name: "no EDNS", server: func(w dns.ResponseWriter, q *dns.Msg) {
				if q.IsEdns0() != nil {
					w.WriteMsg(&dns.Msg{MsgHdr: dns.MsgHdr{Id: q.Id, Response: true, Rcode: dns.RcodeFormatError}})
					return
				}
				w.WriteMsg(reply(q, record))
			}, want: "NOERROR: portal.acme.example 60 A 203.0.113.10",
		},
		{name: "silent", timeout: 20 * time.Millisecond, server: func(dns.ResponseWriter, *dns.Msg) {}, want: ErrSilent.Error()},
		{
			name: "another number, another question, then the answer", server: func(w dns.ResponseWriter, q *dns.Msg) {
				forged := reply(q, "portal.acme.example. 60 IN A 198.51.100.66")
				forged.Id++
				w.WriteMsg(forged)
				forged = reply(q, "portal.acme.example. 60 IN A 198.51.100.66")
				forged.Question[0].Name = "other.acme.example."
				w.WriteMsg(forged)
				forged = reply(q, "portal.acme.example. 60 IN A 198.51.100.66")
				forged.Response = false
				w.WriteMsg(forged)
				w.WriteMsg(reply(q, record))
			}, want: "NOERROR: portal.acme.example 60 A 203.0.113.10",
		},
		{
			name: "no question in the answer", timeout: 20 * time.Millisecond, server: func(w dns.ResponseWriter, q *dns.Msg) {
				m := reply(q, record)
				m.Question = nil
				w.WriteMsg(m)
			}, want: ErrSilent.Error(),
		},
		{
			name: "a refusal without the question", server: func(w dns.ResponseWriter, q *dns.Msg) {
				m := new(dns.Msg).SetRcode(q, dns.RcodeRefused)
				m.Question = nil
				w.WriteMsg(m)
			}, want: "REFUSED",
		},
		{
			name: "damaged", timeout: 200 * time.Millisecond, server: func(w dns.ResponseWriter, q *dns.Msg) {
				wire, _ := reply(q, record).Pack()
				w.Write(wire[:len(wire)-3])
			}, want: ErrDamaged.Error(),
		},
		{name: "not a name", ask: "portal..acme", server: func(dns.ResponseWriter, *dns.Msg) {}, want: ErrName.Error()},
		{name: "no name", ask: "por tal", server: func(dns.ResponseWriter, *dns.Msg) {}, want: ErrName.Error()},
		{
			name: "records of CAA, TXT and others", typ: CAA, server: func(w dns.ResponseWriter, q *dns.Msg) {
				w.WriteMsg(reply(q, `portal.acme.example. 60 IN CAA 128 Issue "ca.example; x=y"`, `portal.acme.example. 60 IN TXT "a" "b"`, "portal.acme.example. 60 IN MX 5 m."))
			},
			want: `NOERROR: portal.acme.example 60 CAA 128 issue "ca.example; x=y", portal.acme.example 60 TXT "ab"`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			q := Question{Server: serve(t, tt.server), Name: tt.ask, Type: max(tt.typ, A)}
			if q.Name == "" {
				q.Name = "portal.acme.example"
			}
			c := Client{Timeout: tt.timeout}
			a := c.One(t.Context(), q)
			if a.String() != tt.want || a.TCP != tt.tcp || a.Question != q {
				t.Errorf("One(%v) = %v, TCP %v, want %s, TCP %v", q, a, a.TCP, tt.want, tt.tcp)
			}
			o := a.Observation()
			if (o.Error == "") == (a.Err != nil) || !strings.HasPrefix(o.Server, q.Server.String()) || o.Question != q.String() {
				t.Errorf("Observation = %+v of %v", o, a)
			}
		})
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	var c Client
	a := c.One(t.Context(), Question{Server: netip.MustParseAddrPort(conn.LocalAddr().String()), Name: "acme.example", Type: A})
	if a.Err != ErrClosed && (runtime.GOOS != "windows" || a.Err != ErrSilent) { // which may keep it to itself
		t.Errorf("a closed port: %v", a.Err)
	}
}

// Without the context the question would wait for an hour.
func TestCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	server := serve(t, func(dns.ResponseWriter, *dns.Msg) { cancel() })
	c := Client{Timeout: time.Hour}
	for _, a := range c.Ask(ctx, make([]Question, 100)) {
		if a.Err == nil {
			t.Errorf("an answer from nobody: %v", a)
		}
	}
	if a := c.One(ctx, Question{Server: server, Name: "acme.example", Type: A}); !errors.Is(a.Err, context.Canceled) {
		t.Errorf("cancelled: %v", a.Err)
	}
}

func TestAskMany(t *testing.T) {
	t.Parallel()
	server := serve(t, func(w dns.ResponseWriter, q *dns.Msg) {
		var n int
		fmt.Sscanf(q.Question[0].Name, "h%d.", &n)
		w.WriteMsg(reply(q, fmt.Sprintf("%s 60 IN A 10.0.%d.%d", q.Question[0].Name, n/256, n%256)))
	})
	questions := make([]Question, 1000)
	for i := range questions {
		questions[i] = Question{Server: server, Name: fmt.Sprintf("h%d.acme.example", i), Type: A}
	}
	var c Client
	for i, a := range c.Ask(t.Context(), questions) {
		want := netip.AddrFrom4([4]byte{10, 0, byte(i / 256), byte(i % 256)})
		if list := a.Of(questions[i].Name, A); len(list) != 1 || list[0].Addr != want {
			t.Fatalf("%v = %v, want %v", questions[i], a, want)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, zone string
		under      bool
	}{
		{"a.example", "example", true},
		{"a.example.", "EXAMPLE", true},
		{"example", "example.", true},
		{"anexample", "example", false},
		{"a.example", ".", true},
		{"example", "a.example", false},
	} {
		if got := Under(tt.name, tt.zone); got != tt.under {
			t.Errorf("Under(%q, %q) = %v", tt.name, tt.zone, got)
		}
	}
	for name, want := range map[string]string{"a.b.example": "b.example", "example.": ".", "x": "."} {
		if got, ok := Parent(name); got != want || !ok {
			t.Errorf("Parent(%q) = %q, %v, want %q", name, got, ok, want)
		}
	}
	if got, ok := Parent("."); ok {
		t.Errorf("the root is below %q", got)
	}
	for name, want := range map[string]bool{
		"a.example": true, "a.example.": true, ".": true, "_x.example": true, "": false, ".example": false, "a..b": false,
		strings.Repeat("a", 64) + ".example": false, strings.Repeat("aaa.", 64): false,
	} {
		if got := Valid(name); got != want {
			t.Errorf("Valid(%q) = %v", name, got)
		}
	}
}

// FuzzParse reads what a server may send. It must not panic, and an answer that
// is taken for one repeats the question.
func FuzzParse(f *testing.F) {
	q := new(dns.Msg)
	q.SetQuestion("portal.acme.example.", dns.TypeA)
	q.Id = 7
	for _, m := range []*dns.Msg{
		reply(q, record),
		reply(q, "portal.acme.example. 60 IN CNAME x.", `x. 1 IN CAA 128 issue "y"`, "x. 1 IN SOA a. b. 1 2 3 4 5"),
		new(dns.Msg).SetRcode(q, dns.RcodeNameError),
	} {
		m.SetEdns0(udpSize, false)
		m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: 22, ExtraText: "x"}}
		wire, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire)
	}
	f.Add([]byte{0, 7, 0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0xc0, 0x0c, 0, 1, 0, 1})
	ask := Question{Name: "portal.acme.example", Type: A}
	f.Fuzz(func(t *testing.T, wire []byte) {
		a, truncated, err := parse(ask, 7, wire)
		if err != nil && (len(a.Records) > 0 || truncated) {
			t.Errorf("an answer and an error: %v, %v", a, err)
		}
		_ = a.String()
		for _, r := range a.Records {
			if (r.Type == A || r.Type == AAAA) != r.Addr.IsValid() || r.TTL < 0 {
				t.Errorf("record %+v", r)
			}
		}
	})
}
