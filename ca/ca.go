// Package ca is an in-house authority: for the servers and devices of one
// business, where the clients can be told to trust its root.
//
// The way is: [Prepare] judges what a person wants of the authority, all of it
// at once; [Plan.Make] makes its keys and its two certificates; [Authority.Write]
// puts them into a folder. There [Open] finds them again, and the log of what
// was issued; [Authority.Prepare] judges a request, and [Folder.Issue] signs it.
//
//	plan, findings := ca.Prepare(ca.Spec{Name: "Acme Bakery", Permit: []string{"acme.example"}})
//	authority, err := plan.Make(time.Now())
//	kept, err := authority.Write("onsite-ca", ca.WriteOptions{Password: password})
//
//	folder, err := ca.Open("onsite-ca", ca.Options{})
//	err = folder.Unlock(password)
//	draft, findings := folder.Authority.Prepare(request, ca.Profile{})
//	cert, err := folder.Issue(draft)
//
// The root signs the issuing certificate and nothing else, so its key can be
// moved away from the folder afterwards. The keys in the folder are always
// encrypted.
//
// [SelfSign] makes a server's certificate without any authority.
//
// It is no public authority: nobody trusts it who was not told to. It serves
// nothing over the network, so who wants its lists of revoked certificates to
// be found must publish them; and it issues certificates for servers only.
package ca

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"time"

	"onsite/csr"
)

// How many days certificates are good for by default.
const (
	RootDays    = 3650
	IssuingDays = 1825
	// ServerDays is what Apple and the CA/Browser Forum allowed at the most until
	// March 2026, less a day for those who count another way.
	ServerDays = 397
)

// Authority is a root and an issuing certificate. The keys are nil as long as
// they are locked away.
type Authority struct {
	Root, Issuing       *x509.Certificate
	rootKey, issuingKey crypto.Signer
}

// Make makes the keys and the certificates. It takes as long as two keys do.
func (p *Plan) Make(now time.Time) (*Authority, error) {
	a := &Authority{}
	var err error
	for _, key := range []*crypto.Signer{&a.rootKey, &a.issuingKey} {
		if *key, err = csr.GenerateKey(p.Key); err != nil {
			return nil, err
		}
	}
	root, issuing := p.template(p.RootName(), now, p.Days), p.template(p.IssuingName(), now, p.IssuingDays)
	root.MaxPathLen = 1
	if a.Root, err = issue(root, root, a.rootKey.Public(), a.rootKey); err != nil {
		return nil, fmt.Errorf("make the root: %w", err)
	}
	issuing.MaxPathLenZero = true
	if p.CRLURL != "" {
		issuing.CRLDistributionPoints = []string{p.CRLURL + RootCRLFile}
	}
	if a.Issuing, err = issue(issuing, a.Root, a.issuingKey.Public(), a.rootKey); err != nil {
		return nil, fmt.Errorf("make the issuing certificate: %w", err)
	}
	return a, nil
}

// template is what both certificates of an authority have in common.
func (p *Plan) template(name string, now time.Time, days int) *x509.Certificate {
	subject := pkix.Name{CommonName: name}
	if p.Country != "" {
		subject.Country = []string{p.Country}
	}
	if p.Organization != "" {
		subject.Organization = []string{p.Organization}
	}
	c := &x509.Certificate{
		Subject:               subject,
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	c.NotBefore, c.NotAfter = validity(now, days)
	p.permitted.apply(c)
	return c
}

// validity is a time of exactly so many days, as clients count them: both ends
// belong to it (RFC 5280, section 4.1.2.5). It begins an hour back, for clocks
// that are late.
func validity(now time.Time, days int) (from, to time.Time) {
	from = now.UTC().Truncate(time.Second).Add(-time.Hour)
	return from, from.AddDate(0, 0, days).Add(-time.Second)
}

// issue signs a template under a fresh serial number and reads the certificate
// back. A template that is its own parent comes out self-signed.
func issue(template, parent *x509.Certificate, pub crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	id, err := keyID(pub)
	if err != nil {
		return nil, err
	}
	template.SubjectKeyId = id
	if template.SerialNumber, err = serialNumber(); err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, pub, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// serialNumber draws 127 random bits: positive, within 20 octets (RFC 5280,
// section 4.1.2.2), and never the same twice.
func serialNumber() (*big.Int, error) {
	for {
		n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
		if err != nil || n.Sign() > 0 {
			return n, err
		}
	}
}

// keyID is a key identifier after RFC 7093, section 2, method 1: the SHA-256 of
// the public key, cut to the length that the older SHA-1 has.
func keyID(pub crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, err
	}
	var spki struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &spki); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(spki.Key.Bytes)
	return sum[:20], nil
}
