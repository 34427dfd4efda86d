package wan

import (
	"net"
	"net/netip"
)

// towards is the local address from which packets go to an address, by the
// system's routes; zero when no route leads there. Nothing is sent: connecting
// a UDP socket only chooses the address.
func towards(to netip.Addr) netip.Addr {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 9)))
	if err != nil {
		return netip.Addr{}
	}
	defer conn.Close()
	local, ok := conn.LocalAddr().(*net.UDPAddr)
	if !ok {
		return netip.Addr{}
	}
	return local.AddrPort().Addr().Unmap()
}
