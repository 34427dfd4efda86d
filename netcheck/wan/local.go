package wan

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/jackpal/gateway"

	"onsite/internal/special"
)

// Interface is one of this computer's ways out; the loopback is none.
type Interface struct {
	Name      string         `json:"name"`
	MAC       string         `json:"mac"` // "" where there is none
	Addresses []netip.Prefix `json:"addresses"`
	Up        bool           `json:"up"`
	Kind      Kind           `json:"kind"`
	// Product is whose it is, where that is known: Docker, WireGuard.
	Product string `json:"product"`
}

// Gateway is a router that this computer sends packets for the Internet to.
type Gateway struct {
	Address netip.Addr `json:"address"`
	// Local is this computer's address towards it; zero when no route leads there.
	Local     netip.Addr `json:"local"`
	Interface string     `json:"interface"`
	MAC       string     `json:"mac"` // "" when it is not known
	// InUse says that packets for the Internet take this way now. Where a VPN
	// carries them, no gateway is in use.
	InUse bool `json:"in_use"`
}

// outside are addresses of no importance to find a way out by: those of AS112,
// which are everywhere (RFC 7534). Nothing is ever sent there.
var outside = map[string]netip.Addr{
	"4": netip.MustParseAddr("192.175.48.1"),
	"6": netip.MustParseAddr("2620:4f:8000::1"),
}

// Interfaces lists this computer's interfaces but the loopback.
func Interfaces() ([]Interface, error) {
	system, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list the interfaces: %w", err)
	}
	hints := linkHints()
	list := []Interface{}
	for _, s := range system {
		if s.Flags&net.FlagLoopback != 0 {
			continue
		}
		i := Interface{Name: s.Name, MAC: s.HardwareAddr.String(), Up: s.Flags&net.FlagUp != 0, Addresses: []netip.Prefix{}}
		addrs, err := s.Addrs()
		if err != nil {
			return nil, fmt.Errorf("list the addresses of %s: %w", s.Name, err)
		}
		for _, a := range addrs {
			if prefix, err := netip.ParsePrefix(a.String()); err == nil {
				i.Addresses = append(i.Addresses, prefix)
			}
		}
		hint := hints[s.Index]
		i.Kind, i.Product = classify(s.Name, hint, s.Flags&net.FlagPointToPoint != 0)
		list = append(list, i)
	}
	return list, nil
}

// Gateways lists the routers of the default routes, IPv4 first, each with the
// local address towards it; none is no error. A default route into a tunnel has
// no router and is not among them.
func Gateways() ([]Gateway, error) {
	list := []Gateway{}
	four, err := discovered(gateway.DiscoverGateways())
	if err != nil {
		return nil, err
	}
	six, err := discovered(gateway.DiscoverGatewaysIPv6())
	if err != nil {
		six = nil // IPv6 is switched off in some systems
	}
	interfaces, err := Interfaces()
	if err != nil {
		return nil, err
	}
	for _, addr := range append(four, six...) {
		g := Gateway{Address: addr, Local: towards(addr)}
		way := towards(outside["4"])
		if addr.Is6() {
			way = towards(outside["6"])
		}
		if addr.IsLinkLocalUnicast() && addr.Is6() {
			g.Local = way // its interface is not told; with one router there is but one
		}
		if !g.Local.IsValid() {
			continue // on macOS routers of other routes are told too
		}
		g.Interface = holder(interfaces, g.Local).Name
		g.InUse = g.Local == way && !slices.ContainsFunc(list, func(other Gateway) bool { return other.InUse && other.Address.Is4() == addr.Is4() })
		list = append(list, g)
	}
	return list, nil
}

// InUse finds the IPv4 gateway that packets for the Internet go to now; ok is
// false where there is none, or a VPN carries them.
func InUse(list []Gateway) (g Gateway, ok bool) {
	for _, g := range list {
		if g.InUse && g.Address.Is4() {
			return g, true
		}
	}
	return Gateway{}, false
}

// discovered turns what the library tells into addresses, each once and without
// those that stand for none.
func discovered(ips []net.IP, err error) ([]netip.Addr, error) {
	if _, none := errors.AsType[*gateway.ErrNoGateway](err); none {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the routes: %w", err)
	}
	var list []netip.Addr
	for _, ip := range ips {
		addr, ok := netip.AddrFromSlice(ip)
		addr = addr.Unmap()
		if ok && !addr.IsUnspecified() && !addr.IsLoopback() && !addr.IsMulticast() && !slices.Contains(list, addr) {
			list = append(list, addr)
		}
	}
	return list, nil
}

// holder is the interface that has an address; the zero value when none has.
func holder(interfaces []Interface, addr netip.Addr) Interface {
	for _, i := range interfaces {
		if slices.ContainsFunc(i.Addresses, func(p netip.Prefix) bool { return p.Addr() == addr.WithZone("") }) {
			return i
		}
	}
	return Interface{}
}

// connected reports whether an interface is up and has an address that is more
// than link-local.
func (i Interface) connected() bool {
	return i.Up && slices.ContainsFunc(i.Addresses, func(p netip.Prefix) bool { return !p.Addr().IsLinkLocalUnicast() })
}

// hasIPv6 reports whether a route leads to the IPv6 Internet from an address
// that is valid there.
func hasIPv6() bool { return special.Global(towards(outside["6"])) }

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
