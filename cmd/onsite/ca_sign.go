package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"onsite/ca"
	"onsite/csr"
	"onsite/pkcs"
	"onsite/report"
)

type caSignOptions struct {
	in, ca, out   string
	days          int
	sans          []string
	dryRun, force bool
	keyPassword   secretFlags
}

// caSignResult is the JSON result of ca sign.
type caSignResult struct {
	File        string     `json:"file"`
	Kept        string     `json:"kept"` // the folder with the file that was there before, or ""
	DryRun      bool       `json:"dry_run"`
	SANs        []csr.SAN  `json:"sans"`
	Certificate *pkcs.Info `json:"certificate"` // null with dry_run
	PEM         string     `json:"pem"`         // the certificate alone; "" with dry_run

	issuer pkcs.Info
	until  string
	log    string
}

func newCASignCmd(a *app) *cobra.Command {
	o := &caSignOptions{}
	cmd := &cobra.Command{
		Use:   "sign FILE",
		Short: "Sign a certificate request with the in-house authority",
		Long: `Sign a request for a server. Key, subject and names come from the request, all
else is decided here. NAME.pem then holds the certificate, the issuing
certificate and the root. The certificate is in the log, issued.csv, before it
is written.`,
		Example: `  onsite ca sign portal.acme.example.csr
  onsite ca sign portal.acme.example.csr --ca D:\acme-ca --out signed --key-password-file pw.txt
  onsite ca sign clock.csr --san 192.168.1.200 --days 800 --dry-run`,
		Args: exactly("FILE"),
	}
	cmd.RunE = a.verb(func(ctx context.Context, args []string) (outcome, error) {
		o.in = args[0]
		return a.runCASign(ctx, o)
	})
	f := cmd.Flags()
	addCAFlag(cmd, &o.ca)
	f.IntVar(&o.days, "days", ca.ServerDays, "days that the certificate is good for")
	f.StringSliceVar(&o.sans, "san", nil, "further host name or address to be covered (repeatable)")
	f.StringVar(&o.out, "out", ".", "folder to write to")
	f.BoolVar(&o.dryRun, "dry-run", false, "judge the request and say what would be written, no more")
	f.BoolVar(&o.force, "force", false, "replace a file of the same name; the old one is kept beside")
	addSecretFlags(cmd, &o.keyPassword, "key-password", "the password of the authority's keys")
	return cmd
}

func (a *app) runCASign(ctx context.Context, o *caSignOptions) (outcome, error) {
	var err error
	if o.out, err = outFolder(o.out); err != nil {
		return outcome{}, err
	}
	if err := checkDays("days", o.days, 1); err != nil {
		return outcome{}, err
	}
	folder, err := a.openCA(cleanPath(o.ca))
	if err != nil {
		return outcome{}, err
	}
	request, err := a.readRequest(ctx, o.in)
	if err != nil {
		return outcome{}, err
	}
	draft, findings := folder.Authority.Prepare(request, ca.Profile{Days: o.days, SANs: o.sans, Now: a.now})
	out := outcome{Findings: findings}
	if draft == nil {
		return out, report.Errorf(report.KindFailed, "ca.sign.refused", "see what is marked [fail]", "%s was not signed: %s", inputName(o.in), wrongValues(findings))
	}
	if a.stopped(findings) {
		return out, nil
	}
	delivery := ca.Delivery{Dir: o.out, Overwrite: o.force, Now: a.now}
	if err := delivery.Refuse(draft); err != nil { // before a person types a password for nothing
		return out, err
	}
	result := &caSignResult{
		File: delivery.Path(draft), DryRun: o.dryRun, SANs: draft.Names, issuer: pkcs.Describe(folder.Authority.Issuing),
		until: day(draft.NotAfter), log: filepath.Join(folder.Dir, ca.LogFile),
	}
	out.Result, out.Text = result, result.text
	if o.dryRun {
		return out, nil
	}
	if err := a.unlockCA(ctx, folder, o.keyPassword, folder.Unlock); err != nil {
		return outcome{Findings: findings}, err
	}
	cert, err := folder.Issue(draft)
	if err != nil {
		return outcome{Findings: findings}, err
	}
	if result.Kept, err = delivery.Write(draft, cert, folder.Authority); err != nil {
		e := *report.AsError(err)
		e.Message += fmt.Sprintf("; the serial number %s stays in the log, for a certificate that nobody has", pkcs.Serial(cert.SerialNumber))
		return outcome{Findings: findings}, &e
	}
	result.Certificate, result.PEM = new(pkcs.Describe(cert)), string(pkcs.Encode(cert))
	return out, nil
}

func (r *caSignResult) text(p *printer) {
	if r.DryRun {
		p.linef("Nothing was signed (--dry-run). This file would be written:")
		p.linef("  %s%s", r.File, replaces(r.File))
		p.linef("covers: %s", joinSANs(r.SANs))
		p.linef("good until: %s", r.until)
		return
	}
	p.linef("%s", r.File)
	p.linef("    %s", report.Wrap(report.Printable(certLine(*r.Certificate)+", covers "+joinSANs(r.SANs)), p.width-4, "    "))
	p.linef("    %s, until %s, and the root above it", report.Printable(r.issuer.Name), day(r.issuer.NotAfter))
	if r.Kept != "" {
		p.linef("The file that was there before is kept in %s", r.Kept)
	}
	p.linef("Serial number %s, in %s", r.Certificate.Serial, r.log)
}
