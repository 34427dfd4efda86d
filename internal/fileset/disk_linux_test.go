package fileset

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"onsite/report"
)

// mounted runs the calling test again in a copy of the test program that has a
// small file system of its own, seen by nobody else, and returns its folder
// there; elsewhere it returns "".
func mounted(t *testing.T, options string) string {
	t.Helper()
	if dir := os.Getenv(victimRoot); dir != "" {
		if err := syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	if os.Getuid() != 0 {
		t.Skip("only root may mount a file system")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), victimRoot+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, fs.ErrPermission) {
		t.Skipf("no mount namespace to be had here: %v", err)
	}
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Fatalf("in a mount namespace: %v\n%s", err, out)
	}
	return ""
}

// fill takes all the room but the given number of bytes.
func fill(t *testing.T, path string, leave int64) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n, err := io.Copy(f, zeroes{})
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk = %v, want %v", err, syscall.ENOSPC)
	}
	if err := f.Truncate(n &^ 4095); err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(n&^4095 - leave); err != nil {
		t.Fatal(err)
	}
}

type zeroes struct{}

func (zeroes) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// A full disk, whatever room is left on it, changes nothing.
func TestReplaceDiskFull(t *testing.T) {
	t.Parallel()
	top := mounted(t, "size=1m")
	if top == "" {
		return
	}
	for _, m := range modes {
		dir, ballast := filepath.Join(top, m.name), filepath.Join(top, "ballast")
		mustReplace(t, dir, set("one"), Options{})
		before := tree(t, dir)
		for leave := int64(0); ; leave += 4096 {
			fill(t, ballast, leave)
			_, err := Replace(dir, set("two"), Options{Overwrite: true, noLinks: m.noLinks})
			if err == nil {
				if leave == 0 {
					t.Errorf("%s: Replace on a full disk = nil, want an error", m.name)
				}
				break
			}
			if !report.HasCode(err, "file.disk-full") || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "nothing was changed") {
				t.Errorf("%s, %d bytes left: Replace = %v, want code file.disk-full", m.name, leave, err)
			}
			if after := tree(t, dir); after != before {
				t.Fatalf("%s, %d bytes left: folder =\n%s, want\n%s", m.name, leave, after, before)
			}
			if err := Recover(dir); err != nil {
				t.Errorf("%s, %d bytes left: Recover = %v, want no error", m.name, leave, err)
			}
		}
		if got := wordOf(t, dir); got != "two" {
			t.Errorf("%s: set = %q, want two", m.name, got)
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
	}
}

// The same for a file system that has room, but not for so many files.
func TestReplaceInodesFull(t *testing.T) {
	t.Parallel()
	top := mounted(t, "size=4m,nr_inodes=30")
	if top == "" {
		return
	}
	dir := filepath.Join(top, "d")
	mustReplace(t, dir, set("one"), Options{})
	before := tree(t, dir)
	failed := 0
	for n := range 30 {
		if err := os.WriteFile(filepath.Join(top, "ballast"+strings.Repeat("x", n)), nil, 0o644); err != nil {
			break
		}
		_, err := Replace(dir, set("one"), Options{Overwrite: true, Now: clock})
		if err == nil {
			if err := os.RemoveAll(filepath.Join(dir, keptName)); err != nil {
				t.Fatal(err)
			}
			continue
		}
		failed++
		if after := tree(t, dir); !report.HasCode(err, "file.disk-full") || after != before {
			t.Fatalf("Replace = %v, want code file.disk-full; folder =\n%s, want\n%s", err, after, before)
		}
	}
	if failed < 5 {
		t.Errorf("Replace failed %d times, want it short of files more often", failed)
	}
}

