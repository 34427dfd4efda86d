package fileset

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"onsite/report"
)

// faultsBefore makes a folder in which every kind of change has something to do:
// two files are replaced, one is new, one is taken away, and one was a link.
func faultsBefore(t *testing.T) (dir string, old []File) {
	t.Helper()
	dir = t.TempDir()
	return dir, fillBefore(t, dir)
}

func fillBefore(t *testing.T, dir string) (old []File) {
	t.Helper()
	old = []File{
		{Name: "root.pem", Data: []byte("old root")},
		{Name: "cert.pem", Data: []byte("old cert")},
		{Name: "key.pem", Data: []byte("old key"), Private: true},
		{Name: "link.pem", Data: []byte("linked")},
		{Name: "extra.pem"},
	}
	for _, f := range old[:3] {
		mode := os.FileMode(0o644)
		if f.Private {
			mode = 0o600
		}
		path := filepath.Join(dir, f.Name)
		if err := errors.Join(os.WriteFile(path, f.Data, mode), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
	}
	target := filepath.Join(dir, "target.pem")
	link := filepath.Join(dir, "link.pem")
	if err := os.WriteFile(target, []byte("linked"), 0o640); err != nil {
		t.Fatal(err)
	}
	err := os.Symlink("target.pem", link)
	if _, unread := os.ReadFile(link); err != nil || unread != nil { // Windows without the privilege, wine
		_ = os.Remove(link)
		if err := os.WriteFile(link, []byte("linked"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return old
}

func faultsAfter() []File {
	return []File{
		{Name: "root.pem", Data: []byte("new root")},
		{Name: "cert.pem"},
		{Name: "key.pem", Data: []byte("new key"), Private: true},
		{Name: "link.pem", Data: []byte("new plain")},
		{Name: "extra.pem", Data: []byte("new extra")},
	}
}

var errFault = errors.New("the disk failed")

// TestReplaceFault lets every step fail in turn, once, and once with everything
// that follows it.
func TestReplaceFault(t *testing.T) {
	t.Parallel()
	for _, m := range modes {
		for _, forGood := range []bool{false, true} {
			name := m.name + "/once"
			if forGood {
				name = m.name + "/for good"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				for n := 1; ; n++ {
					if !replaceWithFault(t, m.noLinks, forGood, n) {
						break
					}
				}
			})
		}
	}
}

// replaceWithFault lets step n fail and reports whether there was one.
func replaceWithFault(t *testing.T, noLinks, forGood bool, n int) bool {
	dir, old := faultsBefore(t)
	before := tree(t, dir)
	count, at := 0, ""
	kept, err := Replace(dir, faultsAfter(), Options{Overwrite: true, Now: clock, noLinks: noLinks, Step: func(step string) error {
		count++
		if count == n {
			at = step
		}
		if count == n || forGood && count > n {
			return errFault
		}
		return nil
	}})
	if at == "" {
		if err != nil {
			t.Errorf("Replace without a fault = %v, want no error", err)
		}
		return false
	}
	got := contents(dir, names(old)...)
	newSet := want(faultsAfter())
	switch {
	case err == nil || !errors.Is(err, errFault):
		t.Errorf("step %d (%s): Replace = %q, %v, want the fault", n, at, kept, err)
	case report.HasCode(err, "file.tidy.failed"):
		if got != newSet {
			t.Errorf("step %d (%s): %v, but contents = %s", n, at, err, short(got))
		}
	case report.HasCode(err, "file.undo.failed"):
		if !forGood {
			t.Errorf("step %d (%s): %v, want it undone: only one step failed", n, at, err)
		}
		if !noLinks && got != want(old) {
			t.Errorf("step %d (%s): contents = %s, want the old set", n, at, short(got))
		}
	case report.HasCode(err, "file.write.failed"):
		if after := tree(t, dir); !forGood && after != before {
			t.Errorf("step %d (%s): folder =\n%s, want\n%s", n, at, after, before)
		}
		if got != want(old) {
			t.Errorf("step %d (%s): contents = %s, want the old set", n, at, short(got))
		}
	default:
		t.Errorf("step %d (%s): Replace = %v, want another code", n, at, err)
	}

	// The next command finds the work finished, or undone without a trace.
	if err := Recover(dir); err != nil {
		t.Errorf("step %d (%s): Recover = %v, want no error", n, at, err)
	}
	if got := contents(dir, names(old)...); got == newSet {
		checkKept(t, dir, 1)
	} else if after := tree(t, dir); after != before {
		t.Errorf("step %d (%s): recovered folder =\n%s, want\n%s", n, at, after, before)
	}
	return true
}

// checkKept fails unless dir holds as many kept sets as said, the oldest that of
// faultsBefore, and no staging folder.
func checkKept(t *testing.T, dir string, count int) {
	t.Helper()
	kept, err := Kept(dir)
	if err != nil || len(kept) != count {
		t.Errorf("Kept = %v, %v, want %d", kept, err, count)
		return
	}
	w := "root.pem=old root\ncert.pem=old cert\nkey.pem=old key\nlink.pem=linked\nextra.pem=-"
	if got := contents(kept[count-1], "root.pem", "cert.pem", "key.pem", "link.pem", "extra.pem"); got != w {
		t.Errorf("kept = %s, want %s", short(got), short(w))
	}
	if exists(filepath.Join(dir, stagingName)) {
		t.Errorf("the staging folder is left in %s", dir)
	}
}

// TestRollBackFault lets a file of the set resist in the midst of the change,
// and then the disk fail at every step of putting the others back.
func TestRollBackFault(t *testing.T) {
	t.Parallel()
	for step, noLinks := range map[string]bool{
		"move .onsite-swap/links/key.pem to key.pem": false,
		"move .onsite-swap/put/key.pem to key.pem":   true,
	} {
		if !noLinks && len(modes) == 1 {
			continue
		}
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			for k, more := 1, true; more; k++ {
				dir, old := faultsBefore(t)
				since, at := 0, ""
				_, err := Replace(dir, faultsAfter(), Options{Overwrite: true, noLinks: noLinks, Step: func(s string) error {
					if s == step || since > 0 {
						since++
					}
					if since == k+1 {
						at = s
					}
					if since == 1 || since > k {
						return errFault
					}
					return nil
				}})
				more = at != ""
				if !errors.Is(err, errFault) {
					t.Errorf("failed again at %q: Replace = %v, want the fault", at, err)
				}
				if err := Recover(dir); err != nil {
					t.Errorf("failed again at %q: Recover = %v, want no error", at, err)
				}
				if got := contents(dir, names(old)...); got != want(old) && got != want(faultsAfter()) {
					t.Errorf("failed again at %q: recovered contents = %s, want one whole set", at, short(got))
				}
			}
		})
	}
}

// An error leaves no folder behind that was made for the set, and one that is
// not empty by then stays.
func TestReplaceFaultNewFolder(t *testing.T) {
	t.Parallel()
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			for n, more := 1, true; more; n++ {
				top := t.TempDir()
				dir := filepath.Join(top, "a", "b")
				count, at := 0, ""
				_, err := Replace(dir, set("one"), Options{noLinks: m.noLinks, Step: func(step string) error {
					if count++; count == n {
						at = step
						return errFault
					}
					return nil
				}})
				more = at != ""
				if more && !report.HasCode(err, "file.tidy.failed") {
					if list, _ := os.ReadDir(top); len(list) != 0 {
						t.Errorf("step %d (%s): left %v, want nothing", n, at, tree(t, top))
					}
				}
			}
		})
	}
}

