package netcheck

import (
	"context"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"onsite/report"
)

// errNoRoute is what a computer says that has no way to a network.
var errNoRoute = os.NewSyscallError("connect", syscall.ENETUNREACH)

const (
	rootZone = `
@ 3600 IN SOA a.root. host.root. 1 3600 600 86400 60
@ 3600 IN NS a.root.
example. 3600 IN NS a.nic.example.
a.nic.example. 3600 IN A 192.0.2.2
`
	tldZone = `
@ 3600 IN SOA a.nic host 7 3600 600 86400 60
@ 3600 IN NS a.nic
a.nic IN A 192.0.2.2
acme 3600 IN NS ns1.acme
acme 3600 IN NS ns2.acme
ns1.acme IN A 192.0.2.11
ns2.acme IN A 192.0.2.12
ddns 3600 IN NS ns.ddns
ns.ddns IN A 192.0.2.21
`
	acmeHead = `
@ 300 IN SOA ns1 host 2026112402 3600 600 86400 60
@ 300 IN NS ns1
@ 300 IN NS ns2
ns1 300 IN A 192.0.2.11
ns2 300 IN A 192.0.2.12
@ 300 IN A 203.0.113.80
www 300 IN A 203.0.113.80
`
	acmeOld = `
@ 300 IN SOA ns1 host 2026010100 3600 600 86400 60
@ 300 IN NS ns1
@ 300 IN NS ns2
`
	ddnsHead = `
@ 60 IN SOA ns host 5 3600 600 86400 60
@ 60 IN NS ns
ns 60 IN A 192.0.2.21
`
	right    = "portal 300 IN A 203.0.113.10\n"
	outdated = "portal 300 IN A 203.0.113.99\n"
)

var siteAddr = netip.MustParseAddr("203.0.113.10")

// tree is a world with root, top-level domain and zone, whose two servers hold
// the texts given.
func tree(t testing.TB, ns1, ns2 string) *world {
	w := newWorld(t)
	w.at(rootAddr, authority(parseZone(t, ".", rootZone)))
	w.at(tldAddr, authority(parseZone(t, "example.", tldZone)))
	w.at(ns1Addr, authority(parseZone(t, "acme.example.", ns1)))
	w.at(ns2Addr, authority(parseZone(t, "acme.example.", ns2)))
	return w
}

