package pkcs

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
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
	"onsite/internal/fileset"
	"onsite/report"
)

// WriteOptions says how a set is written. The zero value writes a PKCS#8 key in
// clear and replaces nothing.
type WriteOptions struct {
	KeyFormat   csr.KeyFormat
	KeyPassword []byte // encrypts key.pem; empty leaves it in clear
	// KeepKey leaves key.pem as it is: the key came from there. It counts as part
	// of the set all the same, so that the kept set is whole.
	KeepKey bool
	// Overwrite replaces the set that is there, which is then kept beside.
	Overwrite bool
	Now       func() time.Time // nil: time.Now
}

// What cert.pem and root.pem can hold.
const (
	ChainLeaf  = "leaf"  // cert.pem: the leaf alone
	ChainRoot  = "root"  // root.pem: the root alone
	ChainUsual = "chain" // cert.pem: the leaf, then intermediates; root.pem: intermediates, then the root
	ChainFull  = "full"  // cert.pem: the leaf, intermediates, the root
)

// Layout says what goes into cert.pem and into root.pem. The zero value is
// ChainUsual for both, which is right for every kind of server program.
type Layout struct {
	Cert string // ChainLeaf, ChainUsual or ChainFull
	Root string // ChainRoot or ChainUsual
}

// CertFile returns the certificates of cert.pem; none without a leaf.
func (s *Set) CertFile() []*x509.Certificate {
	if s.Leaf == nil {
		return nil
	}
	certs := []*x509.Certificate{s.Leaf}
	if s.Layout.Cert != ChainLeaf {
		certs = append(certs, s.Intermediates...)
	}
	if s.Layout.Cert == ChainFull && s.Root != nil && s.Root != s.Leaf {
		certs = append(certs, s.Root)
	}
	return certs
}

// RootFile returns the certificates of root.pem.
func (s *Set) RootFile() []*x509.Certificate {
	var certs []*x509.Certificate
	if s.Layout.Root != ChainRoot {
		certs = slices.Clone(s.Intermediates)
	}
	if s.Root != nil {
		certs = append(certs, s.Root)
	}
	return certs
}

// Refuse returns the error that Write would return because of what is asked for
// or because files are there already, or nil. It writes nothing.
func (s *Set) Refuse(dir string, o WriteOptions) error {
	if _, err := s.files(dir, o); err != nil {
		return err
	}
	return s.inTheWay(dir, o)
}

func (s *Set) inTheWay(dir string, o WriteOptions) error {
	if err := s.mixes(dir); err != nil || o.Overwrite {
		return err
	}
	return fileset.Refuse(dir, s.FileNames(o)...)
}

// mixes refuses to put a part of a set beside the rest of another.
func (s *Set) mixes(dir string) error {
	if s.Key != nil && s.Leaf != nil {
		return nil
	}
	there := PresentSet(dir)
	has := func(name string) bool { return slices.Contains(there.Files, name) }
	what := ""
	switch {
	case s.Key == nil && has(KeyFile):
		what = "the certificates, without a key, beside the " + KeyFile + " that is there"
	case s.Leaf == nil && has(CertFile) && (s.Key == nil || there.Leaf == nil || !SameKey(s.Key, there.Leaf)):
		what = "what was found beside the " + CertFile + " that is there, to which it does not belong"
	default:
		return nil
	}
	return report.Errorf(report.KindRefused, "set.mixed", "name another folder with --out, or name the missing files too", "write to %s: %s", dir, what)
}

// RefuseSet returns the error with which Write refuses to replace a set that is
// in dir, or nil when there is none.
func RefuseSet(dir string) error { return fileset.Refuse(dir, RootFile, CertFile, KeyFile) }

// Write puts root.pem, cert.pem and key.pem into dir. The three change together
// or not at all, also when the program is killed or the disk is full: see
// package fileset. It returns the folder in which the previous set was kept, or
// "". Without Overwrite any of the three that is there is a *report.Error with
// the code "file.exists". Of a set of which only a part was found, that part is
// written.
//
// cert.pem is the leaf, then the intermediates; root.pem the intermediates,
// then the root, unless Layout says otherwise: so the server sends a whole chain
// whether its program reads the first certificate of cert.pem and takes root.pem
// for the rest, or reads all of cert.pem.
func (s *Set) Write(dir string, o WriteOptions) (kept string, err error) {
	files, err := s.files(dir, o)
	if err == nil {
		err = s.inTheWay(dir, o)
	}
	if err != nil {
		return "", err
	}
	return fileset.Replace(dir, files, fileset.Options{Overwrite: o.Overwrite || o.KeepKey, Now: o.Now})
}

// FileNames are the files that Write writes anew.
func (s *Set) FileNames(o WriteOptions) []string {
	var names []string
	if len(s.RootFile()) > 0 || s.Leaf != nil {
		names = append(names, RootFile)
	}
	if s.Leaf != nil {
		names = append(names, CertFile)
	}
	if s.Key != nil && !o.KeepKey {
		names = append(names, KeyFile)
	}
	return names
}

