package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"onsite/csr"
	"onsite/internal/fileset"
	"onsite/pkcs"
	"onsite/report"
)

type pfxMakeOptions struct {
	in            []string
	out           string
	host          string
	reader        string // of Protections
	friendlyName  string
	chain         string
	dryRun, force bool
	password      secretFlags
	keyPassword   secretFlags
}

// pfxMakeResult is the JSON result of pfx make.
type pfxMakeResult struct {
	File         string      `json:"file"`
	Kept         string      `json:"kept"` // the folder with the file that was there before, or ""
	DryRun       bool        `json:"dry_run"`
	For          string      `json:"for"`
	FriendlyName string      `json:"friendly_name"`
	Leaf         pkcs.Info   `json:"leaf"`
	Chain        []pkcs.Info `json:"chain"`
	Key          string      `json:"key"`
	SPKISHA256   string      `json:"spki_sha256"`
}

func newPFXMakeCmd(a *app) *cobra.Command {
	o := &pfxMakeOptions{}
	cmd := &cobra.Command{
		Use:   "make PATH...",
		Short: "Bundle a private key, its certificate and the chain into a PFX",
		Long: `Bundle a private key, its certificate and the chain above it into a PFX file
(.pfx, .p12). PATH is a folder of the three files of a portal, or any files with
the key and the certificates: they are sorted out as "onsite cert gather" does,
and a key that does not belong to the certificate is refused.`,
		Example: `  onsite pfx make web --out acme.pfx
  onsite pfx make key.pem certificate.zip --for windows2016 --password-file password.txt
  onsite pfx make web --for java --friendly-name portal --chain full --password-env PFXPW --no-input`,
		Args: atLeastOne("PATH"),
	}
	cmd.RunE = a.verb(func(ctx context.Context, args []string) (outcome, error) {
		o.in = args
		return a.runPFXMake(ctx, o)
	})
	f := cmd.Flags()
	f.StringVar(&o.out, "out", "", "file to write (default: the site's name with .pfx)")
	f.StringVar(&o.host, "host", "", "require that the certificate covers this name")
	f.StringVar(&o.reader, "for", pkcs.Protections[0].Name, "who is to read it: "+strings.Join(protectionNames(), ", "))
	f.StringVar(&o.friendlyName, "friendly-name", "", "name that programs show; Java's alias (default: the site's name)")
	f.StringVar(&o.chain, "chain", pkcs.ChainUsual, "what goes in: leaf, chain (leaf and intermediates) or full (with the root)")
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would be written, no more")
	f.BoolVar(&o.force, "force", false, "replace the file that is there; it is kept beside")
	addSecretFlags(cmd, &o.password, "password", "the bundle's password")
	addSecretFlags(cmd, &o.keyPassword, "key-password", "the password that opens the key")
	return cmd
}

func protectionNames() []string {
	var names []string
	for _, p := range pkcs.Protections {
		names = append(names, p.Name)
	}
	return names
}

func (a *app) runPFXMake(ctx context.Context, o *pfxMakeOptions) (outcome, error) {
	which := slices.IndexFunc(pkcs.Protections, func(p pkcs.Protection) bool { return p.Name == o.reader })
	switch {
	case which < 0:
		return outcome{}, usageError("--for %s: use one of %s", o.reader, strings.Join(protectionNames(), ", "))
	case !slices.Contains([]string{pkcs.ChainLeaf, pkcs.ChainUsual, pkcs.ChainFull}, o.chain):
		return outcome{}, usageError("--chain %s: use leaf, chain or full", o.chain)
	case o.host != "" && !pkcs.IsHost(o.host):
		return outcome{}, usageError("--host %s: give a host name without scheme and port", o.host)
	}
	password, err := a.newSecret(ctx, o.password)
	if err != nil {
		return outcome{}, err
	}
	in, err := a.newInputs(ctx, o.keyPassword)
	if err != nil {
		return outcome{}, err
	}
	bag, err := in.read(ctx, o.in...)
	if err != nil {
		return outcome{}, err
	}
	set, findings, err := a.wholeSet(ctx, in, bag, o.host)
	if err != nil {
		return outcome{Findings: findings}, err
	}
	set.Layout.Cert = o.chain
	b := pkcs.PFX{
		Key: set.Key, Leaf: set.Leaf, Chain: set.CertFile()[1:], Protection: pkcs.Protections[which],
		FriendlyName: o.friendlyName,
	}
	result := newPFXMakeResult(o, &b)
	result.File = cleanPath(result.File)
	out := outcome{Result: result, Findings: findings, Text: result.text}
	if o.dryRun {
		return out, refuseFile(result.File, o.force)
	}
	if len(password) == 0 {
		if err := checkFile(result.File, o.force); err != nil {
			return outcome{Findings: findings}, err
		}
		if password, err = a.askNewSecret(ctx, o.password, "the password of the bundle"); err != nil {
			return outcome{Findings: findings}, err
		}
	}
	data, err := pkcs.EncodePFX(b, password)
	if err == nil {
		result.Kept, err = a.writeFile(result.File, data, true, o.force)
	}
	if err != nil {
		return outcome{Findings: findings}, err
	}
	return out, nil
}

