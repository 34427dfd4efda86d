package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"onsite/csr"
	"onsite/pkcs"
	"onsite/portal"
	"onsite/report"
)

type certShowOptions struct {
	in       string
	long     bool
	timeout  time.Duration
	password secretFlags
}

// certShowResult is the JSON result of cert show.
type certShowResult struct {
	Source       string          `json:"source"`    // the file, or HOST:PORT
	Connected    bool            `json:"connected"` // to a server, which sent the certificates in this order
	Certificates []shownCert     `json:"certificates"`
	Keys         []shownKey      `json:"keys"`
	Requests     []shownRequest  `json:"requests"`
	CRLs         []shownCRL      `json:"crls"`
	Aside        []shownLeftover `json:"left_aside"` // files of an archive
}

type shownOrigin struct {
	Path  string `json:"path"`  // the file, in an archive "acme.zip/chain.p7b"
	Form  string `json:"form"`  // PEM, DER, P7B, PFX or JKS; TLS from a server
	Alias string `json:"alias"` // the friendly name there, or ""
}

type shownCert struct {
	pkcs.Info
	pkcs.Details
	shownOrigin
	DaysLeft int `json:"days_left"` // negative once it has expired
}

type shownKey struct {
	Type       string `json:"type"`        // "RSA 2048"; "" when it could not be opened
	SPKISHA256 string `json:"spki_sha256"` // of the public half; "" likewise
	Problem    string `json:"problem"`     // why it could not be opened, or ""
	shownOrigin
}

type shownRequest struct {
	*csr.Info
	shownOrigin
}

type shownCRL struct {
	Issuer     string    `json:"issuer"`
	ThisUpdate time.Time `json:"this_update"`
	NextUpdate time.Time `json:"next_update"`
	Revoked    int       `json:"revoked"` // how many certificates it names
	shownOrigin
}

type shownLeftover struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

func newCertShowCmd(a *app) *cobra.Command {
	o := &certShowOptions{}
	cmd := &cobra.Command{
		Use:   "show FILE|HOST:PORT",
		Short: "Show the certificates, keys and requests in a file, or those of a server",
		Long: `Show what is in a file of any form (PEM, DER, P7B, PFX, JKS, ZIP), or which
certificates a server sends. Nothing is judged: "onsite cert verify" does that
for files, "onsite portal check" for a server.`,
		Example: `  onsite cert show acme.pfx
  onsite cert show portal.acme.example:4444 --long
  onsite cert show certificate.zip --json
  onsite cert show acme.pfx --password-file password.txt --no-input`,
		Args: exactly("FILE|HOST:PORT"),
	}
	cmd.RunE = a.verb(func(ctx context.Context, args []string) (outcome, error) {
		o.in = args[0]
		return a.runCertShow(ctx, o)
	})
	f := cmd.Flags()
	f.BoolVar(&o.long, "long", false, "show everything that stands in each certificate")
	f.DurationVar(&o.timeout, "timeout", 10*time.Second, "longest time for a server to answer")
	addSecretFlags(cmd, &o.password, "password", "the password of a bundle or key")
	return cmd
}

func (a *app) runCertShow(ctx context.Context, o *certShowOptions) (outcome, error) {
	if o.timeout <= 0 {
		return outcome{}, usageError("--timeout %s: give a time such as 10s", o.timeout)
	}
	if isServer(o.in) {
		bag, err := servedBag(ctx, o)
		if err != nil {
			return outcome{}, err
		}
		return a.shown(o, bag), nil
	}
	in, err := a.newInputs(ctx, o.password)
	if err != nil {
		return outcome{}, err
	}
	bag, err := in.read(ctx, o.in)
	if report.HasCode(err, "file.unreadable") && pkcs.IsHost(o.in) && strings.Contains(o.in, ".") {
		e := *report.AsError(err)
		e.Remedy = "check the name of the file; a server needs its port too: " + o.in + ":443"
		err = &e
	}
	if err != nil {
		return outcome{}, err
	}
	if in.given { // a password that opens nothing is wrong, and a script must see it
		err = in.explain(bag, "", bag.Locked())
	}
	return a.shown(o, bag), err
}

