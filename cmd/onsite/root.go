package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"onsite/report"
)

const rootLong = `onsite takes a customer's site from nothing to a working, proven set-up: a
certificate, a web portal behind HTTPS, and checks that say what is wrong and
what to do about it.

Every finding has a code; "onsite explain CODE" tells what it means.`

// Cobra lists help topics as if they were commands; they are words for "help".
const (
	topicsThere = "Additional help topics:{{range .Commands}}{{if .IsAdditionalHelpTopicCommand}}\n  {{rpad .CommandPath .CommandPathPadding}}"
	topicsHere  = "Help topics, as in onsite help exit-codes:{{range .Commands}}{{if .IsAdditionalHelpTopicCommand}}\n  {{rpad .Name .NamePadding}}"
)

// newRootCmd builds the whole command tree. Each call gives a fresh one.
func newRootCmd(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:           "onsite",
		Short:         "Set up a site: certificate, web portal, name, ports, clocks",
		Long:          rootLong,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.ArbitraryArgs,
		RunE:          group,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.flagsFromEnvironment(cmd); err != nil {
				return err
			}
			switch a.flags.color {
			case "auto", "always", "never":
				return nil
			}
			return usageError("--color %s: use auto, always or never", a.flags.color)
		},
	}
	f := root.PersistentFlags()
	f.BoolVar(&a.flags.json, "json", false, "print one JSON document instead of text")
	f.BoolVar(&a.flags.noInput, "no-input", false, "never ask; a missing value is an error")
	f.BoolVarP(&a.flags.yes, "yes", "y", false, "answer yes to every confirmation")
	f.BoolVarP(&a.flags.quiet, "quiet", "q", false, "print results and problems only")
	f.BoolVarP(&a.flags.verbose, "verbose", "v", false, "tell more about what happens and what went wrong")
	f.BoolVar(&a.flags.strict, "strict", false, "exit with 3 when there are warnings or unknowns")
	f.StringVar(&a.flags.color, "color", "auto", "colour the output: auto, always or never")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError("%w", err) })
	root.SetOut(a.io.out)
	root.SetErr(a.io.err)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetHelpCommand(&cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Help about a command or a topic",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return group(root, args)
			}
			return cmd.Help()
		},
	})
	root.SetUsageTemplate(strings.Replace(root.UsageTemplate(), topicsThere, topicsHere, 1))
	a.jsonHelp(root)

	root.AddCommand(
		newGroup("ca", "Run an in-house authority", newCAInitCmd(a), newCASignCmd(a), newCAShowCmd(a), newCARevokeCmd(a), newCACRLCmd(a)),
		newGroup("cert", "Read, sort out, judge and write certificates",
			newCertGatherCmd(a), newCertShowCmd(a), newCertVerifyCmd(a), newCertConvertCmd(a), newCertRestoreCmd(a), newCertSelfSignCmd(a)),
		newGroup("csr", "Make and read certificate requests", newCSRNewCmd(a), newCSRRenewCmd(a), newCSRShowCmd(a)),
		newGroup("dns", "Find out what a name leads to, and keep it right", newDNSCheckCmd(a), newDNSUpdateCmd(a)),
		newGroup("pfx", "Split and make PFX bundles", newPFXSplitCmd(a), newPFXMakeCmd(a)),
		newGroup("port", "Check forwarded ports from outside, and forward them on the router",
			newPortCheckCmd(a), newPortListenCmd(a), newPortGuideCmd(a),
			newGroup("forward", "List, make and remove the router's forwardings", newPortForwardListCmd(a), newPortForwardAddCmd(a), newPortForwardRemoveCmd(a))),
		newGroup("portal", "Serve and check the web portal", newPortalServeCmd(a), newPortalCheckCmd(a)),
		newGroup("reflector", "Serve a way to see a site from outside", newReflectorServeCmd(a)),
		newNetCmd(a),
		newDemoCmd(a), newExplainCmd(a), newVersionCmd(a),
	)
	root.AddCommand(helpTopics()...)
	return root
}

// newGroup is a command that only holds others.
func newGroup(name, short string, verbs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: name, Short: short, Args: cobra.ArbitraryArgs, RunE: group}
	cmd.AddCommand(verbs...)
	return cmd
}

// group is what a command does that was called without its verb, or with one
// that it does not have.
func group(cmd *cobra.Command, args []string) error {
	var verbs []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" {
			verbs = append(verbs, c.Name())
		}
	}
	choice := strings.Join(verbs, ", ")
	if len(args) == 0 {
		if json, err := cmd.Flags().GetBool("json"); err == nil && !json {
			cmd.SetOut(cmd.ErrOrStderr())
			cmd.Help() //nolint:errcheck // the error below is the one that counts
		}
		return report.Errorf(report.KindUsage, "usage", "onsite --help lists what there is", "%s needs a command: %s", cmd.CommandPath(), choice)
	}
	remedy := "the commands are " + choice
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		// port and portal are both near portel: the one as long as what was typed.
		slices.SortStableFunc(near, func(a, b string) int { return off(a, args[0]) - off(b, args[0]) })
		remedy = "did you mean " + cmd.CommandPath() + " " + near[0] + "?"
	}
	return report.Errorf(report.KindUsage, "usage", remedy, "%s has no command %q", cmd.CommandPath(), args[0])
}

// off is by how much two words differ in length.
func off(a, b string) int { return max(len(a)-len(b), len(b)-len(a)) }

// jsonHelp puts help into the JSON document when one is asked for.
func (a *app) jsonHelp(root *cobra.Command) {
	text := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		if !a.flags.json {
			text(cmd, args)
			return
		}
		var b strings.Builder
		cmd.SetOut(&b)
		text(cmd, args)
		cmd.SetOut(a.io.out)
		a.outcome = outcome{Result: map[string]string{"help": b.String()}}
	})
}

// exactly is an argument check with the arguments' own names.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return usageError("%s: %s is missing", cmd.CommandPath(), names[len(args)])
		case len(args) > len(names):
			return usageError("%s: %q is one argument too many; quote names that have spaces", cmd.CommandPath(), args[len(names)])
		}
		return nil
	}
}

// atMost is exactly with the last arguments optional.
func atMost(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > len(names) {
			return usageError("%s: %q is one argument too many; quote names that have spaces", cmd.CommandPath(), args[len(names)])
		}
		return nil
	}
}

// atLeastOne is exactly for one argument that may be repeated.
func atLeastOne(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usageError("%s: %s is missing", cmd.CommandPath(), name)
		}
		return nil
	}
}
