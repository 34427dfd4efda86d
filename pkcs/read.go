package pkcs

import (
	"bytes"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"

	"onsite/csr"
	"onsite/internal/ber"
	"onsite/report"
)

// MaxSize is the size in bytes above which a file is no certificate file.
const MaxSize = 4 << 20

// Read finds certificates, requests, private keys and revocation lists in any
// file: PEM, also inside other text, DER, bare base64, P7B, PFX, JKS, and an
// archive (ZIP) of these. It goes by content alone.
//
// The passwords are tried in turn on everything that has one; an empty one is
// tried always. A bundle that none of them opens is an error, a single key that
// none opens is a Key with Err. The error is a *report.Error of KindInput, and
// tells a wrong password, a damaged file and unsupported protection apart.
func Read(data []byte, passwords ...[]byte) (*Bag, error) {
	r := &reader{passwords: passwords, bag: &Bag{}}
	if err := r.file(data); err != nil {
		return nil, err
	}
	return r.bag, nil
}

// reader collects what one file holds.
type reader struct {
	passwords [][]byte
	bag       *Bag
	path      string // in an archive
	depth     int    // of files in files
	unpacked  int    // bytes that archives gave so far
	opened    int    // keys that passwords were tried on
}

// maxDepth bounds files in files: base64 of an archive of bundles has three.
const maxDepth = 4

// file reads a whole file, or one in an archive.
func (r *reader) file(data []byte) error {
	if r.depth++; r.depth > maxDepth {
		return report.Errorf(report.KindInput, "file.unknown", "unpack it and name the file that is meant", "files are packed into files more than %d deep", maxDepth)
	}
	defer func() { r.depth-- }()
	switch {
	case len(data) > MaxSize:
		return report.Errorf(report.KindInput, "file.too-large", "name the certificate file itself",
			"the file has %d bytes, and certificate files have at most %d", len(data), MaxSize)
	case len(bytes.TrimSpace(data)) == 0:
		return report.Errorf(report.KindInput, "file.empty", "copy or download the file again", "the file is empty")
	case bytes.HasPrefix(data, []byte("PK\x03\x04")):
		return r.zip(data)
	case isJKS(data):
		return r.jks(data)
	}
	text := plainText(data)
	// Text may begin with "0", the byte that DER begins with.
	if _, _, _, isText := marker(text); data[0] == 0x30 && !isText {
		return r.der(data)
	}
	found, err := r.pem(text)
	if err != nil || found {
		return err
	}
	if packed, ok := bareBase64(text); ok {
		return r.file(packed)
	}
	return errUnknown("")
}

func errUnknown(only string) error {
	return report.Errorf(report.KindInput, "file.unknown",
		"name a file with a certificate, a request or a key",
		"there is no certificate, request or key in the file%s", only)
}

func (r *reader) origin(form string) Origin { return Origin{Path: r.path, Form: form} }

// der reads one DER value or several in a row, as "copy /b" puts them together.
// What follows and is none, such as a line break, is passed over.
func (r *reader) der(data []byte) error {
	rest, err := r.element(data, FormDER)
	for more := err; more == nil && len(rest) > 0 && rest[0] == 0x30; {
		rest, more = r.element(rest, FormDER)
	}
	return err
}

// element tells a PFX, a P7B, a key, a request, a revocation list and a
// certificate apart by their layouts, and returns what stands behind.
func (r *reader) element(data []byte, form string) (rest []byte, err error) {
	if IsPFX(data) {
		return nil, r.pfx(data)
	}
	e, rest, err := ber.Parse(data)
	if err != nil {
		return nil, errDamagedDER(err)
	}
	switch layout(e) {
	case layoutP7B:
		return rest, r.p7b(e)
	case layoutCerts:
		return rest, r.certSequence(e)
	case layoutCRL:
		r.bag.CRLs = append(r.bag.CRLs, CRL{e.Full, r.origin(form)})
		return rest, nil
	case layoutRequest:
		if _, err := csr.Parse(e.Full); err != nil {
			return rest, err
		}
		r.bag.Requests = append(r.bag.Requests, Request{e.Full, r.origin(form)})
		return rest, nil
	case layoutCert:
		return rest, r.cert(e.Full, r.origin(form))
	}
	if t := csr.KeyType(e.Full); t != "" {
		r.key(&pem.Block{Type: t, Bytes: e.Full}, r.origin(form))
		return rest, nil
	}
	return nil, errDamagedDER(nil)
}

func errDamagedDER(cause error) error {
	const message = "the file begins like a DER file, but is no whole certificate, request or key"
	if cause != nil {
		return report.Errorf(report.KindInput, "file.damaged", "copy or download the file again", message+": %w", cause)
	}
	return report.Errorf(report.KindInput, "file.damaged", "copy or download the file again", message)
}

// What an ASN.1 value can be, by its layout.
const (
	layoutOther = iota
	layoutP7B
	layoutCerts // a sequence of certificates: Java's PkiPath
	layoutCert
	layoutRequest
	layoutCRL
)

// layout tells by the outermost values alone. A certificate, a request and a
// revocation list are all a SEQUENCE of something signed, an algorithm and a BIT
// STRING (RFC 5280, sections 4.1 and 5.1; RFC 2986, section 4.2).
func layout(e ber.Element) int {
	parts, err := e.Sequence(1)
	if err != nil {
		return layoutOther
	}
	if oid, err := parts[0].OID(); err == nil && oid.Equal(oidSignedData) {
		return layoutP7B
	}
	if isSigned(parts) {
		return signedLayout(parts[0])
	}
	if inner, err := parts[0].Sequence(3); err == nil && isSigned(inner) && signedLayout(inner[0]) == layoutCert {
		return layoutCerts
	}
	return layoutOther
}

