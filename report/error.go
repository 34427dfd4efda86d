package report

import (
	"errors"
	"fmt"
	"io/fs"
)

// Kind says whose move it is after an error. Each kind has one exit status.
type Kind int

// The kinds of error.
const (
	KindFailed      Kind = iota // the work could not be done
	KindUsage                   // the command was called wrongly
	KindMissing                 // a value is missing and nobody can be asked
	KindInput                   // an input is unreadable, damaged, of the wrong kind, or its password is wrong
	KindNoAnswer                // no answer from a resolver, router, device or authority
	KindRefused                 // refused for safety
	KindInterrupted             // somebody stopped it
)

// Error is work that could not be done: what was tried on what, what went
// wrong, and what to do now. It is safe to show: no secret is ever part of it.
type Error struct {
	// Code is stable and has a page, as a finding's code has.
	Code string
	Kind Kind
	// Message is one line, lower case, without a full stop.
	Message string
	// Remedy is what to do now, lower case, without a full stop; it may be empty.
	Remedy string
	// Err is the cause, for errors.Is and --verbose; it may be nil.
	Err error
}

func (e *Error) Error() string { return e.Message }

func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error. The format works as in fmt.Errorf: %w puts the cause in.
func Errorf(kind Kind, code, remedy, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Kind: kind, Message: err.Error(), Remedy: remedy, Err: errors.Unwrap(err)}
}

// AsError returns err as an *Error. An error of any other type becomes one of
// KindFailed with the code "failed", so that nothing is ever without a code.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Code: "failed", Kind: KindFailed, Message: err.Error(), Err: err}
}

// HasCode reports whether err is, or wraps, an Error with the code.
func HasCode(err error, code string) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Code == code
}

// Unreadable is the error for a file that the system does not let be read. err is
// what it said, which may name the file too.
func Unreadable(path string, err error) *Error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	}
	remedy := "check the name and the permissions"
	if errors.Is(err, fs.ErrNotExist) {
		remedy = "check the name and the folder; quote a name that has spaces"
	}
	return Errorf(KindInput, "file.unreadable", remedy, "cannot read %s: %w", path, err)
}

// InFile says in which file an error was met: it puts the path in front of the
// message and keeps code, kind and remedy. A nil err stays nil.
func InFile(path string, err error) error {
	if err == nil {
		return nil
	}
	e := *AsError(err)
	e.Message = path + ": " + e.Message
	return &e
}
