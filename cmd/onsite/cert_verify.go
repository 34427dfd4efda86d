package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"onsite/csr"
	"onsite/pkcs"
	"onsite/report"
)

type certVerifyOptions struct {
	paths                []string
	roots, intermediates []string
	host, time           string
	warnDays             int
	keyPassword          secretFlags
}

// certVerifyResult is the JSON result of cert verify.
type certVerifyResult struct {
	Path  []pkcs.Info `json:"path"`
	Trust pkcs.Trust  `json:"trust"`
	At    time.Time   `json:"at"` // the moment for which the dates were judged
}

func newCertVerifyCmd(a *app) *cobra.Command {
	o := &certVerifyOptions{}
	cmd := &cobra.Command{
		Use:   "verify DIR|FILE...",
		Short: "Judge a set of three files, or a chain of certificates",
		Long: `Judge the three files of a web portal in a folder, under either kind of server
program; or the certificates of files as a client does that is sent them in
this order, the site's own first. A private key among the files must be its.

Every certificate is judged: dates, key, signature, names, what it may be used
for and issue. A chain is trusted in the roots of --root alone; without it in
the public roots, which every device knows, or else in this computer's.
Revocation is not looked at, and nothing is fetched.`,
		Example: `  onsite cert verify "C:\Program Files (x86)\ClockOn Services\Web Server" --host portal.acme.example
  onsite cert verify portal.cer issuing.cer --warn-days 60 --strict
  onsite cert verify portal.pem portal.key --root root.pem --host portal.acme.example
  onsite cert verify portal.pem --root root.pem --intermediates chain.pem --json`,
		Args: atLeastOne("DIR|FILE..."),
	}
	cmd.RunE = a.verb(func(ctx context.Context, args []string) (outcome, error) {
		o.paths = args
		return a.runCertVerify(ctx, o)
	})
	f := cmd.Flags()
	f.StringArrayVar(&o.roots, "root", nil, "file with roots to trust, and no others; may be repeated")
	f.StringArrayVar(&o.intermediates, "intermediates", nil, "file with certificates that clients have beside those sent; may be repeated")
	f.StringVar(&o.host, "host", "", "require that the certificate covers this name")
	f.StringVar(&o.time, "time", "", "judge the dates for this moment, such as 2027-03-31T00:00:00Z")
	f.IntVar(&o.warnDays, "warn-days", 30, "warn this many days before a certificate expires")
	addSecretFlags(cmd, &o.keyPassword, "key-password", "the password of the private key, or of a bundle")
	return cmd
}

func (a *app) runCertVerify(ctx context.Context, o *certVerifyOptions) (outcome, error) {
	rules, err := a.verifyRules(ctx, o)
	if err != nil {
		return outcome{}, err
	}
	info, err := os.Stat(cleanPath(o.paths[0]))
	var v pkcs.Verdict
	if err == nil && info.IsDir() {
		v, err = a.verifySet(ctx, o, rules)
	} else {
		v, err = a.verifyFiles(ctx, o, rules)
	}
	if err != nil {
		return outcome{}, err
	}
	result := certVerifyResult{Path: []pkcs.Info{}, Trust: v.Trust, At: rules.Now.UTC()}
	for _, c := range v.Path {
		result.Path = append(result.Path, pkcs.Describe(c))
	}
	return outcome{
		Result: result, Findings: v.Findings, IsCheck: true,
		Text: func(p *printer) { showPath(p, result) },
	}, nil
}

