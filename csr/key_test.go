package csr

import (
	"bytes"
	"crypto"
	"encoding/pem"
	"slices"
	"strconv"
	"strings"
	"testing"

	"onsite/report"
)

const testPassword = "Geslo čšž"

// checkCode wants an error with the code, which can be shown and has a page.
func checkCode(t testing.TB, err error, code string) {
	t.Helper()
	if !report.HasCode(err, code) {
		t.Errorf("error is %v, want one with the code %s", err, code)
		return
	}
	e := report.AsError(err)
	if _, ok := report.Explain(code); !ok {
		t.Errorf("the code %s has no page", code)
	}
	if e.Remedy == "" || strings.HasSuffix(e.Remedy, ".") || strings.HasSuffix(e.Message, ".") || strings.Contains(e.Message, testPassword) {
		t.Errorf("error %q with remedy %q: want a remedy, no full stops and no password", e.Message, e.Remedy)
	}
}

func same(a, b crypto.Signer) bool {
	return a != nil && b != nil && Fingerprint(a.Public()) == Fingerprint(b.Public())
}

func decode(t testing.TB, text []byte, password string) (crypto.Signer, error) {
	t.Helper()
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatalf("no PEM in %q", text)
	}
	return DecodeKey(block, []byte(password))
}

func TestEncodeDecodeKey(t *testing.T) {
	t.Parallel()
	for _, spec := range KeyNames() {
		for _, password := range []string{"", testPassword} {
			key := testKey(t, spec)
			text, err := EncodeKey(key, PKCS8, []byte(password))
			if err != nil {
				t.Fatalf("EncodeKey(%s, %q): %v", spec, password, err)
			}
			if got, err := decode(t, text, password); err != nil || !same(got, key) {
				t.Errorf("DecodeKey(EncodeKey(%s, %q)) = %v, %v", spec, password, got, err)
			}
			block, _ := pem.Decode(text)
			if got, err := DecodeKey(&pem.Block{Bytes: block.Bytes}, []byte(password)); err != nil || !same(got, key) {
				t.Errorf("DecodeKey(DER of %s, %q) = %v, %v", spec, password, got, err)
			}
		}
	}
}

func TestEncodeKeyPKCS1(t *testing.T) {
	t.Parallel()
	key := testKey(t, "rsa:2048")
	text, err := EncodeKey(key, PKCS1, nil)
	if err != nil || !bytes.HasPrefix(text, []byte("-----BEGIN RSA PRIVATE KEY-----\n")) {
		t.Fatalf("EncodeKey(rsa:2048, PKCS1) = %q, %v", text, err)
	}
	if got, err := decode(t, text, ""); err != nil || !same(got, key) {
		t.Errorf("DecodeKey(EncodeKey(rsa:2048, PKCS1)) = %v, %v", got, err)
	}
	_, err = EncodeKey(key, PKCS1, []byte("x"))
	checkCode(t, err, "key.format")
	_, err = EncodeKey(testKey(t, "ec:p256"), PKCS1, nil)
	checkCode(t, err, "key.format")
}

func TestOthersOpenEncryptedKey(t *testing.T) {
	t.Parallel()
	for _, spec := range []string{"rsa:2048", "ec:p256", "ed25519"} {
		t.Run(spec, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			key := testKey(t, spec)
			text, err := EncodeKey(key, PKCS8, []byte(testPassword))
			if err != nil {
				t.Fatal(err)
			}
			write(t, dir, "k.pem", text)
			write(t, dir, "pass", []byte(testPassword+"\n"))
			run(t, dir, nil, "openssl", "pkey", "-in", "k.pem", "-passin", "file:pass", "-out", "plain.pem")
			if got, err := decode(t, read(t, dir, "plain.pem"), ""); err != nil || !same(got, key) {
				t.Errorf("openssl pkey opens another key: %v, %v", got, err)
			}
			public := run(t, dir, nil, "certtool", "--load-privkey", "k.pem", "--password", testPassword, "--pubkey-info")
			block, _ := pem.Decode([]byte(public[max(strings.Index(public, "-----BEGIN"), 0):]))
			if block == nil || fingerprint(block.Bytes) != Fingerprint(key.Public()) {
				t.Errorf("certtool --pubkey-info opens another key:\n%s", public)
			}
		})
	}
}

