package main

import (
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"onsite/netcheck/portmap/portmaptest"
)

func cmdRouter(ts *testscript.TestScript, _ bool, args []string) {
	r := &portmaptest.Router{Address: args[0], SSDPPort: 1900, PMPPort: 5351}
	for _, quirk := range args[1:] {
		switch quirk {
		case "no-upnp":
			r.NoUPnP = true
		case "private":
			r.WAN = "192.168.0.20"
		case "taken":
			r.Put("tcp", 8888, portmaptest.Mapping{Host: "127.0.0.9", Port: 80, Description: "Xbox"})
		default:
			r.Quirk = quirk
		}
	}
	ts.Check(r.Start())
	ts.Defer(r.Close)
	routers.Store(args[0], r)
}

// routers are those of router, by address.
var routers sync.Map

func cmdForwarded(ts *testscript.TestScript, _ bool, args []string) {
	found, _ := routers.Load(args[0])
	r, ok := found.(*portmaptest.Router)
	if !ok {
		ts.Fatalf("there is no router %s", args[0])
	}
	for deadline := time.Now().Add(20 * time.Second); r.Count() == 0; {
		if time.Now().After(deadline) {
			ts.Fatalf("%s forwards nothing", args[0])
		}
		<-time.After(10 * time.Millisecond)
	}
}
