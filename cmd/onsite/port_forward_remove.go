package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"onsite/netcheck/portmap"
	"onsite/report"
)

type portForwardRemoveOptions struct {
	router   routerFlags
	external uint16 // 0: all
	protocol string
	dryRun   bool
}

// portForwardRemoveResult is the JSON result of port forward remove.
type portForwardRemoveResult struct {
	Router       routerJSON           `json:"router"`
	Forwardings  []*forwardingJSON    `json:"forwardings"` // those that were to be removed
	DryRun       bool                 `json:"dry_run"`
	Observations []report.Observation `json:"observations"`
	shown        bool
}

func newPortForwardRemoveCmd(a *app) *cobra.Command {
	o := &portForwardRemoveOptions{}
	var all bool
	cmd := &cobra.Command{
		Use:   "remove [EXTERNAL]",
		Short: "Take away a forwarding that onsite made",
		Long: `Take away the forwarding of an outside port, or with --all all of them that onsite
made on this router: those whose description says so, and those that were written
down when they were made. What others made stays. It shows them first, and asks.`,
		Example: `  onsite port forward remove 8888
  onsite port forward remove --all --yes
  onsite port forward remove 4500 --protocol udp --dry-run`,
		Args: atMost("EXTERNAL"),
	}
	cmd.RunE = a.verb(func(ctx context.Context, args []string) (outcome, error) {
		switch {
		case all == (len(args) > 0):
			return outcome{}, usageError("give the outside port, or --all for all that onsite made")
		case len(args) > 0:
			var err error
			if o.external, err = portmap.ParsePort(args[0]); err != nil {
				return outcome{}, usageError("EXTERNAL: %w", err)
			}
		}
		return a.runPortForwardRemove(ctx, o)
	})
	f := cmd.Flags()
	f.BoolVar(&all, "all", false, "take away all that onsite made on this router")
	f.StringVar(&o.protocol, "protocol", "", "tcp or udp (default: both)")
	f.BoolVar(&o.dryRun, "dry-run", false, "show what would be taken away, no more")
	o.router.add(cmd)
	return cmd
}

func (a *app) runPortForwardRemove(ctx context.Context, o *portForwardRemoveOptions) (outcome, error) {
	if o.protocol = strings.ToLower(o.protocol); o.protocol != "" && o.protocol != "tcp" && o.protocol != "udp" {
		return outcome{}, usageError("--protocol %s: use tcp or udp", o.protocol)
	}
	router, err := a.router(ctx, &o.router)
	if err != nil {
		return outcome{}, err
	}
	found, findings, err := o.find(ctx, router)
	if err != nil {
		return outcome{}, err
	}
	result := &portForwardRemoveResult{Router: describeRouter(router), Forwardings: []*forwardingJSON{}, DryRun: o.dryRun}
	for i := range found {
		result.Forwardings = append(result.Forwardings, describeForwarding(&found[i]))
	}
	done := func() outcome {
		result.Observations = router.Observations
		return outcome{Result: result, Findings: findings, IsCheck: true, Text: result.text}
	}
	if len(found) == 0 {
		what := "of onsite's"
		if o.external != 0 {
			what = fmt.Sprintf("from port %d that the router knows of", o.external)
		}
		findings = append(findings, report.Skip("forward.none", router.Gateway.String(), "there is no forwarding "+what))
		return done(), nil
	}
	foreign := slices.DeleteFunc(slices.Clone(found), func(f portmap.Forwarding) bool { return f.Ours })
	for _, f := range foreign {
		findings = append(findings, router.Remove(ctx, f)) // says that it stays
	}
	if o.dryRun || len(foreign) > 0 {
		return done(), nil
	}
	if err := a.agreeToRemove(ctx, result); err != nil {
		return done(), err
	}
	for _, f := range found {
		findings = append(findings, router.Remove(ctx, f))
	}
	return done(), ctx.Err()
}

// find returns what is to be removed.
func (o *portForwardRemoveOptions) find(ctx context.Context, router *portmap.Router) ([]portmap.Forwarding, []report.Finding, error) {
	if o.external != 0 {
		found, err := router.Find(ctx, o.protocol, o.external)
		return found, nil, err
	}
	listing, findings, err := router.List(ctx)
	found := slices.DeleteFunc(listing.Forwardings, func(f portmap.Forwarding) bool {
		return !f.Ours || o.protocol != "" && f.Protocol != o.protocol
	})
	return found, findings, err
}

// agreeToRemove shows what would go to who is asked.
func (a *app) agreeToRemove(ctx context.Context, r *portForwardRemoveResult) error {
	if !a.flags.yes && !a.flags.json {
		r.table(a.printer(a.io.err, a.io.errTTY))
		r.shown = true
	}
	what := "this forwarding"
	if len(r.Forwardings) > 1 {
		what = fmt.Sprintf("these %d forwardings", len(r.Forwardings))
	}
	return a.confirm(ctx, "Have the router take "+what+" away?")
}

func (r *portForwardRemoveResult) table(p *printer) {
	rows := [][2]string{r.Router.row()}
	for _, f := range r.Forwardings {
		rows = append(rows, [2]string{"To remove", f.words()})
	}
	p.table(rows)
	p.linef("")
}

func (r *portForwardRemoveResult) text(p *printer) {
	if !r.shown {
		r.table(p)
	}
	if r.DryRun {
		p.linef("Nothing was changed.")
	}
}