// The environment variables that make a copy of the test program a victim.
const (
	victimDir  = "FILESET_TEST_VICTIM_DIR"
	victimStep = "FILESET_TEST_VICTIM_STEP"
	victimMode = "FILESET_TEST_VICTIM_NOLINKS"
	victimRoot = "FILESET_TEST_VICTIM_MOUNT"
)

// TestMain lets the test program be started by a test as a process of its own
// that replaces one set.
func TestMain(m *testing.M) {
	if dir := os.Getenv(victimDir); dir != "" {
		if err := victim(dir); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// victim replaces a set, and kills itself without any farewell before the step
// that it was told.
func victim(dir string) error {
	last, err := strconv.Atoi(os.Getenv(victimStep))
	if err != nil {
		return err
	}
	count := 0
	o := Options{Overwrite: true, Now: clock, noLinks: os.Getenv(victimMode) != "", patience: time.Minute}
	o.Step = func(step string) error {
		if count++; count != last {
			return nil
		}
		os.Stdout.WriteString("last step: " + step + "\n")
		self, err := os.FindProcess(os.Getpid())
		if err == nil {
			err = self.Kill() // SIGKILL, or TerminateProcess
		}
		if err != nil {
			return err
		}
		select {} // it does not come to this step
	}
	_, err = Replace(dir, faultsAfter(), o)
	return err
}

// kill runs a victim in dir up to a step. It returns the name of the step, or ""
// when the victim had fewer.
func kill(t *testing.T, dir string, noLinks bool, step int) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimDir+"="+dir, victimStep+"="+strconv.Itoa(step))
	if noLinks {
		cmd.Env = append(cmd.Env, victimMode+"=1")
	}
	out, err := cmd.CombinedOutput()
	_, at, killed := strings.Cut(string(out), "last step: ")
	if killed == (err == nil) {
		t.Fatalf("victim in %s, step %d: %v\n%s", dir, step, err, out)
	}
	return strings.TrimSpace(at)
}

// TestReplaceKilled kills a process at every step. With links, the names show
// one whole set with no recovery at all; without, after it.
func TestReplaceKilled(t *testing.T) {
	t.Parallel()
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			for n := 1; ; n++ {
				dir, old := faultsBefore(t)
				at := kill(t, dir, m.noLinks, n)
				if at == "" {
					break
				}
				checkAfterKill(t, dir, at, old, !m.noLinks)
			}
		})
	}
}

