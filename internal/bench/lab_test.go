package main

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestFileSystem(t *testing.T) {
	t.Parallel()
	const mounts = `/dev/sda1 / ext4 rw,relatime 0 0
proc /proc proc rw 0 0
/dev/sdb1 /home btrfs rw 0 0
tmpfs /home/user/.cache tmpfs rw 0 0
/dev/sdc1 /mnt/big\040disk xfs rw 0 0
first /srv ext3 rw 0 0
second /srv f2fs rw 0 0
short
`
	for _, tt := range []struct{ dir, want string }{
		{"/var/tmp/bench", "ext4"},
		{"/", "ext4"},
		{"/home", "btrfs"},
		{"/homestead", "ext4"},
		{"/home/user/.cache/bench", "tmpfs"},
		{"/mnt/big disk/bench", "xfs"},
		{"/srv/bench", "f2fs"},
	} {
		if got := fileSystem(mounts, tt.dir); got != tt.want {
			t.Errorf("fileSystem(%q) = %q, want %q", tt.dir, got, tt.want)
		}
	}
	if got := fileSystem("", "/tmp"); got != "" {
		t.Errorf("fileSystem without mounts = %q, want none", got)
	}
}

func TestMissing(t *testing.T) {
	t.Parallel()
	needGo(t)
	l := &lab{}
	for _, tt := range []struct {
		name string
		row  row
		want string
	}{
		{"only ours", row{ours: []string{"onsite version"}}, ""},
		{"there", row{ours: []string{"onsite version"}, theirs: []string{"go version"}}, ""},
		{"not there", row{theirs: []string{"go version", "no-such-tool-here -x"}}, "no-such-tool-here"},
	} {
		if got := l.missing(tt.row); got != tt.want {
			t.Errorf("%s: missing = %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestFailedCommandShowsWhatItSaid(t *testing.T) {
	t.Parallel()
	l := testLab(t)
	for name, run := range map[string]func() error{
		"timed":   func() error { _, err := l.once(context.Background(), row{}, []string{"go no-such-verb"}); return err },
		"untimed": func() error { return l.prove(context.Background(), row{}, []string{"go no-such-verb"}) },
	} {
		err := run()
		if err == nil || !strings.Contains(err.Error(), "go no-such-verb: exit status 2\n") || !strings.Contains(err.Error(), "unknown command") {
			t.Errorf("%s: error = %v, want the command, its status and what it said", name, err)
		}
	}
}

func TestFilesThatWereNotMade(t *testing.T) {
	t.Parallel()
	l := testLab(t)
	if err := l.write("empty", ""); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"out/key.pem": "out/key.pem was not made", "empty": "empty is empty"} {
		_, err := l.once(context.Background(), row{makes: []string{name}}, []string{"go version"})
		if err == nil || err.Error() != want {
			t.Errorf("makes %s: error = %v, want %s", name, err, want)
		}
	}
}

// TestRows holds what the runner takes for granted.
func TestRows(t *testing.T) {
	t.Parallel()
	for _, r := range rows {
		if r.name == "" || r.note == "" || len(r.theirs) == 0 || r.prove == nil {
			t.Errorf("row %q is not complete", r.name)
		}
		for _, c := range r.ours {
			if !strings.HasPrefix(c, "onsite ") {
				t.Errorf("row %q: ours runs %q", r.name, c)
			}
		}
		for _, name := range r.makes {
			if filepath.ToSlash(filepath.Dir(name)) != "out" {
				t.Errorf("row %q makes %s, outside the folder that is cleared", r.name, name)
			}
		}
	}
}

// testLab is a lab without an onsite.
func testLab(t *testing.T) *lab {
	t.Helper()
	needGo(t)
	l, err := openLab(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// needGo skips where a test binary is run without the go command, as under wine.
func needGo(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("the go command is not there to be run")
	}
}
