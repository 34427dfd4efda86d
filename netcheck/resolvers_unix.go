//go:build !windows

package netcheck

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// resolvConf is where every system but Windows names its resolvers.
const resolvConf = "/etc/resolv.conf"

// SystemResolvers lists the resolvers that this computer uses, in its order.
func SystemResolvers() ([]netip.AddrPort, error) {
	file, err := os.Open(resolvConf)
	if err != nil {
		return nil, fmt.Errorf("find this computer's resolvers: %w", err)
	}
	defer file.Close()
	const enough = 64 << 10
	text, err := io.ReadAll(io.LimitReader(file, enough))
	if err != nil {
		return nil, fmt.Errorf("find this computer's resolvers: %w", err)
	}
	return parseResolvConf(string(text)), nil
}

// parseResolvConf reads the nameserver lines of resolv.conf(5).
func parseResolvConf(text string) []netip.AddrPort {
	var list []netip.AddrPort
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "nameserver" {
			continue
		}
		addr, err := netip.ParseAddr(words[1])
		if at := netip.AddrPortFrom(addr, dnsPort); err == nil && !slices.Contains(list, at) {
			list = append(list, at)
		}
	}
	return list
}
