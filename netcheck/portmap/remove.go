package portmap

import (
	"context"
	"fmt"
	"slices"
	"time"

	"onsite/report"
)

// Listing is what a router forwards, as far as it tells.
type Listing struct {
	Forwardings []Forwarding
	// Whole says that the router listed everything that it knows of. Rules that
	// were typed in are missing from many lists all the same.
	Whole bool
}

// List asks the router for its forwardings and adds those that were made here
// by NAT-PMP and PCP, which have no list. It changes nothing. The error, a
// *report.Error, is "forward.router.silent" (KindNoAnswer), or ctx's own.
func (r *Router) List(ctx context.Context) (Listing, []report.Finding, error) {
	if !r.Answered() {
		return Listing{}, nil, r.silent("UPnP, NAT-PMP or PCP")
	}
	ctx, cancel := context.WithTimeout(ctx, listWait)
	defer cancel()
	n := notes{now: r.o.Now}
	defer func() { r.Observations = append(r.Observations, n.list...) }()
	l := Listing{Forwardings: []Forwarding{}}
	findings := append(slices.Clone(r.Findings), r.judgeAddress()...)
	if r.igd == nil {
		findings = append(findings, report.Unknown("forward.list.none", r.Gateway.String(),
			"the router does not speak UPnP, and NAT-PMP and PCP have no list: only what was made here is known",
			"look at the router's own page"))
	} else {
		list, err := r.igd.list(ctx, &n)
		l.Forwardings, l.Whole = append(l.Forwardings, list...), err == nil
		if err != nil {
			if len(list) == 0 {
				l.Forwardings = append(l.Forwardings, r.known(ctx, &n)...)
			}
			findings = append(findings, report.Unknown("forward.list.partial", r.Gateway.String(),
				fmt.Sprintf("the router does not list all of its forwardings: %s; there may be others", err), "look at the router's own page"))
		}
	}
	for i := range l.Forwardings {
		r.recognise(&l.Forwardings[i])
	}
	for _, known := range r.o.Memory.load() {
		f := known.forwarding(r.o.Now())
		listed := slices.ContainsFunc(l.Forwardings, func(g Forwarding) bool { return g.same(f) })
		if known.of(r) && known.Method != UPnP && !listed {
			l.Forwardings = append(l.Forwardings, f)
		}
	}
	return l, findings, nil
}

const listWait = 20 * time.Second

// usual are the outside ports of a site: those that are asked for one by one
// where the router has no list.
var usual = []uint16{8888, 4444, 4500}

// known asks for the ports that a site has, and for those that were made here.
func (r *Router) known(ctx context.Context, n *notes) []Forwarding {
	ports := make([]Forwarding, 0, len(usual))
	for _, port := range usual {
		ports = append(ports, Forwarding{Protocol: "tcp", External: port})
	}
	for _, known := range r.o.Memory.load() {
		f := Forwarding{Protocol: known.Protocol, External: known.External}
		if known.of(r) && !slices.Contains(ports, f) {
			ports = append(ports, f)
		}
	}
	var list []Forwarding
	for _, port := range ports {
		if f, err := r.igd.holder(ctx, n, port); err == nil && f != nil {
			list = append(list, *f)
		}
	}
	return list
}

// Find returns what the router forwards from one outside port. protocol is
// "tcp", "udp", or "" for both.
func (r *Router) Find(ctx context.Context, protocol string, external uint16) ([]Forwarding, error) {
	if !r.Answered() {
		return nil, r.silent("UPnP, NAT-PMP or PCP")
	}
	n := notes{now: r.o.Now}
	defer func() { r.Observations = append(r.Observations, n.list...) }()
	var list []Forwarding
	for _, p := range []string{"tcp", "udp"} {
		if protocol != "" && protocol != p {
			continue
		}
		f, err := r.now(ctx, &n, Forwarding{Protocol: p, External: external})
		if err != nil {
			return nil, report.Errorf(report.KindNoAnswer, "forward.no-answer", "look at the router's own page",
				"ask the router who has port %d/%s: %w", external, p, err)
		}
		if f != nil {
			list = append(list, *f)
		}
	}
	return list, nil
}

// Remove takes away one of onsite's forwardings. One of somebody else's stays,
// and is a finding.
func (r *Router) Remove(ctx context.Context, f Forwarding) report.Finding {
	if !f.Ours {
		return report.Fail("forward.foreign", f.name(), fmt.Sprintf("it goes to %s as %q: onsite did not make it, so it stays", f.target(), f.Description),
			"delete it in the router's page if it is not needed")
	}
	n := notes{now: r.o.Now}
	defer func() { r.Observations = append(r.Observations, n.list...) }()
	if err := r.remove(ctx, &n, f); err != nil {
		return report.Fail("forward.remove.failed", f.name(), fmt.Sprintf("%s: %s", f.Method, err), "delete it in the router's page")
	}
	if r.igd != nil {
		if left, err := r.igd.holder(ctx, &n, f); err == nil && left != nil && left.same(f) {
			return report.Fail("forward.remove.failed", f.name(), "the router said yes, and still lists it", "delete it in the router's page")
		}
	}
	return report.Pass("forward.removed", f.name(), "taken away; it went to "+f.target())
}

// remove takes a forwarding away in the way in which it was made.
func (r *Router) remove(ctx context.Context, n *notes, f Forwarding) (err error) {
	switch f.Method {
	case PCP:
		var secret nonce
		if known, ok := r.o.Memory.find(r, f.Protocol, f.External, PCP); ok {
			copy(secret[:], known.Nonce)
		}
		_, err = r.o.mapPCP(ctx, n, f, 0, secret)
	case NATPMP:
		_, err = r.o.mapNATPMP(ctx, n, f, 0)
	default:
		if r.igd == nil {
			return ErrSilent
		}
		err = r.igd.remove(ctx, n, f)
	}
	if err != nil {
		return err
	}
	r.o.Memory.drop(r, f) //nolint:errcheck // a line too many does no harm
	return nil
}
