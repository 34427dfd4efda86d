package ca

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"onsite/csr"
	"onsite/internal/dn"
	"onsite/internal/fileset"
	"onsite/pkcs"
	"onsite/report"
)

// The files of an authority.
const (
	RootFile       = "root.pem"
	RootKeyFile    = "root.key" // may be moved away
	IssuingFile    = "issuing.pem"
	IssuingKeyFile = "issuing.key"
	LogFile        = "issued.csv"
	RootCRLFile    = "root.crl"    // DER, as clients want it (RFC 5280, section 4.2.1.13)
	IssuingCRLFile = "issuing.crl" // likewise
)

// Files lists the files of an authority.
func Files() []string {
	return []string{RootFile, RootKeyFile, IssuingFile, IssuingKeyFile, LogFile, RootCRLFile, IssuingCRLFile}
}

// WriteOptions says how a new authority is written. A password must be given.
type WriteOptions struct {
	Password []byte // encrypts both keys
	// Overwrite replaces the authority that is there, which is then kept beside.
	Overwrite bool
	Now       func() time.Time // nil: time.Now
}

// Refuse returns the error with which Write would refuse because of what is in
// dir or because it may not write there, or nil.
func (o WriteOptions) Refuse(dir string) error {
	if !o.Overwrite {
		if err := fileset.Refuse(dir, Files()...); err != nil {
			return here(err)
		}
	}
	return here(fileset.Try(dir))
}

// here takes the flag out of a remedy of package fileset's that names the folder
// of other commands, and not an authority's.
func here(err error) error {
	if err == nil {
		return nil
	}
	e := *report.AsError(err)
	e.Remedy = strings.Replace(e.Remedy, " with --out", "", 1)
	return &e
}

// Write puts a new authority into dir: certificates, encrypted keys, an empty log
// and two empty lists of revoked certificates, all together or not at all. It
// returns the folder in which an earlier authority was kept, or "".
func (a *Authority) Write(dir string, o WriteOptions) (kept string, err error) {
	now := time.Now
	if o.Now != nil {
		now = o.Now
	}
	if len(o.Password) == 0 {
		return "", report.Errorf(report.KindMissing, "ca.password.missing", "give one with --key-password-file or --key-password-env",
			"an authority's keys are never written without a password")
	}
	f := &Folder{Dir: dir, Authority: a, now: now}
	files, err := f.state(true)
	if err != nil {
		return "", err
	}
	files = append(files, fileset.File{Name: RootFile, Data: pkcs.Encode(a.Root)}, fileset.File{Name: IssuingFile, Data: pkcs.Encode(a.Issuing)})
	for file, key := range map[string]crypto.Signer{RootKeyFile: a.rootKey, IssuingKeyFile: a.issuingKey} {
		encoded, err := csr.EncodeKey(key, csr.PKCS8, o.Password)
		if err != nil {
			return "", err
		}
		files = append(files, fileset.File{Name: file, Data: encoded, Private: true})
	}
	kept, err = fileset.Replace(dir, files, fileset.Options{Overwrite: o.Overwrite, Now: now})
	return kept, here(err)
}

// Options are the world as a Folder sees it. The zero value is the real one.
type Options struct {
	Now func() time.Time // nil: time.Now

	step func(string) error // of fileset.Options, for tests
}

// Folder is an authority in its folder, as it was when it was read. A Folder is
// for one goroutine; other processes may work on the same folder.
type Folder struct {
	Dir       string
	Authority *Authority
	Log       []Entry // the oldest first
	// RootCRL and IssuingCRL are the lists of revoked certificates; nil when a
	// file is missing.
	RootCRL, IssuingCRL *x509.RevocationList

	now  func() time.Time
	step func(string) error
}

// Open reads the authority in dir, all but its keys. A change that was cut short
// is finished or undone first. The error, a *report.Error, names the file.
func Open(dir string, o Options) (*Folder, error) {
	f := &Folder{Dir: dir, Authority: &Authority{}, now: o.Now, step: o.step}
	if f.now == nil {
		f.now = time.Now
	}
	if err := fileset.Recover(dir); err != nil {
		return nil, err
	}
	return f, f.read()
}

