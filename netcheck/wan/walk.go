package wan

import "net/netip"

// Hop is what came back for a packet that may make only so many steps.
type Hop struct {
	// From is who reported; zero when nobody did.
	From netip.Addr
	// Arrived says that the packet was at its end: its port is closed there.
	// Otherwise From passed it on until its steps were used up.
	Arrived bool
}
