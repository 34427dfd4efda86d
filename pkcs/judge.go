package pkcs

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"onsite/csr"
	"onsite/report"
)

// Rules says against what certificates are judged.
type Rules struct {
	Host string    // a name or address that the leaf must cover; "" for none
	Now  time.Time // zero: the present
	// Roots are the certificates that the clients trust; nil: this computer's.
	// Where some are self-signed, the others are taken for intermediates that
	// stand in the same file, which a client does not have.
	Roots []*x509.Certificate
	// WarnDays is the number of days before the end at which to warn; 0: 30.
	WarnDays int

	judged []*x509.Certificate // those whose dates are judged by themselves
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
	r.judged = unique(append(slices.Clone(s.Cert), s.Root...))
	findings = append(findings, r.judgeEach()...)
	switch {
	case r.Host != "":
		findings = append(findings, judgeName(leaf, r.Host))
	case len(hostNames(leaf)) == 0:
		findings = append(findings, report.Fail("cert.name.none", name(leaf), "there are no alternative names, and browsers look at nothing else",
			"have it issued again with the name among the alternative names: onsite csr new puts it there"))
	}
	return append(findings, s.judgeLoaders(r)...)
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
	r.judged = s.Intermediates
	return append(findings, r.judgeEach()...)
}

// judgeLoaders looks at the chain as the two kinds of server program send it:
// one reads the first certificate of cert.pem and fills up from root.pem (as
// OpenSSL's SSL_CTX_use_certificate_file with a CA file does), the other sends
// cert.pem as it is.
func (s *Installed) judgeLoaders(r Rules) []report.Finding {
	if r.Roots = s.Root; !slices.ContainsFunc(r.Roots, selfSigned) {
		whole := climb(s.Cert[0], append(slices.Clone(s.Cert), s.Root...))
		top := whole[len(whole)-1]
		if !selfSigned(top) {
			return s.judgeRootless(whole)
		}
		r.Roots = []*x509.Certificate{top} // it stands in cert.pem alone
	}
	var problems []report.Finding
	for _, f := range chainProblems(s.Cert, r) {
		f = inCertFile(f)
		if f.Code == "chain.issuer.unknown" {
			sent := climb(s.Cert[0], s.Cert)
			f.Remedy += offered(sent[len(sent)-1])
		}
		problems = append(problems, f)
	}
	first := climb(s.Cert[0], s.Root)
	for _, f := range chainProblems(first, r) {
		if slices.Contains(layoutCodes, f.Code) { // any other was found just now
			problems = append(problems, firstOnly(f))
		}
	}
	if len(problems) > 0 {
		return problems
	}
	return []report.Finding{report.Pass("chain.complete", CertFile+" and "+RootFile,
		fmt.Sprintf("whole chain up to %s, whether a program reads the first certificate of cert.pem or all of it", name(first[len(first)-1])))}
}

