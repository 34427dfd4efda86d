package pkcs

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"onsite/csr"
	"onsite/internal/dn"
	"onsite/report"
)

// Rules says against what certificates are judged.
type Rules struct {
	Host string    // a name or address that the leaf must cover; "" for none
	Now  time.Time // zero: the present
	// Roots are the certificates that the clients trust; nil: the public roots
	// and this computer's. Where some are self-signed, the others are taken for
	// intermediates that stand in the same file, which a client does not have.
	Roots []*x509.Certificate
	// Intermediates are certificates that a client has beside those it is sent.
	Intermediates []*x509.Certificate
	// WarnDays is the number of days before the end at which to warn; 0: 30.
	// A negative number means never.
	WarnDays int
	// Key is the private key that the leaf must be for; nil: none. Verify alone
	// looks at it.
	Key crypto.Signer
	// Unordered says that the certificates come out of a bundle, where their
	// order means nothing.
	Unordered bool

	known signatures // nil: nothing yet
}

func (r Rules) now() time.Time {
	if r.Now.IsZero() {
		return time.Now()
	}
	return r.Now
}

func (r Rules) warnDays() int {
	if r.WarnDays == 0 {
		return 30
	}
	return r.WarnDays
}

// Verdict is what came of verifying a chain.
type Verdict struct {
	// Path is the chain that was found, from the leaf up to the trusted
	// certificate, or as far as the certificates reach.
	Path     []*x509.Certificate
	Trust    Trust
	Findings []report.Finding
}

// Verify judges certificates as a client does that is sent them in this order:
// every rule of RFC 5280, section 6, and what TLS clients ask for beyond. Of
// several ways up the best is judged; the chain is good when one way is. It
// never fetches what is missing. Revocation is not looked at.
func Verify(sent []*x509.Certificate, r Rules) Verdict {
	if len(sent) == 0 {
		return Verdict{Trust: TrustNone, Findings: []report.Finding{report.Fail("chain.none", "", "there is no certificate", "name a file with the certificate")}}
	}
	leaf := findLeaf(sent, r.Key)
	var findings []report.Finding
	if r.Key != nil {
		findings = append(findings, judgeKey(r.Key, leaf))
	}
	p, judged := judgeSent(leaf, sent, r)
	findings = append(findings, judged...)
	if r.Host == "" && !leaf.IsCA {
		findings = append(findings, judgeNameless(leaf, report.StatusWarn)...)
	}
	problems := p.problems
	if !r.Unordered {
		problems = slices.Concat(judgeOrder(sent, p), problems)
	}
	if len(problems) > 0 {
		findings = append(findings, problems...)
	} else {
		findings = append(findings, report.Pass("chain.complete", name(leaf), "whole chain, each signed by the next: "+names(p.certs)))
	}
	return Verdict{Path: p.certs, Trust: p.trust, Findings: append(findings, p.judgeTrust()...)}
}

// findLeaf returns the certificate of the key, or else the first, unless that is
// the issuer of another.
func findLeaf(sent []*x509.Certificate, key crypto.Signer) *x509.Certificate {
	if key != nil {
		if leaf, _ := chooseLeaf(key, sent); leaf != nil {
			return leaf
		}
	}
	issuers := map[string]bool{}
	for _, c := range sent {
		if !selfIssued(c) {
			issuers[dn.Canonical(c.RawIssuer)] = true
		}
	}
	for _, c := range sent {
		if !issuers[dn.Canonical(c.RawSubject)] && (c == sent[0] || !c.IsCA) {
			return c
		}
	}
	return sent[0]
}

func judgeKey(key crypto.Signer, leaf *x509.Certificate) report.Finding {
	if SameKey(key, leaf) {
		return report.Pass("set.key.matches", name(leaf), csr.DescribeKey(key.Public())+", the certificate is for this key")
	}
	return report.Fail("set.key.mismatch", name(leaf), "the private key ("+csr.DescribeKey(key.Public())+") does not belong to the certificate",
		"use the key that the request was made with")
}

// judgeSent finds the best way up from leaf and judges the certificates on it,
// by themselves and for a server. What was sent beside them is judged by its
// dates alone, for old clients stumble over that.
func judgeSent(leaf *x509.Certificate, sent []*x509.Certificate, r Rules) (*way, []report.Finding) {
	p := newSearch(sent, r).best(leaf)
	findings := r.judgeEach(p.certs)
	for _, c := range unique(sent) {
		if slices.ContainsFunc(p.certs, c.Equal) {
			continue
		}
		for _, f := range r.judgeDates(c) {
			f.Status = report.StatusWarn
			f.Detail += "; clients need it not, but some stumble over it"
			findings = append(findings, f)
		}
	}
	findings = append(findings, r.judgeLeaf(leaf)...)
	return p, append(findings, judgeValidity(leaf, p.public())...)
}

