// Package wan finds out how a site is connected to the Internet: this
// computer's addresses and gateways, the address that the router has outside,
// the address that the Internet sees, and what kind of translation lies between.
//
//	public := wan.Public(ctx, wan.PublicOptions{})
//	if public.Addr.IsValid() { … } // confirmed by several services
//
// It asks and judges; it changes nothing on a router.
package wan
