package ca

import (
	"crypto/x509"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"onsite/csr"
	"onsite/pkcs"
	"onsite/report"
)

func names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func chain(f *Folder) []*x509.Certificate {
	return []*x509.Certificate{f.Authority.Root, f.Authority.Issuing}
}

func TestWrite(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "onsite-ca")
	a := authority(t, Spec{})
	if _, err := a.Write(dir, WriteOptions{}); !report.HasCode(err, "ca.password.missing") {
		t.Errorf("Write without a password = %v", err)
	}
	if _, err := os.Stat(filepath.Dir(dir)); err == nil {
		t.Error("a refused Write leaves a folder")
	}
	o := WriteOptions{Password: testPassword, Now: clock}
	if err := o.Refuse(dir); err != nil {
		t.Errorf("Refuse = %v, want no error", err)
	}
	if kept, err := a.Write(dir, o); err != nil || kept != "" {
		t.Fatalf("Write = %q, %v", kept, err)
	}
	want := Files()
	slices.Sort(want)
	if got := names(t, dir); !slices.Equal(got, want) {
		t.Errorf("Write leaves %q, want %q", got, want)
	}
	for _, key := range []string{RootKeyFile, IssuingKeyFile} {
		if !strings.HasPrefix(string(read(t, dir, key)), "-----BEGIN ENCRYPTED PRIVATE KEY-----") {
			t.Errorf("%s is not encrypted", key)
		}
		if fi, err := os.Stat(filepath.Join(dir, key)); err != nil || runtime.GOOS != "windows" && fi.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", key, fi.Mode(), err)
		}
	}
	if err := o.Refuse(dir); !report.HasCode(err, "file.exists") {
		t.Errorf("Refuse = %v, want file.exists", err)
	}
	if _, err := a.Write(dir, o); !report.HasCode(err, "file.exists") {
		t.Errorf("Write over another = %v, want file.exists", err)
	}
	before := read(t, dir, RootFile)
	o.Overwrite = true
	kept, err := authority(t, Spec{}).Write(dir, o)
	if err != nil || string(read(t, kept, RootFile)) != string(before) || string(read(t, dir, RootFile)) == string(before) {
		t.Errorf("Write(Overwrite) = %q, %v", kept, err)
	}
}

func TestFolder(t *testing.T) {
	t.Parallel()
	f := folder(t, Spec{CRLURL: "http://pki.acme.example/"})
	if err := os.Remove(filepath.Join(f.Dir, RootKeyFile)); err != nil { // moved away: signing does not need it
		t.Fatal(err)
	}
	first, second := issued(t, f, "portal.acme.example"), issued(t, f, "www.acme.example", "192.168.1.7")
	if got := names(t, f.Dir); slices.Contains(got, "onsite-previous") || f.HasRootKey() {
		t.Errorf("signing leaves %q", got)
	}
	f = open(t, f.Dir, Options{Now: clock}, nil)
	if err := f.Unlock(testPassword); err != nil {
		t.Fatal(err)
	}
	if len(f.Log) != 2 || f.Log[0].Serial != pkcs.Describe(first).Serial || f.Log[1].SHA256 != pkcs.Fingerprint(second) ||
		!slices.Equal(f.Log[1].Names, []string{"www.acme.example", "192.168.1.7"}) {
		t.Fatalf("the log is %+v", f.Log)
	}
	number := f.IssuingCRL.Number
	serial, err := f.SerialOf(append(chain(f), first))
	if err != nil || serial != f.Log[0].Serial {
		t.Errorf("SerialOf = %q, %v", serial, err)
	}
	e, err := f.Revoke(serial, "keyCompromise")
	if err != nil || e.Reason != "keyCompromise" || !e.RevokedAt.Equal(today) {
		t.Errorf("Revoke = %+v, %v", e, err)
	}
	if _, err := f.Revoke(serial, "superseded"); !report.HasCode(err, "ca.revoked") {
		t.Errorf("Revoke again = %v, want ca.revoked", err)
	}
	if _, err := f.Revoke("123", "superseded"); !report.HasCode(err, "ca.serial.unknown") {
		t.Errorf("Revoke of another = %v, want ca.serial.unknown", err)
	}
	if _, err := f.SerialOf(chain(f)); !report.HasCode(err, "ca.serial.unknown") {
		t.Errorf("SerialOf of the authority's own = %v, want ca.serial.unknown", err)
	}
	f = open(t, f.Dir, Options{Now: clock}, f.Authority.issuingKey)
	l := f.IssuingCRL
	if len(l.RevokedCertificateEntries) != 1 || l.RevokedCertificateEntries[0].SerialNumber.Cmp(first.SerialNumber) != 0 ||
		l.RevokedCertificateEntries[0].ReasonCode != 1 || l.Number.Cmp(number) <= 0 || !l.ThisUpdate.Equal(today) ||
		!l.NextUpdate.Equal(today.AddDate(0, 0, 30)) || string(l.AuthorityKeyId) != string(f.Authority.Issuing.SubjectKeyId) {
		t.Errorf("the list is %+v", l)
	}
	if err := f.RenewCRLs(); err != nil || f.IssuingCRL.Number.Cmp(l.Number) <= 0 {
		t.Errorf("RenewCRLs = %v, number %s after %s", err, f.IssuingCRL.Number, l.Number)
	}
}

