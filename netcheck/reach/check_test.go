package reach

import (
	"context"
	"errors"
	"io"
	"log"
	"net/netip"
	"strings"
	"testing"

	"onsite/devicecfg/zk"
	"onsite/report"
)

var quiet = log.New(io.Discard, "", 0)

// TestPairs checks a port in every state that the inside and the outside can
// have together, with real servers.
func TestPairs(t *testing.T) {
	t.Parallel()
	good := page(t, 200, "portal/1", "Portal")
	nas := page(t, 200, "nginx", "NAS")
	admin := page(t, 401, "micro_httpd", "")
	varying := page(t, 200, "portal/1", "clock")
	tls1, _ := secure(t, "portal.acme.example")
	tls2, _ := secure(t, "nas.local")
	ssh := says(t, "SSH-2.0-dropbear\r\n")
	device := clock(t, false, settings("A1", "192.168.1.1"))
	twin := clock(t, false, settings("B2", "192.168.1.1"))
	noGateway := clock(t, false, settings("A1", "0.0.0.0"))
	farGateway := clock(t, false, settings("A1", "192.168.1.254"))
	locked := clock(t, true, settings("A1", "192.168.1.1"))
	quiet := silent(t)
	key := zk.Key(7)
	clockTarget := Target{Host: "portal.acme.example", Port: 8888, Inside: "192.168.1.50:8888", Expect: KindClock}
	for _, tt := range []struct {
		name                   string
		lan, loopback, outside string
		target                 Target
		key                    *zk.Key
		code                   string
		grade                  int // -1: none
	}{
		{"http", good, Timeout, good, portal, nil, "port.works", 2},
		{"https", tls1, tls1, tls1, portal, nil, "port.works", 2},
		{"clock", device, device, device, clockTarget, nil, "port.works", 2},
		{"clock with key in the LAN, loop-back proves where", locked, locked, locked, clockTarget, &key, "port.works", 2},
		{"clock with key in the LAN, no loop-back", locked, Timeout, locked, clockTarget, &key, "port.outside.alike", -1},
		{"clock with a key that nobody gave", locked, locked, locked, clockTarget, nil, "port.outside.alike", -1},
		{"page that changes", varying, varying, varying, portal, nil, "port.outside.alike", -1},
		{"same banner", ssh, ssh, ssh, portal, nil, "port.outside.alike", -1},
		{"no gateway, but the router hides the outside address", noGateway, noGateway, noGateway, clockTarget, nil, "port.works", 2},

		{"wrong host, http", good, nas, nas, portal, nil, "port.outside.other", -1},
		{"wrong host, https", tls1, tls2, tls2, portal, nil, "port.outside.other", -1},
		{"wrong host, another clock", device, twin, twin, clockTarget, nil, "port.outside.other", -1},
		{"wrong host, another protocol", device, ssh, ssh, clockTarget, nil, "port.outside.other", -1},
		{"wrong host, the loop-back is right", good, good, nas, portal, nil, "port.outside.other", 1},
		{"the router's own page", good, admin, admin, portal, nil, "port.outside.router", -1},
		{"the router's own page only inside", good, admin, good, portal, nil, "port.works", 2},
		{"found here, another outside", good, Timeout, nas, Target{Host: portal.Host, Port: 8888, Inside: portal.Inside, Found: true}, nil, "port.outside.unsure", -1},
		{"mute outside", good, Timeout, quiet, portal, nil, "port.outside.mute", -1},

		{"wrong port", good, Timeout, Refused, portal, nil, "port.outside.refused", -1},
		{"dead host", good, Timeout, Unreachable, portal, nil, "port.outside.unreachable", -1},
		{"silence", good, Timeout, Timeout, portal, nil, "port.outside.timeout", -1},
		{"silence with a right rule", good, good, Timeout, portal, nil, "port.filtered", 1},
		{"clock without gateway", noGateway, noGateway, Timeout, clockTarget, nil, "port.clock.gateway", 1},
		{"clock with a wrong gateway", farGateway, farGateway, Timeout, clockTarget, nil, "port.clock.gateway", 1},

		{"service down", Refused, Refused, Refused, portal, nil, "port.lan.refused", -1},
		{"service down, wrong host", Refused, nas, nas, portal, nil, "port.lan.refused", -1},
		{"device off", Unreachable, Unreachable, Unreachable, portal, nil, "port.lan.unreachable", -1},
		{"device off, something outside", Unreachable, Timeout, nas, portal, nil, "port.outside.unsure", -1},
		{"device drops", Timeout, Timeout, Timeout, portal, nil, "port.lan.timeout", -1},
		{"service hangs", quiet, quiet, quiet, portal, nil, "port.lan.mute", -1},
		{"SSH in place of a clock", ssh, ssh, ssh, clockTarget, nil, "port.lan.foreign", -1},
		{"HTTP in place of HTTPS", good, good, good, Target{Host: portal.Host, Port: 8888, Inside: portal.Inside, Expect: KindHTTPS}, nil, "port.lan.foreign", -1},

		{"nobody outside, loop-back right", good, good, "none", portal, nil, "port.loopback.only", 1},
		{"nobody outside, loop-back silent", good, Timeout, "none", portal, nil, "port.outside.unknown", -1},
		{"nobody outside, loop-back refused", good, Refused, "none", portal, nil, "port.outside.unknown", -1},
		{"nobody outside, the router answers the loop-back", good, admin, "none", portal, nil, "port.loopback.router", -1},
		{"nobody outside, another answers the loop-back", good, nas, "none", portal, nil, "port.loopback.other", -1},
		{"nobody outside, service down", Refused, Refused, "none", portal, nil, "port.lan.refused", -1},

		{"nothing known inside, http", "", Timeout, good, Target{Host: portal.Host, Port: 8888}, nil, "port.outside.something", -1},
		{"nothing known inside, silence", "", Timeout, Timeout, Target{Host: portal.Host, Port: 8888}, nil, "port.outside.timeout", -1},
		{"nothing known inside, refused", "", Timeout, Refused, Target{Host: portal.Host, Port: 8888}, nil, "port.outside.refused", -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(map[string]string{"192.168.1.50:8888": tt.lan, "203.0.113.10:8888": tt.loopback, "outside:8888": tt.outside})
			o := options(w, tt.target)
			o.Key = tt.key
			if tt.outside != "none" {
				o.Vantages = outside(w)
			}
			p, f := verdict(t, o)
			grade := -1
			if p.Grade != nil {
				grade = *p.Grade
			}
			if p.Code != tt.code || grade != tt.grade || p.Verdict != f.Status {
				t.Errorf("verdict %s (%s), grade %d, want %s, grade %d\n%s", p.Code, p.Verdict, grade, tt.code, tt.grade, f.Detail)
			}
			if f.Status != report.StatusPass && f.Remedy == "" {
				t.Error("it does not say what to do")
			}
		})
	}
}

