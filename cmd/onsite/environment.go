package main

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// environmentName is the variable that stands for a flag: ONSITE_KEY_FILE for
// --key-file.
func environmentName(flag string) string {
	return "ONSITE_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// flagsFromEnvironment gives every flag that is not on the command line its
// value from the environment. An empty variable counts as none.
func (a *app) flagsFromEnvironment(cmd *cobra.Command) error {
	var failed error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		value, ok := a.env(environmentName(f.Name))
		if f.Changed || !ok || value == "" || failed != nil || f.Name == "help" {
			return
		}
		if err := cmd.Flags().Set(f.Name, value); err != nil {
			failed = usageError("%s=%q: not a value for --%s: %w", environmentName(f.Name), value, f.Name, err)
		}
	})
	return failed
}
