package fileset

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"onsite/report"
)

// TestUpdateTakesTurns has several write a line each to one file: none is lost.
func TestUpdateTakesTurns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const writers = 8
	var all sync.WaitGroup
	for n := range writers {
		all.Go(func() {
			_, err := Update(dir, func() ([]File, error) {
				before, err := os.ReadFile(filepath.Join(dir, "log"))
				if err != nil && !errors.Is(err, os.ErrNotExist) {
					return nil, err
				}
				return []File{{Name: "log", Data: append(before, byte('a'+n), '\n')}}, nil
			}, Options{Overwrite: true, Forget: true})
			if err != nil {
				t.Errorf("Update = %v, want no error", err)
			}
		})
	}
	all.Wait()
	raw, err := os.ReadFile(filepath.Join(dir, "log"))
	if err != nil || strings.Count(string(raw), "\n") != writers {
		t.Errorf("the log is %q, %v, want %d lines", raw, err, writers)
	}
}

// TestUpdateForgets lets every step fail in turn: the old content or the new one
// is there, whole, and nothing of the old one is kept, also after recovery.
func TestUpdateForgets(t *testing.T) {
	t.Parallel()
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			for n, more := 1, true; more; n++ {
				dir := t.TempDir()
				mustReplace(t, dir, []File{{Name: "log", Data: []byte("old")}}, Options{noLinks: m.noLinks})
				count := 0
				_, err := Update(dir, func() ([]File, error) { return []File{{Name: "log", Data: []byte("new")}}, nil }, Options{
					Overwrite: true, Forget: true, noLinks: m.noLinks,
					Step: func(string) error {
						if count++; count >= n {
							return errFault
						}
						return nil
					},
				})
				more = count >= n
				if err := Recover(dir); err != nil {
					t.Errorf("step %d: Recover = %v, want no error", n, err)
				}
				want := "log=new"
				if err != nil && !report.HasCode(err, "file.tidy.failed") {
					want = "log=old|log=new" // decided upon or not
				}
				if got := contents(dir, "log"); !strings.Contains(want, got) || exists(filepath.Join(dir, keptName)) || exists(filepath.Join(dir, stagingName)) {
					t.Errorf("step %d: %v, then %s in\n%s", n, err, got, tree(t, dir))
				}
			}
		})
	}
}

func TestUpdateRefused(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new")
	_, err := Update(dir, func() ([]File, error) { return nil, report.Errorf(report.KindRefused, "usage", "", "no") }, Options{})
	if !report.HasCode(err, "usage") || exists(dir) {
		t.Errorf("Update = %v, want the error of prepare and no folder", err)
	}
	_, err = Update(dir, func() ([]File, error) { return []File{{Name: "a/b"}}, nil }, Options{})
	if !report.HasCode(err, "file.name.invalid") || exists(dir) {
		t.Errorf("Update = %v, want an error and no folder", err)
	}
}

func TestTry(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	below := filepath.Join(dir, "a", "b")
	if err := errors.Join(Try(dir), Try(below)); err != nil || tree(t, dir) != tree(t, t.TempDir()) {
		t.Errorf("Try = %v, want no error and an empty folder, not\n%s", err, tree(t, dir))
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Try(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("Try(%s) = %v, want an error that names it", file, err)
	}
}
