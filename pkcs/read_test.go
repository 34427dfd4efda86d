package pkcs

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"onsite/csr"
)

func requestDER(t testing.TB) []byte {
	t.Helper()
	r, _ := csr.Prepare(csr.Spec{Subject: csr.Subject{CommonName: "portal.acme.com"}})
	der, err := r.Sign(newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func utf16Text(s string, order binary.AppendByteOrder) []byte {
	var out []byte
	for _, u := range utf16.Encode([]rune(s)) {
		out = order.AppendUint16(out, u)
	}
	return out
}

func TestReadText(t *testing.T) {
	t.Parallel()
	leaf, issuing, root := chain3(t)
	text := string(Encode(leaf.Certificate, issuing.Certificate, root.Certificate))
	all := certs(leaf, issuing, root)
	one := func(c *party) string { return base64.StdEncoding.EncodeToString(c.Raw) }
	tests := []struct {
		name string
		data []byte
		want []*x509.Certificate
	}{
		{"as it should be", []byte(text), all},
		{"CRLF", []byte(strings.ReplaceAll(text, "\n", "\r\n")), all},
		{"CR alone", []byte(strings.ReplaceAll(text, "\n", "\r")), all},
		{"byte-order mark", []byte("\ufeff" + text), all},
		{"byte-order mark between", []byte(text + "\ufeff" + text), append(slices.Clone(all), all...)},
		{"UTF-16LE", utf16Text(text, binary.LittleEndian), all},
		{"UTF-16LE with its mark", utf16Text("\ufeff"+text, binary.LittleEndian), all},
		{"UTF-16BE", utf16Text(text, binary.BigEndian), all},
		{"UTF-16BE with its mark", utf16Text("\ufeff"+text, binary.BigEndian), all},
		{"UTF-16LE with text before", utf16Text("Certificate:\r\n"+text, binary.LittleEndian), all},
		{"UTF-16LE, odd", append(utf16Text(text, binary.LittleEndian), 'x'), all},
		{"indented", []byte("  " + strings.ReplaceAll(text, "\n", "\n\t ")), all},
		{"no line break at the end", []byte(strings.TrimSpace(text)), all},
		{"blank lines", []byte("\n\n" + strings.ReplaceAll(text, "\n", "\n\n")), all},
		{"trailing spaces", []byte(strings.ReplaceAll(text, "\n", " \t\n")), all},
		{"glued", []byte(strings.ReplaceAll(text, "-----\n-----", "----------")), all},
		{"on one line", []byte(strings.ReplaceAll(text, "\n", " ")), all},
		{"not wrapped", []byte("-----BEGIN CERTIFICATE-----" + one(leaf) + "-----END CERTIFICATE-----"), all[:1]},
		{"bag attributes", []byte("Bag Attributes\n    friendlyName: Front door\n    localKeyID: 01 02\nsubject=CN = portal.acme.example\n\nissuer=CN = Issuing\n\n" + text), all},
		{"text that begins with a zero", []byte("0 s:CN = portal.acme.example\n   i:CN = Issuing\n" + text), all},
		{"Latin-1 text before", append([]byte("Zertifikat f\xfcr Sie:\n"), text...), all},
		{"a letter around it", []byte("Dear customer,\n\n> " + strings.ReplaceAll(text, "\n-----B", "\n> -----B") + "\nRegards\n-----\n"), all},
		{"label X509", []byte(strings.ReplaceAll(text, " CERTIFICATE", " X509 CERTIFICATE")), all},
		{"label TRUSTED", []byte(strings.ReplaceAll(text, " CERTIFICATE", " TRUSTED CERTIFICATE")), all},
		{"other blocks between", []byte("-----BEGIN X509 THING-----\nMAA=\n-----END X509 THING-----\n" + text + "-----BEGIN DH PARAMETERS-----\nMAA=\n-----END DH PARAMETERS-----\n"), all},
		{"bare base64", []byte(one(leaf)), all[:1]},
		{"bare base64, wrapped", []byte(one(leaf)[:64] + "\r\n" + one(leaf)[64:] + "\r\n"), all[:1]},
		{"bare base64, UTF-16", utf16Text("\ufeff"+one(leaf), binary.LittleEndian), all[:1]},
		{"DER", leaf.Raw, all[:1]},
		{"DER with a line break", append(bytes.Clone(leaf.Raw), '\r', '\n'), all[:1]},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bag, err := Read(tt.data)
			if err != nil {
				t.Fatalf("Read(%q…): %v", tt.data[:min(60, len(tt.data))], err)
			}
			if !slices.EqualFunc(bag.Certificates(), tt.want, (*x509.Certificate).Equal) || len(bag.Keys)+len(bag.Requests) > 0 {
				t.Errorf("Read(%q…) = %q, %d keys, want %q", tt.data[:min(60, len(tt.data))], labels(bag.Certificates()), len(bag.Keys), labels(tt.want))
			}
		})
	}
}

