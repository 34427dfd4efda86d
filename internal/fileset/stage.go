package fileset

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// stage prepares everything in the staging folder and touches nothing outside
// it. All the space that the work needs is taken here.
func (s *swap) stage(files []File, o Options) error {
	if err := s.inspect(files, o.Overwrite); err != nil {
		return err
	}
	now := time.Now
	if o.Now != nil {
		now = o.Now
	}
	s.plan.Stamp, s.plan.Forget = now().UTC().Format("20060102-150405"), o.Forget
	// Others must be able to pass through it, whatever the umask.
	err := s.do("open "+stagingName, func() error { return setMode(s.root, 0o711) })
	if err != nil {
		return err
	}
	folders := []string{"old", "back", "put", keptName}
	if err := s.tryLinks(o.noLinks); err != nil {
		return err
	}
	if s.links {
		folders = append(folders, "new", "links")
	}
	for _, name := range folders {
		if err := s.makeFolder(name); err != nil {
			return err
		}
	}
	for i, f := range files {
		if err := s.stageFile(s.plan.Files[i], f.Data); err != nil {
			return err
		}
	}
	if err := s.stageDecision(); err != nil {
		return err
	}
	return s.syncStaged()
}

// syncStaged brings the names of everything staged to the disk. The links are
// only moved, and the folder that they come from does not matter.
func (s *swap) syncStaged() error {
	folders := []string{"put"}
	if s.links {
		folders = append(folders, "new")
	}
	if s.plan.had() {
		folders = append(folders, "old", "back")
	}
	for _, name := range folders {
		if err := s.sync(s.in(name)); err != nil {
			return err
		}
	}
	if err := s.sync(s.root); err != nil {
		return err
	}
	for _, d := range s.made { // a folder is on the disk when its parent is
		if err := s.sync(filepath.Dir(d)); err != nil {
			return err
		}
	}
	return s.sync(s.dir)
}

// inspect looks at what is there, and begins the plan.
func (s *swap) inspect(files []File, overwrite bool) error {
	var there []string
	for _, f := range files {
		e := entry{Name: f.Name, Put: f.Data != nil, private: f.Private}
		place := s.place(f.Name)
		fi, err := os.Lstat(place)
		if err == nil {
			e.Had = true
			there = append(there, f.Name)
			if fi.Mode()&fs.ModeSymlink != 0 {
				fi, err = os.Stat(place)
			}
		}
		switch {
		case errors.Is(err, fs.ErrNotExist): // absent, or a link that leads nowhere
		case err != nil:
			return err
		case !fi.Mode().IsRegular():
			return s.inTheWay(place, "plain file")
		}
		s.plan.Files = append(s.plan.Files, e)
	}
	if len(there) > 0 && !overwrite {
		return s.wouldOverwrite(there)
	}
	for _, name := range there {
		if err := checkFree(s.place(name)); err != nil {
			return err
		}
	}
	if fi, err := os.Lstat(s.place(keptName)); err == nil && !fi.IsDir() {
		return s.inTheWay(s.place(keptName), "folder")
	}
	return nil
}

// tryLinks finds out whether the names can become links while the set changes.
func (s *swap) tryLinks(never bool) error {
	if never || runtime.GOOS == "windows" {
		return nil
	}
	return s.do("try a link", func() error {
		err := os.Symlink(isOld, s.in("now-"+isOld))
		if diskFull(err) {
			return err
		}
		s.links = err == nil
		return nil
	})
}

// makeFolder makes a folder in the staging folder. Those through which the names
// lead can be passed by everybody, whatever the umask.
func (s *swap) makeFolder(name string) error {
	mode := fs.FileMode(0o711)
	if name == keptName {
		mode = 0o700
	}
	return s.do("make "+name, func() error {
		err := os.Mkdir(s.in(name), mode)
		if err == nil {
			err = setMode(s.in(name), mode)
		}
		return err
	})
}

