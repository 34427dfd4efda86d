package reflector

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"math"
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

// Client asks a reflector. URL is needed, and Token but for Whoami; the zero
// value of everything else is the real thing. It may be used by several
// goroutines; a reflector opens one connection at a time for each address, so
// that a Dial waits until the Conn before is closed.
type Client struct {
	// URL is where the reflector is: https://reflector.example, or with a path
	// where a proxy in front serves it under one. https:// may be left away.
	URL string
	// Token is the operator's.
	Token []byte
	// Network is "tcp4", the default, or "tcp6": the reflector connects back to
	// the address that it is asked from, so this chooses which one is tested.
	Network string
	// Roots are the certificates to trust; nil: this computer's.
	Roots *x509.CertPool
	// Timeout bounds each exchange with the reflector, beside what it waits for
	// the site; 0: 5 seconds.
	Timeout time.Duration
	Now     func() time.Time // nil: time.Now
	// DialContext makes connections, as net.Dialer's method does; nil uses that.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)

	mu      sync.Mutex
	at      string // the address that answered first: a session is known there alone
	current *sessionJSON
}

// Conn is a connection through a reflector to this computer's own public
// address, at a port. It lives for ten seconds and carries 16 KiB each way.
type Conn struct {
	net.Conn
	// Source is where the connection to the site comes from, as the reflector
	// sees it.
	Source netip.AddrPort
	// Took is how long the reflector's connecting took.
	Took time.Duration

	reader *bufio.Reader // what came behind the answer, then the rest
}

func (c *Conn) Read(b []byte) (int, error) { return c.reader.Read(b) }

// DialError says how a connection failed that the reflector tried.
type DialError struct {
	Port    int
	Outcome string // Refused, Timeout or Unreachable
	Took    time.Duration
}

func (e *DialError) Error() string {
	what := map[string]string{
		Refused:     "was refused",
		Timeout:     "was not answered",
		Unreachable: "found nobody there: a router on the way answered that the address cannot be reached",
	}[e.Outcome]
	return fmt.Sprintf("the reflector's connection to port %d %s (%d ms)", e.Port, what, e.Took.Milliseconds())
}

const defaultTimeout = 5 * time.Second

// Whoami returns the address and port that the reflector sees this computer come
// from; the port is 0 when a proxy in front does not tell it. The error is a
// *report.Error, or ctx's own.
func (c *Client) Whoami(ctx context.Context) (netip.AddrPort, error) {
	a, err := c.ask(ctx, http.MethodGet, "/v1/whoami", nil, 0)
	if err != nil {
		return netip.AddrPort{}, err
	}
	a.close()
	if err := c.expect(a, http.StatusOK); err != nil {
		return netip.AddrPort{}, err
	}
	return c.parseWhoami(a)
}

func (c *Client) parseWhoami(a *answer) (netip.AddrPort, error) {
	var who whoamiJSON
	if json.Unmarshal(a.body, &who) != nil {
		return netip.AddrPort{}, c.notOne("its answer to whoami is not that of a reflector")
	}
	if who.Version != 0 && who.Version != serviceVersion {
		return netip.AddrPort{}, c.otherVersion()
	}
	addr, err := netip.ParseAddr(who.IP)
	if err != nil || addr.Zone() != "" {
		return netip.AddrPort{}, c.notOne("its answer to whoami holds no address")
	}
	return netip.AddrPortFrom(addr.Unmap(), who.Port), nil
}

// Ports returns the ports that the reflector connects to. It opens a session,
// which Dial goes on with.
func (c *Client) Ports(ctx context.Context) ([]int, error) {
	s, err := c.session(ctx)
	if err != nil {
		return nil, err
	}
	return slices.Clone(s.Ports), nil
}

// session returns the session that is open, or a new one.
func (c *Client) session(ctx context.Context) (*sessionJSON, error) {
	c.mu.Lock()
	s := c.current
	c.mu.Unlock()
	if s != nil {
		return s, nil // the reflector says when it has ended, by its own clock
	}
	if len(c.Token) == 0 {
		return nil, report.Errorf(report.KindMissing, "reflector.token.missing", "ask the reflector's operator for a token, and give it by file or environment variable",
			"the reflector at %s wants a token", c.name())
	}
	if slices.ContainsFunc(c.Token, func(b byte) bool { return b <= ' ' || b > '~' }) {
		return nil, report.Errorf(report.KindInput, "reflector.token.wrong", "copy the token again, alone and on one line", "the token has characters that no token has: spaces, line ends or letters with accents")
	}
	a, err := c.ask(ctx, http.MethodPost, "/v1/session", http.Header{"Authorization": {"Bearer " + string(c.Token)}}, 0)
	if err != nil {
		return nil, err
	}
	a.close()
	if err := c.expect(a, http.StatusOK); err != nil {
		return nil, err
	}
	s, err = c.parseSession(a)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.current = s
	c.mu.Unlock()
	return s, nil
}

