package csr

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"onsite/internal/dn"
	"onsite/report"
)

// Info is what stands in a request. Judge says what to think of it.
type Info struct {
	Subject    string  `json:"subject"` // RFC 4514: most specific part first
	Fields     Subject `json:"fields"`
	SPKISHA256 string  `json:"spki_sha256"` // lower-case hexadecimal
	Key        string  `json:"key"`         // "RSA 2048"
	SANs       []SAN   `json:"sans"`
	// Attributes by name ("unstructuredName", or the object identifier), each
	// with its values; of an extensionRequest the names of the extensions. A
	// challenge password is not shown.
	Attributes map[string]string `json:"attributes"`
	Signature  string            `json:"signature"` // the algorithm: "SHA256-RSA"
	// SignatureOK says whether the request was signed with its own key; null
	// when the algorithm is not known here.
	SignatureOK *bool `json:"signature_ok"`

	PublicKey crypto.PublicKey        `json:"-"` // nil when Go does not know the kind
	DER       []byte                  `json:"-"`
	algorithm x509.SignatureAlgorithm // of the signature
}

// attributeNames are the attributes that are met in requests: RFC 2985, and
// those that Windows writes.
var attributeNames = map[string]string{
	"1.2.840.113549.1.9.2":    "unstructuredName",
	"1.2.840.113549.1.9.7":    "challengePassword",
	"1.2.840.113549.1.9.8":    "unstructuredAddress",
	"1.2.840.113549.1.9.14":   "extensionRequest",
	"1.3.6.1.4.1.311.2.1.14":  "extensionRequest",
	"1.3.6.1.4.1.311.13.2.2":  "enrollmentCSP",
	"1.3.6.1.4.1.311.13.2.3":  "osVersion",
	"1.3.6.1.4.1.311.21.20":   "clientInfo",
	"1.3.6.1.4.1.311.13.1":    "renewalCertificate",
	"1.3.6.1.4.1.311.13.2.1":  "enrollmentNameValuePair",
	"1.2.840.113549.1.9.15":   "smimeCapabilities",
	"1.3.6.1.5.5.7.1.24":      "tlsFeature",
	"1.2.840.113549.1.9.20":   "friendlyName",
	"1.3.6.1.4.1.311.20.2":    "certificateTemplate",
	"1.3.6.1.4.1.311.21.7":    "certificateTemplate",
	"2.16.840.1.113733.1.9.8": "transactionID",
}

// Parse reads a request in DER. The error is a *report.Error of KindInput.
func Parse(der []byte) (*Info, error) {
	req, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, report.Errorf(report.KindInput, "csr.damaged",
			"copy the whole request again, from BEGIN to END", "this is not a readable certificate request: %w", err)
	}
	info := &Info{
		Subject: dn.String(req.RawSubject), Fields: fields(req.RawSubject),
		Key: "unknown", Signature: signatureName(req.SignatureAlgorithm), algorithm: req.SignatureAlgorithm,
		SPKISHA256: fingerprint(req.RawSubjectPublicKeyInfo),
		SANs:       []SAN{}, Attributes: map[string]string{}, DER: der,
	}
	if req.PublicKey != nil {
		info.PublicKey, info.Key = req.PublicKey, DescribeKey(req.PublicKey)
	} else if odd, err := ParsePublicKey(req.RawSubjectPublicKeyInfo); err == nil {
		info.Key = DescribeKey(odd)
	}
	info.SignatureOK = checkSignature(req)
	if err := info.attributes(req.RawTBSCertificateRequest); err != nil {
		return nil, report.Errorf(report.KindInput, "csr.damaged", "make the request again", "the request's attributes are damaged: %w", err)
	}
	return info, nil
}

func signatureName(a x509.SignatureAlgorithm) string {
	if a == x509.UnknownSignatureAlgorithm {
		return "unknown"
	}
	return a.String()
}

// checkSignature tells a bad signature from one that cannot be checked here.
// MD5 and the odd algorithms come out as nil.
func checkSignature(req *x509.CertificateRequest) *bool {
	if !Checkable(req.PublicKey) {
		return nil
	}
	err := req.CheckSignature()
	var insecure x509.InsecureAlgorithmError
	if errors.Is(err, x509.ErrUnsupportedAlgorithm) || errors.As(err, &insecure) {
		return nil
	}
	ok := err == nil
	return &ok
}

