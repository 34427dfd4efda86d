// Package sock tells the errors of sockets apart, on every system, and takes
// addresses to listen on.
package sock

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"syscall"
)

// What Windows calls the errors of sockets (winsock2.h). Package syscall has
// these numbers under no name, and its own ECONNREFUSED and so on are others
// there. No other system has numbers this high.
const (
	wsaAccess      = syscall.Errno(10013)
	wsaInUse       = syscall.Errno(10048)
	wsaNoFamily    = syscall.Errno(10047)
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

// Refused reports whether a connection was refused: the address is there, and
// nothing listens on the port, or a firewall rejects it.
func Refused(err error) bool { return isOne(err, syscall.ECONNREFUSED, wsaRefused) }

// Unreachable reports whether no way led to the address.
func Unreachable(err error) bool {
	return isOne(err, syscall.ENETUNREACH, syscall.EHOSTUNREACH, wsaNetUnreach, wsaHostUnreach)
}

// TimedOut reports whether a wait ended by a limit of time: the system's, a
// deadline's or a context's.
func TimedOut(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout() || isOne(err, syscall.ETIMEDOUT, wsaTimedOut, context.DeadlineExceeded, os.ErrDeadlineExceeded)
}

// What became of connecting, in a word.
const (
	OutcomeConnected   = "connected"
	OutcomeRefused     = "refused"     // something answered that nothing listens there
	OutcomeTimeout     = "timeout"     // nothing answered at all
	OutcomeUnreachable = "unreachable" // a router on the way answered that it cannot be reached
)

// Outcome is what became of connecting, by its error; "" when that says nothing
// of the other end.
func Outcome(err error) string {
	switch {
	case err == nil:
		return OutcomeConnected
	case Refused(err):
		return OutcomeRefused
	case Unreachable(err):
		return OutcomeUnreachable
	case TimedOut(err):
		return OutcomeTimeout
	}
	return ""
}

// HungUp reports whether the other end closed the connection.
func HungUp(err error) bool {
	return isOne(err, io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE, wsaReset)
}

// Reset reports whether the other end tore the connection down. Windows says so
// of a UDP socket, too, when nothing listens on the other side.
func Reset(err error) bool { return isOne(err, syscall.ECONNRESET, wsaReset) }

// NoFamily reports whether this computer does not know the kind of address, as
// one without IPv6.
func NoFamily(err error) bool { return isOne(err, syscall.EAFNOSUPPORT, wsaNoFamily) }

// InUse reports whether another program has the address.
func InUse(err error) bool { return isOne(err, syscall.EADDRINUSE, wsaInUse) }

// Denied reports whether this user may not do that.
func Denied(err error) bool { return isOne(err, fs.ErrPermission, wsaAccess) }

// NotHere reports whether the address is none of this computer's.
func NotHere(err error) bool { return isOne(err, syscall.EADDRNOTAVAIL, wsaNotHere) }

// Reason is the innermost error of a network operation: what stands around it
// are addresses, which a message has already.
func Reason(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}
