package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"onsite/ca"
	"onsite/report"
)

type caRevokeOptions struct {
	what, ca, reason string
	dryRun           bool
	keyPassword      secretFlags
}

// caRevokeResult is the JSON result of ca revoke.
type caRevokeResult struct {
	ca.Entry
	DryRun bool     `json:"dry_run"`
	CRLs   []string `json:"crls"` // the lists that changed

	named bool // the certificates say where the list is found
}

func newCARevokeCmd(a *app) *cobra.Command {
	o := &caRevokeOptions{}
	cmd := &cobra.Command{
		Use:   "revoke CERTIFICATE",
		Short: "Revoke a certificate of the in-house authority, for good",
		Long: `Revoke a certificate: CERTIFICATE is its file, or its serial number as onsite
ca show lists it. It is marked in issued.csv and put into issuing.crl.
Clients learn of it when they get that list; it cannot be taken back.`,
		Example: `  onsite ca revoke 3f:a0:01:5c:77 --reason keyCompromise
  onsite ca revoke portal.acme.example.pem --ca D:\acme-ca --key-password-file password.txt`,
		Args: exactly("CERTIFICATE (its file or serial number)"),
	}
	cmd.RunE = a.verb(func(ctx context.Context, args []string) (outcome, error) {
		o.what = args[0]
		return a.runCARevoke(ctx, o)
	})
	f := cmd.Flags()
	addCAFlag(cmd, &o.ca)
	f.StringVar(&o.reason, "reason", "unspecified", "why: "+strings.Join(ca.Reasons(), ", "))
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would be revoked, no more")
	addSecretFlags(cmd, &o.keyPassword, "key-password", "the password of the authority's keys")
	return cmd
}

func (a *app) runCARevoke(ctx context.Context, o *caRevokeOptions) (outcome, error) {
	reason, err := ca.ParseReason(o.reason)
	if err != nil {
		return outcome{}, usageError("--reason: %w", err)
	}
	folder, err := a.openCA(cleanPath(o.ca))
	if err != nil {
		return outcome{}, err
	}
	serial, err := a.serial(ctx, folder, o.what)
	if err != nil {
		return outcome{}, err
	}
	entry, err := folder.Revocable(serial)
	if err != nil {
		return outcome{}, err
	}
	result := &caRevokeResult{Entry: *entry, DryRun: o.dryRun, CRLs: []string{}, named: len(folder.Authority.Issuing.CRLDistributionPoints) > 0}
	out := outcome{Result: result, Text: result.text}
	if o.dryRun {
		return out, nil
	}
	if err := a.unlockCA(ctx, folder, o.keyPassword, folder.Unlock); err != nil {
		return outcome{}, err
	}
	if result.Entry, err = folder.Revoke(serial, reason); err != nil {
		return outcome{}, err
	}
	result.CRLs = append(result.CRLs, filepath.Join(folder.Dir, ca.IssuingCRLFile))
	return out, nil
}

// serial finds out which certificate is meant: a file, if there is one of that
// name, else a serial number.
func (a *app) serial(ctx context.Context, folder *ca.Folder, what string) (string, error) {
	serial := ca.ParseSerial(what)
	if _, err := os.Stat(cleanPath(what)); err != nil && serial != "" {
		return serial, nil
	}
	bag, err := a.readBag(ctx, what)
	if err != nil {
		return "", err
	}
	serial, err = folder.SerialOf(bag.Certificates())
	return serial, report.InFile(inputName(what), err)
}

func (r *caRevokeResult) text(p *printer) {
	names := strings.Join(r.Names, ", ")
	if r.DryRun {
		p.linef("Nothing was revoked (--dry-run). This certificate would be:")
		p.linef("  %s, until %s, serial number %s", names, day(r.NotAfter), r.Serial)
		return
	}
	p.linef("Revoked: %s, serial number %s (%s)", names, r.Serial, r.Reason)
	if r.named {
		p.linef("Publish %s: clients learn of it there.", r.CRLs[0])
		return
	}
	p.linef("The certificates of this authority name no list, so clients learn of it only where %s is given to them.", r.CRLs[0])
}
