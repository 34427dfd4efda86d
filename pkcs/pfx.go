package pkcs

import (
	"crypto"
	"crypto/x509"

	"software.sslmate.com/src/go-pkcs12"

	"onsite/report"
)

// What can be wrong with a PFX file. Each comes as a *report.Error of KindInput.
const (
	CodePFXPassword    = "pfx.password.wrong"
	CodePFXDamaged     = "pfx.damaged"
	CodePFXUnsupported = "pfx.unsupported"
)

// IsPFX reports whether data begins as a PFX file does: SEQUENCE, INTEGER 3,
// SEQUENCE, contentType data or signedData (RFC 7292, section 4). It says
// nothing of the rest.
func IsPFX(data []byte) bool {
	if len(data) < 2 || data[0] != 0x30 {
		return false
	}
	content := data[2:]
	if n := data[1]; n > 0x80 {
		if len(content) < int(n&0x7f) {
			return false
		}
		content = content[n&0x7f:]
	}
	return len(content) > 4 && content[0] == 0x02 && content[1] == 1 && content[2] == 3 && content[3] == 0x30
}

// EncodePFX bundles a key, its certificate and the certificates above it, as
// OpenSSL 3, Java, NSS and Windows from Server 2019 on read it: AES-256,
// PBKDF2, SHA-256. It refuses a certificate that does not fit the key.
func EncodePFX(key crypto.Signer, leaf *x509.Certificate, chain []*x509.Certificate, password []byte) ([]byte, error) {
	if !SameKey(key, leaf) {
		return nil, report.Errorf(report.KindInput, "set.key.mismatch", "use the key that the request was made with",
			"the private key does not belong to the certificate %s", name(leaf))
	}
	return pkcs12.Modern2023.Encode(key, leaf, chain, string(password))
}