func isSigned(parts []ber.Element) bool {
	return len(parts) == 3 && parts[0].Is(asn1.TagSequence) && parts[1].Is(asn1.TagSequence) && parts[2].Is(asn1.TagBitString)
}

// signedLayout looks at what was signed. Behind an optional version, a
// certificate has a serial number, an algorithm, issuer, validity, subject, key;
// a request has subject, key and the tag 0; a revocation list has an algorithm,
// issuer and a time.
func signedLayout(tbs ber.Element) int {
	fields, err := tbs.Children()
	if err != nil || len(fields) < 3 {
		return layoutOther
	}
	if fields[0].IsContext(0) || fields[0].Is(asn1.TagInteger) && fields[1].Is(asn1.TagSequence) && len(fields) >= 6 {
		return layoutCert
	}
	if fields[0].Is(asn1.TagInteger) && len(fields) <= 4 && (len(fields) == 3 || fields[3].IsContext(0)) {
		return layoutRequest
	}
	for _, f := range fields[2:min(len(fields), 5)] {
		if f.Is(asn1.TagUTCTime) || f.Is(asn1.TagGeneralizedTime) {
			return layoutCRL
		}
	}
	return layoutOther
}

// cert adds a certificate that is in DER.
func (r *reader) cert(der []byte, from Origin) error {
	c, unparsed, err := parseCert(der)
	if err != nil {
		return report.Errorf(report.KindInput, "cert.damaged", "copy or download the certificate again",
			"certificate %d in the file is damaged: %w", len(r.bag.Certs)+1, err)
	}
	r.bag.Certs = append(r.bag.Certs, Cert{Certificate: c, Origin: from, Unparsed: unparsed})
	return nil
}

// maxOpened bounds the number of keys on which passwords are tried.
const maxOpened = 16

// key adds a private key, opened if one of the passwords does.
func (r *reader) key(block *pem.Block, from Origin) {
	k := Key{Origin: from, Block: block}
	k.Signer, k.Err = csr.DecodeKey(block, nil)
	if report.HasCode(k.Err, csr.CodeKeyPasswordRequired) {
		for _, p := range append([][]byte{{}}, r.passwords...) { // some have an empty one
			if r.opened++; r.opened > maxOpened {
				break
			}
			k.Signer, k.Err = csr.DecodeKey(block, p)
			if !report.HasCode(k.Err, csr.CodeKeyPassword) && !report.HasCode(k.Err, csr.CodeKeyPasswordRequired) {
				break
			}
		}
	}
	r.bag.Keys = append(r.bag.Keys, k)
}

// p7b reads SignedData of PKCS#7 (RFC 2315, section 9.1; RFC 5652, section 5.1)
// for its certificates and revocation lists: the content and its signatures are
// passed over.
func (r *reader) p7b(e ber.Element) error {
	oid, content, err := contentInfo(e)
	if err != nil || !oid.Equal(oidSignedData) {
		return errP7B(errors.New("it holds no signed data"))
	}
	fields, err := content.Sequence(3)
	if err != nil {
		return errP7B(err)
	}
	before := len(r.bag.Certs) + len(r.bag.CRLs)
	for _, f := range fields {
		if !f.IsContext(0) && !f.IsContext(1) {
			continue
		}
		list, err := f.Children()
		if err != nil {
			return errP7B(err)
		}
		for _, item := range list {
			switch {
			case f.IsContext(1):
				r.bag.CRLs = append(r.bag.CRLs, CRL{item.Full, r.origin(FormP7B)})
			case item.Is(asn1.TagSequence): // other tags are attribute certificates and the like
				if err := r.cert(item.Full, r.origin(FormP7B)); err != nil {
					return errP7B(err)
				}
			}
		}
	}
	if len(r.bag.Certs)+len(r.bag.CRLs) == before {
		return errP7B(errors.New("it holds no certificate"))
	}
	return nil
}

func errP7B(err error) error {
	return report.Errorf(report.KindInput, "file.damaged", "copy or download the file again", "the P7B file cannot be read: %w", err)
}

// certSequence reads certificates one after the other, as Java's PkiPath and
// Netscape's sequence have them.
func (r *reader) certSequence(e ber.Element) error {
	list, err := e.Children()
	if err != nil {
		return errDamagedDER(err)
	}
	for _, c := range list {
		if err := r.cert(c.Full, r.origin(FormDER)); err != nil {
			return err
		}
	}
	return nil
}

// pfx reads a bundle with the first password that opens it.
func (r *reader) pfx(data []byte) error {
	bag, err := readPFX(data, r.passwords)
	if err != nil {
		return pfxError(err, hasPassword(r.passwords))
	}
	for _, c := range bag.certs {
		if err := r.cert(c.der, r.named(FormPFX, c.alias)); err != nil {
			return err
		}
	}
	for _, c := range bag.crls {
		r.bag.CRLs = append(r.bag.CRLs, CRL{c.der, r.named(FormPFX, c.alias)})
	}
	for _, k := range bag.keys {
		r.key(&pem.Block{Type: csr.KeyType(k.der), Bytes: k.der}, r.named(FormPFX, k.alias))
	}
	if len(bag.certs)+len(bag.crls)+len(bag.keys) == 0 {
		return pfxError(fmt.Errorf("%w: there is no certificate and no key in it", ber.ErrMalformed), false)
	}
	return nil
}

func (r *reader) named(form, alias string) Origin {
	return Origin{Path: r.path, Form: form, Alias: alias}
}

// hasPassword reports whether any of the passwords is more than an empty one.
func hasPassword(passwords [][]byte) bool {
	for _, p := range passwords {
		if len(p) > 0 {
			return true
		}
	}
	return false
}
