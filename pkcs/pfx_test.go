package pkcs

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
	"software.sslmate.com/src/go-pkcs12"

	"onsite/csr"
	"onsite/internal/ber"
	"onsite/internal/pbe"
	"onsite/report"
)

// bundles are the PFX files of testdata/generate.sh. Those without a code hold
// leaf.crt with the chain that is named.
var bundles = []struct {
	file, password, code string
	issuing, root        bool
	aside                []string
}{
	{file: "openssl.pfx", issuing: true, root: true},
	{file: "openssl-legacy-rc2.pfx", issuing: true, root: true},
	{file: "openssl-3des-sha1.pfx", issuing: true, root: true},
	{file: "openssl-sha512.pfx", issuing: true, root: true},
	{file: "openssl-root-first.pfx", issuing: true, root: true},
	{file: "openssl-extra.pfx", issuing: true, root: true, aside: []string{"Stranger Root"}},
	{file: "openssl-leaf-only.pfx"},
	{file: "openssl-no-root.pfx", issuing: true},
	{file: "openssl-no-issuing.pfx", aside: []string{"Acme Root"}},
	{file: "openssl-nomac-empty.pfx", password: "-", issuing: true, root: true},
	{file: "openssl-empty.pfx", password: "-", issuing: true, root: true},
	{file: "openssl-plain.pfx", issuing: true, root: true},
	{file: "openssl-unicode.pfx", password: "Geslo-čšž€", issuing: true, root: true},
	{file: "certtool.p12"},
	{file: "keytool.p12", password: "geslo1", issuing: true, root: true},
	{file: "openssl-sha384.pfx", issuing: true, root: true},
	{file: "openssl-nomac.pfx", issuing: true, root: true},
	{file: "certtool-ca.p12", issuing: true},
	{file: "pk12util.p12", issuing: true, root: true},
	{file: "openssl-camellia.pfx", code: CodePFXUnsupported},
	{file: "openssl-ed448.pfx", code: csr.CodeKeyUnsupported},
	{file: "keytool-two-keys.p12", password: "geslo1", code: "pfx.keys.several"},
	{file: "openssl-nokeys.pfx", code: "pfx.key.missing"},
	{file: "openssl-nocerts.pfx", code: "pfx.certificate.missing"},
}

// made is a moment at which the certificates of testdata are good.
var made = time.Date(2027, 6, 1, 0, 0, 0, 0, time.UTC)

// passwordOf gives the usual password where the table names none; "-" is none.
func passwordOf(s string) []byte {
	switch s {
	case "":
		return []byte("geslo")
	case "-":
		return nil
	}
	return []byte(s)
}