func TestReadKeysAndRequests(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	signer, err := csr.GenerateKey(csr.DefaultKey)
	if err != nil {
		t.Fatal(err)
	}
	pkcs1, err := csr.EncodeKey(signer, csr.PKCS1, nil)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := csr.EncodeKey(key, csr.PKCS8, []byte("geslo"))
	if err != nil {
		t.Fatal(err)
	}
	der := func(text []byte) []byte {
		block, _ := pem.Decode(text)
		return block.Bytes
	}
	proc := []byte("-----BEGIN EC PRIVATE KEY-----\r\n  Proc-Type: 4,ENCRYPTED\r\n  DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\r\n  \r\n  MAA=\r\n-----END EC PRIVATE KEY-----\r\n")
	request := requestDER(t)
	tests := []struct {
		name, kind string // kind is the key's PEM type, or "" for a request
		data       []byte
	}{
		{"PKCS#8", "PRIVATE KEY", pemKey(t, key)},
		{"PKCS#8 in DER", "PRIVATE KEY", der(pemKey(t, key))},
		{"PKCS#1", "RSA PRIVATE KEY", pkcs1},
		{"PKCS#1 in DER", "RSA PRIVATE KEY", der(pkcs1)},
		{"SEC 1", "EC PRIVATE KEY", pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1})},
		{"SEC 1 behind its parameters", "EC PRIVATE KEY", append([]byte("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"),
			pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1})...)},
		{"SEC 1 in DER", "EC PRIVATE KEY", sec1},
		{"encrypted", "ENCRYPTED PRIVATE KEY", sealed},
		{"encrypted in DER", "ENCRYPTED PRIVATE KEY", der(sealed)},
		{"encrypted and indented", "ENCRYPTED PRIVATE KEY", []byte(strings.ReplaceAll("x\n"+string(sealed), "\n", "\n  "))},
		{"Proc-Type, indented, CRLF", "EC PRIVATE KEY", proc},
		{"request", "", csr.PEM(request)},
		{"request, label NEW", "", []byte(strings.ReplaceAll(string(csr.PEM(request)), "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"))},
		{"request in DER", "", request},
		{"request in base64", "", []byte(base64.StdEncoding.EncodeToString(request))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bag, err := Read(tt.data)
			switch {
			case err != nil:
				t.Errorf("Read(%s): %v", tt.name, err)
			case tt.kind == "":
				if len(bag.Requests) != 1 || !bytes.Equal(bag.Requests[0].DER, request) || len(bag.Keys)+len(bag.Certs) > 0 {
					t.Errorf("Read(%s) = %v, want the request", tt.name, bag)
				}
			case len(bag.Keys) != 1 || bag.Keys[0].Block.Type != tt.kind || len(bag.Requests)+len(bag.Certs) > 0:
				t.Errorf("Read(%s) = %v, want one %s", tt.name, bag, tt.kind)
			}
			if bytes.Equal(tt.data, proc) && !x509.IsEncryptedPEMBlock(bag.Keys[0].Block) { //nolint:staticcheck // SA1019: that is what is tested
				t.Errorf("Read(%s) = %v, want its headers", tt.name, bag.Keys[0].Block)
			}
		})
	}
}

// Keys with which nothing can be signed here are keys all the same.
func TestReadRawKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run(t, dir, "openssl", "genpkey", "-algorithm", "ED448", "-outform", "DER", "-out", "k.der")
	bag, err := Read(readFile(t, dir, "k.der"))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := bag.OpenKeys(nil)
	if err != nil || len(keys) != 1 || csr.DescribeKey(keys[0].Public()) != "Ed448" {
		t.Errorf("OpenKeys = %v, %v, want an Ed448 key", keys, err)
	}
}

// OpenSSL puts its trust settings behind a trusted certificate.
func TestReadTrustedCertificate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	leaf, _, _ := chain3(t)
	writeFile(t, dir, "c.pem", Encode(leaf.Certificate))
	run(t, dir, "openssl", "x509", "-in", "c.pem", "-trustout", "-addtrust", "serverAuth", "-setalias", "front door", "-out", "t.pem")
	text := readFile(t, dir, "t.pem")
	bag, err := Read(text)
	if err != nil || !bytes.Contains(text, []byte("BEGIN TRUSTED CERTIFICATE")) || !bag.Certs[0].Equal(leaf.Certificate) {
		t.Errorf("Read(%s) = %v, %v", text, bag, err)
	}
}

