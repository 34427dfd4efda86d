package reach

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"onsite/internal/special"
	"onsite/report"
)

// judge turns what was seen into findings: of the vantages, of the ports, of the
// names.
func (c *check) judge(ctx context.Context) []report.Finding {
	for _, v := range c.vantages {
		c.judgeVantage(v)
	}
	for i := range c.result.Ports {
		p := &c.result.Ports[i]
		evidence := c.evidence(ctx, p)
		f := verdicts.Decide(p.Target, evidence)
		p.Verdict, p.Code = f.Status, f.Code
		if f.Status == report.StatusPass && p.known() == KindClock {
			f.Detail += exposed
		}
		c.add(f)
		grade := grades.Decide(p.Target, evidence)
		if n, ok := gradeOf(grade.Code); ok {
			p.Grade = &n
		}
		p.GradeHow = meaning(grade.Code)
		p.noNulls()
		c.remarks(p, evidence)
	}
	var done []string
	for _, p := range c.result.Ports {
		if host := p.target.Host; !slices.Contains(done, host) {
			done = append(done, host)
			c.judgeName(host)
		}
	}
	return c.findings
}

// noNulls makes empty lists of those that are missing.
func (p *Port) noNulls() {
	for _, l := range append([]*Look{&p.LAN, &p.Loopback}, pointers(p.Outside)...) {
		if l.Identity.Names == nil {
			l.Identity.Names = []string{}
		}
	}
}

func pointers(looks []Look) []*Look {
	list := make([]*Look, len(looks))
	for i := range looks {
		list[i] = &looks[i]
	}
	return list
}

func (c *check) add(f ...report.Finding) { c.findings = append(c.findings, f...) }

// judgeVantage says what is wrong with a vantage itself.
func (c *check) judgeVantage(v vantage) {
	switch {
	case v.err != nil:
		e := report.AsError(v.err)
		c.add(report.Unknown("port.vantage.silent", v.Name(), "nothing was tried from outside through it: "+e.Message,
			cmp.Or(e.Remedy, "check its URL and token; hotspot mode (--plan, then --resume) does without")))
	case v.seen.IsValid() && c.o.Public.IsValid() && v.seen != c.o.Public:
		c.add(report.Warn("port.public.differs", v.Name(),
			fmt.Sprintf("it sees this site as %s, and not as %s: what was tried from there is that address", v.seen, c.o.Public),
			"switch VPN and proxy off on this computer; with several lines, test each from a computer that uses it"))
	}
}

// evidence gathers the facts of one port.
func (c *check) evidence(ctx context.Context, p *Port) report.Evidence {
	var e report.Evidence
	add := func(name, value, how string) { e = append(e, report.Fact{Name: name, Value: value, How: how}) }
	lan, how := c.lanFact(ctx, p)
	add("lan", lan, how)
	inside := "given"
	if p.InsideFound {
		inside = "found"
	}
	add("inside", inside, "")
	if p.Listed != "" {
		add("listed", "yes", "the router lists "+p.Listed)
	}
	for _, l := range p.Outside {
		value, how := lookFact(l, lan, p.LAN.Identity.Kind == "")
		add("outside", value, "seen from outside ("+l.From+"), "+how)
	}
	value, how := lookFact(p.Loopback, lan, false)
	add("loopback", value, "over the loop-back, "+how)
	e = append(e, c.siblingFacts(p)...)
	e = append(e, c.o.NAT...)
	if gateway, how := c.gatewayFact(p); gateway != "" {
		add("gateway", gateway, how)
	}
	return e
}

// lanFact is what the look in the LAN shows.
func (c *check) lanFact(ctx context.Context, p *Port) (value, how string) {
	l := p.LAN
	switch {
	case l.To == "":
		return "", l.How
	case l.Outcome == Refused && c.onLoopbackOnly(ctx, p):
		return "local", fmt.Sprintf("on this computer 127.0.0.1 answers on the port, and %s refuses", l.To)
	case l.Outcome != Connected:
		return l.Outcome, fmt.Sprintf("in the LAN, %s: %s", l.To, words[l.Outcome])
	case l.Identity.Kind == KindSilent || l.Identity.Kind == KindClosed:
		return "mute", fmt.Sprintf("in the LAN, %s is %s", l.To, l.Identity)
	}
	how = fmt.Sprintf("in the LAN, %s is %s", l.To, l.Identity)
	if l.Network == "udp" {
		return "udp", how + ", by UDP, and refuses TCP"
	}
	if want := p.expect(); want != KindAny && want != l.Identity.Kind {
		return "foreign", how + ", and not " + kindWords[want]
	}
	return "right", how
}

