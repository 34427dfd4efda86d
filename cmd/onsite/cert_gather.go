package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"onsite/csr"
	"onsite/internal/fileset"
	"onsite/pkcs"
	"onsite/report"
)

// gatherOptions are those of cert gather and of pfx split, which is the same work
// on one file.
type gatherOptions struct {
	in            []string
	keyFile       string
	out, host     string
	keyFormat     string
	layout        pkcs.Layout
	fetch         bool
	dryRun, force bool
	password      secretFlags
	keyPassword   secretFlags
}

// gatherResult is the JSON result of both. What stands beside the lists is the
// first set.
type gatherResult struct {
	setResult
	DryRun bool          `json:"dry_run"`
	Sets   []setResult   `json:"sets"`
	Inputs []inputResult `json:"inputs"`

	aside []report.Finding // certificates that are part of no set
}

// setResult is one set of the three files.
type setResult struct {
	Dir           string      `json:"dir"`
	Files         []string    `json:"files"`
	Kept          string      `json:"kept"` // the folder with the set that was there before, or ""
	Leaf          *pkcs.Info  `json:"leaf"` // null when there was none
	Intermediates []pkcs.Info `json:"intermediates"`
	Root          *pkcs.Info  `json:"root"` // null when it is missing
	Key           string      `json:"key"`  // "" when there was none
	Encrypted     bool        `json:"key_encrypted"`
	SPKISHA256    string      `json:"spki_sha256"` // of the key, else of the leaf

	set  *pkcs.Set
	from func(*x509.Certificate) string
}

// inputResult is what one file was.
type inputResult struct {
	Path         string `json:"path"`
	Form         string `json:"form"` // PEM, DER, P7B, PFX or JKS; "" when it was left aside
	Certificates int    `json:"certificates"`
	Keys         int    `json:"keys"`
	Requests     int    `json:"requests"`
	CRLs         int    `json:"crls"`
	Aside        string `json:"aside"` // why it was left aside, or ""
	nothing      bool   // because there is no certificate in it
}

func newCertGatherCmd(a *app) *cobra.Command {
	o := &gatherOptions{}
	cmd := &cobra.Command{
		Use:   "gather PATH...",
		Short: "Sort out what an authority sent, and write root.pem, cert.pem and key.pem",
		Long: `Read files, folders and ZIP archives of any form (PEM, DER, P7B, PFX, JKS, text
from a mail), find the certificate that belongs to the private key and the chain
above it, and write the three files of a web portal: cert.pem holds the
certificate, then the intermediates; root.pem the intermediates, then the root;
key.pem the private key. Where no key is named, the key.pem that is in the folder
is used, and stays as it is. A missing root comes from Mozilla's list.`,
		Example: `  onsite cert gather certificate.zip --key portal.acme.example.key --out web
  onsite cert gather ServerCertificate.cer CACertificate-ROOT-2.txt portal.acme.example.key
  onsite cert gather C:\Downloads --host portal.acme.example --fetch --dry-run
  onsite cert gather renewed.p7b --out "C:\Program Files (x86)\ClockOn Services\Web Server" --force`,
		Args: atLeastOne("PATH"),
	}
	cmd.RunE = a.verb(func(ctx context.Context, args []string) (outcome, error) {
		o.in = args
		return a.runGather(ctx, o)
	})
	o.addFlags(cmd)
	cmd.Flags().StringVar(&o.keyFile, "key", "", "file with the private key")
	return cmd
}

func (o *gatherOptions) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.out, "out", ".", "folder to write the three files to")
	f.StringVar(&o.host, "host", "", "require that the certificate covers this name")
	f.StringVar(&o.keyFormat, "key-format", string(csr.PKCS8), "layout of key.pem: pkcs8 or pkcs1 (RSA only)")
	f.StringVar(&o.layout.Cert, "cert-chain", pkcs.ChainUsual, "what cert.pem holds: leaf, chain (leaf and intermediates) or full (with the root)")
	f.StringVar(&o.layout.Root, "root-chain", pkcs.ChainUsual, "what root.pem holds: root, or chain (intermediates and root)")
	f.BoolVar(&o.fetch, "fetch", false, "download a missing issuer from the address in the certificate")
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would be written, no more")
	f.BoolVar(&o.force, "force", false, "replace the set that is there; it is kept beside")
	addSecretFlags(cmd, &o.password, "password", "the password of a bundle or key")
	addSecretFlags(cmd, &o.keyPassword, "key-password", "a password that encrypts key.pem")
}

