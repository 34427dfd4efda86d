package pkcs

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"onsite/report"
)

// with changes a template.
func with(template x509.Certificate, change func(*x509.Certificate)) x509.Certificate {
	change(&template)
	return template
}

const datesOK = "pass cert.dates.ok portal.acme.example"

func TestJudgeServed(t *testing.T) {
	t.Parallel()
	leaf, issuing, root := chain3(t)
	_, _, stranger := chain3(t)
	roots := certs(root)
	host := "portal.acme.example"

	below := func(change func(*x509.Certificate)) *party {
		return issue(t, issuing, nil, with(server(host), change))
	}
	soon := below(func(c *x509.Certificate) { c.NotAfter = now.AddDate(0, 0, 10) })
	tomorrow := below(func(c *x509.Certificate) { c.NotAfter = now.Add(36 * time.Hour) })
	expired := below(func(c *x509.Certificate) { c.NotAfter = now.AddDate(0, 0, -1) })
	future := below(func(c *x509.Certificate) { c.NotBefore = now.AddDate(0, 0, 1) })
	client := below(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })
	nameOnly := below(func(c *x509.Certificate) { c.DNSNames = nil })
	wildcard := below(func(c *x509.Certificate) { c.DNSNames = []string{"*.acme.example"} })
	address := below(func(c *x509.Certificate) { c.IPAddresses = []net.IP{{192, 0, 2, 1}} })

	own := issue(t, nil, nil, server(host))
	notCA := issue(t, root, nil, server("Not an authority"))
	belowNotCA := issue(t, notCA, nil, server(host))
	oldIssuing := issue(t, root, nil, with(authority("Old Issuing"), func(c *x509.Certificate) { c.NotAfter = now.AddDate(0, 0, -1) }))
	belowOld := issue(t, oldIssuing, nil, server(host))
	oldRoot := issue(t, nil, nil, with(authority("Old Root"), func(c *x509.Certificate) { c.NotAfter = now.AddDate(0, 0, -1) }))
	belowOldRoot := issue(t, oldRoot, nil, server(host))
	narrow := issue(t, root, nil, with(authority("Narrow"), func(c *x509.Certificate) {
		c.PermittedDNSDomains, c.PermittedDNSDomainsCritical = []string{"other.example"}, true
	}))
	belowNarrow := issue(t, narrow, nil, server(host))
	noSign := issue(t, root, nil, with(authority("No signer"), func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature }))
	belowNoSign := issue(t, noSign, nil, server(host))
	sameName := issue(t, nil, issuing.key, with(authority("Issuing"), func(c *x509.Certificate) { c.NotAfter = now.AddDate(1, 0, 0) })) // self-signed

	matches := "pass cert.name.matches " + host
	whole := "pass chain.complete " + host
	tests := []struct {
		name string
		sent []*x509.Certificate
		r    Rules
		want []string
	}{
		{"good", certs(leaf, issuing), Rules{Host: host, Roots: roots}, []string{datesOK, matches, whole}},
		{"good, with the root", certs(leaf, issuing, root), Rules{Host: host, Roots: roots}, []string{datesOK, matches, whole}},
		{"good, root.pem as roots", certs(leaf, issuing), Rules{Host: host, Roots: certs(issuing, root)}, []string{datesOK, matches, whole}},
		{"no host asked for", certs(leaf, issuing), Rules{Roots: roots}, []string{datesOK, whole}},
		{"each twice", certs(leaf, leaf, issuing, issuing), Rules{Roots: roots}, []string{datesOK, whole}},
		{"a stranger behind", certs(leaf, issuing, stranger), Rules{Roots: roots}, []string{datesOK, whole}},
		{"an intermediate as the only root", certs(leaf), Rules{Roots: certs(issuing)}, []string{datesOK, whole}},

		{"nothing", nil, Rules{Roots: roots}, []string{"fail chain.none "}},
		{"leaf alone", certs(leaf), Rules{Roots: roots}, []string{datesOK, "fail chain.issuer.unknown " + host}},
		{"leaf alone, intermediate among the roots", certs(leaf), Rules{Roots: certs(issuing, root)}, []string{datesOK, "fail chain.issuer.unknown " + host}},
		{"leaf and root", certs(leaf, root), Rules{Roots: roots}, []string{datesOK, "fail chain.issuer.unknown " + host}},
		{"another root trusted", certs(leaf, issuing), Rules{Roots: certs(stranger)}, []string{datesOK, "fail chain.issuer.unknown Issuing"}},
		{"another root trusted, own sent", certs(leaf, issuing, root), Rules{Roots: certs(stranger)}, []string{datesOK, "fail chain.untrusted Root"}},
		{"no root trusted", certs(leaf, issuing, root), Rules{Roots: []*x509.Certificate{}}, []string{datesOK, "fail chain.untrusted Root"}},
		{"this computer's roots", certs(leaf, issuing, root), Rules{}, []string{datesOK, "fail chain.untrusted Root"}},
		{"wrong order", certs(leaf, root, issuing), Rules{Roots: roots}, []string{datesOK, "warn chain.order " + host}},
		{
			"wrong order and untrusted", certs(leaf, root, issuing),
			Rules{Roots: certs(stranger)},
			[]string{datesOK, "warn chain.order " + host, "fail chain.untrusted Root"},
		},
		{"self-signed", certs(own), Rules{Host: host, Roots: roots}, []string{datesOK, matches, "fail chain.self-signed " + host}},
		{"self-signed and trusted", certs(own), Rules{Host: host, Roots: certs(own)}, []string{datesOK, matches, whole}},
		{"above it no authority", certs(belowNotCA, notCA), Rules{Roots: roots}, []string{datesOK, "fail chain.not-ca Not an authority"}},
		{"above it one that may not sign", certs(belowNoSign, noSign), Rules{Roots: roots}, []string{datesOK, "fail chain.key-usage No signer"}},
		{"name constraints", certs(belowNarrow, narrow), Rules{Host: host, Roots: roots}, []string{datesOK, matches, "fail chain.name-constraint " + host}},
		{"for clients", certs(client, issuing), Rules{Roots: roots}, []string{datesOK, "fail cert.usage " + host, whole}},
		{"same key, name and a root of its own", certs(leaf, sameName), Rules{Roots: roots}, []string{datesOK, "fail chain.untrusted Issuing"}},

		{"ends soon", certs(soon, issuing), Rules{Roots: roots}, []string{"warn cert.expires-soon " + host, whole}},
		{"ends not so soon", certs(soon, issuing), Rules{Roots: roots, WarnDays: 5}, []string{datesOK, whole}},
		{"ends tomorrow", certs(tomorrow, issuing), Rules{Roots: roots}, []string{"warn cert.expires-soon " + host, whole}},
		{"ended", certs(expired, issuing), Rules{Roots: roots}, []string{"fail cert.expired " + host, whole}},
		{"not begun", certs(future, issuing), Rules{Roots: roots}, []string{"fail cert.not-yet-valid " + host, whole}},
		{"issuing ended", certs(belowOld, oldIssuing), Rules{Roots: roots}, []string{"fail cert.expired Old Issuing", whole}},
		{"root ended, not sent", certs(belowOldRoot), Rules{Roots: certs(oldRoot)}, []string{"fail cert.expired Old Root", whole}},
		{"root ended, sent", certs(belowOldRoot, oldRoot), Rules{Roots: certs(oldRoot)}, []string{"fail cert.expired Old Root", whole}},

		{"other host", certs(leaf, issuing), Rules{Host: "www.acme.example", Roots: roots}, []string{datesOK, "fail cert.name.mismatch www.acme.example", whole}},
		{"host in capitals", certs(leaf, issuing), Rules{Host: "PORTAL.acme.example", Roots: roots}, []string{datesOK, "pass cert.name.matches PORTAL.acme.example", whole}},
		{"no alternative names", certs(nameOnly, issuing), Rules{Host: host, Roots: roots}, []string{datesOK, "fail cert.name.mismatch " + host, whole}},
		{"wildcard", certs(wildcard, issuing), Rules{Host: host, Roots: roots}, []string{datesOK, matches, whole}},
		{"wildcard, two labels", certs(wildcard, issuing), Rules{Host: "a.portal.acme.example", Roots: roots}, []string{datesOK, "fail cert.name.mismatch a.portal.acme.example", whole}},
		{"wildcard, apex", certs(wildcard, issuing), Rules{Host: "acme.example", Roots: roots}, []string{datesOK, "fail cert.name.mismatch acme.example", whole}},
		{"address", certs(address, issuing), Rules{Host: "192.0.2.1", Roots: roots}, []string{datesOK, "pass cert.name.matches 192.0.2.1", whole}},
		{"other address", certs(address, issuing), Rules{Host: "192.0.2.2", Roots: roots}, []string{datesOK, "fail cert.name.mismatch 192.0.2.2", whole}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.r.Now = now
			findings := JudgeServed(tt.sent, tt.r)
			if got := summary(findings); !slices.Equal(got, tt.want) {
				t.Errorf("JudgeServed(%q) = %q, want %q", labels(tt.sent), findings, tt.want)
			}
			checkFindings(t, findings)
		})
	}
}

