package main

import (
	"strings"
	"testing"
	"time"
)

func TestRender(t *testing.T) {
	t.Parallel()
	p := page{
		Date: time.Date(2026, 3, 31, 23, 0, 0, 0, time.UTC), CPUs: 4, Platform: "linux/amd64",
		Go: "go1.26.8", Peers: []string{"OpenSSL 3.0.19"}, FileSystem: "ext4",
		Results: []result{
			{
				row: row{name: "Start-up", ours: []string{"onsite version"}, theirs: []string{"openssl version"}, note: "Nothing else."},
				Summary: summary{
					Pairs: 30, Ours: 4126 * time.Microsecond, Theirs: 251400 * time.Microsecond,
					Ratio: 0.0164, Low: 0.0149, High: 0.02,
				},
			},
			{row: row{name: "Other", ours: []string{"onsite a"}, theirs: []string{"peer b", "peer c"}, show: []string{"onsite a", "peer X    (for each X)"}, target: 0.25, note: "Both."}, Missing: "peer"},
		},
	}
	out := p.render()
	for _, want := range []string{
		"- Measured on 2026-03-31, linux/amd64, with 4 CPUs. Files are on ext4.\n",
		"- onsite is built by go1.26.8 ",
		"Peers: OpenSSL 3.0.19.\n",
		"| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n" +
			"| Start-up | 4.1 ms | 251 ms | 0.02 | 0.01 to 0.02 | 30 | |\n" +
			"| Other | not measured | peer is not installed | | | 0 | at most 0.25 |\n\n",
		"## Start-up\n\nNothing else.\n\n    onsite version\n    openssl version\n\n",
		"## Other\n\nBoth.\n\n    onsite a\n    peer X    (for each X)\n\n",
		"\n    go run ./internal/bench > docs/performance.md\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the page has no %q:\n%s", want, out)
		}
	}
}

func TestRenderSaysWhatIsNotKnown(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ fileSystem, want string }{
		{"", "Files are on a file system whose type is not known.\n"},
		{"tmpfs", "Files are on tmpfs, in memory: bringing files to the disk costs nothing here.\n"},
	} {
		out := page{FileSystem: tt.fileSystem}.render()
		for _, want := range []string{tt.want, "No peer is installed.\n"} {
			if !strings.Contains(out, want) {
				t.Errorf("file system %q: the page has no %q:\n%s", tt.fileSystem, want, out)
			}
		}
	}
}
