package wan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"onsite/internal/special"
	"onsite/netcheck/portmap"
	"onsite/report"
)

// NAT is the kind of address translation between this computer and the
// Internet, in a word.
type NAT string

// The kinds.
const (
	NATUnknown NAT = "unknown"
	NATNone    NAT = "none"          // this computer has the public address itself
	NATSingle  NAT = "single"        // the router in front has it
	NATDouble  NAT = "double"        // another router in front of that has it
	NATCarrier NAT = "cgnat"         // the provider has it, and shares it out
	NATDSLite  NAT = "ds-lite"       // IPv4 comes through a tunnel of the provider's
	NATPrivate NAT = "private"       // the router's address is not public: double or cgnat
	NATBetween NAT = "between"       // a NAT lies between here and the router
	NATVPN     NAT = "vpn"           // a VPN of this computer hides the line
	NATProxy   NAT = "proxy"         // single, but a proxy carries the web
	NATLines   NAT = "several-lines" // several lines share the traffic
	NATDiffers NAT = "differs"       // public, but not the one that is seen
)

// natWords are the kinds by the code of the finding that says so.
var natWords = map[string]NAT{
	"nat.none": NATNone, "nat.single": NATSingle, "nat.double": NATDouble, "nat.carrier": NATCarrier,
	"nat.ds-lite": NATDSLite, "nat.private": NATPrivate, "nat.between": NATBetween, "nat.vpn": NATVPN,
	"nat.proxy": NATProxy, "nat.lines": NATLines, "nat.differs": NATDiffers, "nat.unknown": NATUnknown,
}

const (
	askStatusPage = "look at the router's status page for its WAN (Internet) address, and run it again with --router-address IP"
	noVPN         = "switch the VPN off on this computer and run it again"
)

// natTable is the verdict about the translation. Its facts:
//
//	own      this computer has the public address itself: yes
//	router   what the router's WAN address is: public, private, carrier, ds-lite, special
//	refused  the router refuses, as one does whose own address is not public: yes
//	between  the router sees another address than this computer has: yes
//	same     the router's WAN address is the one that the Internet sees: yes, no
//	public   what the Internet sees: one, two-ways, several
//	stun     the router's WAN address is the one that STUN sees: same
//	vpn      whether a tunnel of this computer carries its traffic: yes, no
//	probe    the public address is one step away, or further: here, beyond
//	second   who is two steps away: private, carrier
//	line     another gateway of this computer has the public address: other
var natTable = report.Table{
	{When{"own": "yes"}, report.StatusPass, "nat.none", "no NAT", ""},
	{
		When{"router": "carrier"}, report.StatusFail, "nat.carrier",
		"carrier-grade NAT: the router's WAN address {wan} is inside the provider's network, and no forwarding on the router makes it reachable",
		"ask the provider for a public IPv4 address; where there is none to be had, use a tunnel or IPv6",
	},
	{
		When{"router": "ds-lite"}, report.StatusFail, "nat.ds-lite",
		"DS-Lite or 464XLAT: the router has no IPv4 address of its own ({wan}), and nothing comes in over IPv4",
		"ask the provider for a public IPv4 address (\"dual stack\"); otherwise use IPv6 or a tunnel",
	},
	{
		When{"router": "private"}, report.StatusWarn, "nat.double",
		"double NAT: the router's WAN address {wan} is private, so another router stands in front of it",
		"switch the box in front to bridge mode; otherwise let it forward the same ports to {wan}, or make {wan} its DMZ host",
	},
	{
		When{"router": "special"}, report.StatusWarn, "nat.private",
		"the router's WAN address {wan} is not public, and no router's to forward from",
		"look at the router's status page: its line may be down, or wait for an address",
	},
	{
		When{"between": "yes"}, report.StatusWarn, "nat.between",
		"another NAT lies between this computer and the router, which sees somebody else's address",
		"connect this computer to the router's own network: a second router, an access point in router mode or a virtual machine's network is in between",
	},
	{
		When{"router": "?", "refused": "yes", "public": "one|two-ways|several", "second": "carrier"}, report.StatusWarn, "nat.private",
		"the router's WAN address is not public, and what is beyond it looks like a carrier's network",
		askStatusPage + ": 100.64 to 100.127 is carrier-grade NAT",
	},
	{
		When{"router": "?", "refused": "yes", "public": "one|two-ways|several"}, report.StatusWarn, "nat.private",
		"the router's WAN address is not public: another router is in front of it, or the provider shares addresses out",
		askStatusPage + ": a private one is a second router, 100.64 to 100.127 the carrier's NAT",
	},
	{When{"router": "public", "line": "other"}, report.StatusWarn, "nat.lines",
		"several lines: this router has {wan}, and the Internet sees {address}, which another gateway has",
		"forward on the router of the line that the name leads to"},
	{When{"router": "public", "same": "no", "vpn": "yes"}, report.StatusWarn, "nat.vpn",
		"a VPN on this computer: the Internet sees {address}, and the router has {wan}", noVPN},
	{When{"router": "public", "vpn": "yes", "same": "?"}, report.StatusUnknown, "nat.vpn",
		"a VPN on this computer hides the line: the router has {wan}", noVPN},
	{When{"router": "public", "same": "yes"}, report.StatusPass, "nat.single",
		"single NAT: the router has the public address {wan} itself", ""},
	{When{"router": "public", "public": "two-ways", "stun": "same"}, report.StatusWarn, "nat.proxy",
		"single NAT, and a proxy: the router has {wan}, as STUN sees it, but the web comes from somewhere else",
		"for incoming connections {wan} counts: use it for the name"},
	{When{"router": "public", "same": "no", "probe": "here"}, report.StatusWarn, "nat.lines",
		"several lines: the router names {wan} and answers for {address} too",
		"look at the router's status page which line is in use, and let the name lead to that one's address"},
	{When{"router": "public", "public": "several"}, report.StatusWarn, "nat.lines",
		"several lines, or a VPN for some of the traffic: the router has {wan}, and the Internet sees several addresses",
		"use {wan} for the name, if the router's status page shows it for the line that is to be reached"},
	{When{"router": "public", "same": "no"}, report.StatusUnknown, "nat.differs",
		"the router has the public address {wan}, and the Internet sees {address}: a VPN or proxy, a second line, or a provider's one-to-one NAT",
		"switch VPN and proxy off and run it again; if it stays like that, ask the provider which address incoming connections take"},
	{When{"router": "public", "public": "?|two-ways"}, report.StatusUnknown, "nat.unknown",
		"the router has the public address {wan}, but nobody outside confirms it",
		"run it again when the Internet is reached from here; --echo and --stun name other services"},
	{When{"router": "?", "vpn": "yes"}, report.StatusUnknown, "nat.vpn",
		"not known: the router tells no WAN address, and a VPN on this computer hides the line", noVPN},
	{When{"router": "?", "probe": "here"}, report.StatusUnknown, "nat.unknown",
		"not known: the router tells no WAN address; a hint at single NAT is that it answers for {address}", askStatusPage},
	{When{"router": "?", "probe": "beyond"}, report.StatusUnknown, "nat.unknown",
		"not known: no WAN address of the router that can be believed; a hint at a second NAT is that {address} is beyond it", askStatusPage},
	{When{"router": "?", "second": "private|carrier"}, report.StatusUnknown, "nat.unknown",
		"not known: the router tells no WAN address; what lies beyond it is a hint at a second NAT, but no proof", askStatusPage},
	{When{"router": "?"}, report.StatusUnknown, "nat.unknown", "not known: the router tells no WAN address", askStatusPage},
	{nil, report.StatusUnknown, "nat.unknown", "not known", askStatusPage},
}

