package portmap

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/ipv4"

	"onsite/report"
)

// The search is our own: bound to the one network that counts, asked of the
// gateway directly as well as of all, and over as soon as the gateway answers.
// Some routers hear only one of the two, and some answer from another port than
// 1900, or late: a multicast question lets them wait up to a second (MX).

// searches are the waits after each question, as multiples of the first;
// searchAfter is the wait for further answers after the gateway's first.
var searches = []time.Duration{1, 2, 2}

const (
	searchAfter = 50 * time.Millisecond
	gatewayType = "urn:schemas-upnp-org:device:InternetGatewayDevice:"
	maxDatagram = 8 << 10
	maxFaults   = 16
	maxFound    = 8 // answers that are kept: nobody has more routers than that
)

// multicast is where SSDP asks everybody (UPnP Device Architecture 1.1, section 1.3.2).
var multicast = netip.AddrFrom4([4]byte{239, 255, 255, 250})

// found is one answer to a search.
type found struct {
	from     netip.Addr
	target   string // ST: what it says it is
	location *url.URL
	server   string
}

// isGateway reports whether the answer claims to be a router's.
func (f found) isGateway() bool {
	return strings.HasPrefix(f.target, gatewayType) || strings.Contains(f.target, ":service:WANIPConnection:") ||
		strings.Contains(f.target, ":service:WANPPPConnection:")
}

// decodeSSDP reads an answer to a search.
func decodeSSDP(datagram []byte) (found, error) {
	// Some leave the empty line at the end away.
	whole := append(slices.Clip(datagram), "\r\n\r\n"...)
	response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(whole)), nil)
	if err != nil {
		return found{}, errors.New("this is no answer to a search")
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return found{}, fmt.Errorf("the answer to the search has the status %d", response.StatusCode)
	}
	location, err := url.Parse(strings.TrimSpace(response.Header.Get("Location")))
	if err != nil || location.Scheme != "http" || location.Hostname() == "" {
		return found{}, errors.New("the answer to the search names no address of a description")
	}
	return found{target: response.Header.Get("St"), location: location, server: response.Header.Get("Server")}, nil
}

// search asks for routers. It returns the gateway's answers, best first, and
// those of others that say they are routers.
func (o Options) search(ctx context.Context) (gateway, strangers []found, err error) {
	conn, err := new(net.ListenConfig).ListenPacket(ctx, "udp4", netip.AddrPortFrom(cmpAddr(o.Local, netip.IPv4Unspecified()), 0).String())
	if err != nil {
		return nil, nil, plain(err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	many := o.multicasts(conn)
	for _, times := range searches {
		if err := o.askWho(conn, many); err != nil {
			return nil, nil, silence(ctx, err)
		}
		o.collect(ctx, conn, times*o.patience, func(answer found) (last bool) {
			switch {
			case answer.from == o.Gateway && len(gateway) < maxFound:
				gateway = append(gateway, answer)
			case answer.from != o.Gateway && answer.isGateway() && len(strangers) < maxFound:
				strangers = append(strangers, answer)
			}
			return len(gateway) > 0
		})
		if len(gateway) > 0 || ctx.Err() != nil {
			break
		}
	}
	slices.SortStableFunc(gateway, func(a, b found) int { return rankFound(a) - rankFound(b) })
	return gateway, strangers, nil
}

// collect hands on what arrives in a time, which is cut short as soon as enough
// says so.
func (o Options) collect(ctx context.Context, conn net.PacketConn, wait time.Duration, enough func(found) bool) {
	end := time.Now().Add(wait) //nolint:forbidigo // a deadline, which is compared with the real clock
	buffer := make([]byte, maxDatagram)
	short, faults := false, 0
	for ctx.Err() == nil {
		if conn.SetReadDeadline(end) != nil {
			return
		}
		n, from, err := conn.ReadFrom(buffer)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return
		case err != nil:
			// Windows reports here that an earlier datagram found nobody, once for
			// each. That is not the end of the search.
			if faults++; faults > maxFaults {
				return
			}
			continue
		}
		answer, err := decodeSSDP(buffer[:n])
		if err != nil {
			continue
		}
		if peer, ok := from.(*net.UDPAddr); ok {
			answer.from = peer.AddrPort().Addr().Unmap()
		}
		if enough(answer) && !short {
			short = true
			if soon := time.Now().Add(searchAfter); soon.Before(end) { //nolint:forbidigo // likewise
				end = soon
			}
		}
	}
}

// rankFound puts what says that it is a router before what may be a router's
// music server.
func rankFound(f found) int {
	if f.isGateway() {
		return 0
	}
	return 1
}

func cmpAddr(a, b netip.Addr) netip.Addr {
	if a.IsValid() {
		return a
	}
	return b
}

// multicasts makes the socket send multicast into the gateway's network, and
// reports whether it can.
func (o Options) multicasts(conn net.PacketConn) bool {
	if !o.Local.IsValid() {
		return true // wherever the system sends it
	}
	interfaces, err := net.Interfaces()
	if err != nil {
		return false
	}
	for _, i := range interfaces {
		addrs, err := i.Addrs()
		if err != nil || i.Flags&net.FlagMulticast == 0 {
			continue
		}
		for _, a := range addrs {
			if prefix, ok := a.(*net.IPNet); ok && prefix.IP.Equal(o.Local.AsSlice()) {
				p := ipv4.NewPacketConn(conn)
				return p.SetMulticastInterface(&i) == nil && p.SetMulticastTTL(2) == nil
			}
		}
	}
	return false
}

// askWho sends the questions: of the gateway what it is, of all who is a router.
// An error means that none could be sent.
func (o Options) askWho(conn net.PacketConn, many bool) error {
	ask := func(to netip.Addr, target string) error {
		addr := netip.AddrPortFrom(to, o.SSDPPort)
		_, err := conn.WriteTo(fmt.Appendf(nil, "M-SEARCH * HTTP/1.1\r\nHOST: %s\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: %s\r\n\r\n",
			netip.AddrPortFrom(multicast, 1900), target), net.UDPAddrFromAddrPort(addr))
		return err
	}
	var failed error
	sent := false
	for _, target := range []string{gatewayType + "1", gatewayType + "2", "ssdp:all"} {
		if err := ask(o.Gateway, target); err != nil {
			failed = err
		} else {
			sent = true
		}
		if many && target != "ssdp:all" { // all printers and televisions would answer that
			if err := ask(multicast, target); err == nil {
				sent = true
			}
		}
	}
	if sent {
		return nil
	}
	return failed
}

// strange says that somebody other than the gateway says it is a router.
func strange(gateway netip.Addr, strangers []found) []report.Finding {
	var list []report.Finding
	seen := map[netip.Addr]bool{}
	for _, s := range strangers {
		if seen[s.from] {
			continue
		}
		seen[s.from] = true
		names := ""
		if s.server != "" {
			names = " and calls itself " + report.Printable(s.server)
		}
		list = append(list, report.Warn("forward.router.stranger", s.from.String(),
			fmt.Sprintf("answers the search for routers%s, but the gateway is %s: it was not asked anything", names, gateway),
			"find out what it is: a second router in the network, or a program that wants to be taken for one"))
	}
	return list
}
