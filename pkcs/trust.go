package pkcs

import (
	"bytes"
	"crypto/x509"
	"sync"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

var publicRoots = sync.OnceValue(func() []*x509.Certificate {
	var roots []*x509.Certificate
	for r := range bundle.Roots() {
		if c, err := x509.ParseCertificate(r.Certificate); err == nil {
			roots = append(roots, c)
		}
	}
	return roots
})

func publicIssuer(c *x509.Certificate) *x509.Certificate {
	for _, r := range publicRoots() {
		if bytes.Equal(r.RawSubject, c.RawIssuer) && signedBy(c, r) {
			return r
		}
	}
	return nil
}
