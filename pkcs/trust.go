package pkcs

import (
	"crypto/x509"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/x509roots/fallback/bundle"

	"onsite/internal/dn"
	"onsite/report"
)

// Trust says on whose word a chain is trusted.
type Trust string

// Public trust is that of Mozilla's roots, which browsers, telephones and
// operating systems share but for a few.
const (
	TrustNone     Trust = "none"     // it ends below a trusted certificate
	TrustPublic   Trust = "public"   // in a root that every device knows
	TrustComputer Trust = "computer" // in one that was installed on this computer
	TrustGiven    Trust = "given"    // in one that was named
)

// anchor is a certificate that is trusted for itself.
type anchor struct {
	*x509.Certificate
	trust Trust
	// limit says why a chain is not trusted although it ends here; nil: never.
	limit func([]*x509.Certificate) error
}

// publicRoots are Mozilla's roots by their canonical names. They are parsed when
// the first chain is judged, for that takes some milliseconds.
var publicRoots = sync.OnceValue(func() map[string][]anchor {
	roots := map[string][]anchor{}
	for root := range bundle.Roots() {
		c, err := x509.ParseCertificate(root.Certificate)
		if err != nil {
			continue // Go's own tests parse them all
		}
		subject := dn.Canonical(c.RawSubject)
		roots[subject] = append(roots[subject], anchor{c, TrustPublic, root.Constraint})
	}
	return roots
})

// publicIssuer returns the public root that issued c, which everybody can fill
// in, or nil. For a public root it is the root itself.
func publicIssuer(c *x509.Certificate) *x509.Certificate {
	for _, root := range publicRoots()[dn.Canonical(c.RawIssuer)] {
		if root.Equal(c) || signedBy(c, root.Certificate) {
			return root.Certificate
		}
	}
	return nil
}

// public reports whether a path ends in a public root, or in a certificate with
// the name and key of one.
func (p *way) public() bool {
	return p.trust == TrustPublic || p.trust == TrustGiven && slices.ContainsFunc(publicRoots()[dn.Canonical(p.top().RawSubject)], func(root anchor) bool {
		return sameParty(root.Certificate, p.top())
	})
}

// anchors are the trusted certificates that issued top, or top itself. The
// error says that this computer's could not be read.
func (s *search) anchors(top *x509.Certificate) ([]anchor, error) {
	known := s.roots
	if known == nil {
		known = publicRoots()
	}
	for _, a := range known[dn.Canonical(top.RawSubject)] {
		if a.Equal(top) {
			return []anchor{a}, nil
		}
	}
	var list []anchor
	for _, a := range known[dn.Canonical(top.RawIssuer)] {
		if s.signs(top, a.Certificate) != signatureWrong {
			list = append(list, a)
		}
	}
	if s.roots != nil || s.publicOnly {
		return list, nil
	}
	roots, err := s.computerRoots(top)
	for _, c := range roots {
		if !slices.ContainsFunc(list, func(a anchor) bool { return a.Equal(c) }) {
			list = append(list, anchor{c, TrustComputer, nil})
		}
	}
	if len(list) > 0 {
		err = nil
	}
	return list, err
}

// computerRoots are the roots of this computer that issued top. On Windows and
// macOS the system does not list them; it answers for one certificate.
func (s *search) computerRoots(top *x509.Certificate) ([]*x509.Certificate, error) {
	if partial(top) || !s.spend() {
		return nil, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, err
	}
	chains, err := top.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: s.within(top), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return nil, nil //nolint:nilerr // not trusted
	}
	var roots []*x509.Certificate
	for _, c := range chains {
		if len(c) <= 2 { // a longer one means that the system fetched what was not sent
			roots = append(roots, c[len(c)-1])
		}
	}
	return roots, nil
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

// judgeTrust says on whose word a chain is trusted, and who else trusts it.
func (p *way) judgeTrust() []report.Finding {
	top := name(p.top())
	switch p.trust {
	case TrustPublic:
		return []report.Finding{report.Pass("trust.public", top, "a public root, which browsers, telephones and operating systems know")}
	case TrustComputer:
		return []report.Finding{report.Warn("trust.computer", top, "trusted on this computer, but it is no public root: other devices refuse the chain until they are given it",
			"install it on every device that is to trust the chain, or get a certificate from a public authority")}
	case TrustGiven:
		detail := "trusted because it was given as a root"
		if p.public() {
			detail += "; it is a public one"
		}
		return []report.Finding{report.Pass("trust.given", top, detail)}
	}
	return nil
}

// judgeSetTrust is judgeTrust for a set, which is right in itself: that devices
// must be given its root is no fault, for an in-house authority is a choice.
func (p *way) judgeSetTrust() []report.Finding {
	if i := slices.IndexFunc(p.problems, func(f report.Finding) bool { return f.Code == "trust.distrusted" }); i >= 0 {
		return p.problems[i : i+1]
	}
	if p.trust == TrustPublic {
		return p.judgeTrust()
	}
	return []report.Finding{report.Skip("trust.private", name(p.top()), "no public root: only devices that were given it trust the chain")}
}

// publicPath returns the best way to a public root.
func publicPath(certs []*x509.Certificate, r Rules) *way {
	r.Roots = nil // the public ones
	s := newSearch(certs, r)
	s.publicOnly = true
	return s.best(certs[0])
}

// distrusted says that a chain ends in a root that clients have given up, for
// certificates from some day on.
func distrusted(c *x509.Certificate, err error) report.Finding {
	return report.Fail("trust.distrusted", name(c), fmt.Sprintf("browsers do not trust this root for new certificates any more: %v", err),
		"get a certificate from another public authority")
}
