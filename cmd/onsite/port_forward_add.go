package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"onsite/netcheck/portmap"
	"onsite/netcheck/reflector"
	"onsite/report"
)

type portForwardAddOptions struct {
	router           routerFlags
	external         uint16
	to, protocol     string
	lease            time.Duration
	site, method     string
	lowPorts, keep   bool
	dryRun           bool
	via              string
	token            secretFlags
	host             netip.Addr // of --to
	internal         uint16
	outside          portmap.Outside // of --via
	methodAsPortmaps portmap.Method
}

// portForwardAddResult is the JSON result of port forward add.
type portForwardAddResult struct {
	Router       routerJSON           `json:"router"`
	Before       *forwardingJSON      `json:"before"` // null: nothing that the router knows of
	After        *forwardingJSON      `json:"after"`
	Made         *forwardingJSON      `json:"made"` // null: it was not made
	DryRun       bool                 `json:"dry_run"`
	Observations []report.Observation `json:"observations"`
	shown        bool                 // before and after were shown to be agreed to
}

func newPortForwardAddCmd(a *app) *cobra.Command {
	o := &portForwardAddOptions{}
	cmd := &cobra.Command{
		Use:   "add EXTERNAL",
		Short: "Have the router forward a port, by UPnP, PCP or NAT-PMP",
		Long: `Have the router forward an outside port to this computer, or with --to to another
host where the router allows that. It first shows what is there and what would be,
and asks. A forwarding of somebody else is never replaced.

It ends by itself after --lease. With --keep the command stays, renews it, makes it
again when the router loses it, and takes it away on Ctrl-C. For what has to stay, a
rule that is typed into the router is better: see onsite port guide.

That the router lists a forwarding proves nothing. With --via a reflector connects
to the port from outside; where nothing listens on this computer yet, this command
answers there itself meanwhile. A forwarding that is dead is made once more.

What was made is written down in the user's state folder, because NAT-PMP and PCP do
not tell whose a forwarding is.`,
		Example: `  onsite port forward add 8888
  onsite port forward add 4500 --to 192.168.1.200:4370 --lease 30m
  onsite port forward add 8888 --keep
  onsite port forward add 4444 --via https://reflector.example --token-file token.txt --yes
  onsite port forward add 8888 --method pcp --dry-run`,
		Args: exactly("EXTERNAL"),
	}
	cmd.RunE = a.verb(func(ctx context.Context, args []string) (outcome, error) {
		var err error
		if o.external, err = portmap.ParsePort(args[0]); err != nil {
			return outcome{}, usageError("EXTERNAL: %w", err)
		}
		return a.runPortForwardAdd(ctx, o)
	})
	f := cmd.Flags()
	f.StringVar(&o.to, "to", "", "where to forward to: HOST:PORT, HOST or :PORT (default: this computer, the same port)")
	f.StringVar(&o.protocol, "protocol", "tcp", "tcp or udp")
	f.DurationVar(&o.lease, "lease", time.Hour, "when it ends by itself; 0 stays until it is removed (UPnP alone can)")
	f.StringVar(&o.site, "site", "", "name in the description that the router shows (default: this computer's name)")
	f.StringVar(&o.method, "method", "auto", "auto, upnp, pcp or nat-pmp")
	f.BoolVar(&o.lowPorts, "low-ports", false, "allow an outside port below 1024")
	f.BoolVar(&o.keep, "keep", false, "stay and renew it; Ctrl-C takes it away")
	f.BoolVar(&o.dryRun, "dry-run", false, "show what would be done, no more")
	f.StringVar(&o.via, "via", "", "reflector that connects to the port from outside: its URL")
	addSecretFlags(cmd, &o.token, "token", "the reflector's token")
	o.router.add(cmd)
	return cmd
}

// parse reads the flags that are more than a value.
func (o *portForwardAddOptions) parse(ctx context.Context, a *app) error {
	host, port := o.to, ""
	if strings.Contains(o.to, ":") {
		host, port, _ = strings.Cut(o.to, ":")
	}
	var err error
	if host != "" {
		if o.host, err = netip.ParseAddr(host); err != nil || !o.host.Is4() {
			return usageError("--to %q: give an IPv4 address and a port, such as 192.168.1.50:8888", o.to)
		}
	}
	if port != "" {
		if o.internal, err = portmap.ParsePort(port); err != nil {
			return usageError("--to: %w", err)
		}
	}
	if o.methodAsPortmaps = portmap.Method(strings.ToLower(o.method)); o.methodAsPortmaps == "auto" {
		o.methodAsPortmaps = ""
	}
	o.protocol = strings.ToLower(o.protocol)
	if o.site == "" {
		o.site, _ = os.Hostname() // without one the description has the port alone
		o.site, _, _ = strings.Cut(o.site, ".")
	}
	if o.via == "" {
		return nil
	}
	token, _, err := a.secret(ctx, o.token)
	if err != nil {
		return err
	}
	o.outside = outsideBy(&reflector.Client{URL: o.via, Token: token, Now: a.now})
	return nil
}

