package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"golang.org/x/term"

	"onsite/report"
)

// Question is one thing to ask a person.
type Question struct {
	Flag    string // the flag that answers it: "country"
	Label   string // what to call it: "Country (two letters)"
	Help    string // why it is wanted, with an example; may be empty
	Default string
	// Validate says what is wrong with an answer; nil takes everything.
	Validate func(string) error
}

// Prompter asks a person. There are three: survey for a full terminal, plain
// lines for any other, and a script in tests. All of them write to standard
// error, end at once when the context does, and take Ctrl-C and Ctrl-D for
// "stop", which is errCancelled.
type Prompter interface {
	Text(ctx context.Context, q Question) (string, error)
	// Secret shows nothing of what is typed; with twice it is typed again and
	// compared.
	Secret(ctx context.Context, q Question, twice bool) ([]byte, error)
	Choose(ctx context.Context, q Question, options []string) (int, error)
	// Confirm is true only after a clear yes.
	Confirm(ctx context.Context, q Question) (bool, error)
}

var errCancelled error = &report.Error{Code: "cancelled", Kind: report.KindInterrupted, Message: "cancelled: nothing was changed"}

// errNobody says that there is nobody to ask. Callers turn it into the list of
// what is missing.
var errNobody = errors.New("nobody can be asked")

// prompter chooses how to ask. Questions need a terminal to be typed on and one
// to be read on.
func (a *app) prompter() (Prompter, error) {
	switch {
	case a.flags.noInput || a.flags.json:
		return nil, errNobody
	case a.ask != nil:
		return a.ask, nil
	case !a.io.inTTY || a.io.inFile == nil:
		return nil, errNobody
	}
	out := a.io.errFile
	if !a.io.errTTY {
		// Standard error goes to a file; the person still sits at the terminal.
		tty, err := os.OpenFile(terminalDevice, os.O_WRONLY, 0)
		if err != nil {
			return nil, errNobody
		}
		out = tty // open until the program ends
	}
	kind, _ := a.env("ONSITE_PROMPT")
	accessible, _ := a.env("ACCESSIBLE")
	terminal, _ := a.env("TERM")
	lines := &linePrompter{in: bufio.NewReader(a.io.inFile), out: out, restore: restoreTerminal(a.io.inFile, out)}
	lines.hide = func() (func(), error) { return hideTyping(a.io.inFile) }
	if kind == "plain" || accessible != "" || !surveyWorks(runtime.GOOS == "windows", terminal) {
		a.ask = lines
	} else {
		a.ask = &surveyPrompter{linePrompter: lines, in: a.io.inFile, out: out}
	}
	return a.ask, nil
}

// confirm asks whether to change something beyond this computer. --yes answers.
// The error says that it is not to be, or that nobody can be asked.
func (a *app) confirm(ctx context.Context, question string) error {
	if a.flags.yes {
		return nil
	}
	p, err := a.prompter()
	if err != nil {
		return report.Errorf(report.KindMissing, "value.missing", "add --yes to agree, or --dry-run to see what would be done",
			"nobody can be asked: %s", question)
	}
	yes, err := p.Confirm(ctx, Question{Flag: "yes", Label: question})
	if err == nil && !yes {
		err = report.Errorf(report.KindRefused, "declined", "", "not confirmed: nothing was changed")
	}
	return err
}

// restoreTerminal returns a function that puts the terminal back as it is now
// and ends the line: an interrupted prompt would leave it without echo.
func restoreTerminal(f *os.File, out io.Writer) func() {
	state, err := term.GetState(int(f.Fd()))
	if err != nil {
		return func() {}
	}
	return func() {
		term.Restore(int(f.Fd()), state) //nolint:errcheck // the last thing done to it
		fmt.Fprintln(out)                //nolint:errcheck // likewise
	}
}

// hideTyping makes the terminal show nothing of what is typed until the function
// that it returns is called. Every key arrives as it is, Ctrl-C too.
func hideTyping(f *os.File) (show func(), err error) {
	state, err := term.MakeRaw(int(f.Fd()))
	if err != nil {
		return nil, err
	}
	return func() { term.Restore(int(f.Fd()), state) }, nil //nolint:errcheck // nothing can be done
}

// await runs a prompt that cannot be cancelled by itself. When the context ends
// first, the terminal is restored and the prompt left behind: the program is
// about to end.
func await[T any](ctx context.Context, restore func(), ask func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	done := make(chan answer, 1)
	go func() {
		v, err := ask()
		done <- answer{v, err}
	}()
	select {
	case got := <-done:
		return got.value, got.err
	case <-ctx.Done():
		restore()
		var none T
		return none, errCancelled
	}
}

// isYes reads an answer to a yes-or-no question. ok is false for anything that
// is neither.
func isYes(s string) (yes, ok bool) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "y", "yes":
		return true, true
	case "n", "no", "":
		return false, true
	}
	return false, false
}
