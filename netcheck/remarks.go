package netcheck

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"onsite/internal/dnsq"
	"onsite/internal/sock"
	"onsite/internal/special"
	"onsite/report"
)

// What a resolver's answer is beside that of the zone's servers.
const (
	isSame    = "same"
	isOld     = "old"
	isInside  = "inside"
	isError   = "servfail"
	isSilent  = "silent"
	isRight   = "right"
	isFound   = "found"
	isWrong   = "wrong"
	isMissing = "missing"
)

// resolverFact is what a group of resolvers comes to: the worst of them, but for
// those that are mute while others speak. until is when the last of them forgets
// an old answer.
func (c *check) resolverFact(name string, list []Witness) (f report.Fact, until time.Time) {
	f.Name = name
	if len(list) == 0 {
		return f, until
	}
	groups := map[string][]string{}
	for i := range list {
		is, forgets := c.compare(&list[i])
		groups[is] = append(groups[is], list[i].saysTo(is))
		if is == isOld && forgets > 0 { // else it keeps nothing, and asks another that does
			until = latest(until, c.Now().Add(forgets))
		}
	}
	for _, is := range []string{isOld, isWrong, isMissing, isInside, isSame, isRight, isFound, isError, isSilent} {
		if words := groups[is]; len(words) > 0 {
			f.Value, f.How = is, strings.Join(words, "; ")
			break
		}
	}
	if f.Value == isSame {
		f.How = c.agree(name, len(groups[isSame]), list)
	}
	return f, until
}

// agree says which resolvers say the same as the zone's servers.
func (c *check) agree(name string, n int, list []Witness) string {
	var names []string
	for i := range list {
		if is, _ := c.compare(&list[i]); is == isSame {
			names = append(names, list[i].Title())
		}
	}
	what := "this computer's resolver "
	if name == "public" {
		what = "the public resolver "
	}
	verb := " does"
	if n > 1 {
		what, verb = strings.TrimSuffix(what, " ")+"s ", " do"
	}
	return "so" + verb + " " + what + and(names)
}

// saysTo is what a resolver says, for a sentence.
func (w *Witness) saysTo(is string) string {
	s := w.Title() + " says " + w.String()
	if is == isSilent || is == isError {
		s = w.Title() + ": " + w.Error
	}
	if is == isOld && w.Alias != "" && w.Says == SaysAddresses {
		s += " by way of " + w.Alias
	}
	return s
}

// compare holds a resolver's answer against that of the zone's servers, or where
// those say nothing, against the expected address. forgets is for how long it will
// stay at an old one.
func (c *check) compare(w *Witness) (is string, forgets time.Duration) {
	end, ok := c.ending()
	switch {
	case w.Says == SaysNothing:
		return isSilent, 0
	case w.Says == SaysError:
		return isError, 0
	case !ok:
		return c.compareAlone(w), 0
	}
	here, there := c.comparable(w.Addresses), c.comparable(end.Addresses)
	switch {
	case len(here) == 0 && len(there) == 0:
		return isSame, 0
	case len(here) > 0 && subset(here, there):
		return isSame, 0
	case w.Who == WhoHere && len(here) > 0 && (w.authoritative || slices.ContainsFunc(here, inner)) && !slices.ContainsFunc(there, inner):
		return isInside, 0
	}
	return isOld, c.forgets(w)
}

func (c *check) compareAlone(w *Witness) string {
	found := c.comparable(w.Addresses)
	switch {
	case len(found) == 0:
		return isMissing
	case !c.Expect.IsValid():
		return isFound
	case slices.Contains(found, c.Expect):
		return isRight
	}
	return isWrong
}

func subset(part, whole []netip.Addr) bool {
	return !slices.ContainsFunc(part, func(a netip.Addr) bool { return !slices.Contains(whole, a) })
}

// forgets is for how long a resolver keeps the first record on the way that the
// zone's servers do not have.
func (c *check) forgets(w *Witness) time.Duration {
	name := c.Name
	for range maxAliases {
		i := slices.IndexFunc(c.hops, func(h hop) bool { return h.name == name })
		var now *Witness
		if i >= 0 {
			now = c.hops[i].agreed()
		}
		has := slices.IndexFunc(w.records, func(r dnsq.Record) bool { return r.Type == dnsq.CNAME && r.Name == name })
		if has < 0 {
			break
		}
		if now == nil || now.Alias != w.records[has].Target {
			return w.records[has].TTL
		}
		name = now.Alias
	}
	if len(c.comparable(w.Addresses)) == 0 {
		return w.negative
	}
	return time.Duration(w.TTL) * time.Second
}

// aboutWay says so where the servers were not named by the zone above.
func (c *check) aboutWay() []report.Finding {
	why, how := c.f.blind(), "so the zone's servers could not be found"
	if len(c.hops) > 0 {
		how = "so " + c.hops[0].zone.by + " named the zone's servers"
		if !strings.HasPrefix(c.hops[0].zone.by, byResolver) {
			return nil
		}
	}
	if why == "" {
		return nil
	}
	if why == whyIntercepted {
		return []report.Finding{report.Warn("dns.intercepted", c.Name, why+", "+how,
			"ask from another network: here the router or the provider answers DNS questions itself, whoever they are put to")}
	}
	return []report.Finding{report.Skip("dns.roots.unreachable", c.Name, why+", "+how)}
}

