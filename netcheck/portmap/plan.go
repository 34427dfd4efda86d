package portmap

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"onsite/report"
)

// Plan is a forwarding that can be made: what is there now, what would be, and
// how. Nothing was changed yet.
type Plan struct {
	// Before is who has the outside port now, as the router lists it; nil: nobody
	// that it knows of.
	Before *Forwarding
	// After is what would be there.
	After Forwarding
	// Methods are the ways to ask for it, the best first.
	Methods []Method
	// There says that it is so already, by somebody else's doing.
	There bool
	// Made is what was made; nil until Apply made it.
	Made *Forwarding
	// External is the router's address outside; zero when it tells none.
	External netip.Addr

	router  *Router
	outside Outside
	notes   notes
	secret  nonce  // PCP's
	epoch   uint32 // of the last answer of NAT-PMP or PCP
	begun   time.Time
}

// Observations are the questions of Plan, Apply and Keep, in order.
func (p *Plan) Observations() []report.Observation { return p.notes.list }

// Plan looks what making a forwarding would do. The error, a *report.Error, is
// "forward.port.low" (KindRefused), "forward.router.silent" (KindNoAnswer), or
// of KindUsage. A finding that fails says why it cannot be made.
func (r *Router) Plan(ctx context.Context, q Request) (*Plan, []report.Finding, error) {
	p := &Plan{router: r, outside: q.Outside, External: r.External(), notes: notes{now: r.o.Now}}
	want := Forwarding{
		Protocol: q.Protocol, External: q.External, Host: q.Host.Unmap().String(), Internal: q.Internal,
		Description: description(q.Site, q.External), Lease: q.Lease.Round(time.Second), Ours: true,
	}
	if !q.Host.IsValid() {
		want.Host = r.o.Local.String()
	}
	if want.Internal == 0 {
		want.Internal = q.External
	}
	p.After = want
	if err := q.check(r); err != nil {
		return nil, nil, err
	}
	methods, err := r.methods(q, want)
	if err != nil {
		return nil, nil, err
	}
	p.Methods = methods
	findings := append(slices.Clone(r.Findings), r.judgeAddress()...)
	findings = append(findings, exposed([]Rule{{Protocol: want.Protocol, External: want.External, Host: want.Host, Internal: want.Internal}})...)
	if len(p.Methods) == 0 {
		return p, append(findings, report.Fail("forward.host.other", want.name(),
			fmt.Sprintf("%s is another host, and the router speaks NAT-PMP alone, which forwards to the computer that asks", want.Host),
			"run this on that host, or type the rule into the router by hand: onsite port guide --forward "+ruleFlag(want))), nil
	}
	// An error is in the observations: then nothing is known, as with NAT-PMP.
	p.Before, _ = r.now(ctx, &p.notes, want)
	if ctx.Err() != nil {
		return nil, nil, ctx.Err()
	}
	switch {
	case p.Before == nil || p.Before.Ours:
	case p.Before.same(want) && !p.Before.Disabled:
		p.There = true
		findings = append(findings, report.Pass("forward.there", want.name(),
			fmt.Sprintf("the router lists it already, as %q; it is not onsite's and stays as it is", p.Before.Description)))
	default:
		findings = append(findings, r.refusalFinding(&Refusal{Method: UPnP, Code: 718, Name: upnpCodes[718]}, want, p.Before))
	}
	return p, findings, nil
}

func (q Request) check(r *Router) error {
	switch {
	case q.External == 0:
		return report.Errorf(report.KindUsage, "usage", "give the one port that is to be reached from outside", "port 0 would be every port")
	case protocolNumbers[q.Protocol] == 0:
		return report.Errorf(report.KindUsage, "usage", "use tcp or udp", "%q is no protocol that can be forwarded", q.Protocol)
	case q.Lease < 0 || q.Lease > 0 && q.Lease < time.Second || q.Lease > maxLease:
		return report.Errorf(report.KindUsage, "usage", "give a time such as 1h, at most 168h; 0 stays until it is removed", "a lease of %s cannot be asked for", q.Lease)
	case q.External < 1024 && !q.LowPorts:
		return report.Errorf(report.KindRefused, "forward.port.low", "choose an outside port from 1024 on, or add --low-ports if it is meant",
			"outside port %d is one of the ports below 1024, which belong to well-known services", q.External)
	case q.Host.IsValid() && (!q.Host.Unmap().Is4() || !q.Host.Unmap().IsPrivate() && q.Host != r.o.Local || q.Host.Unmap() == r.Gateway):
		return report.Errorf(report.KindUsage, "usage", "give the IPv4 address of a host in this network", "%s is no host in this network to forward to", q.Host)
	case !r.Answered():
		return r.silent("UPnP, NAT-PMP or PCP")
	}
	return nil
}

