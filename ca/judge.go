package ca

import (
	"crypto/x509"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"onsite/csr"
	"onsite/pkcs"
	"onsite/report"
)

// Info is an authority for people and scripts to read. Folder.Judge says what to
// think of it.
type Info struct {
	Dir       string    `json:"dir"`
	Root      pkcs.Info `json:"root"`
	Issuing   pkcs.Info `json:"issuing"`
	Permitted []string  `json:"permitted"` // the names and ranges that it may issue for; empty: any
	Key       string    `json:"key"`       // of the issuing certificate
	RootKey   bool      `json:"root_key"`  // whether the root's key is in the folder
	Issued    []Issued  `json:"issued"`    // the oldest first
	CRLs      []CRLInfo `json:"crls"`
}

// Issued is a certificate of the log at a moment.
type Issued struct {
	Entry
	DaysLeft int `json:"days_left"` // whole days; negative once it has expired
}

// CRLInfo is a list of revoked certificates.
type CRLInfo struct {
	File       string    `json:"file"`
	Issuer     string    `json:"issuer"` // what people call it
	Number     string    `json:"number"` // decimal; it grows
	ThisUpdate time.Time `json:"this_update"`
	NextUpdate time.Time `json:"next_update"` // out of date from then on
	Revoked    int       `json:"revoked"`     // how many stand in it
}

// Info returns what stands in the folder.
func (f *Folder) Info() Info {
	a := f.Authority
	i := Info{
		Dir: f.Dir, Root: pkcs.Describe(a.Root), Issuing: pkcs.Describe(a.Issuing), Permitted: constraintsOf(a.Issuing).list(),
		Key: csr.DescribeKey(a.Issuing.PublicKey), RootKey: f.HasRootKey(), Issued: []Issued{}, CRLs: []CRLInfo{},
	}
	for _, e := range f.Log {
		i.Issued = append(i.Issued, Issued{e, pkcs.DaysLeft(&x509.Certificate{NotAfter: e.NotAfter}, f.now())})
	}
	for _, l := range f.lists() {
		if l.list != nil {
			i.CRLs = append(i.CRLs, CRLInfo{
				File: filepath.Join(f.Dir, l.file), Issuer: name(l.issuer), Number: l.list.Number.String(),
				ThisUpdate: l.list.ThisUpdate.UTC(), NextUpdate: l.list.NextUpdate.UTC(), Revoked: len(l.list.RevokedCertificateEntries),
			})
		}
	}
	return i
}

// crlList is a list of revoked certificates, or the place of a missing one.
type crlList struct {
	file   string
	issuer *x509.Certificate
	list   *x509.RevocationList
	named  []string // where certificates say that it can be found
	warn   int      // days before its end at which to warn
	remedy string
}

func (f *Folder) lists() []crlList {
	named := f.Authority.Issuing.CRLDistributionPoints
	return []crlList{
		{
			RootCRLFile, f.Authority.Root, f.RootCRL, named, 30,
			"put " + RootKeyFile + " into the folder, run onsite ca crl, and publish the new list",
		},
		{IssuingCRLFile, f.Authority.Issuing, f.IssuingCRL, named, 7, "run onsite ca crl, and publish the new list"},
	}
}

// Judge says what is good and what needs somebody's hand: the dates of both
// certificates, the lists of revoked certificates, and what of the issued ends
// within warnDays (0: 30).
func (f *Folder) Judge(warnDays int) []report.Finding {
	if warnDays == 0 {
		warnDays = 30
	}
	findings := f.judgeDates()
	for _, l := range f.lists() {
		findings = append(findings, l.judge(f.now()))
	}
	if f.stale() {
		findings = append(findings, report.Fail("ca.crl.stale", IssuingCRLFile, "it does not hold what "+LogFile+" calls revoked",
			"run onsite ca crl, and publish the new list"))
	}
	return append(findings, f.judgeIssued(warnDays)...)
}

