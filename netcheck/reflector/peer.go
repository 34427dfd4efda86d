package reflector

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
)

// Why it is not known who asks.
var (
	errNoPeer       = errors.New("the connection has no address")
	errNoForwarded  = errors.New("the proxy in front does not say who asks: it must set X-Forwarded-For")
	errBadForwarded = errors.New("X-Forwarded-For of the proxy in front holds something that is no address")
)

// maxForwarded is how many addresses of X-Forwarded-For are looked at.
const maxForwarded = 16

// peer is who asks, and the only address that can be connected to: the other end
// of the TCP connection. When that is a proxy in front, it is the address that
// the proxy saw: the right-most of X-Forwarded-For that is not a proxy itself.
// Anything left of it was sent by the client and may be forged; no other header
// is heeded at all.
func (s *Server) peer(r *http.Request) (netip.AddrPort, error) {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.AddrPort{}, errNoPeer
	}
	ap = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	if !s.trusted(ap.Addr()) {
		return ap, nil
	}
	list := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for n := range maxForwarded {
		i := len(list) - 1 - n
		if i < 0 {
			break
		}
		text := strings.Trim(list[i], " \t")
		if text == "" && len(list) == 1 {
			break
		}
		ap, ok := parseForwarded(text)
		if !ok {
			return netip.AddrPort{}, errBadForwarded
		}
		if !s.trusted(ap.Addr()) {
			return ap, nil
		}
	}
	return netip.AddrPort{}, errNoForwarded
}

// parseForwarded reads one element: an address, with or without a port.
func parseForwarded(text string) (netip.AddrPort, bool) {
	if addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")); err == nil {
		return netip.AddrPortFrom(addr.Unmap(), 0), addr.Zone() == ""
	}
	ap, err := netip.ParseAddrPort(text)
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), err == nil && ap.Addr().Zone() == ""
}
