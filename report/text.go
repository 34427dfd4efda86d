package report

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// TextOptions says how findings are laid out. The zero value is plain text of
// 80 columns that shows everything.
type TextOptions struct {
	// Width is the number of columns; 0 means 80.
	Width int
	// Paint colours a word by the verdict it carries; nil leaves it as it is.
	// Colour only repeats what the word says.
	Paint func(Status, string) string
	// Brief leaves passes and skips out.
	Brief bool
}

// marks are the words that carry a verdict. They are ASCII, so that they
// survive any console and any telephone.
var marks = map[Status]string{
	StatusPass: "[ok]", StatusWarn: "[warn]", StatusFail: "[fail]", StatusUnknown: "[??]", StatusSkip: "[skip]",
}

// indent is the column at which the text of a finding begins.
const indent = 7

// Text writes findings one after the other, in the order given.
func Text(w io.Writer, findings []Finding, o TextOptions) error {
	var b strings.Builder
	o.findings(&b, findings)
	_, err := io.WriteString(w, b.String())
	return err
}

func (o TextOptions) width() int { return cmp.Or(o.Width, 80) }

func (o TextOptions) findings(b *strings.Builder, findings []Finding) {
	for _, f := range findings {
		if o.Brief && (f.Status == StatusPass || f.Status == StatusSkip) {
			continue
		}
		o.finding(b, f)
	}
}

func (o TextOptions) finding(b *strings.Builder, f Finding) {
	mark := marks[f.Status]
	padded := mark + strings.Repeat(" ", indent-len(mark))
	if o.Paint != nil {
		padded = o.Paint(f.Status, mark) + strings.Repeat(" ", indent-len(mark))
	}
	head := f.Detail
	if f.Subject != "" {
		head = f.Subject + ": " + f.Detail
	}
	margin := strings.Repeat(" ", indent)
	fmt.Fprintf(b, "%s%s\n", padded, Wrap(Printable(head), o.width()-indent, margin))
	if f.Status == StatusPass || f.Status == StatusSkip {
		return
	}
	if f.Remedy != "" {
		fmt.Fprintf(b, "%s%s\n", margin, Wrap("-> "+Printable(f.Remedy), o.width()-indent, margin+"   "))
	}
	fmt.Fprintf(b, "%s(onsite explain %s)\n", margin, f.Code)
}

// Text writes the whole report, then one line that sums it up.
func (r *Report) Text(w io.Writer, o TextOptions) error {
	var b strings.Builder
	b.WriteString(r.Title + "\n")
	if r.Notice != "" {
		b.WriteString(Wrap(r.Notice, o.width(), "") + "\n")
	}
	for _, s := range r.Sections {
		b.WriteString("\n" + s.Title + "\n")
		o.findings(&b, s.Findings)
	}
	b.WriteString("\n" + Summary(r.Findings()) + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// Summary says in one line how a list of findings came out.
func Summary(findings []Finding) string {
	var parts []string
	for _, p := range []struct {
		status Status
		one    string
		many   string
	}{
		{StatusFail, "failed", "failed"},
		{StatusUnknown, "could not be made", "could not be made"},
		{StatusWarn, "warning", "warnings"},
		{StatusPass, "passed", "passed"},
		{StatusSkip, "skipped", "skipped"},
	} {
		switch n := Count(findings, p.status); n {
		case 0:
		case 1:
			parts = append(parts, "1 "+p.one)
		default:
			parts = append(parts, fmt.Sprintf("%d %s", n, p.many))
		}
	}
	switch len(findings) {
	case 0:
		return "Nothing was checked."
	case 1:
		return "1 check: " + strings.Join(parts, ", ") + "."
	}
	return fmt.Sprintf("%d checks: %s.", len(findings), strings.Join(parts, ", "))
}

// Printable replaces what could move a terminal's cursor or turn its text round:
// control and formatting characters become "?", line breaks spaces. Names in
// certificates and answers from the network hold whatever somebody put there.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r):
			return '?'
		}
		return r
	}, s)
}

// Shorten keeps a foreign text to at most so many characters; one that was cut
// ends with "…". Bytes that are not UTF-8 are replaced.
func Shorten(s string, most int) string {
	if len(s) > utf8.UTFMax*(most+1) { // more than enough, and quickly so
		s = s[:utf8.UTFMax*(most+1)]
	}
	runes := []rune(strings.ToValidUTF8(s, "\uFFFD"))
	if len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return string(runes)
}

// Wrap breaks text at spaces into lines of at most width columns and puts
// margin before every line but the first. Line breaks in the text stay. A word
// that is longer than a line is left whole, so that it can be copied.
func Wrap(text string, width int, margin string) string {
	var lines []string
	for paragraph := range strings.SplitSeq(text, "\n") {
		line := ""
		for word := range strings.FieldsSeq(paragraph) {
			switch {
			case line == "":
				line = word
			case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= width:
				line += " " + word
			default:
				lines = append(lines, line)
				line = word
			}
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n"+margin)
}
