//go:build linux

package netlab

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// issuerURL is where the missing issuer of a certificate can be fetched.
const issuerURL = "http://pki.lab.test/pki/int.der"

// pki is the authority that the lab's computers trust, and what it issued.
type pki struct {
	root, issuer     *x509.Certificate
	issuerKey        *ecdsa.PrivateKey
	internet, decoy  *tls.Certificate
	portalKey        *ecdsa.PrivateKey
	selfSignedPortal *tls.Certificate
}

// newPKI makes an authority once: all labs of a test run share it.
var newPKI = sync.OnceValues(makePKI)

func makePKI() (*pki, error) {
	p := &pki{}
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	if p.issuerKey, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	if p.portalKey, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	authority := func(name string, serial int64) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
			NotBefore: time.Now().AddDate(-1, 0, 0), NotAfter: time.Now().AddDate(9, 0, 0),
			BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		}
	}
	template := authority("Lab Root CA", 1)
	if p.root, err = sign(template, template, &rootKey.PublicKey, rootKey); err != nil {
		return nil, err
	}
	if p.issuer, err = sign(authority("Lab Issuing CA", 2), p.root, &p.issuerKey.PublicKey, rootKey); err != nil {
		return nil, err
	}
	from, to := time.Now().AddDate(0, -2, 0), time.Now().AddDate(0, 2, 0)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	names := append([]string{"reflector.lab.test"}, echoNames...)
	if p.internet, err = p.leaf(key, from, to, names...); err != nil {
		return nil, err
	}
	p.internet.Certificate = append(p.internet.Certificate, p.issuer.Raw)
	if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	if p.decoy, err = selfSigned(key, "nas.local"); err != nil {
		return nil, err
	}
	p.selfSignedPortal, err = selfSigned(p.portalKey, PortalName)
	return p, err
}

func sign(template, parent *x509.Certificate, public *ecdsa.PublicKey, key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// server is a certificate for a server as it will be signed.
func server(from, to time.Time, names ...string) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{Organization: []string{"Lab"}, CommonName: names[0]},
		NotBefore: from, NotAfter: to, DNSNames: names, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, nil
}

// leaf issues a certificate, without its chain.
func (p *pki) leaf(key *ecdsa.PrivateKey, from, to time.Time, names ...string) (*tls.Certificate, error) {
	template, err := server(from, to, names...)
	if err != nil {
		return nil, err
	}
	template.IssuingCertificateURL = []string{issuerURL}
	if names[0] == "reflector.lab.test" {
		template.IPAddresses = []net.IP{net.ParseIP(Outside), net.ParseIP(Services)}
	}
	cert, err := sign(template, p.issuer, &key.PublicKey, p.issuerKey)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}, nil
}

func selfSigned(key *ecdsa.PrivateKey, name string) (*tls.Certificate, error) {
	template, err := server(time.Now().AddDate(0, -1, 0), time.Now().AddDate(1, 0, 0), name)
	if err != nil {
		return nil, err
	}
	cert, err := sign(template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}, nil
}

// portal is the portal's certificate in one of its states.
func (p *pki) portal(state string) (*tls.Certificate, error) {
	from, to, name := time.Now().AddDate(0, -2, 0), time.Now().AddDate(0, 2, 0), PortalName
	switch state {
	case "self-signed":
		return p.selfSignedPortal, nil
	case "expired":
		from, to = time.Now().AddDate(-1, 0, 0), time.Now().AddDate(0, 0, -3)
	case "notyet":
		from, to = time.Now().AddDate(0, 0, 3), time.Now().AddDate(0, 6, 0)
	case "wrong-name":
		name = "portal.othercustomer.test"
	}
	cert, err := p.leaf(p.portalKey, from, to, name)
	if err == nil && state != "no-chain" {
		cert.Certificate = append(cert.Certificate, p.issuer.Raw)
	}
	return cert, err
}

// write writes a certificate and its key as the web portal's three files.
func (p *pki) write(dir string, cert *tls.Certificate) error {
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		return err
	}
	certs := func(list ...[]byte) []byte {
		var out []byte
		for _, der := range list {
			out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
		}
		return out
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, text := range map[string][]byte{
		"cert.pem": certs(cert.Certificate...),
		"root.pem": certs(p.issuer.Raw, p.root.Raw),
		"key.pem":  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}