// JudgeServed judges certificates as a server sent them: dates, name, and a
// whole chain in order up to a root that the client trusts. It never fetches
// what is missing, as some browsers do and other clients do not.
func JudgeServed(sent []*x509.Certificate, r Rules) []report.Finding {
	if len(sent) == 0 {
		return []report.Finding{report.Fail("chain.none", "", "the server sent no certificate", "check the server's certificate settings")}
	}
	p, findings := judgeSent(sent[0], sent, r)
	if problems := slices.Concat(judgeOrder(sent, p), p.problems); len(problems) > 0 {
		findings = append(findings, problems...)
	} else {
		findings = append(findings, report.Pass("chain.complete", name(sent[0]), "whole chain as sent: "+names(sent)))
	}
	if r.Roots == nil {
		findings = append(findings, p.judgeTrust()...)
	}
	return findings
}

// Judge judges an installed set: that the key fits, the dates and the name, and
// that clients get a whole chain under either kind of server program. Roots is
// not used: the set's own root is taken as trusted.
func (s *Installed) Judge(r Rules) []report.Finding {
	leaf := s.Cert[0]
	if s.Key != nil && !SameKey(s.Key, leaf) {
		detail := fmt.Sprintf("the key does not belong to the first certificate of %s (%s)", CertFile, name(leaf))
		remedy := "put the key there that the request was made with"
		if i := slices.IndexFunc(s.Cert, func(c *x509.Certificate) bool { return SameKey(s.Key, c) }); i > 0 {
			remedy = fmt.Sprintf("the key belongs to certificate %d of %s: put that one first, or run onsite pfx split again", i+1, CertFile)
		}
		return []report.Finding{report.Fail("set.key.mismatch", KeyFile, detail, remedy)}
	}
	var findings []report.Finding
	if s.Key != nil {
		findings = append(findings, report.Pass("set.key.matches", KeyFile,
			fmt.Sprintf("%s, belongs to the certificate of %s", csr.DescribeKey(s.Key.Public()), name(leaf))))
	}
	if raw, ok := s.Key.(*csr.RawKey); ok {
		findings = append(findings, report.Fail("set.key.unusable", KeyFile, csr.DescribeKey(raw.Public())+": browsers and most server programs, this one's portal among them, cannot use such a key",
			"make a new RSA key and request with onsite csr new"))
	}
	all := unique(slices.Concat(s.Cert, s.Root))
	findings = append(findings, r.judgeEach(all)...)
	findings = append(findings, r.judgeLeaf(leaf)...)
	if r.Host == "" {
		findings = append(findings, judgeNameless(leaf, report.StatusFail)...)
	}
	return append(findings, s.judgeLoaders(r)...)
}

// Verify is Judge that also tells the chain that was found and who trusts it.
func (s *Installed) Verify(r Rules) Verdict {
	v := Verdict{Findings: s.Judge(r), Trust: TrustNone}
	all := unique(slices.Concat(s.Cert, s.Root))
	p := publicPath(all, r)
	if p.trust == TrustNone {
		r.Roots = slices.DeleteFunc(slices.Clone(all), func(c *x509.Certificate) bool { return !selfSigned(c) })
		p = newSearch(all, r).best(all[0])
	}
	v.Path, v.Trust = p.certs, p.trust
	v.Findings = append(v.Findings, judgeValidity(all[0], p.public())...)
	if p.trust != TrustNone {
		v.Findings = append(v.Findings, p.judgeSetTrust()...)
	}
	return v
}

// Judge says how a set will fare once it is served. A name that is not covered
// is a fail; all else that Installed.Judge would call one is a warning here, for
// a set is sorted out before its time comes, and after.
func (s *Set) Judge(r Rules) []report.Finding {
	if s.Leaf == nil {
		return s.judgePart(r)
	}
	i := Installed{Key: s.Key, Cert: s.CertFile(), Root: s.RootFile()}
	findings := i.Judge(r)
	for n, f := range findings {
		if f.Status == report.StatusFail && f.Code != "cert.name.mismatch" {
			findings[n].Status = report.StatusWarn
		}
	}
	if s.Key == nil {
		findings = append([]report.Finding{report.Warn("set.key.missing", name(s.Leaf), "there is no private key, so a server cannot use the certificate yet",
			"put the key that the request was made with into "+KeyFile+", or name it with --key")}, findings...)
	}
	return findings
}

