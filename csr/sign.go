package csr

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"net/netip"
	"slices"
)

// Object identifiers: X.520 for the name, PKCS#9 (RFC 2985) for the attributes.
var (
	oidCountry      = asn1.ObjectIdentifier{2, 5, 4, 6}
	oidState        = asn1.ObjectIdentifier{2, 5, 4, 8}
	oidLocality     = asn1.ObjectIdentifier{2, 5, 4, 7}
	oidOrganization = asn1.ObjectIdentifier{2, 5, 4, 10}
	oidUnit         = asn1.ObjectIdentifier{2, 5, 4, 11}
	oidCommonName   = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidEmail        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}

	oidUnstructuredName  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 2}
	oidChallengePassword = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 7}
	oidExtensionRequest  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 14}
	oidSubjectAltName    = asn1.ObjectIdentifier{2, 5, 29, 17}

	oidRSA256   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}
	oidRSA384   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 12}
	oidRSA512   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 13}
	oidECDSA256 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
	oidECDSA384 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}
	oidECDSA512 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4}
	oidEd25519  = asn1.ObjectIdentifier{1, 3, 101, 112}
)

// requestInfo is CertificationRequestInfo of RFC 2986, section 4.1. Go's own
// x509.CreateCertificateRequest nests a sequence too many into every attribute
// but extensionRequest, which OpenSSL then cannot print, and writes
// emailAddress as a UTF8String; so it is built here.
type requestInfo struct {
	Raw        asn1.RawContent
	Version    int
	Subject    asn1.RawValue
	PublicKey  asn1.RawValue
	Attributes []attribute `asn1:"set,tag:0"`
}

// attribute is Attribute of RFC 2986, section 4.1.
type attribute struct {
	Type   asn1.ObjectIdentifier
	Values []asn1.RawValue `asn1:"set"`
}

// signedRequest is CertificationRequest of RFC 2986, section 4.2.
type signedRequest struct {
	Info      asn1.RawValue
	Algorithm pkix.AlgorithmIdentifier
	Signature asn1.BitString
}

// Sign returns the request in DER, signed with key. The subject's parts stand
// in the order C, ST, L, O, OU, CN, emailAddress. For a *RawKey the error is that
// of its Refuse.
func (r *Request) Sign(key crypto.Signer) ([]byte, error) {
	if raw, ok := key.(*RawKey); ok {
		return nil, raw.Refuse()
	}
	subject, err := r.Subject.DER()
	if err != nil {
		return nil, fmt.Errorf("encode subject: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("encode public key: %w", err)
	}
	attributes, err := r.attributes()
	if err != nil {
		return nil, fmt.Errorf("encode attributes: %w", err)
	}
	info, err := asn1.Marshal(requestInfo{
		Subject: asn1.RawValue{FullBytes: subject}, PublicKey: asn1.RawValue{FullBytes: public}, Attributes: attributes,
	})
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	algorithm, hash, err := signatureAlgorithm(key.Public(), r.Hash)
	if err != nil {
		return nil, err
	}
	signature, err := sign(key, hash, info)
	if err != nil {
		return nil, fmt.Errorf("sign request: %w", err)
	}
	return asn1.Marshal(signedRequest{
		Info: asn1.RawValue{FullBytes: info}, Algorithm: algorithm,
		Signature: asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)},
	})
}

// PEM wraps a request's DER.
func PEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

// sign hashes first where the algorithm wants that; Ed25519 signs the bytes
// themselves, for which crypto.Signer takes hash 0.
func sign(key crypto.Signer, hash crypto.Hash, message []byte) ([]byte, error) {
	if hash != 0 {
		h := hash.New()
		h.Write(message)
		message = h.Sum(nil)
	}
	return key.Sign(rand.Reader, message, hash)
}

