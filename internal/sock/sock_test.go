package sock

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"onsite/report"
)

func TestErrors(t *testing.T) {
	t.Parallel()
	op := func(err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)}
	}
	for _, tt := range []struct {
		name string
		err  error
		is   func(error) bool
	}{
		{"refused", op(syscall.ECONNREFUSED), Refused},
		{"refused on Windows", op(wsaRefused), Refused},
		{"no route", op(syscall.EHOSTUNREACH), Unreachable},
		{"no network", op(syscall.ENETUNREACH), Unreachable},
		{"no network on Windows", op(wsaNetUnreach), Unreachable},
		{"the system's limit", op(syscall.ETIMEDOUT), TimedOut},
		{"the system's limit on Windows", op(wsaTimedOut), TimedOut},
		{"a deadline", &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, TimedOut},
		{"a context", context.DeadlineExceeded, TimedOut},
		{"closed", io.ErrUnexpectedEOF, HungUp},
		{"reset on Windows", op(wsaReset), HungUp},
		{"in use", op(syscall.EADDRINUSE), InUse},
		{"not allowed on Windows", op(wsaAccess), Denied},
		{"not allowed", op(syscall.EACCES), Denied},
		{"not here", op(syscall.EADDRNOTAVAIL), NotHere},
	} {
		all := map[string]func(error) bool{"Refused": Refused, "Unreachable": Unreachable, "TimedOut": TimedOut, "HungUp": HungUp, "InUse": InUse, "Denied": Denied, "NotHere": NotHere}
		n := 0
		for _, is := range all {
			if is(tt.err) {
				n++
			}
		}
		if !tt.is(tt.err) || n != 1 {
			t.Errorf("%s: %v is told apart by %d functions, and by its own: %t", tt.name, tt.err, n, tt.is(tt.err))
		}
	}
	for err, want := range map[error]string{
		nil: OutcomeConnected, op(wsaRefused): OutcomeRefused, op(syscall.EHOSTUNREACH): OutcomeUnreachable,
		op(syscall.ETIMEDOUT): OutcomeTimeout, io.EOF: "",
	} {
		if got := Outcome(err); got != want {
			t.Errorf("Outcome(%v) = %q, want %q", err, got, want)
		}
	}
	if got := Reason(op(errors.New("the innermost"))); got != "the innermost" {
		t.Errorf("Reason = %q", got)
	}
}

func TestListen(t *testing.T) {
	t.Parallel()
	codes := Codes{"wrong", "in-use", "denied", "failed"}
	if l, err := Listen("", codes); l != nil || err != nil {
		t.Errorf("Listen on nothing = %v, %v", l, err)
	}
	taken, err := Listen("127.0.0.1:0", codes)
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for addr, want := range map[string]string{
		"8888": "wrong", ":http": "wrong", ":65536": "wrong", ":08888": "wrong", "192.0.2.1:0": "wrong",
		taken.Addr().String(): "in-use",
	} {
		if _, err := Listen(addr, codes); !report.HasCode(err, want) || report.AsError(err).Remedy == "" {
			t.Errorf("Listen(%q) = %v, want code %s and a remedy", addr, err, want)
		}
	}
	for err, want := range map[error]string{os.ErrPermission: "denied", errors.New("odd"): "failed"} {
		if e := listenError(":443", "443", &net.OpError{Op: "listen", Err: err}, codes); e.Code != want {
			t.Errorf("listenError(%v) = %+v, want %s", err, e, want)
		}
	}
}
