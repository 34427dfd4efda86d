package main

import (
	"context"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/kardianos/service"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"onsite/report"
)

// serviceSpec is a command that the system is to run by itself from now on: as a
// Windows service, a systemd unit or a launchd job.
type serviceSpec struct {
	Name  string // "onsite-dns-update-site.acme.example"
	Title string // one line for people
	Args  []string
	// Program is the whole path of this program.
	Program string
	// State is the folder that it writes to; a unit lets it write nowhere else.
	State string
}

// serviceFlags are those of every command that can run as a service.
type serviceFlags struct {
	install, uninstall bool
}

func (s *serviceFlags) add(f *pflag.FlagSet) {
	f.BoolVar(&s.install, "install", false, "have the system run this command from now on: as a Windows service, by systemd or launchd")
	f.BoolVar(&s.uninstall, "uninstall", false, "stop that again")
}

// serviceResult is the JSON result of --install and --uninstall.
type serviceResult struct {
	Service string   `json:"service"` // its name
	Manager string   `json:"manager"` // "linux-systemd", "windows-service", "darwin-launchd"
	Command []string `json:"command"`
	Unit    string   `json:"unit"` // what is written for it; "" on Windows
	DryRun  bool     `json:"dry_run"`
}

// The managers that package service calls by these names and that are known here.
const (
	managerSystemd = "linux-systemd"
	managerLaunchd = "darwin-launchd"
	managerWindows = "windows-service"
)

// manager is what runs services on this system, whether it runs now or not.
func manager() string {
	switch runtime.GOOS {
	case "windows":
		return managerWindows
	case "darwin":
		return managerLaunchd
	}
	return managerSystemd
}

// systemState is where a service remembers things on Linux.
const systemState = "/var/lib/onsite"

// serviceState is where a service remembers things: it has no home.
func (a *app) serviceState() string {
	switch runtime.GOOS {
	case "windows":
		if dir, _ := a.env("ProgramData"); dir != "" {
			return filepath.Join(dir, "onsite")
		}
		return `C:\ProgramData\onsite`
	case "darwin":
		return "/var/db/onsite"
	}
	return systemState
}

// serviceArgs are the arguments of a service that does what this command line
// says, without asking: every flag that was given, files by their whole path.
// Secrets stay in their files.
func serviceArgs(cmd *cobra.Command, args []string, files ...string) ([]string, error) {
	list := append(strings.Fields(commandName(cmd)), args...)
	var failed error
	cmd.Flags().Visit(func(f *pflag.Flag) {
		value := f.Value.String()
		switch f.Name {
		case "install", "uninstall", "dry-run", "force", "yes", "no-input", "json", "quiet", "verbose", "strict", "color":
			return
		}
		if strings.HasSuffix(f.Name, "-env") {
			failed = usageError("--%s names a variable that a service does not see: put the secret into a file, and use --%s-file", f.Name, strings.TrimSuffix(f.Name, "-env"))
			return
		}
		for _, name := range files {
			if f.Name != name {
				continue
			}
			if value == "-" {
				failed = usageError("--%s -: a service has no standard input; name a file", f.Name)
				return
			}
			if whole, err := filepath.Abs(cleanPath(value)); err == nil {
				value = whole
			}
		}
		if slice, ok := f.Value.(pflag.SliceValue); ok {
			for _, v := range slice.GetSlice() {
				if _, err := os.Stat(v); err == nil {
					v, _ = filepath.Abs(v)
				}
				list = append(list, "--"+f.Name+"="+v)
			}
			return
		}
		list = append(list, "--"+f.Name+"="+value)
	})
	return append(list, "--yes", "--no-input"), failed
}

// unit is the text that tells the manager of the service; "" on Windows, which
// keeps it in its registry.
func (s *serviceSpec) unit(manager string) (string, error) {
	for _, v := range append([]string{s.Name, s.Title, s.Program}, s.Args...) {
		if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f }) || strings.Contains(v, "{{") {
			return "", usageError("%q cannot stand in the description of a service", v)
		}
	}
	switch manager {
	case managerSystemd:
		return s.systemd(), nil
	case managerLaunchd:
		return s.launchd(), nil
	}
	return "", nil
}

