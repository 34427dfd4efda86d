package fileset

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"onsite/report"
)

type mode struct {
	name    string
	noLinks bool
}

// modes are the two ways of working. Windows knows the second one only.
var modes = func() []mode {
	list := []mode{{"links", false}, {"renames", true}}
	if runtime.GOOS == "windows" {
		list = list[1:]
	}
	return list
}()

var clock = func() time.Time { return time.Date(2026, 11, 21, 23, 18, 59, 0, time.UTC) }

const stamp = "20261121-231859"

// set makes the three files of a portal, told apart by a word. They are long
// enough to be seen half written.
func set(word string) []File {
	data := func(name string) []byte { return bytes.Repeat([]byte(name+" "+word+"\n"), 500) }
	return []File{
		{Name: "root.pem", Data: data("root")},
		{Name: "cert.pem", Data: data("cert")},
		{Name: "key.pem", Data: data("key"), Private: true},
	}
}

func mustReplace(t *testing.T, dir string, files []File, o Options) string {
	t.Helper()
	kept, err := Replace(dir, files, o)
	if err != nil {
		t.Fatalf("Replace(%s) = %v, want no error", dir, err)
	}
	return kept
}

// tree describes everything below dir: kind, permissions, content.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		fi, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %s", fi.Mode(), filepath.ToSlash(rel))
		switch {
		case d.Type()&fs.ModeSymlink != 0:
			target, _ := os.Readlink(path)
			fmt.Fprintf(&b, " -> %s", target)
		case d.Type().IsRegular():
			raw, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " %d %.30q", len(raw), raw)
		}
		b.WriteString("\n")
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// contents reads names as any program would; an absent file is "-".
func contents(dir string, names ...string) string {
	var list []string
	for _, name := range names {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			raw = []byte("-")
		case err != nil:
			raw = []byte(err.Error())
		}
		list = append(list, name+"="+string(raw))
	}
	return strings.Join(list, "\n")
}

// want is what contents returns when files are in place.
func want(files []File) string {
	var list []string
	for _, f := range files {
		data := string(f.Data)
		if f.Data == nil {
			data = "-"
		}
		list = append(list, f.Name+"="+data)
	}
	return strings.Join(list, "\n")
}

func names(files []File) []string {
	var list []string
	for _, f := range files {
		list = append(list, f.Name)
	}
	return list
}

// short shortens contents for a failure text.
func short(s string) string {
	var list []string
	for line := range strings.SplitSeq(s, "\n") {
		if len(list) == 0 || list[len(list)-1] != line {
			list = append(list, line)
		}
	}
	return strings.Join(list, " | ")
}

func TestReplaceNewFolder(t *testing.T) {
	t.Parallel()
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "a", "b")
			files := set("one")
			kept := mustReplace(t, dir, files, Options{noLinks: m.noLinks})
			if kept != "" {
				t.Errorf("Replace(new folder) kept %q, want nothing", kept)
			}
			if got := contents(dir, names(files)...); got != want(files) {
				t.Errorf("contents = %s, want %s", short(got), short(want(files)))
			}
			list, _ := os.ReadDir(dir)
			if len(list) != 3 {
				t.Errorf("folder holds %v, want the three files alone", list)
			}
			checkModes(t, dir)
			if got, err := Kept(dir); err != nil || len(got) != 0 {
				t.Errorf("Kept = %v, %v, want none", got, err)
			}
		})
	}
}

func checkModes(t *testing.T, dir string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		return // see TestPrivateOnWindows
	}
	for name, mode := range map[string]fs.FileMode{"cert.pem": 0o644, "root.pem": 0o644, "key.pem": 0o600} {
		fi, err := os.Lstat(filepath.Join(dir, name))
		if err != nil || fi.Mode() != mode {
			t.Errorf("mode of %s = %v, %v, want %v", name, fi.Mode(), err, mode)
		}
	}
}

