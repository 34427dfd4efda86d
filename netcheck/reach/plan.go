package reach

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"onsite/report"
)

// Plan is what was seen in the LAN, to be compared with what is seen from a
// telephone's hotspot. It holds no secret.
type Plan struct {
	Format string    `json:"format"` // "onsite-port-plan/1"
	Made   time.Time `json:"made"`
	// Public is the site's confirmed public address.
	Public    netip.Addr    `json:"public"`
	Gateways  []netip.Addr  `json:"gateways"`
	Pages     []Identity    `json:"gateway_pages"` // what the gateways show
	NAT       string        `json:"nat"`
	NATReason string        `json:"nat_how"`
	Targets   []PlannedPort `json:"targets"`
}

// PlannedPort is a target with what was seen of it in the LAN.
type PlannedPort struct {
	Host     string `json:"host"`
	Port     int    `json:"port"`
	Inside   string `json:"inside"`
	Found    bool   `json:"inside_found"`
	Listed   string `json:"listed"`
	Expect   Kind   `json:"expect"`
	LAN      Look   `json:"lan"`
	Loopback Look   `json:"loopback"`
}

const planFormat = "onsite-port-plan/1"

// MaxPlan is the size of the largest plan that is read, in bytes.
const MaxPlan = 256 << 10

// MakePlan looks at the targets in the LAN and notes what is to be expected from
// outside. Vantages are not used. Findings that only say that nothing is known
// from outside become one that says what to do next. The plan is empty when the
// error is not nil, which is as in Check.
func MakePlan(ctx context.Context, o Options) (Plan, Result, []report.Finding, error) {
	o.Vantages, o.Beacon = nil, false
	c := &check{o: o.withDefaults(), result: Result{Via: []string{}, Ports: []Port{}, Observations: []report.Observation{}}}
	limited, cancel := context.WithTimeout(ctx, c.o.Limit)
	defer cancel()
	err := c.begin(limited)
	if err == nil {
		c.lookInside(limited)
		c.lookOutside(limited)
		err = limited.Err()
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return Plan{}, c.result, nil, ctx.Err()
	}
	findings := c.judge(limited)
	if err == nil && c.nothing() {
		err = nothingError()
	}
	if err != nil {
		return Plan{}, c.result, findings, err
	}
	p := Plan{
		Format: planFormat, Made: c.o.Now().UTC(), Public: c.o.Public, Gateways: c.o.Gateways, Pages: c.gatewayPages(limited),
		NAT: c.o.NAT.Value("nat"), NATReason: c.o.NAT.How("nat"),
	}
	for _, port := range c.result.Ports {
		t := port.target
		p.Targets = append(p.Targets, PlannedPort{t.Host, t.Port, t.Inside, t.Found, t.Listed, t.Expect, port.LAN, port.Loopback})
	}
	return p, c.result, c.pending(findings), nil
}

// pending rewords what is only not known yet.
func (c *check) pending(findings []report.Finding) []report.Finding {
	for i, f := range findings {
		for _, p := range c.result.Ports {
			if f.Status != report.StatusUnknown || f.Subject != p.Target || p.LAN.Identity.Kind == "" {
				continue
			}
			detail := "seen in the LAN: " + p.LAN.Identity.String()
			if p.Loopback.Verdict == same {
				detail += "; over the loop-back too"
			}
			findings[i] = report.Unknown("port.plan.pending", p.Target, detail+"; from outside it is not known yet",
				"join the telephone's hotspot with this computer, then run onsite port check --resume")
		}
	}
	return findings
}

// Encode is the plan as a file holds it.
func (p Plan) Encode() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(p)
	return b.Bytes(), err
}