// TestDecodeKeyOfOpenSSL covers every way in which OpenSSL 1.0 to 3 write keys.
func TestDecodeKeyOfOpenSSL(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run(t, dir, nil, "openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "rsa.pem")
	run(t, dir, nil, "openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "ec.pem")
	write(t, dir, "pass", []byte(testPassword))
	type test struct {
		name, key string
		args      []string
		code      string // "" when it opens
	}
	pkcs8 := func(args ...string) []string {
		return append([]string{"pkcs8", "-topk8", "-passout", "file:pass"}, args...)
	}
	tests := []test{
		{"PKCS#8", "rsa.pem", []string{"pkey"}, ""},
		{"PKCS#1", "rsa.pem", []string{"pkey", "-traditional"}, ""},
		{"SEC 1", "ec.pem", []string{"pkey", "-traditional"}, ""},
		{"default", "ec.pem", pkcs8(), ""},
		{"scrypt", "ec.pem", pkcs8("-scrypt"), ""},
		{"PBES1", "rsa.pem", pkcs8("-v1", "PBE-SHA1-3DES"), ""},
		{"Camellia", "rsa.pem", pkcs8("-v2", "camellia-256-cbc"), ""},
	}
	for _, cipher := range []string{"aes-128-cbc", "aes-192-cbc", "aes-256-cbc", "des3"} {
		for _, prf := range []string{"SHA1", "SHA224", "SHA256", "SHA384", "SHA512"} {
			tests = append(tests, test{cipher + " " + prf, "ec.pem", pkcs8("-v2", cipher, "-v2prf", "hmacWith"+prf), ""})
		}
	}
	for _, cipher := range []string{"-des3", "-aes128", "-aes192", "-aes256"} {
		for _, key := range []string{"rsa.pem", "ec.pem"} {
			tests = append(tests, test{"Proc-Type " + cipher + " " + key, key, []string{"pkey", "-traditional", cipher, "-passout", "file:pass"}, ""})
		}
	}
	for _, cipher := range []string{
		"des", "aes-256-ofb", "aes-192-cfb", "aes-256-ctr", "camellia128", "camellia-256-cfb", "aria256", "seed",
		"sm4-cbc", "bf", "cast", "rc2-cbc", "rc2-64-cbc", "rc2-40-cbc", "des-ede-cbc", "des-ede3-cfb",
	} {
		tests = append(tests, test{"Proc-Type " + cipher, "rsa.pem", []string{
			"pkey", "-traditional", "-" + cipher, "-passout", "file:pass", "-provider", "legacy", "-provider", "default",
		}, ""})
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			out := strconv.Itoa(i) + ".pem"
			run(t, dir, nil, "openssl", append(slices.Clone(tt.args), "-in", tt.key, "-out", out)...)
			text := read(t, dir, out)
			key, err := decode(t, read(t, dir, tt.key), "")
			if err != nil {
				t.Fatal(err)
			}
			got, err := decode(t, text, testPassword)
			if tt.code != "" {
				checkCode(t, err, tt.code)
				return
			}
			if err != nil || !same(got, key) {
				t.Errorf("DecodeKey(%s) = %v, %v", tt.name, got, err)
			}
			if slices.Contains(tt.args, "-passout") || tt.name == "default" {
				_, err := decode(t, text, "")
				checkCode(t, err, CodeKeyPasswordRequired)
				// Some wrong passwords leave a padding that looks right.
				for _, wrong := range []string{"wrong", testPassword + " ", strings.ToUpper(testPassword)} {
					_, err := decode(t, text, wrong)
					checkCode(t, err, CodeKeyPassword)
				}
			}
		})
	}
}

// Each of 600 wrong passwords is called wrong: about two of them leave a right
// padding by chance. The old encryption of PEM has one round, so this is quick.
func TestWrongPasswordByChance(t *testing.T) {
	t.Parallel()
	text := []byte(`-----BEGIN EC PRIVATE KEY-----
Proc-Type: 4,ENCRYPTED
DEK-Info: AES-128-CBC,30313233343536373839616263646566

MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVm
-----END EC PRIVATE KEY-----
`)
	for i := range 600 {
		_, err := decode(t, text, strings.Repeat("x", i%50)+string(rune('a'+i/50)))
		checkCode(t, err, CodeKeyPassword)
	}
}

func TestDecodeKeyRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		text []byte
		code string
	}{
		{"ML-DSA-44 without its public half", []byte("-----BEGIN PRIVATE KEY-----\nMDQCAQAwCwYJYIZIAWUDBAMRBCKAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZ\nGhscHR4f\n-----END PRIVATE KEY-----\n"), CodeKeyUnsupported},
		{"SEC 1 without its curve", []byte("-----BEGIN EC PRIVATE KEY-----\nMAYCAQEEAQE=\n-----END EC PRIVATE KEY-----\n"), CodeKeyUnsupported},
		{"OpenSSH", []byte("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n-----END OPENSSH PRIVATE KEY-----\n"), CodeKeyUnsupported},
		{"text", []byte("-----BEGIN PRIVATE KEY-----\naGVsbG8gd29ybGQ=\n-----END PRIVATE KEY-----\n"), CodeKeyDamaged},
		{"empty", []byte("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"), CodeKeyDamaged},
		{"empty, encrypted", []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\n-----END ENCRYPTED PRIVATE KEY-----\n"), CodeKeyDamaged},
		{"cipher unknown", []byte("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: IDEA-CBC,3031323334353637\n\naGVsbG8gd29ybGQ=\n-----END RSA PRIVATE KEY-----\n"), CodeKeyUnsupported},
		{"no initialisation vector", []byte("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC\n\naGVsbG8gd29ybGQ=\n-----END RSA PRIVATE KEY-----\n"), CodeKeyDamaged},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := decode(t, tt.text, "x")
			checkCode(t, err, tt.code)
		})
	}
}

// Keys too small for authorities are read, so that it can be said.
func TestDecodeSmallKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run(t, dir, nil, "openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:512", "-out", "k.pem")
	key, err := decode(t, read(t, dir, "k.pem"), "")
	if err != nil || DescribeKey(key.Public()) != "RSA 512" {
		t.Fatalf("DecodeKey(RSA 512) = %v, %v", key, err)
	}
	if got := summary(JudgeKey(key.Public())); !slices.Equal(got, []string{"fail csr.key.weak"}) {
		t.Errorf("JudgeKey(RSA 512) = %q", got)
	}
}

func TestDecodeKeyCut(t *testing.T) {
	t.Parallel()
	for _, spec := range []string{"rsa:2048", "ec:p256", "ed25519"} {
		text, err := EncodeKey(testKey(t, spec), PKCS8, nil)
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(text)
		for n := range block.Bytes {
			_, err := DecodeKey(&pem.Block{Type: block.Type, Bytes: block.Bytes[:n]}, nil)
			checkCode(t, err, CodeKeyDamaged)
		}
	}
	sealed := read(t, "testdata", "encrypted.key")
	block, _ := pem.Decode(sealed)
	for n := range block.Bytes {
		_, err := DecodeKey(&pem.Block{Type: block.Type, Bytes: block.Bytes[:n]}, []byte(testPassword))
		checkCode(t, err, CodeKeyDamaged)
	}
}

func TestParseKeySpec(t *testing.T) {
	t.Parallel()
	for _, name := range KeyNames() {
		if got, err := ParseKeySpec(strings.ToUpper(name)); err != nil || got.String() != name {
			t.Errorf("ParseKeySpec(%q) = %v, %v", strings.ToUpper(name), got, err)
		}
	}
	for _, bad := range []string{"", "rsa", "rsa:1024", "ec", "dsa:2048"} {
		if got, err := ParseKeySpec(bad); err == nil || !strings.Contains(err.Error(), "rsa:2048") {
			t.Errorf("ParseKeySpec(%q) = %v, %v, want an error that lists the kinds", bad, got, err)
		}
	}
	if DefaultKey.String() != "rsa:2048" {
		t.Errorf("DefaultKey = %s, want rsa:2048", DefaultKey)
	}
}

func FuzzDecodeKey(f *testing.F) {
	for _, block := range seeds(f, "testdata/*.key") {
		f.Add(block.Type, block.Headers["DEK-Info"], block.Bytes)
	}
	f.Add("", "", []byte{})
	codes := []string{CodeKeyPassword, CodeKeyDamaged, CodeKeyUnsupported}
	f.Fuzz(func(t *testing.T, kind, dek string, der []byte) {
		block := &pem.Block{Type: kind, Bytes: der, Headers: map[string]string{}}
		if dek != "" {
			block.Headers["DEK-Info"] = dek
		}
		sealed := kind == pemEncrypted || KeyType(der) == pemEncrypted
		if sealed && (bytes.Contains(der, []byte{0x02, 0x03}) || bytes.Contains(der, []byte{0x02, 0x04})) {
			return // perhaps millions of rounds, which the limit allows
		}
		key, err := DecodeKey(block, []byte(testPassword))
		if err == nil {
			text, err := EncodeKey(key, PKCS8, nil)
			if err != nil {
				t.Fatalf("EncodeKey(DecodeKey(%q, %q, %x)): %v", kind, dek, der, err)
			}
			if again, err := decode(t, text, ""); err != nil || !same(again, key) {
				t.Errorf("DecodeKey(EncodeKey(DecodeKey(%q, %q, %x))) = %v, %v", kind, dek, der, again, err)
			}
		} else if !slices.ContainsFunc(codes, func(c string) bool { return report.HasCode(err, c) }) {
			t.Errorf("DecodeKey(%q, %q, %x): %v, want one of %q", kind, dek, der, err, codes)
		}
	})
}
