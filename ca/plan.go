package ca

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"onsite/csr"
	"onsite/report"
)

// Spec is what a person wants of an authority, as typed.
type Spec struct {
	// Name is what the certificates are called after: "Acme Bakery" makes
	// "Acme Bakery root" and "Acme Bakery issuing authority".
	Name         string
	Organization string
	Country      string
	// Permit are the host names and address ranges for which it may issue, each
	// with all that is below it; none means any.
	Permit []string
	// CRLURL is the folder on a web server where both lists of revoked
	// certificates will be found; empty: certificates name none.
	CRLURL string
	Key    csr.KeySpec // of both certificates; zero: csr.DefaultKey
	// Days and IssuingDays are how long the certificates are good for; 0:
	// RootDays, and IssuingDays or as long as the root.
	Days, IssuingDays int
}

// Plan is a judged Spec, with everything filled in.
type Plan struct {
	Spec
	permitted constraints
}

// RootName and IssuingName are the common names of the two certificates.
func (p *Plan) RootName() string { return p.Name + rootRole }

// IssuingName is the common name of the issuing certificate.
func (p *Plan) IssuingName() string { return p.Name + issuingRole }

// Permitted are the names and ranges for which the authority may issue, tidied.
func (p *Plan) Permitted() []string { return p.permitted.list() }

const (
	rootRole    = " root"
	issuingRole = " issuing authority"
)

// maxName leaves room for the role in the 64 characters of a common name
// (RFC 5280, appendix A.1).
const maxName = 64 - len(issuingRole)

// Prepare judges a spec, all of it at once. The plan is nil when any finding is
// a fail.
func Prepare(s Spec) (*Plan, []report.Finding) {
	p := &Plan{Spec: s}
	p.Days, p.Key = cmp.Or(s.Days, RootDays), s.Key
	if p.Key.String() == "" {
		p.Key = csr.DefaultKey
	}
	subject := csr.Subject{Organization: s.Organization, Country: s.Country}
	findings := inHouse(csr.JudgeSubject(&subject))
	p.Organization, p.Country = subject.Organization, subject.Country

	p.Name = strings.TrimSpace(s.Name)
	if problem := nameProblem(p.Name); problem != "" {
		findings = append(findings, report.Fail("ca.name.wrong", "name", problem,
			"give what people will know the authority by, for example --name \"Acme Bakery\""))
	}
	var more []report.Finding
	if p.permitted, more = parsePermits(s.Permit); len(more) > 0 {
		findings = append(findings, more...)
	}
	if p.CRLURL = strings.TrimSpace(s.CRLURL); p.CRLURL != "" {
		if problem := crlURLProblem(p.CRLURL); problem != "" {
			findings = append(findings, report.Fail("ca.crl-url.wrong", s.CRLURL, problem,
				"give the folder of a web server, for example http://pki.acme.example/ca/"))
		}
		p.CRLURL = strings.TrimSuffix(p.CRLURL, "/") + "/"
	}
	p.IssuingDays = s.IssuingDays
	switch {
	case s.IssuingDays == 0:
		p.IssuingDays = min(IssuingDays, p.Days)
	case s.IssuingDays > p.Days:
		p.IssuingDays = p.Days
		findings = append(findings, report.Warn("ca.days.shortened", "issuing certificate",
			fmt.Sprintf("%d days would end after the root: it gets %d, as the root does", s.IssuingDays, p.Days),
			"nothing to do; or give the root more with --days"))
	}
	if report.Failed(findings) {
		return nil, findings
	}
	return p, findings
}

// forPublic are the findings of package csr that speak of public authorities
// only, and mean nothing here.
var forPublic = []string{"csr.name.internal", "csr.subject.incomplete", "csr.unit.dropped"}

// inHouse takes away what does not concern an authority of one's own.
func inHouse(findings []report.Finding) []report.Finding {
	return slices.DeleteFunc(slices.Clone(findings), func(f report.Finding) bool { return slices.Contains(forPublic, f.Code) })
}

