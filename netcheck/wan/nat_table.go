package wan

import "onsite/report"

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
//	typed    the router's WAN address was read from its status page: yes
//	line     another gateway of this computer has the public address: other
var natTable = report.Table{
	{
		When: "own=yes", Status: report.StatusPass, Code: "nat.none",
		Detail: "no NAT",
	},
	{
		When: "router=carrier", Status: report.StatusFail, Code: "nat.carrier",
		Detail: "carrier-grade NAT, for the router's WAN address {wan} is inside the provider's network, and no forwarding on the router makes it reachable",
		Remedy: "ask the provider for a public IPv4 address; where there is none to be had, use a tunnel or IPv6",
	},
	{
		When: "router=ds-lite", Status: report.StatusFail, Code: "nat.ds-lite",
		Detail: "DS-Lite or 464XLAT, for the router has no IPv4 address of its own ({wan}), and nothing comes in over IPv4",
		Remedy: "ask the provider for a public IPv4 address (\"dual stack\"); otherwise use IPv6 or a tunnel",
	},
	{
		When: "router=private", Status: report.StatusWarn, Code: "nat.double",
		Detail: "double NAT, for the router's WAN address {wan} is private, and so another router stands in front of it",
		Remedy: "switch the box in front to bridge mode; otherwise let it forward the same ports to {wan}, or make {wan} its DMZ host",
	},
	{
		When: "router=special", Status: report.StatusWarn, Code: "nat.private",
		Detail: "the router's WAN address {wan} is not public, and no router's to forward from",
		Remedy: "look at the router's status page: its line may be down, or wait for an address",
	},
	{
		When: "between=yes", Status: report.StatusWarn, Code: "nat.between",
		Detail: "another NAT lies between this computer and the router, which sees somebody else's address",
		Remedy: "connect this computer to the router's own network: a second router, an access point in router mode or a virtual machine's network is in between",
	},
	{
		When: "router=? refused=yes public=one|two-ways|several second=carrier", Status: report.StatusWarn, Code: "nat.private",
		Detail: "the router's WAN address is not public, and what is beyond it looks like a carrier's network",
		Remedy: askStatusPage + ": 100.64 to 100.127 is carrier-grade NAT",
	},
	{
		When: "router=? refused=yes public=one|two-ways|several", Status: report.StatusWarn, Code: "nat.private",
		Detail: "the router's WAN address is not public, for another router is in front of it or the provider shares addresses out",
		Remedy: askStatusPage + ": a private one is a second router, 100.64 to 100.127 the carrier's NAT",
	},
	{
		When: "router=public line=other", Status: report.StatusWarn, Code: "nat.lines",
		Detail: "several lines, for this router has {wan}, and the Internet sees {address}, which another gateway has",
		Remedy: "forward on the router of the line that the name leads to",
	},
	{
		When: "router=public same=no vpn=yes", Status: report.StatusWarn, Code: "nat.vpn",
		Detail: "a VPN on this computer shows {address} to the Internet, and the router has {wan}",
		Remedy: noVPN,
	},
	{
		When: "router=public vpn=yes same=?", Status: report.StatusUnknown, Code: "nat.vpn",
		Detail: "a VPN on this computer hides the line, and the router has {wan}",
		Remedy: noVPN,
	},
	{
		When: "router=public same=yes", Status: report.StatusPass, Code: "nat.single",
		Detail: "single NAT, for the router itself has the public address {wan}",
	},
	{
		When: "router=public public=two-ways stun=same", Status: report.StatusWarn, Code: "nat.proxy",
		Detail: "single NAT and a proxy, for the router has {wan}, as STUN sees it, but the web comes from somewhere else",
		Remedy: "for incoming connections {wan} counts: use it for the name",
	},
	{
		When: "router=public same=no probe=here", Status: report.StatusWarn, Code: "nat.lines",
		Detail: "several lines, for the router names {wan} and answers for {address} too",
		Remedy: "look at the router's status page which line is in use, and let the name lead to that one's address",
	},
	{
		When: "router=public public=several", Status: report.StatusWarn, Code: "nat.lines",
		Detail: "several lines, or a VPN for some of the traffic, for the router has {wan} and the Internet sees several addresses",
		Remedy: "use {wan} for the name, if the router's status page shows it for the line that is to be reached",
	},
	{
		When: "router=public same=no", Status: report.StatusUnknown, Code: "nat.differs",
		Detail: "the router has the public address {wan}, but the Internet sees {address}, because of a VPN or proxy, a second line, or a provider's one-to-one NAT",
		Remedy: "switch VPN and proxy off and run it again; if it stays like that, ask the provider which address incoming connections take",
	},
	{
		When: "router=public same=? public=one", Status: report.StatusUnknown, Code: "nat.unknown",
		Detail: "not known, for the router contradicts itself: its WAN address is {wan}",
		Remedy: askStatusPage,
	},
	{
		When: "router=public public=?|two-ways", Status: report.StatusUnknown, Code: "nat.unknown",
		Detail: "the router has the public address {wan}, but nobody outside confirms it",
		Remedy: "run it again when the Internet is reached from here; --echo and --stun name other services",
	},
	{
		When: "router=? vpn=yes", Status: report.StatusUnknown, Code: "nat.vpn",
		Detail: "not known, for the router tells no WAN address and a VPN on this computer hides the line",
		Remedy: noVPN,
	},
	{
		When: "router=? probe=beyond typed=yes", Status: report.StatusUnknown, Code: "nat.unknown",
		Detail: "not known, for the router passes packets for the typed address on, as if it were another's",
		Remedy: "read the WAN address from the router's own status page once more; if it is {address}, switch the router's DMZ host off and run it again",
	},
	{
		When: "router=? probe=here", Status: report.StatusUnknown, Code: "nat.unknown",
		Detail: "not known, for the router tells no WAN address; that it answers for {address} hints at single NAT",
		Remedy: askStatusPage,
	},
	{
		When: "router=? probe=beyond", Status: report.StatusUnknown, Code: "nat.unknown",
		Detail: "not known, for no WAN address of the router can be believed; that {address} is beyond it hints at a second NAT",
		Remedy: askStatusPage,
	},
	{
		When: "router=? second=private|carrier", Status: report.StatusUnknown, Code: "nat.unknown",
		Detail: "not known, for the router tells no WAN address; what lies beyond it hints at a second NAT",
		Remedy: askStatusPage,
	},
	{
		When: "router=?", Status: report.StatusUnknown, Code: "nat.unknown",
		Detail: "not known, for the router tells no WAN address that can be believed",
		Remedy: askStatusPage,
	},
	{
		Status: report.StatusUnknown, Code: "nat.unknown",
		Detail: "not known",
		Remedy: askStatusPage,
	},
}
