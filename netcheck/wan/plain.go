package wan

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"

	"onsite/internal/sock"
)

// plain says in a technician's words why there is no answer.
func plain(err error) string {
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		if e.IsNotFound {
			return "the name is not known here, or has no address of this family"
		}
		return "no resolver answers for the name"
	}
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "its certificate is not trusted: something on the way answers in its place (" + e.Err.Error() + ")"
	}
	switch {
	case errors.Is(err, errNoAnswer), sock.TimedOut(err):
		return errNoAnswer.Error()
	case sock.Refused(err):
		return "the connection is refused"
	case sock.Unreachable(err):
		return "no way leads there"
	case errors.Is(err, context.Canceled):
		return "stopped"
	}
	if e, ok := errors.AsType[*url.Error](err); ok { // the URL is told beside it
		err = e.Err
	}
	return err.Error()
}