func nameProblem(name string) string {
	switch n := utf8.RuneCountInString(name); {
	case name == "":
		return "there is none"
	case n > maxName:
		return fmt.Sprintf("%d characters, and there is room for %d", n, maxName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return "it holds control characters or bytes that are not UTF-8"
	}
	return ""
}

// crlURLProblem wants HTTP: with HTTPS a client would need the list to check the
// server that it gets the list from (RFC 5280, section 8).
func crlURLProblem(s string) string {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Hostname() == "":
		return "this is not a URL"
	case u.Scheme != "http":
		return "only http:// will do: lists are signed themselves, and a client cannot check an HTTPS server with a list that it has yet to get"
	case u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return "this is more than a folder on a web server"
	}
	return ""
}

// constraints are the names that an authority may issue for (RFC 5280, section
// 4.2.1.10). Where there are none, any name is allowed.
type constraints struct {
	domains []string
	ranges  []*net.IPNet
}

func parsePermits(permits []string) (c constraints, findings []report.Finding) {
	for _, p := range permits {
		text := strings.TrimSpace(p)
		if text == "" {
			continue
		}
		if strings.Contains(text, "/") && !strings.Contains(text, "://") {
			prefix, err := netip.ParsePrefix(text)
			if err != nil {
				findings = append(findings, report.Fail("ca.permit.wrong", text, "this is not an address range",
					"give it as 192.168.1.0/24, or give a domain such as acme.example"))
				continue
			}
			c.add(prefix.Masked())
			continue
		}
		// ".acme.example" and "*.acme.example" are how others write it.
		sans, judged := csr.JudgeSANs(strings.TrimPrefix(strings.TrimPrefix(text, "*"), "."))
		findings = append(findings, inHouse(judged)...)
		for _, s := range sans {
			switch ip, err := netip.ParseAddr(s.Value); {
			case s.Type == csr.SANIP && err == nil:
				c.add(netip.PrefixFrom(ip, ip.BitLen()))
			case s.Type == csr.SANDNS && !slices.Contains(c.domains, s.Value):
				c.domains = append(c.domains, s.Value)
			case s.Type != csr.SANDNS:
				findings = append(findings, report.Fail("ca.permit.wrong", text, "this is neither a domain nor an address range",
					"give a domain such as acme.example, or a range such as 192.168.1.0/24"))
			}
		}
	}
	return c, findings
}

func (c *constraints) add(p netip.Prefix) {
	ipNet := &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
	if !slices.ContainsFunc(c.ranges, func(r *net.IPNet) bool { return r.String() == ipNet.String() }) {
		c.ranges = append(c.ranges, ipNet)
	}
}

// everything are the address ranges that hold every address.
var everything = []*net.IPNet{
	{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)},
	{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)},
}

// apply puts the constraints into a certificate. A kind of name of which none
// is permitted would be free otherwise, so all of that kind are excluded, in the
// form of the CA/Browser Forum's Baseline Requirements (version 1.8, section
// 7.1.5).
func (c constraints) apply(t *x509.Certificate) {
	if !c.any() {
		return
	}
	t.PermittedDNSDomainsCritical = true
	t.PermittedDNSDomains, t.PermittedIPRanges = c.domains, c.ranges
	if len(c.domains) == 0 {
		t.ExcludedDNSDomains = []string{""} // the empty name is above every other
	}
	if len(c.ranges) == 0 {
		t.ExcludedIPRanges = everything
	}
}

// constraintsOf reads them back out of a certificate.
func constraintsOf(cert *x509.Certificate) constraints {
	return constraints{domains: cert.PermittedDNSDomains, ranges: cert.PermittedIPRanges}
}

func (c constraints) any() bool { return len(c.domains)+len(c.ranges) > 0 }

func (c constraints) list() []string {
	list := append([]string{}, c.domains...)
	for _, r := range c.ranges {
		list = append(list, r.String())
	}
	return list
}

// allow reports whether the authority may issue for a name.
func (c constraints) allow(s csr.SAN) bool {
	if !c.any() {
		return true
	}
	if s.Type == csr.SANIP {
		ip := net.ParseIP(s.Value)
		return slices.ContainsFunc(c.ranges, func(r *net.IPNet) bool { return r.Contains(ip) })
	}
	name := strings.ToLower(strings.TrimPrefix(s.Value, "*."))
	return slices.ContainsFunc(c.domains, func(d string) bool {
		d = strings.ToLower(strings.TrimPrefix(d, "."))
		return name == d || strings.HasSuffix(name, "."+d)
	})
}
