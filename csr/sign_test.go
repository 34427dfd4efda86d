package csr

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// acme is a request with a value in every place.
func acme() *Request {
	return &Request{
		Subject: Subject{
			Country: "AU", State: "NSW", Locality: "Newcastle", Organization: "Acme Bakery Pty Ltd",
			Unit: "IT", CommonName: "portal.acme.example", Email: "it@acme.example",
		},
		SANs: []SAN{
			{SANDNS, "portal.acme.example"},
			{SANIP, "203.0.113.10"},
			{SANIP, "2001:db8::1"},
			{SANEmail, "it@acme.example"},
			{SANURI, "https://portal.acme.example/"},
		},
		UnstructuredName: "portal.acme.example", ChallengePassword: "not-a-secret", Hash: crypto.SHA256,
	}
}

func signed(t testing.TB, r *Request, spec string) []byte {
	t.Helper()
	der, err := r.Sign(testKey(t, spec))
	if err != nil {
		t.Fatalf("Sign(%s): %v", spec, err)
	}
	return der
}

func TestSignParse(t *testing.T) {
	t.Parallel()
	der := signed(t, acme(), "rsa:2048")
	got, err := Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	key := testKey(t, "rsa:2048")
	want := &Info{
		Subject: "emailAddress=it@acme.example,CN=portal.acme.example,OU=IT,O=Acme Bakery Pty Ltd,L=Newcastle,ST=NSW,C=AU",
		Fields:  acme().Subject, SPKISHA256: Fingerprint(key.Public()), Key: "RSA 2048",
		SANs: acme().SANs,
		Attributes: map[string]string{
			"unstructuredName":  "portal.acme.example",
			"challengePassword": "(present, not shown)", "extensionRequest": "subjectAltName",
		},
		Signature: "SHA256-RSA", SignatureOK: new(true),
		PublicKey: key.Public(), DER: der, algorithm: x509.SHA256WithRSA,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Parse(Sign(acme)) = %+v, want %+v", got, want)
	}
	if got := summary(got.Judge()); !slices.Equal(got, []string{
		"pass csr.signature.ok", "pass csr.key.ok",
		"warn csr.unit.dropped", "warn csr.name.internal", "warn csr.challenge.visible",
	}) {
		t.Errorf("Judge(acme) = %q", got)
	}
}

func TestSignKinds(t *testing.T) {
	t.Parallel()
	hashes := map[crypto.Hash]string{crypto.SHA256: "SHA256", crypto.SHA384: "SHA384", crypto.SHA512: "SHA512"}
	for _, spec := range KeyNames() {
		for hash, hashName := range hashes {
			t.Run(spec+" "+hashName, func(t *testing.T) {
				t.Parallel()
				r := acme()
				r.Hash = hash
				der := signed(t, r, spec)
				info, err := Parse(der)
				if err != nil || info.SignatureOK == nil || !*info.SignatureOK {
					t.Fatalf("Parse(Sign(%s, %s)) = %+v, %v, want a good signature", spec, hash, info, err)
				}
				want := map[string]string{"rs": hashName + "-RSA", "ec": "ECDSA-" + hashName, "ed": "Ed25519"}[spec[:2]]
				if info.Signature != want {
					t.Errorf("Sign(%s, %s) signs with %s, want %s", spec, hash, info.Signature, want)
				}
				out := run(t, "", PEM(der), "openssl", "req", "-verify", "-noout", "-text")
				algorithm := map[string]string{"rs": strings.ToLower(hashName) + "WithRSAEncryption", "ec": "ecdsa-with-" + hashName, "ed": "ED25519"}[spec[:2]]
				for _, part := range []string{"verify OK", "Signature Algorithm: " + algorithm} {
					if !strings.Contains(out, part) {
						t.Errorf("openssl req -verify -text does not say %q:\n%s", part, out)
					}
				}
			})
		}
	}
}

