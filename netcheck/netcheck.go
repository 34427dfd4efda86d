// Package netcheck judges what a site shows to the network. Here is the name:
// what one name server answers for it.
//
//	addrs, findings := netcheck.CheckA(ctx, netcheck.DNSOptions{
//		Name: "portal.acme.example", Server: "192.0.2.53:53", Expect: netip.MustParseAddr("203.0.113.10"),
//	})
//
// It asks and judges; it changes no record.
package netcheck

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"onsite/report"
)

// DNSOptions says what to ask whom.
type DNSOptions struct {
	Name   string // a host name, with or without the final dot
	Server string // host:port of the name server
	// Expect is the address that the name should have; the zero value takes any.
	Expect netip.Addr
	// Timeout is the longest wait for one answer; 0: 3 s. A question is asked
	// twice by UDP, for datagrams get lost.
	Timeout time.Duration
}

// udpTries is how often a question is sent by UDP before it counts as unanswered.
const udpTries = 2

// CheckA asks a server for the A records of a name and judges them. The
// addresses are nil when there was no answer.
func CheckA(ctx context.Context, o DNSOptions) ([]netip.Addr, []report.Finding) {
	name := strings.TrimSuffix(o.Name, ".")
	o.Expect = o.Expect.Unmap()
	answer, err := o.ask(ctx)
	if err != nil {
		return nil, []report.Finding{report.Unknown("dns.no-answer", name,
			fmt.Sprintf("name server %s: %v", o.Server, err),
			"check that the name server's address is right and that port 53 is not blocked")}
	}
	switch answer.Rcode {
	case dns.RcodeSuccess:
	case dns.RcodeNameError:
		return nil, []report.Finding{report.Fail("dns.name.missing", name,
			fmt.Sprintf("name server %s: the name does not exist (NXDOMAIN)", o.Server),
			"add an A record for it where the domain's DNS is managed")}
	default:
		return nil, []report.Finding{report.Unknown("dns.server.error", name,
			fmt.Sprintf("name server %s answers %s", o.Server, dns.RcodeToString[answer.Rcode]),
			"ask a name server that is responsible for the domain")}
	}
	var addrs []netip.Addr
	for _, rr := range answer.Answer {
		if a, ok := rr.(*dns.A); ok {
			if addr, ok := netip.AddrFromSlice(a.A); ok {
				addrs = append(addrs, addr.Unmap())
			}
		}
	}
	return addrs, []report.Finding{judgeA(name, addrs, o)}
}

func judgeA(name string, addrs []netip.Addr, o DNSOptions) report.Finding {
	switch {
	case len(addrs) == 0:
		return report.Fail("dns.a.none", name, fmt.Sprintf("name server %s: the name has no A record", o.Server),
			"add an A record with the site's WAN address")
	case !o.Expect.IsValid():
		return report.Pass("dns.a.found", name, fmt.Sprintf("A %s, says name server %s", join(addrs), o.Server))
	case !slices.Contains(addrs, o.Expect):
		return report.Fail("dns.a.mismatch", name, fmt.Sprintf("A %s instead of %s, says name server %s", join(addrs), o.Expect, o.Server),
			fmt.Sprintf("change the A record to %s where the domain's DNS is managed", o.Expect))
	case len(addrs) > 1:
		return report.Warn("dns.a.several", name, fmt.Sprintf("A %s, says name server %s: visitors get any of them", join(addrs), o.Server),
			fmt.Sprintf("remove all but %s", o.Expect))
	}
	return report.Pass("dns.a.matches", name, fmt.Sprintf("A %s, says name server %s", o.Expect, o.Server))
}

// ask sends the question by UDP, and by TCP when the answer does not fit.
func (o DNSOptions) ask(ctx context.Context) (*dns.Msg, error) {
	timeout := o.Timeout
	if timeout == 0 {
		timeout = 3 * time.Second
	}
	question := new(dns.Msg)
	question.SetQuestion(dns.Fqdn(o.Name), dns.TypeA)
	var answer *dns.Msg
	var err error
	for range udpTries {
		answer, err = exchange(ctx, &dns.Client{Net: "udp", Timeout: timeout}, question, o.Server)
		if err == nil || ctx.Err() != nil {
			break
		}
	}
	if err == nil && answer.Truncated {
		answer, err = exchange(ctx, &dns.Client{Net: "tcp", Timeout: timeout}, question, o.Server)
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, plainError(err)
	}
	return answer, nil
}

// exchange sends a question and waits for its answer. The client by itself
// would sit out its time when ctx is cancelled.
func exchange(ctx context.Context, client *dns.Client, question *dns.Msg, server string) (*dns.Msg, error) {
	conn, err := client.DialContext(ctx, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	answer, _, err := client.ExchangeWithConnContext(ctx, question, conn)
	return answer, err
}

// plainError says in a technician's words why there is no answer.
func plainError(err error) error {
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return errors.New("no answer in time")
	}
	if strings.Contains(err.Error(), "refused") {
		return errors.New("nothing listens there (port unreachable)")
	}
	return err
}

func join(addrs []netip.Addr) string {
	list := make([]string, len(addrs))
	for i, a := range addrs {
		list[i] = a.String()
	}
	return strings.Join(list, ", ")
}
