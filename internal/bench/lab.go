package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// built are the programs that a lab builds from the sources.
var built = map[string]string{"onsite": "onsite/cmd/onsite", "barersa": "onsite/internal/bench/barersa"}

// lab is the folder where the commands run, with the programs that are built.
// Nothing outside it is written.
type lab struct {
	dir    string
	env    []string
	stderr *os.File // of the command that runs; a file, so that nobody copies while time is taken
}

// newLab opens a lab and builds the programs in it. The default of dir is the user's
// cache folder: the usual temporary folder may be in memory, where writing to
// the disk would look free.
func newLab(ctx context.Context, dir string) (*lab, error) {
	if dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("no folder to work in: %w; name one with -dir", err)
		}
		dir = cache
	}
	l, err := openLab(dir)
	if err != nil {
		return nil, err
	}
	for name, source := range built {
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", l.program(name), source)
		build.Env = append(os.Environ(), "CGO_ENABLED=0") // static, as the README says to build it
		if out, err := build.CombinedOutput(); err != nil {
			err = fmt.Errorf("%s: %w\n%s", strings.Join(build.Args, " "), err, bytes.TrimSpace(out))
			return nil, errors.Join(err, l.close())
		}
	}
	return l, nil
}

// program is the path of one that was built.
func (l *lab) program(name string) string {
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return filepath.Join(l.dir, name)
}

// openLab makes a new folder inside dir.
func openLab(dir string) (*lab, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	work, err := os.MkdirTemp(dir, "onsite-bench-")
	if err != nil {
		return nil, err
	}
	l := &lab{dir: work}
	for _, v := range os.Environ() { // the caller's settings of onsite are not the row's
		if !strings.HasPrefix(strings.ToUpper(v), "ONSITE_") {
			l.env = append(l.env, v)
		}
	}
	if l.stderr, err = os.Create(filepath.Join(work, "stderr.txt")); err != nil {
		return nil, errors.Join(err, os.RemoveAll(work))
	}
	return l, nil
}

// close removes the lab with all that is in it.
func (l *lab) close() error {
	return errors.Join(l.stderr.Close(), os.RemoveAll(l.dir))
}

// missing names the first tool of the row that this machine does not have, or
// is empty.
func (l *lab) missing(r row) string {
	for _, command := range slices.Concat(r.ours, r.theirs) {
		tool, _, _ := strings.Cut(command, " ")
		if _, err := exec.LookPath(tool); err != nil && built[tool] == "" {
			return tool
		}
	}
	return ""
}

// measure proves both sides right, then runs them in turn n times.
func (l *lab) measure(ctx context.Context, r row, n int) ([]pair, error) {
	if r.setup != nil {
		if err := r.setup(ctx, l); err != nil {
			return nil, err
		}
	}
	for _, commands := range [][]string{r.ours, r.theirs} {
		if err := l.prove(ctx, r, commands); err != nil {
			return nil, err
		}
	}
	return inTurn(n,
		func() (time.Duration, error) { return l.once(ctx, r, r.ours) },
		func() (time.Duration, error) { return l.once(ctx, r, r.theirs) })
}

// prove runs one side untimed and looks closely at what it did: a command that
// does nothing would be fast.
func (l *lab) prove(ctx context.Context, r row, commands []string) error {
	if err := l.fresh(commands); err != nil {
		return err
	}
	var printed strings.Builder
	for _, c := range commands {
		out, err := l.output(ctx, c)
		if err != nil {
			return err
		}
		printed.WriteString(out)
	}
	err := l.made(r)
	if err == nil {
		err = r.prove(ctx, l, printed.String())
	}
	if err != nil {
		return fmt.Errorf("%s: wrong result: %w", strings.Join(commands, "; "), err)
	}
	return nil
}

// once times one side: from the start of its first process to the end of its
// last.
func (l *lab) once(ctx context.Context, r row, commands []string) (time.Duration, error) {
	if err := l.fresh(commands); err != nil {
		return 0, err
	}
	processes := make([]*exec.Cmd, len(commands))
	for i, c := range commands {
		processes[i] = l.command(ctx, c)
	}
	start := time.Now()
	for _, p := range processes {
		if err := p.Run(); err != nil {
			return 0, l.failed(p, err)
		}
	}
	took := time.Since(start)
	return took, l.made(r)
}

