package pkcs

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"onsite/csr"
	"onsite/report"
)

// Set is a key with its certificate and the chain above it.
type Set struct {
	Key           crypto.Signer
	Leaf          *x509.Certificate
	Intermediates []*x509.Certificate // the leaf's issuer first
	// Root is nil when it is missing; for a self-signed leaf it is the leaf.
	Root *x509.Certificate
}

// Sort puts together the set for key out of certificates in any order: the
// leaf by the key, the chain by signature. The findings tell what was left
// aside; Judge tells whether the rest will do. The error, a *report.Error, says
// that no certificate fits the key.
func Sort(key crypto.Signer, certs []*x509.Certificate) (*Set, []report.Finding, error) {
	certs = unique(certs)
	leaf, findings := chooseLeaf(key, certs)
	if leaf == nil {
		return nil, nil, report.Errorf(report.KindInput, "set.key.mismatch",
			"use the key that the request was made with, or ask the authority to issue the certificate again for this key",
			"the private key (%s) belongs to none of the certificates: %s", csr.DescribeKey(key.Public()), names(certs))
	}
	s := &Set{Key: key, Leaf: leaf}
	chain := climb(leaf, certs)
	top := chain[len(chain)-1]
	if selfSigned(top) {
		s.Root = top
		chain = chain[:len(chain)-1]
	}
	if len(chain) > 0 {
		s.Intermediates = chain[1:]
	}
	for _, c := range certs {
		if c != leaf && c != s.Root && !slices.Contains(s.Intermediates, c) && !sameKey(key, c) {
			findings = append(findings, report.Skip("chain.aside", name(c),
				"left aside: it is not part of the chain of "+name(leaf)))
		}
	}
	return s, findings, nil
}

// SplitPFX opens a PFX file, sorts out the set for its key and judges it. When
// a finding is a fail, the set is not what the rules ask for.
func SplitPFX(data, password []byte, r Rules) (*Set, []report.Finding, error) {
	bag, err := ReadPFX(data, password)
	if err != nil {
		return nil, nil, err
	}
	keys, err := bag.OpenKeys(nil)
	if err != nil {
		return nil, nil, err
	}
	set, findings, err := Sort(keys[0], bag.Certs)
	if err != nil {
		return nil, nil, err
	}
	return set, append(findings, set.Judge(r)...), nil
}

func unique(certs []*x509.Certificate) []*x509.Certificate {
	var list []*x509.Certificate
	for _, c := range certs {
		if !slices.ContainsFunc(list, c.Equal) {
			list = append(list, c)
		}
	}
	return list
}

func sameKey(key crypto.Signer, c *x509.Certificate) bool {
	return csr.Fingerprint(key.Public()) == csr.Fingerprint(c.PublicKey)
}

// chooseLeaf returns the certificate that holds the key. Of several, which come
// from renewing with the same key, the one that lasts longest.
func chooseLeaf(key crypto.Signer, certs []*x509.Certificate) (*x509.Certificate, []report.Finding) {
	var leaf *x509.Certificate
	var findings []report.Finding
	for _, c := range certs {
		if sameKey(key, c) && (leaf == nil || c.NotAfter.After(leaf.NotAfter)) {
			leaf = c
		}
	}
	for _, c := range certs {
		if sameKey(key, c) && c != leaf {
			findings = append(findings, report.Warn("chain.older", name(c),
				fmt.Sprintf("left aside: this key's certificate that lasts longer, until %s, was taken", day(leaf.NotAfter)),
				"nothing to do, unless the other one was meant"))
		}
	}
	return leaf, findings
}

// climb returns the chain from leaf upwards as far as certs reach. Where a
// certificate has several issuers (cross-signing), the way to a self-signed
// certificate is preferred, then the one that lasts longer.
func climb(leaf *x509.Certificate, certs []*x509.Certificate) []*x509.Certificate {
	chain := []*x509.Certificate{leaf}
	for top := leaf; !selfSigned(top); {
		var best *x509.Certificate
		for _, c := range certs {
			if slices.Contains(chain, c) || !signedBy(top, c) {
				continue
			}
			switch {
			case best == nil,
				selfSigned(c) && !selfSigned(best),
				selfSigned(c) == selfSigned(best) && c.NotAfter.After(best.NotAfter):
				best = c
			}
		}
		if best == nil {
			break
		}
		chain = append(chain, best)
		top = best
	}
	return chain
}

// signedBy reports whether parent issued c. The signature decides; where Go
// does not check the algorithm (MD5, odd keys), the names and key identifiers do.
func signedBy(c, parent *x509.Certificate) bool {
	if !bytes.Equal(c.RawIssuer, parent.RawSubject) {
		return false
	}
	err := parent.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature)
	if err == nil {
		return true
	}
	if !uncheckable(err) {
		return false
	}
	return len(c.AuthorityKeyId) == 0 || len(parent.SubjectKeyId) == 0 || bytes.Equal(c.AuthorityKeyId, parent.SubjectKeyId)
}

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
