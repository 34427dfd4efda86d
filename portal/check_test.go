package portal

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"onsite/pkcs"
	"onsite/report"
)

// options check an address of this computer as the portal of testName.
func options(scheme, addr string) CheckOptions {
	_, port, _ := net.SplitHostPort(addr)
	return CheckOptions{URL: scheme + "://" + testName + ":" + port, Connect: addr, Roots: []*x509.Certificate{newAuthority().root}}
}

// check runs Check, which must give no error.
func mustCheck(t *testing.T, o CheckOptions) (Result, []report.Finding) {
	t.Helper()
	r, findings, err := Check(context.Background(), o)
	if err != nil {
		t.Fatalf("Check(%q) = %v", o.URL, err)
	}
	for _, f := range findings {
		if _, ok := report.Explain(f.Code); strings.HasPrefix(f.Code, "portal.") && !ok {
			t.Errorf("the code %q has no page", f.Code)
		}
		if f.Status != report.StatusPass && f.Remedy == "" || f.Subject == "" {
			t.Errorf("finding %+v lacks a subject or a remedy", f)
		}
	}
	return r, findings
}

// serveTLS runs an HTTPS server with a set; change may be nil.
func serveTLS(t *testing.T, set *pkcs.Set, h http.HandlerFunc, change func(*tls.Config)) (addr string) {
	t.Helper()
	c := &tls.Config{Certificates: []tls.Certificate{{PrivateKey: set.Key, Certificate: [][]byte{set.Leaf.Raw}}}}
	for _, i := range set.Intermediates {
		c.Certificates[0].Certificate = append(c.Certificates[0].Certificate, i.Raw)
	}
	if change != nil {
		change(c)
	}
	s := httptest.NewUnstartedServer(h)
	s.TLS = c
	s.Config.ErrorLog = newSilence()
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func servePlain(t *testing.T, h http.HandlerFunc) (addr string) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// serveRaw hands every connection to a function of its own.
func serveRaw(t *testing.T, answer func(net.Conn)) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
			go answer(conn)
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-ended
	})
	return l.Addr().String()
}

// asked waits for the end of a request's headers.
func asked(conn net.Conn) error {
	_, err := http.ReadRequest(bufio.NewReader(conn))
	return err
}

func hello(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }

func TestCheckPortal(t *testing.T) {
	t.Parallel()
	set := newSet(nil, testName)
	s, _ := start(t, both(write(t, set)), nil)
	o := options("https", s.HTTPSAddr())
	r, findings := mustCheck(t, o)
	for _, code := range []string{"portal.connect.ok", "portal.tls.version", "cert.dates.ok", "cert.name.matches", "chain.complete", "portal.http.status", "portal.identity"} {
		want(t, findings, code, report.StatusPass)
	}
	if len(findings) != 7 {
		t.Errorf("findings = %+v, want 7 that pass", findings)
	}
	if f, _ := find(findings, "portal.identity"); !strings.HasSuffix(f.Detail, "saw us come from 127.0.0.1") {
		t.Errorf("identity = %+v, want the address that the portal saw", f)
	}
	if r.URL != o.URL+"/" || r.Connected != s.HTTPSAddr() || r.StatusCode != 200 || r.Protocol != "HTTP/2.0" || r.TLSVersion != "TLS 1.3" ||
		r.ALPN != "h2" || r.Cipher == "" || len(r.Redirects) != 0 || len(r.Certificates) != 2 || r.Portal == nil {
		t.Errorf("result = %+v", r)
	}
	if r.Certificates[0].SHA256 != pkcs.Fingerprint(set.Leaf) || r.Portal.Certificate.SHA256 != pkcs.Fingerprint(set.Leaf) || r.Portal.Host != strings.TrimPrefix(o.URL, "https://") {
		t.Errorf("certificates = %+v, portal = %+v, want those of the set", r.Certificates, r.Portal)
	}
	text, err := json.Marshal(Result{Redirects: []string{}, Certificates: []Certificate{}})
	const shape = `{"url":"","connected":"","status_code":0,"protocol":"","tls_version":"","cipher":"","alpn":"","milliseconds":0,"redirects":[],"certificates":[],"portal":null}`
	if err != nil || string(text) != shape {
		t.Errorf("JSON of a result = %s (%v), want %s", text, err, shape)
	}
}

func TestCheckPlainPortal(t *testing.T) {
	t.Parallel()
	s, _ := start(t, Options{HTTP: "127.0.0.1:0"}, nil)
	r, findings := mustCheck(t, CheckOptions{URL: "http://" + s.HTTPAddr()})
	want(t, findings, "portal.http.plain", report.StatusWarn)
	want(t, findings, "portal.http.status", report.StatusPass)
	want(t, findings, "portal.identity", report.StatusPass)
	if r.TLSVersion != "" || r.StatusCode != 200 || len(r.Certificates) != 0 {
		t.Errorf("result = %+v, want 200 without TLS", r)
	}
}

