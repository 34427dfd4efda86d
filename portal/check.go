package portal

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"onsite/pkcs"
	"onsite/report"
)

// CheckOptions says what to check. The zero value of every field but URL is the
// real thing.
type CheckOptions struct {
	// URL is what people open; a host or host:port means https://. Only http
	// and https are known.
	URL string
	// Roots are the certificates to trust; nil: this computer's.
	Roots []*x509.Certificate
	// Connect is a host or host:port to connect to instead of the URL's; "" for
	// none. A redirect to another port of the URL's host connects to that port
	// of Connect's host; other hosts are looked up.
	Connect string
	Now     func() time.Time // nil: time.Now
	// Timeout bounds the whole check, redirects included; half of it bounds
	// each connecting. 0 means 10 seconds.
	Timeout time.Duration
	// DialContext makes connections, as net.Dialer's method does; nil uses that.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Result is what a server showed. Where several were met, by redirects, all but
// URL and Redirects is that of the last one reached.
type Result struct {
	URL          string        `json:"url"`          // as understood
	Connected    string        `json:"connected"`    // address:port, "" when there was no connection
	StatusCode   int           `json:"status_code"`  // 0 when there was no HTTP answer
	Protocol     string        `json:"protocol"`     // "HTTP/2.0"
	TLSVersion   string        `json:"tls_version"`  // "TLS 1.3"; "" over HTTP
	Cipher       string        `json:"cipher"`       // by its IANA name
	ALPN         string        `json:"alpn"`         // "h2"
	Milliseconds int64         `json:"milliseconds"` // from the start to the last answer
	Redirects    []string      `json:"redirects"`    // where the redirects led, in order
	Certificates []Certificate `json:"certificates"` // as sent, in order
	// Portal is what the portal saw of us, when it is one of ours.
	Portal *Seen `json:"portal"`
}

const (
	maxRedirects  = 5
	maxAnswer     = 64 << 10 // bytes of a body, and of headers, that are read
	maxHost       = 253      // characters of a host name (RFC 1035, section 2.3.4)
	maxSkew       = 5 * time.Minute
	defaultPeriod = 10 * time.Second
)

// Check opens a URL as a client would, judging everything on the way: the name,
// the connection, the TLS version, the certificates as sent, redirects, the
// answer, the clocks. It goes on where it can, to say all at once; the
// environment's proxies are not used.
//
// The error, a *report.Error, is "portal.url.wrong" (KindUsage) or
// "portal.resolver.silent" (KindNoAnswer), when it cannot be known whether the
// name is there; or it is ctx's own. Everything that is wrong with the server is
// a finding.
func Check(ctx context.Context, o CheckOptions) (Result, []report.Finding, error) {
	c := &check{o: o, result: Result{Redirects: []string{}, Certificates: []Certificate{}}}
	if c.o.Now == nil {
		c.o.Now = time.Now
	}
	if c.o.DialContext == nil {
		c.o.DialContext = new(net.Dialer).DialContext
	}
	c.o.Timeout = cmp.Or(c.o.Timeout, defaultPeriod)
	u, err := parseURL(o.URL)
	if err != nil {
		return c.result, nil, err
	}
	if c.connect, err = parseConnect(o.Connect, u); err != nil {
		return c.result, nil, err
	}
	c.origin, c.result.URL = u, u.String()
	limited, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	err = c.follow(limited, u)
	if errors.Is(ctx.Err(), context.Canceled) {
		return c.result, nil, ctx.Err() // what failed last failed for that
	}
	return c.result, c.findings, err
}

// check is one Check at work.
type check struct {
	o        CheckOptions
	origin   *url.URL
	connect  string // host:port, "" for none
	result   Result
	findings []report.Finding
}

func (c *check) add(f ...report.Finding) { c.findings = append(c.findings, f...) }

// follow visits a URL and those that it redirects to.
func (c *check) follow(ctx context.Context, u *url.URL) error {
	start := c.o.Now()
	seen := []string{u.String()}
	for {
		v := &visit{check: c, url: u}
		response, err := v.get(ctx)
		if err != nil {
			return err
		}
		if response == nil {
			return nil // a finding says why
		}
		c.result.Milliseconds = c.o.Now().Sub(start).Milliseconds()
		next := c.judgeAnswer(u, response)
		if next == nil {
			if !v.wrongScheme {
				c.identify(ctx, v)
			}
			v.close()
			return nil
		}
		v.close()
		c.result.Redirects = append(c.result.Redirects, next.String())
		if slices.Contains(seen, next.String()) || len(seen) > maxRedirects {
			c.add(report.Fail("portal.redirect.loop", u.String(),
				fmt.Sprintf("the redirects do not end: after %d of them, %s leads to %s", len(seen), u, next),
				"look at the redirect rules of the server: http to https is the only one that is needed"))
			return nil
		}
		seen = append(seen, next.String())
		u = next
	}
}

// judgeAnswer judges an HTTP answer and returns where it leads on, or nil.
func (c *check) judgeAnswer(u *url.URL, a *answer) *url.URL {
	c.result.StatusCode, c.result.Protocol = a.status, a.protocol
	c.judgeClock(u, a.header)
	if u.Scheme == "http" && a.speaksOfTLS() {
		c.add(wrongScheme(u))
		return nil
	}
	if a.isRedirect() {
		return c.judgeRedirect(u, a.header.Get("Location"))
	}
	if u.Scheme == "http" {
		c.add(report.Warn("portal.http.plain", u.String(), "the page comes over HTTP: not encrypted, and not led on to HTTPS",
			"give people the https:// address, or have the server redirect to it"))
	}
	detail := fmt.Sprintf("answers with %s, status %d %s", a.protocol, a.status, http.StatusText(a.status))
	detail = strings.TrimSpace(detail)
	switch {
	case a.status >= 200 && a.status < 300:
		c.add(report.Pass("portal.http.status", u.String(), detail))
	case a.status >= 500:
		c.add(report.Fail("portal.http.status", u.String(), detail, "the server is there, but its application fails: look into its log"))
	default:
		c.add(report.Warn("portal.http.status", u.String(), detail, "the server is there; check that the path of the URL is the one that people open"))
	}
	return nil
}

func wrongScheme(u *url.URL) report.Finding {
	return report.Fail("portal.scheme.wrong", u.String(), "HTTPS is spoken on this port, not HTTP", "open it as https://"+u.Host)
}

// judgeRedirect returns the address to go on with; nil when there is none.
func (c *check) judgeRedirect(from *url.URL, location string) *url.URL {
	to, err := from.Parse(location)
	if location == "" || err != nil || checkURL(to) != nil {
		if strings.Contains(location, "@") {
			location = "…@…" // what stands before it may be a password
		}
		c.add(report.Fail("portal.redirect.wrong", from.String(), fmt.Sprintf("it redirects to %q, which is no address of a page", report.Shorten(location, maxShown)),
			"mend the redirect rule of the server"))
		return nil
	}
	to.Fragment, to.RawFragment = "", ""
	tidy(to)
	where := "redirects to " + to.String()
	if from.Scheme == "https" && to.Scheme == "http" {
		c.add(report.Fail("portal.redirect.downgrade", from.String(), where+": from an encrypted page to one that is not",
			"have it redirect to https://, or not at all"))
		c.result.Redirects = append(c.result.Redirects, to.String())
		return nil
	}
	if to.Hostname() != from.Hostname() {
		c.add(report.Warn("portal.redirect.elsewhere", from.String(), where+", on another host",
			"check that this is meant; the certificate must cover both names"))
	} else if from.Scheme != to.Scheme {
		c.add(report.Pass("portal.redirect.https", from.String(), where))
	}
	return to
}

// judgeClock compares the Date of an answer (RFC 9110, section 6.6.1) with this
// computer's clock: certificates are judged by both.
func (c *check) judgeClock(u *url.URL, h http.Header) {
	there, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return // servers without a clock send none
	}
	here := c.o.Now()
	if here.Sub(there).Abs() <= maxSkew {
		return
	}
	const layout = "2006-01-02 15:04:05 MST"
	c.add(report.Warn("portal.clock.skew", u.Host,
		fmt.Sprintf("the server's clock says %s, this computer's %s", there.UTC().Format(layout), here.UTC().Format(layout)),
		"set the clock that is wrong, best from the network (NTP): certificates are judged by it"))
}

