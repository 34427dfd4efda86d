package csr

import (
	"bytes"
	"crypto/ecdh"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"

	"github.com/cloudflare/circl/dh/x448"
	"github.com/cloudflare/circl/sign/ed448"
)

// Finding the public half of a private key that Go does not know. The bounds
// keep a hostile file from costing more than a fraction of a second.

// rsaPublicKey is RSAPublicKey of RFC 8017, appendix A.1.1.
type rsaPublicKey struct{ N, E *big.Int }

// rsaPrivateKey is RSAPrivateKey of RFC 8017, appendix A.1.2.
type rsaPrivateKey struct {
	Version             int
	N, E, D, P, Q       *big.Int
	DP, DQ, Coefficient *big.Int
	More                []struct{ Prime, Exponent, Coefficient *big.Int } `asn1:"optional"`
}

// publicRSA takes keys that Go refuses for a number that OpenSSL reckons
// without. What must hold is that the primes make the modulus and that one of
// the two ways to sign works: by the exponent, or by the remainders.
func publicRSA(der []byte) ([]byte, error) {
	var k rsaPrivateKey
	if !whole(der, &k) {
		return nil, errors.New("its numbers cannot be read")
	}
	one := big.NewInt(1)
	for _, n := range []*big.Int{k.N, k.E, k.P, k.Q} {
		if n.Cmp(one) <= 0 {
			return nil, errors.New("one of its numbers is missing")
		}
	}
	if k.N.BitLen() > maxRSABits {
		return nil, fmt.Errorf("%w: it has %d bits, and the limit is %d", errCannotCarry, k.N.BitLen(), maxRSABits)
	}
	product := new(big.Int).Mul(k.P, k.Q)
	primes := []*big.Int{k.P, k.Q}
	for _, more := range k.More {
		product.Mul(product, more.Prime)
		primes = append(primes, more.Prime)
	}
	if product.Cmp(k.N) != 0 {
		return nil, errors.New("its primes do not make its modulus")
	}
	// undoes reports whether a and b are inverse to each other modulo m.
	undoes := func(a, b, m *big.Int) bool {
		x := new(big.Int).Mul(a, b)
		return m.Sign() > 0 && x.Sub(x, one).Mod(x, m).Sign() == 0
	}
	below := func(n *big.Int) *big.Int { return new(big.Int).Sub(n, one) }
	exponent := true
	for _, p := range primes {
		exponent = exponent && undoes(k.E, k.D, below(p))
	}
	remainders := len(k.More) == 0 && undoes(k.E, k.DP, below(k.P)) && undoes(k.E, k.DQ, below(k.Q)) && undoes(k.Coefficient, k.Q, k.P)
	if !exponent && !remainders {
		return nil, errors.New("its exponent does not belong to its modulus")
	}
	return asn1.Marshal(rsaPublicKey{k.N, k.E})
}

// dsaParameters is Dss-Parms of RFC 3279, section 2.3.2.
type dsaParameters struct{ P, Q, G *big.Int }

// maxDSAOrder is twice what FIPS 186-4, section 4.2, has.
const maxDSAOrder = 512

// dsaNumbers reads OpenSSL's own layout: version, p, q, g, y, x.
func dsaNumbers(der []byte) ([]*big.Int, error) {
	var numbers []*big.Int
	if !whole(der, &numbers) || len(numbers) != 6 {
		return nil, errors.New("it does not have the six numbers of a DSA key")
	}
	return numbers, nil
}

// publicDSA is g to the power of x.
func publicDSA(k privateKeyInfo) ([]byte, error) {
	var p dsaParameters
	x := new(big.Int)
	if !whole(k.Algorithm.Parameters.FullBytes, &p) || !whole(k.Key, &x) {
		return nil, errors.New("its numbers cannot be read")
	}
	switch {
	case p.P.BitLen() > maxRSABits || p.Q.BitLen() > maxDSAOrder:
		return nil, fmt.Errorf("%w: it has %d and %d bits", errCannotCarry, p.P.BitLen(), p.Q.BitLen())
	case p.P.Sign() <= 0 || p.P.Bit(0) == 0 || p.G.Sign() <= 0 || p.G.Cmp(p.P) >= 0 || x.Sign() <= 0 || x.Cmp(p.Q) >= 0:
		return nil, errors.New("its numbers do not fit together")
	}
	return asn1.Marshal(new(big.Int).Exp(p.G, x, p.P))
}

// ecPrivateKey is ECPrivateKey of RFC 5915, section 3.
type ecPrivateKey struct {
	Version    int
	Key        []byte
	Parameters asn1.RawValue  `asn1:"optional,explicit,tag:0"`
	PublicKey  asn1.BitString `asn1:"optional,explicit,tag:1"`
}

// publicEC reckons the public half when the curve is known, and takes the one
// that is in the file when not.
func publicEC(k privateKeyInfo) ([]byte, error) {
	var ec ecPrivateKey
	if !whole(k.Key, &ec) {
		return nil, errors.New("its numbers cannot be read")
	}
	given := ec.PublicKey.Bytes
	c := findCurve(k.Algorithm.Parameters)
	if c == nil {
		if len(given) < 2 {
			return nil, fmt.Errorf("%w: %s", errCannotCarry, curveName(k.Algorithm.Parameters))
		}
		return given, nil
	}
	d := new(big.Int).SetBytes(ec.Key)
	if d.Sign() == 0 || d.Cmp(c.n) >= 0 {
		return nil, errors.New("its number does not fit its curve")
	}
	p := c.multiply(d)
	if p == nil {
		return nil, errors.New("its number does not fit its curve")
	}
	form := byte(longForm)
	if len(given) > 0 {
		form = given[0] &^ 1
	}
	public := c.encode(p, form)
	if len(given) > 0 && !bytes.Equal(public, given) {
		return nil, errors.New("its two halves do not belong together")
	}
	return public, nil
}

// publicEdwards takes the keys of RFC 8410, section 7: an OCTET STRING in the
// OCTET STRING.
func publicEdwards(oid asn1.ObjectIdentifier, der []byte) ([]byte, error) {
	var secret []byte
	if !whole(der, &secret) {
		return nil, errors.New("its number cannot be read")
	}
	wrongLength := fmt.Errorf("it has %d bytes, which is no key of its kind", len(secret))
	switch {
	case oid.Equal(oidX25519):
		k, err := ecdh.X25519().NewPrivateKey(secret)
		if err != nil {
			return nil, wrongLength
		}
		return k.PublicKey().Bytes(), nil
	case oid.Equal(oidX448):
		var k, public x448.Key
		if copy(k[:], secret) != len(secret) || len(secret) != x448.Size {
			return nil, wrongLength
		}
		x448.KeyGen(&public, &k)
		return public[:], nil
	}
	if len(secret) != ed448.SeedSize {
		return nil, wrongLength
	}
	public := ed448.NewKeyFromSeed(secret)[ed448.SeedSize:]
	return public, nil
}
