package main

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"onsite/devicecfg/zk"
	"onsite/internal/fileset"
	"onsite/internal/special"
	"onsite/netcheck/portmap"
	"onsite/netcheck/reach"
	"onsite/report"
)

type portCheckOptions struct {
	dns              dnsFlags
	outside          outsideFlags
	targets          []string
	inside           []string
	expect           string
	beacon           bool
	plan, resume     string
	planned, resumed bool
	force            bool
	key              secretFlags
}

// defaultPlan is the file of --plan and --resume without a name.
const defaultPlan = "onsite-port.plan"

// portCheckResult is the JSON result of port check.
type portCheckResult struct {
	reach.Result
	Plan string `json:"plan"` // the file that --plan wrote, or ""
}

func newPortCheckCmd(a *app) *cobra.Command {
	o := &portCheckOptions{}
	cmd := &cobra.Command{
		Use:   "check HOST:PORT...",
		Short: "Judge whether forwarded ports can be reached from outside, and how that is known",
		Long: `Look at each port in the LAN, over the loop-back (the public address as seen from
within) and from outside, and say whether it works. It counts as working only when
what answers outside is what answers in the LAN: the same TLS key, the same clock by
its serial number, the same page. The loop-back alone proves nothing of the outside.

Outside is seen in one of two ways:
  --via URL          through a reflector, a small server that connects back
  --plan, --resume   with this computer on a telephone's hotspot: --plan notes in
                     the LAN what to expect, --resume compares from the hotspot

--inside says where the port should end in the LAN. Give several targets to have
each tell more about the others; then write --inside OUTSIDE=ADDRESS:PORT for each.
Without it this computer is taken, if it serves the port, else what the router
lists by UPnP. On inside port 4370 a clock is expected, on 443 and 4444 HTTPS,
elsewhere anything.

--beacon is for a port whose service does not run: onsite listens on the inside
port itself and proves itself with a secret that never leaves this process.

A clock's comm key is sent in the LAN and from the hotspot, never through a
reflector. Nothing is changed anywhere.`,
		Example: `  onsite port check portal.acme.example:8888 --inside 192.168.1.50:8888 \
      --via https://reflector.example --token-file token.txt
  onsite port check portal.acme.example:8888 portal.acme.example:4500 \
      --inside 8888=192.168.1.50:8888 --inside 4500=192.168.1.200:4370
  onsite port check portal.acme.example:4500 --inside 192.168.1.200:4370 --plan
  onsite port check --resume
  onsite port check portal.acme.example:8888 --beacon \
      --via https://reflector.example --token-env TOKEN`,
		Args: cobra.ArbitraryArgs,
	}
	cmd.RunE = a.verb(func(ctx context.Context, args []string) (outcome, error) {
		o.targets = args
		o.planned, o.resumed = cmd.Flags().Changed("plan"), cmd.Flags().Changed("resume")
		return a.runPortCheck(ctx, o)
	})
	f := cmd.Flags()
	f.StringArrayVar(&o.inside, "inside", nil, "where the port should end in the LAN: ADDRESS:PORT, or OUTSIDE=ADDRESS:PORT with several targets; can be repeated")
	f.StringVar(&o.expect, "expect", "", "what should answer: any, https, http or clock (default: by the inside port)")
	f.BoolVar(&o.beacon, "beacon", false, "listen on the inside port in place of the service")
	f.StringVar(&o.plan, "plan", "", "note what is seen in the LAN, for --resume; the file is "+defaultPlan+" or the one given as --plan=FILE")
	f.StringVar(&o.resume, "resume", "", "compare with the plan from here, which must be outside; the file is "+defaultPlan+" or the one given as --resume=FILE")
	f.Lookup("plan").NoOptDefVal, f.Lookup("resume").NoOptDefVal = defaultPlan, defaultPlan
	f.BoolVar(&o.force, "force", false, "replace a plan of the same name; the old one is kept beside")
	o.outside.add(cmd)
	o.dns.add(f)
	addSecretFlags(cmd, &o.key, "key", "the clock's comm key")
	return cmd
}

// fileArgument takes a file's name from among the arguments, where --plan and
// --resume have it behind a space.
func (o *portCheckOptions) fileArgument() {
	for _, f := range []struct {
		given bool
		file  *string
	}{{o.planned, &o.plan}, {o.resumed, &o.resume}} {
		if !f.given || *f.file != defaultPlan {
			continue
		}
		i := slices.IndexFunc(o.targets, func(s string) bool { _, _, err := hostPort(s); return err != nil })
		if i >= 0 {
			*f.file = o.targets[i]
			o.targets = slices.Delete(slices.Clone(o.targets), i, i+1)
		}
	}
	o.plan, o.resume = cleanPath(o.plan), cleanPath(o.resume)
}

