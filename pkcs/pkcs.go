// Package pkcs is everything that certificates travel in: it reads what an
// authority or another program sent, sorts it out, judges it, and writes what
// each program needs.
//
//	bag, err := pkcs.Read(data, password)                 // any file, by its content
//	found, err := bag.Gather(ctx, pkcs.GatherOptions{})   // the leaf by the key, the chain by signature
//	kept, err := found.Sets[0].Write(dir, pkcs.WriteOptions{}) // root.pem, cert.pem, key.pem
//
// [Bag.Gather] finds the leaf by the key and the chain by signature. A folder of
// the three files is opened with [OpenSet] and judged with [Installed.Judge];
// [JudgeServed] judges what a server sends. [EncodePFX] and [Bag.Convert] write other
// layouts.
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
	"onsite/report"
)

// The three files of a web portal.
const (
	RootFile = "root.pem" // intermediates, then the root
	CertFile = "cert.pem" // the leaf, then intermediates
	KeyFile  = "key.pem"
)

// Bag holds what was found in one or more files, in their order. Certificates
// keep the very bytes they came in (x509.Certificate.Raw).
type Bag struct {
	Certs    []Cert
	Keys     []Key
	Requests []Request
	CRLs     []CRL
	// Aside are the files of an archive that could not be read, or that hold
	// nothing of interest.
	Aside []Aside
}

// Origin says where something was found.
type Origin struct {
	Path  string // the file, in an archive "acme.zip/chain.p7b"; "" until somebody names it: see In
	Form  string // one of the Form constants
	Alias string // the friendly name that it has there, or ""
}

// The forms in which files hold certificates and keys.
const (
	FormPEM = "PEM"
	FormDER = "DER"
	FormP7B = "P7B"
	FormPFX = "PFX"
	FormJKS = "JKS"
)

// Cert is a certificate and where it was found. Where Go cannot parse it,
// Unparsed says why, and the fields hold what could be read of it all the same:
// it can be sorted and written, and hardly judged.
type Cert struct {
	*x509.Certificate
	Origin
	Unparsed error
}

// Key is a private key and where it was found. The signer is nil, and Err says
// why, when it could not be opened: its code is one of package csr's.
type Key struct {
	crypto.Signer
	Origin
	Block *pem.Block // as it came, maybe encrypted
	Err   error
}

// Request is a certificate request and where it was found.
type Request struct {
	DER []byte
	Origin
}

// CRL is a list of revoked certificates and where it was found.
type CRL struct {
	DER []byte
	Origin
}

// Aside is a file that was passed over and the reason, a *report.Error.
type Aside struct {
	Path string
	Err  error
}

// In names the file that the bag was read from: its path goes in front of every
// origin that an archive gave.
func (b *Bag) In(path string) *Bag {
	join := func(inside *string) {
		if *inside == "" {
			*inside = path
		} else {
			*inside = path + "/" + *inside
		}
	}
	for i := range b.Certs {
		join(&b.Certs[i].Path)
	}
	for i := range b.Keys {
		join(&b.Keys[i].Path)
	}
	for i := range b.Requests {
		join(&b.Requests[i].Path)
	}
	for i := range b.CRLs {
		join(&b.CRLs[i].Path)
	}
	for i := range b.Aside {
		join(&b.Aside[i].Path)
	}
	return b
}

// Add puts what another bag holds behind what is there.
func (b *Bag) Add(other *Bag) {
	b.Certs = append(b.Certs, other.Certs...)
	b.Keys = append(b.Keys, other.Keys...)
	b.Requests = append(b.Requests, other.Requests...)
	b.CRLs = append(b.CRLs, other.CRLs...)
	b.Aside = append(b.Aside, other.Aside...)
}

func (b *Bag) empty() bool {
	return len(b.Certs)+len(b.Keys)+len(b.Requests)+len(b.CRLs) == 0
}

// Certificates returns the certificates without their origins.
func (b *Bag) Certificates() []*x509.Certificate {
	list := make([]*x509.Certificate, len(b.Certs))
	for i, c := range b.Certs {
		list[i] = c.Certificate
	}
	return list
}

// Locked returns the error of the first key that could not be opened, or nil.
func (b *Bag) Locked() error {
	for _, k := range b.Keys {
		if k.Err != nil {
			return k.Err
		}
	}
	return nil
}

// OpenKeys returns all private keys, or the error of one that cannot be opened:
// those of csr.DecodeKey.
func (b *Bag) OpenKeys(password []byte) ([]crypto.Signer, error) {
	keys := make([]crypto.Signer, 0, len(b.Keys))
	for _, k := range b.Keys {
		if k.Signer == nil {
			var err error
			if k.Signer, err = csr.DecodeKey(k.Block, password); err != nil {
				return nil, err
			}
		}
		keys = append(keys, k.Signer)
	}
	return keys, nil
}

// Findings tell of what was found and is not as it should be: certificates that
// Go cannot parse, keys that cannot be opened.
func (b *Bag) Findings() []report.Finding {
	var findings []report.Finding
	for _, c := range b.Certs {
		if c.Unparsed != nil {
			findings = append(findings, report.Warn("cert.unparsed", name(c.Certificate),
				"it breaks the rules for certificates, so it can be sorted and written, but not judged: "+c.Unparsed.Error(),
				"have it issued again if a program refuses it"))
		}
	}
	for _, k := range b.Keys {
		if k.Err != nil {
			e := report.AsError(k.Err)
			findings = append(findings, report.Warn(e.Code, k.String(), e.Message, e.Remedy))
		}
	}
	return findings
}

// String says where a key is from, for people.
func (k Key) String() string {
	if k.Path != "" {
		return k.Path
	}
	return "private key"
}

// Fingerprint is the SHA-256 of a certificate in lower-case hexadecimal.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

// name is what findings call a certificate.
func name(c *x509.Certificate) string { return dn.Friendly(c.RawSubject) }

func issuerName(c *x509.Certificate) string { return dn.Friendly(c.RawIssuer) }
