package main

import (
	"context"
	"os"

	"github.com/AlecAivazis/survey/v2"
)

// surveyPrompter lets a person choose from a list with survey, and asks all else
// line by line. survey is archived and has faults, which are fenced in here: it
// takes Ctrl-D for Enter, so it asks nothing whose default leads on; on Windows
// it prints free text twice; under mintty it does not work at all (surveyWorks);
// it hangs on a terminal that does not answer; and after SIGTERM it leaves the
// terminal without echo (await).
type surveyPrompter struct {
	*linePrompter
	in, out *os.File
}

// surveyWorks is false on dumb terminals and in Git Bash and other mintty
// windows, which are no consoles to Windows and yet set TERM.
func surveyWorks(windows bool, terminal string) bool {
	return terminal != "dumb" && (!windows || terminal == "")
}

// Choose lists the options. The first is where the cursor stands, so it must
// change nothing.
func (s *surveyPrompter) Choose(ctx context.Context, q Question, options []string) (int, error) {
	chosen, err := await(ctx, s.restore, func() (chosen int, err error) {
		err = survey.AskOne(&survey.Select{Message: q.Label + ":", Options: options, Help: q.Help}, &chosen,
			survey.WithStdio(s.in, s.out, s.out))
		return chosen, err
	})
	if err != nil {
		return 0, errCancelled // survey's only errors are an interrupt and a broken terminal
	}
	return chosen, nil
}
