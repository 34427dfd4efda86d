package main

import (
	"context"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/pflag"

	"onsite/internal/dnsq"
	"onsite/netcheck"
	"onsite/report"
)

// dnsFlags are the flags of every command that asks for names: whom to ask in a
// network of its own.
type dnsFlags struct {
	resolvers, roots []string
}

func (d *dnsFlags) add(f *pflag.FlagSet) {
	d.addResolver(f)
	f.StringSliceVar(&d.roots, "roots", nil, "root servers of a network of its own: HOST:PORT (repeatable), or a file that lists them")
}

// addResolver is for commands that ask resolvers alone.
func (d *dnsFlags) addResolver(f *pflag.FlagSet) {
	f.StringSliceVar(&d.resolvers, "resolver", nil, "ask this resolver, HOST:PORT, in place of this computer's (repeatable)")
}

// resolver asks the resolvers that were named, in turn; nil when there are none.
func (d *dnsFlags) resolver(ctx context.Context) (*net.Resolver, error) {
	s, err := d.sources(ctx)
	return resolverOf(s), err
}

func resolverOf(s netcheck.Sources) *net.Resolver {
	if len(s.Resolvers) == 0 {
		return nil
	}
	var asked atomic.Uint64
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		at := s.Resolvers[(asked.Add(1)-1)%uint64(len(s.Resolvers))] // a question without an answer is asked again
		return new(net.Dialer).DialContext(ctx, network, at.String())
	}}
}

// sources is whom to ask.
func (d *dnsFlags) sources(ctx context.Context) (netcheck.Sources, error) {
	var s netcheck.Sources
	for _, text := range d.resolvers {
		at, err := nameServer(ctx, "resolver", text)
		if err != nil {
			return s, err
		}
		s.Resolvers = append(s.Resolvers, at)
	}
	for _, text := range d.roots {
		if isFile(text) {
			list, err := rootHints(text)
			if err != nil {
				return s, err
			}
			s.Roots = append(s.Roots, list...)
			continue
		}
		at, err := nameServer(ctx, "roots", text)
		if err != nil {
			return s, err
		}
		s.Roots = append(s.Roots, at)
	}
	return s, nil
}

func isFile(text string) bool {
	info, err := os.Stat(text)
	return err == nil && !info.IsDir()
}

// lookupTime is the longest that a name server's own name may take.
const lookupTime = 5 * time.Second

// nameServer understands HOST, HOST:PORT and addresses of both kinds.
func nameServer(ctx context.Context, flag, text string) (netip.AddrPort, error) {
	const dnsPort = "53"
	wrong := usageError("--%s %s: give an address such as 192.0.2.53 or 192.0.2.53:53", flag, text)
	if at, err := netip.ParseAddrPort(text); err == nil && at.Port() != 0 {
		return at, nil
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		host, port = strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"), dnsPort
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return netip.AddrPort{}, wrong
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return netip.AddrPortFrom(addr, uint16(number)), nil
	}
	if !dnsq.Valid(host) || strings.ContainsAny(host, `/\:@`) {
		return netip.AddrPort{}, wrong
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	list, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.AddrPort{}, report.Errorf(report.KindNoAnswer, "dns.no-answer", "give its address", "--%s %s: the name leads to no address: %w", flag, text, err)
	}
	slices.SortStableFunc(list, func(a, b netip.Addr) int { return a.Unmap().BitLen() - b.Unmap().BitLen() })
	return netip.AddrPortFrom(list[0].Unmap(), uint16(number)), nil
}

// rootHints reads a file in the form of IANA's named.root.
func rootHints(path string) ([]netip.AddrPort, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, report.Unreadable(path, err)
	}
	defer file.Close()
	records, err := dnsq.ReadZone(file)
	if err != nil {
		return nil, report.Errorf(report.KindInput, "file.unknown", "give a file in the form of named.root: NS records of the root, and A records", "%s: %w", path, err)
	}
	const dnsPort = 53
	var list []netip.AddrPort
	for _, r := range records {
		if r.Addr.IsValid() {
			list = append(list, netip.AddrPortFrom(r.Addr, dnsPort))
		}
	}
	if len(list) == 0 {
		return nil, report.Errorf(report.KindInput, "file.unknown", "give a file in the form of named.root: NS records of the root, and A records", "%s names no root server's address", path)
	}
	return list, nil
}
