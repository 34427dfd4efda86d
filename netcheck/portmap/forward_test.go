package portmap

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"onsite/netcheck/portmap/portmaptest"
	"onsite/report"
)

func codes(list []report.Finding) string {
	var c []string
	for _, f := range list {
		c = append(c, f.Code)
	}
	return strings.Join(c, " ")
}

// TestForward makes and removes a forwarding on routers of every kind.
func TestForward(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		router  func(*portmaptest.Router)
		change  func(*Request)
		plan    string // codes
		method  Method // that made it; "": none did
		applied string // codes
		lease   time.Duration
	}{
		{name: "plain", method: UPnP, applied: "forward.added", lease: time.Hour},
		{name: "UDP", change: func(q *Request) { q.Protocol = "udp" }, method: UPnP, applied: "forward.added", lease: time.Hour},
		{name: "PPP", router: func(f *portmaptest.Router) { f.Service = "WANPPPConnection:1" }, method: UPnP, applied: "forward.added", lease: time.Hour},
		{name: "IGDv2", router: func(f *portmaptest.Router) { f.Service = "WANIPConnection:2" }, method: UPnP, applied: "forward.added", lease: time.Hour},
		{name: "disconnected", router: func(f *portmaptest.Router) { f.Quirk = "disconnected" }, plan: "forward.router.offline", method: UPnP, applied: "forward.added", lease: time.Hour},
		{name: "private-wan", router: func(f *portmaptest.Router) { f.WAN = "192.168.0.20" }, plan: "forward.router.private", method: UPnP, applied: "forward.added", lease: time.Hour},
		{name: "carrier", router: func(f *portmaptest.Router) { f.WAN = "100.64.10.20" }, plan: "forward.router.carrier", method: UPnP, applied: "forward.added", lease: time.Hour},
		{name: "zero-ip", router: func(f *portmaptest.Router) { f.WAN, f.NoPMP = "0.0.0.0", true }, plan: "forward.router.no-address", method: UPnP, applied: "forward.added", lease: time.Hour},
		{name: "empty-ip", router: func(f *portmaptest.Router) { f.WAN, f.NoPMP = "-", true }, plan: "forward.router.no-address", method: UPnP, applied: "forward.added", lease: time.Hour},
		{name: "permanent-only", router: func(f *portmaptest.Router) { f.Quirk = "permanent-only" }, method: UPnP, applied: "forward.added forward.stays"},
		{name: "permanent by 402", router: func(f *portmaptest.Router) { f.Quirk = "permanent-402" }, method: UPnP, applied: "forward.added forward.stays"},
		{name: "for good", change: func(q *Request) { q.Lease = 0 }, method: UPnP, applied: "forward.added"},
		{name: "a clock", change: func(q *Request) { q.Internal = ClockPort }, plan: "forward.clock.exposed", method: UPnP, applied: "forward.added", lease: time.Hour},
		{name: "same-port", router: func(f *portmaptest.Router) { f.Quirk, f.NoPMP = "same-port", true }, change: func(q *Request) { q.Internal = 8889 }, applied: "forward.port.same"},
		{name: "same-port, and PCP can", router: func(f *portmaptest.Router) { f.Quirk = "same-port" }, change: func(q *Request) { q.Internal = 8889 }, method: PCP, applied: "forward.added", lease: time.Hour},
		{name: "conflict", router: func(f *portmaptest.Router) { f.Quirk = "conflict" }, applied: "forward.port.taken"},
		{name: "other-mechanism", router: func(f *portmaptest.Router) { f.Quirk = "other-mechanism" }, applied: "forward.rule.typed"},
		{name: "denied by all", router: func(f *portmaptest.Router) { f.Quirk, f.PCPCode, f.NATPMPCode = "606", 2, 2 }, applied: "forward.denied"},
		{
			name: "501 and a private address", router: func(f *portmaptest.Router) { f.Quirk, f.PCPCode, f.NATPMPCode, f.WAN = "501", 8, 3, "192.168.0.20" },
			plan: "forward.router.private", applied: "forward.router.no-address",
		},
		{name: "full", router: func(f *portmaptest.Router) { f.Quirk, f.NoPMP = "728", true }, applied: "forward.full"},
		{name: "unknown code", router: func(f *portmaptest.Router) { f.Quirk, f.NoPMP = "899", true }, applied: "forward.refused"},
		{name: "invalid action, then PCP", router: func(f *portmaptest.Router) { f.Quirk = "401" }, method: PCP, applied: "forward.added", lease: time.Hour},
		{name: "NAT-PMP only", router: func(f *portmaptest.Router) { f.NoUPnP, f.NATPMPOnly = true, true }, method: NATPMP, applied: "forward.added", lease: time.Hour},
		{name: "PCP only", router: func(f *portmaptest.Router) { f.NoUPnP, f.PCPOnly = true, true }, method: PCP, applied: "forward.added", lease: time.Hour},
		{name: "NAT-PMP gives another port", router: func(f *portmaptest.Router) { f.NoUPnP, f.NATPMPOnly, f.Assign = true, true, 9999 }, applied: "forward.port.other"},
		{name: "chosen PCP", change: func(q *Request) { q.Method = PCP }, method: PCP, applied: "forward.added", lease: time.Hour},
		{name: "chosen NAT-PMP", change: func(q *Request) { q.Method = NATPMP }, method: NATPMP, applied: "forward.added", lease: time.Hour},
		{name: "another host, secure", router: func(f *portmaptest.Router) { f.NoPMP = true }, change: otherHost, applied: "forward.host.other"},
		{name: "another host, self-only", router: func(f *portmaptest.Router) { f.Quirk, f.NoPMP = "self-only", true }, change: otherHost, applied: "forward.host.other"},
		{name: "another host, both refuse", change: otherHost, applied: "forward.host.other"},
		{name: "another host, not secure", router: func(f *portmaptest.Router) { f.Open = true }, change: otherHost, method: UPnP, applied: "forward.added", lease: time.Hour},
		{name: "another host by PCP", router: func(f *portmaptest.Router) { f.ThirdParty = true }, change: otherHost, method: PCP, applied: "forward.added", lease: time.Hour},
		{name: "another host, NAT-PMP only", router: func(f *portmaptest.Router) { f.NoUPnP, f.NATPMPOnly = true, true }, change: otherHost, plan: "forward.host.other"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, o := start(t, tt.router)
			o.Memory = &Memory{Dir: filepath.Join(t.TempDir(), "onsite")}
			r := Ask(t.Context(), o)
			q := Request{Protocol: "tcp", External: 8888, Lease: time.Hour, Site: "Acme"}
			if tt.change != nil {
				tt.change(&q)
			}
			p, findings, err := r.Plan(t.Context(), q)
			if err != nil || codes(findings) != tt.plan {
				t.Fatalf("Plan: %q, %v, want %q", codes(findings), err, tt.plan)
			}
			applied := p.Apply(t.Context())
			if codes(applied) != tt.applied && len(p.Methods) > 0 {
				t.Errorf("Apply: %+v, want %s", applied, tt.applied)
			}
			if tt.method == "" {
				if p.Made != nil || f.Count() > 0 && f.Assign == 0 || f.Assign == 0 && len(o.Memory.load()) > 0 {
					t.Errorf("it was made all the same: %v, %v", p.Made, f.Count())
				}
				return
			}
			if p.Made == nil || p.Made.Method != tt.method || p.Made.Lease != tt.lease {
				t.Fatalf("Made = %+v, want %s, lease %s", p.Made, tt.method, tt.lease)
			}
			if m, ok := f.Get(q.Protocol, 8888); !ok || m.Host != p.After.Host || m.Port != int(p.After.Internal) {
				t.Errorf("the router has %+v, %v", m, ok)
			}
			list, _, err := r.List(t.Context())
			if err != nil || len(list.Forwardings) != 1 || !list.Forwardings[0].Ours || list.Forwardings[0].Method != tt.method {
				t.Errorf("List = %+v, %v", list, err)
			}
			// A later run knows it again.
			again := Ask(t.Context(), o)
			found, err := again.Find(t.Context(), "", 8888)
			if err != nil || len(found) != 1 {
				t.Fatalf("Find = %+v, %v", found, err)
			}
			if got := again.Remove(t.Context(), found[0]); got.Code != "forward.removed" || f.Count() > 0 {
				t.Errorf("Remove: %+v; left: %v", got, f.Count())
			}
			if left := o.Memory.load(); len(left) > 0 {
				t.Errorf("still written down: %+v", left)
			}
			if f.Did("AddAnyPortMapping") > 0 {
				t.Error("AddAnyPortMapping was sent")
			}
		})
	}
}

