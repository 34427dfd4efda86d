package portmap

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"onsite/internal/special"
	"onsite/report"
)

// Refusal is an error that a router answers with.
type Refusal struct {
	Method Method
	Code   int    // the protocol's own number
	Name   string // the protocol's own name for it, or the router's words
}

func (r *Refusal) Error() string {
	if r.Name == "" {
		return fmt.Sprintf("refused with %d", r.Code)
	}
	return fmt.Sprintf("refused with %d (%s)", r.Code, r.Name)
}

// refusedWith reports whether err is a refusal with one of the codes.
func refusedWith(err error, method Method, codes ...int) bool {
	r, ok := errors.AsType[*Refusal](err)
	if !ok || r.Method != method {
		return false
	}
	for _, c := range codes {
		if r.Code == c {
			return true
		}
	}
	return false
}

const (
	byHand = "type the rule into the router by hand: onsite port guide --forward {forward}"
	atPage = "open the router's own page"
)

// refusals says what each refusal means. The facts are: "upnp", "pcp" or
// "nat-pmp", with the code; "host", self or other; "holder", who has the port,
// where that is known; "address", what the router's own outside address is:
// public, private, carrier or none; "forward", the rule as port guide takes it;
// and "refused", which holds always.
var refusals = report.Table{
	// Somebody has the port.
	{
		When: "upnp=718|729 holder=known", Status: report.StatusFail, Code: "forward.port.taken",
		Detail: "the port is forwarded to {to} already", Remedy: "choose another outside port, or delete that rule in the router's page if it is not needed",
	},
	{
		When: "upnp=718|606 host=other", Status: report.StatusFail, Code: "forward.host.other",
		Detail: "the router lets a computer forward ports to itself alone", Remedy: "run this on that host, or " + byHand,
	},
	{
		When: "pcp=2|5 host=other", Status: report.StatusFail, Code: "forward.host.other",
		Detail: "the router lets a computer forward ports to itself alone", Remedy: "run this on that host, or " + byHand,
	},
	{
		When: "upnp=718", Status: report.StatusFail, Code: "forward.port.taken",
		Detail: "the port is taken: by a rule that was typed in, by another host, or by an entry of before", Remedy: "look for the port in the router's page and delete what holds it, or choose another outside port",
	},
	{
		When: "pcp=11", Status: report.StatusFail, Code: "forward.port.taken",
		Detail: "the router cannot give this outside port: it is taken, or kept for something else", Remedy: "look for the port in the router's page and delete what holds it, or choose another outside port",
	},
	{
		When: "upnp=729", Status: report.StatusFail, Code: "forward.rule.typed",
		Detail: "a rule that was typed into the router holds the port", Remedy: "look at that rule in the router's page: it may be the one that is wanted",
	},

	// The router has no address that would make sense of it.
	{
		When: "upnp=501 address=none|private|carrier", Status: report.StatusFail, Code: "forward.router.no-address",
		Detail: "the router forwards nothing, for its own address outside is not public", Remedy: "run onsite net: it tells what stands between the router and the Internet",
	},
	{
		When: "pcp=7", Status: report.StatusFail, Code: "forward.router.no-address",
		Detail: "the router has no connection to the Internet, or no address there", Remedy: "run onsite net: it tells what stands between the router and the Internet",
	},
	{
		When: "pcp=8 address=none|private|carrier", Status: report.StatusFail, Code: "forward.router.no-address",
		Detail: "the router forwards nothing, for its own address outside is not public", Remedy: "run onsite net: it tells what stands between the router and the Internet",
	},
	{
		When: "nat-pmp=3", Status: report.StatusFail, Code: "forward.router.no-address",
		Detail: "the router has no connection to the Internet, or no public address there", Remedy: "run onsite net: it tells what stands between the router and the Internet",
	},
	{
		When: "pcp=12", Status: report.StatusFail, Code: "forward.router.nat-between",
		Detail: "another NAT stands between this computer and the router that answered", Remedy: "run this on a computer that is connected to that router directly, or " + byHand,
	},
	{
		When: "upnp=703|704|705|706", Status: report.StatusFail, Code: "forward.router.offline",
		Detail: "the router's connection to the Internet is not up", Remedy: "wait until the router is connected, and try again",
	},

	// It may not, or cannot.
	{
		When: "upnp=606", Status: report.StatusFail, Code: "forward.denied",
		Detail: "the router does not let this computer forward ports", Remedy: atPage + " and allow UPnP for it, or " + byHand,
	},
	{
		When: "pcp=2", Status: report.StatusFail, Code: "forward.denied",
		Detail: "the router does not let this computer forward this port", Remedy: atPage + " and allow it there, or " + byHand,
	},
	{
		When: "nat-pmp=2", Status: report.StatusFail, Code: "forward.denied",
		Detail: "the router does not let this computer forward this port", Remedy: atPage + " and allow it there, or " + byHand,
	},
	{
		When: "upnp=604", Status: report.StatusFail, Code: "forward.denied",
		Detail: "the router wants a person to allow it first", Remedy: atPage + ", allow it there, and try again",
	},
	{
		When: "upnp=724", Status: report.StatusFail, Code: "forward.port.same",
		Detail: "the router wants the same port outside and inside", Remedy: "let the service listen on the outside port, or " + byHand,
	},
	{
		When: "upnp=603|728", Status: report.StatusFail, Code: "forward.full",
		Detail: "the router has no room for another forwarding", Remedy: "delete forwardings that nobody needs: onsite port forward list shows them",
	},
	{
		When: "pcp=8|10|13", Status: report.StatusFail, Code: "forward.full",
		Detail: "the router has no room for another forwarding, or not for this computer", Remedy: "delete forwardings that nobody needs: onsite port forward list shows them",
	},
	{
		When: "nat-pmp=4", Status: report.StatusFail, Code: "forward.full",
		Detail: "the router has no room for another forwarding", Remedy: "delete forwardings that nobody needs: onsite port forward list shows them",
	},
	{
		When: "upnp=401|602", Status: report.StatusFail, Code: "forward.unsupported",
		Detail: "the router does not know how to do this, or it is switched off", Remedy: byHand,
	},
	{
		When: "pcp=1|3|4|5|6|9", Status: report.StatusFail, Code: "forward.unsupported",
		Detail: "the router does not know how to do this", Remedy: byHand,
	},
	{
		When: "nat-pmp=1|5", Status: report.StatusFail, Code: "forward.unsupported",
		Detail: "the router does not know how to do this, or it is switched off", Remedy: byHand,
	},
	{
		When: "upnp=402|600|601|605|715|716|726|727|732|733", Status: report.StatusFail, Code: "forward.arguments",
		Detail: "the router does not take these values", Remedy: "try an outside port from 1024 to 49151, or " + byHand,
	},

	// What says nothing more than no.
	{
		When: "upnp=501", Status: report.StatusFail, Code: "forward.failed",
		Detail: "the router tried and failed, and says no more", Remedy: "restart the router and try again, or " + byHand,
	},
	{
		When: "refused=yes", Status: report.StatusFail, Code: "forward.refused",
		Detail: "the router refuses", Remedy: byHand,
	},
}

