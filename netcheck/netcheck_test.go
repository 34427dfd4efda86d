package netcheck

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"onsite/internal/dnsq"
	"onsite/report"
)

// noon is when the tests take place.
var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// known are records of a resolver that knows the site.
const (
	hasRight  = "portal.acme.example. 100 IN A 203.0.113.10"
	hasOld    = "portal.acme.example. 1800 IN A 203.0.113.99"
	hasSOA    = "acme.example. 40 IN SOA ns1.acme.example. host. 1 3600 600 86400 60"
	aliasText = "portal 300 IN CNAME site.ddns.example.\n"
	viaAlias  = "portal.acme.example. 200 IN CNAME site.ddns.example."
)

// site is a tree whose resolvers all have the same records.
func site(t testing.TB, ns1, ns2 string, resolvers ...string) *world {
	w := tree(t, ns1, ns2)
	for _, r := range []string{hereAddr, pubAddr, pub2Addr} {
		w.at(r, resolver(t, resolvers...))
	}
	return w
}

// servfail answers SERVFAIL with an extended error.
func servfail(code uint16, text string) dns.HandlerFunc {
	return func(w dns.ResponseWriter, question *dns.Msg) {
		m := new(dns.Msg).SetRcode(question, dns.RcodeServerFailure)
		m.RecursionAvailable = true
		m.SetEdns0(1232, false)
		m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: code, ExtraText: text}}
		w.WriteMsg(m)
	}
}

// answering wraps a server and changes its answers.
func changed(h dns.HandlerFunc, change func(*dns.Msg)) dns.HandlerFunc {
	return func(w dns.ResponseWriter, question *dns.Msg) {
		k := &keep{ResponseWriter: w}
		h(k, question)
		change(k.m)
		w.WriteMsg(k.m)
	}
}

type state struct {
	name    string
	world   func(t *testing.T) *world
	ask     string // "": portal.acme.example
	expect  string // "-": none; "": 203.0.113.10
	ca      string
	want    string // status and code of every finding
	details []string
	until   time.Duration // when it changes, from noon
}