func TestReadErrors(t *testing.T) {
	t.Parallel()
	leaf, issuing, _ := chain3(t)
	text := string(Encode(leaf.Certificate))
	second := string(Encode(issuing.Certificate))
	end := strings.Index(text, "-----END")
	tests := []struct {
		name, code string
		data       []byte
	}{
		{"nothing", "file.empty", nil},
		{"spaces", "file.empty", []byte(" \r\n\t")},
		{"too large", "file.too-large", make([]byte, MaxSize+1)},
		{"text", "file.unknown", []byte("hello")},
		{"text that begins with a zero", "file.damaged", []byte("0 hello")},
		{"a page", "file.unknown", []byte("<html>404</html>")},
		{"short base64", "file.unknown", []byte("MAA=")},
		{"base64 of something else", "file.unknown", []byte(base64.StdEncoding.EncodeToString([]byte(strings.Repeat("hello ", 20))))},
		{"ZIP", "file.damaged", []byte("PK\x03\x04")},
		{"other blocks alone", "file.unknown", []byte("-----BEGIN X509 THING-----\nMAA=\n-----END X509 THING-----\n")},
		{"END alone", "file.unknown", []byte("-----END CERTIFICATE-----\n")},
		{"zeros", "file.unknown", make([]byte, 1000)},
		{"END missing", "pem.cut", []byte(text[:end])},
		{"END missing before another", "pem.cut", []byte(text[:end] + second)},
		{"another END", "pem.cut", []byte(strings.ReplaceAll(text, "END CERTIFICATE", "END X509 CRL"))},
		{"BEGIN alone", "pem.cut", []byte("-----BEGIN CERTIFICATE-----")},
		{"damaged base64", "pem.damaged", []byte(text[:100] + "!" + text[101:])},
		{"a line missing", "cert.damaged", []byte(text[:28+65] + text[28+130:])},
		{"second certificate damaged", "cert.damaged", []byte(text + strings.Replace(second, "M", "N", 1))},
		{"empty certificate", "cert.damaged", []byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n")},
		{"cut DER", "file.damaged", leaf.Raw[:len(leaf.Raw)-1]},
		{"PFX", CodePFXPassword, fixture(t, "pfx", "openssl.pfx")},
		{"PFX in base64", CodePFXPassword, []byte(base64.StdEncoding.EncodeToString(fixture(t, "pfx", "openssl.pfx")))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bag, err := Read(tt.data)
			checkCode(t, err, tt.code)
			if bag != nil {
				t.Errorf("Read(%s) = %v with an error", tt.name, bag)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	paths, err := filepath.Glob("testdata/*.*")
	if err != nil || len(paths) < 5 {
		f.Fatalf("Glob(testdata/*.*) = %q, %v", paths, err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(utf16Text(string(data), binary.LittleEndian))
		if block, _ := pem.Decode(data); block != nil {
			f.Add(block.Bytes)
			f.Add([]byte(base64.StdEncoding.EncodeToString(block.Bytes)))
		}
	}
	f.Add([]byte("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nMAA=\n-----END RSA PRIVATE KEY-----\n"))
	f.Add([]byte("-----BEGIN A----------BEGIN B----------END A-----"))
	f.Add(archive(f, "leaf.cer", fixture(f, "leaf.crt"), "more.zip", archive(f, "chain.p7b", fixture(f, "chain-der.p7b"))))
	f.Fuzz(func(t *testing.T, data []byte) {
		bag, err := Read(data)
		if (bag == nil) == (err == nil) {
			t.Fatalf("Read(%q) = %v, %v, want one of the two", data, bag, err)
		}
		if err != nil {
			return
		}
		if bag.empty() {
			t.Errorf("Read(%q) = an empty bag without an error", data)
		}
		if len(bag.Certs) > 0 { // what was read is written and read again the same
			again, err := Read(Encode(bag.Certificates()...))
			if err != nil || !slices.EqualFunc(again.Certificates(), bag.Certificates(), (*x509.Certificate).Equal) {
				t.Errorf("Read(Encode(Read(%q))) = %v, %v", data, again, err)
			}
		}
	})
}

func TestReadP7B(t *testing.T) {
	t.Parallel()
	want := []*x509.Certificate{fixtureCert(t, "leaf.crt"), fixtureCert(t, "issuing.crt"), fixtureCert(t, "root.crt")}
	for _, file := range []string{"chain.p7b", "chain-der.p7b"} {
		data := fixture(t, file)
		bag, err := Read(data)
		if err != nil || len(bag.Certs) != len(want) {
			t.Fatalf("Read(%s) = %v, %v, want %d certificates", file, bag, err, len(want))
		}
		for i, c := range bag.Certs {
			if !c.Equal(want[i]) {
				t.Errorf("Read(%s): certificate %d is %s, want %s", file, i+1, name(c.Certificate), name(want[i]))
			}
		}
	}
	der := fixture(t, "chain-der.p7b")
	for n := range der {
		if bag, err := Read(der[:n]); err == nil {
			t.Fatalf("Read(%d of %d bytes) = %v", n, len(der), bag)
		}
	}
}
