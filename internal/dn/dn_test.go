package dn

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

var (
	oidC   = asn1.ObjectIdentifier{2, 5, 4, 6}
	oidO   = asn1.ObjectIdentifier{2, 5, 4, 10}
	oidOU  = asn1.ObjectIdentifier{2, 5, 4, 11}
	oidCN  = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidL   = asn1.ObjectIdentifier{2, 5, 4, 7}
	oidDC  = asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 25}
	oidUID = asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}
	oidE   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}
)

func value(tag int, bytes string) asn1.RawValue {
	return asn1.RawValue{Tag: tag, Bytes: []byte(bytes)}
}

func utf(s string) asn1.RawValue { return value(asn1.TagUTF8String, s) }

func one(oid asn1.ObjectIdentifier, v any) pkix.RelativeDistinguishedNameSET {
	return pkix.RelativeDistinguishedNameSET{{Type: oid, Value: v}}
}

func encode(t testing.TB, rdns ...pkix.RelativeDistinguishedNameSET) []byte {
	t.Helper()
	der, err := asn1.Marshal(pkix.RDNSequence(rdns))
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestString(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		raw  []byte
		want string
	}{
		// RFC 4514, section 4. Its strings give the most specific part first.
		{
			"RFC 4514 example 1", encode(t, one(oidDC, value(asn1.TagIA5String, "net")), one(oidDC, value(asn1.TagIA5String, "example")), one(oidUID, utf("jsmith"))),
			"UID=jsmith,DC=example,DC=net",
		},
		{
			"RFC 4514 example 2, two values", encode(t, one(oidDC, value(asn1.TagIA5String, "net")), one(oidDC, value(asn1.TagIA5String, "example")),
				pkix.RelativeDistinguishedNameSET{{Type: oidOU, Value: utf("Sales")}, {Type: oidCN, Value: utf("J.  Smith")}}),
			"OU=Sales+CN=J.  Smith,DC=example,DC=net",
		}, // the RFC leaves the order within a set open
		{
			"RFC 4514 example 3, quotes and comma", encode(t, one(oidDC, value(asn1.TagIA5String, "net")), one(oidCN, utf(`James "Jim" Smith, III`))),
			`CN=James \"Jim\" Smith\, III,DC=net`,
		},
		{
			"RFC 4514 example 4, carriage return", encode(t, one(oidDC, value(asn1.TagIA5String, "net")), one(oidCN, utf("Before\rAfter"))),
			`CN=Before\0DAfter,DC=net`,
		},
		{
			"RFC 4514 example 5, unknown value", encode(t, one(asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 1466, 0}, []byte("Hi"))),
			"1.3.6.1.4.1.1466.0=#04024869",
		},
		{"RFC 4514 example 6, beyond ASCII", encode(t, one(oidCN, utf("Lučić"))), "CN=Lučić"},
		{"RFC 2253 example, backslash and plus", encode(t, one(oidO, utf(`Sue, Grabbit + Runn\`))), `O=Sue\, Grabbit \+ Runn\\`},
		{"spaces and number sign", encode(t, one(oidO, utf(" # ")), one(oidCN, utf("#1 a#b "))), `CN=\#1 a#b\ ,O=\ #\ `},
		{"one space", encode(t, one(oidO, utf(" "))), `O=\ `},
		{"non-ASCII last", encode(t, one(oidO, utf("Caf\u00e9 "))), `O=Café\ `},
		{"equals is not special", encode(t, one(oidO, utf("a=b;c<d>"))), `O=a=b\;c\<d\>`},
		{"escape sequence, zero, C1", encode(t, one(oidCN, utf("a\x1b[2Jb\x00\u0085"))), `CN=a\1B[2Jb\00\C2\85`},
		{"text that turns its direction", encode(t, one(oidCN, utf("evil\u202emoc.elpmaxe"))), `CN=evil\E2\80\AEmoc.elpmaxe`},
		{"BMPString", encode(t, one(oidO, value(asn1.TagBMPString, "\x01\x0d\x00e\xd8\x3d\xde\x00"))), "O=\u010de\U0001f600"},
		{"BMPString, odd length", encode(t, one(oidO, value(asn1.TagBMPString, "\x00a\x00"))), "O=#1e03006100"},
		{"T61String is Latin-1", encode(t, one(oidO, value(asn1.TagT61String, "Caf\xe9"))), "O=Café"},
		{"PrintableString", encode(t, one(oidC, value(asn1.TagPrintableString, "AU"))), "C=AU"},
		{"VisibleString", encode(t, one(oidO, value(26, "Acme"))), "O=Acme"},
		{"UTF8String that is none", encode(t, one(oidO, utf("a\xff"))), "O=#0c0261ff"},
		{"UniversalString is shown raw", encode(t, one(oidO, value(28, "\x00\x00\x00a"))), "O=#1c0400000061"},
		{"e-mail", encode(t, one(oidE, value(asn1.TagIA5String, "it@acme.example"))), "emailAddress=it@acme.example"},
		{"empty name", encode(t), ""},
		{"empty value", encode(t, one(oidO, utf(""))), "O="},
		{"empty set", []byte{0x30, 0x02, 0x31, 0x00}, ""},
		{"nothing", nil, "#"},
		{"garbage", []byte("hello"), "#68656c6c6f"},
		{"trailing byte", append(encode(t, one(oidO, utf("a"))), 0), "#300c310a3008060355040a0c016100"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := String(tt.raw); got != tt.want {
				t.Errorf("String(%x) = %q, want %q", tt.raw, got, tt.want)
			}
		})
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	raw := encode(t, one(oidO, utf("Acme, Inc.")), one(oidOU, utf("first")), one(oidOU, utf("second")), one(oidL, value(28, "raw")))
	tests := []struct {
		raw         []byte
		which, want string
	}{
		{raw, "O", "Acme, Inc."},
		{raw, "OU", "first"},
		{raw, "CN", ""},
		{raw, "L", ""},
		{[]byte("garbage"), "O", ""},
		{nil, "O", ""},
		{encode(t, one(oidO, utf("a\xff"))), "O", ""},
	}
	for _, tt := range tests {
		if got := Lookup(tt.raw, tt.which); got != tt.want {
			t.Errorf("Lookup(%x, %q) = %q, want %q", tt.raw, tt.which, got, tt.want)
		}
	}
}

func TestFriendly(t *testing.T) {
	t.Parallel()
	tests := []struct {
		raw  []byte
		want string
	}{
		{encode(t, one(oidO, utf("Acme")), one(oidCN, utf("portal.acme.example"))), "portal.acme.example"},
		{encode(t, one(oidO, utf("Acme, Inc.")), one(oidOU, utf("Class 3, G2"))), "Class 3, G2"},
		{encode(t, one(oidC, utf("AU")), one(oidO, utf("Acme"))), "Acme"},
		{encode(t, one(oidC, utf("AU")), one(oidL, utf("Newcastle"))), "L=Newcastle,C=AU"},
		{encode(t, one(oidCN, utf("a\n-----BEGIN X-----\x1b[0m"))), `a\0A-----BEGIN X-----\1B[0m`},
		{encode(t, one(oidCN, utf("š\u00a0č"))), "š\u00a0č"},
		{encode(t), ""},
	}
	for _, tt := range tests {
		if got := Friendly(tt.raw); got != tt.want {
			t.Errorf("Friendly(%x) = %q, want %q", tt.raw, got, tt.want)
		}
	}
}

// OpenSSL's RFC 2253 form, but with other than ASCII left as it is. Of several
// values in one set OpenSSL turns the order round too, which no RFC asks for.
func TestStringAgreesWithOpenSSL(t *testing.T) {
	t.Parallel()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed")
	}
	dir := t.TempDir()
	key := filepath.Join(dir, "key.pem")
	if out, err := exec.Command(openssl, "genpkey", "-algorithm", "ed25519", "-out", key).CombinedOutput(); err != nil {
		t.Fatalf("openssl genpkey: %v\n%s", err, out)
	}
	subjects := []string{
		"/C=AU/ST=NSW/L=Newcastle/O=Acme Bakery Pty Ltd/OU=IT/CN=portal.acme.example/emailAddress=it@acme.example",
		`/O=Acme, "Bread" + Cakes; <fine> #1/CN=a\\b`,
		"/O=#1 /CN= lead",
		"/DC=example/DC=acme/UID=jsmith/CN=J. Smith",
		"/O=Pekarna Žito d.o.o./L=Škofja Loka",
		"/O=tab\tand\x1bescape/CN=x",
		"/serialNumber=12345/title=Baker/SN=Smith/GN=Jo",
	}
	for i, subject := range subjects {
		t.Run(subject, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(dir, string(rune('a'+i))+".der")
			if out, err := exec.Command(openssl, "req", "-new", "-key", key, "-utf8", "-subj", subject,
				"-outform", "DER", "-out", file).CombinedOutput(); err != nil {
				t.Fatalf("openssl req -subj %q: %v\n%s", subject, err, out)
			}
			out, err := exec.Command(openssl, "req", "-inform", "DER", "-in", file, "-noout", "-subject",
				"-nameopt", "esc_2253,esc_ctrl,utf8,sep_comma_plus,dn_rev,sname").CombinedOutput()
			if err != nil {
				t.Fatalf("openssl req -subject: %v\n%s", err, out)
			}
			want := strings.TrimSuffix(strings.TrimPrefix(string(out), "subject="), "\n")
			if got := String(subjectOf(t, file)); got != want {
				t.Errorf("String(subject %q) = %q, OpenSSL says %q", subject, got, want)
			}
		})
	}
}

// subjectOf digs the name out of a request in DER.
func subjectOf(t *testing.T, file string) []byte {
	t.Helper()
	der, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var request struct {
		Info struct {
			Version   int
			Subject   asn1.RawValue
			PublicKey asn1.RawValue
		}
	}
	if _, err := asn1.Unmarshal(der, &request); err != nil {
		t.Fatal(err)
	}
	return request.Info.Subject.FullBytes
}

func FuzzString(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte{0x30, 0x80, 0, 0})
	f.Add(encode(f, one(oidC, value(asn1.TagPrintableString, "AU")), one(oidO, utf("Acme, Inc.")), one(oidCN, utf("portal.acme.example"))))
	f.Add(encode(f, one(oidO, value(asn1.TagBMPString, "\x00a\xd8\x00")), one(oidO, value(asn1.TagT61String, "\xe9"))))
	f.Add(encode(f, pkix.RelativeDistinguishedNameSET{{Type: oidOU, Value: utf(" a ")}, {Type: oidCN, Value: utf("#\x1b\u202e")}}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, got := range []string{String(raw), Friendly(raw)} {
			if !utf8.ValidString(got) {
				t.Errorf("String(%x) = %q, which is not UTF-8", raw, got)
			}
			if strings.ContainsFunc(got, hidden) {
				t.Errorf("String(%x) = %q, which holds characters that do not show", raw, got)
			}
		}
	})
}
