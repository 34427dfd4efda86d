package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onsite/csr"
	"onsite/pkcs"
)

// TestBatchKilled kills "onsite csr new --from" again and again at moments that
// chance chooses, until it gets through. At every moment all that is seen is
// whole pairs that fit, and no key that was seen once is ever another.
func TestBatchKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("takes several seconds; -short was given")
	}
	gotool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("the go command is not there to build with")
	}
	const hosts = 300
	dir := t.TempDir()
	onsite := filepath.Join(dir, "onsite.exe")
	if out, err := exec.CommandContext(t.Context(), gotool, "build", "-o", onsite, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %s", out)
	}
	list := "cn,key\n"
	for i := range hosts {
		list += fmt.Sprintf("h%d.acme.com,ec:p256\n", i)
	}
	from, out := filepath.Join(dir, "hosts.csv"), filepath.Join(dir, "requests")
	if err := os.WriteFile(from, []byte(list), 0o600); err != nil {
		t.Fatal(err)
	}
	seen := map[string]string{}
	for kills := 0; ; kills++ {
		limit := time.Duration(1+rand.IntN(150)+30*kills) * time.Millisecond
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		said, err := exec.CommandContext(ctx, onsite, "csr", "new", "--from", from, "--out", out, "--no-input").CombinedOutput()
		killed := ctx.Err() != nil
		cancel()
		if err != nil && !killed {
			t.Fatalf("after %d kills: %v\n%s", kills, err, said)
		}
		pairs := checkBatchFolder(t, out, seen, err == nil)
		if err != nil {
			continue
		}
		if pairs != hosts {
			t.Errorf("it says that it is done, and there are %d pairs of %d", pairs, hosts)
		}
		t.Logf("killed %d times", kills)
		return
	}
}

// checkBatchFolder returns how many pairs there are. A request without its key
// is never seen; a key alone is, for a moment, where there are no links to hide
// the change behind.
func checkBatchFolder(t *testing.T, dir string, seen map[string]string, done bool) int {
	t.Helper()
	requests, err := filepath.Glob(filepath.Join(dir, "*.csr"))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := filepath.Glob(filepath.Join(dir, "*.key"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range keys {
		data, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			continue // a link whose time has not come
		}
		if err != nil {
			t.Fatal(err)
		}
		if before, ok := seen[path]; ok && before != string(data) {
			t.Fatalf("%s is another key than before", path)
		}
		seen[path] = string(data)
	}
	pairs := 0
	for _, path := range requests {
		data, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		key := strings.TrimSuffix(path, ".csr") + ".key"
		if fit, err := fits([]byte(seen[key]), data); !fit {
			t.Fatalf("%s does not fit its key: %v", path, err)
		}
		pairs++
	}
	if done {
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2*pairs {
			t.Errorf("the folder holds %d names for %d pairs (%v)", len(entries), pairs, err)
		}
	}
	return pairs
}

// fits compares the public keys of a key and a request.
func fits(key, request []byte) (bool, error) {
	k, err := pkcs.Read(key)
	if err != nil {
		return false, err
	}
	opened, err := k.OpenKeys(nil)
	if err != nil {
		return false, err
	}
	r, err := pkcs.Read(request)
	if err != nil {
		return false, err
	}
	info, err := csr.Parse(r.Requests[0].DER)
	if err != nil {
		return false, err
	}
	return csr.Fingerprint(opened[0].Public()) == info.SPKISHA256, nil
}
