package site

import (
	"crypto"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // G505: a key identifier (RFC 5280, section 4.2.1.2), not a signature
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"time"

	"onsite/csr"
)

// authority is the simulated site's in-house authority: a root and an issuing
// certificate, with keys that live in memory only.
type authority struct {
	root, issuing *x509.Certificate
	key           crypto.Signer // of issuing
	now           func() time.Time
}

// newAuthority makes both certificates anew, good for two years.
func newAuthority(organization string, now func() time.Time) (*authority, error) {
	rootKey, err := csr.GenerateKey(csr.DefaultKey)
	if err != nil {
		return nil, err
	}
	a := &authority{now: now}
	if a.key, err = csr.GenerateKey(csr.DefaultKey); err != nil {
		return nil, err
	}
	rootTemplate := a.caTemplate(organization, "simulated root", 1)
	if a.root, err = issue(rootTemplate, rootTemplate, rootKey.Public(), rootKey); err != nil {
		return nil, fmt.Errorf("make the simulated root: %w", err)
	}
	if a.issuing, err = issue(a.caTemplate(organization, "simulated issuing authority", 0), a.root, a.key.Public(), rootKey); err != nil {
		return nil, fmt.Errorf("make the simulated issuing authority: %w", err)
	}
	return a, nil
}

func (a *authority) caTemplate(organization, role string, pathLength int) *x509.Certificate {
	return &x509.Certificate{
		Subject:               pkix.Name{Organization: []string{organization}, CommonName: organization + " " + role},
		NotBefore:             a.now().Add(-time.Hour),
		NotAfter:              a.now().AddDate(2, 0, 0),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLen:            pathLength,
		MaxPathLenZero:        pathLength == 0,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
}

// sign answers a request as an authority does: it checks the signature, takes
// key and alternative names from the request, and decides the rest itself. The
// certificate is good for 90 days.
func (a *authority) sign(der []byte) (*x509.Certificate, error) {
	req, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	if err := req.CheckSignature(); err != nil {
		return nil, fmt.Errorf("check the request's signature: %w", err)
	}
	if len(req.DNSNames) == 0 {
		return nil, errors.New("the request has no host name among its alternative names")
	}
	return issue(&x509.Certificate{
		RawSubject: req.RawSubject,
		DNSNames:   req.DNSNames, IPAddresses: req.IPAddresses,
		NotBefore:             a.now().Add(-time.Hour),
		NotAfter:              a.now().AddDate(0, 0, 90),
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, a.issuing, req.PublicKey, a.key)
}

// issue signs a template with a fresh serial number and returns the certificate.
func issue(template, parent *x509.Certificate, pub crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template.SerialNumber = serial
	spki, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, err
	}
	id := sha1.Sum(spki) //nolint:gosec // G401: a key identifier
	template.SubjectKeyId = id[:]
	der, err := x509.CreateCertificate(rand.Reader, template, parent, pub, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}