var words = map[string]string{
	Refused: "the connection is refused", Timeout: "no answer", Unreachable: "nobody has that address", "": "it was not tried",
}

var kindWords = map[Kind]string{
	KindHTTPS: "HTTPS", KindHTTP: "HTTP", KindClock: "a clock", KindBeacon: "this program's beacon",
}

// lookFact is what a look over the loop-back or from outside shows, in the words
// of the tables.
func lookFact(l Look, lan string, certificateCounts bool) (value, how string) {
	switch {
	case l.Outcome == Connected && l.Verdict != "":
		return l.Verdict, l.How
	case l.Outcome == Connected && certificateCounts && l.Identity.Valid:
		return "named", fmt.Sprintf("it is %s, and the certificate is valid for the name: nobody else has its key", l.Identity)
	case l.Outcome == Connected:
		return "something", l.How
	case l.Outcome == "":
		return "", cmp.Or(l.How, "it was not tried")
	}
	return l.Outcome, words[l.Outcome] + fmt.Sprintf(" (%d ms)", l.Milliseconds)
}

// onLoopbackOnly reports whether the service of this very computer listens on
// 127.0.0.1 alone.
func (c *check) onLoopbackOnly(ctx context.Context, p *Port) bool {
	inside, err := netip.ParseAddrPort(p.Inside)
	if err != nil || inside.Addr().IsLoopback() || !isLocal(inside.Addr()) {
		return false
	}
	conn, _, err := c.dial(ctx, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), inside.Port()).String())
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// siblingFacts say what other outside ports of the site do, and whether the
// loop-back works for one of them.
func (c *check) siblingFacts(p *Port) report.Evidence {
	var e report.Evidence
	best, how, seen := "", "", map[int]bool{p.target.Port: true}
	rank := []string{"", "timeout", "answers", "open", "other-host", "same-host"}
	take := func(value, why string) {
		if slices.Index(rank, value) > slices.Index(rank, best) {
			best, how = value, why
		}
	}
	for i := range c.result.Ports {
		q := &c.result.Ports[i]
		if q.target.Port == p.target.Port {
			continue
		}
		for _, l := range q.Outside {
			if l.Outcome == "" {
				continue
			}
			seen[q.target.Port] = true
			take(siblingValue(p, q, l))
		}
		if q.Loopback.Verdict == same {
			e = append(e, report.Fact{Name: "hairpin", Value: "works", How: fmt.Sprintf("over the loop-back port %d reaches the right thing", q.target.Port)})
		}
	}
	for _, port := range sorted(c.siblings) {
		if seen[port] {
			continue
		}
		value, said := "answers", words[c.siblings[port]]
		switch c.siblings[port] {
		case Connected:
			value, said = "open", "something takes the connection"
		case Timeout:
			value = "timeout"
		}
		take(value, fmt.Sprintf("from outside, port %d: %s", port, said))
	}
	if best == "timeout" {
		how = "no other port answers either"
	}
	return append(e, report.Fact{Name: "others", Value: best, How: how})
}

func siblingValue(p, q *Port, l Look) (value, how string) {
	at := fmt.Sprintf("from outside, port %d: ", q.target.Port)
	switch {
	case l.Outcome == Timeout:
		return "timeout", at + words[Timeout]
	case l.Outcome != Connected:
		return "answers", at + words[l.Outcome]
	}
	at += "it is " + l.Identity.String()
	here, _, err1 := net.SplitHostPort(p.Inside)
	there, _, err2 := net.SplitHostPort(q.Inside)
	switch {
	case l.Verdict != same && l.Verdict != alike, err1 != nil, err2 != nil:
		return "open", at
	case here == there:
		return "same-host", at
	}
	return "other-host", at
}

