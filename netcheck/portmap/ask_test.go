package portmap

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"onsite/netcheck/portmap/portmaptest"
)

// TestAsk puts the three questions to routers of every kind.
func TestAsk(t *testing.T) {
	t.Parallel()
	public := netip.MustParseAddr("11.20.30.20")
	tests := []struct {
		name              string
		router            func(*portmaptest.Router)
		upnp, natpmp, pcp Answer
		service, status   string
	}{
		{"plain", nil, Answer{External: public}, Answer{External: public}, Answer{External: public}, "WANIPConnection:1", "Connected"},
		{
			"IGDv2", func(f *portmaptest.Router) { f.Service = "WANIPConnection:2" },
			Answer{External: public},
			Answer{External: public},
			Answer{External: public},
			"WANIPConnection:2", "Connected",
		},
		{
			"PPP", func(f *portmaptest.Router) { f.Service = "WANPPPConnection:1" },
			Answer{External: public},
			Answer{External: public},
			Answer{External: public},
			"WANPPPConnection:1", "Connected",
		},
		{
			"another port", func(f *portmaptest.Router) { f.OddPort = true },
			Answer{External: public},
			Answer{External: public},
			Answer{External: public},
			"WANIPConnection:1", "Connected",
		},
		{
			"disconnected", func(f *portmaptest.Router) { f.Quirk = "disconnected" },
			Answer{External: public},
			Answer{External: public},
			Answer{External: public},
			"WANIPConnection:1", "Disconnected",
		},
		{
			"zero address", func(f *portmaptest.Router) { f.WAN = "0.0.0.0" },
			Answer{},
			Answer{},
			Answer{},
			"WANIPConnection:1", "Connected",
		},
		{
			"behind another NAT, as miniupnpd says it", func(f *portmaptest.Router) { f.WAN, f.NATPMPCode, f.PCPCode, f.Quirk = "100.64.10.20", 3, 8, "501" },
			Answer{Code: 501, Meaning: "Action Failed"},
			Answer{Code: 3, Meaning: "network failure"},
			Answer{External: netip.MustParseAddr("100.64.10.20")},
			"WANIPConnection:1", "Connected",
		},
		{
			"PCP refuses because of a NAT between", func(f *portmaptest.Router) { f.PCPCode = 12 },
			Answer{External: public},
			Answer{External: public},
			Answer{External: public, Code: 12, Meaning: "ADDRESS_MISMATCH"},
			"WANIPConnection:1", "Connected",
		},
		{
			"NAT-PMP only", func(f *portmaptest.Router) { f.NATPMPOnly, f.NoUPnP = true, true },
			Answer{Err: ErrSilent},
			Answer{External: public},
			Answer{Err: errors.New("the router speaks NAT-PMP only")},
			"", "",
		},
		{
			"PCP only", func(f *portmaptest.Router) { f.PCPOnly = true },
			Answer{External: public},
			Answer{Err: errors.New("the router speaks PCP only")},
			Answer{External: public},
			"WANIPConnection:1", "Connected",
		},
		{
			"nothing", func(f *portmaptest.Router) { f.NoUPnP, f.NoPMP = true, true },
			Answer{Err: ErrSilent},
			Answer{Err: ErrSilent},
			Answer{Err: ErrSilent},
			"", "",
		},
		{
			"the address is empty", func(f *portmaptest.Router) { f.WAN = "-"; f.NoPMP = true },
			Answer{},
			Answer{Err: ErrSilent},
			Answer{Err: ErrSilent},
			"WANIPConnection:1", "Connected",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, o := start(t, tt.router)
			r := Ask(t.Context(), o)
			if _, ok := f.Get("tcp", discard); ok || f.Did("AddPortMapping") > 0 {
				t.Error("Ask changes something")
			}
			for what, pair := range map[string][2]Answer{"UPnP": {r.UPnP, tt.upnp}, "NAT-PMP": {r.NATPMP, tt.natpmp}, "PCP": {r.PCP, tt.pcp}} {
				if got, want := pair[0], pair[1]; got.String() != want.String() || errors.Is(want.Err, ErrSilent) != errors.Is(got.Err, ErrSilent) {
					t.Errorf("%s = %s, want %s", what, got, want)
				}
			}
			if r.Service != tt.service || r.Status != tt.status {
				t.Errorf("service %q, status %q, want %q, %q", r.Service, r.Status, tt.service, tt.status)
			}
			if len(r.Findings) > 0 || len(r.Observations) < 3 {
				t.Errorf("findings %v, observations %v", r.Findings, r.Observations)
			}
		})
	}
}