func checkAfterKill(t *testing.T, dir, at string, old []File, links bool) {
	t.Helper()
	oldSet, newSet := want(old), want(faultsAfter())
	raw := contents(dir, names(old)...)
	if links && raw != oldSet && raw != newSet {
		t.Errorf("killed before %q: contents = %s, want one whole set", at, short(raw))
	}
	if err := Recover(dir); err != nil {
		t.Errorf("killed before %q: Recover = %v, want no error", at, err)
	}
	got := contents(dir, names(old)...)
	if got != oldSet && got != newSet || links && got != raw {
		t.Errorf("killed before %q: recovered contents = %s, want one whole set, and the one that was seen (%s)", at, short(got), short(raw))
	}
	if exists(filepath.Join(dir, stagingName)) {
		t.Errorf("killed before %q: the staging folder is left", at)
	}
	third := set("third")
	mustReplace(t, dir, third, Options{Overwrite: true, Now: clock, noLinks: !links})
	if got := contents(dir, names(third)...); got != want(third) {
		t.Errorf("killed before %q: contents of the next set = %s", at, short(got))
	}
	kept, err := Kept(dir)
	if err != nil || len(kept) == 0 {
		t.Errorf("killed before %q: Kept = %v, %v, want the former sets", at, kept, err)
		return
	}
	former := []string{"root.pem=old root\ncert.pem=old cert\nkey.pem=old key"}
	if got == newSet {
		former = append(former, "root.pem=new root\ncert.pem=-\nkey.pem=new key")
	}
	for i, w := range former {
		if k := contents(kept[len(kept)-1-i], "root.pem", "cert.pem", "key.pem"); k != w {
			t.Errorf("killed before %q: kept set %d = %s, want %s", at, i, short(k), short(w))
		}
	}
	if len(kept) != len(former) {
		t.Errorf("killed before %q: Kept = %v, want %d sets", at, kept, len(former))
	}
}

// TestRecoverKilled kills the recovery of a killed process, too. The second
// victim begins with the recovery, then goes on with a set of its own, which is
// the same one.
func TestRecoverKilled(t *testing.T) {
	t.Parallel()
	firsts := map[string][]string{ // the steps at which the first one dies
		"links":   {"move .onsite-swap/links/key.pem to key.pem", "move .onsite-swap/put/key.pem to key.pem"},
		"renames": {"move .onsite-swap/put/key.pem to key.pem"},
	}
	for _, m := range modes {
		for _, first := range firsts[m.name] {
			t.Run(m.name+"/"+first[:19], func(t *testing.T) {
				t.Parallel()
				n := stepNumber(t, m.noLinks, first)
				for k := 1; k <= 25; k++ { // the recovery has fewer steps
					dir, old := faultsBefore(t)
					kill(t, dir, m.noLinks, n)
					at := kill(t, dir, m.noLinks, k)
					oldSet, newSet := want(old), want(faultsAfter())
					if raw := contents(dir, names(old)...); !m.noLinks && raw != oldSet && raw != newSet {
						t.Errorf("recovery killed before %q: contents = %s, want one whole set", at, short(raw))
					}
					if err := Recover(dir); err != nil {
						t.Errorf("recovery killed before %q: Recover = %v, want no error", at, err)
					}
					if got := contents(dir, names(old)...); got != oldSet && got != newSet {
						t.Errorf("recovery killed before %q: recovered contents = %s, want one whole set", at, short(got))
					} else if got == newSet {
						checkKept(t, dir, 1)
					}
				}
			})
		}
	}
}

// stepNumber counts the steps of a whole Replace up to the one named.
func stepNumber(t *testing.T, noLinks bool, name string) int {
	t.Helper()
	dir, _ := faultsBefore(t)
	var list []string
	mustReplace(t, dir, faultsAfter(), Options{Overwrite: true, noLinks: noLinks, Step: func(step string) error {
		list = append(list, step)
		return nil
	}})
	n := slices.Index(list, name) + 1
	if n == 0 {
		t.Fatalf("Replace has no step %q, only %q", name, list)
	}
	return n
}

// Processes, as well as goroutines, take turns.
func TestProcessesTakeTurns(t *testing.T) {
	t.Parallel()
	dir, _ := faultsBefore(t)
	errs := make(chan error)
	const processes = 4
	for i := range processes {
		go func() {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), victimDir+"="+dir, victimStep+"=0")
			if i%2 == 0 {
				cmd.Env = append(cmd.Env, victimMode+"=1")
			}
			out, err := cmd.CombinedOutput()
			if err != nil {
				err = errors.Join(err, errors.New(string(out)))
			}
			errs <- err
		}()
	}
	for range processes {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if got := contents(dir, names(faultsAfter())...); got != want(faultsAfter()) {
		t.Errorf("contents = %s, want the new set", short(got))
	}
	checkKept(t, dir, processes)
}
