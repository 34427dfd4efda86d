package main

import (
	"bytes"
	"context"
	"os"
	"runtime"

	"github.com/AlecAivazis/survey/v2"
)

// surveyPrompter asks with survey, which lists choices and edits lines. It is
// archived and has faults, each fenced in here: on Windows it prints free text
// twice, so that goes to the line prompter; under mintty it does not work at
// all (surveyWorks); Ctrl-D takes the default, so no question that leads to a
// change has a yes for default; and after SIGTERM it leaves the terminal
// without echo (await).
type surveyPrompter struct {
	in, out *os.File
	lines   *linePrompter
}

// surveyWorks is false in Git Bash and other mintty windows, which are no
// consoles to Windows and yet set TERM.
func surveyWorks(terminal string) bool { return runtime.GOOS != "windows" || terminal == "" }

func (s *surveyPrompter) ask(ctx context.Context, p survey.Prompt, into any, o ...survey.AskOpt) error {
	o = append(o, survey.WithStdio(s.in, s.out, s.out))
	_, err := await(ctx, s.lines.restore, func() (struct{}, error) { return struct{}{}, survey.AskOne(p, into, o...) })
	if err != nil {
		return errCancelled // survey's only errors are an interrupt and a broken terminal
	}
	return nil
}

func (s *surveyPrompter) Text(ctx context.Context, q Question) (string, error) {
	if runtime.GOOS == "windows" {
		return s.lines.Text(ctx, q)
	}
	var answer string
	var o []survey.AskOpt
	if q.Validate != nil {
		o = append(o, survey.WithValidator(func(v any) error {
			text, _ := v.(string)
			return q.Validate(text)
		}))
	}
	err := s.ask(ctx, &survey.Input{Message: q.Label + ":", Default: q.Default, Help: q.Help}, &answer, o...)
	return answer, err
}

func (s *surveyPrompter) Secret(ctx context.Context, q Question, twice bool) ([]byte, error) {
	for range tries {
		var first, second string
		if err := s.ask(ctx, &survey.Password{Message: q.Label + ":"}, &first); err != nil || !twice {
			return []byte(first), err
		}
		if err := s.ask(ctx, &survey.Password{Message: q.Label + ", again:"}, &second); err != nil {
			return nil, err
		}
		if bytes.Equal([]byte(first), []byte(second)) {
			return []byte(first), nil
		}
		if _, err := s.out.WriteString("  the two are not the same: type both again\n"); err != nil {
			return nil, err
		}
	}
	return nil, errTooMany
}

func (s *surveyPrompter) Choose(ctx context.Context, q Question, options []string) (int, error) {
	var chosen int
	err := s.ask(ctx, &survey.Select{Message: q.Label + ":", Options: options, Help: q.Help}, &chosen)
	return chosen, err
}

func (s *surveyPrompter) Confirm(ctx context.Context, q Question) (bool, error) {
	var yes bool
	err := s.ask(ctx, &survey.Confirm{Message: q.Label, Help: q.Help}, &yes)
	return yes, err
}