func TestReplaceKeeps(t *testing.T) {
	t.Parallel()
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			other := filepath.Join(dir, "index.html")
			if err := os.WriteFile(other, []byte("hello"), 0o640); err != nil {
				t.Fatal(err)
			}
			mustReplace(t, dir, set("one"), Options{noLinks: m.noLinks, Now: clock})
			first := mustReplace(t, dir, set("two"), Options{noLinks: m.noLinks, Now: clock, Overwrite: true})
			second := mustReplace(t, dir, set("three"), Options{noLinks: m.noLinks, Now: clock, Overwrite: true})

			previous := filepath.Join(dir, "onsite-previous")
			if w := filepath.Join(previous, stamp); first != w {
				t.Errorf("first kept = %s, want %s", first, w)
			}
			if w := filepath.Join(previous, stamp+"-2"); second != w {
				t.Errorf("second kept = %s, want %s", second, w)
			}
			for d, word := range map[string]string{dir: "three", second: "two", first: "one"} {
				files := set(word)
				if got := contents(d, names(files)...); got != want(files) {
					t.Errorf("contents of %s = %s, want %s", d, short(got), short(want(files)))
				}
				checkModes(t, d)
			}
			if got := contents(dir, "index.html"); got != "index.html=hello" {
				t.Errorf("a file beside the set = %q, want it as it was", got)
			}
			got, err := Kept(dir)
			if err != nil || len(got) != 2 || got[0] != second || got[1] != first {
				t.Errorf("Kept = %v, %v, want the newest first", got, err)
			}
			if list, _ := os.ReadDir(dir); len(list) != 5 {
				t.Errorf("folder holds %v, want the set, one other file and the kept folder", list)
			}
			if fi, err := os.Stat(previous); runtime.GOOS != "windows" && (err != nil || fi.Mode().Perm() != 0o700) {
				t.Errorf("mode of the kept folder = %v, want 0700: there are keys in it", fi.Mode())
			}
		})
	}
}

func TestReplaceTakesAway(t *testing.T) {
	t.Parallel()
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			mustReplace(t, dir, set("one"), Options{noLinks: m.noLinks})
			files := []File{{Name: "cert.pem", Data: []byte("two")}, {Name: "key.pem"}, {Name: "never.pem"}}
			kept := mustReplace(t, dir, files, Options{noLinks: m.noLinks, Overwrite: true})
			if got := contents(dir, names(files)...); got != want(files) {
				t.Errorf("contents = %s, want %s", short(got), short(want(files)))
			}
			if _, err := os.Lstat(filepath.Join(dir, "key.pem")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Lstat(key.pem) = %v, want no such file", err)
			}
			old := set("one")[1:]
			if got := contents(kept, names(old)...); got != want(old) {
				t.Errorf("kept = %s, want %s", short(got), short(want(old)))
			}
			if list, _ := os.ReadDir(kept); len(list) != 2 {
				t.Errorf("kept folder holds %v, want the names of the set alone", list)
			}
		})
	}
}

func TestReplaceRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		prepare  func(dir string) error
		files    []File
		code     string
		kind     report.Kind
		mentions string
	}{
		{"names that exist", func(dir string) error {
			return errors.Join(os.WriteFile(filepath.Join(dir, "a"), []byte("x"), 0o644), os.WriteFile(filepath.Join(dir, "c"), nil, 0o600))
		}, []File{{Name: "a", Data: []byte("y")}, {Name: "b", Data: []byte("y")}, {Name: "c"}}, "file.exists", report.KindRefused, "a, c already exist"},
		{
			"a folder", func(dir string) error { return os.Mkdir(filepath.Join(dir, "a"), 0o755) },
			[]File{{Name: "a", Data: []byte("y")}},
			"file.not-regular", report.KindRefused, "not a plain file",
		},
		{
			"a file where sets are kept", func(dir string) error { return os.WriteFile(filepath.Join(dir, keptName), nil, 0o644) },
			[]File{{Name: "a", Data: []byte("y")}},
			"file.not-regular", report.KindRefused, keptName,
		},
		{
			"a file where work is staged", func(dir string) error { return os.WriteFile(filepath.Join(dir, stagingName), nil, 0o644) },
			[]File{{Name: "a", Data: []byte("y")}},
			"file.not-regular", report.KindRefused, stagingName,
		},
		{"a path", nil, []File{{Name: "a/b"}}, "file.name.invalid", report.KindUsage, `"a/b"`},
		{"a Windows path", nil, []File{{Name: `a\b`}}, "file.name.invalid", report.KindUsage, "file name"},
		{"the folder above", nil, []File{{Name: ".."}}, "file.name.invalid", report.KindUsage, `".."`},
		{"the folder itself", nil, []File{{Name: "."}}, "file.name.invalid", report.KindUsage, `"."`},
		{"no name", nil, []File{{}}, "file.name.invalid", report.KindUsage, `""`},
		{"a folder of this package", nil, []File{{Name: "Onsite-Previous"}}, "file.name.invalid", report.KindUsage, "Onsite-Previous"},
		{"a name twice", nil, []File{{Name: "a"}, {Name: "A"}}, "file.name.invalid", report.KindUsage, `"A"`},
	}
	for _, tt := range tests {
		for _, m := range modes {
			t.Run(tt.name+"/"+m.name, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				if tt.prepare != nil {
					if err := tt.prepare(dir); err != nil {
						t.Fatal(err)
					}
				}
				before := tree(t, dir)
				kept, err := Replace(dir, tt.files, Options{noLinks: m.noLinks, Overwrite: tt.code != "file.exists"})
				e, ok := errors.AsType[*report.Error](err)
				if !ok || e.Code != tt.code || e.Kind != tt.kind || !strings.Contains(e.Message, tt.mentions) || kept != "" {
					t.Errorf("Replace(%v) = %q, %v, want code %s and %q", names(tt.files), kept, err, tt.code, tt.mentions)
				}
				if after := tree(t, dir); after != before {
					t.Errorf("folder after = \n%s, want\n%s", after, before)
				}
			})
		}
	}
	t.Run("the folder or its parent is a file", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, dir := range []string{file, filepath.Join(file, "below")} {
			if _, err := Replace(dir, set("one"), Options{}); err == nil || !strings.Contains(err.Error(), file) {
				t.Errorf("Replace(%s) = %v, want an error that names the file", dir, err)
			}
		}
		if got := contents(filepath.Dir(file), "file"); got != "file=x" {
			t.Errorf("contents = %s, want the file as it was", got)
		}
	})
}

