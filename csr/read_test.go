package csr

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// opensslRequest has OpenSSL make a request and returns its DER.
func opensslRequest(t testing.TB, args ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	run(t, dir, nil, "openssl", append([]string{"req", "-new", "-nodes", "-keyout", "k.pem", "-outform", "DER", "-out", "r.der"}, args...)...)
	return read(t, dir, "r.der")
}

// dsaRequest takes OpenSSL three steps.
func dsaRequest(t testing.TB) []byte {
	t.Helper()
	dir := t.TempDir()
	run(t, dir, nil, "openssl", "genpkey", "-genparam", "-algorithm", "DSA", "-pkeyopt", "dsa_paramgen_bits:1024", "-out", "p.pem")
	run(t, dir, nil, "openssl", "genpkey", "-paramfile", "p.pem", "-out", "k.pem")
	run(t, dir, nil, "openssl", "req", "-new", "-key", "k.pem", "-subj", "/CN=portal.acme.com", "-outform", "DER", "-out", "r.der")
	return read(t, dir, "r.der")
}

func TestParseOthers(t *testing.T) {
	t.Parallel()
	san := []string{"-subj", "/CN=portal.acme.com", "-addext", "subjectAltName=DNS:portal.acme.com"}
	with := func(args ...string) func(testing.TB) []byte {
		return func(t testing.TB) []byte { return opensslRequest(t, append(slices.Clone(san), args...)...) }
	}
	tests := []struct {
		name string
		make func(testing.TB) []byte
		key  string
		want []string // summary
	}{
		{"RSA 2048", with("-newkey", "rsa:2048"), "RSA 2048", []string{"pass csr.signature.ok", "pass csr.key.ok"}},
		{"RSA 1024", with("-newkey", "rsa:1024"), "RSA 1024", []string{"pass csr.signature.ok", "fail csr.key.weak"}},
		{"RSA 512", with("-newkey", "rsa:512"), "RSA 512", []string{"pass csr.signature.ok", "fail csr.key.weak"}},
		{"SHA-1", with("-newkey", "rsa:2048", "-sha1"), "RSA 2048", []string{"warn csr.signature.weak", "pass csr.key.ok"}},
		{"SHA-1 and EC", with("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-sha1"), "EC P-256", []string{"warn csr.signature.weak", "pass csr.key.ok"}},
		{"MD5", with("-newkey", "rsa:2048", "-md5"), "RSA 2048", []string{"fail csr.signature.weak", "pass csr.key.ok"}},
		{"SHA-224", with("-newkey", "rsa:2048", "-sha224"), "RSA 2048", []string{"unknown csr.signature.unsupported", "pass csr.key.ok"}},
		{"RSA-PSS", with("-newkey", "rsa:2048", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"), "RSA 2048", []string{"pass csr.signature.ok", "pass csr.key.ok"}},
		{"RSA-PSS with a long salt", with("-newkey", "rsa:2048", "-sigopt", "rsa_padding_mode:pss"), "RSA 2048", []string{"unknown csr.signature.unsupported", "pass csr.key.ok"}},
		{"P-384", with("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"), "EC P-384", []string{"pass csr.signature.ok", "pass csr.key.ok"}},
		{"P-521", with("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521"), "EC P-521", []string{"pass csr.signature.ok", "warn csr.key.unusual"}},
		{"Ed25519", with("-newkey", "ed25519"), "Ed25519", []string{"pass csr.signature.ok", "warn csr.key.unusual"}},
		{"Ed448", with("-newkey", "ed448"), "Ed448", []string{"unknown csr.signature.unsupported", "unknown csr.key.unsupported"}},
		{"DSA", dsaRequest, "DSA 1024", []string{"unknown csr.signature.unsupported", "unknown csr.key.unsupported", "warn csr.san.missing"}},
		{
			"no alternative name", func(t testing.TB) []byte {
				return opensslRequest(t, "-newkey", "rsa:2048", "-subj", "/CN=portal.acme.com")
			},
			"RSA 2048",
			[]string{"pass csr.signature.ok", "pass csr.key.ok", "warn csr.san.missing"},
		},
		{
			"no name at all", func(t testing.TB) []byte { return opensslRequest(t, "-newkey", "rsa:2048", "-subj", "/C=AU") },
			"RSA 2048",
			[]string{"pass csr.signature.ok", "pass csr.key.ok", "fail csr.san.missing"},
		},
		{"another alternative name", func(t testing.TB) []byte {
			return opensslRequest(t, "-newkey", "rsa:2048", "-subj", "/CN=portal.acme.com", "-addext", "subjectAltName=DNS:www.acme.com,DNS:*.acme.com")
		}, "RSA 2048", []string{"pass csr.signature.ok", "pass csr.key.ok", "warn csr.san.without-name", "warn csr.wildcard.scope"}},
		{"defaults of OpenSSL", func(t testing.TB) []byte {
			return opensslRequest(t, "-newkey", "rsa:2048", "-subj", "/C=AU/ST=Some-State/O=Internet Widgits Pty Ltd/CN=portal.acme.com", "-addext", "subjectAltName=DNS:portal.acme.com")
		}, "RSA 2048", []string{"pass csr.signature.ok", "pass csr.key.ok", "warn csr.field.placeholder", "warn csr.field.placeholder"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			der := tt.make(t)
			info, err := Parse(der)
			if err != nil {
				t.Fatal(err)
			}
			findings := info.Judge()
			if got := summary(findings); info.Key != tt.key || !slices.Equal(got, tt.want) {
				t.Errorf("Parse(%s).Judge() = %s, %q, want %s, %q", tt.name, info.Key, got, tt.key, tt.want)
			}
			if len(info.SPKISHA256) != 64 {
				t.Errorf("Parse(%s).SPKISHA256 = %q, want 64 digits", tt.name, info.SPKISHA256)
			}
			checkFindings(t, findings)
		})
	}
}

// The fingerprint is the one that OpenSSL computes, also for a kind of key that
// Go does not know.
func TestFingerprintAgreesWithOpenSSL(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run(t, dir, nil, "openssl", "req", "-new", "-nodes", "-newkey", "ed448", "-keyout", "k.pem", "-subj", "/CN=a.example.com", "-outform", "DER", "-out", "r.der")
	run(t, dir, nil, "openssl", "pkey", "-in", "k.pem", "-pubout", "-outform", "DER", "-out", "p.der")
	info, err := Parse(read(t, dir, "r.der"))
	sum := sha256.Sum256(read(t, dir, "p.der"))
	if want := hex.EncodeToString(sum[:]); err != nil || info.SPKISHA256 != want {
		t.Errorf("Parse(Ed448).SPKISHA256 = %+v, %v, want %s", info, err, want)
	}
}

func TestParseAttributesOfOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "c.cnf", []byte(`[req]
distinguished_name = dn
attributes = attr
req_extensions = ext
prompt = no
[dn]
CN = portal.acme.com
[attr]
challengePassword = not-a-secret
unstructuredName = front door
1.3.6.1.4.1.311.13.2.3 = 10.0.17763.2
[ext]
subjectAltName = DNS:portal.acme.com
keyUsage = digitalSignature
1.2.3.4 = ASN1:NULL
`))
	run(t, dir, nil, "openssl", "req", "-new", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-config", "c.cnf", "-keyout", "k.pem", "-outform", "DER", "-out", "r.der")
	info, err := Parse(read(t, dir, "r.der"))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"challengePassword": "(present, not shown)", "unstructuredName": "front door", "osVersion": "10.0.17763.2",
		"extensionRequest": "subjectAltName, keyUsage, 1.2.3.4",
	} {
		if got := info.Attributes[name]; got != want {
			t.Errorf("Parse(…).Attributes[%q] = %q, want %q", name, got, want)
		}
	}
	if got := summary(info.Judge()); !slices.Contains(got, "warn csr.challenge.visible") {
		t.Errorf("Judge() = %q, want a warning of the challenge password", got)
	}
}