var states = []state{
	{
		name: "right", world: func(t *testing.T) *world { return site(t, acmeHead+right, acmeHead+right, hasRight) },
		want: "pass dns.a.matches", details: []string{
			"it leads to 203.0.113.10", "ns1.acme.example (192.0.2.11) and ns2.acme.example (192.0.2.12) say so", "this computer's resolver 192.0.2.101", "public resolvers 192.0.2.201 and 192.0.2.202",
		},
	},
	{
		name: "any address", expect: "-", world: func(t *testing.T) *world { return site(t, acmeHead+right, acmeHead+right, hasRight) },
		want: "pass dns.a.found", details: []string{"it leads to 203.0.113.10"},
	},
	{
		name: "wrong", world: func(t *testing.T) *world { return site(t, acmeHead+outdated, acmeHead+outdated, hasOld) },
		want: "fail dns.a.mismatch", details: []string{"A 203.0.113.99 instead of 203.0.113.10"},
	},
	{
		name: "stale everywhere", world: func(t *testing.T) *world {
			w := site(t, acmeHead+outdated, acmeHead+outdated, hasOld)
			w.at(rootAddr, authority(parseZone(t, ".", rootZone+"10.113.0.203.in-addr.arpa. 60 IN PTR pool-10.dsl.isp.example.\n99.113.0.203.in-addr.arpa. 60 IN PTR pool-99.dsl.isp.example.\n")))
			return w
		},
		want: "fail dns.a.stale", details: []string{"A 203.0.113.99 instead of 203.0.113.10", "isp.example"},
	},
	{
		name: "right at last, stale in every cache", world: func(t *testing.T) *world { return site(t, acmeHead+right, acmeHead+right, hasOld) },
		want: "fail dns.cache.stale", details: []string{"stale here and elsewhere until 12:30"}, until: 30 * time.Minute,
	},
	{
		name: "stale here alone", world: func(t *testing.T) *world {
			w := site(t, acmeHead+right, acmeHead+right, hasRight)
			w.at(hereAddr, resolver(t, hasOld))
			return w
		},
		want: "fail dns.cache.stale", details: []string{"stale here until 12:30", "192.0.2.101 says 203.0.113.99"}, until: 30 * time.Minute,
	},
	{
		name: "stale by way of a router that keeps nothing", world: func(t *testing.T) *world {
			w := site(t, acmeHead+right, acmeHead+right, hasOld)
			w.at(hereAddr, resolver(t, strings.Replace(hasOld, "1800", "0", 1)))
			return w
		},
		want: "fail dns.cache.stale", details: []string{"stale here and elsewhere until 12:30"}, until: 30 * time.Minute,
	},
	{
		name: "stale here, nobody knows for how long", world: func(t *testing.T) *world {
			w := site(t, acmeHead+right, acmeHead+right, hasRight)
			w.at(hereAddr, resolver(t, strings.Replace(hasOld, "1800", "0", 1)))
			return w
		},
		want: "fail dns.cache.stale", details: []string{"stale here until its resolver forgets the old answer"},
	},
	{
		name: "stale at a public resolver", world: func(t *testing.T) *world {
			w := site(t, acmeHead+right, acmeHead+right, hasRight)
			w.at(pub2Addr, resolver(t, hasOld))
			return w
		},
		want: "fail dns.cache.stale", details: []string{"stale elsewhere until 12:30", "192.0.2.202 says 203.0.113.99"}, until: 30 * time.Minute,
	},
	{
		name: "a cache still thinks that there is no such name", world: func(t *testing.T) *world {
			w := site(t, acmeHead+right, acmeHead+right, hasRight)
			w.at(hereAddr, resolver(t, hasSOA))
			return w
		},
		want: "fail dns.cache.stale", details: []string{"stale here until 12:00", "no such name"}, until: 40 * time.Second,
	},
	{
		name: "one server behind", world: func(t *testing.T) *world { return site(t, acmeHead+right, acmeOld+outdated, hasRight) },
		want: "fail dns.server.behind", details: []string{"ns2.acme.example (192.0.2.12) has an older version", "serial 2026112402", "serial 2026010100"},
	},
	{
		name: "servers differ without a reason", world: func(t *testing.T) *world { return site(t, acmeHead+right, acmeHead+outdated, hasRight) },
		want: "fail dns.server.differs",
	},
	{
		name: "an older version that says the same", world: func(t *testing.T) *world { return site(t, acmeHead+right, acmeOld+right, hasRight) },
		want: "pass dns.a.matches, warn dns.serial.behind",
	},
	{
		name: "one server lame", world: func(t *testing.T) *world {
			w := site(t, acmeHead+right, acmeHead+right, hasRight)
			w.at(ns2Addr, servfail(20, "not mine"))
			return w
		},
		want: "pass dns.a.matches, warn dns.server.lame", details: []string{"SERVFAIL: Not Authoritative (not mine)"},
	},
	{
		name: "one server answers from a cache", world: func(t *testing.T) *world {
			w := site(t, acmeHead+right, acmeHead+right, hasRight)
			w.at(ns2Addr, resolver(t, hasOld))
			return w
		},
		want: "pass dns.a.matches, warn dns.server.lame", details: []string{"not marked as authoritative"},
	},
	{
		name: "all servers lame", world: func(t *testing.T) *world {
			w := site(t, acmeHead+right, acmeHead+right)
			w.at(ns1Addr, rcode(dns.RcodeRefused))
			w.at(ns2Addr, rcode(dns.RcodeRefused))
			for _, r := range []string{hereAddr, pubAddr, pub2Addr} {
				w.at(r, servfail(22, ""))
			}
			return w
		},
		want: "fail dns.zone.lame", details: []string{"REFUSED", "none of the servers of acme.example"},
	},
	{
		name: "one server silent", world: func(t *testing.T) *world {
			w := site(t, acmeHead+right, acmeHead+right, hasRight)
			w.at(ns2Addr, nil)
			return w
		},
		want: "pass dns.a.matches, warn dns.server.silent", details: []string{"no answer in time"},
	},
	{
		name: "a server without an address", world: func(t *testing.T) *world {
			w := site(t, acmeHead+right, acmeHead+right, hasRight)
			w.at(tldAddr, authority(parseZone(t, "example.", tldZone+"acme 3600 IN NS ns3.acme\n")))
			return w
		},
		want: "pass dns.a.matches, warn dns.server.no-address",
	},
	{
		name: "all servers silent, and public resolvers find nothing either", world: func(t *testing.T) *world {
			w := site(t, acmeHead+right, acmeHead+right)
			w.at(ns1Addr, nil)
			w.at(ns2Addr, nil)
			for _, r := range []string{hereAddr, pubAddr, pub2Addr} {
				w.at(r, servfail(22, "at delegation acme.example"))
			}
			return w
		},
		want: "fail dns.zone.silent", details: []string{"No Reachable Authority"},
	},
	{
		name: "all servers silent here, public resolvers know", world: func(t *testing.T) *world {
			w := site(t, acmeHead+right, acmeHead+right, hasRight)
			w.at(ns1Addr, nil)
			w.at(ns2Addr, nil)
			return w
		},
		want: "unknown dns.authority.unknown", details: []string{"resolvers lead to 203.0.113.10"},
	},
	{
		name: "no such name", world: func(t *testing.T) *world { return site(t, acmeHead, acmeHead, hasSOA) },
		want: "fail dns.name.missing", details: []string{"the nearest that does is acme.example"},
	},
	{
		name: "no such name, with others on the way", ask: "a.b.office.acme.example", world: func(t *testing.T) *world {
			return site(t, acmeHead+"x.office 300 IN A 203.0.113.7\n", acmeHead+"x.office 300 IN A 203.0.113.7\n", hasSOA)
		},
		want: "fail dns.name.missing", details: []string{"the nearest that does is office.acme.example"},
	},
	{
		name: "the domain typed into a form that adds it", world: func(t *testing.T) *world {
			return site(t, acmeHead+"portal.acme.example 300 IN A 203.0.113.10\n", acmeHead+"portal.acme.example 300 IN A 203.0.113.10\n", hasSOA)
		},
		want: "fail dns.name.doubled", details: []string{"portal.acme.example.acme.example"},
	},
	{
		name: "asked with the domain twice", ask: "portal.acme.example.acme.example", world: func(t *testing.T) *world { return site(t, acmeHead+right, acmeHead+right, hasRight, hasSOA) },
		want: "fail dns.name.twice", details: []string{"portal.acme.example exists"},
	},
	{
		name: "no such domain", ask: "portal.acmee.example", world: func(t *testing.T) *world { return site(t, acmeHead, acmeHead, "example. 60 IN SOA a. b. 1 1 1 1 60") },
		want: "fail dns.domain.missing", details: []string{"the domain acmee.example does not exist"},
	},
	{
		name: "no data", world: func(t *testing.T) *world {
			return site(t, acmeHead+"portal 300 IN TXT x\n", acmeHead+"portal 300 IN TXT x\n", hasSOA, `portal.acme.example. 60 IN TXT x`)
		},
		want: "fail dns.a.none", details: []string{"has no A record"},
	},
	{
		name: "private", world: func(t *testing.T) *world {
			return site(t, acmeHead+"portal 300 IN A 192.168.1.50\n", acmeHead+"portal 300 IN A 192.168.1.50\n", "portal.acme.example. 60 IN A 192.168.1.50")
		},
		want: "fail dns.a.private", details: []string{"192.168.1.50 is for private use (RFC 1918)"},
	},
	{
		name: "carrier's address, none expected", expect: "-", world: func(t *testing.T) *world {
			return site(t, acmeHead+"portal 300 IN A 100.64.3.2\n", acmeHead+"portal 300 IN A 100.64.3.2\n", "portal.acme.example. 60 IN A 100.64.3.2")
		},
		want: "fail dns.a.private", details: []string{"carrier-grade NAT"},
	},
	{
		name: "private, as expected", expect: "192.168.1.50", world: func(t *testing.T) *world {
			return site(t, acmeHead+"portal 300 IN A 192.168.1.50\n", acmeHead+"portal 300 IN A 192.168.1.50\n", "portal.acme.example. 60 IN A 192.168.1.50")
		},
		want: "pass dns.a.matches",
	},
	{
		name: "several", world: func(t *testing.T) *world {
			return site(t, acmeHead+right+outdated, acmeHead+right+outdated, hasRight, strings.Replace(hasOld, "1800", "100", 1))
		},
		want: "warn dns.a.several", details: []string{"A 203.0.113.10 and 203.0.113.99"},
	},
	{
		name: "AAAA without IPv6 here", world: func(t *testing.T) *world {
			text := acmeHead + right + "portal 300 IN AAAA 2a0b:53::dead\n"
			return site(t, text, text, hasRight, "portal.acme.example. 60 IN AAAA 2a0b:53::dead")
		},
		want: "pass dns.a.matches, warn dns.aaaa.no-ipv6", details: []string{"2a0b:53::dead", "not known"},
	},
	{
		name: "AAAA of a private network", world: func(t *testing.T) *world {
			text := acmeHead + right + "portal 300 IN AAAA fd00::1\n"
			return site(t, text, text, hasRight, "portal.acme.example. 60 IN AAAA fd00::1")
		},
		want: "pass dns.a.matches, warn dns.aaaa.private",
	},
	{
		name: "AAAA as expected", expect: "2a0b:53::1", world: func(t *testing.T) *world {
			text := acmeHead + right + "portal 300 IN AAAA 2a0b:53::1\n"
			return site(t, text, text, hasRight, "portal.acme.example. 60 IN AAAA 2a0b:53::1")
		},
		want: "pass dns.a.matches", details: []string{"it leads to 2a0b:53::1"},
	},
	{
		name: "alias", world: func(t *testing.T) *world {
			w := site(t, acmeHead+aliasText, acmeHead+aliasText, viaAlias, "site.ddns.example. 20 IN A 203.0.113.10")
			w.at(dynAddr, authority(parseZone(t, "ddns.example.", ddnsHead+"site 60 IN A 203.0.113.10\n")))
			return w
		},
		want: "pass dns.a.matches", details: []string{"by way of site.ddns.example"},
	},
	{
		name: "alias, stale", world: func(t *testing.T) *world {
			w := site(t, acmeHead+aliasText, acmeHead+aliasText, viaAlias, "site.ddns.example. 20 IN A 203.0.113.99")
			w.at(dynAddr, authority(parseZone(t, "ddns.example.", ddnsHead+"site 60 IN A 203.0.113.99\n")))
			return w
		},
		want: "fail dns.cname.stale", details: []string{"alias of site.ddns.example, which has 203.0.113.99 instead of 203.0.113.10"},
	},
	{
		name: "alias, and a cache has its old address", world: func(t *testing.T) *world {
			w := site(t, acmeHead+aliasText, acmeHead+aliasText, viaAlias, "site.ddns.example. 20 IN A 203.0.113.99")
			w.at(dynAddr, authority(parseZone(t, "ddns.example.", ddnsHead+"site 60 IN A 203.0.113.10\n")))
			return w
		},
		want: "fail dns.cache.stale", until: 20 * time.Second,
	},
	{
		name: "alias, and a cache has another alias", world: func(t *testing.T) *world {
			w := site(t, acmeHead+aliasText, acmeHead+aliasText, "portal.acme.example. 200 IN CNAME old.ddns.example.", "old.ddns.example. 20 IN A 203.0.113.99")
			w.at(dynAddr, authority(parseZone(t, "ddns.example.", ddnsHead+"site 60 IN A 203.0.113.10\n")))
			return w
		},
		want: "fail dns.cache.stale", until: 200 * time.Second,
	},
	{
		name: "alias, dangling", world: func(t *testing.T) *world {
			w := site(t, acmeHead+aliasText, acmeHead+aliasText, viaAlias, "ddns.example. 9 IN SOA a. b. 1 1 1 1 60")
			w.at(dynAddr, authority(parseZone(t, "ddns.example.", ddnsHead)))
			return w
		},
		want: "fail dns.cname.dangling", details: []string{"portal.acme.example is an alias of site.ddns.example", "site.ddns.example does not exist"},
	},
	{
		name: "alias into a domain that is gone", world: func(t *testing.T) *world {
			text := acmeHead + "portal 300 IN CNAME site.gone.example.\n"
			return site(t, text, text, "portal.acme.example. 200 IN CNAME site.gone.example.")
		},
		want: "fail dns.cname.dangling",
	},
	{
		name: "alias in a circle", world: func(t *testing.T) *world {
			text := acmeHead + "portal 300 IN CNAME www2\nwww2 300 IN CNAME portal\n"
			w := site(t, text, text)
			for _, r := range []string{hereAddr, pubAddr, pub2Addr} {
				w.at(r, servfail(0, ""))
			}
			return w
		},
		want: "fail dns.cname.circle",
	},
	{
		name: "split horizon", world: func(t *testing.T) *world {
			w := site(t, acmeHead+right, acmeHead+right, hasRight)
			w.at(hereAddr, resolver(t, "portal.acme.example. 0 IN A 192.168.1.50"))
			return w
		},
		want: "pass dns.a.matches, pass dns.split-horizon", details: []string{"192.0.2.101 says 192.168.1.50"},
	},
	{
		name: "split horizon, marked as the router's own", world: func(t *testing.T) *world {
			w := site(t, acmeHead+right, acmeHead+right, hasRight)
			w.at(hereAddr, authority(parseZone(t, "acme.example.", acmeHead+outdated)))
			return w
		},
		want: "pass dns.a.matches, pass dns.split-horizon",
	},
	{
		name: "public resolvers refuse (DNSSEC)", world: func(t *testing.T) *world {
			w := site(t, acmeHead+right, acmeHead+right, hasRight)
			w.at(pubAddr, servfail(6, "no valid RRSIG"))
			w.at(pub2Addr, servfail(6, ""))
			return w
		},
		want: "fail dns.servfail", details: []string{"DNSSEC Bogus (no valid RRSIG)"},
	},
	{
		name: "one public resolver refuses", world: func(t *testing.T) *world {
			w := site(t, acmeHead+right, acmeHead+right, hasRight)
			w.at(pub2Addr, servfail(23, ""))
			return w
		},
		want: "pass dns.a.matches, warn dns.servfail", details: []string{"Network Error"},
	},
	{
		name: "this computer's resolver is silent", world: func(t *testing.T) *world {
			w := site(t, acmeHead+right, acmeHead+right, hasRight)
			w.at(hereAddr, nil)
			return w
		},
		want: "pass dns.a.matches, unknown dns.no-answer",
	},
	{
		name: "public resolvers are silent", world: func(t *testing.T) *world {
			w := site(t, acmeHead+right, acmeHead+right, hasRight)
			w.at(pubAddr, nil)
			w.gone(pub2Addr)
			return w
		},
		want: "pass dns.a.matches, skip dns.public.silent",
	},
	{
		name: "no expectation, and a resolver differs", expect: "-", world: func(t *testing.T) *world {
			w := site(t, acmeHead+right, acmeHead+right, hasRight)
			w.at(pubAddr, resolver(t, hasOld))
			return w
		},
		want: "warn dns.cache.differs", until: 30 * time.Minute,
	},
	{
		name: "root servers out of reach", world: func(t *testing.T) *world {
			w := site(t, acmeHead+right, acmeHead+right, hasRight, hasSOA, "acme.example. 60 IN NS ns1.acme.example.", "ns1.acme.example. 60 IN A 192.0.2.11")
			w.gone(rootAddr)
			return w
		},
		want: "pass dns.a.matches, skip dns.roots.unreachable", details: []string{"named the zone's servers"},
	},
	{
		name: "only resolvers in reach", world: func(t *testing.T) *world {
			w := site(t, acmeHead+right, acmeHead+right, hasRight, hasSOA, "acme.example. 60 IN NS ns1.acme.example.", "ns1.acme.example. 60 IN A 192.0.2.11")
			for _, a := range []string{rootAddr, tldAddr, ns1Addr, ns2Addr} {
				w.gone(a)
			}
			return w
		},
		want: "unknown dns.authority.unknown, skip dns.roots.unreachable",
	},
	{
		name: "only resolvers in reach, and they are wrong", world: func(t *testing.T) *world {
			w := site(t, acmeHead, acmeHead, hasOld, hasSOA, "acme.example. 60 IN NS ns1.acme.example.", "ns1.acme.example. 60 IN A 192.0.2.11")
			for _, a := range []string{rootAddr, tldAddr, ns1Addr, ns2Addr} {
				w.gone(a)
			}
			return w
		},
		want: "fail dns.a.mismatch, skip dns.roots.unreachable", details: []string{"cannot be told"},
	},
	{
		name: "CAA: any", ca: "letsencrypt.org", world: func(t *testing.T) *world { return site(t, acmeHead+right, acmeHead+right, hasRight) },
		want: "pass dns.a.matches, pass dns.caa.none",
	},
	{
		name: "CAA: allowed", ca: "LetsEncrypt.org", world: func(t *testing.T) *world {
			text := acmeHead + right + "@ 300 IN CAA 0 issue \"letsencrypt.org; validationmethods=http-01\"\n"
			return site(t, text, text, hasRight)
		},
		want: "pass dns.a.matches, pass dns.caa.allowed", details: []string{"say the CAA records of acme.example"},
	},
	{
		name: "CAA: another", ca: "letsencrypt.org", world: func(t *testing.T) *world {
			text := acmeHead + right + "@ 300 IN CAA 0 issue \"other.example\"\n"
			return site(t, text, text, hasRight)
		},
		want: "pass dns.a.matches, fail dns.caa.forbidden", details: []string{"allow other.example alone"},
	},
	{
		name: "CAA: nobody", ca: "letsencrypt.org", world: func(t *testing.T) *world {
			text := acmeHead + right + "@ 300 IN CAA 0 issue \";\"\n"
			return site(t, text, text, hasRight)
		},
		want: "pass dns.a.matches, fail dns.caa.forbidden", details: []string{"no authority may issue"},
	},
	{
		name: "CAA: the name's own set hides the domain's", ca: "letsencrypt.org", world: func(t *testing.T) *world {
			text := acmeHead + right + "@ 300 IN CAA 0 issue \"other.example\"\nportal 300 IN CAA 0 issue \"letsencrypt.org\"\n"
			return site(t, text, text, hasRight)
		},
		want: "pass dns.a.matches, pass dns.caa.allowed", details: []string{"CAA records of portal.acme.example"},
	},
	{
		name: "CAA: at the top-level domain", ca: "letsencrypt.org", world: func(t *testing.T) *world {
			w := site(t, acmeHead+right, acmeHead+right, hasRight)
			w.at(tldAddr, authority(parseZone(t, "example.", tldZone+"@ 60 IN CAA 0 issue \"other.example\"\n")))
			return w
		},
		want: "pass dns.a.matches, fail dns.caa.forbidden", details: []string{"CAA records of example allow"},
	},
	{
		name: "CAA: mail only", ca: "letsencrypt.org", world: func(t *testing.T) *world {
			text := acmeHead + right + "@ 300 IN CAA 0 iodef \"mailto:it@acme.example\"\n"
			return site(t, text, text, hasRight)
		},
		want: "pass dns.a.matches, pass dns.caa.allowed", details: []string{"name no authority"},
	},
	{
		name: "CAA: critical and unknown", ca: "letsencrypt.org", world: func(t *testing.T) *world {
			text := acmeHead + right + "@ 300 IN CAA 128 tbs \"x\"\n@ 300 IN CAA 0 issue \"letsencrypt.org\"\n"
			return site(t, text, text, hasRight)
		},
		want: "pass dns.a.matches, fail dns.caa.critical",
	},
	{
		name: "CAA: of the name that an alias leads to", ca: "letsencrypt.org", world: func(t *testing.T) *world {
			w := site(t, acmeHead+aliasText, acmeHead+aliasText, viaAlias, "site.ddns.example. 20 IN A 203.0.113.10")
			w.at(dynAddr, authority(parseZone(t, "ddns.example.", ddnsHead+"site 60 IN A 203.0.113.10\nsite 60 IN CAA 0 issue \"other.example\"\n")))
			return w
		},
		want: "pass dns.a.matches, fail dns.caa.forbidden", details: []string{"CAA records of site.ddns.example"},
	},
	{
		name: "CAA: cannot be found out", ca: "letsencrypt.org", world: func(t *testing.T) *world {
			w := site(t, acmeHead+right, acmeHead+right)
			for _, a := range []string{ns1Addr, ns2Addr} {
				w.at(a, changed(authority(parseZone(t, "acme.example.", acmeHead+right)), func(m *dns.Msg) {
					if m.Question[0].Qtype == dns.TypeCAA {
						m.Rcode, m.Answer, m.Ns = dns.RcodeServerFailure, nil, nil
					}
				}))
			}
			for _, r := range []string{hereAddr, pubAddr, pub2Addr} {
				w.at(r, changed(resolver(t, hasRight), func(m *dns.Msg) {
					if m.Question[0].Qtype == dns.TypeCAA {
						m.Rcode = dns.RcodeServerFailure
					}
				}))
			}
			return w
		},
		want: "pass dns.a.matches, unknown dns.caa.unknown",
	},
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, tt := range states {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := Options{Sources: tt.world(t).sources(), Name: "portal.acme.example", Expect: siteAddr, CA: tt.ca, Now: func() time.Time { return noon }, Connect: noIPv6}
			if tt.ask != "" {
				o.Name = tt.ask
			}
			if tt.expect != "" {
				o.Expect, _ = netip.ParseAddr(tt.expect)
			}
			result, findings, err := Check(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			var got, text []string
			for _, f := range findings {
				got = append(got, string(f.Status)+" "+f.Code)
				text = append(text, f.Subject+": "+f.Detail+" -> "+f.Remedy)
				sound(t, f)
			}
			all := strings.Join(text, "\n")
			if strings.Join(got, ", ") != tt.want {
				t.Errorf("finds %q, want %q\n%s", got, tt.want, all)
			}
			for _, d := range tt.details {
				if !strings.Contains(all, d) {
					t.Errorf("does not say %q:\n%s", d, all)
				}
			}
			var until time.Duration
			if result.ChangesAt != nil {
				until = result.ChangesAt.Sub(noon)
			}
			if until != tt.until {
				t.Errorf("changes after %v, want %v", until, tt.until)
			}
			if len(result.Observations) == 0 || result.Name != o.Name {
				t.Errorf("Result = %+v", result)
			}
		})
	}
}

