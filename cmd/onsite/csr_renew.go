package main

import (
	"cmp"
	"context"
	"crypto"
	"crypto/x509"
	"os"
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

type csrRenewOptions struct {
	in            string
	values        csr.Subject // those that were given
	sans, drop    []string
	key, keyFile  string
	keepKey       bool
	hash          string
	out           string
	dryRun, force bool
	keyPassword   secretFlags
}

// csrRenewResult is the JSON result of csr renew: that of csr new, and what it
// comes from.
type csrRenewResult struct {
	csrNewResult
	From     string       `json:"from"`      // the file
	NotAfter *time.Time   `json:"not_after"` // of the certificate; null when it comes from a request
	Fields   csr.Subject  `json:"fields"`
	Changes  []csr.Change `json:"changes"`
	KeyKept  bool         `json:"key_kept"`
	from     string
	live     string // the folder that stays as it is
}

func newCSRRenewCmd(a *app) *cobra.Command {
	o := &csrRenewOptions{}
	cmd := &cobra.Command{
		Use:   "renew PATH",
		Short: "Make the next request from a certificate or request that is there",
		Long: `Make the request for the next certificate: subject and names come from the one
that is there, be it expired or self-signed, the key is new. PATH is a folder with
cert.pem and key.pem, with one certificate or with one request; or it is the file
itself. Key and request go to the folder "renewal" in that folder: what a server uses
stays as it is. Values that are given replace those that are there; "" leaves one
out.`,
		Example: `  onsite csr renew "C:\Program Files (x86)\ClockOn Services\Web Server"
  onsite csr renew web --unit "" --san www.acme.example --dry-run
  onsite csr renew portal.acme.example.crt --keep-key --out next`,
		Args: exactly("PATH"),
	}
	cmd.RunE = a.verb(func(ctx context.Context, args []string) (outcome, error) {
		o.in = args[0]
		return a.runCSRRenew(ctx, o, func(flag string) bool { return cmd.Flags().Changed(flag) })
	})
	f := cmd.Flags()
	f.StringVar(&o.values.CommonName, "cn", "", "common name instead of the one that is there")
	f.StringSliceVar(&o.sans, "san", nil, "further name, address, e-mail or URI to be covered (repeatable)")
	f.StringSliceVar(&o.drop, "drop-san", nil, "name that is not to be covered any more (repeatable)")
	f.StringVar(&o.values.Country, "country", "", "country, two letters (C)")
	f.StringVar(&o.values.State, "state", "", "state or province (ST)")
	f.StringVar(&o.values.Locality, "locality", "", "town or suburb (L)")
	f.StringVar(&o.values.Organization, "organization", "", "registered name of the business (O)")
	f.StringVar(&o.values.Unit, "unit", "", "department (OU)")
	f.StringVar(&o.values.Email, "email", "", "e-mail address (emailAddress)")
	f.StringVar(&o.key, "key", "", "key to make: "+strings.Join(csr.KeyNames(), ", ")+" (default: as before)")
	f.BoolVar(&o.keepKey, "keep-key", false, "make the request for the key that is there, and no new key")
	f.StringVar(&o.keyFile, "key-file", "", "file with that key, when it is elsewhere (implies --keep-key)")
	f.StringVar(&o.hash, "hash", "sha256", "hash of the signature: sha256, sha384, sha512")
	f.StringVar(&o.out, "out", "", `folder to write to (default: "renewal" in the folder of what is there)`)
	f.BoolVar(&o.dryRun, "dry-run", false, "judge the values and say what would be written, no more")
	f.BoolVar(&o.force, "force", false, "replace files of the same name in --out; the old ones are kept beside")
	addSecretFlags(cmd, &o.keyPassword, "key-password", "the password that encrypts the new key (with --keep-key: that opens the old one)")
	return cmd
}

func (a *app) runCSRRenew(ctx context.Context, o *csrRenewOptions, given func(flag string) bool) (outcome, error) {
	o.keepKey = o.keepKey || o.keyFile != ""
	hash, ok := hashes[strings.ToLower(o.hash)]
	switch {
	case !ok:
		return outcome{}, usageError("--hash %s: use sha256, sha384 or sha512", o.hash)
	case o.keepKey && given("key"):
		return outcome{}, usageError("--key makes a new key, and --keep-key and --key-file take the one that is there: give one of them")
	case given("cn") && strings.TrimSpace(o.values.CommonName) == "":
		return outcome{}, usageError("--cn is empty: a request needs a name")
	}
	keySpec := csr.DefaultKey
	if given("key") {
		var err error
		if keySpec, err = csr.ParseKeySpec(o.key); err != nil {
			return outcome{}, usageError("--key: %w", err)
		}
	}
	password, err := a.newSecret(ctx, o.keyPassword)
	if err != nil {
		return outcome{}, err
	}
	old, err := a.readRenewable(ctx, o, password)
	if err != nil {
		return outcome{}, err
	}
	if err := o.chooseOut(old, given); err != nil {
		return outcome{}, err
	}
	before, findings := old.spec()
	spec := before
	if err := o.change(&spec, given); err != nil {
		return outcome{}, err
	}
	spec.Hash = hash
	request, judged := csr.Prepare(spec)
	findings = append(findings, judged...)
	if !given("key") {
		keySpec = csr.LikeKey(old.public())
	}
	var key crypto.Signer
	if o.keepKey {
		if key, err = oldKey(old); err != nil {
			return outcome{Findings: findings}, err
		}
		weak := csr.JudgeKey(key.Public())
		findings = append(findings, weak...)
		if report.Failed(weak) {
			return outcome{Findings: findings}, report.Errorf(report.KindFailed, "csr.refused",
				"leave --keep-key and --key-file away: a new key is made then", "no request was made: authorities refuse the old key")
		}
	}
	if request == nil || report.Failed(findings) {
		return outcome{Findings: findings}, refusal(findings)
	}
	return a.writeRenewal(o, old, before, request, key, keySpec, password, findings)
}

// chooseOut takes the folder of --out, and never that of the live files.
func (o *csrRenewOptions) chooseOut(old *renewable, given func(flag string) bool) error {
	if !given("out") {
		o.out = filepath.Join(old.dir, "renewal")
		return nil
	}
	var err error
	if o.out, err = outFolder(o.out); err != nil {
		return err
	}
	out, err := os.Stat(o.out)
	if err != nil || old.file == inputName("-") {
		return nil //nolint:nilerr // it is not there yet, or there is nothing to compare it with
	}
	if live, err := os.Stat(old.dir); err == nil && os.SameFile(out, live) {
		return usageError("--out %s is the folder of what is there: name another one, so that it stays as it is", o.out)
	}
	return nil
}

// change puts the values of the flags into what was taken over.
func (o *csrRenewOptions) change(spec *csr.Spec, given func(flag string) bool) error {
	for _, f := range []struct {
		flag  string
		value string
		field *string
	}{
		{"cn", o.values.CommonName, &spec.CommonName},
		{"country", o.values.Country, &spec.Country},
		{"state", o.values.State, &spec.State},
		{"locality", o.values.Locality, &spec.Locality},
		{"organization", o.values.Organization, &spec.Organization},
		{"unit", o.values.Unit, &spec.Unit},
		{"email", o.values.Email, &spec.Email},
	} {
		if given(f.flag) {
			*f.field = f.value
		}
	}
	spec.SANs = slices.Clone(spec.SANs)
	for _, name := range o.drop {
		switch {
		case strings.EqualFold(name, spec.CommonName):
			return usageError("--drop-san %s: this is the common name, which is always covered; give another with --cn", name)
		case !spec.DropSAN(name):
			return usageError("--drop-san %s: it is not among the names that are there: %s", name, cmp.Or(strings.Join(spec.SANs, ", "), "there are none"))
		}
	}
	spec.SANs = append(spec.SANs, o.sans...)
	return nil
}

func (a *app) writeRenewal(o *csrRenewOptions, old *renewable, before csr.Spec, request *csr.Request, key crypto.Signer,
	spec csr.KeySpec, password []byte, findings []report.Finding,
) (outcome, error) {
	w := csr.WriteOptions{Dir: o.out, KeyPassword: password, KeepKey: o.keepKey, Overwrite: o.force, Now: a.now}
	result := &csrRenewResult{
		csrNewResult: csrNewResult{
			Paths: w.Files(request), DryRun: o.dryRun, CommonName: request.Subject.CommonName, SANs: request.SANs,
			KeyType: csr.DescribeKind(spec), Encrypted: len(password) > 0 && !o.keepKey,
		},
		From: old.file, Fields: request.Subject, Changes: request.Changes(before), KeyKept: o.keepKey, from: old.String(), live: old.dir,
	}
	if old.cert != nil {
		result.NotAfter = &old.cert.NotAfter
	}
	out := outcome{Result: result, Findings: findings, Text: result.text}
	// Before a key is made for nothing.
	if err := w.Refuse(request); err != nil {
		return outcome{Findings: findings}, err
	}
	if was := csr.DescribeKey(old.public()); key == nil && was != result.KeyType {
		result.Changes = append(result.Changes, csr.Change{Field: "key", Before: was, After: result.KeyType})
	}
	if key == nil && !o.dryRun {
		var err error
		if key, err = csr.GenerateKey(spec); err != nil {
			return outcome{Findings: findings}, err
		}
	}
	if key != nil {
		result.KeyType, result.SPKISHA256 = csr.DescribeKey(key.Public()), csr.Fingerprint(key.Public())
	}
	if o.dryRun {
		return out, nil
	}
	paths, text, err := csr.Write(request, key, w)
	if err != nil {
		return outcome{Findings: findings}, err
	}
	result.Paths, result.PEM = paths, string(text)
	return out, nil
}

func (r *csrRenewResult) text(p *printer) {
	p.linef("%s", report.Wrap(report.Printable("Taken from "+r.from), p.width, ""))
	rows := subjectRows(r.Fields, r.SANs)
	for _, c := range r.Changes {
		rows = append(rows, [2]string{"Changed", c.String()})
	}
	key := r.KeyType
	if r.KeyKept {
		key += ", the one that is there"
	}
	p.table(append(rows, [2]string{"Key", key}))
	p.linef("")
	if r.DryRun {
		r.planFiles(p)
		return
	}
	r.summary(p)
	if r.live != "" {
		p.linef("What is in %s stays as it is until the new certificate is there.", r.live)
	}
}

// renewable is what a next request is made from.
type renewable struct {
	file, dir string
	cert      *x509.Certificate // or
	request   *csr.Info
	keys      []pkcs.Key // that were found with it
}

func (r *renewable) spec() (csr.Spec, []report.Finding) {
	if r.cert != nil {
		return csr.FromCertificate(r.cert)
	}
	return r.request.Again()
}

func (r *renewable) public() crypto.PublicKey {
	if r.cert != nil {
		return r.cert.PublicKey
	}
	return r.request.PublicKey
}

func (r *renewable) String() string {
	if r.cert != nil {
		return r.file + ": " + certLine(pkcs.Describe(r.cert))
	}
	return r.file + ": request for " + r.request.Subject
}

// readRenewable finds the one certificate or request that is meant. Passwords
// are asked for only where the old key is wanted.
func (a *app) readRenewable(ctx context.Context, o *csrRenewOptions, password []byte) (*renewable, error) {
	in := &inputs{a: a, secret: o.keyPassword, given: len(password) > 0, passwords: [][]byte{password}, mute: !o.keepKey}
	path := cleanPath(o.in)
	dir := filepath.Dir(path)
	if fi, err := os.Stat(path); path != "-" && err == nil {
		if fi.IsDir() {
			dir = path
		}
		if err := fileset.Recover(dir); err != nil {
			return nil, err
		}
	}
	name := path
	if set := filepath.Join(path, pkcs.CertFile); dir == path && isThere(set) {
		name = set
	}
	bag, err := in.read(ctx, name)
	if err != nil {
		return nil, err
	}
	if o.keepKey {
		err = a.readOldKeys(ctx, o, in, bag, dir, name)
	}
	if err != nil {
		return nil, err
	}
	return onlyOne(name, dir, bag)
}

func isThere(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// readOldKeys adds the private keys that may belong to what is renewed: those of
// --key-file, else those beside it.
func (a *app) readOldKeys(ctx context.Context, o *csrRenewOptions, in *inputs, bag *pkcs.Bag, dir, name string) error {
	paths := []string{o.keyFile}
	if o.keyFile == "" {
		if len(bag.Keys) > 0 || name == "-" {
			return nil
		}
		paths = slices.DeleteFunc([]string{filepath.Join(dir, pkcs.KeyFile), strings.TrimSuffix(name, filepath.Ext(name)) + ".key"},
			func(path string) bool { return !isThere(path) })
	}
	more, err := in.read(ctx, paths...)
	if err != nil {
		return err
	}
	bag.Keys = append(more.Keys, bag.Keys...)
	return nil
}

func errSource(format string, args ...any) error {
	return report.Errorf(report.KindInput, "file.unknown", "name the file with the certificate or request that is to be renewed", format, args...)
}

// onlyOne picks the site's own certificate: the only one, or the only one that
// is no authority's. Where there is no certificate it picks the only request.
func onlyOne(name, dir string, bag *pkcs.Bag) (*renewable, error) {
	var certs, leaves, requests []*renewable
	seen := map[string]bool{}
	for _, c := range bag.Certs {
		if id := pkcs.Fingerprint(c.Certificate); !seen[id] {
			seen[id] = true
			r := &renewable{file: c.Path, dir: dir, cert: c.Certificate, keys: bag.Keys}
			if certs = append(certs, r); !c.IsCA {
				leaves = append(leaves, r)
			}
		}
	}
	for _, q := range bag.Requests {
		info, err := csr.Parse(q.DER)
		if err != nil {
			return nil, report.InFile(q.Path, err)
		}
		requests = append(requests, &renewable{file: q.Path, dir: dir, request: info, keys: bag.Keys})
	}
	switch {
	case len(leaves) == 1:
		return leaves[0], nil
	case len(certs) == 1:
		return certs[0], nil
	case len(certs) > 0:
		return nil, errSource("%s holds %s, and it is not clear which is meant", inputName(name), plural(max(len(leaves), 2), "certificate", "certificates"))
	case len(requests) == 1:
		return requests[0], nil
	case len(requests) > 1:
		return nil, errSource("%s holds %d requests, and it is not clear which is meant", inputName(name), len(requests))
	}
	return nil, errSource("%s holds neither a certificate nor a request", inputName(name))
}

// oldKey returns the private key that belongs to what is renewed.
func oldKey(old *renewable) (crypto.Signer, error) {
	want := csr.Fingerprint(old.public())
	for _, k := range old.keys {
		if k.Signer != nil && csr.Fingerprint(k.Public()) == want {
			return k.Signer, nil
		}
	}
	for _, k := range old.keys {
		if k.Err != nil {
			return nil, report.InFile(k.Path, k.Err)
		}
	}
	what := "there is no private key beside " + old.file
	if len(old.keys) > 0 {
		what = "the private key in " + old.keys[0].Path + " does not belong to " + old.file
	}
	return nil, report.Errorf(report.KindInput, "csr.renew.key", "name its file with --key-file, or leave --keep-key away: a new key is made then", "%s", what)
}
