package portal

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"onsite/internal/sock"
	"onsite/pkcs"
	"onsite/report"
)

// visit is one URL being opened: connection, TLS, request. It makes its own
// connection, so that each step's failure is known for what it is.
type visit struct {
	*check
	url         *url.URL
	ready       chan net.Conn // connected, TLS done, and not yet used by the transport
	heard       *listening    // nil over HTTPS
	transport   *http.Transport
	wrongScheme bool
}

// get opens the URL. Without an answer a finding has been added, or the error
// says that it could not be tried.
func (v *visit) get(ctx context.Context) (*answer, error) {
	conn, err := v.dial(ctx)
	if err != nil {
		return nil, v.dialFailed(ctx, err)
	}
	v.result.Connected = conn.RemoteAddr().String()
	v.forget()
	v.add(report.Pass("portal.connect.ok", hostPort(v.url), "a TCP connection to "+v.result.Connected))
	usable, err := v.encrypt(ctx, conn)
	if err != nil {
		conn.Close()
		v.add(v.handshakeFailed(ctx, err))
		return nil, nil
	}
	switch c := usable.(type) {
	case *tls.Conn:
		v.judgeTLS(c.ConnectionState())
	case *listening:
		v.heard = c
	}
	v.ready = make(chan net.Conn, 1)
	v.ready <- usable
	v.transport = v.newTransport()
	a, err := v.request(ctx, v.url)
	if err != nil {
		v.add(v.requestFailed(ctx, a, err))
		v.close()
		if a != nil { // it began well
			v.result.StatusCode, v.result.Protocol = a.status, a.protocol
		}
		return nil, nil
	}
	v.wrongScheme = v.url.Scheme == "http" && a.speaksOfTLS()
	return a, nil
}

// forget empties what the visit before has shown.
func (v *visit) forget() {
	r := &v.result
	r.StatusCode, r.Protocol, r.TLSVersion, r.Cipher, r.ALPN = 0, "", "", "", ""
	r.Certificates = []Certificate{}
}

func (v *visit) close() {
	select {
	case conn := <-v.ready:
		conn.Close()
	default:
	}
	v.transport.CloseIdleConnections()
}

func (v *visit) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, v.o.Timeout/2)
	defer cancel()
	return v.o.DialContext(ctx, "tcp", v.target(v.url))
}

// encrypt makes the handshake of HTTPS. Over HTTP it notes how the answer begins.
func (v *visit) encrypt(ctx context.Context, conn net.Conn) (net.Conn, error) {
	if v.url.Scheme == "http" {
		return &listening{Conn: conn}, nil
	}
	c := tls.Client(conn, clientConfig(v.url.Hostname()))
	return c, c.HandshakeContext(ctx)
}

// clientConfig takes part in whatever a server has to offer, to be able to say
// what is wrong with it: pkcs and judgeTLS judge.
func clientConfig(host string) *tls.Config {
	c := &tls.Config{
		ServerName:         strings.TrimSuffix(host, "."),
		NextProtos:         []string{"h2", "http/1.1"},
		MinVersion:         tls.VersionTLS10, // judgeTLS refuses the old ones
		InsecureSkipVerify: true,             //nolint:gosec // G402: pkcs.JudgeServed judges
	}
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		c.CipherSuites = append(c.CipherSuites, s.ID)
	}
	return c
}

func (v *visit) newTransport() *http.Transport {
	connect := func(ctx context.Context, _, _ string) (net.Conn, error) {
		select {
		case conn := <-v.ready:
			return conn, nil
		default:
		}
		conn, err := v.dial(ctx) // the server closed the first one
		if err != nil {
			return nil, err
		}
		c, err := v.encrypt(ctx, conn)
		if err != nil {
			conn.Close()
			return nil, err
		}
		return c, nil
	}
	return &http.Transport{
		DialContext:            connect,
		DialTLSContext:         connect,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // or 64 KiB might become gigabytes
		MaxResponseHeaderBytes: maxAnswer,
	}
}

