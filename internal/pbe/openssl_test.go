package pbe

import (
	"bytes"
	"crypto/sha1"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// seal has OpenSSL encrypt plain.der. It skips the test when OpenSSL is missing
// or was built without the scheme.
func seal(t *testing.T, password []byte, args ...string) []byte {
	t.Helper()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	dir := t.TempDir()
	pass, out := filepath.Join(dir, "pass"), filepath.Join(dir, "out.der")
	if err := os.WriteFile(pass, password, 0o600); err != nil {
		t.Fatal(err)
	}
	args = append([]string{
		"pkcs8", "-topk8", "-inform", "DER", "-in", "testdata/plain.der", "-outform", "DER", "-out", out,
		"-passout", "file:" + pass, "-provider", "legacy", "-provider", "default",
	}, args...)
	if text, err := exec.CommandContext(t.Context(), openssl, args...).CombinedOutput(); err != nil {
		t.Skipf("openssl %q: %v\n%s", args, err, text)
	}
	der, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// TestOpenWhatOpenSSLWrites tries the ciphers and schemes for which there is no
// fixture with the OpenSSL that is installed.
func TestOpenWhatOpenSSLWrites(t *testing.T) {
	t.Parallel()
	plain := fixture(t, "plain.der")
	check := func(args ...string) {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			t.Parallel()
			if got, err := Open(seal(t, password, args...), password); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("Open(openssl pkcs8 %q) = %x, %v, want %x", args, got, err, plain)
			}
		})
	}
	modes := map[string]string{
		"aes-128": "ecb cbc ofb cfb", "aes-192": "ecb cbc ofb cfb", "aes-256": "cbc",
		"camellia-128": "ecb ofb cfb ctr", "camellia-192": "ecb ofb cfb ctr", "camellia-256": "ecb ofb cfb",
		"aria-128": "ecb ofb cfb ctr", "aria-192": "ecb ofb cfb ctr", "aria-256": "ecb ofb cfb ctr",
		"seed": "ecb ofb cfb", "sm4": "ecb ofb cfb ctr", "des": "ecb ofb cfb ede",
	}
	for cipher, list := range modes {
		for mode := range strings.FieldsSeq(list) {
			check("-v2", cipher+"-"+mode)
		}
	}
	check("-scrypt", "-scrypt_N", "1024", "-scrypt_r", "4", "-scrypt_p", "2")
	// Programs use the older schemes with one round and with many.
	check("-v1", "PBE-SHA1-3DES", "-iter", "1")
	check("-v1", "PBE-SHA1-2DES", "-iter", "5000")
	check("-v1", "PBE-MD5-DES", "-iter", "1")
}

// TestPasswords compares how passwords are taken with OpenSSL: as bytes by PBES1
// and PBES2, as characters by RFC 7292.
func TestPasswords(t *testing.T) {
	t.Parallel()
	plain := fixture(t, "plain.der")
	for _, tt := range []struct{ name, password string }{
		{"ASCII", "geslo"},
		{"Slovene", "Geslo-čšž€"},
		{"emoji", "geslo 🔑"},
		{"Latin-1", "stra\xdfe"},
		{"spaces", "  geslo  "},
		{"long", strings.Repeat("geslo", 60)},
	} {
		for _, args := range [][]string{
			{"-v2", "aes-256-cbc"},
			{"-scrypt"},
			{"-v1", "PBE-MD5-DES"},
			{"-v1", "PBE-SHA1-3DES"},
		} {
			t.Run(tt.name+" "+args[len(args)-1], func(t *testing.T) {
				t.Parallel()
				got, err := Open(seal(t, []byte(tt.password), args...), []byte(tt.password))
				if err != nil || !bytes.Equal(got, plain) {
					t.Errorf("Open(openssl pkcs8 %q with %q) = %x, %v, want %x", args, tt.password, got, err, plain)
				}
			})
		}
	}
}

// What OpenSSL 1.0 derived from the bytes of "č" is what OpenSSL 3 derives from
// the two characters that those bytes are in Latin-1.
func TestBytewise(t *testing.T) {
	t.Parallel()
	old, now := NewPassword([]byte("geslo \xc4\x8d")).Bytewise(), NewPassword([]byte("geslo \u00c4\u008d"))
	if !bytes.Equal(old.bmp, now.bmp) {
		t.Errorf("Bytewise: %x, want %x", old.bmp, now.bmp)
	}
	if p := NewPassword([]byte("geslo")); !bytes.Equal(p.Bytewise().bmp, p.bmp) {
		t.Errorf("Bytewise of ASCII: %x, want %x", p.Bytewise().bmp, p.bmp)
	}
}

func TestDerivationDoesNotAllocateByRound(t *testing.T) {
	p := NewPassword(password)
	allocations := func(rounds int) float64 {
		return testing.AllocsPerRun(5, func() {
			DerivePKCS12(sha1.New, keyMaterial, p, []byte("saltsalt"), rounds, 24)
			derivePBKDF1(sha1.New, p.text, []byte("saltsalt"), rounds)
		})
	}
	if few, many := allocations(2), allocations(2000); many > few {
		t.Errorf("a derivation of 2 rounds allocates %v times, one of 2000 rounds %v times", few, many)
	}
}

func BenchmarkDerivePKCS12(b *testing.B) {
	p := NewPassword(password)
	b.ReportAllocs()
	for b.Loop() {
		DerivePKCS12(sha1.New, keyMaterial, p, []byte("saltsalt"), 2048, 24)
	}
}
