package main

import (
	"context"
	"crypto/x509"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"onsite/ca"
	"onsite/csr"
	"onsite/pkcs"
	"onsite/report"
)

type certSelfSignOptions struct {
	spec          csr.Spec
	days          int
	key, out      string
	dryRun, force bool
	keyPassword   secretFlags
}

// certSelfSignResult is the JSON result of cert self-sign.
type certSelfSignResult struct {
	Dir         string     `json:"dir"`
	Files       []string   `json:"files"`
	Kept        string     `json:"kept"` // the folder with the set that was there before, or ""
	DryRun      bool       `json:"dry_run"`
	SANs        []csr.SAN  `json:"sans"`
	Certificate *pkcs.Info `json:"certificate"` // null with dry_run
	Key         string     `json:"key"`
	Encrypted   bool       `json:"key_encrypted"`

	until string
}

func newCertSelfSignCmd(a *app) *cobra.Command {
	o := &certSelfSignOptions{}
	cmd := &cobra.Command{
		Use:   "self-sign [NAME]",
		Short: "Make a certificate that is signed by itself, as root.pem, cert.pem and key.pem",
		Long: `Make a key and a certificate for the host NAME that is signed with that key, as
the three files of a web portal. Nobody trusts it who was not given root.pem,
which is the certificate itself. For more than one server, make an authority
with onsite ca init: its clients need to be told only once.`,
		Example: `  onsite cert self-sign portal.acme.example --san 192.168.1.10 --out web
  onsite cert self-sign portal.acme.example --organization "Acme Bakery" --country AU --days 800
  onsite cert self-sign portal.acme.example --key ec:p256 --key-password-file password.txt --force`,
		Args: atMost("NAME"),
	}
	cmd.RunE = a.verb(func(ctx context.Context, args []string) (outcome, error) {
		if err := a.nameArgument(&o.spec, args); err != nil {
			return outcome{}, err
		}
		return a.runCertSelfSign(ctx, o, func(flag string) bool { return cmd.Flags().Changed(flag) })
	})
	addSubjectFlags(cmd, &o.spec)
	f := cmd.Flags()
	f.IntVar(&o.days, "days", ca.ServerDays, "days that the certificate is good for")
	f.StringVar(&o.key, "key", csr.DefaultKey.String(), "key to make: "+strings.Join(csr.KeyNames(), ", "))
	f.StringVar(&o.out, "out", ".", "folder to write the three files to")
	f.BoolVar(&o.dryRun, "dry-run", false, "judge the values and say what would be written, no more")
	f.BoolVar(&o.force, "force", false, "replace the set that is there; it is kept beside")
	addSecretFlags(cmd, &o.keyPassword, "key-password", "a password that encrypts key.pem")
	return cmd
}

func (a *app) runCertSelfSign(ctx context.Context, o *certSelfSignOptions, given func(flag string) bool) (outcome, error) {
	var err error
	if o.out, err = outFolder(o.out); err != nil {
		return outcome{}, err
	}
	keySpec, err := csr.ParseKeySpec(o.key)
	if err != nil {
		return outcome{}, usageError("--key: %w", err)
	}
	if err := checkDays("days", o.days, 1); err != nil {
		return outcome{}, err
	}
	if err := checkApex(&o.spec); err != nil {
		return outcome{}, err
	}
	if !o.force { // before a person types anything for nothing
		if err := pkcs.RefuseSet(o.out); err != nil {
			return outcome{}, err
		}
	}
	password, err := a.newSecret(ctx, o.keyPassword)
	if err != nil {
		return outcome{}, err
	}
	if _, err := a.askSubject(ctx, &o.spec, given, subjectQuestions[:1]); err != nil {
		return outcome{}, err
	}
	request, judged := csr.Prepare(o.spec)
	draft, findings, err := ca.PrepareSelf(request, judged, ca.Profile{Days: o.days, Now: a.now})
	out := outcome{Findings: findings}
	switch {
	case err != nil:
		return out, err
	case draft == nil:
		return out, report.Errorf(report.KindFailed, "cert.refused", "correct what is marked [fail] and run it again",
			"no certificate was made: %s", wrongValues(findings))
	}
	if a.stopped(findings) {
		return out, nil
	}
	result := &certSelfSignResult{
		Dir: o.out, DryRun: o.dryRun, SANs: draft.Names, Key: csr.DescribeKind(keySpec), Encrypted: len(password) > 0, until: day(draft.NotAfter),
	}
	for _, n := range []string{pkcs.RootFile, pkcs.CertFile, pkcs.KeyFile} {
		result.Files = append(result.Files, filepath.Join(o.out, n))
	}
	out.Result, out.Text = result, result.text
	if o.dryRun {
		return out, nil
	}
	set, err := selfSigned(draft, keySpec)
	if err == nil {
		result.Kept, err = set.Write(o.out, pkcs.WriteOptions{KeyPassword: password, Overwrite: o.force, Now: a.now})
	}
	if err != nil {
		return outcome{Findings: findings}, err
	}
	result.Certificate, result.Key = new(pkcs.Describe(set.Leaf)), csr.DescribeKey(set.Key.Public())
	return out, nil
}

// selfSigned makes the key, and the set that it is part of.
func selfSigned(draft *ca.Draft, spec csr.KeySpec) (*pkcs.Set, error) {
	key, err := csr.GenerateKey(spec)
	if err != nil {
		return nil, err
	}
	cert, err := ca.SelfSign(draft, key)
	if err != nil {
		return nil, err
	}
	set, _, err := pkcs.Sort(key, []*x509.Certificate{cert})
	return set, err
}

func (r *certSelfSignResult) text(p *printer) {
	if r.DryRun {
		p.linef("Nothing was written (--dry-run). These files would be:")
		for _, path := range r.Files {
			p.linef("  %s%s", path, replaces(path))
		}
		p.linef("covers: %s", joinSANs(r.SANs))
		p.linef("good until: %s", r.until)
		p.linef("key: %s", r.Key)
		return
	}
	protection := "not encrypted"
	if r.Encrypted {
		protection = "encrypted"
	}
	line := certLine(*r.Certificate)
	p.table([][2]string{
		{r.Files[0], line + ": for those who are to trust it"},
		{r.Files[1], line + ", covers " + joinSANs(r.SANs)},
		{r.Files[2], r.Key + ", " + protection},
	})
	if r.Kept != "" {
		p.linef("The set that was there before is kept in %s", r.Kept)
	}
}
