package site

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"onsite/report"
)

// demoFiles are what a demo leaves, as ABOUT.txt tells it.
var demoFiles = []string{
	"ABOUT.txt", "authority/root.pem", "bundle/certificates.zip", "bundle/password.txt", "bundle/portal.example.com.pfx",
	"report/report.json", "report/report.txt", "request/portal.example.com.csr", "request/portal.example.com.key",
	"web-server/cert.pem", "web-server/key.pem", "web-server/root.pem",
}

func tree(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			files = append(files, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func read(t *testing.T, path ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// wantGood wants a demo in which no check failed and none was left undone.
func wantGood(t *testing.T, d *Demo) {
	t.Helper()
	for _, f := range d.Report.Findings() {
		if f.Status != report.StatusPass {
			t.Errorf("the demo finds %q", f)
		}
		if _, ok := report.Explain(f.Code); !ok {
			t.Errorf("the code %s has no page", f.Code)
		}
	}
	var titles []string
	for _, s := range d.Report.Sections {
		titles = append(titles, s.Title)
	}
	if want := []string{"Request", "Archive", "Files", "Name", "Portal over HTTPS"}; !slices.Equal(titles, want) {
		t.Errorf("the report has the sections %q, want %q", titles, want)
	}
}

func TestRunDemo(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a demo")
	var steps []string
	d, err := RunDemo(t.Context(), DemoOptions{Dir: dir, Step: func(what string) { steps = append(steps, what) }})
	if err != nil {
		t.Fatal(err)
	}
	wantGood(t, d)
	if len(steps) != 6 || d.Dir != dir || d.Name != "portal.example.com" || d.Root != filepath.Join(dir, "authority", "root.pem") {
		t.Errorf("RunDemo = %+v with the steps %q", d, steps)
	}
	if got := tree(t, dir); !slices.Equal(got, demoFiles) {
		t.Errorf("the folder holds %q, want %q", got, demoFiles)
	}
	var stored report.Report
	if err := json.Unmarshal(read(t, dir, "report", "report.json"), &stored); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(stored.Findings(), d.Report.Findings()) || stored.Notice == "" || !stored.Made.Equal(d.Report.Made) {
		t.Errorf("report.json holds %+v, want %+v", stored, d.Report)
	}
	text := string(read(t, dir, "report", "report.txt"))
	for _, want := range []string{"This site is simulated", "portal.example.com", report.Summary(d.Report.Findings())} {
		if !strings.Contains(text, want) {
			t.Errorf("report.txt does not say %q:\n%s", want, text)
		}
	}
	// The portal has ended.
	if conn, err := net.Dial("tcp", d.HTTPS); err == nil {
		conn.Close()
		t.Errorf("something still listens at %s", d.HTTPS)
	}

	// Once more in the same folder: everything is made anew, what else is there stays.
	if err := os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := read(t, dir, "web-server", "key.pem")
	d, err = RunDemo(t.Context(), DemoOptions{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	wantGood(t, d)
	want := append(slices.Clone(demoFiles), "notes.txt")
	slices.Sort(want)
	if got := tree(t, dir); !slices.Equal(got, want) {
		t.Errorf("the folder holds %q, want %q", got, want)
	}
	if bytes.Equal(before, read(t, dir, "web-server", "key.pem")) || string(read(t, dir, "notes.txt")) != "mine" {
		t.Error("the second demo did not make a new key, or it changed notes.txt")
	}
}

// While it is served, the portal answers a browser on this computer.
func TestRunDemoServe(t *testing.T) {
	t.Parallel()
	served := false
	_, err := RunDemo(t.Context(), DemoOptions{Dir: t.TempDir(), Browser: true, Serve: func(ctx context.Context, d *Demo) {
		served = true
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(read(t, d.Root)) {
			t.Fatalf("%s holds no certificate", d.Root)
		}
		client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}
		_, port, err := net.SplitHostPort(d.HTTPS)
		if err != nil {
			t.Fatal(err)
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://localhost:"+port+"/healthz", nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Do(request)
		if err != nil {
			t.Errorf("GET %s: %v", request.URL, err)
			return
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			t.Errorf("GET %s: %s", request.URL, answer.Status)
		}
	}})
	if err != nil || !served {
		t.Errorf("RunDemo(Serve): %v, served %v", err, served)
	}
}

func TestRunDemoRefusesFolder(t *testing.T) {
	t.Parallel()
	for name, files := range map[string]map[string]string{
		"foreign":             {"precious.txt": "mine", "request": "mine too"},
		"foreign ABOUT.txt":   {"ABOUT.txt": "About us", "report": "mine"},
		"beginning like ours": {"ABOUT.txt": "This folder was made by me"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for file, text := range files {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, err := RunDemo(t.Context(), DemoOptions{Dir: dir})
			if !report.HasCode(err, "demo.folder") || report.AsError(err).Kind != report.KindRefused {
				t.Errorf("RunDemo(foreign folder): %v, want demo.folder", err)
			}
			if got := tree(t, dir); len(got) != len(files) {
				t.Errorf("the folder holds %q now", got)
			}
			for file, text := range files {
				if got := read(t, dir, file); string(got) != text {
					t.Errorf("%s is %q now", file, got)
				}
			}
		})
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := RunDemo(t.Context(), DemoOptions{Dir: file})
	if !report.HasCode(err, "demo.folder") || string(read(t, file)) != "mine" {
		t.Errorf("RunDemo(a file): %v, want demo.folder", err)
	}
}

func TestRunDemoCancelled(t *testing.T) {
	t.Parallel()
	t.Run("before", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		dir := filepath.Join(t.TempDir(), "demo")
		if _, err := RunDemo(ctx, DemoOptions{Dir: dir}); !errors.Is(err, context.Canceled) {
			t.Errorf("RunDemo(cancelled): %v, want %v", err, context.Canceled)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Error("a cancelled demo makes its folder")
		}
	})
	// At every step: an error comes back, and the folder can be used again.
	for at := 1; at <= 5; at++ {
		t.Run("step "+string(rune('0'+at)), func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			dir := t.TempDir()
			n := 0
			_, err := RunDemo(ctx, DemoOptions{Dir: dir, Step: func(string) {
				if n++; n == at {
					cancel()
				}
			}})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("RunDemo(cancelled at step %d): %v, want %v", at, err, context.Canceled)
			}
			if _, err := RunDemo(t.Context(), DemoOptions{Dir: dir}); err != nil {
				t.Errorf("RunDemo after it: %v", err)
			}
		})
	}
}

// An address that is taken is an error of the portal; nothing hangs.
func TestRunDemoAddressInUse(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, err = RunDemo(t.Context(), DemoOptions{Dir: t.TempDir(), HTTPS: taken.Addr().String()})
	if !report.HasCode(err, "portal.address.in-use") {
		t.Errorf("RunDemo(HTTPS taken): %v, want portal.address.in-use", err)
	}
}

// With a clock set to another year, everything is judged by that clock.
func TestRunDemoClock(t *testing.T) {
	t.Parallel()
	then := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	d, err := RunDemo(t.Context(), DemoOptions{Dir: t.TempDir(), Now: func() time.Time { return then }})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range d.Report.Findings() {
		// The date that HTTP sends is the real one.
		if f.Status != report.StatusPass && f.Code != "portal.clock.skew" {
			t.Errorf("the demo finds %q", f)
		}
	}
	if !d.Report.Made.Equal(then) {
		t.Errorf("the report is of %v, want %v", d.Report.Made, then)
	}
}

// Not parallel: it looks at the goroutines of the whole process.
func TestRunDemoEndsItsGoroutines(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if _, err := RunDemo(ctx, DemoOptions{Dir: t.TempDir(), Serve: func(context.Context, *Demo) { cancel() }}); err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	ours := func(stack string) bool {
		return strings.Contains(stack, "onsite/portal.") || strings.Contains(stack, "onsite/netcheck.") ||
			strings.Contains(stack, "onsite/site.(") || strings.Contains(stack, "miekg/dns.")
	}
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		buffer := make([]byte, 1<<20)
		stacks := strings.Split(string(buffer[:runtime.Stack(buffer, true)]), "\n\n")
		if !slices.ContainsFunc(stacks, ours) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("still running:\n%s", strings.Join(stacks, "\n\n"))
		}
	}
}
