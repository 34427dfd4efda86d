package pkcs

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"onsite/csr"
	"onsite/internal/dn"
	"onsite/report"
)

// Set is a key with its certificate and the chain above it. One of which only a
// part was found can be written all the same: Key or Leaf is then nil.
type Set struct {
	Key           crypto.Signer
	Leaf          *x509.Certificate
	Intermediates []*x509.Certificate // the leaf's issuer first
	// Root is nil when it is missing; for a self-signed leaf it is the leaf.
	Root *x509.Certificate
	// Layout says what goes into which file.
	Layout Layout
}

// Sort puts together the set for key out of certificates in any order: the
// leaf by the key, the chain by signature. The findings tell what was left
// aside; Judge tells whether the rest will do. The error, a *report.Error, says
// that no certificate fits the key.
func Sort(key crypto.Signer, certs []*x509.Certificate) (*Set, []report.Finding, error) {
	certs = unique(certs)
	s, findings, err := assemble(key, certs, signatures{})
	if err != nil {
		return nil, nil, err
	}
	return s, append(findings, leftAside(certs, s)...), nil
}

// assemble is Sort for certificates that are there once each, without a word on
// those that are not part of the chain.
func assemble(key crypto.Signer, certs []*x509.Certificate, m signatures) (*Set, []report.Finding, error) {
	leaf, findings := chooseLeaf(key, certs)
	if leaf == nil {
		return nil, nil, errKeyMismatch(Key{Signer: key}, certs)
	}
	s := &Set{Key: key, Leaf: leaf}
	s.climb(certs, m)
	return s, findings, nil
}

func errKeyMismatch(k Key, certs []*x509.Certificate) error {
	what := csr.DescribeKey(k.Public())
	if k.Path != "" {
		what += ", " + k.Path
	}
	return report.Errorf(report.KindInput, "set.key.mismatch",
		"use the key that the request was made with, or ask the authority to issue the certificate again for this key",
		"the private key (%s) belongs to none of the certificates: %s", what, names(certs))
}

// climb fills in what stands above the leaf.
func (s *Set) climb(certs []*x509.Certificate, m signatures) {
	chain := m.climb(s.Leaf, certs)
	if top := chain[len(chain)-1]; m.selfSigned(top) {
		s.Root = top
		chain = chain[:len(chain)-1]
	}
	if len(chain) > 0 {
		s.Intermediates = chain[1:]
	}
}

// has reports whether a certificate is part of the set.
func (s *Set) has(c *x509.Certificate) bool {
	return c == s.Leaf || c == s.Root || slices.Contains(s.Intermediates, c)
}

// leftAside names the certificates that are part of no set. Those of a set's own
// key were named before.
func leftAside(certs []*x509.Certificate, sets ...*Set) []report.Finding {
	var findings []report.Finding
	rootless := slices.ContainsFunc(sets, func(s *Set) bool { return s.Root == nil && s.Leaf != nil })
	for _, c := range certs {
		if slices.ContainsFunc(sets, func(s *Set) bool { return s.has(c) || s.Key != nil && SameKey(s.Key, c) }) {
			continue
		}
		f := report.Skip("chain.aside", name(c), "left aside: it is not part of the chain of "+ends(sets))
		if rootless {
			// It may be above what is missing.
			f.Status, f.Remedy = report.StatusWarn, "bundle the missing issuer with it, and it will find its place if it has one"
		}
		findings = append(findings, f)
	}
	return findings
}

// ends names the leaves of sets.
func ends(sets []*Set) string {
	var leaves []*x509.Certificate
	for _, s := range sets {
		if s.Leaf != nil {
			leaves = append(leaves, s.Leaf)
		}
	}
	return names(leaves)
}

func unique(certs []*x509.Certificate) []*x509.Certificate {
	var list []*x509.Certificate
	seen := map[string]bool{}
	for _, c := range certs {
		if !seen[string(c.Raw)] {
			seen[string(c.Raw)] = true
			list = append(list, c)
		}
	}
	return list
}

// fitter reports whether a is to be served rather than b, which has the same key.
func fitter(a, b *x509.Certificate) bool {
	if self := selfSigned(a); self != selfSigned(b) {
		return !self
	}
	return a.NotAfter.After(b.NotAfter)
}

// SameKey reports whether a certificate is for a key.
func SameKey(key crypto.Signer, c *x509.Certificate) bool {
	return csr.HoldsKey(c.RawSubjectPublicKeyInfo, key.Public())
}

// spkiFingerprint is csr.Fingerprint of a certificate's key, also of one that Go
// does not know.
func spkiFingerprint(c *x509.Certificate) string {
	if f := csr.Fingerprint(c.PublicKey); f != "" {
		return f
	}
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return hex.EncodeToString(sum[:])
}

// chooseLeaf returns the certificate that holds the key. Of several, which come
// from renewing with the same key, the one that lasts longest; but one that is
// signed by itself, which some programs make while they wait for the authority,
// only when there is no other.
func chooseLeaf(key crypto.Signer, certs []*x509.Certificate) (*x509.Certificate, []report.Finding) {
	var leaf *x509.Certificate
	var findings []report.Finding
	for _, c := range certs {
		if SameKey(key, c) && (leaf == nil || fitter(c, leaf)) {
			leaf = c
		}
	}
	for _, c := range certs {
		if SameKey(key, c) && c != leaf {
			findings = append(findings, report.Warn("chain.older", name(c),
				fmt.Sprintf("left aside: the certificate of this key that an authority issued for longest, until %s, was taken", day(leaf.NotAfter)),
				"nothing to do, unless the other one was meant"))
		}
	}
	return leaf, findings
}

