// Package fileset changes several files of one folder together: all of them or
// none, whatever happens on the way. A failing disk, a full disk and a process
// that is killed between any two steps leave the whole old set or the whole new
// one. What was there before is kept beside, in the folder onsite-previous.
//
//	kept, err := fileset.Replace(dir, []fileset.File{
//		{Name: "cert.pem", Data: cert},
//		{Name: "key.pem", Data: key, Private: true},
//	}, fileset.Options{Overwrite: true})
//
// The folder itself stays: it may hold other files and be in use by a server.
//
// # How it works
//
// Everything is prepared in the folder .onsite-swap inside the folder, on the
// same file system, with all the space it will need:
//
//	lock   held by the process at work; the system lets go of it when that dies
//	plan   the names of the set, and which of them were there before
//	old/   the files as they are seen until the change
//	back/  the same files, to be put back when the work fails
//	new/   the files as they are seen after the change
//	put/   the same files, to be moved into place after the change
//	links/ symbolic links NAME -> .onsite-swap/now/NAME
//	now    says which set counts: old or new
//
// First "now" becomes a symbolic link to old/, and the links take the places of
// the names: through them the same content is seen as before. Then one rename
// makes "now" point to new/, and every name shows its new content at the same
// instant. Last, the files of put/ take the places of the links, and old/
// becomes the kept folder. So the names show one whole set at every moment,
// even to a program that knows nothing of this package.
//
// A folder that does not exist yet is made whole beside its place and renamed.
//
// Where there are no symbolic links (vfat), or where one to a folder cannot be
// replaced in one step (Windows), "now" is a small file that says "new" and is
// renamed into place as the decision to go on; then the files of put/ are moved
// into place one after the other. A process killed between two of these moves,
// which follow each other within milliseconds, leaves a mixture until the next
// Recover or Replace finishes the work.
//
// The package guards a set against faults, not against another program that
// writes to the same names meanwhile, and it gives a reader that opens the files
// one by one no common view of them: such a reader checks that they fit, and
// reads again. A reader that is suspended in the middle of opening a file may
// once be told that it is not there.
package fileset

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"onsite/internal/lazyre"
	"onsite/report"
)

// The folders that this package makes inside the folder of a set.
const (
	stagingName = ".onsite-swap"
	keptName    = "onsite-previous"
)

// File is one file of a set.
type File struct {
	// Name is a base name, without separators. Names that differ in case only
	// are the same name, as they are on Windows and macOS.
	Name string
	// Data is the content. Nil means that the file is taken away if it is there.
	Data []byte
	// Private files are 0600, or on Windows for the current user, Administrators
	// and SYSTEM alone; other files are 0644.
	Private bool
}

// Options are the choices of Replace. The zero value replaces nothing that is
// there.
type Options struct {
	// Overwrite allows names that are there already. Without it they are an
	// error with the code file.exists.
	Overwrite bool
	// Forget keeps nothing of the previous files, once the new ones are in place:
	// for a file that only ever grows, whose earlier forms hold nothing more.
	Forget bool
	// Now names the kept folder; nil means time.Now.
	Now func() time.Time
	// Step is called before every change to the file system, with a word on what
	// is to come. An error stops there as a failing disk would. It is for tests;
	// nil does nothing.
	Step func(step string) error

	noLinks  bool          // work as if there were no symbolic links
	patience time.Duration // how long to wait for another process; 0 means 5 s
}

// Replace puts files into the folder dir, which is made (0755) when it is
// missing, and returns the folder in which the previous files are kept, or ""
// when there were none. It waits a few seconds for another process that works
// on the same folder.
//
// A name that is a symbolic link becomes a plain file, and the content it led
// to is kept. A folder or a device is an error.
//
// Errors are of type *report.Error. After any of them but two nothing has
// changed: file.tidy.failed says that the new set is in place but some work
// remains for the next Recover, file.undo.failed that the old set could not be
// put back; both leave the whole of both sets in .onsite-swap.
func Replace(dir string, files []File, o Options) (kept string, err error) {
	if err := checkNames(filepath.Clean(dir), files); err != nil {
		return "", err
	}
	if done, err := fresh(filepath.Clean(dir), files, o); done || err != nil {
		return "", err
	}
	return Update(dir, func() ([]File, error) { return files, nil }, o)
}

