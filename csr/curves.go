package csr

import (
	"bytes"
	"crypto/elliptic"
	"encoding/asn1"
	"math/big"
)

// curve is an elliptic curve y² = x³ + ax + b over a prime field, with a point
// of prime order. Go's own code knows four of them; here any is reckoned with,
// slowly and not in constant time, to find the public half of a key and for
// nothing else.
type curve struct {
	name               string // "" when it is none of the known ones
	p, a, b, gx, gy, n *big.Int
}

// namedCurve is a curve in hexadecimal, under the identifier that stands for it.
type namedCurve struct {
	name               string
	oid                asn1.ObjectIdentifier
	p, a, b, gx, gy, n string
}

// namedCurves are those of SEC 2 and FIPS 186 that Go does not have, of RFC
// 5639, section 3, and of GB/T 32918.5-2017.
var namedCurves = []namedCurve{
	{
		"P-192",
		asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 1},
		"fffffffffffffffffffffffffffffffeffffffffffffffff",
		"fffffffffffffffffffffffffffffffefffffffffffffffc",
		"64210519e59c80e70fa7e9ab72243049feb8deecc146b9b1",
		"188da80eb03090f67cbf20eb43a18800f4ff0afd82ff1012",
		"7192b95ffc8da78631011ed6b24cdd573f977a11e794811",
		"ffffffffffffffffffffffff99def836146bc9b1b4d22831",
	},
	{
		"secp224k1",
		asn1.ObjectIdentifier{1, 3, 132, 0, 32},
		"fffffffffffffffffffffffffffffffffffffffffffffffeffffe56d",
		"0",
		"5",
		"a1455b334df099df30fc28a169a467e9e47075a90f7e650eb6b7a45c",
		"7e089fed7fba344282cafbd6f7e319f7c0b0bd59e2ca4bdb556d61a5",
		"10000000000000000000000000001dce8d2ec6184caf0a971769fb1f7",
	},
	{
		"secp256k1",
		asn1.ObjectIdentifier{1, 3, 132, 0, 10},
		"fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f",
		"0",
		"7",
		"79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
		"483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8",
		"fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141",
	},
	{
		"brainpoolP160r1",
		asn1.ObjectIdentifier{1, 3, 36, 3, 3, 2, 8, 1, 1, 1},
		"e95e4a5f737059dc60dfc7ad95b3d8139515620f",
		"340e7be2a280eb74e2be61bada745d97e8f7c300",
		"1e589a8595423412134faa2dbdec95c8d8675e58",
		"bed5af16ea3f6a4f62938c4631eb5af7bdbcdbc3",
		"1667cb477a1a8ec338f94741669c976316da6321",
		"e95e4a5f737059dc60df5991d45029409e60fc09",
	},
	{
		"brainpoolP192r1",
		asn1.ObjectIdentifier{1, 3, 36, 3, 3, 2, 8, 1, 1, 3},
		"c302f41d932a36cda7a3463093d18db78fce476de1a86297",
		"6a91174076b1e0e19c39c031fe8685c1cae040e5c69a28ef",
		"469a28ef7c28cca3dc721d044f4496bcca7ef4146fbf25c9",
		"c0a0647eaab6a48753b033c56cb0f0900a2f5c4853375fd6",
		"14b690866abd5bb88b5f4828c1490002e6773fa2fa299b8f",
		"c302f41d932a36cda7a3462f9e9e916b5be8f1029ac4acc1",
	},
	{
		"brainpoolP224r1",
		asn1.ObjectIdentifier{1, 3, 36, 3, 3, 2, 8, 1, 1, 5},
		"d7c134aa264366862a18302575d1d787b09f075797da89f57ec8c0ff",
		"68a5e62ca9ce6c1c299803a6c1530b514e182ad8b0042a59cad29f43",
		"2580f63ccfe44138870713b1a92369e33e2135d266dbb372386c400b",
		"d9029ad2c7e5cf4340823b2a87dc68c9e4ce3174c1e6efdee12c07d",
		"58aa56f772c0726f24c6b89e4ecdac24354b9e99caa3f6d3761402cd",
		"d7c134aa264366862a18302575d0fb98d116bc4b6ddebca3a5a7939f",
	},
	{
		"brainpoolP256r1",
		asn1.ObjectIdentifier{1, 3, 36, 3, 3, 2, 8, 1, 1, 7},
		"a9fb57dba1eea9bc3e660a909d838d726e3bf623d52620282013481d1f6e5377",
		"7d5a0975fc2c3057eef67530417affe7fb8055c126dc5c6ce94a4b44f330b5d9",
		"26dc5c6ce94a4b44f330b5d9bbd77cbf958416295cf7e1ce6bccdc18ff8c07b6",
		"8bd2aeb9cb7e57cb2c4b482ffc81b7afb9de27e1e3bd23c23a4453bd9ace3262",
		"547ef835c3dac4fd97f8461a14611dc9c27745132ded8e545c1d54c72f046997",
		"a9fb57dba1eea9bc3e660a909d838d718c397aa3b561a6f7901e0e82974856a7",
	},
	{
		"brainpoolP320r1",
		asn1.ObjectIdentifier{1, 3, 36, 3, 3, 2, 8, 1, 1, 9},
		"d35e472036bc4fb7e13c785ed201e065f98fcfa6f6f40def4f92b9ec7893ec28fcd412b1f1b32e27",
		"3ee30b568fbab0f883ccebd46d3f3bb8a2a73513f5eb79da66190eb085ffa9f492f375a97d860eb4",
		"520883949dfdbc42d3ad198640688a6fe13f41349554b49acc31dccd884539816f5eb4ac8fb1f1a6",
		"43bd7e9afb53d8b85289bcc48ee5bfe6f20137d10a087eb6e7871e2a10a599c710af8d0d39e20611",
		"14fdd05545ec1cc8ab4093247f77275e0743ffed117182eaa9c77877aaac6ac7d35245d1692e8ee1",
		"d35e472036bc4fb7e13c785ed201e065f98fcfa5b68f12a32d482ec7ee8658e98691555b44c59311",
	},
	{
		"brainpoolP384r1",
		asn1.ObjectIdentifier{1, 3, 36, 3, 3, 2, 8, 1, 1, 11},
		"8cb91e82a3386d280f5d6f7e50e641df152f7109ed5456b412b1da197fb71123acd3a729901d1a71874700133107ec53",
		"7bc382c63d8c150c3c72080ace05afa0c2bea28e4fb22787139165efba91f90f8aa5814a503ad4eb04a8c7dd22ce2826",
		"4a8c7dd22ce28268b39b55416f0447c2fb77de107dcd2a62e880ea53eeb62d57cb4390295dbc9943ab78696fa504c11",
		"1d1c64f068cf45ffa2a63a81b7c13f6b8847a3e77ef14fe3db7fcafe0cbd10e8e826e03436d646aaef87b2e247d4af1e",
		"8abe1d7520f9c2a45cb1eb8e95cfd55262b70b29feec5864e19c054ff99129280e4646217791811142820341263c5315",
		"8cb91e82a3386d280f5d6f7e50e641df152f7109ed5456b31f166e6cac0425a7cf3ab6af6b7fc3103b883202e9046565",
	},
	{
		"brainpoolP512r1",
		asn1.ObjectIdentifier{1, 3, 36, 3, 3, 2, 8, 1, 1, 13},
		"aadd9db8dbe9c48b3fd4e6ae33c9fc07cb308db3b3c9d20ed6639cca703308717d4d9b009bc66842aecda12ae6a380e62881ff2f2d82c68528aa6056583a48f3",
		"7830a3318b603b89e2327145ac234cc594cbdd8d3df91610a83441caea9863bc2ded5d5aa8253aa10a2ef1c98b9ac8b57f1117a72bf2c7b9e7c1ac4d77fc94ca",
		"3df91610a83441caea9863bc2ded5d5aa8253aa10a2ef1c98b9ac8b57f1117a72bf2c7b9e7c1ac4d77fc94cadc083e67984050b75ebae5dd2809bd638016f723",
		"81aee4bdd82ed9645a21322e9c4c6a9385ed9f70b5d916c1b43b62eef4d0098eff3b1f78e2d0d48d50d1687b93b97d5f7c6d5047406a5e688b352209bcb9f822",
		"7dde385d566332ecc0eabfa9cf7822fdf209f70024a57b1aa000c55b881f8111b2dcde494a5f485e5bca4bd88a2763aed1ca2b2fa8f0540678cd1e0f3ad80892",
		"aadd9db8dbe9c48b3fd4e6ae33c9fc07cb308db3b3c9d20ed6639cca70330870553e5c414ca92619418661197fac10471db1d381085ddaddb58796829ca90069",
	},
	{
		"SM2",
		asn1.ObjectIdentifier{1, 2, 156, 10197, 1, 301},
		"fffffffeffffffffffffffffffffffffffffffff00000000ffffffffffffffff",
		"fffffffeffffffffffffffffffffffffffffffff00000000fffffffffffffffc",
		"28e9fa9e9d9f5e344d5a9e4bcf6509a7f39789f515ab8f92ddbcbd414d940e93",
		"32c4ae2c1f1981195f9904466a39c9948fe30bbff2660be1715a4589334c74c7",
		"bc3736a2f4f6779c59bdcee36b692153d0a9877cc62a474002df32e52139f0a0",
		"fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123",
	},
}

