package csr

import (
	"bytes"
	"crypto"
	"crypto/dsa" //nolint:staticcheck // SA1019: read, not used
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"

	"onsite/report"
)

// RawKey is a private key of a kind with which this program cannot sign: DSA,
// Ed448, RSA-PSS, EC on other curves than NIST's. It is carried byte for byte,
// and its public half tells to which certificate it belongs.
type RawKey struct {
	der    []byte // PKCS#8
	public *RawPublicKey
}

// Public returns a *RawPublicKey.
func (k *RawKey) Public() crypto.PublicKey { return k.public }

// PKCS8 returns the key as it came. One that came in an older layout stands
// inside unchanged.
func (k *RawKey) PKCS8() []byte { return k.der }

// pkcs1 returns an RSA key in its own layout, and nil for other kinds.
func (k *RawKey) pkcs1() []byte {
	var info privateKeyInfo
	if !whole(k.der, &info) || !info.Algorithm.Algorithm.Equal(oidRSA) {
		return nil
	}
	return info.Key
}

// Sign implements crypto.Signer with the error of Refuse.
func (k *RawKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return nil, k.Refuse() }

// Refuse returns the *report.Error that says why the key is of no use but to be
// carried.
func (k *RawKey) Refuse() error {
	return report.Errorf(report.KindInput, CodeKeyUnsupported,
		"make a new key and request with onsite csr new: authorities take RSA and EC keys on P-256 and P-384",
		"the private key (%s) can be read and written here, but nothing can be signed with it", k.public.kind)
}

// RawPublicKey is a public key of which no more is known than its bytes and what
// kind they are.
type RawPublicKey struct {
	kind string // as DescribeKey says it
	spki []byte
}

// SPKI returns the SubjectPublicKeyInfo in DER.
func (p *RawPublicKey) SPKI() []byte { return p.spki }

// Equal reports whether x, of any type, is the same key.
func (p *RawPublicKey) Equal(x crypto.PublicKey) bool {
	return HoldsKey(p.spki, x)
}

// ParsePublicKey reads a SubjectPublicKeyInfo in DER: as Go's own type when Go
// knows the kind, else as a *RawPublicKey.
func ParsePublicKey(spki []byte) (crypto.PublicKey, error) {
	if pub, err := x509.ParsePKIXPublicKey(spki); err == nil {
		return pub, nil
	}
	var info publicKeyInfo
	if !whole(spki, &info) {
		return nil, errors.New("it is no SubjectPublicKeyInfo")
	}
	return &RawPublicKey{kind: info.kind(), spki: spki}, nil
}

// HoldsKey reports whether a SubjectPublicKeyInfo, that of a certificate, is the
// key pub. It may be written in another way: a point in short form, a curve by
// name or spelled out, RSA with or without the restriction to PSS.
func HoldsKey(spki []byte, pub crypto.PublicKey) bool {
	own, err := marshalPublicKey(pub)
	if err != nil {
		return false
	}
	if bytes.Equal(own, spki) {
		return true
	}
	var a, b publicKeyInfo
	return whole(spki, &a) && whole(own, &b) && a.same(b)
}

// marshalPublicKey encodes any public key that ParsePublicKey returns.
func marshalPublicKey(pub crypto.PublicKey) ([]byte, error) {
	switch k := pub.(type) {
	case *RawPublicKey:
		return k.spki, nil
	case *dsa.PublicKey:
		return marshalDSA(k)
	}
	return x509.MarshalPKIXPublicKey(pub)
}

// marshalDSA follows RFC 3279, section 2.3.2.
func marshalDSA(k *dsa.PublicKey) ([]byte, error) {
	parameters, err := asn1.Marshal(dsaParameters{k.P, k.Q, k.G})
	if err != nil {
		return nil, fmt.Errorf("encode DSA parameters: %w", err)
	}
	y, err := asn1.Marshal(k.Y)
	if err != nil {
		return nil, fmt.Errorf("encode DSA key: %w", err)
	}
	return asn1.Marshal(publicKeyInfo{
		Algorithm: algorithmIdentifier{Algorithm: oidDSA, Parameters: asn1.RawValue{FullBytes: parameters}},
		Key:       bitString(y),
	})
}

