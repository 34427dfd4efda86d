//go:build linux

// Package netlab builds a customer's site for tests: a small Internet with its name
// servers, an ISP, a router, a LAN with the portal's computer, a technician's laptop
// and a time clock, each in a network namespace of its own, and all with one fault
// at will. No link leads out of it, and nothing of the machine's own network is
// touched. It needs Linux, root, and a few programs of Debian; without them a test
// is skipped and says why.
//
//	                 dns  11.53.0.2 (root) .53 (ns1) .54 (ns2) .55 (resolver)
//	                  |   .80 (echoes, dynamic DNS) .81 .82 (STUN) .99 (a parked page)
//	wan ----------- inet ----------- the ISP's customers 11.20.30.0/24, 11.20.31.0/24
//	11.53.0.10           |
//	and .11           [outer]        the ISP's box, or the carrier's NAT
//	                     |
//	                  router         192.168.1.1: UPnP, NAT-PMP, PCP, DNS, its own page
//	                     |
//	     +----------+----+-----+-----------+
//	    lan       laptop     device      decoy
//	192.168.1.50   .60        .200        .77
package netlab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// Lab is a site that is up.
type Lab struct {
	dir   string
	hosts map[string]*host
	pki   *pki
	keys  keys

	mu   sync.RWMutex // guards site and the records below, which the services use
	site Site

	upnp         *program // miniupnpd
	named        *program
	onsitePortal *program
	services     map[string]*service
	updates      []Update
	actions      []Action
	ddns         map[string]*dynHost
}

// needed are the programs that a lab runs, with their Debian packages.
var needed = map[string]string{"ip": "iproute2", "nft": "nftables", "named": "bind9", "miniupnpd": "miniupnpd-nftables"}

// Up builds a site. It is taken down when the test ends.
func Up(t testing.TB, s Site) *Lab {
	t.Helper()
	skipWithout(t)
	if err := s.fill(); err != nil {
		t.Fatal(err)
	}
	l := &Lab{dir: t.TempDir(), hosts: map[string]*host{}, site: s, keys: newKeys(), services: map[string]*service{}, ddns: map[string]*dynHost{}}
	t.Cleanup(l.down)
	if err := l.up(); err != nil {
		t.Fatalf("netlab: %v", err)
	}
	return l
}

// skipWithout skips a test where no lab can be built.
func skipWithout(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	for name, pkg := range needed {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed: it is in Debian's package %s", name, pkg)
		}
	}
}

// Site is what the lab is now.
func (l *Lab) Site() Site {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.site
}

func (l *Lab) up() error {
	if err := os.Chmod(l.dir, 0o755); err != nil {
		return err
	}
	resolv := map[string]string{
		"inet": Resolver, "dns": Resolver, "wan": Resolver,
		"router": Router, "lan": Router, "laptop": Router, "device": Router, "decoy": Router,
	}
	if l.site.NAT != "single" {
		resolv["outer"] = Resolver
	}
	for name, server := range resolv {
		h, err := newHost(name, l.dir, "nameserver "+server+"\n")
		if err != nil {
			return err
		}
		l.hosts[name] = h
	}
	var err error
	if l.pki, err = newPKI(); err != nil {
		return err
	}
	if err := l.topology(); err != nil {
		return err
	}
	if err := l.applyRouters(); err != nil {
		return err
	}
	return together(l.startInternet, l.applyServices, l.applyDNS, l.applyUPnP)
}

// Set changes a site that is up, and no more of it than it must. The kind of NAT
// stays. A change of the records empties the resolver's cache.
func (l *Lab) Set(t testing.TB, change func(*Site)) {
	t.Helper()
	next := l.Site()
	change(&next)
	if err := next.fill(); err != nil {
		t.Fatal(err)
	}
	old := l.Site()
	changed := old.changed(&next)
	if changed["NAT"] {
		t.Fatal("netlab: the kind of NAT cannot change: use Up")
	}
	l.mu.Lock()
	l.site = next
	l.mu.Unlock()
	any := func(names ...string) bool {
		for _, n := range names {
			if changed[n] {
				return true
			}
		}
		return false
	}
	var errs []error
	if any("WAN", "Forward", "Outer", "Hairpin", "ISPBlock", "NATPort") {
		errs = append(errs, l.applyRouters())
	}
	if any("WAN", "UPnP", "PMP", "Secure", "ThirdParty", "ExternalIP", "Quirk") {
		errs = append(errs, l.applyUPnP())
	}
	// The records do not follow a new address by themselves: that is the point.
	if any("PTR", "DNS", "TTL", "CAA", "Signed") {
		errs = append(errs, l.applyDNS())
	}
	if any("Portal", "TLS", "Device", "Gateway", "Firewall") {
		errs = append(errs, l.applyServices())
	}
	if err := errors.Join(errs...); err != nil {
		t.Fatalf("netlab: %v", err)
	}
}

