//go:build linux

package netlab

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// scenario is a site with one fault, what is asked about it, and the right answer.
type scenario struct {
	name string
	site Site
	host string // where onsite runs; empty: on the laptop
	// command is what is run; {public}, {old} and the like stand for the lab's values.
	command string
	before  func(t *testing.T, l *Lab)
	exit    int
	status  string
	// found are all findings but those that pass, and the error: CODE:STATUS. One too
	// many is a wrong answer, and fails like one too few.
	found string
	// passed are some of the codes that must have passed.
	passed string
	// says is what a finding or its remedy must hold, word for word.
	says []string
	// after looks at what else came of it.
	after func(t *testing.T, l *Lab, r Result)
}

// judge runs scenarios, each in a lab of its own.
func judge(t *testing.T, list []scenario) {
	t.Helper()
	for _, s := range list {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.run(t, Up(t, s.site))
		})
	}
}

// run puts one scenario to a lab that is up.
func (s scenario) run(t *testing.T, l *Lab) {
	t.Helper()
	if s.before != nil {
		s.before(t, l)
	}
	r := l.Run(t, s.from(), l.words(s.command)...)
	s.compare(t, r)
	if s.after != nil {
		s.after(t, l, r)
	}
	if t.Failed() {
		t.Logf("onsite %s\n%s\n%s", s.command, indented(r.Stdout), r.Stderr)
	}
}

func (s scenario) from() string {
	if s.host == "" {
		return "laptop"
	}
	return s.host
}

func (s scenario) compare(t *testing.T, r Result) {
	t.Helper()
	if r.Exit != s.exit || r.Status != s.status {
		t.Errorf("exit status %d and %s, want %d and %s", r.Exit, r.Status, s.exit, s.status)
	}
	var found, passed []string
	text := ""
	for _, f := range r.Findings {
		switch f.Status {
		case "pass":
			passed = append(passed, f.Code)
		case "skip":
		default:
			found = append(found, f.Code+":"+f.Status)
		}
		text += f.Subject + ": " + f.Detail + "\n" + f.Remedy + "\n"
	}
	if r.Error != nil {
		found = append(found, r.Error.Code+":error")
		text += r.Error.Message + "\n" + r.Error.Remedy + "\n"
	}
	slices.Sort(found)
	found = slices.Compact(found)
	wanted := strings.Fields(s.found)
	slices.Sort(wanted)
	if !slices.Equal(found, wanted) {
		t.Errorf("found %s, want %s", strings.Join(found, " "), strings.Join(wanted, " "))
	}
	for _, code := range strings.Fields(s.passed) {
		if !slices.Contains(passed, code) {
			t.Errorf("%s did not pass; these did: %s", code, strings.Join(passed, " "))
		}
	}
	for _, words := range s.says {
		if !strings.Contains(text, words) {
			t.Errorf("no finding says %q", words)
		}
	}
}

// words are the words of a command with the lab's values in them.
func (l *Lab) words(command string) []string {
	s := l.Site()
	values := strings.NewReplacer("{public}", s.Public(), "{old}", s.Old(), "{wan}", s.RouterWAN(), "{token}", "token.txt")
	list := strings.Fields(command)
	for i := range list {
		list[i] = values.Replace(list[i])
	}
	return list
}

func indented(text string) string {
	var v map[string]any
	if json.Unmarshal([]byte(text), &v) != nil {
		return text
	}
	if result, ok := v["result"].(map[string]any); ok && !testing.Verbose() {
		delete(result, "observations")
		if len(text) > 4000 {
			delete(v, "result")
		}
	}
	out, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return text
	}
	return string(out)
}

// What a technician runs in the LAN of a site where all is well: together it is to
// take less than five seconds.
func BenchmarkHealthySite(b *testing.B) {
	l := Up(b, Site{})
	l.Run(b, "laptop", "version") // the first run builds it
	for _, command := range []string{
		"net",
		"dns check portal.example.test --expect wan",
		"port check portal.example.test:8888 portal.example.test:4444 device.example.test:4500" +
			" --inside 8888=192.168.1.50:8888 --inside 4444=192.168.1.50:4444 --inside 4500=192.168.1.200:4370",
	} {
		words := strings.Fields(command)
		b.Run(strings.Join(words[:min(2, len(words))], " "), func(b *testing.B) {
			for b.Loop() {
				if r := l.Run(b, "laptop", words...); r.Exit != 0 {
					b.Fatalf("exit status %d, %v", r.Exit, r.Codes())
				}
			}
		})
	}
}