func TestSplitPFXOfOthers(t *testing.T) {
	t.Parallel()
	leaf, issuing, root := fixtureCert(t, "leaf.crt"), fixtureCert(t, "issuing.crt"), fixtureCert(t, "root.crt")
	for _, tt := range bundles {
		t.Run(tt.file, func(t *testing.T) {
			t.Parallel()
			data := fixture(t, "pfx", tt.file)
			set, findings, err := SplitPFX(data, passwordOf(tt.password), Rules{Host: "acme.example", Now: made})
			if tt.code != "" {
				checkCode(t, err, tt.code)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var intermediates []*x509.Certificate
			if tt.issuing {
				intermediates = append(intermediates, issuing)
			}
			var top *x509.Certificate
			if tt.root {
				top = root
			}
			wantSet(t, "SplitPFX("+tt.file+")", set, leaf, intermediates, top)
			if !sameKey(set.Key, leaf) {
				t.Errorf("SplitPFX(%s) gives another key", tt.file)
			}
			var want []string
			for _, n := range tt.aside {
				status := "skip"
				if !tt.root {
					status = "warn"
				}
				want = append(want, status+" chain.aside "+n)
			}
			want = append(want, "pass set.key.matches key.pem", "pass cert.dates.ok portal.acme.example", "pass cert.name.matches acme.example")
			switch {
			case tt.root:
				want = append(want, "pass chain.complete cert.pem and root.pem")
			case tt.issuing:
				want = append(want, "warn chain.issuer.missing Acme Issuing")
			default:
				want = append(want, "warn chain.issuer.missing portal.acme.example")
			}
			got := summary(findings)
			// Which certificate ends first depends on the second of its making.
			for i := range got {
				if strings.HasPrefix(got[i], "pass cert.dates.ok ") {
					got[i] = "pass cert.dates.ok portal.acme.example"
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("SplitPFX(%s) finds %q, want %q", tt.file, findings, want)
			}
			checkFindings(t, findings)
		})
	}
}

func TestMissingIssuerNamesAddress(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"openssl-leaf-only.pfx": "http://ca.example/issuing.crt",
		"openssl-no-root.pfx":   "http://ca.example/root.crt",
	} {
		_, findings, err := SplitPFX(fixture(t, "pfx", file), []byte("geslo"), Rules{Now: made})
		if err != nil || !strings.Contains(findings[len(findings)-1].Remedy, want) {
			t.Errorf("SplitPFX(%s) finds %q, %v, want a remedy with %s", file, findings, err, want)
		}
	}
}

func TestReadPFXWrongPassword(t *testing.T) {
	t.Parallel()
	for _, tt := range bundles {
		if tt.code != "" || tt.password == "-" || tt.file == "certtool.p12" { // that one has 600 000 rounds
			continue
		}
		t.Run(tt.file, func(t *testing.T) {
			t.Parallel()
			data := fixture(t, "pfx", tt.file)
			right := string(passwordOf(tt.password))
			for _, wrong := range []string{"", "x", right + " ", " " + right, strings.ToUpper(right), right[:len(right)-1]} {
				bag, err := ReadPFX(data, []byte(wrong))
				checkCode(t, err, CodePFXPassword)
				if bag != nil {
					t.Errorf("ReadPFX(%s, %q) = %v, want nothing", tt.file, wrong, bag)
				}
				if wrong == "" && !strings.Contains(report.AsError(err).Remedy, "--password-file") {
					t.Errorf("ReadPFX(%s) without a password: remedy %q, want one that names --password-file", tt.file, report.AsError(err).Remedy)
				}
			}
		})
	}
	_, err := ReadPFX(fixture(t, "pfx", "openssl.pfx"), []byte("geslo\U0001f511"))
	checkCode(t, err, CodePFXPassword)
}

// The file's password is right, but the key inside has another: no program here
// writes such a file, Java could.
func TestPFXErrorOfKeyPassword(t *testing.T) {
	t.Parallel()
	sealed, err := pbe.Seal([]byte{0x30, 0x00}, []byte("other"))
	if err != nil {
		t.Fatal(err)
	}
	info, _, err := ber.Parse(sealed)
	if err != nil {
		t.Fatal(err)
	}
	r := safeReader{password: pbe.NewPassword([]byte("geslo")), verified: true}
	_, err = r.openKey(info)
	err = pfxError(err, true)
	checkCode(t, err, "pfx.key.password")
	if !strings.Contains(err.Error(), "another password") {
		t.Errorf("pfxError(key bag) = %v, want one that tells the key's password from the file's", err)
	}
}

// small is a PFX that opens at once.
func small(t testing.TB) (data []byte, leaf *party) {
	t.Helper()
	leaf, issuing, root := chain3(t)
	data, err := pkcs12.Modern2023.WithIterations(1).Encode(leaf.key, leaf.Certificate, certs(issuing, root), "geslo")
	if err != nil {
		t.Fatal(err)
	}
	return data, leaf
}

// wantPFXError wants one of the errors of PFX files.
func wantPFXError(t *testing.T, what string, err error) {
	t.Helper()
	if e, ok := errors.AsType[*report.Error](err); !ok || !strings.HasPrefix(e.Code, "pfx.") || e.Kind != report.KindInput {
		t.Errorf("%s: %v, want an error pfx.*", what, err)
	}
}

func TestReadPFXCut(t *testing.T) {
	t.Parallel()
	data, _ := small(t)
	for n := range data {
		_, err := ReadPFX(data[:n], []byte("geslo"))
		wantPFXError(t, fmt.Sprintf("ReadPFX(%d of %d bytes)", n, len(data)), err)
		if n > 10 {
			checkCode(t, err, CodePFXDamaged)
		}
	}
}

func TestReadPFXChanged(t *testing.T) {
	t.Parallel()
	data, leaf := small(t)
	for n := range data {
		for _, mask := range []byte{0x01, 0x80, 0xff} {
			changed := bytes.Clone(data)
			changed[n] ^= mask
			what := fmt.Sprintf("SplitPFX(byte %d ^ %#x)", n, mask)
			set, _, err := SplitPFX(changed, []byte("geslo"), Rules{Now: now})
			if err != nil {
				wantPFXError(t, what, err)
			} else if !set.Leaf.Equal(leaf.Certificate) || len(set.Intermediates) != 1 || set.Root == nil || !sameKey(set.Key, leaf.Certificate) {
				t.Errorf("%s gives %s, want the set or an error", what, describe(set))
			}
		}
	}
}

func TestReadPFXTrailingBytes(t *testing.T) {
	t.Parallel()
	data, leaf := small(t)
	bag, err := ReadPFX(append(data, make([]byte, 8)...), []byte("geslo"))
	if err != nil || !bag.Certs[0].Equal(leaf.Certificate) {
		t.Errorf("ReadPFX(8 zeros behind it) = %v, %v", bag, err)
	}
}

// patchRounds sets every number of rounds that stands in clear in a PFX file.
func patchRounds(t testing.TB, der []byte, rounds int64) []byte {
	t.Helper()
	var out cryptobyte.Builder
	input := cryptobyte.String(der)
	for salt := false; !input.Empty(); {
		var content cryptobyte.String
		var tag casn1.Tag
		if !input.ReadAnyASN1(&content, &tag) {
			t.Fatalf("not DER: %x", input)
		}
		switch {
		case tag == casn1.INTEGER && salt:
			out.AddASN1Int64(rounds)
		case tag&0x20 != 0, tag == casn1.OCTET_STRING && len(content) > 0 && content[0] == 0x30:
			out.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes(patchRounds(t, content, rounds)) })
		default:
			out.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes(content) })
		}
		salt = tag == casn1.OCTET_STRING
	}
	return out.BytesOrPanic()
}

