package portal

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"runtime"
	"slices"
	"strconv"
	"syscall"

	"onsite/report"
)

// What Windows calls the errors of sockets (winsock2.h). Package syscall has
// these numbers under no name, and its own ECONNREFUSED and so on are others
// there. No other system has numbers this high.
const (
	wsaAccess      = syscall.Errno(10013)
	wsaInUse       = syscall.Errno(10048)
	wsaNotHere     = syscall.Errno(10049)
	wsaNetUnreach  = syscall.Errno(10051)
	wsaReset       = syscall.Errno(10054)
	wsaTimedOut    = syscall.Errno(10060)
	wsaRefused     = syscall.Errno(10061)
	wsaHostUnreach = syscall.Errno(10065)
)

// isOne reports whether err is one of the errors.
func isOne(err error, targets ...error) bool {
	return slices.ContainsFunc(targets, func(t error) bool { return errors.Is(err, t) })
}

// listen takes a TCP address. An empty one gives no listener.
func listen(addr string) (net.Listener, error) {
	if addr == "" {
		return nil, nil
	}
	wrong := "give host:port or :port, for example :4444"
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, report.Errorf(report.KindUsage, "portal.address.wrong", wrong, "%q is not an address to listen on", addr)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return nil, report.Errorf(report.KindUsage, "portal.address.wrong", wrong, "%q is not an address to listen on: the port is a number from 0 to 65535", addr)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", addr) // nothing in it waits
	if err != nil {
		return nil, listenError(addr, port, err)
	}
	return l, nil
}

func listenError(addr, port string, err error) *report.Error {
	_, unresolved := errors.AsType[*net.DNSError](err)
	switch {
	case isOne(err, syscall.EADDRINUSE, wsaInUse):
		see := "ss -ltnp shows which program"
		if runtime.GOOS == "windows" {
			see = "netstat -ano shows the number of the process"
		}
		return report.Errorf(report.KindRefused, "portal.address.in-use", "stop the program that holds port "+port+" ("+see+"), or give another port",
			"listen on %s: another program has this address", addr)
	case isOne(err, fs.ErrPermission, wsaAccess):
		return report.Errorf(report.KindFailed, "portal.address.denied",
			"give a port from 1024 on, such as 4444; or run with more rights; on Windows the port may be reserved: netsh int ipv4 show excludedportrange tcp",
			"listen on %s: the system does not let this user take port %s", addr, port)
	case unresolved || isOne(err, syscall.EADDRNOTAVAIL, wsaNotHere):
		return report.Errorf(report.KindUsage, "portal.address.wrong", "give one of this computer's own addresses, or only the port to listen on all: :"+port,
			"listen on %s: this computer does not have that address", addr)
	}
	return report.Errorf(report.KindFailed, "portal.serve.failed", "give another address", "listen on %s: %w", addr, err)
}
