package main

import (
	"context"
	"crypto"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"onsite/csr"
	"onsite/report"
)

type csrNewOptions struct {
	spec             csr.Spec
	unstructuredName string
	key, keyFile     string
	hash             string
	from             string
	out              string
	stdout           bool
	dryRun, force    bool
	keyPassword      secretFlags
	challenge        secretFlags
}

// csrNewResult is the JSON result of csr new.
type csrNewResult struct {
	csr.Paths
	DryRun     bool      `json:"dry_run"`
	CommonName string    `json:"common_name"`
	SANs       []csr.SAN `json:"sans"`
	KeyType    string    `json:"key_type"`
	Encrypted  bool      `json:"key_encrypted"`
	SPKISHA256 string    `json:"spki_sha256"` // "" with dry_run when the key would be new
	PEM        string    `json:"pem"`         // "" with dry_run
}

func newCSRNewCmd(a *app) *cobra.Command {
	o := &csrNewOptions{}
	cmd := &cobra.Command{
		Use:   "new [NAME]",
		Short: "Make a private key and a certificate request",
		Long: `Make NAME.key and NAME.csr for the host NAME. Send the .csr file to the
authority; the .key file stays on this computer and is never replaced without
--force. The values are judged before anything is written.

With --from, make them for every host of a list: a CSV file as a spreadsheet
saves it, whose first row names the columns by the flags (cn, san, with-apex,
country, state, locality, organization, unit, email, unstructured-name, key), or
one host name a line. What a row leaves empty comes from the flags; several names
under san have spaces between them. Pairs that are there already stay as they
are, so the same command goes on where it was stopped.`,
		Example: `  onsite csr new portal.acme.example --country AU --state NSW --locality Newcastle \
      --organization "Acme Bakery Pty Ltd" --email it@acme.example
  onsite csr new "*.acme.example" --with-apex --key ec:p256 --out C:\certs
  onsite csr new portal.acme.example --key-file portal.acme.example.key --force
  onsite csr new portal.acme.example --no-input --stdout | clip
  onsite csr new --from hosts.csv --organization "Acme Bakery Pty Ltd" --country AU --out requests`,
		Args: atMost("NAME"),
	}
	cmd.RunE = a.verb(func(ctx context.Context, args []string) (outcome, error) {
		if err := a.nameArgument(&o.spec, args); err != nil {
			return outcome{}, err
		}
		if cmd.Flags().Changed("unstructured-name") {
			o.spec.UnstructuredName = &o.unstructuredName
		}
		return a.runCSRNew(ctx, o, func(flag string) bool { return cmd.Flags().Changed(flag) })
	})
	addSubjectFlags(cmd, &o.spec)
	f := cmd.Flags()
	f.StringVar(&o.unstructuredName, "unstructured-name", "", `unstructuredName attribute (default: the common name; "" leaves it out)`)
	f.StringVar(&o.key, "key", csr.DefaultKey.String(), "key to make: "+strings.Join(csr.KeyNames(), ", "))
	f.StringVar(&o.keyFile, "key-file", "", "use the private key in this file instead of making one")
	f.StringVar(&o.hash, "hash", "sha256", "hash of the signature: sha256, sha384, sha512")
	f.StringVar(&o.from, "from", "", "make requests for all hosts of this CSV file; - is standard input")
	f.StringVar(&o.out, "out", ".", "folder to write to")
	f.BoolVar(&o.stdout, "stdout", false, "print the request on standard output too, and nothing else there")
	f.BoolVar(&o.dryRun, "dry-run", false, "judge the values and say what would be written, no more")
	f.BoolVar(&o.force, "force", false, "replace files of the same name; the old ones are kept beside")
	addSecretFlags(cmd, &o.keyPassword, "key-password", "the password that encrypts the key (with --key-file: that opens it)")
	addSecretFlags(cmd, &o.challenge, "challenge-password", "the challenge password, if the authority asks for one")
	return cmd
}

var hashes = map[string]crypto.Hash{"sha256": crypto.SHA256, "sha384": crypto.SHA384, "sha512": crypto.SHA512}

func (a *app) runCSRNew(ctx context.Context, o *csrNewOptions, given func(flag string) bool) (outcome, error) {
	var err error
	if o.out, err = outFolder(o.out); err != nil {
		return outcome{}, err
	}
	if o.from != "" {
		if err := a.checkBatch(o); err != nil {
			return outcome{}, err
		}
	}
	if o.keyFile != "" && given("key") {
		return outcome{}, usageError("--key makes a new key and --key-file takes one that is there: give one of them")
	}
	if err := checkApex(&o.spec); err != nil {
		return outcome{}, err
	}
	keySpec, err := csr.ParseKeySpec(o.key)
	if err != nil {
		return outcome{}, usageError("--key: %w", err)
	}
	var ok bool
	if o.spec.Hash, ok = hashes[strings.ToLower(o.hash)]; !ok {
		return outcome{}, usageError("--hash %s: use sha256, sha384 or sha512", o.hash)
	}
	keyPassword, err := a.newSecret(ctx, o.keyPassword)
	if err != nil {
		return outcome{}, err
	}
	challenge, err := a.newSecret(ctx, o.challenge)
	if err != nil {
		return outcome{}, err
	}
	o.spec.ChallengePassword = string(challenge)
	if o.from != "" {
		return a.runCSRBatch(ctx, o, keySpec, keyPassword)
	}
	asked, err := a.askSubject(ctx, &o.spec, given, subjectQuestions)
	if err != nil {
		return outcome{}, err
	}

	request, findings := csr.Prepare(o.spec)
	if request == nil {
		return outcome{Findings: findings}, refusal(findings)
	}
	o.spec.Subject = request.Subject // tidied, for the command line that is shown
	if err := a.askAboutKey(ctx, o, o.writeOptions(a, nil).Files(request).Key); err != nil {
		return outcome{}, err
	}
	key, err := a.csrKey(ctx, o, keySpec, keyPassword)
	if err != nil {
		return outcome{Findings: findings}, err
	}
	if key != nil {
		findings = append(findings, csr.JudgeKey(key.Public())...)
		if report.Failed(findings) {
			return outcome{Findings: findings}, refusal(findings)
		}
	}
	return a.writeCSR(o, request, key, keySpec, keyPassword, findings, asked)
}