// wholeSet sorts out the one set with key and certificate that is in a bag.
func (a *app) wholeSet(ctx context.Context, in *inputs, bag *pkcs.Bag, host string) (*pkcs.Set, []report.Finding, error) {
	g, err := bag.Gather(ctx, pkcs.GatherOptions{Rules: pkcs.Rules{Host: host, Now: a.now()}})
	if err != nil {
		return nil, nil, in.explain(bag, "", err)
	}
	findings := append(asideFindings(bag), g.Findings...)
	s := g.Sets[0]
	switch {
	case len(g.Sets) > 1:
		return nil, findings, report.Errorf(report.KindInput, "set.keys.several", "choose one with --host",
			"there are %d private keys with a certificate each: %s", len(g.Sets), leaves(g.Sets))
	case s.Key == nil:
		return nil, findings, report.Errorf(report.KindInput, "set.key.missing", "name the file with the private key too", "there is no private key for %s", leaves(g.Sets))
	case s.Leaf == nil:
		return nil, findings, report.Errorf(report.KindInput, "set.certificate.missing", "name the file with the certificate too", "there is no certificate for the private key")
	case report.Failed(findings):
		return nil, findings, report.Errorf(report.KindFailed, "set.refused", "", "nothing was written: the certificate does not cover %s", host)
	}
	return s, findings, nil
}

func leaves(sets []*pkcs.Set) string {
	var names []string
	for _, s := range sets {
		if s.Leaf != nil {
			names = append(names, pkcs.Describe(s.Leaf).Name)
		}
	}
	return strings.Join(names, ", ")
}

func newPFXMakeResult(o *pfxMakeOptions, b *pkcs.PFX) *pfxMakeResult {
	r := &pfxMakeResult{
		File: o.out, DryRun: o.dryRun, For: b.Protection.Name, Leaf: pkcs.Describe(b.Leaf), Chain: []pkcs.Info{},
		Key: csr.DescribeKey(b.Key.Public()), SPKISHA256: csr.Fingerprint(b.Key.Public()),
	}
	if b.FriendlyName == "" {
		b.FriendlyName = r.Leaf.Name
	}
	r.FriendlyName = b.FriendlyName
	if r.File == "" {
		r.File = csr.Stem(r.Leaf.Name) + ".pfx"
	}
	for _, c := range b.Chain {
		r.Chain = append(r.Chain, pkcs.Describe(c))
	}
	return r
}

func (r *pfxMakeResult) text(p *printer) {
	note := ""
	if r.DryRun {
		p.linef("Nothing was written (--dry-run). This file would be:")
		note = replaces(r.File)
	}
	p.linef("%s%s", r.File, note)
	lines := []string{fmt.Sprintf("%s, for %q", r.Key, r.FriendlyName), certLine(r.Leaf)}
	for _, c := range r.Chain {
		lines = append(lines, certLine(c))
	}
	for _, line := range lines {
		p.linef("    %s", report.Wrap(report.Printable(line), p.width-4, "    "))
	}
	if r.Kept != "" {
		p.linef("The file that was there before is kept in %s", r.Kept)
	}
	for _, protection := range pkcs.Protections {
		if protection.Name == r.For {
			p.linef("Protected for %s.", protection.Who)
		}
	}
}

// writeFile writes one file, whole or not at all.
func (a *app) writeFile(path string, data []byte, private, force bool) (kept string, err error) {
	return fileset.Replace(filepath.Dir(path), []fileset.File{{Name: filepath.Base(path), Data: data, Private: private}},
		fileset.Options{Overwrite: force, Now: a.now})
}

// refuseFile is the error with which writeFile refuses a file that is there.
func refuseFile(path string, force bool) error {
	if force {
		return nil
	}
	return fileset.Refuse(filepath.Dir(path), filepath.Base(path))
}

// checkFile finds what would make writing a file fail, before a person is asked
// for a secret.
func checkFile(path string, force bool) error {
	if err := fileset.Try(filepath.Dir(path)); err != nil {
		return err
	}
	return refuseFile(path, force)
}
