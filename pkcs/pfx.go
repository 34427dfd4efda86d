package pkcs

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
	"software.sslmate.com/src/go-pkcs12"

	"onsite/csr"
	"onsite/internal/pbe"
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

// ReadPFX opens a PFX file (PKCS#12, RFC 7292). The errors tell a wrong
// password, a damaged file and unsupported protection apart.
func ReadPFX(data, password []byte) (*Bag, error) {
	if !IsPFX(data) {
		return nil, notPFX(data)
	}
	size := len(data)
	if data = wholeElement(data); data == nil {
		return nil, report.Errorf(report.KindInput, CodePFXDamaged, "copy or export the file again",
			"the PFX file is cut short: it has %d bytes, and its beginning announces more", size)
	}
	if n := iterations(data, 0); n > pbe.MaxIterations {
		return nil, report.Errorf(report.KindInput, CodePFXUnsupported, "export the bundle again; 600 000 rounds are plenty",
			"the PFX file wants %d rounds of key derivation, the limit is %d", n, pbe.MaxIterations)
	}
	key, leaf, others, err := pkcs12.DecodeChain(data, string(password))
	if err != nil {
		return nil, pfxError(err, len(password) > 0)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, report.Errorf(report.KindInput, csr.CodeKeyUnsupported, "use an RSA or EC key", "the private key in the PFX file cannot be used: %w", err)
	}
	return &Bag{
		Certs: append([]*x509.Certificate{leaf}, others...),
		Keys:  []*pem.Block{{Type: "PRIVATE KEY", Bytes: der}},
	}, nil
}

// notPFX says what the file is instead, as far as that can be told.
func notPFX(data []byte) error {
	bag, err := Read(data)
	if err != nil {
		return report.Errorf(report.KindInput, "pfx.not-pfx", "name the .pfx or .p12 file that was exported or sent",
			"this is not a PFX file: %w", err)
	}
	var holds []string
	if len(bag.Certs) > 0 {
		holds = append(holds, "certificates")
	}
	if len(bag.Requests) > 0 {
		holds = append(holds, "a certificate request")
	}
	if len(bag.Keys) > 0 {
		holds = append(holds, "a private key")
	}
	return report.Errorf(report.KindInput, "pfx.not-pfx", "name the .pfx or .p12 file that was exported or sent",
		"this is not a PFX file: it holds %s", strings.Join(holds, " and "))
}

func pfxError(err error, withPassword bool) error {
	var unsupported pkcs12.NotImplementedError
	var syntax asn1.SyntaxError
	var structure asn1.StructuralError
	switch text := err.Error(); {
	case strings.Contains(text, "cannot be encoded"):
		return report.Errorf(report.KindInput, CodePFXUnsupported, "export the bundle again with a password of plain letters and digits",
			"the password holds characters that PFX files cannot express, such as emoji: %w", err)
	case strings.Contains(text, "key bag") && strings.HasSuffix(text, pkcs12.ErrDecryption.Error()):
		return report.Errorf(report.KindInput, CodePFXPassword, "export the bundle again with one password for all of it",
			"the key in the PFX file has another password than the file")
	case errors.Is(err, pkcs12.ErrIncorrectPassword), errors.Is(err, pkcs12.ErrDecryption):
		if !withPassword {
			return report.Errorf(report.KindInput, CodePFXPassword, "give its password with --password-file or --password-env",
				"the PFX file has a password")
		}
		return report.Errorf(report.KindInput, CodePFXPassword,
			"check the password: capitals, keyboard layout, a space at its end; if it is surely right, copy the file again",
			"the password does not open the PFX file")
	case errors.As(err, &unsupported), strings.Contains(text, "indefinite length"), strings.Contains(text, "no MAC"),
		strings.Contains(text, "expected"), strings.Contains(text, "can only decode"),
		strings.Contains(text, "unknown algorithm"), strings.Contains(text, "unsupported"), strings.Contains(text, "not supported"):
		return report.Errorf(report.KindInput, CodePFXUnsupported,
			"export it again with the private key and with AES-256 or TripleDES protection, or write it anew with openssl pkcs12 -legacy",
			"the PFX file is protected or laid out in a way that is not supported: %w", err)
	case strings.Contains(text, "private key missing"):
		return report.Errorf(report.KindInput, "pfx.key.missing",
			"export again with the private key (in Windows: \"Yes, export the private key\")", "the PFX file holds no private key")
	case strings.Contains(text, "certificate missing"):
		return report.Errorf(report.KindInput, "pfx.certificate.missing", "export again with the certificate", "the PFX file holds no certificate")
	case errors.As(err, &syntax), errors.As(err, &structure), strings.Contains(text, "trailing data"):
		return report.Errorf(report.KindInput, CodePFXDamaged, "copy or export the file again", "the PFX file is damaged: %w", err)
	}
	return report.Errorf(report.KindInput, CodePFXDamaged, "copy or export the file again", "the PFX file cannot be read: %w", err)
}

// wholeElement returns the first DER element of data, without what follows it
// (some Windows programs append zeros), or nil when data ends before it does.
// Indefinite lengths are left to the decoder.
func wholeElement(data []byte) []byte {
	if len(data) > 1 && data[1] == 0x80 {
		return data
	}
	input := cryptobyte.String(data)
	var element cryptobyte.String
	if !input.ReadAnyASN1Element(&element, nil) {
		return nil
	}
	return element
}

// maxDepth bounds the walk into nested values; real files have about 12 levels.
const maxDepth = 32

// iterations returns the largest number of rounds that stands in clear in a
// PFX file. Everywhere in RFC 7292 and RFC 8018 the number is an INTEGER right
// behind the OCTET STRING of a salt.
func iterations(data []byte, depth int) int64 {
	var most int64
	input := cryptobyte.String(data)
	for salt := false; depth < maxDepth && !input.Empty(); {
		var content cryptobyte.String
		var tag casn1.Tag
		if !input.ReadAnyASN1(&content, &tag) {
			break
		}
		switch {
		case tag == casn1.INTEGER && salt:
			n := int64(1) << 62 // longer than eight bytes: beyond every limit
			if len(content) <= 8 {
				n = 0
				for _, b := range content {
					n = n<<8 | int64(b)
				}
			}
			most = max(most, n)
		case tag&0x20 != 0, tag == casn1.OCTET_STRING && len(content) > 0 && content[0] == 0x30:
			most = max(most, iterations(content, depth+1))
		}
		salt = tag == casn1.OCTET_STRING
	}
	return most
}

// EncodePFX bundles a key, its certificate and the certificates above it, as
// OpenSSL 3, Java, NSS and Windows from Server 2019 on read it: AES-256,
// PBKDF2, SHA-256. It refuses a certificate that does not fit the key.
func EncodePFX(key crypto.Signer, leaf *x509.Certificate, chain []*x509.Certificate, password []byte) ([]byte, error) {
	if csr.Fingerprint(key.Public()) != csr.Fingerprint(leaf.PublicKey) {
		return nil, report.Errorf(report.KindInput, "set.key.mismatch", "use the key that the request was made with",
			"the private key does not belong to the certificate %s", name(leaf))
	}
	return pkcs12.Modern2023.Encode(key, leaf, chain, string(password))
}
