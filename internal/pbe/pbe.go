// Package pbe opens and seals what a password protects in key files and
// certificate bundles.
//
// It opens PBES1 and PBES2 of RFC 8018 and the schemes of RFC 7292, appendix C,
// whatever ciphers other programs use in them, old ones too; it seals with PBES2
// and AES-256, and with TripleDES for those who read nothing else. It knows ciphers and derivations only: what the bytes mean,
// where a password comes from and how a file is laid out is for its callers.
package pbe

import (
	"crypto/cipher"
	"encoding/asn1"
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"

	"onsite/internal/ber"
)

// MaxIterations is the number of rounds above which nothing is opened, and
// maxWork the number for all derivations with one Password together: a hostile
// file must not keep the computer busy for hours. Honest files have at most some
// millions.
const (
	MaxIterations = 10_000_000
	maxWork       = 4 * MaxIterations
)

// What can be wrong with protected bytes.
var (
	// ErrPassword: the padding does not come out right. A wrong password and
	// damaged bytes cannot be told apart with certainty.
	ErrPassword = errors.New("password is wrong")
	// ErrDamaged: the parameters are not what the standard says.
	ErrDamaged = errors.New("encryption parameters are damaged")
	// ErrUnsupported: a cipher or derivation that this package does not know.
	ErrUnsupported = errors.New("unsupported encryption")
)

// damaged wraps what is not yet one of this package's errors.
func damaged(err error) error {
	if errors.Is(err, ErrDamaged) || errors.Is(err, ErrUnsupported) || errors.Is(err, ErrPassword) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// Password is a password in the two forms in which the schemes take it.
type Password struct {
	text []byte // for PBES1 and PBES2 of RFC 8018
	bmp  []byte // for RFC 7292: UTF-16, high byte first, with a final zero
	work *int64 // rounds that were run so far, see maxWork
}

// NewPassword takes UTF-8. Bytes that are not UTF-8 are taken for Latin-1 where
// characters are needed, as OpenSSL does.
func NewPassword(text []byte) Password {
	p := Password{text: text, work: new(int64)}
	runes := []rune(string(text))
	if !utf8.Valid(text) {
		runes = runes[:0]
		for _, b := range text {
			runes = append(runes, rune(b))
		}
	}
	for _, unit := range append(utf16.Encode(runes), 0) {
		p.bmp = binary.BigEndian.AppendUint16(p.bmp, unit)
	}
	return p
}

// Bytewise takes every byte of the password for a character of Latin-1, also
// those that make up UTF-8. OpenSSL derived like that for RFC 7292 until 1.1.0,
// and its pkcs12 command still tries it.
func (p Password) Bytewise() Password {
	b := Password{text: p.text, work: p.work}
	for _, c := range append(p.text[:len(p.text):len(p.text)], 0) {
		b.bmp = append(b.bmp, 0, c)
	}
	return b
}

// Absent is no password at all, which RFC 7292 tells apart from an empty one:
// there not even the final zero goes into the derivation. Programs differ. What
// is run with it counts together with what is run with p.
func (p Password) Absent() Password { return Password{work: p.work} }

// Spend counts rounds that are about to be run, for so many blocks of output. It
// refuses numbers that no honest file has, by themselves or together.
func (p Password) Spend(rounds int64, blocks int) error {
	switch {
	case rounds < 1:
		return fmt.Errorf("%w: %d rounds", ErrDamaged, rounds)
	case rounds > MaxIterations:
		return fmt.Errorf("%w: %d rounds, the limit is %d", ErrUnsupported, rounds, MaxIterations)
	}
	if *p.work += rounds * int64(blocks); *p.work > maxWork {
		return fmt.Errorf("%w: more than %d rounds in all", ErrUnsupported, maxWork)
	}
	return nil
}

// OIDs of what is written too.
var (
	oidPBES2      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidHMACSHA256 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}
	oidAES256CBC  = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}
)

// Open decrypts an EncryptedPrivateKeyInfo (RFC 5958, section 3). The error
// wraps ErrPassword, ErrDamaged or ErrUnsupported. An empty password is none at
// all for some programs: both are tried.
func Open(data, password []byte) ([]byte, error) {
	p := NewPassword(password)
	e, rest, err := ber.Parse(data)
	if err != nil || len(rest) > 0 {
		return nil, fmt.Errorf("%w: not an EncryptedPrivateKeyInfo", ErrDamaged)
	}
	plain, err := OpenInfo(e, p)
	if errors.Is(err, ErrPassword) && len(password) == 0 {
		plain, err = OpenInfo(e, p.Absent())
	}
	return plain, err
}

// OpenInfo is Open for an element that is parsed already.
func OpenInfo(info ber.Element, p Password) ([]byte, error) {
	parts, err := info.Sequence(2)
	if err != nil {
		return nil, damaged(err)
	}
	data, err := parts[1].Octets()
	if err != nil {
		return nil, damaged(err)
	}
	return Decrypt(parts[0], data, p)
}

// Decrypt decrypts data with the scheme that an AlgorithmIdentifier names.
func Decrypt(algorithm ber.Element, data []byte, p Password) ([]byte, error) {
	oid, params, err := identifier(algorithm)
	if err != nil {
		return nil, err
	}
	if oid.Equal(oidPBES2) {
		return decryptPBES2(params, data, p)
	}
	for _, s := range pbes1 {
		if s.oid.Equal(oid) {
			return s.decrypt(params, data, p)
		}
	}
	return nil, fmt.Errorf("%w: algorithm %s", ErrUnsupported, oid)
}

// identifier takes an AlgorithmIdentifier apart (RFC 5280, section 4.1.1.2). The
// parameters are the zero Element when there are none.
func identifier(e ber.Element) (oid asn1.ObjectIdentifier, params ber.Element, err error) {
	parts, err := e.Sequence(1)
	if err == nil {
		oid, err = parts[0].OID()
	}
	if err != nil {
		return nil, params, damaged(err)
	}
	if len(parts) > 1 {
		params = parts[1]
	}
	return oid, params, nil
}

// decryptCBC decrypts cipher block chaining and takes the padding away.
func decryptCBC(block cipher.Block, iv, data []byte) ([]byte, error) {
	size := block.BlockSize()
	if len(iv) != size || len(data) == 0 || len(data)%size != 0 {
		return nil, errLengths
	}
	plain := make([]byte, len(data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, data)
	return unpad(plain, size)
}

// unpad takes the padding of RFC 8018, section 6.1.1, away.
func unpad(plain []byte, size int) ([]byte, error) {
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
