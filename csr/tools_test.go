package csr

import (
	"bytes"
	"crypto"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// tool returns the path of a program that a test compares with, or skips.
func tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

// run runs a program in dir, with input on its standard input, and returns what
// it prints. Trouble ends the test.
func run(t testing.TB, dir string, input []byte, name string, args ...string) string {
	t.Helper()
	out, err := runErr(t, dir, input, name, args...)
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return out
}

func runErr(t testing.TB, dir string, input []byte, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), tool(t, name), args...)
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(input)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func read(t testing.TB, path ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func write(t testing.TB, dir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// keys are made once: an RSA key costs a tenth of a second and more.
var keys sync.Map

// testKey returns a key of one of the six kinds; the same one to every test.
func testKey(t testing.TB, spec string) crypto.Signer {
	t.Helper()
	once, _ := keys.LoadOrStore(spec, sync.OnceValues(func() (crypto.Signer, error) {
		kind, err := ParseKeySpec(spec)
		if err != nil {
			return nil, err
		}
		return GenerateKey(kind)
	}))
	key, err := once.(func() (crypto.Signer, error))()
	if err != nil {
		t.Fatal(err)
	}
	return key
}
