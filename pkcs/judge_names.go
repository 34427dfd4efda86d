package pkcs

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"onsite/internal/ber"
	"onsite/internal/dn"
	"onsite/report"
)

// The kinds of name are the tags of GeneralName in RFC 5280, section 4.2.1.6.
const (
	nameEmail     = 1
	nameDNS       = 2
	nameDirectory = 4
	nameURI       = 6
	nameIP        = 7
)

// generalName is a name that a certificate is for, or a part of the name space
// that an authority is bound to.
type generalName struct {
	kind  int
	value []byte
}

func (n generalName) String() string {
	switch n.kind {
	case nameDirectory:
		return dn.String(n.value)
	case nameIP:
		if ip, ok := netip.AddrFromSlice(n.value); ok {
			return ip.String()
		}
	case nameEmail, nameDNS, nameURI:
		return string(n.value)
	}
	return fmt.Sprintf("a name of kind %d", n.kind)
}

func readGeneralName(e ber.Element) (generalName, error) {
	if e.Class != asn1.ClassContextSpecific {
		return generalName{}, fmt.Errorf("%w: tag %d where a name is due", ber.ErrMalformed, e.Tag)
	}
	if e.Tag != nameDirectory {
		return generalName{e.Tag, e.Content}, nil
	}
	inner, err := e.Inside()
	return generalName{nameDirectory, inner.Full}, err
}

// nameConstraints is the extension of RFC 5280, section 4.2.1.10.
type nameConstraints struct {
	permitted, excluded []generalName
}

func readNameConstraints(der []byte) (nameConstraints, error) {
	var n nameConstraints
	top, _, err := ber.Parse(der)
	if err != nil {
		return n, err
	}
	lists, err := top.Sequence(1)
	if err != nil {
		return n, err
	}
	for _, list := range lists {
		into := &n.permitted
		if list.IsContext(1) {
			into = &n.excluded
		}
		trees, err := list.Children()
		if err != nil {
			return n, err
		}
		for _, tree := range trees {
			parts, err := tree.Sequence(1)
			if err != nil {
				return n, err
			}
			base, err := readGeneralName(parts[0])
			if err != nil {
				return n, err
			}
			if len(parts) > 2 || len(parts) == 2 && (!parts[1].IsContext(0) || !bytes.Equal(parts[1].Content, []byte{0})) {
				return n, fmt.Errorf("%s has a minimum or a maximum, which no client knows", base)
			}
			*into = append(*into, base)
		}
	}
	return n, nil
}

// namesOf are the names of a certificate that constraints hold for.
func namesOf(c *x509.Certificate, leaf bool) []generalName {
	var list []generalName
	if e, ok := extension(c, oidAlternativeNames); ok {
		if top, _, err := ber.Parse(e.Value); err == nil {
			items, _ := top.Sequence(0) // what cannot be read covers no name
			for _, item := range items {
				if n, err := readGeneralName(item); err == nil {
					list = append(list, n)
				}
			}
		}
	}
	holds := func(kind int) bool {
		return slices.ContainsFunc(list, func(n generalName) bool { return n.kind == kind })
	}
	var others []generalName
	if len(c.RawSubject) > 2 {
		others = append(others, generalName{nameDirectory, c.RawSubject})
	}
	if !holds(nameEmail) {
		for _, s := range dn.Values(c.RawSubject, "emailAddress") {
			others = append(others, generalName{nameEmail, []byte(s)})
		}
	}
	if leaf && !holds(nameDNS) {
		// OpenSSL takes the common name for a host name when there is no other.
		for _, s := range dn.Values(c.RawSubject, "CN") {
			if strings.Contains(s, ".") && IsHost(s) {
				others = append(others, generalName{nameDNS, []byte(s)})
			}
		}
	}
	return append(list, others...)
}

// maxCompared bounds how many names are compared with constraints. Real chains
// need some hundreds.
const maxCompared = 200_000

// judgeNames judges every certificate by the name constraints of those above it.
func judgeNames(chain []*x509.Certificate) []report.Finding {
	var findings []report.Finding
	compared := 0
	for i, above := range chain[1:] {
		e, ok := extension(above, oidNameConstraints)
		if !ok {
			continue
		}
		constraints, err := readNameConstraints(e.Value)
		if err != nil {
			findings = append(findings, report.Fail("chain.rejected", name(above), "its name constraints cannot be applied: "+err.Error(),
				"ask the authority for another intermediate certificate"))
			continue
		}
		for j, c := range chain[:i+1] {
			if j > 0 && selfIssued(c) {
				continue // RFC 5280, section 6.1.3 (b)
			}
			names := namesOf(c, j == 0)
			if compared += len(names) * (len(constraints.permitted) + len(constraints.excluded)); compared > maxCompared {
				return append(findings, report.Fail("chain.rejected", name(above), "there are too many names and name constraints to compare: clients give up",
					"ask the authority for a certificate with fewer names"))
			}
			if f, bad := constraints.judge(names, c, above, e.Critical); bad {
				findings = append(findings, f)
			}
		}
	}
	return findings
}

