package wan

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"onsite/internal/special"
	"onsite/netcheck/portmap"
	"onsite/report"
)

// Options says how to look at a site's line. The zero value is the real thing.
type Options struct {
	// Public says whom to ask for the public address.
	Public PublicOptions
	// RouterAddress is the router's WAN address as its status page shows it.
	RouterAddress netip.Addr
	// Resolver is asked for the reverse name; nil: this computer's.
	Resolver *net.Resolver
	// Proxy is the one that this computer's programs are told to use; it is not
	// used here, only told. It holds no password.
	Proxy string
	// Past is what earlier runs saw.
	Past []Visit
	// Timeout bounds everything; 0: 10 s.
	Timeout time.Duration
	Now     func() time.Time // nil: time.Now

	world
}

// world is what tests put in the place of this computer and its router.
type world struct {
	interfaces func() ([]Interface, error)
	gateways   func() ([]Gateway, error)
	towards    func(netip.Addr) netip.Addr
	hardware   func(context.Context, netip.Addr) string
	ask        func(context.Context, portmap.Options) portmap.Router
	probe      func(ctx context.Context, local, to netip.Addr, steps int) Hop
}

func (w world) withDefaults() world {
	if w.interfaces == nil {
		w.interfaces = Interfaces
	}
	if w.gateways == nil {
		w.gateways = Gateways
	}
	if w.towards == nil {
		w.towards = towards
	}
	if w.hardware == nil {
		w.hardware = hardware
	}
	if w.ask == nil {
		w.ask = portmap.Ask
	}
	if w.probe == nil {
		w.probe = probe
	}
	return w
}

// Site is how a site is connected, as far as could be found out.
type Site struct {
	Interfaces []Interface `json:"interfaces"`
	Gateways   []Gateway   `json:"gateways"`
	Routers    []Router    `json:"routers"`
	// WANAddress is the router's own address outside; zero when it is not known,
	// or when the router contradicts itself.
	WANAddress     netip.Addr           `json:"wan_address"`
	PublicAddress  netip.Addr           `json:"public_address"` // zero: not confirmed
	PublicAddress6 netip.Addr           `json:"public_address_ipv6"`
	NAT            NAT                  `json:"nat"`
	AddressKind    AddressKind          `json:"address_kind"`
	ReverseName    string               `json:"reverse_name"`
	Tunnel         string               `json:"tunnel"` // the VPN that carries the traffic; "" for none
	Proxy          string               `json:"proxy"`
	Observations   []report.Observation `json:"observations"`
	// Visit is what to remember for the next run; nil when it proves nothing.
	Visit *Visit `json:"-"`
}

// Router is what one router said of itself.
type Router struct {
	Gateway        netip.Addr `json:"gateway"`
	Device         string     `json:"device"`
	Service        string     `json:"service"`
	ConnectionType string     `json:"connection_type"`
	Status         string     `json:"connection_status"`
	Uptime         int64      `json:"uptime_seconds"` // of the connection; 0: not told
	UPnP           Said       `json:"upnp"`
	NATPMP         Said       `json:"nat_pmp"`
	PCP            Said       `json:"pcp"`
	// Asked is the router itself, for who wants to know more of it.
	Asked *portmap.Router `json:"-"`
}

// Said is a router's answer in one protocol.
type Said struct {
	Answered bool       `json:"answered"`
	Address  netip.Addr `json:"address"`
	Code     int        `json:"code"` // of a refusal; 0: none
	Text     string     `json:"text"`
}

func said(a portmap.Answer) Said {
	return Said{Answered: a.Answered(), Address: a.External, Code: a.Code, Text: a.String()}
}

// Look looks at this computer, asks its routers and the Internet, and judges.
// Nothing is changed anywhere.
//
// The error, a *report.Error, is "net.interface.none" or "net.silent"
// (KindNoAnswer), when nothing at all is reached from here; or it is ctx's own.
func Look(ctx context.Context, o Options) (Site, []report.Finding, error) {
	o.world = o.withDefaults()
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Resolver == nil {
		o.Resolver = net.DefaultResolver
	}
	limited, cancel := context.WithTimeout(ctx, cmp.Or(o.Timeout, 10*time.Second))
	defer cancel()
	l := &look{o: o, site: Site{
		Interfaces: []Interface{}, Gateways: []Gateway{}, Routers: []Router{}, NAT: NATUnknown, AddressKind: AddressUnknown,
		Proxy: o.Proxy, Observations: []report.Observation{},
	}}
	if err := l.here(); err != nil {
		return l.site, nil, err
	}
	l.askAll(limited)
	if ctx.Err() != nil {
		return l.site, nil, ctx.Err()
	}
	if err := l.silent(); err != nil {
		return l.site, nil, err
	}
	l.judge()
	return l.site, l.findings, nil
}

