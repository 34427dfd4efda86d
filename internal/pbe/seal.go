package pbe

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des" //nolint:gosec // G502: what old Windows and Android read
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // G505: likewise
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
)

// Iterations is the number of PBKDF2 rounds that Seal uses.
const Iterations = 600_000

// pbes2Params is PBES2-params of RFC 8018, appendix A.4.
type pbes2Params struct {
	KeyDerivation pkix.AlgorithmIdentifier
	Encryption    pkix.AlgorithmIdentifier
}

// pbkdf2Params is PBKDF2-params of RFC 8018, appendix A.2.
type pbkdf2Params struct {
	Salt       []byte
	Iterations int
	PRF        pkix.AlgorithmIdentifier
}

// pbes1Params is PBEParameter of RFC 8018, appendix A.3, and of RFC 7292,
// appendix C.
type pbes1Params struct {
	Salt       []byte
	Iterations int
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
	sealed, err := EncryptAES(plain, password, Iterations)
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(sealed)
}

// EncryptAES encrypts plain with PBES2, PBKDF2 with HMAC-SHA-256, AES-256-CBC.
func EncryptAES(plain, password []byte, rounds int) (Encrypted, error) {
	salt, iv := make([]byte, 16), make([]byte, aes.BlockSize)
	rand.Read(salt)
	rand.Read(iv)
	key, err := pbkdf2.Key(sha256.New, string(password), salt, rounds, 32)
	if err != nil {
		return Encrypted{}, fmt.Errorf("derive key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return Encrypted{}, fmt.Errorf("set up AES: %w", err)
	}
	derivation, err := algorithm(oidPBKDF2, pbkdf2Params{
		Salt: salt, Iterations: rounds,
		PRF: pkix.AlgorithmIdentifier{Algorithm: oidHMACSHA256, Parameters: asn1.NullRawValue},
	})
	if err != nil {
		return Encrypted{}, err
	}
	encryption, err := algorithm(oidAES256CBC, iv)
	if err != nil {
		return Encrypted{}, err
	}
	whole, err := algorithm(oidPBES2, pbes2Params{KeyDerivation: derivation, Encryption: encryption})
	if err != nil {
		return Encrypted{}, err
	}
	return Encrypted{whole, encryptCBC(block, iv, plain)}, nil
}

// EncryptTripleDES encrypts plain as RFC 7292, appendix C, says:
// pbeWithSHAAnd3-KeyTripleDES-CBC, the one scheme that Windows before Server 2019
// and Android take and current programs still read.
func EncryptTripleDES(plain []byte, p Password, rounds int) (Encrypted, error) {
	salt := make([]byte, 16)
	rand.Read(salt)
	block, err := des.NewTripleDESCipher(DerivePKCS12(sha1.New, keyMaterial, p, salt, rounds, 24)) //nolint:gosec // G405: as above
	if err != nil {
		return Encrypted{}, fmt.Errorf("set up TripleDES: %w", err)
	}
	iv := DerivePKCS12(sha1.New, vectorMaterial, p, salt, rounds, des.BlockSize)
	whole, err := algorithm(pkcs12PBE(3), pbes1Params{salt, rounds})
	if err != nil {
		return Encrypted{}, err
	}
	return Encrypted{whole, encryptCBC(block, iv, plain)}, nil
}

// encryptCBC pads as RFC 8018, section 6.1.1, says and encrypts.
func encryptCBC(block cipher.Block, iv, plain []byte) []byte {
	pad := block.BlockSize() - len(plain)%block.BlockSize()
	data := make([]byte, len(plain)+pad)
	copy(data, plain)
	for i := len(plain); i < len(data); i++ {
		data[i] = byte(pad & 0xff)
	}
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(data, data)
	return data
}

func algorithm(oid asn1.ObjectIdentifier, params any) (pkix.AlgorithmIdentifier, error) {
	der, err := asn1.Marshal(params)
	if err != nil {
		return pkix.AlgorithmIdentifier{}, fmt.Errorf("encode parameters: %w", err)
	}
	return pkix.AlgorithmIdentifier{Algorithm: oid, Parameters: asn1.RawValue{FullBytes: der}}, nil
}
