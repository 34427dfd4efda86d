package main

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"onsite/ca"
	"onsite/csr"
	"onsite/pkcs"
	"onsite/report"
)

type caInitOptions struct {
	spec          ca.Spec
	dir, key      string
	dryRun, force bool
	keyPassword   secretFlags
}

// caInitResult is the JSON result of ca init.
type caInitResult struct {
	Dir       string     `json:"dir"`
	Files     []string   `json:"files"`
	Kept      string     `json:"kept"` // the folder with the authority that was there before, or ""
	DryRun    bool       `json:"dry_run"`
	Root      *pkcs.Info `json:"root"`    // null with dry_run
	Issuing   *pkcs.Info `json:"issuing"` // null with dry_run
	Permitted []string   `json:"permitted"`
	Key       string     `json:"key"`

	plan *ca.Plan
}

func newCAInitCmd(a *app) *cobra.Command {
	o := &caInitOptions{}
	cmd := &cobra.Command{
		Use:   "init [DIR]",
		Short: "Make an in-house authority: a root and an issuing certificate",
		Long: `Make an in-house authority in the folder DIR (onsite-ca): a root, which the
clients are told to trust, an issuing certificate, which signs, and their keys,
encrypted. With --permit both say for which names they may issue, and clients
reject all others. Signing needs issuing.key alone: root.key may be moved away.`,
		Example: `  onsite ca init --name "Acme Bakery" --permit acme.example --permit 192.168.1.0/24
  onsite ca init D:\acme-ca --name "Acme Bakery" --key-password-file password.txt --no-input
  onsite ca init --name "Acme Bakery" --crl-url http://pki.acme.example/ca/ --dry-run`,
		Args: atMost("DIR"),
	}
	cmd.RunE = a.verb(func(ctx context.Context, args []string) (outcome, error) {
		var err error
		if o.dir, err = dirArgument(args); err != nil {
			return outcome{}, err
		}
		return a.runCAInit(ctx, o)
	})
	f := cmd.Flags()
	f.StringVar(&o.spec.Name, "name", "", `what people will know it by, for example "Acme Bakery"`)
	f.StringVar(&o.spec.Organization, "organization", "", "registered name of the business (O)")
	f.StringVar(&o.spec.Country, "country", "", "country, two letters (C)")
	f.StringSliceVar(&o.spec.Permit, "permit", nil, "domain or address range that it may issue for, and nothing else (repeatable)")
	f.StringVar(&o.spec.CRLURL, "crl-url", "", "folder of a web server where root.crl and issuing.crl will be found")
	f.StringVar(&o.key, "key", "rsa:3072", "keys to make: "+strings.Join(csr.KeyNames(), ", "))
	f.IntVar(&o.spec.Days, "days", ca.RootDays, "days that the root is good for")
	f.IntVar(&o.spec.IssuingDays, "issuing-days", 0, "days that the issuing certificate is good for (default 1825, or as long as the root)")
	f.BoolVar(&o.dryRun, "dry-run", false, "judge the values and say what would be written, no more")
	f.BoolVar(&o.force, "force", false, "replace the authority that is there; it is kept beside")
	addSecretFlags(cmd, &o.keyPassword, "key-password", "the password that encrypts both keys")
	return cmd
}

