package fileset

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A folder that does not exist yet needs no staging: it is made beside its place
// with everything in it, and one rename puts it there. That holds on every
// system, and takes a third of the time.

// freshName begins the name of a folder that is being made beside NAME:
// ".onsite-new-NAME-RANDOM".
const freshName = ".onsite-new-"

// stale is the age after which such a folder is what a killed process left.
const stale = time.Minute

// fresh makes dir with the files in it. It is false when dir is there already,
// or the folder above it is not: then nothing was done.
func fresh(dir string, files []File, o Options) (done bool, err error) {
	above, name := filepath.Dir(dir), filepath.Base(dir)
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if fi, err := os.Stat(above); err != nil || !fi.IsDir() {
		return false, nil //nolint:nilerr // Update says what is wrong, or makes it
	}
	clearStale(above, name)
	s := &swap{dir: dir, root: filepath.Join(above, freshName+name+"-"+rand.Text()), step: o.Step}
	err = s.do("make folder", func() error { return os.Mkdir(s.root, 0o755) })
	if denied(err) {
		return false, nil // Update says so of the folder that was named
	}
	if err != nil {
		return false, s.explain(err, "nothing was changed")
	}
	err = s.fill(files)
	if err == nil {
		err = s.do("move folder", func() error { return os.Rename(s.root, dir) })
	}
	if err != nil {
		_ = os.RemoveAll(s.root) // else the next fresh does, once it is stale
		if exists(dir) {         // somebody else was faster
			return false, nil
		}
		return false, s.explain(err, "nothing was changed")
	}
	// The rename is the whole of the work; that it is on the disk is a matter of
	// moments, and no reason to call it undone.
	_ = s.sync(above)
	return true, nil
}

// fill writes the files into the folder that is not in its place yet.
func (s *swap) fill(files []File) error {
	for _, f := range files {
		if f.Data == nil {
			continue // it is not there to be taken away
		}
		err := s.do("write "+f.Name, func() error { return writeFile(s.in(f.Name), f.Data, f.Private) })
		if err != nil {
			return err
		}
	}
	return s.sync(s.root)
}

// clearStale removes what processes left that were killed while they made the
// same folder.
func clearStale(above, name string) {
	entries, err := os.ReadDir(above)
	if err != nil {
		return // a folder that may be written to and not read
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), freshName+name+"-") || !e.IsDir() {
			continue
		}
		if fi, err := e.Info(); err == nil && time.Since(fi.ModTime()) > stale {
			_ = os.RemoveAll(filepath.Join(above, e.Name()))
		}
	}
}