func TestReadOnlyDisk(t *testing.T) {
	t.Parallel()
	top := mounted(t, "size=1m")
	if top == "" {
		return
	}
	dir := filepath.Join(top, "d")
	mustReplace(t, dir, set("one"), Options{})
	if err := syscall.Mount("none", top, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	if err := Recover(dir); err != nil {
		t.Errorf("Recover on a read-only disk = %v, want no error: there is nothing to do", err)
	}
	for _, d := range []string{dir, filepath.Join(top, "new", "folder")} {
		_, err := Replace(d, set("two"), Options{Overwrite: true})
		if !report.HasCode(err, "file.not-writable") || !strings.Contains(err.Error(), d) {
			t.Errorf("Replace(%s) on a read-only disk = %v, want code file.not-writable and the folder", d, err)
		}
	}
}

// nobody is a user without any right of its own.
const nobody = 65534

// asNobody runs the calling test again as a user without rights, in a folder
// that belongs to root, and returns that folder there; elsewhere it returns "".
func asNobody(t *testing.T, prepare func(dir string)) string {
	t.Helper()
	if dir := os.Getenv(victimRoot); dir != "" {
		return dir
	}
	if os.Getuid() != 0 {
		t.Skip("only root may become another user")
	}
	// The test program and its folder must be within the other user's reach.
	top, err := os.MkdirTemp("", "fileset")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(top) })
	program, dir := filepath.Join(top, "program"), filepath.Join(top, "dir")
	if err := errors.Join(os.Chmod(top, 0o755), copyFile(os.Args[0], program, false), os.Chmod(program, 0o755), os.Mkdir(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	prepare(dir)
	cmd := exec.Command(program, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Dir = top
	cmd.Env = append(os.Environ(), victimRoot+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		t.Fatalf("as nobody: %v\n%s", err, out)
	}
	return ""
}

func TestNotWritable(t *testing.T) {
	t.Parallel()
	dir := asNobody(t, func(dir string) { mustReplace(t, dir, set("one"), Options{}) })
	if dir == "" {
		return
	}
	if err := Recover(dir); err != nil {
		t.Errorf("Recover = %v, want no error: there is nothing to do", err)
	}
	_, err := Replace(dir, set("two"), Options{Overwrite: true})
	e, ok := errors.AsType[*report.Error](err)
	if !ok || e.Code != "file.not-writable" || !strings.Contains(e.Message, dir) || !strings.Contains(e.Remedy, "sudo") {
		t.Errorf("Replace = %v, want code file.not-writable, the folder, and sudo", err)
	}
}

// What somebody else staged, in a folder that everybody may write to, is not
// touched.
func TestForeignStaging(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root may give a folder away")
	}
	dir := t.TempDir()
	root := filepath.Join(dir, stagingName)
	err := errors.Join(os.Chmod(dir, 0o1777), os.Mkdir(root, 0o755), os.WriteFile(filepath.Join(root, "now"), []byte("new"), 0o644), os.Chown(root, nobody, nobody))
	if err != nil {
		t.Fatal(err)
	}
	before := tree(t, dir)
	if err := Recover(dir); !report.HasCode(err, "file.not-writable") {
		t.Errorf("Recover = %v, want code file.not-writable", err)
	}
	if _, err := Replace(dir, set("one"), Options{}); !report.HasCode(err, "file.not-writable") {
		t.Errorf("Replace = %v, want code file.not-writable", err)
	}
	if after := tree(t, dir); after != before {
		t.Errorf("folder after = \n%s, want\n%s", after, before)
	}
}

// A server that runs as another user reads on while a set changes, and after the
// change was killed. With links there is nothing that it must do. The umask
// belongs to the whole process, so no other test runs beside this one.
func TestOtherUserReads(t *testing.T) {
	dir := asNobody(t, func(dir string) {
		defer syscall.Umask(syscall.Umask(0o077))
		fillBefore(t, dir)
		kill(t, dir, false, stepNumber(t, false, "move .onsite-swap/now-new to .onsite-swap/now"))
	})
	if dir == "" {
		return
	}
	for _, name := range []string{"cert.pem", "root.pem", "key.pem"} {
		if fi, err := os.Lstat(filepath.Join(dir, name)); err != nil || fi.Mode()&fs.ModeSymlink == 0 {
			t.Errorf("%s is %v, %v, want a link: the change was killed half-way", name, fi.Mode(), err)
		}
	}
	if got := contents(dir, "cert.pem", "root.pem"); got != "cert.pem=old cert\nroot.pem=old root" {
		t.Errorf("contents = %s, want the old set", short(got))
	}
	if _, err := os.ReadFile(filepath.Join(dir, "key.pem")); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("ReadFile(key.pem) = %v, want it refused", err)
	}
	if err := Recover(dir); err != nil {
		t.Errorf("Recover = %v, want no error: the set is whole, and others tidy", err)
	}
}

// A private key never touches a file system on which everybody could read it.
func TestFileSystemWithoutModes(t *testing.T) {
	t.Parallel()
	f, err := os.Create(filepath.Join(t.TempDir(), "key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Chmod(0o755); err != nil { // as vfat shows every file
		t.Fatal(err)
	}
	s := &swap{dir: "/media/stick"}
	if err := s.explain(protect(f, true), "nothing was changed"); !report.HasCode(err, "file.not-private") {
		t.Errorf("a private file of mode 0755 = %v, want code file.not-private", err)
	}
}
