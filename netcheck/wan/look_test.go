package wan

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"onsite/netcheck/portmap"
	"onsite/report"
)

// home is a healthy site: one interface, one router, everybody agrees.
func home(t *testing.T) Options {
	t.Helper()
	w := (&internet{https: echoes{"a": says(site), "b": says(site), "c": says(site)}, stun: stuns{"s": stunSays(site + ":1")}}).open(t)
	return Options{
		Public:   w.options(),
		Resolver: zone(t, map[string]string{"20.30.20.11.in-addr.arpa.": "pool-1.dyn.isp.test.", "pool-1.dyn.isp.test.": site}),
		Timeout:  20 * time.Second,
		Now:      func() time.Time { return time.Date(2026, 3, 31, 12, 0, 0, 5, time.UTC) },
		world: world{
			interfaces: func() ([]Interface, error) {
				return []Interface{
					{Name: "eth0", MAC: "02:00:00:00:00:60", Up: true, Kind: KindEthernet, Addresses: []netip.Prefix{netip.MustParsePrefix("192.168.1.60/24")}},
					{Name: "wg0", Up: true, Kind: KindVPN, Product: "WireGuard", Addresses: []netip.Prefix{netip.MustParsePrefix("10.9.0.2/32")}},
				}, nil
			},
			gateways: func() ([]Gateway, error) {
				return []Gateway{{Address: at("192.168.1.1"), Local: at("192.168.1.60"), Interface: "eth0", InUse: true}}, nil
			},
			towards:  func(netip.Addr) netip.Addr { return at("192.168.1.60") },
			hardware: func(context.Context, netip.Addr) string { return "02:00:00:00:00:01" },
			ask: func(_ context.Context, o portmap.Options) portmap.Router {
				r := router(gives(site), gives(site), gives(site))
				r.Gateway, r.Device, r.Service, r.Status, r.Uptime = o.Gateway, "Router", "WANIPConnection:2", "Connected", time.Hour
				r.Observations = []report.Observation{{Server: "192.168.1.1:5000", Question: "GetExternalIPAddress", Answer: site}}
				return r
			},
			probe: func(_ context.Context, _, to netip.Addr, steps int) Hop {
				if steps == 1 {
					return Hop{From: to, Arrived: true}
				}
				return Hop{From: at("11.20.30.1")}
			},
		},
	}
}

// zone is a resolver that knows PTR and A records, from a name server on
// loopback.
func zone(t *testing.T, records map[string]string) *net.Resolver {
	t.Helper()
	w := &internet{}
	addr := w.serveSTUN(t, func(b []byte, _ netip.AddrPort) [][]byte {
		var m dnsmessage.Message
		if m.Unpack(b) != nil {
			return nil
		}
		q := m.Questions[0]
		answer := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, RecursionAvailable: true}, Questions: m.Questions}
		value, ok := records[q.Name.String()]
		header := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 60}
		switch {
		case !ok:
			answer.RCode = dnsmessage.RCodeNameError
		case q.Type == dnsmessage.TypePTR:
			answer.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.PTRResource{PTR: dnsmessage.MustNewName(value)}}}
		case q.Type == dnsmessage.TypeA:
			answer.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AResource{A: at(value).As4()}}}
		}
		packed, err := answer.Pack()
		if err != nil {
			t.Error(err)
		}
		return [][]byte{packed}
	})
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", addr)
	}}
}

func TestLookHealthy(t *testing.T) {
	t.Parallel()
	s, findings, err := Look(t.Context(), home(t))
	if err != nil || codes(findings) != "wan.public.found nat.single wan.address.dynamic" || report.Worst(findings) != report.StatusPass {
		t.Errorf("%v %+v", err, findings)
	}
	if s.NAT != NATSingle || s.WANAddress != at(site) || s.PublicAddress != at(site) || s.AddressKind != AddressProbablyDynamic ||
		s.ReverseName != "pool-1.dyn.isp.test" || s.Gateways[0].MAC == "" || len(s.Observations) != 1+4+2 {
		t.Errorf("%+v", s)
	}
	want := Visit{Router: "02:00:00:00:00:01", Address: at(site), Time: time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)}
	if s.Visit == nil || *s.Visit != want {
		t.Errorf("visit %+v, want %+v", s.Visit, want)
	}
	doc, err := json.Marshal(s)
	if err != nil || strings.Contains(string(doc), "null") || !strings.Contains(string(doc), `"wan_address":"`+site+`"`) {
		t.Errorf("%s, %v", doc, err)
	}
}

