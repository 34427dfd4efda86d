package pkcs

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"onsite/csr"
	"onsite/report"
)

// GatherOptions says what to make of a bag. The zero value takes every key that
// has a certificate and fetches nothing.
type GatherOptions struct {
	// Rules judge the sets. Host, if there is one, also chooses: of several keys
	// or leaves those that cover it.
	Rules
	Layout Layout
	// Fetch gets a missing issuer from where its certificate says that it is
	// (authority information access). Nil: no address is asked.
	Fetch func(ctx context.Context, url string) ([]byte, error)
}

// Gathered is what a bag was sorted into.
type Gathered struct {
	// Sets has one set for each key with a certificate, in the order of the
	// keys, and at least one.
	Sets []*Set
	// Findings tell what was left aside, what was completed and from where, and
	// what Judge thinks of the sets. A fail means that a set is not what was
	// asked for.
	Findings []report.Finding
	origins  map[*x509.Certificate]string
}

// From says where a certificate of a set was found: a path, an address, or "the
// list of Mozilla"; "" where the bag was not told its path.
func (g *Gathered) From(c *x509.Certificate) string { return g.origins[c] }

// Gather sorts what is in a bag into sets: the leaf by the key, the chain by
// signature, a missing root out of Mozilla's list. Without a key, the leaf is
// the one certificate that covers the host or that is no authority's. The error,
// a *report.Error, says why there is no set.
func (b *Bag) Gather(ctx context.Context, o GatherOptions) (*Gathered, error) {
	o.known = signatures{} // the same signatures are looked at again and again
	g := &Gathered{origins: map[*x509.Certificate]string{}, Findings: b.Findings()}
	certs := unique(b.Certificates())
	for _, c := range b.Certs {
		g.origins[c.Certificate] = c.Path
	}
	keys := b.openKeys()
	if len(keys) == 0 && len(certs) == 0 {
		if err := b.Locked(); err != nil {
			return nil, err
		}
		return nil, errNothing()
	}
	if err := g.sort(keys, certs, b, o); err != nil {
		return nil, err
	}
	for _, s := range g.Sets {
		s.Layout = o.Layout
		g.Findings = append(g.Findings, g.complete(ctx, s, o)...)
	}
	g.Findings = append(g.Findings, leftAside(certs, g.Sets...)...)
	for _, s := range g.Sets {
		for _, f := range s.Judge(o.Rules) {
			if f.Code != "cert.unparsed" { // said of every certificate above
				g.Findings = append(g.Findings, f)
			}
		}
	}
	return g, nil
}

func errNothing() error {
	return report.Errorf(report.KindInput, "set.nothing", "name the files that the authority sent, and the private key",
		"there is neither a certificate nor a private key in what was named")
}

// openKeys returns the keys that could be opened, each once.
func (b *Bag) openKeys() []Key {
	var list []Key
	seen := map[string]bool{}
	for _, k := range b.Keys {
		if k.Signer == nil {
			continue
		}
		if id := csr.Fingerprint(k.Public()); id == "" || !seen[id] {
			seen[id] = true
			list = append(list, k)
		}
	}
	return list
}

// sort finds the sets.
func (g *Gathered) sort(keys []Key, certs []*x509.Certificate, b *Bag, o GatherOptions) error {
	var used []Key
	for _, k := range keys {
		if slices.ContainsFunc(certs, func(c *x509.Certificate) bool { return SameKey(k, c) }) {
			used = append(used, k)
		}
	}
	switch {
	case len(certs) == 0:
		return g.onlyKeys(keys)
	case len(used) == 0 && b.Locked() != nil:
		return b.Locked() // it may be the one
	case len(used) == 0 && len(keys) > 0:
		return errKeyMismatch(keys[0], certs)
	case len(used) == 0:
		return g.onlyCerts(certs, o)
	}
	for _, k := range used {
		s, findings, err := assemble(k, certs, o.known)
		if err != nil {
			return err
		}
		s.Key = k.Signer
		g.Sets = append(g.Sets, s)
		g.Findings = append(g.Findings, findings...)
	}
	if o.Host != "" && len(g.Sets) > 1 {
		g.choose(o.Host)
	}
	for _, k := range keys {
		if !slices.ContainsFunc(g.Sets, func(s *Set) bool { return SameKey(k, s.Leaf) }) {
			g.Findings = append(g.Findings, report.Warn("set.key.aside", k.String(),
				fmt.Sprintf("left aside: the key (%s) belongs to none of the certificates that were taken", csr.DescribeKey(k.Public())),
				"nothing to do, unless its certificate is missing"))
		}
	}
	return nil
}

// choose keeps the sets that cover the host, if there are any.
func (g *Gathered) choose(host string) {
	fits := slices.DeleteFunc(slices.Clone(g.Sets), func(s *Set) bool { return s.Leaf.VerifyHostname(host) != nil })
	if len(fits) > 0 {
		g.Sets = fits
	}
}

