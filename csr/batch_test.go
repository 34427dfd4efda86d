package csr

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"onsite/report"
)

// someHosts reads hosts a0, a1, … whose keys are cheap to make.
func someHosts(t testing.TB, n int) []Host {
	t.Helper()
	text := "cn,san,key\n"
	for i := range n {
		text += fmt.Sprintf("a%d.acme.com,b%d.acme.com,ec:p256\n", i, i)
	}
	hosts, findings, err := ReadHosts([]byte(text), HostsOptions{File: "hosts.csv"})
	if err != nil || len(hosts) != n {
		t.Fatalf("ReadHosts: %v, %v", findings, err)
	}
	return hosts
}

// runBatch plans and makes.
func runBatch(t testing.TB, o BatchOptions, hosts []Host) []Pair {
	t.Helper()
	pairs, findings, err := o.Plan(t.Context(), hosts)
	if err != nil || report.Failed(findings) {
		t.Fatalf("Plan: %v, %v", findings, err)
	}
	if err := o.Make(t.Context(), pairs); err != nil {
		t.Fatalf("Make: %v", err)
	}
	return pairs
}

func states(pairs []Pair) string {
	var list []string
	for _, p := range pairs {
		list = append(list, string(p.State))
	}
	return strings.Join(list, " ")
}

// checkPair looks whether key and request are there and fit.
func checkPair(t testing.TB, p Pair, password string) {
	t.Helper()
	key, err := decode(t, read(t, p.Files.Key), password)
	if err != nil {
		t.Fatalf("%s: %v", p.Files.Key, err)
	}
	info, err := openRequest(read(t, p.Files.Request))
	if err != nil || info.SPKISHA256 != Fingerprint(key.Public()) || p.SPKISHA256 != info.SPKISHA256 || info.SignatureOK == nil || !*info.SignatureOK {
		t.Errorf("%s does not fit %s: %v", p.Files.Request, p.Files.Key, err)
	}
}

func TestBatch(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{0, 1, 7} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "requests")
			var done []int
			o := BatchOptions{Dir: dir, Workers: workers, Done: func(n int) { done = append(done, n) }}
			pairs := runBatch(t, o, someHosts(t, 120))
			for i, p := range pairs {
				checkPair(t, p, "")
				if p.State != Made || p.Line != i+2 || p.KeyType != "EC P-256" || p.Encrypted || p.Request.SANs[1].Value != fmt.Sprintf("b%d.acme.com", i) {
					t.Errorf("pair %d = %+v", i, p)
				}
			}
			if got := files(t, dir); len(got) != 240 {
				t.Errorf("the folder holds %d files, want 240: %q", len(got), got)
			}
			if made := done[slices.Index(done, 120)+1:]; done[119] != 120 || made[0] != 0 || !slices.IsSorted(made) || made[len(made)-1] != 120 {
				t.Errorf("Done was told %v, want 1 to 120, then 0 up to 120", done)
			}
			if runtime.GOOS != "windows" {
				if fi, err := os.Stat(pairs[0].Files.Key); err != nil || fi.Mode().Perm() != 0o600 {
					t.Errorf("the key has the mode %v, %v", fi.Mode(), err)
				}
			}
		})
	}
}

func TestBatchGoesOn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := BatchOptions{Dir: dir}
	hosts := someHosts(t, 5)
	runBatch(t, o, hosts[:3])
	if err := os.Remove(filepath.Join(dir, "a1.acme.com.csr")); err != nil {
		t.Fatal(err)
	}
	before := map[string]string{}
	for _, name := range files(t, dir) {
		before[name] = string(read(t, dir, name))
	}
	pairs := runBatch(t, o, hosts)
	if got, want := states(pairs), "there request-only there made made"; got != want {
		t.Errorf("states = %s, want %s", got, want)
	}
	for _, p := range pairs {
		checkPair(t, p, "")
	}
	for name, data := range before {
		if string(read(t, dir, name)) != data {
			t.Errorf("%s was changed", name)
		}
	}
	if pairs := runBatch(t, o, hosts); states(pairs) != "there there there there there" {
		t.Errorf("states after all = %s", states(pairs))
	}
}

func TestBatchEncrypted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	hosts := someHosts(t, 2)
	o := BatchOptions{Dir: dir, KeyPassword: []byte(testPassword)}
	for _, p := range runBatch(t, o, hosts) {
		checkPair(t, p, testPassword)
	}
	if pairs := runBatch(t, o, hosts); states(pairs) != "there there" || !pairs[0].Encrypted {
		t.Errorf("pairs = %+v", pairs)
	}
	for password, code := range map[string]string{"": CodeKeyPasswordRequired, "wrong": CodeKeyPassword} {
		_, findings, err := BatchOptions{Dir: dir, KeyPassword: []byte(password)}.Plan(t.Context(), hosts)
		if err != nil || len(findings) != 2 || findings[0].Code != code || !strings.HasPrefix(findings[0].Subject, "hosts.csv line 2: a0.acme.com") {
			t.Errorf("Plan with the password %q = %+v, %v, want two of %s", password, findings, err, code)
		}
	}
}

