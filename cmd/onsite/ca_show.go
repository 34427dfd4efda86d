package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"onsite/ca"
)

func newCAShowCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show [DIR]",
		Short: "Show an in-house authority, what it issued, and what ends soon",
		Example: `  onsite ca show
  onsite ca show D:\acme-ca
  onsite ca show --json`,
		Args: atMost("DIR"),
	}
	cmd.RunE = a.verb(func(_ context.Context, args []string) (outcome, error) {
		dir, err := dirArgument(args)
		if err != nil {
			return outcome{}, err
		}
		return a.runCAShow(dir)
	})
	return cmd
}

func (a *app) runCAShow(dir string) (outcome, error) {
	folder, err := a.openCA(dir)
	if err != nil {
		return outcome{}, err
	}
	info := folder.Info()
	return outcome{
		Result: info, Findings: folder.Judge(0), IsCheck: true,
		Text: func(p *printer) { showCA(p, info) },
	}, nil
}

func showCA(p *printer, i ca.Info) {
	rootKey := "not in the folder"
	if i.RootKey {
		rootKey = "in the folder: better kept elsewhere, signing does not need it"
	}
	rows := [][2]string{
		{"Root", certLine(i.Root)},
		{"Root SHA-256", i.Root.SHA256},
		{"Root's key", rootKey},
		{"Issuing", certLine(i.Issuing)},
		{"Key", i.Key},
		{"May issue for", forNames(i.Permitted)},
	}
	for _, l := range i.CRLs {
		rows = append(rows, [2]string{"Revoked", fmt.Sprintf("%d in %s, list %s of %s", l.Revoked, l.File, l.Number, day(l.ThisUpdate))})
	}
	p.table(rows)
	p.linef("\nIssued: %d", len(i.Issued))
	rows = nil
	for _, e := range i.Issued {
		rows = append(rows, [2]string{issuedState(e), strings.Join(e.Names, ", ") + "  " + e.Serial})
	}
	p.table(rows)
	p.linef("")
}

// issuedState says in a few words how a certificate stands.
func issuedState(e ca.Issued) string {
	switch {
	case e.RevokedAt != nil:
		return "revoked " + day(*e.RevokedAt)
	case e.DaysLeft < 0:
		return "expired " + day(e.NotAfter)
	}
	return fmt.Sprintf("until %s, %d days", day(e.NotAfter), e.DaysLeft)
}