func (o *gatherOptions) validate() error {
	switch {
	case o.keyFormat != string(csr.PKCS8) && o.keyFormat != string(csr.PKCS1):
		return usageError("--key-format %s: use pkcs8 or pkcs1", o.keyFormat)
	case !slices.Contains([]string{pkcs.ChainLeaf, pkcs.ChainUsual, pkcs.ChainFull}, o.layout.Cert):
		return usageError("--cert-chain %s: use leaf, chain or full", o.layout.Cert)
	case o.layout.Root != pkcs.ChainRoot && o.layout.Root != pkcs.ChainUsual:
		return usageError("--root-chain %s: use root or chain", o.layout.Root)
	case o.host != "" && !pkcs.IsHost(o.host):
		return usageError("--host %s: give a host name without scheme and port", o.host)
	}
	return nil
}

func (a *app) runGather(ctx context.Context, o *gatherOptions) (outcome, error) {
	var err error
	if o.out, err = outFolder(o.out); err != nil {
		return outcome{}, err
	}
	if err := o.validate(); err != nil {
		return outcome{}, err
	}
	keyPassword, err := a.newSecret(ctx, o.keyPassword)
	if err != nil {
		return outcome{}, err
	}
	write := pkcs.WriteOptions{KeyFormat: csr.KeyFormat(o.keyFormat), KeyPassword: keyPassword, Overwrite: o.force, Now: a.now}
	in, err := a.newInputs(ctx, o.password)
	if err != nil {
		return outcome{}, err
	}
	bag, keepKey, err := o.read(ctx, in)
	if err != nil {
		return outcome{}, err
	}
	write.KeepKey = keepKey
	options := pkcs.GatherOptions{Rules: pkcs.Rules{Host: o.host, Now: a.now()}, Layout: o.layout}
	if o.fetch {
		options.Fetch = a.fetch
	}
	gathered, err := bag.Gather(ctx, options)
	if err != nil {
		only := ""
		if len(o.in) == 1 {
			only = o.in[0]
		}
		return outcome{}, in.explain(bag, only, err)
	}
	out := outcome{Findings: append(asideFindings(bag), gathered.Findings...)}
	if report.Failed(out.Findings) {
		return out, report.Errorf(report.KindFailed, "set.refused", "", "nothing was written: the certificate does not cover %s", o.host)
	}
	if a.stopped(out.Findings) {
		return out, nil
	}
	result := newGatherResult(o, bag, gathered, write)
	if err := a.writeSets(o, result, write); err != nil {
		return outcome{Findings: out.Findings}, err
	}
	out.Result, out.Text = result, result.text
	return out, nil
}

// read reads what was named. What makes the work impossible anyway is
// found before a person types a password for nothing. Where no key is among it,
// the key.pem of the folder is: then keepKey is true, and it stays as it is.
func (o *gatherOptions) read(ctx context.Context, in *inputs) (bag *pkcs.Bag, keepKey bool, err error) {
	in.ready = func() error {
		if o.dryRun {
			return nil
		}
		if err := fileset.Try(o.out); err != nil || o.force {
			return err
		}
		return fileset.Refuse(o.out, pkcs.RootFile, pkcs.CertFile)
	}
	paths := o.in
	if o.keyFile != "" {
		paths = append(slices.Clone(paths), o.keyFile)
	}
	if bag, err = in.read(ctx, paths...); err != nil {
		return nil, false, err
	}
	place := filepath.Join(o.out, pkcs.KeyFile)
	if len(bag.Keys) > 0 || len(bag.Certs) == 0 || !isThere(place) {
		return bag, false, nil
	}
	there, err := in.read(ctx, place)
	if err != nil {
		return nil, false, err
	}
	bag.Add(there)
	return bag, len(there.Keys) > 0, nil
}