func TestSignRefusesHash(t *testing.T) {
	t.Parallel()
	r := acme()
	r.Hash = crypto.SHA1
	if der, err := r.Sign(testKey(t, "ec:p256")); err == nil {
		t.Errorf("Sign(ec:p256, SHA-1) = %x, want an error", der)
	}
}

func TestOpenSSLReadsRequest(t *testing.T) {
	t.Parallel()
	out := run(t, "", PEM(signed(t, acme(), "rsa:2048")), "openssl", "req", "-verify", "-noout", "-text", "-nameopt", "RFC2253,utf8")
	for _, want := range []string{
		"verify OK",
		"Version: 1 (0x0)",
		"Subject: emailAddress=it@acme.example,CN=portal.acme.example,OU=IT,O=Acme Bakery Pty Ltd,L=Newcastle,ST=NSW,C=AU\n",
		"Public-Key: (2048 bit)",
		"DNS:portal.acme.example, IP Address:203.0.113.10, IP Address:2001:DB8:0:0:0:0:0:1, email:it@acme.example, URI:https://portal.acme.example/\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("openssl req -text does not say %q:\n%s", want, out)
		}
	}
	for _, attribute := range []string{"unstructuredName", "challengePassword"} {
		value := map[string]string{"unstructuredName": "portal.acme.example", "challengePassword": "not-a-secret"}[attribute]
		if !slices.ContainsFunc(strings.Split(out, "\n"), func(line string) bool {
			name, v, _ := strings.Cut(strings.TrimSpace(line), ":")
			return strings.TrimSpace(name) == attribute && v == value
		}) {
			t.Errorf("openssl req -text does not show %s with %q:\n%s", attribute, value, out)
		}
	}
	if strings.Contains(out, "unable to print") {
		t.Errorf("openssl req -text cannot print an attribute:\n%s", out)
	}
}

func TestOpenSSLReadsOptionalParts(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name        string
		change      func(*Request)
		says, hides []string
	}{
		{"nothing but the name", func(r *Request) {
			*r = Request{Subject: Subject{CommonName: "portal.acme.example"}, SANs: r.SANs[:1]}
		}, []string{"Subject: CN=portal.acme.example\n", "DNS:portal.acme.example\n"}, []string{"unstructuredName", "challengePassword", "IP Address"}},
		{
			"no attribute at all", func(r *Request) { *r = Request{Subject: r.Subject} },
			[]string{"CN=portal.acme.example"},
			[]string{"unstructuredName", "Alternative"},
		},
		{"no challenge password", func(r *Request) { r.ChallengePassword = "" }, []string{"unstructuredName"}, []string{"challengePassword"}},
		{"no unstructured name", func(r *Request) { r.UnstructuredName = "" }, []string{"challengePassword"}, []string{"unstructuredName"}},
		{"beyond ASCII", func(r *Request) {
			r.Subject.Organization, r.Subject.Locality, r.UnstructuredName = "Pekarna Žito, d.o.o.", "Škofja Loka", "Žito"
		}, []string{`O=Pekarna Žito\, d.o.o.`, "L=Škofja Loka"}, nil},
		{"special characters", func(r *Request) { r.Subject.Organization = ` #"Acme" <Bakery>; Sons\Co+ ` }, []string{`O=\ #\"Acme\" \<Bakery\>\; Sons\\Co\+\ `}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := acme()
			tt.change(r)
			der := signed(t, r, "ec:p256")
			out := run(t, "", PEM(der), "openssl", "req", "-verify", "-noout", "-text", "-nameopt", "RFC2253,utf8,-esc_msb")
			for _, want := range append(tt.says, "verify OK") {
				if !strings.Contains(out, want) {
					t.Errorf("openssl req -text does not say %q:\n%s", want, out)
				}
			}
			for _, bad := range append(tt.hides, "unable to print") {
				if strings.Contains(out, bad) {
					t.Errorf("openssl req -text says %q:\n%s", bad, out)
				}
			}
			info, err := Parse(der)
			if err != nil || info.Fields != r.Subject || info.Attributes["unstructuredName"] != r.UnstructuredName {
				t.Errorf("Parse(Sign(%+v)) = %+v, %v", r, info, err)
			}
		})
	}
}

