package pkcs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/x509roots/fallback/bundle"

	"onsite/internal/dn"
	"onsite/report"
)

// TestVerifyLeaf judges what stands in one certificate, above which all is well.
func TestVerifyLeaf(t *testing.T) {
	t.Parallel()
	root := ca(t, nil, "Root")
	number := func(n *big.Int) *x509.Certificate {
		c := site(t, root)
		c.SerialNumber = n // what Go would not write
		return c.Certificate
	}
	long := new(big.Int).Lsh(big.NewInt(1), 159)
	emptyIssuer := site(t, root)
	emptyIssuer.RawIssuer = []byte{0x30, 0}
	twice := site(t, root).Certificate
	twice.Extensions = append(twice.Extensions, twice.Extensions[0])
	critical := site(t, root).Certificate
	for i, e := range critical.Extensions {
		if e.Id.Equal(oidAuthorityKeyID) {
			critical.Extensions[i].Critical = true
		}
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edPublic, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	withKey := func(public any) *x509.Certificate {
		template := server("portal.acme.example")
		template.SerialNumber, template.NotBefore, template.NotAfter = big.NewInt(1), now, now.AddDate(0, 3, 0)
		der, err := x509.CreateCertificate(rand.Reader, &template, root.Certificate, public, root.key)
		if err != nil {
			t.Fatal(err)
		}
		return parse(t, der)
	}
	named := func(list ...string) *x509.Certificate {
		return site(t, root, func(c *x509.Certificate) { c.DNSNames = list }).Certificate
	}
	lasting := func(days int) *x509.Certificate {
		return site(t, root, func(c *x509.Certificate) { c.NotBefore, c.NotAfter = now, now.AddDate(0, 0, days) }).Certificate
	}
	const host = "portal.acme.example"
	tests := []struct {
		name string
		leaf *x509.Certificate
		host string
		want string // the one finding that is neither a pass nor a skip
	}{
		{"good", site(t, root).Certificate, host, ""},
		{"serial 0", number(new(big.Int)), host, "warn cert.serial " + host},
		{"serial negative", number(big.NewInt(-5)), host, "warn cert.serial " + host},
		{"serial of 21 octets", number(long), host, "warn cert.serial " + host},
		{"serial of 20 octets", number(new(big.Int).Rsh(long, 1)), host, ""},
		{"an extension twice", twice, host, "fail cert.extension.twice " + host},
		{"an identifier critical", critical, host, "fail cert.extension.critical " + host},
		{"P-224", withKey(&p224.PublicKey), host, "fail cert.key.weak " + host},
		{"Ed25519", withKey(edPublic), host, "warn cert.key.unusual " + host},
		{"an authority", ca(t, root, "Issuing").Certificate, "", "warn cert.is-ca Issuing"},

		{"no names", named(), "", "warn cert.name.none " + host},
		{"no names, one wanted", named(), host, "fail cert.name.mismatch " + host},
		{"wildcard", named("*.acme.example"), host, ""},
		{"wildcard in a label", named(host, "portal*.acme.example"), host, "warn cert.name.wildcard portal*.acme.example"},
		{"wildcard behind", named(host, "portal.*.example"), host, "warn cert.name.wildcard portal.*.example"},
		{"wildcard below a suffix", named("acme.com.au", "*.com.au"), "acme.com.au", "warn cert.name.wildcard *.com.au"},

		{"825 days", lasting(825), host, ""},
		{"826 days", lasting(826), host, "warn cert.validity.too-long " + host},
	}
	for _, tt := range tests {
		v, _ := verify([]*x509.Certificate{tt.leaf}, Rules{Roots: certs(root), Host: tt.host})
		got := troubles(v.Findings)
		if want := strings.Fields(tt.want); len(got) > 1 || len(got) == 0 && len(want) > 0 || len(got) == 1 && got[0] != tt.want {
			t.Errorf("%s: Verify = %q, want %q", tt.name, got, tt.want)
		}
		checkFindings(t, v.Findings)
	}
	if got := judgeForm(emptyIssuer.Certificate); len(got) != 1 || got[0].Code != "cert.issuer.none" {
		t.Errorf("judgeForm(no issuer) = %q", got)
	}
}

// troubles is summary without what is well.
func troubles(findings []report.Finding) []string {
	return slices.DeleteFunc(summary(findings), func(s string) bool {
		return strings.HasPrefix(s, "pass ") || strings.HasPrefix(s, "skip ")
	})
}

// Only a wildcard right below a public suffix covers the host: no browser takes it.
func TestUselessWildcard(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{"acme.com.au": false, "portal.acme.com.au": true, "a.portal.acme.com.au": false} {
		c := &x509.Certificate{DNSNames: []string{"*.com.au", "*.acme.com.au", "p*.acme.com.au", "*"}}
		if got := coversHost(c, host); got != want {
			t.Errorf("coversHost(%s) = %v", host, got)
		}
	}
}

func TestValidityLimits(t *testing.T) {
	t.Parallel()
	tests := []struct {
		issued string
		days   int
		public bool
		want   string
	}{
		{"2018-02-28", 1200, true, ""},
		{"2018-03-01", 825, true, ""},
		{"2018-03-01", 826, true, "fail"},
		{"2020-08-31", 825, true, ""},
		{"2020-09-01", 398, true, ""},
		{"2020-09-01", 399, true, "fail"},
		{"2026-03-14", 398, true, ""},
		{"2026-03-15", 200, true, ""},
		{"2026-03-15", 201, true, "fail"},
		{"2027-03-15", 100, true, ""},
		{"2027-03-15", 101, true, "fail"},
		{"2029-03-15", 47, true, ""},
		{"2029-03-15", 48, true, "fail"},
		{"2029-03-15", 825, false, ""},
		{"2029-03-15", 826, false, "warn"},
		{"2019-06-30", 7200, false, ""},
	}
	for _, tt := range tests {
		from, err := time.Parse(time.DateOnly, tt.issued)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, f := range judgeValidity(&x509.Certificate{NotBefore: from, NotAfter: from.AddDate(0, 0, tt.days)}, tt.public) {
			got += string(f.Status)
		}
		if got != tt.want {
			t.Errorf("issued on %s for %d days, public %v: %q, want %q", tt.issued, tt.days, tt.public, got, tt.want)
		}
	}
}

// publicRoot is one of Mozilla's roots.
func publicRoot(t *testing.T, commonName string) *x509.Certificate {
	t.Helper()
	for root := range bundle.Roots() {
		if c := parse(t, root.Certificate); c.Subject.CommonName == commonName {
			return c
		}
	}
	t.Skipf("%s is not among Mozilla's roots any more", commonName)
	return nil
}

func TestTrust(t *testing.T) {
	t.Parallel()
	_, issuing, root := chain3(t)
	public := publicRoot(t, "ISRG Root X1")
	if got := publicIssuer(public); got == nil || !got.Equal(public) {
		t.Errorf("publicIssuer(%s) = %v", name(public), got)
	}
	if got := publicIssuer(issuing.Certificate); got != nil {
		t.Errorf("publicIssuer(%s) = %s", name(issuing.Certificate), name(got))
	}
	tests := []struct {
		name  string
		sent  []*x509.Certificate
		r     Rules
		trust Trust
		want  string
	}{
		{"public", []*x509.Certificate{public}, Rules{}, TrustPublic, "pass trust.public ISRG Root X1"},
		{"public and given", []*x509.Certificate{public}, Rules{Roots: []*x509.Certificate{public}}, TrustGiven, "pass trust.given ISRG Root X1"},
		{"given", certs(issuing), Rules{Roots: certs(root)}, TrustGiven, "pass trust.given Root"},
		{"by nobody", certs(issuing, root), Rules{}, TrustNone, "fail chain.untrusted Root"},
		{"public, but others given", []*x509.Certificate{public}, Rules{Roots: certs(root)}, TrustNone, "fail chain.self-signed ISRG Root X1"},
	}
	for _, tt := range tests {
		v, _ := verify(tt.sent, tt.r)
		if !slices.Contains(summary(v.Findings), tt.want) || v.Trust != tt.trust {
			t.Errorf("%s: Verify = %q, trust %s, want %s, %s", tt.name, v.Findings, v.Trust, tt.want, tt.trust)
		}
		checkFindings(t, v.Findings)
	}
}

// A root that browsers have given up for certificates of this day.
func TestDistrusted(t *testing.T) {
	t.Parallel()
	leaf, issuing, root := chain3(t)
	s := newSearch(certs(leaf, issuing), Rules{Now: now})
	s.roots = map[string][]anchor{dn.Canonical(root.RawSubject): {{root.Certificate, TrustPublic, func([]*x509.Certificate) error { return errors.New("too late") }}}}
	if p := s.best(leaf.Certificate); !slices.Equal(withStatus(p.problems, report.StatusFail), []string{"trust.distrusted"}) {
		t.Errorf("problems = %q, want trust.distrusted", p.problems)
	}
}

func TestInstalledVerify(t *testing.T) {
	t.Parallel()
	leaf, issuing, root := chain3(t)
	long := site(t, issuing, func(c *x509.Certificate) { c.NotAfter = now.AddDate(5, 0, 0) })
	tests := []struct {
		name  string
		set   *Installed
		trust Trust
		want  []string
	}{
		{"private", &Installed{Key: leaf.key, Cert: certs(leaf, issuing), Root: certs(issuing, root)}, TrustGiven, nil},
		{"no root", &Installed{Key: leaf.key, Cert: certs(leaf, issuing), Root: certs(issuing)}, TrustNone, []string{"warn chain.issuer.missing Issuing"}},
		{"too long", &Installed{Key: long.key, Cert: certs(long, issuing), Root: certs(issuing, root)}, TrustGiven, []string{"warn cert.validity.too-long portal.acme.example"}},
	}
	for _, tt := range tests {
		v := tt.set.Verify(Rules{Now: now})
		if got := troubles(v.Findings); !slices.Equal(got, tt.want) || v.Trust != tt.trust {
			t.Errorf("%s: Verify = %q, trust %s, want %q, %s", tt.name, v.Findings, v.Trust, tt.want, tt.trust)
		}
		if tt.trust == TrustGiven && !slices.Contains(summary(v.Findings), "skip trust.private Root") {
			t.Errorf("%s: Verify = %q, want trust.private", tt.name, v.Findings)
		}
		checkFindings(t, v.Findings)
	}
}

func TestVerifyKey(t *testing.T) {
	t.Parallel()
	leaf, issuing, root := chain3(t)
	for key, want := range map[*party]string{leaf: "pass set.key.matches portal.acme.example", root: "fail set.key.mismatch portal.acme.example"} {
		v, _ := verify(certs(issuing, leaf), Rules{Roots: certs(root), Key: key.key})
		if got := summary(v.Findings); got[0] != want {
			t.Errorf("Verify with the key of %s = %q, want %s", name(key.Certificate), got, want)
		}
	}
}

// halved is a certificate as it comes from a reader that could not read it whole:
// one that nothing is known of but its names.
func halved(c *x509.Certificate) *x509.Certificate {
	return &x509.Certificate{
		Raw: c.Raw, RawTBSCertificate: c.RawTBSCertificate, RawSubject: c.RawSubject, RawIssuer: c.RawIssuer,
		NotBefore: c.NotBefore, NotAfter: c.NotAfter, DNSNames: c.DNSNames, IPAddresses: c.IPAddresses,
	}
}

// reread is a certificate as readCert reads it.
func reread(t *testing.T, c *x509.Certificate) *x509.Certificate {
	t.Helper()
	read, err := readCert(c.Raw)
	if err != nil {
		t.Fatal(err)
	}
	return read
}

// What cannot be read is neither right nor wrong.
func TestVerifyPartial(t *testing.T) {
	t.Parallel()
	leaf, issuing, root := chain3(t)
	critical := site(t, issuing)
	critical.Certificate = resign(t, critical.Certificate, issuing, func(tbs []byte) []byte {
		// The last extensions of a certificate of this kind are not critical: make
		// the key usage's OID one that nobody knows.
		return bytes.Replace(tbs, []byte{0x55, 0x1d, 0x0f}, []byte{0x55, 0x1d, 0x7f}, 1)
	})
	for name, sent := range map[string][]*x509.Certificate{
		"leaf":    {halved(leaf.Certificate), issuing.Certificate},
		"issuing": {leaf.Certificate, halved(issuing.Certificate)},
		"both":    {halved(leaf.Certificate), halved(issuing.Certificate)},
		"reread":  {reread(t, leaf.Certificate), reread(t, issuing.Certificate)},
		"empty":   {{RawSubject: leaf.RawSubject, RawIssuer: leaf.RawIssuer, Raw: []byte{1}}, issuing.Certificate},
	} {
		for _, roots := range [][]*x509.Certificate{certs(root), {halved(root.Certificate)}} {
			v, fails := verify(sent, Rules{Roots: roots, Key: leaf.key})
			codes := withStatus(v.Findings, report.StatusPass)
			fails = slices.DeleteFunc(fails, func(c string) bool { return c == "set.key.mismatch" })
			if slices.Contains(codes, "chain.complete") || slices.ContainsFunc(fails, func(c string) bool { return c != "cert.unparsed" }) || len(fails) == 0 {
				t.Errorf("%s: Verify = %q, want cert.unparsed and no other fail", name, v.Findings)
			}
			if unknown := slices.Contains(withStatus(v.Findings, report.StatusUnknown), "chain.unknown"); unknown != partial(roots[0]) {
				t.Errorf("%s: Verify = %q, want chain.unknown for a root that cannot be read: %v", name, v.Findings, partial(roots[0]))
			}
			JudgeServed(sent, Rules{Now: now, Host: "portal.acme.example"})
			for _, c := range v.Path {
				Describe(c)
			}
			(&Installed{Key: leaf.key, Cert: sent, Root: roots}).Verify(Rules{Now: now})
		}
	}
	der := bytes.Clone(leaf.Raw)
	der[bytes.LastIndex(der, []byte{0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2})+7] = 3 // ECDSA with SHA-384, says the outside
	changed, err := readCert(der)
	if err != nil {
		t.Fatal(err)
	}
	if _, fails := verify([]*x509.Certificate{changed, issuing.Certificate}, Rules{Roots: certs(root)}); !slices.Contains(fails, "cert.signature.mismatch") {
		t.Errorf("two signature algorithms: %q fail", fails)
	}
	_, fails := verify([]*x509.Certificate{reread(t, critical.Certificate), issuing.Certificate}, Rules{Roots: certs(root)})
	if !slices.Equal(fails, []string{"cert.extension.unknown", "cert.unparsed"}) {
		t.Errorf("an unknown critical extension in what cannot be read: %q fail", fails)
	}
}

// Certificates that all issued each other must not keep the computer busy.
func TestVerifyHostile(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	var tangle []*x509.Certificate
	for i := range 12 {
		by := &party{&x509.Certificate{Subject: pkix.Name{CommonName: fmt.Sprint("CA ", i)}}, key}
		for j := range 12 {
			if i != j {
				template := authority(fmt.Sprint("CA ", j))
				template.SubjectKeyId = []byte{byte(i), byte(j)}
				tangle = append(tangle, issue(t, by, newKey(t), template).Certificate)
				tangle = append(tangle, issue(t, by, key, template).Certificate)
			}
		}
	}
	leaf := issue(t, &party{&x509.Certificate{Subject: pkix.Name{CommonName: "CA 0"}}, key}, nil, server("portal.acme.example"))
	start := time.Now()
	v, fails := verify(append(certs(leaf), tangle...), Rules{Roots: certs(ca(t, nil, "Root"))})
	if took := time.Since(start); took > 10*time.Second || len(fails) == 0 {
		t.Errorf("Verify took %v and finds %q", took, v.Findings)
	}
}
