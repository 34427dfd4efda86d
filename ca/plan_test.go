package ca

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"slices"
	"strings"
	"testing"
	"time"

	"onsite/csr"
)

func TestPrepare(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		spec Spec
		want string // the codes, and for a plan what is permitted
	}{
		{"a name alone", Spec{Name: " Acme Bakery "}, "; "},
		{"domains and ranges", Spec{Name: "Acme", Permit: []string{"Acme.Example", "*.acme.example", ".acme.example", "192.168.1.77/24", "10.0.0.1", "acme.local", ""}}, "; acme.example acme.local 192.168.1.0/24 10.0.0.1/32"},
		{"IPv6, and a name of letters", Spec{Name: "Acme", Permit: []string{"fd00::1/64", "bäckerei.example"}}, "; xn--bckerei-5wa.example fd00::/64"},
		{"no name", Spec{}, "fail ca.name.wrong"},
		{"a name that is too long", Spec{Name: strings.Repeat("x", 47)}, "fail ca.name.wrong"},
		{"a name of 46", Spec{Name: strings.Repeat("x", 46)}, "; "},
		{"a name with a line break", Spec{Name: "a\nb"}, "fail ca.name.wrong"},
		{"a wrong country", Spec{Name: "Acme", Country: "UK"}, "fail csr.country.unknown"},
		{"wrong permits", Spec{Name: "Acme", Permit: []string{"192.168.1.0/33", "it@acme.example", "https://acme.example/", "a_b.example"}}, "fail ca.permit.wrong, fail ca.permit.wrong, fail ca.permit.wrong, fail csr.name.syntax"},
		{"an HTTPS list", Spec{Name: "Acme", CRLURL: "https://pki.acme.example/"}, "fail ca.crl-url.wrong"},
		{"a list that is no URL", Spec{Name: "Acme", CRLURL: "pki.acme.example"}, "fail ca.crl-url.wrong"},
		{"more than a folder", Spec{Name: "Acme", CRLURL: "http://pki.acme.example/?x"}, "fail ca.crl-url.wrong"},
		{"an issuing certificate beyond the root", Spec{Name: "Acme", Days: 100, IssuingDays: 200}, "warn ca.days.shortened; "},
		{"a short root", Spec{Name: "Acme", Days: 100}, "; "},
	} {
		plan, findings := Prepare(tt.spec)
		got := codes(findings)
		if plan != nil {
			got += "; " + strings.Join(plan.Permitted(), " ")
		}
		if got != tt.want {
			t.Errorf("%s: Prepare = %q, want %q", tt.name, got, tt.want)
		}
		if plan != nil && (plan.IssuingDays > plan.Days || plan.Key.String() == "" || plan.Name != strings.TrimSpace(tt.spec.Name)) {
			t.Errorf("%s: the plan is %+v", tt.name, plan)
		}
	}
}

func TestMake(t *testing.T) {
	t.Parallel()
	a := authority(t, Spec{Organization: "Acme Bakery Pty Ltd", Country: "AU", CRLURL: "http://pki.acme.example/ca"})
	for _, tt := range []struct {
		cert, parent *x509.Certificate
		name         string
		pathLength   int
		days         int
	}{
		{a.Root, a.Root, "Acme Bakery root", 1, 3650},
		{a.Issuing, a.Root, "Acme Bakery issuing authority", 0, 1825},
	} {
		c := tt.cert
		if err := c.CheckSignatureFrom(tt.parent); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if c.Subject.CommonName != tt.name || !c.IsCA || c.MaxPathLen != tt.pathLength || c.MaxPathLenZero != (tt.pathLength == 0) ||
			c.KeyUsage != x509.KeyUsageCertSign|x509.KeyUsageCRLSign || len(c.SubjectKeyId) != 20 ||
			c.SerialNumber.Sign() <= 0 || c.SerialNumber.BitLen() > 127 {
			t.Errorf("%s is %+v", tt.name, c)
		}
		if from := today.Add(-time.Hour); !c.NotBefore.Equal(from) || !c.NotAfter.Equal(from.AddDate(0, 0, tt.days).Add(-time.Second)) {
			t.Errorf("%s is good from %s to %s", tt.name, c.NotBefore, c.NotAfter)
		}
		for _, id := range []string{"2.5.29.19", "2.5.29.15"} { // basic constraints, key usage
			if !slices.ContainsFunc(c.Extensions, func(e pkix.Extension) bool { return e.Id.String() == id && e.Critical }) {
				t.Errorf("%s: extension %s is missing or not critical", tt.name, id)
			}
		}
	}
	if string(a.Issuing.AuthorityKeyId) != string(a.Root.SubjectKeyId) || len(a.Root.CRLDistributionPoints) > 0 ||
		!slices.Equal(a.Issuing.CRLDistributionPoints, []string{"http://pki.acme.example/ca/root.crl"}) {
		t.Errorf("the issuing certificate is %+v", a.Issuing)
	}
}

func TestAllow(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		permit []string
		yes    string
		no     string
	}{
		{nil, "portal.acme.example *.acme.example 192.168.1.1 fd00::1", ""},
		{[]string{"acme.example"}, "acme.example portal.acme.example a.b.acme.example *.acme.example", "notacme.example example *.example 192.168.1.1 fd00::1"},
		{[]string{"192.168.1.0/24"}, "192.168.1.0 192.168.1.255", "192.168.2.1 fd00::1 acme.example"},
		{[]string{"acme.example", "fd00::/64"}, "x.acme.example fd00::1", "fd00:0:0:1::1 10.0.0.1"},
	} {
		a := authority(t, Spec{Permit: tt.permit})
		for _, name := range strings.Fields(tt.yes + " " + tt.no) {
			sans, _ := csr.JudgeSANs(name)
			want := slices.Contains(strings.Fields(tt.yes), name)
			if got := constraintsOf(a.Issuing).allow(sans[0]); got != want {
				t.Errorf("permitted %q: allow(%s) = %v, want %v", tt.permit, name, got, want)
			}
			// What is refused here, every client must refuse too, and the other way round.
			d := &Draft{Names: sans, Key: testKey(t, "ec:p256").Public()}
			d.NotBefore, d.NotAfter = validity(today, 1)
			if _, err := a.Issue(d); (err == nil) != want {
				t.Errorf("permitted %q: Go's verifier says of %s: %v, want %v", tt.permit, name, err, want)
			}
		}
	}
}

func TestParseSerialAndReason(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ typed, want string }{
		{"3F:A0:01", "3fa001"},
		{" 00 3f a0 01 ", "3fa001"},
		{"0x3FA001", "3fa001"},
		{"3fa001", "3fa001"},
		{"", ""},
		{"0", ""},
		{"-3f", ""},
		{"portal.pem", ""},
		{strings.Repeat("f", 41), ""},
	} {
		if got := ParseSerial(tt.typed); got != tt.want {
			t.Errorf("ParseSerial(%q) = %q, want %q", tt.typed, got, tt.want)
		}
	}
	if r, err := ParseReason("KEYcompromise"); r != "keyCompromise" || err != nil {
		t.Errorf("ParseReason = %q, %v", r, err)
	}
	if _, err := ParseReason("boredom"); err == nil || !strings.Contains(err.Error(), "superseded") {
		t.Errorf("ParseReason = %v, want an error that lists the reasons", err)
	}
}
