package csr

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"onsite/report"
)

// rowFindings are findings about the rows of a hosts file. What holds for many
// rows is said once, with all their lines: a list of hundred hosts that all want
// the same remark would bury the one that matters.
type rowFindings struct {
	list []rowFinding
	at   map[report.Finding]int // where in list its like is
}

type rowFinding struct {
	report.Finding
	host  string // of the first row
	lines []int
	mixed bool // the rows differ in what was looked at
}

// add notes what was found in a row.
func (r *rowFindings) add(line int, host string, f report.Finding) {
	like := f
	if f.Status == report.StatusWarn || f.Status == report.StatusUnknown {
		like.Subject, like.Detail = "", "" // the remedy is the same: one example will do
	}
	i, ok := r.at[like]
	if !ok {
		if r.at == nil {
			r.at = map[report.Finding]int{}
		}
		i = len(r.list)
		r.at[like] = i
		r.list = append(r.list, rowFinding{Finding: f, host: host})
	}
	of := &r.list[i]
	of.mixed = of.mixed || of.Subject != f.Subject
	if !slices.Contains(of.lines[max(len(of.lines)-1, 0):], line) {
		of.lines = append(of.lines, line)
	}
}

// all returns the findings. Their subjects name file, lines and host:
// "hosts.csv line 7: portal.acme.example".
func (r *rowFindings) all(file string) []report.Finding {
	findings := make([]report.Finding, len(r.list))
	for i, of := range r.list {
		f := of.Finding
		subject := f.Subject
		if f.Status == report.StatusFail && len(of.lines) == 1 && of.host != "" && of.host != subject {
			subject, f.Detail = of.host, f.Subject+": "+f.Detail
		}
		f.Subject = file + " " + lines(of.lines)
		if subject != "" {
			f.Subject += ": " + clip(subject)
		}
		if of.mixed {
			f.Subject += ", ..."
		}
		findings[i] = f
	}
	return findings
}

// lines names lines that go up: "line 7", "lines 2-40, 43".
func lines(list []int) string {
	var words []string
	for i := 0; i < len(list); {
		last := i
		for last+1 < len(list) && list[last+1] == list[last]+1 {
			last++
		}
		if last == i {
			words = append(words, fmt.Sprint(list[i]))
		} else {
			words = append(words, fmt.Sprintf("%d-%d", list[i], list[last]))
		}
		i = last + 1
	}
	if len(list) == 1 {
		return "line " + words[0]
	}
	return "lines " + strings.Join(words, ", ")
}

// clip keeps one value from filling the screen.
func clip(s string) string {
	const most = 80
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "..."
}