// stageFile prepares one name: what is there now, twice, and what comes.
func (s *swap) stageFile(f entry, data []byte) error {
	if f.Had {
		if err := s.stageOld(f); err != nil {
			return err
		}
	}
	put := s.in("put", f.Name)
	if f.Put {
		err := s.do("write put/"+f.Name, func() error { return writeFile(put, data, f.private) })
		if err != nil {
			return err
		}
		if f.Had {
			s.adoptOwner(s.place(f.Name), put)
		}
	}
	if !s.links {
		return nil
	}
	if f.Put {
		if err := s.double(put, s.in("new", f.Name), f.private); err != nil {
			return err
		}
	}
	return s.do("link links/"+f.Name, func() error { return os.Symlink(linkTo(f.Name), s.in("links", f.Name)) })
}

// adoptOwner gives a new file the owner of the one that it replaces, where that
// is allowed and the owner has business in the folder: else a service that reads
// its key as another user could not after an administrator changed it.
func (s *swap) adoptOwner(place, put string) {
	old, err := os.Lstat(place)
	if err != nil || !old.Mode().IsRegular() || s.foreign(old) {
		return
	}
	if f, err := os.OpenFile(put, os.O_WRONLY, 0); err == nil {
		copyOwner(f, old)
		_ = f.Close()
	}
}

func (s *swap) stageOld(f entry) error {
	place, old, back := s.place(f.Name), s.in("old", f.Name), s.in("back", f.Name)
	target, err := os.Readlink(place)
	if err != nil { // a plain file
		if err := s.double(place, old, f.private); err != nil {
			return err
		}
		return s.double(place, back, f.private)
	}
	if _, err := os.Stat(place); err == nil {
		err := s.do("copy old/"+f.Name, func() error { return copyFile(place, old, f.private) })
		if err != nil {
			return err
		}
	}
	return s.do("link back/"+f.Name, func() error {
		if os.Symlink(target, back) == nil {
			return nil
		}
		return os.Link(place, back) // Windows: making a link takes a privilege, doubling one does not
	})
}

// double makes the file appear under a second name, or copies it where the file
// system or the owner of the file does not allow that.
func (s *swap) double(from, to string, private bool) error {
	return s.do("double "+s.rel(to), func() error {
		if os.Link(from, to) == nil {
			return nil
		}
		return copyFile(from, to, private)
	})
}

// stageDecision prepares both values of the decision, and the plan.
func (s *swap) stageDecision() error {
	for _, is := range []string{isOld, isNew} {
		now := s.in("now-" + is)
		if s.links && is == isOld {
			continue // tryLinks made it
		}
		err := s.do("prepare now-"+is, func() error {
			if s.links {
				return os.Symlink(is, now)
			}
			return writeFile(now, []byte(is+"\n"), false)
		})
		if err != nil {
			return err
		}
	}
	raw, err := json.Marshal(s.plan)
	if err != nil {
		return err
	}
	return s.do("write plan", func() error { return writeFile(s.in("plan"), raw, false) })
}

// writeFile makes a new file and brings it to the disk. Its mode is right before
// the first byte is in it.
func writeFile(path string, data []byte, private bool) error {
	f, err := createFile(path, private)
	if err != nil {
		return err
	}
	if err = protect(f, private); err == nil {
		_, err = f.Write(data)
	}
	return closeFile(f, err)
}

// copyFile copies a file with its mode and time of change, and with its owner
// where that is allowed, and brings it to the disk.
func copyFile(from, to string, private bool) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	fi, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := createFile(to, private)
	if err != nil {
		return err
	}
	if _, err = io.Copy(out, in); err == nil {
		copyOwner(out, fi)
		err = setMode(to, fi.Mode().Perm())
	}
	if err := closeFile(out, err); err != nil {
		return err
	}
	return os.Chtimes(to, time.Time{}, fi.ModTime())
}

// closeFile ends the writing of a file, which went well so far if err is nil.
func closeFile(f *os.File, err error) error {
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
