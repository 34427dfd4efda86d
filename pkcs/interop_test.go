package pkcs

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"path/filepath"
	"strings"
	"testing"

	"software.sslmate.com/src/go-pkcs12"
)

func fixtureKey(t testing.TB) crypto.Signer {
	t.Helper()
	bag, err := Read(fixture(t, "leaf.key"))
	if err != nil {
		t.Fatal(err)
	}
	return bag.Keys[0].Signer
}

// fixtureChain returns what stands above leaf.crt.
func fixtureChain(t testing.TB) []*x509.Certificate {
	t.Helper()
	return []*x509.Certificate{fixtureCert(t, "issuing.crt"), fixtureCert(t, "root.crt")}
}

// wantWhole wants the key and the three certificates of testdata in data, in any
// order and maybe more than once.
func wantWhole(t *testing.T, what string, data []byte, password string) {
	t.Helper()
	bag, err := Read(data, []byte(password))
	if err != nil {
		t.Errorf("Read(%s): %v", what, err)
		return
	}
	g, err := bag.Gather(t.Context(), GatherOptions{Rules: Rules{Now: made}})
	if err != nil {
		t.Errorf("Gather(%s): %v", what, err)
		return
	}
	chain := fixtureChain(t)
	wantSet(t, "Gather("+what+")", g.Sets[0], fixtureCert(t, "leaf.crt"), chain[:1], chain[1])
	if !SameKey(g.Sets[0].Key, fixtureCert(t, "leaf.crt")) {
		t.Errorf("Gather(%s) gives another key", what)
	}
}

// The bundles that are written here, for each reader: every program that can be
// had reads them, and what it makes of them is read here again.
func TestPFXInterop(t *testing.T) {
	t.Parallel()
	const password = "Geslo-1"
	key, leaf, chain := fixtureKey(t), fixtureCert(t, "leaf.crt"), fixtureChain(t)
	for _, p := range Protections {
		data, err := EncodePFX(PFX{Key: key, Leaf: leaf, Chain: chain, FriendlyName: "Front door", Protection: p}, []byte(password))
		if err != nil {
			t.Fatal(err)
		}
		wantWhole(t, p.Name, data, password)
		for name, read := range map[string]func(t *testing.T, dir string) (string, []byte){
			"openssl":  readOpenSSL,
			"certtool": readCerttool,
			"NSS":      readNSS,
			"keytool":  readKeytool,
			"Java":     readJKS,
		} {
			t.Run(p.Name+"/"+name, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				writeFile(t, dir, "x.p12", data)
				writeFile(t, dir, "pass", []byte(password))
				what, again := read(t, dir)
				wantWhole(t, what, again, password)
			})
		}
	}
}

func readOpenSSL(t *testing.T, dir string) (string, []byte) {
	out := run(t, dir, "openssl", "pkcs12", "-in", "x.p12", "-passin", "file:pass", "-nodes")
	if !strings.Contains(out, "friendlyName: Front door") {
		t.Errorf("openssl pkcs12 shows no friendly name:\n%s", out)
	}
	return "openssl pkcs12", []byte(out)
}

func readCerttool(t *testing.T, dir string) (string, []byte) {
	out := run(t, dir, "certtool", "--p12-info", "--inder", "--infile", "x.p12", "--password", "Geslo-1")
	// certtool shows the key encrypted; it takes the certificates out as well.
	return "certtool --p12-info", append([]byte(out), Encode(fixtureChain(t)...)...)
}

func readNSS(t *testing.T, dir string) (string, []byte) {
	run(t, dir, "certutil", "-N", "-d", "sql:.", "--empty-password")
	run(t, dir, "pk12util", "-i", "x.p12", "-d", "sql:.", "-w", "pass")
	run(t, dir, "pk12util", "-o", "y.p12", "-n", "Front door", "-d", "sql:.", "-w", "pass")
	return "pk12util -o", readFile(t, dir, "y.p12")
}

func keytool(t *testing.T, dir, kind string) []byte {
	out := run(t, dir, "keytool", "-list", "-keystore", "x.p12", "-storepass:file", "pass")
	if !strings.Contains(out, "front door") {
		t.Errorf("keytool -list shows no alias:\n%s", out)
	}
	run(t, dir, "keytool", "-importkeystore", "-noprompt", "-srckeystore", "x.p12", "-srcstorepass:file", "pass",
		"-destkeystore", "y.store", "-deststoretype", kind, "-deststorepass:file", "pass")
	return readFile(t, dir, "y.store")
}

func readKeytool(t *testing.T, dir string) (string, []byte) {
	return "keytool, PKCS12", keytool(t, dir, "PKCS12")
}

func readJKS(t *testing.T, dir string) (string, []byte) {
	return "keytool, JKS", keytool(t, dir, "JKS")
}

// go-pkcs12 is the reader of most Go programs.
func TestPFXReadByGoPKCS12(t *testing.T) {
	t.Parallel()
	key, leaf, chain := fixtureKey(t), fixtureCert(t, "leaf.crt"), fixtureChain(t)
	for _, p := range Protections {
		data, err := EncodePFX(PFX{Key: key, Leaf: leaf, Chain: chain, Protection: p}, []byte("Geslo-čšž€"))
		if err != nil {
			t.Fatal(err)
		}
		_, got, above, err := pkcs12.DecodeChain(data, "Geslo-čšž€")
		if err != nil || !got.Equal(leaf) || len(above) != 2 {
			t.Errorf("go-pkcs12 reads %s: %v, %d above, %v", p.Name, got, len(above), err)
		}
	}
}