// A name may be a link that the administrator made. It becomes a plain file, the
// content it led to is kept, and what it led to stays.
func TestReplaceLinks(t *testing.T) {
	t.Parallel()
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			live := filepath.Join(dir, "live.pem")
			if err := os.WriteFile(live, []byte("live"), 0o644); err != nil {
				t.Fatal(err)
			}
			err := errors.Join(os.Symlink("live.pem", filepath.Join(dir, "cert.pem")), os.Symlink("gone.pem", filepath.Join(dir, "key.pem")))
			if got := contents(dir, "cert.pem"); err != nil || got != "cert.pem=live" {
				t.Skipf("this user or file system has no symbolic links: %v, %s", err, got)
			}
			before := tree(t, dir)
			files := []File{{Name: "cert.pem", Data: []byte("c")}, {Name: "key.pem", Data: []byte("k")}}
			if _, err := Replace(dir, files, Options{noLinks: m.noLinks}); !report.HasCode(err, "file.exists") {
				t.Errorf("Replace(links) = %v, want code file.exists", err)
			}
			stop := errors.New("stop")
			_, err = Replace(dir, files, Options{noLinks: m.noLinks, Overwrite: true, Step: func(step string) error {
				if strings.HasPrefix(step, "move .onsite-swap/now-new") {
					return stop
				}
				return nil
			}})
			if after := tree(t, dir); !errors.Is(err, stop) || after != before {
				t.Errorf("after %v the folder = \n%s, want\n%s", err, after, before)
			}
			kept := mustReplace(t, dir, files, Options{noLinks: m.noLinks, Overwrite: true})
			for _, f := range files {
				if fi, err := os.Lstat(filepath.Join(dir, f.Name)); err != nil || !fi.Mode().IsRegular() {
					t.Errorf("Lstat(%s) = %v, %v, want a plain file", f.Name, fi, err)
				}
			}
			if got := contents(dir, "cert.pem", "key.pem", "live.pem"); got != "cert.pem=c\nkey.pem=k\nlive.pem=live" {
				t.Errorf("contents = %s", short(got))
			}
			if got := contents(kept, "cert.pem", "key.pem"); got != "cert.pem=live\nkey.pem=-" {
				t.Errorf("kept = %s, want the content of the link", short(got))
			}
		})
	}
}

func TestRecoverNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Join(dir, "missing")} {
		if err := Recover(d); err != nil {
			t.Errorf("Recover(%s) = %v, want nil", d, err)
		}
	}
	if list, _ := os.ReadDir(dir); len(list) != 0 {
		t.Errorf("Recover made %v, want nothing", list)
	}
}

