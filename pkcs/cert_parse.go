package pkcs

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"net"
	"slices"
	"strings"
	"time"

	"onsite/internal/ber"
)

// parseCert reads a certificate in DER. One that breaks rules which Go insists on
// (a negative serial number, an RSA key without NULL, a curve that Go does not
// have) is read as far as it goes, unparsed says what Go has against it, and its
// Version is 0. The error says that it is no certificate at all.
func parseCert(der []byte) (c *x509.Certificate, unparsed, err error) {
	c, unparsed = x509.ParseCertificate(der)
	if unparsed == nil {
		return c, nil, nil
	}
	if c, err = readCert(der); err != nil {
		return nil, nil, fmt.Errorf("%w (%w)", unparsed, err)
	}
	return c, unparsed, nil
}

// partial reports whether a certificate was read by readCert, which knows less
// of it than Go's own parser would. That never gives version 0.
func partial(c *x509.Certificate) bool { return c.Version == 0 }

// tbsFields are the parts of a TBSCertificate (RFC 5280, section 4.1) behind the
// version, by their order.
const (
	tbsSerial = iota
	tbsAlgorithm
	tbsIssuer
	tbsValidity
	tbsSubject
	tbsKey
	tbsRest
)

// readCert reads what can be read of a certificate without insisting on more
// than its layout.
func readCert(der []byte) (*x509.Certificate, error) {
	top, _, err := ber.Parse(der)
	if err != nil {
		return nil, err
	}
	parts, err := top.Sequence(3)
	if err != nil {
		return nil, err
	}
	fields, err := parts[0].Sequence(tbsRest)
	if err != nil {
		return nil, err
	}
	if fields[0].IsContext(0) {
		fields = fields[1:]
	}
	if len(fields) < tbsRest || !fields[tbsSerial].Is(asn1.TagInteger) {
		return nil, fmt.Errorf("%w: fields are missing", ber.ErrMalformed)
	}
	for _, f := range []int{tbsIssuer, tbsValidity, tbsSubject, tbsKey} {
		if !fields[f].Is(asn1.TagSequence) {
			return nil, fmt.Errorf("%w: a field of the wrong kind", ber.ErrMalformed)
		}
	}
	c := &x509.Certificate{
		Raw: top.Full, RawTBSCertificate: parts[0].Full, RawIssuer: fields[tbsIssuer].Full, RawSubject: fields[tbsSubject].Full,
		RawSubjectPublicKeyInfo: fields[tbsKey].Full, SerialNumber: twosComplement(fields[tbsSerial].Content),
	}
	c.PublicKey, c.PublicKeyAlgorithm = readPublicKey(fields[tbsKey])
	c.SignatureAlgorithm, c.Signature = readSignature(parts[1], parts[2])
	if times, err := fields[tbsValidity].Sequence(2); err == nil {
		c.NotBefore, c.NotAfter = readTime(times[0]), readTime(times[1])
	}
	for _, f := range fields[tbsRest:] {
		if list, err := f.Inside(); f.IsContext(3) && err == nil {
			readExtensions(c, list)
		}
	}
	return c, nil
}

func twosComplement(b []byte) *big.Int {
	n := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return n
}

// readTime reads UTCTime and GeneralizedTime (X.680, clauses 46 and 47), also
// without seconds and with an offset. What is no time is the zero time.
func readTime(e ber.Element) time.Time {
	text := string(e.Content)
	layouts := []string{"060102150405Z0700", "0601021504Z0700"}
	if e.Is(asn1.TagGeneralizedTime) {
		layouts = []string{"20060102150405Z0700", "200601021504Z0700", "20060102150405"}
	}
	for _, l := range layouts {
		if t, err := time.Parse(l, text); err == nil {
			if e.Is(asn1.TagUTCTime) && t.Year() >= 2050 { // RFC 5280, section 4.1.2.5.1
				t = t.AddDate(-100, 0, 0)
			}
			return t.UTC()
		}
	}
	return time.Time{}
}

var oidRSAEncryption = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}

