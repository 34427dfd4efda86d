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
	done := make(chan int, 1)
	go func() {
		cmd, err := a.protect(func() (*cobra.Command, error) { return root.ExecuteContextC(ctx) })
		if cmd == nil {
			cmd = root
		}
		done <- a.finish(cmd, err)
	}()
	select {
	case code := <-done:
		return code
	case <-ctx.Done():
	}
	select {
	case code := <-done:
		return code
	case <-time.After(grace):
		fmt.Fprintln(a.io.err, "interrupted")
		return exitInterrupted
	}
}

// protect turns a panic, which is a bug, into an error with an exit status and
// a JSON document of its own. Go would exit with 2, which means wrong usage.
func (a *app) protect(f func() (*cobra.Command, error)) (cmd *cobra.Command, err error) {
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

// finish prints the outcome and returns the exit status.
func (a *app) finish(cmd *cobra.Command, err error) int {
	if errors.Is(err, context.Canceled) {
		err = report.Errorf(report.KindInterrupted, "interrupted", "", "interrupted")
	}
	code := exitStatus(a.outcome.Findings, err, a.flags.strict)
	if a.flags.json {
		doc := report.NewDocument(commandName(cmd), a.outcome.Result, a.outcome.Findings, err)
		doc.OK = code == 0
		if werr := doc.Write(a.io.out); werr != nil {
			return exitFailed
		}
		return code
	}
	p := a.printer(a.io.out, a.io.outTTY)
	notes := a.printer(a.io.err, a.io.errTTY)
	if a.outcome.IsCheck {
		notes = p
	}
	if a.outcome.Text != nil {
		a.outcome.Text(p)
	}
	if !a.outcome.Listed {
		notes.findings(a.outcome.Findings, a.flags.quiet || !a.outcome.IsCheck && !a.flags.verbose)
	}
	if p.err != nil {
		return exitFailed
	}
	a.printError(err)
	return code
}

func commandName(cmd *cobra.Command) string {
	return strings.TrimPrefix(strings.TrimPrefix(cmd.CommandPath(), "onsite"), " ")
}

// verb is the RunE of every command: it fills flags from the environment, then
// runs and keeps the outcome for finish.
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
