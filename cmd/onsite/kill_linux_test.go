package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"onsite/pkcs"
)

// TestSplitKilledAtEverySystemCall kills "onsite pfx split" with SIGKILL at each
// of the system calls that change files, one after the other, and looks at the
// folder as any other program would, without any recovery: it shows the whole
// old set or the whole new one. The next split then works.
func TestSplitKilledAtEverySystemCall(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute; -short was given")
	}
	strace := tool(t, "strace")
	if out, err := exec.CommandContext(t.Context(), strace, "-qq", "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		t.Skipf("strace does not work here: %s", out)
	}
	dir := t.TempDir()
	onsite := filepath.Join(dir, "onsite")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", onsite, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %s", out)
	}
	// Two demos give two different bundles.
	oldSet, newSet := demoBundle(t, onsite, filepath.Join(dir, "old")), demoBundle(t, onsite, filepath.Join(dir, "new"))
	split := func(web string) []string {
		return []string{
			onsite, "pfx", "split", filepath.Join(dir, "new", "bundle", "portal.example.com.pfx"),
			"--password-file", filepath.Join(dir, "new", "bundle", "password.txt"), "--out", web, "--force", "--no-input",
		}
	}
	kills := 0
	for _, call := range []string{"openat", "write", "fsync", "mkdirat", "linkat", "symlinkat", "renameat", "unlinkat", "fchmod,fchmodat"} {
		for n := 1; ; n++ {
			web := filepath.Join(dir, fmt.Sprintf("web-%s-%d", call, n))
			writeSet(t, web, oldSet)
			args := append([]string{
				"-f", "-qq", "-o", os.DevNull, "-e", "trace=" + call,
				"-e", fmt.Sprintf("inject=%s:signal=SIGKILL:when=%d", call, n),
			}, split(web)...)
			out, err := exec.CommandContext(t.Context(), strace, args...).CombinedOutput()
			got := readSet(t, web)
			if !equalSets(got, oldSet) && !equalSets(got, newSet) {
				t.Fatalf("killed at %s number %d, the folder holds a mixture: %s", call, n, describe(got, oldSet, newSet))
			}
			if err == nil {
				if !equalSets(got, newSet) {
					t.Fatalf("the split succeeded, but the new set is not there: %s", describe(got, oldSet, newSet))
				}
				break
			}
			if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() > 0 && exit.ExitCode() != 137 {
				t.Fatalf("strace: %v: %s", err, out)
			}
			kills++
			again := split(web)
			if out, err := exec.CommandContext(t.Context(), again[0], again[1:]...).CombinedOutput(); err != nil {
				t.Fatalf("split after a kill at %s number %d: %s", call, n, out)
			}
			if got := readSet(t, web); !equalSets(got, newSet) {
				t.Fatalf("split after a kill at %s number %d: %s", call, n, describe(got, oldSet, newSet))
			}
		}
	}
	t.Logf("killed %d times", kills)
	if kills < 40 {
		t.Errorf("killed only %d times: does strace still see the calls?", kills)
	}
}

var setFiles = []string{pkcs.RootFile, pkcs.CertFile, pkcs.KeyFile}

func demoBundle(t *testing.T, onsite, dir string) map[string][]byte {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), onsite, "demo", "--out", dir).CombinedOutput(); err != nil {
		t.Fatalf("onsite demo: %s", out)
	}
	return readSet(t, filepath.Join(dir, "web-server"))
}

func readSet(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	set := map[string][]byte{}
	for _, name := range setFiles {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		set[name] = data
	}
	return set
}

func writeSet(t *testing.T, dir string, set map[string][]byte) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, data := range set {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func equalSets(a, b map[string][]byte) bool {
	for _, name := range setFiles {
		if !bytes.Equal(a[name], b[name]) {
			return false
		}
	}
	return true
}

// describe says of each file which set it is of. It shows no content: there are
// keys in it.
func describe(got, oldSet, newSet map[string][]byte) string {
	var s string
	for _, name := range setFiles {
		switch {
		case bytes.Equal(got[name], oldSet[name]):
			s += name + " old, "
		case bytes.Equal(got[name], newSet[name]):
			s += name + " new, "
		default:
			s += fmt.Sprintf("%s neither (%d bytes), ", name, len(got[name]))
		}
	}
	return s
}

// tool skips a test when a program of another package is not installed.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}