func TestAuthority(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		world     func(t *testing.T) *world
		ask       string
		zone      string
		addresses []netip.Addr
		agreed    bool
		alias     string
	}{
		{
			name: "two servers", world: func(t *testing.T) *world { return tree(t, acmeHead+right, acmeHead+right) },
			zone: "acme.example", addresses: []netip.Addr{siteAddr}, agreed: true,
		},
		{
			name: "final dot and capitals", world: func(t *testing.T) *world { return tree(t, acmeHead+right, acmeHead+right) },
			ask: "Portal.ACME.example.", zone: "acme.example", addresses: []netip.Addr{siteAddr}, agreed: true,
		},
		{
			name: "one behind", world: func(t *testing.T) *world { return tree(t, acmeHead+right, acmeOld+outdated) },
			zone: "acme.example",
		},
		{
			name: "one lame", world: func(t *testing.T) *world {
				w := tree(t, acmeHead+right, acmeHead+right)
				w.at(ns2Addr, rcode(dns.RcodeRefused))
				return w
			},
			zone: "acme.example", addresses: []netip.Addr{siteAddr}, agreed: true,
		},
		{
			name: "both lame", world: func(t *testing.T) *world {
				w := tree(t, acmeHead+right, acmeHead+right)
				w.at(ns1Addr, rcode(dns.RcodeServerFailure))
				w.at(ns2Addr, rcode(dns.RcodeRefused))
				return w
			},
			zone: "acme.example",
		},
		{
			name: "no such name", world: func(t *testing.T) *world { return tree(t, acmeHead, acmeHead) },
			zone: "acme.example", agreed: true,
		},
		{
			name: "alias into another zone", world: func(t *testing.T) *world {
				alias := acmeHead + "portal 300 IN CNAME site.ddns.example.\n"
				w := tree(t, alias, alias)
				w.at(dynAddr, authority(parseZone(t, "ddns.example.", ddnsHead+"site 60 IN A 203.0.113.10\n")))
				return w
			},
			zone: "acme.example", addresses: []netip.Addr{siteAddr}, agreed: true, alias: "site.ddns.example",
		},
		{
			name: "a zone below that one of the servers holds, too", world: func(t *testing.T) *world {
				text := acmeHead + "dyn 300 IN NS ns1\n"
				w := tree(t, text, text)
				w.at(ns1Addr, authority(parseZone(t, "acme.example.", text),
					parseZone(t, "dyn.acme.example.", "@ 60 IN SOA ns1.acme.example. host 1 3600 600 86400 60\n@ 60 IN NS ns1.acme.example.\nsite 60 IN A 203.0.113.10\n")))
				return w
			},
			ask: "site.dyn.acme.example", zone: "dyn.acme.example", addresses: []netip.Addr{siteAddr}, agreed: true,
		},
		{
			name: "name servers in another zone, without glue", world: func(t *testing.T) *world {
				w := tree(t, acmeHead+right, acmeHead+right)
				w.at(tldAddr, authority(parseZone(t, "example.", tldZone+"shop 3600 IN NS ns1.acme\n")))
				w.at(ns1Addr, authority(parseZone(t, "acme.example.", acmeHead), parseZone(t, "shop.example.", acmeHead+right)))
				return w
			},
			ask: "portal.shop.example", zone: "shop.example", addresses: []netip.Addr{siteAddr}, agreed: true,
		},
		{
			name: "aliases in a circle", world: func(t *testing.T) *world {
				text := acmeHead + "portal 300 IN CNAME www2\nwww2 300 IN CNAME portal\n"
				return tree(t, text, text)
			},
			zone: "acme.example",
		},
		{
			name: "root servers out of reach", world: func(t *testing.T) *world {
				w := tree(t, acmeHead+right, acmeHead+right)
				w.gone(rootAddr)
				w.at(hereAddr, resolver(t, "acme.example. 300 IN SOA ns1.acme.example. host. 1 1 1 1 60",
					"acme.example. 300 IN NS ns1.acme.example.", "ns1.acme.example. 300 IN A 192.0.2.11", "portal.acme.example. 9 IN A 203.0.113.99"))
				return w
			},
			zone: "acme.example", addresses: []netip.Addr{siteAddr}, agreed: true,
		},
		{
			name: "the domain does not exist", world: func(t *testing.T) *world { return tree(t, acmeHead, acmeHead) },
			ask: "portal.acmee.example", zone: "example", agreed: true,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ask := tt.ask
			if ask == "" {
				ask = "portal.acme.example"
			}
			got, err := Authority(t.Context(), ask, tt.world(t).sources())
			if err != nil {
				t.Fatal(err)
			}
			if got.Zone != tt.zone || got.Agreed != tt.agreed || got.Alias != tt.alias || !slices.Equal(got.Addresses, tt.addresses) {
				t.Errorf("Authority(%q) = zone %q, %v agreed %v, alias %q, want zone %q, %v agreed %v, alias %q\n%+v", ask,
					got.Zone, got.Addresses, got.Agreed, got.Alias, tt.zone, tt.addresses, tt.agreed, tt.alias, got.Observations)
			}
			if len(got.Observations) == 0 {
				t.Error("no observations")
			}
		})
	}
}

func TestAuthorityNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, err := Authority(t.Context(), "portal.acme.example", w.sources())
	if e := report.AsError(err); e == nil || e.Kind != report.KindNoAnswer || e.Code != "dns.no-answer" {
		t.Errorf("Authority without any server = %v", err)
	}
	if _, err := Authority(t.Context(), "portal..example", w.sources()); !report.HasCode(err, "dns.name.wrong") {
		t.Errorf("Authority of a wrong name = %v", err)
	}
}

func TestAuthorityCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	w := newWorld(t)
	w.at(rootAddr, func(dns.ResponseWriter, *dns.Msg) { cancel() })
	s := w.sources()
	s.Timeout = time.Hour
	if _, err := Authority(ctx, "portal.acme.example", s); err != context.Canceled {
		t.Errorf("Authority, cancelled = %v", err)
	}
}