// A clock that speaks UDP only is none that is down, and what TCP shows outside
// says nothing of it.
func TestUDPOnly(t *testing.T) {
	t.Parallel()
	for _, outcome := range []string{Refused, Timeout} {
		w := newWorld(map[string]string{
			"192.168.1.50:8888": Refused, "udp 192.168.1.50:8888": oldClock(t, settings("A1", "192.168.1.1")),
			"203.0.113.10:8888": outcome, "outside:8888": outcome,
		})
		o := options(w, Target{Host: "portal.acme.example", Port: 8888, Inside: "192.168.1.50:8888", Expect: KindClock})
		o.Vantages = outside(w)
		p, f := verdict(t, o)
		if p.Code != "port.clock.udp" || f.Status != report.StatusUnknown || p.LAN.Identity.Serial != "A1" || p.LAN.Network != "udp" {
			t.Errorf("outside %s: %s, %+v\n%s", outcome, f.Code, p.LAN, f.Detail)
		}
	}
}

// The comm key goes to the address that was confirmed, and not to one that a
// reflector makes up.
func TestKeyGoesToConfirmedAddressOnly(t *testing.T) {
	t.Parallel()
	key := zk.Key(1234)
	for _, confirmed := range []bool{true, false} {
		locked := clock(t, true, settings("A1", "192.168.1.1"))
		w := newWorld(map[string]string{"192.168.1.50:8888": locked, "203.0.113.10:8888": locked, "outside:8888": locked})
		o := options(w, Target{Host: "portal.acme.example", Port: 8888, Inside: "192.168.1.50:8888", Expect: KindClock})
		o.Vantages, o.Key = outside(w), &key
		if !confirmed {
			o.Public = netip.Addr{}
		}
		p, _ := verdict(t, o)
		if p.LAN.Identity.Locked || p.Loopback.Identity.Locked == confirmed || p.Loopback.To != "203.0.113.10:8888" {
			t.Errorf("confirmed %t: in the LAN %+v, over the loop-back %+v", confirmed, p.LAN, p.Loopback)
		}
	}
}