// A list is never out of date when it is made, and its number grows even when
// the clock goes back and the last list is lost.
func TestCRL(t *testing.T) {
	t.Parallel()
	f := folder(t, Spec{Days: 100})
	rootNumber := f.RootCRL.Number
	if err := f.UnlockRoot(testPassword); err != nil {
		t.Fatal(err)
	}
	for _, days := range []int{1, 0, 50} {
		number := f.IssuingCRL.Number
		f.now = func() time.Time { return today.AddDate(0, 0, days) }
		if err := f.RenewCRLs(); err != nil {
			t.Fatal(err)
		}
		if l := f.IssuingCRL; l.Number.Cmp(number) <= 0 || !l.NextUpdate.After(f.now()) {
			t.Errorf("after %d days: list %s until %s, after list %s", days, l.Number, l.NextUpdate, number)
		}
	}
	if l := f.RootCRL; l.Number.Cmp(rootNumber) <= 0 || !l.NextUpdate.Equal(f.now().AddDate(1, 0, 0)) {
		t.Errorf("the root's list: %s until %s", l.Number, l.NextUpdate)
	}
	number := f.IssuingCRL.Number
	if err := os.Remove(filepath.Join(f.Dir, IssuingCRLFile)); err != nil {
		t.Fatal(err)
	}
	f.now = func() time.Time { return today.AddDate(0, 0, 51) }
	if err := f.RenewCRLs(); err != nil || f.IssuingCRL.Number.Cmp(number) <= 0 {
		t.Errorf("without the last list: %v, number %s after %s", err, f.IssuingCRL.Number, number)
	}
	before := read(t, f.Dir, IssuingCRLFile)
	f.now = func() time.Time { return today.AddDate(0, 0, 101) }
	if err := f.RenewCRLs(); !report.HasCode(err, "ca.expired") || string(read(t, f.Dir, IssuingCRLFile)) != string(before) {
		t.Errorf("RenewCRLs of an authority that has ended = %v, want ca.expired", err)
	}
}

