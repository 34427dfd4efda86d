package main

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"onsite/netcheck"
	"onsite/netcheck/wan"
	"onsite/report"
)

type dnsCheckOptions struct {
	dns              dnsFlags
	public           publicFlags
	name, expect, ca string
	wait             time.Duration
}

func newDNSCheckCmd(a *app) *cobra.Command {
	o := &dnsCheckOptions{}
	cmd := &cobra.Command{
		Use:   "check NAME",
		Short: "Ask everybody what a name leads to, and judge it",
		Long: `Ask the name servers of the name's zone, each of them, then this computer's
resolvers and three public ones, and judge what they say: whether it is right,
where it is still stale and until when, which server is behind, and what is wrong
with the record or the servers.

The zone's servers are those that the zone above names, found from the root
servers down; they are asked without any cache between. Nothing is changed.

--expect wan takes the address from which this computer reaches the Internet, as
several services see it: run it at the site. With --wait it looks again until the
name is right, and ends as soon as it is; the exit status is that of the last look.`,
		Example: `  onsite dns check portal.acme.example --expect 203.0.113.10
  onsite dns check portal.acme.example --expect wan --wait 30m
  onsite dns check portal.acme.example --ca letsencrypt.org --json
  onsite dns check portal.lab.example --roots 192.0.2.1 --resolver 192.0.2.53:5353`,
		Args: exactly("NAME"),
	}
	cmd.RunE = a.verb(func(ctx context.Context, args []string) (outcome, error) {
		o.name = args[0]
		return a.runDNSCheck(ctx, o)
	})
	f := cmd.Flags()
	f.StringVar(&o.expect, "expect", "", "address that the name should lead to, or wan for this network's public one")
	f.StringVar(&o.ca, "ca", "", "domain of the authority that shall issue certificates: judge CAA records for it")
	f.DurationVar(&o.wait, "wait", 0, "look again until the name is right, but no longer than this")
	o.dns.add(f)
	o.public.add(cmd)
	return cmd
}

func (a *app) runDNSCheck(ctx context.Context, o *dnsCheckOptions) (outcome, error) {
	if o.wait < 0 {
		return outcome{}, usageError("--wait %s: give a time such as 30m", o.wait)
	}
	options := netcheck.Options{Name: o.name, CA: o.ca, Now: a.now}
	if err := netcheck.CheckName(o.name); err != nil {
		return outcome{}, err
	}
	var err error
	if options.Sources, err = o.dns.sources(ctx); err != nil {
		return outcome{}, err
	}
	expect, about, err := a.expected(ctx, o)
	if err != nil {
		return outcome{}, err
	}
	options.Expect = expect
	var result netcheck.Result
	var findings []report.Finding
	if o.wait > 0 {
		waiting := a.progress("", 0)
		result, findings, err = netcheck.Wait(ctx, options, o.wait, func(w netcheck.Waiting) { waiting.note(waitingFor(w, a.now())) }, nil)
		waiting.end()
	} else {
		result, findings, err = netcheck.Check(ctx, options)
	}
	if err != nil {
		return outcome{Result: orNil(result), Findings: about, IsCheck: true}, err
	}
	return outcome{
		Result: result, Findings: append(findings, about...), IsCheck: true,
		Text: func(p *printer) { showDNS(p, result) },
	}, nil
}

// orNil leaves out the result of a check that asked nobody.
func orNil(r netcheck.Result) any {
	if r.Name == "" {
		return nil
	}
	return r
}

// expected is the address that the name should lead to. Findings say why it is not
// known where that was to be found out.
func (a *app) expected(ctx context.Context, o *dnsCheckOptions) (netip.Addr, []report.Finding, error) {
	switch o.expect {
	case "":
		return netip.Addr{}, nil, nil
	case "wan":
		from, err := o.public.options(a)
		if err != nil {
			return netip.Addr{}, nil, err
		}
		a.say("... asking for the public address")
		public := wan.Public(ctx, from)
		if err := ctx.Err(); err != nil {
			return netip.Addr{}, nil, err
		}
		if public.Addr.IsValid() {
			return public.Addr, nil, nil
		}
		return netip.Addr{}, append(public.Findings, report.Unknown("dns.expect.unknown", o.name,
			"this network's public address could not be confirmed, so nothing was compared with it",
			"give the address itself: --expect ADDRESS, as the router's page or the provider tells it")), nil
	}
	addr, err := netip.ParseAddr(strings.TrimSpace(o.expect))
	if err != nil || addr.Zone() != "" {
		return addr, nil, usageError("--expect %s: give an address such as 203.0.113.10, or wan", o.expect)
	}
	return addr, nil, nil
}

// waitingFor is the line that a wait shows.
func waitingFor(w netcheck.Waiting, now time.Time) string {
	line := w.Verdict.Detail
	if head, _, ok := strings.Cut(line, ": "); ok {
		line = head
	}
	if w.ChangesAt != nil {
		return fmt.Sprintf("%s; asked again at %s", line, w.Next.Local().Format("15:04:05"))
	}
	return fmt.Sprintf("%s; asked again every %d s", line, max(int(w.Next.Sub(now).Round(time.Second).Seconds()), 1))
}

// showDNS prints who said what.
func showDNS(p *printer, r netcheck.Result) {
	rows := [][2]string{{"Name", r.Name}, {"Zone", r.Zone}}
	if r.NamedBy != "" && r.NamedBy != r.Zone {
		rows[1][1] += ", servers named by " + zoneTitle(r.NamedBy)
	}
	rows = append(rows, [2]string{"Expected", r.Expect})
	if r.CAA != nil && r.CAA.Owner != "" {
		rows = append(rows, [2]string{"CAA", r.CAA.String() + ", at " + r.CAA.Owner})
	}
	p.table(rows)
	name := r.Name
	rows = nil
	flush := func() {
		if len(rows) > 0 {
			p.linef("")
			p.table(rows)
			rows = nil
		}
	}
	for _, w := range r.Servers {
		if w.Name != name {
			flush()
			name = w.Name
			p.linef("\n%s", report.Printable(name))
		}
		rows = append(rows, [2]string{w.Title(), said(w)})
	}
	flush()
	for _, w := range r.Resolvers {
		who := w.Title() + ", public"
		if w.Who == netcheck.WhoHere {
			who = w.Title() + ", here"
		}
		rows = append(rows, [2]string{who, said(w)})
	}
	flush()
	p.linef("")
}

func zoneTitle(name string) string {
	if name == "." {
		return "the root"
	}
	return name
}

// said is what a witness said, for the table.
func said(w netcheck.Witness) string {
	s := w.String()
	switch {
	case w.Error != "":
		return s
	case w.Who == netcheck.WhoAuthority:
		if w.TTL > 0 {
			s += ", kept for " + lasting(w.TTL)
		}
		return fmt.Sprintf("%s, serial %d", s, w.Serial)
	case w.Alias != "":
		s += ", by way of " + w.Alias
	}
	if w.TTL > 0 {
		s += ", for " + lasting(w.TTL) + " more"
	}
	return s
}

// lasting is a time to live in words.
func lasting(seconds int64) string {
	switch d := time.Duration(seconds) * time.Second; {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", seconds)
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	default:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	}
}
