package pkcs

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/md5" //nolint:gosec // G501: see checkInsecure
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // G505: see checkInsecure
	"crypto/x509"
	"errors"
	"slices"

	"onsite/csr"
	"onsite/internal/dn"
	"onsite/report"
)

// way is a path from a leaf up to a trusted certificate, or as far as it goes.
type way struct {
	certs    []*x509.Certificate // the leaf first
	trust    Trust
	problems []report.Finding // of the chain: see judgeChain
	// fails and unknowns count the findings of the chain and of its certificates.
	fails, unknowns int
	// reach is how far it comes: 2 to a trusted certificate, 1 to a self-signed
	// one, 0 to neither.
	reach int
}

func (p *way) top() *x509.Certificate { return p.certs[len(p.certs)-1] }

// sound reports whether clients take the path.
func (p *way) sound() bool { return p.trust != TrustNone && p.fails == 0 && p.unknowns == 0 }

var trustRank = map[Trust]int{TrustPublic: 2, TrustGiven: 2, TrustComputer: 1}

// betterThan reports whether to judge the chain by p rather than by q.
func (p *way) betterThan(q *way) bool {
	return q == nil || cmp.Or(
		cmp.Compare(p.reach, q.reach),
		cmp.Compare(q.fails, p.fails),
		cmp.Compare(q.unknowns, p.unknowns),
		cmp.Compare(trustRank[p.trust], trustRank[q.trust]),
		// A way that ends nowhere tells most when it is long.
		cmp.Compare(len(p.certs), len(q.certs)),
	) > 0
}

// The work for one chain is bounded, whatever a file holds.
const (
	maxPaths      = 500  // ways that are judged
	maxSignatures = 1000 // signatures that are checked
)

// signature is what is known of one certificate having signed another.
type signature int

const (
	signatureRight signature = iota
	signatureUncheckable
	signatureWrong
)

// search looks for the best way up from a leaf. A client is content with any
// way that it can trust, so a way that fails leads to trying the next.
type search struct {
	Rules
	roots      map[string][]anchor // by canonical name; nil: the public ones and this computer's
	publicOnly bool
	pool       map[string][]*x509.Certificate // what may stand between, by canonical name
	spent      int                            // signatures checked
	tried      int                            // ways judged
	found      *way
	unreadable error // this computer's roots
}

// newSearch prepares a search among certificates as sent and the intermediates
// of the rules.
func newSearch(sent []*x509.Certificate, r Rules) *search {
	s := &search{Rules: r, pool: map[string][]*x509.Certificate{}}
	if s.known == nil {
		s.known = signatures{}
	}
	for _, c := range unique(slices.Concat(sent, r.Intermediates)) {
		subject := dn.Canonical(c.RawSubject)
		s.pool[subject] = append(s.pool[subject], c)
	}
	if r.Roots != nil {
		s.roots = map[string][]anchor{}
		some := slices.ContainsFunc(r.Roots, s.known.selfSigned)
		for _, c := range unique(r.Roots) {
			if !some || s.known.selfSigned(c) {
				subject := dn.Canonical(c.RawSubject)
				s.roots[subject] = append(s.roots[subject], anchor{c, TrustGiven, nil})
			}
		}
	}
	return s
}

// best returns the best way up from leaf that was found.
func (s *search) best(leaf *x509.Certificate) *way {
	s.climb([]*x509.Certificate{leaf})
	if s.exhausted() && !s.found.sound() {
		s.found.problems = append(s.found.problems, report.Fail("chain.rejected", name(leaf), "there are more certificates of the same names than clients try: they give up",
			"leave away what is not part of the chain"))
	}
	return s.found
}

// exhausted reports whether enough was tried.
func (s *search) exhausted() bool { return s.tried >= maxPaths || s.spent >= maxSignatures }

// climb tries every way up from a chain: trusted issuers first.
func (s *search) climb(chain []*x509.Certificate) {
	top := chain[len(chain)-1]
	anchors, err := s.anchors(top)
	if err != nil {
		s.unreadable = err
	}
	for _, a := range anchors {
		whole := chain
		if !a.Equal(top) {
			whole = append(slices.Clip(chain), a.Certificate)
		}
		s.offer(whole, a)
		if s.done() || len(whole) == len(chain) {
			return
		}
	}
	ends := len(anchors) == 0
	if len(chain) < maxChain && !s.selfSigned(top) {
		for _, p := range s.issuers(top) {
			if slices.ContainsFunc(chain, func(c *x509.Certificate) bool { return sameParty(c, p) }) {
				continue
			}
			ends = false
			if s.climb(append(slices.Clip(chain), p)); s.done() {
				return
			}
		}
	}
	if ends {
		s.offer(chain, anchor{trust: TrustNone})
	}
}

// done reports whether nothing better can be found, or enough was tried.
func (s *search) done() bool {
	return s.found != nil && (s.exhausted() || s.found.sound() && trustRank[s.found.trust] == 2)
}

// offer judges a way and keeps it when it is better than what was found.
func (s *search) offer(certs []*x509.Certificate, a anchor) {
	s.tried++
	p := &way{certs: certs, trust: a.trust}
	switch {
	case p.trust != TrustNone:
		p.reach = 2
	case s.selfSigned(p.top()):
		p.reach = 1
	}
	p.problems = s.judgeChain(p)
	if a.limit != nil {
		if err := a.limit(certs); err != nil {
			p.problems = append(p.problems, distrusted(a.Certificate, err))
		}
	}
	all := slices.Concat(p.problems, s.judgeEach(certs))
	p.fails, p.unknowns = report.Count(all, report.StatusFail), report.Count(all, report.StatusUnknown)
	if p.betterThan(s.found) {
		s.found = p
	}
}