// aboutServers finds fault with single servers of the zones on the way.
func (c *check) aboutServers() []report.Finding {
	var list []report.Finding
	told := map[string]bool{}
	add := func(f report.Finding, about string) {
		if key := f.Code + about; !told[key] {
			told[key] = true
			list = append(list, f)
		}
	}
	for i := range c.hops {
		h := &c.hops[i]
		heard := h.heard()
		if len(heard) == 0 || c.f.blind() == whyIntercepted {
			continue
		}
		newest := heard[0]
		for _, w := range heard {
			if older(newest.Serial, w.Serial) {
				newest = w
			}
		}
		for j := range h.witnesses {
			w := &h.witnesses[j]
			switch {
			case w.Says == SaysLame:
				add(report.Warn("dns.server.lame", w.Title(), fmt.Sprintf("it should answer for %s, and does not (%s)", h.zone.name, w.Error),
					fmt.Sprintf("load the zone on it, or take it out of the NS records of %s where the domain is registered", h.zone.name)), w.Address)
			case w.Says == SaysUnlisted:
				add(report.Warn("dns.server.no-address", w.Server, fmt.Sprintf("it should answer for %s, and its own name has no address", h.zone.name),
					"correct its name where the domain is registered"), w.Server)
			case w.Says == SaysNothing && !w.unreachable:
				add(report.Warn("dns.server.silent", w.Title(), fmt.Sprintf("it should answer for %s, and gives this computer no answer: %s", h.zone.name, w.Error),
					"start it, or take it out of the NS records where the domain is registered: those who ask it first wait"), w.Address)
			case w.good() && older(w.Serial, newest.Serial) && w.same(newest):
				add(report.Warn("dns.serial.behind", w.Title(), fmt.Sprintf("it has version %d of %s, %s has %d; what they say about this name is the same",
					w.Serial, h.zone.name, newest.Title(), newest.Serial), "see in a few minutes whether it follows; if not, look at the zone transfer"), w.Address)
			}
		}
	}
	return list
}

// aboutResolvers says what the verdict does not about single resolvers.
func (c *check) aboutResolvers(verdict report.Finding) []report.Finding {
	var list []report.Finding
	var mute []string
	spoken := false
	for i := range c.here {
		is, _ := c.compare(&c.here[i])
		spoken = spoken || is != isSilent
	}
	for _, w := range slices.Concat(c.here, c.public) {
		is, _ := c.compare(&w)
		switch {
		case is == isInside:
			list = append(list, report.Pass("dns.split-horizon", c.Name,
				fmt.Sprintf("inside this network it leads elsewhere: %s. That is as it should be where the site's own network has its own view", w.saysTo(is))))
		case is == isError && verdict.Status == report.StatusPass: // else it is told, or it follows
			list = append(list, report.Warn("dns.servfail", c.Name, w.saysTo(is),
				"act on the reason that it gives; visitors who use this resolver do not find the site"))
		case is == isSilent && w.Who == WhoHere && spoken:
			list = append(list, report.Warn("dns.resolver.silent", w.Title(), "this computer's resolver gives no answer, others do: "+w.Error,
				"take it out of this computer's settings, or mend it: programs wait for it"))
		case is == isSilent && w.Who == WhoHere:
			list = append(list, report.Unknown("dns.no-answer", w.Title(), "this computer's resolver gives no answer: "+w.Error,
				"check that the resolver's address is right and that port 53 is not blocked"))
		case is == isSilent:
			mute = append(mute, w.Title())
		}
	}
	if len(mute) > 0 {
		list = append(list, report.Skip("dns.public.silent", c.Name, "public resolvers that give this computer no answer: "+and(mute)+"; some networks let nobody ask them"))
	}
	return list
}

// probes are the ports on which something may answer at a site.
var probes = []string{"443", "80", "4444", "8888"}

const probeTime = 3 * time.Second

// aboutIPv6 looks at AAAA records: visitors who have IPv6 go there first.
func (c *check) aboutIPv6(ctx context.Context) []report.Finding {
	end, ok := c.ending()
	if !ok {
		return nil
	}
	var list []report.Finding
	for _, a := range end.Addresses {
		if a.Is6() && a != c.Expect {
			list = append(list, c.probe(ctx, end.Name, a))
		}
	}
	return list
}

func (c *check) probe(ctx context.Context, name string, a netip.Addr) report.Finding {
	remedy := "remove the AAAA record, unless the site really has IPv6"
	if b, ok := special.Lookup(a); !special.Global(a) {
		kind := "not given out"
		if ok {
			kind = b.Name
		}
		return report.Warn("dns.aaaa.private", name, fmt.Sprintf("AAAA %s cannot be reached from outside (%s), and visitors with IPv6 try it first", a, kind), remedy)
	}
	connect := c.Connect
	if connect == nil {
		connect = new(net.Dialer).DialContext
	}
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	var answered, noWay atomic.Int32
	var asks []func()
	for _, port := range probes {
		asks = append(asks, func() {
			conn, err := connect(ctx, "tcp", net.JoinHostPort(a.String(), port))
			switch {
			case err == nil:
				conn.Close()
				answered.Add(1)
			case sock.Refused(err):
				answered.Add(1)
			case sock.Unreachable(err), sock.NoFamily(err), sock.NotHere(err):
				noWay.Add(1)
			}
			if answered.Load() > 0 {
				cancel() // one is enough
			}
		})
	}
	parallel(asks...)
	switch {
	case answered.Load() > 0:
		return report.Pass("dns.aaaa.answers", name, fmt.Sprintf("AAAA %s: a computer answers there", a))
	case int(noWay.Load()) == len(probes):
		return report.Warn("dns.aaaa.no-ipv6", name,
			fmt.Sprintf("it also has AAAA %s. This computer has no way there, so whether anything answers is not known; visitors with IPv6 try it first", a), remedy)
	}
	return report.Warn("dns.aaaa.silent", name,
		fmt.Sprintf("AAAA %s: nothing answered there on the ports %s within %s, and visitors with IPv6 try it first", a, strings.Join(probes, ", "), probeTime), remedy)
}
