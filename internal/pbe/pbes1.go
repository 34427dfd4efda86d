package pbe

import (
	"crypto/cipher"
	"crypto/des"  //nolint:gosec // G502: read only: others' files use it
	"crypto/md5"  //nolint:gosec // G501: likewise
	"crypto/rc4"  //nolint:gosec // G503: likewise
	"crypto/sha1" //nolint:gosec // G505: likewise
	"encoding/asn1"
	"hash"

	"onsite/internal/ber"
)

// pbes1Scheme is one of the older schemes, in which hash, cipher and key length
// belong together.
type pbes1Scheme struct {
	oid     asn1.ObjectIdentifier
	newHash func() hash.Hash
	// pkcs12 derives as RFC 7292, appendix B, says; else as PBKDF1 of RFC 8018.
	pkcs12  bool
	keySize int
	// The vector is nil for a stream cipher.
	open   opener
	vector int // its length in bytes
}

// pbes1 lists the schemes of RFC 7292, appendix C, and of RFC 8018, appendix A.3.
var pbes1 = []pbes1Scheme{
	{pkcs12PBE(1), sha1.New, true, 16, openRC4, 0},
	{pkcs12PBE(2), sha1.New, true, 5, openRC4, 0},
	{pkcs12PBE(3), sha1.New, true, 24, cbc(des.NewTripleDESCipher), 8},
	{pkcs12PBE(4), sha1.New, true, 16, cbc(newTwoKeyDES), 8},
	{pkcs12PBE(5), sha1.New, true, 16, cbc(newRC2Of(128)), 8},
	{pkcs12PBE(6), sha1.New, true, 5, cbc(newRC2Of(40)), 8},
	{pkcs5PBE(3), md5.New, false, 8, cbc(des.NewCipher), 8},
	{pkcs5PBE(6), md5.New, false, 8, cbc(newRC2Of(64)), 8},
	{pkcs5PBE(10), sha1.New, false, 8, cbc(des.NewCipher), 8},
	{pkcs5PBE(11), sha1.New, false, 8, cbc(newRC2Of(64)), 8},
}

func pkcs12PBE(n int) asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1, n}
}

func pkcs5PBE(n int) asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, n} }

// decrypt reads PBEParameter (salt, rounds), derives key and vector, decrypts.
func (s pbes1Scheme) decrypt(params ber.Element, data []byte, p Password) ([]byte, error) {
	parts, err := params.Sequence(2)
	if err != nil {
		return nil, damaged(err)
	}
	salt, err := parts[0].Octets()
	if err != nil {
		return nil, damaged(err)
	}
	rounds, err := parts[1].Int()
	if err == nil {
		err = p.Spend(rounds, (s.keySize+sha1.Size-1)/sha1.Size+1)
	}
	if err != nil {
		return nil, damaged(err)
	}
	if s.pkcs12 {
		key := DerivePKCS12(s.newHash, keyMaterial, p, salt, int(rounds), s.keySize)
		iv := DerivePKCS12(s.newHash, vectorMaterial, p, salt, int(rounds), s.vector)
		return s.open(key, iv, data)
	}
	both := derivePBKDF1(s.newHash, p.text, salt, int(rounds))[:s.keySize+s.vector]
	return s.open(both[:s.keySize], both[s.keySize:], data)
}

func openRC4(key, _, data []byte) ([]byte, error) {
	c, err := rc4.NewCipher(key) //nolint:gosec // G405: others' files use it
	if err != nil {
		return nil, damaged(err)
	}
	plain := make([]byte, len(data))
	c.XORKeyStream(plain, data)
	return plain, nil
}

// newTwoKeyDES is TripleDES whose third key is the first again.
func newTwoKeyDES(key []byte) (cipher.Block, error) {
	return des.NewTripleDESCipher(append(key[:16:16], key[:8]...)) //nolint:gosec // G405: as above
}

func newRC2Of(bits int) func([]byte) (cipher.Block, error) {
	return func(key []byte) (cipher.Block, error) { return newRC2(key, bits), nil }
}

// derivePBKDF1 follows RFC 8018, section 5.1.
func derivePBKDF1(newHash func() hash.Hash, password, salt []byte, rounds int) []byte {
	h := newHash()
	h.Write(password)
	h.Write(salt)
	sum := h.Sum(nil)
	for range rounds - 1 {
		h.Reset()
		h.Write(sum)
		sum = h.Sum(sum[:0])
	}
	return sum
}

// What a derivation of RFC 7292, appendix B.3, is for.
const (
	keyMaterial    = 1
	vectorMaterial = 2
	// MACMaterial is for the key of a bundle's checksum.
	MACMaterial = 3
)

// DerivePKCS12 follows RFC 7292, appendix B.2: it makes size bytes for one
// purpose out of a password.
func DerivePKCS12(newHash func() hash.Hash, purpose byte, p Password, salt []byte, rounds, size int) []byte {
	h := newHash()
	v := h.BlockSize()
	d := make([]byte, v)
	for i := range d {
		d[i] = purpose
	}
	input := append(fill(salt, v), fill(p.bmp, v)...)
	var out []byte
	for len(out) < size {
		h.Reset()
		h.Write(d)
		h.Write(input)
		sum := h.Sum(nil)
		for range rounds - 1 {
			h.Reset()
			h.Write(sum)
			sum = h.Sum(sum[:0])
		}
		out = append(out, sum...)
		addToBlocks(input, fill(sum, v)[:v])
	}
	return out[:size]
}

// fill repeats data up to a multiple of v bytes; nothing stays nothing.
func fill(data []byte, v int) []byte {
	n := (len(data) + v - 1) / v * v
	out := make([]byte, 0, n)
	for len(out) < n {
		out = append(out, data[:min(len(data), n-len(out))]...)
	}
	return out
}

// addToBlocks adds b plus one to every block of input, as numbers with the high
// byte first: step 6C of appendix B.2.
func addToBlocks(input, b []byte) {
	for start := 0; start < len(input); start += len(b) {
		carry := 1
		for i := len(b) - 1; i >= 0; i-- {
			carry += int(input[start+i]) + int(b[i])
			input[start+i] = byte(carry & 0xff)
			carry >>= 8
		}
	}
}
