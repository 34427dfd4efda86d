package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Every hostile file but the one of a gigabyte is refused by what is built here.
func TestHostileFilesAreRefused(t *testing.T) {
	t.Parallel()
	needGo(t)
	l, err := newLab(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hostiles[1:] {
		// What it takes of time and memory is for the page: see peakMemory.
		if _, err := l.refuse(t.Context(), h); err != nil {
			t.Error(err)
		}
	}
	if err := l.close(); err != nil {
		t.Error(err)
	}
}

func TestRefusalLine(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		r    refusal
		want string
	}{
		{refusal{hostile{name: "a"}, 20 * time.Millisecond, 12 << 20}, "| a | 20.0 ms | 12 MiB | yes |"},
		{refusal{hostile{name: "b"}, 2 * time.Second, 12 << 20}, "| b | 2000 ms | 12 MiB | no |"},
		{refusal{hostile{name: "c"}, time.Millisecond, 65 << 20}, "| c | 1.0 ms | 65 MiB | no |"},
		{refusal{hostile{name: "d"}, time.Millisecond, 0}, "| d | 1.0 ms | not known | yes |"},
	} {
		if got := tt.r.line(); got != tt.want {
			t.Errorf("line() = %q, want %q", got, tt.want)
		}
	}
}

func TestRepeat(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x")
	if err := repeat(path, "-----BEGIN A-----\n", 3<<20); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil || len(data) > 3<<20 || len(data) < 2<<20 || !strings.HasPrefix(string(data), "-----BEGIN A-----\n-----BEGIN") {
		t.Errorf("repeat made %d bytes, %v", len(data), err)
	}
}