// The P7B that is written here, and those of others.
func TestP7BInterop(t *testing.T) {
	t.Parallel()
	leaf, chain := fixtureCert(t, "leaf.crt"), fixtureChain(t)
	data, err := EncodeP7B(append(chain, leaf))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	writeFile(t, dir, "x.p7b", data)
	for name, args := range map[string][]string{
		"openssl":  {"pkcs7", "-inform", "DER", "-in", "x.p7b", "-print_certs"},
		"certtool": {"--p7-info", "--inder", "--infile", "x.p7b"},
		"keytool":  {"-printcert", "-rfc", "-file", "x.p7b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bag, err := Read([]byte(run(t, dir, name, args...)))
			if err != nil || len(unique(bag.Certificates())) != 3 { // certtool prints the P7B too
				t.Errorf("Read(what %s makes of a P7B) = %v, %v, want 3 certificates", name, bag, err)
			}
		})
	}
}

// A keystore of Java's, made by testdata/generate.sh.
func TestReadJKS(t *testing.T) {
	t.Parallel()
	data := fixture(t, "chain.jks")
	bag, err := Read(data, []byte("wrong"), []byte("geslo1"))
	if err != nil || len(bag.Certs) != 4 || len(bag.Keys) != 1 || bag.Keys[0].Err != nil || bag.Certs[0].Alias != "front" {
		t.Fatalf("Read(chain.jks) = %v, %v", bag, err)
	}
	wantWhole(t, "chain.jks", data, "geslo1")
	_, err = Read(data)
	checkCode(t, err, CodePFXPassword)
	_, err = Read(data, []byte("wrong"))
	checkCode(t, err, CodePFXPassword)
	_, err = Read([]byte("\xce\xce\xce\xce\x00\x00\x00\x02"), []byte("geslo1"))
	checkCode(t, err, "jks.unsupported")
	for n := 4; n < len(data)-20; n++ {
		_, err := Read(data[:n], []byte("geslo1"))
		checkCode(t, err, "jks.damaged")
	}
	for n := range data { // no length in it makes the library ask for gigabytes
		changed := bytes.Clone(data)
		changed[n] ^= 0xff
		if _, err := Read(changed, []byte("geslo1")); err == nil {
			t.Errorf("Read(byte %d changed) gives no error", n)
		}
	}
}

func FuzzReadJKS(f *testing.F) {
	f.Add(fixture(f, "chain.jks"))
	f.Add([]byte("\xfe\xed\xfe\xed\x00\x00\x00\x02\xff\xff\xff\xff\x00\x00\x00\x01\x00\x01a"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if !isJKS(data) {
			data = append(bytes.Clone(magicJKS), data...)
		}
		bag, err := Read(data, []byte("geslo1"))
		if (bag == nil) == (err == nil) {
			t.Errorf("Read = %v, %v, want one of the two", bag, err)
		}
	})
}

// Certificates of programs that break rules are carried all the same.
func TestReadUnparsed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run(t, dir, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1", "-nodes", "-keyout", "k.pem", "-out", "c.pem",
		"-subj", "/CN=odd.acme.example", "-addext", "subjectAltName=DNS:odd.acme.example,IP:192.0.2.1,email:it@acme.example", "-days", "100")
	data := readFile(t, dir, "c.pem")
	bag, err := Read(data)
	if err != nil || len(bag.Certs) != 1 || bag.Certs[0].Unparsed == nil {
		t.Fatalf("Read(a certificate on secp256k1) = %v, %v", bag, err)
	}
	c := bag.Certs[0]
	if name(c.Certificate) != "odd.acme.example" || strings.Join(hostNames(c.Certificate), " ") != "odd.acme.example 192.0.2.1" || !partial(c.Certificate) || c.NotAfter.IsZero() {
		t.Errorf("Read = %+v", c.Certificate)
	}
	if !bytes.Equal(Encode(c.Certificate), data) {
		t.Error("it is not written byte for byte")
	}
	want := run(t, dir, "openssl", "x509", "-in", "c.pem", "-noout", "-serial")
	if got := "serial=" + strings.ToUpper(Describe(c.Certificate).Serial); !strings.EqualFold(strings.TrimLeft(strings.TrimPrefix(got, "serial="), "0"), strings.TrimLeft(strings.TrimSpace(strings.TrimPrefix(want, "serial=")), "0")) {
		t.Errorf("serial %s, OpenSSL says %s", got, want)
	}
	findings := bag.Findings()
	if len(findings) != 1 || findings[0].Code != "cert.unparsed" {
		t.Errorf("Findings() = %v", findings)
	}
	// With its key, it becomes a set.
	both, err := Read(append(data, readFile(t, dir, "k.pem")...))
	if err != nil {
		t.Fatal(err)
	}
	g, err := both.Gather(t.Context(), GatherOptions{Rules: Rules{Now: made}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Sets[0].Write(filepath.Join(dir, "out"), WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := readFile(t, dir, "out", CertFile); !bytes.Equal(got, data) {
		t.Errorf("cert.pem is %q", got)
	}
	if key := run(t, dir, "openssl", "pkey", "-in", "out/"+KeyFile, "-pubout"); key != run(t, dir, "openssl", "x509", "-in", "c.pem", "-noout", "-pubkey") {
		t.Errorf("key.pem is of %s", key)
	}
}
