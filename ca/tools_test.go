package ca

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"onsite/csr"
	"onsite/report"
)

// today is when most of the tests play.
var today = time.Date(2026, 11, 21, 23, 18, 59, 0, time.UTC)

func clock() time.Time { return today }

var testPassword = []byte("four words of salt")

// tool returns the path of a program that a test compares with, or skips.
func tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

// run runs a program in dir and returns what it prints, and how it ended.
func run(t testing.TB, dir, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), tool(t, name), args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "LC_ALL=C.UTF-8")
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

func write(t testing.TB, data []byte, path ...string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(path...), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func keySpec(t testing.TB, name string) csr.KeySpec {
	t.Helper()
	spec, err := csr.ParseKeySpec(name)
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

// keys are made once: an RSA key costs a tenth of a second and more.
var keys sync.Map

func testKey(t testing.TB, name string) crypto.Signer {
	t.Helper()
	spec := keySpec(t, name)
	once, _ := keys.LoadOrStore(name, sync.OnceValues(func() (crypto.Signer, error) { return csr.GenerateKey(spec) }))
	key, err := once.(func() (crypto.Signer, error))()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// request makes a request for the names, the first of which is the common name.
func request(t testing.TB, key string, names ...string) *csr.Info {
	t.Helper()
	spec := csr.Spec{Subject: csr.Subject{CommonName: names[0], Organization: "Acme Bakery Pty Ltd", Country: "AU"}, SANs: names[1:]}
	r, findings := csr.Prepare(spec)
	if r == nil {
		t.Fatalf("Prepare(%q) = %q", names, findings)
	}
	der, err := r.Sign(testKey(t, key))
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, der)
}

func parse(t testing.TB, der []byte) *csr.Info {
	t.Helper()
	info, err := csr.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// bare makes a request as an old wizard does: names only where it is told to.
func bare(t testing.TB, cn string, sans ...string) *csr.Info {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: cn}, DNSNames: sans,
	}, testKey(t, "ec:p256"))
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, der)
}

// fixture reads a request of package csr's.
func fixture(t testing.TB, name string) *csr.Info {
	t.Helper()
	block, _ := pem.Decode(read(t, "..", "csr", "testdata", name))
	if block == nil {
		t.Fatalf("%s is no PEM", name)
	}
	return parse(t, block.Bytes)
}

// authority makes one, with EC keys unless the spec names others.
func authority(t testing.TB, s Spec) *Authority { return authorityAt(t, s, today) }

func authorityAt(t testing.TB, s Spec, now time.Time) *Authority {
	t.Helper()
	if s.Name == "" {
		s.Name = "Acme Bakery"
	}
	if s.Key.String() == "" {
		s.Key = keySpec(t, "ec:p256")
	}
	plan, findings := Prepare(s)
	if plan == nil {
		t.Fatalf("Prepare(%+v) = %q", s, findings)
	}
	a, err := plan.Make(now)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// folder writes an authority and opens it, unlocked.
func folder(t testing.TB, s Spec) *Folder {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "onsite-ca")
	a := authority(t, s)
	if _, err := a.Write(dir, WriteOptions{Password: testPassword, Now: clock}); err != nil {
		t.Fatal(err)
	}
	return open(t, dir, Options{Now: clock}, a.issuingKey)
}

// open opens a folder with a key that was unlocked before: that takes time.
func open(t testing.TB, dir string, o Options, key crypto.Signer) *Folder {
	t.Helper()
	f, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	f.Authority.issuingKey = key
	return f
}

// issued has a folder issue for the names.
func issued(t testing.TB, f *Folder, names ...string) *x509.Certificate {
	t.Helper()
	draft, findings := f.Authority.Prepare(request(t, "ec:p256", names...), Profile{Now: f.now})
	if draft == nil {
		t.Fatalf("Prepare(%q) = %q", names, findings)
	}
	cert, err := f.Issue(draft)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// codes lists the codes of all findings but the passes.
func codes(findings []report.Finding) string {
	var list []string
	for _, f := range findings {
		if f.Status != report.StatusPass {
			list = append(list, string(f.Status)+" "+f.Code)
		}
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}
