package netcheck

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"unsafe"

	"golang.org/x/sys/windows"
)

// SystemResolvers lists the resolvers of the adapters that are up and have a
// gateway, in the system's order: what a network without one says is used for
// nothing outside it.
func SystemResolvers() ([]netip.AddrPort, error) {
	adapters, err := adapterAddresses()
	if err != nil {
		return nil, fmt.Errorf("find this computer's resolvers: %w", err)
	}
	var list []netip.AddrPort
	for ; adapters != nil; adapters = adapters.Next {
		if adapters.OperStatus != windows.IfOperStatusUp || adapters.FirstGatewayAddress == nil {
			continue
		}
		for server := adapters.FirstDnsServerAddress; server != nil; server = server.Next {
			addr, ok := netip.AddrFromSlice(server.Address.IP())
			if !ok {
				continue
			}
			// fec0::/10 is what Windows makes up where there is none.
			if addr = addr.Unmap(); siteLocal.Contains(addr) {
				continue
			}
			if addr.Is6() && addr.IsLinkLocalUnicast() {
				addr = addr.WithZone(strconv.FormatUint(uint64(adapters.Ipv6IfIndex), 10))
			}
			if at := netip.AddrPortFrom(addr, dnsPort); !slices.Contains(list, at) {
				list = append(list, at)
			}
		}
	}
	return list, nil
}

var siteLocal = netip.MustParsePrefix("fec0::/10")

func adapterAddresses() (*windows.IpAdapterAddresses, error) {
	const flags = windows.GAA_FLAG_INCLUDE_GATEWAYS | windows.GAA_FLAG_SKIP_ANYCAST | windows.GAA_FLAG_SKIP_MULTICAST
	size := uint32(15 << 10) // what Microsoft recommends to begin with
	for range 4 {
		buffer := make([]byte, size)
		first := (*windows.IpAdapterAddresses)(unsafe.Pointer(&buffer[0])) //nolint:gosec // how the call returns its list
		err := windows.GetAdaptersAddresses(windows.AF_UNSPEC, flags, 0, first, &size)
		if err == nil {
			return first, nil
		}
		if !errors.Is(err, windows.ERROR_BUFFER_OVERFLOW) || size > 1<<20 {
			return nil, err
		}
	}
	return nil, windows.ERROR_BUFFER_OVERFLOW
}