func (o *portCheckOptions) sane() error {
	o.fileArgument()
	switch {
	case o.planned && o.resumed:
		return usageError("--plan is for the LAN and --resume for the hotspot: give one of them")
	case o.resumed && (len(o.targets) > 0 || len(o.inside) > 0):
		return usageError("--resume takes the targets from the plan: give none")
	case !o.resumed && len(o.targets) == 0:
		return usageError("onsite port check: HOST:PORT is missing")
	case (o.planned || o.resumed) && (len(o.outside.via) > 0 || o.beacon):
		return usageError("--plan and --resume do without --via and --beacon")
	case o.beacon && len(o.outside.via) == 0:
		return usageError("--beacon needs --via: from here alone it proves nothing")
	}
	switch reach.Kind(o.expect) {
	case "", reach.KindAny, reach.KindHTTPS, reach.KindHTTP, reach.KindClock:
		return nil
	}
	return usageError("--expect %s: use any, https, http or clock", o.expect)
}

func (a *app) runPortCheck(ctx context.Context, o *portCheckOptions) (outcome, error) {
	if err := o.sane(); err != nil {
		return outcome{}, err
	}
	targets, err := o.parseTargets()
	if err != nil {
		return outcome{}, err
	}
	key, err := a.clockKey(ctx, o.key)
	if err != nil {
		return outcome{}, err
	}
	var plan reach.Plan
	if o.resumed {
		if plan, err = a.readPlan(ctx, o.resume); err != nil {
			return outcome{}, err
		}
	} else if o.planned && !o.force {
		if err := fileset.Refuse(filepath.Dir(o.plan), filepath.Base(o.plan)); err != nil {
			return outcome{}, err
		}
	}
	sources, err := o.dns.sources(ctx)
	if err != nil {
		return outcome{}, err
	}
	vantages, err := a.vantages(ctx, &o.outside)
	if err != nil {
		return outcome{}, err
	}
	l, err := a.line(ctx, &o.outside)
	if err != nil {
		return outcome{}, err
	}
	if err := a.findInside(ctx, targets, l); err != nil {
		return outcome{}, err
	}
	options := reach.Options{
		Targets: targets, Vantages: vantages, Public: l.public, PublicHow: l.how, Gateways: l.gatewayAddrs(targets), NAT: l.nat,
		Resolve: a.world(sources), Key: key, Beacon: o.beacon, Timeout: o.outside.timeout, Now: a.now,
	}
	result, findings, err := a.lookAtPorts(ctx, o, plan, options)
	result.Observations = slices.Concat([]report.Observation{}, l.observed, result.Observations)
	if err != nil {
		return outcome{Result: result, Findings: findings}, err
	}
	return outcome{Result: result, Findings: findings, IsCheck: true, Text: func(p *printer) { showPorts(p, result) }}, nil
}

// lookAtPorts does the looking: now, for the plan, or by it.
func (a *app) lookAtPorts(ctx context.Context, o *portCheckOptions, plan reach.Plan, options reach.Options) (portCheckResult, []report.Finding, error) {
	total := 2*len(options.Targets) + len(options.Targets)*len(options.Vantages)
	if o.resumed {
		total = len(plan.Targets)
	}
	bar, done := a.progress("looks", total), 0
	defer bar.end()
	options.Progress = func(string) {
		done++
		bar.done(done)
	}
	var result portCheckResult
	var findings []report.Finding
	var err error
	switch {
	case o.resumed:
		result.Result, findings, err = reach.Resume(ctx, plan, options)
	case o.planned:
		var made reach.Plan
		if made, result.Result, findings, err = reach.MakePlan(ctx, options); err == nil {
			err = a.writePlan(o, made)
			result.Plan = o.plan
		}
	default:
		result.Result, findings, err = reach.Check(ctx, options)
	}
	return result, findings, err
}

// parseTargets reads the targets, and --inside for each.
func (o *portCheckOptions) parseTargets() ([]reach.Target, error) {
	var list []reach.Target
	for _, text := range o.targets {
		host, port, err := hostPort(text)
		if err != nil {
			return nil, err
		}
		list = append(list, reach.Target{Host: host, Port: port})
	}
	for i, text := range o.inside {
		of, address, named := strings.Cut(text, "=")
		n := i
		if !named {
			address = text
			if len(o.inside) != len(list) {
				return nil, usageError("--inside %s: with several targets write OUTSIDE=ADDRESS:PORT, such as 8888=192.168.1.50:8888", text)
			}
		} else if n = slices.IndexFunc(list, func(t reach.Target) bool { return strconv.Itoa(t.Port) == of || t.String() == of }); n < 0 {
			return nil, usageError("--inside %s: no target has the outside port %s", text, of)
		}
		inside, err := insideAddress(address)
		if err != nil {
			return nil, err
		}
		list[n].Inside = inside
	}
	for i := range list {
		list[i].Expect = reach.Kind(o.expect)
		if _, port, err := hostPort(list[i].Inside); err == nil && o.expect == "" {
			list[i].Expect = reach.KindOf(port)
		}
	}
	return list, nil
}

