// Package special knows the addresses that are not the public Internet's: the
// special-purpose registries of IANA, for IPv4 and IPv6 (RFC 6890, state of
// 2025-10), and multicast beside them.
//
// Go's own [netip.Addr.IsPrivate] knows RFC 1918 and fc00::/7 alone. It takes a
// carrier's 100.64.0.0/10 for public, which is the very thing a site must know.
package special

import "net/netip"

// Block is one entry of a registry.
type Block struct {
	Prefix netip.Prefix
	Name   string // as IANA names it
	RFC    string // where it is defined
	// Global says that the block is special and still reachable from everywhere.
	Global bool
}

// Lookup finds the smallest block that holds an address; ok is false for one
// that is in no registry. IPv4 inside IPv6 (::ffff:0:0/96) is looked up as IPv4.
func Lookup(addr netip.Addr) (b Block, ok bool) {
	addr = addr.Unmap().WithZone("")
	for _, candidate := range blocks {
		if candidate.Prefix.Contains(addr) && (!ok || candidate.Prefix.Bits() > b.Prefix.Bits()) {
			b, ok = candidate, true
		}
	}
	return b, ok
}

// Global reports whether an address can be reached from everywhere: it is in no
// special block that says otherwise, and an IPv6 address is in 2000::/3, which
// is all that is given out. An address that only wraps an IPv4 address for a
// translator (64:ff9b::/96, 2002::/16) is not global here.
func Global(addr netip.Addr) bool {
	addr = addr.Unmap()
	if !addr.IsValid() || (addr.Is6() && !unicast.Contains(addr.WithZone(""))) {
		return false
	}
	b, ok := Lookup(addr)
	return !ok || b.Global
}

// The blocks that a verdict about NAT turns on.
var (
	Carrier = netip.MustParsePrefix("100.64.0.0/10") // carrier-grade NAT, RFC 6598
	DSLite  = netip.MustParsePrefix("192.0.0.0/29")  // DS-Lite and 464XLAT, RFC 7335
)

// Private reports whether an address is one of RFC 1918's.
func Private(addr netip.Addr) bool {
	addr = addr.Unmap()
	return addr.Is4() && addr.IsPrivate()
}

var unicast = netip.MustParsePrefix("2000::/3")

func block(prefix, name, rfc string, global bool) Block {
	return Block{Prefix: netip.MustParsePrefix(prefix), Name: name, RFC: rfc, Global: global}
}

var blocks = []Block{
	block("0.0.0.0/8", "this network", "RFC 791", false),
	block("10.0.0.0/8", "private use", "RFC 1918", false),
	block("100.64.0.0/10", "shared address space (carrier-grade NAT)", "RFC 6598", false),
	block("127.0.0.0/8", "loopback", "RFC 1122", false),
	block("169.254.0.0/16", "link local", "RFC 3927", false),
	block("172.16.0.0/12", "private use", "RFC 1918", false),
	block("192.0.0.0/24", "IETF protocol assignments", "RFC 6890", false),
	block("192.0.0.0/29", "IPv4 service continuity prefix (DS-Lite)", "RFC 7335", false),
	block("192.0.0.9/32", "Port Control Protocol anycast", "RFC 7723", true),
	block("192.0.0.10/32", "TURN anycast", "RFC 8155", true),
	block("192.0.2.0/24", "documentation (TEST-NET-1)", "RFC 5737", false),
	block("192.31.196.0/24", "AS112-v4", "RFC 7535", true),
	block("192.52.193.0/24", "AMT", "RFC 7450", true),
	block("192.88.99.0/24", "deprecated (6to4 relay anycast)", "RFC 7526", false),
	block("192.168.0.0/16", "private use", "RFC 1918", false),
	block("192.175.48.0/24", "direct delegation AS112 service", "RFC 7534", true),
	block("198.18.0.0/15", "benchmarking", "RFC 2544", false),
	block("198.51.100.0/24", "documentation (TEST-NET-2)", "RFC 5737", false),
	block("203.0.113.0/24", "documentation (TEST-NET-3)", "RFC 5737", false),
	block("224.0.0.0/4", "multicast", "RFC 5771", false),
	block("240.0.0.0/4", "reserved", "RFC 1112", false),
	block("255.255.255.255/32", "limited broadcast", "RFC 8190", false),

	block("::/128", "unspecified address", "RFC 4291", false),
	block("::1/128", "loopback", "RFC 4291", false),
	block("::/96", "deprecated (IPv4-compatible)", "RFC 4291", false),
	block("64:ff9b::/96", "IPv4-IPv6 translation", "RFC 6052", false),
	block("64:ff9b:1::/48", "IPv4-IPv6 translation", "RFC 8215", false),
	block("100::/64", "discard only", "RFC 6666", false),
	block("100:0:0:1::/64", "dummy IPv6 prefix", "RFC 9780", false),
	block("2001::/23", "IETF protocol assignments", "RFC 2928", false),
	block("2001::/32", "Teredo", "RFC 4380", false),
	block("2001:1::1/128", "Port Control Protocol anycast", "RFC 7723", true),
	block("2001:1::2/128", "TURN anycast", "RFC 8155", true),
	block("2001:1::3/128", "DNS-SD service registration anycast", "RFC 9665", true),
	block("2001:2::/48", "benchmarking", "RFC 5180", false),
	block("2001:3::/32", "AMT", "RFC 7450", true),
	block("2001:4:112::/48", "AS112-v6", "RFC 7535", true),
	block("2001:10::/28", "deprecated (ORCHID)", "RFC 4843", false),
	block("2001:20::/28", "ORCHIDv2", "RFC 7343", true),
	block("2001:30::/28", "drone remote ID", "RFC 9374", true),
	block("2001:db8::/32", "documentation", "RFC 3849", false),
	block("2002::/16", "6to4", "RFC 3056", false),
	block("2620:4f:8000::/48", "direct delegation AS112 service", "RFC 7534", true),
	block("3fff::/20", "documentation", "RFC 9637", false),
	block("5f00::/16", "segment routing (SRv6)", "RFC 9602", false),
	block("fc00::/7", "unique local", "RFC 4193", false),
	block("fe80::/10", "link local", "RFC 4291", false),
	block("fec0::/10", "deprecated (site local)", "RFC 3879", false),
	block("ff00::/8", "multicast", "RFC 4291", false),
}
