package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"onsite/report"
)

func newExplainCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain [CODE]",
		Short: "Explain what a finding or an error means and how to mend it",
		Long: `Explain the code of a finding or an error. Without a code, or with the
beginning of one, list the codes there are.`,
		Example: `  onsite explain chain.issuer.missing
  onsite explain pfx
  onsite explain --json`,
		Args: atMost("CODE"),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var codes []string
			for _, p := range report.Codes() {
				codes = append(codes, p.Code)
			}
			return codes, cobra.ShellCompDirectiveNoFileComp
		},
	}
	cmd.RunE = a.verb(func(_ context.Context, args []string) (outcome, error) {
		return runExplain(strings.ToLower(strings.TrimSpace(strings.Join(args, ""))))
	})
	return cmd
}

func runExplain(code string) (outcome, error) {
	if page, ok := report.Explain(code); ok {
		return outcome{Result: page, Text: func(p *printer) {
			p.linef("%s: %s\n\n%s", page.Code, page.Title, page.Text)
		}}, nil
	}
	pages := slices.DeleteFunc(report.Codes(), func(p report.Page) bool { return !strings.HasPrefix(p.Code, code) })
	if len(pages) == 0 {
		area, _, _ := strings.Cut(code, ".")
		remedy := "onsite explain lists the codes there are"
		if slices.ContainsFunc(report.Codes(), func(p report.Page) bool { return strings.HasPrefix(p.Code, area+".") }) {
			remedy = "onsite explain " + area + " lists the codes of that kind"
		}
		return outcome{}, report.Errorf(report.KindUsage, "usage", remedy, "there is no code %q", code)
	}
	return outcome{Result: map[string]any{"codes": pages}, Text: func(p *printer) {
		var rows [][2]string
		for _, page := range pages {
			rows = append(rows, [2]string{page.Code, page.Title})
		}
		p.table(rows)
	}}, nil
}
