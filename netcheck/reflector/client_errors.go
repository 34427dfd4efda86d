package reflector

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"onsite/internal/sock"
	"onsite/report"
)

// failed says why there is no connection to the reflector.
func (c *Client) failed(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	name := c.name()
	if _, ok := errors.AsType[*handshakeError](err); ok {
		return c.noTLS(err)
	}
	const remedy = "check the URL and this computer's way to the internet, and ask the reflector's operator whether it runs"
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		why := "the resolver gives no answer (" + e.Err + ")"
		if e.IsNotFound {
			why = "no resolver of this computer knows the name"
			if c.Network == "" || c.Network == "tcp4" {
				why = "no resolver of this computer knows an IPv4 address for the name"
			}
		}
		return report.Errorf(report.KindNoAnswer, "reflector.unreachable", remedy, "%s: %s", name, why)
	}
	why := "the connection could not be made: " + sock.Reason(err)
	switch {
	case sock.Refused(err):
		why = "the connection was refused: nothing listens there"
	case sock.TimedOut(err) || ctx.Err() != nil:
		why = "the connection was not answered"
	case sock.Unreachable(err):
		why = "no way leads there (" + sock.Reason(err) + ")"
	}
	return report.Errorf(report.KindNoAnswer, "reflector.unreachable", remedy, "%s: %s", name, why)
}

// noTLS says why there is no encrypted connection to the reflector.
func (c *Client) noTLS(err error) error {
	code, remedy := "reflector.tls.failed", "ask the reflector's operator to look at its certificate, or at the proxy in front of it"
	why := "the TLS handshake failed: " + err.Error()
	header, notTLS := errors.AsType[tls.RecordHeaderError](err)
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, other := errors.AsType[x509.HostnameError](err)
	_, invalid := errors.AsType[x509.CertificateInvalidError](err)
	switch {
	case notTLS && bytes.HasPrefix(header.RecordHeader[:], []byte("HTTP")):
		why, remedy = "plain HTTP is spoken there, not HTTPS", "check the port; if the reflector is in your own network and has no TLS, give the URL with http://"
	case sock.TimedOut(err):
		why = "connected, but the TLS handshake was not done in time"
	case sock.HungUp(err):
		why = "the connection was closed in the TLS handshake"
	case unknown:
		why, remedy = "its certificate is not trusted: "+sock.Reason(err), "check the URL; a network that looks into HTTPS (a proxy, a hotel) does this: use another network"
	case other, invalid:
		why = "its certificate is not right: " + sock.Reason(err)
	}
	return report.Errorf(report.KindNoAnswer, code, remedy, "%s: %s", c.name(), why)
}

// unanswered says why there is no HTTP answer.
func (c *Client) unanswered(ctx context.Context, u *url.URL, err error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	switch {
	case sock.TimedOut(err) || ctx.Err() != nil:
		return report.Errorf(report.KindNoAnswer, "reflector.unreachable", "ask the reflector's operator whether it runs; a proxy in front may wait for it",
			"%s: connected, but the request was not answered in time", c.name())
	case errors.Is(err, errTooLong):
		return c.notOne("its answer is longer than any of a reflector")
	case sock.HungUp(err) && u.Scheme == "http":
		return c.notOne("it closed the connection without an answer; if it speaks HTTPS, begin the URL with https://")
	case sock.HungUp(err):
		return report.Errorf(report.KindNoAnswer, "reflector.unreachable", "try again in a minute: a reflector closes connections of an address that has too many; then ask its operator",
			"%s: it closed the connection without an answer", c.name())
	case strings.Contains(err.Error(), "malformed"):
		return c.notOne("its answer is not HTTP")
	}
	return report.Errorf(report.KindNoAnswer, "reflector.unreachable", "check the URL, and ask the reflector's operator whether it runs",
		"%s: the request failed: %s", c.name(), sock.Reason(err))
}

func (c *Client) notOne(why string) error {
	return report.Errorf(report.KindFailed, "reflector.not-one", "check the URL, with its path; behind a proxy, the proxy must pass /v1/ on to the reflector",
		"there is no reflector at %s: %s", c.name(), why)
}

func (c *Client) otherVersion() error {
	return report.Errorf(report.KindFailed, "reflector.version", "use the same version of onsite here and on the reflector",
		"the reflector at %s speaks another version of the protocol than this onsite (%s)", c.name(), upgrade)
}

func (c *Client) upgradeLost(why string) error {
	return report.Errorf(report.KindFailed, "reflector.upgrade.lost",
		"the reflector's operator must have the proxy pass Connection and Upgrade on, in HTTP/1.1: docs/reflector.md shows how; a proxy of your own network can do this to http:// too: use https://",
		"the reflector at %s is there, but no pipe comes through: %s", c.name(), why)
}

