package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"onsite/csr"
	"onsite/report"
)

// subjectQuestion is a question for one field of a subject.
type subjectQuestion struct {
	Question
	field func(*csr.Subject) *string
}

// subjectQuestions are all of them, the name first.
var subjectQuestions = []subjectQuestion{
	{Question{Flag: "cn", Label: "Host name", Help: "what people will type, for example portal.acme.example or *.acme.example"}, func(s *csr.Subject) *string { return &s.CommonName }},
	{Question{Flag: "country", Label: "Country (two letters, may be empty)", Help: "for example AU"}, func(s *csr.Subject) *string { return &s.Country }},
	{Question{Flag: "state", Label: "State or province", Help: "for example NSW"}, func(s *csr.Subject) *string { return &s.State }},
	{Question{Flag: "locality", Label: "Town or suburb", Help: "for example Newcastle"}, func(s *csr.Subject) *string { return &s.Locality }},
	{Question{Flag: "organization", Label: "Registered name of the business", Help: "for example Acme Bakery Pty Ltd"}, func(s *csr.Subject) *string { return &s.Organization }},
	{Question{Flag: "unit", Label: "Department (may be empty)", Help: "public authorities leave it out"}, func(s *csr.Subject) *string { return &s.Unit }},
	{Question{Flag: "email", Label: "E-mail address (may be empty)", Help: "for example it@acme.example"}, func(s *csr.Subject) *string { return &s.Email }},
}

// askSubject asks for what a subject may hold and was not given. Where nobody can
// be asked only the name must be there. It reports whether it asked.
func (a *app) askSubject(ctx context.Context, spec *csr.Spec, given func(flag string) bool, questions []subjectQuestion) (bool, error) {
	p, err := a.prompter()
	if err != nil {
		if strings.TrimSpace(spec.CommonName) == "" {
			return false, missing("NAME (the host name)")
		}
		return false, nil
	}
	last := a.lastAnswers()
	asked := false
	for _, q := range questions {
		value := q.field(&spec.Subject)
		if *value != "" || given(q.Flag) {
			continue
		}
		q.Default = *q.field(last) // the name is never kept
		q.Validate = func(answer string) error {
			try := csr.Spec{Subject: csr.Subject{CommonName: "placeholder.acme.example"}}
			*q.field(&try.Subject) = answer
			return firstFail(csr.Prepare(try))
		}
		answer, err := p.Text(ctx, q.Question)
		if err != nil {
			return asked, err
		}
		asked = true
		*value = strings.TrimSpace(answer)
		if q.Flag != "cn" {
			*q.field(last) = *value
			a.keepAnswers(last) // after each answer: a form left is not a form lost
		}
	}
	apex, ok := strings.CutPrefix(spec.CommonName, "*.")
	if !ok || spec.WithApex || given("with-apex") {
		return asked, nil
	}
	spec.WithApex, err = p.Confirm(ctx, Question{
		Flag: "with-apex", Label: "Cover " + apex + " itself too?", Help: "a star stands for one label, so *." + apex + " does not",
	})
	return true, err
}

// What to do about a key that is there already.
const (
	stopAtKey = iota
	reuseKey
	replaceKey
)

// askAboutKey asks what to do when the key of an earlier request is there. It is
// for a person to decide; where nobody can be asked, writing refuses.
func (a *app) askAboutKey(ctx context.Context, o *csrNewOptions, path string) error {
	p, err := a.prompter()
	if _, missing := os.Stat(path); err != nil || missing != nil || o.force || o.dryRun || o.keyFile != "" {
		return nil //nolint:nilerr // nobody to ask, or nothing to ask about
	}
	choice, err := p.Choose(ctx, Question{Flag: "key-file", Label: path + " is there already"}, []string{
		stopAtKey:  "stop and change nothing",
		reuseKey:   "make a new request for that key; the old request is kept beside",
		replaceKey: "make a new key and request; the old ones are kept beside",
	})
	switch {
	case err != nil:
		return err
	case choice == stopAtKey:
		return errCancelled
	case choice == reuseKey:
		o.keyFile = path
	}
	o.force = true
	return nil
}

func firstFail(_ *csr.Request, findings []report.Finding) error {
	for _, f := range findings {
		if f.Status == report.StatusFail {
			return errors.New(f.Detail + "; " + f.Remedy)
		}
	}
	return nil
}

// answersFile keeps what was typed last for a request's subject: defaults for
// the next one, and no secrets.
const answersFile = "csr-answers.json"

func (a *app) answersPath() string {
	dir, err := os.UserConfigDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "onsite", answersFile)
}

// lastAnswers is empty when there are none or they cannot be read: they are a
// convenience only.
func (a *app) lastAnswers() *csr.Subject {
	last := &csr.Subject{}
	data, err := os.ReadFile(a.answersPath())
	if err == nil {
		err = json.Unmarshal(data, last)
	}
	if err != nil {
		return &csr.Subject{}
	}
	return last
}

func (a *app) keepAnswers(last *csr.Subject) {
	path := a.answersPath()
	data, err := json.MarshalIndent(last, "", "  ")
	if err == nil && path != "" {
		if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
			err = os.WriteFile(path, append(data, '\n'), 0o600)
		}
	}
	if err != nil && a.flags.verbose {
		a.say("the answers could not be kept for the next time: %v", err)
	}
}

// commandLine is the command that makes the same request without questions.
// Secrets are named by their files.
func (o *csrNewOptions) commandLine() string {
	args := []string{"onsite", "csr", "new", o.spec.CommonName}
	add := func(flag, value string) {
		if value != "" {
			args = append(args, "--"+flag, value)
		}
	}
	args = append(args, subjectArgs(&o.spec)...)
	if o.spec.UnstructuredName != nil {
		args = append(args, "--unstructured-name", o.unstructuredName)
	}
	if o.key != csr.DefaultKey.String() && o.keyFile == "" {
		add("key", o.key)
	}
	if o.hash != "sha256" {
		add("hash", o.hash)
	}
	if o.out != "." {
		add("out", o.out)
	}
	for _, s := range []secretFlags{o.keyPassword, o.challenge} {
		add(s.name+"-file", s.file)
		add(s.name+"-env", s.env)
	}
	add("key-file", o.keyFile)
	if o.force {
		args = append(args, "--force")
	}
	return quoteArgs(append(args, "--no-input"))
}

// quoteArgs joins arguments so that they can be pasted into cmd.exe or a Unix
// shell, each its own way.
func quoteArgs(args []string) string {
	quoted := make([]string, len(args))
	for i, arg := range args {
		switch {
		case arg != "" && !strings.ContainsAny(arg, " \t\"'*?&|<>^%!$`\\();"):
			quoted[i] = arg
		case runtime.GOOS == "windows":
			quoted[i] = quoteWindows(arg)
		default:
			quoted[i] = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}

// quoteWindows quotes as programs there take their command line apart: a
// backslash before a quote stands for itself only when it is doubled.
func quoteWindows(arg string) string {
	var b strings.Builder
	backslashes := 0
	for _, r := range arg {
		switch r {
		case '\\':
			backslashes++
			continue
		case '"':
			b.WriteString(strings.Repeat(`\`, 2*backslashes+1))
		default:
			b.WriteString(strings.Repeat(`\`, backslashes))
		}
		backslashes = 0
		b.WriteRune(r)
	}
	return `"` + b.String() + strings.Repeat(`\`, 2*backslashes) + `"`
}
