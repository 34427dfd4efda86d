//go:build linux

package netlab

import (
	"fmt"
	"slices"
	"strings"
)

// TLDServer is the name server of test.
const TLDServer = "11.53.0.3"

// echoNames are the services that tell one's address, by their public names.
var echoNames = []string{
	"ip1.lab.test", "ip2.lab.test", DynServer, "members.dyndns.org", "checkip.dyndns.org",
	"api.ipify.org", "api4.ipify.org", "api64.ipify.org", "checkip.amazonaws.com", "icanhazip.com", "ipv4.icanhazip.com",
	"ifconfig.me", "ifconfig.co", "ipinfo.io", "ident.me", "v4.ident.me", "4.ident.me", "www.cloudflare.com", "cloudflare.com",
	"ip.me", "ifconfig.io", "myip.dnsomatic.com", "domains.google.com", "api.my-ip.io", "wtfismyip.com",
}

// stunNames are STUN servers, in turn at one and the other address.
var stunNames = []string{
	"stun1.lab.test", "stun2.lab.test", "stun.l.google.com", "stun.cloudflare.com", "stun1.l.google.com", "stun.nextcloud.com",
}

// zones gives the name servers' files by their names.
func (l *Lab) zones(s Site) map[string]string {
	first, second := s.DNS, s.DNS
	switch s.DNS {
	case "stale-secondary":
		first, second = "right", "stale"
	case "stale-cache":
		first, second = "stale", "stale"
	}
	const serial = 2026112101
	other := serial
	if first != second {
		other = 2026010100
	}
	const soa = "$TTL 60\n@ IN SOA ns1.example.test. hostmaster.example.test. 1 3600 600 86400 60\n@ IN NS %s\n"
	return map[string]string{
		"root.zone":             s.rootZone(),
		"test.zone":             s.testZone(),
		"ns1-example.zone":      s.exampleZone(serial, first),
		"ns2-example.zone":      s.exampleZone(other, second),
		"dyn.example.test.zone": fmt.Sprintf(soa+"site IN A %s\n", "ns1.example.test.", s.Public()),
		"dyn.test.zone":         fmt.Sprintf(soa+"ns IN A %s\nsite IN A %s\n", "ns.dyn.test.", NS1, s.Public()),
		"hints":                 ". 86400 IN NS a.lab-root.\na.lab-root. 86400 IN A " + RootServer + "\n",
		"named.conf":            l.namedConf(s),
	}
}

func (s Site) rootZone() string {
	var b strings.Builder
	fmt.Fprintf(&b, "$TTL 300\n. IN SOA a.lab-root. hostmaster.lab-root. 1 3600 600 86400 60\n. IN NS a.lab-root.\na.lab-root. IN A %s\n", RootServer)
	fmt.Fprintf(&b, "test. IN NS a.nic.test.\na.nic.test. IN A %s\n", TLDServer)
	b.WriteString("dns.google. IN A 8.8.8.8\none.one.one.one. IN A 1.1.1.1\n")
	for _, name := range echoNames {
		if !strings.HasSuffix(name, ".test") {
			fmt.Fprintf(&b, "%s. IN A %s\n", name, Services)
		}
	}
	for i, name := range stunNames {
		if !strings.HasSuffix(name, ".test") {
			fmt.Fprintf(&b, "%s. IN A %s\n", name, stunAddress(i))
		}
	}
	for _, a := range []string{s.Public(), s.Old()} {
		name := strings.ReplaceAll(a, ".", "-")
		switch s.PTR {
		case "dynamic":
			name = "pool-" + name + ".dsl.dyn.isp.example."
		case "static":
			name = "static-" + name + ".business.isp.example."
		default:
			continue
		}
		octets := strings.Split(a, ".")
		slices.Reverse(octets)
		fmt.Fprintf(&b, "%s.in-addr.arpa. IN PTR %s\n%s IN A %s\n", strings.Join(octets, "."), name, name, a)
	}
	return b.String()
}

func stunAddress(i int) string {
	if i%2 == 0 {
		return STUN1
	}
	return STUN2
}

func (s Site) testZone() string {
	var b strings.Builder
	b.WriteString("$TTL 300\n@ IN SOA a.nic.test. hostmaster.nic.test. 1 3600 600 86400 60\n@ IN NS a.nic.test.\n")
	fmt.Fprintf(&b, "a.nic IN A %s\n", TLDServer)
	fmt.Fprintf(&b, "example IN NS ns1.example\nexample IN NS ns2.example\nns1.example IN A %s\nns2.example IN A %s\n", NS1, NS2)
	fmt.Fprintf(&b, "dyn IN NS ns.dyn\nns.dyn IN A %s\n", NS1)
	fmt.Fprintf(&b, "pki.lab IN A %s\nreflector.lab IN A %s\n", Services, Outside)
	for _, name := range echoNames {
		if strings.HasSuffix(name, ".test") {
			fmt.Fprintf(&b, "%s. IN A %s\n", name, Services)
		}
	}
	for i, name := range stunNames {
		if strings.HasSuffix(name, ".test") {
			fmt.Fprintf(&b, "%s. IN A %s\n", name, stunAddress(i))
		}
	}
	return b.String()
}

