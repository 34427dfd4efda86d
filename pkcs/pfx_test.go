package pkcs

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
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
	{file: "openssl-camellia.pfx"},
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

func TestSplitBundlesOfOthers(t *testing.T) {
	t.Parallel()
	leaf, issuing, root := fixtureCert(t, "leaf.crt"), fixtureCert(t, "issuing.crt"), fixtureCert(t, "root.crt")
	for _, tt := range bundles {
		t.Run(tt.file, func(t *testing.T) {
			t.Parallel()
			data := fixture(t, "pfx", tt.file)
			set, findings, err := split(t, data, passwordOf(tt.password), Rules{Host: "acme.example", Now: made})
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
			wantSet(t, "split("+tt.file+")", set, leaf, intermediates, top)
			if !SameKey(set.Key, leaf) {
				t.Errorf("split(%s) gives another key", tt.file)
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
				t.Errorf("split(%s) finds %q, want %q", tt.file, findings, want)
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
		_, findings, err := split(t, fixture(t, "pfx", file), []byte("geslo"), Rules{Now: made})
		if err != nil || !strings.Contains(findings[len(findings)-1].Remedy, want) {
			t.Errorf("split(%s) finds %q, %v, want a remedy with %s", file, findings, err, want)
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
				bag, err := Read(data, []byte(wrong))
				checkCode(t, err, CodePFXPassword)
				if bag != nil {
					t.Errorf("Read(%s, %q) = %v, want nothing", tt.file, wrong, bag)
				}
				if wrong == "" && !strings.Contains(report.AsError(err).Remedy, "--password-file") {
					t.Errorf("Read(%s) without a password: remedy %q, want one that names --password-file", tt.file, report.AsError(err).Remedy)
				}
			}
		})
	}
	_, err := Read(fixture(t, "pfx", "openssl.pfx"), []byte("geslo\U0001f511"))
	checkCode(t, err, CodePFXPassword)
}

// The file's password is right, but the key inside has another: no program here
// writes such a file, Java could. The certificates are read, and the key with
// the other password too.
func TestReadPFXKeyPassword(t *testing.T) {
	t.Parallel()
	leaf, _, _ := chain3(t)
	der, err := x509.MarshalPKCS8PrivateKey(leaf.key)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := pbe.Seal(der, []byte("other"))
	if err != nil {
		t.Fatal(err)
	}
	info, _, err := ber.Parse(sealed)
	if err != nil {
		t.Fatal(err)
	}
	r := safeReader{password: pbe.NewPassword([]byte("geslo")), verified: true}
	if out, err := r.openKey(info); err != nil || !bytes.Equal(out, sealed) {
		t.Errorf("openKey(another password) = %x, %v, want the key as it came", out, err)
	}
	rd := &reader{passwords: [][]byte{[]byte("geslo")}, bag: &Bag{}}
	rd.key(&pem.Block{Type: csr.KeyType(sealed), Bytes: sealed}, Origin{})
	rd.passwords = append(rd.passwords, []byte("other"))
	rd.key(&pem.Block{Type: csr.KeyType(sealed), Bytes: sealed}, Origin{})
	checkCode(t, rd.bag.Keys[0].Err, csr.CodeKeyPassword)
	if rd.bag.Keys[1].Err != nil || !SameKey(rd.bag.Keys[1], leaf.Certificate) {
		t.Errorf("key(the right password too) = %v", rd.bag.Keys[1].Err)
	}
}

// split reads and gathers, and wants one set.
func split(t testing.TB, data, password []byte, r Rules) (*Set, []report.Finding, error) {
	t.Helper()
	bag, err := Read(data, password)
	if err != nil {
		return nil, nil, err
	}
	g, err := bag.Gather(t.Context(), GatherOptions{Rules: r})
	if err != nil {
		return nil, nil, err
	}
	return g.Sets[0], g.Findings, nil
}

// A key with which Go cannot sign is sorted with its certificate all the same,
// and written into a bundle again.
func TestSplitRawKey(t *testing.T) {
	t.Parallel()
	data := fixture(t, "pfx", "openssl-ed448.pfx")
	for range 2 {
		set, findings, err := split(t, data, []byte("geslo"), Rules{Now: made})
		if err != nil {
			t.Fatal(err)
		}
		if got := csr.DescribeKey(set.Key.Public()); got != "Ed448" || !SameKey(set.Key, set.Leaf) {
			t.Errorf("the key is %s, want the Ed448 key of the certificate", got)
		}
		if got := summary(findings); !slices.Contains(got, "pass set.key.matches key.pem") || !slices.Contains(got, "warn set.key.unusable key.pem") {
			t.Errorf("findings are %q, want that the key matches and is of no use", got)
		}
		if data, err = EncodePFX(PFX{Key: set.Key, Leaf: set.Leaf}, []byte("geslo")); err != nil {
			t.Fatal(err)
		}
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

func TestReadPFXCut(t *testing.T) {
	t.Parallel()
	data, _ := small(t)
	for n := range data {
		_, err := Read(data[:n], []byte("geslo"))
		if n > 10 {
			checkCode(t, err, CodePFXDamaged)
		} else if report.AsError(err).Kind != report.KindInput {
			t.Errorf("Read(%d of %d bytes): %v", n, len(data), err)
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
			what := fmt.Sprintf("split(byte %d ^ %#x)", n, mask)
			set, _, err := split(t, changed, []byte("geslo"), Rules{Now: now})
			if err != nil {
				if report.AsError(err).Kind != report.KindInput {
					t.Errorf("%s: %v, want an error of an input", what, err)
				}
			} else if !set.Leaf.Equal(leaf.Certificate) || len(set.Intermediates) != 1 || set.Root == nil || !SameKey(set.Key, leaf.Certificate) {
				t.Errorf("%s gives %s, want the set or an error", what, describe(set))
			}
		}
	}
}

func TestReadPFXTrailingBytes(t *testing.T) {
	t.Parallel()
	data, leaf := small(t)
	bag, err := Read(append(data, make([]byte, 8)...), []byte("geslo"))
	if err != nil || !bag.Certs[0].Equal(leaf.Certificate) {
		t.Errorf("Read(8 zeros behind it) = %v, %v", bag, err)
	}
}

// isSequence reports whether data is one whole SEQUENCE.
func isSequence(data []byte) bool {
	e, rest, err := ber.Parse(data)
	return err == nil && len(rest) == 0 && e.Is(asn1.TagSequence)
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
		case tag&0x20 != 0, tag == casn1.OCTET_STRING && isSequence(content): // a salt may begin like one
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
			_, err := Read(bomb, []byte("geslo"))
			checkCode(t, err, CodePFXUnsupported)
			if err != nil && !strings.Contains(err.Error(), fmt.Sprint(rounds)) {
				t.Errorf("Read(%s, %d rounds): %v, want an error that says the number", name, rounds, err)
			}
		}
	}
}

// A certificate that Go finds odd, but reads, keeps its bytes.
func TestSplitKeepsBytes(t *testing.T) {
	t.Parallel()
	leaf, issuing, root := chain3(t)
	odd := resign(t, leaf.Certificate, issuing, func(tbs []byte) []byte {
		return bytes.Replace(tbs, leaf.SerialNumber.Bytes(), append([]byte{0xff}, leaf.SerialNumber.Bytes()[1:]...), 1)
	})
	if odd.SerialNumber.Sign() >= 0 {
		t.Fatalf("the serial number is %v, want a negative one", odd.SerialNumber)
	}
	data, err := EncodePFX(PFX{Key: leaf.key, Leaf: odd, Chain: certs(root, issuing)}, []byte("geslo"))
	if err != nil {
		t.Fatal(err)
	}
	set, _, err := split(t, data, []byte("geslo"), Rules{Now: now})
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
	_, err := EncodePFX(PFX{Key: newKey(t), Leaf: leaf.Certificate}, []byte("geslo"))
	checkCode(t, err, "set.key.mismatch")
	dir := t.TempDir()
	data, err := EncodePFX(PFX{Key: leaf.key, Leaf: leaf.Certificate, Chain: certs(issuing, root)}, []byte("Geslo-čšž€"))
	if err != nil {
		t.Fatal(err)
	}
	set, _, err := split(t, data, []byte("Geslo-čšž€"), Rules{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	wantSet(t, "split(EncodePFX(…))", set, leaf.Certificate, certs(issuing), root.Certificate)
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
	if err != nil || len(paths) < len(bundles) {
		f.Fatalf("testdata/pfx holds %d files (%v), want at least the %d that are known here", len(paths), err, len(bundles))
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
		bag, err := Read(data, []byte("geslo"))
		if err != nil {
			if e, ok := errors.AsType[*report.Error](err); !ok || e.Kind != report.KindInput {
				t.Errorf("Read: %v, want an error of an input", err)
			}
			return
		}
		g, err := bag.Gather(t.Context(), GatherOptions{Rules: Rules{Now: now, Host: "acme.example"}})
		if err == nil && len(g.Sets) == 0 {
			t.Error("Gather gives no set and no error")
		}
	})
}
