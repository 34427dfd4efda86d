//go:build linux

package netlab

import (
	"strings"
	"testing"
)

const (
	portal8888 = "port check portal.example.test:8888 --inside 192.168.1.50:8888"
	portal4444 = "port check portal.example.test:4444 --inside 192.168.1.50:4444"
	clock4500  = "port check device.example.test:4500 --inside 192.168.1.200:4370"
)

// reflects starts a reflector outside, and gives the laptop its token.
func reflects(t *testing.T, l *Lab) {
	l.reflector(t, "--dial-from", Outside2, "--ports", "8888,4444,4500")
	l.File(t, "laptop", "token.txt", reflectorToken+"\n")
}

// looked is what one look outside says about a site with one fault.
func looked(name string, site Site, command, found string) scenario {
	s := scenario{name: name, site: site, command: command + via, before: reflects, exit: 1, status: "fail", found: found}
	if found == "" {
		s.exit, s.status, s.passed = 0, "pass", "port.works"
	}
	return s
}

func TestPorts(t *testing.T) {
	t.Parallel()
	judge(t, []scenario{
		looked("https", Site{}, portal4444, ""),
		looked("http", Site{}, portal8888, ""),
		looked("the clock", Site{}, clock4500, ""),
		looked("both", Site{}, "port check portal.example.test:4444 device.example.test:4500 --inside 4444=192.168.1.50:4444 --inside 4500=192.168.1.200:4370", ""),
		looked("loop-back off", Site{Hairpin: "off"}, portal4444, ""),
		looked("loop-back refused", Site{Hairpin: "refuse"}, portal4444, ""),
		looked("loop-back answered from the wrong address", Site{Hairpin: "asym"}, portal4444, ""),
		looked("loop-back answered by the router", Site{Hairpin: "admin"}, portal4444, ""),
		looked("no rule", Site{Forward: "none"}, portal4444, "port.outside.silent:fail"),
		looked("a rule for UDP", Site{Forward: "udp"}, portal4444, "port.outside.silent:fail"),
		looked("one rule of two", Site{Forward: "device-only"}, "port check portal.example.test:4444 device.example.test:4500 --inside 4444=192.168.1.50:4444 --inside 4500=192.168.1.200:4370", "port.rule.missing:fail"),
		looked("a rule to another host", Site{Forward: "wrong-host"}, portal4444, "port.outside.other:fail"),
		looked("a rule to another host, the clock", Site{Forward: "wrong-host"}, clock4500, "port.outside.other:fail"),
		looked("a rule to nobody", Site{Forward: "dead-host"}, portal4444, "port.outside.unreachable:fail"),
		looked("a rule to another port", Site{Forward: "wrong-port"}, portal4444, "port.outside.refused:fail"),
		looked("the provider drops the port", Site{ISPBlock: "4444"}, portal4444, "port.filtered:fail"),
		looked("the computer's firewall", Site{Firewall: "lan-only"}, portal4444, "port.filtered:fail"),
		looked("the service is down", Site{Portal: "down"}, portal4444, "port.lan.refused:fail"),
		looked("the service is on 127.0.0.1", Site{Portal: "loopback"}, portal4444, "port.lan.refused:fail"),
		looked("http where https is due", Site{Portal: "http-on-tls"}, portal4444, "port.lan.foreign:fail"),
		looked("the clock is down", Site{Device: "down"}, clock4500, "port.lan.refused:fail"),
		looked("the clock is silent", Site{Device: "silent"}, clock4500, "port.lan.mute:fail"),
		looked("the clock has no gateway", Site{Gateway: "none"}, clock4500, "port.clock.gateway:fail"),
		looked("the clock has a wrong gateway", Site{Gateway: "wrong"}, clock4500, "port.clock.gateway:fail"),
		looked("another service in the clock's place", Site{Device: "other"}, clock4500, "port.lan.foreign:fail"),
		looked("an access panel in the clock's place", Site{Device: "c3"}, clock4500, "port.lan.foreign:fail"),
		{name: "the clock wants a key", site: Site{Device: "key"}, command: clock4500 + via, before: reflects, status: "unknown", found: "port.outside.alike:unknown"},
		looked("double NAT", Site{NAT: "double"}, portal4444, "port.nat.double:fail"),
		looked("double NAT, both forward", Site{NAT: "double", Outer: "ok"}, portal4444, ""),
		looked("double NAT, the provider's box answers", Site{NAT: "double", Outer: "admin"}, portal4444, "port.outside.router:fail"),
		looked("carrier NAT", Site{NAT: "cgnat"}, portal4444, "port.nat.carrier:fail"),
		looked("the name leads elsewhere", Site{DNS: "wrong"}, portal4444, "port.name.elsewhere:fail"),
		looked("a certificate for another name", Site{TLS: "wrong-name"}, portal4444, ""),
		looked("a certificate that has expired", Site{TLS: "expired"}, portal4444, ""),
		looked("our own portal", Site{Portal: "onsite"}, portal4444, ""),
		{
			name: "where the router's list says", site: Site{Forward: "none"}, command: "port check portal.example.test:18888", status: "unknown", found: "port.outside.unknown:unknown",
			before: func(t *testing.T, l *Lab) { l.Run(t, "lan", strings.Fields(add18888)...) },
			after: func(t *testing.T, _ *Lab, r Result) {
				for _, part := range []string{`"inside": "192.168.1.50:8888"`, `"listed": "18888/tcp -`, `"grade": 0`} {
					if !strings.Contains(string(r.Result), part) {
						t.Errorf("the result lacks %s: %s", part, r.Result)
					}
				}
			},
		},
		{name: "nobody outside", command: portal4444, status: "unknown", found: "port.loopback.only:unknown"},
		{name: "nobody outside, loop-back off", site: Site{Hairpin: "off"}, command: portal4444, status: "unknown", found: "port.outside.unknown:unknown"},
		{name: "nobody outside, loop-back answered by the router", site: Site{Hairpin: "admin"}, command: portal4444, status: "unknown", found: "port.loopback.router:unknown"},
		{name: "nobody outside, loop-back hides the filter", site: Site{ISPBlock: "4444"}, command: portal4444, status: "unknown", found: "port.loopback.only:unknown"},
		{name: "nobody outside, strictly", command: portal4444 + " --strict", exit: 3, status: "unknown", found: "port.loopback.only:unknown"},
		{
			name: "from the portal's own computer", host: "lan", command: strings.Replace(portal4444, " --inside 192.168.1.50:4444", "", 1) + via, status: "pass", passed: "port.works",
			before: func(t *testing.T, l *Lab) {
				reflects(t, l)
				l.File(t, "lan", "token.txt", reflectorToken)
			},
		},
	})
}

