package csr

import (
	"crypto"
	"fmt"
	"net/mail"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"

	"onsite/report"
)

// Prepare judges a spec, all of it at once. The request is nil when any finding
// is a fail; warnings leave it whole. Values are tidied on the way: spaces cut
// off, the country in capitals, host names in lower case and as A-labels.
func Prepare(s Spec) (*Request, []report.Finding) {
	j := &judge{}
	r := &Request{Subject: s.Subject, Hash: s.Hash, ChallengePassword: s.ChallengePassword}
	if r.Hash == 0 {
		r.Hash = crypto.SHA256
	}
	j.subject(&r.Subject)
	r.SANs = j.names(s, &r.Subject)
	r.UnstructuredName = r.Subject.CommonName
	if s.UnstructuredName != nil {
		r.UnstructuredName = strings.TrimSpace(*s.UnstructuredName)
	}
	j.text("unstructured-name", r.UnstructuredName, 255)
	if r.ChallengePassword != "" {
		j.text("challenge-password", r.ChallengePassword, 255)
		j.add(report.Warn("csr.challenge.visible", "challengePassword",
			"everybody who sees the request can read the challenge password",
			"use a password that is used nowhere else, or leave it out unless the authority asks for it"))
	}
	if report.Failed(j.findings) {
		return nil, j.findings
	}
	return r, j.findings
}

// JudgeSANs judges names as a person types them, each recognised as those of
// Spec are, and returns those that can stand in a certificate, each once.
func JudgeSANs(names ...string) ([]SAN, []report.Finding) {
	j := &judge{}
	var sans []SAN
	for _, n := range names {
		if san, ok := j.san(parseSAN(n)); ok && !slices.Contains(sans, san) {
			sans = append(sans, san)
		}
	}
	return sans, j.findings
}

// JudgeSubject judges and tidies all of a subject but the common name.
func JudgeSubject(s *Subject) []report.Finding {
	j := &judge{}
	j.subject(s)
	return j.findings
}

type judge struct{ findings []report.Finding }

func (j *judge) add(f report.Finding) { j.findings = append(j.findings, f) }

// placeholders are what forms and configuration files suggest and people
// forget to replace.
var placeholders = []string{
	"some-state", "internet widgits pty ltd", "default company ltd", "default city",
	"my company", "company name", "state", "city", "organization", "test",
}

// subject judges everything but the common name. The upper bounds are those of
// RFC 5280, appendix A.1; they count characters.
func (j *judge) subject(s *Subject) {
	fields := []struct {
		flag  string
		value *string
		bound int
	}{
		{"state", &s.State, 128},
		{"locality", &s.Locality, 128},
		{"organization", &s.Organization, 64},
		{"unit", &s.Unit, 64},
		{"email", &s.Email, 255},
	}
	s.Country = strings.ToUpper(strings.TrimSpace(s.Country))
	j.country(s.Country)
	for _, f := range fields {
		*f.value = strings.TrimSpace(*f.value)
		j.text(f.flag, *f.value, f.bound)
		if slices.Contains(placeholders, strings.ToLower(*f.value)) {
			j.add(report.Warn("csr.field.placeholder", f.flag,
				fmt.Sprintf("%q is what a form suggests, not a value", *f.value),
				"give the real value with --"+f.flag+", or leave it out"))
		}
	}
	if s.Email != "" && !validEmail(s.Email) {
		j.add(report.Fail("csr.email.syntax", "email", fmt.Sprintf("%q is not an e-mail address", s.Email),
			"give an address such as it@acme.example; other than ASCII characters are not allowed here (IA5String)"))
	}
	if s.Unit != "" {
		j.add(report.Warn("csr.unit.dropped", "OU="+s.Unit,
			"public authorities leave the organizational unit out of certificates since September 2022",
			"nothing to do: the certificate will come without it; an in-house authority may keep it"))
	}
	if s.Organization != "" && (s.Country == "" || (s.State == "" && s.Locality == "")) {
		j.add(report.Warn("csr.subject.incomplete", "O="+s.Organization,
			"public authorities want the country and the state or locality beside an organization",
			"give --country and --state or --locality too"))
	}
}

