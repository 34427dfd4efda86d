package special_test

import (
	"net/netip"
	"testing"

	"onsite/internal/special"
)

func TestGlobal(t *testing.T) {
	t.Parallel()
	tests := []struct {
		addr   string
		global bool
		name   string // of the block; "": in none
	}{
		{"11.20.30.20", true, ""},
		{"8.8.8.8", true, ""},
		{"0.0.0.0", false, "this network"},
		{"10.0.0.1", false, "private use"},
		{"172.15.255.255", true, ""},
		{"172.16.0.0", false, "private use"},
		{"172.32.0.0", true, ""},
		{"192.168.1.1", false, "private use"},
		{"100.63.255.255", true, ""},
		{"100.64.0.0", false, "shared address space (carrier-grade NAT)"},
		{"100.127.255.255", false, "shared address space (carrier-grade NAT)"},
		{"100.128.0.0", true, ""},
		{"127.0.0.53", false, "loopback"},
		{"169.254.169.254", false, "link local"},
		{"192.0.0.1", false, "IPv4 service continuity prefix (DS-Lite)"},
		{"192.0.0.9", true, "Port Control Protocol anycast"},
		{"192.0.0.170", false, "IETF protocol assignments"},
		{"203.0.113.10", false, "documentation (TEST-NET-3)"},
		{"198.19.255.255", false, "benchmarking"},
		{"224.0.0.1", false, "multicast"},
		{"255.255.255.255", false, "limited broadcast"},
		{"2a00:1450::1", true, ""},
		{"::", false, "unspecified address"},
		{"::1", false, "loopback"},
		{"::7f00:1", false, "deprecated (IPv4-compatible)"},
		{"::ffff:8.8.8.8", true, ""},
		{"::ffff:192.168.1.1", false, "private use"},
		{"64:ff9b::a00:1", false, "IPv4-IPv6 translation"},
		{"2002:a00:1::", false, "6to4"},
		{"2001:db8::1", false, "documentation"},
		{"2001:20::1", true, "ORCHIDv2"},
		{"4000::1", false, ""},
		{"fd00::1", false, "unique local"},
		{"fe80::1%eth0", false, "link local"},
		{"ff02::1", false, "multicast"},
	}
	for _, tt := range tests {
		addr := netip.MustParseAddr(tt.addr)
		b, ok := special.Lookup(addr)
		if got := special.Global(addr); got != tt.global || b.Name != tt.name || ok != (tt.name != "") {
			t.Errorf("Global(%s) = %t in %q, want %t in %q", addr, got, b.Name, tt.global, tt.name)
		}
	}
	if special.Global(netip.Addr{}) {
		t.Error("no address is global")
	}
	if !special.Private(netip.MustParseAddr("::ffff:10.1.2.3")) || special.Private(netip.MustParseAddr("fd00::1")) {
		t.Error("Private is for RFC 1918")
	}
}
