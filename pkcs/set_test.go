package pkcs

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"onsite/csr"
)

func set3(t testing.TB) (s *Set, leaf, issuing, root *party) {
	t.Helper()
	leaf, issuing, root = chain3(t)
	return &Set{Key: leaf.key, Leaf: leaf.Certificate, Intermediates: certs(issuing), Root: root.Certificate}, leaf, issuing, root
}

func TestSetWrite(t *testing.T) {
	t.Parallel()
	full, leaf, issuing, root := set3(t)
	rootless := &Set{Key: leaf.key, Leaf: leaf.Certificate, Intermediates: certs(issuing)}
	alone := &Set{Key: leaf.key, Leaf: leaf.Certificate}
	own := issue(t, nil, nil, server("portal.acme.example"))
	selfSigned := &Set{Key: own.key, Leaf: own.Certificate, Root: own.Certificate}
	tests := []struct {
		name           string
		set            *Set
		cert, rootFile string
	}{
		{"whole", full, string(Encode(leaf.Certificate, issuing.Certificate)), string(Encode(issuing.Certificate, root.Certificate))},
		{"no root", rootless, string(Encode(leaf.Certificate, issuing.Certificate)), string(Encode(issuing.Certificate))},
		{"self-signed", selfSigned, string(Encode(own.Certificate)), string(Encode(own.Certificate))},
		{
			"leaf alone", alone, string(Encode(leaf.Certificate)),
			"# portal.acme.example: its issuer \"Issuing\" is not there, so the chain does not reach a root.\n" +
				"# the authority offers it at http://ca.example/issuer.crt.\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "web server")
			if kept, err := tt.set.Write(dir, WriteOptions{}); err != nil || kept != "" {
				t.Fatalf("Write = %q, %v", kept, err)
			}
			for file, want := range map[string]string{CertFile: tt.cert, RootFile: tt.rootFile, KeyFile: string(pemKey(t, tt.set.Key))} {
				if got := string(readFile(t, dir, file)); got != want {
					t.Errorf("%s is %q, want %q", file, got, want)
				}
			}
			entries, err := os.ReadDir(dir)
			if err != nil || len(entries) != 3 {
				t.Errorf("the folder holds %v (%v), want three files", entries, err)
			}
			if runtime.GOOS != "windows" { // permissions are an access list there: see package fileset
				for file, mode := range map[string]os.FileMode{CertFile: 0o644, RootFile: 0o644, KeyFile: 0o600} {
					if fi, err := os.Stat(filepath.Join(dir, file)); err != nil || fi.Mode().Perm() != mode {
						t.Errorf("Stat(%s) = %v, %v, want mode %o", file, fi.Mode(), err, mode)
					}
				}
			}
			// Writing and reading are two sides of one thing.
			installed, err := OpenSet(dir, nil)
			if err != nil || !SameKey(installed.Key, tt.set.Leaf) || !bytes.Equal(Encode(installed.Cert...), readFile(t, dir, CertFile)) {
				t.Errorf("OpenSet = %+v, %v", installed, err)
			}
		})
	}
}

// A name in a certificate cannot smuggle lines into root.pem.
func TestSetWriteHostileName(t *testing.T) {
	t.Parallel()
	root := issue(t, nil, nil, authority("Evil\n-----BEGIN CERTIFICATE-----\nMAA="))
	leaf := issue(t, root, nil, server("portal.acme.example"))
	dir := t.TempDir()
	if _, err := (&Set{Key: leaf.key, Leaf: leaf.Certificate}).Write(dir, WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(readFile(t, dir, RootFile))) {
		if !strings.HasPrefix(line, "# ") {
			t.Errorf("root.pem has the line %q", line)
		}
	}
	if _, err := OpenSet(dir, nil); err != nil {
		t.Errorf("OpenSet: %v", err)
	}
}

