package csr

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// rawKey reads a key that must come as a *RawKey.
func rawKey(t *testing.T, text []byte, password string) *RawKey {
	t.Helper()
	key, err := decode(t, text, password)
	raw, ok := key.(*RawKey)
	if err != nil || !ok {
		t.Fatalf("DecodeKey = %T, %v, want a *RawKey", key, err)
	}
	return raw
}

func spkiOf(t *testing.T, text []byte) []byte {
	t.Helper()
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatalf("no PEM in %q", text)
	}
	return block.Bytes
}

// checkRaw compares a key with the public half that OpenSSL finds, and wants it
// to be written as it came.
func checkRaw(t *testing.T, text, public []byte, kind string) {
	t.Helper()
	raw := rawKey(t, text, "")
	spki := spkiOf(t, public)
	if got := raw.public.SPKI(); !bytes.Equal(got, spki) {
		t.Errorf("public half is\n%x, want\n%x", got, spki)
	}
	if got := DescribeKey(raw.Public()); got != kind {
		t.Errorf("DescribeKey = %q, want %q", got, kind)
	}
	if got := Fingerprint(raw.Public()); got != fingerprint(spki) {
		t.Errorf("Fingerprint = %s, want %s", got, fingerprint(spki))
	}
	block, _ := pem.Decode(text)
	out, err := EncodeKey(raw, PKCS8, nil)
	if err != nil {
		t.Fatal(err)
	}
	if block.Type == pemPKCS8 && !bytes.Equal(out, pem.EncodeToMemory(block)) {
		t.Errorf("EncodeKey gives\n%s, want it as it came:\n%s", out, text)
	}
	if !bytes.Contains(spkiOf(t, out), block.Bytes) && block.Type != pemDSA {
		t.Errorf("EncodeKey gives\n%s, which does not hold the key as it came", out)
	}
	if again := rawKey(t, out, ""); !bytes.Equal(again.PKCS8(), raw.PKCS8()) || !raw.public.Equal(again.Public()) {
		t.Errorf("EncodeKey gives another key:\n%s", out)
	}
	if bare, err := DecodeKey(&pem.Block{Bytes: block.Bytes}, nil); err != nil || !same(bare, raw) {
		t.Errorf("DecodeKey(bare DER) = %v, %v", bare, err)
	}
}

// The keys of testdata, with what OpenSSL took for their public halves.
func TestRawKeys(t *testing.T) {
	t.Parallel()
	kinds := map[string]string{
		"brainpoolp256r1": "EC brainpoolP256r1", "compressed": "EC P-192", "dsa": "DSA 1024", "dsa-old": "DSA 1024",
		"ed448": "Ed448", "explicit": "EC P-256 (explicit)", "no-public": "EC secp256k1", "pss": "RSA-PSS 512",
		"pss-limited": "RSA-PSS 1024", "sec1": "EC secp256k1", "secp256k1": "EC secp256k1", "sect233k1": "EC sect233k1",
		"sm2": "SM2", "x25519": "X25519", "x448": "X448",
	}
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkRaw(t, read(t, "testdata", "raw-"+name+".key"), read(t, "testdata", "raw-"+name+".pub"), kind)
		})
	}
	if files, err := filepath.Glob("testdata/raw-*.key"); err != nil || len(files) != len(kinds) {
		t.Errorf("Glob(testdata/raw-*.key) = %q, %v, want the %d of the table", files, err, len(kinds))
	}
}