func otherHost(q *Request) { q.Host = netip.MustParseAddr("192.168.1.200") }

// TestForwardTaken: what is there decides before anything is asked for.
func TestForwardTaken(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		there portmaptest.Mapping
		codes string
		made  bool
	}{
		{"somebody else's", portmaptest.Mapping{Host: "192.168.1.7", Port: 80, Description: "Xbox"}, "forward.port.taken", false},
		{"somebody else's, and as wanted", portmaptest.Mapping{Host: "127.0.0.1", Port: 8888, Description: "portal"}, "forward.there", false},
		{"ours", portmaptest.Mapping{Host: "127.0.0.1", Port: 8888, Description: "onsite Acme 8888", Lease: 60}, "", true},
		{"ours, for another host", portmaptest.Mapping{Host: "192.168.1.7", Port: 8888, Description: "onsite 8888"}, "", true},
		{"ours by its look, with another port", portmaptest.Mapping{Host: "192.168.1.7", Port: 8888, Description: "onsite Acme 8889"}, "forward.port.taken", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, o := start(t, func(f *portmaptest.Router) { f.Put("tcp", 8888, tt.there) })
			r := Ask(t.Context(), o)
			p, findings, err := r.Plan(t.Context(), Request{Protocol: "tcp", External: 8888, Lease: time.Hour})
			if err != nil || codes(findings) != tt.codes || p.Before == nil {
				t.Fatalf("Plan: %+v, %v, want %s", findings, err, tt.codes)
			}
			if tt.codes == "forward.port.taken" && (!strings.Contains(findings[0].Detail, "192.168.1.7:") || !strings.Contains(findings[0].Detail, tt.there.Description)) {
				t.Errorf("the finding does not say who: %s", findings[0].Detail)
			}
			if !tt.made {
				if got := r.Remove(t.Context(), *p.Before); got.Code != "forward.foreign" || f.Did("DeletePortMapping") > 0 {
					t.Errorf("Remove: %+v", got)
				}
				return
			}
			if got := p.Apply(t.Context()); codes(got) != "forward.added" {
				t.Errorf("Apply: %+v", got)
			}
			if m, _ := f.Get("tcp", 8888); m.Host != "127.0.0.1" || m.Lease != 3600 {
				t.Errorf("the router has %+v", m)
			}
		})
	}
}