// maxLease is the longest lease that an IGDv2 gives (WANIPConnection:2, section 2.3.3).
const maxLease = 7 * 24 * time.Hour

func (r *Router) silent(what string) error {
	return report.Errorf(report.KindNoAnswer, "forward.router.silent",
		"switch UPnP on in the router's page, or type the rule there by hand: onsite port guide; with a second router, name it with --gateway",
		"the router %s does not answer to %s", r.Gateway, what)
}

// methods are those that the router speaks and that can do what is wanted.
func (r *Router) methods(q Request, want Forwarding) ([]Method, error) {
	speaks := map[Method]bool{UPnP: r.igd != nil, PCP: r.PCP.Answered(), NATPMP: r.NATPMP.Answered()}
	list := []Method{UPnP, PCP, NATPMP}
	if q.Method != "" {
		if _, known := speaks[q.Method]; !known {
			return nil, report.Errorf(report.KindUsage, "usage", "use auto, upnp, pcp or nat-pmp", "%q is no method", q.Method)
		}
		if !speaks[q.Method] {
			return nil, r.silent(q.Method.String())
		}
		list = []Method{q.Method}
	}
	list = slices.DeleteFunc(list, func(m Method) bool { return !speaks[m] })
	if want.Lease == 0 {
		list = slices.DeleteFunc(list, func(m Method) bool { return m != UPnP })
		if len(list) == 0 {
			return nil, report.Errorf(report.KindUsage, "usage", "give a --lease, or type the rule into the router by hand: onsite port guide",
				"only UPnP has forwardings that stay, and it is not spoken here or not chosen")
		}
	}
	if want.Host != r.o.Local.String() {
		list = slices.DeleteFunc(list, func(m Method) bool { return m == NATPMP })
	}
	return list, nil
}

// judgeAddress warns of an outside address that nobody outside can reach.
func (r *Router) judgeAddress() []report.Finding {
	a := r.External()
	subject := r.Gateway.String()
	switch addressKind(a) {
	case "none":
		if r.offline() {
			break
		}
		return []report.Finding{report.Warn("forward.router.no-address", subject, "the router tells no address outside: a forwarding may lead nowhere",
			"run onsite net: it tells what stands between the router and the Internet")}
	case "carrier":
		return []report.Finding{report.Warn("forward.router.carrier", subject,
			fmt.Sprintf("the router's address outside is %s, the carrier's own: nothing in this router makes it reachable", a),
			"ask the provider for a public address, or use a tunnel")}
	case "private":
		return []report.Finding{report.Warn("forward.router.private", subject,
			fmt.Sprintf("the router's address outside is %s, which is private: another router stands in front of it", a),
			fmt.Sprintf("let that one forward the port to %s as well (onsite port guide shows both), or make it a bridge", a))}
	}
	if r.offline() {
		return []report.Finding{report.Warn("forward.router.offline", subject,
			fmt.Sprintf("the router says that its connection to the Internet is %q: a forwarding may lead nowhere", report.Printable(r.Status)),
			"see the router's status page, and wait until it is connected")}
	}
	return nil
}

// offline reports whether the router says that it is not connected.
func (r *Router) offline() bool { return r.Status != "" && r.Status != "Connected" }