// TestRawKeysOfOpenSSL makes keys anew, in every layout that the installed
// OpenSSL has for them.
func TestRawKeysOfOpenSSL(t *testing.T) {
	t.Parallel()
	type test struct {
		kind string
		args []string
	}
	tests := []test{
		{"Ed448", []string{"-algorithm", "ED448"}},
		{"X25519", []string{"-algorithm", "X25519"}},
		{"X448", []string{"-algorithm", "X448"}},
		{"RSA-PSS 1024", []string{"-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:1024"}},
	}
	for _, c := range []string{
		"prime192v1", "secp224k1", "secp256k1", "SM2", "secp160r1", "sect163k1", "sect571r1", "brainpoolP160r1",
		"brainpoolP192r1", "brainpoolP224r1", "brainpoolP256r1", "brainpoolP320r1", "brainpoolP384r1", "brainpoolP512r1", "brainpoolP512t1",
	} {
		kind := strings.Replace("EC "+strings.Replace(c, "prime192v1", "P-192", 1), "EC SM2", "SM2", 1)
		tests = append(tests, test{kind, []string{"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:" + c}})
	}
	for curve, kind := range map[string]string{
		"P-224": "EC P-224", "P-256": "EC P-256", "P-384": "EC P-384", "P-521": "EC P-521", "secp256k1": "EC secp256k1",
		"SM2": "EC SM2", "secp192k1": "EC 192",
	} {
		tests = append(tests, test{kind + " (explicit)", []string{
			"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:" + curve, "-pkeyopt", "ec_param_enc:explicit",
		}})
	}
	for _, tt := range tests {
		t.Run(tt.kind, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			run(t, dir, nil, "openssl", append([]string{"genpkey", "-out", "k.pem"}, tt.args...)...)
			run(t, dir, nil, "openssl", "pkey", "-in", "k.pem", "-pubout", "-out", "pub.pem")
			text, public := read(t, dir, "k.pem"), read(t, dir, "pub.pem")
			checkRaw(t, text, public, tt.kind)
			if !strings.HasPrefix(tt.kind, "EC ") {
				return
			}
			reckoned, spelled := canReckon(tt.kind), strings.HasSuffix(tt.kind, "(explicit)")
			for _, args := range [][]string{{}, {"-no_public"}, {"-conv_form", "compressed"}, {"-conv_form", "hybrid"}} {
				if !reckoned && slices.Contains(args, "-no_public") {
					continue
				}
				t.Run("SEC 1 "+strings.Join(args, " "), func(t *testing.T) {
					run(t, dir, nil, "openssl", append([]string{"ec", "-in", "k.pem", "-out", "other.pem"}, args...)...)
					run(t, dir, nil, "openssl", "pkey", "-in", "other.pem", "-pubout", "-out", "other.pub")
					text := read(t, dir, "other.pem")
					// OpenSSL writes the base of a curve in another form than it reads.
					if !spelled || len(args) < 2 {
						checkRaw(t, text, read(t, dir, "other.pub"), tt.kind)
					}
					if raw := rawKey(t, text, ""); reckoned && !HoldsKey(spkiOf(t, public), raw.Public()) {
						t.Errorf("HoldsKey: the public half is another one: %x", raw.public.SPKI())
					}
				})
			}
		})
	}
}

// canReckon says whether a key of a kind needs no public half in the file.
func canReckon(kind string) bool {
	return strings.HasSuffix(kind, "(explicit)") || slices.ContainsFunc(namedCurves, func(c namedCurve) bool { return "EC "+c.name == kind })
}

// The arithmetic gives what Go's own gives on the curves that Go has.
func TestCurvesLikeGo(t *testing.T) {
	t.Parallel()
	for _, known := range goCurves {
		c := ofGo(known.curve)
		for _, k := range []*big.Int{
			big.NewInt(1), big.NewInt(2), big.NewInt(3), big.NewInt(1 << 40),
			new(big.Int).Sub(c.n, big.NewInt(1)), new(big.Int).Rsh(c.n, 1),
		} {
			x, y := known.curve.ScalarBaseMult(k.Bytes()) //nolint:staticcheck // SA1019: to compare with
			want := elliptic.Marshal(known.curve, x, y)   //nolint:staticcheck // SA1019: to compare with
			if got := c.encode(c.multiply(k), longForm); !bytes.Equal(got, want) {
				t.Errorf("%s times %d = %x, want %x", c.name, k, got, want)
			}
		}
		if p := c.multiply(c.n); p != nil {
			t.Errorf("%s times its order = %v, want infinity", c.name, p)
		}
	}
	for _, named := range namedCurves {
		c := named.curve()
		if p := c.multiply(c.n); p != nil {
			t.Errorf("%s times its order = %v, want infinity", c.name, p)
		}
	}
}

// With a password, OpenSSL opens what was written, and finds it as it was.
func TestOthersOpenEncryptedRawKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := read(t, "testdata", "raw-secp256k1.key")
	sealed, err := EncodeKey(rawKey(t, text, ""), PKCS8, []byte("geslo"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "k.pem", sealed)
	if got := run(t, dir, nil, "openssl", "pkey", "-in", "k.pem", "-passin", "pass:geslo"); got != string(text) {
		t.Errorf("openssl pkey opens\n%s, want\n%s", got, text)
	}
	if got := rawKey(t, sealed, "geslo"); !same(got, rawKey(t, text, "")) {
		t.Errorf("DecodeKey opens another key: %v", got)
	}
}

