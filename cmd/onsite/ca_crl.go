package main

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"

	"onsite/ca"
)

type caCRLOptions struct {
	dir         string
	keyPassword secretFlags
}

// caCRLResult is the JSON result of ca crl.
type caCRLResult struct {
	CRLs []ca.CRLInfo `json:"crls"` // those that were made anew
}

func newCACRLCmd(a *app) *cobra.Command {
	o := &caCRLOptions{}
	cmd := &cobra.Command{
		Use:   "crl [DIR]",
		Short: "Make the authority's lists of revoked certificates anew",
		Long: `Make issuing.crl anew, and root.crl too where root.key is in the folder. A
list is good for 30 days, the root's for a year; ca sign and ca revoke make
issuing.crl anew as well. Clients that look at a list which is out of date
refuse every certificate.`,
		Example: `  onsite ca crl
  onsite ca crl D:\acme-ca --key-password-file password.txt --no-input`,
		Args: atMost("DIR"),
	}
	cmd.RunE = a.verb(func(ctx context.Context, args []string) (outcome, error) {
		var err error
		if o.dir, err = dirArgument(args); err != nil {
			return outcome{}, err
		}
		return a.runCACRL(ctx, o)
	})
	addSecretFlags(cmd, &o.keyPassword, "key-password", "the password of the authority's keys")
	return cmd
}

func (a *app) runCACRL(ctx context.Context, o *caCRLOptions) (outcome, error) {
	folder, err := a.openCA(o.dir)
	if err != nil {
		return outcome{}, err
	}
	err = a.unlockCA(ctx, folder, o.keyPassword, func(password []byte) error {
		if err := folder.Unlock(password); err != nil || !folder.HasRootKey() {
			return err
		}
		return folder.UnlockRoot(password)
	})
	if err == nil {
		err = folder.RenewCRLs()
	}
	if err != nil {
		return outcome{}, err
	}
	result := caCRLResult{CRLs: []ca.CRLInfo{}}
	for _, l := range folder.Info().CRLs {
		if folder.HasRootKey() || filepath.Base(l.File) != ca.RootCRLFile {
			result.CRLs = append(result.CRLs, l)
		}
	}
	return outcome{Result: result, Text: func(p *printer) {
		for _, l := range result.CRLs {
			p.linef("%s  list %s, %d revoked, good until %s", l.File, l.Number, l.Revoked, day(l.NextUpdate))
		}
		if !folder.HasRootKey() {
			p.linef("%s stays as it is: %s is not in the folder.", filepath.Join(folder.Dir, ca.RootCRLFile), ca.RootKeyFile)
		}
	}}, nil
}
