package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"onsite/netcheck/ddns"
	"onsite/netcheck/portmap"
	"onsite/netcheck/wan"
)

// routerTime is how long the router may take to name its address: one that can
// does so within a second.
const routerTime = 2 * time.Second

// sitePublic finds the public address of this site: by witnesses outside, and by
// what the router says about its own.
func sitePublic(ctx context.Context, o wan.PublicOptions) ddns.Public {
	var p ddns.Public
	var wg sync.WaitGroup
	wg.Go(func() {
		found := wan.Public(ctx, o)
		p.Addr, p.Answered, p.Findings, p.Observations = found.Addr, found.Answered, found.Findings, found.Observations
	})
	var router portmap.Router
	var tunnel bool
	wg.Go(func() {
		var gateway wan.Gateway
		if gateway, tunnel = wayOut(); gateway.Address.IsValid() {
			router = portmap.Ask(ctx, portmap.Options{Gateway: gateway.Address, Local: gateway.Local, Timeout: routerTime})
		}
	})
	wg.Wait()
	p.Router, p.Tunnel = router.External(), tunnel
	p.Observations = append(p.Observations, router.Observations...)
	return p
}

// wayOut is the router that this computer's IPv4 packets go through now. tunnel
// says that there is one, and that a VPN goes another way.
func wayOut() (used wan.Gateway, tunnel bool) {
	list, err := wan.Gateways()
	if err != nil {
		return used, false // the witnesses have to do
	}
	if g, ok := wan.InUse(list); ok {
		return g, false
	}
	return used, slices.ContainsFunc(list, func(g wan.Gateway) bool { return g.Address.Is4() })
}