// judgeDates looks at both certificates. The issuing one must outlive those that
// it signs, so trouble begins before it ends.
func (f *Folder) judgeDates() []report.Finding {
	var findings []report.Finding
	now := f.now()
	remedy := "make a new authority with onsite ca init, and have the clients trust its root"
	for _, c := range []*x509.Certificate{f.Authority.Issuing, f.Authority.Root} {
		switch {
		case now.After(c.NotAfter):
			findings = append(findings, report.Fail("ca.expired", name(c), "ended on "+day(c.NotAfter)+", so nothing can be signed with it", remedy))
		case now.AddDate(0, 0, ServerDays).After(c.NotAfter):
			findings = append(findings, report.Warn("ca.ends", name(c),
				fmt.Sprintf("ends on %s: what is signed from now on ends then too, before its %d days are over", day(c.NotAfter), ServerDays), remedy+" before then"))
		}
	}
	if len(findings) == 0 {
		findings = append(findings, report.Pass("ca.dates.ok", name(f.Authority.Issuing), "good until "+day(f.Authority.end())))
	}
	return findings
}

// judge says whether a list is up to date. Trouble with one that no certificate
// names is a warning only: no client looks for it.
func (l crlList) judge(now time.Time) report.Finding {
	var f report.Finding
	switch {
	case l.list == nil:
		f = report.Fail("ca.crl.missing", l.file, "there is no list of revoked certificates", l.remedy)
	case !now.Before(l.list.NextUpdate):
		f = report.Fail("ca.crl.expired", l.file, "out of date since "+day(l.list.NextUpdate)+": clients that look at it refuse every certificate", l.remedy)
	case now.AddDate(0, 0, l.warn).After(l.list.NextUpdate):
		return report.Warn("ca.crl.ends", l.file, "out of date from "+day(l.list.NextUpdate)+" on", l.remedy)
	default:
		return report.Pass("ca.crl.ok", l.file, fmt.Sprintf("up to date until %s, %d revoked", day(l.list.NextUpdate), len(l.list.RevokedCertificateEntries)))
	}
	if len(l.named) == 0 {
		f.Status = report.StatusWarn
	}
	return f
}

// stale reports whether log and list differ in what is revoked, which they can
// only when somebody changed one of them by hand.
func (f *Folder) stale() bool {
	if f.IssuingCRL == nil {
		return false
	}
	listed := map[string]bool{}
	for _, e := range f.IssuingCRL.RevokedCertificateEntries {
		listed[pkcs.Serial(e.SerialNumber)] = true
	}
	for _, e := range f.Log {
		if listed[e.Serial] != (e.RevokedAt != nil) {
			return true
		}
		delete(listed, e.Serial)
	}
	return len(listed) > 0
}

// judgeIssued names what ends soon and was not renewed: no later certificate
// covers the same names.
func (f *Folder) judgeIssued(warnDays int) []report.Finding {
	var findings []report.Finding
	now := f.now()
	later := map[string]bool{}
	for _, e := range slices.Backward(f.Log) {
		names := slices.Sorted(slices.Values(e.Names))
		key := strings.Join(names, " ")
		if e.RevokedAt != nil || later[key] {
			continue
		}
		later[key] = true
		if now.Before(e.NotAfter) && now.AddDate(0, 0, warnDays).After(e.NotAfter) {
			findings = append(findings, report.Warn("cert.expires-soon", e.title(), "expires on "+day(e.NotAfter), "renew it: onsite csr new, then onsite ca sign"))
		}
	}
	slices.Reverse(findings)
	return findings
}

// SerialOf returns the serial number of the one among certificates that this
// authority issued to a server.
func (f *Folder) SerialOf(certs []*x509.Certificate) (string, error) {
	for _, c := range certs {
		if !c.IsCA && c.CheckSignatureFrom(f.Authority.Issuing) == nil {
			return pkcs.Serial(c.SerialNumber), nil
		}
	}
	return "", report.Errorf(report.KindInput, "ca.serial.unknown", "name a certificate of this authority, or its serial number: onsite ca show lists them",
		"it holds no certificate that %s issued", name(f.Authority.Issuing))
}
