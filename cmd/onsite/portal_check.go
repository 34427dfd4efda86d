package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"onsite/portal"
	"onsite/report"
)

type portalCheckOptions struct {
	url, root, connect string
	timeout            time.Duration
}

func newPortalCheckCmd(a *app) *cobra.Command {
	o := &portalCheckOptions{}
	cmd := &cobra.Command{
		Use:   "check URL",
		Short: "Connect to a web portal and judge what it shows",
		Long: `Connect to a web portal as a browser does and judge the name, the chain of
certificates as sent, the dates, the protocol and where it redirects to.
Certificates that the server does not send are never fetched from elsewhere, as
some browsers do: what passes here works everywhere.`,
		Example: `  onsite portal check https://portal.acme.example:4444
  onsite portal check portal.acme.example:4444 --connect 127.0.0.1:4444
  onsite portal check https://portal.acme.example:4444 --root root.pem --json`,
		Args: exactly("URL"),
	}
	cmd.RunE = a.verb(func(ctx context.Context, args []string) (outcome, error) {
		o.url = args[0]
		return a.runPortalCheck(ctx, o)
	})
	f := cmd.Flags()
	f.StringVar(&o.root, "root", "", "file with the roots to trust instead of this computer's")
	f.StringVar(&o.connect, "connect", "", "connect to this HOST:PORT, whatever the name resolves to")
	f.DurationVar(&o.timeout, "timeout", 10*time.Second, "longest time for the whole check")
	return cmd
}

func (a *app) runPortalCheck(ctx context.Context, o *portalCheckOptions) (outcome, error) {
	if o.timeout <= 0 {
		return outcome{}, usageError("--timeout %s: give a time such as 10s", o.timeout)
	}
	roots, err := a.readRoots(ctx, o.root)
	if err != nil {
		return outcome{}, err
	}
	result, findings, err := portal.Check(ctx, portal.CheckOptions{
		URL: o.url, Roots: roots, Connect: o.connect, Now: a.now, Timeout: o.timeout,
	})
	if err != nil {
		return outcome{Findings: findings}, err
	}
	return outcome{Result: result, Findings: findings, IsCheck: true, Text: func(p *printer) { showPortal(p, result) }}, nil
}

// readRoots returns the certificates of a file, or nil when there is none.
func (a *app) readRoots(ctx context.Context, path string) ([]*x509.Certificate, error) {
	if path == "" {
		return nil, nil
	}
	bag, err := a.readBag(ctx, path)
	if err != nil {
		return nil, err
	}
	if len(bag.Certs) == 0 {
		return nil, report.Errorf(report.KindInput, "file.unknown", "name the authority's root certificate, for example root.pem",
			"%s holds no certificate", inputName(path))
	}
	return bag.Certificates(), nil
}

func showPortal(p *printer, r portal.Result) {
	rows := [][2]string{{"URL", r.URL}, {"Connected to", r.Connected}}
	for _, to := range r.Redirects {
		rows = append(rows, [2]string{"Redirected to", to})
	}
	if r.TLSVersion != "" {
		rows = append(rows, [2]string{"Protocol", fmt.Sprintf("%s, %s, %s", r.TLSVersion, r.Cipher, r.Protocol)})
	}
	for i, c := range r.Certificates {
		rows = append(rows, [2]string{fmt.Sprintf("Certificate %d", i+1), certLine(c.Info)})
	}
	if r.StatusCode != 0 {
		rows = append(rows, [2]string{"Answer", fmt.Sprintf("%d after %d ms", r.StatusCode, r.Milliseconds)})
	}
	p.table(rows)
	p.linef("")
}
