package main

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/rogpeppe/go-internal/testscript"

	"onsite/netcheck"
	"onsite/report"
)

// cmdNameServer puts the address of a name server into a variable. It knows the
// records of a file and, as the root server of a small network, no others.
func cmdNameServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: nameserver VAR FILE")
	}
	var records []dns.RR
	parser := dns.NewZoneParser(strings.NewReader(ts.ReadFile(args[1])), ".", args[1])
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		records = append(records, rr)
	}
	ts.Check(parser.Err())
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	ts.Check(err)
	started, stopped := make(chan struct{}), make(chan struct{})
	server := &dns.Server{PacketConn: conn, NotifyStartedFunc: func() { close(started) }, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, question *dns.Msg) {
		w.WriteMsg(answerFrom(records, question))
	})}
	go func() {
		defer close(stopped)
		server.ActivateAndServe()
	}()
	<-started
	ts.Defer(func() {
		server.Shutdown()
		<-stopped
	})
	ts.Setenv(args[0], conn.LocalAddr().String())
}

func answerFrom(records []dns.RR, question *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetReply(question)
	m.Authoritative = true
	q, exists := question.Question[0], false
	for _, rr := range records {
		exists = exists || dns.IsSubDomain(q.Name, rr.Header().Name)
		if strings.EqualFold(rr.Header().Name, q.Name) && rr.Header().Rrtype == q.Qtype {
			m.Answer = append(m.Answer, rr)
		}
		if soa, ok := rr.(*dns.SOA); ok && dns.IsSubDomain(soa.Hdr.Name, q.Name) && !slices.Contains(m.Ns, rr) {
			m.Ns = append(m.Ns, rr)
		}
	}
	if len(m.Answer) > 0 {
		m.Ns = nil
	} else if !exists {
		m.Rcode = dns.RcodeNameError
	}
	return m
}

func TestNameServer(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"192.0.2.53": "192.0.2.53:53", "192.0.2.53:5353": "192.0.2.53:5353", "2001:db8::53": "[2001:db8::53]:53",
		"[2001:db8::53]:5353": "[2001:db8::53]:5353", "[2001:db8::53]": "[2001:db8::53]:53",
		"192.0.2.53:0": "", "192.0.2.53:dns": "", "": "", "http://192.0.2.53": "", "192.0.2.53:70000": "",
	} {
		got, err := nameServer(t.Context(), "resolver", text)
		if want == "" {
			if e := report.AsError(err); e == nil || e.Kind != report.KindUsage {
				t.Errorf("nameServer(%q) = %v, %v", text, got, err)
			}
		} else if err != nil || got != netip.MustParseAddrPort(want) {
			t.Errorf("nameServer(%q) = %v, %v, want %s", text, got, err, want)
		}
	}
}

func TestRootHints(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "named.root")
	for text, want := range map[string]string{
		"; the root\n.  3600000  NS  A.ROOT.\nA.ROOT.  3600000  A  192.0.2.1\nA.ROOT. 3600000 AAAA 2001:db8::1\n": "192.0.2.1:53 [2001:db8::1]:53",
		". 3600000 NS A.ROOT.\n": "", "this is no zone file\n": "", "": "",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		list, err := (&dnsFlags{roots: []string{path}}).sources(t.Context())
		if want == "" {
			if !report.HasCode(err, "file.unknown") {
				t.Errorf("roots of %q = %v, %v", text, list.Roots, err)
			}
			continue
		}
		var got []string
		for _, a := range list.Roots {
			got = append(got, a.String())
		}
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("roots of %q = %v, %v, want %s", text, got, err, want)
		}
	}
}

func TestWaitingFor(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.Local)
	w := netcheck.Waiting{Verdict: report.Fail("dns.a.mismatch", "x", "A 203.0.113.99 instead of 203.0.113.10: so says ns1", ""), Next: now.Add(10 * time.Second)}
	if got := waitingFor(w, now); got != "A 203.0.113.99 instead of 203.0.113.10; asked again every 10 s" {
		t.Errorf("waitingFor = %q", got)
	}
	w.ChangesAt = &now
	if got := waitingFor(w, now); !strings.HasSuffix(got, "; asked again at 12:00:10") {
		t.Errorf("waitingFor = %q", got)
	}
}