// otherCurves are the names of curves that programs offer and nobody uses: a key
// on one brings its public half along.
var otherCurves = map[string]string{
	"1.3.132.0.1": "sect163k1", "1.3.132.0.15": "sect163r2", "1.3.132.0.26": "sect233k1", "1.3.132.0.27": "sect233r1",
	"1.3.132.0.16": "sect283k1", "1.3.132.0.17": "sect283r1", "1.3.132.0.36": "sect409k1", "1.3.132.0.37": "sect409r1",
	"1.3.132.0.38": "sect571k1", "1.3.132.0.39": "sect571r1", "1.3.132.0.8": "secp160r1", "1.3.132.0.9": "secp160k1",
	"1.3.132.0.30": "secp160r2", "1.3.132.0.31": "secp192k1",
	"1.3.36.3.3.2.8.1.1.8": "brainpoolP256t1", "1.3.36.3.3.2.8.1.1.12": "brainpoolP384t1", "1.3.36.3.3.2.8.1.1.14": "brainpoolP512t1",
}

// goCurves are the curves that Go knows, with their identifiers of RFC 5480,
// section 2.1.1.1.
var goCurves = []struct {
	oid   asn1.ObjectIdentifier
	curve elliptic.Curve
}{
	{asn1.ObjectIdentifier{1, 3, 132, 0, 33}, elliptic.P224()},
	{asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}, elliptic.P256()},
	{asn1.ObjectIdentifier{1, 3, 132, 0, 34}, elliptic.P384()},
	{asn1.ObjectIdentifier{1, 3, 132, 0, 35}, elliptic.P521()},
}