func fields(raw []byte) Subject {
	return Subject{
		Country: dn.Lookup(raw, "C"), State: dn.Lookup(raw, "ST"), Locality: dn.Lookup(raw, "L"),
		Organization: dn.Lookup(raw, "O"), Unit: dn.Lookup(raw, "OU"), CommonName: dn.Lookup(raw, "CN"),
		Email: dn.Lookup(raw, "emailAddress"),
	}
}

// sans reads GeneralNames (RFC 5280, section 4.2.1.6) of the kinds that a
// server's certificate has, in their order; others are passed over.
func sans(der []byte) []SAN {
	var names []asn1.RawValue
	if _, err := asn1.Unmarshal(der, &names); err != nil {
		return nil
	}
	var list []SAN
	for _, n := range names {
		if n.Class != asn1.ClassContextSpecific {
			continue
		}
		for kind, tag := range sanTags {
			if n.Tag != tag {
				continue
			}
			value := strings.ToValidUTF8(string(n.Bytes), "\uFFFD")
			if kind == SANIP {
				ip, ok := netip.AddrFromSlice(n.Bytes)
				if !ok {
					continue
				}
				value = ip.Unmap().String()
			}
			list = append(list, SAN{kind, value})
		}
	}
	return list
}

// attributes reads the attributes itself: Go drops all but extensionRequest, and
// that too under Microsoft's identifier. An extensionRequest comes out as the
// list of its extensions.
func (i *Info) attributes(raw []byte) error {
	var info struct {
		Raw        asn1.RawContent
		Version    int
		Subject    asn1.RawValue
		PublicKey  asn1.RawValue
		Attributes []asn1.RawValue `asn1:"optional,tag:0,set"`
	}
	if _, err := asn1.Unmarshal(raw, &info); err != nil {
		return err
	}
	for _, a := range info.Attributes {
		var parsed attribute
		if _, err := asn1.Unmarshal(a.FullBytes, &parsed); err != nil {
			return err
		}
		id := parsed.Type.String()
		name, ok := attributeNames[id]
		if !ok {
			name = id
		}
		values := make([]string, 0, len(parsed.Values))
		for _, v := range parsed.Values {
			var list []pkix.Extension
			if name == "extensionRequest" {
				if _, err := asn1.Unmarshal(v.FullBytes, &list); err != nil {
					return err
				}
			}
			values = append(values, attributeValue(name, v, list))
			for _, e := range list {
				if e.Id.Equal(oidSubjectAltName) {
					i.SANs = append(i.SANs, sans(e.Value)...)
				}
			}
		}
		if before, ok := i.Attributes[name]; ok {
			values = append([]string{before}, values...)
		}
		i.Attributes[name] = strings.Join(values, ", ")
	}
	return nil
}

// extensionNames are those that stand in requests.
var extensionNames = map[string]string{
	"2.5.29.17":              "subjectAltName",
	"2.5.29.15":              "keyUsage",
	"2.5.29.37":              "extendedKeyUsage",
	"2.5.29.19":              "basicConstraints",
	"2.5.29.14":              "subjectKeyIdentifier",
	"1.3.6.1.5.5.7.1.24":     "tlsFeature",
	"1.2.840.113549.1.9.15":  "smimeCapabilities",
	"1.3.6.1.4.1.311.20.2":   "certificateTemplateName",
	"1.3.6.1.4.1.311.21.7":   "certificateTemplate",
	"1.3.6.1.4.1.311.21.10":  "applicationPolicies",
	"2.16.840.1.113730.1.1":  "nsCertType",
	"2.16.840.1.113730.1.13": "nsComment",
}

func attributeValue(name string, v asn1.RawValue, extensions []pkix.Extension) string {
	switch name {
	case "challengePassword":
		return "(present, not shown)" // somebody may use it elsewhere too
	case "extensionRequest":
		var names []string
		for _, e := range extensions {
			n, ok := extensionNames[e.Id.String()]
			if !ok {
				n = e.Id.String()
			}
			names = append(names, n)
		}
		return strings.Join(names, ", ")
	}
	if s, ok := dn.Text(v); ok {
		return s
	}
	return fmt.Sprintf("%d bytes", len(v.FullBytes))
}

