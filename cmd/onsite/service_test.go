package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func testService() serviceSpec {
	return serviceSpec{
		Name: "onsite-dns-update-site.acme.example", Title: "onsite: keeps site.acme.example at 100% of its address",
		Program: "/opt/on site/onsite", Args: []string{"dns", "update", "site.acme.example", "--user=a&b", "--zone=", `--contact=it "x" \ $HOME 50%`, "--yes"},
	}
}

func TestSystemdUnit(t *testing.T) {
	t.Parallel()
	s := testService()
	unit, err := s.unit(managerSystemd)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"\nDescription=onsite: keeps site.acme.example at 100%% of its address\n",
		"\n" + `ExecStart="/opt/on site/onsite" dns update site.acme.example --user=a&b --zone= "--contact=it \"x\" \\ $$HOME 50%%" --yes` + "\n",
		"\nStateDirectory=onsite\n", "\nRestart=on-failure\n", "\nWantedBy=multi-user.target\n",
	} {
		if !strings.Contains(unit, want) {
			t.Errorf("the unit lacks %q:\n%s", want, unit)
		}
	}
	s.State = "/srv/on site"
	if unit, err = s.unit(managerSystemd); err != nil || !strings.Contains(unit, "\nReadWritePaths=\"/srv/on site\"\n") || strings.Contains(unit, "StateDirectory") {
		t.Errorf("a folder of its own: %v\n%s", err, unit)
	}
	for _, bad := range []string{"a\nExecStartPre=/bin/x", "{{Name}}", "\x00"} {
		s := testService()
		s.Args = append(s.Args, bad)
		if unit, err := s.unit(managerSystemd); err == nil {
			t.Errorf("%q went into the unit:\n%s", bad, unit)
		}
	}
}

// TestSystemdTakesUnit has systemd itself read the unit.
func TestSystemdTakesUnit(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	s := testService()
	s.Program = "/bin/sh"
	unit, err := s.unit(managerSystemd)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), s.Name+".service")
	if err := os.WriteFile(path, []byte(unit), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", "--man=no", path).CombinedOutput(); strings.Contains(string(out), path) {
		t.Errorf("systemd-analyze: %v\n%s", err, out)
	}
}

func TestLaunchdJob(t *testing.T) {
	t.Parallel()
	s := testService()
	job, err := s.unit(managerLaunchd)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	d := xml.NewDecoder(strings.NewReader(job))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, job)
		}
		if c, ok := token.(xml.CharData); ok && strings.TrimSpace(string(c)) != "" {
			texts = append(texts, string(c))
		}
	}
	all := strings.Join(texts, "|")
	if !strings.Contains(all, "ProgramArguments|/opt/on site/onsite|dns|update|site.acme.example|--user=a&b|--zone=|--contact=it \"x\" \\ $HOME 50%|--yes|") {
		t.Errorf("the job's arguments are %q", all)
	}
}

func TestServiceArgs(t *testing.T) {
	t.Parallel()
	run := func(args ...string) (got []string, err error) {
		root := newRootCmd(&app{io: &streams{}, env: func(string) (string, bool) { return "", false }})
		cmd, rest, err := root.Find([]string{"dns", "update"})
		if err != nil || len(rest) > 0 {
			t.Fatal(err, rest)
		}
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			got, err = serviceArgs(cmd, args, "password-file")
			return nil
		}
		root.SetArgs(append([]string{"dns", "update", "site.acme.example"}, args...))
		if e := root.Execute(); e != nil {
			t.Fatal(e)
		}
		return got, err
	}
	got, err := run("--watch", "--install", "--yes", "--json", "--dry-run", "--force", "--user", "a b", "--password-file", "pw.txt", "--resolver", "192.0.2.1,192.0.2.2")
	whole, _ := filepath.Abs("pw.txt")
	want := "dns update site.acme.example --password-file=" + whole + " --resolver=192.0.2.1 --resolver=192.0.2.2 --user=a b --watch=true --yes --no-input"
	if err != nil || strings.Join(got, " ") != want {
		t.Errorf("serviceArgs = %q, %v, want %q", got, err, want)
	}
	for _, args := range [][]string{{"--password-env", "PW"}, {"--password-file", "-"}} {
		if got, err := run(args...); err == nil {
			t.Errorf("serviceArgs%q = %q, want it refused: a service has neither", args, got)
		}
	}
}

// TestServiceManager: what this program calls the manager is what the library does.
func TestServiceManager(t *testing.T) {
	t.Parallel()
	want := map[string]string{"linux": managerSystemd, "windows": managerWindows, "darwin": managerLaunchd}[runtime.GOOS]
	if got := manager(); got != want {
		t.Errorf("manager = %q, want %q", got, want)
	}
	if s := testService(); runtime.GOOS != "linux" {
		unit, err := s.unit(manager())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.system(unit); err != nil {
			t.Errorf("the library does not take the service: %v", err)
		}
	}
}
