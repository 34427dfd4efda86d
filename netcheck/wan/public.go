package wan

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"onsite/report"
)

// DefaultEchoes are services that answer with the address that they see, each
// run by somebody else.
var DefaultEchoes = []string{
	"https://api64.ipify.org",
	"https://checkip.amazonaws.com",
	"https://icanhazip.com",
	"https://ident.me",
	"https://ifconfig.me/ip",
	"https://ipinfo.io/ip",
}

// DefaultSTUN are public STUN servers, each run by somebody else.
var DefaultSTUN = []string{"stun.cloudflare.com:3478", "stun.l.google.com:19302"}

// PublicOptions says whom to ask for the public address. The zero value asks
// the public services.
type PublicOptions struct {
	Echoes []string // URLs; nil: DefaultEchoes
	STUN   []string // host:port; nil: DefaultSTUN
	// Timeout bounds the whole question; 0: 5 s.
	Timeout time.Duration
	// Roots are trusted for HTTPS; nil: this computer's.
	Roots *x509.CertPool
	// UserAgent is what the services are told; "": onsite.
	UserAgent string
	// DialContext makes connections to host:port; network is tcp4, tcp6, udp4 or
	// udp6. nil uses net.Dialer's.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
	// HasIPv6 reports whether this computer has a way to the IPv6 Internet; nil
	// looks at its routes.
	HasIPv6 func() bool
	Now     func() time.Time // nil: time.Now
}

// PublicAddress is the address from which this computer reaches the Internet.
type PublicAddress struct {
	// Addr and Addr6 are the IPv4 and the IPv6 address. They are zero unless at
	// least two services agree and hardly any contradicts.
	Addr, Addr6 netip.Addr
	// HTTPS and STUN are the IPv4 addresses that only the services of that kind
	// have seen, where the two kinds contradict each other.
	HTTPS, STUN  netip.Addr
	Findings     []report.Finding
	Observations []report.Observation
	// Answered reports whether anybody gave a usable answer.
	Answered bool
	// several reports whether more than one address has several witnesses, and
	// heard whether anybody answered in any way.
	several, heard bool
}

// Public asks several services, over HTTPS and by STUN and in both families,
// which address they see, and believes what most of them say. It waits for all
// of them, except where those that are left could not change the outcome.
//
// Nobody is asked through a proxy: it is its own address that a proxy shows.
func Public(ctx context.Context, o PublicOptions) PublicAddress {
	o = o.withDefaults()
	ctx, cancel := context.WithTimeoutCause(ctx, o.Timeout, errNoAnswer)
	defer cancel()
	families := []string{"4"}
	if o.HasIPv6() {
		families = append(families, "6")
	}
	parts := make([]PublicAddress, len(families))
	var wg sync.WaitGroup
	for i, family := range families {
		wg.Go(func() { parts[i] = judge(family, o.ask(ctx, family)) })
	}
	wg.Wait()
	public := parts[0]
	for _, six := range parts[1:] {
		public.Addr6, public.Answered, public.heard = six.Addr, public.Answered || six.Answered, public.heard || six.heard
		public.Findings = append(public.Findings, six.Findings...)
		public.Observations = append(public.Observations, six.Observations...)
	}
	return public
}

func (o PublicOptions) withDefaults() PublicOptions {
	if o.Echoes == nil {
		o.Echoes = DefaultEchoes
	}
	if o.STUN == nil {
		o.STUN = DefaultSTUN
	}
	o.Timeout = cmp.Or(o.Timeout, 5*time.Second)
	o.UserAgent = cmp.Or(o.UserAgent, "onsite")
	if o.DialContext == nil {
		o.DialContext = new(net.Dialer).DialContext
	}
	if o.HasIPv6 == nil {
		o.HasIPv6 = hasIPv6
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

var (
	errNoAnswer = errors.New("no answer in time")
	errSettled  = errors.New("not waited for: it could not change the outcome")
)

// witness is one service, and what it said.
type witness struct {
	name   string // its host: two answers of one host count once
	server string // URL or host:port
	stun   bool
	addr   netip.Addr
	answer string // as it came
	err    error
	took   time.Duration
}

// grace is how long the others are waited for once the outcome is certain.
const grace = time.Second

// ask asks everybody at once over one family.
func (o PublicOptions) ask(ctx context.Context, family string) []witness {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	list := o.witnesses()
	client := o.client("tcp" + family)
	answers := make(chan int, len(list))
	for i := range list {
		go func() {
			w := &list[i]
			start := o.Now()
			if w.stun {
				var seen netip.AddrPort
				seen, w.err = o.askSTUN(ctx, "udp"+family, w.server)
				if w.err == nil {
					w.addr, w.answer = seen.Addr(), seen.String()
				}
			} else if w.addr, w.err = o.askEcho(ctx, client, w.server); w.err == nil {
				w.answer = w.addr.String()
			}
			if w.err == nil && w.addr.Is4() != (family == "4") {
				w.err = errors.New("an address of the other family")
			}
			w.err = ended(ctx, w.err)
			w.took = o.Now().Sub(start)
			answers <- i
		}()
	}
	var settled <-chan time.Time
	var heard []witness
	for len(heard) < len(list) {
		select {
		case i := <-answers:
			heard = append(heard, list[i])
			if settled == nil && isSettled(heard, len(list)) {
				settled = time.After(grace)
			}
		case <-settled:
			cancel(errSettled) // those that are left end now
			settled = nil
		}
	}
	return list
}

func (o PublicOptions) witnesses() []witness {
	var list []witness
	add := func(w witness) {
		if !slices.ContainsFunc(list, func(other witness) bool { return other.name == w.name && other.stun == w.stun }) {
			list = append(list, w)
		}
	}
	for _, e := range o.Echoes {
		name := e
		if u, err := url.Parse(e); err == nil {
			name = u.Hostname()
		}
		add(witness{name: name, server: e})
	}
	for _, s := range o.STUN {
		name, _, err := net.SplitHostPort(s)
		if err != nil {
			name = s
		}
		add(witness{name: name, server: s, stun: true})
	}
	return list
}

// CheckEcho reports what is wrong with the URL of a what-is-my-address service.
func CheckEcho(text string) error {
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Hostname() == "" || u.User != nil {
		return errors.New("give a URL such as https://api.ipify.org")
	}
	return nil
}

// CheckSTUN reports what is wrong with the address of a STUN server.
func CheckSTUN(text string) error {
	host, port, err := net.SplitHostPort(text)
	if n, e := strconv.ParseUint(port, 10, 16); err != nil || e != nil || n == 0 || host == "" || strings.ContainsAny(host, "/ ") {
		return errors.New("give HOST:PORT, such as stun.cloudflare.com:3478")
	}
	return nil
}

// observe tells what was asked and answered, for the record.
func (w witness) observe(family string) report.Observation {
	question := http.MethodGet
	if w.stun {
		question = "STUN binding request"
	}
	o := report.Observation{
		Server: w.server, Question: fmt.Sprintf("%s over IPv%s", question, family),
		Answer: w.answer, Milliseconds: w.took.Milliseconds(),
	}
	if w.err != nil {
		o.Error = plain(w.err)
	}
	return o
}
