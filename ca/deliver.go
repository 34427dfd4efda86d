package ca

import (
	"crypto/x509"
	"path/filepath"
	"time"

	"onsite/csr"
	"onsite/internal/fileset"
	"onsite/pkcs"
)

// Delivery says where an issued certificate goes: into NAME.pem of a folder, with
// everything that its owner needs beside the key.
type Delivery struct {
	Dir string
	// Overwrite replaces a file of the same name, which is then kept beside.
	Overwrite bool
	Now       func() time.Time // nil: time.Now
}

// Path is the file that Write writes for a draft.
func (o Delivery) Path(d *Draft) string { return filepath.Join(o.Dir, csr.Stem(d.title())+".pem") }

// Refuse returns the error with which Write would refuse, or nil.
func (o Delivery) Refuse(d *Draft) error {
	if !o.Overwrite {
		if err := fileset.Refuse(o.Dir, filepath.Base(o.Path(d))); err != nil {
			return err
		}
	}
	return fileset.Try(o.Dir)
}

// Write writes the certificate, then the issuing certificate, then the root. It
// returns the folder in which an earlier file was kept, or "".
func (o Delivery) Write(d *Draft, cert *x509.Certificate, a *Authority) (kept string, err error) {
	return fileset.Replace(o.Dir, []fileset.File{
		{Name: filepath.Base(o.Path(d)), Data: pkcs.Encode(cert, a.Issuing, a.Root)},
	}, fileset.Options{Overwrite: o.Overwrite, Now: o.Now})
}
