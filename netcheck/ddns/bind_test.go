package ddns

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"onsite/report"
)

// bind starts BIND on loopback with the zone dyn.acme.example, in which one key
// may change one name.
func bind(t *testing.T) (addr, dir string) {
	t.Helper()
	named, err := exec.LookPath("named")
	if err != nil {
		t.Skip("named (bind9) is not installed")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr, dir = l.Addr().String(), t.TempDir()
	l.Close()
	_, port, _ := net.SplitHostPort(addr)
	key := `key "onsite-ddns" { algorithm hmac-sha256; secret "` + testSecret + `"; };` + "\n"
	for name, text := range map[string]string{
		"onsite-ddns.key": key,
		"wrong.key":       strings.Replace(key, testSecret, "YW5vdGhlciBzZWNyZXQ=", 1),
		"unknown.key":     strings.Replace(key, "onsite-ddns", "nobody", 1),
		"powerless.key":   strings.Replace(key, "onsite-ddns", "powerless", 1),
		"named.conf": fmt.Sprintf(`%s key "powerless" { algorithm hmac-sha256; secret "%s"; };
options { directory "%s"; pid-file "%s/pid"; session-keyfile none; listen-on port %s { 127.0.0.1; }; listen-on-v6 { none; }; recursion no; notify no; dnssec-validation no; };
controls { };
zone "dyn.acme.example" { type primary; file "zone"; update-policy { grant onsite-ddns. name site.dyn.acme.example. A; }; };
`, key, testSecret, dir, dir, port),
		"zone": "$TTL 60\n@ SOA ns1 it 1 60 60 60 60\n@ NS ns1\nns1 A 127.0.0.1\nsite A 11.20.30.99\nsite A 11.20.30.98\nalias CNAME site\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(named, "-f", "-c", filepath.Join(dir, "named.conf"))
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Skipf("named does not start: %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
	})
	for deadline := time.Now().Add(20 * time.Second); ; {
		if a := askBind(t.Context(), addr, "site.dyn.acme.example"); len(a.Servers) > 0 {
			return addr, dir
		}
		select {
		case err := <-ended:
			ended <- err
			t.Skipf("named ended at once: %v: %s", err, &log)
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatal("named does not answer")
		}
	}
}

func askBind(ctx context.Context, addr, name string) Authority {
	a := Authority{Zone: "dyn.acme.example", Primary: []string{addr}}
	in, _, err := (&dns.Client{Net: "tcp", Timeout: time.Second}).ExchangeContext(ctx, new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA), addr)
	if err != nil || !in.Authoritative {
		return a
	}
	s := Answer{Server: "ns1"}
	for _, rr := range in.Answer {
		if rr, ok := rr.(*dns.A); ok {
			ip, _ := netip.AddrFromSlice(rr.A.To4())
			s.Addrs = append(s.Addrs, ip)
		}
	}
	a.Servers = []Answer{s}
	return a
}

// TestBind has BIND's own named take and refuse updates.
func TestBind(t *testing.T) {
	t.Parallel()
	addr, dir := bind(t)
	for _, tt := range []struct {
		key, name, zone, want string
	}{
		{"wrong.key", "site.dyn.acme.example", "", "ddns.tsig.badsig"},
		{"unknown.key", "site.dyn.acme.example", "", "ddns.tsig.badkey"},
		{"powerless.key", "site.dyn.acme.example", "", "ddns.refused"},
		{"onsite-ddns.key", "other.dyn.acme.example", "", "ddns.refused"},
		{"onsite-ddns.key", "site.dyn.acme.example", "acme.example", "ddns.notauth"},
		{"onsite-ddns.key", "site.dyn.acme.example", "", "ddns.good ddns.changed"},
		{"onsite-ddns.key", "site.dyn.acme.example", "", "ddns.current"},
	} {
		text, err := os.ReadFile(filepath.Join(dir, tt.key))
		if err != nil {
			t.Fatal(err)
		}
		key, err := ParseKey(string(text), "")
		if err != nil {
			t.Fatal(err)
		}
		for _, host := range []string{"", addr} {
			w := newWorld(t)
			o := w.options()
			o.Name, o.Protocol = tt.name, &RFC2136{Key: key, Host: host, Zone: tt.zone}
			o.Authority = func(ctx context.Context) Authority { return askBind(ctx, addr, tt.name) }
			u, err := Look(t.Context(), o)
			if err == nil {
				err = u.Send(t.Context())
			}
			want := tt.want
			if host != "" && strings.HasPrefix(want, "ddns.good") {
				want = "ddns.current" // by the update before
			}
			if got := codes(u.Findings); err != nil || got != want {
				t.Errorf("%s for %s at %q: %q, %v, want %q: %+v", tt.key, tt.name, host, got, err, want, u.Findings)
			}
			if report.Worst(u.Findings) == report.StatusPass && strings.Join(u.Result.After, " ") != addrA.String() {
				t.Errorf("after = %v, want %v", u.Result.After, addrA)
			}
		}
	}
}