// request asks for a URL of the visit's server, without following redirects. An
// error may come with the answer, when it was cut short.
func (v *visit) request(ctx context.Context, u *url.URL) (*answer, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", "onsite")
	r.Header.Set("Accept", "*/*")
	response, err := v.transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	return readAnswer(response)
}

// judgeTLS judges what the handshake brought.
func (v *visit) judgeTLS(s tls.ConnectionState) {
	r := &v.result
	r.TLSVersion, r.Cipher, r.ALPN = tls.VersionName(s.Version), tls.CipherSuiteName(s.CipherSuite), s.NegotiatedProtocol
	for _, c := range s.PeerCertificates {
		r.Certificates = append(r.Certificates, describe(c, v.o.Now()))
	}
	subject := hostPort(v.url)
	if s.Version < tls.VersionTLS12 {
		v.add(tooOld(subject, r.TLSVersion+" is the newest version that the server speaks; browsers refuse it"))
	} else {
		v.add(report.Pass("portal.tls.version", subject, r.TLSVersion+", "+r.Cipher))
	}
	for _, suite := range tls.InsecureCipherSuites() {
		if suite.ID == s.CipherSuite {
			v.add(report.Warn("portal.tls.cipher.weak", subject, "the server chose "+r.Cipher+", which newer clients do not offer",
				"allow the ECDHE suites with AES-GCM or ChaCha20 in the server's settings, and put them first"))
		}
	}
	v.add(pkcs.JudgeServed(s.PeerCertificates, pkcs.Rules{Host: strings.TrimSuffix(v.url.Hostname(), "."), Roots: v.o.Roots, Now: v.o.Now()})...)
}

func tooOld(subject, detail string) report.Finding {
	return report.Fail("portal.tls.version", subject, detail, "switch TLS 1.2 and 1.3 on in the server's settings, or update the server")
}

// dialFailed adds the finding for a connection that was not made. The error is
// for a resolver that does not answer.
func (v *visit) dialFailed(ctx context.Context, err error) error {
	target := v.target(v.url)
	host, port, _ := net.SplitHostPort(target) // target joined it
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		if !e.IsNotFound {
			return report.Errorf(report.KindNoAnswer, "portal.resolver.silent",
				"check this computer's network and DNS server; --connect ADDRESS checks the portal without them",
				"look up %s: the resolver gives no answer (%s)", host, e.Err)
		}
		v.add(report.Fail("portal.name.unresolved", host, "no resolver of this computer knows the name",
			"make the DNS record, or mend the name; --connect ADDRESS checks the portal before the record is there"))
		return nil
	}
	switch {
	case sock.Refused(err):
		v.add(report.Fail("portal.connect.refused", target, "the connection was refused: the address is there, but nothing listens on port "+port+", or a firewall rejects it",
			"start the portal; check the port, and that the forwarding leads to the right computer and port"))
	case ctx.Err() != nil || sock.TimedOut(err):
		v.add(report.Fail("portal.connect.timeout", target, "no answer to the connection within "+v.patience(ctx, v.o.Timeout/2)+": something drops it on the way, or nobody has this address",
			"check the address, the firewall of the computer (Windows asks once, and a No stays), the router's forwarding and the provider"))
	case sock.Unreachable(err):
		v.add(report.Fail("portal.connect.unreachable", target, "no way leads to this address ("+sock.Reason(err)+")",
			"check this computer's network and gateway; if the address is of the local network, nobody has it now"))
	default:
		v.add(report.Fail("portal.connect.failed", target, "the connection could not be made: "+sock.Reason(err),
			"check this computer's firewall and security software"))
	}
	return nil
}

// patience says how long was waited when ctx, or a shorter wait within, ended.
func (v *visit) patience(ctx context.Context, within time.Duration) string {
	if ctx.Err() != nil {
		within = v.o.Timeout
	}
	return fmt.Sprintf("%g s", within.Seconds())
}