func (a *app) runCAInit(ctx context.Context, o *caInitOptions) (outcome, error) {
	var err error
	if o.spec.Key, err = csr.ParseKeySpec(o.key); err != nil {
		return outcome{}, usageError("--key: %w", err)
	}
	if err := checkDays("days", o.spec.Days, 1); err != nil {
		return outcome{}, err
	}
	if err := checkDays("issuing-days", o.spec.IssuingDays, 0); err != nil {
		return outcome{}, err
	}
	write := ca.WriteOptions{Overwrite: o.force, Now: a.now}
	write.Password, err = a.newSecret(ctx, o.keyPassword)
	if err != nil {
		return outcome{}, err
	}
	if err := a.askCAName(ctx, o, len(write.Password) > 0); err != nil {
		return outcome{}, err
	}
	plan, findings := ca.Prepare(o.spec)
	out := outcome{Findings: findings}
	if plan == nil {
		return out, report.Errorf(report.KindFailed, "ca.refused", "correct what is marked [fail] and run it again",
			"no authority was made: %s", wrongValues(findings))
	}
	if a.stopped(findings) {
		return out, nil
	}
	if err := write.Refuse(o.dir); err != nil { // before a person types a password for nothing
		return out, err
	}
	result := newCAInitResult(o, plan)
	if o.dryRun {
		out.Result, out.Text = result, result.text
		return out, nil
	}
	if len(write.Password) == 0 {
		if write.Password, err = a.askNewSecret(ctx, o.keyPassword, "a password for the authority's keys"); err != nil {
			return out, err
		}
	}
	authority, err := plan.Make(a.now())
	if err != nil {
		return out, err
	}
	if result.Kept, err = authority.Write(o.dir, write); err != nil {
		return out, err
	}
	result.Key = csr.DescribeKey(authority.Issuing.PublicKey)
	result.Root, result.Issuing = new(pkcs.Describe(authority.Root)), new(pkcs.Describe(authority.Issuing))
	out.Result, out.Text = result, result.text
	return out, nil
}

// askCAName asks for the name. Where nobody can be asked, it names all that is
// missing.
func (a *app) askCAName(ctx context.Context, o *caInitOptions, hasPassword bool) error {
	p, err := a.prompter()
	if err != nil {
		var name, password string
		if strings.TrimSpace(o.spec.Name) == "" {
			name = "--name"
		}
		if !hasPassword && !o.dryRun {
			password = "the password for the keys (--key-password-file or --key-password-env)"
		}
		return missing(name, password)
	}
	if o.spec.Name != "" {
		return nil
	}
	if err := (ca.WriteOptions{Overwrite: o.force}).Refuse(o.dir); err != nil { // before a person types for nothing
		return err
	}
	o.spec.Name, err = p.Text(ctx, Question{
		Flag: "name", Label: "Name of the authority", Help: "what people will know it by, for example Acme Bakery",
		Validate: func(answer string) error {
			_, findings := ca.Prepare(ca.Spec{Name: answer})
			return firstFail(nil, findings)
		},
	})
	return err
}

func newCAInitResult(o *caInitOptions, plan *ca.Plan) *caInitResult {
	r := &caInitResult{Dir: o.dir, DryRun: o.dryRun, Permitted: plan.Permitted(), Key: csr.DescribeKind(plan.Key), plan: plan}
	for _, n := range ca.Files() {
		r.Files = append(r.Files, filepath.Join(o.dir, n))
	}
	return r
}

func (r *caInitResult) text(p *printer) {
	file := func(name string) string { return filepath.Join(r.Dir, name) }
	if r.DryRun {
		p.linef("Nothing was written (--dry-run). These files would be:")
		for _, path := range r.Files {
			p.linef("  %s%s", path, replaces(path))
		}
		p.linef("%s, %d days; %s, %d days; keys: %s, encrypted", r.plan.RootName(), r.plan.Days, r.plan.IssuingName(), r.plan.IssuingDays, r.Key)
		p.linef("It may issue for %s.", forNames(r.Permitted))
		return
	}
	p.table([][2]string{
		{file(ca.RootFile), certLine(*r.Root) + ": have the clients trust it"},
		{file(ca.RootKeyFile), r.Key + ", encrypted"},
		{file(ca.IssuingFile), certLine(*r.Issuing)},
		{file(ca.IssuingKeyFile), r.Key + ", encrypted"},
		{file(ca.LogFile), "the log of what it issues"},
		{file(ca.RootCRLFile), "the root's list of revoked certificates, empty"},
		{file(ca.IssuingCRLFile), "the issuing authority's, empty"},
	})
	if r.Kept != "" {
		p.linef("The authority that was there before is kept in %s", r.Kept)
	}
	p.linef("It may issue for %s.", forNames(r.Permitted))
	p.linef("Keep the password, and a copy of the folder.")
	p.linef("Move %s to a safe place: signing does not need it.", file(ca.RootKeyFile))
}
