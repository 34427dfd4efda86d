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

// otherWay names the flag that gives the same secret in the other way: the
// command line wins over that, too.
func otherWay(flag string) string {
	if name, ok := strings.CutSuffix(flag, "-file"); ok {
		return name + "-env"
	}
	if name, ok := strings.CutSuffix(flag, "-env"); ok {
		return name + "-file"
	}
	return ""
}

// flagsFromEnvironment gives every flag that is not on the command line its
// value from the environment. An empty variable counts as none.
func (a *app) flagsFromEnvironment(cmd *cobra.Command) error {
	var failed error
	given := map[string]bool{}
	cmd.Flags().Visit(func(f *pflag.Flag) { given[f.Name] = true })
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		value, ok := a.env(environmentName(f.Name))
		if given[f.Name] || given[otherWay(f.Name)] || !ok || value == "" || failed != nil || f.Name == "help" {
			return
		}
		if err := cmd.Flags().Set(f.Name, value); err != nil {
			failed = usageError("%s=%q: not a value for --%s: %w", environmentName(f.Name), value, f.Name, err)
		}
	})
	return failed
}