func TestSetWriteKeyFormats(t *testing.T) {
	t.Parallel()
	key, err := csr.GenerateKey(csr.DefaultKey)
	if err != nil {
		t.Fatal(err)
	}
	_, leaf, _, _ := set3(t)
	rsaSet := &Set{Key: key, Leaf: leaf.Certificate}
	ecSet := &Set{Key: leaf.key, Leaf: leaf.Certificate}
	tests := []struct {
		name    string
		set     *Set
		options WriteOptions
		kind    string // PEM type
		code    string
	}{
		{"PKCS#8", rsaSet, WriteOptions{}, "PRIVATE KEY", ""},
		{"PKCS#1", rsaSet, WriteOptions{KeyFormat: csr.PKCS1}, "RSA PRIVATE KEY", ""},
		{"encrypted", rsaSet, WriteOptions{KeyPassword: []byte("geslo")}, "ENCRYPTED PRIVATE KEY", ""},
		{"PKCS#1 of an EC key", ecSet, WriteOptions{KeyFormat: csr.PKCS1}, "", "key.format"},
		{"PKCS#1 encrypted", rsaSet, WriteOptions{KeyFormat: csr.PKCS1, KeyPassword: []byte("geslo")}, "", "key.format"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "d")
			_, err := tt.set.Write(dir, tt.options)
			if tt.code != "" {
				checkCode(t, err, tt.code)
				if _, err := os.Stat(dir); err == nil {
					t.Error("a refused Write makes the folder")
				}
				return
			}
			block, _ := pem.Decode(readFile(t, dir, KeyFile))
			if err != nil || block == nil || block.Type != tt.kind {
				t.Fatalf("key.pem is %v (%v), want a %s", block, err, tt.kind)
			}
			if got, err := csr.DecodeKey(block, []byte("geslo")); err != nil || csr.Fingerprint(got.Public()) != csr.Fingerprint(tt.set.Key.Public()) {
				t.Errorf("DecodeKey(key.pem) = %v, %v", got, err)
			}
		})
	}
}

func TestSetWriteRefusesAndKeeps(t *testing.T) {
	t.Parallel()
	s, _, _, _ := set3(t)
	for _, there := range []string{RootFile, CertFile, KeyFile} {
		dir := t.TempDir()
		writeFile(t, dir, there, []byte("precious"))
		_, err := s.Write(dir, WriteOptions{})
		checkCode(t, err, "file.exists")
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 || string(readFile(t, dir, there)) != "precious" {
			t.Errorf("a refused Write leaves %v, %v", entries, err)
		}
		kept, err := s.Write(dir, WriteOptions{Overwrite: true, Now: func() time.Time { return now }})
		if err != nil || string(readFile(t, kept, there)) != "precious" {
			t.Errorf("Write(Overwrite) = %q, %v, want the old %s there", kept, err, there)
		}
	}
}

// The words of the issue: a chain that OpenSSL bundled is split so that OpenSSL
// verifies it and the key matches.
func TestSplitSatisfiesOpenSSL(t *testing.T) {
	t.Parallel()
	for _, tt := range bundles {
		if tt.code != "" || !tt.root {
			continue
		}
		t.Run(tt.file, func(t *testing.T) {
			t.Parallel()
			set, _, err := split(t, fixture(t, "pfx", tt.file), passwordOf(tt.password), Rules{Now: made})
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			if _, err := set.Write(dir, WriteOptions{}); err != nil {
				t.Fatal(err)
			}
			out := run(t, dir, "openssl", "verify", "-attime", "1811808000", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "acme.example", "-CAfile", RootFile, CertFile)
			if !strings.Contains(out, CertFile+": OK") {
				t.Errorf("openssl verify says %q", out)
			}
			ofKey := run(t, dir, "openssl", "pkey", "-in", KeyFile, "-pubout")
			ofCert := run(t, dir, "openssl", "x509", "-in", CertFile, "-noout", "-pubkey")
			if ofKey != ofCert {
				t.Errorf("the key is of\n%s\nthe certificate of\n%s", ofKey, ofCert)
			}
		})
	}
}

