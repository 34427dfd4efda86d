package pbe

import (
	"crypto/cipher"
	"crypto/md5" //nolint:gosec // G501: read only: others' files use it
	"encoding/hex"
	"fmt"
	"strings"
)

// OpenPEM decrypts the content of a PEM block in the way that OpenSSL had before
// PKCS#8 (RFC 1421, section 4.6.1.3, for the header): dek is the DEK-Info header,
// a cipher's name and the vector. The standard library knows DES and AES alone.
// The error wraps ErrPassword, ErrDamaged or ErrUnsupported.
func OpenPEM(dek string, data, password []byte) ([]byte, error) {
	name, digits, _ := strings.Cut(dek, ",")
	name = strings.ToUpper(strings.TrimSpace(name))
	iv, err := hex.DecodeString(strings.TrimSpace(digits))
	if err != nil || len(iv) < 8 {
		return nil, fmt.Errorf("%w: DEK-Info", ErrDamaged)
	}
	open, size := pemCipher(name)
	if open == nil {
		return nil, fmt.Errorf("%w: cipher %q", ErrUnsupported, name)
	}
	return open(pemKey(password, iv[:8], size), iv, data)
}

// pemCipher returns the cipher that OpenSSL calls by a name, or nil. Here a
// cipher may stand with any mode, also where there is no object identifier.
func pemCipher(name string) (open opener, keySize int) {
	for bits, rc2 := range map[int]string{40: "RC2-40-CBC", 64: "RC2-64-CBC", 128: "RC2-CBC"} {
		if name == rc2 {
			return cbc(newRC2Of(bits)), bits / 8
		}
	}
	modes := map[string]func(func([]byte) (cipher.Block, error)) opener{"-CBC": cbc, "-OFB": ofb, "-CFB": cfb, "-CTR": ctr}
	dash := max(strings.LastIndex(name, "-"), 0)
	for _, f := range families {
		if mode, ok := modes[name[dash:]]; ok && f.name == name[:dash] {
			return mode(f.new), f.keySize
		}
	}
	return nil, 0
}

// pemKey is OpenSSL's EVP_BytesToKey with MD5 and one round: each piece hashes
// the one before, the password and the salt.
func pemKey(password, salt []byte, size int) []byte {
	var key, piece []byte
	for len(key) < size {
		h := md5.New() //nolint:gosec // G401: others' files use it
		h.Write(piece)
		h.Write(password)
		h.Write(salt)
		piece = h.Sum(nil)
		key = append(key, piece...)
	}
	return key[:size]
}