// writeSets writes each set into a folder of its own, or the one into the folder
// that was named.
func (a *app) writeSets(o *gatherOptions, r *gatherResult, write pkcs.WriteOptions) error {
	if o.dryRun || len(r.Sets) > 1 { // all or none
		for _, s := range r.Sets {
			if err := s.set.Refuse(s.Dir, write); err != nil {
				return err
			}
		}
	}
	if o.dryRun {
		return nil
	}
	var err error
	for i := range r.Sets {
		s := &r.Sets[i]
		if s.Kept, err = s.set.Write(s.Dir, write); err != nil {
			return err
		}
	}
	r.setResult = r.Sets[0]
	return nil
}

func newGatherResult(o *gatherOptions, bag *pkcs.Bag, g *pkcs.Gathered, write pkcs.WriteOptions) *gatherResult {
	r := &gatherResult{DryRun: o.dryRun, Inputs: describeInputs(bag)}
	for i, s := range g.Sets {
		dir := o.out
		if len(g.Sets) > 1 {
			dir = filepath.Join(o.out, fmt.Sprintf("set-%d", i+1))
		}
		r.Sets = append(r.Sets, newSetResult(dir, s, g.From, write))
	}
	r.setResult = r.Sets[0]
	for _, f := range g.Findings {
		if f.Code == "chain.aside" && f.Status == report.StatusSkip { // else it is shown as a warning
			r.aside = append(r.aside, f)
		}
	}
	return r
}

func newSetResult(dir string, s *pkcs.Set, from func(*x509.Certificate) string, write pkcs.WriteOptions) setResult {
	r := setResult{Dir: dir, Intermediates: []pkcs.Info{}, set: s, from: from, Encrypted: len(write.KeyPassword) > 0 && s.Key != nil}
	for _, name := range s.FileNames(write) {
		r.Files = append(r.Files, filepath.Join(dir, name))
	}
	for _, c := range s.Intermediates {
		r.Intermediates = append(r.Intermediates, pkcs.Describe(c))
	}
	if s.Root != nil {
		r.Root = new(pkcs.Describe(s.Root))
	}
	if s.Leaf != nil {
		r.Leaf = new(pkcs.Describe(s.Leaf))
		r.SPKISHA256 = r.Leaf.SPKISHA256
	}
	if s.Key != nil {
		r.Key, r.SPKISHA256 = csr.DescribeKey(s.Key.Public()), csr.Fingerprint(s.Key.Public())
	}
	return r
}

// describeInputs says what each file was, in the order in which they were read.
func describeInputs(bag *pkcs.Bag) []inputResult {
	list := []inputResult{}
	at := func(o pkcs.Origin) *inputResult {
		i := slices.IndexFunc(list, func(r inputResult) bool { return r.Path == o.Path })
		if i < 0 {
			i = len(list)
			list = append(list, inputResult{Path: o.Path, Form: o.Form})
		}
		return &list[i]
	}
	for _, c := range bag.Certs {
		at(c.Origin).Certificates++
	}
	for _, k := range bag.Keys {
		at(k.Origin).Keys++
	}
	for _, q := range bag.Requests {
		at(q.Origin).Requests++
	}
	for _, c := range bag.CRLs {
		at(c.Origin).CRLs++
	}
	for _, aside := range bag.Aside {
		list = append(list, inputResult{Path: aside.Path, Aside: asideReason(aside), nothing: report.HasCode(aside.Err, "file.unknown")})
	}
	return list
}