func (a *app) shown(o *certShowOptions, bag *pkcs.Bag) outcome {
	result := a.newCertShowResult(o.in, bag)
	return outcome{
		Result: result, Findings: append(bag.Findings(), asideFindings(bag)...),
		Text: func(p *printer) { result.text(p, o.long) },
	}
}

// servedBag returns what a server sends.
func servedBag(ctx context.Context, o *certShowOptions) (*pkcs.Bag, error) {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	sent, err := portal.Served(ctx, o.in, nil)
	if err != nil {
		return nil, err
	}
	bag := &pkcs.Bag{}
	for _, c := range sent {
		bag.Certs = append(bag.Certs, pkcs.Cert{Certificate: c, Origin: pkcs.Origin{Path: o.in, Form: "TLS"}})
	}
	return bag, nil
}

// isServer reports whether an argument is HOST:PORT and no file of that name.
func isServer(arg string) bool {
	host, port, err := net.SplitHostPort(arg)
	if err != nil || host == "" {
		return false
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return false
	}
	_, err = os.Stat(arg)
	return err != nil
}

func (a *app) newCertShowResult(source string, bag *pkcs.Bag) *certShowResult {
	r := &certShowResult{
		Source: source, Connected: isServer(source), Certificates: []shownCert{}, Keys: []shownKey{}, Requests: []shownRequest{}, CRLs: []shownCRL{}, Aside: []shownLeftover{},
	}
	for _, c := range bag.Certs {
		r.Certificates = append(r.Certificates, shownCert{pkcs.Describe(c.Certificate), pkcs.Detail(c), shownOrigin(c.Origin), pkcs.DaysLeft(c.Certificate, a.now())})
	}
	for _, k := range bag.Keys {
		shown := shownKey{shownOrigin: shownOrigin(k.Origin)}
		if k.Err != nil {
			shown.Problem = report.AsError(k.Err).Message
		} else {
			shown.Type, shown.SPKISHA256 = csr.DescribeKey(k.Public()), csr.Fingerprint(k.Public())
		}
		r.Keys = append(r.Keys, shown)
	}
	for _, q := range bag.Requests {
		if info, err := csr.Parse(q.DER); err == nil { // it was parsed when it was read
			r.Requests = append(r.Requests, shownRequest{info, shownOrigin(q.Origin)})
		}
	}
	for _, c := range bag.CRLs {
		shown := shownCRL{shownOrigin: shownOrigin(c.Origin), Issuer: "unknown"}
		if list, err := x509.ParseRevocationList(c.DER); err == nil {
			shown.Issuer, shown.ThisUpdate, shown.NextUpdate, shown.Revoked = list.Issuer.String(), list.ThisUpdate.UTC(), list.NextUpdate.UTC(), len(list.RevokedCertificateEntries)
		}
		r.CRLs = append(r.CRLs, shown)
	}
	for _, aside := range bag.Aside {
		r.Aside = append(r.Aside, shownLeftover{aside.Path, asideReason(aside)})
	}
	return r
}

func (r *certShowResult) text(p *printer, long bool) {
	first := true
	show := func(title string, rows [][2]string) {
		if !first {
			p.linef("")
		}
		first = false
		p.linef("%s", report.Printable(title))
		p.table(rows)
	}
	for i, c := range r.Certificates {
		show(fmt.Sprintf("Certificate %d of %d: %s", i+1, len(r.Certificates), c.Name), c.rows(long, r.where(c.shownOrigin)))
	}
	for _, k := range r.Keys {
		what := k.Type
		if k.Problem != "" {
			what = "not opened: " + k.Problem
		}
		show("Private key: "+what, [][2]string{
			{"  Key SHA-256", k.SPKISHA256}, {"  Belongs to", r.belongsTo(k)}, {"  Friendly name", k.Alias}, r.where(k.shownOrigin),
		})
	}
	for _, q := range r.Requests {
		show("Certificate request: "+q.Subject, [][2]string{
			{"  Names", joinSANs(q.SANs)}, {"  Key", q.Key}, {"  Key SHA-256", q.SPKISHA256}, r.where(q.shownOrigin),
		})
	}
	for _, c := range r.CRLs {
		show("Revocation list of "+c.Issuer, [][2]string{
			{"  Made", day(c.ThisUpdate)}, {"  Next", day(c.NextUpdate)}, {"  Revoked", strconv.Itoa(c.Revoked)}, r.where(c.shownOrigin),
		})
	}
}