func TestOpenWrong(t *testing.T) {
	t.Parallel()
	model, other := folder(t, Spec{}), folder(t, Spec{})
	for _, tt := range []struct {
		name    string
		change  func(dir string) error
		code    string
		mention string
	}{
		{"no folder", os.RemoveAll, "ca.file.missing", "root.pem"},
		{"no log", remove(LogFile), "ca.file.missing", LogFile},
		{"a damaged log", put(LogFile, []byte("serial\n")), "ca.log.damaged", LogFile},
		{"another root", put(RootFile, read(t, other.Dir, RootFile)), "ca.file.wrong", IssuingFile},
		{"no certificate", put(RootFile, read(t, other.Dir, IssuingKeyFile)), "ca.file.wrong", RootFile},
		{"another list", put(IssuingCRLFile, read(t, other.Dir, IssuingCRLFile)), "ca.file.wrong", IssuingCRLFile},
		{"text for a list", put(RootCRLFile, []byte("no list")), "ca.file.wrong", RootCRLFile},
		{"another key", put(IssuingKeyFile, read(t, other.Dir, IssuingKeyFile)), "ca.file.wrong", IssuingKeyFile},
		{"no key", remove(IssuingKeyFile), "ca.file.missing", IssuingKeyFile},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "onsite-ca")
			if err := errors.Join(os.CopyFS(dir, os.DirFS(model.Dir)), tt.change(dir)); err != nil {
				t.Fatal(err)
			}
			f, err := Open(dir, Options{Now: clock})
			if err == nil {
				err = f.Unlock(testPassword)
			}
			if !report.HasCode(err, tt.code) || !strings.Contains(err.Error(), tt.mention) {
				t.Errorf("Open = %v, want %s and %s", err, tt.code, tt.mention)
			}
		})
	}
	if err := other.Unlock([]byte("wrong")); !report.HasCode(err, csr.CodeKeyPassword) {
		t.Errorf("Unlock with a wrong password = %v", err)
	}
	if err := other.Unlock(nil); !report.HasCode(err, csr.CodeKeyPasswordRequired) {
		t.Errorf("Unlock without a password = %v", err)
	}
	if err := other.RenewCRLs(); err == nil {
		t.Error("a locked folder makes lists")
	}
}

func remove(name string) func(string) error {
	return func(dir string) error { return os.Remove(filepath.Join(dir, name)) }
}

func put(name string, data []byte) func(string) error {
	return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), data, 0o600) }
}

// TestReplacedMeanwhile: who unlocked one authority does not sign as another.
func TestReplacedMeanwhile(t *testing.T) {
	t.Parallel()
	f := folder(t, Spec{})
	if _, err := authority(t, Spec{}).Write(f.Dir, WriteOptions{Password: testPassword, Overwrite: true, Now: clock}); err != nil {
		t.Fatal(err)
	}
	if err := f.RenewCRLs(); !report.HasCode(err, "ca.file.wrong") {
		t.Errorf("RenewCRLs = %v, want ca.file.wrong", err)
	}
}

// TestSeveralAtOnce has several sign at once: all are in the log.
func TestSeveralAtOnce(t *testing.T) {
	t.Parallel()
	f := folder(t, Spec{})
	const signers = 6
	var all sync.WaitGroup
	for range signers {
		mine := open(t, f.Dir, Options{Now: clock}, f.Authority.issuingKey)
		draft, _ := mine.Authority.Prepare(request(t, "ec:p256", "portal.acme.example"), Profile{Now: clock})
		all.Go(func() {
			if _, err := mine.Issue(draft); err != nil {
				t.Errorf("Issue = %v", err)
			}
		})
	}
	all.Wait()
	if f = open(t, f.Dir, Options{Now: clock}, nil); len(f.Log) != signers {
		t.Errorf("%d certificates are in the log, want %d", len(f.Log), signers)
	}
}

var errFault = errors.New("the disk failed")