// sound wants a page, and a remedy where one is due, without a hole in it.
func sound(t *testing.T, f report.Finding) {
	t.Helper()
	if _, ok := report.Explain(f.Code); !ok {
		t.Errorf("the code %s has no page", f.Code)
	}
	bad := f.Status == report.StatusWarn || f.Status == report.StatusFail || f.Status == report.StatusUnknown
	if (f.Remedy != "") != bad || strings.HasSuffix(f.Remedy, ".") || strings.ContainsAny(f.Detail+f.Remedy, "{}") {
		t.Errorf("%s: %q -> %q", f.Code, f.Detail, f.Remedy)
	}
}

func noIPv6(context.Context, string, string) (net.Conn, error) { return nil, errNoRoute }

func TestCheckIPv6(t *testing.T) {
	t.Parallel()
	text := acmeHead + right + "portal 300 IN AAAA 2a0b:53::1\n"
	w := site(t, text, text, hasRight, "portal.acme.example. 60 IN AAAA 2a0b:53::1")
	for _, tt := range []struct {
		err  error
		want string
	}{
		{syscall.ECONNREFUSED, "dns.aaaa.answers"},
		{context.DeadlineExceeded, "dns.aaaa.silent"},
		{errNoRoute, "dns.aaaa.no-ipv6"},
	} {
		_, findings, err := Check(t.Context(), Options{
			Sources: w.sources(), Name: "portal.acme.example", Expect: siteAddr,
			Connect: func(context.Context, string, string) (net.Conn, error) { return nil, tt.err },
		})
		if err != nil || len(findings) != 2 || findings[1].Code != tt.want {
			t.Errorf("IPv6 with %v: %+v, %v, want %s", tt.err, findings, err, tt.want)
		}
	}
}

