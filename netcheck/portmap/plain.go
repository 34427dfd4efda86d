package portmap

import (
	"context"
	"errors"
	"fmt"
	"net"

	"onsite/internal/sock"
)

// plain says in a technician's words why nothing could be read.
func plain(err error) error {
	switch {
	case errors.Is(err, errElsewhere):
		return errElsewhere
	case errors.Is(err, errTooLong):
		return errTooLong
	case sock.TimedOut(err):
		return fmt.Errorf("%w in time", ErrSilent)
	case sock.Refused(err):
		return fmt.Errorf("%w: nothing listens there", ErrSilent)
	case sock.Unreachable(err):
		return fmt.Errorf("%w: there is no way to it", ErrSilent)
	case sock.HungUp(err):
		return errors.New("it hung up")
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return fmt.Errorf("%s: %w", op.Op, op.Err)
	}
	return err
}

// silence is plain for a datagram. A router without NAT-PMP tells so by ICMP,
// and the next read or write fails for that: on Windows as if the other end had
// hung up.
func silence(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%w in time", ErrSilent)
	case sock.HungUp(err):
		return fmt.Errorf("%w: nothing listens there", ErrSilent)
	}
	return plain(err)
}
