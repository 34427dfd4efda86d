package pkcs

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"onsite/report"
)

// judgeChain judges what can be said of a chain as a whole: that each
// certificate may issue the one below it, and that the top is trusted. What can
// be said of one certificate is judgeEach's and judgeLeaf's.
func (s *search) judgeChain(p *way) []report.Finding {
	var findings []report.Finding
	for i, c := range p.certs {
		if partial(c) {
			findings = append(findings, judgePartial(c, i == len(p.certs)-1 && p.trust != TrustNone))
		}
		if i > 0 {
			findings = append(findings, s.judgeIssuer(p.certs[i-1], c, i == len(p.certs)-1 && p.trust != TrustNone)...)
		}
	}
	findings = append(findings, judgePathLength(p.certs)...)
	findings = append(findings, judgeNames(p.certs)...)
	if !slices.ContainsFunc(p.certs, partial) {
		findings = append(findings, judgePolicies(p.certs)...)
	}
	if p.trust == TrustNone {
		findings = append(findings, s.distrusts(p))
	}
	return findings
}

// judgePartial judges a certificate that Go cannot parse. Clients that are
// written in Go refuse it, and that is known; what others do with it is not, and
// nobody need look at more than the key of one that is trusted.
func judgePartial(c *x509.Certificate, trusted bool) report.Finding {
	_, err := x509.ParseCertificate(c.Raw)
	if trusted {
		return report.Unknown("chain.unknown", name(c), fmt.Sprintf("this certificate cannot be read whole, so what it allows is not known (%v)", err),
			"look at it with another program; browsers refuse most certificates that cannot be read here")
	}
	return report.Fail("cert.unparsed", name(c), fmt.Sprintf("it breaks the rules for certificates, and clients refuse it, all that are written in Go among them (%v)", err),
		"have it issued again, with an RSA key of 2048 bits")
}

// judgeIssuer judges whether issuer may have issued c. trusted says that it is
// the trusted certificate on top.
func (s *search) judgeIssuer(c, issuer *x509.Certificate, trusted bool) []report.Finding {
	var findings []report.Finding
	if s.signs(c, issuer) == signatureUncheckable && !weaklySigned(c) && !partial(c) && !partial(issuer) {
		findings = append(findings, report.Unknown("chain.unknown", name(c), "its signature is of a kind that cannot be checked here",
			"have the certificate issued again with SHA-256"))
	}
	if partial(issuer) {
		return findings
	}
	const otherIssuer = "ask the authority for its real intermediate certificate"
	switch {
	case issuer.Version < 3 && (!trusted || !s.selfSigned(issuer)):
		findings = append(findings, report.Fail("chain.not-ca", name(issuer),
			fmt.Sprintf("it stands above another certificate, and of version %d, which cannot say that it is an authority's (RFC 5280, section 6.1.4 (k))", issuer.Version),
			otherIssuer))
	case issuer.Version >= 3 && (!issuer.BasicConstraintsValid || !issuer.IsCA):
		findings = append(findings, report.Fail("chain.not-ca", name(issuer),
			"it is no authority's certificate (no CA basic constraint, RFC 5280, section 4.2.1.9), and stands above another", otherIssuer))
	case has(issuer, oidKeyUsage) && issuer.KeyUsage&x509.KeyUsageCertSign == 0:
		findings = append(findings, report.Fail("chain.key-usage", name(issuer),
			"its key is not for signing certificates (key usage without keyCertSign, RFC 5280, section 4.2.1.3), and it stands above another", otherIssuer))
	}
	if !forServers(issuer) {
		findings = append(findings, report.Fail("chain.usage", name(issuer),
			"the authority is not for servers (extended key usage without serverAuth), so nothing below it is",
			"ask the authority for a server (TLS web server) certificate"))
	}
	if !keyIDsAgree(c, issuer) {
		findings = append(findings, report.Warn("chain.key-id", name(c),
			fmt.Sprintf("it names another key of %q than the one that signed it (authority key identifier, RFC 5280, section 4.2.1.1); some clients do not find the issuer then", name(issuer)),
			"ask the authority for the intermediate certificate that belongs to it"))
	}
	return findings
}

