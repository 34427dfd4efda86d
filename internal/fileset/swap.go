package fileset

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"onsite/report"
)

const (
	// patience is how long to wait for another process in the same folder.
	patience = 5 * time.Second
	// poll is how often to look whether it is done.
	poll = 10 * time.Millisecond
	// hiccups is how many times an error that Windows shows while a folder is
	// being deleted is taken for a passing one.
	hiccups = 30
	// grace is how long the staging folder stays after the last link into it is
	// gone: a reader may have followed the link and not yet have arrived.
	grace = 20 * time.Millisecond
)

// The values of the decision, "now".
const (
	undecided = ""    // nothing outside the staging folder was touched
	isOld     = "old" // the old set counts: put it back
	isNew     = "new" // the new set counts: finish
)

// errTried ends an Update that was to find out only whether it could begin.
var errTried error = &report.Error{Code: "failed", Message: "nothing was to be changed"}

// errNothing says that there is no staging folder to claim.
var errNothing = errors.New("nothing to recover")

// swap is the work on one folder.
type swap struct {
	dir, root string // the folder, and the staging folder in it
	step      func(string) error
	lock      *flock.Flock
	made      []string // folders made for dir, deepest first
	plan      plan
	links     bool // names are symbolic links while the set changes
	settled   bool // the new files are in place: no way back
}

// plan is what a recovering process has to know.
type plan struct {
	Stamp  string  `json:"stamp"` // the name of the kept folder
	Files  []entry `json:"files"`
	Forget bool    `json:"forget,omitempty"` // there is to be no kept folder
}

// had reports whether any of the names was there before.
func (p plan) had() bool {
	return slices.ContainsFunc(p.Files, func(f entry) bool { return f.Had })
}

type entry struct {
	Name    string `json:"name"`
	Put     bool   `json:"put"` // a new file comes; else the file is taken away
	Had     bool   `json:"had"` // the name was there before
	private bool
}

// do makes one change to the file system, unless the test says that it fails.
func (s *swap) do(what string, change func() error) error {
	if s.step != nil {
		if err := s.step(what); err != nil {
			return err
		}
	}
	return change()
}

func (s *swap) move(from, to string) error {
	return s.do("move "+s.rel(from)+" to "+s.rel(to), func() error {
		return whenFree(to, func() error { return os.Rename(from, to) })
	})
}

func (s *swap) remove(path string) error {
	return s.do("remove "+s.rel(path), func() error {
		return whenFree(path, func() error { return os.RemoveAll(path) })
	})
}

// takeAway removes a file of the set, and nothing but a file.
func (s *swap) takeAway(path string) error {
	return s.do("take away "+s.rel(path), func() error {
		return whenFree(path, func() error { return os.Remove(path) })
	})
}

func (s *swap) sync(folder string) error {
	return s.do("sync "+s.rel(folder), func() error { return syncFolder(folder) })
}

// rel names a path as seen from the folder, for the names of steps.
func (s *swap) rel(path string) string {
	if r, err := filepath.Rel(s.dir, path); err == nil {
		return filepath.ToSlash(r)
	}
	return path
}

func (s *swap) in(elem ...string) string { return filepath.Join(append([]string{s.root}, elem...)...) }

func (s *swap) place(name string) string { return filepath.Join(s.dir, name) }

// open makes the staging folder, and the folder itself, and locks it. After an
// error everything is as before.
func (s *swap) open(wait time.Duration) error {
	err := s.claim(wait, true)
	if err != nil {
		removeFolder(s.root) // one in use is not empty
		s.unmake()
	}
	return err
}

// claim locks the staging folder, which it makes when it may. Whoever held the
// lock before may remove the folder at any time, so it starts again when the
// folder or the file that it locked is gone.
func (s *swap) claim(wait time.Duration, create bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	for left := hiccups; ; {
		err := s.tryClaim(ctx, create)
		switch {
		case err == nil || errors.Is(err, errNothing):
			return err
		case errors.Is(err, fs.ErrNotExist) && create && !exists(s.dir):
			return err // a file system on which no folder can be made, such as /proc
		case ctx.Err() != nil && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, fs.ErrNotExist)):
			return s.busy()
		case errors.Is(err, fs.ErrNotExist):
			time.Sleep(poll)
		case passing(err) && left > 0:
			left--
			time.Sleep(poll)
		default:
			return err
		}
	}
}

func (s *swap) tryClaim(ctx context.Context, create bool) error {
	if create {
		if err := s.makeFolders(); err != nil {
			return err
		}
	}
	fi, err := os.Lstat(s.root)
	switch {
	case !create && errors.Is(err, fs.ErrNotExist):
		return errNothing
	case err != nil:
		return err
	case !fi.IsDir():
		return s.inTheWay(s.root, "folder")
	case s.foreign(fi):
		return &os.PathError{Op: "use", Path: s.root, Err: errForeign}
	}
	lock := flock.New(s.in("lock"))
	err = s.do("lock", func() error {
		_, err := lock.TryLockContext(ctx, poll)
		return err
	})
	if err != nil {
		return err
	}
	held, err := lock.Stat()
	if err == nil {
		var there fs.FileInfo
		if there, err = os.Lstat(lock.Path()); err == nil && !os.SameFile(held, there) {
			err = fs.ErrNotExist
		}
	}
	if err != nil {
		return errors.Join(err, lock.Unlock())
	}
	s.lock = lock
	return nil
}

