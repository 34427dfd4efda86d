package pkcs

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net"
	"net/url"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"onsite/report"
)

// extra adds an extension to a template; value is DER, or what is encoded as it.
func extra(t testing.TB, oid asn1.ObjectIdentifier, critical bool, value any) func(*x509.Certificate) {
	t.Helper()
	der, ok := value.([]byte)
	if !ok {
		var err error
		if der, err = asn1.Marshal(value); err != nil {
			t.Fatal(err)
		}
	}
	return func(c *x509.Certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: oid, Critical: critical, Value: der})
	}
}

// policyConstraints is the extension of RFC 5280, section 4.2.1.11; -1 leaves a
// field out.
func policyConstraints(t testing.TB, explicit, mapping int) func(*x509.Certificate) {
	var fields []asn1.RawValue
	for tag, n := range []int{explicit, mapping} {
		if n >= 0 {
			fields = append(fields, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, Bytes: []byte{byte(n)}})
		}
	}
	return extra(t, oidPolicyConstraints, true, fields)
}

type mapping struct{ From, To asn1.ObjectIdentifier }

// underPolicies issues a certificate under policies.
func underPolicies(t testing.TB, oids ...string) func(*x509.Certificate) {
	t.Helper()
	var list []x509.OID
	for _, s := range oids {
		oid, err := x509.ParseOID(s)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, oid)
	}
	return func(c *x509.Certificate) { c.Policies = list }
}

// subtree is GeneralSubtree of RFC 5280, section 4.2.1.10.
func subtree(kind int, value []byte) asn1.RawValue {
	base := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: kind, Bytes: value, IsCompound: kind == nameDirectory || kind == 0}
	der, err := asn1.Marshal([]asn1.RawValue{base})
	if err != nil {
		panic(err)
	}
	return asn1.RawValue{FullBytes: der}
}

type constraintLists struct {
	Permitted []asn1.RawValue `asn1:"optional,omitempty,tag:0"`
	Excluded  []asn1.RawValue `asn1:"optional,omitempty,tag:1"`
}

func permit(t testing.TB, list ...asn1.RawValue) func(*x509.Certificate) {
	return extra(t, oidNameConstraints, true, constraintLists{Permitted: list})
}

func exclude(t testing.TB, list ...asn1.RawValue) func(*x509.Certificate) {
	return extra(t, oidNameConstraints, true, constraintLists{Excluded: list})
}

func dirName(t testing.TB, organization string) []byte {
	t.Helper()
	der, err := asn1.Marshal(pkix.Name{Organization: []string{organization}}.ToRDNSequence())
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// ca makes an authority below another, or a root.
func ca(t testing.TB, by *party, name string, changes ...func(*x509.Certificate)) *party {
	t.Helper()
	template := authority(name)
	for _, change := range changes {
		change(&template)
	}
	return issue(t, by, nil, template)
}

// site makes a certificate for portal.acme.example.
func site(t testing.TB, by *party, changes ...func(*x509.Certificate)) *party {
	t.Helper()
	template := server("portal.acme.example")
	for _, change := range changes {
		change(&template)
	}
	return issue(t, by, nil, template)
}

func pathLength(n int) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = n, n == 0 }
}

// verify judges a chain and returns the codes of what fails.
func verify(sent []*x509.Certificate, r Rules) (Verdict, []string) {
	if r.Now.IsZero() {
		r.Now = now
	}
	v := Verify(sent, r)
	return v, withStatus(v.Findings, report.StatusFail)
}

func withStatus(findings []report.Finding, s report.Status) []string {
	var codes []string
	for _, f := range findings {
		if f.Status == s {
			codes = append(codes, f.Code)
		}
	}
	return codes
}

// chainTest is a chain that is sent whole, leaf first; its last certificate is
// trusted.
type chainTest struct {
	name string
	sent []*x509.Certificate
	want []string // the codes that fail
}