// forServers reports whether the extended key usage of a certificate, if it has
// one, allows TLS servers. Clients look at every certificate of a chain, which
// RFC 5280 leaves open.
func forServers(c *x509.Certificate) bool {
	return !has(c, oidExtendedKeyUsage) || partial(c) || slices.ContainsFunc(c.ExtKeyUsage, func(u x509.ExtKeyUsage) bool {
		switch u {
		case x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageAny:
			return true
		case x509.ExtKeyUsageMicrosoftServerGatedCrypto, x509.ExtKeyUsageNetscapeServerGatedCrypto:
			return c.IsCA // what serverAuth was called before 2000
		}
		return false
	})
}

// judgePathLength counts the authorities below each: RFC 5280, section 6.1.4 (l)
// and (m). Those that an authority issues to itself do not count, which Go's own
// verifier does not know.
func judgePathLength(chain []*x509.Certificate) []report.Finding {
	var findings []report.Finding
	below := 0
	for i, c := range chain[1:] {
		if i > 0 && !selfIssued(chain[i]) {
			below++
		}
		if c.IsCA && (c.MaxPathLen > 0 || c.MaxPathLenZero) && below > c.MaxPathLen {
			findings = append(findings, report.Fail("chain.path-length", name(c),
				fmt.Sprintf("it allows %d authorities below it, and there are %d (path length, RFC 5280, section 4.2.1.9)", c.MaxPathLen, below),
				"ask the authority for a certificate from an intermediate that may issue it"))
		}
	}
	return findings
}

// distrusts says why clients do not trust the certificate on top.
func (s *search) distrusts(p *way) report.Finding {
	top := p.top()
	if s.unreadable != nil {
		return report.Unknown("chain.unknown", name(top), "this computer's trusted roots could not be read: "+s.unreadable.Error(),
			"name the root with --root")
	}
	switch {
	case s.selfSigned(top) && len(p.certs) == 1:
		return report.Fail("chain.self-signed", name(top), "the certificate is signed by itself, and nobody trusts it",
			"get a certificate from an authority, or have the clients trust this one (--root here)")
	case s.selfSigned(top):
		return report.Fail("chain.untrusted", name(top), "the chain ends in a root that is not trusted",
			"if it is your own authority's, name it with --root, and have the clients trust it")
	}
	if other := s.impostor(top); other != nil {
		return report.Fail("chain.signature.bad", name(top),
			fmt.Sprintf("the signature is not that of %q, which has the name of its issuer (RFC 5280, section 6.1.3 (a))", name(other)),
			"copy the certificate again; if it stays, ask the authority for the intermediate certificate that belongs to it")
	}
	return unknownIssuer(top)
}

// unknownIssuer is the verdict on a chain that ends below what the client
// trusts. Whether an intermediate was left out or the root is not installed
// cannot be told from what was sent.
func unknownIssuer(top *x509.Certificate) report.Finding {
	return report.Fail("chain.issuer.unknown", name(top),
		fmt.Sprintf("its issuer %q was not sent and is not among the trusted roots, so clients reject it", issuerName(top)),
		fmt.Sprintf("if %q is an intermediate, the server must send it too%s; if it is your own authority's root, name it with --root and have the clients trust it",
			issuerName(top), offered(top)))
}

// offered says where the authority offers the issuer of c, if the certificate
// says so.
func offered(c *x509.Certificate) string {
	if len(c.IssuingCertificateURL) == 0 {
		return ""
	}
	return fmt.Sprintf(" (the authority offers %q at %s)", issuerName(c), strings.Join(c.IssuingCertificateURL, " and "))
}

// judgeOrder wants the certificates of a path that were sent to be the first of
// those, in the same order. A certificate that is sent twice is no problem: some
// servers always do that, and clients do not mind.
func judgeOrder(sent []*x509.Certificate, p *way) []report.Finding {
	sent = unique(sent)
	var order []*x509.Certificate
	for _, c := range p.certs {
		if slices.ContainsFunc(sent, c.Equal) {
			order = append(order, c)
		}
	}
	if slices.EqualFunc(order, sent[:min(len(order), len(sent))], (*x509.Certificate).Equal) {
		return nil
	}
	return []report.Finding{report.Warn("chain.order", name(p.certs[0]),
		"the certificates are in the wrong order: "+names(sent),
		"put them in order, each followed by its issuer: onsite pfx split does")}
}
