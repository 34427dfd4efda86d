// Package pbe opens and seals what a password protects in private-key files:
// PBES2 of RFC 8018, as it stands in an EncryptedPrivateKeyInfo of RFC 5958.
//
// It knows ciphers and derivations only. What the bytes mean, where a password
// comes from and how a file is laid out is for its callers.
package pbe

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des" //nolint:gosec // G502: read only: others' files use it
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // G505: the default PRF of RFC 8018, in others' files
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash"
)

// Iterations is the number of PBKDF2 rounds that Seal uses.
const Iterations = 600_000

// MaxIterations is the number of rounds above which Open refuses: a hostile
// file must not keep the computer busy for hours.
const MaxIterations = 10_000_000

// What can be wrong with protected bytes.
var (
	// ErrPassword: the padding does not come out right. With PBES2 a wrong
	// password and damaged bytes cannot be told apart with certainty.
	ErrPassword = errors.New("password is wrong")
	// ErrDamaged: the parameters are not what the standard says.
	ErrDamaged = errors.New("encryption parameters are damaged")
	// ErrUnsupported: a cipher or derivation that this package does not know.
	ErrUnsupported = errors.New("unsupported encryption")
)

// Object identifiers of RFC 8018, appendix A and B, and of NIST's AES arc.
var (
	oidPBES2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}

	oidHMACSHA1   = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 7}
	oidHMACSHA224 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 8}
	oidHMACSHA256 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}
	oidHMACSHA384 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 10}
	oidHMACSHA512 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 11}

	oidDESEDE3   = asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 7}
	oidAES128CBC = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 2}
	oidAES192CBC = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 22}
	oidAES256CBC = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
)

type prf struct {
	oid asn1.ObjectIdentifier
	new func() hash.Hash
}

var prfs = []prf{
	{oidHMACSHA1, sha1.New},
	{oidHMACSHA224, sha256.New224},
	{oidHMACSHA256, sha256.New},
	{oidHMACSHA384, sha512.New384},
	{oidHMACSHA512, sha512.New},
}

type scheme struct {
	oid     asn1.ObjectIdentifier
	keySize int
	new     func([]byte) (cipher.Block, error)
}

var schemes = []scheme{
	{oidAES128CBC, 16, aes.NewCipher},
	{oidAES192CBC, 24, aes.NewCipher},
	{oidAES256CBC, 32, aes.NewCipher},
	{oidDESEDE3, 24, des.NewTripleDESCipher},
}

// pbes2Params is PBES2-params of RFC 8018, appendix A.4.
type pbes2Params struct {
	KeyDerivation pkix.AlgorithmIdentifier
	Encryption    pkix.AlgorithmIdentifier
}

// pbkdf2Params is PBKDF2-params of RFC 8018, appendix A.2, with the salt given
// in place (no file seen uses otherSource).
type pbkdf2Params struct {
	Salt       []byte
	Iterations int
	KeyLength  int                      `asn1:"optional"`
	PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
}

// Encrypted is EncryptedPrivateKeyInfo of RFC 5958, section 3.
type Encrypted struct {
	Algorithm pkix.AlgorithmIdentifier
	Data      []byte
}

// Seal encrypts plain with PBES2: PBKDF2 with HMAC-SHA-256 and Iterations
// rounds, AES-256-CBC. It returns a DER EncryptedPrivateKeyInfo, which OpenSSL
// 1.0 and later, Java, NSS, GnuTLS and Windows read.
func Seal(plain, password []byte) ([]byte, error) {
	salt, iv := make([]byte, 16), make([]byte, aes.BlockSize)
	rand.Read(salt)
	rand.Read(iv)
	key, err := pbkdf2.Key(sha256.New, string(password), salt, Iterations, 32)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("set up AES: %w", err)
	}
	pad := aes.BlockSize - len(plain)%aes.BlockSize
	data := make([]byte, len(plain)+pad)
	copy(data, plain)
	for i := len(plain); i < len(data); i++ {
		data[i] = byte(pad)
	}
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(data, data)

	derivation, err := algorithm(oidPBKDF2, pbkdf2Params{
		Salt: salt, Iterations: Iterations,
		PRF: pkix.AlgorithmIdentifier{Algorithm: oidHMACSHA256, Parameters: asn1.NullRawValue},
	})
	if err != nil {
		return nil, err
	}
	encryption, err := algorithm(oidAES256CBC, iv)
	if err != nil {
		return nil, err
	}
	whole, err := algorithm(oidPBES2, pbes2Params{KeyDerivation: derivation, Encryption: encryption})
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(Encrypted{Algorithm: whole, Data: data})
}