// judge returns what is wrong with the names of c, below an authority that is
// bound to constraints.
func (n nameConstraints) judge(names []generalName, c, above *x509.Certificate, critical bool) (report.Finding, bool) {
	same := func(kind int) func(generalName) bool { return func(b generalName) bool { return b.kind == kind } }
	for _, s := range names {
		permitted := slices.ContainsFunc(n.permitted, same(s.kind))
		if !permitted && !slices.ContainsFunc(n.excluded, same(s.kind)) {
			continue
		}
		why := ""
		switch {
		case !slices.Contains([]int{nameEmail, nameDNS, nameDirectory, nameURI, nameIP}, s.kind):
			f := report.Unknown("chain.unknown", name(c), fmt.Sprintf("%q is bound to names of a kind that is not known here, and the certificate has one", name(above)),
				"ask the authority what its name constraints are")
			if critical { // RFC 5280, section 4.2.1.10: process it or reject the certificate
				f.Code, f.Status = "chain.name-constraint", report.StatusFail
			}
			return f, true
		case slices.ContainsFunc(n.excluded, func(b generalName) bool { return b.kind == s.kind && s.within(b, true) }):
			why = "excludes"
		case permitted && !slices.ContainsFunc(n.permitted, func(b generalName) bool { return b.kind == s.kind && s.within(b, false) }):
			why = "does not permit"
		default:
			continue
		}
		return report.Fail("chain.name-constraint", name(c), fmt.Sprintf("%q %s the name %s (name constraints, RFC 5280, section 4.2.1.10)", name(above), why, s),
			"have the certificate issued for names that the authority may issue for, or by another authority"), true
	}
	return report.Finding{}, false
}

// within reports whether a name lies in the part of its name space that base
// stands for. What cannot be compared lies in every part that is excluded and
// in none that is permitted.
func (n generalName) within(base generalName, excluded bool) bool {
	value, part := strings.ToLower(string(n.value)), strings.ToLower(string(base.value))
	switch n.kind {
	case nameDNS:
		return dnsWithin(strings.TrimSuffix(value, "."), part, excluded)
	case nameEmail:
		at := strings.LastIndexByte(value, '@')
		switch {
		case at < 0:
			return excluded
		case strings.Contains(part, "@"):
			// The part before the sign may tell capitals from small letters.
			before, after := string(n.value[:at]), value[at:]
			baseAt := strings.LastIndexByte(part, '@')
			return before == string(base.value[:baseAt]) && after == part[baseAt:]
		}
		return hostWithin(value[at+1:], part)
	case nameURI:
		u, err := url.Parse(string(n.value))
		if err != nil || u.Hostname() == "" {
			return excluded
		}
		if _, err := netip.ParseAddr(u.Hostname()); err == nil {
			return excluded
		}
		return hostWithin(strings.ToLower(u.Hostname()), part)
	case nameIP:
		if len(base.value) != 2*len(n.value) {
			return false
		}
		address, mask := base.value[:len(n.value)], base.value[len(n.value):]
		for i, b := range n.value {
			if b&mask[i] != address[i]&mask[i] {
				return false
			}
		}
		return true
	case nameDirectory:
		return dn.Within(n.value, base.value)
	}
	return excluded
}

// dnsWithin compares DNS names: a part holds itself and all names below it. With
// a dot in front, which RFC 5280 does not know but clients do, only those below.
func dnsWithin(name, part string, excluded bool) bool {
	if part == "" || strings.HasSuffix(name, "."+strings.TrimPrefix(part, ".")) || name == part {
		return true
	}
	// *.acme.example also stands for portal.acme.example, which may be excluded.
	above, wildcard := strings.CutPrefix(name, "*.")
	_, parent, _ := strings.Cut(part, ".")
	return excluded && wildcard && above == parent
}

// hostWithin compares the hosts of addresses and URLs: a part stands for itself
// alone; with a dot in front for all hosts below it.
func hostWithin(host, part string) bool {
	if strings.HasPrefix(part, ".") {
		return strings.HasSuffix(host, part)
	}
	return part == "" || host == part
}
