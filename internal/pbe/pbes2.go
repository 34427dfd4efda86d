package pbe

import (
	"crypto/md5" //nolint:gosec // G501: read only: others' files use it
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // G505: the default PRF of RFC 8018
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"encoding/asn1"
	"fmt"
	"hash"

	"golang.org/x/crypto/scrypt"

	"onsite/internal/ber"
)

// prfs are the HMACs that PBKDF2 runs with: RFC 8018, appendix B.1, and NIST's.
var prfs = []struct {
	oid asn1.ObjectIdentifier
	new func() hash.Hash
}{
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 6}, md5.New},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 7}, sha1.New},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 8}, sha256.New224},
	{oidHMACSHA256, sha256.New},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 10}, sha512.New384},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 11}, sha512.New},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 12}, sha512.New512_224},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 13}, sha512.New512_256},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 13}, func() hash.Hash { return sha3.New224() }},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 14}, func() hash.Hash { return sha3.New256() }},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 15}, func() hash.Hash { return sha3.New384() }},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 16}, func() hash.Hash { return sha3.New512() }},
}

// HMAC returns the hash under an HMAC's object identifier.
func HMAC(oid asn1.ObjectIdentifier) (func() hash.Hash, error) {
	for _, f := range prfs {
		if f.oid.Equal(oid) {
			return f.new, nil
		}
	}
	return nil, fmt.Errorf("%w: HMAC %s", ErrUnsupported, oid)
}

var (
	oidRC2CBC = asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 2}
	oidRC4    = asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 4}
	oidScrypt = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11}
)

// decryptPBES2 follows RFC 8018, section 6.2.2.
func decryptPBES2(params ber.Element, data []byte, p Password) ([]byte, error) {
	parts, err := params.Sequence(2)
	if err != nil {
		return nil, damaged(err)
	}
	oid, cipherParams, err := identifier(parts[1])
	if err != nil {
		return nil, err
	}
	if oid.Equal(oidRC2CBC) {
		return decryptRC2(parts[0], cipherParams, data, p)
	}
	open, size := findCipher(oid)
	if oid.Equal(oidRC4) {
		open, size = openRC4, 16
	}
	if open == nil {
		return nil, fmt.Errorf("%w: cipher %s", ErrUnsupported, oid)
	}
	iv, err := cipherParams.Octets()
	if err != nil {
		return nil, damaged(err)
	}
	key, err := DeriveKey(parts[0], size, p)
	if err != nil {
		return nil, err
	}
	return open(key, iv, data)
}

// decryptRC2 reads RC2-CBC-Parameter (RFC 8018, appendix B.2.3), in which a
// number stands for the effective key length.
func decryptRC2(derivation, params ber.Element, data []byte, p Password) ([]byte, error) {
	bits := 32 // without a number
	iv := params
	if params.Is(asn1.TagSequence) {
		parts, err := params.Sequence(1)
		if err != nil {
			return nil, damaged(err)
		}
		iv = parts[len(parts)-1]
		if len(parts) > 1 {
			version, err := parts[0].Int()
			if err != nil {
				return nil, damaged(err)
			}
			switch {
			case version == 160:
				bits = 40
			case version == 120:
				bits = 64
			case version == 58:
				bits = 128
			case version >= 256 && version <= 1024:
				bits = int(version)
			default:
				return nil, fmt.Errorf("%w: RC2 version %d", ErrUnsupported, version)
			}
		}
	}
	vector, err := iv.Octets()
	if err != nil {
		return nil, damaged(err)
	}
	key, err := DeriveKey(derivation, bits/8, p)
	if err != nil {
		return nil, err
	}
	return decryptCBC(newRC2(key, bits), vector, data)
}

// DeriveKey runs the derivation that an AlgorithmIdentifier names, PBKDF2 or
// scrypt, for a key of size bytes; 0 takes the size that stands in it.
func DeriveKey(derivation ber.Element, size int, p Password) ([]byte, error) {
	oid, params, err := identifier(derivation)
	if err != nil {
		return nil, err
	}
	parts, err := params.Sequence(2)
	if err != nil {
		return nil, damaged(err)
	}
	salt, err := parts[0].Octets()
	if err != nil || !parts[0].Is(asn1.TagOctetString) {
		return nil, fmt.Errorf("%w: salt", ErrDamaged)
	}
	switch {
	case oid.Equal(oidPBKDF2):
		return derivePBKDF2(parts, salt, size, p)
	case oid.Equal(oidScrypt):
		return deriveScrypt(parts, salt, size, p)
	}
	return nil, fmt.Errorf("%w: key derivation %s", ErrUnsupported, oid)
}

// derivePBKDF2 follows RFC 8018, section 5.2. Without a PRF the standard means
// HMAC-SHA-1.
func derivePBKDF2(parts []ber.Element, salt []byte, size int, p Password) ([]byte, error) {
	rounds, err := parts[1].Int()
	if err != nil {
		return nil, damaged(err)
	}
	newHash := sha1.New
	for _, part := range parts[2:] {
		switch {
		case part.Is(asn1.TagInteger):
			if size, err = keySize(part, size); err != nil {
				return nil, err
			}
		default:
			oid, _, err := identifier(part)
			if err != nil {
				return nil, err
			}
			if newHash, err = HMAC(oid); err != nil {
				return nil, err
			}
		}
	}
	if size == 0 {
		return nil, errKeyLength
	}
	if err := p.Spend(rounds, (size+newHash().Size()-1)/newHash().Size()); err != nil {
		return nil, err
	}
	key, err := pbkdf2.Key(newHash, string(p.text), salt, int(rounds), size)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	return key, nil
}

// maxKey is the length in bytes above which no key is derived.
const maxKey = 1024

var errKeyLength = fmt.Errorf("%w: the key length is missing", ErrDamaged)

// keySize compares the length that stands in the parameters with the one that
// the cipher wants; want 0 takes any.
func keySize(e ber.Element, want int) (int, error) {
	n, err := e.Int()
	if err != nil || n < 1 || n > maxKey || want != 0 && n != int64(want) {
		return 0, fmt.Errorf("%w: key length %d, the cipher wants %d", ErrDamaged, n, want)
	}
	return int(n), nil
}

// maxScrypt bounds the memory and the work of scrypt: N*r*128 bytes, p times.
const maxScrypt = 48 << 20

// deriveScrypt follows RFC 7914, section 7.
func deriveScrypt(parts []ber.Element, salt []byte, size int, p Password) ([]byte, error) {
	if len(parts) < 4 {
		return nil, fmt.Errorf("%w: scrypt parameters", ErrDamaged)
	}
	var values [3]int64 // N, r, p
	for i := range values {
		n, err := parts[1+i].Int()
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%w: scrypt parameters", ErrDamaged)
		}
		values[i] = min(n, maxScrypt+1)
	}
	if values[0]*values[1] > maxScrypt/128 || values[2] > 16 {
		return nil, fmt.Errorf("%w: scrypt wants too much memory or time", ErrUnsupported)
	}
	if len(parts) > 4 {
		var err error
		if size, err = keySize(parts[4], size); err != nil {
			return nil, err
		}
	}
	if size == 0 {
		return nil, errKeyLength
	}
	// A block of scrypt costs about as much as two rounds of PBKDF2.
	if err := p.Spend(values[0]*values[1]*2, int(values[2])); err != nil {
		return nil, err
	}
	key, err := scrypt.Key(p.text, salt, int(values[0]), int(values[1]), int(values[2]), size)
	if err != nil {
		return nil, damaged(err)
	}
	return key, nil
}
