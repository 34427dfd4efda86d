//go:build linux

package netlab

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/miekg/dns"
)

// relay passes DNS messages on to another server, over the protocol they came by.
type relay struct {
	service *service
	host    *host
	to      string
	// answer gives an answer of the relay's own: nil passes the message on, and an
	// empty one drops it.
	answer func(message []byte) []byte
	// spoil changes an answer on its way back.
	spoil func(message, answer []byte) []byte
}

// relays starts what stands before the name servers: the router for the LAN, and
// before ns1 one that spoils signed updates.
func (l *Lab) relays(s Site) error {
	if err := l.restart("router-dns", func(sv *service) error {
		r := &relay{host: l.hosts["router"], to: Resolver + ":53", answer: l.split}
		return sv.relay(r, Router+":53")
	}); err != nil {
		return err
	}
	return l.restart("ns1-relay", func(sv *service) error {
		if s.Signed == "ok" {
			return nil
		}
		u := &updates{kind: s.Signed, secrets: map[string]string{UpdateKey: l.keys.update, providerKey: l.keys.provider}}
		return sv.relay(&relay{host: l.hosts["dns"], to: NS1 + ":" + l.port(NS1), answer: u.answer, spoil: u.spoil}, NS1+":53")
	})
}

// relay serves DNS at address over UDP and TCP.
func (sv *service) relay(r *relay, address string) error {
	r.service = sv
	pc, err := r.host.listenPacket(address)
	if err != nil {
		return err
	}
	sv.add(pc)
	sv.goes(func() {
		buf := make([]byte, 65535)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			message := append([]byte(nil), buf[:n]...)
			sv.goes(func() {
				if answer := r.one(message); len(answer) > 0 {
					pc.WriteTo(answer, from)
				}
			})
		}
	})
	return sv.tcp(r.host, address, r.stream)
}

// one relays one datagram.
func (r *relay) one(message []byte) []byte {
	if r.answer != nil {
		if a := r.answer(message); a != nil {
			return a
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn, err := r.host.dial(ctx, "udp4", r.to)
	if err != nil {
		return nil
	}
	r.service.add(conn)
	defer r.service.remove(conn)
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Write(message); err != nil {
		return nil
	}
	buf := make([]byte, 65535)
	n, err := conn.Read(buf)
	if err != nil {
		return nil
	}
	return r.back(message, buf[:n])
}

func (r *relay) back(message, answer []byte) []byte {
	if r.spoil != nil {
		return r.spoil(message, answer)
	}
	return answer
}

// stream relays a connection, message by message.
func (r *relay) stream(down net.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	up, err := r.host.dial(ctx, "tcp4", r.to)
	if err != nil {
		return
	}
	r.service.add(up)
	defer r.service.remove(up)
	for {
		down.SetDeadline(time.Now().Add(20 * time.Second))
		up.SetDeadline(time.Now().Add(20 * time.Second))
		message, err := readMessage(down)
		if err != nil {
			return
		}
		var answer []byte
		if r.answer != nil {
			answer = r.answer(message)
		}
		if answer == nil {
			if err := writeMessage(up, message); err != nil {
				return
			}
			if answer, err = readMessage(up); err != nil {
				return
			}
			answer = r.back(message, answer)
		}
		if len(answer) == 0 {
			continue
		}
		if err := writeMessage(down, answer); err != nil {
			return
		}
	}
}

func readMessage(r io.Reader) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	message := make([]byte, binary.BigEndian.Uint16(length[:]))
	_, err := io.ReadFull(r, message)
	return message, err
}

func writeMessage(w io.Writer, message []byte) error {
	_, err := w.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...))
	return err
}

// split answers with the portal's address in the LAN, as some routers do.
func (l *Lab) split(message []byte) []byte {
	q := new(dns.Msg)
	if l.Site().Split != "on" || q.Unpack(message) != nil || len(q.Question) != 1 || q.Question[0].Name != PortalName+"." {
		return nil
	}
	a := new(dns.Msg)
	a.SetReply(q)
	a.RecursionAvailable = true
	if q.Question[0].Qtype == dns.TypeA {
		a.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: PortalName + ".", Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.ParseIP(Portal)}}
	}
	packed, err := a.Pack()
	if err != nil {
		return nil
	}
	return packed
}

// updates spoils signed updates, and lets all else pass.
type updates struct {
	kind    string
	secrets map[string]string
}

// signed gives the message and its signature if it is an update with a good one.
func (u *updates) signed(message []byte) (*dns.Msg, *dns.TSIG) {
	m := new(dns.Msg)
	if m.Unpack(message) != nil || m.Opcode != dns.OpcodeUpdate || m.IsTsig() == nil {
		return nil, nil
	}
	t := m.IsTsig()
	// TsigVerify takes the signature off what it is given.
	if t.Hdr.Name == providerKey || dns.TsigVerify(bytes.Clone(message), u.secrets[t.Hdr.Name], "", false) != nil {
		return nil, nil
	}
	return m, t
}

// answer is what the server would say to message if it had the fault.
func (u *updates) answer(message []byte) []byte {
	m, t := u.signed(message)
	if m == nil {
		return nil
	}
	a := new(dns.Msg)
	a.SetReply(m)
	a.Ns, a.Answer, a.Extra = nil, nil, nil
	sign := &dns.TSIG{
		Hdr:       dns.RR_Header{Name: t.Hdr.Name, Rrtype: dns.TypeTSIG, Class: dns.ClassANY},
		Algorithm: t.Algorithm, TimeSigned: t.TimeSigned, Fudge: t.Fudge, OrigId: m.Id,
	}
	skew := map[string]time.Duration{"fast": 10 * time.Minute, "slow": -10 * time.Minute}[u.kind]
	switch u.kind {
	case "hang":
		return []byte{}
	case "servfail":
		a.Rcode = dns.RcodeServerFailure
	case "notimp":
		a.Rcode = dns.RcodeNotImplemented
	case "fast", "slow": // RFC 8945, section 5.2.3: a signed answer that tells the server's time
		a.Rcode = dns.RcodeNotAuth
		sign.Error = dns.RcodeBadTime
		sign.OtherLen = 6
		sign.OtherData = hex.EncodeToString(binary.BigEndian.AppendUint64(nil, uint64(time.Now().Add(skew).Unix()))[2:])
	default:
		return nil
	}
	a.Extra = []dns.RR{sign}
	packed, _, err := dns.TsigGenerate(a, u.secrets[t.Hdr.Name], t.MAC, false)
	if err != nil {
		panic(fmt.Sprintf("netlab: signing an answer: %v", err))
	}
	return packed
}

// spoil takes the signature off an answer.
func (u *updates) spoil(message, answer []byte) []byte {
	if m, _ := u.signed(message); m == nil || u.kind != "unsigned" {
		return answer
	}
	a := new(dns.Msg)
	if a.Unpack(answer) != nil {
		return answer
	}
	a.Extra = nil
	packed, err := a.Pack()
	if err != nil {
		return answer
	}
	return packed
}
