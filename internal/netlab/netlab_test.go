//go:build linux

package netlab

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if parallel := flag.Lookup("test.parallel"); parallel.Value.String() == parallel.DefValue {
		parallel.Value.Set("8") // the tests wait more than they work
	}
	os.Exit(Main(m))
}

// fetch gets a page of the portal's name from a host, and is the status and the
// beginning of the page, or one word for what went wrong.
func (l *Lab) fetch(host, scheme, address string) string {
	patience := 1200 * time.Millisecond
	if l.Site().Forward == "dead-host" {
		patience = 4 * time.Second // a router looks for a host for three seconds
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := l.Dial(ctx, host, "tcp", address)
	if err != nil {
		return problem(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if scheme == "https" {
		roots := x509.NewCertPool()
		roots.AddCert(l.pki.root)
		conn = tls.Client(conn, &tls.Config{ServerName: PortalName, RootCAs: roots})
	}
	if _, err = fmt.Fprintf(conn, "GET /healthz HTTP/1.0\r\nHost: %s\r\n\r\n", PortalName); err != nil {
		return problem(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return problem(err)
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(answer.Body)
	return fmt.Sprint(answer.StatusCode, " ", strings.TrimSpace(string(body)))
}

func problem(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.EHOSTUNREACH):
		return "unreachable"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "silence"
	}
	return err.Error()
}

// zk connects in the clock's own protocol and is the code it answered, with an
// option if one is asked for.
func (l *Lab) zk(host, address, option string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 1500*time.Millisecond)
	defer cancel()
	conn, err := l.Dial(ctx, host, "tcp", address)
	if err != nil {
		return problem(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Second))
	var session uint16
	ask := func(command uint16, data string) (uint16, string, error) {
		p := binary.LittleEndian.AppendUint16(nil, command)
		p = binary.LittleEndian.AppendUint16(append(p, 0, 0), session)
		p = append(append(p, 0, 0), data...)
		binary.LittleEndian.PutUint16(p[2:], zkChecksum(p))
		frame := binary.LittleEndian.AppendUint32(bytes.Clone(zkMagic), uint32(len(p)))
		if _, err := conn.Write(append(frame, p...)); err != nil {
			return 0, "", err
		}
		buf := make([]byte, 512)
		n, err := conn.Read(buf)
		if err != nil {
			return 0, "", err
		}
		if n < 16 || string(buf[:4]) != string(zkMagic) {
			return 0, "", fmt.Errorf("not a clock: %.8q", buf[:n])
		}
		session = binary.LittleEndian.Uint16(buf[12:])
		return binary.LittleEndian.Uint16(buf[8:]), strings.TrimRight(string(buf[16:n]), "\x00"), nil
	}
	code, _, err := ask(zkConnect, "")
	if err != nil {
		return problem(err)
	}
	if option == "" {
		return fmt.Sprint(code)
	}
	_, value, err := ask(zkOption, option+"\x00")
	if err != nil {
		return problem(err)
	}
	return value
}

// want compares what a probe saw.
func want(t *testing.T, what, got, want string) {
	t.Helper()
	if !strings.Contains(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// A lab that is not what it says would make every test on top of it worthless.
func TestHealthySite(t *testing.T) {
	t.Parallel()
	l := Up(t, Site{})
	public := l.Site().Public()
	for _, server := range []string{NS1, NS2, Resolver, Router, "8.8.8.8"} {
		want(t, "the name at "+server, l.Answer(t, server, PortalName), public)
	}
	m, err := l.ask("198.41.0.4", PortalName, dns.TypeA)
	if err != nil || len(m.Ns) != 1 || !strings.Contains(m.Ns[0].String(), "a.nic.test.") {
		t.Errorf("a root server gives no referral: %v %v", m, err)
	}
	want(t, "outside, http", l.fetch("wan", "http", public+":8888"), "200 ok")
	want(t, "outside, https", l.fetch("wan", "https", public+":4444"), "200 ok")
	want(t, "outside, the clock", l.zk("wan", public+":4500", ""), "2000")
	want(t, "outside, another port", l.fetch("wan", "http", public+":80"), "silence")
	want(t, "LAN, the clock", l.zk("laptop", Clock+":4370", "~SerialNumber"), "~SerialNumber="+Serial)
	want(t, "loop-back from the portal's computer", l.fetch("lan", "http", public+":8888"), "200 ok")
	want(t, "loop-back from the laptop", l.fetch("laptop", "https", public+":4444"), "200 ok")
	want(t, "the router's page", l.fetch("laptop", "http", Router+":80"), "401")
	want(t, "the decoy", l.fetch("laptop", "http", Decoy+":8888"), "NAS")
	want(t, "an echo", l.fetch("laptop", "http", Services+":80"), "200 "+public)
	l.Hotspot(t)
	want(t, "the LAN from the hotspot", l.fetch("laptop", "http", Portal+":8888"), "unreachable")
	want(t, "outside from the hotspot", l.fetch("laptop", "https", public+":4444"), "200 ok")
	want(t, "an echo from the hotspot", l.fetch("laptop", "http", Services+":80"), "200 "+Phone)
	l.Back(t)
	want(t, "the LAN again", l.fetch("laptop", "http", Portal+":8888"), "200 ok")
}

func TestFaultsOfTheRouter(t *testing.T) {
	t.Parallel()
	l := Up(t, Site{UPnP: "off", PMP: "off"})
	public := l.Site().Public()
	for _, tt := range []struct {
		site           Site
		outside, clock string
		laptop         string // over the loop-back
	}{
		{Site{Forward: "none"}, "silence", "silence", "refused"},
		{Site{Forward: "wrong-host"}, "200 <html><title>NAS", "not a clock", "NAS"},
		{Site{Forward: "dead-host"}, "unreachable", "silence", "unreachable"},
		{Site{Forward: "wrong-port"}, "refused", "refused", "refused"},
		{Site{Forward: "udp"}, "silence", "silence", "refused"},
		{Site{Forward: "portal-only"}, "200 ok", "silence", "200 ok"},
		{Site{Forward: "device-only"}, "silence", "2000", "refused"},
		{Site{ISPBlock: "8888"}, "silence", "2000", "200 ok"},
		{Site{Hairpin: "off"}, "200 ok", "2000", "silence"},
		{Site{Hairpin: "refuse"}, "200 ok", "2000", "refused"},
		{Site{Hairpin: "asym"}, "200 ok", "2000", "silence"},
		{Site{Hairpin: "admin"}, "200 ok", "2000", "401"},
		{Site{Firewall: "lan-only"}, "silence", "2000", "200 ok"},
		{Site{Portal: "loopback"}, "refused", "2000", "refused"},
		{Site{Portal: "down"}, "refused", "2000", "refused"},
		{Site{Device: "down"}, "200 ok", "refused", "200 ok"},
		{Site{Device: "key"}, "200 ok", "2005", "200 ok"},
		{Site{Device: "silent"}, "200 ok", "silence", "200 ok"},
		{Site{Device: "other"}, "200 ok", "not a clock", "200 ok"},
		{Site{Gateway: "none"}, "200 ok", "silence", "200 ok"},
		{Site{Gateway: "wrong"}, "200 ok", "silence", "200 ok"},
	} {
		l.Set(t, func(s *Site) { tt.site.UPnP, tt.site.PMP = "off", "off"; *s = tt.site })
		name := fmt.Sprintf("%+v", tt.site)
		wait := func(what, wanted string, probe func() string) func() error {
			return func() error { want(t, name+": "+what, probe(), wanted); return nil }
		}
		together(
			wait("outside", tt.outside, func() string { return l.fetch("wan", "http", public+":8888") }),
			wait("the clock outside", tt.clock, func() string { return l.zk("wan", public+":4500", "") }),
			wait("over the loop-back", tt.laptop, func() string { return l.fetch("laptop", "http", public+":8888") }))
	}
	want(t, "a clock with a wrong gateway in the LAN", l.zk("laptop", Clock+":4370", "GATEIPAddress"), "192.168.1.254")
	want(t, "and over the loop-back", l.zk("laptop", public+":4500", ""), "2000")
	l.Set(t, func(s *Site) { s.Gateway, s.WAN = "ok", "B" })
	want(t, "the new address", l.fetch("wan", "http", "11.20.30.99:8888"), "200 ok")
	if got := l.fetch("wan", "http", "11.20.30.20:8888"); got != "silence" && got != "unreachable" {
		t.Errorf("the old address: %q", got)
	}
	want(t, "the name", l.Answer(t, Resolver, PortalName), "11.20.30.20")
}

func TestSeveralNATs(t *testing.T) {
	t.Parallel()
	l := Up(t, Site{NAT: "double"})
	public := l.Site().Public()
	want(t, "what the Internet sees", l.fetch("lan", "http", Services+":80"), "200 "+public)
	want(t, "no rule in the ISP's box", l.fetch("wan", "http", public+":8888"), "silence")
	for outer, wanted := range map[string]string{"ok": "200 ok", "dmz": "200 ok", "admin": "401"} {
		l.Set(t, func(s *Site) { s.Outer = outer })
		want(t, "outer "+outer, l.fetch("wan", "http", public+":8888"), wanted)
	}
	carrier := Up(t, Site{NAT: "cgnat"})
	want(t, "what the Internet sees", carrier.fetch("lan", "http", Services+":80"), "200 11.20.31.5")
	want(t, "behind the carrier", carrier.fetch("wan", "http", "11.20.31.5:8888"), "silence")
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	l := Up(t, Site{UPnP: "off", PMP: "off"})
	for state, wanted := range map[string]string{
		"expired": "expired", "notyet": "not yet valid", "wrong-name": "valid for portal.othercustomer.test",
		"self-signed": "unknown authority", "no-chain": "unknown authority", "ok": "200 ok",
	} {
		l.Set(t, func(s *Site) { s.TLS = state })
		want(t, state, l.fetch("laptop", "https", Portal+":4444"), wanted)
	}
	l.Set(t, func(s *Site) { s.Portal = "http-on-tls" })
	want(t, "http-on-tls", l.fetch("laptop", "http", Portal+":4444"), "200 ok")
	l.Set(t, func(s *Site) { s.Portal, s.TLS = "onsite", "ok" })
	l.onsite8888(t)
}

// onsite8888 waits for our own portal.
func (l *Lab) onsite8888(t *testing.T) {
	t.Helper()
	(&Process{l.onsitePortal, t}).Says("serving https://")
	want(t, "our own portal", l.fetch("laptop", "https", Portal+":4444"), "200")
}

func TestUPnP(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"upnpc", "natpmpc"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed", tool)
		}
	}
	l := Up(t, Site{Forward: "none"})
	public := l.Site().Public()
	upnpc := func(args ...string) string {
		// upnpc looks for two seconds before it asks; the address spares that.
		out, _ := l.Command("lan", "upnpc", append([]string{"-u", "http://" + Router + ":5000/rootDesc.xml"}, args...)...)
		return out
	}
	for _, version := range []string{"igd2", "igd1"} {
		l.Set(t, func(s *Site) { s.UPnP = version })
		want(t, version+" address", upnpc("-s"), "ExternalIPAddress = "+public)
		want(t, version+" add", upnpc("-a", Portal, "8888", "18888", "tcp", "3600"), "18888 TCP is redirected")
		want(t, version+" outside", l.fetch("wan", "http", public+":18888"), "200 ok")
		want(t, version+" for another host", upnpc("-a", Clock, "4370", "14500", "tcp", "3600"), "failed with code")
		want(t, version+" remove", upnpc("-d", "18888", "tcp"), "returned : 0")
		out, err := l.Command("lan", "natpmpc", "-g", Router, "-a", "28888", "8888", "tcp", "3600")
		want(t, fmt.Sprint(version, " NAT-PMP ", err), out, "Mapped public port 28888")
		want(t, version+" NAT-PMP outside", l.fetch("wan", "http", public+":28888"), "200 ok")
	}
	l.Set(t, func(s *Site) { s.Secure = "off" })
	want(t, "not secure: for the clock", upnpc("-a", Clock, "4370", "14500", "tcp", "3600"), "is redirected")
	want(t, "the clock outside", l.zk("wan", public+":14500", ""), "2000")
	out, _ := l.Command("lan", "upnpc", "-s")
	want(t, "a search", out, "Found valid IGD")
	l.Set(t, func(s *Site) { s.UPnP = "off" })
	out, _ = l.Command("lan", "upnpc", "-s")
	if strings.Contains(out, "Found valid IGD") {
		t.Errorf("UPnP is off:\n%s", out)
	}
}

func TestQuirks(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("upnpc"); err != nil {
		t.Skip("upnpc is not installed")
	}
	l := Up(t, Site{Forward: "none", Quirk: "plain"})
	public := l.Site().Public()
	add := []string{"-a", Portal, "8888", "18888", "tcp", "3600"}
	for _, tt := range []struct {
		quirk  string
		args   []string
		answer string
	}{
		{"plain", add, "is redirected"},
		{"plain", []string{"-l"}, "18888->192.168.1.50:8888"},
		{"plain", []string{"-d", "18888", "tcp"}, "returned : 0"},
		{"permanent-only", add, "code 725"},
		{"permanent-only", []string{"-a", Portal, "8888", "18888", "tcp", "0"}, "is redirected"},
		{"conflict", add, "code 718"},
		{"same-port", add, "code 724"},
		{"self-only", []string{"-a", Clock, "4370", "14500", "tcp", "0"}, "code 606"},
		{"other-mechanism", add, "code 729"},
		{"listed-dead", add, "is redirected"},
		{"listed-dead", []string{"-l"}, "18888->192.168.1.50:8888"},
		{"no-list", []string{"-l"}, "401"},
		{"zero-ip", []string{"-i", "-s"}, "0.0.0.0"},
		{"private-wan", []string{"-i", "-s"}, "192.168.0.20"},
		{"disconnected", []string{"-s"}, "Status : Disconnected"},
		{"ppp", add, "is redirected"},
	} {
		l.Set(t, func(s *Site) { s.Quirk = tt.quirk })
		out, _ := l.Command("lan", "upnpc", append([]string{"-u", "http://" + Router + ":5000/root.xml"}, tt.args...)...)
		want(t, tt.quirk+" "+strings.Join(tt.args, " "), out, tt.answer)
		if tt.answer == "is redirected" {
			wanted := "200 ok"
			if tt.quirk == "listed-dead" {
				wanted = "silence"
			}
			want(t, tt.quirk+" outside", l.fetch("wan", "http", public+":18888"), wanted)
		}
	}
	if len(l.Actions()) == 0 {
		t.Error("no action is on record")
	}
}

func TestRecords(t *testing.T) {
	t.Parallel()
	l := Up(t, Site{UPnP: "off", PMP: "off"})
	for _, tt := range []struct{ state, first, second, resolver string }{
		{"wrong", Parked, Parked, Parked},
		{"stale", "11.20.30.99", "11.20.30.99", "11.20.30.99"},
		{"stale-cache", "11.20.30.20", "11.20.30.20", "11.20.30.99"},
		{"stale-secondary", "11.20.30.20", "11.20.30.99", "11.20.30"},
		{"cname", "", "", "11.20.30.20"},
		{"cname-stale", "", "", "11.20.30.99"},
		{"private", Portal, Portal, Portal},
		{"multi", Parked, Parked, Parked},
		{"lame", "11.20.30.20", "", "11.20.30.20"},
	} {
		l.Set(t, func(s *Site) { s.DNS = tt.state })
		want(t, tt.state+" ns1", l.Answer(t, NS1, PortalName), tt.first)
		want(t, tt.state+" ns2", l.Answer(t, NS2, PortalName), tt.second)
		want(t, tt.state+" resolver", l.Answer(t, Resolver, PortalName), tt.resolver)
	}
	code := func(server string, kind uint16) string {
		m, err := l.ask(server, PortalName, kind)
		if err != nil {
			return problem(err)
		}
		return fmt.Sprint(dns.RcodeToString[m.Rcode], " ", len(m.Answer))
	}
	for _, tt := range []struct {
		state, server string
		kind          uint16
		code          string
	}{
		{"cname-dangling", Resolver, dns.TypeA, "NXDOMAIN 1"},
		{"nxdomain", Resolver, dns.TypeA, "NXDOMAIN 0"},
		{"nodata", Resolver, dns.TypeA, "NOERROR 0"},
		{"aaaa-dead", Resolver, dns.TypeAAAA, "NOERROR 1"},
		{"lame", NS2, dns.TypeA, "REFUSED 0"},
		{"ns-down", NS2, dns.TypeA, "refused"},
		{"ns-down", Resolver, dns.TypeA, "NOERROR 1"},
		{"servfail", Resolver, dns.TypeA, "SERVFAIL 0"},
	} {
		l.Set(t, func(s *Site) { s.DNS = tt.state })
		want(t, tt.state+" at "+tt.server, code(tt.server, tt.kind), tt.code)
	}
	l.Set(t, func(s *Site) { s.DNS, s.Split, s.CAA = "right", "on", "other" })
	want(t, "split, in the LAN", l.Answer(t, Router, PortalName), Portal)
	want(t, "split, outside", l.Answer(t, Resolver, PortalName), "11.20.30.20")
	l.Point(t, PortalName, "11.20.30.44")
	want(t, "pointed elsewhere", l.Answer(t, NS2, PortalName), "11.20.30.44")
}

func TestSignedUpdates(t *testing.T) {
	t.Parallel()
	l := Up(t, Site{UPnP: "off", PMP: "off"})
	send := func(key, secret, name string) (*dns.Msg, error) {
		m := new(dns.Msg)
		m.SetUpdate("dyn.example.test.")
		record, err := dns.NewRR(name + ". 60 IN A 11.20.30.77")
		if err != nil {
			t.Fatal(err)
		}
		m.Insert([]dns.RR{record})
		m.SetTsig(key, dns.HmacSHA256, 300, time.Now().Unix())
		return l.hosts["lan"].exchange(m, "tcp", NS1+":53", map[string]string{key: secret}, 10*time.Second)
	}
	for _, tt := range []struct {
		kind, key, secret, name string
		code                    int
		tsig                    int // -1: unsigned
	}{
		{"ok", UpdateKey, l.UpdateSecret(), UpdateName, dns.RcodeSuccess, 0},
		{"ok", UpdateKey, l.WrongSecret(), UpdateName, dns.RcodeNotAuth, dns.RcodeBadSig},
		{"ok", "nobody.", l.UpdateSecret(), UpdateName, dns.RcodeNotAuth, dns.RcodeBadKey},
		{"ok", UpdateKey, l.UpdateSecret(), "other.dyn.example.test", dns.RcodeRefused, 0},
		{"fast", UpdateKey, l.UpdateSecret(), UpdateName, dns.RcodeNotAuth, dns.RcodeBadTime},
		{"slow", UpdateKey, l.UpdateSecret(), UpdateName, dns.RcodeNotAuth, dns.RcodeBadTime},
		{"slow", UpdateKey, l.WrongSecret(), UpdateName, dns.RcodeNotAuth, dns.RcodeBadSig},
		{"unsigned", UpdateKey, l.UpdateSecret(), UpdateName, dns.RcodeSuccess, -1},
		{"servfail", UpdateKey, l.UpdateSecret(), UpdateName, dns.RcodeServerFailure, 0},
	} {
		l.Set(t, func(s *Site) { s.Signed = tt.kind })
		m, err := send(tt.key, tt.secret, tt.name)
		if m == nil {
			t.Errorf("%s: %v", tt.kind, err)
			continue
		}
		tsig := -1
		if m.IsTsig() != nil {
			tsig = int(m.IsTsig().Error)
		}
		if m.Rcode != tt.code || tsig != tt.tsig {
			t.Errorf("%s: %s with TSIG error %d (%v), want %s and %d", tt.kind, dns.RcodeToString[m.Rcode], tsig, err, dns.RcodeToString[tt.code], tt.tsig)
		}
		want(t, tt.kind+": a plain question", l.Answer(t, NS1, PortalName), "11.20.30.20")
	}
}