const maxSessionToken = 1024

func (c *Client) parseSession(a *answer) (*sessionJSON, error) {
	var s sessionJSON
	wrong := json.Unmarshal(a.body, &s) != nil || s.Token == "" || len(s.Token) > maxSessionToken || len(s.Ports) == 0 || len(s.Ports) > 1024
	for _, port := range s.Ports {
		wrong = wrong || port < 1 || port > 65535
	}
	if wrong {
		return nil, c.notOne("its answer to session is not that of a reflector")
	}
	return &s, nil
}

func (c *Client) forget(s *sessionJSON) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == s {
		c.current = nil
	}
}

// Dial has the reflector connect to a port of the address that it sees this
// computer come from. A connection that it tried and that failed is a
// *DialError; any other error is a *report.Error, or ctx's own. When Dial has
// returned, ctx does not matter any more.
func (c *Client) Dial(ctx context.Context, port int) (*Conn, error) {
	for try := 0; ; try++ {
		s, err := c.session(ctx)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(s.Ports, port) {
			return nil, c.portRefused(port, s.Ports)
		}
		conn, err := c.pipe(ctx, s, port)
		old := report.HasCode(err, "reflector.session.refused") || report.HasCode(err, "reflector.address.changed")
		if !old || try > 0 {
			return conn, err
		}
		c.forget(s) // it has ended or is used up, or the reflector was started again
	}
}

func (c *Client) pipe(ctx context.Context, s *sessionJSON, port int) (*Conn, error) {
	query := url.Values{"port": {strconv.Itoa(port)}, "token": {s.Token}}
	header := http.Header{"Connection": {"Upgrade"}, "Upgrade": {upgrade}}
	a, err := c.ask(ctx, http.MethodGet, "/v1/pipe?"+query.Encode(), header, defaultLimits.turn+defaultLimits.dial)
	if err != nil {
		return nil, err
	}
	if a.status != http.StatusSwitchingProtocols {
		a.close()
		return nil, c.notPiped(a, port)
	}
	conn, err := c.parsePiped(a)
	if err != nil {
		a.close()
	}
	return conn, err
}

// parsePiped reads the head of a pipe.
func (c *Client) parsePiped(a *answer) (*Conn, error) {
	source, err := netip.ParseAddrPort(a.header.Get("X-Source"))
	ms, msErr := strconv.ParseUint(a.header.Get("X-Dial-Ms"), 10, 32)
	if a.header.Get("Upgrade") != upgrade || err != nil || msErr != nil || ms > maxTook || source.Addr().Zone() != "" {
		return nil, c.upgradeLost("it answered 101 without the words of a pipe")
	}
	a.bound.N = math.MaxInt64
	return &Conn{
		Conn: a.conn, reader: a.reader,
		Source: netip.AddrPortFrom(source.Addr().Unmap(), source.Port()), Took: time.Duration(ms) * time.Millisecond,
	}, nil
}

// maxTook is more milliseconds than any reflector spends on connecting.
const maxTook = 600_000

// notPiped says why an answer is no pipe.
func (c *Client) notPiped(a *answer, port int) error {
	var d dialJSON
	if a.status == http.StatusBadGateway && json.Unmarshal(a.body, &d) == nil && d.MS >= 0 && d.MS <= maxTook {
		switch d.Dial {
		case Refused, Timeout, Unreachable:
			return &DialError{Port: port, Outcome: d.Dial, Took: time.Duration(d.MS) * time.Millisecond}
		}
	}
	why := a.refusal()
	if why.Error == whyPort {
		return c.portRefused(port, why.Ports)
	}
	if a.status == http.StatusUpgradeRequired && why.Error != whyUpgrade && a.header.Get("Upgrade") != "" && a.header.Get("Upgrade") != upgrade {
		return c.otherVersion()
	}
	if a.status < 300 {
		return c.upgradeLost(fmt.Sprintf("it answered with status %d instead of 101", a.status))
	}
	return c.expect(a, http.StatusSwitchingProtocols)
}