// Several addresses of a certificate that is not right.
func TestCheckCertificates(t *testing.T) {
	t.Parallel()
	strangers := newSet(nil, testName)
	for _, test := range []struct {
		name  string
		set   *pkcs.Set
		roots []*x509.Certificate
		code  string
	}{
		{"wrong name", newSet(nil, "other.example"), []*x509.Certificate{strangers.Root}, "cert.name.mismatch"},
		{"untrusted", newSet(nil, testName), []*x509.Certificate{sign(&x509.Certificate{IsCA: true}, nil, strangers.Key, strangers.Key)}, "chain.issuer.unknown"},
		{"missing intermediate", &pkcs.Set{Key: strangers.Key, Leaf: strangers.Leaf}, []*x509.Certificate{strangers.Root}, "chain.issuer.unknown"},
		{
			"root sent, untrusted", &pkcs.Set{Key: strangers.Key, Leaf: strangers.Leaf, Intermediates: append(slices.Clone(strangers.Intermediates), strangers.Root)},
			[]*x509.Certificate{sign(&x509.Certificate{IsCA: true}, nil, strangers.Key, strangers.Key)},
			"chain.untrusted",
		},
		{"expired", newSet(expired, testName), []*x509.Certificate{strangers.Root}, "cert.expired"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := options("https", serveTLS(t, test.set, hello, nil))
			o.Roots = test.roots
			r, findings := mustCheck(t, o)
			want(t, findings, test.code, report.StatusFail)
			want(t, findings, "portal.http.status", report.StatusPass) // it goes on, to say all at once
			if r.StatusCode != 200 || len(r.Certificates) == 0 {
				t.Errorf("result = %+v, want status 200 and certificates", r)
			}
			if n := report.Count(findings, report.StatusFail); n != 1 {
				t.Errorf("%d fails, want 1: %+v", n, findings)
			}
		})
	}
}

func TestCheckTLS(t *testing.T) {
	t.Parallel()
	set := newSet(nil, testName)
	for _, test := range []struct {
		name   string
		change func(*tls.Config)
		code   string
		status report.Status
		says   string
	}{
		{"1.0", func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS10 }, "portal.tls.version", report.StatusFail, "TLS 1.0 is the newest"},
		{"1.1", func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, "portal.tls.version", report.StatusFail, "TLS 1.1 is the newest"},
		{"1.2", func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, "portal.tls.version", report.StatusPass, "TLS 1.2"},
		{"weak cipher", func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_RC4_128_SHA}
			c.NextProtos = []string{"http/1.1"}
		}, "portal.tls.cipher.weak", report.StatusWarn, "RC4"},
		{"no certificate for it", func(c *tls.Config) {
			c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, errors.New("unknown name") }
		}, "portal.tls.failed", report.StatusFail, "internal error"},
		{"no common protocol", func(c *tls.Config) { c.NextProtos = []string{"smtp"} }, "portal.tls.failed", report.StatusFail, "no application protocol"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, findings := mustCheck(t, options("https", serveTLS(t, set, hello, test.change)))
			if f := want(t, findings, test.code, test.status); !strings.Contains(f.Detail, test.says) {
				t.Errorf("detail = %q, want one with %q", f.Detail, test.says)
			}
		})
	}
}