// read reads what may have changed since.
func (f *Folder) read() error {
	a := f.Authority
	var err error
	if a.Root, err = f.certificate(RootFile); err != nil {
		return err
	}
	if a.Issuing, err = f.certificate(IssuingFile); err != nil {
		return err
	}
	if err := a.Issuing.CheckSignatureFrom(a.Root); err != nil {
		return f.wrong(IssuingFile, "was not issued by "+RootFile)
	}
	data, err := f.file(LogFile)
	if err != nil {
		return err
	}
	if f.Log, err = decodeLog(data); err != nil {
		return report.InFile(filepath.Join(f.Dir, LogFile), err)
	}
	if f.RootCRL, err = f.crl(RootCRLFile, a.Root); err != nil {
		return err
	}
	f.IssuingCRL, err = f.crl(IssuingCRLFile, a.Issuing)
	return err
}

// maxLog is the size in bytes above which a file is no log: that of some 300 000
// certificates.
const maxLog = 64 << 20

func (f *Folder) file(name string) ([]byte, error) {
	path := filepath.Join(f.Dir, name)
	in, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, f.missing(name)
	}
	var data []byte
	if err == nil {
		defer in.Close()
		data, err = io.ReadAll(io.LimitReader(in, maxLog+1))
	}
	if err != nil {
		if p, ok := errors.AsType[*fs.PathError](err); ok {
			err = p.Err // it repeats the path
		}
		return nil, report.Errorf(report.KindInput, "file.unreadable", "check the file's permissions", "read %s: %w", path, err)
	}
	if len(data) > maxLog {
		return nil, report.Errorf(report.KindInput, "file.too-large", "put the authority's own file there", "%s has more than %d MiB", path, maxLog>>20)
	}
	return data, nil
}

