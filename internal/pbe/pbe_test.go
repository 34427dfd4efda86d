package pbe

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// password is that of testdata/generate.sh.
var password = []byte("geslo č")

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func fixtures(t testing.TB) []string {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.der")
	if err != nil || len(paths) < 20 {
		t.Fatalf("Glob(testdata/*.der) = %d files, %v, want at least 20", len(paths), err)
	}
	names := make([]string, len(paths))
	for i, p := range paths {
		names[i] = filepath.Base(p)
	}
	return names
}

func TestOpenWhatOpenSSLWrote(t *testing.T) {
	t.Parallel()
	plain := fixture(t, "plain.der")
	for _, name := range fixtures(t) {
		if name == "plain.der" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			der := fixture(t, name)
			got, err := Open(der, password)
			if strings.HasPrefix(name, "unsupported-") {
				if !errors.Is(err, ErrUnsupported) {
					t.Errorf("Open(%s) = %x, %v, want ErrUnsupported", name, got, err)
				}
				return
			}
			if err != nil || !bytes.Equal(got, plain) {
				t.Errorf("Open(%s) = %x, %v, want %x", name, got, err, plain)
			}
			if got, err := Open(der, []byte("geslo c")); err == nil && bytes.Equal(got, plain) {
				t.Errorf("Open(%s) with another password gives the key", name)
			} else if err != nil && !errors.Is(err, ErrPassword) {
				t.Errorf("Open(%s) with another password: %v, want ErrPassword", name, err)
			}
		})
	}
}

func TestSealOpen(t *testing.T) {
	t.Parallel()
	for _, plain := range []string{"", strings.Repeat("a", 16), strings.Repeat("b", 1001)} {
		sealed, err := Seal([]byte(plain), password)
		if err != nil {
			t.Fatalf("Seal(%q): %v", plain, err)
		}
		got, err := Open(sealed, password)
		if err != nil || string(got) != plain {
			t.Errorf("Open(Seal(%q)) = %q, %v", plain, got, err)
		}
	}
}

// parts of an EncryptedPrivateKeyInfo, to be spoiled one by one.
type parts struct {
	scheme, derivation, cipher asn1.ObjectIdentifier
	salt                       any
	rounds                     any
	keyLength                  int
	prf                        pkix.AlgorithmIdentifier
	iv                         any
	data                       []byte
}

// build writes the parts as DER, without caring whether they make sense.
func (p parts) build(t testing.TB) []byte {
	t.Helper()
	marshal := func(v any) asn1.RawValue {
		der, err := asn1.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return asn1.RawValue{FullBytes: der}
	}
	fields := []asn1.RawValue{marshal(p.salt), marshal(p.rounds)}
	if p.keyLength != 0 {
		fields = append(fields, marshal(p.keyLength))
	}
	if p.prf.Algorithm != nil {
		fields = append(fields, marshal(p.prf))
	}
	whole := pkix.AlgorithmIdentifier{Algorithm: p.scheme, Parameters: marshal(pbes2Params{
		KeyDerivation: pkix.AlgorithmIdentifier{Algorithm: p.derivation, Parameters: marshal(fields)},
		Encryption:    pkix.AlgorithmIdentifier{Algorithm: p.cipher, Parameters: marshal(p.iv)},
	})}
	return marshal(Encrypted{Algorithm: whole, Data: p.data}).FullBytes
}

// sample opens to "secret" with the password, salt and rounds of an example of
// RFC 6070, section 2: HMAC-SHA-1, which is what a missing PRF means.
func sample(t testing.TB, password string) parts {
	t.Helper()
	examples := map[string]struct {
		salt   string
		rounds int
		key    string
		cipher asn1.ObjectIdentifier
	}{
		"password": {"salt", 1, "0c60c80f961f0e71f3a9b524af601206", asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 2}},
		"passwordPASSWORDpassword": {
			"saltSALTsaltSALTsaltSALTsaltSALTsalt", 4096,
			"3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f070",
			asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 22},
		},
	}
	e, ok := examples[password]
	if !ok {
		t.Fatalf("RFC 6070 has no example with the password %q", password)
	}
	key, err := hex.DecodeString(e.key)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	iv := []byte("0123456789abcdef")
	data := append([]byte("secret"), bytes.Repeat([]byte{10}, 10)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(data, data)
	return parts{scheme: oidPBES2, derivation: oidPBKDF2, cipher: e.cipher, salt: []byte(e.salt), rounds: e.rounds, iv: iv, data: data}
}