// DecodePlan reads a plan. The error has the code "port.plan.damaged".
func DecodePlan(data []byte) (Plan, error) {
	var p Plan
	if len(data) > MaxPlan {
		return Plan{}, damaged("it is too large")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(&p); err != nil {
		return Plan{}, damaged("it is not what --plan writes")
	}
	if _, err := dec.Token(); err != io.EOF {
		return Plan{}, damaged("something follows its end")
	}
	switch {
	case p.Format != planFormat:
		return Plan{}, damaged(fmt.Sprintf("its format is %q, not %q", shorten(p.Format), planFormat))
	case len(p.Targets) == 0 || len(p.Targets) > maxTargets:
		return Plan{}, damaged("it names no target, or too many")
	}
	for i := range p.Targets {
		t := &p.Targets[i]
		if t.Host == "" || t.Port < 1 || t.Port > 65535 {
			return Plan{}, damaged("a target has no host or no port")
		}
		if k := t.LAN.Identity; k.Kind == KindHTTPS && len(k.SPKI) != 64 {
			return Plan{}, damaged("a key's fingerprint is cut")
		}
	}
	return p, nil
}

// maxTargets bounds how many ports a plan holds.
const maxTargets = 100

func damaged(why string) error {
	return report.Errorf(report.KindInput, "port.plan.damaged", "make it again in the LAN, with --plan", "the plan cannot be used: %s", why)
}

// Resume looks at the plan's targets from here, which must be outside: with
// o.Public, the address of this network now, it makes sure of that first, and
// that the LAN is gone. A clock's key, where one is given, is sent. Targets and
// vantages of o are not used.
func Resume(ctx context.Context, p Plan, o Options) (Result, []report.Finding, error) {
	o.Vantages, o.Beacon, o.Targets = nil, false, nil
	for _, t := range p.Targets {
		o.Targets = append(o.Targets, Target{Host: t.Host, Port: t.Port, Inside: t.Inside, Found: t.Found, Listed: t.Listed, Expect: t.Expect})
	}
	c := &check{o: o.withDefaults(), plan: &p, result: Result{Via: []string{}, Ports: []Port{}, Observations: []report.Observation{}}}
	limited, cancel := context.WithTimeout(ctx, c.o.Limit)
	defer cancel()
	if f := c.stillInside(limited); f != nil {
		if errors.Is(ctx.Err(), context.Canceled) {
			return c.result, nil, ctx.Err()
		}
		return c.result, []report.Finding{*f}, nil
	}
	c.o.Public, c.o.PublicHow, c.o.Gateways = p.Public, "as it was found in the LAN", p.Gateways
	if p.NAT != "" {
		c.o.NAT = report.Evidence{{Name: "nat", Value: p.NAT, How: p.NATReason}}
	}
	c.o.Vantages = []Vantage{&hotspot{check: c, addr: p.Public}}
	if err := c.begin(limited); err != nil {
		return c.result, nil, err
	}
	for i, t := range p.Targets {
		c.result.Ports[i].LAN, c.result.Ports[i].Loopback = t.LAN, t.Loopback
	}
	c.lookOutside(limited)
	if errors.Is(ctx.Err(), context.Canceled) {
		return c.result, nil, ctx.Err()
	}
	return c.result, c.judge(limited), nil
}

// stillInside says why what is seen from here would not be seen from outside;
// nil when it would.
func (c *check) stillInside(ctx context.Context) *report.Finding {
	const join = "switch Wi-Fi to the telephone's hotspot, unplug the cable, then run it again"
	var f report.Finding
	here, there := c.o.Public.Unmap(), c.plan.Public.Unmap()
	switch {
	case !there.IsValid():
		f = report.Unknown("port.resume.unsure", "", "the plan does not hold the site's public address: it could not be confirmed in the LAN", "make the plan again, when onsite net can tell the public address")
	case !here.IsValid():
		f = report.Unknown("port.resume.unsure", "", "the public address here could not be confirmed, so it is not sure that this computer is outside", "check that the hotspot has a way to the Internet, then run it again")
	case here == there:
		f = report.Unknown("port.resume.inside", here.String(), "you are still in the LAN: the public address here is that of the site", join)
	default:
		for _, t := range c.plan.Targets {
			if !c.answersInside(ctx, t) {
				continue
			}
			f = report.Unknown("port.resume.inside", t.Inside, "you are still in the LAN: the inside address answers here as it did there", join)
			return &f
		}
		return nil
	}
	return &f
}

// answersInside reports whether a target is still there at its inside address.
func (c *check) answersInside(ctx context.Context, t PlannedPort) bool {
	if t.Inside == "" || t.LAN.Identity.Kind == "" {
		return false
	}
	pr := c.probe(t.Host, net.JoinHostPort(t.Host, fmt.Sprint(t.Port)), t.LAN.Identity.Kind, func(ctx context.Context) (net.Conn, netip.AddrPort, error) { return c.dial(ctx, t.Inside) })
	pr.thrifty, pr.talk = true, min(pr.talk, 2*time.Second)
	limited, cancel := context.WithTimeout(ctx, min(c.o.Timeout, 2*time.Second))
	defer cancel()
	what, _, _ := pr.look(limited)
	verdict, _ := t.LAN.Identity.compare(what)
	return what.Kind != "" && verdict == same
}

// hotspot is this computer itself as the vantage, in another network.
type hotspot struct {
	check *check
	addr  netip.Addr
}

func (h *hotspot) Name() string                             { return "this network" }
func (h *hotspot) Seen(context.Context) (netip.Addr, error) { return h.addr, nil }
func (h *hotspot) Dial(ctx context.Context, port int) (net.Conn, netip.AddrPort, error) {
	return h.check.dial(ctx, netip.AddrPortFrom(h.addr, uint16(port)).String()) //nolint:gosec // G115: a port
}
