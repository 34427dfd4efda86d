package portal

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"onsite/pkcs"
	"onsite/report"
)

// stamp is what shows that files have changed: nil for one that is not there.
type stamp [3]os.FileInfo

func look(dir string) (s stamp) {
	for i, name := range []string{pkcs.RootFile, pkcs.CertFile, pkcs.KeyFile} {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil {
			s[i] = info
		}
	}
	return s
}

func (s stamp) equal(t stamp) bool {
	for i := range s {
		switch {
		case s[i] == nil && t[i] == nil:
		case s[i] == nil || t[i] == nil:
			return false
		case !os.SameFile(s[i], t[i]) || s[i].Size() != t[i].Size() || !s[i].ModTime().Equal(t[i].ModTime()):
			return false
		}
	}
	return true
}

// watch looks at the files now and then until ctx ends. It polls: notices of
// file systems do not reach across network shares.
func (s *Server) watch(ctx context.Context) {
	ticker := time.NewTicker(s.limits.poll)
	defer ticker.Stop()
	var refused *stamp
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			refused = s.reload(refused)
		}
	}
}

// reload takes the set when the files have changed. A bad one is told only when
// the next look finds the same files: the first may have come in the middle of
// a change. refused is the bad set of the last look, or nil; the answer is that
// of this look.
func (s *Server) reload(refused *stamp) *stamp {
	now := look(s.o.Dir) // before reading: what changes while reading is seen next time
	if now.equal(s.seen) {
		return nil
	}
	set, findings, err := s.open()
	old := s.served.Load().set
	if err == nil {
		s.seen = now
		if !same(set, old) {
			s.served.Store(hold(set))
			s.o.Log(report.Pass("portal.reloaded", s.o.Dir, "new connections get the new set: "+set.String()))
		}
		return nil
	}
	if refused == nil || !now.equal(*refused) {
		return &now
	}
	s.seen = now
	e := report.AsError(err)
	detail, remedy := e.Message, e.Remedy
	if i := slices.IndexFunc(findings, func(f report.Finding) bool { return f.Status == report.StatusFail }); i >= 0 {
		detail, remedy = failures(findings), findings[i].Remedy
	}
	s.o.Log(report.Fail("portal.reload.refused", s.o.Dir,
		fmt.Sprintf("the files have changed, and the new set is not served: %s; the old one stays (%s)", detail, old), remedy))
	return nil
}

// same reports whether two good sets are served alike: the key follows from the
// certificate.
func same(a, b *pkcs.Installed) bool {
	return slices.EqualFunc(a.TLS().Certificate, b.TLS().Certificate, slices.Equal)
}

// failures tells the fails among findings in one line.
func failures(findings []report.Finding) string {
	var list []string
	for _, f := range findings {
		switch {
		case f.Status != report.StatusFail:
		case f.Subject == "":
			list = append(list, f.Detail)
		default:
			list = append(list, f.Subject+": "+f.Detail)
		}
	}
	return strings.Join(list, "; ")
}