// identify asks whether the server is a portal of ours. One that is not, and
// whatever goes wrong in asking, is no finding.
func (c *check) identify(ctx context.Context, v *visit) {
	nonce := rand.Text()
	ask := &url.URL{Scheme: v.url.Scheme, Host: v.url.Host, Path: wellKnown, RawQuery: "nonce=" + nonce}
	a, err := v.request(ctx, ask)
	if err != nil || a.status != http.StatusOK || a.cut {
		return
	}
	seen, ok := parseSeen(a.body, nonce)
	if !ok {
		return
	}
	c.result.Portal = seen
	detail := "this is an onsite portal"
	if from, err := netip.ParseAddrPort(seen.Remote); err == nil {
		detail += ", and it saw us come from " + from.Addr().Unmap().String()
	}
	c.add(report.Pass("portal.identity", v.url.Host, detail))
}

// answer is an HTTP response that was read.
type answer struct {
	status   int
	protocol string
	header   http.Header
	body     []byte
	cut      bool // there was more of the body
}

func (a *answer) isRedirect() bool {
	switch a.status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// speaksOfTLS recognises the answer of an HTTPS server to plain HTTP: that of
// Go, nginx, Apache and Tomcat, in this order.
func (a *answer) speaksOfTLS() bool {
	if a.status != http.StatusBadRequest {
		return false
	}
	text := strings.ToLower(string(a.body))
	return slices.ContainsFunc([]string{
		"sent an http request to an https server", "plain http request was sent to https port",
		"speaking plain http to an ssl-enabled", "requires tls",
	}, func(s string) bool { return strings.Contains(text, s) })
}

// readAnswer reads and closes a response.
func readAnswer(r *http.Response) (*answer, error) {
	defer r.Body.Close()
	body, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer+1))
	a := &answer{status: r.StatusCode, protocol: r.Proto, header: r.Header, body: body}
	if len(body) > maxAnswer {
		a.body, a.cut = body[:maxAnswer], true
	}
	return a, err
}