// fresh clears away what the last run left, and makes the folder out for a tool
// that does not make it itself.
func (l *lab) fresh(commands []string) error {
	out := filepath.Join(l.dir, "out")
	_, err := l.stderr.Seek(0, io.SeekStart)
	err = errors.Join(err, l.stderr.Truncate(0), os.RemoveAll(out))
	if err == nil && !strings.HasPrefix(commands[0], "onsite ") {
		err = os.Mkdir(out, 0o755)
	}
	return err
}

// made reports whether the files of the row are there.
func (l *lab) made(r row) error {
	for _, name := range r.makes {
		fi, err := os.Stat(filepath.Join(l.dir, filepath.FromSlash(name)))
		switch {
		case err != nil:
			return fmt.Errorf("%s was not made", name)
		case fi.Size() == 0:
			return fmt.Errorf("%s is empty", name)
		}
	}
	return nil
}

// command is a process of one line of a row; what it prints is dropped.
func (l *lab) command(ctx context.Context, line string) *exec.Cmd {
	words := strings.Fields(line)
	c := exec.CommandContext(ctx, words[0], words[1:]...)
	if built[words[0]] != "" {
		c = exec.CommandContext(ctx, l.program(words[0]), words[1:]...)
	}
	c.Args[0] = words[0]
	c.Dir, c.Env, c.Stderr = l.dir, l.env, l.stderr
	return c
}

// output runs a command, untimed, and returns what it printed.
func (l *lab) output(ctx context.Context, line string) (string, error) {
	var out bytes.Buffer
	c := l.command(ctx, line)
	c.Stdout = &out
	if err := c.Run(); err != nil {
		return "", l.failed(c, err)
	}
	return out.String(), nil
}

// failed is the error of a command, with what it said.
func (l *lab) failed(c *exec.Cmd, err error) error {
	said, readErr := os.ReadFile(l.stderr.Name())
	if readErr != nil {
		return errors.Join(err, readErr)
	}
	return fmt.Errorf("%s: %w\n%s", strings.Join(c.Args, " "), err, bytes.TrimSpace(said))
}

// same requires that all commands print the same, and something.
func (l *lab) same(ctx context.Context, lines ...string) error {
	first, err := l.output(ctx, lines[0])
	if err != nil {
		return err
	}
	if strings.TrimSpace(first) == "" {
		return fmt.Errorf("%s prints nothing", lines[0])
	}
	for _, line := range lines[1:] {
		out, err := l.output(ctx, line)
		if err != nil {
			return err
		}
		if out != first {
			return fmt.Errorf("%s and %s differ", lines[0], line)
		}
	}
	return nil
}

func (l *lab) write(name, text string) error {
	return os.WriteFile(filepath.Join(l.dir, name), []byte(text), 0o600)
}

// join writes the parts into one file, one after the other.
func (l *lab) join(name string, parts ...string) error {
	var all strings.Builder
	for _, p := range parts {
		data, err := os.ReadFile(filepath.Join(l.dir, p))
		if err != nil {
			return err
		}
		all.Write(data)
	}
	return l.write(name, all.String())
}

// fileSystemOf is the type of the file system that holds dir, or empty where
// the system does not tell.
func fileSystemOf(dir string) string {
	if resolved, err := filepath.EvalSymlinks(dir); err == nil {
		dir = resolved
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return ""
	}
	return fileSystem(string(mounts), dir)
}

// fileSystem finds dir in the lines of /proc/self/mounts (fstab(5)): the longest
// mount point above it, and of equals the last, which covers the others.
func fileSystem(mounts, dir string) string {
	kind, longest := "", 0
	for line := range strings.Lines(mounts) {
		f := strings.Fields(line)
		if len(f) < 3 {
			continue
		}
		point := strings.ReplaceAll(f[1], `\040`, " ")
		inside := point == "/" || dir == point || strings.HasPrefix(dir, point+"/")
		if inside && len(point) >= longest {
			kind, longest = f[2], len(point)
		}
	}
	return kind
}
