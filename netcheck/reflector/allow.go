package reflector

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"

	"onsite/internal/sock"
	"onsite/internal/special"
	"onsite/report"
)

// DefaultPorts are those of the web portal (HTTP, HTTPS) and the usual outside
// port of a time clock.
var DefaultPorts = []int{8888, 4444, 4500}

// maxPorts bounds the list: who wants more ports than this scans.
const maxPorts = 16

// neverPorts are mail, remote administration, files and databases: where a
// connection from a stranger's address does harm, or is taken for an attack.
var neverPorts = []int{
	21, 22, 23, 25, 53, 110, 111, 119, 135, 137, 138, 139, 143, 161, 389, 445, 465, 512, 513, 514, 587, 636, 873,
	1080, 1433, 1521, 2049, 2375, 2376, 3128, 3306, 3389, 5432, 5900, 5901, 5985, 5986, 6379, 6667, 9200, 11211, 27017,
}

func checkPorts(ports []int) error {
	const remedy = "name the outside ports of web portals and clocks, for example --ports 8888,4444,4500"
	wrong := func(format string, args ...any) error {
		return report.Errorf(report.KindUsage, "reflector.ports.wrong", remedy, format, args...)
	}
	if len(ports) == 0 || len(ports) > maxPorts {
		return wrong("a reflector connects to 1 to %d ports, not to %d", maxPorts, len(ports))
	}
	for i, port := range ports {
		switch {
		case port < 1 || port > 65535:
			return wrong("%d is no port", port)
		case slices.Contains(neverPorts, port):
			return report.Errorf(report.KindRefused, "reflector.ports.dangerous", remedy,
				"port %d is one of mail, remote administration, files or databases: a reflector never connects there", port)
		case slices.Contains(ports[:i], port):
			return wrong("port %d is given twice", port)
		}
	}
	return nil
}

func checkDialFrom(addrs []netip.Addr) error {
	families := map[bool]bool{}
	for _, addr := range addrs {
		if !addr.IsValid() || addr.IsUnspecified() || addr.IsMulticast() || addr.Is4In6() || families[addr.Is4()] {
			return report.Errorf(report.KindUsage, codeAddressWrong, "give addresses of this computer, at most one of IPv4 and one of IPv6",
				"%s is no address to connect from", addr)
		}
		families[addr.Is4()] = true
		// An address that this computer does not have must show now, not when a
		// site is to be tested.
		l, err := sock.Listen(net.JoinHostPort(addr.String(), "0"), listenCodes)
		if err != nil {
			e := report.AsError(err)
			return report.Errorf(e.Kind, codeAddressWrong, "give addresses of this computer, at most one of IPv4 and one of IPv6", "connect from %s: this computer does not have that address", addr)
		}
		l.Close()
	}
	return nil
}

// checkProxies refuses to believe half the internet: whoever is believed can have
// any address connected to.
func checkProxies(proxies []netip.Prefix) error {
	for _, p := range proxies {
		if !p.IsValid() || p.Bits() < 8 || p.Addr().Is6() && p.Bits() < 16 {
			return report.Errorf(report.KindRefused, codeAddressWrong, "name the proxy's own address, or the network that holds nothing but proxies",
				"%s is too many addresses to trust: each of them could say for whom it asks", p)
		}
	}
	return nil
}

// Why an address is not connected to.
var (
	errNotGlobal = errors.New("it is not an address of the public internet")
	errOwn       = errors.New("it is in the reflector's own network")
	errNever     = errors.New("its network is one that this reflector does not connect to")
)

// mayDial reports why an address must not be connected to; nil when it may be.
func (s *Server) mayDial(addr netip.Addr) error {
	addr = addr.Unmap()
	// No special block has customers, not even those that are reachable.
	if _, isSpecial := special.Lookup(addr); isSpecial || !special.Global(addr) || addr.Zone() != "" {
		return errNotGlobal
	}
	own, err := s.own() // now: addresses come and go
	if err != nil {
		return fmt.Errorf("this computer's own addresses cannot be listed: %w", err)
	}
	contains := func(p netip.Prefix) bool { return p.Contains(addr) }
	switch {
	case slices.ContainsFunc(own, contains):
		return errOwn
	case slices.ContainsFunc(s.o.Refuse, contains) || s.trusted(addr):
		return errNever
	}
	return nil
}

// trusted reports whether an address is that of a proxy in front.
func (s *Server) trusted(addr netip.Addr) bool {
	addr = addr.Unmap()
	return slices.ContainsFunc(s.o.Proxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// ownNetworks are those of this computer's interfaces.
func ownNetworks() ([]netip.Prefix, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var list []netip.Prefix
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue // an address of another kind of network
		}
		if p.Addr().Is4In6() {
			p = netip.PrefixFrom(p.Addr().Unmap(), max(p.Bits()-96, 0))
		}
		if p.Bits() == 0 { // a tunnel that calls everything its own
			p = netip.PrefixFrom(p.Addr(), p.Addr().BitLen())
		}
		list = append(list, p.Masked())
	}
	return list, nil
}

// dialDirect connects to the site. Its last check is made by the system call
// that connects, on the address that it is given.
func (s *Server) dialDirect(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	network := "tcp6"
	if to.Addr().Is4() {
		network = "tcp4"
	}
	d := net.Dialer{
		KeepAlive:     -1,
		FallbackDelay: -1,
		Control: func(_, address string, _ syscall.RawConn) error {
			at, err := netip.ParseAddrPort(address)
			if err != nil || at != to {
				return fmt.Errorf("%w: %s instead of %s", errElsewhere, address, to)
			}
			if !slices.Contains(s.o.Ports, int(at.Port())) {
				return errElsewhere
			}
			return s.mayDial(at.Addr())
		},
	}
	d.SetMultipathTCP(false)
	if len(s.o.DialFrom) > 0 {
		i := slices.IndexFunc(s.o.DialFrom, func(a netip.Addr) bool { return a.Is4() == to.Addr().Is4() })
		if i < 0 {
			return nil, errNoSource
		}
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(s.o.DialFrom[i], 0))
	}
	return d.DialContext(ctx, network, to.String())
}

var (
	errElsewhere = errors.New("the connection would go elsewhere")
	errNoSource  = errors.New("there is no address of this family to connect from")
)
