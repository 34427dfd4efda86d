package netcheck

import (
	"context"
	"net/netip"
	"slices"

	"onsite/internal/dnsq"
	"onsite/report"
)

// maxAliases is how many names one may lead to; resolvers have such a limit, too.
const maxAliases = 8

// hop is one name on the way to the addresses: the name itself, or one that an
// alias leads to.
type hop struct {
	name      string
	zone      *zone
	witnesses []Witness
}

// follow asks the servers of a name's zone, then those of the zones that aliases
// lead to. The first hop is the name's own. The error says that nobody could be
// asked about the name.
func (f *finder) follow(ctx context.Context, name string) ([]hop, error) {
	names := []string{dnsq.Canonical(name)}
	var hops []hop
	for i := 0; i < len(names) && i < maxAliases; i++ {
		z, err := f.find(ctx, names[i])
		if err != nil && i == 0 {
			return nil, err
		}
		h := hop{name: names[i], zone: z}
		if z == nil {
			h.zone = &zone{name: "?"}
		}
		h.witnesses = f.interview(ctx, h.zone, h.name)
		hops = append(hops, h)
		for _, w := range h.witnesses {
			if w.Says == SaysAlias && !slices.Contains(names, w.Alias) {
				names = append(names, w.Alias)
			}
		}
	}
	return hops, nil
}

// heard are the witnesses of a hop that say something about its name.
func (h *hop) heard() []*Witness {
	var list []*Witness
	for i := range h.witnesses {
		if h.witnesses[i].good() {
			list = append(list, &h.witnesses[i])
		}
	}
	return list
}

// agreed is what all of them say; nil when they differ, or say nothing.
func (h *hop) agreed() *Witness {
	heard := h.heard()
	if len(heard) == 0 {
		return nil
	}
	for _, w := range heard[1:] {
		if !w.same(heard[0]) {
			return nil
		}
	}
	return heard[0]
}

// Authoritative is what the servers of a name's own zone say about it now.
type Authoritative struct {
	Name string
	Zone string
	// Addresses are those that the name leads to, IPv4 and IPv6, at the end of
	// all aliases. They are empty when the name does not exist or has none, and
	// when Agreed is false.
	Addresses []netip.Addr
	// Agreed says that every server that answers says the same, and that at
	// least one does. Without it, nothing is known about the addresses.
	Agreed bool
	// Alias is the name at the end of all aliases; "" when the name is none.
	Alias string
	// Witnesses are all servers that were asked, those of aliases too.
	Witnesses []Witness
	// Primary is the server that the zone names as the one where changes are
	// made, a host name; "" when no server told.
	Primary      string
	Observations []report.Observation
}

// Authority asks the zone's own servers what they say about a name now, past all
// caches. The error says that nobody could be asked.
func Authority(ctx context.Context, name string, s Sources) (Authoritative, error) {
	f := newFinder(s)
	name, err := readName(name)
	if err != nil {
		return Authoritative{}, err
	}
	a := Authoritative{Name: name}
	hops, err := f.follow(ctx, name)
	a.Observations = f.observations
	if err != nil {
		return a, noAnswer(ctx, name, err)
	}
	a.Zone = hops[0].zone.name
	for _, h := range hops {
		a.Witnesses = append(a.Witnesses, h.witnesses...)
	}
	for _, w := range hops[0].witnesses {
		for _, r := range w.records {
			if r.Type == dnsq.SOA && r.Name == a.Zone {
				a.Primary = r.Target
			}
		}
	}
	end, ok := ending(hops)
	a.Agreed = ok
	if ok {
		a.Addresses = end.Addresses
		if end.Name != a.Name {
			a.Alias = end.Name
		}
	}
	return a, nil
}

// ending is the last word at the end of all aliases; ok is false where servers
// differ or none speaks.
func ending(hops []hop) (end *Witness, ok bool) {
	name := hops[0].name
	for range maxAliases {
		i := slices.IndexFunc(hops, func(h hop) bool { return h.name == name })
		if i < 0 {
			return nil, false
		}
		w := hops[i].agreed()
		if w == nil || w.Says != SaysAlias {
			return w, w != nil
		}
		name = w.Alias
	}
	return nil, false
}

func noAnswer(ctx context.Context, name string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return report.Errorf(report.KindNoAnswer, "dns.no-answer",
		"check this computer's network connection, and that port 53 is open for UDP and TCP on the way out",
		"nobody could be asked about %s: %w", name, err)
}