// systemd is the unit file: see systemd.service(5) and systemd.exec(5).
func (s *serviceSpec) systemd() string {
	words := []string{systemdWord(s.Program)}
	for _, arg := range s.Args {
		words = append(words, systemdWord(arg))
	}
	return `[Unit]
Description=` + strings.ReplaceAll(s.Title, "%", "%%") + `
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=` + strings.Join(words, " ") + `
Restart=on-failure
RestartSec=60
# Wrong usage, a missing value, an unreadable file: starting again would not help.
RestartPreventExitStatus=2 4 5
` + s.writable() + `
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=read-only

[Install]
WantedBy=multi-user.target
`
}

// writable is the folder that a unit may write to. systemd makes the usual one.
func (s *serviceSpec) writable() string {
	if s.State == "" || s.State == systemState {
		return "StateDirectory=" + filepath.Base(systemState)
	}
	return "ReadWritePaths=" + systemdWord(s.State)
}

// systemdWord quotes a word of ExecStart, where % and $ stand for other things.
func systemdWord(s string) string {
	s = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%", "$", "$$").Replace(s)
	if s == "" || strings.ContainsAny(s, " \t'\"\\;#") {
		return `"` + s + `"`
	}
	return s
}

// launchd is the property list: see launchd.plist(5).
func (s *serviceSpec) launchd() string {
	var b strings.Builder
	text := func(v string) string {
		var e strings.Builder
		xml.EscapeText(&e, []byte(v)) //nolint:errcheck // a Builder takes everything
		return "<string>" + e.String() + "</string>"
	}
	b.WriteString(xml.Header + `<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>Label</key>
	` + text(s.Name) + `
	<key>ProgramArguments</key>
	<array>
`)
	for _, arg := range append([]string{s.Program}, s.Args...) {
		b.WriteString("\t\t" + text(arg) + "\n")
	}
	b.WriteString(`	</array>
	<key>RunAtLoad</key>
	<true/>
	<key>KeepAlive</key>
	<dict>
		<key>SuccessfulExit</key>
		<false/>
	</dict>
	<key>ThrottleInterval</key>
	<integer>60</integer>
	<key>StandardErrorPath</key>
	` + text("/var/log/"+s.Name+".log") + `
</dict>
</plist>
`)
	return b.String()
}

// system prepares the work of package service.
func (s *serviceSpec) system(unit string) (service.Service, error) {
	return service.New(idle{}, &service.Config{
		Name: s.Name, DisplayName: s.Name, Description: s.Title, Executable: s.Program, Arguments: s.Args,
		Option: service.KeyValue{
			"SystemdScript": unit, "LaunchdConfig": unit,
			"DelayedAutoStart": true, "OnFailure": "restart", "OnFailureDelayDuration": "60s", "OnFailureResetPeriod": 3600,
		},
	})
}

// idle is a service that is installed or removed, and not run.
type idle struct{}

func (idle) Start(service.Service) error { return nil }
func (idle) Stop(service.Service) error  { return nil }

// canInstall says what keeps this process from changing the system's services.
func canInstall(s *serviceSpec) error {
	if service.Platform() != manager() {
		return report.Errorf(report.KindRefused, "service.unknown", "--install --dry-run prints the unit; have what starts programs here run its command",
			"services are run by something else than systemd here: %s was not installed", s.Name)
	}
	if runtime.GOOS != "windows" && os.Geteuid() != 0 {
		return report.Errorf(report.KindRefused, "service.denied", "run it with sudo", "only root may change the system's services")
	}
	return nil
}

