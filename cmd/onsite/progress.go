package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// progress shows on standard error how far a long piece of work is: a bar on a
// terminal, a line now and then elsewhere, nothing with --quiet or --json. Work
// that is short shows nothing. It is for one goroutine. It ends with end, which
// takes the bar away: the result says what came of it.
type progress struct {
	err      io.Writer // standard error; nil: show nothing
	terminal bool
	width    int
	now      func() time.Time

	what     string // "requests"
	total    int
	start    time.Time
	first    int       // how many were done from the start, or -1
	next     time.Time // when to show something again
	occupied int       // how many columns the bar takes up now
	noted    string    // what the last note was about
}

const (
	redraw = 200 * time.Millisecond // how often a bar is drawn
	remark = 5 * time.Second        // how often a line is printed
)

// progress begins to show the progress of work on total things, which are called
// what: "requests".
func (a *app) progress(what string, total int) *progress {
	p := &progress{terminal: a.io.errTTY, width: a.io.width(a.io.err), now: a.now, what: what, total: total, start: a.now(), first: -1}
	if !a.flags.quiet && !a.flags.json {
		p.err = a.io.err
	}
	// Neither takes a line that changes in place.
	terminal, _ := a.env("TERM")
	accessible, _ := a.env("ACCESSIBLE")
	if terminal == "dumb" || accessible != "" {
		p.terminal = false
	}
	p.next = p.start.Add(p.every())
	return p
}

func (p *progress) every() time.Duration {
	if p.terminal {
		return redraw
	}
	return remark
}

// done says how many of the things are done.
func (p *progress) done(n int) {
	if p.first < 0 {
		p.first = n
	}
	now := p.now()
	if p.err == nil || now.Before(p.next) {
		return
	}
	p.next = now.Add(p.every())
	if p.terminal {
		p.bar(n)
		return
	}
	fmt.Fprintf(p.err, "... %s\n", p.words(n))
}

// bar draws over what is there. Spaces clear the rest: not every console knows
// the code for that.
func (p *progress) bar(n int) {
	words := p.words(n)
	line := words
	if wide := min(p.width-1-len(words)-4, 40); wide >= 10 {
		full := wide * n / max(p.total, 1)
		line = "[" + strings.Repeat("#", full) + strings.Repeat(".", wide-full) + "] " + words
	}
	long := utf8.RuneCountInString(line)
	fmt.Fprintf(p.err, "\r%s%s", line, strings.Repeat(" ", max(p.occupied-long, 0)))
	p.occupied = long
}

// note shows a line in place of the last. Off a terminal a line is printed when it
// says something else than before.
func (p *progress) note(line string) {
	if p.err == nil {
		return
	}
	if p.terminal {
		line = cut(line, p.width-1)
		long := utf8.RuneCountInString(line)
		fmt.Fprintf(p.err, "\r%s%s", line, strings.Repeat(" ", max(p.occupied-long, 0)))
		p.occupied = long
		return
	}
	if about, _, _ := strings.Cut(line, ";"); about != p.noted {
		p.noted = about
		fmt.Fprintf(p.err, "... %s\n", line)
	}
}

// cut shortens a line to a width.
func cut(line string, width int) string {
	if r := []rune(line); len(r) > width && width > 0 {
		return string(r[:width])
	}
	return line
}

// words are the same on a terminal and elsewhere.
func (p *progress) words(n int) string {
	s := fmt.Sprintf("%d of %d %s", n, p.total, p.what)
	took := p.now().Sub(p.start)
	if n <= p.first || n >= p.total || took < time.Second {
		return s
	}
	left := time.Duration(float64(took) / float64(n-p.first) * float64(p.total-n))
	return s + ", " + about(left) + " left"
}

// about is a time as precise as a guess is.
func about(d time.Duration) string {
	switch {
	case d < 90*time.Second:
		return fmt.Sprintf("about %d s", max(int(d.Round(time.Second).Seconds()), 1))
	case d < 90*time.Minute:
		return fmt.Sprintf("about %d min", int(d.Round(time.Minute).Minutes()))
	}
	return fmt.Sprintf("about %d h", int(d.Round(time.Hour).Hours()))
}

// end takes the bar away.
func (p *progress) end() {
	if p.occupied > 0 {
		fmt.Fprintf(p.err, "\r%s\r", strings.Repeat(" ", p.occupied))
		p.occupied = 0
	}
}
