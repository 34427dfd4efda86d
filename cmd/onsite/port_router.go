package main

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"onsite/netcheck/portmap"
	"onsite/netcheck/wan"
	"onsite/report"
)

// routerFlags say which router is meant.
type routerFlags struct{ gateway, local string }

func (o *routerFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.gateway, "gateway", "", "the router's address in this network (default: this computer's gateway)")
	cmd.Flags().StringVar(&o.local, "local", "", "this computer's address towards the router, where it has several")
}

// options say whom to ask. Without a gateway they are of no use, and the error
// says so.
func (o *routerFlags) options(a *app) (portmap.Options, error) {
	options := portmap.Options{Now: a.now, Memory: a.forwardings()}
	for _, f := range []struct {
		flag, value string
		addr        *netip.Addr
	}{{"gateway", o.gateway, &options.Gateway}, {"local", o.local, &options.Local}} {
		if f.value == "" {
			continue
		}
		addr, err := netip.ParseAddr(f.value)
		if err != nil || !addr.Unmap().Is4() {
			return options, usageError("--%s %q: give an IPv4 address", f.flag, f.value)
		}
		*f.addr = addr.Unmap()
	}
	if options.Gateway.IsValid() {
		return options, nil
	}
	gateways, err := wan.Gateways()
	if err != nil {
		return options, report.Errorf(report.KindMissing, "value.missing", "name the router's address with --gateway", "this computer's gateway is not known: %w", err)
	}
	chosen, err := theGateway(gateways)
	if err != nil {
		return options, err
	}
	options.Gateway = chosen.Address
	if !options.Local.IsValid() {
		options.Local = chosen.Local
	}
	return options, nil
}

// theGateway is the one that is in use, else the only one.
func theGateway(list []wan.Gateway) (wan.Gateway, error) {
	if g, ok := wan.InUse(list); ok {
		return g, nil
	}
	var four []wan.Gateway
	var names []string
	for _, g := range list {
		if g.Address.Is4() {
			four, names = append(four, g), append(names, g.Address.String())
		}
	}
	switch len(four) {
	case 0:
		return wan.Gateway{}, report.Errorf(report.KindMissing, "value.missing", "connect it to the site's network, or name the router's address with --gateway",
			"this computer has no gateway")
	case 1:
		return four[0], nil
	}
	return wan.Gateway{}, report.Errorf(report.KindMissing, "value.missing", "name one with --gateway", "this computer has several gateways: %s", strings.Join(names, ", "))
}

// router asks the router that is meant.
func (a *app) router(ctx context.Context, o *routerFlags) (*portmap.Router, error) {
	options, err := o.options(a)
	if err != nil {
		return nil, err
	}
	return a.askRouter(ctx, options)
}

func (a *app) askRouter(ctx context.Context, options portmap.Options) (*portmap.Router, error) {
	a.say("... asking the router %s", options.Gateway)
	r := portmap.Ask(ctx, options)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return &r, nil
}

// forwardings is where forwardings are written down that were made here.
func (a *app) forwardings() *portmap.Memory {
	dir, err := a.stateDir()
	if err != nil {
		return nil // then the router's list alone tells
	}
	return &portmap.Memory{Dir: dir, Now: a.now}
}

// routerJSON is a router in JSON.
type routerJSON struct {
	Gateway  string `json:"gateway"`
	Device   string `json:"device"`   // how it calls itself, "" without UPnP
	Service  string `json:"service"`  // UPnP's, "" without
	External string `json:"external"` // its address outside, "" when it tells none
}

func describeRouter(r *portmap.Router) routerJSON {
	j := routerJSON{Gateway: r.Gateway.String(), Device: report.Printable(r.Device), Service: r.Service}
	if e := r.External(); e.IsValid() {
		j.External = e.String()
	}
	return j
}

func (j routerJSON) row() [2]string {
	words := []string{j.Gateway}
	if j.Device != "" {
		words = append(words, j.Device)
	}
	if j.External != "" {
		words = append(words, "outside "+j.External)
	} else {
		words = append(words, "its address outside is not known")
	}
	return [2]string{"Router", strings.Join(words, ", ")}
}

// forwardingJSON is a forwarding in JSON.
type forwardingJSON struct {
	Method      string `json:"method"` // upnp, pcp, nat-pmp; "" when that is not known
	Protocol    string `json:"protocol"`
	External    uint16 `json:"external_port"`
	Host        string `json:"internal_address"`
	Internal    uint16 `json:"internal_port"`
	Source      string `json:"source_address"` // "": any
	Description string `json:"description"`
	Enabled     bool   `json:"enabled"`
	Lease       int64  `json:"lease_seconds"` // 0: it stays
	Ours        bool   `json:"ours"`
}

func describeForwarding(f *portmap.Forwarding) *forwardingJSON {
	if f == nil {
		return nil
	}
	return &forwardingJSON{
		Method: string(f.Method), Protocol: f.Protocol, External: f.External, Host: f.Host, Internal: f.Internal, Source: f.Source,
		Description: f.Description, Enabled: !f.Disabled, Lease: int64(f.Lease / time.Second), Ours: f.Ours,
	}
}

// words tell a forwarding in one line.
func (j *forwardingJSON) words() string {
	if j == nil {
		return "nothing that the router knows of"
	}
	s := fmt.Sprintf("%d/%s -> %s:%d, %s", j.External, j.Protocol, j.Host, j.Internal, j.ends())
	if j.Source != "" {
		s += ", from " + j.Source + " only"
	}
	if !j.Enabled {
		s += ", switched off"
	}
	return s + fmt.Sprintf(", %q", j.Description)
}

func (j *forwardingJSON) ends() string {
	if j.Lease == 0 {
		return "stays"
	}
	return "ends in " + span(time.Duration(j.Lease)*time.Second)
}

// span is a time in its two largest units: "1 h", "6 d 23 h".
func span(d time.Duration) string {
	units := []struct {
		long time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}}
	for i, u := range units {
		if d < u.long {
			continue
		}
		s := fmt.Sprintf("%d %s", d/u.long, u.name)
		if i+1 < len(units) && d%u.long >= units[i+1].long {
			s += fmt.Sprintf(" %d %s", d%u.long/units[i+1].long, units[i+1].name)
		}
		return s
	}
	return "0 s"
}
