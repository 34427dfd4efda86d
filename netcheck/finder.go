package netcheck

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"onsite/internal/dnsq"
	"onsite/report"
)

// zone is a part of the tree of names, and who answers for it.
type zone struct {
	name    string // "." is the root
	servers []nameServer
	// by says who named the servers: the zone above, or a resolver.
	by string
}

const byResolver = "resolver "

// nameServer is one of a zone's servers. Without addresses it is of no use to
// anybody.
type nameServer struct {
	name  string
	addrs []netip.AddrPort
}

func (z *zone) addresses() []netip.AddrPort {
	var list []netip.AddrPort
	for _, s := range z.servers {
		list = append(list, s.addrs...)
	}
	return list
}

// finder finds zones and their servers and keeps every observation. What it has
// found it asks for no more. It may be used by several goroutines.
type finder struct {
	sources Sources
	client  *dnsq.Client

	mu           sync.Mutex
	observations []report.Observation
	zones        map[string]*zone
	// rootless says why no root server could be asked; "" when one was.
	rootless string
}

func newFinder(s Sources) *finder {
	f := &finder{sources: s, client: s.client(), observations: []report.Observation{}, zones: map[string]*zone{}}
	root := &zone{name: ".", by: "."}
	for _, a := range s.roots() {
		root.servers = append(root.servers, nameServer{addrs: []netip.AddrPort{a}})
	}
	f.zones["."] = root
	return f
}

var errNobody = errors.New("neither the root servers nor a resolver gives an answer")

// Limits of the walk. Real trees have four cuts or so; a hostile one has no end.
const (
	maxCuts    = 12
	maxDepth   = 4  // name servers whose names lie in zones whose name servers lie …
	maxServers = 16 // of one zone
	maxTried   = 8  // servers of one zone, for one answer
	stagger    = 200 * time.Millisecond
)

// ask asks all questions at once and keeps what came back.
func (f *finder) ask(ctx context.Context, questions []dnsq.Question) []dnsq.Answer {
	answers := f.client.Ask(ctx, questions)
	f.keep(answers...)
	return answers
}

func (f *finder) keep(answers ...dnsq.Answer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range answers {
		f.observations = append(f.observations, a.Observation())
	}
}

// forget drops the observations so far.
func (f *finder) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.observations = []report.Observation{}
}

// first asks one server after the other, the next when one takes long, until an
// answer is good.
func (f *finder) first(ctx context.Context, servers []netip.AddrPort, q dnsq.Question, good func(dnsq.Answer) bool) (dnsq.Answer, bool) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	servers = shuffle(servers)
	answers := make(chan dnsq.Answer, len(servers))
	next, pending := 0, 0
	start := func() {
		if next < len(servers) {
			ask := q
			ask.Server = servers[next]
			next, pending = next+1, pending+1
			wg.Go(func() { answers <- f.client.One(ctx, ask) })
		}
	}
	start()
	late := time.NewTicker(stagger)
	defer late.Stop()
	for pending > 0 {
		select {
		case a := <-answers:
			pending--
			f.keep(a)
			if good(a) {
				return a, true
			}
			start()
		case <-late.C:
			start()
		}
	}
	return dnsq.Answer{}, false
}

// shuffle spreads the load, and puts IPv4 first: fewer computers lack it.
func shuffle(servers []netip.AddrPort) []netip.AddrPort {
	servers = slices.Clone(servers)
	rand.Shuffle(len(servers), func(i, j int) { servers[i], servers[j] = servers[j], servers[i] }) //nolint:gosec // nothing secret
	slices.SortStableFunc(servers, func(a, b netip.AddrPort) int { return cmp.Compare(a.Addr().BitLen(), b.Addr().BitLen()) })
	return servers[:min(len(servers), maxTried)]
}

// find walks from the root servers down to the zone that holds a name. The error
// says that nobody could be asked.
func (f *finder) find(ctx context.Context, name string) (*zone, error) {
	return f.walk(ctx, dnsq.Canonical(name), 0)
}

func (f *finder) walk(ctx context.Context, name string, depth int) (*zone, error) {
	if f.blind() != "" {
		return f.fromResolver(ctx, name)
	}
	z := f.deepest(name)
	for range maxCuts {
		next, answered := f.below(ctx, z, name, depth)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case !answered && z.name == ".":
			f.setBlind("the root servers give no answer from here")
			return f.fromResolver(ctx, name)
		case next == nil:
			return z, nil
		}
		f.mu.Lock()
		f.zones[next.name] = next
		f.mu.Unlock()
		z = next
	}
	return z, nil
}

