package csr

import (
	"cmp"
	"crypto"
	"path/filepath"
	"time"

	"onsite/internal/fileset"
)

// WriteOptions says where a request and its key go. The zero value writes both
// into the current folder, the key in clear.
type WriteOptions struct {
	Dir         string
	KeyPassword []byte // encrypts the key; empty leaves it in clear
	// KeepKey leaves the key file alone: the key came from a file already.
	KeepKey bool
	// Overwrite replaces files of the same names, which are then kept beside.
	Overwrite bool
	Now       func() time.Time // nil: time.Now
}

// Paths are the files of a request.
type Paths struct {
	Request string `json:"request"`
	Key     string `json:"key"`  // "" when the key was not written
	Kept    string `json:"kept"` // the folder with what was replaced, or ""
}

// Files names the files that Write writes for a request.
func (o WriteOptions) Files(r *Request) Paths {
	p := Paths{Request: filepath.Join(o.Dir, r.Stem()+".csr")}
	if !o.KeepKey {
		p.Key = filepath.Join(o.Dir, r.Stem()+".key")
	}
	return p
}

// Refuse returns the error that Write would return because a file is there
// already, or nil.
func (o WriteOptions) Refuse(r *Request) error {
	if o.Overwrite {
		return nil
	}
	paths := o.Files(r)
	names := []string{filepath.Base(paths.Request)}
	if paths.Key != "" {
		names = append([]string{filepath.Base(paths.Key)}, names...)
	}
	return fileset.Refuse(cmp.Or(o.Dir, "."), names...)
}

// Write signs the request and writes NAME.key and NAME.csr, the key first. The
// two appear together or not at all. It returns the request as it was written,
// too. Without Overwrite an existing file of either name is a *report.Error with
// the code "file.exists".
func Write(r *Request, key crypto.Signer, o WriteOptions) (paths Paths, request []byte, err error) {
	files, err := o.encode(r, key)
	if err != nil {
		return Paths{}, nil, err
	}
	paths = o.Files(r)
	paths.Kept, err = fileset.Replace(cmp.Or(o.Dir, "."), files, fileset.Options{Overwrite: o.Overwrite, Now: o.Now})
	if err != nil {
		return Paths{}, nil, err
	}
	return paths, files[len(files)-1].Data, nil
}

// encode signs the request and returns its files, the request last.
func (o WriteOptions) encode(r *Request, key crypto.Signer) ([]fileset.File, error) {
	der, err := r.Sign(key)
	if err != nil {
		return nil, err
	}
	paths := o.Files(r)
	var files []fileset.File
	if !o.KeepKey {
		encoded, err := EncodeKey(key, PKCS8, o.KeyPassword)
		if err != nil {
			return nil, err
		}
		files = append(files, fileset.File{Name: filepath.Base(paths.Key), Data: encoded, Private: true})
	}
	return append(files, fileset.File{Name: filepath.Base(paths.Request), Data: PEM(der)}), nil
}
