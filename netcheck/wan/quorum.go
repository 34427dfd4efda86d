package wan

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"onsite/internal/sock"
	"onsite/internal/special"
	"onsite/report"
)

// tally is one address and who has seen it.
type tally struct {
	addr        netip.Addr
	https, stun []string
}

func (t tally) votes() int { return len(t.https) + len(t.stun) }

// count sorts the public addresses that were claimed by the number of their
// witnesses. What is not public is nobody's public address.
func count(list []witness) []tally {
	var all []tally
	for _, w := range list {
		if w.err != nil || !special.Global(w.addr) {
			continue
		}
		i := slices.IndexFunc(all, func(t tally) bool { return t.addr == w.addr })
		if i < 0 {
			i, all = len(all), append(all, tally{addr: w.addr})
		}
		if w.stun {
			all[i].stun = append(all[i].stun, w.name)
		} else {
			all[i].https = append(all[i].https, w.name)
		}
	}
	slices.SortStableFunc(all, func(a, b tally) int { return b.votes() - a.votes() })
	return all
}

// confirmed reports whether the first address of a count is beyond doubt: at
// least two have seen it, and at least twice as many as have seen another.
func confirmed(all []tally, outstanding int) bool {
	against := outstanding
	for _, t := range all[min(1, len(all)):] {
		against += t.votes()
	}
	return len(all) > 0 && all[0].votes() >= max(2, 2*against)
}

// isSettled reports whether those that have not answered yet cannot change what
// is believed.
func isSettled(heard []witness, asked int) bool {
	all := count(heard)
	return confirmed(all, asked-len(heard)) && !byKind(all)
}

// byKind reports whether STUN and HTTPS see different addresses: each kind
// agrees with itself, and none of the one kind has seen what the other has.
func byKind(all []tally) bool {
	return len(all) == 2 && all[0].votes() > 0 && all[1].votes() > 0 &&
		(len(all[0].stun) == 0 && len(all[1].https) == 0 || len(all[0].https) == 0 && len(all[1].stun) == 0)
}

// judge says what is believed of one family's answers, and why.
func judge(family string, list []witness) PublicAddress {
	p := PublicAddress{}
	for _, w := range list {
		p.Observations = append(p.Observations, w.observe(family))
		p.heard = p.heard || w.heard()
	}
	subject := "public IPv" + family + " address"
	all := count(list)
	p.Answered = len(all) > 0
	p.Findings = remarks(subject, list)
	switch {
	case len(all) == 0 && family == "6":
		p.Findings = append(p.Findings, report.Warn("wan.ipv6.silent", subject,
			"this computer has a way to the IPv6 Internet, but no service answers over it: "+silence(list),
			"ask the provider, or switch IPv6 off in the router: programs that try it first get slow"))
	case len(all) == 0:
		p.Findings = append(p.Findings, report.Unknown("wan.public.none", subject,
			"no service told an address: "+silence(list),
			"open a web page in a browser: when that fails too, mend the connection first; else name services that are reached from here with --echo and --stun"))
	case byKind(all):
		https, stun := all[0], all[1]
		if len(https.https) == 0 {
			https, stun = stun, https
		}
		p.HTTPS, p.STUN = https.addr, stun.addr
		p.Findings = append(p.Findings, report.Unknown("wan.public.two-ways", subject,
			fmt.Sprintf("the web comes from %s (say %s), everything else from %s (says STUN: %s): a proxy, a VPN or a second line carries one of them",
				https.addr, names(https.https), stun.addr, names(stun.stun)),
			"switch VPN and proxy off on this computer and run it again"))
	case !confirmed(all, 0) && len(all) == 1:
		p.Findings = append(p.Findings, report.Unknown("wan.public.one-witness", subject,
			fmt.Sprintf("only one service tells an address (%s, says %s): that is not enough to believe it", all[0].addr, all[0].who()),
			"run it again; if it stays like that, name services that are reached from here with --echo and --stun"))
	case !confirmed(all, 0):
		p.several = all[1].votes() >= 2
		p.Findings = append(p.Findings, report.Unknown("wan.public.disagree", subject,
			"the services disagree: "+shares(all), "run it again: when the same ones tell the same again, several lines or a VPN share the traffic out"))
	default:
		p.Addr = all[0].addr
		p.Findings = append(p.Findings, report.Pass("wan.public.found", subject, all[0].addr.String()+", "+all[0].say(list)))
		if len(all) > 1 {
			p.Findings = append(p.Findings, report.Warn("wan.public.outvoted", subject,
				fmt.Sprintf("most services agree on %s, but not all: %s", all[0].addr, shares(all[1:])),
				"nothing, unless several lines or a VPN share this site's traffic out"))
		}
	}
	return p
}

// heard reports whether the service, or somebody in its place, answered.
func (w witness) heard() bool {
	_, unresolved := errors.AsType[*net.DNSError](w.err)
	return !unresolved && !errors.Is(w.err, errNoAnswer) && !errors.Is(w.err, errSettled) && !sock.TimedOut(w.err) && !sock.Unreachable(w.err)
}

// remarks are about answers that are no votes.
func remarks(subject string, list []witness) []report.Finding {
	var findings []report.Finding
	var pages, inside []string
	for _, w := range list {
		switch {
		case errors.Is(w.err, errPage):
			pages = append(pages, w.name)
		case w.err == nil && !special.Global(w.addr):
			inside = append(inside, fmt.Sprintf("%s says %s", w.name, w.addr))
		}
	}
	if len(pages) > 0 {
		findings = append(findings, report.Warn("wan.sign-in", subject,
			"a web page came instead of an address, from "+strings.Join(pages, ", ")+": this network wants somebody to sign in first, or a filter stands in the way",
			"open a browser, go through the page that comes, and run it again"))
	}
	if len(inside) > 0 {
		findings = append(findings, report.Warn("wan.public.special", subject,
			"not a public address, and so not counted: "+strings.Join(inside, "; "),
			"leave that service out, or look what stands between: something near here answers in its place"))
	}
	return findings
}

// say tells how many of those that were asked have seen the address.
func (t tally) say(list []witness) string {
	https, stun := 0, 0
	for _, w := range list {
		if w.stun {
			stun++
		} else {
			https++
		}
	}
	var parts []string
	if https > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d web services", len(t.https), https))
	}
	if stun > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d STUN servers", len(t.stun), stun))
	}
	return "say " + strings.Join(parts, " and ")
}

func (t tally) who() string { return names(append(slices.Clone(t.https), t.stun...)) }

func names(list []string) string { return strings.Join(list, ", ") }

func shares(all []tally) string {
	var parts []string
	for _, t := range all {
		parts = append(parts, fmt.Sprintf("%s (%s)", t.addr, t.who()))
	}
	return strings.Join(parts, "; ")
}

// silence sums up why nobody answered: each reason once.
func silence(list []witness) string {
	if len(list) == 0 {
		return "none was asked"
	}
	var reasons []string
	for _, w := range list {
		reason := "not a public address"
		if w.err != nil {
			reason = plain(w.err)
		}
		if !slices.Contains(reasons, reason) {
			reasons = append(reasons, reason)
		}
	}
	return strings.Join(reasons, "; ")
}