// judgePart says what a set without a leaf lacks.
func (s *Set) judgePart(r Rules) []report.Finding {
	if s.Key != nil {
		return []report.Finding{report.Warn("set.certificate.missing", csr.DescribeKey(s.Key.Public()),
			"there is no certificate for the private key", "name the file too in which the authority sent it")}
	}
	findings := []report.Finding{report.Warn("set.leaf.missing", names(s.Intermediates),
		"these are certificates of authorities alone: the site's own is missing", "name the file too in which the authority sent it")}
	return append(findings, r.judgeEach(s.Intermediates)...)
}

// judgeLoaders looks at the chain as the two kinds of server program send it:
// one reads the first certificate of cert.pem and fills up from root.pem (as
// OpenSSL's SSL_CTX_use_certificate_file with a CA file does), the other sends
// cert.pem as it is.
func (s *Installed) judgeLoaders(r Rules) []report.Finding {
	if r.known == nil {
		r.known = signatures{}
	}
	if r.Roots = s.Root; !slices.ContainsFunc(r.Roots, r.known.selfSigned) {
		whole := r.known.climb(s.Cert[0], append(slices.Clone(s.Cert), s.Root...))
		top := whole[len(whole)-1] // it may stand in cert.pem alone
		if !r.known.selfSigned(top) {
			// Clients have the public roots, wherever they are missing here.
			if top = publicIssuer(top); top == nil {
				return s.judgeRootless(whole, r)
			}
		}
		r.Roots = []*x509.Certificate{top}
	}
	var problems []report.Finding
	_, inFile := chainProblems(s.Cert, r)
	for _, f := range inFile {
		f = inCertFile(f)
		if f.Code == "chain.issuer.unknown" {
			sent := r.known.climb(s.Cert[0], s.Cert)
			f.Remedy += offered(sent[len(sent)-1])
		}
		problems = append(problems, f)
	}
	p, filledUp := chainProblems(r.known.climb(s.Cert[0], s.Root), r)
	for _, f := range filledUp {
		if slices.Contains(layoutCodes, f.Code) { // any other was found just now
			problems = append(problems, firstOnly(f))
		}
	}
	if len(problems) > 0 {
		return problems
	}
	return []report.Finding{report.Pass("chain.complete", CertFile+" and "+RootFile,
		fmt.Sprintf("whole chain up to %s, whether a program reads the first certificate of cert.pem or all of it", name(p.top())))}
}

// judgeRootless looks at a set without a root: the chain then ends below one,
// and both kinds of program must send all of it.
func (s *Installed) judgeRootless(whole []*x509.Certificate, r Rules) []report.Finding {
	missing := missingIssuer(whole[len(whole)-1])
	if len(whole) == 1 {
		missing.Status = report.StatusFail // not even the issuer: no client can follow
	}
	findings := []report.Finding{missing}
	for _, loader := range []struct {
		certs []*x509.Certificate
		name  func(report.Finding) report.Finding
	}{{s.Root, firstOnly}, {s.Cert, inCertFile}} {
		if sent := r.known.climb(s.Cert[0], loader.certs); len(sent) < len(whole) {
			f := missingIssuer(sent[len(sent)-1])
			f.Status = report.StatusFail
			findings = append(findings, loader.name(f))
		}
	}
	return findings
}

// layoutCodes are the problems that come from what stands in which file. Any
// other is the certificates' own, and right files do not mend it.
var layoutCodes = []string{"chain.issuer.missing", "chain.issuer.unknown", "chain.order", "chain.untrusted"}

// firstOnly puts a problem in the words of a program that reads only the first
// certificate of cert.pem. It is a warning: other programs do not meet it.
func firstOnly(f report.Finding) report.Finding {
	f.Code, f.Status, f.Subject = "chain.first-only", report.StatusWarn, RootFile
	f.Detail = "a program that reads only the first certificate of cert.pem cannot send a whole chain: " + f.Detail
	f.Remedy = "root.pem must hold the intermediates, then the root: run onsite pfx split again"
	return f
}

// inCertFile does the same for a program that sends cert.pem as it is.
func inCertFile(f report.Finding) report.Finding {
	if !slices.Contains(layoutCodes, f.Code) {
		return f
	}
	f.Subject = CertFile
	f.Remedy = "cert.pem must hold the certificate, then the intermediates: run onsite pfx split again"
	return f
}

// chainProblems finds the best way up from a chain as sent and says what is wrong
// with it; nil when it is whole and trusted.
func chainProblems(sent []*x509.Certificate, r Rules) (*way, []report.Finding) {
	p := newSearch(sent, r).best(sent[0])
	return p, append(judgeOrder(sent, p), p.problems...)
}
