package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"onsite/netcheck/portmap"
	"onsite/report"
)

type portGuideOptions struct {
	router            routerFlags
	forwards, sources []string
}

// portGuideResult is the JSON result of port guide.
type portGuideResult struct {
	Routers      []portmap.RouterRules `json:"routers"` // the inner one first
	Sources      []guideSource         `json:"sources"`
	Observations []report.Observation  `json:"observations"`
}

// guideSource is a name of --source and its addresses now.
type guideSource struct {
	Name      string   `json:"name"`
	Addresses []string `json:"addresses"`
}

func newPortGuideCmd(a *app) *cobra.Command {
	o := &portGuideOptions{}
	cmd := &cobra.Command{
		Use:   "guide",
		Short: "Print the forwarding rules to type into the router by hand",
		Long: `Print the table of rules to type into the router, with the columns that routers
have. When another router stands in front of the first, there is a table for each:
the outer one forwards to the inner one.

Without --forward the rules are those of the web portal on this computer: 8888 for
HTTP and 4444 for HTTPS. A time clock is often reached at 4500 outside and 4370
inside. --source lets only some addresses in; names are looked up now, and a name
may have other addresses tomorrow. Nothing is changed.`,
		Example: `  onsite port guide
  onsite port guide --forward 8888:192.168.1.50:8888 --forward 4444:192.168.1.50
  onsite port guide --forward 4500:192.168.1.200:4370 --source portal.clockit.io`,
		Args: exactly(),
	}
	cmd.RunE = a.verb(func(ctx context.Context, _ []string) (outcome, error) { return a.runPortGuide(ctx, o) })
	f := cmd.Flags()
	f.StringArrayVar(&o.forwards, "forward", nil, "rule as EXTERNAL:HOST:PORT, with /udp behind it for UDP (repeatable)")
	f.StringSliceVar(&o.sources, "source", nil, "name, address or network that alone may connect (repeatable, or with commas)")
	o.router.add(cmd)
	return cmd
}

// portalPorts are the outside ports of the web portal, which forward to the same
// inside.
var portalPorts = []string{"8888", "4444"}

func (a *app) runPortGuide(ctx context.Context, o *portGuideOptions) (outcome, error) {
	options, err := o.router.options(a)
	if err != nil && report.AsError(err).Kind == report.KindUsage {
		return outcome{}, err
	}
	router := &portmap.Router{}
	if err == nil {
		if router, err = a.askRouter(ctx, options); err != nil {
			return outcome{}, err
		}
	}
	if len(o.forwards) == 0 {
		o.forwards = portalPorts
	}
	result := &portGuideResult{Sources: []guideSource{}, Observations: append([]report.Observation{}, router.Observations...)}
	var findings []report.Finding
	var sources []string
	for _, name := range o.sources {
		s, observed, f, err := lookUpSource(ctx, name)
		if err != nil {
			return outcome{}, err
		}
		result.Sources, sources, findings = append(result.Sources, s), append(sources, s.Addresses...), append(findings, f...)
		result.Observations = append(result.Observations, observed...)
	}
	var rules []portmap.Rule
	for _, text := range o.forwards {
		rule, err := portmap.ParseRule(text, router.Local())
		if err != nil {
			return outcome{}, usageError("--forward %w", err)
		}
		rule.Sources = append(rule.Sources, sources...)
		if rule.External == 0 || len(o.sources) > 0 && len(sources) == 0 {
			rule.Sources = append(rule.Sources, o.sources...)
		}
		rules = append(rules, rule)
	}
	tables, more := router.Guide(rules)
	result.Routers = tables
	return outcome{Result: result, Findings: append(findings, more...), IsCheck: true, Text: result.text}, ctx.Err()
}

// lookUpSource finds the addresses of one --source.
func lookUpSource(ctx context.Context, name string) (guideSource, []report.Observation, []report.Finding, error) {
	name = strings.TrimSpace(name)
	s := guideSource{Name: name, Addresses: []string{}}
	if addr, err := netip.ParseAddr(name); err == nil {
		s.Addresses = append(s.Addresses, addr.String())
		return s, nil, nil, nil
	}
	if prefix, err := netip.ParsePrefix(name); err == nil {
		s.Addresses = append(s.Addresses, prefix.Masked().String())
		return s, nil, nil, nil
	}
	if name == "" || strings.ContainsAny(name, " /:@") {
		return s, nil, nil, usageError("--source %q: give a host name, an address, or a network such as 203.0.113.0/28", name)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	start := time.Now()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", name)
	o := report.Observation{Server: "this computer's resolver", Question: name + " A", Milliseconds: time.Since(start).Milliseconds()}
	for _, addr := range addrs {
		s.Addresses = append(s.Addresses, addr.Unmap().String())
	}
	o.Answer = strings.Join(s.Addresses, ", ")
	if err == nil {
		return s, []report.Observation{o}, nil, nil
	}
	o.Error = "no answer"
	f := report.Unknown("forward.source.unknown", name, "its addresses could not be looked up now",
		"check that this computer can look names up, or give the addresses themselves")
	if missing, ok := errors.AsType[*net.DNSError](err); ok && missing.IsNotFound {
		o.Error = "no such name"
		f = report.Fail("forward.source.missing", name, "this name has no IPv4 address", "check the spelling, or give the addresses themselves")
	}
	return s, []report.Observation{o}, []report.Finding{f}, nil
}

func (r *portGuideResult) text(p *printer) {
	for i, router := range r.Routers {
		title := fmt.Sprintf("Router %d: %s", i+1, report.Printable(router.Router))
		if len(r.Routers) == 1 {
			title = capital(report.Printable(router.Router))
		}
		p.linef("%s", title)
		if router.Page != "" {
			p.linef("Its page is probably http://%s/: look for port forwarding, virtual server or NAT.", router.Page)
		}
		p.linef("")
		rows := [][]string{{"Name", "Protocol", "External port", "Internal address", "Internal port", "Source address"}}
		for _, rule := range router.Rules {
			row := []string{rule.Name, strings.ToUpper(rule.Protocol), strconv.Itoa(int(rule.External)), rule.Host, strconv.Itoa(int(rule.Internal)), "any"}
			for i, source := range rule.Sources {
				if i > 0 {
					rows, row = append(rows, row), make([]string, len(row))
				}
				row[len(row)-1] = source
			}
			rows = append(rows, row)
		}
		p.grid(rows)
		p.linef("")
	}
	p.linef("%s", report.Wrap("Each internal address must stay: give the host a fixed address, or reserve it in the router's DHCP.", p.width, ""))
	if len(r.Sources) > 0 {
		p.linef("%s", report.Wrap("A router that has no column for source addresses lets everybody in; one that takes a single address wants a rule for each.", p.width, ""))
	}
	for _, s := range r.Sources {
		if len(s.Addresses) > 0 && s.Addresses[0] != s.Name {
			p.linef("%s", report.Wrap(fmt.Sprintf("%s has these addresses now; they may change.", report.Printable(s.Name)), p.width, ""))
		}
	}
	p.linef("")
}