// changeService installs or removes a service, after it was agreed to.
func (a *app) changeService(ctx context.Context, flags serviceFlags, s serviceSpec, dryRun bool) (outcome, error) {
	unit, err := s.unit(manager())
	if err != nil {
		return outcome{}, err
	}
	r := &serviceResult{Service: s.Name, Manager: manager(), Command: append([]string{s.Program}, s.Args...), Unit: unit, DryRun: dryRun}
	if dryRun {
		return outcome{Result: r, Text: r.text}, nil
	}
	if err := canInstall(&s); err != nil {
		return outcome{}, err
	}
	question, done := "Have the system run "+s.Name+" from now on, also after a restart?", "installed and started: "+s.Name
	if flags.uninstall {
		question, done = "Stop "+s.Name+" and have the system not run it any more?", "stopped and removed: "+s.Name
	}
	if err := a.confirm(ctx, question); err != nil {
		return outcome{}, err
	}
	sys, err := s.system(unit)
	if err == nil && flags.uninstall {
		sys.Stop() //nolint:errcheck // it may not run; removing it says what is wrong
		err = sys.Uninstall()
	} else if err == nil {
		if err = sys.Install(); err == nil {
			err = sys.Start()
		}
	}
	if err != nil {
		return outcome{}, report.Errorf(report.KindFailed, "service.failed", serviceRemedy(flags), "%s: %w", s.Name, err)
	}
	return outcome{Result: r, Text: func(p *printer) { p.linef("%s", done) }}, nil
}

func serviceRemedy(flags serviceFlags) string {
	switch {
	case flags.uninstall:
		return "look whether it is there under that name, in the system's list of services"
	case runtime.GOOS == "windows":
		return "run it from an elevated prompt (Run as administrator); when it is there already, remove it first with --uninstall"
	}
	return "when it is there already, remove it first with --uninstall; its log says more, on Linux: journalctl -u NAME"
}

func (r *serviceResult) text(p *printer) {
	p.linef("Nothing was changed (--dry-run). Service %s would run:", r.Service)
	p.linef("  %s", strings.Join(r.Command, " "))
	if r.Unit != "" {
		p.linef("")
		p.linef("%s", strings.TrimRight(r.Unit, "\n"))
	}
}

// asService runs work. Where Windows' service manager has started this program,
// that is told so, and its stop ends the work; log goes to the Event Log then.
func (a *app) asService(ctx context.Context, name string, log func(report.Finding), work func(context.Context, func(report.Finding)) error) error {
	if runtime.GOOS != "windows" || service.Interactive() {
		return work(ctx, log)
	}
	r := &running{ctx: ctx, work: work, log: log}
	sys, err := service.New(r, &service.Config{Name: name})
	if err != nil {
		return fmt.Errorf("talk to the service manager: %w", err)
	}
	if l, err := sys.Logger(nil); err == nil {
		r.log = func(f report.Finding) {
			text := fmt.Sprintf("%s: %s\n%s\n%s", f.Subject, f.Detail, f.Remedy, f.Code)
			switch f.Status {
			case report.StatusFail:
				l.Error(text) //nolint:errcheck // there is nobody else to tell
			case report.StatusWarn, report.StatusUnknown:
				l.Warning(text) //nolint:errcheck // likewise
			default:
				l.Info(text) //nolint:errcheck // likewise
			}
		}
	}
	if err := sys.Run(); err != nil {
		return err
	}
	return r.err
}

// running is a service at work.
type running struct {
	ctx  context.Context
	work func(context.Context, func(report.Finding)) error
	log  func(report.Finding)

	cancel context.CancelFunc
	done   chan struct{}
	err    error
}

// Start begins the work and returns at once, as Windows wants it. Work that ends
// by itself is noticed when the service is stopped.
func (r *running) Start(service.Service) error {
	var ctx context.Context
	ctx, r.cancel = context.WithCancel(r.ctx)
	r.done = make(chan struct{})
	go func() {
		defer close(r.done)
		if r.err = r.work(ctx, r.log); r.err != nil {
			e := report.AsError(r.err)
			r.log(report.Fail(e.Code, "service", e.Message, e.Remedy))
		}
	}()
	return nil
}

// Stop ends the work and waits until it has.
func (r *running) Stop(service.Service) error {
	r.cancel()
	<-r.done
	return nil
}
