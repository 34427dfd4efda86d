package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/fatih/color"

	"onsite/report"
)

// printer writes text for people to one stream. It keeps the first error, so
// that callers need not look at each line.
type printer struct {
	w     io.Writer
	width int
	paint func(report.Status, string) string
	err   error
}

func (a *app) printer(w io.Writer, terminal bool) *printer {
	p := &printer{w: w, width: a.io.width(w)}
	if a.coloured(terminal) && enableColour(w) {
		p.paint = paint
	}
	return p
}

// coloured decides for one stream: --color, else NO_COLOR and TERM, else
// whether it is a terminal.
func (a *app) coloured(terminal bool) bool {
	switch a.flags.color {
	case "always":
		return true
	case "never":
		return false
	}
	noColor, _ := a.env("NO_COLOR")
	dumb, _ := a.env("TERM")
	return terminal && noColor == "" && dumb != "dumb"
}

var statusColour = map[report.Status]color.Attribute{
	report.StatusPass:    color.FgGreen,
	report.StatusWarn:    color.FgYellow,
	report.StatusFail:    color.FgRed,
	report.StatusUnknown: color.FgCyan,
	report.StatusSkip:    color.Faint,
}

func paint(s report.Status, word string) string {
	c := color.New(statusColour[s])
	c.EnableColor()
	return c.Sprint(word)
}

func (p *printer) linef(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

// raw writes s as it is: PEM, for example.
func (p *printer) raw(s []byte) {
	if p.err == nil {
		_, p.err = p.w.Write(s)
	}
}

// table writes rows of a name and a value, the values aligned. Rows with an
// empty value are left out.
func (p *printer) table(rows [][2]string) {
	wide := 0
	for _, r := range rows {
		wide = max(wide, len(r[0]))
	}
	for _, r := range rows {
		if r[1] != "" {
			margin := strings.Repeat(" ", wide+2)
			p.linef("%-*s  %s", wide, r[0], report.Wrap(report.Printable(r[1]), p.width-wide-2, margin))
		}
	}
}

// grid writes rows of several columns, aligned; the first row names them.
func (p *printer) grid(rows [][]string) {
	var wide []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(wide) {
				wide = append(wide, 0)
			}
			wide[i] = max(wide[i], utf8.RuneCountInString(report.Printable(cell)))
		}
	}
	for _, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			cell = report.Printable(cell)
			b.WriteString(cell)
			if i+1 < len(row) {
				b.WriteString(strings.Repeat(" ", wide[i]-utf8.RuneCountInString(cell)+2))
			}
		}
		p.linef("%s", b.String())
	}
}

func (p *printer) findings(list []report.Finding, brief bool) {
	if p.err == nil {
		p.err = report.Text(p.w, list, report.TextOptions{Width: p.width, Paint: p.paint, Brief: brief})
	}
}

func (p *printer) report(r *report.Report) {
	if p.err == nil {
		p.err = r.Text(p.w, report.TextOptions{Width: p.width, Paint: p.paint})
	}
}

// printError prints an error once, for people: what went wrong, what to do,
// where to read more.
func (a *app) printError(err error) {
	if err == nil {
		return
	}
	e := report.AsError(err)
	p := a.printer(a.io.err, a.io.errTTY)
	if e.Kind == report.KindInterrupted {
		p.linef("%s", e.Message)
		return
	}
	word := "error:"
	if p.paint != nil {
		word = p.paint(report.StatusFail, word)
	}
	p.linef("%s %s", word, report.Wrap(report.Printable(e.Message), p.width-7, "       "))
	if e.Remedy != "" {
		p.linef("    -> %s", report.Wrap(report.Printable(e.Remedy), p.width-7, "       "))
	}
	if _, ok := report.Explain(e.Code); ok && e.Kind != report.KindUsage {
		p.linef("       (onsite explain %s)", e.Code)
	}
	if a.flags.verbose && e.Err != nil {
		p.linef("cause: %v", e.Err)
	}
}