// When is report's, for a table that can be read.
type When = report.When

// natInput is what the verdict rests on.
type natInput struct {
	router  portmap.Router
	typed   netip.Addr // the WAN address by the router's status page
	public  PublicAddress
	local   netip.Addr // this computer's address towards the router
	tunnel  string     // the tunnel that carries the traffic for the Internet; ""
	first   Hop        // of a packet for the public address that makes one step
	second  Hop        // of one for somewhere outside that makes two
	gateway netip.Addr
	others  []portmap.Router // other gateways of this computer
}

// classOf names what kind of address a router's WAN address is.
func classOf(addr netip.Addr) string {
	switch {
	case special.Global(addr):
		return "public"
	case special.Carrier.Contains(addr):
		return "carrier"
	case special.DSLite.Contains(addr):
		return "ds-lite"
	case special.Private(addr):
		return "private"
	}
	return "special"
}

// claim is what was said of the router's WAN address, and by whom.
type claim struct {
	addr netip.Addr
	who  []string
}

// claims are the addresses that the router names, each with the protocols that
// say so. 0.0.0.0 is no address: the line is down, or the router is wrong.
func claims(r portmap.Router, typed netip.Addr) []claim {
	var list []claim
	add := func(addr netip.Addr, who string) {
		if !addr.IsValid() || addr.IsUnspecified() {
			return
		}
		i := slices.IndexFunc(list, func(c claim) bool { return c.addr == addr })
		if i < 0 {
			i, list = len(list), append(list, claim{addr: addr})
		}
		list[i].who = append(list[i].who, who)
	}
	add(typed, "the router's status page")
	for _, a := range answers(r) {
		if addr := a.External.Unmap(); !typed.IsValid() || addr == typed { // who has read the page knows better
			add(addr, a.name)
		}
	}
	return list
}

type namedAnswer struct {
	portmap.Answer
	name string
}

func answers(r portmap.Router) []namedAnswer {
	return []namedAnswer{{r.UPnP, "UPnP"}, {r.NATPMP, "NAT-PMP"}, {r.PCP, "PCP"}}
}