// Whatever the network does to DNS, no server is blamed for what another says in
// its place.
func TestCheckIntercepted(t *testing.T) {
	t.Parallel()
	w := site(t, acmeHead+right, acmeHead+right, hasRight, hasSOA, "acme.example. 60 IN NS ns1.acme.example.", "ns1.acme.example. 60 IN A 192.0.2.11")
	for _, a := range []string{"198.41.0.4", ns1Addr} {
		w.at(a, resolver(t, hasRight, hasSOA))
	}
	s := w.sources()
	s.Roots = nil
	s.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if host, _, _ := net.SplitHostPort(address); slices.ContainsFunc(internetRoots, func(a netip.AddrPort) bool { return a.Addr().String() == host }) {
			address = "198.41.0.4:53"
		}
		return w.dial(ctx, network, address)
	}
	_, findings, err := Check(t.Context(), Options{Sources: s, Name: "portal.acme.example", Expect: siteAddr})
	if err != nil || len(findings) != 2 || findings[0].Code != "dns.authority.unknown" || findings[1].Code != "dns.intercepted" {
		t.Errorf("intercepted: %+v, %v", findings, err)
	}
}

func TestCheckErrors(t *testing.T) {
	t.Parallel()
	for name, remedy := range map[string]string{
		"": "", "portal..example": "", "203.0.113.10": "", "::1": "", "a b": "", "it@acme.example": "",
		"https://portal.acme.example:4444/x": "did you mean portal.acme.example?", "portal.acme.example:4444": "did you mean portal.acme.example?",
	} {
		_, _, err := Check(t.Context(), Options{Name: name})
		if e := report.AsError(err); e == nil || e.Code != "dns.name.wrong" || e.Kind != report.KindUsage || !strings.Contains(e.Remedy, remedy) {
			t.Errorf("Check(%q) = %v", name, err)
		}
	}
	_, findings, err := Check(t.Context(), Options{Name: "portal.acme.example", Sources: newWorld(t).sources()})
	if e := report.AsError(err); e == nil || e.Kind != report.KindNoAnswer || e.Code != "dns.no-answer" || len(findings) > 0 {
		t.Errorf("nobody there: %+v, %v", findings, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := Check(ctx, Options{Name: "portal.acme.example", Sources: newWorld(t).sources()}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestReadName(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Portal.ACME.example.": "portal.acme.example", " x.example ": "x.example", "bäcker.example": "xn--bcker-gra.example", "_sip.acme.example": "_sip.acme.example",
	} {
		if got, err := readName(text); got != want || err != nil {
			t.Errorf("readName(%q) = %q, %v", text, got, err)
		}
	}
}

func TestOlder(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b uint32
		want bool
	}{{1, 2, true}, {2, 1, false}, {5, 5, false}, {1<<32 - 1, 3, true}, {3, 1<<32 - 1, false}} {
		if got := older(tt.a, tt.b); got != tt.want {
			t.Errorf("older(%d, %d) = %v", tt.a, tt.b, got)
		}
	}
}

func TestReverse(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"203.0.113.10": "10.113.0.203.in-addr.arpa",
		"2001:db8::1":  "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
	} {
		if got := reverse(netip.MustParseAddr(addr)); got != want || !dnsq.Valid(got) {
			t.Errorf("reverse(%s) = %s", addr, got)
		}
	}
}

// keep holds an answer back.
type keep struct {
	dns.ResponseWriter
	m *dns.Msg
}

func (k *keep) WriteMsg(m *dns.Msg) error { k.m = m; return nil }
