// Command noskips reads the output of "go test -json" and ends with 1 if a
// test failed, if none ran, or if one was skipped: where every program that
// the tests look for is installed, a skipped test is a test that nobody runs.
//
//	go test -json ./... | noskips
//
// It prints the line of each package, the output of what failed, the names and
// reasons of what was skipped, and a summary. With -allow, skipped tests are
// listed and do not count as a failure.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// event is one line of "go test -json": see "go doc test2json".
type event struct {
	Action, Package, Test, Output string
}

// test names one test; Test is empty for the package as a whole.
type test struct{ Package, Test string }

// tally is what became of the tests.
type tally struct {
	w       io.Writer
	output  map[test][]string
	passed  int
	failed  []test
	skipped []test
}

func main() {
	allow := flag.Bool("allow", false, "list skipped tests, but do not fail because of them")
	flag.Parse()
	t := &tally{w: os.Stdout, output: map[test][]string{}}
	if err := t.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "noskips:", err)
		os.Exit(1)
	}
	if !t.summary(*allow) {
		os.Exit(1)
	}
}

// read takes in all events. A line that is no event is passed on as it is.
func (t *tally) read(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil || e.Action == "" {
			fmt.Fprintln(t.w, lines.Text())
			continue
		}
		t.add(e)
	}
	return lines.Err()
}

func (t *tally) add(e event) {
	k := test{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		fmt.Fprint(t.w, e.Output)
	case "output":
		if e.Test == "" && isPackageLine(e.Output) {
			fmt.Fprint(t.w, e.Output)
			return
		}
		t.output[k] = append(t.output[k], e.Output)
	case "pass":
		t.pass(k)
	case "fail":
		t.failed = append(t.failed, k)
		t.flush(k)
		if e.Test == "" {
			t.flushRest(e.Package)
		}
	case "skip":
		t.skip(k)
	}
}

// flush prints what a test wrote.
func (t *tally) flush(k test) {
	fmt.Fprint(t.w, strings.Join(t.output[k], ""))
	delete(t.output, k)
}

// pass counts a test. What it wrote is forgotten, unless it tells of the end of
// the whole process: go test puts that down to a test of its own choosing.
func (t *tally) pass(k test) {
	if k.Test == "" {
		return
	}
	t.passed++
	said := strings.Join(t.output[k], "")
	for _, end := range []string{"panic: ", "fatal error: ", "DATA RACE"} {
		if strings.Contains(said, end) {
			return
		}
	}
	delete(t.output, k)
}

// skip keeps the names of skipped tests. Two kinds hide nothing: a package
// without tests, and an input that a fuzz test sets aside.
func (t *tally) skip(k test) {
	if k.Test == "" || strings.HasPrefix(k.Test, "Fuzz") && strings.Contains(k.Test, "/") {
		delete(t.output, k)
		return
	}
	t.skipped = append(t.skipped, k)
}

// flushRest prints what is left of a package that failed: what the tests wrote
// that were running when it ended.
func (t *tally) flushRest(pkg string) {
	for k := range t.output {
		if k.Package == pkg && !slices.Contains(t.skipped, k) {
			t.flush(k)
		}
	}
}

// isPackageLine recognises the line that sums a package up.
func isPackageLine(s string) bool {
	for _, p := range []string{"ok  ", "FAIL\t", "?   "} {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}

// summary prints the outcome and reports whether it is good enough.
func (t *tally) summary(allow bool) bool {
	for _, k := range t.skipped {
		fmt.Fprintf(t.w, "skipped: %s %s: %s\n", k.Package, k.Test, reason(t.output[k]))
	}
	fmt.Fprintf(t.w, "%d passed, %d failed, %d skipped\n", t.passed, len(t.failed), len(t.skipped))
	if t.passed == 0 {
		fmt.Fprintln(t.w, "no test ran")
	}
	return t.passed > 0 && len(t.failed) == 0 && (allow || len(t.skipped) == 0)
}

// reason is the first thing that a skipped test said, without the lines that go
// test adds. A script prints its whole log after it.
func reason(output []string) string {
	for _, line := range output {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "=== ") && !strings.HasPrefix(line, "--- ") {
			return line
		}
	}
	return "no reason given"
}
