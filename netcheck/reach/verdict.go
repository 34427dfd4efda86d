package reach

import "onsite/report"

// The facts that the tables know, and their values.
//
//	lan       right, refused, timeout, unreachable, mute, local (loop-back
//	          addresses only), foreign (another kind of service than expected),
//	          udp (a clock that speaks UDP only)
//	inside    given, found: who says where it should end
//	outside   same, named (a valid certificate for the name), alike, other,
//	          router, mute, something (nothing to compare it with), refused,
//	          timeout, unreachable
//	loopback  the same values
//	others    what further outside ports do: same-host, other-host or open
//	          (something is reached there), answers (refused or unreachable), timeout
//	hairpin   works: the loop-back reaches the right thing on another port
//	nat       single, double, carrier, private (one of the last two)
//	gateway   the clock's own setting: ok, none, wrong
//	listed    yes: the router lists a forwarding
const notReached = "refused|timeout|unreachable|mute|?"

// verdicts is the table of the pair: what the LAN and what the outside show.
var verdicts = report.Table{
	// What was proven to work, works, whatever else is odd.
	{
		When: "lan=right outside=same", Status: report.StatusPass,
		Code: "port.works", Detail: "it works from outside",
	},
	{
		When: "outside=named", Status: report.StatusPass,
		Code: "port.works", Detail: "it works from outside",
	},
	// A clock keeps its serial number to itself outside, but the loop-back proved
	// where the rule leads.
	{
		When: "lan=right outside=alike loopback=same", Status: report.StatusPass,
		Code: "port.works", Detail: "it works from outside: the forwarding leads to the right place, and from outside it is answered",
	},
	{
		When: "lan=udp", Status: report.StatusUnknown,
		Code: "port.clock.udp", Detail: "the clock speaks UDP only, and from outside nothing but TCP is tried",
		Remedy: "see that the forwarding in the router is for UDP, then have the software outside read the clock; or set the clock to TCP, if its menu has it",
	},
	{
		When: "lan=foreign", Status: report.StatusFail,
		Code: "port.lan.foreign", Detail: "another service than the expected one answers at the inside address",
		Remedy: "check the inside address and port; --expect any takes whatever is there",
	},
	{
		When: "outside=alike", Status: report.StatusUnknown,
		Code: "port.outside.alike", Detail: "it is answered from outside, but nothing proves that it is the right one that answers",
		Remedy: "for a clock give its comm key with --key-file and use hotspot mode (--plan, then --resume); for a page, run this on the computer that serves it",
	},

	// The inside service is not there: the outside cannot be right.
	{
		When: "lan=local outside=" + notReached + "|something|router", Status: report.StatusFail,
		Code: "port.lan.local", Detail: "the service listens on 127.0.0.1 only, so nobody but this computer itself reaches it",
		Remedy: "set the service to listen on all addresses (0.0.0.0), or on this computer's LAN address, and restart it",
	},
	{
		When: "lan=refused outside=" + notReached + "|something|router", Status: report.StatusFail,
		Code: "port.lan.refused", Detail: "the inside port is closed: the service does not run, or listens on 127.0.0.1 or another port only",
		Remedy: "start the service, then check it on its own computer: what works there but not from here listens on 127.0.0.1 only",
	},
	{
		When: "lan=unreachable outside=" + notReached, Status: report.StatusFail,
		Code: "port.lan.unreachable", Detail: "nobody has the inside address",
		Remedy: "check that the device is on and which address it has now: the forwarding must lead there, and the address must stay (static, or reserved in the router)",
	},
	{
		When: "lan=timeout outside=" + notReached, Status: report.StatusFail,
		Code: "port.lan.timeout", Detail: "the inside address does not answer in the LAN either",
		Remedy: "check that the device is on, its address and its firewall, before looking at the router",
	},
	{
		When: "lan=mute outside=" + notReached, Status: report.StatusFail,
		Code: "port.lan.mute", Detail: "the service takes connections and does not answer, in the LAN either",
		Remedy: "restart the service or the device",
	},

	// Something else answers.
	{
		When: "outside=router", Status: report.StatusFail,
		Code: "port.outside.router", Detail: "from outside a router's own page answers, not the service",
		Remedy: "look which box it is: on the provider's box, forward the port to your router or use bridge mode; on your own, move its remote administration to another port and add the forwarding",
	},
	{
		When: "lan=right inside=given outside=other", Status: report.StatusFail,
		Code: "port.outside.other", Detail: "from outside something else answers: the forwarding leads to another device",
		Remedy: "correct the inside address of the forwarding in the router; if it is right there, a box in front of the router answers",
	},
	{
		When: "lan=right inside=found outside=other", Status: report.StatusUnknown,
		Code: "port.outside.unsure", Detail: "from outside something else answers than at the inside address that was found",
		Remedy: "say with --inside where the port should lead; if that is what was found, correct the forwarding",
	},
	{
		When: "lan=timeout|unreachable|mute outside=something", Status: report.StatusUnknown,
		Code: "port.outside.unsure", Detail: "from outside something answers, and at the inside address nothing does",
		Remedy: "check the inside address that was given: is it the one that the device has now?",
	},
	{
		When: "outside=other|something", Status: report.StatusUnknown,
		Code: "port.outside.something", Detail: "from outside something answers, but nothing is known to compare it with",
		Remedy: "say with --inside HOST:PORT where it should end in the LAN",
	},
	{
		When: "outside=mute", Status: report.StatusFail,
		Code: "port.outside.mute", Detail: "from outside the connection is taken and nothing is said",
		Remedy: "check the inside port of the forwarding, and whether a firewall or proxy in front takes connections for others",
	},
	{
		When: "outside=refused", Status: report.StatusFail,
		Code: "port.outside.refused", Detail: "from outside the connection is refused at once: the forwarding leads to a port where nothing listens, or the router rejects it",
		Remedy: "compare the inside port of the forwarding with that of the service; if there is no forwarding, add it",
	},
	{
		When: "outside=unreachable", Status: report.StatusFail,
		Code: "port.outside.unreachable", Detail: "from outside the router answers that the inside address is nobody's",
		Remedy: "correct the inside address of the forwarding to the one that the device has now, and make that one stay",
	},

	// Silence outside, from here on: why?
	{
		When: "outside=timeout lan=right gateway=none", Status: report.StatusFail,
		Code: "port.clock.gateway", Detail: "no answer from outside, and no gateway is set in the clock: it cannot answer beyond its own network",
		Remedy: "set the router's LAN address as the gateway in the clock's menu, under communication, Ethernet",
	},
	{
		When: "outside=timeout lan=right gateway=wrong", Status: report.StatusFail,
		Code: "port.clock.gateway", Detail: "no answer from outside, and the gateway or mask set in the clock is wrong: its answers go nowhere",
		Remedy: "set the router's LAN address as the gateway in the clock's menu, under communication, Ethernet",
	},
	{
		When: "outside=timeout nat=carrier others=timeout|?", Status: report.StatusFail,
		Code: "port.nat.carrier", Detail: "no answer from outside, and this site has no public address of its own: the provider shares one among customers (carrier-grade NAT)",
		Remedy: "ask the provider for a public IPv4 address; no setting of the router helps",
	},
	{
		When: "outside=timeout nat=private others=timeout|?", Status: report.StatusFail,
		Code: "port.nat.private", Detail: "no answer from outside, and the router has no public address itself: a box or the provider in front of it must pass the port on",
		Remedy: "onsite net says more; if the box in front is yours, forward the port there too; if there is none, ask the provider for a public IPv4 address",
	},
	{
		When: "outside=timeout nat=double others=timeout|?", Status: report.StatusFail,
		Code: "port.nat.double", Detail: "no answer from outside, and two routers stand one behind the other: the first one does not pass the port on",
		Remedy: "forward the port on the box in front to your router's own outside address, or set that box to bridge mode",
	},
	{
		When: "outside=timeout others=timeout loopback=same|alike nat=single", Status: report.StatusFail,
		Code: "port.outside.silent", Detail: "nothing comes in from outside on any port, though the router has the public address itself and its forwarding is right: the provider blocks incoming connections, or the devices' firewalls let only the LAN in",
		Remedy: "look at the device's firewall first (Windows: the rule's scope, Remote IP address, Any); if it is open to all, ask the provider whether incoming ports are blocked",
	},
	{
		When: "outside=timeout others=timeout nat=single", Status: report.StatusFail,
		Code: "port.outside.silent", Detail: "nothing comes in from outside on any port, and the router has the public address itself: it has no forwarding at all, or only for UDP, or the provider blocks incoming connections",
		Remedy: "check the forwardings in the router: onsite port guide prints what they should be; if they are there, ask the provider whether incoming ports are blocked",
	},
	{
		When: "outside=timeout others=timeout loopback=same|alike", Status: report.StatusFail,
		Code: "port.outside.silent", Detail: "nothing comes in from outside on any port, though the router's forwarding is right: a box or the provider in front of the router drops it (carrier-grade NAT, double NAT, a filter)",
		Remedy: "run onsite net: it tells whether the router has the public address itself; if it has, ask the provider whether incoming ports are blocked",
	},
	{
		When: "outside=timeout others=timeout", Status: report.StatusFail,
		Code: "port.outside.silent", Detail: "nothing comes in from outside on any port: no forwarding at all, one for UDP instead of TCP, or a box or the provider in front of the router drops it (carrier-grade NAT, double NAT, a filter)",
		Remedy: "run onsite net: it tells whether the router has the public address itself; if it has, check the forwardings with onsite port guide",
	},
	{
		When: "outside=timeout others=same-host|other-host|open|answers loopback=same|alike gateway=ok", Status: report.StatusFail,
		Code: "port.filtered", Detail: "no answer from outside, though other ports are passed in, the forwarding is right and the clock has its gateway: the provider drops this port, or the clock takes connections from its own network only",
		Remedy: "forward another outside port to the clock and try that: if it answers, the provider blocks this one",
	},
	{
		When: "outside=timeout others=same-host loopback=same|alike", Status: report.StatusFail,
		Code: "port.filtered", Detail: "no answer from outside, though another port of the same device answers and this forwarding is right: the provider drops this port, or the device's firewall lets only the LAN in on it",
		Remedy: "allow the port for all addresses in the device's firewall (Windows: the rule's scope, Remote IP address, Any); if it is, forward another outside port: the provider blocks this one",
	},
	{
		When: "outside=timeout others=other-host|open|answers loopback=same|alike", Status: report.StatusFail,
		Code: "port.filtered", Detail: "no answer from outside, though other ports are passed in and this forwarding is right: the device's firewall lets only the LAN in, it has no gateway, or the provider drops this port",
		Remedy: "allow the port for all addresses in the device's firewall (Windows: the rule's scope, Remote IP address, Any) and check its gateway; if both are right, forward another outside port: the provider blocks this one",
	},
	{
		When: "outside=timeout others=same-host|other-host|open|answers hairpin=works loopback=refused|timeout|unreachable", Status: report.StatusFail,
		Code: "port.rule.missing", Detail: "no answer from outside, and the router does not pass this port on over the loop-back either, as it does with another: the forwarding is missing, or it is for UDP",
		Remedy: "add the forwarding for TCP in the router: onsite port guide prints what to type",
	},
	{
		When: "outside=timeout others=same-host", Status: report.StatusFail,
		Code: "port.rule.silent", Detail: "no answer from outside, though another port of the same device answers: the forwarding is missing or is for UDP, or the provider or the device's firewall drops this port",
		Remedy: "compare the forwarding with that of the port that works; if they are alike, look at the device's firewall, then forward another outside port",
	},
	{
		When: "outside=timeout others=other-host|open|answers", Status: report.StatusFail,
		Code: "port.rule.silent", Detail: "no answer from outside, though other ports are passed in: the forwarding is missing or is for UDP, the device's firewall lets only the LAN in, it has no gateway, or the provider drops this port",
		Remedy: "look at the forwarding first: onsite port guide prints what it should be; then at the device's firewall and gateway",
	},
	{
		When: "outside=timeout loopback=same|alike", Status: report.StatusFail,
		Code: "port.filtered", Detail: "no answer from outside, though the forwarding is right: the provider drops it, a box in front of the router does, or the device's firewall or missing gateway",
		Remedy: "run onsite net, then give another forwarded port beside this one: what works tells which of them it is",
	},
	{
		When: "outside=timeout", Status: report.StatusFail,
		Code: "port.outside.timeout", Detail: "no answer from outside: the forwarding is missing, or something drops it on the way",
		Remedy: "run onsite net, then check the forwarding in the router: onsite port guide prints what it should be",
	},

	// Nobody outside was asked, or nobody answered. What remains proves nothing.
	{
		When: "loopback=same outside=?", Status: report.StatusUnknown,
		Code: "port.loopback.only", Detail: "not known from outside; the loop-back reached the right thing, so the forwarding, its inside address and the service are right (grade 1); what a provider filters does not show there",
		Remedy: outsideRemedy,
	},
	{
		When: "loopback=router", Status: report.StatusUnknown,
		Code: "port.loopback.router", Detail: "not known from outside; over the loop-back a router's own page answers, which proves nothing",
		Remedy: outsideRemedy,
	},
	{
		When: "loopback=other", Status: report.StatusUnknown,
		Code: "port.loopback.other", Detail: "not known from outside; over the loop-back something else answers: the forwarding may lead to another device",
		Remedy: "look at the inside address of the forwarding; then " + outsideRemedy,
	},
	{
		When: "outside=?", Status: report.StatusUnknown,
		Code: "port.outside.unknown", Detail: "not known from outside",
		Remedy: outsideRemedy,
	},
	{
		Status: report.StatusUnknown,
		Code:   "port.outside.unknown", Detail: "what was seen does not fit together",
		Remedy: "run it again: something may have changed meanwhile",
	},
}

