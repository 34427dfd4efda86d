package portmaptest

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
)

// The layouts are those of RFC 6886 and RFC 6887.

var protocols = map[byte]string{6: "tcp", 17: "udp"}

func (r *Router) answerPMP(q []byte, _ net.Addr) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.NoPMP || len(q) < 2:
		return nil
	case q[0] == 2 && r.NATPMPOnly: // RFC 6887, section 9
		return binary.BigEndian.AppendUint32([]byte{0, q[1] | 128, 0, 1}, r.epoch)
	case q[0] == 0 && r.PCPOnly: // RFC 6887, appendix A
		return append([]byte{2, q[1] | 128, 0, 1}, make([]byte, 20)...)
	case q[0] == 2 && len(q) >= 60:
		return r.pcp(q)
	case q[0] == 0 && (q[1] == 0 || len(q) >= 12):
		return r.natpmp(q)
	}
	return nil
}

func (r *Router) natpmp(q []byte) []byte {
	a := binary.BigEndian.AppendUint16([]byte{0, q[1] | 128}, r.NATPMPCode)
	a = binary.BigEndian.AppendUint32(a, r.epoch)
	if q[1] == 0 {
		address := r.external().As4()
		if r.NATPMPCode != 0 {
			address = [4]byte{}
		}
		return append(a, address[:]...)
	}
	protocol := map[byte]string{1: "udp", 2: "tcp"}[q[1]]
	internal, external, lifetime := binary.BigEndian.Uint16(q[4:]), binary.BigEndian.Uint16(q[6:]), binary.BigEndian.Uint32(q[8:])
	switch {
	case r.NATPMPCode != 0:
	case lifetime == 0:
		for port, m := range r.maps {
			if port.Protocol == protocol && m.Port == int(internal) {
				delete(r.maps, port)
			}
		}
	default:
		if r.Assign != 0 {
			external = r.Assign
		}
		r.maps[Port{protocol, int(external)}] = Mapping{Host: "127.0.0.1", Port: int(internal), Lease: int(lifetime)}
	}
	a = binary.BigEndian.AppendUint16(a, internal)
	a = binary.BigEndian.AppendUint16(a, external)
	return binary.BigEndian.AppendUint32(a, lifetime)
}

func (r *Router) pcp(q []byte) []byte {
	m := q[24:]
	host, code := r.thirdParty(q), r.PCPCode
	if code == 0 && host == "" {
		code = 5
	}
	if code == 0 {
		code = r.mapPCP(Port{protocols[m[12]], int(binary.BigEndian.Uint16(m[18:]))}, Mapping{
			Host: host, Port: int(binary.BigEndian.Uint16(m[16:])), Lease: int(binary.BigEndian.Uint32(q[4:])), nonce: [12]byte(m),
		})
	}
	a := slices.Clone(q[:60])
	a[1] |= 128
	a[3] = code
	binary.BigEndian.PutUint32(a[8:], r.epoch)
	clear(a[12:24])
	address := r.external().As16()
	copy(a[44:], address[:])
	return a
}

// thirdParty is the host that a request is for; "" when it may not be.
func (r *Router) thirdParty(q []byte) string {
	for rest := q[60:]; len(rest) >= 4; {
		length := int(binary.BigEndian.Uint16(rest[2:]))
		if len(rest) < 4+length {
			break
		}
		if rest[0] == 1 && length == 16 {
			if !r.ThirdParty {
				return ""
			}
			return netip.AddrFrom16([16]byte(rest[4:])).Unmap().String()
		}
		rest = rest[4+length:]
	}
	return netip.AddrFrom16([16]byte(q[8:])).Unmap().String()
}

func (r *Router) mapPCP(port Port, m Mapping) (code byte) {
	if m.Lease == 0 {
		for p, old := range r.maps {
			switch {
			case p.Protocol != port.Protocol || old.Port != m.Port || old.Host != m.Host:
			case old.nonce != m.nonce:
				return 2
			default:
				delete(r.maps, p)
			}
		}
		return 0
	}
	if old, taken := r.maps[port]; taken && (old.nonce != m.nonce || old.Host != m.Host) {
		return 11
	}
	r.maps[port] = m
	return 0
}

func (r *Router) external() netip.Addr {
	address, err := netip.ParseAddr(r.WAN)
	if err != nil {
		return netip.IPv4Unspecified()
	}
	return address
}
