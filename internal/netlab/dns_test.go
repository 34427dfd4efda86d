//go:build linux

package netlab

import "testing"

// quiet is a site without the router's services that a test does not ask.
func quiet(s Site) Site {
	s.UPnP, s.PMP = "off", "off"
	return s
}

func TestNames(t *testing.T) {
	t.Parallel()
	const check = "dns check portal.example.test --expect {public}"
	judge(t, []scenario{
		{name: "right", command: check, status: "pass", passed: "dns.a.matches"},
		{name: "right by the public address", command: "dns check portal.example.test --expect wan", status: "pass", passed: "dns.a.matches"},
		{name: "nothing expected", command: "dns check portal.example.test", status: "pass", passed: "dns.a.found"},
		{name: "wrong", site: Site{DNS: "wrong"}, command: check, exit: 1, status: "fail", found: "dns.a.mismatch:fail", says: []string{Parked}},
		{name: "stale", site: Site{DNS: "stale"}, command: check, exit: 1, status: "fail", found: "dns.a.stale:fail"},
		{name: "stale-cache", site: Site{DNS: "stale-cache"}, command: check, exit: 1, status: "fail", found: "dns.cache.stale:fail"},
		{name: "stale-secondary", site: Site{DNS: "stale-secondary"}, command: check, exit: 1, status: "fail", found: "dns.server.behind:fail", says: []string{"ns2.example.test"}},
		{name: "cname", site: Site{DNS: "cname"}, command: check, status: "pass", passed: "dns.a.matches"},
		{name: "cname-stale", site: Site{DNS: "cname-stale"}, command: check, exit: 1, status: "fail", found: "dns.cname.stale:fail", says: []string{"site.dyn.example.test"}},
		{name: "cname-dangling", site: Site{DNS: "cname-dangling"}, command: check, exit: 1, status: "fail", found: "dns.cname.dangling:fail", says: []string{"gone.dyn.example.test"}},
		{name: "nxdomain", site: Site{DNS: "nxdomain"}, command: check, exit: 1, status: "fail", found: "dns.name.missing:fail"},
		{name: "doubled in the zone", site: Site{DNS: "doubled"}, command: check, exit: 1, status: "fail", found: "dns.name.doubled:fail"},
		{name: "doubled by hand", command: "dns check portal.example.test.example.test --expect {public}", exit: 1, status: "fail", found: "dns.name.twice:fail"},
		{name: "no such domain", command: "dns check portal.exampel.test --expect {public}", exit: 1, status: "fail", found: "dns.domain.missing:fail"},
		{name: "nodata", site: Site{DNS: "nodata"}, command: check, exit: 1, status: "fail", found: "dns.a.none:fail"},
		{name: "private", site: Site{DNS: "private"}, command: check, exit: 1, status: "fail", found: "dns.a.private:fail", says: []string{Portal}},
		{name: "aaaa-dead", site: Site{DNS: "aaaa-dead"}, command: check, status: "warn", found: "dns.aaaa.no-ipv6:warn", passed: "dns.a.matches"},
		{name: "multi", site: Site{DNS: "multi"}, command: check, status: "warn", found: "dns.a.several:warn", says: []string{Parked}},
		{name: "lame", site: Site{DNS: "lame"}, command: check, status: "warn", found: "dns.server.lame:warn", passed: "dns.a.matches", says: []string{"ns2.example.test"}},
		{name: "ns-down", site: Site{DNS: "ns-down"}, command: check, status: "warn", found: "dns.server.silent:warn", passed: "dns.a.matches", says: []string{"ns2.example.test"}},
		{name: "servfail", site: Site{DNS: "servfail"}, command: check, exit: 1, status: "fail", found: "dns.zone.lame:fail"},
		{name: "split", site: Site{Split: "on"}, command: check, status: "pass", passed: "dns.a.matches dns.split-horizon"},
		{
			name: "the ISP gave another address", command: "dns check portal.example.test --expect wan", exit: 1, status: "fail", found: "dns.a.stale:fail",
			before: func(t *testing.T, l *Lab) { l.Set(t, func(s *Site) { s.WAN = "B" }) },
		},
		{name: "CAA allows", site: Site{CAA: "le"}, command: check + " --ca letsencrypt.org", status: "pass", passed: "dns.a.matches dns.caa.allowed"},
		{name: "CAA of another", site: Site{CAA: "other"}, command: check + " --ca letsencrypt.org", exit: 1, status: "fail", found: "dns.caa.forbidden:fail", says: []string{"otherca.example"}},
		{name: "CAA of nobody", site: Site{CAA: "forbid"}, command: check + " --ca letsencrypt.org", exit: 1, status: "fail", found: "dns.caa.forbidden:fail"},
		{name: "no CAA", command: check + " --ca letsencrypt.org", status: "pass", passed: "dns.a.matches dns.caa.none"},
	})
}
