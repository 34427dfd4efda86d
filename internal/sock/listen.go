package sock

import (
	"context"
	"errors"
	"net"
	"runtime"
	"strconv"

	"onsite/report"
)

// Codes are those of the errors of Listen, each a *report.Error.
type Codes struct {
	Wrong  string // the address is none to listen on
	InUse  string // another program has it
	Denied string // this user may not take it
	Failed string // anything else
}

// Listen takes a TCP address: host:port, or :port for every address of this
// computer. Port 0 is any free port. An empty address gives no listener.
func Listen(addr string, codes Codes) (net.Listener, error) {
	if addr == "" {
		return nil, nil
	}
	wrong := "give host:port or :port, for example :4444"
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, report.Errorf(report.KindUsage, codes.Wrong, wrong, "%q is not an address to listen on", addr)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return nil, report.Errorf(report.KindUsage, codes.Wrong, wrong, "%q is not an address to listen on: the port is a number from 0 to 65535", addr)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", addr) // nothing in it waits
	if err != nil {
		return nil, listenError(addr, port, err, codes)
	}
	return l, nil
}

func listenError(addr, port string, err error, codes Codes) *report.Error {
	_, unresolved := errors.AsType[*net.DNSError](err)
	switch {
	case InUse(err):
		see := "ss -ltnp shows which program"
		if runtime.GOOS == "windows" {
			see = "netstat -ano shows the number of the process"
		}
		return report.Errorf(report.KindRefused, codes.InUse, "stop the program that holds port "+port+" ("+see+"), or give another port",
			"listen on %s: another program has this address", addr)
	case Denied(err):
		return report.Errorf(report.KindFailed, codes.Denied,
			"give a port from 1024 on, such as 4444; or run with more rights; on Windows the port may be reserved: netsh int ipv4 show excludedportrange tcp",
			"listen on %s: the system does not let this user take port %s", addr, port)
	case unresolved || NotHere(err):
		return report.Errorf(report.KindUsage, codes.Wrong, "give one of this computer's own addresses, or only the port to listen on all: :"+port,
			"listen on %s: this computer does not have that address", addr)
	}
	return report.Errorf(report.KindFailed, codes.Failed, "give another address", "listen on %s: %w", addr, err)
}