func (c *Client) portRefused(port int, ports []int) error {
	list := strings.Trim(strings.ReplaceAll(fmt.Sprint(ports), " ", ", "), "[]")
	if len(ports) > maxPorts {
		list = "others"
	}
	return report.Errorf(report.KindRefused, "reflector.port.refused", "forward one of those outside ports to the same inside port, or ask the reflector's operator to allow this one with --ports",
		"the reflector at %s does not connect to port %d, only to %s", c.name(), port, list)
}

// expect returns the error for an answer that has not the status wanted.
func (c *Client) expect(a *answer, status int) error {
	if a.status == status {
		return nil
	}
	name := c.name()
	switch why := a.refusal(); why.Error {
	case whyToken:
		return report.Errorf(report.KindInput, "reflector.token.wrong", "check the token, and the name of the file or variable that holds it; its operator may have taken it back",
			"the reflector at %s does not know the token", name)
	case whyAddress:
		return report.Errorf(report.KindRefused, "reflector.address.refused",
			"ask from inside the site, over its own internet connection: no VPN, and not from the reflector's own network",
			"the reflector at %s does not connect to the address that it sees here: %s", name, firstLine(why.Message))
	case whyForeign:
		return report.Errorf(report.KindFailed, "reflector.address.changed", "this site seems to use several internet connections by turns: switch all but one off for the test",
			"the reflector at %s sees each request come from another address", name)
	case whySession:
		return report.Errorf(report.KindFailed, "reflector.session.refused", "try again; if it stays so, several reflectors may share one name: its operator must send each client to one of them",
			"the reflector at %s does not take the session that it gave", name)
	case whyRate:
		return report.Errorf(report.KindNoAnswer, "reflector.busy", "try again in "+a.after(), "the reflector at %s has had too many requests from this address", name)
	case whyBusy, whyFull, whyStopping, whyInternal:
		return report.Errorf(report.KindNoAnswer, "reflector.busy", "try again in "+a.after(), "the reflector at %s cannot do it now: %s", name, firstLine(why.Message))
	case whyPeer:
		return report.Errorf(report.KindFailed, "reflector.proxy.silent", "the reflector's operator must have the proxy set X-Forwarded-For: docs/reflector.md shows how",
			"the reflector at %s does not learn who asks from the proxy in front of it", name)
	case whyUpgrade:
		return c.upgradeLost("what arrived had no Upgrade any more")
	case whyVersion:
		return c.otherVersion()
	case "":
	default:
		return report.Errorf(report.KindFailed, "reflector.refused", "use the same version of onsite here and on the reflector; then ask its operator what its log says",
			"the reflector at %s refused the request: %s", name, firstLine(why.Message))
	}
	return c.stranger(a)
}

// stranger says what an answer looks like that is no reflector's.
func (c *Client) stranger(a *answer) error {
	switch {
	case a.status >= 300 && a.status < 400:
		where := ""
		if to, err := url.Parse(a.header.Get("Location")); err == nil && to.Host != "" && to.User == nil {
			where = ", to " + to.Scheme + "://" + firstLine(to.Host)
		}
		return report.Errorf(report.KindFailed, "reflector.not-one", "if that is the reflector's right address, give it as the URL",
			"there is no reflector at %s: it answers with a redirect%s, which is not followed, so that the token goes nowhere else", c.name(), where)
	case a.status == http.StatusBadRequest && bytes.Contains(a.body, []byte("HTTPS")):
		return c.notOne("HTTPS is spoken on this port: begin the URL with https://")
	case a.status == http.StatusBadGateway, a.status == http.StatusServiceUnavailable, a.status == http.StatusGatewayTimeout:
		return report.Errorf(report.KindNoAnswer, "reflector.unreachable", "ask the reflector's operator whether it runs behind its proxy",
			"%s: a server in front answers with status %d: the reflector behind it does not", c.name(), a.status)
	case a.status == http.StatusProxyAuthRequired, a.status == http.StatusNetworkAuthenticationRequired:
		return c.notOne(fmt.Sprintf("this network wants a sign-in first (status %d)", a.status))
	}
	return c.notOne(fmt.Sprintf("it answers with status %d and no words of a reflector", a.status))
}

// after is how long to wait, in words.
func (a *answer) after() string {
	n := int(a.retryAfter().Seconds())
	switch {
	case n == 0:
		return "a minute"
	case n == 1:
		return "a second"
	case n < 120:
		return fmt.Sprintf("%d seconds", n)
	}
	return fmt.Sprintf("%d minutes", (n+59)/60)
}

// firstLine keeps a message of the other end short.
func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return report.Shorten(s, 200)
}
