package fileset

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"onsite/report"

	"golang.org/x/sys/windows"
)

// A private file names its owner, Administrators and SYSTEM, and inherits
// nothing.
func TestPrivateOnWindows(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mustReplace(t, dir, set("one"), Options{})
	asked, err := privateDescriptor()
	if err != nil {
		t.Fatal(err)
	}
	if sddl := asked.String(); !strings.HasPrefix(sddl, "D:P(") || strings.Count(sddl, "(A;;FA;;;") != 3 {
		t.Errorf("privateDescriptor = %s, want a protected list of three", sddl)
	}
	there, err := windows.GetNamedSecurityInfo(filepath.Join(dir, "key.pem"), windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		t.Fatal(err)
	}
	got := there.String()
	for _, public := range []string{";WD)", ";BU)", ";AU)"} { // Everyone, Users, Authenticated Users
		if strings.Contains(got, public) {
			t.Errorf("access list of key.pem = %s, want no %s in it", got, public)
		}
	}
}

// A file that a program holds open is named, and the old set stays whole.
func TestInUseOnWindows(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mustReplace(t, dir, set("one"), Options{})
	before := tree(t, dir)
	held, err := os.Open(filepath.Join(dir, "key.pem")) // as most programs do, without sharing deletion
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	_, err = Replace(dir, set("two"), Options{Overwrite: true})
	if !report.HasCode(err, "file.in-use") || !strings.Contains(err.Error(), "key.pem") {
		t.Errorf("Replace = %v, want code file.in-use and the file", err)
	}
	if after := tree(t, dir); after != before {
		t.Errorf("folder after = \n%s, want\n%s", after, before)
	}
}

// The same when the file is opened in the midst of the change: what was replaced
// already is put back.
func TestInUseMeanwhileOnWindows(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mustReplace(t, dir, set("one"), Options{})
	var held *os.File
	_, err := Replace(dir, set("two"), Options{Overwrite: true, Step: func(step string) error {
		var err error
		if strings.HasPrefix(step, "move .onsite-swap/put/key.pem") {
			held, err = os.Open(filepath.Join(dir, "key.pem"))
		}
		return err
	}})
	if !report.HasCode(err, "file.in-use") || !strings.Contains(err.Error(), "key.pem") {
		t.Errorf("Replace = %v, want code file.in-use and the file", err)
	}
	if got := wordOf(t, dir); got != "one" {
		t.Errorf("set = %q, want the old one", got)
	}
	held.Close()
	if err := Recover(dir); err != nil {
		t.Errorf("Recover = %v, want no error", err)
	}
	if exists(filepath.Join(dir, stagingName)) {
		t.Error("the staging folder is left, want it gone")
	}
}
