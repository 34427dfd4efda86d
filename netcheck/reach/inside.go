package reach

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"

	"onsite/internal/sock"
	"onsite/report"
)

// FindInside looks whether this computer itself serves a port: then the port's
// inside address is this computer's, as seen from the gateway. It returns ""
// when nothing listens here.
func FindInside(ctx context.Context, local netip.Addr, port int, sockets func() ([]Socket, error)) string {
	if !local.IsValid() || !listens(ctx, port, sockets) {
		return ""
	}
	return netip.AddrPortFrom(local, uint16(port)).String() //nolint:gosec // G115: a port
}

func listens(ctx context.Context, port int, sockets func() ([]Socket, error)) bool {
	if sockets == nil {
		sockets = Sockets
	}
	if list, err := sockets(); err == nil {
		return slices.ContainsFunc(list, func(s Socket) bool { return s.Listening && int(s.Local.Port()) == port })
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(port)).String()) //nolint:gosec // G115: a port
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// listenBeacon takes an address for a beacon or for a telephone.
func listenBeacon(addr string) (net.Listener, error) {
	l, err := sock.Listen(addr, sock.Codes{
		Wrong: codeWrong, InUse: codeInUse, Denied: codeDenied, Failed: codeFailed,
	})
	if report.HasCode(err, codeInUse) {
		e := *report.AsError(err)
		e.Remedy = "if that is the portal, it is running, so check it as it is: onsite port check; else stop that program first (" + e.Remedy + ")"
		return nil, &e
	}
	return l, err
}

const (
	codeWrong  = "port.listen.wrong"
	codeInUse  = "port.listen.in-use"
	codeDenied = "port.listen.denied"
	codeFailed = "port.listen.failed"
)

var errNotThisBeacon = errors.New("the answer is not this process's")

func isOneCode(err error, codes ...string) bool {
	return slices.ContainsFunc(codes, func(code string) bool { return report.HasCode(err, code) })
}
