package main

import (
	"context"

	"github.com/spf13/cobra"

	"onsite/report"
	"onsite/site"
)

type demoOptions struct {
	out, http, https string
	serve            bool
}

func newDemoCmd(a *app) *cobra.Command {
	o := &demoOptions{}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Set up and check a simulated site, to see how it all works",
		Long: `Set up a simulated site on loopback and check it: make a request, have it
signed by a simulated authority, split the bundle that it sends, serve the three
files, resolve the name, and open the portal as a visitor would. The functions
are those that the other commands run; only the site is simulated.`,
		Example: `  onsite demo
  onsite demo --out C:\Temp\onsite-demo --json
  onsite demo --serve --http 127.0.0.1:8888 --https 127.0.0.1:4444`,
		Args: exactly(),
	}
	cmd.RunE = a.verb(func(ctx context.Context, _ []string) (outcome, error) { return a.runDemo(ctx, o) })
	f := cmd.Flags()
	f.StringVar(&o.out, "out", "onsite-demo", "folder to write to; an earlier demo in it is replaced")
	f.BoolVar(&o.serve, "serve", false, "keep the portal up for a browser until Ctrl-C")
	f.StringVar(&o.http, "http", "", "address and port for HTTP (default: a free port on loopback)")
	f.StringVar(&o.https, "https", "", "address and port for HTTPS (default: a free port on loopback)")
	return cmd
}

func (a *app) runDemo(ctx context.Context, o *demoOptions) (outcome, error) {
	dir, err := outFolder(o.out)
	if err != nil {
		return outcome{}, err
	}
	options := site.DemoOptions{
		Dir: dir, HTTP: o.http, HTTPS: o.https, Browser: o.serve, Now: a.now,
		Step: func(what string) { a.say("... %s", what) },
	}
	printed := false
	if o.serve {
		options.Serve = func(ctx context.Context, d *site.Demo) {
			if !a.flags.json {
				a.printDemo(a.printer(a.io.out, a.io.outTTY), d)
				printed = true
			}
			a.say("\nOpen http://%s/ or https://%s/ in a browser.", browserAddr(d.HTTP), browserAddr(d.HTTPS))
			a.say("The browser warns about https until it trusts %s.\nCtrl-C ends it.", d.Root)
			<-ctx.Done()
		}
	}
	d, err := site.RunDemo(ctx, options)
	if err != nil {
		return outcome{}, err
	}
	out := outcome{Result: d, Findings: d.Report.Findings(), IsCheck: true, Listed: true}
	if !printed {
		out.Text = func(p *printer) { a.printDemo(p, d) }
	}
	return out, nil
}

func (a *app) printDemo(p *printer, d *site.Demo) {
	if a.flags.quiet {
		p.findings(d.Report.Findings(), true)
		p.linef("%s", report.Summary(d.Report.Findings()))
		return
	}
	p.report(d.Report)
	p.linef("Everything is in %s.", d.Dir)
}