// look is one Look at work.
type look struct {
	o        Options
	site     Site
	findings []report.Finding

	use     Gateway    // the IPv4 gateway in use; zero when there is none
	local   netip.Addr // this computer's address towards the Internet
	public  PublicAddress
	routers []portmap.Router // of the IPv4 gateways, in their order
	first   Hop
	second  Hop
	back    reverse
}

func (l *look) add(f ...report.Finding) { l.findings = append(l.findings, f...) }

// here looks at this computer.
func (l *look) here() error {
	var err error
	if l.site.Interfaces, err = l.o.interfaces(); err != nil {
		return report.Errorf(report.KindFailed, "net.unreadable", "check that this user may look at the network's settings", "%w", err)
	}
	if !slices.ContainsFunc(l.site.Interfaces, Interface.connected) {
		return report.Errorf(report.KindNoAnswer, "net.interface.none", "plug the cable in or join the wireless network, and see that DHCP gives an address",
			"no interface of this computer is up and has an address")
	}
	if l.site.Gateways, err = l.o.gateways(); err != nil {
		l.site.Gateways = []Gateway{}
		l.add(report.Unknown("net.unreadable", "gateway", err.Error(), "check that this user may look at the network's settings"))
	}
	l.use, _ = InUse(l.site.Gateways)
	l.local = l.o.towards(outside["4"])
	// A line that this computer dials itself has a public address; a tunnel has not.
	if i := holder(l.site.Interfaces, l.local); l.local.IsValid() && !l.use.Address.IsValid() && !special.Global(l.local) &&
		(i.Kind == KindVPN || i.Kind == KindPPP) {
		l.site.Tunnel = strings.TrimSpace(i.Name + " " + i.Product)
	}
	return nil
}

// four are the IPv4 gateways: routers are asked over IPv4 alone.
func (l *look) four() []Gateway {
	var list []Gateway
	for _, g := range l.site.Gateways {
		if g.Address.Is4() {
			list = append(list, g)
		}
	}
	return list
}

// router is the gateway that the verdict is about: the one in use, else the first.
func (l *look) router() int {
	return max(slices.IndexFunc(l.four(), func(g Gateway) bool { return g.InUse }), 0)
}

// askAll asks routers and the Internet at the same time, then what rests on the
// public address.
func (l *look) askAll(ctx context.Context) {
	four := l.four()
	l.routers = make([]portmap.Router, len(four))
	var wg sync.WaitGroup
	for i, g := range four {
		wg.Go(func() {
			l.routers[i] = l.o.ask(ctx, portmap.Options{Gateway: g.Address, Local: g.Local, Now: l.o.Now})
		})
	}
	if l.use.Address.IsValid() {
		wg.Go(func() { l.second = l.o.probe(ctx, l.use.Local, outside["4"], 2) })
	}
	l.public = Public(ctx, l.o.Public)
	if seen := l.public.Addr; seen.IsValid() {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
			defer cancel()
			l.back = lookBack(ctx, l.o.Resolver, seen)
		})
		if l.use.Address.IsValid() && seen != l.use.Local {
			wg.Go(func() { l.first = l.o.probe(ctx, l.use.Local, seen, 1) })
		}
	}
	wg.Wait()
	for i := range l.site.Gateways { // now that packets went there
		l.site.Gateways[i].MAC = l.o.hardware(ctx, l.site.Gateways[i].Address)
	}
	for i, r := range l.routers {
		l.site.Routers = append(l.site.Routers, Router{
			Gateway: four[i].Address, Device: r.Device, Service: r.Service, ConnectionType: r.ConnectionType, Status: r.Status,
			Uptime: int64(r.Uptime.Seconds()), UPnP: said(r.UPnP), NATPMP: said(r.NATPMP), PCP: said(r.PCP), Asked: &l.routers[i],
		})
		l.site.Observations = append(l.site.Observations, r.Observations...)
	}
	l.site.Observations = append(l.site.Observations, l.public.Observations...)
	l.site.Observations = append(l.site.Observations, l.steps()...)
}

// steps are the observations of the probes.
func (l *look) steps() []report.Observation {
	var list []report.Observation
	note := func(to netip.Addr, steps int, h Hop) {
		if !h.From.IsValid() {
			return // silence is usual, and shows nothing
		}
		answer := "time exceeded"
		if h.Arrived {
			answer = "port closed"
		}
		list = append(list, report.Observation{Server: to.String(), Question: fmt.Sprintf("UDP packet with TTL %d", steps), Answer: answer + ", says " + h.From.String()})
	}
	note(l.public.Addr, 1, l.first)
	note(outside["4"], 2, l.second)
	return list
}