// issuers are the certificates of the pool that issued c, the likeliest first.
func (s *search) issuers(c *x509.Certificate) []*x509.Certificate {
	var list []*x509.Certificate
	candidates := s.pool[dn.Canonical(c.RawIssuer)]
	for _, p := range candidates[:min(len(candidates), maxTried)] {
		if p != c && s.signs(c, p) != signatureWrong {
			list = append(list, p)
		}
	}
	now := s.now()
	slices.SortStableFunc(list, func(a, b *x509.Certificate) int {
		return cmp.Or(
			ahead(keyIDsAgree(c, a), keyIDsAgree(c, b)),
			ahead(valid(a, now), valid(b, now)),
			ahead(s.selfSigned(a), s.selfSigned(b)),
			b.NotAfter.Compare(a.NotAfter),
		)
	})
	return list
}

// ahead puts what is so in front of what is not.
func ahead(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// impostor returns a certificate that has the name of c's issuer, and whose key
// did not sign c.
func (s *search) impostor(c *x509.Certificate) *x509.Certificate {
	if s.exhausted() {
		return nil
	}
	subject := dn.Canonical(c.RawIssuer)
	for _, p := range s.pool[subject] {
		if p != c && s.signs(c, p) == signatureWrong && keyIDsAgree(c, p) {
			return p
		}
	}
	candidates := s.roots
	if candidates == nil {
		candidates = publicRoots()
	}
	for _, a := range candidates[subject] {
		if s.signs(c, a.Certificate) == signatureWrong && keyIDsAgree(c, a.Certificate) {
			return a.Certificate
		}
	}
	return nil
}

func (s *search) selfSigned(c *x509.Certificate) bool {
	return selfIssued(c) && s.signs(c, c) != signatureWrong
}

// spend takes one signature from what may be checked.
func (s *search) spend() bool {
	s.spent++
	return s.spent <= maxSignatures
}

// signs tells whether p, which has the name of c's issuer, signed c.
func (s *search) signs(c, p *x509.Certificate) signature {
	if _, ok := s.known[[2]*x509.Certificate{c, p}]; !ok && !s.spend() {
		return signatureWrong // for want of a better answer: see best
	}
	return s.known.check(c, p)
}

// signatures remembers what checks of signatures came to. Nil remembers nothing.
type signatures map[[2]*x509.Certificate]signature

// check is checkSignature, once for each pair.
func (m signatures) check(c, p *x509.Certificate) signature {
	pair := [2]*x509.Certificate{c, p}
	known, ok := m[pair]
	if !ok {
		known = checkSignature(c, p)
		if m != nil {
			m[pair] = known
		}
	}
	return known
}

// checkSignature tells whether the key of p signed c. Where that cannot be
// checked (odd or huge keys), key identifiers that differ say no.
func checkSignature(c, p *x509.Certificate) signature {
	if p.PublicKey == nil || csr.Checkable(p.PublicKey) {
		err := p.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature)
		if _, insecure := errors.AsType[x509.InsecureAlgorithmError](err); insecure {
			err = checkInsecure(c, p)
		}
		switch {
		case err == nil:
			return signatureRight
		case !errors.Is(err, x509.ErrUnsupportedAlgorithm):
			return signatureWrong
		}
	}
	if !keyIDsAgree(c, p) {
		return signatureWrong
	}
	return signatureUncheckable
}

// checkInsecure checks the signatures that Go's x509 refuses to look at. Clients
// refuse them too; but who issued what is still to be told.
func checkInsecure(c, p *x509.Certificate) error {
	hash, digest := crypto.SHA1, func(b []byte) []byte { s := sha1.Sum(b); return s[:] } //nolint:gosec // G401: see above
	if c.SignatureAlgorithm == x509.MD5WithRSA {
		hash, digest = crypto.MD5, func(b []byte) []byte { s := md5.Sum(b); return s[:] } //nolint:gosec // G401: see above
	}
	switch k := p.PublicKey.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(k, hash, digest(c.RawTBSCertificate), c.Signature)
	case *ecdsa.PublicKey:
		if !ecdsa.VerifyASN1(k, digest(c.RawTBSCertificate), c.Signature) {
			return errors.New("the signature is another key's")
		}
		return nil
	}
	return x509.ErrUnsupportedAlgorithm
}

// keyIDsAgree reports whether the key identifiers allow that p issued c.
func keyIDsAgree(c, p *x509.Certificate) bool {
	return len(c.AuthorityKeyId) == 0 || len(p.SubjectKeyId) == 0 || bytes.Equal(c.AuthorityKeyId, p.SubjectKeyId)
}

// sameParty reports whether two certificates are for the same name and key. A
// way that meets one twice leads nowhere new (RFC 4158, section 5.2).
func sameParty(a, b *x509.Certificate) bool {
	if len(a.RawSubjectPublicKeyInfo) == 0 { // a partial one
		return a.Equal(b)
	}
	return bytes.Equal(a.RawSubjectPublicKeyInfo, b.RawSubjectPublicKeyInfo) && dn.Canonical(a.RawSubject) == dn.Canonical(b.RawSubject)
}

// selfIssued reports whether subject and issuer are the same: RFC 5280, section
// 3.2. Authorities that change their key issue such certificates to themselves.
func selfIssued(c *x509.Certificate) bool {
	return dn.Canonical(c.RawSubject) == dn.Canonical(c.RawIssuer)
}
