package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"onsite/report"
)

// app is the world as the commands see it, and what they have in common.
type app struct {
	io  *streams
	env func(string) (string, bool)
	now func() time.Time
	// ask overrides the choice of a prompter; nil in use, a script in tests.
	ask Prompter

	flags globalFlags
	// outcome is what the verb came to; it is printed once, at the end.
	outcome outcome
	// stdinTaken names the flag that reads standard input.
	stdinTaken string
}

// globalFlags hold for every command.
type globalFlags struct {
	json, noInput, yes, quiet, verbose, strict bool
	color                                      string
}

// outcome is what a verb hands back to be printed.
type outcome struct {
	// Result is the JSON result, an object; nil when there is none.
	Result any
	// Text writes the result for people; nil when the findings say it all.
	Text func(p *printer)
	// Findings are what was noticed on the way. A check's findings are its
	// result and go to standard output; other commands' go to standard error.
	Findings []report.Finding
	IsCheck  bool
	// Listed says that Text shows the findings itself.
	Listed bool
}

// run is the whole program: it returns the exit status.
func run(args []string, io *streams, env func(string) (string, bool)) int {
	a := &app{io: io, env: env, now: time.Now}
	if columns, ok := env("COLUMNS"); ok {
		io.columns, _ = strconv.Atoi(columns) // 0 when it is no number: as if it were not set
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	defer waitIfDoubleClicked(io)
	return a.execute(ctx, args)
}

// grace is how long a command may take to end tidily after Ctrl-C.
const grace = 3 * time.Second

// execute runs one command line. It returns without the command when that does
// not heed an interrupt.
func (a *app) execute(ctx context.Context, args []string) int {
	root := newRootCmd(a)
	root.SetArgs(args)
	a.flags.json = wantsJSON(args, a.env) // known even when the flags cannot be parsed
	cmd, _, err := root.Find(args)
	if err != nil {
		cmd = root
	}
	done := make(chan ended, 1)
	go func() {
		e := ended{cmd: cmd}
		e.err = protect(func() (err error) {
			e.cmd, err = root.ExecuteContextC(ctx)
			return err
		})
		e.outcome = a.outcome
		done <- e
	}()
	select {
	case e := <-done:
		return a.finish(e)
	case <-ctx.Done():
	}
	select {
	case e := <-done:
		return a.finish(e)
	case <-time.After(grace):
		return a.finish(ended{cmd: cmd, err: context.Canceled})
	}
}

// ended is what became of a command line.
type ended struct {
	cmd     *cobra.Command
	outcome outcome
	err     error
}

// protect turns a panic, which is a bug, into an error with an exit status and
// a JSON document of its own. Go would exit with 2, which means wrong usage.
func protect(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			e := report.Errorf(report.KindFailed, "internal",
				"please report this with the command line and the output of onsite version; --verbose shows where it happened",
				"onsite has a fault: %v", p)
			e.Err = errors.New(string(debug.Stack()))
			err = e
		}
	}()
	return f()
}

// wantsJSON looks for --json among the arguments before they are parsed.
func wantsJSON(args []string, env func(string) (string, bool)) bool {
	for _, arg := range args {
		if arg == "--" {
			break
		}
		if value, ok := strings.CutPrefix(arg, "--json"); ok && (value == "" || value[0] == '=') {
			on, err := strconv.ParseBool(strings.TrimPrefix(value, "="))
			return value == "" || err != nil || on
		}
	}
	value, _ := env("ONSITE_JSON")
	on, _ := strconv.ParseBool(value)
	return on
}

// finish prints what became of the command line and returns the exit status.
func (a *app) finish(e ended) int {
	if errors.Is(e.err, context.Canceled) {
		e.err = report.Errorf(report.KindInterrupted, "interrupted", "", "interrupted")
	}
	code := exitStatus(e.outcome.Findings, e.err, a.flags.strict)
	err := protect(func() error { return a.print(e, code) })
	if err == nil {
		return code
	}
	a.printError(report.AsError(err))
	return max(code, exitFailed)
}

// print writes the one document, or the text. The error says that standard
// output cannot be written to.
func (a *app) print(e ended, code int) error {
	if a.flags.json && !isCompletion(e.cmd) {
		doc := report.NewDocument(commandName(e.cmd), e.outcome.Result, e.outcome.Findings, e.err)
		doc.OK = code == exitOK
		return unwritable(doc.Write(a.io.out))
	}
	p := a.printer(a.io.out, a.io.outTTY)
	notes := a.printer(a.io.err, a.io.errTTY)
	if e.outcome.IsCheck {
		notes = p
	}
	if e.outcome.Text != nil {
		e.outcome.Text(p)
	}
	if !e.outcome.Listed {
		notes.findings(e.outcome.Findings, a.flags.quiet || !e.outcome.IsCheck && !a.flags.verbose)
	}
	a.printError(e.err)
	return unwritable(p.err)
}

func unwritable(err error) error {
	if err == nil {
		return nil
	}
	return report.Errorf(report.KindFailed, "failed", "check where standard output goes: the disk may be full", "write to standard output: %w", err)
}

// isCompletion reports whether a command writes for a shell.
func isCompletion(cmd *cobra.Command) bool {
	return strings.HasPrefix(cmd.Name(), "__complete") || cmd.HasParent() && cmd.Parent().Name() == "completion"
}

func commandName(cmd *cobra.Command) string {
	return strings.TrimPrefix(strings.TrimPrefix(cmd.CommandPath(), "onsite"), " ")
}

// verb is the RunE of every command: it runs and keeps the outcome for finish.
func (a *app) verb(run func(ctx context.Context, args []string) (outcome, error)) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		out, err := run(cmd.Context(), args)
		a.outcome = out
		return err
	}
}

// say tells a person what goes on, unless --quiet.
func (a *app) say(format string, args ...any) {
	if !a.flags.quiet {
		fmt.Fprintf(a.io.err, format+"\n", args...)
	}
}

// stopped reports whether --strict keeps a command from writing what findings
// warn of, and says so.
func (a *app) stopped(findings []report.Finding) bool {
	if worst := report.Worst(findings); !a.flags.strict || worst == report.StatusPass || worst == report.StatusSkip {
		return false
	}
	a.say("nothing was written: with --strict, a warning is enough")
	return true
}

// usageError is wrong usage of a command.
func usageError(format string, args ...any) error {
	return report.Errorf(report.KindUsage, "usage", "see --help for the command's flags and examples", format, args...)
}

// missing is the error for values that nobody can be asked for: all of them at
// once, or nil when there are none.
func missing(what ...string) error {
	what = slices.DeleteFunc(what, func(s string) bool { return s == "" })
	if len(what) == 0 {
		return nil
	}
	verb := "is"
	if len(what) > 1 {
		verb = "are"
	}
	return report.Errorf(report.KindMissing, "value.missing",
		"give it on the command line: there is no terminal to ask on, or --no-input or --json was given",
		"%s %s missing", strings.Join(what, ", "), verb)
}
