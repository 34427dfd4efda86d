//go:build linux

package netlab

import (
	"strings"
	"testing"
)

// added is a forwarding of 18888 to the portal's computer, made there.
func added(name string, site Site, command, found string) scenario {
	site.Forward = "none"
	s := scenario{name: name, site: site, host: "lan", command: command, found: found}
	switch {
	case strings.Contains(found, ":fail"):
		s.exit, s.status = 1, "fail"
	case strings.Contains(found, ":error"):
		s.exit, s.status = 6, "unknown"
	case strings.Contains(found, ":warn"):
		s.status, s.passed = "warn", "forward.added"
	default:
		s.status, s.passed = "pass", "forward.added"
	}
	return s
}

const (
	add18888 = "port forward add 18888 --to :8888 --yes"
	via      = " --via http://reflector.lab.test:8080 --token-file token.txt"
	add14500 = "port forward add 14500 --to 192.168.1.200:4370 --yes"
)

// answers has a forwarding proven by a connection from outside, or disproven.
func answers(wanted string) func(*testing.T, *Lab, Result) {
	return func(t *testing.T, l *Lab, _ Result) {
		t.Helper()
		want(t, "from outside", l.fetch("wan", "http", l.Site().Public()+":18888"), wanted)
	}
}

// whole makes a forwarding, lists it, tries it from outside, and takes it away.
func whole(method string, site Site) scenario {
	s := added("make, list and remove by "+method+" "+site.UPnP+site.Quirk, site, add18888+" --method "+method, "")
	s.after = func(t *testing.T, l *Lab, r Result) {
		answers("200 ok")(t, l, r)
		list := l.Run(t, "lan", "port", "forward", "list")
		if method == "upnp" && !strings.Contains(string(list.Result), "18888") {
			t.Errorf("the list has it not: %s %v", list.Result, list.Codes())
		}
		gone := l.Run(t, "lan", "port", "forward", "remove", "18888", "--yes")
		if gone.Exit != 0 {
			t.Errorf("remove: exit status %d, %v", gone.Exit, gone.Codes())
		}
		answers("silence")(t, l, r)
	}
	return s
}

// proven is a forwarding that a reflector tries from outside.
func proven(name string, site Site, passed, found string) scenario {
	s := added(name, site, add18888+via, found)
	s.passed = passed
	s.before = func(t *testing.T, l *Lab) {
		l.reflector(t, "--dial-from", Outside2, "--ports", "18888")
		l.File(t, "lan", "token.txt", reflectorToken+"\n")
	}
	return s
}

func TestForwardings(t *testing.T) {
	t.Parallel()
	judge(t, []scenario{
		whole("upnp", Site{}),
		whole("pcp", Site{}),
		whole("nat-pmp", Site{}),
		whole("upnp", Site{UPnP: "igd1", PMP: "off"}),
		whole("upnp", Site{Quirk: "plain"}),
		whole("upnp", Site{Quirk: "ppp"}),
		whole("upnp", Site{Quirk: "odd-port"}),
		proven("open from outside", Site{}, "forward.open", ""),
		proven("proven from outside, nothing runs yet", Site{Portal: "down"}, "forward.proven", ""),
		proven("listed and dead", Site{Quirk: "listed-dead"}, "", "forward.dead:fail"),
		proven("dropped by the provider", Site{ISPBlock: "18888"}, "", "forward.dead:fail"),
		added("nothing there", Site{UPnP: "off", PMP: "off"}, add18888, "forward.router.silent:error"),
		added("for the clock, secure mode", Site{}, add14500, "forward.clock.exposed:warn forward.host.other:fail"),
		added("for the clock, allowed", Site{Secure: "off"}, add14500, "forward.clock.exposed:warn"),
		added("for the clock, refused with 606", Site{Quirk: "self-only"}, add14500, "forward.clock.exposed:warn forward.host.other:fail"),
		added("permanent leases only", Site{Quirk: "permanent-only"}, add18888, "forward.stays:warn"),
		added("taken", Site{Quirk: "conflict"}, add18888, "forward.port.taken:fail"),
		added("the same port on both sides only", Site{Quirk: "same-port"}, add18888, "forward.port.same:fail"),
		added("a rule typed by hand", Site{Quirk: "other-mechanism"}, add18888, "forward.rule.typed:fail"),
		added("no list", Site{Quirk: "no-list"}, add18888, ""),
		added("offline", Site{Quirk: "disconnected"}, add18888, "forward.router.offline:warn"),
		added("behind another router", Site{NAT: "double", Quirk: "private-wan"}, add18888, "forward.router.private:warn"),
		added("behind another router, miniupnpd", Site{NAT: "double"}, add18888, "forward.router.no-address:fail forward.router.private:warn"),
		added("behind the carrier", Site{NAT: "cgnat"}, add18888, "forward.router.carrier:warn forward.router.no-address:fail"),
		added("no address", Site{Quirk: "empty-ip"}, add18888, "forward.router.no-address:warn"),
	})
}