// TestFaults lets the disk fail for good at every step of signing and
// revoking: a certificate that left is in the log, and log and list agree.
func TestFaults(t *testing.T) {
	t.Parallel()
	model := folder(t, Spec{})
	before := issued(t, model, "www.acme.example")
	for n, more := 1, true; more; n++ {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(model.Dir)); err != nil {
			t.Fatal(err)
		}
		count := 0
		fault := func(string) error {
			if count++; count >= n {
				return errFault
			}
			return nil
		}
		f := open(t, dir, Options{Now: clock, step: fault}, model.Authority.issuingKey)
		draft, _ := f.Authority.Prepare(request(t, "ec:p256", "portal.acme.example"), Profile{Now: clock})
		cert, err := f.Issue(draft)
		if (err == nil) != (cert != nil) {
			t.Fatalf("step %d: Issue = %v, %v", n, cert, err)
		}
		_, revokeErr := f.Revoke(pkcs.Serial(before.SerialNumber), "superseded")
		more = count >= n
		f, err = Open(dir, Options{Now: clock})
		if err != nil {
			t.Fatalf("step %d: Open = %v", n, err)
		}
		if cert != nil {
			if _, err := f.Find(pkcs.Serial(cert.SerialNumber)); err != nil {
				t.Errorf("step %d: the certificate left, but: %v", n, err)
			}
		}
		if e, err := f.Find(pkcs.Serial(before.SerialNumber)); err != nil || e.RevokedAt == nil && revokeErr == nil {
			t.Errorf("step %d: the revoked certificate is %+v, %v", n, e, err)
		}
		if f.stale() {
			t.Errorf("step %d: log and list differ", n)
		}
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	f := folder(t, Spec{CRLURL: "http://pki.acme.example/", Days: 1000})
	issued(t, f, "portal.acme.example")
	issued(t, f, "old.acme.example")
	if _, err := f.Revoke(pkcs.Serial(issued(t, f, "gone.acme.example").SerialNumber), "superseded"); err != nil {
		t.Fatal(err)
	}
	f.now = func() time.Time { return today.AddDate(0, 0, 20) }
	issued(t, f, "portal.acme.example") // renewed
	if err := f.UnlockRoot(testPassword); err != nil {
		t.Fatal(err)
	}
	renewed := func(days int) {
		f.now = func() time.Time { return today.AddDate(0, 0, days) }
		if err := f.RenewCRLs(); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name   string
		change func()
		days   int
		want   string
	}{
		{"at first", func() {}, 1, ""},
		{"the issuing list ends", func() {}, 45, "warn ca.crl.ends"},
		{"it has ended", func() {}, 51, "fail ca.crl.expired"},
		{"one was not renewed", func() { renewed(376) }, 376, "warn cert.expires-soon"},
		{"the authority ends", func() { renewed(650) }, 650, "warn ca.ends, warn ca.ends"},
		{"the root's list ends", func() { renewed(20) }, 360, "fail ca.crl.expired, warn ca.crl.ends"},
		{"the authority has ended", func() { renewed(990) }, 1000, "fail ca.expired, fail ca.expired"},
		{"a list is missing", func() { f.RootCRL = nil }, 990, "fail ca.crl.missing, warn ca.ends, warn ca.ends"},
		{"the log was changed", func() { f.Log[0].RevokedAt = &today }, 990, "fail ca.crl.missing, fail ca.crl.stale, warn ca.ends, warn ca.ends"},
	} {
		tt.change()
		f.now = func() time.Time { return today.AddDate(0, 0, tt.days) }
		findings := f.Judge(0)
		if tt.name == "the root's list ends" {
			findings = slices.DeleteFunc(findings, func(f report.Finding) bool { return f.Code == "cert.expires-soon" })
		}
		if got := codes(findings); got != tt.want {
			t.Errorf("%s: Judge = %q, want %q", tt.name, got, tt.want)
		}
		for _, f := range findings {
			if _, ok := report.Explain(f.Code); !ok {
				t.Errorf("the code %s has no page", f.Code)
			}
		}
	}
	i := f.Info()
	if len(i.CRLs) != 1 || i.CRLs[0].Revoked != 1 || len(i.Issued) != 4 || i.RootKey != true || i.Key != "EC P-256" || i.CRLs[0].Number != f.IssuingCRL.Number.String() {
		t.Errorf("Info = %+v", i)
	}
	quiet := folder(t, Spec{})
	quiet.now = func() time.Time { return today.AddDate(0, 0, 40) }
	if got := codes(quiet.Judge(0)); got != "warn ca.crl.expired" {
		t.Errorf("where no certificate names the list, Judge = %q", got)
	}
}

func TestSerialNumber(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 100 {
		n, err := serialNumber()
		if err != nil || n.Sign() <= 0 || n.Cmp(new(big.Int).Lsh(big.NewInt(1), 127)) >= 0 || seen[n.String()] {
			t.Fatalf("serialNumber = %s, %v", n, err)
		}
		seen[n.String()] = true
	}
}
