package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"onsite/csr"
	"onsite/pkcs"
	"onsite/report"
)

type pfxSplitOptions struct {
	in, out       string
	host          string
	keyFormat     string
	dryRun, force bool
	password      secretFlags
	keyPassword   secretFlags
}

// pfxSplitResult is the JSON result of pfx split.
type pfxSplitResult struct {
	Dir           string      `json:"dir"`
	Files         []string    `json:"files"`
	Kept          string      `json:"kept"` // the folder with the set that was there before, or ""
	DryRun        bool        `json:"dry_run"`
	Leaf          pkcs.Info   `json:"leaf"`
	Intermediates []pkcs.Info `json:"intermediates"`
	Root          *pkcs.Info  `json:"root"` // null when it is missing
	Key           string      `json:"key"`
	Encrypted     bool        `json:"key_encrypted"`
	SPKISHA256    string      `json:"spki_sha256"`
}

func newPFXSplitCmd(a *app) *cobra.Command {
	o := &pfxSplitOptions{}
	cmd := &cobra.Command{
		Use:   "split FILE",
		Short: "Split a PFX bundle into root.pem, cert.pem and key.pem",
		Long: `Split a PFX bundle (.pfx, .p12) into the three files of a web portal:
cert.pem holds the certificate, then the intermediates; root.pem the
intermediates, then the root; key.pem the private key. The three change
together or not at all; a set that was there before is kept beside.`,
		Example: `  onsite pfx split acme.pfx --out "C:\Program Files (x86)\ClockOn Services\Web Server" --force
  onsite pfx split acme.pfx --password-file password.txt --host portal.acme.example --out web
  onsite pfx split acme.pfx --password-env PFXPW --key-format pkcs1 --no-input`,
		Args: exactly("FILE"),
	}
	cmd.RunE = a.verb(func(ctx context.Context, args []string) (outcome, error) {
		o.in = args[0]
		return a.runPFXSplit(ctx, o)
	})
	f := cmd.Flags()
	f.StringVar(&o.out, "out", ".", "folder to write the three files to")
	f.StringVar(&o.host, "host", "", "require that the certificate covers this name")
	f.StringVar(&o.keyFormat, "key-format", string(csr.PKCS8), "layout of key.pem: pkcs8 or pkcs1 (RSA only)")
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would be written, no more")
	f.BoolVar(&o.force, "force", false, "replace the set that is there; it is kept beside")
	addSecretFlags(cmd, &o.password, "password", "the bundle's password")
	addSecretFlags(cmd, &o.keyPassword, "key-password", "a password that encrypts key.pem")
	return cmd
}

func (a *app) runPFXSplit(ctx context.Context, o *pfxSplitOptions) (outcome, error) {
	var err error
	if o.out, err = outFolder(o.out); err != nil {
		return outcome{}, err
	}
	format := csr.KeyFormat(o.keyFormat)
	switch {
	case format != csr.PKCS8 && format != csr.PKCS1:
		return outcome{}, usageError("--key-format %s: use pkcs8 or pkcs1", o.keyFormat)
	case o.host != "" && !pkcs.IsHost(o.host):
		return outcome{}, usageError("--host %s: give a host name without scheme and port", o.host)
	}
	keyPassword, err := a.newSecret(ctx, o.keyPassword)
	if err != nil {
		return outcome{}, err
	}
	data, err := a.readInput(ctx, o.in)
	if err != nil {
		return outcome{}, err
	}
	set, findings, err := a.splitPFX(ctx, o, data)
	if err != nil {
		return outcome{}, err
	}
	out := outcome{Findings: findings}
	if report.Failed(findings) {
		return out, report.Errorf(report.KindFailed, "pfx.split.refused", "", "nothing was written: the certificate does not cover %s", o.host)
	}

	if worst := report.Worst(findings); a.flags.strict && worst != report.StatusPass && worst != report.StatusSkip {
		a.say("nothing was written: with --strict, a warning is enough")
		return out, nil
	}

	result := newSplitResult(o, set)
	result.Encrypted = len(keyPassword) > 0
	out.Result, out.Text = result, result.text
	write := pkcs.WriteOptions{KeyFormat: format, KeyPassword: keyPassword, Overwrite: o.force, Now: a.now}
	if o.dryRun {
		if err := set.Refuse(o.out, write); err != nil {
			return outcome{Findings: findings}, err
		}
		return out, nil
	}
	result.Kept, err = set.Write(o.out, write)
	if err != nil {
		return outcome{Findings: findings}, err
	}
	return out, nil
}