func (f *Folder) missing(name string) error {
	remedy := "take it from a backup of the folder"
	switch {
	case !exists(filepath.Join(f.Dir, IssuingFile)) && !exists(filepath.Join(f.Dir, LogFile)):
		remedy = "name the authority's folder, or make one with onsite ca init"
	case name == RootKeyFile || name == IssuingKeyFile:
		remedy = "put the key back there from where it is kept"
	}
	return report.Errorf(report.KindInput, "ca.file.missing", remedy, "there is no %s", filepath.Join(f.Dir, name))
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func (f *Folder) wrong(name, what string) error {
	return report.Errorf(report.KindInput, "ca.file.wrong", "put the authority's own file there, from a backup of the folder",
		"%s %s", filepath.Join(f.Dir, name), what)
}

func (f *Folder) bag(name string) (*pkcs.Bag, error) {
	data, err := f.file(name)
	if err != nil {
		return nil, err
	}
	bag, err := pkcs.Read(data)
	return bag, report.InFile(filepath.Join(f.Dir, name), err)
}

func (f *Folder) certificate(name string) (*x509.Certificate, error) {
	bag, err := f.bag(name)
	if err != nil {
		return nil, err
	}
	if len(bag.Certs) != 1 {
		return nil, f.wrong(name, fmt.Sprintf("holds %d certificates, it must hold one", len(bag.Certs)))
	}
	return bag.Certs[0].Certificate, nil
}

// Writable returns the error with which a change would find that it may not write
// to the folder, or nil.
func (f *Folder) Writable() error { return here(fileset.Try(f.Dir)) }

// HasRootKey reports whether the root's key is in the folder.
func (f *Folder) HasRootKey() bool { return exists(filepath.Join(f.Dir, RootKeyFile)) }

// Unlock opens the key of the issuing certificate. The errors are those of
// csr.DecodeKey, and others that name the file.
func (f *Folder) Unlock(password []byte) (err error) {
	f.Authority.issuingKey, err = f.key(IssuingKeyFile, f.Authority.Issuing, password)
	return err
}

// UnlockRoot opens the key of the root, which must be in the folder.
func (f *Folder) UnlockRoot(password []byte) (err error) {
	f.Authority.rootKey, err = f.key(RootKeyFile, f.Authority.Root, password)
	return err
}

func (f *Folder) key(file string, cert *x509.Certificate, password []byte) (crypto.Signer, error) {
	bag, err := f.bag(file)
	if err != nil {
		return nil, err
	}
	keys, err := bag.OpenKeys(password)
	switch {
	case err != nil:
		return nil, report.InFile(filepath.Join(f.Dir, file), err)
	case len(keys) != 1:
		return nil, f.wrong(file, fmt.Sprintf("holds %d private keys, it must hold one", len(keys)))
	case !pkcs.SameKey(keys[0], cert):
		return nil, f.wrong(file, "does not belong to the certificate of "+name(cert))
	}
	return keys[0], nil
}

// Issue signs a draft and returns the certificate once it is in the log: none
// ever leaves that the log does not know. Unlock comes first.
func (f *Folder) Issue(d *Draft) (cert *x509.Certificate, err error) {
	err = f.change(false, func() error {
		if cert, err = f.Authority.Issue(d); err == nil {
			f.Log = append(f.Log, entryOf(cert))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return cert, nil
}

// Find returns the entry of a serial number in the form of the log. The error
// says that there is none.
func (f *Folder) Find(serial string) (*Entry, error) {
	i := slices.IndexFunc(f.Log, func(e Entry) bool { return e.Serial == serial })
	if i < 0 {
		return nil, report.Errorf(report.KindInput, "ca.serial.unknown", "onsite ca show lists the serial numbers",
			"%s knows no certificate with the serial number %s", filepath.Join(f.Dir, LogFile), serial)
	}
	return &f.Log[i], nil
}

// Revocable returns the entry of a certificate that can be revoked; the error
// says why it cannot.
func (f *Folder) Revocable(serial string) (*Entry, error) {
	e, err := f.Find(serial)
	if err == nil && e.RevokedAt != nil {
		err = report.Errorf(report.KindRefused, "ca.revoked", "nothing to do", "the certificate of %s was revoked on %s", e.title(), day(*e.RevokedAt))
	}
	if err != nil {
		return nil, err
	}
	return e, nil
}

// Revoke marks a certificate as revoked, for one of Reasons, in the log and in
// the list of revoked certificates. Unlock comes first.
func (f *Folder) Revoke(serial, reason string) (Entry, error) {
	var revoked Entry
	err := f.change(false, func() error {
		e, err := f.Revocable(serial)
		if err != nil {
			return err
		}
		at := f.now().UTC().Truncate(time.Second)
		e.RevokedAt, e.Reason = &at, reason
		revoked = *e
		return nil
	})
	return revoked, err
}

// RenewCRLs makes the lists of revoked certificates anew: that of the issuing
// certificate, and after UnlockRoot that of the root too.
func (f *Folder) RenewCRLs() error {
	return f.change(f.Authority.rootKey != nil, func() error { return nil })
}

// change makes one change to the log. It reads the folder again when nobody else
// can be at work there, and writes what edit leaves, with a list of revoked
// certificates that fits. The earlier log holds nothing that the new one does not.
func (f *Folder) change(root bool, edit func() error) error {
	if f.Authority.issuingKey == nil {
		return errLocked
	}
	_, err := fileset.Update(f.Dir, func() ([]fileset.File, error) {
		if err := f.read(); err != nil {
			return nil, err
		}
		if a := f.Authority; !pkcs.SameKey(a.issuingKey, a.Issuing) || root && !pkcs.SameKey(a.rootKey, a.Root) {
			return nil, f.wrong(IssuingFile, "is another one than before: somebody replaced the authority")
		}
		if err := edit(); err != nil {
			return nil, report.AsError(err)
		}
		files, err := f.state(root)
		if err != nil {
			return nil, report.AsError(err)
		}
		return files, nil
	}, fileset.Options{Overwrite: true, Forget: true, Now: f.now, Step: f.step})
	return here(err)
}

// state returns the files that change with the log.
func (f *Folder) state(root bool) ([]fileset.File, error) {
	log, err := encodeLog(f.Log)
	if err != nil {
		return nil, err
	}
	files := []fileset.File{{Name: LogFile, Data: log}}
	if root {
		if f.RootCRL, err = f.makeCRL(f.Authority.Root, f.Authority.rootKey, f.RootCRL, rootCRLDays, nil); err != nil {
			return nil, err
		}
		files = append(files, fileset.File{Name: RootCRLFile, Data: f.RootCRL.Raw})
	}
	if f.IssuingCRL, err = f.makeCRL(f.Authority.Issuing, f.Authority.issuingKey, f.IssuingCRL, issuingCRLDays, f.Log); err != nil {
		return nil, err
	}
	return append(files, fileset.File{Name: IssuingCRLFile, Data: f.IssuingCRL.Raw}), nil
}

// title is what people call the certificate of an entry.
func (e Entry) title() string {
	if len(e.Names) == 0 {
		return e.Serial
	}
	return e.Names[0]
}

func name(c *x509.Certificate) string { return dn.Friendly(c.RawSubject) }

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
