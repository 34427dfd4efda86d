//go:build !windows

package fileset

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"github.com/gofrs/flock"
)

// whenFree is for Windows, where a file or folder that somebody has open resists.
func whenFree(_ string, try func() error) error { return try() }

// checkFree is for Windows, where a file in use cannot be replaced.
func checkFree(string) error { return nil }

// passing is for Windows, where a folder that is being deleted refuses access.
func passing(error) bool { return false }

// syncFolder brings the names in a folder to the disk. Some file systems cannot,
// and say so in one of two ways; nor can a user who may write but not read.
func syncFolder(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	err = f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil
	}
	return errors.Join(err, f.Close())
}

// removeLock removes the file before it lets go of it. The other way round, it
// might remove the lock of somebody who just got it.
func removeLock(lock *flock.Flock) error {
	return errors.Join(os.Remove(lock.Path()), lock.Unlock())
}

func diskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// writeProtected is for Windows; here it is syscall.EROFS.
func writeProtected(error) bool { return false }

// setMode sets a mode regardless of the umask. A file system that has no modes
// (vfat) refuses, and that is all right.
func setMode(path string, mode fs.FileMode) error {
	err := os.Chmod(path, mode)
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOTSUP) {
		return nil
	}
	return err
}

// copyOwner gives a copy the owner of the original where that is allowed.
func copyOwner(f *os.File, original fs.FileInfo) {
	if st, ok := original.Sys().(*syscall.Stat_t); ok {
		_ = f.Chown(int(st.Uid), int(st.Gid))
	}
}

// trusted reports whether the maker of one folder may be trusted with another:
// it is this user, the owner of the other, or root.
func trusted(made, folder fs.FileInfo) bool {
	m, ok1 := made.Sys().(*syscall.Stat_t)
	f, ok2 := folder.Sys().(*syscall.Stat_t)
	return !ok1 || !ok2 || m.Uid == f.Uid || m.Uid == 0 || int(m.Uid) == os.Geteuid()
}