// Judge says what is good and what is weak in a request, wherever it comes from.
func (i *Info) Judge() []report.Finding {
	j := &judge{}
	j.signature(i)
	j.key(i.PublicKey)
	j.subject(new(i.Fields))
	switch cn := i.Fields.CommonName; {
	case len(i.SANs) == 0 && cn != "":
		j.add(report.Warn("csr.san.missing", cn,
			"there is no alternative name, and browsers look at nothing else",
			"make the request again with onsite csr new, or make sure that the authority adds the name"))
	case len(i.SANs) == 0:
		j.add(report.Fail("csr.san.missing", "alternative names", "there is neither an alternative name nor a common name",
			"make the request again with onsite csr new NAME"))
	case cn != "" && !slices.ContainsFunc(i.SANs, func(s SAN) bool { return strings.EqualFold(s.Value, cn) }):
		j.add(report.Warn("csr.san.without-name", cn,
			"the common name is not among the alternative names, so browsers will not accept it",
			"make the request again with onsite csr new, or make sure that the authority adds the name"))
	}
	var judged []SAN
	for _, s := range i.SANs {
		if san, ok := j.san(s); ok {
			judged = append(judged, san)
		}
	}
	j.wildcards(judged)
	if _, ok := i.Attributes["challengePassword"]; ok {
		j.add(report.Warn("csr.challenge.visible", "challengePassword",
			"everybody who sees the request can read the challenge password",
			"use a password that is used nowhere else"))
	}
	return j.findings
}

func (j *judge) signature(i *Info) {
	switch {
	case i.algorithm == x509.MD5WithRSA || i.algorithm == x509.MD2WithRSA:
		j.add(report.Fail("csr.signature.weak", i.Signature, "the signature uses MD5, which every authority refuses, and which is not checked here",
			"make the request again with onsite csr new"))
	case i.SignatureOK == nil:
		j.add(report.Unknown("csr.signature.unsupported", i.Signature,
			"the signature algorithm is not supported here, so the signature was not checked",
			"make the request again with onsite csr new"))
	case !*i.SignatureOK:
		j.add(report.Fail("csr.signature.bad", i.Signature,
			"the request is not signed with its own key, or it was changed since: every authority refuses it",
			"make the request again, or copy it again in full"))
	case i.algorithm == x509.SHA1WithRSA || i.algorithm == x509.ECDSAWithSHA1 || i.algorithm == x509.DSAWithSHA1:
		j.add(report.Warn("csr.signature.weak", i.Signature,
			"the signature uses SHA-1, which authorities refuse (the request wizard of IIS makes such requests)",
			"make the request again with onsite csr new"))
	default:
		j.add(report.Pass("csr.signature.ok", i.Signature, "the request is signed with its own key"))
	}
}

// JudgeKey says whether authorities take a key for a request.
func JudgeKey(pub crypto.PublicKey) []report.Finding {
	j := &judge{}
	j.key(pub)
	return j.findings
}

func (j *judge) key(pub crypto.PublicKey) {
	switch k := pub.(type) {
	case ed25519.PublicKey:
		j.add(report.Warn("csr.key.unusual", DescribeKey(pub), "public authorities and most Windows programs do not take Ed25519 keys",
			"use --key rsa:2048 or --key ec:p256 for a purchased certificate"))
	case *rsa.PublicKey:
		if k.N.BitLen() < 2048 {
			j.add(report.Fail("csr.key.weak", DescribeKey(pub), "authorities refuse RSA keys of less than 2048 bits",
				"make a new key and request with onsite csr new"))
			return
		}
		j.add(report.Pass("csr.key.ok", DescribeKey(pub), "authorities take this key"))
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() && k.Curve != elliptic.P384() {
			j.add(report.Warn("csr.key.unusual", DescribeKey(pub), "public authorities and most programs take EC keys on P-256 and P-384 alone",
				"use --key ec:p256 or --key rsa:2048 for a purchased certificate"))
			return
		}
		j.add(report.Pass("csr.key.ok", DescribeKey(pub), "authorities take this key"))
	default:
		j.add(report.Unknown("csr.key.unsupported", "key", "the kind of key is not known here",
			"public authorities take RSA and EC keys: make a new request with onsite csr new"))
	}
}
