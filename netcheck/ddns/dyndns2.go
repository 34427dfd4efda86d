package ddns

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"onsite/internal/sock"
	"onsite/report"
)

// DynDNS2 is the protocol that Dyn published and most providers speak: one GET,
// one line back.
type DynDNS2 struct {
	URL      *url.URL // of ParseURL
	Username string
	Password []byte
	// Agent is the program with its version, and how to reach who answers for it:
	// providers block those that do not say.
	Agent   string
	Timeout time.Duration // for the whole exchange; 0: 15 s
	// DialContext makes connections; nil: as net.Dialer does.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
	RootCAs     *x509.CertPool // nil: this computer's
}

const (
	updatePath     = "/nic/update"
	maxBody        = 4 << 10 // bytes; an answer has less than a hundred
	defaultTimeout = 15 * time.Second
)

// ParseURL understands what people type for a provider: a host, or the whole
// address of its update page.
func ParseURL(text string) (*url.URL, error) {
	text = strings.TrimSpace(text)
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	wrong := func(why string) error {
		return report.Errorf(report.KindUsage, "usage", "give a host such as members.dyndns.org, or the address of the update page",
			"the server is wrong: %s", why) // not as it was typed: it may hold a password
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, wrong("this is no address")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, wrong("only https and http are known")
	case u.User != nil:
		return nil, wrong("user and password are part of it; give them with --user and --password-file")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, wrong("leave away what stands behind ? or #: name and address are added here")
	case u.Hostname() == "":
		return nil, wrong("it has no host")
	}
	u.Host = strings.ToLower(u.Host)
	if u.Path == "" || u.Path == "/" {
		u.Path = updatePath
	}
	return u, nil
}

// Name is "dyndns2".
func (d *DynDNS2) Name() string { return "dyndns2" }

// Server is the URL without what is asked.
func (d *DynDNS2) Server() string { return d.URL.String() }

// User is the name of the account.
func (d *DynDNS2) User() string { return d.Username }

func (d *DynDNS2) fingerprint() []byte {
	return []byte(strings.Join([]string{d.URL.String(), d.Username, string(d.Password), d.Agent}, "\x00"))
}

func (d *DynDNS2) check(name string) ([]report.Finding, error) {
	if d.URL.Scheme == "http" {
		return []report.Finding{report.Warn("ddns.plain", d.URL.Host,
			"user and password go over the network in clear, for the server's address begins with http://",
			"use https:// if the provider has it; if not, use the password nowhere else")}, nil
	}
	return nil, nil
}

// request is the question, with the credentials in their header.
func (d *DynDNS2) request(ctx context.Context, name string, addr netip.Addr) (*http.Request, error) {
	u := *d.URL
	u.RawQuery = "hostname=" + url.QueryEscape(name) + "&myip=" + url.QueryEscape(addr.String())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.SetBasicAuth(d.Username, string(d.Password))
	req.Header.Set("User-Agent", d.Agent)
	req.Header.Set("Accept", "text/plain, */*")
	return req, nil
}

// transport is asked without a client: that would follow redirects, and the
// credentials are for the server that was named.
func (d *DynDNS2) transport() *http.Transport {
	dial := d.DialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	return &http.Transport{
		DialContext:            dial,
		TLSClientConfig:        &tls.Config{RootCAs: d.RootCAs, MinVersion: tls.VersionTLS12},
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 16 << 10,
	}
}

func (d *DynDNS2) send(ctx context.Context, name string, addr netip.Addr, _ Authority) answer {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(d.Timeout, defaultTimeout))
	defer cancel()
	start := time.Now()
	var a answer
	var said string
	req, err := d.request(ctx, name, addr)
	if err == nil {
		var status int
		var header http.Header
		var body []byte
		if status, header, body, err = d.exchange(req); err == nil {
			a = d.judge(name, addr, status, header, body)
			said = strings.TrimSpace(fmt.Sprintf("%d %s", status, d.quote(string(body))))
		}
	}
	if err != nil {
		a = d.failure(name, err)
		said = ""
	}
	a.observation = report.Observation{Server: d.URL.Host, Answer: said, Milliseconds: time.Since(start).Milliseconds()}
	if req != nil {
		a.observation.Question = "GET " + req.URL.String()
	}
	if err != nil {
		a.observation.Error = a.finding.Detail
	}
	return a
}

func (d *DynDNS2) exchange(req *http.Request) (status int, header http.Header, body []byte, err error) {
	transport := d.transport()
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	return resp.StatusCode, resp.Header, body, err
}

// quote makes a foreign text fit to be shown: short, on one line, and without the
// credentials, which an error page may repeat.
func (d *DynDNS2) quote(text string) string {
	if len(d.Password) > 0 {
		pair := d.Username + ":" + string(d.Password)
		for _, secret := range []string{base64.StdEncoding.EncodeToString([]byte(pair)), url.QueryEscape(string(d.Password)), string(d.Password)} {
			text = strings.ReplaceAll(text, secret, "***")
		}
	}
	return report.Shorten(strings.Join(strings.Fields(report.Printable(text)), " "), 80)
}

// failure judges an exchange without an answer.
func (d *DynDNS2) failure(name string, err error) answer {
	host := d.URL.Host
	a := answer{class: classLater, silent: true, unsent: true}
	var cert *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.As(err, &cert):
		a.finding = report.Fail("ddns.tls", name, fmt.Sprintf("%s: its certificate is not right, so no password was sent: %v", host, cert.Err),
			"check the server's name and this computer's clock; a sign-in page or a filter on the way shows a certificate of its own")
	case errors.As(err, &record):
		a.finding = report.Fail("ddns.tls", name, host+" does not speak TLS on that port, so no password was sent",
			"check the port; only when the provider has no https, write the address with http://")
	case errors.As(err, &dns) && dns.IsNotFound:
		a.finding = report.Fail("ddns.unreachable", name, fmt.Sprintf("there is no host %s", dns.Name), "check how --server is spelled")
	case sock.TimedOut(err):
		a.finding = report.Fail("ddns.timeout", name, fmt.Sprintf("%s did not answer within %s; it may have taken the address all the same", host, cmp.Or(d.Timeout, defaultTimeout)),
			later)
		a.unsent = false
		return a
	default:
		a.unsent = errors.As(err, &op) && op.Op == "dial"
		a.finding = report.Fail("ddns.unreachable", name, host+": "+plain(err),
			"check this computer's Internet connection, and that nothing blocks the port")
	}
	a.wait = retryWait
	return a
}

// plain says in a technician's words why a connection came to nothing.
func plain(err error) string {
	switch {
	case sock.Refused(err):
		return "nothing listens there (connection refused)"
	case sock.Unreachable(err):
		return "no way leads there from this network"
	case sock.HungUp(err):
		return "it closed the connection without an answer"
	}
	return sock.Reason(err)
}