func (c claim) String() string {
	verb := "says"
	if len(c.who) > 1 {
		verb = "say"
	}
	return fmt.Sprintf("%s %s %s", and(c.who), verb, c.addr)
}

func and(list []string) string {
	if len(list) < 2 {
		return strings.Join(list, "")
	}
	return strings.Join(list[:len(list)-1], ", ") + " and " + list[len(list)-1]
}

// evidence turns what was seen into the facts of natTable.
func (in natInput) evidence() report.Evidence {
	var e report.Evidence
	fact := func(name, value, how string) { e = append(e, report.Fact{Name: name, Value: value, How: how}) }
	seen := in.public.Addr
	if seen.IsValid() && seen == in.local {
		fact("own", "yes", fmt.Sprintf("%s is this computer's own address, and the one that the Internet sees", seen))
	}
	probe := in.probe()
	var wan []string
	for _, c := range claims(in.router, in.typed) {
		class := classOf(c.addr)
		switch {
		case probe == "here" && class != "public":
			fact("router", "", fmt.Sprintf("%s, but it answers for %s itself", c, seen))
			continue
		case probe == "beyond" && c.addr == seen:
			fact("router", "", fmt.Sprintf("%s, but %s passes packets for it on, to another router or to its own DMZ host", c, in.gateway))
			continue
		}
		fact("router", class, c.String())
		wan = append(wan, c.addr.String())
		switch {
		case seen.IsValid() && c.addr == seen:
			fact("same", "yes", "the Internet sees the same")
		case seen.IsValid():
			fact("same", "no", "the Internet sees "+seen.String())
		case in.public.STUN == c.addr:
			fact("stun", "same", "STUN sees the same")
		}
	}
	fact("wan", strings.Join(wan, " or "), "")
	in.refusals(fact, probe)
	switch {
	case seen.IsValid():
		fact("public", "one", "")
		fact("address", seen.String(), "")
	case in.public.STUN.IsValid():
		fact("public", "two-ways", fmt.Sprintf("the web services see %s", in.public.HTTPS))
	case in.public.several:
		fact("public", "several", "")
	default:
		fact("public", "", "no public address was confirmed")
	}
	fact("vpn", map[bool]string{true: "yes", false: "no"}[in.tunnel != ""], tunnelHow(in.tunnel))
	switch probe {
	case "here":
		fact("probe", probe, fmt.Sprintf("a packet for %s comes to its end after one step", seen))
	case "beyond":
		fact("probe", probe, fmt.Sprintf("%s passes a packet for %s on", in.gateway, seen))
	}
	if class := classOf(in.second.From); in.second.From.IsValid() && (class == "private" || class == "carrier") {
		fact("second", class, fmt.Sprintf("two steps away is %s", in.second.From))
	}
	for _, r := range in.others {
		for _, c := range claims(r, netip.Addr{}) {
			if seen.IsValid() && c.addr == seen {
				fact("line", "other", fmt.Sprintf("the router %s has it", r.Gateway))
			}
		}
	}
	return e
}

func tunnelHow(tunnel string) string {
	if tunnel == "" {
		return ""
	}
	return "packets for the Internet leave through " + tunnel
}

// probe says whether the router answers for the public address itself, or
// passes packets for it on.
func (in natInput) probe() string {
	switch seen := in.public.Addr; {
	case !seen.IsValid() || in.tunnel != "":
		return ""
	case in.first.Arrived && in.first.From == seen:
		return "here"
	case !in.first.Arrived && in.first.From.IsValid() && in.first.From == in.gateway:
		return "beyond"
	}
	return ""
}

// refusal is a protocol's code.
type refusal struct {
	protocol string
	code     int
}

// notPublic are the refusals of a router that has no public address to give:
// UPnP's "Action Failed", NAT-PMP's and PCP's network failure (RFC 6886,
// section 3.5; RFC 6887, section 7.4), and what miniupnpd makes of it in PCP.
var notPublic = []refusal{{"UPnP", 501}, {"NAT-PMP", 3}, {"PCP", 7}, {"PCP", 8}}

// addressMismatch: the request came from another address than it says (RFC
// 6887, section 7.4), so a NAT has changed it.
var addressMismatch = refusal{"PCP", 12}

// refusals adds what the answers without an address show.
func (in natInput) refusals(fact func(name, value, how string), probe string) {
	for _, a := range answers(in.router) {
		said := fmt.Sprintf("%s: %s", a.name, a.Answer)
		code := refusal{a.name, a.Code}
		switch {
		case a.Err == nil && code == addressMismatch:
			fact("between", "yes", said)
		case a.Err == nil && slices.Contains(notPublic, code) && probe != "here":
			fact("refused", "yes", said)
		case !a.External.IsValid() || a.External.IsUnspecified():
			fact("router", "", said)
		}
	}
}