// asideFindings warn of files that should have been of use: a certificate that
// is damaged, a bundle whose password is not known. That a text file in a folder
// holds no certificate is no news.
func asideFindings(bag *pkcs.Bag) []report.Finding {
	var findings []report.Finding
	for _, aside := range bag.Aside {
		e := report.AsError(aside.Err)
		f := report.Skip("file.aside", aside.Path, "left aside: "+asideReason(aside))
		if e.Code != "file.unknown" && e.Code != "file.empty" && e.Code != "file.too-large" {
			f.Code, f.Status, f.Remedy = e.Code, report.StatusWarn, e.Remedy
		}
		findings = append(findings, f)
	}
	return findings
}

// asideReason says why a file was left aside, without its path.
func asideReason(aside pkcs.Aside) string {
	return strings.TrimPrefix(report.AsError(aside.Err).Message, aside.Path+": ")
}

func (r *gatherResult) text(p *printer) {
	if len(r.Inputs) > 1 {
		rows := make([][2]string, 0, len(r.Inputs))
		for i, name := range shortNames(r.Inputs) {
			rows = append(rows, [2]string{name, r.Inputs[i].String()})
		}
		p.table(rows)
	}
	if r.DryRun {
		p.linef("Nothing was written (--dry-run). These files would be:")
	}
	for _, s := range r.Sets {
		s.text(p, r.DryRun, r.source)
	}
	for _, f := range r.aside {
		p.linef("%s", report.Wrap(report.Printable(f.Subject+": "+f.Detail), p.width, "    "))
	}
}

// source says where a certificate of a set is from, unless all is from the one
// file that was named.
func (r *gatherResult) source(from string) string {
	if from == "" || len(r.Inputs) == 1 && from == r.Inputs[0].Path {
		return ""
	}
	return " (" + path.Base(filepath.ToSlash(from)) + ")"
}

// shortNames are the paths without the folders that all of them begin with.
func shortNames(inputs []inputResult) []string {
	var names []string
	for _, in := range inputs {
		names = append(names, filepath.ToSlash(in.Path))
	}
	for {
		folder, _, ok := strings.Cut(names[0], "/")
		if !ok || slices.ContainsFunc(names, func(n string) bool { return !strings.HasPrefix(n, folder+"/") }) {
			return names
		}
		for i := range names {
			names[i] = names[i][len(folder)+1:]
		}
	}
}

// String says what a file was.
func (r inputResult) String() string {
	if r.nothing {
		return "left aside: nothing of use in it"
	}
	if r.Aside != "" {
		return "left aside: " + r.Aside
	}
	holds := pkcs.Counts(r.Certificates, r.Keys, r.Requests, r.CRLs)
	return r.Form + ", " + strings.Join(holds, ", ")
}

func (r *setResult) text(p *printer, dryRun bool, source func(from string) string) {
	line := func(c *x509.Certificate) string {
		return certLine(pkcs.Describe(c)) + source(r.from(c))
	}
	for _, path := range r.Files {
		note := ""
		if dryRun {
			note = replaces(path)
		}
		p.linef("%s%s", path, note)
		for _, holds := range r.holds(filepath.Base(path), line) {
			p.linef("    %s", report.Wrap(report.Printable(holds), p.width-4, "    "))
		}
	}
	if r.Kept != "" {
		p.linef("The set that was there before is kept in %s", r.Kept)
	}
}

// holds says what is in one of the three files, a line for each thing.
func (r *setResult) holds(file string, line func(*x509.Certificate) string) []string {
	var lines []string
	switch file {
	case pkcs.KeyFile:
		protection := "not encrypted"
		if r.Encrypted {
			protection = "encrypted"
		}
		return []string{r.Key + ", " + protection}
	case pkcs.CertFile:
		for _, c := range r.set.CertFile() {
			lines = append(lines, line(c))
		}
	case pkcs.RootFile:
		for _, c := range r.set.RootFile() {
			lines = append(lines, line(c))
		}
		if r.set.Root == nil && r.set.Leaf != nil {
			lines = append(lines, "no root: see the warning")
		}
	}
	return lines
}

// certLine is a certificate on one line.
func certLine(c pkcs.Info) string {
	return fmt.Sprintf("%s, until %s", c.Name, day(c.NotAfter))
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
