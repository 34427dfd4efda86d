package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// page is docs/performance.md. It names neither the machine nor its folders.
type page struct {
	Date       time.Time
	CPUs       int
	Platform   string // "linux/amd64"
	Go         string
	Peers      []string // versions of the other tools
	FileSystem string   // "" when not known
	Results    []result
	Refusals   []refusal
}

// result is a row with its figures, or with the tool that was missing.
type result struct {
	row
	Missing string
	Summary summary
}

func (p page) render() string {
	var w strings.Builder
	system := p.FileSystem
	switch system {
	case "":
		system = "a file system whose type is not known"
	case "tmpfs", "ramfs":
		system += ", in memory: bringing files to the disk costs nothing here"
	}
	fmt.Fprintf(&w, `# Performance

How long commands of onsite take beside the tools that do the same work by hand.
This page is the output of a program; run it again rather than edit it.

- Measured on %s, %s, with %d CPUs. Files are on %s.
- onsite is built by %s with `+"`CGO_ENABLED=0 go build -trimpath ./cmd/onsite`"+`. %s.
- The times are wall time, from the start of a process to its end; where a recipe
  has several processes, from the start of the first to the end of the last,
  without a shell between them.
- Both sides run in turn, in pairs; each goes first in every other pair. A time is
  the median of its side. The ratio is the median of the ratios pair by pair,
  onsite to peer: below 1 onsite is faster. Half of all pairs lie in the range
  beside it.
- Both results are checked before anything is timed, and the files are looked for
  after every run.
- The machine may do other work at the same time. That moves the times of both
  sides; trust the ratio.

| What | onsite | Peer | Ratio | Half of all pairs | Pairs | Target |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
`, p.Date.Format(time.DateOnly), p.Platform, p.CPUs, system, p.Go, p.versions())
	for _, r := range p.Results {
		fmt.Fprintln(&w, r.line())
	}
	for _, r := range p.Results {
		fmt.Fprintf(&w, "\n## %s\n\n%s\n\n", r.name, r.note)
		commands := r.show
		if commands == nil {
			commands = slices.Concat(r.ours, r.theirs)
		}
		for _, c := range commands {
			fmt.Fprintf(&w, "    %s\n", c)
		}
	}
	fmt.Fprintf(&w, `
## Hostile files

Files that are made to keep a reader busy or to fill its memory: each is refused
with exit status 5, within %d second and %d MiB, and nothing is written.

| File | Time | Memory | Within |
| --- | ---: | ---: | --- |
`, hostileTime/time.Second, hostileMemory>>20)
	for _, r := range p.Refusals {
		fmt.Fprintln(&w, r.line())
	}
	fmt.Fprint(&w, `
    onsite cert gather FILE --password-file password.txt --out refused --no-input

## Repeat it

    go run ./internal/bench > docs/performance.md

`+"`-n 100`"+` takes more pairs, `+"`-dir D:\\bench`"+` measures another disk.
`)
	return w.String()
}

func (p page) versions() string {
	if len(p.Peers) == 0 {
		return "No peer is installed"
	}
	return "Peers: " + strings.Join(p.Peers, "; ")
}

// line is the row of the table.
func (r result) line() string {
	target := ""
	if r.target > 0 {
		target = fmt.Sprintf("at most %.2f ", r.target)
	}
	if r.Missing != "" {
		return fmt.Sprintf("| %s | not measured | %s is not installed | | | 0 | %s|", r.name, r.Missing, target)
	}
	s := r.Summary
	return fmt.Sprintf("| %s | %s | %s | %.2f | %.2f to %.2f | %d | %s|",
		r.name, milliseconds(s.Ours), milliseconds(s.Theirs), s.Ratio, s.Low, s.High, s.Pairs, target)
}

// milliseconds shows no more digits than such a measurement has.
func milliseconds(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	if ms < 100 {
		return fmt.Sprintf("%.1f ms", ms)
	}
	return fmt.Sprintf("%.0f ms", ms)
}
