package main

import (
	"context"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"onsite/csr"
	"onsite/pkcs"
)

type certConvertOptions struct {
	in, out     string
	to, only    string
	keyFormat   string
	force       bool
	password    secretFlags
	outPassword secretFlags
}

// certConvertResult is the JSON result of cert convert.
type certConvertResult struct {
	File         string `json:"file"` // "-" for standard output
	Kept         string `json:"kept"` // the folder with the file that was there before, or ""
	Form         string `json:"form"` // PEM, DER, P7B or PFX
	Certificates int    `json:"certificates"`
	Keys         int    `json:"keys"`
	Requests     int    `json:"requests"`
	CRLs         int    `json:"crls"`
	Encrypted    bool   `json:"key_encrypted"`
}

// forms are what --to takes, and the endings of file names that stand for it.
var forms = []struct {
	to, form string
	endings  []string
}{
	{"pem", pkcs.FormPEM, []string{".pem", ".crt", ".cer", ".txt", ".key", ".csr"}},
	{"der", pkcs.FormDER, []string{".der"}},
	{"p7b", pkcs.FormP7B, []string{".p7b", ".p7c"}},
	{"pfx", pkcs.FormPFX, []string{".pfx", ".p12"}},
}

func newCertConvertCmd(a *app) *cobra.Command {
	o := &certConvertOptions{}
	cmd := &cobra.Command{
		Use:   "convert IN OUT",
		Short: "Write certificates, keys and requests in another form",
		Long: `Write what is in a file in another form: PEM, DER, P7B or PFX, by the ending of
OUT or by --to. IN may be of any form; OUT - is standard output. The order stays
as it is: "onsite cert gather" sorts a chain out.`,
		Example: `  onsite cert convert chain.p7b chain.pem
  onsite cert convert acme.pfx key.pem --only keys --password-file password.txt
  onsite cert convert portal.cer - --to der > portal.der
  onsite cert convert old.pfx new.pfx --password-env OLD --out-password-env NEW`,
		Args: exactly("IN", "OUT"),
	}
	cmd.RunE = a.verb(func(ctx context.Context, args []string) (outcome, error) {
		o.in, o.out = args[0], args[1]
		return a.runCertConvert(ctx, o)
	})
	f := cmd.Flags()
	f.StringVar(&o.to, "to", "", "form to write: pem, der, p7b or pfx (default: by the ending of OUT)")
	f.StringVar(&o.only, "only", "", "write one kind alone: certs, keys or requests")
	f.StringVar(&o.keyFormat, "key-format", string(csr.PKCS8), "layout of keys: pkcs8 or pkcs1 (RSA only)")
	f.BoolVar(&o.force, "force", false, "replace the file that is there; it is kept beside")
	addSecretFlags(cmd, &o.password, "password", "the password that opens IN")
	addSecretFlags(cmd, &o.outPassword, "out-password", "a password that protects OUT: of a PFX, or of keys")
	return cmd
}

// form is what is to be written.
func (o *certConvertOptions) form() (string, error) {
	ending := strings.ToLower(filepath.Ext(o.out))
	for _, f := range forms {
		if o.to == f.to || o.to == "" && slices.Contains(f.endings, ending) {
			return f.form, nil
		}
	}
	if o.to != "" {
		return "", usageError("--to %s: use pem, der, p7b or pfx", o.to)
	}
	return "", usageError("%s does not say which form is wanted: give --to pem, der, p7b or pfx", o.out)
}

func (a *app) runCertConvert(ctx context.Context, o *certConvertOptions) (outcome, error) {
	form, err := o.form()
	switch {
	case err != nil:
		return outcome{}, err
	case o.only != "" && !slices.Contains([]string{pkcs.OnlyCerts, pkcs.OnlyKeys, pkcs.OnlyRequests}, o.only):
		return outcome{}, usageError("--only %s: use certs, keys or requests", o.only)
	case o.only != "" && form == pkcs.FormPFX:
		return outcome{}, usageError("--only is for other forms: a PFX holds a key with its certificate and chain")
	case o.keyFormat != string(csr.PKCS8) && o.keyFormat != string(csr.PKCS1):
		return outcome{}, usageError("--key-format %s: use pkcs8 or pkcs1", o.keyFormat)
	}
	outPassword, err := a.newSecret(ctx, o.outPassword)
	if err != nil {
		return outcome{}, err
	}
	in, err := a.newInputs(ctx, o.password)
	if err != nil {
		return outcome{}, err
	}
	o.out = cleanPath(o.out)
	toFile := o.out != "-"
	if toFile {
		in.ready = func() error { return checkFile(o.out, o.force) }
		if err := refuseFile(o.out, o.force); err != nil {
			return outcome{}, err
		}
	}
	bag, err := in.read(ctx, o.in)
	if err != nil {
		return outcome{}, err
	}
	var data []byte
	var private bool
	if form == pkcs.FormPFX {
		data, err = a.convertToPFX(ctx, o, in, bag, outPassword)
		private = true
	} else {
		data, private, err = bag.Convert(pkcs.ConvertOptions{Form: form, Only: o.only, KeyFormat: csr.KeyFormat(o.keyFormat), Password: outPassword})
		err = in.explain(bag, o.in, err)
	}
	if err != nil {
		return outcome{}, err
	}
	result := &certConvertResult{File: o.out, Form: form, Encrypted: private && len(outPassword) > 0}
	if written, err := pkcs.Read(data, outPassword); err == nil { // what was written, not what was meant
		result.Certificates, result.Keys, result.Requests, result.CRLs = len(written.Certs), len(written.Keys), len(written.Requests), len(written.CRLs)
	}
	out := outcome{Result: result, Findings: append(bag.Findings(), asideFindings(bag)...)}
	if !toFile {
		if a.io.outTTY && (private || form != pkcs.FormPEM) {
			return outcome{}, usageError("a private key or binary data on the screen helps nobody: name a file, or redirect standard output")
		}
		if a.flags.json {
			return outcome{}, usageError("OUT - and --json both want standard output: name a file")
		}
		out.Text = func(p *printer) { p.raw(data) }
		return out, nil
	}
	if result.Kept, err = a.writeFile(o.out, data, private, o.force); err != nil {
		return outcome{}, err
	}
	out.Text = result.text
	return out, nil
}

// convertToPFX bundles the one set that is in a bag.
func (a *app) convertToPFX(ctx context.Context, o *certConvertOptions, in *inputs, bag *pkcs.Bag, password []byte) ([]byte, error) {
	set, _, err := a.wholeSet(ctx, in, bag, "")
	if err != nil {
		return nil, err
	}
	if len(password) == 0 {
		if password, err = a.askNewSecret(ctx, o.outPassword, "the password of "+inputName(o.out)); err != nil {
			return nil, err
		}
	}
	set.Layout.Cert = pkcs.ChainFull
	return pkcs.EncodePFX(pkcs.PFX{Key: set.Key, Leaf: set.Leaf, Chain: set.CertFile()[1:], FriendlyName: pkcs.Describe(set.Leaf).Name}, password)
}

func (r *certConvertResult) text(p *printer) {
	what := strings.Join(pkcs.Counts(r.Certificates, r.Keys, r.Requests, r.CRLs), ", ")
	if r.Keys > 0 {
		what += map[bool]string{true: ", encrypted", false: ", not encrypted: keep it secret"}[r.Encrypted]
	}
	p.linef("%s  %s, %s", r.File, r.Form, what)
	if r.Kept != "" {
		p.linef("The file that was there before is kept in %s", r.Kept)
	}
}