// parseURL understands what people type for a page.
func parseURL(text string) (*url.URL, error) {
	text = strings.TrimSpace(text)
	if a, err := netip.ParseAddr(text); err == nil && a.Is6() {
		text = "[" + text + "]"
	}
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err == nil {
		err = checkURL(u)
	}
	if err != nil {
		return nil, wrongURL(text, err)
	}
	u.Fragment, u.RawFragment = "", ""
	tidy(u)
	return u, nil
}

// tidy gives a URL the form in which two of the same page are equal: the host
// in lower case and A-labels, a path, no port that goes without saying, a query
// that can stand in a request line.
func tidy(u *url.URL) {
	u.RawQuery = escapeQuery(u.RawQuery)
	if u.Path == "" {
		u.Path = "/"
	}
	host := toASCII(u.Hostname())
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port := u.Port(); port != "" && port != defaultPort(u) {
		host += ":" + port
	}
	u.Host = host
}

// escapeQuery escapes what RFC 3986 does not allow in a query and url.Parse lets
// through: spaces and what is not ASCII.
func escapeQuery(query string) string {
	var b strings.Builder
	for _, c := range []byte(query) {
		if c <= ' ' || c >= 0x7f {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func wrongURL(text string, err error) *report.Error {
	const remedy = "give an address such as https://portal.acme.example:4444, or portal.acme.example"
	if cause, ok := errors.AsType[*url.Error](err); ok {
		err = cause.Err
	}
	if strings.Contains(text, "@") { // what stands before it may be a password
		return report.Errorf(report.KindUsage, "portal.url.wrong", remedy, "the URL is wrong: it holds an @")
	}
	return report.Errorf(report.KindUsage, "portal.url.wrong", remedy, "the URL %q is wrong: %w", report.Shorten(text, maxShown), err)
}

// checkURL reports what keeps a URL from being opened.
func checkURL(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("only http and https are known")
	case u.Opaque != "" || !plainHost(u.Hostname()):
		return errors.New("there is no host name in it")
	case u.User != nil:
		return errors.New("it holds a user name")
	case u.Port() != "" && !isPort(u.Port()):
		return errors.New("the port is a number from 1 to 65535")
	}
	return nil
}

// plainHost refuses what url.Parse lets through as part of a host, but no host
// has: the characters that URLs and zones of addresses are divided by.
func plainHost(host string) bool {
	host = toASCII(host)
	return pkcs.IsHost(host) && len(host) <= maxHost &&
		!strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || strings.ContainsRune("%/\\?#@!$&'()*+,;=\"<>[]{}|^`", r) })
}

// toASCII gives a host the form that DNS knows: lower case, A-labels (RFC 5890).
// It is "" for a name that has none.
func toASCII(host string) string {
	if len(host) > 4*maxHost || !utf8.ValidString(host) { // decoding a long one takes long
		return ""
	}
	if !strings.ContainsFunc(host, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return strings.ToLower(host) // also with "_", which IDNA refuses and DNS knows
	}
	a, err := idna.Lookup.ToASCII(host)
	if err != nil {
		return ""
	}
	return a
}

// isPort reports whether s is the number of a port that can be connected to.
func isPort(s string) bool {
	port, err := netip.ParseAddrPort("0.0.0.0:" + s)
	return err == nil && port.Port() != 0
}

func defaultPort(u *url.URL) string {
	if u.Scheme == "http" {
		return "80"
	}
	return "443"
}

func hostPort(u *url.URL) string {
	return net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), defaultPort(u)))
}

// parseConnect completes the address to connect to with the URL's port.
func parseConnect(text string, u *url.URL) (string, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return "", nil
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		host, port = text, cmp.Or(u.Port(), defaultPort(u))
		if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
			host = text[1 : len(text)-1]
		}
	}
	if !plainHost(host) || !isPort(port) {
		return "", report.Errorf(report.KindUsage, "portal.address.wrong", "give host:port, for example 203.0.113.10:4444",
			"%q is not an address to connect to", report.Shorten(text, maxShown))
	}
	return net.JoinHostPort(toASCII(host), port), nil
}

// target is the host:port at which a URL is reached.
func (c *check) target(u *url.URL) string {
	if c.connect == "" || u.Hostname() != c.origin.Hostname() {
		return hostPort(u)
	}
	if hostPort(u) == hostPort(c.origin) {
		return c.connect
	}
	host, _, _ := net.SplitHostPort(c.connect) // parseConnect joined it
	return net.JoinHostPort(host, cmp.Or(u.Port(), defaultPort(u)))
}