// timedOut reports whether a wait for the server ended by the limit of time.
func timedOut(ctx context.Context, err error) bool {
	return ctx.Err() != nil || sock.TimedOut(err)
}

// handshakeFailed says why there was no TLS connection.
func (v *visit) handshakeFailed(ctx context.Context, err error) report.Finding {
	subject := hostPort(v.url)
	header, notTLS := errors.AsType[tls.RecordHeaderError](err)
	text := err.Error()
	switch {
	case timedOut(ctx, err):
		return v.tooSlow(ctx, "connected, but the TLS handshake was not done")
	case notTLS && bytes.HasPrefix(header.RecordHeader[:], []byte("HTTP")):
		return report.Fail("portal.tls.failed", subject, "plain HTTP is spoken on this port, not HTTPS",
			"check the port; if it is the right one, switch HTTPS on in the server; http://"+v.url.Host+" may answer")
	case notTLS:
		return report.Fail("portal.tls.failed", subject, fmt.Sprintf("something else than HTTPS is spoken on this port: the answer begins with %q", header.RecordHeader[:]),
			"check the port, and where the forwarding leads")
	case strings.Contains(text, "protocol version"): // alert 70, or an answer in SSL 3.0
		return tooOld(subject, "the server speaks no version from TLS 1.0 to TLS 1.3 that can be agreed on ("+text+")")
	case sock.HungUp(err):
		return report.Fail("portal.tls.failed", subject, "the connection was closed in the TLS handshake, without a word",
			"check that the server has a certificate for "+v.url.Hostname()+"; a firewall that looks into TLS, or a port that speaks no TLS, does the same")
	}
	return report.Fail("portal.tls.failed", subject, "the TLS handshake failed: "+text,
		"check the server's certificate, key and list of ciphers; openssl s_client -connect "+subject+" shows more")
}

// requestFailed says why there was no whole HTTP answer.
func (v *visit) requestFailed(ctx context.Context, a *answer, err error) report.Finding {
	subject := v.url.String()
	const remedy = "check the port, and look into the server's log"
	switch {
	case v.heard != nil && isTLSAlert(v.heard.begin()):
		return wrongScheme(v.url)
	case timedOut(ctx, err) && a != nil:
		return v.tooSlow(ctx, fmt.Sprintf("status %d, but the page did not come to its end", a.status))
	case timedOut(ctx, err):
		return v.tooSlow(ctx, "connected, but the request was not answered")
	case a != nil:
		return report.Fail("portal.http.failed", subject, fmt.Sprintf("status %d, then the page was cut short: %s", a.status, sock.Reason(err)), remedy)
	case sock.HungUp(err) && v.url.Scheme == "http":
		return report.Fail("portal.http.failed", subject, "the connection was closed without an answer",
			"if HTTPS is spoken on this port, open it as https://"+v.url.Host+"; else look into the server's log")
	case sock.HungUp(err):
		return report.Fail("portal.http.failed", subject, "the connection was closed without an answer", remedy)
	}
	return report.Fail("portal.http.failed", subject, "the answer is not HTTP: "+report.Shorten(sock.Reason(err), maxShown), remedy)
}

func (v *visit) tooSlow(ctx context.Context, detail string) report.Finding {
	return report.Fail("portal.http.timeout", v.url.String(), detail+" within "+v.patience(ctx, v.o.Timeout),
		"look whether the server is overloaded or hangs, and restart it; a port that speaks another protocol is silent too")
}

// isTLSAlert recognises what an HTTPS server without words for it answers to
// plain HTTP: a record of type alert (RFC 8446, section 5.1).
func isTLSAlert(heard []byte) bool {
	return len(heard) >= 3 && heard[0] == 21 && heard[1] == 3 && heard[2] <= 4
}

// listening keeps the first bytes of what comes over a connection.
type listening struct {
	net.Conn
	mu    sync.Mutex
	heard []byte
}

func (l *listening) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard = append(l.heard, p[:min(n, 8-len(l.heard))]...)
	return n, err
}

func (l *listening) begin() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.heard
}
