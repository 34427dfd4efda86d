package wan

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// What of STUN a binding request needs (RFC 8489, sections 5, 14 and 14.2).
const (
	stunRequest   = 0x0001
	stunSuccess   = 0x0101
	stunFailure   = 0x0111
	stunCookie    = 0x2112A442
	stunHeader    = 20
	xorMapped     = 0x0020
	stunErrorCode = 0x0009
)

// errForeign is a datagram that is no answer to the request: a late one, or one
// that somebody else made up. The wait goes on.
var errForeign = errors.New("not an answer to this request")

// stunID is the transaction's identifier: an answer must repeat it, and nobody
// who does not see the request can guess it.
type stunID [12]byte

func (id stunID) request() []byte {
	b := binary.BigEndian.AppendUint16(nil, stunRequest)
	b = binary.BigEndian.AppendUint16(b, 0) // no attributes
	b = binary.BigEndian.AppendUint32(b, stunCookie)
	return append(b, id[:]...)
}

// parseSTUN reads the address and port that a server saw from its answer.
// MAPPED-ADDRESS is not looked at: routers rewrite it on the way, which is what
// XOR-MAPPED-ADDRESS was made for.
func parseSTUN(b []byte, id stunID) (netip.AddrPort, error) {
	if len(b) < stunHeader || binary.BigEndian.Uint32(b[4:]) != stunCookie || !bytes.Equal(b[8:stunHeader], id[:]) {
		return netip.AddrPort{}, errForeign
	}
	kind, size := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
	body := b[stunHeader:]
	if size != len(body) || size%4 != 0 || (kind != stunSuccess && kind != stunFailure) {
		return netip.AddrPort{}, errForeign
	}
	for len(body) >= 4 {
		name, n := binary.BigEndian.Uint16(body), int(binary.BigEndian.Uint16(body[2:]))
		body = body[4:]
		if n > len(body) {
			return netip.AddrPort{}, errors.New("the answer is cut short")
		}
		value := body[:n]
		body = body[min((n+3)&^3, len(body)):]
		switch {
		case kind == stunFailure && name == stunErrorCode && n >= 4:
			return netip.AddrPort{}, fmt.Errorf("the server refuses with error %d", int(value[2]&7)*100+int(value[3]))
		case kind == stunSuccess && name == xorMapped:
			return unmask(value, b[4:stunHeader])
		}
	}
	if kind == stunFailure {
		return netip.AddrPort{}, errors.New("the server refuses")
	}
	return netip.AddrPort{}, errors.New("there is no address in the answer")
}

// unmask reads an XOR-MAPPED-ADDRESS: the port is masked with the cookie's
// upper half, the address with the cookie and the identifier.
func unmask(value, mask []byte) (netip.AddrPort, error) {
	if len(value) < 4 {
		return netip.AddrPort{}, errors.New("the address in the answer is cut short")
	}
	raw := bytes.Clone(value[4:])
	for i := range min(len(raw), len(mask)) {
		raw[i] ^= mask[i]
	}
	addr, ok := netip.AddrFromSlice(raw)
	if family := value[1]; !ok || (family != 1 || !addr.Is4()) && (family != 2 || !addr.Is6()) {
		return netip.AddrPort{}, errors.New("the address in the answer is of no known kind")
	}
	return netip.AddrPortFrom(addr.Unmap(), binary.BigEndian.Uint16(value[2:])^(stunCookie>>16)), nil
}

// stunInterval is the first wait for an answer; each further one is twice as
// long (RFC 8489, section 6.2.1).
const stunInterval = 500 * time.Millisecond

// askSTUN asks one server which address and port it sees, until ctx ends.
func (o PublicOptions) askSTUN(ctx context.Context, network, server string) (netip.AddrPort, error) {
	conn, err := o.DialContext(ctx, network, server)
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	var id stunID
	rand.Read(id[:])
	answer := make([]byte, 1500)
	for wait := stunInterval; ; wait *= 2 {
		if _, err := conn.Write(id.request()); err != nil {
			return netip.AddrPort{}, ended(ctx, err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
			return netip.AddrPort{}, ended(ctx, err)
		}
		seen, err := readSTUN(conn, answer, id)
		if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() && ctx.Err() == nil {
			continue // datagrams get lost
		}
		return seen, ended(ctx, err)
	}
}

// readSTUN reads until an answer comes that belongs to the request.
func readSTUN(conn net.Conn, buffer []byte, id stunID) (netip.AddrPort, error) {
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return netip.AddrPort{}, err
		}
		seen, err := parseSTUN(buffer[:n], id)
		if !errors.Is(err, errForeign) {
			return seen, err
		}
	}
}

// ended prefers the reason why the wait was ended to what it did to a connection.
func ended(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
