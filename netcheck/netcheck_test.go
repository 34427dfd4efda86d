package netcheck

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"onsite/report"
)

// serve runs a name server on loopback, by UDP and on the same port by TCP.
func serve(t testing.TB, answer dns.HandlerFunc) string {
	t.Helper()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp", udp.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
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

// records answers with records in the form of a zone file.
func records(lines ...string) dns.HandlerFunc {
	return func(w dns.ResponseWriter, question *dns.Msg) {
		answer := new(dns.Msg).SetReply(question)
		for _, line := range lines {
			rr, err := dns.NewRR(line)
			if err != nil {
				panic(err)
			}
			answer.Answer = append(answer.Answer, rr)
		}
		w.WriteMsg(answer)
	}
}

func rcode(code int) dns.HandlerFunc {
	return func(w dns.ResponseWriter, question *dns.Msg) {
		w.WriteMsg(new(dns.Msg).SetRcode(question, code))
	}
}

func silent(dns.ResponseWriter, *dns.Msg) {}

// truncated gives 60 addresses by TCP, and by UDP says that they do not fit.
func truncated(w dns.ResponseWriter, question *dns.Msg) {
	if w.RemoteAddr().Network() == "udp" {
		answer := new(dns.Msg).SetReply(question)
		answer.Truncated = true
		w.WriteMsg(answer)
		return
	}
	var lines []string
	for i := range 60 {
		lines = append(lines, fmt.Sprintf("portal.acme.example. 60 IN A 203.0.113.%d", i+10))
	}
	records(lines...)(w, question)
}

// deafOnce answers the second time.
func deafOnce() dns.HandlerFunc {
	var asked atomic.Int32
	return func(w dns.ResponseWriter, question *dns.Msg) {
		if asked.Add(1) > 1 {
			records("portal.acme.example. 60 IN A 203.0.113.10")(w, question)
		}
	}
}

func TestCheckA(t *testing.T) {
	t.Parallel()
	const a = "portal.acme.example. 60 IN A 203.0.113.10"
	site := netip.MustParseAddr("203.0.113.10")
	tests := []struct {
		name    string
		server  dns.HandlerFunc
		ask     string // "": portal.acme.example
		expect  netip.Addr
		timeout time.Duration
		addrs   int
		want    string // status and code
		detail  string
	}{
		{name: "right", server: records(a), expect: site, addrs: 1, want: "pass dns.a.matches", detail: "A 203.0.113.10"},
		{name: "any", server: records(a), addrs: 1, want: "pass dns.a.found", detail: "A 203.0.113.10"},
		{name: "any of several", server: records(a, strings.Replace(a, ".10", ".11", 1)), addrs: 2, want: "pass dns.a.found", detail: "A 203.0.113.10, 203.0.113.11"},
		{name: "right, IPv4 in IPv6", server: records(a), expect: netip.MustParseAddr("::ffff:203.0.113.10"), addrs: 1, want: "pass dns.a.matches"},
		{name: "final dot", server: records(a), ask: "portal.acme.example.", expect: site, addrs: 1, want: "pass dns.a.matches"},
		{name: "capitals", server: records(a), ask: "PORTAL.acme.example", expect: site, addrs: 1, want: "pass dns.a.matches"},
		{name: "wrong", server: records(a), expect: netip.MustParseAddr("203.0.113.11"), addrs: 1, want: "fail dns.a.mismatch", detail: "A 203.0.113.10 instead of 203.0.113.11"},
		{name: "several, one right", server: records(a, strings.Replace(a, ".10", ".11", 1)), expect: site, addrs: 2, want: "warn dns.a.several"},
		{name: "several, none right", server: records(a, strings.Replace(a, ".10", ".11", 1)), expect: netip.MustParseAddr("203.0.113.12"), addrs: 2, want: "fail dns.a.mismatch"},
		{
			name: "by way of another name", server: records("portal.acme.example. 60 IN CNAME host.acme.example.", "host.acme.example. 60 IN A 203.0.113.10"),
			expect: site, addrs: 1, want: "pass dns.a.matches",
		},
		{name: "other name without an address", server: records("portal.acme.example. 60 IN CNAME host.acme.example."), expect: site, want: "fail dns.a.none"},
		{name: "no record", server: records(), expect: site, want: "fail dns.a.none"},
		{name: "no such name", server: rcode(dns.RcodeNameError), expect: site, want: "fail dns.name.missing", detail: "NXDOMAIN"},
		{name: "server in trouble", server: rcode(dns.RcodeServerFailure), expect: site, want: "unknown dns.server.error", detail: "SERVFAIL"},
		{name: "server refuses", server: rcode(dns.RcodeRefused), expect: site, want: "unknown dns.server.error", detail: "REFUSED"},
		{name: "too long for UDP", server: truncated, expect: site, addrs: 60, want: "warn dns.a.several"},
		{name: "silent", server: silent, expect: site, timeout: 20 * time.Millisecond, want: "unknown dns.no-answer", detail: "no answer in time"},
		{name: "first question lost", server: deafOnce(), expect: site, timeout: 2 * time.Second, addrs: 1, want: "pass dns.a.matches"},
		{name: "not a name", server: records(a), ask: "portal..acme", expect: site, want: "unknown dns.no-answer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := DNSOptions{Name: tt.ask, Server: serve(t, tt.server), Expect: tt.expect, Timeout: tt.timeout}
			if o.Name == "" {
				o.Name = "portal.acme.example"
			}
			addrs, findings := CheckA(t.Context(), o)
			check(t, o, findings, tt.want, tt.detail)
			if len(addrs) != tt.addrs || (tt.addrs > 0 && !slices.Contains(addrs, site)) {
				t.Errorf("CheckA(%+v) = %v, want %d addresses", o, addrs, tt.addrs)
			}
		})
	}
}

// check wants one finding, about the name as it was asked for.
func check(t *testing.T, o DNSOptions, findings []report.Finding, want, detail string) {
	t.Helper()
	if len(findings) != 1 || string(findings[0].Status)+" "+findings[0].Code != want {
		t.Fatalf("CheckA(%+v) finds %q, want %s", o, findings, want)
	}
	f := findings[0]
	if f.Subject != strings.TrimSuffix(o.Name, ".") || !strings.Contains(f.Detail, detail) || !strings.Contains(f.Detail, o.Server) {
		t.Errorf("CheckA(%+v) finds %q, want %q and the server in it", o, f, detail)
	}
	if _, ok := report.Explain(f.Code); !ok {
		t.Errorf("the code %s has no page", f.Code)
	}
	if strings.HasSuffix(f.Remedy, ".") || (f.Remedy == "") != (f.Status == report.StatusPass) {
		t.Errorf("%s has the remedy %q", f.Code, f.Remedy)
	}
}

func TestCheckANobodyListens(t *testing.T) {
	t.Parallel()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	o := DNSOptions{Name: "portal.acme.example", Server: conn.LocalAddr().String(), Timeout: 2 * time.Second}
	addrs, findings := CheckA(t.Context(), o)
	check(t, o, findings, "unknown dns.no-answer", "")
	if addrs != nil {
		t.Errorf("CheckA(%+v) = %v", o, addrs)
	}
}

// Without the context the question would wait for an hour.
func TestCheckACancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	o := DNSOptions{
		Name: "portal.acme.example", Timeout: time.Hour,
		Server: serve(t, func(dns.ResponseWriter, *dns.Msg) { cancel() }),
	}
	addrs, findings := CheckA(ctx, o)
	check(t, o, findings, "unknown dns.no-answer", "canceled")
	if addrs != nil {
		t.Errorf("CheckA(%+v) = %v", o, addrs)
	}
}
