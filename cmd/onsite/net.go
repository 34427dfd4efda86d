package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/net/http/httpproxy"

	"onsite/netcheck/wan"
)

type netOptions struct {
	public        publicFlags
	dns           dnsFlags
	routerAddress string
	timeout       time.Duration
}

// publicFlags say whom to ask for the public address.
type publicFlags struct {
	echoes, stun []string
}

func newNetCmd(a *app) *cobra.Command {
	o := &netOptions{}
	cmd := &cobra.Command{
		Use:   "net",
		Short: "Show how this site is connected: addresses, router, public address, kind of NAT",
		Long: `Look at this computer's interfaces and gateways, ask the router for its WAN address
by UPnP, NAT-PMP and PCP, and ask services on the Internet which address they see:
web services over HTTPS, and STUN servers. From all of it follow the kind of NAT,
whether a forwarding on the router can work at all, and whether the address stays.

What is not proven is said to be unknown. Nothing is changed anywhere. The address
is remembered for each router, so that a later run can tell when it has changed.`,
		Example: `  onsite net
  onsite net --router-address 203.0.113.10
  onsite net --echo https://ip.acme.example --stun stun.acme.example:3478 --json`,
		Args: exactly(),
	}
	cmd.RunE = a.verb(func(ctx context.Context, _ []string) (outcome, error) { return a.runNet(ctx, o) })
	f := cmd.Flags()
	o.public.add(cmd)
	o.dns.addResolver(f)
	f.StringVar(&o.routerAddress, "router-address", "", "the router's WAN address, as its status page shows it")
	f.DurationVar(&o.timeout, "timeout", 10*time.Second, "longest time for the whole look")
	return cmd
}

func (p *publicFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&p.echoes, "echo", nil, "ask this service for the address instead of the public ones: a URL; can be repeated")
	f.StringArrayVar(&p.stun, "stun", nil, "ask this STUN server instead of the public ones: HOST:PORT; can be repeated")
}

// options are the package's, after a look at what was typed.
func (p *publicFlags) options(a *app) (wan.PublicOptions, error) {
	for _, e := range p.echoes {
		if err := wan.CheckEcho(e); err != nil {
			if strings.Contains(e, "@") {
				e = "…@…" // what stands before it may be a password
			}
			return wan.PublicOptions{}, usageError("--echo %q: %w", e, err)
		}
	}
	for _, s := range p.stun {
		if err := wan.CheckSTUN(s); err != nil {
			return wan.PublicOptions{}, usageError("--stun %q: %w", s, err)
		}
	}
	return wan.PublicOptions{Echoes: p.echoes, STUN: p.stun, UserAgent: "onsite/" + buildVersion().Version, Now: a.now}, nil
}

func (a *app) runNet(ctx context.Context, o *netOptions) (outcome, error) {
	if o.timeout <= 0 {
		return outcome{}, usageError("--timeout %s: give a time such as 10s", o.timeout)
	}
	public, err := o.public.options(a)
	if err != nil {
		return outcome{}, err
	}
	var router netip.Addr
	if o.routerAddress != "" {
		if router, err = netip.ParseAddr(strings.TrimSpace(o.routerAddress)); err != nil || !router.Unmap().Is4() {
			return outcome{}, usageError("--router-address %q: give an IPv4 address such as 203.0.113.10", o.routerAddress)
		}
	}
	resolver, err := o.dns.resolver(ctx)
	if err != nil {
		return outcome{}, err
	}
	public.DialContext = (&net.Dialer{Resolver: resolver}).DialContext
	visits := a.readVisits()
	site, findings, err := wan.Look(ctx, wan.Options{
		Public: public, RouterAddress: router.Unmap(), Resolver: resolver, Proxy: a.proxy(), Past: visits, Timeout: o.timeout, Now: a.now,
	})
	if err != nil {
		return outcome{Result: site, Findings: findings}, err
	}
	if site.Visit != nil {
		a.keepVisit(visits, *site.Visit)
	}
	return outcome{Result: site, Findings: findings, IsCheck: true, Text: func(p *printer) { showSite(p, site) }}, nil
}

// proxy is the proxy that programs on this computer are told to use for HTTPS,
// without its password; "" for none.
func (a *app) proxy() string {
	read := func(name string) string {
		for _, n := range []string{name, strings.ToLower(name)} {
			if v, ok := a.env(n); ok && v != "" {
				return v
			}
		}
		return ""
	}
	config := httpproxy.Config{HTTPProxy: read("HTTP_PROXY"), HTTPSProxy: read("HTTPS_PROXY"), NoProxy: read("NO_PROXY")}
	proxy, err := config.ProxyFunc()(&url.URL{Scheme: "https", Host: "api.ipify.org"})
	if err != nil || proxy == nil {
		return ""
	}
	return (&url.URL{Scheme: proxy.Scheme, Host: proxy.Host}).String()
}

func showSite(p *printer, s wan.Site) {
	var rows [][2]string
	add := func(name, value string) { rows = append(rows, [2]string{name, value}) }
	for _, i := range s.Interfaces {
		if i.Up && len(i.Addresses) > 0 {
			add("Interface "+i.Name, interfaceLine(i))
		}
	}
	for _, g := range s.Gateways {
		line := g.Address.String()
		if g.MAC != "" {
			line += " (" + g.MAC + ")"
		}
		if !g.InUse {
			line += ", not in use now"
		}
		add("Gateway", line+", reached from "+g.Local.String())
	}
	for _, r := range s.Routers {
		add("Router", routerLine(r))
		for _, by := range []struct {
			name string
			said wan.Said
		}{{"UPnP", r.UPnP}, {"NAT-PMP", r.NATPMP}, {"PCP", r.PCP}} {
			add("  by "+by.name, by.said.Text)
		}
	}
	add("WAN address", orUnknown(s.WANAddress))
	public := orUnknown(s.PublicAddress)
	if s.ReverseName != "" {
		public += ", " + s.ReverseName
	}
	add("Public address", public)
	if s.PublicAddress6.IsValid() {
		add("  IPv6", s.PublicAddress6.String())
	}
	add("NAT", string(s.NAT))
	add("Address kind", strings.ReplaceAll(string(s.AddressKind), "-", " "))
	p.table(rows)
	p.linef("")
}

func orUnknown(addr netip.Addr) string {
	if !addr.IsValid() {
		return "not known"
	}
	return addr.String()
}

func interfaceLine(i wan.Interface) string {
	parts := make([]string, len(i.Addresses))
	for n, prefix := range i.Addresses {
		parts[n] = prefix.String()
	}
	line := strings.Join(parts, ", ")
	if what := strings.TrimSpace(strings.Join([]string{string(i.Kind), i.Product}, " ")); what != "" {
		line += " (" + what + ")"
	}
	if i.MAC != "" {
		line += ", " + i.MAC
	}
	return line
}

func routerLine(r wan.Router) string {
	parts := []string{r.Gateway.String()}
	for _, part := range []string{r.Device, r.Service, r.ConnectionType, r.Status} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	if r.Uptime > 0 {
		parts = append(parts, fmt.Sprintf("connected for %s", about(time.Duration(r.Uptime)*time.Second)))
	}
	return strings.Join(parts, ", ")
}