// foreign reports whether the staging folder was made by somebody who has no
// business there. In a folder that everybody may write to, such as /tmp, it
// could be made up to have a more powerful user move files about.
func (s *swap) foreign(staging fs.FileInfo) bool {
	dir, err := os.Stat(s.dir)
	return err == nil && !trusted(staging, dir)
}

func (s *swap) makeFolders() error {
	var missing []string
	for d := s.dir; ; d = filepath.Dir(d) {
		fi, err := os.Stat(d)
		if err == nil && !fi.IsDir() {
			return s.inTheWay(d, "folder")
		}
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
		missing = append(missing, d)
	}
	if len(missing) > 0 {
		s.made = missing
		err := s.do("make folder", func() error { return os.MkdirAll(s.dir, 0o755) })
		if err != nil {
			return err
		}
	}
	// Others must be able to pass through it: the names lead here for a moment.
	// What is secret in it is so by its own mode.
	err := s.do("make "+stagingName, func() error { return os.Mkdir(s.root, 0o711) })
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// unmake removes the folders that were made for the set, as far as they are
// empty still.
func (s *swap) unmake() {
	for _, d := range s.made {
		removeFolder(d)
	}
}

// removeFolder removes a folder if it is empty. If not, somebody else uses it by
// now, and it is theirs.
func removeFolder(path string) {
	if fi, err := os.Lstat(path); err == nil && fi.IsDir() {
		_ = os.Remove(path)
	}
}

// close removes the staging folder, which is empty but for the lock, and lets
// go of it.
func (s *swap) close() error {
	return s.do("remove "+stagingName, func() error {
		lock := s.lock
		s.lock = nil
		if err := removeLock(lock); err != nil {
			return err
		}
		// "Not empty", which is fs.ErrExist too, means that somebody who waited
		// has made a new lock in it: then it is theirs.
		err := os.Remove(s.root)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) || err != nil && passing(err) {
			return nil
		}
		return err
	})
}

// unlock lets go of a staging folder that has to stay.
func (s *swap) unlock() {
	if s.lock != nil {
		_ = s.lock.Unlock() // the system does it when the process ends
		s.lock = nil
	}
}

// state reads the decision, and from its form how the work was done.
func (s *swap) state() (string, error) {
	now := s.in("now")
	fi, err := os.Lstat(now)
	if errors.Is(err, fs.ErrNotExist) {
		return undecided, nil
	}
	if err != nil {
		return undecided, err
	}
	var is string
	if s.links = fi.Mode()&fs.ModeSymlink != 0; s.links {
		is, err = os.Readlink(now)
	} else {
		var raw []byte
		raw, err = os.ReadFile(now)
		is = strings.TrimSpace(string(raw))
	}
	if err == nil && is != isOld && is != isNew {
		err = fmt.Errorf("%s says %q, which means nothing", now, is)
	}
	return is, err
}

// begun reports whether there is a staging folder. A folder that cannot be
// looked into has none: its reader fails in words of its own.
func (s *swap) begun() bool {
	fi, err := os.Lstat(s.root)
	return err == nil && fi.IsDir()
}

// whole reports whether the names show one whole set without recovery.
func (s *swap) whole() bool {
	fi, err := os.Lstat(s.in("now"))
	return errors.Is(err, fs.ErrNotExist) || err == nil && fi.Mode()&fs.ModeSymlink != 0
}

// decide makes one of the sets count, in one step.
func (s *swap) decide(is string) error {
	if err := s.move(s.in("now-"+is), s.in("now")); err != nil {
		return err
	}
	return s.sync(s.root)
}

// exchange stages the set and makes it count. When it returns nil, the new set
// has been decided upon; with links it is also seen.
func (s *swap) exchange(files []File, o Options) error {
	if err := s.stage(files, o); err != nil {
		return err
	}
	if s.links {
		if err := s.showLinks(); err != nil {
			return err
		}
	}
	return s.decide(isNew)
}

// showLinks replaces every name by a link to the content that it has already.
func (s *swap) showLinks() error {
	if err := s.decide(isOld); err != nil {
		return err
	}
	for _, f := range s.plan.Files {
		if err := s.move(s.in("links", f.Name), s.place(f.Name)); err != nil {
			return err
		}
	}
	return s.sync(s.dir)
}

// finish brings the decided set into its final form and tidies up, all but the
// lock. It goes on where a killed process stopped.
func (s *swap) finish() (kept string, err error) {
	if err := s.settle(); err != nil {
		return "", err
	}
	s.settled = true
	if kept, err = s.keep(); err != nil {
		return kept, err
	}
	return kept, s.clear()
}