// Windows writes the extensions under an identifier of its own.
func TestParseWindowsExtensionRequest(t *testing.T) {
	t.Parallel()
	r := acme()
	own, err := r.attributes()
	if err != nil {
		t.Fatal(err)
	}
	for i := range own {
		if own[i].Type.Equal(oidExtensionRequest) {
			own[i].Type = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 14}
		}
	}
	info, err := Parse(signInfo(t, r, own))
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Attributes["extensionRequest"]; got != "subjectAltName" || !slices.Equal(info.SANs, acme().SANs) {
		t.Errorf("Parse(Windows request) = %q, %v, want the alternative names of %v", got, info.SANs, acme().SANs)
	}
	if !*info.SignatureOK {
		t.Error("Parse(Windows request): the signature is not good")
	}
}

// signInfo signs a request with any attributes.
func signInfo(t testing.TB, r *Request, attributes []attribute) []byte {
	t.Helper()
	key := testKey(t, "ec:p256")
	var whole struct{ Info, Algorithm, Signature asn1.RawValue }
	der := signed(t, r, "ec:p256")
	if _, err := asn1.Unmarshal(der, &whole); err != nil {
		t.Fatal(err)
	}
	var info requestInfo
	if _, err := asn1.Unmarshal(whole.Info.FullBytes, &info); err != nil {
		t.Fatal(err)
	}
	info.Raw, info.Attributes = nil, attributes
	tbs, err := asn1.Marshal(info)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := sign(key, crypto.SHA256, tbs)
	if err != nil {
		t.Fatal(err)
	}
	algorithm, _, err := signatureAlgorithm(key.Public(), crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	der, err = asn1.Marshal(signedRequest{
		Info: asn1.RawValue{FullBytes: tbs}, Algorithm: algorithm,
		Signature: asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestParseChanged(t *testing.T) {
	t.Parallel()
	der := signed(t, acme(), "ec:p256")
	changed := bytes.Replace(der, []byte("Newcastle"), []byte("newcastle"), 1)
	info, err := Parse(changed)
	if err != nil || info.SignatureOK == nil || *info.SignatureOK {
		t.Fatalf("Parse(changed) = %+v, %v, want a bad signature", info, err)
	}
	if got := summary(info.Judge()); got[0] != "fail csr.signature.bad" {
		t.Errorf("Judge(changed) = %q, want first a bad signature", got)
	}
	for n := range der {
		for _, mask := range []byte{0x01, 0x80} {
			changed := bytes.Clone(der)
			changed[n] ^= mask
			info, err := Parse(changed)
			switch {
			case err != nil:
				checkCode(t, err, "csr.damaged")
			case info.SignatureOK != nil && *info.SignatureOK:
				t.Errorf("Parse(byte %d ^ %#x) finds the signature good", n, mask)
			default:
				checkFindings(t, info.Judge())
			}
		}
	}
}

func TestParseDamaged(t *testing.T) {
	t.Parallel()
	der := signed(t, acme(), "ec:p256")
	for n := range der {
		if info, err := Parse(der[:n]); err == nil {
			t.Errorf("Parse(%d of %d bytes) = %+v, want an error", n, len(der), info)
		} else {
			checkCode(t, err, "csr.damaged")
		}
	}
	for _, bad := range [][]byte{nil, []byte("hello"), append(bytes.Clone(der), 0), PEM(der)} {
		_, err := Parse(bad)
		checkCode(t, err, "csr.damaged")
	}
}

func FuzzParse(f *testing.F) {
	for _, block := range seeds(f, "testdata/*.csr") {
		f.Add(block.Bytes)
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, der []byte) {
		info, err := Parse(der)
		if err != nil {
			checkCode(t, err, "csr.damaged")
			return
		}
		info.Judge()
		if strings.ContainsAny(info.Subject, "\x00\x1b\n") {
			t.Errorf("Parse(%x).Subject = %q, which holds control characters", der, info.Subject)
		}
	})
}

// seeds returns the PEM blocks of the files that a pattern matches.
func seeds(f *testing.F, pattern string) []*pem.Block {
	f.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) < 5 {
		f.Fatalf("Glob(%s) = %q, %v", pattern, paths, err)
	}
	blocks := make([]*pem.Block, len(paths))
	for i, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		if blocks[i], _ = pem.Decode(data); blocks[i] == nil {
			f.Fatalf("%s holds no PEM", path)
		}
	}
	return blocks
}
