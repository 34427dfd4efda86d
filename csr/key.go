package csr

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"onsite/internal/pbe"
	"onsite/report"
)

// KeySpec says what key to make.
type KeySpec struct {
	name string
	make func() (crypto.Signer, error)
}

func (k KeySpec) String() string { return k.name }

// keySpecs are the keys that authorities and the vendors' products take.
var keySpecs = []KeySpec{
	{"rsa:2048", func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 2048) }},
	{"rsa:3072", func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 3072) }},
	{"rsa:4096", func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 4096) }},
	{"ec:p256", func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }},
	{"ec:p384", func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P384(), rand.Reader) }},
	{"ed25519", func() (crypto.Signer, error) {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}},
}

// DefaultKey is the key that every product and authority takes: RSA of 2048 bits.
var DefaultKey = keySpecs[0]

// KeyNames lists what ParseKeySpec takes.
func KeyNames() []string {
	names := make([]string, len(keySpecs))
	for i, k := range keySpecs {
		names[i] = k.name
	}
	return names
}

// ParseKeySpec reads one of KeyNames, in any case.
func ParseKeySpec(s string) (KeySpec, error) {
	for _, k := range keySpecs {
		if strings.EqualFold(s, k.name) {
			return k, nil
		}
	}
	return KeySpec{}, fmt.Errorf("%q is not a kind of key: use one of %s", s, strings.Join(KeyNames(), ", "))
}

// GenerateKey makes a new key. RSA of 2048 bits takes about a tenth of a second.
func GenerateKey(k KeySpec) (crypto.Signer, error) {
	key, err := k.make()
	if err != nil {
		return nil, fmt.Errorf("make a %s key: %w", k, err)
	}
	return key, nil
}

// KeyFormat is the layout of an unencrypted private key in PEM.
type KeyFormat string

// The two layouts. PKCS8 suits every kind of key; PKCS1 is the old one for RSA
// alone, which XCA and OpenSSL 1.0 write.
const (
	PKCS8 KeyFormat = "pkcs8"
	PKCS1 KeyFormat = "pkcs1"
)

// EncodeKey returns the key as PEM. With a password it is encrypted PKCS#8:
// PBES2, AES-256, 600 000 rounds. A nil or empty password leaves it in clear.
// PKCS1 is refused for other keys than RSA and together with a password.
func EncodeKey(key crypto.Signer, format KeyFormat, password []byte) ([]byte, error) {
	if format == PKCS1 {
		k, ok := key.(*rsa.PrivateKey)
		switch {
		case !ok:
			return nil, report.Errorf(report.KindUsage, "key.format", "leave --key-format away, or use pkcs8",
				"PKCS#1 holds RSA keys alone, and this is an %s key", DescribeKey(key.Public()))
		case len(password) > 0:
			return nil, report.Errorf(report.KindUsage, "key.format", "use --key-format pkcs8 for a key with a password",
				"a PKCS#1 key cannot be encrypted safely")
		}
		return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k)}), nil
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	if len(password) == 0 {
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
	}
	sealed, err := pbe.Seal(der, password)
	if err != nil {
		return nil, fmt.Errorf("encrypt key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: sealed}), nil
}

// What can be wrong with a private key. Each comes as a *report.Error of
// KindInput; use report.HasCode to tell them apart.
const (
	CodeKeyPassword         = "key.password.wrong"   //nolint:gosec // G101: a code, not a password
	CodeKeyPasswordRequired = "key.password.missing" //nolint:gosec // G101: a code, not a password
	CodeKeyDamaged          = "key.damaged"
	CodeKeyUnsupported      = "key.unsupported"
)

// DecodeKey reads the private key of one PEM block, or of bare DER when the
// block's Type is empty: PKCS#8 plain and encrypted, PKCS#1, SEC 1, and the old
// "Proc-Type" encryption of PEM. The password is not used when none is needed.
func DecodeKey(block *pem.Block, password []byte) (crypto.Signer, error) {
	der := block.Bytes
	switch {
	case x509.IsEncryptedPEMBlock(block): //nolint:staticcheck // SA1019: others' files are still like this
		if len(password) == 0 {
			return nil, errKeyPasswordRequired()
		}
		plain, err := x509.DecryptPEMBlock(block, password) //nolint:staticcheck // SA1019: as above
		if err != nil {
			return nil, keyError(err)
		}
		der = plain
	case block.Type == "ENCRYPTED PRIVATE KEY":
		if len(password) == 0 {
			return nil, errKeyPasswordRequired()
		}
		plain, err := pbe.Open(der, password)
		if err != nil {
			return nil, keyError(err)
		}
		if key, err := parseKeyDER(plain); err == nil {
			return key, nil
		}
		// One in 256 wrong passwords leaves a padding that looks right.
		if !looksLikeSequence(plain) {
			return nil, keyError(pbe.ErrPassword)
		}
		der = plain
	}
	return parseKeyDER(der)
}

func looksLikeSequence(der []byte) bool { return len(der) > 2 && der[0] == 0x30 }

func errKeyPasswordRequired() error {
	return report.Errorf(report.KindInput, CodeKeyPasswordRequired,
		"give the key's password with --key-password-file or --key-password-env", "the private key is encrypted")
}

func keyError(err error) error {
	switch {
	case errors.Is(err, pbe.ErrPassword), errors.Is(err, x509.IncorrectPasswordError):
		return report.Errorf(report.KindInput, CodeKeyPassword,
			"check the password: capitals, keyboard layout, a space at its end", "the password does not open the private key: %w", err)
	case errors.Is(err, pbe.ErrUnsupported):
		return report.Errorf(report.KindInput, CodeKeyUnsupported,
			"write the key again with a current program, for example openssl pkcs8 -topk8 -v2 aes-256-cbc", "open the private key: %w", err)
	}
	return report.Errorf(report.KindInput, CodeKeyDamaged, "export or copy the key again", "the private key is damaged: %w", err)
}

// parseKeyDER tries the three layouts in turn and reports what the most likely
// one says.
func parseKeyDER(der []byte) (crypto.Signer, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		if k, err := x509.ParsePKCS1PrivateKey(der); err == nil {
			return k, nil
		}
		if k, err := x509.ParseECPrivateKey(der); err == nil {
			return k, nil
		}
		if strings.Contains(err.Error(), "unknown") || strings.Contains(err.Error(), "unsupported") {
			return nil, report.Errorf(report.KindInput, CodeKeyUnsupported,
				"authorities take RSA and EC keys: make a new key and request with onsite csr new",
				"the private key is of a kind that cannot be used here: %w", err)
		}
		return nil, keyError(err)
	}
	if key, ok := parsed.(crypto.Signer); ok {
		return key, nil
	}
	return nil, report.Errorf(report.KindInput, CodeKeyUnsupported, "use an RSA or EC key", "the private key cannot sign")
}

// DescribeKey names a public key as people do: "RSA 2048", "EC P-256", "Ed25519".
func DescribeKey(pub crypto.PublicKey) string {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", k.N.BitLen())
	case *ecdsa.PublicKey:
		return "EC " + k.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return fmt.Sprintf("unknown (%T)", pub)
}

// Fingerprint is the SHA-256 of a public key's SubjectPublicKeyInfo in lower-case
// hexadecimal: the one name by which key, request and certificate know each
// other. It is "" for a key that Go cannot encode.
func Fingerprint(pub crypto.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}
