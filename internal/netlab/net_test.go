//go:build linux

package netlab

import "testing"

func TestLines(t *testing.T) {
	t.Parallel()
	judge(t, []scenario{
		{name: "single NAT", command: "net", status: "pass", passed: "nat.single wan.public.found", says: []string{"11.20.30.20"}},
		{name: "single NAT, fixed address", site: Site{PTR: "static"}, command: "net", status: "pass", passed: "nat.single"},
		{name: "single NAT, IGD 1", site: Site{UPnP: "igd1", PMP: "off"}, command: "net", status: "pass", passed: "nat.single"},
		{name: "single NAT, NAT-PMP and PCP alone", site: Site{UPnP: "off"}, command: "net", status: "pass", passed: "nat.single"},
		{name: "single NAT, a router that tells nothing", site: Site{UPnP: "off", PMP: "off"}, command: "net", status: "unknown", found: "nat.unknown:unknown", passed: "wan.public.found"},
		{name: "and its address typed in", site: Site{UPnP: "off", PMP: "off"}, command: "net --router-address {wan}", status: "pass", passed: "nat.single"},
		{name: "double NAT", site: Site{NAT: "double"}, command: "net", status: "warn", found: "nat.double:warn", says: []string{"192.168.0.20"}},
		{name: "double NAT, UPnP alone", site: Site{NAT: "double", Quirk: "private-wan"}, command: "net", status: "warn", found: "nat.double:warn"},
		{name: "double NAT, a router that claims the outer address", site: Site{NAT: "double", ExternalIP: "site", PMP: "off"}, command: "net", status: "unknown", found: "nat.unknown:unknown", says: []string{"hints at a second NAT"}},
		{name: "carrier NAT", site: Site{NAT: "cgnat"}, command: "net", exit: 1, status: "fail", found: "nat.carrier:fail", says: []string{"100.64.10.20"}},
		{name: "carrier NAT, a router that tells nothing", site: Site{NAT: "cgnat", UPnP: "off", PMP: "off"}, command: "net", status: "unknown", found: "nat.unknown:unknown"},
		{name: "no address in the router's words", site: Site{Quirk: "empty-ip"}, command: "net", status: "unknown", found: "nat.unknown:unknown", says: []string{"hints at single NAT"}},
		{name: "zero for an address", site: Site{Quirk: "zero-ip"}, command: "net", status: "unknown", found: "nat.unknown:unknown"},
		{name: "PPP", site: Site{Quirk: "ppp"}, command: "net", status: "pass", passed: "nat.single"},
		{name: "a search answered from another port", site: Site{Quirk: "odd-port"}, command: "net", status: "pass", passed: "nat.single"},
		{name: "two echoes lie", site: Site{Echo: "disagree"}, command: "net", status: "warn", found: "wan.public.outvoted:warn", passed: "nat.single"},
		{name: "echoes tell a private address", site: Site{Echo: "private"}, command: "net", status: "warn", found: "wan.public.special:warn"},
		{name: "a sign-in page", site: Site{Echo: "html"}, command: "net", status: "warn", found: "wan.sign-in:warn", passed: "nat.single"},
		{name: "no echoes", site: Site{Echo: "down"}, command: "net", status: "pass", passed: "nat.single"},
		{name: "no STUN", site: Site{STUN: "off"}, command: "net", status: "pass", passed: "nat.single"},
		{name: "nobody outside", site: Site{Echo: "down", STUN: "off"}, command: "net", status: "unknown", found: "wan.public.none:unknown nat.unknown:unknown"},
		{name: "random ports", site: Site{NATPort: "random"}, command: "net", status: "pass", passed: "nat.single"},
		{
			name: "another address than at the last visit", command: "net", status: "warn", found: "wan.address.changed:warn", passed: "nat.single", says: []string{"11.20.30.20"},
			before: func(t *testing.T, l *Lab) {
				l.Run(t, "laptop", "net")
				l.Set(t, func(s *Site) { s.WAN = "B" })
			},
		},
	})
}
