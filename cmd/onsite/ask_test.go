package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// scriptPrompter answers by flag name and fails the test on a question that it
// does not expect.
type scriptPrompter struct {
	t       *testing.T
	answers map[string]string
	asked   []string
}

func (s *scriptPrompter) answer(q Question) string {
	s.t.Helper()
	a, ok := s.answers[q.Flag]
	if !ok {
		s.t.Errorf("unexpected question for --%s: %s", q.Flag, q.Label)
	}
	s.asked = append(s.asked, q.Flag)
	return a
}

func (s *scriptPrompter) Text(_ context.Context, q Question) (string, error) {
	a := s.answer(q)
	if q.Validate != nil {
		if err := q.Validate(a); err != nil {
			s.t.Errorf("--%s refuses %q: %v", q.Flag, a, err)
		}
	}
	return a, nil
}

func (s *scriptPrompter) Secret(_ context.Context, q Question, _ bool) ([]byte, error) {
	return []byte(s.answer(q)), nil
}

func (s *scriptPrompter) Choose(_ context.Context, q Question, options []string) (int, error) {
	a := s.answer(q)
	for i, o := range options {
		if strings.Contains(o, a) {
			return i, nil
		}
	}
	s.t.Errorf("--%s offers no %q", q.Flag, a)
	return 0, nil
}

func (s *scriptPrompter) Confirm(_ context.Context, q Question) (bool, error) {
	yes, _ := isYes(s.answer(q))
	return yes, nil
}

func TestWizard(t *testing.T) {
	home := t.TempDir()
	for _, k := range []string{"XDG_CONFIG_HOME", "HOME", "AppData"} {
		t.Setenv(k, home)
	}
	dir := t.TempDir()
	steps := []struct {
		name    string
		args    []string
		answers map[string]string
		asked   string
		code    int
		stdout  string
	}{
		{
			"everything is asked for",
			nil,
			map[string]string{
				"cn": "*.acme.com.au", "country": "AU", "state": "NSW", "locality": "Newcastle", "organization": "Acme", "unit": "", "email": "",
				"with-apex": "no",
			},
			"cn country state locality organization unit email with-apex", exitOK,
			"onsite csr new ",
		},
		{
			"a key that is there, and a change of mind",
			[]string{"*.acme.com.au", "--country", "AU", "--state", "NSW", "--locality", "N", "--organization", "A", "--unit", "", "--email", "", "--with-apex"},
			map[string]string{"key-file": "stop"},
			"key-file", exitInterrupted, "",
		},
	}
	for _, s := range steps {
		script := &scriptPrompter{t: t, answers: s.answers}
		var out, errOut bytes.Buffer
		a := &app{
			io:  &streams{in: strings.NewReader(""), out: &out, err: &errOut},
			env: func(string) (string, bool) { return "", false }, now: time.Now, ask: script,
		}
		code := a.execute(t.Context(), append([]string{"csr", "new", "--key", "ec:p256", "--out", dir}, s.args...))
		if code != s.code || strings.Join(script.asked, " ") != s.asked || !strings.Contains(out.String(), s.stdout) {
			t.Errorf("%s: exit status %d, asked %q, printed\n%s%s", s.name, code, script.asked, &out, &errOut)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "wildcard.acme.com.au.csr")); err != nil {
		t.Error(err)
	}
	if last, err := os.ReadFile(filepath.Join(home, "onsite", answersFile)); err == nil && !bytes.Contains(last, []byte("Newcastle")) {
		t.Errorf("the answers kept for the next time are %s", last)
	}
}