// chainTests go through the rules of RFC 5280, section 6.1.
func chainTests(t *testing.T) []chainTest {
	root := ca(t, nil, "Root")
	issuing := ca(t, root, "Issuing")
	below := func(by *party, changes ...func(*x509.Certificate)) []*x509.Certificate {
		return certs(site(t, by, changes...), by, root)
	}
	via := func(change ...func(*x509.Certificate)) []*x509.Certificate {
		return below(ca(t, root, "Sub", change...))
	}
	rootWith := func(changes ...func(*x509.Certificate)) []*x509.Certificate {
		r := ca(t, nil, "Other Root", changes...)
		sub := ca(t, r, "Sub")
		return certs(site(t, sub), sub, r)
	}
	usage := func(u x509.KeyUsage) func(*x509.Certificate) { return func(c *x509.Certificate) { c.KeyUsage = u } }
	purpose := func(u ...x509.ExtKeyUsage) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.ExtKeyUsage = u }
	}
	odd := asn1.ObjectIdentifier{1, 2, 3, 4}

	// Authorities that change their key, and the limit on the path.
	short := ca(t, root, "Short", pathLength(0))
	renewed := ca(t, short, "Short", func(c *x509.Certificate) { c.AuthorityKeyId = short.SubjectKeyId }) // self-issued: does not count
	deeper := ca(t, short, "Deeper")                                                                      // counts
	one := ca(t, root, "One", pathLength(1))                                                              // allows one below
	two := ca(t, one, "Two", pathLength(5))                                                               // cannot widen that
	three := ca(t, two, "Three")                                                                          // one too many
	shortRoot := ca(t, nil, "Short Root", pathLength(0))
	belowShortRoot := ca(t, shortRoot, "Sub")

	orgCA := func(org string, changes ...func(*x509.Certificate)) *party {
		return ca(t, root, "Sub", append(changes, func(c *x509.Certificate) { c.Subject.Organization = []string{org} })...)
	}
	inOrg := func(org string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.Subject = pkix.Name{Organization: []string{org}, CommonName: "Portal"} }
	}
	mail := func(s string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.EmailAddresses = []string{s} }
	}
	link := func(s string) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			u, err := url.Parse(s)
			if err != nil {
				t.Fatal(err)
			}
			c.URIs = []*url.URL{u}
		}
	}
	address := func(ip ...byte) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.IPAddresses = []net.IP{ip} }
	}
	named := func(s ...string) func(*x509.Certificate) { return func(c *x509.Certificate) { c.DNSNames = s } }
	bound := func(constraint func(*x509.Certificate), leaf ...func(*x509.Certificate)) []*x509.Certificate {
		return below(ca(t, root, "Bound", constraint), leaf...)
	}
	boundOrg := orgCA("Acme", permit(t, subtree(nameDirectory, dirName(t, "Acme"))))

	return []chainTest{
		{"good", below(issuing), nil},
		{"directly below the root", certs(site(t, root), root), nil},

		{"above it no authority", via(func(c *x509.Certificate) { c.IsCA = false }), []string{"chain.not-ca"}},
		{"root that is no authority", rootWith(func(c *x509.Certificate) { c.IsCA = false }), []string{"chain.not-ca"}},
		{"key usage without certificates", via(usage(x509.KeyUsageCRLSign)), []string{"chain.key-usage"}},
		{"no key usage", via(usage(0)), nil},
		{"root without keyCertSign", rootWith(usage(x509.KeyUsageCRLSign)), []string{"chain.key-usage"}},
		{"critical and unknown in the leaf", below(issuing, extra(t, odd, true, 1)), []string{"cert.extension.unknown"}},
		{"critical and unknown above", via(extra(t, odd, true, 1)), []string{"cert.extension.unknown"}},
		{"unknown, not critical", via(extra(t, odd, false, 1)), nil},
		{"a precertificate", below(issuing, extra(t, asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 3}, true, asn1.NullRawValue)), []string{"cert.extension.unknown"}},

		{"path length 0, none below", below(short), nil},
		{"path length 0, self-issued below", certs(site(t, renewed), renewed, short, root), nil},
		{"path length 0, one below", certs(site(t, deeper), deeper, short, root), []string{"chain.path-length"}},
		{"path length 1, one below", certs(site(t, two), two, one, root), nil},
		{"path length 1, two below", certs(site(t, three), three, two, one, root), []string{"chain.path-length"}},
		{"path length 0, an authority as the leaf", certs(deeper, short, root), nil},
		{"path length of the root", certs(site(t, belowShortRoot), belowShortRoot, shortRoot), []string{"chain.path-length"}},

		{"for clients", below(issuing, purpose(x509.ExtKeyUsageClientAuth)), []string{"cert.usage"}},
		{"for anything", below(issuing, purpose(x509.ExtKeyUsageAny)), nil},
		{"no extended key usage", below(issuing, purpose()), nil},
		{"authority for mail", via(purpose(x509.ExtKeyUsageEmailProtection)), []string{"chain.usage"}},
		{"authority for servers and mail", via(purpose(x509.ExtKeyUsageEmailProtection, x509.ExtKeyUsageServerAuth)), nil},
		{"key not for signing", below(issuing, usage(x509.KeyUsageKeyAgreement)), []string{"cert.key-usage"}},
		{"key usage absent", below(issuing, usage(0)), nil},

		{"DNS permitted", bound(permit(t, subtree(nameDNS, []byte("ACME.example")))), nil},
		{"DNS not permitted", bound(permit(t, subtree(nameDNS, []byte("other.example")))), []string{"chain.name-constraint"}},
		{"DNS permitted by half a label", bound(permit(t, subtree(nameDNS, []byte("me.example")))), []string{"chain.name-constraint"}},
		{"DNS excluded", bound(exclude(t, subtree(nameDNS, []byte("acme.example")))), []string{"chain.name-constraint"}},
		{"one of two DNS names not permitted", bound(permit(t, subtree(nameDNS, []byte("acme.example"))), named("portal.acme.example", "other.example")), []string{"chain.name-constraint"}},
		{"wildcard over an excluded name", bound(exclude(t, subtree(nameDNS, []byte("till.acme.example"))), named("*.acme.example")), []string{"chain.name-constraint"}},
		{"wildcard beside an excluded name", bound(exclude(t, subtree(nameDNS, []byte("a.till.acme.example"))), named("*.acme.example")), nil},
		{"common name alone, not permitted", bound(permit(t, subtree(nameDNS, []byte("other.example"))), named()), []string{"chain.name-constraint"}},
		{"constraint of another kind", bound(permit(t, subtree(nameEmail, []byte("other.example")))), nil},
		{"everything excluded", bound(exclude(t, subtree(nameDNS, nil))), []string{"chain.name-constraint"}},
		{"mailbox permitted", bound(permit(t, subtree(nameEmail, []byte("it@Acme.example"))), mail("it@acme.example")), nil},
		{"mailbox in other case", bound(permit(t, subtree(nameEmail, []byte("it@acme.example"))), mail("IT@acme.example")), []string{"chain.name-constraint"}},
		{"mail host permitted", bound(permit(t, subtree(nameEmail, []byte("acme.example"))), mail("it@acme.example")), nil},
		{"mail below a host", bound(permit(t, subtree(nameEmail, []byte("acme.example"))), mail("it@shop.acme.example")), []string{"chain.name-constraint"}},
		{"mail below a domain", bound(permit(t, subtree(nameEmail, []byte(".acme.example"))), mail("it@shop.acme.example")), nil},
		{"mail at the domain itself", bound(permit(t, subtree(nameEmail, []byte(".acme.example"))), mail("it@acme.example")), []string{"chain.name-constraint"}},
		{"mail in the subject", bound(exclude(t, subtree(nameEmail, []byte("acme.example"))), func(c *x509.Certificate) {
			c.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}, Value: "it@acme.example"}}
		}), []string{"chain.name-constraint"}},
		{"URL permitted", bound(permit(t, subtree(nameURI, []byte("acme.example"))), link("https://ACME.example:4444/x")), nil},
		{"URL below", bound(permit(t, subtree(nameURI, []byte("acme.example"))), link("https://portal.acme.example/")), []string{"chain.name-constraint"}},
		{"URL below a domain", bound(permit(t, subtree(nameURI, []byte(".acme.example"))), link("https://portal.acme.example/")), nil},
		{"URL without a host", bound(exclude(t, subtree(nameURI, []byte("other.example"))), link("urn:acme")), []string{"chain.name-constraint"}},
		{"address permitted", bound(permit(t, subtree(nameIP, []byte{192, 0, 2, 0, 255, 255, 255, 0})), address(192, 0, 2, 7)), nil},
		{"address not permitted", bound(permit(t, subtree(nameIP, []byte{192, 0, 2, 0, 255, 255, 255, 0})), address(192, 0, 3, 7)), []string{"chain.name-constraint"}},
		{"address excluded", bound(exclude(t, subtree(nameIP, []byte{192, 0, 2, 0, 255, 255, 255, 0})), address(192, 0, 2, 7)), []string{"chain.name-constraint"}},
		{"directory permitted", certs(site(t, boundOrg, inOrg(" aCme ")), boundOrg, root), nil},
		{"directory not permitted", certs(site(t, boundOrg, inOrg("Other")), boundOrg, root), []string{"chain.name-constraint"}},
		{"directory excluded", bound(exclude(t, subtree(nameDirectory, dirName(t, "Acme"))), inOrg("Acme")), []string{"chain.name-constraint"}},
		{"a kind that nobody knows, not used", bound(permit(t, subtree(8, []byte{42, 3}))), nil},
		{"in the root", rootWith(permit(t, subtree(nameDNS, []byte("other.example")))), []string{"chain.name-constraint"}},
		{"with a maximum", via(extra(t, oidNameConstraints, true, constraintLists{Permitted: []asn1.RawValue{{FullBytes: []byte{0x30, 8, 0x82, 3, 'a', '.', 'b', 0x81, 1, 0}}}})), []string{"chain.rejected"}},
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	for _, tt := range chainTests(t) {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v, got := verify(tt.sent, Rules{Roots: tt.sent[len(tt.sent)-1:]})
			if !slices.Equal(got, tt.want) {
				t.Errorf("Verify(%q) = %q, want %q to fail", labels(tt.sent), v.Findings, tt.want)
			}
			checkFindings(t, v.Findings)
		})
	}
}

