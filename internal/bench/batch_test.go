package main

import (
	"os/exec"
	"strings"
	"testing"
)

// Both rows run, with few hosts, and show that they are right. What they take is
// not looked at.
func TestBatchRows(t *testing.T) {
	t.Parallel()
	needGo(t)
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed")
	}
	l, err := newLab(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.close(); err != nil {
			t.Error(err)
		}
	}()
	for _, r := range batchRows(3) {
		pairs, err := l.measure(t.Context(), r, 1)
		if err != nil || len(pairs) != 1 || pairs[0].ours <= 0 || pairs[0].theirs <= 0 {
			t.Errorf("%s: %v, %v", r.name, pairs, err)
		}
	}
	// A result that is wrong is seen.
	r := batchRows(3)[0]
	r.setup = nil
	if err := l.write("hosts.csv", strings.Replace(batchList(3), "host002", "other", 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := l.measure(t.Context(), r, 1); err == nil || !strings.Contains(err.Error(), "out/host002.acme.example.key was not made") {
		t.Errorf("a host that is missing: %v", err)
	}
}

func TestPairsOfRow(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		row     row
		n, want int
	}{{row{}, 30, 30}, {row{times: 2}, 30, 60}, {row{few: true}, 30, 6}, {row{few: true}, 2, 1}} {
		if got := tt.row.pairs(tt.n); got != tt.want {
			t.Errorf("pairs(%d) of %+v = %d, want %d", tt.n, tt.row, got, tt.want)
		}
	}
}
