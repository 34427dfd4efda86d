//go:build linux

package netlab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// built is the program under test, built once.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "onsite-netlab-")
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "onsite")
	build := exec.Command("go", "build", "-trimpath", "-o", binary, "onsite/cmd/onsite")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // static, as it is shipped
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(build.Args, " "), err, out)
	}
	return binary, nil
})

// Main runs the tests of a package that builds labs: call it from TestMain.
func Main(m *testing.M) int {
	code := m.Run()
	if binary, err := built(); err == nil {
		os.RemoveAll(filepath.Dir(binary))
	}
	return code
}

// Finding is a finding as it is printed.
type Finding struct{ Code, Status, Subject, Detail, Remedy string }

// Result is what one run of onsite gave.
type Result struct {
	Exit           int
	Stdout, Stderr string

	Status   string
	Result   json.RawMessage
	Findings []Finding
	Error    *struct{ Code, Message, Remedy string }
}

// Codes are the codes of the findings, and that of the error, as CODE:STATUS.
func (r Result) Codes() []string {
	var list []string
	for _, f := range r.Findings {
		list = append(list, f.Code+":"+f.Status)
	}
	if r.Error != nil {
		list = append(list, r.Error.Code+":error")
	}
	return list
}

// Run runs onsite on a host to its end, with --json, and reads what it printed.
func (l *Lab) Run(t testing.TB, host string, args ...string) Result {
	t.Helper()
	r := l.RunText(t, host, append([]string{"--json", "--no-input"}, args...)...)
	decoder := json.NewDecoder(strings.NewReader(r.Stdout))
	if err := decoder.Decode(&r); err != nil {
		t.Fatalf("%s: onsite %s: exit status %d, and not one JSON document: %v\n%s\n%s", host, strings.Join(args, " "), r.Exit, err, r.Stdout, r.Stderr)
	}
	return r
}

// RunText is Run for people's eyes: what is printed stays as it is.
func (l *Lab) RunText(t testing.TB, host string, args ...string) Result {
	t.Helper()
	cmd := l.command(t, host, args...)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	h := l.hosts[host]
	if err := h.start(cmd); err != nil {
		t.Fatal(err)
	}
	timeout := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer timeout.Stop()
	err := h.wait(cmd)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	r := Result{Exit: cmd.ProcessState.ExitCode(), Stdout: out.String(), Stderr: problems.String()}
	if r.Exit == -1 {
		t.Fatalf("%s: onsite %s: did not end in a minute\n%s\n%s", host, strings.Join(args, " "), r.Stdout, r.Stderr)
	}
	return r
}

// command is onsite as it is run on a host: the lab's root is the only trusted one.
func (l *Lab) command(t testing.TB, host string, args ...string) *exec.Cmd {
	t.Helper()
	cmd, err := l.onsite(host, args...)
	if err != nil {
		t.Fatal(err)
	}
	return cmd
}

func (l *Lab) onsite(host string, args ...string) (*exec.Cmd, error) {
	h := l.hosts[host]
	if h == nil {
		return nil, fmt.Errorf("netlab: there is no host %q", host)
	}
	binary, err := built()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(binary, args...)
	cmd.Dir = h.dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + h.dir, "TMPDIR=" + h.dir, "LC_ALL=C.UTF-8",
		"SSL_CERT_FILE=" + l.rootFile(), "SSL_CERT_DIR=" + filepath.Join(l.dir, "no-such-folder"),
	}
	return cmd, nil
}

func (l *Lab) launch(host string, args ...string) (*program, error) {
	cmd, err := l.onsite(host, args...)
	if err != nil {
		return nil, err
	}
	return l.hosts[host].launch(cmd)
}

// Process is onsite while it goes on.
type Process struct {
	*program
	t testing.TB
}

// Start starts a command of onsite that goes on until it is stopped.
func (l *Lab) Start(t testing.TB, host string, args ...string) *Process {
	t.Helper()
	p, err := l.launch(host, args...)
	if err != nil {
		t.Fatal(err)
	}
	return &Process{p, t}
}

// Says waits until the process has printed the text, and gives all it printed.
func (p *Process) Says(text string) string {
	p.t.Helper()
	for start := time.Now(); time.Since(start) < 30*time.Second; time.Sleep(10 * time.Millisecond) {
		over := p.ended()
		if strings.Contains(p.log(), text) {
			return p.log()
		}
		if over {
			break
		}
	}
	p.t.Fatalf("it never said %q:\n%s", text, p.log())
	return ""
}

// Stop ends the process as Ctrl-C would, and gives its exit status and all it printed.
func (p *Process) Stop() (exit int, output string) {
	p.interrupt()
	return p.cmd.ProcessState.ExitCode(), p.log()
}

// File writes a file on a host and gives its path.
func (l *Lab) File(t testing.TB, host, name, text string) string {
	t.Helper()
	path := filepath.Join(l.hosts[host].dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Command runs any program on a host and gives what it printed, and how it ended.
func (l *Lab) Command(host, name string, args ...string) (string, error) {
	return l.hosts[host].command("", name, args...)
}

// Dial connects from a host; the address must be a literal one.
func (l *Lab) Dial(ctx context.Context, host, network, address string) (net.Conn, error) {
	return l.hosts[host].dial(ctx, network, address)
}