// TestVerifyPolicies: only what requires a policy makes one matter.
func TestVerifyPolicies(t *testing.T) {
	t.Parallel()
	root := ca(t, nil, "Root")
	const one, two = "1.3.6.1.4.1.99999.1", "1.3.6.1.4.1.99999.2"
	oid := func(s string) asn1.ObjectIdentifier {
		if s == one {
			return asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}
		}
		return asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 2}
	}
	type changes = []func(*x509.Certificate)
	require := func(n int) func(*x509.Certificate) { return policyConstraints(t, n, -1) }
	inhibitAny := extra(t, oidInhibitAnyPolicy, true, 0)
	maps := func(from, to asn1.ObjectIdentifier) func(*x509.Certificate) {
		return extra(t, oidPolicyMappings, true, []mapping{{from, to}})
	}
	anyOID := asn1.ObjectIdentifier{2, 5, 29, 32, 0}
	tests := []struct {
		name            string
		top, next, leaf changes
		want            bool
	}{
		{"none required, none there", nil, nil, nil, true},
		{"required and there", changes{require(0), underPolicies(t, one)}, changes{underPolicies(t, one)}, changes{underPolicies(t, one)}, true},
		{"required, absent in the leaf", changes{require(0), underPolicies(t, one)}, changes{underPolicies(t, one)}, nil, false},
		{"required, another in the leaf", changes{require(0), underPolicies(t, one)}, changes{underPolicies(t, one)}, changes{underPolicies(t, two)}, false},
		{"required, absent between", changes{require(0), underPolicies(t, one)}, nil, changes{underPolicies(t, one)}, false},
		{"required below the leaf", changes{require(5)}, nil, nil, true},
		{"required by the leaf", nil, nil, changes{require(0)}, false},
		{"required after two", changes{require(2)}, nil, nil, false},
		{"required after three", changes{require(3)}, nil, nil, true},
		{"any policy above", changes{require(0), underPolicies(t, anyPolicy)}, changes{underPolicies(t, anyPolicy)}, changes{underPolicies(t, two)}, true},
		{"any policy in the leaf", changes{require(0), underPolicies(t, one)}, changes{underPolicies(t, one)}, changes{underPolicies(t, anyPolicy)}, true},
		{"any policy inhibited", changes{require(0), inhibitAny, underPolicies(t, one)}, changes{underPolicies(t, anyPolicy)}, changes{underPolicies(t, one)}, false},
		{"mapped", changes{require(0), underPolicies(t, one)}, changes{underPolicies(t, one), maps(oid(one), oid(two))}, changes{underPolicies(t, two)}, true},
		{"mapped, the old one in the leaf", changes{require(0), underPolicies(t, one)}, changes{underPolicies(t, one), maps(oid(one), oid(two))}, changes{underPolicies(t, one)}, false},
		{"mapping inhibited", changes{policyConstraints(t, 0, 0), underPolicies(t, one)}, changes{underPolicies(t, one), maps(oid(one), oid(two))}, changes{underPolicies(t, two)}, false},
		{"mapped out of any policy", changes{require(0), underPolicies(t, anyPolicy)}, changes{underPolicies(t, anyPolicy), maps(oid(one), oid(two))}, changes{underPolicies(t, two)}, true},
		{"any policy mapped", nil, changes{maps(anyOID, oid(two))}, nil, false},
	}
	for _, tt := range tests {
		top := ca(t, root, "Top", tt.top...)
		next := ca(t, top, "Next", tt.next...)
		leaf := site(t, next, tt.leaf...)
		v, got := verify(certs(leaf, next, top), Rules{Roots: certs(root)})
		want := []string{"chain.policy"}
		if tt.want {
			want = nil
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: Verify = %q, want %q to fail", tt.name, v.Findings, want)
		}
		checkFindings(t, v.Findings)
	}
}

