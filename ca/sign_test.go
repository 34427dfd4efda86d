package ca

import (
	"bytes"
	"crypto/x509"
	"slices"
	"strings"
	"testing"
	"time"

	"onsite/csr"
	"onsite/pkcs"
)

func TestPrepareRequest(t *testing.T) {
	t.Parallel()
	a := authority(t, Spec{Permit: []string{"acme.example", "192.168.1.0/24"}})
	for _, tt := range []struct {
		name    string
		request *csr.Info
		profile Profile
		want    string // codes; the names of the certificate
	}{
		{"a good request", request(t, "ec:p256", "portal.acme.example", "192.168.1.7"), Profile{}, "; DNS:portal.acme.example IP:192.168.1.7"},
		{"further names", request(t, "ec:p256", "portal.acme.example"), Profile{SANs: []string{"WWW.acme.example", "portal.acme.example"}}, "; DNS:portal.acme.example DNS:www.acme.example"},
		{"a further name outside", request(t, "ec:p256", "portal.acme.example"), Profile{SANs: []string{"portal.example.com"}}, "fail ca.name.outside"},
		{"a further name that is none", request(t, "ec:p256", "portal.acme.example"), Profile{SANs: []string{"a_b.acme.example", "it@acme.example"}}, "fail csr.name.syntax, fail csr.san.syntax"},
		{"names outside", request(t, "ec:p256", "portal.acme.com.au", "192.168.2.7", "x.acme.example"), Profile{}, "fail ca.name.outside, fail ca.name.outside"},
		{"e-mail and URI", request(t, "ec:p256", "portal.acme.example", "it@acme.example", "https://acme.example/"), Profile{}, "warn ca.san.dropped, warn ca.san.dropped; DNS:portal.acme.example"},
		{"a common name alone", bare(t, "Portal.acme.example"), Profile{}, "; DNS:portal.acme.example"},
		{"a common name beside others", bare(t, "portal.acme.example", "www.acme.example"), Profile{}, "; DNS:www.acme.example DNS:portal.acme.example"},
		{"a common name that is no host's", bare(t, "Acme", "www.acme.example"), Profile{}, "warn csr.san.without-name; DNS:www.acme.example"},
		{"a common name outside", bare(t, "portal.acme.com.au", "www.acme.example"), Profile{}, "fail ca.name.outside"},
		{"no host name at all", bare(t, "Acme Bakery"), Profile{}, "fail csr.san.missing, warn csr.san.missing"},
		{"a weak key and SHA-1", fixture(t, "rsa1024-sha1.csr"), Profile{}, "fail ca.name.outside, fail csr.key.weak, warn csr.signature.weak"},
		{"MD5", fixture(t, "rsa512-md5.csr"), Profile{}, "fail ca.name.outside, fail csr.key.weak, fail csr.signature.weak"},
		{"a key that cannot be checked", fixture(t, "ed448.csr"), Profile{}, "fail ca.name.outside, fail csr.key.unsupported, fail csr.signature.unsupported"},
		{"825 days", request(t, "ec:p256", "portal.acme.example"), Profile{Days: 825}, "warn cert.lifetime.long; DNS:portal.acme.example"},
		{"397 days", request(t, "ec:p256", "portal.acme.example"), Profile{Days: 397}, "; DNS:portal.acme.example"},
		{"10 years", request(t, "ec:p256", "portal.acme.example"), Profile{Days: 3653}, "warn ca.days.shortened, warn cert.lifetime.long; DNS:portal.acme.example"},
		{"after the end", request(t, "ec:p256", "portal.acme.example"), Profile{Now: func() time.Time { return today.AddDate(5, 0, 1) }}, "fail ca.expired"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if tt.profile.Now == nil {
				tt.profile.Now = clock
			}
			draft, findings := a.Prepare(tt.request, tt.profile)
			got := codes(findings)
			if draft != nil {
				var names []string
				for _, n := range draft.Names {
					names = append(names, n.String())
				}
				got += "; " + strings.Join(names, " ")
			}
			if got != tt.want {
				t.Errorf("Prepare = %q, want %q\n%q", got, tt.want, findings)
			}
			if draft != nil && draft.NotAfter.After(a.Issuing.NotAfter) {
				t.Errorf("the certificate ends on %s, after the authority", draft.NotAfter)
			}
		})
	}
}