// verifyRules turns the flags into rules.
func (a *app) verifyRules(ctx context.Context, o *certVerifyOptions) (pkcs.Rules, error) {
	r := pkcs.Rules{Host: o.host, Now: a.now(), WarnDays: o.warnDays}
	var err error
	switch {
	case o.host != "" && !pkcs.IsHost(o.host):
		return r, usageError("--host %s: give a host name without scheme and port", o.host)
	case o.warnDays < 0:
		return r, usageError("--warn-days %d: give a number of days, 0 for no warning", o.warnDays)
	case o.warnDays == 0:
		r.WarnDays = -1
	}
	if o.time != "" {
		if r.Now, err = time.Parse(time.RFC3339, o.time); err != nil {
			return r, usageError("--time %s: give a moment such as 2027-03-31T00:00:00Z", o.time)
		}
	}
	if r.Roots, err = a.readCerts(ctx, o.roots); err != nil {
		return r, err
	}
	r.Intermediates, err = a.readCerts(ctx, o.intermediates)
	return r, err
}

// readCerts returns the certificates of all files; nil without files.
func (a *app) readCerts(ctx context.Context, paths []string) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for _, path := range paths {
		certs, err := a.readRoots(ctx, path)
		if err != nil {
			return nil, err
		}
		all = append(all, certs...)
	}
	return all, nil
}

// verifySet judges the three files of a folder.
func (a *app) verifySet(ctx context.Context, o *certVerifyOptions, r pkcs.Rules) (pkcs.Verdict, error) {
	switch {
	case len(o.paths) > 1:
		return pkcs.Verdict{}, usageError("name one folder, or files: %s is a folder", o.paths[0])
	case len(o.roots)+len(o.intermediates) > 0:
		return pkcs.Verdict{}, usageError("--root and --intermediates are for files: in a folder, %s holds both", pkcs.RootFile)
	}
	dir := cleanPath(o.paths[0])
	password, _, err := a.secret(ctx, o.keyPassword)
	if err != nil {
		return pkcs.Verdict{}, err
	}
	set, err := pkcs.OpenSet(dir, password)
	if report.HasCode(err, csr.CodeKeyPasswordRequired) {
		if password, err = a.askSecret(ctx, o.keyPassword, "the password of "+pkcs.KeyFile, false); err != nil {
			return pkcs.Verdict{}, err
		}
		set, err = pkcs.OpenSet(dir, password)
	}
	if err != nil {
		return pkcs.Verdict{}, err
	}
	return set.Verify(r), nil
}

// verifyFiles judges the certificates of files, in their order.
func (a *app) verifyFiles(ctx context.Context, o *certVerifyOptions, r pkcs.Rules) (pkcs.Verdict, error) {
	in, err := a.newInputs(ctx, o.keyPassword)
	if err != nil {
		return pkcs.Verdict{}, err
	}
	bag, err := in.read(ctx, o.paths...)
	if err != nil {
		return pkcs.Verdict{}, err
	}
	switch keys := bag.Keys; {
	case len(bag.Certs) == 0:
		return pkcs.Verdict{}, report.Errorf(report.KindInput, "file.unknown", "name the site's certificate first, then the intermediates",
			"there is no certificate in %s", inputName(o.paths[0]))
	case len(keys) > 1:
		return pkcs.Verdict{}, report.Errorf(report.KindInput, "file.unknown", "name the key of the site's certificate alone",
			"there is more than one private key: %s, %s", keys[0], keys[1])
	case bag.Locked() != nil:
		return pkcs.Verdict{}, in.explain(bag, "", bag.Locked())
	case len(keys) == 1:
		r.Key = keys[0].Signer
	}
	r.Unordered = len(o.paths) == 1 && bag.Certs[0].Form != pkcs.FormPEM && bag.Certs[0].Form != pkcs.FormDER
	v := pkcs.Verify(bag.Certificates(), r)
	v.Findings = append(asideFindings(bag), v.Findings...)
	return v, nil
}

func showPath(p *printer, r certVerifyResult) {
	rows := make([][2]string, 0, len(r.Path)+1)
	for i, c := range r.Path {
		rows = append(rows, [2]string{fmt.Sprintf("Certificate %d", i+1), certLine(c)})
	}
	p.table(append(rows, [2]string{"Trust", string(r.Trust)}))
	p.linef("")
}
