// Command bench measures commands of onsite beside the tools that do the same
// work by hand, and prints docs/performance.md on standard output:
//
//	go run ./internal/bench > docs/performance.md
//
// What it measures is the table in rows.go. It takes the wall time of whole
// processes, as a person or a batch file waits for them. It is not a benchmark
// of Go code (that is go test -bench), and no test rests on its figures.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run prints the page once everything is measured: half a page helps nobody.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	n := flags.Int("n", 30, "`pairs` of runs for each row; a row that varies much takes a multiple, a slow one a part")
	dir := flags.String("dir", "", "`folder` to work in, on the disk to be measured (default: the user's cache folder)")
	if err = flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if *n < 1 || flags.NArg() > 0 {
		return fmt.Errorf("usage: go run ./internal/bench [-n pairs] [-dir folder], with at least one pair")
	}
	l, err := newLab(ctx, *dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()

	p := page{
		Date: time.Now().UTC(), CPUs: runtime.NumCPU(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Go: runtime.Version(), FileSystem: fileSystemOf(l.dir),
	}
	if p.Peers, err = peerVersions(ctx); err != nil {
		return err
	}
	for _, r := range rows {
		res := result{row: r, Missing: l.missing(r)}
		if res.Missing == "" {
			pairs := r.pairs(*n)
			if _, err := fmt.Fprintf(stderr, "%s: %d pairs\n", r.name, pairs); err != nil {
				return err
			}
			measured, err := l.measure(ctx, r, pairs)
			if ctx.Err() != nil {
				return errors.New("interrupted, nothing was printed")
			}
			if err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			res.Summary = summarize(measured)
		}
		p.Results = append(p.Results, res)
	}
	for _, h := range hostiles {
		if _, err := fmt.Fprintln(stderr, h.name); err != nil {
			return err
		}
		r, err := l.refuse(ctx, h)
		if err != nil {
			return err
		}
		p.Refusals = append(p.Refusals, r)
	}
	_, err = io.WriteString(stdout, p.render())
	return err
}

// peerVersions is the first line that each peer on this machine says of itself.
func peerVersions(ctx context.Context) ([]string, error) {
	var versions []string
	for _, p := range peers {
		if _, err := exec.LookPath(p[0]); err != nil {
			continue
		}
		out, err := exec.CommandContext(ctx, p[0], p[1:]...).Output()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", strings.Join(p, " "), err)
		}
		line, _, _ := strings.Cut(string(out), "\n")
		line, _, _ = strings.Cut(line, " (") // OpenSSL repeats itself in brackets
		versions = append(versions, strings.TrimSpace(line))
	}
	return versions, nil
}
