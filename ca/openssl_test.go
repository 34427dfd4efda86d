package ca

import (
	"encoding/pem"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onsite/pkcs"
)

// verify asks OpenSSL whether it trusts a certificate, with the lists of revoked
// certificates, two days after today.
func verify(t *testing.T, dir, cert string) (string, error) {
	t.Helper()
	return run(t, dir, "openssl", "verify", "-attime", "1795475939", "-crl_check_all", "-purpose", "sslserver", "-x509_strict",
		"-CAfile", RootFile, "-untrusted", IssuingFile, "-CRLfile", "root.crl.pem", "-CRLfile", "issuing.crl.pem", cert)
}

// TestOpenSSLVerifies has OpenSSL follow an authority from the first signature
// to a revocation.
func TestOpenSSLVerifies(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"rsa:2048", "ec:p384"} {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			f := folder(t, Spec{Key: keySpec(t, key), Permit: []string{"acme.example", "192.168.1.0/24"}, CRLURL: "http://pki.acme.example/"})
			lists := func() {
				for _, file := range []string{RootCRLFile, IssuingCRLFile} {
					write(t, pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: read(t, f.Dir, file)}), f.Dir, file+".pem")
				}
			}
			cert := issued(t, f, "portal.acme.example", "192.168.1.7")
			write(t, pkcs.Encode(cert), f.Dir, "leaf.pem")
			lists()
			if out, err := verify(t, f.Dir, "leaf.pem"); err != nil {
				t.Errorf("openssl verify: %v\n%s", err, out)
			}
			// An address alone, whose common name is not to pass for a host's.
			write(t, pkcs.Encode(issued(t, f, "192.168.1.8")), f.Dir, "address.pem")
			if out, err := verify(t, f.Dir, "address.pem"); err != nil {
				t.Errorf("openssl verify of an address: %v\n%s", err, out)
			}
			if _, err := f.Revoke(pkcs.Serial(cert.SerialNumber), "keyCompromise"); err != nil {
				t.Fatal(err)
			}
			lists()
			if out, err := verify(t, f.Dir, "leaf.pem"); err == nil || !strings.Contains(out, "certificate revoked") {
				t.Errorf("openssl verify of a revoked certificate: %v\n%s", err, out)
			}
			write(t, pkcs.Encode(issued(t, f, "portal.acme.example")), f.Dir, "next.pem")
			lists()
			if out, err := verify(t, f.Dir, "next.pem"); err != nil {
				t.Errorf("openssl verify of the next certificate: %v\n%s", err, out)
			}
		})
	}
}

// shows has a program show a file and wants each of the texts, whatever the
// space between.
func shows(t *testing.T, dir string, texts []string, name string, args ...string) {
	t.Helper()
	out, err := run(t, dir, name, args...)
	out = strings.Join(strings.Fields(out), " ")
	if err != nil {
		t.Errorf("%s %q: %v\n%s", name, args, err, out)
	}
	for _, text := range texts {
		if !strings.Contains(out, text) {
			t.Errorf("%s %q does not show %q:\n%s", name, args, text, out)
		}
	}
}

// TestOpenSSLShows compares what OpenSSL and GnuTLS read with what was meant.
func TestOpenSSLShows(t *testing.T) {
	t.Parallel()
	f := folder(t, Spec{Organization: "Acme Bakery Pty Ltd", Country: "AU", Permit: []string{"acme.example"}, CRLURL: "http://pki.acme.example/ca"})
	cert := issued(t, f, "portal.acme.example")
	if _, err := f.Revoke(pkcs.Serial(cert.SerialNumber), "superseded"); err != nil {
		t.Fatal(err)
	}
	write(t, pkcs.Encode(cert), f.Dir, "leaf.pem")
	everyAddress := "Excluded: IP:0.0.0.0/0.0.0.0 IP:0:0:0:0:0:0:0:0/0:0:0:0:0:0:0:0"
	shows(t, f.Dir, []string{
		"Subject: C = AU, O = Acme Bakery Pty Ltd, CN = Acme Bakery root", "Basic Constraints: critical CA:TRUE, pathlen:1",
		"Key Usage: critical Certificate Sign, CRL Sign", "Name Constraints: critical Permitted: DNS:acme.example " + everyAddress,
	}, "openssl", "x509", "-in", RootFile, "-noout", "-text")
	shows(t, f.Dir, []string{
		"CN = Acme Bakery issuing authority", "CA:TRUE, pathlen:0", "Name Constraints: critical Permitted: DNS:acme.example " + everyAddress,
		"URI:http://pki.acme.example/ca/root.crl",
	}, "openssl", "x509", "-in", IssuingFile, "-noout", "-text")
	shows(t, f.Dir, []string{
		"Key Usage: critical Digital Signature X509v3", "TLS Web Server Authentication", "Basic Constraints: critical CA:FALSE",
		"URI:http://pki.acme.example/ca/issuing.crl", "DNS:portal.acme.example",
	}, "openssl", "x509", "-in", "leaf.pem", "-noout", "-text")
	shows(t, f.Dir, []string{"Version 2", "X509v3 CRL Number:", "Authority Key Identifier", "CRL Reason Code: Superseded"},
		"openssl", "crl", "-inform", "DER", "-in", IssuingCRLFile, "-noout", "-text")
	shows(t, f.Dir, []string{"No Revoked Certificates"}, "openssl", "crl", "-inform", "DER", "-in", RootCRLFile, "-noout", "-text")
}

func TestCerttoolShows(t *testing.T) {
	t.Parallel()
	f := folder(t, Spec{Permit: []string{"192.168.1.0/24"}})
	shows(t, f.Dir, []string{"Certificate Authority (CA): TRUE", "Path Length Constraint: 0", "Name Constraints (critical):", "192.168.1.0/24"},
		"certtool", "-i", "--infile", filepath.Join(f.Dir, IssuingFile))
	shows(t, f.Dir, []string{"CRL Number (not critical)", "Update dates:"}, "certtool", "--crl-info", "--inder", "--infile", IssuingCRLFile)
	// It looks at its own clock.
	a := authorityAt(t, Spec{Permit: []string{"192.168.1.0/24"}}, time.Now())
	draft, _ := a.Prepare(request(t, "ec:p256", "192.168.1.8"), Profile{})
	cert, err := a.Issue(draft)
	if err != nil {
		t.Fatal(err)
	}
	write(t, pkcs.Encode(cert, a.Issuing, a.Root), f.Dir, "chain.pem")
	shows(t, f.Dir, []string{"Chain verification output: Verified."}, "certtool", "--verify-chain", "--infile", "chain.pem")
}