// A hostile number of rounds is refused at once; the test would otherwise run
// for minutes.
func TestReadPFXRounds(t *testing.T) {
	t.Parallel()
	leaf, _, _ := chain3(t)
	data, err := pkcs12.Modern2023.WithIterations(2).Encode(leaf.key, leaf.Certificate, nil, "geslo") // one round would not be written down
	if err != nil {
		t.Fatal(err)
	}
	if same := patchRounds(t, data, 2); !bytes.Equal(same, data) {
		t.Fatalf("patchRounds(2) changes the file")
	}
	for _, rounds := range []int64{pbe.MaxIterations + 1, 1<<31 - 1, 1 << 31, 1<<63 - 1} {
		for name, bomb := range map[string][]byte{
			"own":     patchRounds(t, data, rounds),
			"openssl": patchRounds(t, fixture(t, "pfx", "openssl.pfx"), rounds),
			"3DES":    patchRounds(t, fixture(t, "pfx", "openssl-3des-sha1.pfx"), rounds),
		} {
			_, err := ReadPFX(bomb, []byte("geslo"))
			checkCode(t, err, CodePFXUnsupported)
			if err != nil && !strings.Contains(err.Error(), fmt.Sprint(rounds)) {
				t.Errorf("ReadPFX(%s, %d rounds): %v, want an error that says the number", name, rounds, err)
			}
		}
	}
}

func TestReadPFXOfSomethingElse(t *testing.T) {
	t.Parallel()
	leaf, issuing, _ := chain3(t)
	request := requestDER(t)
	tests := []struct {
		name, want string
		data       []byte
	}{
		{"PEM", "certificates", Encode(leaf.Certificate, issuing.Certificate)},
		{"PEM with key", "certificates and a private key", append(Encode(leaf.Certificate), pemKey(t, leaf.key)...)},
		{"DER", "certificates", leaf.Raw},
		{"request", "a certificate request", request},
		{"request in PEM", "a certificate request", csr.PEM(request)},
		{"key", "a private key", pemKey(t, leaf.key)},
		{"P7B", "certificates", fixture(t, "chain.p7b")},
		{"damaged P7B", "P7B file cannot be read", []byte("-----BEGIN PKCS7-----\nMAA=\n-----END PKCS7-----\n")},
		{"text", "no certificate", []byte("hello")},
		{"a page", "no certificate", []byte("<!DOCTYPE html><title>Sign in</title>")},
		{"ZIP", "a ZIP archive", []byte("PK\x03\x04\x14\x00\x00\x00")},
		{"empty", "the file is empty", nil},
		{"spaces", "the file is empty", []byte(" \r\n")},
		{"cut PEM", "END line", Encode(leaf.Certificate)[:100]},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := ReadPFX(tt.data, []byte("geslo"))
			checkCode(t, err, "pfx.not-pfx")
			if err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("ReadPFX(%s): %v, want an error with %q", tt.name, err, tt.want)
			}
		})
	}
}