// settle moves the new files into place and removes those to be taken away.
func (s *swap) settle() error {
	for _, f := range s.plan.Files {
		place, put := s.place(f.Name), s.in("put", f.Name)
		switch {
		case s.theirs(f.Name): // put there after this work was interrupted
			continue
		case f.Put && exists(put):
			if err := s.move(put, place); err != nil {
				return err
			}
		case !f.Put && exists(place):
			if err := s.takeAway(place); err != nil {
				return err
			}
		}
	}
	return s.sync(s.dir)
}

// theirs reports whether links are in use and the name is not one of them.
func (s *swap) theirs(name string) bool {
	if !s.links || !exists(s.place(name)) {
		return false
	}
	target, err := os.Readlink(s.place(name))
	return err != nil || target != linkTo(name)
}

// linkTo is where the link of a name leads while the set changes.
func linkTo(name string) string { return filepath.Join(stagingName, "now", name) }

// keep makes the old files the newest of the kept sets, unless they are to be
// forgotten: then they go with the staging folder.
func (s *swap) keep() (string, error) {
	if s.plan.Forget {
		return "", nil
	}
	old := s.in("old")
	list, err := readFolder(old)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil // a killed process had done it
	}
	if err != nil || len(list) == 0 {
		return "", err
	}
	previous := s.place(keptName)
	if !exists(previous) {
		if err := s.move(s.in(keptName), previous); err != nil {
			return "", err
		}
	}
	kept := filepath.Join(previous, s.plan.Stamp)
	for n := 2; exists(kept); n++ {
		kept = filepath.Join(previous, fmt.Sprintf("%s-%d", s.plan.Stamp, n))
	}
	if err := s.move(old, kept); err != nil {
		return "", err
	}
	_ = setMode(kept, 0o700) // there may be a key in it; the folder above says so too
	if err := s.sync(previous); err != nil {
		return kept, err
	}
	return kept, s.sync(s.dir)
}

// clear empties the staging folder, all but the lock. The decision goes first:
// without it, what is left is nothing but rubbish.
func (s *swap) clear() error {
	now := s.in("now")
	if exists(now) {
		if s.links && s.plan.had() { // nobody reads what was not there before
			time.Sleep(grace)
		}
		if err := s.remove(now); err != nil {
			return err
		}
	}
	list, err := readFolder(s.root)
	if err != nil {
		return err
	}
	for _, e := range list {
		if e.Name() == "lock" {
			continue
		}
		if err := s.remove(s.in(e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// rollBack brings the old set back and clears the staging folder.
func (s *swap) rollBack() error {
	is, err := s.state()
	if err == nil && is == isNew {
		is, err = isOld, s.decide(isOld)
	}
	if err == nil && is == isOld {
		err = s.undo()
	}
	if err != nil {
		return err
	}
	return s.clear()
}

// undo puts the old files back where they were replaced already.
func (s *swap) undo() error {
	for _, f := range s.plan.Files {
		place, back := s.place(f.Name), s.in("back", f.Name)
		switch {
		case !s.replaced(f):
			continue
		case f.Had && exists(back):
			if err := s.move(back, place); err != nil {
				return err
			}
		case !f.Had && exists(place):
			if err := s.takeAway(place); err != nil {
				return err
			}
		}
	}
	return s.sync(s.dir)
}

// replaced reports whether the old file is no longer in its place.
func (s *swap) replaced(f entry) bool {
	switch {
	case s.links:
		return !s.theirs(f.Name)
	case f.Put:
		return !exists(s.in("put", f.Name))
	}
	return !exists(s.place(f.Name))
}

// recover finishes or undoes the work of a process that died, and leaves the
// staging folder empty but for the lock, which the caller holds.
func (s *swap) recover() error {
	is, err := s.state()
	if err != nil {
		return err
	}
	if is != undecided {
		if err := s.load(); err != nil {
			return err
		}
	}
	if is == isNew {
		_, err = s.finish()
		if err != nil && !s.links && !s.settled {
			err = s.rollBack()
		}
	} else {
		err = s.rollBack()
	}
	s.plan, s.links, s.settled = plan{}, false, false
	return err
}

// load reads the plan of a process that died.
func (s *swap) load() error {
	raw, err := os.ReadFile(s.in("plan"))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, &s.plan); err != nil {
		return fmt.Errorf("%s is damaged: %w", s.in("plan"), err)
	}
	ok := keptPattern().MatchString(s.plan.Stamp)
	for _, name := range []string{"old", "back", "put", keptName} {
		fi, err := os.Lstat(s.in(name))
		ok = ok && (err != nil || fi.IsDir()) // a link could lead anywhere
	}
	for _, f := range s.plan.Files {
		ok = ok && validName(f.Name)
	}
	if !ok {
		return fmt.Errorf("%s is damaged", s.in("plan"))
	}
	return nil
}

func readFolder(path string) (list []fs.DirEntry, err error) {
	err = whenFree(path, func() error {
		list, err = os.ReadDir(path)
		return err
	})
	return list, err
}

// exists reports whether there is anything of that name, a dangling link too.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