// TestNothingListens: a closed port is told at once by most systems.
func TestNothingListens(t *testing.T) {
	t.Parallel()
	f, o := start(t, nil)
	f.Close()
	r := Ask(t.Context(), o)
	if !errors.Is(r.NATPMP.Err, ErrSilent) || !errors.Is(r.PCP.Err, ErrSilent) || r.Answered() || r.External().IsValid() {
		t.Errorf("Ask = %+v", r)
	}
}

// TestStrangers: what is not the gateway is named and not followed.
func TestStrangers(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux surely answers from another address of loopback than 127.0.0.1")
	}
	asked := make(chan string, 8)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked <- "the stranger" }))
	defer elsewhere.Close()
	_, o := start(t, func(f *portmaptest.Router) { f.NoUPnP, f.Stranger = true, elsewhere.URL+"/x.xml" })
	r := Ask(t.Context(), o)
	if !errors.Is(r.UPnP.Err, ErrSilent) {
		t.Errorf("UPnP = %s", r.UPnP)
	}
	if len(r.Findings) != 1 || r.Findings[0].Code != "forward.router.stranger" || r.Findings[0].Subject != "127.0.0.2" ||
		strings.ContainsRune(r.Findings[0].Detail, 0x202e) {
		t.Errorf("findings = %+v", r.Findings)
	}
	select {
	case who := <-asked:
		t.Errorf("%s was asked", who)
	default:
	}
}

// TestLocationElsewhere: the gateway's own answer names another host; what is
// there is read at the gateway all the same.
func TestLocationElsewhere(t *testing.T) {
	t.Parallel()
	_, o := start(t, func(f *portmaptest.Router) {
		f.URLBase = "<URLBase>http://127.0.0.3:1/</URLBase>"
		f.Location = "http://192.0.2.1:PORT/root.xml"
	})
	r := Ask(t.Context(), o)
	if r.Service != "WANIPConnection:1" || !strings.HasPrefix(r.igd.server(), "http://127.0.0.1:1/") {
		t.Errorf("service %q, control URL %v", r.Service, r.igd)
	}
}

// TestHostileHTTP: bodies without end, redirects, answers that never come, and
// what is no XML.
func TestHostileHTTP(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]http.HandlerFunc{
		"endless": func(w http.ResponseWriter, r *http.Request) {
			w.Write([]byte(`<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><device><friendlyName>`))
			for r.Context().Err() == nil {
				if _, err := w.Write([]byte(strings.Repeat("x", 1<<16))); err != nil {
					return
				}
			}
		},
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.9:1/", http.StatusFound)
		},
		"no XML":  func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html><p>Welcome")) },
		"nothing": func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<root/>")) },
		"slow": func(w http.ResponseWriter, r *http.Request) {
			w.Write([]byte("<root>"))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(handler)
			defer server.Close()
			_, o := start(t, func(f *portmaptest.Router) { f.Location = server.URL + "/root.xml" })
			o.Timeout = time.Second
			r := Ask(t.Context(), o)
			if r.UPnP.Answered() || r.igd != nil || !r.NATPMP.Answered() {
				t.Errorf("UPnP = %s, NAT-PMP = %s", r.UPnP, r.NATPMP)
			}
		})
	}
}

// TestCancel: nothing outlasts its context.
func TestCancel(t *testing.T) {
	t.Parallel()
	_, o := start(t, func(f *portmaptest.Router) { f.NoUPnP, f.NoPMP = true, true })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan Router)
	go func() { done <- Ask(ctx, o) }()
	cancel()
	select {
	case <-done:
	case <-time.After(time.Second):
		t.Error("Ask goes on")
	}
}
