package main

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"onsite/internal/special"
	"onsite/netcheck"
	"onsite/netcheck/portmap"
	"onsite/netcheck/reach"
	"onsite/netcheck/reflector"
	"onsite/netcheck/wan"
	"onsite/report"
)

// outsideFlags are what port check and port listen have in common: whom to ask
// for the public address, and the reflectors.
type outsideFlags struct {
	public  publicFlags
	address string
	via     []string
	token   secretFlags
	timeout time.Duration
}

func (o *outsideFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&o.via, "via", nil, "reflector to look through from outside, a URL (repeatable)")
	addSecretFlags(cmd, &o.token, "token", "the reflector's token")
	f.StringVar(&o.address, "public", "", "public address of the network that this computer is in, instead of asking for it")
	f.DurationVar(&o.timeout, "timeout", 4*time.Second, "longest wait for one answer")
	o.public.add(cmd)
}

// line is how this computer is connected, as far as that is known.
type line struct {
	public   netip.Addr
	how      string
	gateways []wan.Gateway
	routers  []wan.Router
	nat      report.Evidence
	observed []report.Observation
}

// natFacts are the words of package wan, in those of package reach.
var natFacts = map[wan.NAT]string{
	wan.NATSingle: "single", wan.NATDouble: "double", wan.NATCarrier: "carrier", wan.NATDSLite: "carrier", wan.NATPrivate: "private",
}

// line finds out how this computer is connected. What cannot be found out stays
// empty; the error is that of wrong flags, or of an interrupt.
func (a *app) line(ctx context.Context, o *outsideFlags) (line, error) {
	if o.timeout <= 0 {
		return line{}, usageError("--timeout %s: give a time such as 4s", o.timeout)
	}
	options, err := o.public.options(a)
	if err != nil {
		return line{}, err
	}
	if o.address != "" {
		addr, err := netip.ParseAddr(strings.TrimSpace(o.address))
		if err != nil {
			return line{}, usageError("--public %q: give an address such as 203.0.113.10", o.address)
		}
		l := line{public: addr.Unmap(), how: "as given with --public"}
		if l.gateways, err = wan.Gateways(); err != nil {
			l.gateways = nil // then a router's own page is known by its looks alone
		}
		return l, nil
	}
	a.say("... asking for the public address")
	site, findings, _ := wan.Look(ctx, wan.Options{Public: options, Now: a.now})
	if errors.Is(ctx.Err(), context.Canceled) {
		return line{}, ctx.Err()
	}
	l := line{public: site.PublicAddress, how: "as services outside see it", gateways: site.Gateways, routers: site.Routers, observed: site.Observations}
	for _, f := range findings {
		if value := natFacts[site.NAT]; value != "" && strings.HasPrefix(f.Code, "nat.") {
			l.nat = report.Evidence{{Name: "nat", Value: value, How: f.Detail}}
		}
	}
	return l, nil
}

// asked is the router at a gateway; nil when it was not asked yet.
func (l line) asked(g wan.Gateway) *portmap.Router {
	for _, r := range l.routers {
		if r.Gateway == g.Address {
			return r.Asked
		}
	}
	return nil
}

// gatewayAddrs are the gateways of the networks that the inside addresses are in; of
// all, where none is known.
func (l line) gatewayAddrs(targets []reach.Target) []netip.Addr {
	var list []netip.Addr
	for _, g := range l.gateways {
		if len(targets) == 0 || slices.ContainsFunc(targets, func(t reach.Target) bool {
			inside, err := netip.ParseAddrPort(t.Inside)
			return err != nil || !inside.Addr().IsLoopback()
		}) {
			list = append(list, g.Address)
		}
	}
	return list
}

// local is this computer's own address in the LAN: that towards the gateway.
func (l line) local() netip.Addr {
	g, _ := wan.InUse(l.gateways)
	return g.Local
}

// vantages are the reflectors of --via.
func (a *app) vantages(ctx context.Context, o *outsideFlags) ([]reach.Vantage, error) {
	token, given, err := a.secret(ctx, o.token)
	switch {
	case err != nil:
		return nil, err
	case given && len(o.via) == 0:
		return nil, usageError("--token-file and --token-env are for a reflector: name it with --via")
	case !given && len(o.via) > 0:
		if token, err = a.askSecret(ctx, o.token, "the reflector's token", false); err != nil {
			return nil, err
		}
	}
	var list []reach.Vantage
	for _, u := range o.via {
		c := &reflector.Client{URL: u, Token: token, Now: a.now}
		for _, f := range c.Warnings() { // of how it is asked, not of the site
			a.note(f)
		}
		list = append(list, reach.Reflector(c))
	}
	return list, nil
}

// world asks what everybody gets for a name: its zone's own servers, or else this
// computer's resolver.
func (a *app) world(sources netcheck.Sources) func(context.Context, string) reach.Names {
	return func(ctx context.Context, name string) reach.Names {
		ctx, cancel := context.WithTimeout(ctx, 12*time.Second)
		defer cancel()
		limited, enough := context.WithTimeout(ctx, 8*time.Second)
		defer enough()
		n := reach.Names{Observations: []report.Observation{}}
		authority, err := netcheck.Authority(limited, name, sources)
		n.Observations = authority.Observations
		if err == nil && authority.Agreed {
			n.Addrs = only4(authority.Addresses)
			n.How = "say the servers of " + authority.Zone
			n.Missing = len(n.Addrs) == 0
			return n
		}
		reason := "the servers of its zone do not agree"
		if err != nil {
			reason = err.Error()
		}
		addrs, err := cmp.Or(resolverOf(sources), net.DefaultResolver).LookupNetIP(ctx, "ip4", name)
		if err != nil {
			n.How = reason + ", and the resolver gives no answer"
			return n
		}
		for _, addr := range addrs {
			n.Addrs = append(n.Addrs, addr.Unmap())
		}
		n.How = "says this computer's resolver; " + reason
		if len(sources.Resolvers) > 0 {
			n.How = "says " + sources.Resolvers[0].String() + "; " + reason
		}
		return n
	}
}

func only4(list []netip.Addr) []netip.Addr {
	var four []netip.Addr
	for _, a := range list {
		if a = a.Unmap(); a.Is4() {
			four = append(four, a)
		}
	}
	return four
}

// hostPort takes HOST:PORT apart.
func hostPort(text string) (host string, port int, err error) {
	host, digits, err := net.SplitHostPort(strings.TrimSpace(text))
	n, portErr := strconv.ParseUint(digits, 10, 16)
	if err != nil || portErr != nil || n == 0 || host == "" || strings.ContainsAny(host, "/@ ") {
		return "", 0, usageError("%q is not HOST:PORT, such as portal.acme.example:8888", text)
	}
	return strings.TrimSuffix(host, "."), int(n), nil
}

// insideAddress is a value of --inside: HOST:PORT, an address there.
func insideAddress(text string) (string, error) {
	host, port, err := hostPort(text)
	if err != nil {
		return "", err
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return "", usageError("--inside %s: give the address in the LAN, not a name", text)
	}
	if special.Global(addr) && addr.Is4() {
		return "", usageError("--inside %s: that is a public address; give the one in the LAN, such as 192.168.1.50:8888", text)
	}
	return netip.AddrPortFrom(addr, uint16(port)).String(), nil //nolint:gosec // G115: ParseUint took 16 bits
}