// A certificate that Go finds odd, but reads, keeps its bytes.
func TestSplitPFXKeepsBytes(t *testing.T) {
	t.Parallel()
	leaf, issuing, root := chain3(t)
	odd := resign(t, leaf.Certificate, issuing, func(tbs []byte) []byte {
		return bytes.Replace(tbs, leaf.SerialNumber.Bytes(), append([]byte{0xff}, leaf.SerialNumber.Bytes()[1:]...), 1)
	})
	if odd.SerialNumber.Sign() >= 0 {
		t.Fatalf("the serial number is %v, want a negative one", odd.SerialNumber)
	}
	data, err := EncodePFX(leaf.key, odd, certs(root, issuing), []byte("geslo"))
	if err != nil {
		t.Fatal(err)
	}
	set, _, err := SplitPFX(data, []byte("geslo"), Rules{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if _, err := set.Write(dir, WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	if got, want := readFile(t, dir, CertFile), Encode(odd, issuing.Certificate); !bytes.Equal(got, want) {
		t.Errorf("cert.pem is %q, want %q", got, want)
	}
}

func TestEncodePFX(t *testing.T) {
	t.Parallel()
	leaf, issuing, root := chain3(t)
	_, err := EncodePFX(newKey(t), leaf.Certificate, nil, []byte("geslo"))
	checkCode(t, err, "set.key.mismatch")
	dir := t.TempDir()
	data, err := EncodePFX(leaf.key, leaf.Certificate, certs(issuing, root), []byte("Geslo-čšž€"))
	if err != nil {
		t.Fatal(err)
	}
	set, _, err := SplitPFX(data, []byte("Geslo-čšž€"), Rules{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	wantSet(t, "SplitPFX(EncodePFX(…))", set, leaf.Certificate, certs(issuing), root.Certificate)
	writeFile(t, dir, "x.pfx", data)
	writeFile(t, dir, "pass", []byte("Geslo-čšž€"))
	if out := run(t, dir, "openssl", "pkcs12", "-in", "x.pfx", "-passin", "file:pass", "-nodes"); strings.Count(out, "BEGIN CERTIFICATE") != 3 {
		t.Errorf("openssl pkcs12 shows\n%s", out)
	}
}

func TestIsPFX(t *testing.T) {
	t.Parallel()
	leaf, _, _ := chain3(t)
	for _, tt := range bundles {
		if data := fixture(t, "pfx", tt.file); !IsPFX(data) || IsPFX(data[:6]) {
			t.Errorf("IsPFX(%s) = %v, of 6 bytes %v", tt.file, IsPFX(data), IsPFX(data[:6]))
		}
	}
	for name, data := range map[string][]byte{
		"nothing": nil, "one byte": {0x30}, "long length": {0x30, 0xff}, "certificate": leaf.Raw, "request": requestDER(t),
		"text": []byte("0 hello"), "version 1": {0x30, 0x05, 0x02, 0x01, 0x01, 0x30, 0x00},
	} {
		if IsPFX(data) {
			t.Errorf("IsPFX(%s) = true", name)
		}
	}
}

// mostRounds returns the largest number of rounds that stands in clear in a PFX
// file: everywhere it is an INTEGER right behind the OCTET STRING of a salt.
func mostRounds(data []byte, depth int) int64 {
	var most int64
	salt := false
	for depth < 40 && len(data) > 0 {
		e, rest, err := ber.Parse(data)
		if err != nil {
			break
		}
		if n, err := e.Int(); err == nil && salt {
			most = max(most, n)
		}
		most = max(most, mostRounds(e.Content, depth+1))
		salt, data = e.Is(asn1.TagOctetString), rest
	}
	return most
}

func FuzzReadPFX(f *testing.F) {
	paths, err := filepath.Glob("testdata/pfx/*")
	if err != nil || len(paths) != len(bundles) {
		f.Fatalf("testdata/pfx holds %d files (%v), want the %d that are known here", len(paths), err, len(bundles))
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	data, _ := small(f)
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1 && IsPFX(data) && mostRounds(data, 0) > 5000 {
			return // many rounds, which the limit allows; too many have their own test
		}
		bag, err := ReadPFX(data, []byte("geslo"))
		if err != nil {
			wantPFXError(t, "ReadPFX", err)
			return
		}
		key, err := bag.theKey()
		if err != nil {
			return // there may be none, or one that Go does not know
		}
		if set, _, err := Sort(key, bag.Certs); err == nil {
			set.Judge(Rules{Now: now, Host: "acme.example"})
		}
	})
}