func TestOpenSetErrors(t *testing.T) {
	t.Parallel()
	_, leaf, issuing, root := set3(t)
	good := map[string][]byte{
		CertFile: Encode(leaf.Certificate, issuing.Certificate),
		RootFile: Encode(issuing.Certificate, root.Certificate),
		KeyFile:  pemKey(t, leaf.key),
	}
	sealed, err := csr.EncodeKey(leaf.key, csr.PKCS8, []byte("geslo"))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, file, password, code string
		data                       []byte // nil: not there
	}{
		{"good", CertFile, "", "", good[CertFile]},
		{"good, encrypted", KeyFile, "geslo", "", sealed},
		{"good, password not needed", KeyFile, "geslo", "", good[KeyFile]},
		{"good, key file with its certificate", KeyFile, "", "", append(slices.Clone(good[KeyFile]), good[CertFile]...)},
		{"no root in root.pem", RootFile, "", "", []byte("# nothing here\n")},
		{"root.pem empty", RootFile, "", "", []byte("\n")},
		{"no cert.pem", CertFile, "", "set.file.missing", nil},
		{"no root.pem", RootFile, "", "set.file.missing", nil},
		{"no key.pem", KeyFile, "", "set.file.missing", nil},
		{"cert.pem is a key", CertFile, "", "set.file.wrong", good[KeyFile]},
		{"cert.pem damaged", CertFile, "", "cert.damaged", []byte("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n")},
		{"cert.pem cut", CertFile, "", "pem.cut", good[CertFile][:200]},
		{"cert.pem empty", CertFile, "", "file.empty", []byte{}},
		{"cert.pem is text", CertFile, "", "file.unknown", []byte("hello")},
		{"root.pem damaged", RootFile, "", "cert.damaged", []byte("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n")},
		{"root.pem cut", RootFile, "", "pem.cut", good[RootFile][:200]},
		{"key.pem is a certificate", KeyFile, "", "set.file.wrong", good[CertFile]},
		{"two keys", KeyFile, "", "set.file.wrong", append(slices.Clone(good[KeyFile]), pemKey(t, issuing.key)...)},
		{"no password", KeyFile, "", "key.password.missing", sealed},
		{"wrong password", KeyFile, "x", "key.password.wrong", sealed},
		{"key damaged", KeyFile, "", "key.damaged", []byte("-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for file, data := range good {
				if file == tt.file {
					data = tt.data
				}
				if data != nil {
					writeFile(t, dir, file, data)
				}
			}
			s, err := OpenSet(dir, []byte(tt.password))
			if tt.code == "" {
				if err != nil || s.Dir != dir || s.Key == nil {
					t.Errorf("OpenSet = %+v, %v", s, err)
				}
				return
			}
			checkCode(t, err, tt.code)
			if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, tt.file)) {
				t.Errorf("OpenSet: %v, want an error that names %s", err, tt.file)
			}
		})
	}
}

func TestOpenSetFolder(t *testing.T) {
	t.Parallel()
	_, err := OpenSet(filepath.Join(t.TempDir(), "nowhere"), nil)
	checkCode(t, err, "set.file.missing")
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, RootFile), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err = OpenSet(dir, nil)
	if err == nil {
		t.Error("OpenSet(folder as root.pem) = nil, want an error")
	}
}

func TestInstalledTLS(t *testing.T) {
	t.Parallel()
	_, leaf, issuing, root := set3(t)
	s := &Installed{Key: leaf.key, Cert: certs(leaf, issuing), Root: certs(issuing, root)}
	c := s.TLS()
	if len(c.Certificate) != 2 || !bytes.Equal(c.Certificate[0], leaf.Raw) || !bytes.Equal(c.Certificate[1], issuing.Raw) || c.Leaf != leaf.Certificate || c.PrivateKey != leaf.key {
		t.Errorf("TLS() = %+v", c)
	}
	if got, want := s.String(), "certificate for portal.acme.example, good until 2027-03-31"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
}

func TestFingerprint(t *testing.T) {
	t.Parallel()
	out := run(t, "testdata", "openssl", "x509", "-in", "root.crt", "-noout", "-fingerprint", "-sha256")
	_, want, _ := strings.Cut(strings.TrimSpace(strings.ToLower(out)), "=")
	if got := Fingerprint(fixtureCert(t, "root.crt")); got != strings.ReplaceAll(want, ":", "") {
		t.Errorf("Fingerprint(root.crt) = %s, OpenSSL says %s", got, want)
	}
	if got := Fingerprint(&x509.Certificate{}); len(got) != 64 {
		t.Errorf("Fingerprint(nothing) = %q", got)
	}
}