func sorted(m map[int]string) []int {
	list := make([]int, 0, len(m))
	for k := range m {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}

// gatewayFact judges the clock's own network settings, which no probe from
// outside can tell from a filter.
func (c *check) gatewayFact(p *Port) (value, how string) {
	i := p.LAN.Identity
	if i.Kind != KindClock || i.Gateway == "" && i.Address == "" {
		return "", ""
	}
	gateway, err := netip.ParseAddr(i.Gateway)
	if err != nil || gateway.IsUnspecified() {
		return "none", fmt.Sprintf("the clock says of itself that its gateway is %q", i.Gateway)
	}
	how = "the clock says of itself that its gateway is " + gateway.String()
	if own, ok := prefixOf(i.Address, i.Mask); ok && !own.Contains(gateway) {
		return "wrong", how + ", which is outside its own network " + own.Masked().String()
	}
	if len(c.o.Gateways) == 0 {
		return "", how
	}
	if !slices.Contains(c.o.Gateways, gateway) {
		return "wrong", fmt.Sprintf("%s, and the router here is %s", how, joinAddrs(c.o.Gateways))
	}
	return "ok", how + ", as here"
}

func prefixOf(addr, mask string) (netip.Prefix, bool) {
	a, err1 := netip.ParseAddr(addr)
	m, err2 := netip.ParseAddr(mask)
	if err1 != nil || err2 != nil || !a.Is4() || !m.Is4() {
		return netip.Prefix{}, false
	}
	ones, bits := net.IPMask(m.AsSlice()).Size()
	return netip.PrefixFrom(a, ones), bits == 32
}

// remarks are findings beside the verdict.
func (c *check) remarks(p *Port, e report.Evidence) {
	if p.Code != "port.clock.gateway" && p.Verdict != report.StatusPass {
		if g := e.Value("gateway"); g == "none" || g == "wrong" {
			c.add(report.Warn("port.clock.gateway", p.Inside, e.How("gateway")+": it cannot answer beyond its own network",
				"set the router's LAN address as the gateway in the clock's menu, under communication, Ethernet"))
		}
	}
}

// exposed is said before anybody is congratulated on a forwarding to a clock.
const exposed = ". Mind that a clock encrypts nothing and its comm key is weak: let the router pass only the addresses that need it (source address), or use a VPN"

// judgeName compares what the name leads to with the public address.
func (c *check) judgeName(host string) {
	n := c.names[host]
	literal := net.ParseIP(host) != nil
	public := c.o.Public
	for _, v := range c.vantages {
		if v.err == nil {
			public = v.seen // what was tested
		}
	}
	switch {
	case c.o.Resolve == nil:
	case n.Missing:
		c.add(report.Fail("port.name.missing", host, "the name leads nowhere: "+n.How, "onsite dns check "+host+" says what is wrong with it"))
	case len(n.Addrs) == 0:
		c.add(report.Unknown("port.name.unknown", host, "it is not known where the name leads: "+n.How, "onsite dns check "+host+" says more"))
	case !public.IsValid():
		if !literal {
			c.add(report.Unknown("port.name.unknown", host, fmt.Sprintf("the name leads to %s (%s); whether that is this site's address is not known", joinAddrs(n.Addrs), n.How),
				"onsite net says why the public address could not be found"))
		}
	case !slices.ContainsFunc(c.result.Ports, func(p Port) bool { return p.target.Host == host && p.Inside != "" }) && !slices.Contains(n.Addrs, public):
		// Nothing says that this computer is in the site at all.
		if slices.ContainsFunc(c.result.Ports, func(p Port) bool { return p.target.Host == host && p.Verdict == report.StatusPass }) {
			break // it was reached, and proved itself by its certificate
		}
		c.add(report.Warn("port.name.away", host, fmt.Sprintf("it leads to %s (%s), and this computer is at %s", joinAddrs(n.Addrs), n.How, public),
			"if this computer is in the site's own network, the name is wrong: onsite dns check "+host))
	case !slices.Contains(n.Addrs, public):
		detail := fmt.Sprintf("the name leads to %s (%s), not to this site, which is %s", joinAddrs(n.Addrs), n.How, public)
		remedy := "change the A record to " + public.String() + "; onsite dns check " + host + " says where it is wrong"
		switch {
		case literal:
			detail = fmt.Sprintf("this is not the site's address, which is %s (%s)", public, c.o.PublicHow)
			remedy = "use " + public.String() + ", or a name that follows it"
		case !special.Global(n.Addrs[0]):
			detail = fmt.Sprintf("the name leads to %s (%s), which means nothing outside this network", joinAddrs(n.Addrs), n.How)
		}
		c.add(report.Fail("port.name.elsewhere", host, detail, remedy))
	case len(n.Addrs) > 1:
		c.add(report.Warn("port.name.several", host, fmt.Sprintf("the name leads to %s (%s): visitors get any of them, and only %s is this site", joinAddrs(n.Addrs), n.How, public),
			"remove the others where the domain's DNS is managed"))
	case !literal:
		c.add(report.Pass("port.name.right", host, fmt.Sprintf("the name leads to %s, this site's public address (%s)", public, n.How)))
	}
}

func joinAddrs(list []netip.Addr) string {
	text := make([]string, len(list))
	for i, a := range list {
		text[i] = a.String()
	}
	return strings.Join(text, ", ")
}
