package pbe

import (
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
)

// camellia is the block cipher of RFC 3713, for reading only: Japanese programs
// and old Linux distributions sealed keys with it. There is no well-kept library.
type camellia struct{ encrypt, decrypt camelliaKeys }

// camelliaKeys are subkeys in the order of use: white for both ends, round for
// the rounds, and two of layer behind every sixth round but the last.
type camelliaKeys struct{ white, round, layer []uint64 }

// camelliaBox is SBOX1 of RFC 3713, section 2.4.1; the other three are made
// from it by rotating.
var camelliaBox = [256]byte{
	0x70, 0x82, 0x2c, 0xec, 0xb3, 0x27, 0xc0, 0xe5, 0xe4, 0x85, 0x57, 0x35, 0xea, 0x0c, 0xae, 0x41,
	0x23, 0xef, 0x6b, 0x93, 0x45, 0x19, 0xa5, 0x21, 0xed, 0x0e, 0x4f, 0x4e, 0x1d, 0x65, 0x92, 0xbd,
	0x86, 0xb8, 0xaf, 0x8f, 0x7c, 0xeb, 0x1f, 0xce, 0x3e, 0x30, 0xdc, 0x5f, 0x5e, 0xc5, 0x0b, 0x1a,
	0xa6, 0xe1, 0x39, 0xca, 0xd5, 0x47, 0x5d, 0x3d, 0xd9, 0x01, 0x5a, 0xd6, 0x51, 0x56, 0x6c, 0x4d,
	0x8b, 0x0d, 0x9a, 0x66, 0xfb, 0xcc, 0xb0, 0x2d, 0x74, 0x12, 0x2b, 0x20, 0xf0, 0xb1, 0x84, 0x99,
	0xdf, 0x4c, 0xcb, 0xc2, 0x34, 0x7e, 0x76, 0x05, 0x6d, 0xb7, 0xa9, 0x31, 0xd1, 0x17, 0x04, 0xd7,
	0x14, 0x58, 0x3a, 0x61, 0xde, 0x1b, 0x11, 0x1c, 0x32, 0x0f, 0x9c, 0x16, 0x53, 0x18, 0xf2, 0x22,
	0xfe, 0x44, 0xcf, 0xb2, 0xc3, 0xb5, 0x7a, 0x91, 0x24, 0x08, 0xe8, 0xa8, 0x60, 0xfc, 0x69, 0x50,
	0xaa, 0xd0, 0xa0, 0x7d, 0xa1, 0x89, 0x62, 0x97, 0x54, 0x5b, 0x1e, 0x95, 0xe0, 0xff, 0x64, 0xd2,
	0x10, 0xc4, 0x00, 0x48, 0xa3, 0xf7, 0x75, 0xdb, 0x8a, 0x03, 0xe6, 0xda, 0x09, 0x3f, 0xdd, 0x94,
	0x87, 0x5c, 0x83, 0x02, 0xcd, 0x4a, 0x90, 0x33, 0x73, 0x67, 0xf6, 0xf3, 0x9d, 0x7f, 0xbf, 0xe2,
	0x52, 0x9b, 0xd8, 0x26, 0xc8, 0x37, 0xc6, 0x3b, 0x81, 0x96, 0x6f, 0x4b, 0x13, 0xbe, 0x63, 0x2e,
	0xe9, 0x79, 0xa7, 0x8c, 0x9f, 0x6e, 0xbc, 0x8e, 0x29, 0xf5, 0xf9, 0xb6, 0x2f, 0xfd, 0xb4, 0x59,
	0x78, 0x98, 0x06, 0x6a, 0xe7, 0x46, 0x71, 0xba, 0xd4, 0x25, 0xab, 0x42, 0x88, 0xa2, 0x8d, 0xfa,
	0x72, 0x07, 0xb9, 0x55, 0xf8, 0xee, 0xac, 0x0a, 0x36, 0x49, 0x2a, 0x68, 0x3c, 0x38, 0xf1, 0xa4,
	0x40, 0x28, 0xd3, 0x7b, 0xbb, 0xc9, 0x43, 0xc1, 0x15, 0xe3, 0xad, 0xf4, 0x77, 0xc7, 0x80, 0x9e,
}

// camelliaSigma are the constants of RFC 3713, section 2.2.
var camelliaSigma = [6]uint64{
	0xa09e667f3bcc908b, 0xb67ae8584caa73b2, 0xc6ef372fe94f82be,
	0x54ff53a5f1d36f1c, 0x10e527fade682d1d, 0xb05688c2b3e6c1fd,
}

// half is 128 bits of key material, which the schedule rotates as one.
type half struct{ high, low uint64 }

// rotate turns h left by n bits and gives the two words.
func (h half) rotate(n int) []uint64 {
	if n >= 64 {
		h.high, h.low = h.low, h.high
		n -= 64
	}
	return []uint64{h.high<<n | h.low>>(64-n), h.low<<n | h.high>>(64-n)}
}

