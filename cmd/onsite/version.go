package main

import (
	"context"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the linker for a release; else it comes from the build.
var version string

type versionResult struct {
	Version  string `json:"version"`
	Revision string `json:"revision"` // of the source; "" when not known
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

func newVersionCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version of onsite",
		Example: `  onsite version
  onsite version --json`,
		Args: exactly(),
	}
	cmd.RunE = a.verb(func(context.Context, []string) (outcome, error) {
		v := buildVersion()
		return outcome{Result: v, Text: func(p *printer) {
			p.linef("onsite %s", v.Version)
			p.table([][2]string{{"revision", v.Revision}, {"built with", v.Go}, {"for", v.OS + "/" + v.Arch}})
		}}, nil
	})
	return cmd
}

func buildVersion() versionResult {
	v := versionResult{Version: version, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v.Revision = s.Value
			}
		}
		if v.Version == "" && info.Main.Version != "(devel)" {
			v.Version = info.Main.Version
		}
	}
	if v.Version == "" {
		v.Version = "devel"
	}
	return v
}