// algorithmIdentifier is that of RFC 5280, section 4.1.1.2; unlike Go's it keeps
// its bytes.
type algorithmIdentifier struct {
	Raw        asn1.RawContent
	Algorithm  asn1.ObjectIdentifier
	Parameters asn1.RawValue `asn1:"optional"`
}

// publicKeyInfo is SubjectPublicKeyInfo of RFC 5280, section 4.1.2.7.
type publicKeyInfo struct {
	Algorithm algorithmIdentifier
	Key       asn1.BitString
}

func bitString(b []byte) asn1.BitString { return asn1.BitString{Bytes: b, BitLength: 8 * len(b)} }

// privateKeyInfo is OneAsymmetricKey of RFC 5958, section 2: PKCS#8 with the
// public half, which few programs write.
type privateKeyInfo struct {
	Version    int
	Algorithm  algorithmIdentifier
	Key        []byte
	Attributes asn1.RawValue  `asn1:"optional,tag:0"`
	PublicKey  asn1.BitString `asn1:"optional,tag:1"`
}

// Kinds of keys, from RFC 3279, RFC 4055, RFC 5480 and RFC 8410.
var (
	oidRSA    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidPSS    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 10}
	oidDSA    = asn1.ObjectIdentifier{1, 2, 840, 10040, 4, 1}
	oidEC     = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}
	oidX25519 = asn1.ObjectIdentifier{1, 3, 101, 110}
	oidX448   = asn1.ObjectIdentifier{1, 3, 101, 111}
	oidEd448  = asn1.ObjectIdentifier{1, 3, 101, 113}
)

// kind names a public key for people.
func (i publicKeyInfo) kind() string {
	oid := i.Algorithm.Algorithm
	switch {
	case oid.Equal(oidRSA), oid.Equal(oidPSS):
		name := "RSA"
		if oid.Equal(oidPSS) {
			name = "RSA-PSS"
		}
		var k rsaPublicKey
		if whole(i.Key.Bytes, &k) {
			return fmt.Sprintf("%s %d", name, k.N.BitLen())
		}
		return name
	case oid.Equal(oidDSA):
		var p dsaParameters
		if whole(i.Algorithm.Parameters.FullBytes, &p) {
			return fmt.Sprintf("DSA %d", p.P.BitLen())
		}
		return "DSA"
	case oid.Equal(oidEC):
		return curveName(i.Algorithm.Parameters)
	case oid.Equal(oidEd448):
		return "Ed448"
	case oid.Equal(oidX25519):
		return "X25519"
	case oid.Equal(oidX448):
		return "X448"
	}
	return "unknown (" + oid.String() + ")"
}

// curveName names a key by its curve: "EC secp256k1". One that is spelled out is
// called so, as most programs refuse it.
func curveName(parameters asn1.RawValue) string {
	c := findCurve(parameters)
	var oid asn1.ObjectIdentifier
	named := whole(parameters.FullBytes, &oid)
	switch {
	case c != nil && named && c.name == "SM2":
		return c.name
	case c != nil && named:
		return "EC " + c.name
	case c != nil && c.name != "":
		return "EC " + c.name + " (explicit)"
	case c != nil:
		return fmt.Sprintf("EC %d (explicit)", c.p.BitLen())
	case named && otherCurves[oid.String()] != "":
		return "EC " + otherCurves[oid.String()]
	case named:
		return "EC " + oid.String()
	}
	return "EC (explicit)"
}