func TestJudgeWords(t *testing.T) {
	t.Parallel()
	leaf, issuing, root := chain3(t)
	bare := issue(t, issuing, nil, with(server("portal.acme.example"), func(c *x509.Certificate) { c.DNSNames = nil }))
	tomorrow := issue(t, issuing, nil, with(server("portal.acme.example"), func(c *x509.Certificate) { c.NotAfter = now.Add(36 * time.Hour) }))
	tests := []struct {
		sent       []*x509.Certificate
		r          Rules
		code, want string
	}{
		{certs(leaf, issuing), Rules{Roots: certs(root)}, "cert.dates.ok", "good until 2027-03-31, 365 days left"},
		{certs(tomorrow, issuing), Rules{Roots: certs(root)}, "cert.expires-soon", "expires on 2026-04-02, in 1 day"},
		{certs(leaf), Rules{Roots: certs(root)}, "chain.issuer.unknown", "http://ca.example/issuer.crt"},
		{certs(leaf, issuing), Rules{Host: "www.acme.example", Roots: certs(root)}, "cert.name.mismatch", "covers only portal.acme.example"},
		{certs(bare, issuing), Rules{Host: "portal.acme.example", Roots: certs(root)}, "cert.name.mismatch", `only the common name "portal.acme.example"`},
	}
	for _, tt := range tests {
		tt.r.Now = now
		findings := JudgeServed(tt.sent, tt.r)
		if !slices.ContainsFunc(findings, func(f report.Finding) bool {
			return f.Code == tt.code && strings.Contains(f.Detail+f.Remedy, tt.want)
		}) {
			t.Errorf("JudgeServed(%q) = %q, want %s with %q", labels(tt.sent), findings, tt.code, tt.want)
		}
	}
}

