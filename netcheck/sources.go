package netcheck

import (
	"context"
	"net"
	"net/netip"
	"time"

	"onsite/internal/dnsq"
)

// Sources says whom to ask for names. The zero value is the Internet, and this
// computer's own resolvers.
type Sources struct {
	// Roots are the root servers of a network of its own; nil: the Internet's.
	Roots []netip.AddrPort
	// Resolvers are asked in place of this computer's.
	Resolvers []netip.AddrPort
	// Public are resolvers that everybody uses; nil: 1.1.1.1, 8.8.8.8, 9.9.9.9,
	// and none with Roots, for they do not know such a network.
	Public []netip.AddrPort
	// Timeout is the longest wait for one answer by one way; 0: 1.5 s. It is
	// waited for three times.
	Timeout time.Duration
	// Dial connects to name servers; nil: the system's own.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// System lists this computer's resolvers; nil: SystemResolvers.
	System func() ([]netip.AddrPort, error)
}

func (s Sources) client() *dnsq.Client {
	return &dnsq.Client{Dial: s.Dial, Timeout: s.Timeout}
}

func (s Sources) roots() []netip.AddrPort {
	if s.Roots != nil {
		return s.Roots
	}
	return internetRoots
}

// here are the resolvers that this computer uses.
func (s Sources) here() []netip.AddrPort {
	if s.Resolvers != nil {
		return s.Resolvers
	}
	system := s.System
	if system == nil {
		system = SystemResolvers
	}
	list, err := system()
	if err != nil {
		return nil // as good as none: the result shows that none was asked
	}
	return list[:min(len(list), maxResolvers)]
}

// maxResolvers is how many of this computer's resolvers are asked. No system
// asks more of them.
const maxResolvers = 3

func (s Sources) public() []netip.AddrPort {
	if s.Public != nil || s.Roots != nil {
		return s.Public
	}
	return publicResolvers
}

func onPort53(list ...string) []netip.AddrPort {
	all := make([]netip.AddrPort, len(list))
	for i, text := range list {
		all[i] = netip.AddrPortFrom(netip.MustParseAddr(text), dnsPort)
	}
	return all
}

// publicResolvers are Cloudflare's, Google's and Quad9's.
var publicResolvers = onPort53("1.1.1.1", "8.8.8.8", "9.9.9.9")

// internetRoots are the root servers a to m (https://www.internic.net/domain/named.root,
// state of 2025-11), IPv4 first.
var internetRoots = onPort53(
	"198.41.0.4", "170.247.170.2", "192.33.4.12", "199.7.91.13", "192.203.230.10", "192.5.5.241", "192.112.36.4",
	"198.97.190.53", "192.36.148.17", "192.58.128.30", "193.0.14.129", "199.7.83.42", "202.12.27.33",
	"2001:503:ba3e::2:30", "2801:1b8:10::b", "2001:500:2::c", "2001:500:2d::d", "2001:500:a8::e", "2001:500:2f::f",
	"2001:500:12::d0d", "2001:500:1::53", "2001:7fe::53", "2001:503:c27::2:30", "2001:7fd::1", "2001:500:9f::42", "2001:dc3::35",
)