// TestVerifyTries has several certificates to choose from: one way that is good
// is enough.
func TestVerifyTries(t *testing.T) {
	t.Parallel()
	root, other := ca(t, nil, "Root"), ca(t, nil, "Other Root")
	issuing := ca(t, root, "Issuing")
	again := func(by *party, changes ...func(*x509.Certificate)) *party { // the same authority, certified again
		template := authority("Issuing")
		for _, change := range changes {
			change(&template)
		}
		return issue(t, by, issuing.key, template)
	}
	leaf := site(t, issuing)
	old := again(root, func(c *x509.Certificate) { c.NotAfter = now.AddDate(0, 0, -1) })
	noAuthority := again(root, func(c *x509.Certificate) { c.IsCA = false })
	elsewhere := again(other)
	sameName := ca(t, root, "Issuing") // another key
	sameName.SubjectKeyId = issuing.SubjectKeyId
	renamed := issue(t, issuing, nil, server("portal.acme.example"))
	renamed.Certificate = resign(t, renamed.Certificate, issuing, func(tbs []byte) []byte {
		// PrintableString to UTF8String, and another case, in the issuer's name.
		return []byte(strings.Replace(string(tbs), "\x13\x07Issuing", "\x0c\x07iSSUING", 1))
	})
	forged := resign(t, leaf.Certificate, other, func(tbs []byte) []byte { return tbs })

	const complete = "chain.complete"
	tests := []struct {
		name string
		sent []*x509.Certificate
		r    Rules
		want []string // what fails
		path []string
	}{
		{"an expired one first", certs(leaf, old, issuing), Rules{}, nil, []string{"portal.acme.example", "Issuing", "Root"}},
		{"no authority first", certs(leaf, noAuthority, issuing), Rules{}, nil, []string{"portal.acme.example", "Issuing", "Root"}},
		{"one of another root first", certs(leaf, elsewhere, issuing), Rules{}, nil, []string{"portal.acme.example", "Issuing", "Root"}},
		{"the expired one alone", certs(leaf, old), Rules{}, []string{"cert.expired"}, []string{"portal.acme.example", "Issuing", "Root"}},
		{"intermediates apart", certs(leaf), Rules{Intermediates: certs(other, elsewhere, issuing)}, nil, []string{"portal.acme.example", "Issuing", "Root"}},
		{"root among the intermediates", certs(leaf), Rules{Intermediates: certs(root, issuing)}, nil, []string{"portal.acme.example", "Issuing", "Root"}},
		{"another key of the name", certs(leaf, sameName, issuing), Rules{}, nil, []string{"portal.acme.example", "Issuing", "Root"}},
		{"another key of the name alone", certs(leaf, sameName), Rules{}, []string{"chain.signature.bad"}, []string{"portal.acme.example"}},
		{"a wrong signature", append([]*x509.Certificate{forged}, certs(issuing)...), Rules{}, []string{"chain.signature.bad"}, []string{"portal.acme.example"}},
		{"the issuer's name in other letters", certs(renamed, issuing), Rules{}, nil, []string{"portal.acme.example", "Issuing", "Root"}},
		{"untrusted", certs(leaf, elsewhere, other), Rules{}, []string{"chain.untrusted"}, []string{"portal.acme.example", "Issuing", "Other Root"}},
		{"nothing above", certs(leaf), Rules{}, []string{"chain.issuer.unknown"}, []string{"portal.acme.example"}},
		{"an intermediate trusted", certs(leaf), Rules{Roots: certs(issuing)}, nil, []string{"portal.acme.example", "Issuing"}},
		{"the leaf trusted", certs(leaf), Rules{Roots: certs(leaf)}, nil, []string{"portal.acme.example"}},
		{"root first", certs(root, issuing, leaf), Rules{}, nil, []string{"portal.acme.example", "Issuing", "Root"}},
	}
	for _, tt := range tests {
		if tt.r.Roots == nil {
			tt.r.Roots = certs(root)
		}
		v, got := verify(tt.sent, tt.r)
		if path := labels(v.Path); !slices.Equal(got, tt.want) || !slices.Equal(path, tt.path) {
			t.Errorf("%s: Verify = %q along %q, want %q to fail along %q", tt.name, v.Findings, path, tt.want, tt.path)
		}
		trusted := !slices.Contains([]string{"chain.signature.bad", "chain.untrusted", "chain.issuer.unknown"}, strings.Join(tt.want, ""))
		if (v.Trust == TrustGiven) != trusted || (v.Trust == TrustNone) == trusted {
			t.Errorf("%s: trust %s", tt.name, v.Trust)
		}
		if tt.name == "root first" && !slices.Contains(withStatus(v.Findings, report.StatusWarn), "chain.order") {
			t.Errorf("%s: Verify = %q, want a warning of the order", tt.name, v.Findings)
		}
		if tt.name == "intermediates apart" && !slices.Contains(withStatus(v.Findings, report.StatusPass), complete) {
			t.Errorf("%s: Verify = %q, want %s", tt.name, v.Findings, complete)
		}
		checkFindings(t, v.Findings)
	}
}

