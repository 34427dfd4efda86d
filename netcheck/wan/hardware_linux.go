package wan

import (
	"context"
	"net/netip"
	"os"
	"strings"
)

// hardware is the hardware address of a neighbour that was spoken to; "" when it
// is not known. It tells one 192.168.1.1 from the next.
func hardware(_ context.Context, addr netip.Addr) string {
	table, err := os.ReadFile("/proc/net/arp")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line) // IP address, HW type, Flags, HW address, Mask, Device
		const complete = "0x2"
		if len(fields) >= 6 && fields[0] == addr.String() && fields[2] == complete {
			return fields[3]
		}
	}
	return ""
}