func TestLook(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*Options)
		codes  string
		nat    NAT
	}{
		"changed since": {
			func(o *Options) { o.Past = []Visit{{Router: "02:00:00:00:00:01", Address: at(other), Time: o.Now()}} },
			"wan.public.found nat.single wan.address.changed", NATSingle,
		},
		"proxy": {func(o *Options) { o.Proxy = "http://proxy:3128" }, "wan.public.found net.proxy nat.single wan.address.dynamic", NATSingle},
		"line down by its own word": {
			func(o *Options) {
				ask := o.ask
				o.ask = func(ctx context.Context, p portmap.Options) portmap.Router {
					r := ask(ctx, p)
					r.Status = "Disconnected"
					return r
				}
			}, "wan.public.found wan.disconnected nat.single wan.address.dynamic", NATSingle,
		},
		"VPN": {
			func(o *Options) {
				o.towards = func(netip.Addr) netip.Addr { return at("10.9.0.2") }
				o.gateways = func() ([]Gateway, error) {
					return []Gateway{{Address: at("192.168.1.1"), Local: at("192.168.1.60")}}, nil
				}
				o.ask = func(context.Context, portmap.Options) portmap.Router { return router(gives(other), silent, silent) }
			}, "wan.public.found nat.vpn", NATVPN,
		},
		"a line that this computer dials": {
			func(o *Options) {
				o.interfaces = func() ([]Interface, error) {
					return []Interface{{Name: "ppp0", Up: true, Kind: KindPPP, Addresses: []netip.Prefix{netip.MustParsePrefix(site + "/32")}}}, nil
				}
				o.gateways = func() ([]Gateway, error) { return nil, nil }
				o.towards = func(netip.Addr) netip.Addr { return at(site) }
			}, "wan.public.found nat.none wan.address.dynamic", NATNone,
		},
		"two gateways": {
			func(o *Options) {
				o.gateways = func() ([]Gateway, error) {
					return []Gateway{
						{Address: at("192.168.1.1"), Local: at("192.168.1.60"), InUse: true},
						{Address: at("192.168.2.1"), Local: at("192.168.2.60")},
					}, nil
				}
				o.ask = func(_ context.Context, p portmap.Options) portmap.Router {
					r := router(gives(other), silent, silent)
					if p.Gateway == at("192.168.2.1") {
						r = router(gives(site), silent, silent)
					}
					r.Gateway = p.Gateway
					return r
				}
			}, "net.gateway.several wan.public.found nat.lines", NATLines,
		},
		"no gateway that is told": {
			func(o *Options) {
				o.gateways = func() ([]Gateway, error) { return nil, errors.New("read the routes: denied") }
			},
			"net.unreadable wan.public.found nat.unknown wan.address.dynamic", NATUnknown,
		},
		"no Internet, but a router": {
			func(o *Options) { o.Public.Echoes, o.Public.STUN = []string{"https://down"}, []string{} },
			"wan.public.none nat.unknown", NATUnknown,
		},
		"status page": {
			func(o *Options) {
				o.RouterAddress = at("100.64.3.3")
				o.probe = func(context.Context, netip.Addr, netip.Addr, int) Hop { return Hop{} }
			},
			"wan.public.found nat.carrier", NATCarrier,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := home(t)
			tt.change(&o)
			s, findings, err := Look(t.Context(), o)
			if err != nil || codes(findings) != tt.codes || s.NAT != tt.nat {
				t.Errorf("%v: %s, NAT %s, want %s, %s\n%+v", err, codes(findings), s.NAT, tt.codes, tt.nat, findings)
			}
		})
	}
}

// TestLookNothing is for computers from which nothing is reached.
func TestLookNothing(t *testing.T) {
	t.Parallel()
	unplugged := home(t)
	unplugged.interfaces = func() ([]Interface, error) {
		return []Interface{
			{Name: "eth0", Addresses: []netip.Prefix{netip.MustParsePrefix("192.168.1.60/24")}},
			{Name: "eth1", Up: true, Addresses: []netip.Prefix{netip.MustParsePrefix("fe80::1/64")}},
		}, nil
	}
	_, _, err := Look(t.Context(), unplugged)
	if !report.HasCode(err, "net.interface.none") || report.AsError(err).Kind != report.KindNoAnswer {
		t.Errorf("unplugged: %v", err)
	}

	deaf := func() Options {
		o := home(t)
		o.Public.DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, &net.DNSError{IsTimeout: true} }
		o.ask = func(context.Context, portmap.Options) portmap.Router { return router(silent, silent, silent) }
		o.probe = func(context.Context, netip.Addr, netip.Addr, int) Hop { return Hop{} }
		o.hardware = func(context.Context, netip.Addr) string { return "" }
		return o
	}
	s, _, err := Look(t.Context(), deaf())
	if !report.HasCode(err, "net.silent") || !strings.Contains(err.Error(), "192.168.1.1 does not answer") || len(s.Observations) == 0 {
		t.Errorf("deaf: %v, %+v", err, s)
	}

	alone := deaf()
	alone.gateways = func() ([]Gateway, error) { return nil, nil }
	if _, _, err = Look(t.Context(), alone); !report.HasCode(err, "net.silent") || !strings.Contains(err.Error(), "no gateway") {
		t.Errorf("alone: %v", err)
	}

	neighbour := deaf() // the router answers to ARP and to nothing else
	neighbour.hardware = func(context.Context, netip.Addr) string { return "02:00:00:00:00:01" }
	_, findings, err := Look(t.Context(), neighbour)
	if err != nil || codes(findings) != "wan.public.none nat.unknown" {
		t.Errorf("neighbour: %v, %+v", err, findings)
	}
}

func TestLookCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	o := home(t)
	o.Timeout = time.Hour
	o.ask = func(ctx context.Context, _ portmap.Options) portmap.Router {
		cancel()
		<-ctx.Done()
		return router(silent, silent, silent)
	}
	if _, _, err := Look(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestLookBack(t *testing.T) {
	t.Parallel()
	resolver := zone(t, map[string]string{"9.9.99.11.in-addr.arpa.": "liar.test.", "liar.test.": site})
	if r := lookBack(t.Context(), resolver, at(other)); r.name != "liar.test" || r.confirmed {
		t.Errorf("a name that leads elsewhere: %+v", r)
	}
	if r := lookBack(t.Context(), resolver, at(site)); r.name != "" || r.err != nil || r.String() != "there is no reverse name" {
		t.Errorf("no name: %+v", r)
	}
	broken := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no network") }}
	if r := lookBack(t.Context(), broken, at(site)); r.err == nil {
		t.Errorf("no resolver: %+v", r)
	}
}

func TestClassify(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, description string
		hint              Kind
		pointToPoint      bool
		kind              Kind
		product           string
	}{
		{"eth0", "", KindEthernet, false, KindEthernet, ""},
		{"docker0", "", KindBridge, false, KindVirtual, "Docker"},
		{"br-0123456789ab", "", KindBridge, false, KindVirtual, "Docker"},
		{"br-lan", "", KindBridge, false, KindBridge, ""},
		{"veth12ab", "", KindEthernet, false, KindVirtual, "containers"},
		{"wg0", "", KindVPN, false, KindVPN, "WireGuard"},
		{"tun0", "", KindVPN, true, KindVPN, ""},
		{"utun3", "", "", true, KindVPN, ""},
		{"ppp0", "", KindPPP, true, KindPPP, ""},
		{"en0", "", "", false, "", ""},
		{"gif0", "", "", true, KindVPN, ""},
		{"Ethernet", "Intel(R) Ethernet Connection I219-V", KindEthernet, false, KindEthernet, ""},
		{"Ethernet 3", "TAP-Windows Adapter V9", KindEthernet, false, KindVPN, "OpenVPN"},
		{"vEthernet (WSL)", "Hyper-V Virtual Ethernet Adapter", KindEthernet, false, KindVirtual, "Hyper-V"},
		{"Wi-Fi", "Intel(R) Wi-Fi 6 AX201 160MHz", KindWiFi, false, KindWiFi, ""},
		{"Büro", "Fortinet Virtual Ethernet Adapter (NDIS 6.30)", KindEthernet, false, KindVPN, "FortiClient"},
		{"wlp3s0", "", KindWiFi, false, KindWiFi, ""},
		{"tailscale0", "", KindVPN, true, KindVPN, "Tailscale"},
	}
	for _, tt := range tests {
		kind, product := classify(tt.name, linkHint{tt.hint, tt.description}, tt.pointToPoint)
		if kind != tt.kind || product != tt.product {
			t.Errorf("classify(%s, %s) = %s %s, want %s %s", tt.name, tt.description, kind, product, tt.kind, tt.product)
		}
	}
}

// TestThisComputer only sees that looking at the system works here.
func TestThisComputer(t *testing.T) {
	t.Parallel()
	interfaces, err := Interfaces()
	if err != nil {
		t.Error(err)
	}
	if slices.ContainsFunc(interfaces, func(i Interface) bool { return i.Name == "lo" }) {
		t.Errorf("the loopback is among %+v", interfaces)
	}
	if _, err := Gateways(); errors.Is(err, exec.ErrNotFound) {
		t.Logf("no program here that tells the routes: %v", err) // as under wine
	} else if err != nil {
		t.Error(err)
	}
	if got := towards(at("127.0.0.1")); got != at("127.0.0.1") {
		t.Errorf("towards loopback: %s", got)
	}
}

func TestDiscovered(t *testing.T) {
	t.Parallel()
	ips := []net.IP{net.IPv4(192, 168, 1, 1), net.IPv4zero, net.IPv4(127, 0, 0, 1), net.IPv4(192, 168, 1, 1), net.ParseIP("fe80::1"), nil}
	list, err := discovered(ips, nil)
	if err != nil || len(list) != 2 || list[0] != at("192.168.1.1") || list[1] != at("fe80::1") {
		t.Errorf("%v, %v", list, err)
	}
	if _, err := discovered(nil, errors.New("denied")); err == nil {
		t.Error("an error is lost")
	}
}