// TestVerifyAsOpenSSL has OpenSSL judge the same chains. Where it comes to another
// verdict, it is said why.
func TestVerifyAsOpenSSL(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	differ := map[string]string{
		"path length 0, an authority as the leaf": "it wants a server's key usage of it; here it may be what is to be looked at",
		"for anything":                   "it takes no anyExtendedKeyUsage for servers; RFC 5280 and browsers do",
		"key not for signing":            "it takes keyAgreement, which browsers and TLS 1.3 cannot use",
		"wildcard over an excluded name": "it compares the star as if it were a label; browsers and Go look at what it stands for",
	}
	for _, tt := range chainTests(t) {
		last := len(tt.sent) - 1
		writeFile(t, dir, "leaf.pem", Encode(tt.sent[0]))
		writeFile(t, dir, "chain.pem", Encode(tt.sent...))
		writeFile(t, dir, "root.pem", Encode(tt.sent[last]))
		out, err := try(t, dir, "openssl", "verify", "-purpose", "sslserver", "-attime", strconv.FormatInt(now.Unix(), 10),
			"-CAfile", "root.pem", "-no-CApath", "-untrusted", "chain.pem", "leaf.pem")
		if good := err == nil; (good == (tt.want == nil)) != (differ[tt.name] == "") {
			t.Errorf("%s: openssl verify: %v, want %q to fail\n%s", tt.name, err, tt.want, out)
		}
	}
}

