package netcheck

import (
	"bytes"
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

	"onsite/internal/dnsq"
)

// bind9 is a BIND name server on loopback.
type bind9 struct {
	t    testing.TB
	dir  string
	at   netip.AddrPort
	stop func()
}

// startBIND runs one with zones, by name, and statements of its own for others.
func startBIND(t testing.TB, zones map[string]string, options, statements string) *bind9 {
	t.Helper()
	named, err := exec.LookPath("named")
	if err != nil {
		t.Skip("named is not installed (Debian: bind9)")
	}
	const tries = 5 // somebody else may take the port in the meantime
	for try := 1; ; try++ {
		if b := tryBIND(t, named, zones, options, statements, try == tries); b != nil {
			return b
		}
	}
}

// tryBIND is nil when the server ended at once and it is not the last try.
func tryBIND(t testing.TB, named string, zones map[string]string, options, statements string, last bool) *bind9 {
	t.Helper()
	udp, tcp := listen(t)
	b := &bind9{t: t, dir: t.TempDir(), at: netip.MustParseAddrPort(udp.LocalAddr().String())}
	udp.Close()
	tcp.Close()
	conf := fmt.Sprintf(`options { directory %q; pid-file none; session-keyfile none; lock-file none;
	listen-on port %d { 127.0.0.1; }; listen-on-v6 { none; }; dnssec-validation no; empty-zones-enable no; notify no;
	%s }; controls { };
%s
`, b.dir, b.at.Port(), options, statements)
	for name, text := range zones {
		file := strings.Trim(name, ".") + ".zone"
		b.write(file, "$TTL 300\n"+text)
		conf += fmt.Sprintf("zone %q { type primary; file %q; };\n", name, file)
	}
	b.write("named.conf", conf)
	log, err := os.Create(filepath.Join(b.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	process := exec.Command(named, "-4", "-g", "-n", "1", "-c", filepath.Join(b.dir, "named.conf"))
	process.Stdout, process.Stderr = log, log
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		process.Wait()
	}()
	b.stop = func() {
		process.Process.Kill()
		<-ended
		log.Close()
	}
	t.Cleanup(func() { b.stop() })
	if !b.await(ended, last) {
		return nil
	}
	return b
}

func (b *bind9) write(name, text string) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// await waits until it answers, and reports whether it does.
func (b *bind9) await(ended <-chan struct{}, last bool) bool {
	b.t.Helper()
	client := dnsq.Client{Timeout: 100 * time.Millisecond}
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		if a := client.One(b.t.Context(), dnsq.Question{Server: b.at, Name: "ready.invalid", Type: dnsq.SOA}); a.Err == nil {
			return true
		}
		select {
		case <-ended:
			if !last {
				return false
			}
			log, _ := os.ReadFile(filepath.Join(b.dir, "log"))
			b.t.Fatalf("named ended:\n%s", log)
		default:
		}
	}
	b.t.Fatal("named does not answer")
	return false
}