func (c namedCurve) curve() *curve {
	number := func(digits string) *big.Int {
		n, _ := new(big.Int).SetString(digits, 16)
		return n
	}
	return &curve{c.name, number(c.p), number(c.a), number(c.b), number(c.gx), number(c.gy), number(c.n)}
}

func ofGo(c elliptic.Curve) *curve {
	params := c.Params()
	a := new(big.Int).Sub(params.P, big.NewInt(3)) // FIPS 186-4, section D.1.2
	return &curve{params.Name, params.P, a, params.B, params.Gx, params.Gy, params.N}
}

// findCurve returns the curve that the parameters of an EC key mean (RFC 3279,
// section 2.3.5): a name, or everything spelled out. It is nil for one that is
// not known, and for those over binary fields.
func findCurve(parameters asn1.RawValue) *curve {
	var oid asn1.ObjectIdentifier
	if !whole(parameters.FullBytes, &oid) {
		return spelledCurve(parameters.FullBytes)
	}
	for _, c := range goCurves {
		if c.oid.Equal(oid) {
			return ofGo(c.curve)
		}
	}
	for _, c := range namedCurves {
		if c.oid.Equal(oid) {
			return c.curve()
		}
	}
	return nil
}

// maxField bounds the curves that a file may spell out, in bits: reckoning with
// one takes time that grows with the third power.
const maxField = 1024

var oidPrimeField = asn1.ObjectIdentifier{1, 2, 840, 10045, 1, 1}

// spelledCurve reads ECParameters (SEC 1, appendix C.2).
func spelledCurve(der []byte) *curve {
	var spelled struct {
		Version int
		Field   struct {
			Type asn1.ObjectIdentifier
			P    asn1.RawValue
		}
		Curve struct {
			A, B []byte
			Seed asn1.BitString `asn1:"optional"`
		}
		Base     []byte
		Order    *big.Int
		Cofactor *big.Int `asn1:"optional"`
	}
	p := new(big.Int)
	if !whole(der, &spelled) || !spelled.Field.Type.Equal(oidPrimeField) || !whole(spelled.Field.P.FullBytes, &p) {
		return nil
	}
	if p.BitLen() > maxField || spelled.Order.BitLen() > maxField+1 || !p.ProbablyPrime(1) {
		return nil
	}
	number := func(b []byte) *big.Int { return new(big.Int).SetBytes(b) }
	c := &curve{p: p, a: number(spelled.Curve.A), b: number(spelled.Curve.B), n: spelled.Order}
	if c.a.Cmp(p) >= 0 || c.b.Cmp(p) >= 0 || !c.setBase(spelled.Base) {
		return nil
	}
	for _, known := range namedCurves {
		if k := known.curve(); k.equal(c) {
			return k
		}
	}
	for _, known := range goCurves {
		if k := ofGo(known.curve); k.equal(c) {
			return k
		}
	}
	return c
}

