package pbe

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des" //nolint:gosec // G502: read only: others' files use it
	"encoding/asn1"
	"fmt"
	"slices"

	"golang.org/x/crypto/blowfish" //nolint:staticcheck // SA1019: as above
	"golang.org/x/crypto/cast5"    //nolint:staticcheck // SA1019: as above
)

// opener decrypts with a key and an initialisation vector.
type opener func(key, iv, data []byte) ([]byte, error)

// family is a block cipher with one length of key in the modes that it has
// object identifiers for: those of modes behind arc, each further by offset.
type family struct {
	name    string // as OpenSSL writes it in the headers of PEM
	arc     asn1.ObjectIdentifier
	offset  int
	keySize int
	new     func(key []byte) (cipher.Block, error)
	modes   []mode
}

// mode is a mode of operation under the number that a standard gives it.
type mode struct {
	number int
	of     func(newBlock func([]byte) (cipher.Block, error)) opener
}

// The modes in the orders of NIST, of NTT (RFC 3657 gives CBC alone another
// arc) and of Korea's standards.
var (
	nist  = []mode{{1, ecb}, {2, cbc}, {3, ofb}, {4, cfb}}
	ntt   = []mode{{1, ecb}, {3, ofb}, {4, cfb}, {9, ctr}}
	korea = []mode{{1, ecb}, {2, cbc}, {3, cfb}, {4, ofb}, {5, ctr}}
)

// families are the ciphers of PBES2 but RC2 and RC4, which have rules of their
// own: RFC 8018, appendix B.2, and whatever openssl pkcs8 -v2 takes.
var families = []family{
	{"AES-128", oidAES, 0, 16, aes.NewCipher, nist},
	{"AES-192", oidAES, 20, 24, aes.NewCipher, nist},
	{"AES-256", oidAES, 40, 32, aes.NewCipher, nist},
	{"DES-EDE3", asn1.ObjectIdentifier{1, 2, 840, 113549, 3}, 0, 24, des.NewTripleDESCipher, []mode{{7, cbc}}},
	{"DES", asn1.ObjectIdentifier{1, 3, 14, 3, 2}, 0, 8, des.NewCipher, []mode{{6, ecb}, {7, cbc}, {8, ofb}, {9, cfb}}},
	{"DES-EDE", asn1.ObjectIdentifier{1, 3, 14, 3, 2}, 0, 16, newTwoKeyDES, []mode{{17, ecb}}},
	{"CAMELLIA-128", oidCamelliaCBC, 0, 16, newCamellia, []mode{{2, cbc}}},
	{"CAMELLIA-192", oidCamelliaCBC, 1, 24, newCamellia, []mode{{2, cbc}}},
	{"CAMELLIA-256", oidCamelliaCBC, 2, 32, newCamellia, []mode{{2, cbc}}},
	{"CAMELLIA-128", oidCamellia, 0, 16, newCamellia, ntt},
	{"CAMELLIA-192", oidCamellia, 20, 24, newCamellia, ntt},
	{"CAMELLIA-256", oidCamellia, 40, 32, newCamellia, ntt},
	{"ARIA-128", oidARIA, 0, 16, newARIA, korea},
	{"ARIA-192", oidARIA, 5, 24, newARIA, korea},
	{"ARIA-256", oidARIA, 10, 32, newARIA, korea},
	{"SEED", asn1.ObjectIdentifier{1, 2, 410, 200004, 1}, 2, 16, newSEED, korea[:4]},
	{"SM4", asn1.ObjectIdentifier{1, 2, 156, 10197, 1, 104}, 0, 16, newSM4, append(nist[:4:4], mode{7, ctr})},
	{"BF", asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 3029, 1}, 0, 16, newBlowfish, []mode{{2, cbc}}},
	{"CAST5", asn1.ObjectIdentifier{1, 2, 840, 113533, 7, 66}, 0, 16, newCAST5, []mode{{10, cbc}}},
}

var (
	oidAES         = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1}
	oidCamelliaCBC = asn1.ObjectIdentifier{1, 2, 392, 200011, 61, 1, 1, 1} // RFC 3657, section 2
	oidCamellia    = asn1.ObjectIdentifier{0, 3, 4401, 5, 3, 1, 9}
	oidARIA        = asn1.ObjectIdentifier{1, 2, 410, 200046, 1, 1}
)

func newBlowfish(key []byte) (cipher.Block, error) { return blowfish.NewCipher(key) }
func newCAST5(key []byte) (cipher.Block, error)    { return cast5.NewCipher(key) }

// findCipher returns the cipher under an object identifier, or nil, and the
// length of its key.
func findCipher(oid asn1.ObjectIdentifier) (open opener, keySize int) {
	if len(oid) == 0 {
		return nil, 0
	}
	arc, number := oid[:len(oid)-1], oid[len(oid)-1]
	for _, f := range families {
		if !arc.Equal(f.arc) {
			continue
		}
		for _, m := range f.modes {
			if m.number+f.offset == number {
				return m.of(f.new), f.keySize
			}
		}
	}
	return nil, 0
}

// cbc is cipher block chaining, with the padding of RFC 8018, section 6.1.1.
func cbc(newBlock func([]byte) (cipher.Block, error)) opener {
	return func(key, iv, data []byte) ([]byte, error) {
		block, err := newBlock(key)
		if err != nil {
			return nil, damaged(err)
		}
		return decryptCBC(block, iv, data)
	}
}

// ecb is the electronic code book: no vector, each block by itself.
func ecb(newBlock func([]byte) (cipher.Block, error)) opener {
	return func(key, _, data []byte) ([]byte, error) {
		block, err := newBlock(key)
		if err != nil {
			return nil, damaged(err)
		}
		size := block.BlockSize()
		if len(data) == 0 || len(data)%size != 0 {
			return nil, errLengths
		}
		plain := slices.Clone(data)
		for rest := plain; len(rest) > 0; rest = rest[size:] {
			block.Decrypt(rest, rest)
		}
		return unpad(plain, size)
	}
}

// stream makes a mode that has no padding: a wrong password shows in what comes
// out only, and that is for the caller to see.
func stream(start func(cipher.Block, []byte) cipher.Stream) func(func([]byte) (cipher.Block, error)) opener {
	return func(newBlock func([]byte) (cipher.Block, error)) opener {
		return func(key, iv, data []byte) ([]byte, error) {
			block, err := newBlock(key)
			if err != nil {
				return nil, damaged(err)
			}
			if len(iv) != block.BlockSize() {
				return nil, errLengths
			}
			plain := make([]byte, len(data))
			start(block, iv).XORKeyStream(plain, data)
			return plain, nil
		}
	}
}

var (
	ctr = stream(cipher.NewCTR)
	ofb = stream(cipher.NewOFB)          //nolint:staticcheck // SA1019: others' files use it
	cfb = stream(cipher.NewCFBDecrypter) //nolint:staticcheck // SA1019: others' files use it
)

var errLengths = fmt.Errorf("%w: lengths do not fit the cipher", ErrDamaged)