// findInside takes this computer for targets that it serves itself, and for the
// others what the router lists.
func (a *app) findInside(ctx context.Context, targets []reach.Target, l line) error {
	var unknown []*reach.Target
	for i := range targets {
		t := &targets[i]
		if t.Inside != "" {
			continue
		}
		t.Inside = reach.FindInside(ctx, l.local(), t.Port, nil)
		if t.Found = t.Inside != ""; !t.Found {
			unknown = append(unknown, t)
		}
	}
	gateway, err := theGateway(l.gateways)
	if len(unknown) == 0 || err != nil {
		return ctx.Err()
	}
	router := l.asked(gateway)
	if router == nil {
		r := portmap.Ask(ctx, portmap.Options{Gateway: gateway.Address, Local: gateway.Local})
		router = &r
	}
	for _, t := range unknown {
		list, err := router.Find(ctx, "tcp", uint16(t.Port)) //nolint:gosec // G115: hostPort parsed 16 bits
		if err != nil || len(list) == 0 || list[0].Disabled {
			continue
		}
		addr, err := netip.ParseAddr(list[0].Host)
		if err != nil || !special.Private(addr) { // a router may write anything there
			continue
		}
		t.Inside = netip.AddrPortFrom(addr, list[0].Internal).String()
		t.Found, t.Listed = true, list[0].String()
		if t.Expect == "" {
			t.Expect = reach.KindOf(int(list[0].Internal))
		}
	}
	return ctx.Err()
}

func (a *app) clockKey(ctx context.Context, s secretFlags) (*zk.Key, error) {
	text, given, err := a.secret(ctx, s)
	if err != nil || !given {
		return nil, err
	}
	key, err := zk.ParseKey(text)
	return &key, err
}

func (a *app) readPlan(ctx context.Context, path string) (reach.Plan, error) {
	data, err := a.readSmall(ctx, "--resume", path, reach.MaxPlan)
	if err != nil {
		return reach.Plan{}, err
	}
	plan, err := reach.DecodePlan(data)
	return plan, report.InFile(path, err)
}

func (a *app) writePlan(o *portCheckOptions, plan reach.Plan) error {
	data, err := plan.Encode()
	if err != nil {
		return err
	}
	_, err = fileset.Replace(filepath.Dir(o.plan), []fileset.File{{Name: filepath.Base(o.plan), Data: data, Private: true}},
		fileset.Options{Overwrite: o.force, Now: a.now})
	return err
}

func showPorts(p *printer, r portCheckResult) {
	for _, port := range r.Ports {
		rows := [][2]string{{"Port", port.Target}}
		if port.Inside != "" {
			inside := port.Inside
			if port.InsideFound {
				inside += " (found: " + map[bool]string{true: "the router lists it", false: "this computer serves it"}[port.Listed != ""] + ")"
			}
			rows = append(rows, [2]string{"In the LAN", inside + ": " + lookLine(port.LAN)})
		}
		if port.Loopback.To != "" {
			rows = append(rows, [2]string{"Loop-back", port.Loopback.To + ": " + lookLine(port.Loopback)})
		}
		for _, l := range port.Outside {
			rows = append(rows, [2]string{"Outside", l.To + " from " + l.From + ": " + lookLine(l)})
		}
		grade := port.GradeHow
		if port.Grade != nil {
			grade = fmt.Sprintf("grade %d: %s", *port.Grade, grade)
		}
		p.table(append(rows, [2]string{"Evidence", grade}))
		p.linef("")
	}
	if r.Plan != "" {
		p.linef("The plan is in %s. Now join the telephone's hotspot, then: onsite port check --resume=%s", r.Plan, r.Plan)
		p.linef("")
	}
}

// lookLine says in a few words what a look showed.
func lookLine(l reach.Look) string {
	switch l.Outcome {
	case reach.Connected:
		s := l.Identity.String()
		if l.Verdict == "same" {
			s = "the same: " + s
		}
		if l.Network == "udp" {
			s += ", by UDP only"
		}
		return s
	case "":
		return "not known (" + l.How + ")"
	}
	return fmt.Sprintf("%s after %d ms", map[string]string{
		reach.Refused: "refused", reach.Timeout: "no answer", reach.Unreachable: "nobody has the address",
	}[l.Outcome], l.Milliseconds)
}