// newCamellia makes the subkeys for a key of 16, 24 or 32 bytes: RFC 3713,
// section 2.2.
func newCamellia(key []byte) (cipher.Block, error) {
	if n := len(key); n != 16 && n != 24 && n != 32 {
		return nil, fmt.Errorf("%w: a Camellia key of %d bytes", ErrDamaged, n)
	}
	word := func(i int) uint64 { return binary.BigEndian.Uint64(key[8*i:]) }
	kl, kr := half{word(0), word(1)}, half{}
	switch len(key) {
	case 24:
		kr = half{word(2), ^word(2)}
	case 32:
		kr = half{word(2), word(3)}
	}
	d1, d2 := kl.high^kr.high, kl.low^kr.low
	d2 ^= camelliaF(d1, camelliaSigma[0])
	d1 ^= camelliaF(d2, camelliaSigma[1])
	d1 ^= kl.high
	d2 ^= kl.low
	d2 ^= camelliaF(d1, camelliaSigma[2])
	d1 ^= camelliaF(d2, camelliaSigma[3])
	ka := half{d1, d2}
	d1, d2 = ka.high^kr.high, ka.low^kr.low
	d2 ^= camelliaF(d1, camelliaSigma[4])
	d1 ^= camelliaF(d2, camelliaSigma[5])
	kb := half{d1, d2}

	var k camelliaKeys
	if len(key) == 16 {
		k.white = slices.Concat(kl.rotate(0), ka.rotate(111))
		k.round = slices.Concat(ka.rotate(0), kl.rotate(15), ka.rotate(15), kl.rotate(45), ka.rotate(45)[:1],
			kl.rotate(60)[1:], ka.rotate(60), kl.rotate(94), ka.rotate(94), kl.rotate(111))
		k.layer = slices.Concat(ka.rotate(30), kl.rotate(77))
	} else {
		k.white = slices.Concat(kl.rotate(0), kb.rotate(111))
		k.round = slices.Concat(kb.rotate(0), kr.rotate(15), ka.rotate(15), kb.rotate(30), kl.rotate(45), ka.rotate(45),
			kr.rotate(60), kb.rotate(60), kl.rotate(77), kr.rotate(94), ka.rotate(94), kl.rotate(111))
		k.layer = slices.Concat(kr.rotate(30), kl.rotate(60), ka.rotate(77))
	}
	return &camellia{encrypt: k, decrypt: k.reversed()}, nil
}

// reversed gives the subkeys in the order of decrypting: RFC 3713, section 2.3.3.
func (k camelliaKeys) reversed() camelliaKeys {
	r := camelliaKeys{
		white: []uint64{k.white[2], k.white[3], k.white[0], k.white[1]},
		round: slices.Clone(k.round), layer: slices.Clone(k.layer),
	}
	slices.Reverse(r.round)
	slices.Reverse(r.layer)
	return r
}

func (c *camellia) BlockSize() int { return 16 }

func (c *camellia) Encrypt(dst, src []byte) { c.encrypt.run(dst, src) }

func (c *camellia) Decrypt(dst, src []byte) { c.decrypt.run(dst, src) }

func (k camelliaKeys) run(dst, src []byte) {
	d1 := binary.BigEndian.Uint64(src) ^ k.white[0]
	d2 := binary.BigEndian.Uint64(src[8:]) ^ k.white[1]
	for i := 0; i < len(k.round); i += 2 {
		if i > 0 && i%6 == 0 {
			n := i/3 - 2
			d1, d2 = camelliaFL(d1, k.layer[n]), camelliaFLInverse(d2, k.layer[n+1])
		}
		d2 ^= camelliaF(d1, k.round[i])
		d1 ^= camelliaF(d2, k.round[i+1])
	}
	binary.BigEndian.PutUint64(dst, d2^k.white[2])
	binary.BigEndian.PutUint64(dst[8:], d1^k.white[3])
}

// camelliaF is the F-function of RFC 3713, section 2.4.1.
func camelliaF(in, key uint64) uint64 {
	var t [8]byte
	binary.BigEndian.PutUint64(t[:], in^key)
	for i, turn := range [8]int{0, 1, 7, 0, 1, 7, 0, 0} {
		if i == 3 || i == 6 { // SBOX4 rotates what goes in
			t[i] = bits.RotateLeft8(t[i], 1)
		}
		t[i] = bits.RotateLeft8(camelliaBox[t[i]], turn)
	}
	return binary.BigEndian.Uint64([]byte{
		t[0] ^ t[2] ^ t[3] ^ t[5] ^ t[6] ^ t[7],
		t[0] ^ t[1] ^ t[3] ^ t[4] ^ t[6] ^ t[7],
		t[0] ^ t[1] ^ t[2] ^ t[4] ^ t[5] ^ t[7],
		t[1] ^ t[2] ^ t[3] ^ t[4] ^ t[5] ^ t[6],
		t[0] ^ t[1] ^ t[5] ^ t[6] ^ t[7],
		t[1] ^ t[2] ^ t[4] ^ t[6] ^ t[7],
		t[2] ^ t[3] ^ t[4] ^ t[5] ^ t[7],
		t[0] ^ t[3] ^ t[4] ^ t[5] ^ t[6],
	})
}

// camelliaFL is the FL-function of RFC 3713, section 2.4.2.
func camelliaFL(in, key uint64) uint64 {
	left, right := half32(in)
	k1, k2 := half32(key)
	right ^= bits.RotateLeft32(left&k1, 1)
	left ^= right | k2
	return uint64(left)<<32 | uint64(right)
}

// camelliaFLInverse is the FLINV-function of RFC 3713, section 2.4.3.
func camelliaFLInverse(in, key uint64) uint64 {
	left, right := half32(in)
	k1, k2 := half32(key)
	left ^= right | k2
	right ^= bits.RotateLeft32(left&k1, 1)
	return uint64(left)<<32 | uint64(right)
}

func half32(x uint64) (high, low uint32) {
	return uint32(x >> 32), uint32(x & 0xffffffff)
}
