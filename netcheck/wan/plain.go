package wan

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"slices"
	"syscall"
)

// Windows' own numbers: there, syscall's constants are made up and never come.
const (
	wsaNetUnreach  = syscall.Errno(10051)
	wsaRefused     = syscall.Errno(10061)
	wsaHostUnreach = syscall.Errno(10065)
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
	timeout, _ := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, errNoAnswer), errors.Is(err, context.DeadlineExceeded), timeout != nil && timeout.Timeout():
		return errNoAnswer.Error()
	case isOne(err, syscall.ECONNREFUSED, wsaRefused):
		return "the connection is refused"
	case isOne(err, syscall.ENETUNREACH, syscall.EHOSTUNREACH, wsaNetUnreach, wsaHostUnreach):
		return "no way leads there"
	case errors.Is(err, context.Canceled):
		return "stopped"
	}
	if e, ok := errors.AsType[*url.Error](err); ok { // the URL is told beside it
		err = e.Err
	}
	return err.Error()
}

func isOne(err error, targets ...error) bool {
	return slices.ContainsFunc(targets, func(t error) bool { return errors.Is(err, t) })
}