// onlyKeys makes a set of a key alone.
func (g *Gathered) onlyKeys(keys []Key) error {
	if len(keys) > 1 {
		return report.Errorf(report.KindInput, "set.keys.several", "name one key, and its certificate",
			"there are %d private keys, and no certificate to tell which is meant", len(keys))
	}
	g.Sets = []*Set{{Key: keys[0].Signer}}
	return nil
}

// onlyCerts makes a set without a key. The leaf is what covers the host, else
// the one certificate that is no authority's and issued none of the others;
// where all are authorities', they are a set without a leaf.
func (g *Gathered) onlyCerts(certs []*x509.Certificate, o GatherOptions) error {
	host := o.Host
	var leaves []*x509.Certificate
	for _, c := range certs {
		issued := slices.ContainsFunc(certs, func(other *x509.Certificate) bool { return other != c && bytes.Equal(other.RawIssuer, c.RawSubject) })
		if host != "" && c.VerifyHostname(host) == nil || host == "" && !c.IsCA && !issued {
			leaves = append(leaves, c)
		}
	}
	switch {
	case len(leaves) == 0 && host != "":
		return report.Errorf(report.KindInput, "set.leaf.missing", "name the files of this site, or leave --host away",
			"none of the certificates covers %s: %s", host, names(certs))
	case len(leaves) == 0:
		s := &Set{}
		for _, c := range certs {
			if !o.known.selfSigned(c) {
				s.Intermediates = append(s.Intermediates, c)
			}
		}
		for _, c := range certs {
			if o.known.selfSigned(c) {
				s.Intermediates = append(s.Intermediates, c)
			}
		}
		g.Sets = []*Set{s}
		return nil
	case len(leaves) > 1 && host == "":
		return report.Errorf(report.KindInput, "set.leaf.several", "name the site with --host, or give its private key with --key",
			"there is no private key, and several certificates could be the site's: %s", names(leaves))
	}
	leaf := leaves[0]
	for _, c := range leaves[1:] {
		if fitter(c, leaf) {
			leaf = c
		}
	}
	s := &Set{Leaf: leaf}
	s.climb(certs, o.known)
	g.Sets = []*Set{s}
	return nil
}

// fromMozilla is what From says of a root that was not among the files.
const fromMozilla = "the list of Mozilla"

// complete adds what is missing above a chain: first the root, out of Mozilla's
// list; else an issuer from where the certificate says that it is, if fetching
// is allowed. Nothing is taken that did not sign what is below it.
func (g *Gathered) complete(ctx context.Context, s *Set, o GatherOptions) []report.Finding {
	if s.Leaf == nil || s.Root != nil {
		return nil
	}
	var findings []report.Finding
	for range maxChain {
		top := s.Leaf
		if n := len(s.Intermediates); n > 0 {
			top = s.Intermediates[n-1]
		}
		next := publicIssuer(top)
		if next != nil {
			g.origins[next] = fromMozilla
			findings = append(findings, report.Pass("chain.root.completed", name(next), "the root was not among the files; it was taken from "+fromMozilla))
		} else if o.Fetch != nil {
			var f report.Finding
			next, f = g.fetchIssuer(ctx, top, o)
			findings = append(findings, f)
		}
		switch {
		case next == nil || s.has(next):
			return findings
		case selfSigned(next):
			s.Root = next
			return findings
		}
		s.Intermediates = append(s.Intermediates, next)
	}
	return findings
}

// maxURLs is the number of addresses of one issuer that are tried.
const maxURLs = 4

// fetchIssuer gets the certificate that signed c from the addresses in c (RFC
// 5280, section 4.2.2.1). It comes in DER, or several as P7B.
func (g *Gathered) fetchIssuer(ctx context.Context, c *x509.Certificate, o GatherOptions) (*x509.Certificate, report.Finding) {
	var failed []string
	for _, url := range c.IssuingCertificateURL[:min(len(c.IssuingCertificateURL), maxURLs)] {
		if !strings.HasPrefix(url, "http://") && !strings.HasPrefix(url, "https://") {
			continue
		}
		data, err := o.Fetch(ctx, url)
		if err != nil {
			failed = append(failed, err.Error())
			continue
		}
		bag, err := Read(data)
		if err != nil {
			failed = append(failed, fmt.Sprintf("%s: %v", url, err))
			continue
		}
		for _, issuer := range bag.Certificates() {
			if signedBy(c, issuer) {
				g.origins[issuer] = url
				return issuer, report.Pass("chain.issuer.fetched", name(issuer), "the issuer was not among the files; it came from "+url)
			}
		}
		failed = append(failed, url+": what is there did not sign the certificate")
	}
	why := "the certificate does not say where its issuer is to be had"
	if len(failed) > 0 {
		why = strings.Join(failed, "; ")
	}
	return nil, report.Unknown("chain.fetch.failed", name(c), "the issuer could not be fetched: "+why,
		"download the authority's intermediate certificate by hand and name it too")
}
