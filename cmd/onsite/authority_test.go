package main

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"onsite/csr"
	"onsite/pkcs"
)

// bundlePassword is that of every bundle of the stories.
const bundlePassword = "correct horse"

// cmdAuthority plays an authority: authority CSR KEY DIR [nochain|expired].
// It signs the request and writes to DIR root.pem, the certificate as leaf.pem,
// bundle.pfx with the whole chain (root first, as some authorities send it) and
// password.txt.
func cmdAuthority(ts *testscript.TestScript, _ bool, args []string) {
	request, err := csr.Parse(readBag(ts, args[0]).Requests[0].DER)
	ts.Check(err)
	keys, err := readBag(ts, args[1]).OpenKeys(nil)
	ts.Check(err)
	dir := ts.MkAbs(args[2])
	variant := strings.Join(args[3:], "")

	end := time.Now().AddDate(0, 0, 90)
	if variant == "expired" {
		end = time.Now().Add(-time.Hour)
	}
	rootKey, issuingKey := newKey(ts), newKey(ts)
	root := sign(ts, caTemplate("Story Root"), nil, rootKey.Public(), rootKey)
	issuing := sign(ts, caTemplate("Story Issuing"), root, issuingKey.Public(), rootKey)
	leaf := &x509.Certificate{
		Subject:   pkix.Name{CommonName: request.Fields.CommonName},
		NotBefore: time.Now().AddDate(0, -1, 0), NotAfter: end,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IssuingCertificateURL: []string{"http://authority.example/issuing.crt"},
	}
	for _, s := range request.SANs {
		leaf.DNSNames = append(leaf.DNSNames, s.Value)
	}
	cert := sign(ts, leaf, issuing, request.PublicKey, issuingKey)
	chain := []*x509.Certificate{root, issuing}
	if variant == "nochain" {
		chain = nil
	}
	bundle, err := pkcs.EncodePFX(pkcs.PFX{Key: keys[0], Leaf: cert, Chain: chain}, []byte(bundlePassword))
	ts.Check(err)
	ts.Check(os.MkdirAll(dir, 0o755))
	for name, data := range map[string][]byte{
		"root.pem": pkcs.Encode(root), "leaf.pem": pkcs.Encode(cert), "bundle.pfx": bundle, "password.txt": []byte(bundlePassword + "\r\n"),
	} {
		ts.Check(os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
}

func readBag(ts *testscript.TestScript, path string) *pkcs.Bag {
	data, err := os.ReadFile(ts.MkAbs(path))
	ts.Check(err)
	bag, err := pkcs.Read(data)
	ts.Check(err)
	return bag
}

func newKey(ts *testscript.TestScript) crypto.Signer {
	spec, err := csr.ParseKeySpec("ec:p256")
	ts.Check(err)
	key, err := csr.GenerateKey(spec)
	ts.Check(err)
	return key
}

func caTemplate(name string) *x509.Certificate {
	return &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().AddDate(0, -1, 0), NotAfter: time.Now().AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
}

func sign(ts *testscript.TestScript, template, parent *x509.Certificate, pub crypto.PublicKey, key crypto.Signer) *x509.Certificate {
	if parent == nil {
		parent = template
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	der, err := x509.CreateCertificate(rand.Reader, template, parent, pub, key)
	ts.Check(err)
	cert, err := x509.ParseCertificate(der)
	ts.Check(err)
	return cert
}