func (s *Set) files(dir string, o WriteOptions) ([]fileset.File, error) {
	var files []fileset.File
	for _, name := range s.FileNames(o) {
		f := fileset.File{Name: name}
		switch name {
		case RootFile:
			f.Data = s.rootPEM()
		case CertFile:
			f.Data = Encode(s.CertFile()...)
		case KeyFile:
			key, err := csr.EncodeKey(s.Key, o.KeyFormat, o.KeyPassword)
			if err != nil {
				return nil, err
			}
			f.Data, f.Private = key, true
		}
		files = append(files, f)
	}
	if o.KeepKey && fileset.Refuse(dir, s.FileNames(o)...) != nil {
		key, err := readLimited(filepath.Join(dir, KeyFile))
		if err != nil {
			return nil, report.Errorf(report.KindInput, "file.unreadable", "check the file's permissions", "read %s: %w", filepath.Join(dir, KeyFile), unwrapPath(err))
		}
		files = append(files, fileset.File{Name: KeyFile, Data: key, Private: true})
	}
	return files, nil
}

// rootPEM is never empty: where no certificate belongs in it, it says so.
func (s *Set) rootPEM() []byte {
	if certs := s.RootFile(); len(certs) > 0 {
		return Encode(certs...)
	}
	top := s.Leaf
	if n := len(s.Intermediates); n > 0 {
		top = s.Intermediates[n-1]
	}
	f := missingIssuer(top)
	text := fmt.Sprintf("# %s: %s.\n# %s.\n", f.Subject, f.Detail, f.Remedy)
	return []byte(strings.ReplaceAll(text, "---", "...")) // a name must not pass for a PEM block
}

// Encode writes certificates as PEM, byte for byte as they came.
func Encode(certs ...*x509.Certificate) []byte {
	var b bytes.Buffer
	for _, c := range certs {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return b.Bytes()
}

// Installed is a set as it lies in a folder, right or wrong: Judge tells.
type Installed struct {
	Dir  string
	Cert []*x509.Certificate // of cert.pem, in its order
	Root []*x509.Certificate // of root.pem, in its order
	Key  crypto.Signer
}

// OpenSet reads the three files of a folder. A change that was cut short is
// finished or undone first. The error, a *report.Error, names the file.
func OpenSet(dir string, keyPassword []byte) (*Installed, error) {
	if err := fileset.Recover(dir); err != nil {
		return nil, err
	}
	s := &Installed{Dir: dir}
	bags := map[string]*Bag{}
	for _, n := range []string{RootFile, CertFile, KeyFile} {
		bag, err := readSetFile(filepath.Join(dir, n))
		if n == RootFile && (report.HasCode(err, "file.unknown") || report.HasCode(err, "file.empty")) {
			bag, err = &Bag{}, nil // it says that there is no root
		}
		if err != nil {
			return nil, err
		}
		bags[n] = bag
	}
	s.Root, s.Cert = bags[RootFile].Certificates(), bags[CertFile].Certificates()
	if len(s.Cert) == 0 {
		return nil, report.Errorf(report.KindInput, "set.file.wrong", "put the site's certificate there, or run onsite pfx split again",
			"%s holds no certificate", filepath.Join(dir, CertFile))
	}
	keys, err := bags[KeyFile].OpenKeys(keyPassword)
	if err != nil {
		return nil, report.InFile(filepath.Join(dir, KeyFile), err)
	}
	if len(keys) != 1 {
		return nil, report.Errorf(report.KindInput, "set.file.wrong", "put the certificate's private key there, and nothing else",
			"%s holds %d private keys, it must hold one", filepath.Join(dir, KeyFile), len(keys))
	}
	s.Key = keys[0]
	return s, nil
}

func readSetFile(path string) (*Bag, error) {
	data, err := readLimited(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, report.Errorf(report.KindInput, "set.file.missing",
			"name the folder that onsite pfx split wrote, with root.pem, cert.pem and key.pem", "there is no %s", path)
	}
	if err != nil {
		return nil, report.Errorf(report.KindInput, "file.unreadable", "check the file's permissions", "read %s: %w", path, unwrapPath(err))
	}
	bag, err := Read(data)
	if err != nil {
		return nil, report.InFile(path, err)
	}
	return bag, nil
}

func readLimited(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, MaxSize+1))
}

// unwrapPath drops the path that an *fs.PathError repeats.
func unwrapPath(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

// TLS returns what a TLS server of this program needs to serve the set.
func (s *Installed) TLS() tls.Certificate {
	c := tls.Certificate{PrivateKey: s.Key, Leaf: s.Cert[0]}
	for _, cert := range s.Cert {
		c.Certificate = append(c.Certificate, cert.Raw)
	}
	return c
}

// String names the certificate for logs: its names and last day.
func (s *Installed) String() string {
	return fmt.Sprintf("certificate for %s, good until %s", strings.Join(hostNames(s.Cert[0]), ", "), day(s.Cert[0].NotAfter))
}
