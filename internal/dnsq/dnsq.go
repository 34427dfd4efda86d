// Package dnsq puts questions to name servers and takes nothing for an answer
// that is none: it must come from the server that was asked, carry the
// question's number, and repeat the question.
//
//	var c dnsq.Client
//	answers := c.Ask(ctx, []dnsq.Question{{Server: netip.MustParseAddrPort("192.0.2.53:53"), Name: "portal.acme.example", Type: dnsq.A}})
//
// A question goes by UDP, once more when nothing comes back, and then by TCP. Many
// are asked at once, each worker with sockets of its own. The package asks what
// it is told to and judges nothing; it caches nothing.
package dnsq

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	"onsite/report"
)

// Type is the type of a record, as IANA numbers them.
type Type uint16

// The types that onsite asks for.
const (
	A     Type = 1
	NS    Type = 2
	CNAME Type = 5
	SOA   Type = 6
	PTR   Type = 12
	TXT   Type = 16
	AAAA  Type = 28
	CAA   Type = 257
)

func (t Type) String() string { return dns.Type(t).String() }

// Question is one thing to ask one server.
type Question struct {
	Server netip.AddrPort
	Name   string // with or without the final dot; "." is the root
	Type   Type
	// Recurse asks a resolver to find the answer out. A zone's own servers are
	// asked without: they should say what they know themselves.
	Recurse bool
}

func (q Question) String() string {
	s := q.Type.String() + " " + q.Name
	if q.Recurse {
		s += ", recursive"
	}
	return s
}

// Code is the response code of an answer.
type Code int

// The codes that a verdict turns on.
const (
	NoError  Code = dns.RcodeSuccess
	FormErr  Code = dns.RcodeFormatError
	ServFail Code = dns.RcodeServerFailure
	NXDomain Code = dns.RcodeNameError
	NotImp   Code = dns.RcodeNotImplemented
	Refused  Code = dns.RcodeRefused
	NotAuth  Code = dns.RcodeNotAuth
)

func (c Code) String() string {
	if s, ok := dns.RcodeToString[int(c)]; ok {
		return s
	}
	return fmt.Sprintf("RCODE%d", int(c))
}

// Answer is what came back, or in Err why nothing did.
type Answer struct {
	Question
	Code          Code
	Authoritative bool // the server says that the zone is its own
	Recursive     bool // the server offers to find things out
	Records       []Record
	Authority     []Record
	Additional    []Record
	Extended      []Extended // why there is trouble (RFC 8914)
	TCP           bool
	Took          time.Duration
	Err           error // one of the errors below, or that of the context
}

// Why there is no answer.
var (
	ErrSilent      = errors.New("no answer in time")
	ErrClosed      = errors.New("nothing listens there (port unreachable)")
	ErrUnreachable = errors.New("no way there from this computer")
	ErrDamaged     = errors.New("the answer is damaged")
	ErrName        = errors.New("this is no name that DNS can hold")
)

// Extended is an extended DNS error.
type Extended struct {
	Code uint16
	Text string // the server's own words; may be empty
}

func (e Extended) String() string {
	s, ok := dns.ExtendedErrorCodeToString[e.Code]
	if !ok {
		s = fmt.Sprintf("extended error %d", e.Code)
	}
	if e.Text != "" {
		s += " (" + e.Text + ")"
	}
	return s
}

// Record is a record of one of the types above. Names are in lower case and
// without the final dot; the root is ".".
type Record struct {
	Name string
	Type Type
	TTL  time.Duration
	// Addr is that of A and AAAA.
	Addr netip.Addr
	// Target is the name that CNAME, NS and PTR lead to, and for SOA the zone's
	// primary server.
	Target string
	// Serial and Negative are SOA's: the zone's version, and how long others
	// may remember that a name is missing (RFC 2308).
	Serial   uint32
	Negative time.Duration
	// Flag, Tag and Value are CAA's. Value is TXT's text, too.
	Flag       byte
	Tag, Value string
}

func (r Record) String() string {
	switch r.Type {
	case A, AAAA:
		return fmt.Sprintf("%s %s", r.Type, r.Addr)
	case SOA:
		return fmt.Sprintf("SOA %s serial %d", r.Target, r.Serial)
	case CAA:
		return fmt.Sprintf("CAA %d %s %q", r.Flag, r.Tag, r.Value)
	case TXT:
		return fmt.Sprintf("TXT %q", r.Value)
	}
	return fmt.Sprintf("%s %s", r.Type, r.Target)
}

// Of returns the records of a type that a name has in the answer.
func (a Answer) Of(name string, t Type) []Record {
	var list []Record
	for _, r := range a.Records {
		if r.Type == t && r.Name == Canonical(name) {
			list = append(list, r)
		}
	}
	return list
}

// Canonical is the form in which names are compared: lower case, no final dot.
func Canonical(name string) string {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if name == "" {
		return "."
	}
	return name
}

// Parent is the name above, "." above a name of one label; ok is false for the
// root.
func Parent(name string) (parent string, ok bool) {
	name = Canonical(name)
	if name == "." {
		return "", false
	}
	labels := dns.SplitDomainName(name)
	if len(labels) < 2 {
		return ".", true
	}
	return strings.Join(labels[1:], "."), true
}

// Under reports whether name is zone or below it.
func Under(name, zone string) bool {
	return dns.IsSubDomain(dns.Fqdn(zone), dns.Fqdn(name))
}

// Valid reports whether DNS can hold a name: labels of 63 bytes, 253 in all, and
// for us in ASCII without spaces.
func Valid(name string) bool {
	const longest = 253
	if name == "" || len(strings.TrimSuffix(name, ".")) > longest || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return false
	}
	_, ok := dns.IsDomainName(name)
	return ok && (name == "." || !strings.HasPrefix(name, "."))
}

// Observation is the answer in the form that results carry.
func (a Answer) Observation() report.Observation {
	o := report.Observation{Server: a.Server.String(), Question: a.Question.String(), Milliseconds: a.Took.Milliseconds()}
	if a.TCP {
		o.Server += "/tcp"
	}
	if a.Err != nil {
		o.Error = a.Err.Error()
		return o
	}
	o.Answer = a.String()
	return o
}

// String is the answer in one line.
func (a Answer) String() string {
	if a.Err != nil {
		return a.Err.Error()
	}
	s := a.Code.String()
	if a.Authoritative {
		s += ", authoritative"
	}
	list, what := a.Records, ": "
	if len(list) == 0 {
		list, what = a.Authority, ", authority: "
	}
	for i, r := range list {
		if i == maxShown {
			s += fmt.Sprintf(", and %d more", len(list)-i)
			break
		}
		if i > 0 {
			what = ", "
		}
		s += fmt.Sprintf("%s%s %d %s", what, r.Name, int64(r.TTL/time.Second), r)
	}
	for _, e := range a.Extended {
		s += "; " + e.String()
	}
	return s
}

// maxShown is how many records one line holds.
const maxShown = 8

// One asks a single question.
func (c *Client) One(ctx context.Context, q Question) Answer {
	return c.Ask(ctx, []Question{q})[0]
}