// planned is a look from the LAN and one from a telephone's hotspot.
func planned(name string, site Site, command, found string) scenario {
	s := scenario{
		name: "by hotspot: " + name, site: site, command: "port check --resume=port.plan", exit: 1, status: "fail", found: found,
		before: func(t *testing.T, l *Lab) {
			l.Run(t, "laptop", l.words(command+" --plan=port.plan")...)
			l.Hotspot(t)
		},
	}
	if found == "" {
		s.exit, s.status, s.passed = 0, "pass", "port.works"
	}
	return s
}

func TestHotspot(t *testing.T) {
	t.Parallel()
	stayed := planned("the laptop is still in the LAN", Site{}, portal4444, "port.resume.inside:unknown")
	stayed.exit, stayed.status = 0, "unknown"
	stayed.before = func(t *testing.T, l *Lab) { l.Run(t, "laptop", l.words(portal4444+" --plan=port.plan")...) }
	judge(t, []scenario{
		planned("https", Site{}, portal4444, ""),
		planned("the clock", Site{}, clock4500, ""),
		planned("no rule", Site{Forward: "none"}, portal4444, "port.outside.silent:fail"),
		planned("a rule to another host", Site{Forward: "wrong-host"}, clock4500, "port.outside.other:fail"),
		planned("the provider drops the port", Site{ISPBlock: "4444"}, portal4444, "port.filtered:fail"),
		planned("the clock has no gateway", Site{Gateway: "none"}, clock4500, "port.clock.gateway:fail"),
		stayed,
	})
}
