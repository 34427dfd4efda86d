package wan

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// probePorts are two of traceroute's, where nothing listens. A probe is sent to
// one after the other: routers limit what they report.
var probePorts = []uint16{33434, 33441}

// probeWait is how long a report is waited for.
const probeWait = 300 * time.Millisecond

// probe sends a datagram from a local address that may make steps steps, and
// returns who reported what became of it. Linux hands such reports to the
// socket that sent the datagram, without any rights (ip(7), IP_RECVERR).
func probe(ctx context.Context, local, to netip.Addr, steps int) Hop {
	for _, port := range probePorts {
		if hop, ok := probeOnce(ctx, local, netip.AddrPortFrom(to, port), steps); ok {
			return hop
		}
	}
	return Hop{}
}

func probeOnce(ctx context.Context, local netip.Addr, to netip.AddrPort, steps int) (Hop, bool) {
	dialer := net.Dialer{
		LocalAddr: net.UDPAddrFromAddrPort(netip.AddrPortFrom(local, 0)),
		Control: func(_, _ string, raw syscall.RawConn) error {
			var failed error
			err := raw.Control(func(fd uintptr) {
				if failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_TTL, steps); failed == nil {
					failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_RECVERR, 1)
				}
			})
			if err != nil {
				return err
			}
			return failed
		},
	}
	conn, err := dialer.DialContext(ctx, "udp4", to.String())
	if err != nil {
		return Hop{}, false
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if _, err := conn.Write([]byte("onsite")); err != nil {
		return Hop{}, false
	}
	if err := conn.SetReadDeadline(time.Now().Add(probeWait)); err != nil {
		return Hop{}, false
	}
	udp, ok := conn.(*net.UDPConn)
	if !ok {
		return Hop{}, false
	}
	return readReport(udp)
}

// readReport waits for an ICMP error. Data, which nobody sends here, is left
// where it is.
func readReport(conn *net.UDPConn) (hop Hop, ok bool) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return Hop{}, false
	}
	payload, control := make([]byte, 64), make([]byte, 512)
	err = raw.Read(func(fd uintptr) bool {
		_, n, _, _, err := unix.Recvmsg(int(fd), payload, control, unix.MSG_ERRQUEUE)
		if err != nil {
			return false // not yet
		}
		hop, ok = parseReport(control[:n])
		return true
	})
	return hop, ok && err == nil
}

// parseReport reads the kernel's struct sock_extended_err and the address of
// the host that reported, which follows it (<linux/errqueue.h>).
func parseReport(control []byte) (Hop, bool) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return Hop{}, false
	}
	const size = int(unsafe.Sizeof(unix.SockExtendedErr{}))
	for _, m := range messages {
		if m.Header.Level != unix.IPPROTO_IP || m.Header.Type != unix.IP_RECVERR || len(m.Data) < size+8 {
			continue
		}
		origin, kind, code := m.Data[4], m.Data[5], m.Data[6]
		offender := m.Data[size:] // struct sockaddr_in
		if origin != unix.SO_EE_ORIGIN_ICMP || binary.NativeEndian.Uint16(offender) != unix.AF_INET {
			continue
		}
		from := netip.AddrFrom4([4]byte(offender[4:8]))
		const unreachable, closedPort, exceeded = 3, 3, 11 // RFC 792
		switch {
		case kind == exceeded:
			return Hop{From: from}, true
		case kind == unreachable && code == closedPort:
			return Hop{From: from, Arrived: true}, true
		}
	}
	return Hop{}, false
}