// The string types decide whether other programs show a field or refuse it.
func TestStringTypes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		object, want string
	}{
		{"countryName", "PRINTABLESTRING   :AU"},
		{"stateOrProvinceName", "UTF8STRING        :NSW"},
		{"localityName", "UTF8STRING        :Newcastle"},
		{"organizationName", "UTF8STRING        :Acme Bakery Pty Ltd"},
		{"organizationalUnitName", "UTF8STRING        :IT"},
		{"commonName", "UTF8STRING        :portal.acme.example"},
		{"emailAddress", "IA5STRING         :it@acme.example"},
		{"unstructuredName", "IA5STRING         :portal.acme.example"},
		{"challengePassword", "UTF8STRING        :not-a-secret"},
	}
	lines := strings.Split(run(t, "", PEM(signed(t, acme(), "ec:p256")), "openssl", "asn1parse", "-inform", "PEM"), "\n")
	for _, tt := range tests {
		i := slices.IndexFunc(lines, func(l string) bool { return strings.HasSuffix(l, ":"+tt.object) })
		// A value of an attribute stands in a SET, one of a name does not.
		if i < 0 || !strings.Contains(lines[i+1]+lines[i+2], tt.want) {
			t.Errorf("openssl asn1parse shows no %s with %q:\n%s", tt.object, tt.want, strings.Join(lines, "\n"))
		}
	}
}

func TestAuthorityKeepsAlternativeNames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "r.csr", PEM(signed(t, acme(), "rsa:2048")))
	run(t, dir, nil, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
		"-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test CA", "-days", "10")
	run(t, dir, nil, "openssl", "x509", "-req", "-in", "r.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
		"-copy_extensions", "copy", "-days", "5", "-out", "cert.pem")
	block, _ := pem.Decode(read(t, dir, "cert.pem"))
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"portal.acme.example", "203.0.113.10", "2001:db8::1"} {
		if err := cert.VerifyHostname(host); err != nil {
			t.Errorf("the certificate for the request does not cover %s: %v", host, err)
		}
	}
	if cert.Subject.Organization[0] != "Acme Bakery Pty Ltd" || len(cert.EmailAddresses) != 1 || len(cert.URIs) != 1 {
		t.Errorf("the certificate is for %s, %q, %q", cert.Subject, cert.EmailAddresses, cert.URIs)
	}
}

func TestGnuTLSReadsRequest(t *testing.T) {
	t.Parallel()
	out := run(t, "", PEM(signed(t, acme(), "rsa:2048")), "certtool", "--crq-info")
	for _, want := range []string{
		"CN=portal.acme.example,OU=IT,O=Acme Bakery Pty Ltd,L=Newcastle,ST=NSW,C=AU",
		"EMAIL=it@acme.example",
		"DNSname: portal.acme.example", "IPAddress: 203.0.113.10", "IPAddress: 2001:db8::1",
		"RFC822Name: it@acme.example", "URI: https://portal.acme.example/",
		"Challenge password: not-a-secret",
		"Self signature: verified",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("certtool --crq-info does not say %q:\n%s", want, out)
		}
	}
}

func ExampleRequest_Sign() {
	request, _ := Prepare(Spec{Subject: Subject{CommonName: "portal.acme.com"}})
	kind, _ := ParseKeySpec("ec:p256")
	key, err := GenerateKey(kind)
	if err != nil {
		fmt.Println(err)
		return
	}
	der, err := request.Sign(key)
	if err != nil {
		fmt.Println(err)
		return
	}
	info, err := Parse(der)
	fmt.Println(info.Subject, info.SANs, info.Signature, err)
	// Output: CN=portal.acme.com [DNS:portal.acme.com] ECDSA-SHA256 <nil>
}
