package csr

import (
	"crypto"
	"crypto/dsa" //nolint:staticcheck // SA1019: named, not used
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
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
// PKCS1 is refused for other keys than RSA and together with a password. A
// *RawKey is written byte for byte.
func EncodeKey(key crypto.Signer, format KeyFormat, password []byte) ([]byte, error) {
	if format == PKCS1 {
		der := marshalPKCS1(key)
		switch {
		case der == nil:
			return nil, report.Errorf(report.KindUsage, "key.format", "leave --key-format away, or use pkcs8",
				"PKCS#1 holds RSA keys alone, and this one is %s", DescribeKey(key.Public()))
		case len(password) > 0:
			return nil, report.Errorf(report.KindUsage, "key.format", "use --key-format pkcs8 for a key with a password",
				"a PKCS#1 key cannot be encrypted safely")
		}
		return pem.EncodeToMemory(&pem.Block{Type: pemPKCS1, Bytes: der}), nil
	}
	der, err := marshalPKCS8(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	if len(password) == 0 {
		return pem.EncodeToMemory(&pem.Block{Type: pemPKCS8, Bytes: der}), nil
	}
	sealed, err := pbe.Seal(der, password)
	if err != nil {
		return nil, fmt.Errorf("encrypt key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemEncrypted, Bytes: sealed}), nil
}

// marshalPKCS1 returns nil for a key that is not RSA.
func marshalPKCS1(key crypto.Signer) []byte {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return x509.MarshalPKCS1PrivateKey(k)
	case *RawKey:
		return k.pkcs1()
	}
	return nil
}

func marshalPKCS8(key crypto.Signer) ([]byte, error) {
	if raw, ok := key.(*RawKey); ok {
		return raw.PKCS8(), nil
	}
	return x509.MarshalPKCS8PrivateKey(key)
}

// What can be wrong with a private key. Each comes as a *report.Error of
// KindInput; use report.HasCode to tell them apart.
const (
	CodeKeyPassword         = "key.password.wrong"
	CodeKeyPasswordRequired = "key.password.missing"
	CodeKeyDamaged          = "key.damaged"
	CodeKeyUnsupported      = "key.unsupported"
)

// The PEM types of private keys in the layouts that DecodeKey reads.
const (
	pemPKCS8     = "PRIVATE KEY"
	pemEncrypted = "ENCRYPTED PRIVATE KEY"
	pemPKCS1     = "RSA PRIVATE KEY"
	pemSEC1      = "EC PRIVATE KEY"
	pemDSA       = "DSA PRIVATE KEY"
)

// KeyType returns the PEM type that fits the DER of a private key, or "" when
// it is none. It goes by the layout: PKCS#8 plain (RFC 5958, section 2) and
// encrypted (section 3), PKCS#1 (RFC 8017, appendix A.1.2), SEC 1 (RFC 5915),
// and OpenSSL's own for DSA; what may follow the fields that all of a kind have
// is not looked at.
func KeyType(der []byte) string {
	var plain struct {
		Version   int
		Algorithm pkix.AlgorithmIdentifier
		Key       []byte
	}
	if whole(der, &plain) {
		return pemPKCS8
	}
	if whole(der, new(pbe.Encrypted)) {
		return pemEncrypted
	}
	if _, err := dsaNumbers(der); err == nil {
		return pemDSA
	}
	var pkcs1 struct {
		Version       int
		N, E, D, P, Q *big.Int
		// and what is derived from them
	}
	if whole(der, &pkcs1) {
		return pemPKCS1
	}
	var sec1 struct {
		Version int
		Key     []byte
	}
	if whole(der, &sec1) && sec1.Version == 1 {
		return pemSEC1
	}
	return ""
}

// whole reports whether der is one value of into's layout and nothing else.
func whole(der []byte, into any) bool {
	rest, err := asn1.Unmarshal(der, into)
	return err == nil && len(rest) == 0
}

// DecodeKey reads the private key of one PEM block, or of bare DER when the
// block's Type is empty: PKCS#8 plain and encrypted, PKCS#1, SEC 1, OpenSSL's
// layout for DSA, and the old "Proc-Type" encryption of PEM. The password is not
// used when none is needed; nil is none, and an empty one is tried, for some keys
// have that. A key with which Go cannot sign comes as a *RawKey.
func DecodeKey(block *pem.Block, password []byte) (crypto.Signer, error) {
	open := func() ([]byte, error) { return pbe.Open(block.Bytes, password) }
	dek, old := block.Headers["DEK-Info"]
	switch {
	case old:
		open = func() ([]byte, error) { return pbe.OpenPEM(dek, block.Bytes, password) }
	case block.Type == pemEncrypted, KeyType(block.Bytes) == pemEncrypted:
	case block.Type == "OPENSSH PRIVATE KEY":
		return nil, report.Errorf(report.KindInput, CodeKeyUnsupported, "rewrite a copy of it with ssh-keygen -p -m PEM -f FILE",
			"the private key is in the layout of OpenSSH")
	default:
		return parseKeyDER(block.Bytes)
	}
	missing := report.Errorf(report.KindInput, CodeKeyPasswordRequired,
		"give the key's password with --key-password-file or --key-password-env", "the private key is encrypted")
	if password == nil {
		return nil, missing
	}
	plain, err := open()
	// One in 256 wrong passwords leaves a padding that looks right.
	if err == nil && !whole(plain, new(asn1.RawValue)) {
		err = pbe.ErrPassword
	}
	switch {
	case errors.Is(err, pbe.ErrPassword) && len(password) == 0:
		return nil, missing
	case err != nil:
		return nil, keyError(err)
	}
	return parseKeyDER(plain)
}

func keyError(err error) error {
	switch {
	case errors.Is(err, pbe.ErrPassword):
		return report.Errorf(report.KindInput, CodeKeyPassword,
			"check the password: capitals, keyboard layout, a space at its end", "the password does not open the private key: %w", err)
	case errors.Is(err, pbe.ErrUnsupported):
		return report.Errorf(report.KindInput, CodeKeyUnsupported,
			"write the key again with a current program, for example openssl pkcs8 -topk8 -v2 aes-256-cbc", "open the private key: %w", err)
	}
	return report.Errorf(report.KindInput, CodeKeyDamaged, "export or copy the key again", "the private key is damaged: %w", err)
}

// maxKeySize is room enough for RSA of maxRSABits: the time that Go takes to
// check a key grows with the square of its length.
const maxKeySize = 16 << 10

// parseKeyDER reads an unencrypted key by its layout.
func parseKeyDER(der []byte) (crypto.Signer, error) {
	if len(der) > maxKeySize {
		return nil, errKeyKind(fmt.Errorf("it has %d bytes, and keys that are in use have at most %d", len(der), maxKeySize))
	}
	key, err := parseGoKey(der)
	if err == nil {
		return key, nil
	}
	raw, rawErr := newRawKey(der)
	switch {
	case rawErr == nil:
		return raw, nil
	case errors.Is(rawErr, errCannotCarry):
		return nil, errKeyKind(rawErr)
	}
	return nil, keyError(rawErr)
}

// parseGoKey reads a key with which Go can sign.
func parseGoKey(der []byte) (crypto.Signer, error) {
	var parsed any
	var err error
	switch KeyType(der) {
	case pemPKCS1:
		parsed, err = x509.ParsePKCS1PrivateKey(der)
	case pemSEC1:
		parsed, err = x509.ParseECPrivateKey(der)
	default:
		parsed, err = x509.ParsePKCS8PrivateKey(der)
	}
	if err != nil {
		return nil, err
	}
	if key, ok := parsed.(crypto.Signer); ok {
		return key, nil
	}
	return nil, errors.New("it cannot sign") // X25519
}

func errKeyKind(err error) error {
	return report.Errorf(report.KindInput, CodeKeyUnsupported,
		"authorities take RSA and EC keys: make a new key and request with onsite csr new",
		"the private key is of a kind that cannot be used here: %w", err)
}

// DescribeKey names a public key as people do: "RSA 2048", "EC P-256", "Ed25519".
// It is "unknown" for what Go cannot read: see ParsePublicKey.
func DescribeKey(pub crypto.PublicKey) string {
	switch k := pub.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", k.N.BitLen())
	case *ecdsa.PublicKey:
		return "EC " + k.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	case *dsa.PublicKey:
		return fmt.Sprintf("DSA %d", k.P.BitLen())
	case *RawPublicKey:
		return k.kind
	}
	return "unknown"
}

// maxRSABits is OpenSSL's limit too.
const maxRSABits = 16384

// Checkable reports whether signatures by pub can be checked, and that in
// reasonable time. A hostile file can hold an RSA key of millions of bits, which
// takes hours.
func Checkable(pub crypto.PublicKey) bool {
	switch k := pub.(type) {
	case nil, *RawPublicKey:
		return false
	case *rsa.PublicKey:
		return k.N.BitLen() <= maxRSABits
	}
	return true
}

// Fingerprint is the SHA-256 of a public key's SubjectPublicKeyInfo in lower-case
// hexadecimal: the one name by which key, request and certificate know each
// other. It is "" for nil.
func Fingerprint(pub crypto.PublicKey) string {
	der, err := marshalPublicKey(pub)
	if err != nil {
		return ""
	}
	return fingerprint(der)
}

func fingerprint(spki []byte) string {
	sum := sha256.Sum256(spki)
	return hex.EncodeToString(sum[:])
}