// A certificate that is valid for the name proves who answers, though nobody said
// where that is in the LAN.
func TestValidCertificateIsProof(t *testing.T) {
	t.Parallel()
	addr, roots := secure(t, "portal.acme.example")
	w := newWorld(map[string]string{"203.0.113.10:4444": Timeout, "outside:4444": addr})
	o := options(w, Target{Host: "portal.acme.example", Port: 4444})
	o.Vantages, o.Roots = outside(w), roots
	if p, f := verdict(t, o); p.Code != "port.works" || *p.Grade != 2 {
		t.Errorf("%+v", f)
	}
	o = options(w, Target{Host: "other.acme.example", Port: 4444})
	o.Vantages, o.Roots = outside(w), roots
	if p, f := verdict(t, o); p.Code != "port.outside.something" || p.Grade != nil {
		t.Errorf("for another name: %+v", f)
	}
}

// From another network altogether, the look from here is one from outside.
func TestFromAway(t *testing.T) {
	t.Parallel()
	addr, roots := secure(t, "portal.acme.example")
	w := newWorld(map[string]string{"11.20.30.20:4444": addr, "11.20.30.20:8888": page(t, 200, "portal/1", "Portal")})
	for port, code := range map[int]string{4444: "port.works", 8888: "port.outside.something", 4500: "port.outside.refused"} {
		o := options(w, Target{Host: "portal.acme.example", Port: port})
		o.Roots = roots
		o.Resolve = func(context.Context, string) Names {
			return Names{Addrs: []netip.Addr{netip.MustParseAddr("11.20.30.20")}, How: "says a test"}
		}
		if p, f := verdict(t, o); p.Code != code || len(p.Outside) != 1 || p.Loopback.Outcome != "" {
			t.Errorf("port %d: %+v", port, f)
		}
	}
}

// TestSiblings checks what other ports tell of one that is silent.
func TestSiblings(t *testing.T) {
	t.Parallel()
	good := page(t, 200, "portal/1", "Portal")
	device := clock(t, false, settings("A1", "192.168.1.1"))
	second := Target{Host: "portal.acme.example", Port: 4444, Inside: "192.168.1.50:4444"}
	third := Target{Host: "portal.acme.example", Port: 4500, Inside: "192.168.1.200:4370"}
	for _, tt := range []struct {
		name     string
		world    map[string]string // beside the portal in the LAN and its silence outside
		targets  []Target
		siblings []int
		code     string
	}{
		{"all silent", map[string]string{"outside:4444": Timeout}, []Target{second}, nil, "port.outside.silent"},
		{"all silent, right rule", map[string]string{"outside:4444": Timeout, "203.0.113.10:8888": good}, []Target{second}, nil, "port.outside.silent"},
		{"same host open", map[string]string{"outside:4444": good, "192.168.1.50:4444": good}, []Target{second}, nil, "port.rule.silent"},
		{"same host open, right rule", map[string]string{"outside:4444": good, "192.168.1.50:4444": good, "203.0.113.10:8888": good}, []Target{second}, nil, "port.filtered"},
		{"other host open", map[string]string{"outside:4500": device, "192.168.1.200:4370": device}, []Target{third}, nil, "port.rule.silent"},
		{"other host open, right rule", map[string]string{"outside:4500": device, "192.168.1.200:4370": device, "203.0.113.10:8888": good}, []Target{third}, nil, "port.filtered"},
		{
			"other host open, and the loop-back knows that one only",
			map[string]string{"outside:4500": device, "192.168.1.200:4370": device, "203.0.113.10:4500": device},
			[]Target{third},
			nil,
			"port.rule.missing",
		},
		{"a sibling that nobody named", map[string]string{"outside:4500": Refused}, nil, []int{4500}, "port.rule.silent"},
		{"siblings that nobody named are silent", map[string]string{"outside:4500": Timeout}, nil, []int{4500, 8888}, "port.outside.silent"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(map[string]string{"192.168.1.50:8888": good, "outside:8888": Timeout})
			for k, v := range tt.world {
				w.set(k, v)
			}
			o := options(w, append([]Target{portal}, tt.targets...)...)
			o.Vantages = outside(w)
			if tt.siblings != nil {
				o.Siblings = tt.siblings
			}
			if p, f := verdict(t, o); p.Code != tt.code {
				t.Errorf("%s, want %s: %s", p.Code, tt.code, f.Detail)
			}
		})
	}
}