// Real chains have at most five certificates, and a name has one or two
// certificates. The limits bound the work that a hostile file can cause.
const (
	maxChain   = 16 // certificates in a chain
	maxClimbed = 64 // certificates whose issuers are looked for
	maxTried   = 16 // certificates of one name that are tried as an issuer
)

// climb returns the chain from leaf upwards as far as certs reach. Where a
// certificate has several issuers (cross-signing), the shortest way to a
// self-signed certificate is preferred, then the issuer that lasts longest.
func (m signatures) climb(leaf *x509.Certificate, certs []*x509.Certificate) []*x509.Certificate {
	issuers := m.issuersAbove(leaf, certs)
	steps := m.stepsToRoot(issuers)
	chain := []*x509.Certificate{leaf}
	for len(chain) < maxChain {
		var best *x509.Certificate
		for _, c := range issuers[chain[len(chain)-1]] {
			if !slices.Contains(chain, c) && (best == nil || better(c, best, steps)) {
				best = c
			}
		}
		if best == nil {
			break
		}
		chain = append(chain, best)
	}
	return chain
}

// issuersAbove finds the issuers of leaf, theirs, and so on. A self-signed
// certificate has none above it.
func (m signatures) issuersAbove(leaf *x509.Certificate, certs []*x509.Certificate) map[*x509.Certificate][]*x509.Certificate {
	issuers := map[*x509.Certificate][]*x509.Certificate{}
	named := map[string][]*x509.Certificate{}
	for _, p := range certs {
		subject := dn.Canonical(p.RawSubject)
		named[subject] = append(named[subject], p)
	}
	for queue := []*x509.Certificate{leaf}; len(queue) > 0 && len(issuers) < maxClimbed; queue = queue[1:] {
		c := queue[0]
		if _, done := issuers[c]; done {
			continue
		}
		issuers[c] = nil
		if m.selfSigned(c) {
			continue
		}
		tried := 0
		for _, p := range named[dn.Canonical(c.RawIssuer)] {
			if p == c || tried == maxTried {
				continue
			}
			tried++
			if m.signedBy(c, p) {
				issuers[c] = append(issuers[c], p)
			}
		}
		queue = append(queue, issuers[c]...)
	}
	return issuers
}

// stepsToRoot returns the number of steps from each certificate to the nearest
// self-signed one; a certificate that leads to none is left out.
func (m signatures) stepsToRoot(issuers map[*x509.Certificate][]*x509.Certificate) map[*x509.Certificate]int {
	steps := map[*x509.Certificate]int{}
	for c := range issuers {
		if m.selfSigned(c) {
			steps[c] = 0
		}
	}
	for range maxChain {
		for c, above := range issuers {
			for _, p := range above {
				n, reached := steps[p]
				if old, ok := steps[c]; reached && (!ok || n+1 < old) {
					steps[c] = n + 1
				}
			}
		}
	}
	return steps
}

// better reports whether to go up to a rather than to b.
func better(a, b *x509.Certificate, steps map[*x509.Certificate]int) bool {
	stepsA, reachA := steps[a]
	stepsB, reachB := steps[b]
	switch {
	case reachA != reachB:
		return reachA
	case stepsA != stepsB:
		return stepsA < stepsB
	}
	return a.NotAfter.After(b.NotAfter)
}

// signedBy reports whether parent issued c. The signature decides; where Go
// does not check the algorithm (MD5, odd keys), the names and key identifiers do.
func (m signatures) signedBy(c, parent *x509.Certificate) bool {
	return (parent.PublicKey == nil || csr.Checkable(parent.PublicKey)) &&
		(bytes.Equal(c.RawIssuer, parent.RawSubject) || dn.Canonical(c.RawIssuer) == dn.Canonical(parent.RawSubject)) &&
		m.check(c, parent) != signatureWrong
}

func (m signatures) selfSigned(c *x509.Certificate) bool { return m.signedBy(c, c) }

// The same where nothing is to be remembered.
func signedBy(c, parent *x509.Certificate) bool { return signatures(nil).signedBy(c, parent) }

func selfSigned(c *x509.Certificate) bool { return signedBy(c, c) }

// missingIssuer warns that a chain does not reach a self-signed certificate.
func missingIssuer(top *x509.Certificate) report.Finding {
	detail := fmt.Sprintf("its issuer %q is not there, so the chain does not reach a root", issuerName(top))
	remedy := "download the authority's root and intermediate certificates and bundle them with this one"
	if len(top.IssuingCertificateURL) > 0 {
		remedy = "the authority offers it at " + strings.Join(top.IssuingCertificateURL, " and ")
	}
	return report.Warn("chain.issuer.missing", name(top), detail, remedy)
}

func names(certs []*x509.Certificate) string {
	list := make([]string, len(certs))
	for i, c := range certs {
		list[i] = name(c)
	}
	return strings.Join(list, ", ")
}
