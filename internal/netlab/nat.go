//go:build linux

package netlab

import (
	"fmt"
	"strings"
)

// forward is one rule of a router.
type forward struct {
	proto   string
	outside int
	host    string
	inside  int
}

// forwards are the rules that somebody typed into the customer's router.
func (s Site) forwards() []forward {
	portal := []forward{{"tcp", 8888, Portal, 8888}, {"tcp", 4444, Portal, 4444}}
	device := []forward{{"tcp", 4500, Clock, 4370}}
	all := append(portal, device...)
	switch s.Forward {
	case "ok":
		return all
	case "portal-only":
		return portal
	case "device-only":
		return device
	case "wrong-host":
		for i := range all {
			all[i].host = Decoy
		}
		return all
	case "dead-host":
		return []forward{{"tcp", 8888, "192.168.1.51", 8888}, {"tcp", 4444, "192.168.1.51", 4444}, {"tcp", 4500, "192.168.1.201", 4370}}
	case "wrong-port":
		return []forward{{"tcp", 8888, Portal, 80}, {"tcp", 4444, Portal, 443}, {"tcp", 4500, Clock, 4500}}
	case "udp":
		for i := range all {
			all[i].proto = "udp"
		}
		return all
	}
	return nil
}

// The chains that miniupnpd writes to, and the quirky routers too.
const upnpChains = "flush chain inet filter miniupnpd\nflush chain inet filter prerouting_miniupnpd\nflush chain inet filter postrouting_miniupnpd\n"

// gate is what one NAT router's rules are made from.
type gate struct {
	lan, network, wan string // the interface and network inside, the address outside
	hairpin, masks    string
	forwards          []forward
	extra             []string // of the ISP's box
}

func (g gate) rules() string {
	var b strings.Builder
	b.WriteString("add table inet filter\n")
	for _, c := range []string{"miniupnpd", "prerouting_miniupnpd", "postrouting_miniupnpd"} {
		fmt.Fprintf(&b, "add chain inet filter %s\n", c)
	}
	b.WriteString("add chain inet filter input { type filter hook input priority 0; policy drop; }\n" +
		"add chain inet filter forward { type filter hook forward priority 0; policy drop; }\n" +
		"add chain inet filter prerouting { type nat hook prerouting priority -100; policy accept; }\n" +
		"add chain inet filter postrouting { type nat hook postrouting priority 100; policy accept; }\n")
	for _, c := range []string{"input", "forward", "prerouting", "postrouting"} {
		fmt.Fprintf(&b, "flush chain inet filter %s\n", c)
	}
	rule := func(format string, args ...any) { fmt.Fprintf(&b, "add rule inet filter "+format+"\n", args...) }
	const ports = "{ 8888, 4444, 4500 }"
	rule("input ct state established,related accept")
	rule(`input iifname "lo" accept`)
	if g.hairpin == "off" {
		rule(`input iifname %q ip daddr %s tcp dport %s drop`, g.lan, g.wan, ports)
	}
	rule("input iifname %q accept", g.lan)
	rule("forward ct state established,related accept")
	rule(`forward iifname %q oifname "wan0" accept`, g.lan)
	rule("forward ct status dnat accept")
	rule("forward jump miniupnpd")
	back := g.hairpin == "on" || g.hairpin == "asym"
	for _, f := range g.forwards {
		rule(`prerouting iifname "wan0" ip daddr %s %s dport %d dnat ip to %s:%d`, g.wan, f.proto, f.outside, f.host, f.inside)
		if back {
			rule(`prerouting iifname %q ip daddr %s %s dport %d dnat ip to %s:%d`, g.lan, g.wan, f.proto, f.outside, f.host, f.inside)
		}
	}
	if g.hairpin == "admin" {
		rule(`prerouting iifname %q ip daddr %s tcp dport %s redirect to :80`, g.lan, g.wan, ports)
	}
	for _, line := range g.extra {
		rule("%s", line)
	}
	rule("prerouting jump prerouting_miniupnpd")
	if g.hairpin == "on" {
		rule(`postrouting ip saddr %s oifname %q ct status dnat masquerade`, g.network, g.lan)
	}
	rule(`postrouting oifname "wan0" masquerade %s`, g.masks)
	rule("postrouting jump postrouting_miniupnpd")
	return b.String()
}

// masquerade is how the site's NATs choose the source port.
func (s Site) masquerade() string {
	if s.NATPort == "random" {
		return "fully-random"
	}
	return ""
}

// applyRouters sets addresses, NAT and filters from the LAN to the ISP.
func (l *Lab) applyRouters() error {
	s := l.site
	if outer := l.hosts["outer"]; outer != nil {
		via := "11.20.30.1"
		g := gate{lan: "lan0", network: "192.168.0.0/24", wan: s.Public(), hairpin: s.Hairpin, masks: s.masquerade()}
		if s.NAT == "cgnat" {
			via, g.network = "11.20.31.1", "100.64.0.0/10"
		} else {
			g.forwards, g.extra = s.outerRules()
		}
		err := outer.ip("address flush dev wan0", "address add "+s.Public()+"/24 dev wan0", "route replace default via "+via)
		if err != nil {
			return err
		}
		if err := outer.nft(g.rules()); err != nil {
			return err
		}
	}
	router := l.hosts["router"]
	length, via := s.uplink()
	err := router.ip("address flush dev wan0", fmt.Sprintf("address add %s/%d dev wan0", s.RouterWAN(), length), "route replace default via "+via)
	if err != nil {
		return err
	}
	g := gate{
		lan: "br-lan", network: "192.168.1.0/24", wan: s.RouterWAN(), hairpin: s.Hairpin, masks: s.masquerade(),
		forwards: s.forwards(),
	}
	if err := router.nft(g.rules()); err != nil {
		return err
	}
	if err := l.hosts["inet"].ip("neighbour flush dev cust0"); err != nil {
		return err
	}
	return l.hosts["inet"].nft(s.ispRules())
}

// outerRules are the forwards of the ISP's box, and what else it does.
func (s Site) outerRules() (list []forward, extra []string) {
	inner := s.RouterWAN()
	switch s.Outer {
	case "ok":
		return []forward{{"tcp", 8888, inner, 8888}, {"tcp", 4444, inner, 4444}, {"tcp", 4500, inner, 4500}}, nil
	case "dmz":
		extra = append(extra, `prerouting iifname "wan0" fib daddr type local dnat ip to `+inner)
		if s.Hairpin == "on" || s.Hairpin == "asym" {
			extra = append(extra, `prerouting iifname "lan0" ip daddr `+s.Public()+` dnat ip to `+inner)
		}
	case "admin":
		extra = append(extra,
			`input iifname "wan0" tcp dport 80 accept`,
			`prerouting iifname "wan0" tcp dport { 8888, 4444, 4500 } redirect to :80`)
	}
	return nil, extra
}

// ispRules drop what no ISP carries, and the ports that this one blocks.
func (s Site) ispRules() string {
	const private = "{ 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, 169.254.0.0/16 }"
	rules := "add table inet isp\n" +
		"add chain inet isp forward { type filter hook forward priority 0; policy accept; }\n" +
		"flush chain inet isp forward\n" +
		"add rule inet isp forward ip saddr " + private + " drop\n" +
		"add rule inet isp forward ip daddr " + private + " drop\n"
	if s.ISPBlock != "" {
		rules += `add rule inet isp forward oifname "cust0" tcp dport { ` + s.ISPBlock + " } drop\n"
	}
	return rules
}
