package portmap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// NAT-PMP (RFC 6886) and PCP (RFC 6887) share one port of the router. The first
// byte of a datagram tells them apart: 0 and 2.
const (
	versionNATPMP = 0
	versionPCP    = 2

	opAddress  = 0 // NAT-PMP: the outside address
	opMapUDP   = 1 // NAT-PMP
	opMapTCP   = 2 // NAT-PMP
	opPCPMap   = 1 // PCP: MAP
	isResponse = 128

	optionThirdParty    = 1 // PCP, section 13.1
	optionPreferFailure = 2 // PCP, section 13.2

	pcpHeader = 24
	pcpMap    = 36   // bytes of the MAP opcode
	maxPCP    = 1100 // RFC 6887, section 7: the longest message
)

// nonce is what a PCP client draws for a mapping, and what alone may change the
// mapping afterwards (RFC 6887, section 11.1).
type nonce [12]byte

// mapRequest is a request for a mapping, in either protocol.
type mapRequest struct {
	protocol byte // 6 or 17, as IANA numbers them
	internal uint16
	external uint16
	lifetime uint32 // seconds; 0 takes the mapping away

	// The rest is PCP's.
	client   netip.Addr // this computer
	nonce    nonce
	address  netip.Addr // the outside address that is wished for; zero: any
	onBehalf netip.Addr // the host to map to when it is another one
	exactly  bool       // this outside port or none
}

var protocolNumbers = map[string]byte{"tcp": 6, "udp": 17}

// natpmp is the request in NAT-PMP's form.
func (r mapRequest) natpmp() []byte {
	op := byte(opMapTCP)
	if r.protocol == protocolNumbers["udp"] {
		op = opMapUDP
	}
	b := []byte{versionNATPMP, op, 0, 0}
	b = binary.BigEndian.AppendUint16(b, r.internal)
	b = binary.BigEndian.AppendUint16(b, r.external)
	return binary.BigEndian.AppendUint32(b, r.lifetime)
}

// pcp is the request in PCP's form.
func (r mapRequest) pcp() []byte {
	b := []byte{versionPCP, opPCPMap, 0, 0}
	b = binary.BigEndian.AppendUint32(b, r.lifetime)
	b = appendAddr(b, r.client)
	b = append(b, r.nonce[:]...)
	b = append(b, r.protocol, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, r.internal)
	b = binary.BigEndian.AppendUint16(b, r.external)
	wish := r.address
	if !wish.IsValid() {
		wish = netip.IPv4Unspecified() // "any IPv4 address", section 11.1
	}
	b = appendAddr(b, wish)
	if r.onBehalf.IsValid() {
		b = append(b, optionThirdParty, 0, 0, 16)
		b = appendAddr(b, r.onBehalf)
	}
	if r.exactly {
		b = append(b, optionPreferFailure, 0, 0, 0)
	}
	return b
}

// appendAddr writes an address in 16 bytes, IPv4 mapped into IPv6 (section 5).
func appendAddr(b []byte, a netip.Addr) []byte {
	all := a.As16()
	return append(b, all[:]...)
}

// pmpAnswer is an answer in either protocol.
type pmpAnswer struct {
	version  byte
	op       byte
	code     int
	epoch    uint32 // seconds since the router lost its mappings
	lifetime uint32 // of the mapping, or how long a refusal holds
	mapped   bool   // the fields below are there
	nonce    nonce  // PCP's
	protocol byte   // PCP's
	internal uint16
	external uint16
	address  netip.Addr // outside; zero: none
}

var (
	errShort   = errors.New("the answer is too short")
	errNoReply = errors.New("this is no answer")
)

// decodePMP reads an answer of either protocol.
func decodePMP(b []byte) (pmpAnswer, error) {
	if len(b) < 4 {
		return pmpAnswer{}, errShort
	}
	if b[1] < isResponse {
		return pmpAnswer{}, errNoReply
	}
	switch b[0] {
	case versionNATPMP:
		return decodeNATPMP(b)
	case versionPCP:
		return decodePCP(b)
	}
	return pmpAnswer{}, fmt.Errorf("the answer has the version %d", b[0])
}

func decodeNATPMP(b []byte) (pmpAnswer, error) {
	if len(b) < 8 {
		return pmpAnswer{}, errShort
	}
	a := pmpAnswer{
		version: b[0], op: b[1] &^ isResponse,
		code: int(binary.BigEndian.Uint16(b[2:])), epoch: binary.BigEndian.Uint32(b[4:]),
	}
	switch {
	case a.op == opAddress && len(b) >= 12:
		a.address = external(netip.AddrFrom4([4]byte(b[8:])))
	case (a.op == opMapUDP || a.op == opMapTCP) && len(b) >= 16:
		a.mapped = true
		a.protocol = protocolNumbers["tcp"]
		if a.op == opMapUDP {
			a.protocol = protocolNumbers["udp"]
		}
		a.internal = binary.BigEndian.Uint16(b[8:])
		a.external = binary.BigEndian.Uint16(b[10:])
		a.lifetime = binary.BigEndian.Uint32(b[12:])
	case a.code == 0: // a refusal may end here
		return pmpAnswer{}, errShort
	}
	return a, nil
}

func decodePCP(b []byte) (pmpAnswer, error) {
	switch {
	case len(b) < pcpHeader:
		return pmpAnswer{}, errShort
	case len(b) > maxPCP || len(b)%4 != 0: // section 8.3
		return pmpAnswer{}, fmt.Errorf("the answer has a length of %d bytes, which PCP does not allow", len(b))
	}
	a := pmpAnswer{
		version: b[0], op: b[1] &^ isResponse, code: int(b[3]),
		lifetime: binary.BigEndian.Uint32(b[4:]), epoch: binary.BigEndian.Uint32(b[8:]),
	}
	if a.op != opPCPMap {
		return a, nil
	}
	m := b[pcpHeader:]
	if len(m) < pcpMap {
		if a.code == 0 { // a refusal may end here
			return pmpAnswer{}, errShort
		}
		return a, nil
	}
	a.mapped = true
	a.nonce = nonce(m)
	a.protocol = m[12]
	a.internal = binary.BigEndian.Uint16(m[16:])
	a.external = binary.BigEndian.Uint16(m[18:])
	a.address = external(netip.AddrFrom16([16]byte(m[20:])).Unmap())
	return a, nil
}

// external is an outside address, or the zero value for one that says nothing:
// a refusal repeats what was asked for, which is 0.0.0.0 (RFC 6887, section 11.1).
func external(a netip.Addr) netip.Addr {
	if a.IsUnspecified() {
		return netip.Addr{}
	}
	return a
}
