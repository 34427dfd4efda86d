package ddns

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	"onsite/internal/dnsq"
	"onsite/report"
)

// RFC2136 is the protocol by which a name server takes changes of its records
// (RFC 2136), signed with a key (TSIG, RFC 8945).
type RFC2136 struct {
	Key Key
	// Host is the server to ask, as host or host:port; "" for the zone's primary,
	// which its SOA names.
	Host    string
	Zone    string        // "" to find it
	TTL     uint32        // of the record; 0: 60 s
	Timeout time.Duration // for the whole exchange; 0: 15 s
	// DialContext makes connections; nil: as net.Dialer does.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
	Now         func() time.Time // nil: time.Now
}

const (
	defaultTTL = 60
	fudge      = 300 // seconds by which clocks may differ (RFC 8945, section 10)
)

// Name is "rfc2136".
func (r *RFC2136) Name() string { return "rfc2136" }

// Server is that which was named; "" for the one that the zone names.
func (r *RFC2136) Server() string { return r.Host }

// User is the name of the key.
func (r *RFC2136) User() string { return strings.TrimSuffix(r.Key.Name, ".") }

func (r *RFC2136) fingerprint() []byte {
	return fmt.Appendf(nil, "%s\x00%s\x00%s\x00%s\x00%s\x00%d", r.Host, r.Zone, r.Key.Name, r.Key.Algorithm, r.Key.secret, r.TTL)
}

func (r *RFC2136) check(name string) ([]report.Finding, error) {
	if r.Zone != "" && !dns.IsSubDomain(dns.CanonicalName(r.Zone), dns.CanonicalName(name)) {
		return nil, report.Errorf(report.KindUsage, "usage", "leave --zone away: it is found",
			"%s does not lie in the zone %s", name, r.Zone)
	}
	return nil, nil
}

// message is the update: the A records of the name are deleted and one is added,
// whatever was there (RFC 2136, sections 2.5.2 and 2.5.1). Both happen at once.
func (r *RFC2136) message(zone, name string, addr netip.Addr) *dns.Msg {
	header := dns.RR_Header{Name: dns.Fqdn(name), Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: cmp.Or(r.TTL, defaultTTL)}
	record := &dns.A{Hdr: header, A: addr.AsSlice()}
	m := new(dns.Msg).SetUpdate(dns.Fqdn(zone))
	m.RemoveRRset([]dns.RR{record})
	m.Insert([]dns.RR{record})
	now := r.Now
	if now == nil {
		now = time.Now
	}
	m.SetTsig(r.Key.Name, r.Key.Algorithm, fudge, now().Unix())
	return m
}

func (r *RFC2136) send(ctx context.Context, name string, addr netip.Addr, known Authority) answer {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(r.Timeout, defaultTimeout))
	defer cancel()
	start := time.Now()
	zone, server, err := r.find(ctx, name, known)
	var a answer
	if err != nil {
		a = r.failure(name, server, err)
	} else {
		a = r.update(ctx, zone, server, name, addr)
	}
	a.observation = report.Observation{
		Server: cmp.Or(server, r.Host), Question: fmt.Sprintf("UPDATE %s: delete %s A, add %s %d A %s", cmp.Or(zone, "?"), name, name, cmp.Or(r.TTL, defaultTTL), addr),
		Answer: a.word, Milliseconds: time.Since(start).Milliseconds(),
	}
	if a.word == "" {
		a.observation.Error = a.finding.Detail
	}
	return a
}

func (r *RFC2136) update(ctx context.Context, zone, server, name string, addr netip.Addr) answer {
	m := r.message(zone, name, addr)
	raw, mac, err := dns.TsigGenerate(m, r.Key.secret, "", false)
	if err != nil {
		return r.failure(name, server, err)
	}
	reply, err := exchange(ctx, r.DialContext, server, raw)
	if err != nil {
		return r.failure(name, server, err)
	}
	return r.judge(name, server, zone, addr, m.Id, mac, reply)
}

// find says which server to ask, and for which zone.
func (r *RFC2136) find(ctx context.Context, name string, known Authority) (zone, server string, err error) {
	if r.Host == "" {
		if len(known.Primary) == 0 {
			return known.Zone, "", errPrimary
		}
		return cmp.Or(r.Zone, known.Zone), reachable(ctx, r.DialContext, known.Primary), nil
	}
	server = withPort(r.Host)
	if r.Zone != "" {
		return r.Zone, server, nil
	}
	// A server inside may have other zones than those that the world sees.
	zone, err = r.zoneAt(ctx, server, name)
	return zone, server, err
}

// reachable is the first of several addresses of one server that takes a
// connection; the last one, when none does.
func reachable(ctx context.Context, dial dialFunc, servers []string) string {
	for _, s := range servers[:len(servers)-1] {
		limited, cancel := context.WithTimeout(ctx, 3*time.Second)
		conn, err := connect(limited, dial, withPort(s))
		cancel()
		if err == nil {
			conn.Close()
			return withPort(s)
		}
	}
	return withPort(servers[len(servers)-1])
}

// Why there is no server to ask.
var (
	errZone    = errors.New("it has no zone that this name lies in")
	errPrimary = errors.New("the zone names no primary server")
)

// zoneAt asks a server for the zone of a name, climbing up from the name: the
// SOA is at the zone's top.
func (r *RFC2136) zoneAt(ctx context.Context, server, name string) (string, error) {
	name = dns.CanonicalName(name)
	for off, end := 0, false; !end; off, end = dns.NextLabel(name, off) {
		m := new(dns.Msg).SetQuestion(name[off:], dns.TypeSOA)
		m.RecursionDesired = false
		raw, err := m.Pack()
		if err != nil {
			return "", err
		}
		reply, err := exchange(ctx, r.DialContext, server, raw)
		if err != nil {
			return "", err
		}
		in := new(dns.Msg)
		if err := in.Unpack(reply); err != nil || in.Id != m.Id {
			return "", errNotDNS
		}
		if !in.Authoritative {
			continue // a referral, a refusal, or what it heard from others
		}
		for _, rr := range append(in.Answer, in.Ns...) {
			if soa, ok := rr.(*dns.SOA); ok && dns.IsSubDomain(soa.Hdr.Name, name) {
				return strings.TrimSuffix(dns.CanonicalName(soa.Hdr.Name), "."), nil
			}
		}
	}
	return "", errZone
}

type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

var errNotDNS = errors.New("what comes back is no answer of a name server")

func withPort(host string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), "53")
}

func connect(ctx context.Context, dial dialFunc, server string) (net.Conn, error) {
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	return dial(ctx, "tcp", server)
}

// exchange connects, sends one message over TCP and reads one back.
func exchange(ctx context.Context, dial dialFunc, server string, raw []byte) ([]byte, error) {
	conn, err := connect(ctx, dial, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return nil, err
		}
	}
	reply, err := dnsq.Exchange(conn, raw)
	if err != nil {
		return nil, cmp.Or(ctx.Err(), err)
	}
	return reply, nil
}