// Update is Replace for files that depend on those that are there. It calls
// prepare when no other process works on the folder and no change of it is
// unfinished, so that what prepare reads is still so when the files change. An
// error of prepare, which should be a *report.Error, leaves everything as it is.
func Update(dir string, prepare func() ([]File, error), o Options) (kept string, err error) {
	dir = filepath.Clean(dir)
	s := &swap{dir: dir, root: filepath.Join(dir, stagingName), step: o.Step}
	if err := s.open(cmp.Or(o.patience, patience)); err != nil {
		return "", s.explain(err, "nothing was changed")
	}
	if err := s.recover(); err != nil {
		s.unlock()
		return "", s.unrecovered(err)
	}
	files, err := prepare()
	if err == nil {
		err = checkNames(dir, files)
	}
	if err != nil {
		return "", s.fail(err)
	}
	if err := s.exchange(files, o); err != nil {
		return "", s.fail(err)
	}
	kept, err = s.finish()
	if err == nil {
		err = s.close()
	}
	if err != nil {
		return kept, s.fail(err)
	}
	return kept, nil
}

// Refuse returns the error that Replace without Overwrite would return because
// some of the names are there already, or nil.
func Refuse(dir string, names ...string) error {
	s := &swap{dir: filepath.Clean(dir)}
	there := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !exists(s.place(n)) })
	if len(there) == 0 {
		return nil
	}
	return s.wouldOverwrite(there)
}

// Try returns the error with which Replace would find that it may not write to
// dir, or nil. What it makes to find that out is gone when it returns.
func Try(dir string) error {
	_, err := Update(dir, func() ([]File, error) { return nil, errTried }, Options{})
	if errors.Is(err, errTried) {
		return nil
	}
	return err
}

// Recover finishes or undoes what a killed Replace left in dir. Whoever reads a
// set calls it first. Where nothing was left, which includes a folder that does
// not exist, it costs one look at the file system and needs no right to write.
// It waits a few seconds for a Replace that is still alive.
func Recover(dir string) error { return recoverWithin(dir, patience) }

func recoverWithin(dir string, wait time.Duration) error {
	dir = filepath.Clean(dir)
	s := &swap{dir: dir, root: filepath.Join(dir, stagingName)}
	if !s.begun() {
		return nil
	}
	err := s.claim(wait, false)
	if errors.Is(err, errNothing) || denied(err) && s.whole() {
		return nil // others tidy, and the names show one whole set
	}
	if err == nil {
		err = s.recover()
	}
	if err == nil {
		err = s.close()
	}
	if err != nil {
		s.unlock()
		return s.unrecovered(err)
	}
	return nil
}

// keptPattern is the time in UTC at which a set was replaced, and a number where
// several were within one second.
var keptPattern = lazyre.New(`^(\d{8}-\d{6})(?:-(\d+))?$`)

// Kept lists the folders of earlier sets of dir, newest first. There are none
// when dir does not exist.
func Kept(dir string) ([]string, error) {
	previous := filepath.Join(filepath.Clean(dir), keptName)
	entries, err := os.ReadDir(previous)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, report.Errorf(report.KindFailed, "file.read.failed",
			"check that the folder exists and that you may read it",
			"list the earlier sets in %s: %w", previous, err)
	}
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool {
		return !e.IsDir() || !keptPattern().MatchString(e.Name())
	})
	slices.SortFunc(entries, func(a, b fs.DirEntry) int {
		m, n := keptPattern().FindStringSubmatch(a.Name()), keptPattern().FindStringSubmatch(b.Name())
		x, _ := strconv.Atoi(m[2]) // the first of a second has no number: 0
		y, _ := strconv.Atoi(n[2])
		return cmp.Or(cmp.Compare(n[1], m[1]), cmp.Compare(y, x))
	})
	var paths []string
	for _, e := range entries {
		paths = append(paths, filepath.Join(previous, e.Name()))
	}
	return paths, nil
}

// checkNames refuses names that would lead out of the folder, into the folders
// of this package, or to the same file twice.
func checkNames(dir string, files []File) error {
	seen := map[string]bool{}
	for _, f := range files {
		folded := strings.ToLower(f.Name)
		if !validName(f.Name) || seen[folded] {
			return report.Errorf(report.KindUsage, "file.name.invalid",
				"use a plain file name, without folders, and each name once",
				"write %q in %s: not a usable file name", f.Name, dir)
		}
		seen[folded] = true
	}
	return nil
}

func validName(name string) bool {
	if strings.ContainsAny(name, "/\\\x00") || runtime.GOOS == "windows" && strings.Contains(name, ":") {
		return false
	}
	if strings.EqualFold(name, stagingName) || strings.EqualFold(name, keptName) {
		return false
	}
	return name != "." && filepath.IsLocal(name) // on Windows this refuses NUL, COM1 and their like
}