// now asks who has a port: the router, else what was written down.
func (r *Router) now(ctx context.Context, n *notes, want Forwarding) (*Forwarding, error) {
	known, remembered := r.o.Memory.find(r, want.Protocol, want.External)
	if r.igd != nil {
		f, err := r.igd.holder(ctx, n, want)
		if err == nil {
			if f != nil {
				r.recognise(f)
			}
			return f, nil
		}
		if !remembered {
			return nil, err
		}
	}
	if !remembered {
		return nil, nil
	}
	f := known.forwarding(r.o.Now())
	return &f, nil
}

// recognise marks a listed forwarding that was written down when it was made.
func (r *Router) recognise(f *Forwarding) {
	known, ok := r.o.Memory.find(r, f.Protocol, f.External)
	if ok && known.Host == f.Host && known.Internal == f.Internal {
		f.Ours, f.Method = true, known.Method
	}
	if f.Method == "" && f.Ours {
		f.Method = UPnP
	}
}

// Apply makes the forwarding, by the first method that works, looks whether the
// router lists it, and connects to it from outside where that was asked for.
// p.Made is what was made. When ctx ends meanwhile, it is taken away again.
func (p *Plan) Apply(ctx context.Context) []report.Finding {
	findings := p.apply(ctx)
	if p.Made != nil && p.outside != nil && ctx.Err() == nil {
		findings = append(findings, p.prove(ctx)...)
	}
	if p.Made != nil && ctx.Err() != nil {
		findings = append(findings, p.Release(ctx))
		p.Made = nil
	}
	return findings
}

func (p *Plan) apply(ctx context.Context) []report.Finding {
	var refused []report.Finding
	for _, m := range p.Methods {
		made, findings, err := p.make(ctx, m)
		if err == nil {
			p.Made, p.begun = made, p.router.o.Now()
			return findings
		}
		if ctx.Err() != nil { // it may have been made all the same
			half := p.After
			half.Method, p.Made = m, &half
			return nil
		}
		f := p.failure(ctx, m, err)
		if !slices.ContainsFunc(refused, func(g report.Finding) bool { return g.Code == f.Code }) {
			refused = append(refused, f)
		}
		if f.Code == "forward.port.taken" || f.Code == "forward.rule.typed" {
			break // the other methods would open another door to the same port
		}
	}
	return refused
}

// failure says why a method did not make it.
func (p *Plan) failure(ctx context.Context, m Method, err error) report.Finding {
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		holder := p.Before
		if m == UPnP && refusal.Code == 718 {
			if f, err := p.router.igd.holder(ctx, &p.notes, p.After); err == nil {
				holder = f
			}
		}
		if holder != nil && holder.Ours {
			holder = nil // it made room, or is there again
		}
		return p.router.refusalFinding(refusal, p.After, holder)
	}
	if known, ok := errors.AsType[*report.Error](err); ok {
		return report.Fail(known.Code, p.After.name(), known.Message, known.Remedy)
	}
	return report.Unknown("forward.no-answer", p.After.name(), fmt.Sprintf("asked by %s: %s", m, err),
		"see with onsite port forward list whether it is there, and try again")
}

func (p *Plan) make(ctx context.Context, m Method) (*Forwarding, []report.Finding, error) {
	if m == UPnP {
		return p.makeUPnP(ctx)
	}
	return p.makePMP(ctx, m)
}

func (p *Plan) makeUPnP(ctx context.Context) (*Forwarding, []report.Finding, error) {
	igd, made := p.router.igd, p.After
	made.Method = UPnP
	moved := p.Before != nil && p.Before.Ours && !p.Before.same(p.After)
	if moved {
		if err := p.router.remove(ctx, &p.notes, *p.Before); err != nil {
			return nil, nil, err
		}
	}
	stays, err := igd.add(ctx, &p.notes, made)
	if err != nil {
		if moved { // as it was
			if _, again := igd.add(ctx, &p.notes, *p.Before); again == nil {
				err = errors.Join(err, errors.New("the old forwarding is there again"))
			}
		}
		return nil, nil, err
	}
	if stays {
		made.Lease = 0
	}
	listed, err := igd.holder(ctx, &p.notes, made)
	var findings []report.Finding
	how := "by UPnP, and the router lists it"
	switch {
	case err != nil:
		how = "by UPnP; the router does not tell whether it lists it"
	case listed == nil:
		findings = append(findings, report.Unknown("forward.unlisted", made.name(),
			"the router said yes, and does not list it", "check from outside whether it works, or type the rule into the router by hand"))
		how = "by UPnP"
	case !listed.same(made):
		// Some keep an inside port of before.
		igd.remove(ctx, &p.notes, made) //nolint:errcheck // it is wrong as it is; an observation tells
		return nil, nil, &Refusal{Method: UPnP, Code: 501, Name: "made " + listed.String() + " instead"}
	default:
		made.Lease = listed.Lease
	}
	if err := p.router.remember(made, nonce{}); err != nil {
		findings = append(findings, forgotten(made, err))
	}
	return &made, append(p.made(made, how, stays), findings...), nil
}