// readPublicKey returns nil for a key that Go does not know. An RSA key is taken
// also without the NULL that belongs to its algorithm.
func readPublicKey(e ber.Element) (any, x509.PublicKeyAlgorithm) {
	if key, err := x509.ParsePKIXPublicKey(e.Full); err == nil {
		if _, ok := key.(*rsa.PublicKey); ok {
			return key, x509.RSA
		}
		return key, x509.UnknownPublicKeyAlgorithm
	}
	parts, err := e.Sequence(2)
	if err != nil {
		return nil, x509.UnknownPublicKeyAlgorithm
	}
	algorithm, err := parts[0].Sequence(1)
	if err != nil || len(parts[1].Content) < 1 {
		return nil, x509.UnknownPublicKeyAlgorithm
	}
	if oid, err := algorithm[0].OID(); err == nil && oid.Equal(oidRSAEncryption) {
		if key, err := x509.ParsePKCS1PublicKey(parts[1].Content[1:]); err == nil {
			return key, x509.RSA
		}
	}
	return nil, x509.UnknownPublicKeyAlgorithm
}

// signatureAlgorithms are those by which most certificates are signed: RFC 8017,
// appendix C, and RFC 5758.
var signatureAlgorithms = []struct {
	oid       asn1.ObjectIdentifier
	algorithm x509.SignatureAlgorithm
}{
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 4}, x509.MD5WithRSA},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 5}, x509.SHA1WithRSA},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}, x509.SHA256WithRSA},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 12}, x509.SHA384WithRSA},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 13}, x509.SHA512WithRSA},
	{asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}, x509.ECDSAWithSHA256},
	{asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}, x509.ECDSAWithSHA384},
	{asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4}, x509.ECDSAWithSHA512},
}

func readSignature(algorithm, value ber.Element) (x509.SignatureAlgorithm, []byte) {
	parts, err := algorithm.Sequence(1)
	if err != nil || len(value.Content) < 1 || value.Content[0] != 0 {
		return x509.UnknownSignatureAlgorithm, nil
	}
	oid, err := parts[0].OID()
	if err != nil {
		return x509.UnknownSignatureAlgorithm, nil
	}
	for _, s := range signatureAlgorithms {
		if s.oid.Equal(oid) {
			return s.algorithm, value.Content[1:]
		}
	}
	return x509.UnknownSignatureAlgorithm, value.Content[1:]
}

// readExtensions takes what sorting and showing want out of the extensions (RFC
// 5280, section 4.2).
func readExtensions(c *x509.Certificate, list ber.Element) {
	extensions, err := list.Sequence(0)
	if err != nil {
		return
	}
	for _, e := range extensions {
		parts, err := e.Sequence(2)
		if err != nil {
			continue
		}
		oid, err := parts[0].OID()
		value, err2 := parts[len(parts)-1].Octets()
		if err != nil || err2 != nil {
			continue
		}
		critical := len(parts) > 2 && bytes.ContainsFunc(parts[1].Content, func(r rune) bool { return r != 0 })
		c.Extensions = append(c.Extensions, pkix.Extension{Id: oid, Critical: critical, Value: value})
		if v, _, err := ber.Parse(value); err == nil {
			readExtension(c, oid, v)
		}
	}
}

func readExtension(c *x509.Certificate, oid asn1.ObjectIdentifier, v ber.Element) {
	switch {
	case oid.Equal(asn1.ObjectIdentifier{2, 5, 29, 14}): // subjectKeyIdentifier
		c.SubjectKeyId = v.Content
	case oid.Equal(asn1.ObjectIdentifier{2, 5, 29, 35}): // authorityKeyIdentifier
		if parts, err := v.Sequence(1); err == nil && parts[0].IsContext(0) {
			c.AuthorityKeyId = parts[0].Content
		}
	case oid.Equal(asn1.ObjectIdentifier{2, 5, 29, 19}): // basicConstraints
		if parts, err := v.Sequence(1); err == nil && parts[0].Is(asn1.TagBoolean) {
			c.BasicConstraintsValid, c.IsCA = true, !slices.Equal(parts[0].Content, []byte{0})
		}
	case oid.Equal(asn1.ObjectIdentifier{2, 5, 29, 17}): // subjectAltName
		names, err := v.Sequence(0)
		if err != nil {
			return
		}
		for _, n := range names {
			text := strings.ToValidUTF8(string(n.Content), "\uFFFD")
			switch {
			case n.IsContext(1):
				c.EmailAddresses = append(c.EmailAddresses, text)
			case n.IsContext(2):
				c.DNSNames = append(c.DNSNames, text)
			case n.IsContext(7) && (len(n.Content) == net.IPv4len || len(n.Content) == net.IPv6len):
				c.IPAddresses = append(c.IPAddresses, net.IP(n.Content))
			}
		}
	}
}

// firstElement returns the first ASN.1 value of data without what follows it, or
// all of data when there is none.
func firstElement(data []byte) []byte {
	if e, _, err := ber.Parse(data); err == nil {
		return e.Full
	}
	return data
}
