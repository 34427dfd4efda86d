package reach

import (
	"net/netip"
	"testing"

	"onsite/devicecfg/zk"
	"onsite/report"
)

var away = netip.MustParseAddr("198.51.100.77")

// The laptop looks at everything in the LAN, then moves to the hotspot.
func TestHotspot(t *testing.T) {
	t.Parallel()
	tls1, _ := secure(t, "portal.acme.example")
	tls2, _ := secure(t, "nas.local")
	locked := clock(t, true, settings("A1", "192.168.1.1"))
	key := zk.Key(7)
	targets := []Target{
		{Host: "portal.acme.example", Port: 4444, Inside: "192.168.1.50:4444", Expect: KindHTTPS},
		{Host: "portal.acme.example", Port: 4500, Inside: "192.168.1.200:4370", Expect: KindClock},
	}
	lan := newWorld(map[string]string{"192.168.1.50:4444": tls1, "192.168.1.200:4370": locked, "203.0.113.10:4444": Timeout, "203.0.113.10:4500": Timeout})
	o := options(lan, targets...)
	o.Key = &key
	plan, _, findings, err := MakePlan(t.Context(), o)
	if err != nil || len(findings) != 2 || findings[0].Code != "port.plan.pending" || findings[0].Status != report.StatusUnknown {
		t.Fatalf("%v: %+v", err, findings)
	}
	data, err := plan.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if plan, err = DecodePlan(data); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		world  map[string]string
		public netip.Addr
		key    *zk.Key
		codes  []string
	}{
		{"works", map[string]string{"203.0.113.10:4444": tls1, "203.0.113.10:4500": locked}, away, &key, []string{"port.works", "port.works"}},
		{"works, no key", map[string]string{"203.0.113.10:4444": tls1, "203.0.113.10:4500": locked}, away, nil, []string{"port.works", "port.outside.alike"}},
		{"wrong host", map[string]string{"203.0.113.10:4444": tls2, "203.0.113.10:4500": Refused}, away, &key, []string{"port.outside.other", "port.outside.refused"}},
		{"still in the LAN", map[string]string{"203.0.113.10:4444": tls1}, public, nil, []string{"port.resume.inside"}},
		{"the cable is in", map[string]string{"192.168.1.50:4444": tls1, "203.0.113.10:4444": tls1}, away, nil, []string{"port.resume.inside"}},
		{"no Internet", nil, netip.Addr{}, nil, []string{"port.resume.unsure"}},
		{"the hotspot has the same network", map[string]string{"192.168.1.50:4444": tls2, "203.0.113.10:4444": tls1, "203.0.113.10:4500": Timeout}, away, nil, []string{"port.works", "port.rule.silent"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := options(newWorld(tt.world))
			o.Public, o.Key = tt.public, tt.key
			_, findings, err := Resume(t.Context(), plan, o)
			if err != nil {
				t.Fatal(err)
			}
			var codes []string
			for _, f := range findings {
				codes = append(codes, f.Code)
			}
			if len(codes) != len(tt.codes) {
				t.Fatalf("%+v", findings)
			}
			for i := range codes {
				if codes[i] != tt.codes[i] {
					t.Errorf("%s, want %s: %+v", codes[i], tt.codes[i], findings)
				}
			}
		})
	}
}

// A plan keeps what is wrong in the LAN already.
func TestPlanOfTrouble(t *testing.T) {
	t.Parallel()
	_, _, findings, err := MakePlan(t.Context(), options(newWorld(nil), portal))
	if err != nil || findings[0].Code != "port.lan.refused" {
		t.Errorf("%v %+v", err, findings)
	}
}

func FuzzDecodePlan(f *testing.F) {
	good, err := Plan{Format: planFormat, Public: public, Targets: []PlannedPort{{Host: "a", Port: 1, LAN: Look{Identity: Identity{Kind: KindHTTP}}}}}.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"format":"onsite-port-plan/1","public":"","targets":[]}`))
	f.Add([]byte(`{"format":"onsite-port-plan/2"}{}`))
	f.Add([]byte("\xff\xfe"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := DecodePlan(data)
		if err != nil {
			if !report.HasCode(err, "port.plan.damaged") {
				t.Fatal(err)
			}
			return
		}
		again, err := p.Encode()
		if err != nil {
			t.Fatal(err)
		}
		q, err := DecodePlan(again)
		if err != nil {
			if len(again) > MaxPlan { // written again it may be longer
				return
			}
			t.Fatalf("%s: %v", again, err)
		}
		if twice, _ := q.Encode(); string(twice) != string(again) {
			t.Fatalf("%s became %s", again, twice)
		}
	})
}

// How the inside address was found is known on the hotspot, too.
func TestPlanTellsHowInsideWasFound(t *testing.T) {
	t.Parallel()
	page := page(t, 200, "portal/1", "Portal")
	found := portal
	found.Found, found.Listed = true, "8888/tcp -> 192.168.1.50:8888"
	plan, _, _, err := MakePlan(t.Context(), options(newWorld(map[string]string{"192.168.1.50:8888": page}), found))
	if err != nil {
		t.Fatal(err)
	}
	data, err := plan.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if plan, err = DecodePlan(data); err != nil {
		t.Fatal(err)
	}
	o := options(newWorld(map[string]string{"203.0.113.10:8888": page}))
	o.Public = away
	r, _, err := Resume(t.Context(), plan, o)
	if err != nil || !r.Ports[0].InsideFound || r.Ports[0].Listed != found.Listed {
		t.Errorf("%v: %+v", err, r.Ports)
	}
}