func (p *Plan) makePMP(ctx context.Context, m Method) (*Forwarding, []report.Finding, error) {
	made := p.After
	made.Method = m
	p.secret = newNonce()
	if known, ok := p.router.o.Memory.find(p.router, made.Protocol, made.External, m); ok && len(known.Nonce) == len(p.secret) {
		p.secret = nonce(known.Nonce)
	}
	// Before it is made: without its number it could not be taken away again.
	if err := p.router.remember(made, p.secret); err != nil {
		return nil, nil, err
	}
	got, err := p.mapPMP(ctx, made, made.Lease)
	if err == nil && got.external != made.External {
		err = p.otherPort(ctx, made, got)
	}
	if err != nil {
		if _, refused := errors.AsType[*Refusal](err); refused {
			p.router.o.Memory.drop(p.router, made) //nolint:errcheck // a line too many does no harm
		}
		return nil, nil, err
	}
	p.epoch, made.Lease = got.epoch, got.lease
	if err := p.router.remember(made, p.secret); err != nil {
		return nil, nil, err
	}
	return &made, p.made(made, "by "+m.String(), false), nil
}

func (p *Plan) mapPMP(ctx context.Context, f Forwarding, lifetime time.Duration) (granted, error) {
	if f.Method == PCP {
		return p.router.o.mapPCP(ctx, &p.notes, f, lifetime, p.secret)
	}
	return p.router.o.mapNATPMP(ctx, &p.notes, f, lifetime)
}

// otherPort undoes a mapping of another outside port than was asked for. With
// NAT-PMP it may be one that another program of this computer has had before,
// and taking it away would take it from that program: it ends by itself.
func (p *Plan) otherPort(ctx context.Context, f Forwarding, got granted) error {
	other := f
	other.External = got.external
	if f.Method == PCP {
		p.mapPMP(ctx, other, 0) //nolint:errcheck // it ends by itself too; an observation tells
		return &Refusal{Method: PCP, Code: 11, Name: fmt.Sprintf("gives %d instead", got.external)}
	}
	return report.Errorf(report.KindFailed, "forward.port.other",
		fmt.Sprintf("choose another outside port; %s ends by itself within %s", other.name(), got.lease),
		"the port is taken: the router forwards %s instead", other)
}

// made says what was made, and that this proves little.
func (p *Plan) made(f Forwarding, how string, stays bool) []report.Finding {
	until := "until it is removed"
	if f.Lease > 0 {
		until = "until " + p.router.clock(f.Lease)
	}
	list := []report.Finding{report.Pass("forward.added", f.name(), fmt.Sprintf("forwarded to %s, %s, %s", f.target(), until, how))}
	if stays || p.After.Lease > 0 && f.Lease == 0 {
		list = append(list, report.Warn("forward.stays", f.name(), "the router gives no forwarding that ends by itself: this one stays",
			fmt.Sprintf("remove it when it is not needed any more: onsite port forward remove %d", f.External)))
	}
	return list
}

func forgotten(f Forwarding, err error) report.Finding {
	e := report.AsError(err)
	return report.Warn("forward.memory", f.name(), "it could not be written down: "+e.Message, e.Remedy)
}

// remember writes a forwarding down as made here.
func (r *Router) remember(f Forwarding, secret nonce) error {
	var until time.Time
	if f.Lease > 0 {
		until = r.o.Now().Add(f.Lease)
	}
	return r.o.Memory.put(r, f, secret, until)
}