func TestRawKeyIsOfNoUse(t *testing.T) {
	t.Parallel()
	raw := rawKey(t, read(t, "testdata", "raw-ed448.key"), "")
	_, err := raw.Sign(nil, nil, crypto.Hash(0))
	checkCode(t, err, CodeKeyUnsupported)
	_, err = (&Request{Subject: Subject{CommonName: "portal.acme.example"}}).Sign(raw)
	checkCode(t, err, CodeKeyUnsupported)
	_, _, err = Write(&Request{Subject: Subject{CommonName: "portal.acme.example"}}, raw, WriteOptions{Dir: t.TempDir()})
	checkCode(t, err, CodeKeyUnsupported)
	_, err = EncodeKey(raw, PKCS1, nil)
	checkCode(t, err, "key.format")
	if Checkable(raw.Public()) {
		t.Error("Checkable(Ed448) = true")
	}
	if got := summary(JudgeKey(raw.Public())); !slices.Equal(got, []string{"unknown csr.key.unsupported"}) {
		t.Errorf("JudgeKey(Ed448) = %q", got)
	}
}

// oddRSA is testdata/pkcs1.key with some of its numbers changed.
func oddRSA(t *testing.T, change func(*rsaPrivateKey)) *pem.Block {
	t.Helper()
	var k rsaPrivateKey
	block, _ := pem.Decode(read(t, "testdata", "pkcs1.key"))
	if !whole(block.Bytes, &k) {
		t.Fatal("pkcs1.key is not readable")
	}
	change(&k)
	der, err := asn1.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	return &pem.Block{Type: pemPKCS1, Bytes: der}
}

func TestDecodeOddRSA(t *testing.T) {
	t.Parallel()
	one, zero := big.NewInt(1), new(big.Int)
	whole, err := DecodeKey(oddRSA(t, func(*rsaPrivateKey) {}), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		change func(*rsaPrivateKey)
		code   string
	}{
		{"nothing changed", func(*rsaPrivateKey) {}, ""},
		{"a remainder wrong", func(k *rsaPrivateKey) { k.DP.Add(k.DP, one) }, ""},
		{"remainders missing", func(k *rsaPrivateKey) { k.DP, k.DQ, k.Coefficient = zero, zero, zero }, ""},
		{"coefficient wrong", func(k *rsaPrivateKey) { k.Coefficient.Add(k.Coefficient, one) }, ""},
		{"primes the other way round", func(k *rsaPrivateKey) { k.P, k.Q = k.Q, k.P }, ""},
		{"exponent wrong, remainders right", func(k *rsaPrivateKey) { k.D.Add(k.D, one) }, ""},
		{"exponent and remainder wrong", func(k *rsaPrivateKey) { k.D.Add(k.D, one); k.DP.Add(k.DP, one) }, CodeKeyDamaged},
		{"prime wrong", func(k *rsaPrivateKey) { k.P.Add(k.P, one) }, CodeKeyDamaged},
		{"modulus wrong", func(k *rsaPrivateKey) { k.N.Add(k.N, one) }, CodeKeyDamaged},
		{"no primes", func(k *rsaPrivateKey) { k.P, k.Q = zero, zero }, CodeKeyDamaged},
		{"prime negative", func(k *rsaPrivateKey) { k.P.Neg(k.P); k.Q.Neg(k.Q) }, CodeKeyDamaged},
		{"prime of one", func(k *rsaPrivateKey) { k.P.Set(k.N); k.Q = one }, CodeKeyDamaged},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			block := oddRSA(t, tt.change)
			key, err := DecodeKey(block, nil)
			if tt.code != "" {
				checkCode(t, err, tt.code)
				return
			}
			if err != nil || !same(key, whole) || DescribeKey(key.Public()) != "RSA 512" {
				t.Fatalf("DecodeKey = %v, %v", key, err)
			}
			raw, ok := key.(*RawKey)
			if !ok {
				return // Go puts some of it right
			}
			if out, err := EncodeKey(raw, PKCS1, nil); err != nil || !bytes.Equal(out, pem.EncodeToMemory(block)) {
				t.Errorf("EncodeKey(PKCS1) = %s, %v, want it as it came", out, err)
			}
			if !raw.public.Equal(whole.Public()) {
				t.Error("Equal: the public half is another one")
			}
		})
	}
}

