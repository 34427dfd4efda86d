package portmap

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"
)

// retries are the waits before a datagram is sent again, and before it is given
// up, as multiples of the first: those of RFC 6886, section 3.1, cut off. PCP
// would have the first wait be 3 s, but the same server answers to both, and
// somebody waits here.
var retries = []time.Duration{1, 2, 4}

// dialPMP opens a socket that hears the router alone: both protocols demand
// that answers from elsewhere are ignored.
func (o Options) dialPMP(ctx context.Context) (net.Conn, error) {
	d := net.Dialer{}
	if o.Local.IsValid() {
		d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(o.Local, 0))
	}
	return d.DialContext(ctx, "udp4", netip.AddrPortFrom(o.Gateway, o.PCPPort).String())
}

// exchange sends a request until there is an answer that fits, or the waits
// are over.
func (o Options) exchange(ctx context.Context, conn net.Conn, request []byte, fits func(pmpAnswer) bool) (pmpAnswer, error) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	buffer := make([]byte, maxPCP+1)
	var doubt error // what came back instead of an answer
	for _, times := range retries {
		if _, err := conn.Write(request); err != nil {
			return pmpAnswer{}, silence(ctx, err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(times * o.patience)); err != nil {
			return pmpAnswer{}, silence(ctx, err)
		}
		for {
			n, err := conn.Read(buffer)
			if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
				break // again
			}
			if err != nil {
				return pmpAnswer{}, silence(ctx, err)
			}
			answer, err := decodePMP(buffer[:n])
			if err == nil && fits(answer) {
				return answer, nil
			}
			if doubt = err; err == nil {
				doubt = errors.New("the answer is to another question")
			}
		}
	}
	if doubt != nil {
		return pmpAnswer{}, doubt
	}
	return pmpAnswer{}, ErrSilent
}

func (o Options) pmpServer() string { return netip.AddrPortFrom(o.Gateway, o.PCPPort).String() }

// askNATPMP asks for the outside address.
func (o Options) askNATPMP(ctx context.Context, n *notes) (answer Answer) {
	done := n.begin(o.pmpServer(), "NAT-PMP external address")
	defer func() { done(answer.String(), answer.Err) }()
	conn, err := o.dialPMP(ctx)
	if err != nil {
		return Answer{Err: plain(err)}
	}
	defer conn.Close()
	got, err := o.exchange(ctx, conn, []byte{versionNATPMP, opAddress}, func(a pmpAnswer) bool {
		return a.version != versionNATPMP || a.op == opAddress
	})
	switch {
	case err != nil:
		return Answer{Err: err}
	case got.version != versionNATPMP: // RFC 6887, appendix A
		return Answer{Err: errors.New("the router speaks PCP only")}
	}
	return Answer{External: got.address, Code: got.code, Meaning: natpmpCodes[got.code]}
}

// askPCP asks to take away a mapping that is not there: nothing changes, for a
// mapping of somebody else has another nonce, and a refusal names the outside
// address all the same.
func (o Options) askPCP(ctx context.Context, n *notes) (answer Answer) {
	done := n.begin(o.pmpServer(), "PCP MAP, lifetime 0")
	defer func() { done(answer.String(), answer.Err) }()
	conn, err := o.dialPMP(ctx)
	if err != nil {
		return Answer{Err: plain(err)}
	}
	defer conn.Close()
	request := mapRequest{protocol: protocolNumbers["tcp"], internal: discard, client: localOf(conn), nonce: newNonce()}
	got, err := o.exchange(ctx, conn, request.pcp(), request.fits)
	switch {
	case err != nil:
		return Answer{Err: err}
	case got.version != versionPCP: // RFC 6887, section 9
		return Answer{Err: errors.New("the router speaks NAT-PMP only")}
	}
	answer = Answer{External: got.address, Code: got.code, Meaning: pcpCodes[got.code]}
	if answer.External.IsValid() && slices.Contains(probeCodes, got.code) {
		done(answer.String(), nil)
		done = func(string, error) {}
		answer.Code, answer.Meaning = 0, ""
	}
	return answer
}

// probeCodes say no more than that there was nothing to take away: miniupnpd
// answers 8, where section 15.1 has success.
var probeCodes = []int{2, 8}

// discard is a port that nobody serves and nobody would have mapped (RFC 863).
const discard = 9

// fits reports whether an answer is to a PCP request (RFC 6887, section 11.4),
// or says that the router knows no PCP.
func (r mapRequest) fits(a pmpAnswer) bool {
	if a.version != versionPCP {
		return a.code != 0
	}
	return a.op == opPCPMap && (!a.mapped && a.code != 0 ||
		a.nonce == r.nonce && a.protocol == r.protocol && a.internal == r.internal)
}

func newNonce() (n nonce) {
	rand.Read(n[:])
	return n
}

// localOf is this computer's address on a connection.
func localOf(conn net.Conn) netip.Addr {
	if a, ok := conn.LocalAddr().(*net.UDPAddr); ok {
		return a.AddrPort().Addr().Unmap()
	}
	return netip.IPv4Unspecified()
}
