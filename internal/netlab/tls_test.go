//go:build linux

package netlab

import "testing"

// The portal's certificate in each of its states, as a visitor from outside sees it.
func TestPortalFromOutside(t *testing.T) {
	t.Parallel()
	const check = "portal check https://portal.example.test:4444"
	state := func(name, tls, found string) scenario {
		s := scenario{name: name, site: quiet(Site{TLS: tls}), host: "wan", command: check, exit: 1, status: "fail", found: found}
		if found == "" {
			s.exit, s.status = 0, "warn"
		}
		if tls != "self-signed" && tls != "no-chain" { // the lab's root is trusted, and no public one
			s.found += " trust.computer:warn"
		}
		return s
	}
	judge(t, []scenario{
		state("good", "ok", ""),
		state("expired", "expired", "cert.expired:fail"),
		state("not yet valid", "notyet", "cert.not-yet-valid:fail"),
		state("for another name", "wrong-name", "cert.name.mismatch:fail"),
		state("self-signed", "self-signed", "chain.self-signed:fail"),
		state("without its chain", "no-chain", "chain.issuer.unknown:fail"),
		{name: "no TLS", site: quiet(Site{Portal: "http-on-tls"}), host: "wan", command: check, exit: 1, status: "fail", found: "portal.tls.failed:fail", says: []string{"plain HTTP"}},
		{name: "nothing listens", site: quiet(Site{Portal: "down"}), host: "wan", command: check, exit: 1, status: "fail", found: "portal.connect.refused:fail"},
		{name: "no rule", site: quiet(Site{Forward: "none"}), host: "wan", command: check, exit: 1, status: "fail", found: "portal.connect.timeout:fail"},
		{name: "the name leads nowhere", site: quiet(Site{DNS: "nxdomain"}), host: "wan", command: check, exit: 1, status: "fail", found: "portal.name.unresolved:fail"},
	})
}