// The same key in a certificate may be written in another way.
func TestHoldsKey(t *testing.T) {
	t.Parallel()
	pss := rawKey(t, read(t, "testdata", "raw-pss.key"), "")
	var info privateKeyInfo
	if !whole(pss.PKCS8(), &info) {
		t.Fatal("raw-pss.key is not readable")
	}
	plain, err := DecodeKey(&pem.Block{Type: pemPKCS1, Bytes: info.Key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	public, ok := plain.Public().(*rsa.PublicKey)
	if !ok {
		t.Fatalf("the key inside is a %T", plain)
	}
	withoutNull, err := asn1.Marshal(publicKeyInfo{
		Algorithm: algorithmIdentifier{Algorithm: oidRSA}, Key: bitString(x509.MarshalPKCS1PublicKey(public)),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		spki []byte
		pub  crypto.PublicKey
		want bool
	}{
		{"RSA-PSS as RSA-PSS", pss.public.SPKI(), pss.Public(), true},
		{"RSA as RSA-PSS", pss.public.SPKI(), public, true},
		{"RSA without NULL", withoutNull, public, true},
		{"RSA without NULL as RSA-PSS", withoutNull, pss.Public(), true},
		{"another kind", pss.public.SPKI(), testKey(t, "ec:p256").Public(), false},
		{"another key", withoutNull, testKey(t, "rsa:2048").Public(), false},
		{"no key", withoutNull, nil, false},
		{"no SubjectPublicKeyInfo", []byte("\x30\x00"), public, false},
	} {
		if got := HoldsKey(tt.spki, tt.pub); got != tt.want {
			t.Errorf("HoldsKey(%s) = %v, want %v", tt.name, got, tt.want)
		}
	}
	for _, name := range []string{"dsa", "ed448", "secp256k1", "explicit"} {
		spki := spkiOf(t, read(t, "testdata", "raw-"+name+".pub"))
		pub, err := ParsePublicKey(spki)
		if err != nil || !HoldsKey(spki, pub) || Fingerprint(pub) != fingerprint(spki) {
			t.Errorf("ParsePublicKey(%s) = %v, %v, which is another key", name, pub, err)
		}
	}
	if _, err := ParsePublicKey([]byte("\x30\x00")); err == nil {
		t.Error("ParsePublicKey takes anything")
	}
}

// Files that ask for much work are refused, or done with soon.
func TestRawKeyBounds(t *testing.T) {
	t.Parallel()
	marshal := func(v any) []byte {
		der, err := asn1.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	ones := func(bits uint) *big.Int {
		n := new(big.Int).Lsh(big.NewInt(1), bits)
		return n.Sub(n, big.NewInt(1))
	}
	dsa := func(p, q, x *big.Int) []byte {
		return marshal([]*big.Int{new(big.Int), p, q, big.NewInt(3), big.NewInt(1), x})
	}
	explicit := func(p *big.Int, size int) []byte {
		number := bytes.Repeat([]byte{0x77}, size)
		domain := marshal(struct {
			Version int
			Field   struct {
				Type asn1.ObjectIdentifier
				P    *big.Int
			}
			Curve struct{ A, B []byte }
			Base  []byte
			Order *big.Int
		}{
			1,
			struct {
				Type asn1.ObjectIdentifier
				P    *big.Int
			}{oidPrimeField, p},
			struct{ A, B []byte }{number, number},
			slices.Concat([]byte{4}, number, number), new(big.Int).Add(p, big.NewInt(1)),
		})
		return marshal(privateKeyInfo{
			Algorithm: algorithmIdentifier{Algorithm: oidEC, Parameters: asn1.RawValue{FullBytes: domain}},
			Key:       marshal(ecPrivateKey{Version: 1, Key: number}),
		})
	}
	for _, tt := range []struct {
		name string
		der  []byte
		code string // "" when it may open
	}{
		{"DSA of 16384 bits", dsa(ones(16384), ones(512), ones(511)), ""},
		{"DSA of 16385 bits", dsa(ones(16385), ones(256), ones(255)), CodeKeyUnsupported},
		{"DSA with an exponent of 16384 bits", dsa(ones(16384), ones(16384), ones(16383)), CodeKeyUnsupported},
		{"DSA that is even", dsa(big.NewInt(1<<20), big.NewInt(101), big.NewInt(7)), CodeKeyDamaged},
		{"DSA that is nothing", dsa(new(big.Int), new(big.Int), new(big.Int)), CodeKeyDamaged},
		{"EC over 521 bits", explicit(ones(521), 66), ""},
		{"EC over 2203 bits", explicit(ones(2203), 276), CodeKeyUnsupported},
		{"EC over what is no field", explicit(ones(520), 65), CodeKeyUnsupported},
		{"EC over nothing", explicit(new(big.Int), 0), CodeKeyUnsupported},
	} {
		t.Run(tt.name, func(t *testing.T) {
			start := time.Now()
			_, err := DecodeKey(&pem.Block{Bytes: tt.der}, nil)
			if tt.code != "" {
				checkCode(t, err, tt.code)
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}
