package main

import (
	"context"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"onsite/csr"
	"onsite/report"
)

// secretFlags are the two ways to hand a secret to a command without showing it
// to everybody who can list processes: --NAME-file and --NAME-env.
type secretFlags struct {
	name      string // "password"
	file, env string
}

func addSecretFlags(cmd *cobra.Command, s *secretFlags, name, what string) {
	s.name = name
	cmd.Flags().StringVar(&s.file, name+"-file", "", "file with "+what+"; - is standard input")
	cmd.Flags().StringVar(&s.env, name+"-env", "", "name of the environment variable that holds "+what)
}

// maxSecret is the length in bytes above which a file holds no password.
const maxSecret = 4096

// secret returns what the flags name. ok is false when none was given.
func (a *app) secret(ctx context.Context, s secretFlags) (value []byte, ok bool, err error) {
	switch {
	case s.file != "" && s.env != "":
		return nil, false, usageError("--%s-file and --%s-env exclude each other", s.name, s.name)
	case s.env != "":
		v, found := a.env(s.env)
		if !found {
			return nil, false, report.Errorf(report.KindMissing, "value.missing", "give the name of a variable that is set, not its value; or use --"+s.name+"-file",
				"the environment variable that --%s-env names is not set", s.name) // its name may be the secret, by mistake
		}
		return []byte(v), true, nil
	case s.file != "":
		data, err := a.readSmall(ctx, "--"+s.name+"-file", s.file, maxSecret)
		if err != nil {
			return nil, false, err
		}
		value, err := oneLine(data)
		if err != nil {
			return nil, false, report.Errorf(report.KindInput, "secret.format", "put the password alone on one line",
				"--%s-file %s: %w", s.name, s.file, err)
		}
		return value, true, nil
	}
	return nil, false, nil
}

// newSecret is secret for a password that is to protect something: an empty one
// would silently protect nothing.
func (a *app) newSecret(ctx context.Context, s secretFlags) ([]byte, error) {
	value, given, err := a.secret(ctx, s)
	if err == nil && given && len(value) == 0 {
		err = report.Errorf(report.KindInput, "secret.format", "put a password there, or leave the flag away",
			"the password of --%s-file or --%s-env is empty", s.name, s.name)
	}
	return value, err
}

// takeStdin makes sure that standard input is read for one thing only.
func (a *app) takeStdin(flag string) error {
	if a.stdinTaken != "" {
		return usageError("standard input can be read once: %s and %s both name it", a.stdinTaken, flag)
	}
	a.stdinTaken = flag
	return nil
}

// oneLine takes a secret out of a text file: a byte-order mark, UTF-16 (as
// PowerShell writes) and the line end of either system are not part of it.
// Spaces are.
func oneLine(data []byte) ([]byte, error) {
	if len(data) > maxSecret {
		return nil, errors.New("this is too long for a password")
	}
	data, _, err := transform.Bytes(unicode.BOMOverride(transform.Nop), data)
	if err != nil {
		return nil, errors.New("this is not a text file")
	}
	line := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	switch {
	case strings.ContainsAny(line, "\n\r"):
		return nil, errors.New("there is more than one line")
	case strings.ContainsRune(line, 0):
		return nil, errors.New("this is not a text file")
	case !utf8.ValidString(line):
		return nil, errors.New("the text is not UTF-8: save it as UTF-8")
	}
	return []byte(line), nil
}

// askSecret asks for a secret on the terminal; with twice it is typed again.
// label names what it opens: "the password of acme.pfx".
func (a *app) askSecret(ctx context.Context, s secretFlags, label string, twice bool) ([]byte, error) {
	p, err := a.prompter()
	if err != nil {
		return nil, s.missing(label)
	}
	return p.Secret(ctx, Question{Flag: s.name + "-file", Label: capital(label)}, twice)
}

// missing is the error for a secret that nobody can be asked for.
func (s secretFlags) missing(label string) error {
	return report.Errorf(report.KindMissing, "value.missing", "see onsite help secrets",
		"%s is missing: give it with --%s-file or --%s-env", label, s.name, s.name)
}

// askNewSecret asks for a password that is to protect something, until there is
// one.
func (a *app) askNewSecret(ctx context.Context, s secretFlags, label string) ([]byte, error) {
	for range tries {
		value, err := a.askSecret(ctx, s, label, true)
		if err != nil || len(value) > 0 {
			return value, err
		}
		a.say("An empty password protects nothing.")
	}
	return nil, errTooMany
}

// unlock opens something with the password that the flags give; else without
// one; else with one that it asks for.
func (a *app) unlock(ctx context.Context, s secretFlags, path string, open func(password []byte) error) error {
	password, given, err := a.secret(ctx, s)
	if err != nil {
		return err
	}
	err = open(password)
	for try := 0; !given && try < tries && (report.HasCode(err, csr.CodeKeyPasswordRequired) || report.HasCode(err, csr.CodeKeyPassword)); try++ {
		if try > 0 {
			a.say("That is not the password of %s.", path)
		}
		if password, err = a.askSecret(ctx, s, "the password of "+path, false); err != nil {
			return err
		}
		err = open(password)
	}
	return err
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