// TestForwardRestored: what was ours and made room comes back when the new one
// is refused.
func TestForwardRestored(t *testing.T) {
	t.Parallel()
	f, o := start(t, func(f *portmaptest.Router) {
		f.Put("tcp", 8888, portmaptest.Mapping{Host: "127.0.0.1", Port: 8888, Description: "onsite 8888"})
		f.NoPMP = true
	})
	r := Ask(t.Context(), o)
	p, _, err := r.Plan(t.Context(), Request{Protocol: "tcp", External: 8888, Host: netip.MustParseAddr("192.168.1.200"), Lease: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	got := p.Apply(t.Context())
	if m, ok := f.Get("tcp", 8888); codes(got) != "forward.host.other" || !ok || m.Host != "127.0.0.1" {
		t.Errorf("Apply: %+v; the router has %+v, %v", got, m, ok)
	}
}

func TestPlanRefuses(t *testing.T) {
	t.Parallel()
	f, o := start(t, nil)
	r := Ask(t.Context(), o)
	_, silent := start(t, func(f *portmaptest.Router) { f.NoUPnP, f.NoPMP = true, true })
	nobody := Ask(t.Context(), silent)
	for _, tt := range []struct {
		name   string
		router *Router
		change func(*Request)
		code   string
		kind   report.Kind
	}{
		{"port 0", &r, func(q *Request) { q.External = 0 }, "usage", report.KindUsage},
		{"low port", &r, func(q *Request) { q.External = 443 }, "forward.port.low", report.KindRefused},
		{"protocol", &r, func(q *Request) { q.Protocol = "icmp" }, "usage", report.KindUsage},
		{"public host", &r, func(q *Request) { q.Host = netip.MustParseAddr("8.8.8.8") }, "usage", report.KindUsage},
		{"the router itself", &r, func(q *Request) { q.Host = netip.MustParseAddr("127.0.0.1") }, "usage", report.KindUsage},
		{"IPv6", &r, func(q *Request) { q.Host = netip.MustParseAddr("fd00::1") }, "usage", report.KindUsage},
		{"lease", &r, func(q *Request) { q.Lease = 10000 * time.Hour }, "usage", report.KindUsage},
		{"method", &r, func(q *Request) { q.Method = "magic" }, "usage", report.KindUsage},
		{"no lease with PCP", &r, func(q *Request) { q.Method, q.Lease = PCP, 0 }, "usage", report.KindUsage},
		{"nobody", &nobody, func(*Request) {}, "forward.router.silent", report.KindNoAnswer},
	} {
		q := Request{Protocol: "tcp", External: 8888, Lease: time.Hour}
		tt.change(&q)
		_, _, err := tt.router.Plan(t.Context(), q)
		if e := report.AsError(err); err == nil || e.Code != tt.code || e.Kind != tt.kind {
			t.Errorf("%s: Plan = %v", tt.name, err)
		}
	}
	if f.Count() > 0 {
		t.Error("something was made")
	}
}

// TestRefusals walks through every line of the table, and through every code.
func TestRefusals(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for method, names := range map[Method]map[int]string{UPnP: upnpCodes, PCP: pcpCodes, NATPMP: natpmpCodes} {
		for code := range names {
			for _, wan := range []string{"", "11.20.30.20", "192.168.0.20", "100.64.10.20"} {
				for _, host := range []string{"127.0.0.1", "192.168.1.200"} {
					for _, holder := range []*Forwarding{nil, {Host: "192.168.1.7", Internal: 80, Description: "Xbox"}} {
						r := &Router{o: Options{Local: loopback}}
						r.UPnP.External, _ = netip.ParseAddr(wan)
						f := r.refusalFinding(&Refusal{Method: method, Code: code, Name: names[code]},
							Forwarding{Protocol: "tcp", External: 8888, Host: host, Internal: 8888}, holder)
						seen[f.Code] = true
						if f.Code == "forward.refused" && !slices.Contains([]int{713, 714, 725, 730}, code) {
							t.Errorf("%s %d says nothing", method, code)
						}
						if f.Status != report.StatusFail || f.Remedy == "" || strings.Contains(f.Detail+f.Remedy, "{") || !strings.Contains(f.Detail, names[code]) {
							t.Errorf("%s %d: %+v", method, code, f)
						}
					}
				}
			}
		}
	}
	for i, rule := range refusals {
		if !seen[rule.Code] {
			t.Errorf("rule %d, %s, never decides", i, rule.Code)
		}
	}
}

// TestKeep: a forwarding is made anew when the router loses it, renewed in
// time, and gone in the end.
func TestKeep(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*portmaptest.Router){
		"UPnP":    nil,
		"PCP":     func(f *portmaptest.Router) { f.NoUPnP = true },
		"NAT-PMP": func(f *portmaptest.Router) { f.NoUPnP, f.NATPMPOnly = true, true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, o := start(t, change)
			o.Watch = 5 * time.Millisecond
			o.Memory = &Memory{Dir: t.TempDir()}
			r := Ask(t.Context(), o)
			p, _, err := r.Plan(t.Context(), Request{Protocol: "tcp", External: 8888, Lease: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Apply(t.Context()); report.Failed(got) {
				t.Fatal(got)
			}
			told := make(chan report.Finding, 100)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan report.Finding)
			go func() { ended <- p.Keep(ctx, func(f report.Finding) { told <- f }) }()
			f.Restart()
			if got := <-told; got.Code != "forward.remade" {
				t.Errorf("told %+v", got)
			}
			if _, ok := f.Get("tcp", 8888); !ok {
				t.Error("it was not made again")
			}
			cancel()
			if got := <-ended; got.Code != "forward.removed" || f.Count() > 0 || len(o.Memory.load()) > 0 {
				t.Errorf("Keep = %+v; left: %v", got, f.Count())
			}
		})
	}
}

// TestRenew: half of the lease is over.
func TestRenew(t *testing.T) {
	t.Parallel()
	f, o := start(t, nil)
	now := time.Now()
	o.Now = func() time.Time { return now }
	r := Ask(t.Context(), o)
	p, _, err := r.Plan(t.Context(), Request{Protocol: "tcp", External: 8888, Lease: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	p.Apply(t.Context())
	for minutes, adds := range map[int]int{10: 1, 31: 2} {
		now = p.begun.Add(time.Duration(minutes) * time.Minute)
		if f, ok := p.look(t.Context()); ok {
			t.Errorf("look tells %+v", f)
		}
		if got := f.Did("AddPortMapping"); minutes == 10 && got > 2 || minutes == 31 && got < adds {
			t.Errorf("after %d minutes: %d AddPortMapping", minutes, got)
		}
	}
}

func TestMemoryIsPrivate(t *testing.T) {
	t.Parallel()
	m := &Memory{Dir: filepath.Join(t.TempDir(), "a", "onsite")}
	r := &Router{Gateway: loopback}
	f := Forwarding{Protocol: "tcp", External: 8888, Host: "127.0.0.1", Internal: 8888, Method: PCP}
	if err := m.put(r, f, newNonce(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	fi, err := os.Stat(filepath.Join(m.Dir, MemoryFile))
	if err != nil || runtime.GOOS != "windows" && fi.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", fi, err)
	}
	if _, ok := m.find(r, "tcp", 8888, PCP); !ok {
		t.Error("it was not found")
	}
	f.Method = UPnP
	if err := m.put(r, f, nonce{}, time.Time{}); err != nil || len(m.load()) != 1 {
		t.Errorf("one port has the records %+v, %v", m.load(), err)
	}
	f.Method = PCP
	if err := m.put(r, f, newNonce(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, ok := m.find(&Router{Gateway: netip.MustParseAddr("127.0.0.9")}, "tcp", 8888); ok {
		t.Error("another router's was found")
	}
	m.Now = func() time.Time { return time.Now().Add(2 * time.Hour) }
	if _, ok := m.find(r, "tcp", 8888); ok {
		t.Error("one that is over was found")
	}
	if err := os.WriteFile(filepath.Join(m.Dir, MemoryFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if list := m.load(); list != nil {
		t.Errorf("a damaged file holds %v", list)
	}
}