// TestForgedRequest changes a byte of a request's signature.
func TestForgedRequest(t *testing.T) {
	t.Parallel()
	der := slices.Clone(request(t, "rsa:2048", "portal.acme.example").DER)
	der[len(der)-1] ^= 1
	draft, findings := authority(t, Spec{}).Prepare(parse(t, der), Profile{Now: clock})
	if draft != nil || codes(findings) != "fail csr.signature.bad" {
		t.Errorf("Prepare of a forged request = %v, %q", draft, findings)
	}
}

func TestIssue(t *testing.T) {
	t.Parallel()
	a := authority(t, Spec{CRLURL: "http://pki.acme.example/ca/", Permit: []string{"acme.example"}})
	for key, usage := range map[string]x509.KeyUsage{
		"rsa:2048": x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		"ec:p256":  x509.KeyUsageDigitalSignature,
		"ed25519":  x509.KeyUsageDigitalSignature,
	} {
		r := request(t, key, "portal.acme.example", "www.acme.example")
		draft, findings := a.Prepare(r, Profile{Now: clock})
		if draft == nil {
			t.Fatalf("%s: %q", key, findings)
		}
		c, err := a.Issue(draft)
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		if c.KeyUsage != usage || !slices.Equal(c.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}) || c.IsCA || !c.BasicConstraintsValid ||
			!bytes.Equal(c.AuthorityKeyId, a.Issuing.SubjectKeyId) || csr.Fingerprint(c.PublicKey) != r.SPKISHA256 ||
			!slices.Equal(c.CRLDistributionPoints, []string{"http://pki.acme.example/ca/issuing.crl"}) {
			t.Errorf("%s: the certificate is %+v", key, c)
		}
		if days := c.NotAfter.Sub(c.NotBefore) + time.Second; days != 397*24*time.Hour {
			t.Errorf("%s: good for %s", key, days)
		}
		if pkcs.Describe(c).Subject != r.Subject {
			t.Errorf("%s: subject %s, want %s", key, pkcs.Describe(c).Subject, r.Subject)
		}
	}
	locked := &Authority{Root: a.Root, Issuing: a.Issuing}
	draft, _ := locked.Prepare(request(t, "ec:p256", "portal.acme.example"), Profile{Now: clock})
	if _, err := locked.Issue(draft); err == nil {
		t.Error("a locked authority signs")
	}
}

func TestSelfSign(t *testing.T) {
	t.Parallel()
	r, judged := csr.Prepare(csr.Spec{
		Subject: csr.Subject{CommonName: "*.acme.example", Organization: "Acme", Unit: "IT", Country: "AU", Email: "it@acme.example"},
		SANs:    []string{"acme.example", "192.168.1.200", "it@acme.example"},
	})
	for days, want := range map[int]string{
		0: "warn ca.san.dropped", 397: "warn ca.san.dropped", 398: "warn ca.san.dropped, warn cert.lifetime.long", 7200: "warn ca.san.dropped, warn cert.lifetime.long",
	} {
		draft, findings, err := PrepareSelf(r, judged, Profile{Days: days, Now: clock})
		if err != nil || codes(findings) != want {
			t.Errorf("PrepareSelf(%d days) = %q, %v, want %q", days, codes(findings), err, want)
			continue
		}
		c, err := SelfSign(draft, testKey(t, "rsa:2048"))
		if err != nil {
			t.Fatal(err)
		}
		i := pkcs.Describe(c)
		if i.Subject != "emailAddress=it@acme.example,CN=*.acme.example,OU=IT,O=Acme,C=AU" || i.Issuer != i.Subject || i.IsCA ||
			!slices.Equal(i.Names, []string{"*.acme.example", "acme.example", "192.168.1.200"}) {
			t.Errorf("SelfSign = %+v", i)
		}
		pool := x509.NewCertPool()
		pool.AddCert(c)
		if _, err := c.Verify(x509.VerifyOptions{Roots: pool, DNSName: "portal.acme.example", CurrentTime: today}); err != nil {
			t.Errorf("who trusts it rejects it: %v", err)
		}
		set, findings, err := pkcs.Sort(testKey(t, "rsa:2048"), []*x509.Certificate{c})
		if err != nil || set.Root != set.Leaf || len(findings) > 0 {
			t.Errorf("Sort = %+v, %q, %v", set, findings, err)
		}
	}
}