// outsideBy connects from outside through a reflector.
func outsideBy(c *reflector.Client) portmap.Outside {
	return func(ctx context.Context, port uint16) (net.Conn, string, error) {
		conn, err := c.Dial(ctx, int(port))
		if failed, ok := errors.AsType[*reflector.DialError](err); ok {
			return nil, failed.Outcome, nil
		}
		if err != nil {
			return nil, "", err
		}
		return conn, "", nil
	}
}

func (a *app) runPortForwardAdd(ctx context.Context, o *portForwardAddOptions) (outcome, error) {
	if err := o.parse(ctx, a); err != nil {
		return outcome{}, err
	}
	router, err := a.router(ctx, &o.router)
	if err != nil {
		return outcome{}, err
	}
	plan, findings, err := router.Plan(ctx, portmap.Request{
		Protocol: o.protocol, External: o.external, Host: o.host, Internal: o.internal, Lease: o.lease,
		Site: o.site, Method: o.methodAsPortmaps, LowPorts: o.lowPorts, Outside: o.outside,
	})
	if err != nil {
		return outcome{}, err
	}
	result := &portForwardAddResult{
		Router: describeRouter(router), Before: describeForwarding(plan.Before), After: describeForwarding(&plan.After), DryRun: o.dryRun,
	}
	done := func() outcome {
		result.Made = describeForwarding(plan.Made)
		result.Observations = append(router.Observations, plan.Observations()...)
		return outcome{Result: result, Findings: findings, IsCheck: true, Listed: true, Text: func(p *printer) {
			result.text(p)
			p.findings(findings, a.flags.quiet)
			result.next(p, o)
		}}
	}
	if o.dryRun || plan.There || report.Failed(findings) {
		return done(), nil
	}
	if err := a.agreeToForward(ctx, result, findings); err != nil {
		return done(), err
	}
	if o.outside != nil {
		a.say("... making it, and connecting to it from outside")
	}
	findings = append(findings, plan.Apply(ctx)...)
	if ctx.Err() != nil && !o.keep {
		return done(), ctx.Err()
	}
	if plan.Made != nil && o.keep {
		a.say("%s is forwarded to %s:%d. Ctrl-C takes the forwarding away.", result.After.outside(), plan.Made.Host, plan.Made.Internal)
		findings = append(findings, plan.Keep(ctx, a.note))
	}
	return done(), nil
}

func (j *forwardingJSON) outside() string { return strconv.Itoa(int(j.External)) + "/" + j.Protocol }

// agreeToForward shows before and after to who is asked.
func (a *app) agreeToForward(ctx context.Context, r *portForwardAddResult, findings []report.Finding) error {
	if !a.flags.yes && !a.flags.json {
		p := a.printer(a.io.err, a.io.errTTY)
		r.table(p)
		p.findings(findings, false)
		r.shown = true
	}
	return a.confirm(ctx, fmt.Sprintf("Have the router forward %s to %s:%d?", r.After.outside(), r.After.Host, r.After.Internal))
}

func (r *portForwardAddResult) table(p *printer) {
	p.table([][2]string{r.Router.row(), {"Before", r.Before.words()}, {"After", r.After.words()}})
	p.linef("")
}

func (r *portForwardAddResult) text(p *printer) {
	if !r.shown {
		r.table(p)
	}
}

// next says what is to be done now.
func (r *portForwardAddResult) next(p *printer, o *portForwardAddOptions) {
	where := r.Router.External
	if where == "" {
		where = "NAME"
	}
	switch {
	case r.DryRun:
		p.linef("Nothing was changed: this is what would be.")
	case r.Made != nil && o.outside == nil && !o.keep:
		p.linef("")
		p.linef("%s", report.Wrap(fmt.Sprintf("That the router forwards it does not prove that it works from outside: onsite port check %s:%d does.", where, r.Made.External), p.width, ""))
	}
}