func algorithm(oid asn1.ObjectIdentifier, params any) (pkix.AlgorithmIdentifier, error) {
	der, err := asn1.Marshal(params)
	if err != nil {
		return pkix.AlgorithmIdentifier{}, fmt.Errorf("encode parameters: %w", err)
	}
	return pkix.AlgorithmIdentifier{Algorithm: oid, Parameters: asn1.RawValue{FullBytes: der}}, nil
}

// Open decrypts a DER EncryptedPrivateKeyInfo. The error wraps ErrPassword,
// ErrDamaged or ErrUnsupported.
func Open(der, password []byte) ([]byte, error) {
	var e Encrypted
	if rest, err := asn1.Unmarshal(der, &e); err != nil || len(rest) > 0 {
		return nil, fmt.Errorf("%w: not an EncryptedPrivateKeyInfo", ErrDamaged)
	}
	if !e.Algorithm.Algorithm.Equal(oidPBES2) {
		return nil, fmt.Errorf("%w: algorithm %s", ErrUnsupported, e.Algorithm.Algorithm)
	}
	var p pbes2Params
	if err := params(e.Algorithm, &p); err != nil {
		return nil, err
	}
	s, err := findScheme(p.Encryption.Algorithm)
	if err != nil {
		return nil, err
	}
	key, err := derive(p.KeyDerivation, s.keySize, password)
	if err != nil {
		return nil, err
	}
	var iv []byte
	if err := params(p.Encryption, &iv); err != nil {
		return nil, err
	}
	block, err := s.new(key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return decryptCBC(block, iv, e.Data)
}

func params(a pkix.AlgorithmIdentifier, into any) error {
	rest, err := asn1.Unmarshal(a.Parameters.FullBytes, into)
	if err != nil || len(rest) > 0 {
		return fmt.Errorf("%w: parameters of %s", ErrDamaged, a.Algorithm)
	}
	return nil
}

func findScheme(oid asn1.ObjectIdentifier) (scheme, error) {
	for _, s := range schemes {
		if s.oid.Equal(oid) {
			return s, nil
		}
	}
	return scheme{}, fmt.Errorf("%w: cipher %s", ErrUnsupported, oid)
}

// derive runs PBKDF2 (RFC 8018, section 5.2). Without a PRF the standard means
// HMAC-SHA-1.
func derive(a pkix.AlgorithmIdentifier, size int, password []byte) ([]byte, error) {
	if !a.Algorithm.Equal(oidPBKDF2) {
		return nil, fmt.Errorf("%w: key derivation %s", ErrUnsupported, a.Algorithm)
	}
	var p pbkdf2Params
	if err := params(a, &p); err != nil {
		return nil, err
	}
	switch {
	case p.Iterations < 1:
		return nil, fmt.Errorf("%w: %d rounds", ErrDamaged, p.Iterations)
	case p.Iterations > MaxIterations:
		return nil, fmt.Errorf("%w: %d rounds, the limit is %d", ErrUnsupported, p.Iterations, MaxIterations)
	case p.KeyLength != 0 && p.KeyLength != size:
		return nil, fmt.Errorf("%w: key length %d, the cipher wants %d", ErrDamaged, p.KeyLength, size)
	}
	newHash := sha1.New
	if p.PRF.Algorithm != nil {
		newHash = nil
		for _, f := range prfs {
			if f.oid.Equal(p.PRF.Algorithm) {
				newHash = f.new
			}
		}
		if newHash == nil {
			return nil, fmt.Errorf("%w: PRF %s", ErrUnsupported, p.PRF.Algorithm)
		}
	}
	key, err := pbkdf2.Key(newHash, string(password), p.Salt, p.Iterations, size)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	return key, nil
}

// decryptCBC decrypts and takes the padding of RFC 8018, section 6.1.1, away.
func decryptCBC(block cipher.Block, iv, data []byte) ([]byte, error) {
	size := block.BlockSize()
	if len(iv) != size || len(data) == 0 || len(data)%size != 0 {
		return nil, fmt.Errorf("%w: lengths do not fit the cipher", ErrDamaged)
	}
	plain := make([]byte, len(data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, data)
	pad := int(plain[len(plain)-1])
	if pad == 0 || pad > size {
		return nil, ErrPassword
	}
	for _, b := range plain[len(plain)-pad:] {
		if int(b) != pad {
			return nil, ErrPassword
		}
	}
	return plain[:len(plain)-pad], nil
}