// setBase reads a point in one of the forms of SEC 1, section 2.3.4.
func (c *curve) setBase(encoded []byte) bool {
	size := (c.p.BitLen() + 7) / 8
	if len(encoded) != 1+size && len(encoded) != 1+2*size {
		return false
	}
	c.gx = new(big.Int).SetBytes(encoded[1 : 1+size])
	if len(encoded) == 1+2*size {
		c.gy = new(big.Int).SetBytes(encoded[1+size:])
		return true
	}
	square := new(big.Int).Mul(c.gx, c.gx)
	square.Add(square, c.a).Mul(square, c.gx).Add(square, c.b).Mod(square, c.p)
	if c.gy = new(big.Int).ModSqrt(square, c.p); c.gy == nil {
		return false
	}
	if c.gy.Bit(0) != uint(encoded[0]&1) {
		c.gy.Sub(c.p, c.gy)
	}
	return true
}

func (c *curve) equal(other *curve) bool {
	return c.p.Cmp(other.p) == 0 && c.a.Cmp(other.a) == 0 && c.b.Cmp(other.b) == 0 &&
		c.gx.Cmp(other.gx) == 0 && c.gy.Cmp(other.gy) == 0 && c.n.Cmp(other.n) == 0
}

// point is a point of a curve; nil is the one at infinity.
type point struct{ x, y *big.Int }

// multiply adds the base point to itself k times.
func (c *curve) multiply(k *big.Int) *point {
	base := &point{new(big.Int).Mod(c.gx, c.p), new(big.Int).Mod(c.gy, c.p)}
	var sum *point
	for i := k.BitLen() - 1; i >= 0; i-- {
		sum = c.add(sum, sum)
		if k.Bit(i) == 1 {
			sum = c.add(sum, base)
		}
	}
	return sum
}

// add follows SEC 1, section 2.2.1.
func (c *curve) add(p, q *point) *point {
	if p == nil {
		return q
	}
	if q == nil {
		return p
	}
	rise, run := new(big.Int).Sub(q.y, p.y), new(big.Int).Sub(q.x, p.x)
	if run.Sign() == 0 {
		if rise.Sign() != 0 || p.y.Sign() == 0 {
			return nil
		}
		rise.Mul(p.x, p.x) // the tangent: 3x² + a over 2y
		rise.Mul(rise, big.NewInt(3)).Add(rise, c.a)
		run.Lsh(p.y, 1)
	}
	slope := run.ModInverse(run.Mod(run, c.p), c.p)
	if slope == nil {
		return nil
	}
	slope.Mul(slope, rise).Mod(slope, c.p)
	x := new(big.Int).Mul(slope, slope)
	x.Sub(x, p.x).Sub(x, q.x).Mod(x, c.p)
	y := new(big.Int).Sub(p.x, x)
	y.Mul(y, slope).Sub(y, p.y).Mod(y, c.p)
	return &point{x, y}
}

// The forms of a point, by its first byte (SEC 1, section 2.3.3). The lowest
// bit of the others than the long one is that of y.
const (
	shortForm = 2
	longForm  = 4
	bothForms = 6
)

// encode writes a point of the curve in one of the forms.
func (c *curve) encode(p *point, form byte) []byte {
	size := (c.p.BitLen() + 7) / 8
	out := make([]byte, 1+2*size)
	out[0] = form
	p.x.FillBytes(out[1 : 1+size])
	p.y.FillBytes(out[1+size:])
	if form != longForm {
		out[0] |= out[2*size] & 1
	}
	if form == shortForm {
		out = out[:1+size]
	}
	return out
}

// shorten gives a point in short form, whatever form it has, so that points of a
// curve over a prime field can be compared.
func shorten(point []byte) []byte {
	if len(point)%2 == 0 || len(point) < 3 || point[0] < longForm {
		return point
	}
	short := bytes.Clone(point[:1+len(point)/2])
	short[0] = shortForm | point[len(point)-1]&1
	return short
}
