//go:build linux

package netlab

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// The keys of ns1: the customer's, which may change one name, and the one of the
// dynamic DNS provider, which may change all.
const (
	UpdateKey   = "onsite-ddns."
	providerKey = "provider."
)

// keys are the secrets of one lab.
type keys struct{ update, provider, wrong string }

func newKeys() keys {
	secret := func() string {
		b := make([]byte, 32)
		rand.Read(b)
		return base64.StdEncoding.EncodeToString(b)
	}
	return keys{secret(), secret(), secret()}
}

// applyDNS writes the zones and starts the name servers anew, with empty caches.
// One program plays the root, the top-level domain, both servers of the zone and
// the resolver, told apart by their addresses.
func (l *Lab) applyDNS() error {
	s := l.Site()
	l.named.stop()
	dir := filepath.Join(l.dir, "dns")
	if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o755)); err != nil {
		return err
	}
	for name, text := range l.zones(s) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	args := []string{"named", "-4", "-g", "-n", "1", "-c", filepath.Join(dir, "named.conf")}
	if _, err := os.Stat("/sys/kernel/security/apparmor/profiles"); err == nil {
		if _, err := exec.LookPath("aa-exec"); err == nil { // the profile does not know our folder
			args = append([]string{"aa-exec", "-p", "unconfined", "--"}, args...)
		}
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = dir
	// A view is megabytes of tables that nobody reads; in huge pages it costs a third
	// of the time (jemalloc(3)).
	cmd.Env = append(os.Environ(), "MALLOC_CONF=thp:always")
	var err error
	if l.named, err = l.hosts["dns"].launch(cmd); err != nil {
		return err
	}
	if err := l.relays(s); err != nil {
		return err
	}
	if err := l.answering(s); err != nil {
		return fmt.Errorf("named: %w\n%s", err, l.named.tail())
	}
	switch s.DNS {
	case "cname":
		return l.update("dyn.example.test.", UpdateName, s.Public(), 60, NS1)
	case "cname-stale":
		return l.update("dyn.example.test.", UpdateName, s.Old(), 60, NS1)
	case "stale-cache":
		for _, name := range []string{PortalName, DeviceName} {
			if _, err := l.ask(Resolver, name, dns.TypeA); err != nil {
				return err
			}
			if err := l.update("example.test.", name, s.Public(), s.TTL, NS1, NS2); err != nil {
				return err
			}
		}
	}
	return nil
}

// answering waits until every server answers.
func (l *Lab) answering(s Site) error {
	servers := []string{RootServer, TLDServer, NS1, Resolver, Router}
	if s.DNS != "ns-down" {
		servers = append(servers, NS2)
	}
	var err error
	for start := time.Now(); time.Since(start) < time.Minute; time.Sleep(10 * time.Millisecond) {
		for err = nil; len(servers) > 0 && err == nil; {
			if _, err = l.ask(servers[0], "lab.test", dns.TypeSOA); err == nil {
				servers = servers[1:]
			}
		}
		if len(servers) == 0 {
			return nil
		}
		if l.named.ended() {
			break
		}
	}
	return err
}

// ask puts one question to a server of the lab.
func (l *Lab) ask(server, name string, kind uint16) (*dns.Msg, error) {
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(name), kind)
	h := l.hosts["dns"]
	if server == Router {
		h = l.hosts["lan"]
	}
	return h.exchange(m, "udp", server+":53", nil, 2*time.Second)
}

func (h *host) exchange(m *dns.Msg, network, server string, secrets map[string]string, patience time.Duration) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := h.dial(ctx, network, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	answer, _, err := (&dns.Client{Net: network, TsigSecret: secrets}).ExchangeWithConnContext(ctx, m, &dns.Conn{Conn: conn, TsigSecret: secrets})
	return answer, err
}

// update makes name point to address at the servers given, as a provider would.
func (l *Lab) update(zone, name, address string, ttl int, servers ...string) error {
	name = dns.Fqdn(name)
	record, err := dns.NewRR(fmt.Sprintf("%s %d IN A %s", name, ttl, address))
	if err != nil {
		return err
	}
	m := new(dns.Msg)
	m.SetUpdate(zone)
	m.RemoveRRset([]dns.RR{record})
	m.Insert([]dns.RR{record})
	for _, server := range servers {
		m.Id = dns.Id()
		m.Extra = nil
		m.SetTsig(providerKey, dns.HmacSHA256, 300, time.Now().Unix())
		answer, err := l.hosts["dns"].exchange(m, "tcp", server+":"+l.port(server), map[string]string{providerKey: l.keys.provider}, 20*time.Second)
		if err != nil {
			return fmt.Errorf("update of %s at %s: %w", name, server, err)
		}
		if answer.Rcode != dns.RcodeSuccess {
			return fmt.Errorf("update of %s at %s: %s", name, server, dns.RcodeToString[answer.Rcode])
		}
	}
	return nil
}

// port is where named itself listens: behind the relay that spoils signed updates,
// if there is one.
func (l *Lab) port(server string) string {
	if server == NS1 && l.Site().Signed != "ok" {
		return "5353"
	}
	return "53"
}

// Point makes a name of example.test point to another address at both of its
// servers. Resolvers keep what they have.
func (l *Lab) Point(t testing.TB, name, address string) {
	t.Helper()
	if err := l.update("example.test.", name, address, l.Site().TTL, NS1, NS2); err != nil {
		t.Fatal(err)
	}
}

// Answer is what a server of the lab says the addresses of name are, in one line.
func (l *Lab) Answer(t testing.TB, server, name string) string {
	t.Helper()
	m, err := l.ask(server, name, dns.TypeA)
	if err != nil {
		t.Fatalf("%s at %s: %v", name, server, err)
	}
	var list []string
	for _, r := range m.Answer {
		if a, ok := r.(*dns.A); ok {
			list = append(list, a.A.String())
		}
	}
	return strings.Join(list, " ")
}

// UpdateSecret is the TSIG secret of UpdateKey (hmac-sha256, base64) and
// WrongSecret one that no server knows.
func (l *Lab) UpdateSecret() string { return l.keys.update }

// WrongSecret is a TSIG secret that no server knows.
func (l *Lab) WrongSecret() string { return l.keys.wrong }