func TestNAT(t *testing.T) {
	t.Parallel()
	good := page(t, 200, "portal/1", "Portal")
	for nat, code := range map[string]string{"carrier": "port.nat.carrier", "double": "port.nat.double", "private": "port.nat.private", "single": "port.outside.timeout"} {
		w := newWorld(map[string]string{"192.168.1.50:8888": good, "outside:8888": Timeout})
		o := options(w, portal)
		o.Vantages = outside(w)
		o.NAT = report.Evidence{{Name: "nat", Value: nat, How: "the router says so"}}
		if p, f := verdict(t, o); p.Code != code || nat != "single" && !strings.Contains(f.Detail, "the router says so") {
			t.Errorf("%s: %s: %s", nat, p.Code, f.Detail)
		}
	}
}

// Vantages that contradict each other prove nothing.
func TestVantagesContradict(t *testing.T) {
	t.Parallel()
	good := page(t, 200, "portal/1", "Portal")
	w := newWorld(map[string]string{"192.168.1.50:8888": good, "outside:8888": good})
	liar := newWorld(map[string]string{"outside:8888": Timeout})
	o := options(w, portal)
	o.Vantages = append(outside(w), &vantageIn{world: liar, name: "https://two.example", seen: public})
	if p, f := verdict(t, o); f.Status != report.StatusUnknown || p.Grade != nil || !strings.Contains(f.Detail, "contradict") {
		t.Errorf("%+v", f)
	}
	// One that cannot be asked takes nothing away from the other.
	o.Vantages = append(outside(w), &vantageIn{world: liar, name: "https://two.example", err: errors.New("no answer")})
	r, findings, err := Check(t.Context(), o)
	if err != nil || r.Ports[0].Code != "port.works" || findings[0].Code != "port.vantage.silent" {
		t.Errorf("%v %+v", err, findings)
	}
}

// The kernel's table proves that a page came from this computer.
func TestSocketTable(t *testing.T) {
	t.Parallel()
	varying := page(t, 200, "portal/1", "clock")
	w := newWorld(map[string]string{varying: varying, "outside:8888": varying})
	o := options(w, Target{Host: "portal.acme.example", Port: 8888, Inside: varying})
	o.Vantages = outside(w)
	o.Sockets = Sockets
	if _, err := Sockets(); errors.Is(err, errors.ErrUnsupported) {
		t.Skip("this system does not tell its sockets")
	}
	if p, f := verdict(t, o); p.Code != "port.works" {
		t.Errorf("%+v", f)
	}
}

func TestLoopbackOnly(t *testing.T) {
	t.Parallel()
	own := ownAddress(t)
	good := page(t, 200, "portal/1", "Portal")
	_, port, _ := strings.Cut(good, ":")
	w := newWorld(map[string]string{"127.0.0.1:" + port: good, "outside:8888": Refused})
	o := options(w, Target{Host: "portal.acme.example", Port: 8888, Inside: own.String() + ":" + port})
	o.Vantages = outside(w)
	if p, f := verdict(t, o); p.Code != "port.lan.local" {
		t.Errorf("%+v", f)
	}
}