// TestCheckBIND checks names against servers that we did not write.
func TestCheckBIND(t *testing.T) {
	t.Parallel()
	authoritative := func(zones map[string]string) *bind9 { return startBIND(t, zones, "recursion no;", "") }
	root := authoritative(map[string]string{".": rootZone, "example": tldZone})
	w := newWorld(t)
	sources := w.sources()
	sources.Public, sources.Timeout = []netip.AddrPort{}, 3*time.Second // nobody is silent here
	put := func(addr string, b *bind9) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.ports[net.JoinHostPort(addr, "53")] = b.at.String()
	}
	put(rootAddr, root)
	put(tldAddr, root)
	other := func(text string) *bind9 { return authoritative(map[string]string{"acme.example": text}) }
	now, behind := other(acmeHead+right), other(acmeOld+outdated+"ns1 IN A 192.0.2.11\nns2 IN A 192.0.2.12\n")
	ddns := authoritative(map[string]string{"ddns.example": ddnsHead + "site IN A 203.0.113.10\n"})
	put(dynAddr, ddns)
	forward := func(to *bind9) *bind9 {
		return startBIND(t, nil, "recursion yes; allow-recursion { any; }; allow-query-cache { any; }; resolver-query-timeout 2000;",
			fmt.Sprintf("zone \"acme.example\" { type forward; forward only; forwarders { 127.0.0.1 port %d; }; };\n", to.at.Port())+
				fmt.Sprintf("zone \"ddns.example\" { type forward; forward only; forwarders { 127.0.0.1 port %d; }; };\n", ddns.at.Port()))
	}
	special := other(acmeHead + aliasText + "text IN TXT x\nloose IN CNAME gone.ddns.example.\ninner IN A 192.168.1.50\noffice.acme.example IN A 203.0.113.10\n@ IN CAA 0 issue \"letsencrypt.org\"\n")
	fresh, stale, toSpecial := forward(now), forward(behind), forward(special)
	empty := authoritative(nil)
	for _, tt := range []struct {
		name          string
		ns1, ns2, res *bind9
		ask, want     string
		ca            string
	}{
		{"right", now, now, fresh, "portal", "pass dns.a.matches", ""},
		{"wrong", behind, behind, stale, "portal", "fail dns.a.mismatch", ""},
		{"stale here", now, now, stale, "portal", "fail dns.cache.stale", ""},
		{"one server behind", now, behind, fresh, "portal", "fail dns.server.behind", ""},
		{"one server lame", now, empty, fresh, "portal", "pass dns.a.matches, warn dns.server.lame", ""},
		{"all servers lame", empty, empty, forward(empty), "portal", "fail dns.zone.lame", ""},
		{"alias", special, special, toSpecial, "portal", "pass dns.a.matches", ""},
		{"alias that leads nowhere", special, special, toSpecial, "loose", "fail dns.cname.dangling", ""},
		{"no such name", special, special, toSpecial, "nothing", "fail dns.name.missing", ""},
		{"doubled", special, special, toSpecial, "office", "fail dns.name.doubled", ""},
		{"no data", special, special, toSpecial, "text", "fail dns.a.none", ""},
		{"private", special, special, toSpecial, "inner", "fail dns.a.private", ""},
		{"CAA", special, special, toSpecial, "portal", "pass dns.a.matches, fail dns.caa.forbidden", "other.example"},
	} {
		put(ns1Addr, tt.ns1)
		put(ns2Addr, tt.ns2)
		put(hereAddr, tt.res)
		_, findings, err := Check(t.Context(), Options{Sources: sources, Name: tt.ask + ".acme.example", Expect: siteAddr, CA: tt.ca})
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		var got []string
		for _, f := range findings {
			got = append(got, string(f.Status)+" "+f.Code)
		}
		if strings.Join(got, ", ") != tt.want {
			t.Errorf("%s: finds %q, want %q: %+v", tt.name, got, tt.want, findings)
		}
	}
}

// names of a zone that has many, and the zone.
const many = 1000

func manyNames() (names []string, zone string) {
	text := strings.Builder{}
	text.WriteString("@ IN SOA ns host 1 3600 600 86400 60\n@ IN NS ns\nns IN A 127.0.0.1\n")
	for i := range many {
		names = append(names, fmt.Sprintf("h%d.bench.example", i))
		fmt.Fprintf(&text, "h%d IN A 10.0.%d.%d\n", i, i/256, i%256)
	}
	return names, text.String()
}

// BenchmarkBulk compares a thousand questions to BIND with dig, and with dnsx where
// it is installed. What dig prints is dropped; ours is looked through for each
// address.
func BenchmarkBulk(b *testing.B) {
	names, zone := manyNames()
	server := startBIND(b, map[string]string{"bench.example": zone}, "recursion no;", "")
	list := strings.Join(names, "\n") + "\n"
	file := filepath.Join(b.TempDir(), "names")
	if err := os.WriteFile(file, []byte(list), 0o600); err != nil {
		b.Fatal(err)
	}
	ask := make([]dnsq.Question, len(names))
	for i, n := range names {
		ask[i] = dnsq.Question{Server: server.at, Name: n, Type: dnsq.A}
	}
	b.Run("onsite", func(b *testing.B) {
		for b.Loop() {
			var client dnsq.Client
			for i, a := range client.Ask(b.Context(), ask) {
				want := netip.AddrFrom4([4]byte{10, 0, byte(i / 256), byte(i % 256)})
				if len(a.Records) != 1 || a.Records[0].Addr != want {
					b.Fatalf("%s: %v", names[i], a)
				}
			}
		}
	})
	port := fmt.Sprint(server.at.Port())
	for _, peer := range [][]string{
		{"dig", "+noall", "+answer", "@127.0.0.1", "-p", port, "-f", file},
		{"dnsx", "-silent", "-a", "-resp", "-t", "64", "-r", server.at.String(), "-l", file, "-duc"},
	} {
		b.Run(peer[0], func(b *testing.B) {
			path, err := exec.LookPath(peer[0])
			if err != nil {
				b.Skipf("%s is not installed", peer[0])
			}
			lost := 0
			for b.Loop() {
				var out bytes.Buffer
				c := exec.CommandContext(context.Background(), path, peer[1:]...)
				c.Stdout = &out
				if err := c.Run(); err != nil {
					b.Fatal(err)
				}
				lost += many - bytes.Count(out.Bytes(), []byte("10.0."))
			}
			b.ReportMetric(float64(lost)/float64(b.N), "lost/op")
		})
	}
}
