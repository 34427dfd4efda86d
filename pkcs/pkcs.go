// Package pkcs is everything that certificates travel in: it reads what an
// authority or another program sent, sorts it out, and writes the three files
// that the web portal serves from.
//
//	bag, err := pkcs.Read(data)                               // PEM, DER, P7B; ReadPFX for bundles
//	keys, err := bag.OpenKeys(password)
//	set, findings, err := pkcs.Sort(keys[0], bag.Certs)      // the leaf by the key, the chain by signature
//	kept, err := set.Write(dir, pkcs.WriteOptions{})
//
// A folder of the three files is opened with [OpenSet] and judged with
// [Installed.Judge]; [JudgeServed] judges what a server sends.
//
// Keys and requests as such are package csr's. Serving is package portal's.
package pkcs

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"

	"onsite/csr"
	"onsite/internal/dn"
)

// The three files of a web portal.
const (
	RootFile = "root.pem" // intermediates, then the root
	CertFile = "cert.pem" // the leaf, then intermediates
	KeyFile  = "key.pem"
)

// Bag holds what was found in a file, in the order of the file. Certificates
// keep the very bytes they came in (x509.Certificate.Raw).
type Bag struct {
	Certs    []*x509.Certificate
	Requests [][]byte // DER
	// Keys are private keys, maybe encrypted: see OpenKeys.
	Keys []*pem.Block
}

// OpenKeys decrypts and decodes the private keys. The errors are those of
// csr.DecodeKey.
func (b *Bag) OpenKeys(password []byte) ([]crypto.Signer, error) {
	keys := make([]crypto.Signer, 0, len(b.Keys))
	for _, block := range b.Keys {
		key, err := csr.DecodeKey(block, password)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// Fingerprint is the SHA-256 of a certificate in lower-case hexadecimal.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// name is what findings call a certificate.
func name(c *x509.Certificate) string { return dn.Friendly(c.RawSubject) }

func issuerName(c *x509.Certificate) string { return dn.Friendly(c.RawIssuer) }