func (f *finder) blind() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.rootless
}

func (f *finder) setBlind(why string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rootless = cmp.Or(f.rootless, why)
}

// deepest is the zone nearest to a name that is known already.
func (f *finder) deepest(name string) *zone {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		if z := f.zones[name]; z != nil {
			return z
		}
		name, _ = dnsq.Parent(name)
	}
}

// below is the zone under z on the way to name, nil when z itself holds name, or
// when none of its servers answers as they should.
func (f *finder) below(ctx context.Context, z *zone, name string, depth int) (next *zone, answered bool) {
	for ask := name; ; {
		a, ok := f.first(ctx, z.addresses(), dnsq.Question{Name: ask, Type: dnsq.SOA}, func(a dnsq.Answer) bool {
			if z.name == "." && f.sources.Roots == nil && a.Err == nil && a.Recursive {
				f.setBlind(whyIntercepted)
				return false
			}
			_, refers := referral(a, z.name, name)
			return refers || speaksFor(a)
		})
		if !ok {
			return nil, false
		}
		if cut, ok := referral(a, z.name, name); ok {
			return f.delegated(ctx, z, cut, a, depth), true
		}
		if apex := startOf(a); apex != "" && dnsq.Under(name, apex) {
			if apex == z.name || !dnsq.Under(apex, z.name) {
				return nil, true
			}
			return f.sameServers(ctx, z, apex, depth), true
		}
		// An alias hides the zone that it stands in: ask one name higher.
		up, ok := dnsq.Parent(ask)
		if !ok || ask == z.name || up == z.name {
			return nil, true
		}
		ask = up
	}
}

// whyIntercepted: no root server offers to find things out, so somebody else
// answers. What the zone's servers say then cannot be known either.
const whyIntercepted = "something on the way answers in place of the root servers"

// speaksFor reports whether a server answers as one that holds the zone.
func speaksFor(a dnsq.Answer) bool {
	return a.Err == nil && a.Authoritative && (a.Code == dnsq.NoError || a.Code == dnsq.NXDomain)
}

// referral finds the cut that an answer refers to: below zone, on the way to name.
func referral(a dnsq.Answer, zone, name string) (cut string, ok bool) {
	if a.Err != nil || a.Code != dnsq.NoError || len(a.Records) > 0 {
		return "", false
	}
	for _, r := range a.Authority {
		if r.Type == dnsq.NS && r.Name != zone && dnsq.Under(r.Name, zone) && dnsq.Under(name, r.Name) && len(r.Name) >= len(cut) {
			cut = r.Name
		}
	}
	return cut, cut != ""
}

// startOf is the zone that an answer's SOA record stands for.
func startOf(a dnsq.Answer) string {
	for _, list := range [][]dnsq.Record{a.Records, a.Authority} {
		for _, r := range list {
			if r.Type == dnsq.SOA {
				return r.Name
			}
		}
	}
	return ""
}

// delegated is the zone that a referral leads to. Addresses that come with it
// are taken where the zone above may know them.
func (f *finder) delegated(ctx context.Context, above *zone, cut string, a dnsq.Answer, depth int) *zone {
	z := &zone{name: cut, by: above.name}
	for _, r := range a.Authority {
		if r.Type == dnsq.NS && r.Name == cut {
			z.add(r.Target)
		}
	}
	for _, r := range a.Additional {
		if r.Addr.IsValid() && dnsq.Under(r.Name, above.name) {
			z.glue(r)
		}
	}
	f.complete(ctx, z, depth)
	return z
}

func (z *zone) add(name string) {
	known := slices.ContainsFunc(z.servers, func(s nameServer) bool { return s.name == name })
	if !known && len(z.servers) < maxServers {
		z.servers = append(z.servers, nameServer{name: name})
	}
}

func (z *zone) glue(r dnsq.Record) {
	for i := range z.servers {
		s := &z.servers[i]
		if s.name == r.Name {
			s.take(r.Addr)
		}
	}
}

const dnsPort = 53

func (s *nameServer) take(a netip.Addr) {
	at := netip.AddrPortFrom(a, dnsPort)
	if !slices.Contains(s.addrs, at) && len(s.addrs) < maxTried {
		s.addrs = append(s.addrs, at)
	}
}

