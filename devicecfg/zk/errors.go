package zk

import (
	"errors"
	"net"
	"time"

	"onsite/internal/sock"
	"onsite/report"
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
	case sock.Refused(err):
		return errorf(err, CodeRefused, "check the address and the port: a computer or a clock is there, but nothing listens; some clocks speak UDP only",
			"connect to %s: refused", addr)
	case sock.Unreachable(err):
		return errorf(err, CodeUnreachable, "check the cable, the address and this computer's network",
			"connect to %s: nobody has this address now, or no way leads there", addr)
	case sock.TimedOut(err):
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
	case errors.Is(err, ErrChecksum), errors.Is(err, ErrShort), errors.Is(err, ErrLength), errors.Is(err, ErrStrays):
		return errorf(err, CodeAnswer, "try again; if it stays so, something on the way damages what is sent", "at %s: %v", c.addr, err)
	case sock.Refused(err): // by UDP it shows here
		return errorf(err, CodeRefused, "check the address and the port: nothing listens there by UDP", "connect to %s: refused", c.addr)
	case sock.TimedOut(err):
		return errorf(err, CodeSilent, "check the port; a clock that hangs needs a restart", "%s takes what is sent and says nothing", c.addr)
	case sock.HungUp(err):
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