func ownAddress(t *testing.T) netip.Addr {
	t.Helper()
	for _, p := range localPrefixes() {
		if !p.Addr().Is4() || p.Addr().IsLoopback() {
			continue
		}
		for a := p.Addr(); p.Contains(a) && p.Bits() >= 16; a = a.Next() {
			if isLocal(a) {
				return a
			}
		}
	}
	t.Skip("this computer has no address but loopback")
	return netip.Addr{}
}

func TestNames(t *testing.T) {
	t.Parallel()
	good := page(t, 200, "portal/1", "Portal")
	addr := func(list ...string) (all []netip.Addr) {
		for _, s := range list {
			all = append(all, netip.MustParseAddr(s))
		}
		return all
	}
	for _, tt := range []struct {
		name  string
		host  string
		names Names
		code  string
	}{
		{"right", "portal.acme.example", Names{Addrs: addr("203.0.113.10")}, "port.name.right"},
		{"stale", "portal.acme.example", Names{Addrs: addr("203.0.113.99")}, "port.name.elsewhere"},
		{"private", "portal.acme.example", Names{Addrs: addr("192.168.1.50")}, "port.name.elsewhere"},
		{"several", "portal.acme.example", Names{Addrs: addr("203.0.113.10", "203.0.113.99")}, "port.name.several"},
		{"missing", "portal.acme.example", Names{Missing: true, How: "NXDOMAIN"}, "port.name.missing"},
		{"unknown", "portal.acme.example", Names{How: "no answer"}, "port.name.unknown"},
		{"address of the site", "203.0.113.10", Names{}, ""},
		{"another address", "203.0.113.99", Names{}, "port.name.elsewhere"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(map[string]string{"192.168.1.50:8888": good, "outside:8888": good})
			o := options(w, Target{Host: tt.host, Port: 8888, Inside: "192.168.1.50:8888"})
			o.Vantages = outside(w)
			o.Resolve = func(context.Context, string) Names { return tt.names }
			_, findings, err := Check(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			code := ""
			if len(findings) > 1 {
				code = findings[1].Code
			}
			if findings[0].Code != "port.works" || code != tt.code {
				t.Errorf("%+v, want %s", findings, tt.code)
			}
		})
	}
}

func TestNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(map[string]string{"192.168.1.50:8888": Unreachable, "192.168.1.1:80": Unreachable, "192.168.1.1:443": Unreachable})
	o := options(w, portal)
	o.Public = netip.Addr{}
	o.Vantages = []Vantage{&vantageIn{world: w, name: "https://reflector.example", err: errors.New("no network")}}
	if _, _, err := Check(t.Context(), o); !report.HasCode(err, "port.nothing") || report.AsError(err).Kind != report.KindNoAnswer {
		t.Errorf("%v", err)
	}
}

func TestProcNet(t *testing.T) {
	t.Parallel()
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 3201A8C0:22B8 0B00350B:C80B 01 00000000:00000000 00:00000000 00000000     0        0 1 1
   1: 00000000:22B8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1
   2: 3201A8C0:22B8 0B00350B:C80C 06 00000000:00000000 00:00000000 00000000     0        0 1 1
   3: 0000000000000000FFFF00003201A8C0:115C 0000000000000000FFFF00000B00350B:0050 01 0 0
   4: garbage
   5: XX:22B8 00000000:0000 0A
`
	list := parseProcNet(strings.NewReader(table))
	want := []Socket{
		{netip.MustParseAddrPort("192.168.1.50:8888"), netip.MustParseAddrPort("11.53.0.11:51211"), true, false},
		{netip.MustParseAddrPort("0.0.0.0:8888"), netip.MustParseAddrPort("0.0.0.0:0"), false, true},
		{netip.MustParseAddrPort("192.168.1.50:4444"), netip.MustParseAddrPort("11.53.0.11:80"), true, false},
	}
	if len(list) != len(want) {
		t.Fatalf("%+v", list)
	}
	for i := range want {
		if list[i] != want[i] {
			t.Errorf("%d: %+v, want %+v", i, list[i], want[i])
		}
	}
}
