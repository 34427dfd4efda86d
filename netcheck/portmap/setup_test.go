package portmap

import (
	"net/netip"
	"testing"
	"time"

	"onsite/netcheck/portmap/portmaptest"
)

var loopback = netip.MustParseAddr("127.0.0.1")

// start makes a router for one test.
func start(t testing.TB, change func(*portmaptest.Router)) (*portmaptest.Router, Options) {
	t.Helper()
	r := &portmaptest.Router{}
	if change != nil {
		change(r)
	}
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r, Options{Gateway: loopback, Local: loopback, SSDPPort: r.SSDPPort, PCPPort: r.PMPPort, patience: 40 * time.Millisecond}
}