func signatureAlgorithm(pub crypto.PublicKey, hash crypto.Hash) (pkix.AlgorithmIdentifier, crypto.Hash, error) {
	if hash == 0 {
		hash = crypto.SHA256
	}
	oids := map[crypto.Hash]asn1.ObjectIdentifier{}
	var parameters asn1.RawValue
	switch pub.(type) {
	case *rsa.PublicKey:
		oids = map[crypto.Hash]asn1.ObjectIdentifier{crypto.SHA256: oidRSA256, crypto.SHA384: oidRSA384, crypto.SHA512: oidRSA512}
		parameters = asn1.NullRawValue // RFC 4055, section 5
	case *ecdsa.PublicKey:
		oids = map[crypto.Hash]asn1.ObjectIdentifier{crypto.SHA256: oidECDSA256, crypto.SHA384: oidECDSA384, crypto.SHA512: oidECDSA512}
	case ed25519.PublicKey:
		return pkix.AlgorithmIdentifier{Algorithm: oidEd25519}, 0, nil
	}
	oid, ok := oids[hash]
	if !ok {
		return pkix.AlgorithmIdentifier{}, 0, fmt.Errorf("cannot sign with %s and %s", DescribeKey(pub), hash)
	}
	return pkix.AlgorithmIdentifier{Algorithm: oid, Parameters: parameters}, hash, nil
}

// DER encodes the name with the string types of RFC 5280, section 4.1.2.4 and
// appendix A: PrintableString for the country, IA5String for emailAddress,
// UTF8String for the rest.
func (s *Subject) DER() ([]byte, error) {
	fields := []struct {
		oid   asn1.ObjectIdentifier
		tag   int
		value string
	}{
		{oidCountry, asn1.TagPrintableString, s.Country},
		{oidState, asn1.TagUTF8String, s.State},
		{oidLocality, asn1.TagUTF8String, s.Locality},
		{oidOrganization, asn1.TagUTF8String, s.Organization},
		{oidUnit, asn1.TagUTF8String, s.Unit},
		{oidCommonName, asn1.TagUTF8String, s.CommonName},
		{oidEmail, asn1.TagIA5String, s.Email},
	}
	var name pkix.RDNSequence
	for _, f := range fields {
		if f.value != "" {
			name = append(name, pkix.RelativeDistinguishedNameSET{{Type: f.oid, Value: text(f.tag, f.value)}})
		}
	}
	return asn1.Marshal(name)
}

func text(tag int, s string) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassUniversal, Tag: tag, Bytes: []byte(s)}
}

// attributes returns the PKCS#9 attributes, sorted as DER wants a SET OF.
func (r *Request) attributes() ([]attribute, error) {
	var list []attribute
	if r.UnstructuredName != "" {
		// RFC 2985, section 5.4.2: IA5String, and UTF8String where that is too narrow.
		tag := asn1.TagIA5String
		if !isASCII(r.UnstructuredName) {
			tag = asn1.TagUTF8String
		}
		list = append(list, attribute{oidUnstructuredName, []asn1.RawValue{text(tag, r.UnstructuredName)}})
	}
	if r.ChallengePassword != "" {
		list = append(list, attribute{oidChallengePassword, []asn1.RawValue{text(asn1.TagUTF8String, r.ChallengePassword)}})
	}
	if len(r.SANs) > 0 {
		extension, err := sanExtension(r.SANs)
		if err != nil {
			return nil, err
		}
		extensions, err := asn1.Marshal([]pkix.Extension{extension})
		if err != nil {
			return nil, err
		}
		list = append(list, attribute{oidExtensionRequest, []asn1.RawValue{{FullBytes: extensions}}})
	}
	var failed error
	slices.SortFunc(list, func(a, b attribute) int {
		x, errX := asn1.Marshal(a)
		y, errY := asn1.Marshal(b)
		if errX != nil || errY != nil {
			failed = fmt.Errorf("encode %s: %w", a.Type, errX)
		}
		return bytes.Compare(x, y)
	})
	return list, failed
}

// sanTags are the kinds of GeneralName (RFC 5280, section 4.2.1.6).
var sanTags = map[string]int{SANEmail: 1, SANDNS: 2, SANURI: 6, SANIP: 7}

// sanExtension encodes GeneralNames.
func sanExtension(sans []SAN) (pkix.Extension, error) {
	names := make([]asn1.RawValue, 0, len(sans))
	for _, s := range sans {
		value := []byte(s.Value)
		if s.Type == SANIP {
			ip, err := netip.ParseAddr(s.Value)
			if err != nil {
				return pkix.Extension{}, fmt.Errorf("alternative name %s: %w", s, err)
			}
			value = ip.AsSlice()
		}
		names = append(names, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: sanTags[s.Type], Bytes: value})
	}
	der, err := asn1.Marshal(names)
	if err != nil {
		return pkix.Extension{}, err
	}
	return pkix.Extension{Id: oidSubjectAltName, Value: der}, nil
}
