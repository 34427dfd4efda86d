package ca

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"math/big"
	"path/filepath"
	"time"

	"onsite/report"
)

// How many days a list of revoked certificates is good for. Every signature of
// the issuing key makes its list anew; the root's key may lie in a safe.
const (
	issuingCRLDays = 30
	rootCRLDays    = 365
)

// makeCRL makes the list of revoked certificates of one issuer. It never makes
// one that is out of date already, as one of an issuer that has ended would be.
func (f *Folder) makeCRL(issuer *x509.Certificate, key crypto.Signer, last *x509.RevocationList, days int, log []Entry) (*x509.RevocationList, error) {
	now := f.now().UTC().Truncate(time.Second)
	if !now.Before(issuer.NotAfter) {
		return nil, report.Errorf(report.KindFailed, "ca.expired", "make a new authority with onsite ca init, and have the clients trust its root",
			"%s ended on %s: nothing can be signed with it", name(issuer), day(issuer.NotAfter))
	}
	list := &x509.RevocationList{Number: crlNumber(now, last), ThisUpdate: now, NextUpdate: now.AddDate(0, 0, days)}
	for _, e := range log {
		if e.RevokedAt == nil {
			continue
		}
		serial, ok := new(big.Int).SetString(e.Serial, 16)
		if !ok {
			return nil, fmt.Errorf("%q is no serial number", e.Serial)
		}
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: serial, RevocationTime: *e.RevokedAt, ReasonCode: reasons[e.Reason],
		})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, issuer, key)
	if err != nil {
		return nil, fmt.Errorf("make the list of revoked certificates of %s: %w", name(issuer), err)
	}
	return x509.ParseRevocationList(der)
}

// crlNumber is greater than the last one's (RFC 5280, section 5.2.3), and than
// any before if the last list is lost: it is the time, if that has gone on.
func crlNumber(now time.Time, last *x509.RevocationList) *big.Int {
	number := big.NewInt(now.Unix())
	if last != nil && last.Number != nil && last.Number.Cmp(number) >= 0 {
		number.Add(last.Number, big.NewInt(1))
	}
	return number
}

// crl reads a list; nil when there is none.
func (f *Folder) crl(file string, issuer *x509.Certificate) (*x509.RevocationList, error) {
	data, err := f.file(file)
	if report.HasCode(err, "ca.file.missing") {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	list, err := x509.ParseRevocationList(data)
	if err == nil {
		err = list.CheckSignatureFrom(issuer)
	}
	if err != nil {
		return nil, report.Errorf(report.KindInput, "ca.file.wrong", "move it away, then make it anew with onsite ca crl",
			"%s is no list of revoked certificates of %s", filepath.Join(f.Dir, file), name(issuer))
	}
	return list, nil
}
