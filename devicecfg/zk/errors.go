package zk

import (
	"errors"
	"io"
	"net"
	"slices"
	"syscall"
	"time"

	"onsite/report"
)

// Windows has numbers of its own for what syscall has names for (winsock2.h).
const (
	wsaNetUnreach  = syscall.Errno(10051)
	wsaReset       = syscall.Errno(10054)
	wsaTimedOut    = syscall.Errno(10060)
	wsaRefused     = syscall.Errno(10061)
	wsaHostUnreach = syscall.Errno(10065)
)

// Codes of the errors that say what is there instead of a clock, or what it wants.
const (
	CodeUnresolved  = "device.unresolved"
	CodeRefused     = "device.refused"
	CodeUnreachable = "device.unreachable"
	CodeTimeout     = "device.timeout"
	CodeFailed      = "device.connect.failed"
	CodeSilent      = "device.silent"
	CodeClosed      = "device.closed"
	CodeForeign     = "device.foreign"
	CodePanel       = "device.panel"
	CodeAnswer      = "device.answer"
	CodeKeyNeeded   = "device.key.needed"
	CodeKeyWrong    = "device.key.wrong"
)

// errorf is report.Errorf with a cause that the message does not repeat.
func errorf(cause error, code, remedy, format string, args ...any) error {
	e := report.Errorf(report.KindNoAnswer, code, remedy, format, args...)
	e.Err = cause
	return e
}

func dialError(addr string, timeout time.Duration, err error) error {
	_, unresolved := errors.AsType[*net.DNSError](err)
	switch {
	case unresolved:
		return errorf(err, CodeUnresolved, "mend the name, or give the clock's address", "no resolver knows the name of %s", addr)
	case isOne(err, syscall.ECONNREFUSED, wsaRefused):
		return errorf(err, CodeRefused, "check the address and the port: a computer or a clock is there, but nothing listens; some clocks speak UDP only",
			"connect to %s: refused", addr)
	case isOne(err, syscall.ENETUNREACH, syscall.EHOSTUNREACH, wsaNetUnreach, wsaHostUnreach):
		return errorf(err, CodeUnreachable, "check the cable, the address and this computer's network",
			"connect to %s: nobody has this address now, or no way leads there", addr)
	case timedOut(err) || isOne(err, syscall.ETIMEDOUT, wsaTimedOut):
		return errorf(err, CodeTimeout, "check the address, the cable and whether the clock is on", "connect to %s: no answer within %s", addr, timeout)
	}
	return errorf(err, CodeFailed, "check this computer's firewall and security software", "connect to %s: %v", addr, err)
}

// broken says what became of a connection that was there.
func (c *Client) broken(err error) error {
	foreign, isForeign := errors.AsType[*ForeignError](err)
	switch {
	case isForeign && foreign.Heard[0] == 0xaa:
		return errorf(err, CodePanel, "use the maker's software for access panels",
			"at %s is an access panel (C3 or inBio), which speaks another protocol than time clocks", c.addr)
	case isForeign:
		return errorf(err, CodeForeign, "check the address and the port: this is no time clock",
			"at %s another protocol is spoken: the answer begins with %q", c.addr, foreign.Heard)
	case isOne(err, ErrChecksum, ErrShort, ErrLength, ErrStrays):
		return errorf(err, CodeAnswer, "try again; if it stays so, something on the way damages what is sent", "at %s: %v", c.addr, err)
	case isOne(err, syscall.ECONNREFUSED, wsaRefused): // by UDP it shows here
		return errorf(err, CodeRefused, "check the address and the port: nothing listens there by UDP", "connect to %s: refused", c.addr)
	case timedOut(err):
		return errorf(err, CodeSilent, "check the port; a clock that hangs needs a restart", "%s takes what is sent and says nothing", c.addr)
	case isOne(err, io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE, wsaReset):
		return errorf(err, CodeClosed, "check the port; a clock whose sessions are all taken does so too: wait a minute, or restart it",
			"%s takes the connection and hangs up without an answer", c.addr)
	}
	return errorf(err, CodeFailed, "try again", "talk to %s: %v", c.addr, err)
}

// oddAnswer is for a code that does not belong there.
func (c *Client) oddAnswer(to string, command Command) error {
	return errorf(nil, CodeAnswer, "try again; if it stays so, restart the clock and look whether it is set to another mode (push, ADMS)",
		"the clock at %s answers %s with %d, which clocks do not", c.addr, to, command)
}

func timedOut(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

func isOne(err error, targets ...error) bool {
	return slices.ContainsFunc(targets, func(target error) bool { return errors.Is(err, target) })
}
