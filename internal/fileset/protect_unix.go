//go:build !windows

package fileset

import (
	"errors"
	"os"
	"syscall"
)

// createFile makes a new file that only its owner can open; protect opens it up
// when it is not private.
func createFile(path string, _ bool) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

// protect gives a new, empty file its mode, regardless of the umask. Some file
// systems accept a mode and ignore it, so a private file is looked at again.
func protect(f *os.File, private bool) error {
	if !private {
		err := f.Chmod(0o644)
		if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOTSUP) {
			return nil // vfat has no modes
		}
		return err
	}
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	if fi.Mode().Perm()&0o077 != 0 {
		return errNotPrivate
	}
	return nil
}