// splitPFX opens the bundle with the password that was given; else without one,
// which some bundles need; else with one that it asks for.
func (a *app) splitPFX(ctx context.Context, o *pfxSplitOptions, data []byte) (*pkcs.Set, []report.Finding, error) {
	rules := pkcs.Rules{Host: o.host, Now: a.now()}
	password, given, err := a.secret(ctx, o.password)
	if err != nil {
		return nil, nil, err
	}
	set, findings, err := pkcs.SplitPFX(data, password, rules)
	for try := 0; !given && try < tries && report.HasCode(err, pkcs.CodePFXPassword); try++ {
		if try > 0 {
			a.say("That is not the password of %s.", inputName(o.in))
		}
		if !o.force && !o.dryRun { // before a person types a password for nothing
			if err := pkcs.RefuseSet(o.out); err != nil {
				return nil, nil, err
			}
		}
		if password, err = a.askSecret(ctx, o.password, "the password of "+inputName(o.in), false); err != nil {
			return nil, nil, err
		}
		set, findings, err = pkcs.SplitPFX(data, password, rules)
	}
	return set, findings, report.InFile(inputName(o.in), err)
}

func newSplitResult(o *pfxSplitOptions, s *pkcs.Set) *pfxSplitResult {
	r := &pfxSplitResult{
		Dir: o.out, DryRun: o.dryRun, Leaf: pkcs.Describe(s.Leaf), Intermediates: []pkcs.Info{},
		Key: csr.DescribeKey(s.Key.Public()), SPKISHA256: csr.Fingerprint(s.Key.Public()),
	}
	for _, n := range []string{pkcs.RootFile, pkcs.CertFile, pkcs.KeyFile} {
		r.Files = append(r.Files, filepath.Join(o.out, n))
	}
	for _, c := range s.Intermediates {
		r.Intermediates = append(r.Intermediates, pkcs.Describe(c))
	}
	if s.Root != nil {
		root := pkcs.Describe(s.Root)
		r.Root = &root
	}
	return r
}

func (r *pfxSplitResult) text(p *printer) {
	if r.DryRun {
		p.linef("Nothing was written (--dry-run). These files would be:")
	}
	above := make([]string, 0, len(r.Intermediates)+1)
	for _, c := range r.Intermediates {
		above = append(above, certLine(c))
	}
	protection := "not encrypted"
	if r.Encrypted {
		protection = "encrypted"
	}
	root := "no root: see the warning"
	if r.Root != nil {
		root = certLine(*r.Root)
	}
	for i, holds := range [][]string{
		append(above[:len(above):len(above)], root),
		append([]string{certLine(r.Leaf)}, above...),
		{r.Key + ", " + protection},
	} {
		note := ""
		if r.DryRun {
			note = replaces(r.Files[i])
		}
		p.linef("%s%s", r.Files[i], note)
		for _, line := range holds {
			p.linef("    %s", report.Wrap(report.Printable(line), p.width-4, "    "))
		}
	}
	if r.Kept != "" {
		p.linef("The set that was there before is kept in %s", r.Kept)
	}
}

// certLine is a certificate on one line.
func certLine(c pkcs.Info) string {
	return fmt.Sprintf("%s, until %s", c.Name, c.NotAfter.Format(time.DateOnly))
}