// refusal is the error for values that were judged wrong.
func refusal(findings []report.Finding) error {
	return report.Errorf(report.KindFailed, "csr.refused", "correct what is marked [fail] and run it again", "no request was made: %s", wrongValues(findings))
}

// wrongValues says how many values were judged wrong.
func wrongValues(findings []report.Finding) string {
	if n := report.Count(findings, report.StatusFail); n > 1 {
		return fmt.Sprintf("%d values are wrong", n)
	}
	return "a value is wrong"
}

// csrKey returns the key for the request: the one of --key-file, or a new one.
// With --dry-run no key is made, and it is nil.
func (a *app) csrKey(ctx context.Context, o *csrNewOptions, spec csr.KeySpec, password []byte) (crypto.Signer, error) {
	if o.keyFile == "" {
		if o.dryRun {
			return nil, nil
		}
		return csr.GenerateKey(spec)
	}
	bag, err := a.readBag(ctx, o.keyFile)
	if err != nil {
		return nil, err
	}
	keys, err := bag.OpenKeys(password)
	if report.HasCode(err, csr.CodeKeyPasswordRequired) {
		if password, err = a.askSecret(ctx, o.keyPassword, "the password of "+inputName(o.keyFile), false); err != nil {
			return nil, err
		}
		keys, err = bag.OpenKeys(password)
	}
	switch {
	case err != nil:
		return nil, report.InFile(inputName(o.keyFile), err)
	case len(keys) != 1:
		return nil, report.Errorf(report.KindInput, "file.unknown", "name a file with the one private key",
			"%s holds %d private keys", inputName(o.keyFile), len(keys))
	}
	if raw, ok := keys[0].(*csr.RawKey); ok {
		return nil, report.InFile(inputName(o.keyFile), raw.Refuse())
	}
	return keys[0], nil
}

func (o *csrNewOptions) writeOptions(a *app, password []byte) csr.WriteOptions {
	return csr.WriteOptions{
		Dir: o.out, KeyPassword: password, KeepKey: o.keyFile != "", Overwrite: o.force, Now: a.now,
	}
}

func (a *app) writeCSR(o *csrNewOptions, request *csr.Request, key crypto.Signer, spec csr.KeySpec, password []byte,
	findings []report.Finding, asked bool,
) (outcome, error) {
	w := o.writeOptions(a, password)
	result := csrNewResult{
		Paths: w.Files(request), DryRun: o.dryRun, CommonName: request.Subject.CommonName, SANs: request.SANs,
		KeyType: csr.DescribeKind(spec), Encrypted: len(password) > 0 && o.keyFile == "",
	}
	if key != nil {
		result.KeyType, result.SPKISHA256 = csr.DescribeKey(key.Public()), csr.Fingerprint(key.Public())
	}
	out := outcome{Result: &result, Findings: findings}
	if o.dryRun {
		if err := w.Refuse(request); err != nil {
			return outcome{Findings: findings}, err
		}
		out.Text = func(p *printer) {
			if o.stdout {
				p = a.printer(a.io.err, a.io.errTTY)
			}
			result.plan(p)
		}
		return out, nil
	}
	paths, pem, err := csr.Write(request, key, w)
	if err != nil {
		return outcome{Findings: findings}, err
	}
	result.Paths, result.PEM = paths, string(pem)
	out.Text = func(p *printer) {
		if o.stdout {
			p.raw(pem)
			p = a.printer(a.io.err, a.io.errTTY)
		}
		result.summary(p)
		if asked {
			p.linef("\nThe same without questions:\n  %s", o.commandLine())
		}
	}
	return out, nil
}

func (r *csrNewResult) plan(p *printer) {
	r.planFiles(p)
	p.linef("covers: %s", joinSANs(r.SANs))
	p.linef("key: %s", r.KeyType)
}

func (r *csrNewResult) planFiles(p *printer) {
	p.linef("Nothing was written (--dry-run). These files would be:")
	for _, path := range []string{r.Key, r.Request} {
		if path != "" {
			p.linef("  %s%s", path, replaces(path))
		}
	}
}

// replaces is a plan's remark on a file that is there already.
func replaces(path string) string {
	if _, err := os.Lstat(path); err != nil {
		return ""
	}
	return " (replaces the one there, which is kept beside)"
}

func (r *csrNewResult) summary(p *printer) {
	if r.Key != "" {
		protection := "not encrypted"
		if r.Encrypted {
			protection = "encrypted"
		}
		p.linef("%s  private key, %s, %s: keep it secret, keep a copy", r.Key, r.KeyType, protection)
	}
	p.linef("%s  request for %s", r.Request, joinSANs(r.SANs))
	if r.Kept != "" {
		p.linef("The files that were there are kept in %s", r.Kept)
	}
	p.linef("Send %s to the authority; the key stays here.", r.Request)
}

func joinSANs(sans []csr.SAN) string {
	list := make([]string, len(sans))
	for i, s := range sans {
		list[i] = s.String()
	}
	return strings.Join(list, ", ")
}
