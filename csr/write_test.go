package csr

import (
	"bytes"
	"encoding/pem"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"
)

func files(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names
}

func TestWrite(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new folder")
	r := acme()
	r.Subject.CommonName = "*.acme.example"
	key := testKey(t, "ec:p256")
	paths, _, err := Write(r, key, WriteOptions{Dir: dir, KeyPassword: []byte(testPassword)})
	want := Paths{Request: filepath.Join(dir, "wildcard.acme.example.csr"), Key: filepath.Join(dir, "wildcard.acme.example.key")}
	if err != nil || paths != want {
		t.Fatalf("Write(…) = %+v, %v, want %+v", paths, err, want)
	}
	if got := files(t, dir); !slices.Equal(got, []string{"wildcard.acme.example.csr", "wildcard.acme.example.key"}) {
		t.Errorf("Write(…) leaves %q", got)
	}
	block, rest := pem.Decode(read(t, paths.Request))
	if block == nil || block.Type != "CERTIFICATE REQUEST" || len(rest) > 0 {
		t.Fatalf("the request is %v, then %q", block, rest)
	}
	if info, err := Parse(block.Bytes); err != nil || info.SPKISHA256 != Fingerprint(key.Public()) {
		t.Errorf("Parse(%s) = %+v, %v", paths.Request, info, err)
	}
	if got, err := decode(t, read(t, paths.Key), testPassword); err != nil || !same(got, key) {
		t.Errorf("DecodeKey(%s) = %v, %v", paths.Key, got, err)
	}
	if runtime.GOOS == "windows" {
		return // permissions are an access list there: see package fileset
	}
	for path, mode := range map[string]os.FileMode{paths.Key: 0o600, paths.Request: 0o644} {
		if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != mode {
			t.Errorf("Stat(%s) = %v, %v, want mode %o", path, fi.Mode(), err, mode)
		}
	}
}

func TestWriteRefusesAndKeeps(t *testing.T) {
	t.Parallel()
	for _, there := range []string{"portal.acme.example.key", "portal.acme.example.csr"} {
		t.Run(there, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir, there, []byte("precious"))
			_, _, err := Write(acme(), testKey(t, "ec:p256"), WriteOptions{Dir: dir})
			if err == nil || !bytes.Contains([]byte(err.Error()), []byte(there)) {
				t.Fatalf("Write over %s: %v, want an error that names it", there, err)
			}
			if got := files(t, dir); !slices.Equal(got, []string{there}) || string(read(t, dir, there)) != "precious" {
				t.Errorf("a refused Write leaves %q", got)
			}
			now := func() time.Time { return time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC) }
			paths, _, err := Write(acme(), testKey(t, "ec:p256"), WriteOptions{Dir: dir, Overwrite: true, Now: now})
			if err != nil || paths.Kept == "" || string(read(t, paths.Kept, there)) != "precious" {
				t.Errorf("Write(Overwrite) = %+v, %v, want the old %s in Kept", paths, err, there)
			}
		})
	}
}

func TestWriteKeepKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "portal.acme.example.key", []byte("precious"))
	paths, _, err := Write(acme(), testKey(t, "ec:p256"), WriteOptions{Dir: dir, KeepKey: true})
	if err != nil || paths != (Paths{Request: filepath.Join(dir, "portal.acme.example.csr")}) {
		t.Errorf("Write(KeepKey) = %+v, %v", paths, err)
	}
	if got := read(t, dir, "portal.acme.example.key"); string(got) != "precious" {
		t.Errorf("Write(KeepKey) changes the key to %q", got)
	}
}