const outsideRemedy = "prove it from outside: --plan here, then --resume on a telephone's hotspot; or --via a reflector; or onsite port listen with a telephone"

// grades is the table of how much is proven.
var grades = report.Table{
	{
		When: "party=reached", Status: report.StatusPass,
		Code: "port.grade.3", Detail: "the real remote party reached it",
	},
	{
		When: "lan=right outside=same", Status: report.StatusPass,
		Code: "port.grade.2", Detail: "reached from another network",
	},
	{
		When: "outside=named", Status: report.StatusPass,
		Code: "port.grade.2", Detail: "reached from another network",
	},
	{
		When: "lan=right outside=alike loopback=same", Status: report.StatusPass,
		Code: "port.grade.2", Detail: "reached from another network",
	},
	{
		When: "lan=right loopback=same", Status: report.StatusUnknown,
		Code: "port.grade.1", Detail: "reached over the loop-back alone: forwarding, inside address and service are right; the way in from outside is not proven",
	},
	{
		When: "listed=yes", Status: report.StatusUnknown,
		Code: "port.grade.0", Detail: "the router lists a forwarding: somebody made it; it is not proven that it works",
	},
	{Status: report.StatusUnknown, Code: "port.grade.none", Detail: "nothing is proven"},
}

// gradeOf is the number of a grade's code; ok is false for none.
func gradeOf(code string) (grade int, ok bool) {
	last := code[len(code)-1]
	return int(last - '0'), last >= '0' && last <= '9'
}

// meaning is what a grade says, without the evidence.
func meaning(code string) string {
	for _, r := range grades {
		if r.Code == code {
			return r.Detail
		}
	}
	return ""
}