func TestOpenKnownAnswers(t *testing.T) {
	t.Parallel()
	for _, password := range []string{"password", "passwordPASSWORDpassword"} {
		got, err := Open(sample(t, password).build(t), []byte(password))
		if err != nil || string(got) != "secret" {
			t.Errorf("Open(RFC 6070, %q) = %q, %v, want \"secret\"", password, got, err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		spoil func(*parts)
		want  error
	}{
		{"nothing spoiled", func(*parts) {}, nil},
		{"key length as the cipher wants it", func(p *parts) { p.keyLength = 16 }, nil},
		{"PBES2 parameters under PBES1", func(p *parts) { p.scheme = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 3} }, ErrDamaged},
		{"scheme unknown", func(p *parts) { p.scheme = asn1.ObjectIdentifier{1, 2, 3} }, ErrUnsupported},
		{"derivation unknown", func(p *parts) { p.derivation = asn1.ObjectIdentifier{1, 2, 3} }, ErrUnsupported},
		{"PBKDF2 parameters under scrypt", func(p *parts) { p.derivation = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11} }, ErrDamaged},
		{"cipher unknown", func(p *parts) { p.cipher = asn1.ObjectIdentifier{1, 2, 3} }, ErrUnsupported},
		{"PRF unknown", func(p *parts) { p.prf.Algorithm = asn1.ObjectIdentifier{1, 2, 3} }, ErrUnsupported},
		{"no rounds", func(p *parts) { p.rounds = 0 }, ErrDamaged},
		{"negative rounds", func(p *parts) { p.rounds = -1 }, ErrDamaged},
		{"rounds above the limit", func(p *parts) { p.rounds = MaxIterations + 1 }, ErrUnsupported},
		{"2^31-1 rounds", func(p *parts) { p.rounds = 1<<31 - 1 }, ErrUnsupported},
		{"2^63-1 rounds", func(p *parts) { p.rounds = int64(1<<63 - 1) }, ErrUnsupported},
		{"rounds of ten bytes", func(p *parts) { p.rounds = asn1.RawValue{Tag: asn1.TagInteger, Bytes: bytes.Repeat([]byte{1}, 10)} }, ErrUnsupported},
		{"rounds that are no number", func(p *parts) { p.rounds = "many" }, ErrDamaged},
		{"salt that is no string", func(p *parts) { p.salt = 1 }, ErrDamaged},
		{"another key length", func(p *parts) { p.keyLength = 32 }, ErrDamaged},
		{"negative key length", func(p *parts) { p.keyLength = -16 }, ErrDamaged},
		{"short IV", func(p *parts) { p.iv = []byte("short") }, ErrDamaged},
		{"no IV", func(p *parts) { p.iv = asn1.NullRawValue }, ErrDamaged},
		{"no data", func(p *parts) { p.data = nil }, ErrDamaged},
		{"data not in blocks", func(p *parts) { p.data = p.data[:15] }, ErrDamaged},
		{"data changed", func(p *parts) { p.data[15]++ }, ErrPassword},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := sample(t, "password")
			tt.spoil(&p)
			got, err := Open(p.build(t), []byte("password"))
			if !errors.Is(err, tt.want) || (err == nil && string(got) != "secret") {
				t.Errorf("Open(%s) = %q, %v, want %v", tt.name, got, err, tt.want)
			}
		})
	}
}

func TestOpenCutOrChanged(t *testing.T) {
	t.Parallel()
	whole := sample(t, "password").build(t)
	for n := range whole {
		if _, err := Open(whole[:n], []byte("password")); !errors.Is(err, ErrDamaged) {
			t.Errorf("Open(%d of %d bytes): %v, want ErrDamaged", n, len(whole), err)
		}
	}
	if _, err := Open(append(bytes.Clone(whole), 0), []byte("password")); !errors.Is(err, ErrDamaged) {
		t.Errorf("Open(one byte more): %v, want ErrDamaged", err)
	}
	for n := range whole {
		changed := bytes.Clone(whole)
		changed[n] ^= 0x01
		if _, err := Open(changed, []byte("password")); err != nil && !known(err) {
			t.Errorf("Open(byte %d changed): %v, want one of the errors of this package", n, err)
		}
	}
}

func known(err error) bool {
	return errors.Is(err, ErrPassword) || errors.Is(err, ErrDamaged) || errors.Is(err, ErrUnsupported)
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(sample(f, "password").build(f))
	for _, name := range fixtures(f) {
		f.Add(fixture(f, name))
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		if rounds(der) > 5000 {
			t.Skip("costly on purpose; the limit has its own test")
		}
		plain, err := Open(der, []byte("password"))
		if err != nil && (!known(err) || plain != nil) {
			t.Errorf("Open(%x) = %x, %v, want one of the errors of this package", der, plain, err)
		}
	})
}

// rounds returns the number of rounds that der asks for within the limit.
func rounds(der []byte) int {
	var e Encrypted
	var p pbes2Params
	var d pbkdf2Params
	for _, step := range []struct {
		der  []byte
		into any
	}{{der, &e}, {e.Algorithm.Parameters.FullBytes, &p}, {p.KeyDerivation.Parameters.FullBytes, &d}} {
		if _, err := asn1.Unmarshal(step.der, step.into); err != nil {
			return 0
		}
	}
	if d.Iterations > MaxIterations {
		return 0
	}
	return d.Iterations
}