// down takes the site away.
func (l *Lab) down() {
	for _, s := range l.services {
		s.stop()
	}
	for _, p := range []*program{l.upnp, l.named, l.onsitePortal} {
		p.stop()
	}
	for _, h := range l.hosts {
		h.close()
	}
}

// link is a cable between two hosts.
type link struct{ host, name, peer, peerName string }

// topology lays the cables and gives the addresses.
func (l *Lab) topology() error {
	links := []link{
		{"inet", "v-dns", "dns", "eth0"},
		{"inet", "v-wan", "wan", "eth0"},
		{"router", "v-lan", "lan", "eth0"},
		{"router", "v-laptop", "laptop", "eth0"},
		{"router", "v-device", "device", "eth0"},
		{"router", "v-decoy", "decoy", "eth0"},
	}
	if l.site.NAT == "single" {
		links = append(links, link{"inet", "cust0", "router", "wan0"})
	} else {
		links = append(links, link{"inet", "cust0", "outer", "wan0"}, link{"outer", "lan0", "router", "wan0"})
	}
	var cables []string
	for _, c := range links {
		cables = append(cables, fmt.Sprintf("link add name %s netns %d type veth peer name %s netns %d",
			c.name, l.hosts[c.host].tid, c.peerName, l.hosts[c.peer].tid))
	}
	if err := l.hosts["inet"].ip(cables...); err != nil {
		return err
	}
	lines := map[string][]string{}
	add := func(host string, format string, args ...any) {
		lines[host] = append(lines[host], fmt.Sprintf(format, args...))
	}
	for name := range l.hosts {
		add(name, "link set lo up")
	}
	add("inet", "link add br-svc type bridge")
	add("inet", "link set br-svc up")
	add("router", "link add br-lan type bridge")
	add("router", "link set br-lan up")
	for _, c := range links {
		add(c.host, "link set %s up", c.name)
		add(c.peer, "link set %s up", c.peerName)
		if strings.HasPrefix(c.name, "v-") {
			add(c.host, "link set %s master %s", c.name, map[string]string{"inet": "br-svc", "router": "br-lan"}[c.host])
		}
	}
	add("inet", "address add 11.53.0.1/24 dev br-svc")
	add("inet", "address add 11.20.30.1/24 dev cust0")
	add("inet", "address add 11.20.31.1/24 dev cust0")
	add("inet", "route add unreachable default metric 4000")
	for _, a := range []string{RootServer, TLDServer, NS1, NS2, Resolver, Services, STUN1, STUN2, Parked} {
		add("dns", "address add %s/24 dev eth0", a)
	}
	for _, a := range append(publicResolvers, publicRoots...) {
		add("dns", "address add %s/32 dev lo", a)
		add("inet", "route add %s/32 via %s", a, Resolver)
	}
	add("wan", "address add %s/24 dev eth0", Outside)
	add("wan", "address add %s/24 dev eth0", Outside2)
	add("dns", "route add default via 11.53.0.1")
	add("wan", "route add default via 11.53.0.1")
	add("router", "address add %s/24 dev br-lan", Router)
	for host, a := range map[string]string{"lan": Portal, "laptop": Laptop, "decoy": Decoy, "device": Clock} {
		add(host, "address add %s/24 dev eth0", a)
		if host != "device" { // its gateway is a setting
			add(host, "route add default via %s", Router)
		}
	}
	switch l.site.NAT {
	case "double":
		add("outer", "address add %s/24 dev lan0", ispBox)
	case "cgnat":
		add("outer", "address add %s/10 dev lan0", carrier)
	}
	var all []func() error
	for name, h := range l.hosts {
		all = append(all, func() error {
			if err := h.ip(lines[name]...); err != nil {
				return err
			}
			if name != "inet" && name != "router" && name != "outer" {
				return nil
			}
			return h.on(func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644) })
		})
	}
	return together(all...)
}

// together does several things at once, and waits for all.
func together(all ...func() error) error {
	errs := make([]error, len(all))
	var wait sync.WaitGroup
	for i, f := range all {
		wait.Go(func() { errs[i] = f() })
	}
	wait.Wait()
	return errors.Join(errs...)
}