// refusalFinding says what a refusal to make a forwarding means.
func (r *Router) refusalFinding(refusal *Refusal, want Forwarding, holder *Forwarding) report.Finding {
	host, how := "self", ""
	if want.Host != r.o.Local.String() {
		host, how = "other", want.Host+" is another host"
	}
	words := fmt.Sprintf("%s is %s", refusal.Method, refusal)
	e := report.Evidence{
		{Name: "refused", Value: "yes", How: words},
		{Name: string(refusal.Method), Value: strconv.Itoa(refusal.Code), How: words},
		{Name: "host", Value: host, How: how},
		{Name: "address", Value: addressKind(r.External()), How: addressWords(r.External())},
		{Name: "forward", Value: ruleFlag(want)},
	}
	if holder != nil {
		e = append(e, report.Fact{Name: "holder", Value: "known", How: fmt.Sprintf("the router lists it as %q", holder.Description)},
			report.Fact{Name: "to", Value: holder.target()})
	}
	return refusals.Decide(want.name(), e)
}

// ruleFlag is a forwarding as port guide takes it.
func ruleFlag(f Forwarding) string {
	s := fmt.Sprintf("%d:%s", f.External, f.target())
	if f.Protocol == "udp" {
		s += "/udp"
	}
	return s
}

func addressKind(a netip.Addr) string {
	switch {
	case !a.IsValid():
		return "none"
	case special.Carrier.Contains(a):
		return "carrier"
	case !special.Global(a):
		return "private"
	}
	return "public"
}

func addressWords(a netip.Addr) string {
	if !a.IsValid() {
		return "it tells no address"
	}
	return "its address outside is " + a.String()
}