// OpenSSL makes what Go does not: certificates of version 1, other keys, other
// hashes, keys that encrypt alone.
func TestVerifyMadeByOpenSSL(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, dir, "ca", []byte("basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n"))
	writeFile(t, dir, "site", []byte("subjectAltName=DNS:portal.acme.example\nextendedKeyUsage=serverAuth\n"))
	writeFile(t, dir, "encrypt", []byte("subjectAltName=DNS:portal.acme.example\nkeyUsage=keyEncipherment\n"))
	run(t, dir, "openssl", "genpkey", "-genparam", "-algorithm", "DSA", "-pkeyopt", "dsa_paramgen_bits:2048", "-out", "dsa.param")
	run(t, dir, "openssl", "genpkey", "-paramfile", "dsa.param", "-out", "dsa.key")
	run(t, dir, "openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1", "-out", "k1.key")
	for _, key := range []string{"root", "old", "issuing", "sha1", "site"} {
		run(t, dir, "openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key+".key")
	}
	sign := func(out, subject, key, by, extensions string, more ...string) {
		run(t, dir, "openssl", "req", "-new", "-key", key+".key", "-subj", subject, "-out", out+".csr")
		args := append([]string{"x509", "-req", "-in", out + ".csr", "-days", "90", "-out", out + ".pem"}, more...)
		if by == "" {
			args = append(args, "-signkey", key+".key")
		} else {
			args = append(args, "-CA", by+".pem", "-CAkey", by+".key", "-CAcreateserial")
		}
		if extensions != "" { // without extensions the version is 1
			args = append(args, "-extfile", extensions)
		}
		run(t, dir, "openssl", args...)
	}
	sign("root", "/CN=Root", "root", "", "ca")
	sign("old", "/CN=Old Root", "old", "", "")
	sign("issuing", "/CN=Issuing", "issuing", "root", "")
	sign("sha1", "/CN=SHA-1", "sha1", "root", "ca", "-sha1")
	for _, s := range [][]string{
		{"below-old", "site", "old", "site"},
		{"below-v1", "site", "issuing", "site"},
		{"below-sha1", "site", "sha1", "site"},
		{"dsa-site", "dsa", "root", "site"},
		{"k1-site", "k1", "root", "site"},
		{"encrypting", "site", "root", "encrypt"},
	} {
		sign(s[0], "/CN=portal.acme.example", s[1], s[2], s[3])
	}
	tests := []struct {
		name  string
		files []string
		root  string
		want  []string
	}{
		{"a root of version 1", []string{"below-old"}, "old", nil},
		{"an authority of version 1", []string{"below-v1", "issuing"}, "root", []string{"fail chain.not-ca Issuing"}},
		{"SHA-1 in between", []string{"below-sha1", "sha1"}, "root", []string{"fail cert.signature.weak SHA-1"}},
		{"DSA", []string{"dsa-site"}, "root", []string{"fail cert.key.weak portal.acme.example"}},
		{"secp256k1", []string{"k1-site"}, "root", []string{"fail cert.key.weak portal.acme.example", "fail cert.unparsed portal.acme.example"}},
		{"a key that encrypts alone", []string{"encrypting"}, "root", []string{"warn cert.key-usage portal.acme.example"}},
	}
	for _, tt := range tests {
		var sent []*x509.Certificate
		for _, f := range tt.files {
			sent = append(sent, read1(t, dir, f+".pem"))
		}
		v, _ := verify(sent, Rules{Roots: []*x509.Certificate{read1(t, dir, tt.root+".pem")}, Now: time.Now(), Host: "portal.acme.example"})
		if got := troubles(v.Findings); !slices.Equal(got, tt.want) {
			t.Errorf("%s: Verify = %q, want %q", tt.name, got, tt.want)
		}
		checkFindings(t, v.Findings)
	}
}

// try runs a program that may say no.
func try(t testing.TB, dir, name string, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// FuzzVerify must come to a verdict on whatever a file holds.
func FuzzVerify(f *testing.F) {
	leaf, issuing, root := chain3(f)
	f.Add(Encode(certs(leaf, issuing, root)...))
	f.Add(leaf.Raw)
	f.Add(site(f, ca(f, root, "Bound", permit(f, subtree(nameDNS, []byte("acme.example"))))).Raw)
	f.Fuzz(func(t *testing.T, data []byte) {
		bag, err := Read(data)
		if err != nil {
			return
		}
		sent := bag.Certificates()
		v := Verify(sent, Rules{Now: now, Roots: certs(root), Host: "portal.acme.example"})
		if len(v.Findings) == 0 {
			t.Error("no findings")
		}
		if len(sent) > 0 {
			Verify(sent, Rules{Now: now, Roots: sent[len(sent)-1:], Intermediates: certs(issuing)})
			JudgeServed(sent, Rules{Now: now, Roots: sent})
		}
		if n, err := readNameConstraints(data); err == nil {
			n.judge(namesOf(leaf.Certificate, true), leaf.Certificate, root.Certificate, true)
		}
	})
}