func (j *judge) country(c string) {
	switch {
	case c == "" || isCountry(c):
	case countryFor(c) != "":
		j.add(report.Fail("csr.country.unknown", "country", fmt.Sprintf("%q is not a country code of ISO 3166-1", c),
			fmt.Sprintf("did you mean --country %s?", countryFor(c))))
	default:
		j.add(report.Fail("csr.country.unknown", "country", fmt.Sprintf("%q is not a country code of ISO 3166-1", c),
			"give the two letters of the country, for example AU, NZ, GB or US"))
	}
}

// text judges what holds for every field: length and characters.
func (j *judge) text(flag, value string, bound int) {
	if n := utf8.RuneCountInString(value); n > bound {
		j.add(report.Fail("csr.field.too-long", flag,
			fmt.Sprintf("%d characters, the standard allows %d (RFC 5280, appendix A)", n, bound), "shorten it"))
	}
	if !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl) {
		j.add(report.Fail("csr.field.characters", flag,
			"it holds control characters or bytes that are not UTF-8",
			"type it again; if it comes from a file, save that as UTF-8"))
	}
}

// names judges the common name and the alternative names and returns the
// latter, the common name first, each once.
func (j *judge) names(s Spec, subject *Subject) []SAN {
	subject.CommonName = strings.TrimSpace(subject.CommonName)
	if subject.CommonName == "" {
		j.add(report.Fail("csr.name.missing", "common name", "there is none",
			"give the host name that people will type, for example portal.acme.example"))
		return nil
	}
	wanted := []SAN{parseSAN(subject.CommonName)}
	if t := wanted[0].Type; t == SANEmail || t == SANURI {
		wanted[0] = SAN{Type: SANDNS, Value: subject.CommonName} // a server's name: judged as one
	}
	for _, text := range s.SANs {
		if strings.TrimSpace(text) != "" {
			wanted = append(wanted, parseSAN(text))
		}
	}
	if s.WithApex {
		wanted = withApex(wanted)
	}
	var sans []SAN
	for i, w := range wanted {
		san, ok := j.san(w)
		if i == 0 {
			subject.CommonName = san.Value
		}
		if ok && !slices.Contains(sans, san) {
			sans = append(sans, san)
		}
	}
	if n := utf8.RuneCountInString(subject.CommonName); n > 64 {
		j.add(report.Fail("csr.name.too-long", subject.CommonName,
			fmt.Sprintf("a common name may have 64 characters, this has %d (RFC 5280, appendix A)", n),
			"put a shorter name first and give this one with --san"))
	}
	j.wildcards(sans)
	return sans
}

// withApex puts example.com behind each *.example.com.
func withApex(sans []SAN) []SAN {
	var all []SAN
	for _, s := range sans {
		all = append(all, s)
		if apex, ok := strings.CutPrefix(s.Value, "*."); ok && s.Type == SANDNS {
			all = append(all, SAN{Type: SANDNS, Value: apex})
		}
	}
	return all
}

func (j *judge) san(s SAN) (SAN, bool) {
	switch s.Type {
	case SANIP:
		return j.ip(s)
	case SANEmail:
		if !validEmail(s.Value) {
			j.add(report.Fail("csr.san.syntax", s.String(), "this is not an e-mail address", "correct it or leave it out"))
			return s, false
		}
		return s, true
	case SANURI:
		u, err := url.Parse(s.Value)
		if err != nil || !u.IsAbs() || u.Host == "" || !isASCII(s.Value) {
			j.add(report.Fail("csr.san.syntax", s.String(), "this is not an absolute URI with a host", "correct it or leave it out"))
			return s, false
		}
		return s, true
	}
	return j.dns(s)
}

func (j *judge) ip(s SAN) (SAN, bool) {
	ip := parseIP(s.Value)
	if !ip.IsValid() {
		j.add(report.Fail("csr.san.syntax", s.String(), "this is not an IP address", "correct it or leave it out"))
		return s, false
	}
	s.Value = ip.String()
	if ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsUnspecified() {
		j.add(report.Warn("csr.name.internal", s.Value,
			"public authorities do not certify private or local addresses",
			"use a public name for a purchased certificate; an in-house authority may certify it"))
	}
	return s, true
}

// profile turns a typed name into the A-labels that stand in a certificate
// (RFC 5891), as browsers do.
var profile = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.Transitional(false), idna.StrictDomainName(true))