// exampleZone is the customer's zone.
func (s Site) exampleZone(serial int, state string) string {
	address, ttl := s.Public(), s.TTL
	switch state {
	case "stale":
		address = s.Old()
	case "wrong":
		address = Parked
	case "private":
		address = Portal
	}
	if s.DNS == "stale-cache" {
		ttl = 86400
	}
	var b strings.Builder
	fmt.Fprintf(&b, "$TTL %d\n@ IN SOA ns1 hostmaster %d 3600 600 86400 60\n@ IN NS ns1\n@ IN NS ns2\n@ IN A %s\nwww IN A %s\n", ttl, serial, Parked, Parked)
	fmt.Fprintf(&b, "ns1 IN A %s\nns2 IN A %s\ndyn IN NS ns1\n", NS1, NS2)
	for _, name := range []string{"portal", "device"} {
		switch state {
		case "cname", "cname-stale":
			fmt.Fprintf(&b, "%s IN CNAME site.dyn\n", name)
		case "cname-dangling":
			fmt.Fprintf(&b, "%s IN CNAME gone.dyn\n", name)
		case "nxdomain":
		case "doubled": // the final dot was forgotten
			fmt.Fprintf(&b, "%s.example.test IN A %s\n", name, address)
		case "nodata":
			fmt.Fprintf(&b, "%s IN TXT \"reserved for the customer\"\n", name)
		case "multi":
			fmt.Fprintf(&b, "%s IN A %s\n%s IN A %s\n", name, address, name, Parked)
		case "aaaa-dead":
			fmt.Fprintf(&b, "%s IN A %s\n%s IN AAAA 2a0b:53::dead\n", name, address, name)
		default:
			fmt.Fprintf(&b, "%s IN A %s\n", name, address)
		}
	}
	switch s.CAA {
	case "le":
		b.WriteString("@ IN CAA 0 issue \"letsencrypt.org\"\n")
	case "other":
		b.WriteString("@ IN CAA 0 issue \"otherca.example\"\n@ IN CAA 0 iodef \"mailto:it@example.test\"\n")
	case "forbid":
		b.WriteString("@ IN CAA 0 issue \";\"\n")
	}
	return b.String()
}

// namedConf gives each server a view of its own.
func (l *Lab) namedConf(s Site) string {
	var b strings.Builder
	list := func(addresses ...string) string { return "{ " + strings.Join(addresses, "; ") + "; }" }
	roots := append([]string{RootServer}, publicRoots...)
	resolvers := append([]string{Resolver}, publicResolvers...)
	listen := slices.Concat(roots, resolvers, []string{TLDServer})
	if s.DNS != "ns-down" {
		listen = append(listen, NS2)
	}
	other := ""
	if l.port(NS1) == "53" {
		listen = append(listen, NS1)
	} else {
		other = " listen-on port " + l.port(NS1) + " " + list(NS1) + ";"
	}
	dir := l.dir + "/dns"
	fmt.Fprintf(&b, "options { directory %q; pid-file %q; session-keyfile %q; lock-file none;\n", dir, dir+"/pid", dir+"/session.key")
	fmt.Fprintf(&b, " listen-on %s;%s listen-on-v6 { none; };\n", list(listen...), other)
	b.WriteString(" dnssec-validation no; empty-zones-enable no; minimal-responses no; notify no; max-cache-size 32m; recursion no;\n};\ncontrols { };\n")
	for name, secret := range map[string]string{UpdateKey: l.keys.update, providerKey: l.keys.provider} {
		fmt.Fprintf(&b, "key %q { algorithm hmac-sha256; secret %q; };\n", name, secret)
	}
	view := func(name string, addresses []string, lines ...string) {
		fmt.Fprintf(&b, "view %s {\n match-destinations %s;\n %s\n};\n", name, list(addresses...), strings.Join(lines, "\n "))
	}
	const example = `zone "example.test" { type primary; file "%s-example.zone"; update-policy { grant provider. zonesub ANY; }; };`
	ns1 := []string{
		`zone "dyn.example.test" { type primary; file "dyn.example.test.zone"; update-policy { grant onsite-ddns. name ` + UpdateName + `. A AAAA TXT; grant provider. zonesub ANY; }; };`,
		`zone "dyn.test" { type primary; file "dyn.test.zone"; update-policy { grant provider. zonesub ANY; }; };`,
	}
	var ns2 []string
	if s.DNS != "servfail" {
		ns1 = append(ns1, fmt.Sprintf(example, "ns1"))
		if s.DNS != "lame" {
			ns2 = append(ns2, fmt.Sprintf(example, "ns2"))
		}
	}
	view("root", roots, `zone "." { type primary; file "root.zone"; };`)
	view("tld", []string{TLDServer}, `zone "test" { type primary; file "test.zone"; };`)
	view("ns1", []string{NS1}, ns1...)
	view("ns2", []string{NS2}, ns2...)
	view("resolver", resolvers, "recursion yes; allow-recursion { any; }; allow-query-cache { any; }; prefetch 0;",
		"resolver-query-timeout 3000; query-source address "+Resolver+";", `zone "." { type hint; file "hints"; };`)
	return b.String()
}