// judgeRootless looks at a set without a root: the chain then ends below one,
// and both kinds of program must send all of it.
func (s *Installed) judgeRootless(whole []*x509.Certificate) []report.Finding {
	missing := missingIssuer(whole[len(whole)-1])
	if len(whole) == 1 {
		missing.Status = report.StatusFail // not even the issuer: no client can follow
	}
	findings := []report.Finding{missing}
	for _, loader := range []struct {
		certs []*x509.Certificate
		name  func(report.Finding) report.Finding
	}{{s.Root, firstOnly}, {s.Cert, inCertFile}} {
		if sent := climb(s.Cert[0], loader.certs); len(sent) < len(whole) {
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

// JudgeServed judges certificates as a server sent them: dates, name, and a
// whole chain in order up to a root that the client trusts. It never fetches
// what is missing, as some browsers do and other clients do not.
func JudgeServed(sent []*x509.Certificate, r Rules) []report.Finding {
	if len(sent) == 0 {
		return []report.Finding{report.Fail("chain.none", "", "the server sent no certificate", "check the server's certificate settings")}
	}
	r.judged = unique(sent)
	findings := r.judgeEach()
	if r.Host != "" {
		findings = append(findings, judgeName(sent[0], r.Host))
	}
	if problems := chainProblems(sent, r); len(problems) > 0 {
		return append(findings, problems...)
	}
	return append(findings, report.Pass("chain.complete", name(sent[0]), "whole chain as sent: "+names(sent)))
}

// chainProblems says what is wrong with a chain as sent; nil when it is whole
// and trusted. A certificate that is sent twice is no problem: some servers
// always do that, and clients do not mind.
func chainProblems(sent []*x509.Certificate, r Rules) []report.Finding {
	if slices.ContainsFunc(r.Roots, selfSigned) {
		r.Roots = slices.DeleteFunc(slices.Clone(r.Roots), func(c *x509.Certificate) bool { return !selfSigned(c) })
	}
	sent = unique(sent)
	chain := climb(sent[0], sent)
	var problems []report.Finding
	if !slices.Equal(chain, sent[:min(len(chain), len(sent))]) {
		problems = append(problems, report.Warn("chain.order", name(sent[0]),
			"the certificates are sent in the wrong order: "+names(sent),
			"put them in order, each followed by its issuer: onsite pfx split does"))
	}
	if f, ok := r.distrusts(chain); ok {
		problems = append(problems, f)
	}
	return problems
}

// distrusts says why clients reject a chain that is in order, if they do.
func (r Rules) distrusts(chain []*x509.Certificate) (report.Finding, bool) {
	for _, c := range chain[1:] {
		if !c.IsCA && c.Version >= 3 {
			return report.Fail("chain.not-ca", name(c), "it is no authority's certificate (no CA basic constraint), and stands above another",
				"ask the authority for its real intermediate certificate"), true
		}
	}
	// A chain may go on above a trusted certificate: with a cross-signed root
	// on top, for clients that know only the older one.
	for i, c := range chain {
		trusted, err := r.trusts(c)
		if err != nil {
			return report.Unknown("chain.unknown", name(c), "this computer's trusted roots could not be read: "+err.Error(),
				"name the root with --root"), true
		}
		if trusted {
			return r.verify(chain[:i+1])
		}
	}
	switch top := chain[len(chain)-1]; {
	case selfSigned(top) && len(chain) == 1:
		return report.Fail("chain.self-signed", name(top), "the certificate is signed by itself, and nobody trusts it",
			"get a certificate from an authority, or have the clients trust this one (--root here)"), true
	case selfSigned(top):
		return report.Fail("chain.untrusted", name(top), "the chain ends in a root that is not trusted",
			"if it is your own authority's, name it with --root, and have the clients trust it"), true
	default:
		return unknownIssuer(top), true
	}
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

// trusts reports whether top is a trusted root or was issued by one.
func (r Rules) trusts(top *x509.Certificate) (bool, error) {
	if r.Roots == nil {
		pool, err := x509.SystemCertPool()
		if err != nil {
			return false, err
		}
		chains, err := top.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: r.within(top), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
		// A longer chain means that the platform fetched what was not sent.
		return err == nil && slices.ContainsFunc(chains, func(c []*x509.Certificate) bool { return len(c) <= 2 }), nil
	}
	return slices.ContainsFunc(r.Roots, func(root *x509.Certificate) bool { return root.Equal(top) || signedBy(top, root) }), nil
}

// within returns a moment at which c was valid: dates are judged by themselves,
// so that an expired certificate is not also called untrusted.
func (r Rules) within(c *x509.Certificate) time.Time {
	switch now := r.now(); {
	case now.After(c.NotAfter):
		return c.NotAfter
	case now.Before(c.NotBefore):
		return c.NotBefore
	default:
		return now
	}
}

// verify has Go's own verifier look at a chain that seems right, for all the
// rules that are not judged one by one here.
func (r Rules) verify(chain []*x509.Certificate) (report.Finding, bool) {
	o := x509.VerifyOptions{CurrentTime: r.within(chain[0]), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, Intermediates: x509.NewCertPool()}
	for _, c := range chain[1:] {
		o.Intermediates.AddCert(c)
	}
	if r.Roots != nil {
		o.Roots = x509.NewCertPool()
		for _, c := range r.Roots {
			o.Roots.AddCert(c)
		}
	}
	_, err := chain[0].Verify(o)
	var invalid x509.CertificateInvalidError
	switch {
	case err == nil:
		return report.Finding{}, false
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		if slices.ContainsFunc(r.judged, invalid.Cert.Equal) || !r.now().After(invalid.Cert.NotAfter) {
			return report.Finding{}, false
		}
		return expired(invalid.Cert), true
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return report.Fail("cert.usage", name(chain[0]), "the certificate is not for servers (extended key usage)",
			"ask the authority for a server (TLS web server) certificate"), true
	case slices.ContainsFunc(chain, weaklySigned):
		return report.Fail("chain.rejected", name(chain[0]), "clients reject the chain: a signature in it is too weak",
			"have the certificate issued again with SHA-256"), true
	case unknownAlgorithm(chain):
		return report.Unknown("chain.unknown", name(chain[0]), "a signature algorithm in the chain cannot be checked here: "+err.Error(),
			"have the certificate issued again with SHA-256"), true
	}
	return report.Fail("chain.rejected", name(chain[0]), "clients reject the chain: "+err.Error(),
		"ask the authority for a new certificate, or for the intermediates that belong to it"), true
}

// unknownAlgorithm reports whether a signature in a chain is of a kind that Go
// does not know; x509.Verify does not say so in a way that code can read.
func unknownAlgorithm(chain []*x509.Certificate) bool {
	for i, c := range chain[:len(chain)-1] {
		if errors.Is(chain[i+1].CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature), x509.ErrUnsupportedAlgorithm) {
			return true
		}
	}
	return chain[len(chain)-1].SignatureAlgorithm == x509.UnknownSignatureAlgorithm
}

func uncheckable(err error) bool {
	_, insecure := errors.AsType[x509.InsecureAlgorithmError](err)
	return insecure || errors.Is(err, x509.ErrUnsupportedAlgorithm)
}

// judgeEach judges what can be said of every certificate by itself.
func (r Rules) judgeEach() []report.Finding {
	var findings []report.Finding
	now := r.now()
	soonest := r.judged[0]
	for _, c := range r.judged {
		if c.NotAfter.Before(soonest.NotAfter) {
			soonest = c
		}
		switch {
		case now.After(c.NotAfter):
			findings = append(findings, expired(c))
		case now.Before(c.NotBefore):
			findings = append(findings, report.Fail("cert.not-yet-valid", name(c), "valid only from "+c.NotBefore.UTC().Format("2006-01-02 15:04 MST"),
				"check this computer's clock, or wait"))
		case c.NotAfter.Sub(now) < time.Duration(r.warnDays())*24*time.Hour:
			findings = append(findings, report.Warn("cert.expires-soon", name(c),
				fmt.Sprintf("expires on %s, in %s", day(c.NotAfter), daysLeft(c, now)), "renew it now"))
		}
		findings = append(findings, weak(c)...)
	}
	if !slices.ContainsFunc(findings, func(f report.Finding) bool { return slices.Contains(dateCodes, f.Code) }) {
		findings = append(findings, report.Pass("cert.dates.ok", name(soonest),
			fmt.Sprintf("good until %s, %s left; nothing above it ends sooner", day(soonest.NotAfter), daysLeft(soonest, now))))
	}
	return findings
}

// dateCodes are the troubles with a certificate's dates.
var dateCodes = []string{"cert.expired", "cert.not-yet-valid", "cert.expires-soon"}

func expired(c *x509.Certificate) report.Finding {
	remedy := "renew it: make a new request with onsite csr new; if the date is wrong, check this computer's clock"
	if c.IsCA {
		remedy = "get the authority's current certificates, or have the certificate issued again; if the date is wrong, check this computer's clock"
	}
	return report.Fail("cert.expired", name(c), "expired on "+day(c.NotAfter), remedy)
}

func weak(c *x509.Certificate) []report.Finding {
	var findings []report.Finding
	if k, ok := c.PublicKey.(*rsa.PublicKey); ok && k.N.BitLen() < 2048 {
		findings = append(findings, report.Fail("cert.key.weak", name(c), csr.DescribeKey(k)+": browsers refuse RSA keys of less than 2048 bits",
			"make a new key and request with onsite csr new"))
	}
	if weaklySigned(c) {
		findings = append(findings, report.Fail("cert.signature.weak", name(c), c.SignatureAlgorithm.String()+": clients refuse this signature",
			"have the certificate issued again with SHA-256"))
	}
	return findings
}

// weaklySigned reports whether clients refuse a certificate for its signature.
// Nobody looks at a root's own.
func weaklySigned(c *x509.Certificate) bool {
	switch c.SignatureAlgorithm {
	case x509.MD5WithRSA, x509.MD2WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1:
		return !bytes.Equal(c.RawIssuer, c.RawSubject)
	}
	return false
}

func judgeName(leaf *x509.Certificate, host string) report.Finding {
	err := leaf.VerifyHostname(host)
	covers := strings.Join(hostNames(leaf), ", ")
	switch {
	case err == nil:
		return report.Pass("cert.name.matches", host, "covered by the certificate ("+covers+")")
	case covers == "":
		return report.Fail("cert.name.mismatch", host, fmt.Sprintf("the certificate has no alternative names, only the common name %q, which no browser looks at", name(leaf)),
			"have it issued again with the name among the alternative names: onsite csr new "+host)
	}
	return report.Fail("cert.name.mismatch", host, "the certificate covers only "+covers,
		"open the portal under a name that is covered, or have a certificate issued for this one: onsite csr new "+host)
}

// hostNames are the names and addresses that a certificate covers.
func hostNames(c *x509.Certificate) []string {
	list := append([]string{}, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		list = append(list, ip.String())
	}
	return list
}

// IsHost reports whether s can be compared with a certificate: a host name or
// an address, without a port.
func IsHost(s string) bool {
	return s != "" && (net.ParseIP(s) != nil || !strings.ContainsAny(s, ":/ "))
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02") }

func daysLeft(c *x509.Certificate, now time.Time) string {
	n := DaysLeft(c, now)
	if n == 1 {
		return "1 day"
	}
	return fmt.Sprintf("%d days", n)
}