// What is there is not what the URL says.
func TestCheckOtherServices(t *testing.T) {
	t.Parallel()
	set := newSet(nil, testName)
	say := func(text string) func(net.Conn) {
		return func(c net.Conn) {
			io.WriteString(c, text)
			io.Copy(io.Discard, c)
		}
	}
	reply := func(text string) func(net.Conn) {
		return func(c net.Conn) {
			if asked(c) == nil {
				io.WriteString(c, text)
			}
			c.Close()
		}
	}
	for _, test := range []struct {
		name, scheme, addr string
		code, says         string
	}{
		{"plain HTTP on a port for HTTPS", "https", servePlain(t, hello), "portal.tls.failed", "plain HTTP is spoken"},
		{"HTTPS on a port for HTTP", "http", serveTLS(t, set, hello, nil), "portal.scheme.wrong", "HTTPS is spoken"},
		{"nginx's words", "http", serveRaw(t, reply("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n<h1>400</h1>The plain HTTP request was sent to HTTPS port")), "portal.scheme.wrong", "HTTPS"},
		{"an alert", "http", serveRaw(t, reply("\x15\x03\x01\x00\x02\x02\x16")), "portal.scheme.wrong", "HTTPS"},
		{"mail", "https", serveRaw(t, say("220 mail.acme.example ESMTP\r\n")), "portal.tls.failed", `"220 m"`},
		{"garbage", "https", serveRaw(t, say("\x00\xff\x1b[31m\x07garbage")), "portal.tls.failed", "something else"},
		{"garbage over HTTP", "http", serveRaw(t, reply("\x00\xff\x1b[31m\x07garbage\r\n\r\n")), "portal.http.failed", "not HTTP"},
		{"closes", "https", serveRaw(t, func(c net.Conn) { c.Close() }), "portal.tls.failed", "closed in the TLS handshake"},
		{"closes over HTTP", "http", serveRaw(t, reply("")), "portal.http.failed", "closed without an answer"},
		{"cut short", "http", serveRaw(t, reply("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")), "portal.http.failed", "cut short"},
		{"headers without end", "http", serveRaw(t, reply("HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 1<<20)+"\r\n\r\n")), "portal.http.failed", "not HTTP"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, findings := mustCheck(t, options(test.scheme, test.addr))
			f := want(t, findings, test.code, report.StatusFail)
			if !strings.Contains(f.Detail, test.says) || strings.ContainsAny(f.Detail, "\x00\x07\x1b") {
				t.Errorf("detail = %q, want one with %q and nothing that a terminal obeys", f.Detail, test.says)
			}
		})
	}
}

func TestCheckNoAnswer(t *testing.T) {
	t.Parallel()
	drip := func(text string) func(net.Conn) {
		return func(c net.Conn) {
			asked(c)
			for {
				if _, err := io.WriteString(c, text); err != nil {
					return
				}
				text = "x"
				<-time.After(time.Millisecond)
			}
		}
	}
	for _, test := range []struct {
		name, scheme string
		answer       func(net.Conn)
		says         string
	}{
		{"silent", "http", func(net.Conn) {}, "not answered"},
		{"silent in TLS", "https", func(net.Conn) {}, "handshake was not done"},
		{"dribbles headers", "http", drip("HTTP/1.1 200 OK\r\nX: "), "not answered"},
		{"dribbles", "http", drip("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"), "did not come to its end"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := options(test.scheme, serveRaw(t, test.answer))
			o.Timeout = time.Second
			_, findings := mustCheck(t, o)
			if f := want(t, findings, "portal.http.timeout", report.StatusFail); !strings.Contains(f.Detail, test.says) || !strings.Contains(f.Detail, "within 1 s") {
				t.Errorf("detail = %q, want one with %q and the time", f.Detail, test.says)
			}
		})
	}
}

func TestCheckDial(t *testing.T) {
	t.Parallel()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	op := func(err error) func(context.Context, string, string) (net.Conn, error) {
		return func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
		}
	}
	for _, test := range []struct {
		name string
		dial func(context.Context, string, string) (net.Conn, error)
		code string
		says string
	}{
		{"refused", nil, "portal.connect.refused", "nothing listens"},
		{"refused on Windows", op(os.NewSyscallError("connectex", syscall.Errno(10061))), "portal.connect.refused", "nothing listens"},
		{"no such name", op(&net.DNSError{Err: "no such host", Name: testName, IsNotFound: true}), "portal.name.unresolved", "no resolver"},
		{"silent", func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}, "portal.connect.timeout", "no answer to the connection within"},
		{"timed out by the system", op(os.NewSyscallError("connect", syscall.ETIMEDOUT)), "portal.connect.timeout", "drops it"},
		{"no route", op(os.NewSyscallError("connect", syscall.EHOSTUNREACH)), "portal.connect.unreachable", "no way"},
		{"no network, on Windows", op(os.NewSyscallError("connectex", syscall.Errno(10051))), "portal.connect.unreachable", "no way"},
		{"own firewall", op(os.NewSyscallError("connect", syscall.EPERM)), "portal.connect.failed", syscall.EPERM.Error()},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := options("https", closed.Addr().String())
			o.DialContext = test.dial
			if test.dial != nil {
				o.Timeout = 100 * time.Millisecond
			}
			r, findings := mustCheck(t, o)
			if f := want(t, findings, test.code, report.StatusFail); !strings.Contains(f.Detail, test.says) || len(findings) != 1 {
				t.Errorf("findings = %+v, want one with %q", findings, test.says)
			}
			if r.Connected != "" || r.StatusCode != 0 {
				t.Errorf("result = %+v, want an empty one", r)
			}
		})
	}
	o := options("https", closed.Addr().String())
	o.DialContext = op(&net.DNSError{Err: "server misbehaving", Name: testName, IsTemporary: true})
	_, findings, err := Check(context.Background(), o)
	if e := report.AsError(err); e == nil || e.Code != "portal.resolver.silent" || e.Kind != report.KindNoAnswer || len(findings) != 0 {
		t.Errorf("Check with a resolver that fails = %+v, %v, want portal.resolver.silent", findings, err)
	}
}

func TestCheckCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	o := options("http", serveRaw(t, func(c net.Conn) {
		asked(c)
		cancel()
	}))
	if _, findings, err := Check(ctx, o); !errors.Is(err, context.Canceled) || findings != nil {
		t.Errorf("Check = %+v, %v, want context.Canceled alone", findings, err)
	}
}

func TestCheckStatus(t *testing.T) {
	t.Parallel()
	for status, want1 := range map[int]report.Status{
		200: report.StatusPass, 204: report.StatusPass, 304: report.StatusWarn, 400: report.StatusWarn, 401: report.StatusWarn, 404: report.StatusWarn,
		500: report.StatusFail, 503: report.StatusFail, 599: report.StatusFail,
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			r, findings := mustCheck(t, options("https", serveTLS(t, newSet(nil, testName), func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }, nil)))
			if f := want(t, findings, "portal.http.status", want1); r.StatusCode != status || !strings.Contains(f.Detail, fmt.Sprint(status)) {
				t.Errorf("result = %+v, finding %+v, want status %d", r, f, status)
			}
		})
	}
}

func TestCheckHugeBody(t *testing.T) {
	t.Parallel()
	endless := func(w http.ResponseWriter, r *http.Request) {
		for block := strings.Repeat("x", 16<<10); r.Context().Err() == nil; {
			if _, err := io.WriteString(w, block); err != nil {
				return
			}
		}
	}
	for _, h2 := range []bool{false, true} {
		addr := serveTLS(t, newSet(nil, testName), endless, func(c *tls.Config) {
			if h2 {
				c.NextProtos = []string{"h2"}
			}
		})
		r, findings := mustCheck(t, options("https", addr))
		want(t, findings, "portal.http.status", report.StatusPass)
		if r.Portal != nil || r.StatusCode != 200 {
			t.Errorf("result = %+v, want 200 and no portal", r)
		}
	}
}

// Servers that answer /.well-known/onsite, but are no portal of ours.
func TestCheckIdentity(t *testing.T) {
	t.Parallel()
	seen := func(nonce, schema string) string {
		text, _ := json.Marshal(Seen{Schema: schema, Service: service, Nonce: nonce, Remote: "203.0.113.7:1234"})
		return string(text)
	}
	for _, test := range []struct {
		name   string
		answer func(nonce string) string
		says   string // "" when it is no portal
	}{
		{"ours", func(n string) string { return seen(n, "onsite/1") }, "from 203.0.113.7"},
		{"ours, and says strange things", func(n string) string {
			return strings.Replace(seen(n, "onsite/1"), "203.0.113.7:1234", `\u001b[31mred`, 1)
		}, "this is an onsite portal"},
		{"no nonce", func(string) string { return seen("", "onsite/1") }, ""},
		{"another nonce", func(string) string { return seen("AAAAAAAAAAAAAAAAAAAAAAAAAA", "onsite/1") }, ""},
		{"another schema", func(n string) string { return seen(n, "onsite/9") }, ""},
		{"not JSON", func(n string) string { return "<html>" + n }, ""},
		{"an array", func(string) string { return "[]" }, ""},
		{"too much", func(n string) string { return seen(n, "onsite/1") + strings.Repeat(" ", 70<<10) }, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			addr := servePlain(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == wellKnown {
					io.WriteString(w, test.answer(r.URL.Query().Get("nonce")))
				}
			})
			r, findings := mustCheck(t, CheckOptions{URL: "http://" + addr})
			f, ok := find(findings, "portal.identity")
			if ok != (test.says != "") || ok != (r.Portal != nil) || !strings.HasSuffix(f.Detail, test.says) || strings.Contains(f.Detail, "\x1b") {
				t.Errorf("finding %+v, portal %+v, want %q", f, r.Portal, test.says)
			}
		})
	}
}

func TestCheckClock(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		date string
		warn bool
	}{
		{"Sat, 21 Nov 2026 10:04:59 GMT", false},
		{"Sat, 21 Nov 2026 10:05:01 GMT", true},
		{"Sat, 21 Nov 2026 00:00:00 GMT", true},
		{"yesterday", false},
	} {
		addr := servePlain(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Date", test.date) })
		_, findings := mustCheck(t, CheckOptions{URL: "http://" + addr, Now: func() time.Time { return now }})
		f, ok := find(findings, "portal.clock.skew")
		if ok != test.warn || ok && (f.Status != report.StatusWarn || !strings.Contains(f.Detail, "2026-11-21 10:00:00 UTC")) {
			t.Errorf("Date %q: %+v, want a warning: %v", test.date, f, test.warn)
		}
	}
}
