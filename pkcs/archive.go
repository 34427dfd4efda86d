package pkcs

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"onsite/report"
)

// What an archive may hold: authorities send a dozen files of some kilobytes.
const (
	maxEntries  = 1000
	maxUnpacked = 8 << 20 // bytes in all; what a file claims to have is not believed
)

// zip reads the files of a ZIP archive, each by its content. One that cannot be
// read, or holds nothing of interest, is put aside.
func (r *reader) zip(data []byte) error {
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return report.Errorf(report.KindInput, "file.damaged", "copy or download the archive again", "the ZIP archive is damaged: %w", err)
	}
	if len(archive.File) > maxEntries {
		return report.Errorf(report.KindInput, "file.too-large", "take the certificate files out of the archive and name them",
			"the archive has %d files, the limit is %d", len(archive.File), maxEntries)
	}
	outer := r.path
	defer func() { r.path = outer }()
	for _, f := range archive.File {
		name := path.Clean(strings.ReplaceAll(f.Name, `\`, "/"))
		if f.FileInfo().IsDir() || strings.HasPrefix(path.Base(name), "._") { // macOS adds such files
			continue
		}
		r.path = path.Join(outer, name)
		content, err := r.unpack(f)
		if err == nil {
			err = r.file(content)
		}
		if report.HasCode(err, "file.too-large") && r.unpacked > maxUnpacked {
			return err
		}
		if err != nil {
			r.bag.Aside = append(r.bag.Aside, Aside{r.path, err})
		}
	}
	if r.bag.empty() && outer == "" {
		return r.nothingIn()
	}
	return nil
}

// unpack reads one file of an archive.
func (r *reader) unpack(f *zip.File) ([]byte, error) {
	if f.Flags&1 != 0 {
		return nil, report.Errorf(report.KindInput, "file.archive.encrypted", "unpack the archive with its password and name the files",
			"it is encrypted in the archive")
	}
	if f.Mode()&fs.ModeType != 0 {
		return nil, errUnknown("")
	}
	in, err := f.Open()
	if err != nil {
		return nil, errArchive(err)
	}
	defer in.Close()
	content, err := io.ReadAll(io.LimitReader(in, min(MaxSize, int64(maxUnpacked-r.unpacked))+1))
	if r.unpacked += len(content); r.unpacked > maxUnpacked {
		return nil, report.Errorf(report.KindInput, "file.too-large", "take the certificate files out of the archive and name them",
			"the archive holds more than %d MiB", maxUnpacked>>20)
	}
	if err != nil {
		return nil, errArchive(err)
	}
	return content, nil
}

func errArchive(err error) error {
	return report.Errorf(report.KindInput, "file.damaged", "copy or download the archive again", "it cannot be unpacked: %w", err)
}

// nothingIn is the error for an archive of which nothing could be used: that of
// the one file in it that tells most, if there is any.
func (r *reader) nothingIn() error {
	for _, a := range r.bag.Aside {
		if !report.HasCode(a.Err, "file.unknown") && !report.HasCode(a.Err, "file.empty") {
			return report.InFile(a.Path, a.Err)
		}
	}
	return report.Errorf(report.KindInput, "file.unknown", "name the archive that the authority sent",
		"there is no certificate, request or key in the archive (%s)", countFiles(len(r.bag.Aside)))
}

func countFiles(n int) string {
	if n == 1 {
		return "1 file"
	}
	return fmt.Sprintf("%d files", n)
}
