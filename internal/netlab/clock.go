//go:build linux

package netlab

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// The codes of port 4370 that the lab's time clock knows. It can connect, tell six
// options and its version, and take its leave: enough to be told from anything else.
const (
	zkConnect = 1000
	zkExit    = 1001
	zkVersion = 1100
	zkOption  = 11
	zkOK      = 2000
	zkError   = 2001
	zkKey     = 2005 // a comm key is wanted
)

var zkMagic = []byte("PP\x82\x7d")

// Serial is the time clock's serial number.
const Serial = "LAB0000000001"

// clock starts the time clock: the protocol on 4370, TCP and UDP, and a page on 80.
func (s *service) clock(h *host, site Site) error {
	if site.Device == "down" {
		return nil
	}
	z := &zk{
		locked: site.Device == "key",
		options: map[string]string{
			"~SerialNumber": Serial, "~DeviceName": "LAB-CLOCK", "~Platform": "LAB_TFT",
			"IPAddress": Clock, "NetMask": "255.255.255.0",
			"GATEIPAddress": map[string]string{"ok": Router, "none": "0.0.0.0", "wrong": "192.168.1.254"}[site.Gateway],
		},
	}
	if err := s.web(h, ":80", nil, page(http.StatusOK, "ZK Web Server", "<html><title>Time clock</title></html>")); err != nil {
		return err
	}
	switch site.Device {
	case "other":
		return s.banner(h, ":4370")
	case "silent": // takes the connection and says nothing
		return s.tcp(h, ":4370", func(conn net.Conn) {
			conn.SetDeadline(time.Now().Add(time.Minute))
			io.Copy(io.Discard, conn)
		})
	case "c3":
		return s.tcp(h, ":4370", func(conn net.Conn) {
			conn.SetDeadline(time.Now().Add(20 * time.Second))
			if _, err := conn.Read(make([]byte, 512)); err == nil {
				conn.Write([]byte{0xaa, 0x01, 0xc9, 0x01, 0x00, 0x0d, 0x21, 0x0f, 0x55})
			}
		})
	}
	return errors.Join(s.tcp(h, ":4370", z.stream), s.zkDatagrams(h, z))
}

type zk struct {
	locked  bool
	options map[string]string
}

// stream speaks with one client over TCP.
func (z *zk) stream(conn net.Conn) {
	r := bufio.NewReader(conn)
	var session uint16
	for {
		conn.SetDeadline(time.Now().Add(30 * time.Second))
		var head [8]byte
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return
		}
		length := binary.LittleEndian.Uint32(head[4:])
		if !bytes.Equal(head[:4], zkMagic) || length < 8 || length > 65536 {
			return
		}
		packet := make([]byte, length)
		if _, err := io.ReadFull(r, packet); err != nil {
			return
		}
		answer := z.answer(packet, &session)
		frame := binary.LittleEndian.AppendUint32(bytes.Clone(zkMagic), uint32(len(answer)))
		if _, err := conn.Write(append(frame, answer...)); err != nil {
			return
		}
	}
}

func (s *service) zkDatagrams(h *host, z *zk) error {
	pc, err := h.listenPacket(":4370")
	if err != nil {
		return err
	}
	s.add(pc)
	s.goes(func() {
		sessions := map[netip.AddrPort]*uint16{}
		buf := make([]byte, 4096)
		for {
			n, from, err := pc.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			if n < 8 {
				continue
			}
			if sessions[from] == nil {
				sessions[from] = new(uint16)
			}
			pc.WriteToUDPAddrPort(z.answer(buf[:n], sessions[from]), from)
		}
	})
	return nil
}

// answer answers one packet: a header of four words (command, checksum, session,
// reply number) and what follows it.
func (z *zk) answer(packet []byte, session *uint16) []byte {
	command, number := binary.LittleEndian.Uint16(packet), binary.LittleEndian.Uint16(packet[6:])
	reply := func(code uint16, data string) []byte {
		p := binary.LittleEndian.AppendUint16(nil, code)
		p = append(p, 0, 0)
		p = binary.LittleEndian.AppendUint16(p, *session)
		p = binary.LittleEndian.AppendUint16(p, number)
		p = append(p, data...)
		binary.LittleEndian.PutUint16(p[2:], zkChecksum(p))
		return p
	}
	switch {
	case command == zkConnect:
		*session = uint16(1 + rand.IntN(0xfffe))
		if z.locked {
			return reply(zkKey, "")
		}
		return reply(zkOK, "")
	case command == zkExit:
		return reply(zkOK, "")
	case z.locked || *session == 0:
		return reply(zkKey, "")
	case command == zkOption:
		name := strings.TrimRight(string(packet[8:]), "\x00")
		if value, ok := z.options[name]; ok {
			return reply(zkOK, name+"="+value+"\x00")
		}
	case command == zkVersion:
		return reply(zkOK, "Ver 6.60 Lab\x00")
	}
	return reply(zkError, "")
}

// zkChecksum is the Internet checksum over little-endian words, with the
// checksum's own field empty.
func zkChecksum(p []byte) uint16 {
	var sum uint32
	for i := 0; i < len(p); i += 2 {
		switch {
		case i == 2:
		case i+1 < len(p):
			sum += uint32(binary.LittleEndian.Uint16(p[i:]))
		default:
			sum += uint32(p[i])
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