// Warnings are what somebody should know who uses this client.
func (c *Client) Warnings() []report.Finding {
	u, err := c.parse()
	if err != nil || u.Scheme == "https" {
		return nil
	}
	if addr, err := netip.ParseAddr(u.Hostname()); err == nil && addr.IsLoopback() || u.Hostname() == "localhost" {
		return nil
	}
	return []report.Finding{report.Warn("reflector.plain", c.name(), "the token and what is tested go to the reflector over HTTP: both can be read on the way",
		"have the reflector's operator put TLS in front, and use https://")}
}

// parse reads the URL.
func (c *Client) parse() (*url.URL, error) {
	text := strings.TrimSpace(c.URL)
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	wrong := func(why string) error {
		shown := c.URL
		if strings.Contains(shown, "@") {
			shown = "…@…" // what stands before it may be a password
		}
		return report.Errorf(report.KindUsage, "reflector.url.wrong", "give the address that the reflector's operator named, such as https://reflector.example",
			"the URL %q of the reflector is wrong: %s", shown, why)
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, wrong("it cannot be read")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, wrong("only https and http are known")
	case u.User != nil:
		return nil, wrong("user names and passwords do not belong there")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, wrong("there is something behind ? or #")
	case u.Hostname() == "" || strings.ContainsAny(u.Hostname(), "% "):
		return nil, wrong("there is no host in it")
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return nil, wrong("the port is a number from 1 to 65535")
		}
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	return u, nil
}

// name is the reflector as messages call it.
func (c *Client) name() string {
	u, err := c.parse()
	if err != nil {
		return "the reflector"
	}
	return u.String()
}

// A reflector that has had too many requests is asked again when it says that it
// takes no longer than this.
const (
	patience = 3 * time.Second
	retries  = 3
)

// ask sends a request and reads the answer. wait is how long the reflector may
// take for the site.
func (c *Client) ask(ctx context.Context, method, path string, header http.Header, wait time.Duration) (*answer, error) {
	for try := 0; ; try++ {
		a, err := c.once(ctx, method, path, header, wait)
		if err != nil {
			return nil, err
		}
		after := a.retryAfter()
		if a.refusal().Error != whyRate || after == 0 || after > patience || try == retries {
			return a, nil
		}
		a.close()
		timer := time.NewTimer(after)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, c.failed(ctx, ctx.Err())
		}
	}
}

// once is ask on one connection, which is its own.
func (c *Client) once(ctx context.Context, method, path string, header http.Header, wait time.Duration) (*answer, error) {
	u, err := c.parse()
	if err != nil {
		return nil, err
	}
	limit := cmp.Or(c.Timeout, defaultTimeout)
	conn, err := c.connect(ctx, u, limit)
	if err != nil {
		return nil, c.failed(ctx, err)
	}
	conn.SetDeadline(time.Now().Add(limit + wait)) //nolint:errcheck // a connection that is broken shows when it is used
	cut := context.AfterFunc(ctx, func() { conn.Close() })
	a, err := exchange(conn, u, method, path, header)
	if !cut() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		conn.Close()
		return nil, c.unanswered(ctx, u, err)
	}
	conn.SetDeadline(time.Time{}) //nolint:errcheck // likewise
	return a, nil
}

// connect connects to the reflector, and always to the same of its addresses.
func (c *Client) connect(ctx context.Context, u *url.URL, limit time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	dial := c.DialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	port := cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	c.mu.Lock()
	at := c.at
	c.mu.Unlock()
	conn, err := dial(ctx, cmp.Or(c.Network, "tcp4"), cmp.Or(at, net.JoinHostPort(u.Hostname(), port)))
	if err != nil {
		return nil, err
	}
	if at == "" && addrOf(conn.RemoteAddr()).IsValid() {
		c.mu.Lock()
		c.at = addrOf(conn.RemoteAddr()).String()
		c.mu.Unlock()
	}
	if u.Scheme == "http" {
		return conn, nil
	}
	encrypted := tls.Client(conn, &tls.Config{
		ServerName: strings.TrimSuffix(u.Hostname(), "."), RootCAs: c.Roots, Time: c.Now,
		MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
	})
	if err := encrypted.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, &handshakeError{err}
	}
	return encrypted, nil
}

// handshakeError is a TLS handshake that failed.
type handshakeError struct{ err error }

func (e *handshakeError) Error() string { return e.err.Error() }
func (e *handshakeError) Unwrap() error { return e.err }
