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
	addr    netip.Addr
	who     []string
	against []claim // what others said, who know less
}

// claims are the addresses that the router names, each with the protocols that
// say so. 0.0.0.0 is no address: the line is down, or the router is wrong. What
// its status page shows counts alone, for who has read it knows better.
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
		add(a.External.Unmap(), a.name)
	}
	if typed.IsValid() {
		list[0].against, list = list[1:], list[:1]
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
	text := fmt.Sprintf("%s %s %s", and(c.who), verb, c.addr)
	for _, other := range c.against {
		text += ", although " + other.String()
	}
	return text
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
	if in.typed.IsValid() {
		fact("typed", "yes", "")
	}
	probe := in.probe()
	typed := in.typed
	if typed.IsValid() && typed == seen && probe == "beyond" {
		fact("router", "", in.refuted(claim{addr: typed, who: []string{"the router's status page"}}))
		typed = netip.Addr{}
	}
	var wan []string
	for _, c := range claims(in.router, typed) {
		class := classOf(c.addr)
		switch {
		case probe == "here" && class != "public":
			fact("router", "", fmt.Sprintf("%s, but it answers for %s itself", c, seen))
			continue
		case probe == "beyond" && c.addr == seen:
			fact("router", "", in.refuted(c))
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

// refuted says why a claim that the router has the public address is not believed.
func (in natInput) refuted(c claim) string {
	return fmt.Sprintf("%s, but %s passes packets for it on, to another router or to its own DMZ host", c, in.gateway)
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
		case a.Answered() && a.Code == 0 && !a.External.IsValid() && probe == "beyond":
			fact("refused", "yes", fmt.Sprintf("%s, and %s passes packets for %s on", said, in.gateway, in.public.Addr))
		case !a.External.IsValid() || a.External.IsUnspecified():
			fact("router", "", said)
		}
	}
}
