package fileset

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strings"
	"syscall"

	"onsite/report"
)

// inUseError is a file that cannot be replaced because a program has it open.
// Only Windows knows such a thing.
type inUseError struct {
	path string
	err  error
}

func (e *inUseError) Error() string { return e.path + ": " + e.err.Error() }

func (e *inUseError) Unwrap() error { return e.err }

// errNotPrivate is a file system that gives everybody access to every file.
var errNotPrivate = errors.New("the file system keeps no permissions")

// errForeign is a staging folder that somebody else made.
var errForeign = fmt.Errorf("it belongs to another user: %w", fs.ErrPermission)

// denied reports whether the system refused the change to this user.
func denied(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) || writeProtected(err)
}

// fail ends a Replace that met an error: before the decision it undoes
// everything, after it the new set stays.
func (s *swap) fail(cause error) error {
	is, _ := s.state() // what cannot be read is met again below
	if s.settled || s.links && is == isNew {
		s.unlock()
		return report.Errorf(report.KindFailed, "file.tidy.failed",
			"the new files can be used, and any further onsite command on this folder finishes the work; the previous files are in "+
				keptName+" or still in "+stagingName,
			"tidy %s after the new files were put in place: %w", s.dir, cause)
	}
	err := s.rollBack()
	if err == nil {
		err = s.close()
	}
	if err == nil {
		s.unmake()
		return s.explain(cause, "nothing was changed")
	}
	s.unlock()
	if is, unread := s.state(); is == undecided && unread == nil {
		return s.explain(cause, "the files are as before, and what is left in "+stagingName+" goes with the next onsite command on this folder")
	}
	return report.Errorf(report.KindFailed, "file.undo.failed",
		"mend what is named here, then run any onsite command on this folder: it puts the previous files back, which are in "+
			s.in("old"),
		"undo the change in %s after an error (%w): %s", s.dir, cause, err.Error())
}

// unrecovered is what a killed process left and this one cannot mend.
func (s *swap) unrecovered(cause error) error {
	if e, ok := errors.AsType[*report.Error](cause); ok {
		return e
	}
	if denied(cause) || diskFull(cause) {
		return s.explain(cause, "an interrupted change of its files is not finished yet")
	}
	return report.Errorf(report.KindFailed, "file.recover.failed",
		"mend what is named here and run the command again; do not delete "+s.root+": it holds the previous and the new files, in the folders old and new",
		"finish an interrupted change of the files in %s: %w", s.dir, cause)
}

// explain turns an error into words for the person at the terminal. so says what
// it means for the files.
func (s *swap) explain(cause error, so string) error {
	if e, ok := errors.AsType[*report.Error](cause); ok {
		return e
	}
	var e *report.Error
	used, inUse := errors.AsType[*inUseError](cause)
	switch {
	case inUse:
		e = report.Errorf(report.KindFailed, "file.in-use",
			"close the program that has it open, for example by stopping the web server's service, and run the command again",
			"replace %s: the file is open in another program or write-protected; %s", used.path, so)
	case diskFull(cause):
		e = report.Errorf(report.KindFailed, "file.disk-full",
			"make room on that disk, then run the command again",
			"write to %s: the disk is full; %s", s.dir, so)
	case errors.Is(cause, errNotPrivate):
		e = report.Errorf(report.KindFailed, "file.not-private",
			"name a folder on another disk with --out",
			"write a private key to %s: the file system there keeps no permissions, so everybody could read it; %s", s.dir, so)
	case denied(cause):
		e = report.Errorf(report.KindFailed, "file.not-writable", elevate(),
			"write to the folder %s: %w; %s", s.dir, cause, so)
	default:
		e = report.Errorf(report.KindFailed, "file.write.failed",
			"check the disk and the folder, then run the command again",
			"write to the folder %s: %w; %s", s.dir, cause, so)
	}
	e.Err = cause
	return e
}

func elevate() string {
	if runtime.GOOS == "windows" {
		return "run the command from an elevated prompt (Run as administrator), or name another folder with --out"
	}
	return "run the command with sudo, or name another folder with --out"
}

func (s *swap) busy() error {
	return report.Errorf(report.KindRefused, "file.busy",
		"wait until it is done, or end it, then run the command again",
		"change files in %s: another onsite is at work in this folder", s.dir)
}

func (s *swap) wouldOverwrite(names []string) error {
	verb := "exist"
	if len(names) == 1 {
		verb = "exists"
	}
	return report.Errorf(report.KindRefused, "file.exists",
		fmt.Sprintf("use --force to replace what is there (it is kept in %s), or name another folder with --out", s.place(keptName)),
		"write to %s: %s already %s", s.dir, strings.Join(names, ", "), verb)
}

func (s *swap) inTheWay(path, want string) error {
	return report.Errorf(report.KindRefused, "file.not-regular",
		"move it away, or name another folder with --out",
		"write to %s: %s is there and is not a %s", s.dir, path, want)
}
