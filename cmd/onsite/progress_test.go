package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// clock is a time that goes on when it is told to.
type clock struct{ time.Time }

func (c *clock) now() time.Time       { return c.Time }
func (c *clock) pass(d time.Duration) { c.Time = c.Add(d) }

// progressOf shows some work: 1000 things, of which each 100 take two seconds.
func progressOf(t *testing.T, terminal bool, env map[string]string, flags globalFlags) string {
	t.Helper()
	var out bytes.Buffer
	c := &clock{time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)}
	a := &app{
		io: &streams{err: &out, errTTY: terminal, columns: 60}, now: c.now, flags: flags,
		env: func(k string) (string, bool) { v, ok := env[k]; return v, ok },
	}
	p := a.progress("requests", 1000)
	p.done(200) // were done before
	for n := 300; n <= 1000; n += 100 {
		c.pass(2 * time.Second)
		p.done(n)
		p.done(n) // at the same moment: nothing new
	}
	p.end()
	p.end()
	return out.String()
}

func TestProgressOnTerminal(t *testing.T) {
	t.Parallel()
	out := progressOf(t, true, nil, globalFlags{})
	drawn := strings.Split(out, "\r")
	if want := "[######..............] 300 of 1000 requests, about 14 s left"; len(drawn) < 2 || !strings.HasPrefix(drawn[1], strings.Split(want, "]")[0][:4]) || !strings.Contains(drawn[1], "300 of 1000 requests, about 14 s left") {
		t.Errorf("the first bar is %q, want one such as %q", drawn[1], want)
	}
	if len(drawn) != 1+8+2 {
		t.Errorf("it drew %d times: %q", len(drawn)-1, drawn)
	}
	longest := 0
	for _, line := range drawn {
		longest = max(longest, len(line))
	}
	if longest > 59 || strings.Contains(out, "\n") {
		t.Errorf("the longest bar has %d columns of 60", longest)
	}
	if last := drawn[len(drawn)-2:]; strings.TrimSpace(last[0]) != "" || last[1] != "" {
		t.Errorf("the bar is not taken away: %q", last)
	}
}

func TestProgressElsewhere(t *testing.T) {
	t.Parallel()
	want := "... 500 of 1000 requests, about 10 s left\n... 800 of 1000 requests, about 4 s left\n"
	for name, got := range map[string]string{
		"a pipe":          progressOf(t, false, nil, globalFlags{}),
		"TERM=dumb":       progressOf(t, true, map[string]string{"TERM": "dumb"}, globalFlags{}),
		"a screen reader": progressOf(t, true, map[string]string{"ACCESSIBLE": "1"}, globalFlags{}),
	} {
		if got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for _, flags := range []globalFlags{{quiet: true}, {json: true}} {
		if got := progressOf(t, true, nil, flags); got != "" {
			t.Errorf("with %+v it shows %q", flags, got)
		}
	}
}

func TestAbout(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "about 1 s", 89 * time.Second: "about 89 s", 100 * time.Second: "about 2 min", 100 * time.Minute: "about 2 h",
	} {
		if got := about(d); got != want {
			t.Errorf("about(%s) = %q, want %q", d, got, want)
		}
	}
}