// silent is the error for a computer from which nothing at all is reached.
func (l *look) silent() error {
	if l.public.heard || slices.ContainsFunc(l.routers, portmap.Router.Answered) || l.second.From.IsValid() {
		return nil
	}
	if slices.ContainsFunc(l.site.Gateways, func(g Gateway) bool { return g.MAC != "" }) {
		return nil // it is there, and that is worth telling
	}
	what := "no gateway is set"
	if len(l.site.Gateways) > 0 {
		what = fmt.Sprintf("the gateway %s does not answer", l.site.Gateways[0].Address)
	}
	return report.Errorf(report.KindNoAnswer, "net.silent", "check cable, wireless network and address of this computer; then the router",
		"nothing is reached from here: %s, and nothing on the Internet answers", what)
}

// judge turns what was seen into findings.
func (l *look) judge() {
	l.gateways()
	l.add(l.public.Findings...)
	l.site.PublicAddress, l.site.PublicAddress6 = l.public.Addr, l.public.Addr6
	if l.o.Proxy != "" {
		l.add(report.Warn("net.proxy", l.o.Proxy,
			"this computer's programs are told to use this proxy: what they show outside is its address; here nothing was asked through it",
			"nothing; when no service answered, the proxy may be the only way out, and the public address is on the router's status page"))
	}
	in := natInput{typed: l.o.RouterAddress, public: l.public, local: l.local, gateway: l.use.Address, tunnel: l.site.Tunnel, first: l.first, second: l.second}
	subject := "NAT"
	for i, r := range l.routers {
		l.add(r.Findings...)
		if i == l.router() {
			in.router, subject = r, "router "+r.Gateway.String()
		} else {
			in.others = append(in.others, r)
		}
		if r.Status != "" && !strings.EqualFold(r.Status, "Connected") {
			l.add(report.Warn("wan.disconnected", "router "+r.Gateway.String(), "it says that its line is not connected: "+r.Status,
				"look at the router's status page; where it has several lines, this may be the other one"))
		}
	}
	e := in.evidence()
	verdict := natTable.Decide(subject, e)
	l.site.NAT = natWords[verdict.Code]
	l.site.WANAddress, _ = netip.ParseAddr(e.Value("wan")) // zero when the router contradicts itself
	l.add(verdict)
	l.address(in)
}

// mac is the hardware address of the router in use.
func (l *look) mac() string {
	for _, g := range l.site.Gateways {
		if g.InUse && g.Address == l.use.Address {
			return g.MAC
		}
	}
	return ""
}

// gateways judges the way out of this computer.
func (l *look) gateways() {
	four := l.four()
	switch {
	case len(four) == 0 && l.site.Tunnel == "" && !l.public.Answered:
		l.add(report.Fail("net.gateway.none", "gateway", "no default route: this computer has no way to the Internet",
			"see that DHCP gives a gateway, or set the router's address as the gateway"))
	case len(four) > 1:
		var names []string
		for _, g := range four {
			use := ""
			if g.InUse {
				use = ", in use now"
			}
			names = append(names, fmt.Sprintf("%s (%s%s)", g.Address, g.Interface, use))
		}
		l.add(report.Warn("net.gateway.several", "gateway", "several default routes: "+strings.Join(names, ", "),
			"leave one of these networks, or forward on the router of the line that the name leads to"))
	}
}

// address judges whether the public address stays.
func (l *look) address(in natInput) {
	addr := l.public.Addr
	if !addr.IsValid() {
		return
	}
	l.site.ReverseName = l.back.name
	switch l.site.NAT {
	case NATCarrier, NATDSLite, NATVPN, NATLines, NATDiffers:
		return // the address is not this line's, or not the only one
	}
	if l.site.Tunnel != "" {
		return
	}
	router := l.mac()
	ppp := strings.Contains(in.router.Service, "WANPPP") || strings.Contains(strings.ToUpper(in.router.ConnectionType), "PPP")
	f := kindTable.Decide("address "+addr.String(), lineEvidence(addr, l.back, ppp, l.o.Past, router))
	l.site.AddressKind = addressWords[f.Code]
	l.add(f)
	if router != "" {
		l.site.Visit = &Visit{Router: router, Address: addr, Time: l.o.Now().UTC().Truncate(time.Second)}
	}
}
