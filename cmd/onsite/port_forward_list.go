package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"onsite/report"
)

type portForwardListOptions struct{ router routerFlags }

// portForwardListResult is the JSON result of port forward list.
type portForwardListResult struct {
	Router       routerJSON           `json:"router"`
	Forwardings  []*forwardingJSON    `json:"forwardings"`
	Whole        bool                 `json:"whole"` // whether the router listed all that it knows of
	Observations []report.Observation `json:"observations"`
}

func newPortForwardListCmd(a *app) *cobra.Command {
	o := &portForwardListOptions{}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List what the router forwards, and whose it is",
		Long: `List the forwardings that the router tells of by UPnP, and those that were made here
by NAT-PMP or PCP. Nothing is changed.

A list proves nothing: routers list forwardings that are dead, and leave out rules
that were typed in. What works, onsite port check tells.`,
		Example: `  onsite port forward list
  onsite port forward list --gateway 192.168.1.1 --json`,
		Args: exactly(),
	}
	cmd.RunE = a.verb(func(ctx context.Context, _ []string) (outcome, error) { return a.runPortForwardList(ctx, o) })
	o.router.add(cmd)
	return cmd
}

func (a *app) runPortForwardList(ctx context.Context, o *portForwardListOptions) (outcome, error) {
	router, err := a.router(ctx, &o.router)
	if err != nil {
		return outcome{}, err
	}
	listing, findings, err := router.List(ctx)
	if err != nil {
		return outcome{}, err
	}
	result := &portForwardListResult{Router: describeRouter(router), Forwardings: []*forwardingJSON{}, Whole: listing.Whole, Observations: router.Observations}
	for i := range listing.Forwardings {
		result.Forwardings = append(result.Forwardings, describeForwarding(&listing.Forwardings[i]))
	}
	return outcome{Result: result, Findings: findings, IsCheck: true, Text: result.text}, nil
}

func (r *portForwardListResult) text(p *printer) {
	p.table([][2]string{r.Router.row()})
	p.linef("")
	if len(r.Forwardings) == 0 {
		p.linef("The router tells of no forwardings. Rules that were typed in may be there all the same.")
		return
	}
	rows := [][]string{{"Outside", "To", "Ends in", "Made by", "Description"}}
	for _, f := range r.Forwardings {
		ends, by := "stays", "others"
		if f.Lease > 0 {
			ends = span(time.Duration(f.Lease) * time.Second)
		}
		if f.Ours {
			by = "onsite"
		}
		if !f.Enabled {
			ends = "switched off"
		}
		to := fmt.Sprintf("%s:%d", f.Host, f.Internal)
		if f.Source != "" {
			to += " from " + f.Source
		}
		rows = append(rows, []string{f.outside(), to, ends, by, f.Description})
	}
	p.grid(rows)
	p.linef("")
	p.linef("%s", report.Wrap("That the router lists them does not prove that they work: onsite port check does.", p.width, ""))
}
