package fileset

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/sys/windows"
)

// checkFree reports a file that could not be replaced because a program has it
// open. It is asked before anything changes.
func checkFree(path string) error {
	p, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return err
	}
	return whenFree(path, func() error {
		h, err := windows.CreateFile(p, windows.DELETE,
			windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE|windows.FILE_SHARE_DELETE, nil,
			windows.OPEN_EXISTING, windows.FILE_FLAG_OPEN_REPARSE_POINT, 0)
		if err != nil {
			return err
		}
		return windows.CloseHandle(h)
	})
}

// whenFree tries until the file or folder is free, for a second. Virus scanners
// and indexers look at every new file, and another onsite that goes looks at the
// staging folder; all are gone soon.
func whenFree(path string, try func() error) error {
	for start := time.Now(); ; time.Sleep(poll) {
		err := try()
		switch {
		case err == nil || !inUse(err):
			return err
		case time.Since(start) > time.Second:
			return &inUseError{path, err}
		}
	}
}

// inUse reports whether a file is open elsewhere. Windows says "access denied"
// when that is the file to be replaced; the folder itself is known to be
// writable by then.
func inUse(err error) bool {
	return errors.Is(err, windows.ERROR_SHARING_VIOLATION) || errors.Is(err, windows.ERROR_LOCK_VIOLATION) ||
		errors.Is(err, windows.ERROR_USER_MAPPED_FILE) || errors.Is(err, windows.ERROR_ACCESS_DENIED)
}

// passing reports an error that a folder or file shows while it is being deleted.
func passing(err error) bool {
	return errors.Is(err, windows.ERROR_ACCESS_DENIED) || errors.Is(err, windows.ERROR_SHARING_VIOLATION) ||
		errors.Is(err, windows.ERROR_DELETE_PENDING)
}

// syncFolder does nothing: Windows brings names to the disk by itself.
func syncFolder(string) error { return nil }

// removeLock lets go of the file before it removes it, because an open file
// cannot be removed. Where somebody else has opened it meanwhile, it is theirs.
func removeLock(lock *flock.Flock) error {
	if err := lock.Unlock(); err != nil {
		return err
	}
	for range hiccups {
		err := os.Remove(lock.Path())
		switch {
		case err == nil || errors.Is(err, fs.ErrNotExist):
			return nil
		case !passing(err):
			return err
		}
		time.Sleep(poll)
	}
	return nil
}

func diskFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}

func writeProtected(err error) bool { return errors.Is(err, windows.ERROR_WRITE_PROTECT) }

// setMode does nothing: there are no modes here.
func setMode(string, fs.FileMode) error { return nil }

// copyOwner does nothing: a copy belongs to whoever makes it.
func copyOwner(*os.File, fs.FileInfo) {}

// trusted trusts everybody: no folder of Windows is writable by all and meant for
// files of all, as /tmp is.
func trusted(_, _ fs.FileInfo) bool { return true }
