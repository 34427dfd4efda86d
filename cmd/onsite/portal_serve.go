package main

import (
	"context"
	"net"

	"github.com/spf13/cobra"

	"onsite/csr"
	"onsite/pkcs"
	"onsite/portal"
	"onsite/report"
)

type portalServeOptions struct {
	dir, http, https, host string
	keyPassword            secretFlags
}

// portalServeResult is the JSON result of portal serve, printed when it ends.
type portalServeResult struct {
	HTTP  string `json:"http"`  // the address that was served, or ""
	HTTPS string `json:"https"` // likewise
}

func newPortalServeCmd(a *app) *cobra.Command {
	o := &portalServeOptions{}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve a test page with root.pem, cert.pem and key.pem",
		Long: `Serve a page over HTTP and HTTPS that shows what arrived: the name that was
asked for, the visitor's address, the TLS version, the certificate. It serves
from the three files of the web portal and refuses to start when they are not
right. New files are taken as they appear. Ctrl-C ends it.

The addresses are those of the ClockOn web portal, so stop that service first.
--http "" or --https "" leaves one of them off.`,
		Example: `  onsite portal serve --dir "C:\Program Files (x86)\ClockOn Services\Web Server"
  onsite portal serve --dir web --http 127.0.0.1:8888 --https 127.0.0.1:4444
  onsite portal serve --dir web --http "" --key-password-file key-password.txt`,
		Args: exactly(),
	}
	cmd.RunE = a.verb(func(ctx context.Context, _ []string) (outcome, error) { return a.runPortalServe(ctx, o) })
	f := cmd.Flags()
	f.StringVar(&o.dir, "dir", ".", "folder with root.pem, cert.pem and key.pem")
	f.StringVar(&o.http, "http", ":8888", "address and port for HTTP")
	f.StringVar(&o.https, "https", ":4444", "address and port for HTTPS")
	f.StringVar(&o.host, "host", "", "require that the certificate covers this name")
	addSecretFlags(cmd, &o.keyPassword, "key-password", "the password that opens key.pem")
	return cmd
}

func (a *app) runPortalServe(ctx context.Context, o *portalServeOptions) (outcome, error) {
	password, _, err := a.secret(ctx, o.keyPassword)
	if err != nil {
		return outcome{}, err
	}
	po := portal.Options{
		Dir: cleanPath(o.dir), HTTP: o.http, HTTPS: o.https, Host: o.host, KeyPassword: password, Now: a.now,
		Log: func(f report.Finding) { a.note(f) },
	}
	server, findings, err := portal.New(po)
	if report.HasCode(err, csr.CodeKeyPasswordRequired) {
		if po.KeyPassword, err = a.askSecret(ctx, o.keyPassword, "the password of "+pkcs.KeyFile, false); err != nil {
			return outcome{}, err
		}
		server, findings, err = portal.New(po)
	}
	if err != nil {
		return outcome{Findings: findings}, err
	}
	for _, f := range findings {
		if f.Status != report.StatusPass {
			a.note(f)
		}
	}
	result := portalServeResult{HTTP: server.HTTPAddr(), HTTPS: server.HTTPSAddr()}
	for _, s := range []struct{ scheme, addr string }{{"http", result.HTTP}, {"https", result.HTTPS}} {
		if s.addr != "" {
			a.say("serving %s://%s/", s.scheme, browserAddr(s.addr))
		}
	}
	a.say("Ctrl-C ends it.")
	err = server.Run(ctx)
	if err == nil && ctx.Err() != nil {
		a.say("stopped")
	}
	return outcome{Result: result, Findings: findings, Listed: true}, err
}

// note prints one finding at once, while a command goes on.
func (a *app) note(f report.Finding) {
	a.printer(a.io.err, a.io.errTTY).findings([]report.Finding{f}, a.flags.quiet)
}

// browserAddr is what to type into a browser on this computer for a listening
// address: one on all addresses is reached as localhost.
func browserAddr(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}
