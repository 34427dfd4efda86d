package pkcs

import (
	"crypto/sha1" //nolint:gosec // G505: the fingerprint that Windows shows as the thumbprint
	"crypto/x509"
	"encoding/hex"
	"fmt"

	"onsite/csr"
)

// Details are what stands in a certificate beside its Info.
type Details struct {
	Key            string   `json:"key"`              // of the public key: "RSA 2048"
	Signature      string   `json:"signature"`        // the algorithm: "SHA256-RSA"
	Version        int      `json:"version"`          // 1 to 3
	SHA1           string   `json:"sha1"`             // lower-case hexadecimal; Windows calls it thumbprint
	SelfSigned     bool     `json:"self_signed"`      // signed with its own key
	KeyUsage       []string `json:"key_usage"`        // RFC 5280, section 4.2.1.3; empty: not restricted
	ExtKeyUsage    []string `json:"ext_key_usage"`    // section 4.2.1.12; empty: not restricted
	PathLength     *int     `json:"path_length"`      // authorities that may stand below; null: any number
	Emails         []string `json:"emails"`           // e-mail addresses among the alternative names
	SubjectKeyID   string   `json:"subject_key_id"`   // lower-case hexadecimal, or ""
	AuthorityKeyID string   `json:"authority_key_id"` // likewise
	IssuerURLs     []string `json:"issuer_urls"`      // where the issuer's certificate is to be had
	OCSPURLs       []string `json:"ocsp_urls"`
	CRLURLs        []string `json:"crl_urls"`
	Policies       []string `json:"policies"`   // object identifiers
	Extensions     []string `json:"extensions"` // object identifiers of all, "critical" behind those that are
	Unparsed       string   `json:"unparsed"`   // why Go cannot parse the certificate, or ""
}

// Detail returns what stands in a certificate beside its Info.
func Detail(c Cert) Details {
	d := Details{
		Key: keyName(c), Signature: c.SignatureAlgorithm.String(), Version: c.Version, SelfSigned: selfSigned(c.Certificate),
		KeyUsage: keyUsages(c.KeyUsage), ExtKeyUsage: extKeyUsages(c.Certificate), Emails: nonNil(c.EmailAddresses),
		SubjectKeyID: hex.EncodeToString(c.SubjectKeyId), AuthorityKeyID: hex.EncodeToString(c.AuthorityKeyId),
		IssuerURLs: nonNil(c.IssuingCertificateURL), OCSPURLs: nonNil(c.OCSPServer), CRLURLs: nonNil(c.CRLDistributionPoints),
		Policies: []string{}, Extensions: []string{},
	}
	sum := sha1.Sum(c.Raw) //nolint:gosec // G401: as above
	d.SHA1 = hex.EncodeToString(sum[:])
	if c.SignatureAlgorithm == x509.UnknownSignatureAlgorithm {
		d.Signature = "unknown"
	}
	if c.IsCA && (c.MaxPathLen > 0 || c.MaxPathLenZero) {
		d.PathLength = new(c.MaxPathLen)
	}
	for _, p := range c.PolicyIdentifiers {
		d.Policies = append(d.Policies, p.String())
	}
	for _, e := range c.Extensions {
		text := e.Id.String()
		if e.Critical {
			text += " critical"
		}
		d.Extensions = append(d.Extensions, text)
	}
	if c.Unparsed != nil {
		d.Unparsed = c.Unparsed.Error()
	}
	return d
}

func nonNil(list []string) []string { return append([]string{}, list...) }

// keyName is csr.DescribeKey, also of a key that Go does not know.
func keyName(c Cert) string {
	if c.PublicKey != nil {
		return csr.DescribeKey(c.PublicKey)
	}
	if odd, err := csr.ParsePublicKey(c.RawSubjectPublicKeyInfo); err == nil {
		return csr.DescribeKey(odd)
	}
	return "unknown"
}

func keyUsages(u x509.KeyUsage) []string {
	list := []string{}
	for i, name := range []string{
		"digitalSignature", "contentCommitment", "keyEncipherment", "dataEncipherment", "keyAgreement",
		"keyCertSign", "cRLSign", "encipherOnly", "decipherOnly",
	} {
		if u&(1<<i) != 0 {
			list = append(list, name)
		}
	}
	return list
}

var extKeyUsageNames = map[x509.ExtKeyUsage]string{
	x509.ExtKeyUsageAny: "any", x509.ExtKeyUsageServerAuth: "serverAuth", x509.ExtKeyUsageClientAuth: "clientAuth",
	x509.ExtKeyUsageCodeSigning: "codeSigning", x509.ExtKeyUsageEmailProtection: "emailProtection",
	x509.ExtKeyUsageTimeStamping: "timeStamping", x509.ExtKeyUsageOCSPSigning: "OCSPSigning",
	x509.ExtKeyUsageIPSECEndSystem: "ipsecEndSystem", x509.ExtKeyUsageIPSECTunnel: "ipsecTunnel", x509.ExtKeyUsageIPSECUser: "ipsecUser",
	x509.ExtKeyUsageMicrosoftServerGatedCrypto: "msSGC", x509.ExtKeyUsageNetscapeServerGatedCrypto: "nsSGC",
}

func extKeyUsages(c *x509.Certificate) []string {
	list := []string{}
	for _, u := range c.ExtKeyUsage {
		name, ok := extKeyUsageNames[u]
		if !ok {
			name = fmt.Sprintf("usage %d", u)
		}
		list = append(list, name)
	}
	for _, oid := range c.UnknownExtKeyUsage {
		list = append(list, oid.String())
	}
	return list
}