// OpenSSL makes these chains: Go signs neither with SHA-1 nor small keys.
func TestJudgeWeak(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	authority := func(name, subject, hash string) {
		run(t, dir, "openssl", "req", "-x509", "-newkey", "rsa:1024", "-nodes", "-"+hash, "-keyout", name+".key", "-out", name+".pem",
			"-subj", subject, "-days", "100", "-addext", "keyUsage=keyCertSign")
	}
	authority("sha1", "/CN=Weak Root", "sha1")
	writeFile(t, dir, "ext", []byte("subjectAltName=DNS:portal.acme.example\nextendedKeyUsage=serverAuth\n"))
	run(t, dir, "openssl", "req", "-new", "-newkey", "rsa:1024", "-nodes", "-keyout", "leaf.key", "-subj", "/CN=portal.acme.example", "-out", "leaf.csr")
	run(t, dir, "openssl", "genpkey", "-algorithm", "ED448", "-out", "ed448.key")
	run(t, dir, "openssl", "req", "-x509", "-key", "ed448.key", "-out", "ed448.pem", "-subj", "/CN=New Root", "-days", "100")
	sign := func(out, by, hash string) *x509.Certificate {
		args := []string{"x509", "-req", "-in", "leaf.csr", "-CA", by + ".pem", "-CAkey", by + ".key", "-CAcreateserial", "-days", "90", "-extfile", "ext", "-out", out}
		if hash != "" {
			args = append(args, "-"+hash)
		}
		run(t, dir, "openssl", args...)
		return read1(t, dir, out)
	}
	weakKeys := []string{"fail cert.key.weak portal.acme.example", "fail cert.key.weak Weak Root"}
	whole := "pass chain.complete portal.acme.example"
	tests := []struct {
		name, by, hash string
		want           []string
	}{
		{"SHA-1", "sha1", "sha1", []string{weakKeys[0], "fail cert.signature.weak portal.acme.example", weakKeys[1], datesOK, whole}},
		{"MD5", "sha1", "md5", []string{weakKeys[0], "fail cert.signature.weak portal.acme.example", weakKeys[1], datesOK, whole}},
		{"SHA-256 below a SHA-1 root", "sha1", "sha256", []string{weakKeys[0], weakKeys[1], datesOK, whole}},
		{"Ed448", "ed448", "", []string{weakKeys[0], "unknown cert.key.unknown New Root", datesOK, "unknown chain.unknown portal.acme.example"}},
	}
	for _, tt := range tests {
		leaf, root := sign(tt.name+".pem", tt.by, tt.hash), read1(t, dir, tt.by+".pem")
		findings := JudgeServed([]*x509.Certificate{leaf}, Rules{Now: leaf.NotBefore.Add(time.Hour), Roots: []*x509.Certificate{root}})
		if got := summary(findings); !slices.Equal(got, tt.want) {
			t.Errorf("JudgeServed(%s) = %q, want %q", tt.name, findings, tt.want)
		}
		checkFindings(t, findings)
	}
}

