package ca

import (
	"cmp"
	"crypto"
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

// Profile says what a server's certificate gets beside what its request holds.
// The zero value is a certificate of ServerDays.
type Profile struct {
	Days int // 0: ServerDays
	// SANs are further names to be covered, as typed.
	SANs []string
	Now  func() time.Time // nil: time.Now
}

func (p Profile) now() time.Time {
	if p.Now == nil {
		return time.Now()
	}
	return p.Now()
}

// Draft is a certificate that was judged and can be issued.
type Draft struct {
	Names               []csr.SAN // host names and addresses
	NotBefore, NotAfter time.Time
	Key                 crypto.PublicKey

	subject []byte // DER
}

// Prepare judges a request as an authority does, all of it at once: that it is
// signed with its own key, that the key is strong, that the names are good and
// allowed. Key, subject and names come from the request; the rest of what it asks
// for does not count. The draft is nil when any finding is a fail.
func (a *Authority) Prepare(r *csr.Info, p Profile) (*Draft, []report.Finding) {
	d := &Draft{Key: r.PublicKey}
	findings := d.judge(r, p.SANs)
	permitted := constraintsOf(a.Issuing)
	if permitted.any() {
		d.hideCommonName(r.Fields)
	}
	for _, n := range d.Names {
		if !permitted.allow(n) {
			findings = append(findings, report.Fail("ca.name.outside", n.Value,
				"this authority may issue only for "+strings.Join(permitted.list(), ", ")+": clients would reject the certificate",
				"correct the name in the request, or make another authority that permits it: onsite ca init --permit"))
		}
	}
	now, days := p.now(), cmp.Or(p.Days, ServerDays)
	d.NotBefore, d.NotAfter = validity(now, days)
	switch end := a.end(); {
	case !now.Before(end):
		findings = append(findings, report.Fail("ca.expired", name(a.Issuing), "ended on "+day(end)+", so nothing can be signed with it",
			"make a new authority with onsite ca init, and have the clients trust its root"))
	case d.NotAfter.After(end):
		d.NotAfter = end
		findings = append(findings, report.Warn("ca.days.shortened", d.title(),
			"good until "+day(end)+" only: the authority's own certificate ends then", "make a new authority in time: onsite ca init"))
	}
	findings = append(findings, judgeLifetime(d)...)
	if report.Failed(findings) {
		return nil, findings
	}
	return d, findings
}

// end is when the first of both certificates ends.
func (a *Authority) end() time.Time {
	if a.Root.NotAfter.Before(a.Issuing.NotAfter) {
		return a.Root.NotAfter
	}
	return a.Issuing.NotAfter
}

// judge takes subject and names out of a request, and adds more names.
func (d *Draft) judge(r *csr.Info, more []string) []report.Finding {
	findings := inHouse(r.Judge())
	for i, f := range findings {
		if f.Status == report.StatusUnknown { // who cannot check the request cannot sign it
			findings[i].Status = report.StatusFail
		}
	}
	parsed, err := x509.ParseCertificateRequest(r.DER)
	if err != nil { // csr.Parse took it
		return append(findings, report.Fail("csr.damaged", "request", err.Error(), "make the request again"))
	}
	d.subject = parsed.RawSubject
	findings = append(findings, d.take(r.SANs)...)
	findings = d.addCommonName(r.Fields.CommonName, findings)
	for _, s := range more {
		findings = append(findings, inHouse(d.add(s))...)
	}
	if len(d.Names) == 0 && !report.Failed(findings) {
		findings = append(findings, report.Fail("csr.san.missing", "names", "the request holds no host name and no address",
			"make the request again with onsite csr new NAME, or give a name with --san"))
	}
	return findings
}

// take adds names that were judged already, as far as they are a server's.
func (d *Draft) take(sans []csr.SAN) []report.Finding {
	var findings []report.Finding
	for _, s := range sans {
		if s.Type != csr.SANDNS && s.Type != csr.SANIP {
			findings = append(findings, report.Warn("ca.san.dropped", s.String(), "left out: it is no name of a server",
				"nothing to do: clients look at host names and addresses only"))
			continue
		}
		d.add(s.String())
	}
	return findings
}

// add judges a name as typed, and adds it unless it is there already.
func (d *Draft) add(typed string) []report.Finding {
	sans, findings := csr.JudgeSANs(typed)
	for _, s := range sans {
		switch {
		case s.Type != csr.SANDNS && s.Type != csr.SANIP:
			findings = append(findings, report.Fail("csr.san.syntax", typed, "this is no name of a server", "give a host name or an address"))
		case !slices.Contains(d.Names, s):
			d.Names = append(d.Names, s)
		}
	}
	return findings
}

// addCommonName adds a host name that stands in the request as common name
// alone, where no browser looks: old wizards make such requests.
func (d *Draft) addCommonName(cn string, findings []report.Finding) []report.Finding {
	sans, judged := csr.JudgeSANs(cn)
	if cn == "" || report.Failed(judged) || len(d.Names) > 0 && !strings.Contains(sans[0].Value, ".") {
		return findings // "Acme Bakery": a name, but not of a host
	}
	before := len(d.Names)
	d.add(cn)
	if len(d.Names) == before {
		return findings
	}
	findings = slices.DeleteFunc(findings, func(f report.Finding) bool {
		return f.Code == "csr.san.missing" || f.Code == "csr.san.without-name"
	})
	return append(findings, report.Pass("ca.name.added", cn, "the request has it as common name only; the certificate has it among the alternative names too"))
}

// hideCommonName makes the common name of a certificate without host names its
// unit. OpenSSL and GnuTLS would take it for a host name there, an address too,
// and hold it against the constraints for host names.
func (d *Draft) hideCommonName(s csr.Subject) {
	if slices.ContainsFunc(d.Names, func(n csr.SAN) bool { return n.Type == csr.SANDNS }) {
		return
	}
	s.CommonName, s.Unit = "", cmp.Or(s.Unit, s.CommonName)
	if der, err := s.DER(); err == nil { // it came out of a name in DER
		d.subject = der
	}
}

// title is what findings call the certificate.
func (d *Draft) title() string {
	if len(d.Names) == 0 {
		return "certificate"
	}
	return d.Names[0].Value
}

// appleDays is what Apple's systems allow a server's certificate, whoever issued
// it: https://support.apple.com/103769.
const appleDays = 825

// judgeLifetime says who refuses a certificate for how long it is good.
func judgeLifetime(d *Draft) []report.Finding {
	days := int((d.NotAfter.Sub(d.NotBefore) + time.Second) / (24 * time.Hour))
	switch {
	case days > appleDays:
		return []report.Finding{report.Warn("cert.lifetime.long", d.title(),
			fmt.Sprintf("good for %d days: iPhones, iPads and Macs (iOS 13, macOS 10.15 and later) refuse more than %d, whoever issued it", days, appleDays),
			fmt.Sprintf("leave --days away, or give at most %d", appleDays))}
	case days > ServerDays:
		return []report.Finding{report.Warn("cert.lifetime.long", d.title(),
			fmt.Sprintf("good for %d days: from a public authority browsers would refuse it (398 days, and 200 since 2026-03-15); from your own they "+
				"take it, and Apple's devices up to %d days", days, appleDays),
			"nothing to do if all clients take it; else leave --days away")}
	}
	return nil
}

var errLocked = errors.New("the authority's key is locked: Unlock comes first")

// Issue signs a draft. It leaves no trace: Folder.Issue logs it.
func (a *Authority) Issue(d *Draft) (*x509.Certificate, error) {
	if a.issuingKey == nil {
		return nil, errLocked
	}
	t := d.template()
	t.KeyUsage = x509.KeyUsageDigitalSignature
	if _, ok := d.Key.(*rsa.PublicKey); ok {
		t.KeyUsage |= x509.KeyUsageKeyEncipherment // for TLS 1.2 without Diffie-Hellman
	}
	// The issuing certificate says where the root's list is; its own lies beside.
	for _, url := range a.Issuing.CRLDistributionPoints {
		if folder, ok := strings.CutSuffix(url, RootCRLFile); ok {
			t.CRLDistributionPoints = append(t.CRLDistributionPoints, folder+IssuingCRLFile)
		}
	}
	cert, err := issue(t, a.Issuing, d.Key, a.issuingKey)
	if err != nil {
		return nil, fmt.Errorf("sign the certificate of %s: %w", d.title(), err)
	}
	// Nothing leaves that clients would reject.
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(a.Root)
	between.AddCert(a.Issuing)
	if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: d.NotBefore.Add(time.Hour)}); err != nil {
		return nil, fmt.Errorf("check the new certificate of %s: %w", d.title(), err)
	}
	return cert, nil
}