func TestRecoverDamaged(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, now, plan string }{
		{"no plan", "new\n", ""},
		{"half a plan", "new\n", `{"stamp":"2026`},
		{"a plan that leads away", "old\n", `{"stamp":"20261121-231859","files":[{"name":"../x","had":false}]}`},
		{"a stamp that leads away", "new\n", `{"stamp":"..","files":[]}`},
		{"a link that leads away", "new\n", `{"stamp":"20261121-231859","files":[]}`},
		{"an unknown decision", "both\n", `{"stamp":"20261121-231859","files":[]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			root := filepath.Join(dir, stagingName)
			err := errors.Join(os.Mkdir(root, 0o711), os.WriteFile(filepath.Join(root, "now"), []byte(tt.now), 0o644))
			if tt.plan != "" {
				err = errors.Join(err, os.WriteFile(filepath.Join(root, "plan"), []byte(tt.plan), 0o644))
			}
			if err != nil {
				t.Fatal(err)
			}
			if tt.name == "a link that leads away" {
				if runtime.GOOS == "windows" {
					t.Skip("making a link takes a privilege on Windows")
				}
				if err := os.Symlink(t.TempDir(), filepath.Join(root, "put")); err != nil {
					t.Fatal(err)
				}
			}
			if err := Recover(dir); !report.HasCode(err, "file.recover.failed") {
				t.Errorf("Recover = %v, want code file.recover.failed", err)
			}
			if _, err := Replace(dir, set("one"), Options{}); !report.HasCode(err, "file.recover.failed") {
				t.Errorf("Replace = %v, want code file.recover.failed", err)
			}
			if _, err := os.Stat(filepath.Join(root, "now")); err != nil {
				t.Errorf("the staging folder is gone (%v), want it left for a person to look at", err)
			}
		})
	}
}

func TestKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	previous := filepath.Join(dir, keptName)
	for _, name := range []string{"20261121-231859", "20261121-231859-2", "20261121-231859-10", "20270101-000000", "20251231-235959", "notes", "20261121"} {
		if err := os.MkdirAll(filepath.Join(previous, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(previous, "20280101-000000"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := Kept(dir)
	w := []string{"20270101-000000", "20261121-231859-10", "20261121-231859-2", "20261121-231859", "20251231-235959"}
	if err != nil || len(got) != len(w) {
		t.Fatalf("Kept = %v, %v, want %v", got, err, w)
	}
	for i := range w {
		if got[i] != filepath.Join(previous, w[i]) {
			t.Errorf("Kept[%d] = %s, want %s", i, got[i], w[i])
		}
	}
}

// A reader that knows nothing of this package finds every file, whole, at any
// moment.
func TestReaderSeesWholeFiles(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("on Windows a reader holds up the change of a file")
	}
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			mustReplace(t, dir, set("0"), Options{})
			rounds := 200
			if m.noLinks {
				rounds = 40 // there are fewer moments to be at
			}
			done, result := make(chan struct{}), make(chan error, 1)
			go func() { result <- readUntil(done, dir) }()
			for n := range rounds {
				mustReplace(t, dir, set(fmt.Sprint(n)), Options{noLinks: m.noLinks, Overwrite: true})
			}
			close(done)
			if err := <-result; err != nil {
				t.Error(err)
			}
		})
	}
}

// readUntil reads the set in dir over and over, until done is closed or a file
// is not whole.
func readUntil(done <-chan struct{}, dir string) error {
	for n := 0; ; n++ {
		for _, name := range names(set("")) {
			raw, err := os.ReadFile(filepath.Join(dir, name))
			if errors.Is(err, fs.ErrNotExist) {
				// The system may suspend a reader while it follows a link, for
				// longer than the link leads anywhere. The next look is right.
				raw, err = os.ReadFile(filepath.Join(dir, name))
			}
			line, _, _ := bytes.Cut(raw, []byte("\n"))
			if err != nil || !bytes.Equal(raw, bytes.Repeat(append(line, '\n'), 500)) {
				return fmt.Errorf("read %d of %s = %d bytes, %v, want a whole file", n, name, len(raw), err)
			}
		}
		select {
		case <-done:
			return nil
		default:
		}
	}
}

// Several at once take turns, and none of their sets is mixed with another.
func TestReplaceTakesTurns(t *testing.T) {
	t.Parallel()
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "new")
			const writers, rounds = 6, 4
			var all sync.WaitGroup
			for w := range writers {
				all.Go(func() {
					for r := range rounds {
						o := Options{noLinks: m.noLinks, Overwrite: true, Now: clock, patience: time.Minute}
						if _, err := Replace(dir, set(fmt.Sprint(w, ".", r)), o); err != nil {
							t.Errorf("Replace by %d, round %d = %v, want no error", w, r, err)
						}
						if err := recoverWithin(dir, time.Minute); err != nil {
							t.Errorf("Recover by %d, round %d = %v, want no error", w, r, err)
						}
					}
				})
			}
			all.Wait()
			kept, err := Kept(dir)
			if err != nil || len(kept) != writers*rounds-1 {
				t.Errorf("Kept = %d sets, %v, want %d", len(kept), err, writers*rounds-1)
			}
			seen := map[string]bool{}
			for _, d := range append(kept, dir) {
				word := wordOf(t, d)
				if seen[word] {
					t.Errorf("set %q is there twice", word)
				}
				seen[word] = true
			}
			if exists(filepath.Join(dir, stagingName)) {
				t.Error("the staging folder is left, want it gone")
			}
		})
	}
}

// wordOf returns the word of the set in dir, and fails unless it is one whole set.
func wordOf(t *testing.T, dir string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "root.pem"))
	line, _, _ := strings.Cut(string(raw), "\n")
	word := strings.TrimPrefix(line, "root ")
	files := set(word)
	if got := contents(dir, names(files)...); err != nil || got != want(files) {
		t.Errorf("contents of %s = %s, want one whole set (%v)", dir, short(got), err)
	}
	return word
}

func TestReplaceBusy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mustReplace(t, dir, set("one"), Options{})
	at, release := make(chan struct{}), make(chan struct{})
	result := make(chan error, 1)
	go func() {
		_, err := Replace(dir, set("two"), Options{Overwrite: true, Step: func(step string) error {
			if step == "write plan" {
				close(at)
				<-release
			}
			return nil
		}})
		result <- err
	}()
	<-at
	_, err := Replace(dir, set("three"), Options{Overwrite: true, patience: 30 * time.Millisecond})
	if e, ok := errors.AsType[*report.Error](err); !ok || e.Code != "file.busy" || e.Kind != report.KindRefused {
		t.Errorf("Replace of a folder in use = %v, want code file.busy", err)
	}
	close(release)
	if err := <-result; err != nil {
		t.Errorf("Replace of the first = %v, want no error", err)
	}
	if got := wordOf(t, dir); got != "two" {
		t.Errorf("set = %q, want two", got)
	}
}

// What a process left that was killed while it made a folder goes with the next
// one that makes it, and nothing else does.
func TestFreshClearsStale(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	old := filepath.Join(top, freshName+"web-OLD")
	others := []string{filepath.Join(top, freshName+"web-YOUNG"), filepath.Join(top, freshName+"website-OLD"), filepath.Join(top, "web-OLD")}
	for _, d := range append(others, old) {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	hourAgo := time.Now().Add(-time.Hour)
	for _, d := range append(others[1:], old) {
		if err := os.Chtimes(d, hourAgo, hourAgo); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := Replace(filepath.Join(top, "web"), []File{{Name: "a", Data: []byte("1")}, {Name: "gone"}}, Options{})
	if err != nil || kept != "" {
		t.Fatalf("Replace = %q, %v", kept, err)
	}
	if exists(old) {
		t.Errorf("%s is still there", old)
	}
	for _, d := range others {
		if !exists(d) {
			t.Errorf("%s is gone", d)
		}
	}
}

// Somebody who makes the same folder meanwhile is not overwritten.
func TestFreshSomebodyFaster(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "web")
	step := func(what string) error {
		if what != "move folder" {
			return nil
		}
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, "a"), []byte("theirs"), 0o600)
	}
	_, err := Replace(dir, []File{{Name: "a", Data: []byte("ours")}}, Options{Step: step})
	if !report.HasCode(err, "file.exists") {
		t.Errorf("Replace = %v, want file.exists", err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "a")); err != nil || string(data) != "theirs" {
		t.Errorf("a is %q, %v", data, err)
	}
	if entries, err := os.ReadDir(filepath.Dir(dir)); err != nil || len(entries) != 1 {
		t.Errorf("beside it there is %v", entries)
	}
}
