package pkcs

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"strings"

	"onsite/csr"
	"onsite/report"
)

// ConvertOptions says what to write out of a bag.
type ConvertOptions struct {
	Form string // FormPEM, FormDER or FormP7B; for a PFX see EncodePFX
	// Only one kind is written: OnlyCerts, OnlyKeys or OnlyRequests. "" is all
	// that the form can hold.
	Only      string
	KeyFormat csr.KeyFormat // of keys in PEM
	Password  []byte        // encrypts keys
}

// What Only can be.
const (
	OnlyCerts    = "certs"
	OnlyKeys     = "keys"
	OnlyRequests = "requests"
)

// Convert writes what is in a bag in another form, in the order in which it was
// found. Private reports whether there is a private key in it. The error, a
// *report.Error, says what the form cannot hold.
func (b *Bag) Convert(o ConvertOptions) (data []byte, private bool, err error) {
	wants := func(kind string) bool { return o.Only == "" || o.Only == kind }
	part := &Bag{}
	if wants(OnlyCerts) {
		part.Certs, part.CRLs = b.Certs, b.CRLs
	}
	if wants(OnlyKeys) {
		part.Keys = b.Keys
	}
	if wants(OnlyRequests) {
		part.Requests = b.Requests
	}
	if part.empty() {
		return nil, false, report.Errorf(report.KindInput, "convert.nothing", "name another file, or leave --only away", "there are no %s in it", o.Only)
	}
	if err := part.Locked(); err != nil && o.Form != FormP7B {
		return nil, false, err
	}
	private = len(part.Keys) > 0
	switch o.Form {
	case FormPEM:
		data, err = part.pem(o)
	case FormDER:
		data, err = part.single(o)
	case FormP7B:
		private = false
		data, err = EncodeP7B(part.Certificates())
	default:
		return nil, false, fmt.Errorf("no such form: %q", o.Form)
	}
	return data, private, err
}

func (b *Bag) pem(o ConvertOptions) ([]byte, error) {
	var out bytes.Buffer
	for _, k := range b.Keys {
		key, err := csr.EncodeKey(k.Signer, o.KeyFormat, o.Password)
		if err != nil {
			return nil, err
		}
		out.Write(key)
	}
	out.Write(Encode(b.Certificates()...))
	for _, r := range b.Requests {
		out.Write(csr.PEM(r.DER))
	}
	for _, c := range b.CRLs {
		out.Write(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: c.DER}))
	}
	return out.Bytes(), nil
}

// single returns the one thing that a DER file can hold.
func (b *Bag) single(o ConvertOptions) ([]byte, error) {
	if n := len(b.Certs) + len(b.Keys) + len(b.Requests) + len(b.CRLs); n != 1 {
		return nil, report.Errorf(report.KindInput, "convert.several", "choose one kind with --only, or write PEM or P7B, which hold several",
			"a DER file holds one thing, and there are %s", strings.Join(b.counts(), ", "))
	}
	switch {
	case len(b.Certs) > 0:
		return b.Certs[0].Raw, nil
	case len(b.Requests) > 0:
		return b.Requests[0].DER, nil
	case len(b.CRLs) > 0:
		return b.CRLs[0].DER, nil
	}
	text, err := csr.EncodeKey(b.Keys[0].Signer, o.KeyFormat, o.Password)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	return block.Bytes, nil
}

// counts says how many of what there is: "2 certificates", "1 private key".
func (b *Bag) counts() []string {
	return Counts(len(b.Certs), len(b.Keys), len(b.Requests), len(b.CRLs))
}

// Counts says in words how many of each kind there are; what there is none of is
// left out.
func Counts(certs, keys, requests, crls int) []string {
	var list []string
	for _, n := range []struct {
		count     int
		one, many string
	}{
		{certs, "certificate", "certificates"},
		{keys, "private key", "private keys"},
		{requests, "certificate request", "certificate requests"},
		{crls, "revocation list", "revocation lists"},
	} {
		switch n.count {
		case 0:
		case 1:
			list = append(list, "1 "+n.one)
		default:
			list = append(list, fmt.Sprintf("%d %s", n.count, n.many))
		}
	}
	return list
}

// EncodeP7B writes certificates as Windows and Java take a chain: SignedData
// without content and without signatures (RFC 2315, section 9.1).
func EncodeP7B(certs []*x509.Certificate) ([]byte, error) {
	if len(certs) == 0 {
		return nil, report.Errorf(report.KindInput, "convert.nothing", "name a file with certificates", "a P7B file holds certificates, and there are none")
	}
	var all []byte
	for _, c := range certs {
		all = append(all, c.Raw...)
	}
	content, err := asn1.Marshal(struct{ Type asn1.ObjectIdentifier }{oidData})
	if err != nil {
		return nil, fmt.Errorf("encode P7B: %w", err)
	}
	signed, err := asn1.Marshal(struct {
		Version int
		Digests []pkix.AlgorithmIdentifier `asn1:"set"`
		Content asn1.RawValue
		Certs   asn1.RawValue
		Signers []asn1.RawValue `asn1:"set"`
	}{1, []pkix.AlgorithmIdentifier{}, asn1.RawValue{FullBytes: content}, explicit(all), []asn1.RawValue{}})
	if err != nil {
		return nil, fmt.Errorf("encode P7B: %w", err)
	}
	return asn1.Marshal(contentInfoValue{oidSignedData, explicit(signed)})
}