// where is the row that says where something is from: of the one file that was
// named, only its form.
func (r *certShowResult) where(o shownOrigin) [2]string {
	if o.Path == r.Source {
		return [2]string{"  From", o.Form}
	}
	return [2]string{"  From", o.Path + ", " + o.Form}
}

// belongsTo names the certificate of a key.
func (r *certShowResult) belongsTo(k shownKey) string {
	for i, c := range r.Certificates {
		if k.SPKISHA256 != "" && c.SPKISHA256 == k.SPKISHA256 {
			return fmt.Sprintf("certificate %d, %s", i+1, c.Name)
		}
	}
	return ""
}

func (c *shownCert) rows(long bool, from [2]string) [][2]string {
	issuer := c.Issuer
	if c.SelfSigned {
		issuer = "itself"
	}
	role := ""
	if c.IsCA {
		role = "an authority"
		switch {
		case c.PathLength == nil:
		case *c.PathLength == 0:
			role += ", with no other below it"
		case *c.PathLength == 1:
			role += ", with at most one level of others below it"
		default:
			role += fmt.Sprintf(", with at most %d levels of others below it", *c.PathLength)
		}
	}
	rows := [][2]string{
		{"  Names", strings.Join(c.Names, ", ")},
		{"  Issuer", issuer},
		{"  Valid", fmt.Sprintf("%s to %s, %s", day(c.NotBefore), day(c.NotAfter), daysLeft(c.DaysLeft))},
		{"  Key", c.Key},
		{"  For", role},
		{"  Friendly name", c.Alias},
		from,
	}
	if !long {
		return rows
	}
	return append(rows,
		[2]string{"  Subject", c.Subject},
		[2]string{"  Serial", c.Serial},
		[2]string{"  SHA-256", c.SHA256},
		[2]string{"  SHA-1", c.SHA1},
		[2]string{"  Key SHA-256", c.SPKISHA256},
		[2]string{"  Signature", c.Signature},
		[2]string{"  Valid exactly", c.NotBefore.Format(time.RFC3339) + " to " + c.NotAfter.Format(time.RFC3339)},
		[2]string{"  E-mail", strings.Join(c.Emails, ", ")},
		[2]string{"  Key usage", strings.Join(c.KeyUsage, ", ")},
		[2]string{"  Extended usage", strings.Join(c.ExtKeyUsage, ", ")},
		[2]string{"  Key identifier", c.SubjectKeyID},
		[2]string{"  Issuer's key", c.AuthorityKeyID},
		[2]string{"  Issuer at", strings.Join(c.IssuerURLs, ", ")},
		[2]string{"  OCSP at", strings.Join(c.OCSPURLs, ", ")},
		[2]string{"  CRL at", strings.Join(c.CRLURLs, ", ")},
		[2]string{"  Policies", strings.Join(c.Policies, ", ")},
		[2]string{"  Extensions", strings.Join(c.Extensions, ", ")},
		[2]string{"  Not parsed", c.Unparsed},
	)
}

func daysLeft(days int) string {
	switch {
	case days < -1:
		return fmt.Sprintf("expired %d days ago", -days)
	case days < 0:
		return "expired"
	case days == 1:
		return "1 day left"
	}
	return fmt.Sprintf("%d days left", days)
}