func (d *Draft) template() *x509.Certificate {
	t := &x509.Certificate{
		RawSubject: d.subject,
		NotBefore:  d.NotBefore, NotAfter: d.NotAfter,
		BasicConstraintsValid: true,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, n := range d.Names {
		if n.Type == csr.SANIP {
			t.IPAddresses = append(t.IPAddresses, net.ParseIP(n.Value))
		} else {
			t.DNSNames = append(t.DNSNames, n.Value)
		}
	}
	return t
}

// PrepareSelf goes on from csr.Prepare, whose request and findings it takes, to
// what SelfSign signs. The draft is nil when any finding is a fail.
func PrepareSelf(r *csr.Request, judged []report.Finding, p Profile) (*Draft, []report.Finding, error) {
	findings := inHouse(judged)
	if r == nil {
		return nil, findings, nil
	}
	subject, err := r.Subject.DER()
	if err != nil {
		return nil, findings, fmt.Errorf("encode subject: %w", err)
	}
	d := &Draft{subject: subject}
	findings = append(findings, d.take(r.SANs)...)
	d.NotBefore, d.NotAfter = validity(p.now(), cmp.Or(p.Days, ServerDays))
	return d, append(findings, judgeLifetime(d)...), nil
}

// SelfSign makes a server's certificate that is signed with its own key: nobody
// trusts it who was not given it.
//
// It has no key usage: OpenSSL before 3.0 does not take a certificate for
// self-signed whose key usage lacks certSign, which a server's must not have
// (RFC 5280, section 4.2.1.9).
func SelfSign(d *Draft, key crypto.Signer) (*x509.Certificate, error) {
	t := d.template()
	cert, err := issue(t, t, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("sign the certificate of %s: %w", d.title(), err)
	}
	return cert, nil
}
