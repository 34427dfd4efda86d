package csr

import (
	"cmp"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"strings"

	"onsite/internal/dn"
	"onsite/report"
)

// FromCertificate returns what a certificate says of the next request for the
// same site: its subject and alternative names, as they are, for Prepare to
// judge. Its dates, its signature and who issued it do not matter. The findings
// name what a request cannot take over.
func FromCertificate(c *x509.Certificate) (Spec, []report.Finding) {
	var names []SAN
	all := 0
	for _, e := range c.Extensions {
		if e.Id.Equal(oidSubjectAltName) {
			names = append(names, sans(e.Value)...)
			all += countNames(e.Value)
		}
	}
	return takeOver(c.RawSubject, names, all)
}

// Again returns what a request says of the next one, as FromCertificate does. A
// challenge password is not taken over: it is for one request.
func (i *Info) Again() (Spec, []report.Finding) {
	var subject []byte
	if req, err := x509.ParseCertificateRequest(i.DER); err == nil { // as Parse did
		subject = req.RawSubject
	}
	spec, findings := takeOver(subject, i.SANs, len(i.SANs))
	if name := i.Attributes["unstructuredName"]; name != spec.CommonName {
		spec.UnstructuredName = &name // another, or none
	}
	return spec, findings
}

// takeOver makes the spec. all is how many alternative names there were, those of
// unknown kinds too.
func takeOver(subject []byte, names []SAN, all int) (Spec, []report.Finding) {
	spec := Spec{Subject: fields(subject)}
	var findings []report.Finding
	for _, part := range otherParts(subject) {
		findings = append(findings, report.Warn("csr.renew.dropped", part,
			"this part of the subject is not taken over: no form for requests has it, or it stood there twice",
			"nothing to do for a purchased certificate: the authority puts there what it has checked"))
	}
	if n := all - len(names); n > 0 {
		findings = append(findings, report.Warn("csr.renew.dropped", "alternative names",
			fmt.Sprintf("there are others, of a kind that is not taken over: %d", n),
			"nothing to do for a web server: browsers look at host names and addresses alone"))
	}
	for _, n := range names {
		spec.SANs = append(spec.SANs, n.String())
		if spec.CommonName == "" && (n.Type == SANDNS || n.Type == SANIP) {
			spec.CommonName = n.Value // some authorities leave the common name out
		}
	}
	return spec, findings
}

// otherParts lists the parts of a subject that have no field in Subject.
func otherParts(raw []byte) []string {
	type part struct {
		Type  asn1.ObjectIdentifier
		Value asn1.RawValue
	}
	type partSET []part
	var name []partSET
	if _, err := asn1.Unmarshal(raw, &name); err != nil {
		return nil
	}
	seen := map[string]bool{}
	for _, oid := range []asn1.ObjectIdentifier{oidCountry, oidState, oidLocality, oidOrganization, oidUnit, oidCommonName, oidEmail} {
		seen[oid.String()] = false
	}
	var other []string
	for _, set := range name {
		for _, p := range set {
			id := p.Type.String()
			if used, ours := seen[id]; ours && !used {
				seen[id] = true
				continue
			}
			if der, err := asn1.Marshal([]partSET{{p}}); err == nil {
				other = append(other, dn.String(der))
			}
		}
	}
	return other
}

func countNames(der []byte) int {
	var names []asn1.RawValue
	if _, err := asn1.Unmarshal(der, &names); err != nil {
		return 0
	}
	return len(names)
}

// LikeKey returns the kind of key that is made for a request when the one before
// had the key pub: the same, or DefaultKey where that is not made any more.
func LikeKey(pub crypto.PublicKey) KeySpec {
	for _, k := range keySpecs {
		if DescribeKind(k) == DescribeKey(pub) {
			return k
		}
	}
	return DefaultKey
}

// Change is one value that differs from what was there before.
type Change struct {
	Field  string `json:"field"` // the flag that gives it: "email", "san"
	Before string `json:"before"`
	After  string `json:"after"`
}

func (c Change) String() string {
	return fmt.Sprintf("%s: %s -> %s", c.Field, cmp.Or(c.Before, "none"), cmp.Or(c.After, "none"))
}

// Changes compares a request with what was taken over for it.
func (r *Request) Changes(before Spec) []Change {
	changes := []Change{}
	add := func(field, before, after string) {
		if before != after {
			changes = append(changes, Change{field, before, after})
		}
	}
	add("cn", before.CommonName, r.Subject.CommonName)
	add("country", before.Country, r.Subject.Country)
	add("state", before.State, r.Subject.State)
	add("locality", before.Locality, r.Subject.Locality)
	add("organization", before.Organization, r.Subject.Organization)
	add("unit", before.Unit, r.Subject.Unit)
	add("email", before.Email, r.Subject.Email)
	now := map[string]bool{}
	for _, s := range r.SANs {
		now[strings.ToLower(s.String())] = true
	}
	for _, s := range before.SANs {
		if !now[strings.ToLower(s)] {
			add("san", s, "")
		}
		delete(now, strings.ToLower(s))
	}
	for _, s := range r.SANs {
		if now[strings.ToLower(s.String())] {
			add("san", "", s.String())
		}
	}
	return changes
}

// DropSAN takes an alternative name out of the spec, written with or without its
// kind. It reports whether it was there.
func (s *Spec) DropSAN(name string) bool {
	unwanted := parseSAN(name)
	kept := s.SANs[:0:0]
	for _, have := range s.SANs {
		if h := parseSAN(have); h.Type != unwanted.Type || !strings.EqualFold(h.Value, unwanted.Value) {
			kept = append(kept, have)
		}
	}
	dropped := len(kept) < len(s.SANs)
	s.SANs = kept
	return dropped
}