// same compares two keys by what they mean.
func (i publicKeyInfo) same(other publicKeyInfo) bool {
	a, b := i.Algorithm, other.Algorithm
	isRSA := func(oid asn1.ObjectIdentifier) bool { return oid.Equal(oidRSA) || oid.Equal(oidPSS) }
	switch {
	case isRSA(a.Algorithm) && isRSA(b.Algorithm):
		return bytes.Equal(i.Key.Bytes, other.Key.Bytes)
	case !a.Algorithm.Equal(b.Algorithm):
		return false
	case bytes.Equal(a.Parameters.FullBytes, b.Parameters.FullBytes) && bytes.Equal(i.Key.Bytes, other.Key.Bytes):
		return true
	case !a.Algorithm.Equal(oidEC) || !bytes.Equal(shorten(i.Key.Bytes), shorten(other.Key.Bytes)):
		return false
	}
	c, d := findCurve(a.Parameters), findCurve(b.Parameters)
	return c != nil && d != nil && c.equal(d)
}

// errCannotCarry: a key whose public half cannot be found, so that nobody would
// know what it belongs to.
var errCannotCarry = errors.New("its public half cannot be found")

// newRawKey takes an unencrypted key in any of the layouts of KeyType and finds
// its public half. An error that does not wrap errCannotCarry means damage.
func newRawKey(der []byte) (*RawKey, error) {
	der, err := wrapPKCS8(der)
	if err != nil {
		return nil, err
	}
	var k privateKeyInfo
	if !whole(der, &k) {
		return nil, errors.New("it is no PKCS#8")
	}
	var public []byte
	switch oid := k.Algorithm.Algorithm; {
	case oid.Equal(oidRSA), oid.Equal(oidPSS):
		public, err = publicRSA(k.Key)
	case oid.Equal(oidDSA):
		public, err = publicDSA(k)
	case oid.Equal(oidEC):
		public, err = publicEC(k)
	case oid.Equal(oidX25519), oid.Equal(oidX448), oid.Equal(oidEd448):
		public, err = publicEdwards(oid, k.Key)
	case oid.Equal(oidEd25519):
		err = errors.New("its number cannot be read") // else Go would have taken it
	case k.PublicKey.BitLength > 0 && k.PublicKey.BitLength%8 == 0:
		public = k.PublicKey.Bytes
	default:
		err = fmt.Errorf("%w: algorithm %s", errCannotCarry, oid)
	}
	if err != nil {
		return nil, err
	}
	info := publicKeyInfo{Algorithm: k.Algorithm, Key: bitString(public)}
	spki, err := asn1.Marshal(info)
	if err != nil {
		return nil, fmt.Errorf("encode public key: %w", err)
	}
	return &RawKey{der: der, public: &RawPublicKey{kind: info.kind(), spki: spki}}, nil
}

// wrapPKCS8 puts a key of an older layout into PKCS#8 (RFC 5958, section 2).
func wrapPKCS8(der []byte) ([]byte, error) {
	wrapped := privateKeyInfo{Key: der}
	switch KeyType(der) {
	case pemPKCS8:
		return der, nil
	case pemPKCS1:
		wrapped.Algorithm = algorithmIdentifier{Algorithm: oidRSA, Parameters: asn1.NullRawValue}
	case pemSEC1:
		var k ecPrivateKey
		if !whole(der, &k) {
			return nil, errors.New("it is no SEC 1")
		}
		if len(k.Parameters.Bytes) == 0 {
			return nil, fmt.Errorf("%w: it does not say on which curve it is", errCannotCarry)
		}
		wrapped.Algorithm = algorithmIdentifier{Algorithm: oidEC, Parameters: asn1.RawValue{FullBytes: k.Parameters.Bytes}}
	case pemDSA:
		n, err := dsaNumbers(der)
		if err != nil {
			return nil, err
		}
		parameters, err := asn1.Marshal(dsaParameters{n[1], n[2], n[3]})
		if err != nil {
			return nil, fmt.Errorf("encode DSA parameters: %w", err)
		}
		if wrapped.Key, err = asn1.Marshal(n[5]); err != nil {
			return nil, fmt.Errorf("encode DSA key: %w", err)
		}
		wrapped.Algorithm = algorithmIdentifier{Algorithm: oidDSA, Parameters: asn1.RawValue{FullBytes: parameters}}
	default:
		return nil, errors.New("it has none of the layouts of private keys")
	}
	return asn1.Marshal(wrapped)
}
