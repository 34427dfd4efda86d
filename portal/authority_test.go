package portal

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"onsite/pkcs"
	"onsite/report"
)

// The chain that tests use: an authority of two levels, made once.
type authority struct {
	root, intermediate *x509.Certificate
	key                crypto.Signer // the intermediate's
}

var newAuthority = sync.OnceValue(func() *authority {
	rootKey, key := newKey(), newKey()
	a := &authority{key: key}
	a.root = sign(&x509.Certificate{Subject: pkix.Name{CommonName: "Test Root"}, IsCA: true}, nil, rootKey, rootKey)
	a.intermediate = sign(&x509.Certificate{Subject: pkix.Name{CommonName: "Test Issuing"}, IsCA: true}, a.root, key, rootKey)
	return a
})

func newKey() crypto.Signer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

var serials = struct {
	sync.Mutex
	last int64
}{}

// sign fills in what a template leaves out and signs it; nil parent: by itself.
func sign(t, parent *x509.Certificate, key, by crypto.Signer) *x509.Certificate {
	serials.Lock()
	serials.last++
	t.SerialNumber = big.NewInt(serials.last)
	serials.Unlock()
	if t.NotAfter.IsZero() {
		t.NotBefore, t.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(90*24*time.Hour)
	}
	t.BasicConstraintsValid = true
	t.KeyUsage = x509.KeyUsageDigitalSignature
	if t.IsCA {
		t.KeyUsage = x509.KeyUsageCertSign
	} else {
		t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	if parent == nil {
		parent = t
	}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, key.Public(), by)
	if err != nil {
		panic(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return c
}

// newSet issues a certificate for names and 127.0.0.1; change may be nil.
func newSet(change func(*x509.Certificate), names ...string) *pkcs.Set {
	a := newAuthority()
	template := &x509.Certificate{
		Subject:  pkix.Name{CommonName: "portal.acme.example", Organization: []string{"Acme <Bakery>"}},
		DNSNames: names, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	if change != nil {
		change(template)
	}
	key := newKey()
	return &pkcs.Set{Key: key, Leaf: sign(template, a.intermediate, key, a.key), Intermediates: []*x509.Certificate{a.intermediate}, Root: a.root}
}

func expired(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-24*time.Hour)
}

const testName = "portal.acme.example"

// write puts a set into a new folder.
func write(t *testing.T, set *pkcs.Set) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if _, err := set.Write(dir, pkcs.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func pemOf(certs ...*x509.Certificate) (text []byte) {
	for _, c := range certs {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return text
}

func overwrite(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// start runs a portal until the test ends. Stop ends it before; change may be nil.
func start(t *testing.T, o Options, change func(*limits)) (s *Server, stop func() error) {
	t.Helper()
	s, findings, err := New(o)
	if err != nil {
		t.Fatalf("New: %v, findings %+v", err, findings)
	}
	if change != nil {
		change(&s.limits)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
	})
	return s, stop
}

// both are the options of a portal on free ports.
func both(dir string) Options {
	return Options{Dir: dir, HTTP: "127.0.0.1:0", HTTPS: "127.0.0.1:0"}
}

func rootPool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(newAuthority().root)
	return pool
}

func clientTLS() *tls.Config { return &tls.Config{RootCAs: rootPool(), ServerName: testName} }

// find returns the finding with the code.
func find(findings []report.Finding, code string) (report.Finding, bool) {
	for _, f := range findings {
		if f.Code == code {
			return f, true
		}
	}
	return report.Finding{}, false
}

// want checks that there is a finding with the code and the status.
func want(t *testing.T, findings []report.Finding, code string, status report.Status) report.Finding {
	t.Helper()
	f, ok := find(findings, code)
	if !ok || f.Status != status {
		t.Errorf("finding %q = %+v, want one of status %q; all: %+v", code, f, status, findings)
	}
	return f
}

// eventually polls until ok reports true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("never came true: %s", what)
		case <-tick.C:
		}
	}
}