// sameServers is a zone below z that z's servers answer for at once, without
// referring to it. A server of z that does not hold it still refers.
func (f *finder) sameServers(ctx context.Context, z *zone, apex string, depth int) *zone {
	var ask []dnsq.Question
	for _, s := range z.addresses() {
		ask = append(ask, dnsq.Question{Server: s, Name: apex, Type: dnsq.NS})
	}
	var own, refers *dnsq.Answer
	for _, a := range f.ask(ctx, ask) {
		if cut, ok := referral(a, z.name, apex); ok && cut == apex {
			refers = &a
		} else if speaksFor(a) && len(a.Of(apex, dnsq.NS)) > 0 {
			own = &a
		}
	}
	switch {
	case refers != nil:
		return f.delegated(ctx, z, apex, *refers, depth)
	case own != nil:
		a := *own
		a.Authority = a.Records
		return f.delegated(ctx, z, apex, a, depth)
	}
	return &zone{name: apex, by: z.name, servers: z.servers}
}

// complete finds the addresses of servers that came without.
func (f *finder) complete(ctx context.Context, z *zone, depth int) {
	var wg sync.WaitGroup
	for i := range z.servers {
		s := &z.servers[i]
		// A server inside the zone can be found through its own zone only.
		if len(s.addrs) == 0 && !dnsq.Under(s.name, z.name) && depth < maxDepth {
			wg.Go(func() {
				for _, a := range f.addressesOf(ctx, s.name, depth+1) {
					s.take(a)
				}
			})
		}
	}
	wg.Wait()
	slices.SortFunc(z.servers, func(a, b nameServer) int { return strings.Compare(a.name, b.name) })
}

// addressesOf finds a name server's addresses, from its own zone's servers or
// else from a resolver.
func (f *finder) addressesOf(ctx context.Context, name string, depth int) []netip.Addr {
	z, err := f.walk(ctx, name, depth)
	if err != nil {
		return nil
	}
	servers, q, good := z.addresses(), dnsq.Question{Name: name}, speaksFor
	if f.blind() != "" {
		servers, q.Recurse, good = f.resolvers(), true, resolves
	}
	var list []netip.Addr
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, t := range []dnsq.Type{dnsq.A, dnsq.AAAA} {
		wg.Go(func() {
			q := q
			q.Type = t
			a, _ := f.first(ctx, servers, q, good)
			mu.Lock()
			defer mu.Unlock()
			for _, r := range a.Records {
				if r.Type == t {
					list = append(list, r.Addr)
				}
			}
		})
	}
	wg.Wait()
	slices.SortFunc(list, netip.Addr.Compare)
	return list
}

// resolves reports whether a resolver found an answer out.
func resolves(a dnsq.Answer) bool {
	return a.Err == nil && (a.Code == dnsq.NoError || a.Code == dnsq.NXDomain)
}

func (f *finder) resolvers() []netip.AddrPort {
	return slices.Concat(f.sources.here(), f.sources.public())
}

// fromResolver asks a resolver for the zone and its servers, where the root
// servers cannot be asked.
func (f *finder) fromResolver(ctx context.Context, name string) (*zone, error) {
	for ask := name; ; {
		a, ok := f.first(ctx, f.resolvers(), dnsq.Question{Name: ask, Type: dnsq.SOA, Recurse: true}, resolves)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if !ok {
			return nil, errNobody
		}
		if apex := startOf(a); apex != "" && dnsq.Under(name, apex) {
			return f.namedByResolver(ctx, apex, a.Server)
		}
		up, ok := dnsq.Parent(ask)
		if !ok {
			return nil, errNobody
		}
		ask = up
	}
}

func (f *finder) namedByResolver(ctx context.Context, apex string, resolver netip.AddrPort) (*zone, error) {
	f.mu.Lock()
	z := f.zones[apex]
	f.mu.Unlock()
	if z != nil && apex != "." {
		return z, nil
	}
	a, ok := f.first(ctx, []netip.AddrPort{resolver}, dnsq.Question{Name: apex, Type: dnsq.NS, Recurse: true}, resolves)
	if !ok {
		return nil, cmp.Or(ctx.Err(), errNobody)
	}
	z = &zone{name: apex, by: byResolver + resolver.String()}
	for _, r := range a.Of(apex, dnsq.NS) {
		z.add(r.Target)
	}
	var wg sync.WaitGroup
	for i := range z.servers {
		s := &z.servers[i]
		wg.Go(func() {
			for _, t := range []dnsq.Type{dnsq.A, dnsq.AAAA} {
				a, _ := f.first(ctx, []netip.AddrPort{resolver}, dnsq.Question{Name: s.name, Type: t, Recurse: true}, resolves)
				for _, r := range a.Records {
					if r.Type == t {
						s.take(r.Addr)
					}
				}
			}
		})
	}
	wg.Wait()
	f.mu.Lock()
	f.zones[apex] = z
	f.mu.Unlock()
	return z, nil
}