func (j *judge) dns(s SAN) (SAN, bool) {
	typed := s.Value
	name, wildcard := strings.CutPrefix(strings.TrimSuffix(typed, "."), "*.")
	ascii, err := profile.ToASCII(name)
	if problem := nameProblem(name, ascii, err); problem != "" {
		remedy := "give a host name such as portal.acme.example"
		if host := hostOf(typed); host != "" && host != typed && (parseIP(host).IsValid() || nameProblem(host, host, nil) == "") {
			remedy = "did you mean " + host + "?"
		}
		j.add(report.Fail("csr.name.syntax", typed, problem, remedy))
		return s, false
	}
	if !isASCII(name) {
		j.add(report.Pass("csr.name.idn", typed, "written as "+ascii+", the form that DNS and certificates use"))
	}
	s.Value = ascii
	if wildcard {
		s.Value = "*." + ascii
	}
	suffix, public := publicsuffix.PublicSuffix(ascii)
	switch {
	case wildcard && public && suffix == ascii:
		j.add(report.Fail("csr.wildcard.suffix", s.Value, "a wildcard over a whole public suffix belongs to nobody",
			"put your own domain behind the star, for example *.acme."+ascii))
		return s, false
	case !public && !strings.Contains(suffix, "."):
		j.add(report.Warn("csr.name.internal", s.Value,
			fmt.Sprintf("%q is no public top-level domain, so public authorities refuse the name", "."+suffix),
			"use a name under a registered domain for a purchased certificate; an in-house authority may certify it"))
	}
	return s, true
}

// nameProblem says what is wrong with a host name (RFC 1034, section 3.5, as
// RFC 1123 relaxed it), or "".
func nameProblem(name, ascii string, err error) string {
	switch {
	case name == "":
		return "the name is empty"
	case !utf8.ValidString(name):
		return "it holds bytes that are not UTF-8"
	case strings.Contains(name, "*"):
		return "a star may only be the whole first label, as in *.acme.example"
	case strings.Contains(name, "_"):
		return "host names have no underscore, and public authorities refuse it"
	case strings.ContainsFunc(name, unicode.IsSpace):
		return "host names have no spaces"
	case strings.ContainsAny(name, "/:@?#"):
		return "this is more than a host name"
	case err != nil:
		return "this is not a host name"
	case len(ascii) > 253:
		return fmt.Sprintf("a host name has at most 253 characters, this has %d", len(ascii))
	}
	labels := strings.Split(ascii, ".")
	for _, l := range labels {
		switch {
		case l == "":
			return "there is an empty part between two dots"
		case len(l) > 63:
			return fmt.Sprintf("the part %q has %d characters, 63 are allowed", l, len(l))
		case l[0] == '-' || l[len(l)-1] == '-':
			return fmt.Sprintf("the part %q begins or ends with a hyphen", l)
		}
	}
	if last := labels[len(labels)-1]; strings.Trim(last, "0123456789") == "" {
		return "a top-level domain is never a number; an address has four numbers"
	}
	return ""
}

// wildcards says once for each wildcard what it covers and what not.
func (j *judge) wildcards(sans []SAN) {
	covered := map[SAN]bool{}
	for _, s := range sans {
		covered[s] = true
	}
	for _, s := range sans {
		apex, ok := strings.CutPrefix(s.Value, "*.")
		if s.Type != SANDNS || !ok {
			continue
		}
		if covered[SAN{Type: SANDNS, Value: apex}] {
			j.add(report.Pass("csr.wildcard.scope", s.Value,
				fmt.Sprintf("covers portal.%s and %s, but not a.portal.%s: a star stands for one label", apex, apex, apex)))
			continue
		}
		j.add(report.Warn("csr.wildcard.scope", s.Value,
			fmt.Sprintf("covers portal.%s, but neither %s itself nor a.portal.%s: a star stands for one label", apex, apex, apex),
			fmt.Sprintf("add --with-apex if %s must be covered too", apex)))
	}
}

func validEmail(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s && isASCII(s) && !strings.ContainsAny(s, " \"")
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}

// parseIP reads an address, with or without brackets. A zone is not part of one.
func parseIP(s string) netip.Addr {
	ip, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil || ip.Zone() != "" {
		return netip.Addr{}
	}
	return ip.Unmap()
}
