package pkcs

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"onsite/csr"
	"onsite/report"
)

// now is the present of these tests.
var now = time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)

// party is a certificate with its key.
type party struct {
	*x509.Certificate
	key *ecdsa.PrivateKey
}

var serial atomic.Int64

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue makes a certificate, signed by itself when by is nil. key nil: a new one.
func issue(t testing.TB, by *party, key *ecdsa.PrivateKey, template x509.Certificate) *party {
	t.Helper()
	if key == nil {
		key = newKey(t)
	}
	p := &party{key: key}
	if by == nil {
		by = &party{&template, key}
	}
	template.SerialNumber = big.NewInt(0x7f00_0000_0000_0000 + serial.Add(1))
	template.BasicConstraintsValid = true
	if template.NotBefore.IsZero() {
		template.NotBefore = now.AddDate(0, -1, 0)
	}
	if template.NotAfter.IsZero() {
		template.NotAfter = now.AddDate(1, 0, 0)
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, by.Certificate, key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	p.Certificate = parse(t, der)
	return p
}

func parse(t testing.TB, der []byte) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func authority(name string) x509.Certificate {
	return x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, NotAfter: now.AddDate(10, 0, 0),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
}

func server(names ...string) x509.Certificate {
	return x509.Certificate{
		Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IssuingCertificateURL: []string{"http://ca.example/issuer.crt"},
	}
}

// chain3 is the common case: a leaf for portal.acme.example, an issuing
// authority and its root.
func chain3(t testing.TB) (leaf, issuing, root *party) {
	t.Helper()
	root = issue(t, nil, nil, authority("Root"))
	issuing = issue(t, root, nil, authority("Issuing"))
	return issue(t, issuing, nil, server("portal.acme.example")), issuing, root
}

func certs(parties ...*party) []*x509.Certificate {
	list := make([]*x509.Certificate, len(parties))
	for i, p := range parties {
		list[i] = p.Certificate
	}
	return list
}

// resign changes what is signed of a certificate and signs it again.
func resign(t testing.TB, c *x509.Certificate, by *party, change func(tbs []byte) []byte) *x509.Certificate {
	t.Helper()
	var whole struct {
		TBS       asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	if _, err := asn1.Unmarshal(c.Raw, &whole); err != nil {
		t.Fatal(err)
	}
	tbs := change(bytes.Clone(whole.TBS.FullBytes))
	sum := sha256.Sum256(tbs)
	signature, err := by.key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	whole.TBS = asn1.RawValue{FullBytes: tbs}
	whole.Signature = asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}
	der, err := asn1.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, der)
}

// labels are the names by which findings call certificates.
func labels(list []*x509.Certificate) []string {
	all := []string{}
	for _, c := range list {
		all = append(all, name(c))
	}
	return all
}

// summary writes findings as "status code subject" lines, which tests compare.
func summary(findings []report.Finding) []string {
	list := []string{}
	for _, f := range findings {
		list = append(list, string(f.Status)+" "+f.Code+" "+f.Subject)
	}
	return list
}

// checkFindings holds findings to the form that all have.
func checkFindings(t *testing.T, findings []report.Finding) {
	t.Helper()
	for _, f := range findings {
		if _, ok := report.Explain(f.Code); !ok {
			t.Errorf("the code %s has no page", f.Code)
		}
		if strings.HasSuffix(f.Detail, ".") || strings.HasSuffix(f.Remedy, ".") {
			t.Errorf("%s: %q or %q ends with a full stop", f.Code, f.Detail, f.Remedy)
		}
		if (f.Status == report.StatusFail || f.Status == report.StatusWarn || f.Status == report.StatusUnknown) && f.Remedy == "" {
			t.Errorf("%s: %s has no remedy", f.Code, f.Status)
		}
	}
}

// checkCode wants an error with the code, which can be shown and has a page.
func checkCode(t testing.TB, err error, code string) {
	t.Helper()
	if !report.HasCode(err, code) {
		t.Errorf("error is %v, want one with the code %s", err, code)
		return
	}
	e := report.AsError(err)
	if _, ok := report.Explain(code); !ok {
		t.Errorf("the code %s has no page", code)
	}
	if e.Kind != report.KindInput && e.Kind != report.KindUsage && e.Kind != report.KindRefused {
		t.Errorf("error %v is of kind %v", e, e.Kind)
	}
	if !strings.HasPrefix(code, "file.") && (e.Remedy == "" || strings.HasSuffix(e.Remedy, ".") || strings.HasSuffix(e.Message, ".")) {
		t.Errorf("error %q with remedy %q: want a remedy and no full stops", e.Message, e.Remedy)
	}
}

func wantSet(t *testing.T, what string, s *Set, leaf *x509.Certificate, intermediates []*x509.Certificate, root *x509.Certificate) {
	t.Helper()
	if s == nil || !s.Leaf.Equal(leaf) || !slices.EqualFunc(s.Intermediates, intermediates, (*x509.Certificate).Equal) ||
		(s.Root == nil) != (root == nil) || (root != nil && !s.Root.Equal(root)) {
		t.Errorf("%s gives the set %s, want %s, %q, %v", what, describe(s), name(leaf), labels(intermediates), root != nil)
	}
}

func describe(s *Set) string {
	if s == nil {
		return "none"
	}
	text := name(s.Leaf) + ", " + strings.Join(labels(s.Intermediates), ", ")
	if s.Root != nil {
		text += ", root " + name(s.Root)
	}
	return text
}

func pemKey(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	text, err := csr.EncodeKey(key, csr.PKCS8, nil)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func fixture(t testing.TB, path ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(append([]string{"testdata"}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// fixtureCert reads one certificate of testdata.
func fixtureCert(t testing.TB, name string) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(fixture(t, name))
	if block == nil {
		t.Fatalf("testdata/%s holds no PEM", name)
	}
	return parse(t, block.Bytes)
}

func writeFile(t testing.TB, dir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func readFile(t testing.TB, path ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// run runs a program in dir and returns what it prints. Trouble ends the test; a
// program that is not there skips it.
func run(t testing.TB, dir, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}
