//go:build !linux

package wan

import (
	"context"
	"net"
	"net/netip"
	"os/exec"
	"strings"

	"onsite/internal/lazyre"
)

// etherAddress is one as Windows and the BSDs print it: 00-1b-21-…, 0:1b:21:….
var etherAddress = lazyre.New(`(?i)\b[0-9a-f]{1,2}([:-][0-9a-f]{1,2}){5}\b`)

// hardware is the hardware address of a neighbour that was spoken to; "" when it
// is not known. It tells one 192.168.1.1 from the next.
func hardware(ctx context.Context, addr netip.Addr) string {
	if !addr.Is4() {
		return ""
	}
	out, err := exec.CommandContext(ctx, "arp", "-a", addr.String()).Output() //nolint:gosec // G204: an address
	if err != nil {
		return ""
	}
	parts := strings.FieldsFunc(etherAddress().FindString(string(out)), func(r rune) bool { return r == ':' || r == '-' })
	for i, p := range parts {
		if len(p) == 1 {
			parts[i] = "0" + p
		}
	}
	mac, err := net.ParseMAC(strings.Join(parts, ":"))
	if err != nil {
		return ""
	}
	return mac.String()
}