// What is in the way is said before anything is written, and stays as it is.
func TestBatchBlocked(t *testing.T) {
	t.Parallel()
	key := testKey(t, "ec:p256")
	clear, err := EncodeKey(key, PKCS8, nil)
	if err != nil {
		t.Fatal(err)
	}
	other := *acme()
	der, err := other.Sign(testKey(t, "rsa:2048"))
	if err != nil {
		t.Fatal(err)
	}
	own, err := other.Sign(key)
	if err != nil {
		t.Fatal(err)
	}
	weak := read(t, "testdata", "pkcs1.key")
	tests := []struct {
		name         string
		key, request []byte // nil: not there
		want         []string
	}{
		{"a request alone", nil, PEM(der), []string{"fail hosts.there.no-key"}},
		{"a request alone that is none", nil, []byte("x"), []string{"fail hosts.there.no-key"}},
		{"a request for another key", clear, PEM(der), []string{"fail hosts.there.mismatch"}},
		{"a damaged key", []byte("-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"), nil, []string{"fail key.damaged"}},
		{"no key", []byte("hello"), nil, []string{"fail key.damaged"}},
		{"an empty key", []byte{}, PEM(own), []string{"fail key.damaged"}},
		{"a damaged request", clear, []byte("hello"), []string{"fail csr.damaged"}},
		{"other values", clear, PEM(own), []string{"warn hosts.there.differs"}},
		{"other values in DER", clear, own, []string{"warn hosts.there.differs"}},
		{"a weak key of another kind", weak, nil, []string{"fail csr.key.weak", "warn hosts.there.differs"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for name, data := range map[string][]byte{"a1.acme.com.key": tt.key, "a1.acme.com.csr": tt.request} {
				if data != nil {
					write(t, dir, name, data)
				}
			}
			before := files(t, dir)
			o := BatchOptions{Dir: dir}
			pairs, findings, err := o.Plan(t.Context(), someHosts(t, 3))
			if got := summary(findings); err != nil || !slices.Equal(got, tt.want) || report.Failed(findings) != (pairs == nil) {
				t.Errorf("Plan = %v, %+v, %v, want %q", pairs, findings, err, tt.want)
			}
			checkFindings(t, findings)
			for _, f := range findings {
				if !strings.HasPrefix(f.Subject, "hosts.csv line 3: a1.acme.com") {
					t.Errorf("the subject is %q", f.Subject)
				}
			}
			if after := files(t, dir); !slices.Equal(after, before) {
				t.Errorf("Plan left %q, want %q", after, before)
			}
		})
	}
}

func TestBatchStopped(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	hosts := someHosts(t, 400)
	ctx, stop := context.WithCancel(t.Context())
	o := BatchOptions{Dir: dir}
	pairs, _, err := o.Plan(ctx, hosts)
	if err != nil {
		t.Fatal(err)
	}
	o.Done = func(n int) {
		if n > 0 {
			stop()
		}
	}
	if err := o.Make(ctx, pairs); !errors.Is(err, context.Canceled) {
		t.Fatalf("Make that is stopped = %v", err)
	}
	made := 0
	for _, p := range pairs {
		switch p.State {
		case Made:
			checkPair(t, p, "")
			made++
		case Left:
			if isFile(p.Files.Key) || isFile(p.Files.Request) {
				t.Errorf("%s is left, but there", p.Files.Key)
			}
		default:
			t.Errorf("state = %s", p.State)
		}
	}
	if made == 0 || made == len(pairs) {
		t.Errorf("%d pairs of %d were made", made, len(pairs))
	}
	o.Done = nil
	for _, p := range runBatch(t, o, hosts) {
		checkPair(t, p, "")
	}
}

func isFile(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// A key that appears after Plan looked is not replaced.
func TestBatchNeverReplaces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := BatchOptions{Dir: dir}
	pairs, _, err := o.Plan(t.Context(), someHosts(t, 2))
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "a1.acme.com.key", []byte("precious"))
	if err := o.Make(t.Context(), pairs); !report.HasCode(err, "file.exists") {
		t.Errorf("Make = %v, want file.exists", err)
	}
	if got := read(t, dir, "a1.acme.com.key"); string(got) != "precious" {
		t.Errorf("Make changed the key to %q", got)
	}
}

func TestDescribeKind(t *testing.T) {
	t.Parallel()
	for _, k := range keySpecs {
		pub := testKey(t, k.name).Public()
		if got, want := DescribeKind(k), DescribeKey(pub); got != want {
			t.Errorf("DescribeKind(%s) = %q, want %q", k, got, want)
		}
		if got := LikeKey(pub); got.name != k.name {
			t.Errorf("LikeKey(%s) = %s", k, got)
		}
	}
}
