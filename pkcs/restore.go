package pkcs

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"time"

	"onsite/internal/fileset"
	"onsite/report"
)

// KeptSet is a set of the three files, or of those of them that there were: in
// the folder of a portal, or kept beside when it was replaced.
type KeptSet struct {
	Dir   string
	Files []string          // of RootFile, CertFile, KeyFile
	Leaf  *x509.Certificate // the first of cert.pem; nil when it cannot be read
}

// Name is the UTC time at which the set was replaced, as its folder says it.
func (k KeptSet) Name() string { return filepath.Base(k.Dir) }

// PresentSet returns the set that is in a folder now.
func PresentSet(dir string) KeptSet {
	k := KeptSet{Dir: dir}
	for _, name := range []string{RootFile, CertFile, KeyFile} {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.Mode().IsRegular() {
			k.Files = append(k.Files, name)
		}
	}
	if data, err := readLimited(filepath.Join(dir, CertFile)); err == nil {
		if bag, err := Read(data); err == nil && len(bag.Certs) > 0 {
			k.Leaf = bag.Certs[0].Certificate
		}
	}
	return k
}

// KeptSets lists the sets of a folder that were replaced, the last first. Other
// files that were replaced there are no set.
func KeptSets(dir string) ([]KeptSet, error) {
	if err := fileset.Recover(dir); err != nil {
		return nil, err
	}
	folders, err := fileset.Kept(dir)
	if err != nil {
		return nil, err
	}
	var list []KeptSet
	for _, f := range folders {
		if k := PresentSet(f); len(k.Files) > 0 {
			list = append(list, k)
		}
	}
	return list, nil
}

// Restore brings the set back into the folder of the portal: all three files
// change together, and one that the set does not have is taken away. It returns
// the folder in which the files are kept that were there. now may be nil.
func (k KeptSet) Restore(dir string, now func() time.Time) (kept string, err error) {
	there := map[string][]byte{}
	for _, name := range k.Files {
		data, err := readLimited(filepath.Join(k.Dir, name))
		if err != nil {
			return "", report.Errorf(report.KindInput, "file.unreadable", "check the file's permissions", "read %s: %w", filepath.Join(k.Dir, name), unwrapPath(err))
		}
		there[name] = data
	}
	var files []fileset.File
	for _, name := range []string{RootFile, CertFile, KeyFile} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil && there[name] == nil {
			continue
		}
		files = append(files, fileset.File{Name: name, Data: there[name], Private: name == KeyFile})
	}
	return fileset.Replace(dir, files, fileset.Options{Overwrite: true, Now: now})
}
