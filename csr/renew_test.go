package csr

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"slices"
	"testing"
	"time"
)

// oldCert is a self-signed certificate that ended long ago.
func oldCert(t testing.TB, template x509.Certificate) *x509.Certificate {
	t.Helper()
	key := testKey(t, "ec:p256")
	template.SerialNumber, template.NotAfter = big.NewInt(1), time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestFromCertificate(t *testing.T) {
	t.Parallel()
	names, err := asn1.Marshal([]asn1.RawValue{
		{Class: asn1.ClassContextSpecific, Tag: 2, Bytes: []byte("portal.acme.com")},
		{Class: asn1.ClassContextSpecific, Tag: 8, Bytes: []byte{0x2a, 3}}, // a registered identifier
		{Class: asn1.ClassContextSpecific, Tag: 7, Bytes: []byte{203, 0, 113, 9}},
	})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name     string
		cert     x509.Certificate
		subject  Subject
		sans     []string
		findings []string
	}{
		{"plain", x509.Certificate{
			Subject:  pkix.Name{Country: []string{"AU"}, Province: []string{"NSW"}, Locality: []string{"Newcastle"}, Organization: []string{"Acme"}, OrganizationalUnit: []string{"IT"}, CommonName: "portal.acme.com"},
			DNSNames: []string{"portal.acme.com", "*.acme.com"}, EmailAddresses: []string{"it@acme.com"},
		}, Subject{"AU", "NSW", "Newcastle", "Acme", "IT", "portal.acme.com", ""}, []string{"DNS:portal.acme.com", "DNS:*.acme.com", "email:it@acme.com"}, nil},
		{"no common name", x509.Certificate{DNSNames: []string{"portal.acme.com"}}, Subject{CommonName: "portal.acme.com"}, []string{"DNS:portal.acme.com"}, nil},
		{"nothing else", x509.Certificate{Subject: pkix.Name{CommonName: "portal.acme.com"}}, Subject{CommonName: "portal.acme.com"}, nil, nil},
		{"more than a request has", x509.Certificate{
			Subject:         pkix.Name{OrganizationalUnit: []string{"IT", "Two"}, SerialNumber: "123", CommonName: "portal.acme.com"},
			ExtraExtensions: []pkix.Extension{{Id: oidSubjectAltName, Value: names}},
		}, Subject{Unit: "IT", CommonName: "portal.acme.com"}, []string{"DNS:portal.acme.com", "IP:203.0.113.9"}, []string{"OU=Two", "serialNumber=123", "alternative names"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			spec, findings := FromCertificate(oldCert(t, tt.cert))
			var got []string
			for _, f := range findings {
				got = append(got, f.Subject)
			}
			if spec.Subject != tt.subject || !slices.Equal(spec.SANs, tt.sans) || !slices.Equal(got, tt.findings) {
				t.Errorf("FromCertificate = %+v, %q, want %+v, %q, %q", spec, got, tt.subject, tt.sans, tt.findings)
			}
			checkFindings(t, findings)
			if r, findings := Prepare(spec); r == nil {
				t.Errorf("Prepare refuses it: %v", findings)
			}
		})
	}
}

// What a request holds comes back whole, but for the challenge password.
func TestAgain(t *testing.T) {
	t.Parallel()
	none, other := "", "another"
	for _, tt := range []struct {
		name         string
		unstructured *string
	}{{"as the common name", nil}, {"none", &none}, {"another", &other}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			spec := Spec{
				Subject:          Subject{"AU", "NSW", "Newcastle", "Acme, \"Best\" Pty", "IT", "portal.acme.com", "it@acme.com"},
				SANs:             []string{"www.acme.com", "2001:db8::1", "it@acme.com", "https://acme.com/x"},
				UnstructuredName: tt.unstructured, ChallengePassword: "obviously fake",
			}
			first, _ := Prepare(spec)
			der, err := first.Sign(testKey(t, "ec:p256"))
			if err != nil {
				t.Fatal(err)
			}
			info, err := Parse(der)
			if err != nil {
				t.Fatal(err)
			}
			again, findings := info.Again()
			second, _ := Prepare(again)
			if second == nil || len(findings) > 0 {
				t.Fatalf("Again = %+v, %v", again, findings)
			}
			if second.Subject != first.Subject || !slices.Equal(second.SANs, first.SANs) || second.UnstructuredName != first.UnstructuredName || second.ChallengePassword != "" {
				t.Errorf("Again gives %+v, want %+v without the challenge password", second, first)
			}
			if changes := second.Changes(again); len(changes) > 0 {
				t.Errorf("Changes = %v, want none", changes)
			}
		})
	}
}

func TestChanges(t *testing.T) {
	t.Parallel()
	before := Spec{Subject: Subject{Unit: "IT", CommonName: "Portal.acme.com"}, SANs: []string{"DNS:portal.acme.com", "DNS:old.acme.com"}}
	after := before
	after.Unit, after.Email = "", "it@acme.com"
	if !after.DropSAN("OLD.acme.com") || after.DropSAN("IP:192.0.2.1") || len(before.SANs) != 2 {
		t.Errorf("DropSAN leaves %q of %q", after.SANs, before.SANs)
	}
	after.SANs = append(after.SANs, "192.0.2.1")
	r, findings := Prepare(after)
	if r == nil {
		t.Fatal(findings)
	}
	want := []Change{
		{"cn", "Portal.acme.com", "portal.acme.com"},
		{"unit", "IT", ""},
		{"email", "", "it@acme.com"},
		{"san", "DNS:old.acme.com", ""},
		{"san", "", "IP:192.0.2.1"},
	}
	if got := r.Changes(before); !slices.Equal(got, want) {
		t.Errorf("Changes = %v, want %v", got, want)
	}
	if got := want[1].String(); got != "unit: IT -> none" {
		t.Errorf("String = %q", got)
	}
}

func TestLikeKeyOfAnother(t *testing.T) {
	t.Parallel()
	block, _ := pem.Decode(read(t, "testdata", "pkcs1.key"))
	key, err := DecodeKey(block, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := LikeKey(key.Public()); got.String() != "rsa:2048" {
		t.Errorf("LikeKey(%s) = %s, want rsa:2048", DescribeKey(key.Public()), got)
	}
}