func TestQuoteWindows(t *testing.T) {
	t.Parallel()
	for arg, want := range map[string]string{
		`a b`: `"a b"`, `C:\certs\`: `"C:\certs\\"`, `say "hi"`: `"say \"hi\""`, `a\"b`: `"a\\\"b"`, `C:\a b\c`: `"C:\a b\c"`, "": `""`,
	} {
		if got := quoteWindows(arg); got != want {
			t.Errorf("quoteWindows(%s) = %s, want %s", arg, got, want)
		}
	}
}

// lines is a line prompter that reads what is typed and shows to out.
func lines(typed string, out *bytes.Buffer) *linePrompter {
	in := bufio.NewReader(strings.NewReader(typed))
	return &linePrompter{in: in, out: out, restore: func() {}, hide: func() (func(), error) { return func() {}, nil }}
}

func TestLinePrompter(t *testing.T) {
	t.Parallel()
	noSpace := func(s string) error {
		if strings.Contains(s, " ") {
			return errors.New("no spaces")
		}
		return nil
	}
	var out bytes.Buffer
	if got, err := lines("a b\nab\n", &out).Text(t.Context(), Question{Label: "Name", Validate: noSpace}); got != "ab" || err != nil {
		t.Errorf("Text after a wrong answer = %q, %v", got, err)
	}
	if !strings.Contains(out.String(), "no spaces") {
		t.Errorf("the person was not told what is wrong: %q", &out)
	}
	if got, err := lines("\n", &out).Text(t.Context(), Question{Label: "Name", Default: "x"}); got != "x" || err != nil {
		t.Errorf("Text with a default = %q, %v", got, err)
	}
	if _, err := lines("", &out).Text(t.Context(), Question{Label: "Name", Default: "x"}); !errors.Is(err, errCancelled) {
		t.Errorf("Text at the end of the input = %v, want errCancelled", err)
	}
	if _, err := lines(strings.Repeat("a b\n", 9), &out).Text(t.Context(), Question{Validate: noSpace}); !errors.Is(err, errTooMany) {
		t.Errorf("Text after many wrong answers = %v, want errTooMany", err)
	}
	if got, err := lines("one\ntwo\nsame\nsame\n", &out).Secret(t.Context(), Question{Label: "Password"}, true); string(got) != "same" || err != nil {
		t.Errorf("Secret typed twice = %q, %v", got, err)
	}
	for typed, want := range map[string]string{"seä\x7fcret\r": "secret", "oops\x15secret\n": "secret", "\x7f\n": ""} {
		if got, err := lines(typed, &out).Secret(t.Context(), Question{Label: "Password"}, false); string(got) != want || err != nil {
			t.Errorf("Secret(%q) = %q, %v, want %q", typed, got, err, want)
		}
	}
	for _, typed := range []string{"sec\x03", "sec\x04ret\n", ""} {
		if got, err := lines(typed, &out).Secret(t.Context(), Question{Label: "Password"}, false); !errors.Is(err, errCancelled) {
			t.Errorf("Secret(%q) = %q, %v, want errCancelled", typed, got, err)
		}
	}
	if got, err := lines("9\n2\n", &out).Choose(t.Context(), Question{Label: "Which"}, []string{"a", "b"}); got != 1 || err != nil {
		t.Errorf("Choose = %d, %v", got, err)
	}
	for typed, want := range map[string]bool{"y\n": true, "YES\n": true, "n\n": false, "\n": false, "perhaps\ny\n": true} {
		if got, err := lines(typed, &out).Confirm(t.Context(), Question{Label: "Sure"}); got != want || err != nil {
			t.Errorf("Confirm(%q) = %v, %v, want %v", typed, got, err, want)
		}
	}
}

// TestAwaitCancelled ends the context while a prompt waits for a person.
func TestAwaitCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	waiting, release, restored := make(chan struct{}), make(chan struct{}), false
	defer close(release)
	go func() {
		<-waiting
		cancel()
	}()
	_, err := await(ctx, func() { restored = true }, func() (string, error) {
		close(waiting)
		<-release
		return "too late", nil
	})
	if !errors.Is(err, errCancelled) || !restored {
		t.Errorf("await = %v, terminal restored: %v", err, restored)
	}
}

func TestOneLine(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		data, want string
		ok         bool
	}{
		{"secret", "secret", true},
		{"secret\n", "secret", true},
		{"secret \r\n", "secret ", true},
		{"\xef\xbb\xbfsecret\n", "secret", true},
		{"\xff\xfes\x00\xe4\x00\r\x00\n\x00", "sä", true},
		{"\xfe\xff\x00s\x00\xe4", "sä", true},
		{"", "", true},
		{"one\ntwo\n", "", false},
		{"se\x00cret", "", false},
		{"\xe4rger", "", false},
		{strings.Repeat("x", maxSecret+1), "", false},
	} {
		got, err := oneLine([]byte(tt.data))
		if string(got) != tt.want && tt.ok || (err == nil) != tt.ok {
			t.Errorf("oneLine(%.20q) = %q, %v, want %q", tt.data, got, err, tt.want)
		}
	}
}

func TestCleanPath(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{`C:\x\y"`: `C:\x\y`, `C:\x\"`: `C:\x`, `D:"`: `D:\`, "plain": "plain"} {
		if got := cleanPath(path); got != want {
			t.Errorf("cleanPath(%q) = %q, want %q", path, got, want)
		}
	}
}
