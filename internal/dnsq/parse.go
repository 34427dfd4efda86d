package dnsq

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// errForeign is a message that does not answer the question.
var errForeign = errors.New("not the answer to this question")

const headerSize = 12

// parse reads the answer to a question. It believes nothing but the header of a
// truncated one.
func parse(q Question, id uint16, wire []byte) (a Answer, truncated bool, err error) {
	if len(wire) < headerSize || binary.BigEndian.Uint16(wire) != id {
		return a, false, errForeign
	}
	const response, cut = 0x80, 0x02
	if wire[2]&response == 0 {
		return a, false, errForeign
	}
	if wire[2]&cut != 0 && asks(wire, q) {
		return a, true, nil
	}
	var m dns.Msg
	if err := m.Unpack(wire); err != nil {
		return a, false, ErrDamaged
	}
	if !fits(&m, q) {
		return a, false, errForeign
	}
	a.Code, a.Authoritative, a.Recursive = Code(m.Rcode), m.Authoritative, m.RecursionAvailable
	a.Records, a.Authority, a.Additional = records(m.Answer), records(m.Ns), records(m.Extra)
	if opt := m.IsEdns0(); opt != nil {
		a.Extended = extended(opt)
	}
	return a, m.Truncated, nil
}

// asks reports whether a message begins with the question.
func asks(wire []byte, q Question) bool {
	if binary.BigEndian.Uint16(wire[4:]) != 1 {
		return false
	}
	name, off, err := dns.UnpackDomainName(wire, headerSize)
	return err == nil && len(wire) >= off+4 && Canonical(name) == Canonical(q.Name) &&
		binary.BigEndian.Uint16(wire[off:]) == uint16(q.Type) && binary.BigEndian.Uint16(wire[off+2:]) == dns.ClassINET
}

// fits compares the question in an answer with the one that was put. A server
// that could not read the question, or would not, may leave it out.
func fits(m *dns.Msg, q Question) bool {
	switch {
	case !m.Response || m.Opcode != dns.OpcodeQuery:
		return false
	case len(m.Question) == 0:
		return m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError
	case len(m.Question) > 1:
		return false
	}
	asked := m.Question[0]
	return asked.Qtype == uint16(q.Type) && asked.Qclass == dns.ClassINET && Canonical(asked.Name) == Canonical(q.Name)
}

// records turns the library's records into ours and leaves out the types that
// nobody asks for.
func records(list []dns.RR) []Record {
	if len(list) == 0 {
		return nil
	}
	all := make([]Record, 0, len(list))
	for _, rr := range list {
		if rr == nil || rr.Header().Class != dns.ClassINET {
			continue
		}
		h := rr.Header()
		r := Record{Name: Canonical(h.Name), Type: Type(h.Rrtype), TTL: ttl(h.Ttl)}
		switch rr := rr.(type) {
		case *dns.A:
			r.Addr, _ = netip.AddrFromSlice(rr.A)
			r.Addr = r.Addr.Unmap()
		case *dns.AAAA:
			r.Addr, _ = netip.AddrFromSlice(rr.AAAA)
		case *dns.CNAME:
			r.Target = Canonical(rr.Target)
		case *dns.NS:
			r.Target = Canonical(rr.Ns)
		case *dns.PTR:
			r.Target = Canonical(rr.Ptr)
		case *dns.SOA:
			r.Target, r.Serial, r.Negative = Canonical(rr.Ns), rr.Serial, min(ttl(rr.Minttl), r.TTL)
		case *dns.TXT:
			r.Value = strings.Join(rr.Txt, "")
		case *dns.CAA:
			r.Flag, r.Tag, r.Value = rr.Flag, strings.ToLower(rr.Tag), rr.Value
		default:
			continue
		}
		if (r.Type == A || r.Type == AAAA) && !r.Addr.IsValid() {
			continue // RDATA of no bytes, which stands for a record that is deleted
		}
		all = append(all, r)
	}
	return all
}

// ttl is a time to live; with the top bit set it means zero (RFC 2181, section 8).
func ttl(seconds uint32) time.Duration {
	if seconds > 1<<31-1 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

func extended(opt *dns.OPT) []Extended {
	var list []Extended
	for _, o := range opt.Option {
		if e, ok := o.(*dns.EDNS0_EDE); ok && len(list) < maxShown {
			list = append(list, Extended{Code: e.InfoCode, Text: strings.TrimRight(e.ExtraText, "\x00")})
		}
	}
	return list
}