func read1(t testing.TB, dir, name string) *x509.Certificate {
	t.Helper()
	bag, err := Read(readFile(t, dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return bag.Certs[0].Certificate
}

func TestInstalledJudge(t *testing.T) {
	t.Parallel()
	leaf, issuing, root := chain3(t)
	other, _, stranger := chain3(t)
	own := issue(t, nil, nil, server("portal.acme.example"))
	direct := issue(t, root, nil, server("portal.acme.example"))
	client := issue(t, issuing, nil, with(server("portal.acme.example"), func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }))
	expired := issue(t, issuing, nil, with(server("portal.acme.example"), func(c *x509.Certificate) { c.NotAfter = now.AddDate(0, 0, -1) }))

	key, whole := "pass set.key.matches key.pem", "pass chain.complete cert.pem and root.pem"
	list := func(parties ...*party) []*party { return parties }
	tests := []struct {
		name       string
		key        *party
		cert, root []*party
		want       []string
	}{
		{"as split", leaf, list(leaf, issuing), list(issuing, root), []string{key, datesOK, whole}},
		{"root.pem in the other order", leaf, list(leaf, issuing), list(root, issuing), []string{key, datesOK, whole}},
		{"cert.pem with the root", leaf, list(leaf, issuing, root), list(issuing, root), []string{key, datesOK, whole}},
		{"no intermediate needed", direct, list(direct), list(root), []string{key, datesOK, whole}},
		{"self-signed", own, list(own), list(own), []string{key, datesOK, whole}},

		{"another key", other, list(leaf, issuing), list(issuing, root), []string{"fail set.key.mismatch key.pem"}},
		{"key of the second certificate", leaf, list(issuing, leaf), list(issuing, root), []string{"fail set.key.mismatch key.pem"}},

		{"root alone in root.pem", leaf, list(leaf, issuing), list(root), []string{key, datesOK, "warn chain.first-only root.pem"}},
		{"leaf alone in cert.pem", leaf, list(leaf), list(issuing, root), []string{key, datesOK, "fail chain.issuer.unknown cert.pem"}},
		{"leaf and root alone", leaf, list(leaf), list(root), []string{key, datesOK, "fail chain.issuer.unknown cert.pem", "warn chain.first-only root.pem"}},
		{"a stranger's root", leaf, list(leaf, issuing), list(stranger), []string{key, datesOK, "fail chain.issuer.unknown cert.pem", "warn chain.first-only root.pem"}},
		{"cert.pem in the wrong order", leaf, list(leaf, root, issuing), list(issuing, root), []string{key, datesOK, "warn chain.order cert.pem"}},
		{"for clients", client, list(client, issuing), list(issuing, root), []string{key, datesOK, "fail cert.usage portal.acme.example", whole}},
		{"ended", expired, list(expired, issuing), list(issuing, root), []string{key, "fail cert.expired portal.acme.example", whole}},

		{"no root", leaf, list(leaf, issuing), list(issuing), []string{key, datesOK, "warn chain.issuer.missing Issuing"}},
		{"nothing above", leaf, list(leaf), nil, []string{key, datesOK, "fail chain.issuer.missing portal.acme.example"}},
		{
			"no root, nothing in root.pem", leaf, list(leaf, issuing), nil,
			[]string{key, datesOK, "warn chain.issuer.missing Issuing", "warn chain.first-only root.pem"},
		},
		{
			"no root, leaf alone in cert.pem", leaf, list(leaf), list(issuing),
			[]string{key, datesOK, "warn chain.issuer.missing Issuing", "fail chain.issuer.missing cert.pem"},
		},
		{"root in cert.pem alone", leaf, list(leaf, issuing, root), list(issuing), []string{key, datesOK, whole}},
		{"everything in cert.pem alone", leaf, list(leaf, issuing, root), nil, []string{key, datesOK, "warn chain.first-only root.pem"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := &Installed{Key: tt.key.key, Cert: certs(tt.cert...), Root: certs(tt.root...)}
			findings := s.Judge(Rules{Now: now})
			if got := summary(findings); !slices.Equal(got, tt.want) {
				t.Errorf("Judge(cert.pem %q, root.pem %q) = %q, want %q", labels(s.Cert), labels(s.Root), findings, tt.want)
			}
			checkFindings(t, findings)
		})
	}
}

func TestInstalledJudgeKeyRemedy(t *testing.T) {
	t.Parallel()
	leaf, issuing, root := chain3(t)
	s := &Installed{Key: leaf.key, Cert: certs(issuing, leaf), Root: certs(root)}
	if f := s.Judge(Rules{Now: now})[0]; !strings.Contains(f.Remedy, "certificate 2 of cert.pem") {
		t.Errorf("Judge(leaf second) = %q, want a remedy with its place", f)
	}
}

// A set is judged before it is served: only a name that it does not cover is
// held against it.
func TestSetJudge(t *testing.T) {
	t.Parallel()
	leaf, issuing, root := chain3(t)
	expired := issue(t, issuing, nil, with(server("portal.acme.example"), func(c *x509.Certificate) { c.NotAfter = now.AddDate(0, 0, -1) }))
	tests := []struct {
		name string
		set  *Set
		host string
		want []string
	}{
		{
			"whole", &Set{Key: leaf.key, Leaf: leaf.Certificate, Intermediates: certs(issuing), Root: root.Certificate}, "portal.acme.example",
			[]string{"pass set.key.matches key.pem", datesOK, "pass cert.name.matches portal.acme.example", "pass chain.complete cert.pem and root.pem"},
		},
		{
			"other host", &Set{Key: leaf.key, Leaf: leaf.Certificate, Intermediates: certs(issuing), Root: root.Certificate}, "www.acme.example",
			[]string{"pass set.key.matches key.pem", datesOK, "fail cert.name.mismatch www.acme.example", "pass chain.complete cert.pem and root.pem"},
		},
		{
			"leaf alone", &Set{Key: leaf.key, Leaf: leaf.Certificate}, "",
			[]string{"pass set.key.matches key.pem", datesOK, "warn chain.issuer.missing portal.acme.example"},
		},
		{
			"ended", &Set{Key: expired.key, Leaf: expired.Certificate, Intermediates: certs(issuing), Root: root.Certificate}, "",
			[]string{"pass set.key.matches key.pem", "warn cert.expired portal.acme.example", "pass chain.complete cert.pem and root.pem"},
		},
	}
	for _, tt := range tests {
		findings := tt.set.Judge(Rules{Now: now, Host: tt.host})
		if got := summary(findings); !slices.Equal(got, tt.want) {
			t.Errorf("%s: Judge = %q, want %q", tt.name, findings, tt.want)
		}
		checkFindings(t, findings)
	}
}

func TestIsHost(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		"portal.acme.example": true, "192.0.2.1": true, "2001:db8::1": true, "localhost": true,
		"": false, "portal.acme.example:4444": false, "https://portal.acme.example": false, "a b": false, "a/b": false,
	} {
		if got := IsHost(s); got != want {
			t.Errorf("IsHost(%q) = %v, want %v", s, got, want)
		}
	}
}

// An RSA key of a million bits must not keep the computer busy.
func TestHugeKey(t *testing.T) {
	t.Parallel()
	modulus := make([]byte, 1<<17)
	for i := range modulus {
		sum := sha256.Sum256([]byte{byte(i), byte(i >> 8), byte(i >> 16)})
		modulus[i] = sum[0] | 1
	}
	huge := &x509.Certificate{
		RawSubject: []byte{0x30, 0}, RawIssuer: []byte{0x30, 0}, Subject: pkix.Name{},
		PublicKey:          &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: 1<<31 - 1},
		PublicKeyAlgorithm: x509.RSA, SignatureAlgorithm: x509.SHA256WithRSA, Signature: modulus[:len(modulus)-1],
	}
	if signedBy(huge, huge) {
		t.Error("signedBy(huge, huge) = true")
	}
}
