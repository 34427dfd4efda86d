package reflector

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onsite/report"
)

func limited(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// client is a client of a reflector under test.
func (b *bench) client() *Client { return &Client{URL: "http://" + b.Addr(), Token: []byte(goodToken)} }

// answering is a server that gives one answer to whatever is asked at a path;
// others get a session.
func answering(t *testing.T, path, answer string) string {
	t.Helper()
	return server(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		request, err := http.ReadRequest(r)
		if err != nil {
			io.WriteString(c, answer) // as one that speaks first
			return
		}
		if request.URL.Path == path {
			io.WriteString(c, answer)
			return
		}
		const session = `{"token":"t","ports":[8888],"expires":"2100-01-01T00:00:00Z"}`
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(session), session)
	})
}

func page(status, header, body string) string {
	return fmt.Sprintf("HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s", status, header, len(body), body)
}

// Whatever answers in place of a reflector, it is said what it is like, and what
// to do.
func TestStrangers(t *testing.T) {
	t.Parallel()
	const (
		who, session, pipe = "/v1/whoami", "/v1/session", "/v1/pipe"
		switching          = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: onsite-pipe/1\r\n"
	)
	for _, tt := range []struct {
		name, path, answer, code, says string
	}{
		{"a web page", who, page("200 OK", "Content-Type: text/html\r\n", "<html>hotel</html>"), "reflector.not-one", "whoami"},
		{"a name for an address", who, page("200 OK", "", `{"ip":"portal.acme.example","port":1}`), "reflector.not-one", "no address"},
		{"an address with a zone", who, page("200 OK", "", `{"ip":"fe80::1%eth0","port":1}`), "reflector.not-one", "no address"},
		{"a port too high", who, page("200 OK", "", `{"ip":"11.20.30.20","port":65536}`), "reflector.not-one", ""},
		{"a long page", who, page("200 OK", "", strings.Repeat("x", 20<<10)), "reflector.not-one", ""},
		{"an endless page", who, "HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("x", 1<<20), "reflector.not-one", ""},
		{"endless headers", who, "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: x\r\n", 100_000), "reflector.not-one", "longer"},
		{"endless chunks", who, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1\r\nx\r\n", 100_000), "reflector.not-one", ""},
		{"interim answers without end", who, strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 100), "reflector.not-one", ""},
		{"no HTTP", who, "SSH-2.0-dropbear\r\n", "reflector.not-one", "not HTTP"},
		{"nothing", who, "", "reflector.not-one", "https://"},
		{"a redirect", who, page("301 Moved", "Location: https://reflector.example/v1/whoami?x=y\r\n", ""), "reflector.not-one", "to https://reflector.example,"},
		{"a redirect to nowhere", session, page("302 Found", "Location: ://\r\n", ""), "reflector.not-one", "redirect, which"},
		{"HTTPS on this port", who, page("400 Bad Request", "", "Client sent an HTTP request to an HTTPS server.\n"), "reflector.not-one", "begin the URL with https://"},
		{"another path", who, page("404 Not Found", "", "404 page not found"), "reflector.not-one", "status 404"},
		{"a sign-in", who, page("511 Network Authentication Required", "", ""), "reflector.not-one", "sign-in"},
		{"nobody behind the proxy", session, page("502 Bad Gateway", "", "<html>nginx</html>"), "reflector.unreachable", "status 502"},
		{"nobody behind the proxy", pipe, page("504 Gateway Timeout", "", ""), "reflector.unreachable", "status 504"},
		{"another version", who, page("200 OK", "", `{"service":"onsite-reflector","version":2,"ip":"11.20.30.20"}`), "reflector.version", ""},
		{"another version's paths", session, page("404 Not Found", "", `{"error":"version"}`), "reflector.version", ""},
		{"another version's pipe", pipe, page("426 Upgrade Required", "Upgrade: onsite-pipe/2\r\n", "{}"), "reflector.version", ""},
		{"no session in it", session, page("200 OK", "", `{"token":"","ports":[8888]}`), "reflector.not-one", "session"},
		{"no ports in it", session, page("200 OK", "", `{"token":"x","ports":[]}`), "reflector.not-one", "session"},
		{"wrong ports in it", session, page("200 OK", "", `{"token":"x","ports":[70000]}`), "reflector.not-one", "session"},
		{"a huge token in it", session, page("200 OK", "", `{"token":"`+strings.Repeat("x", 2000)+`","ports":[8888]}`), "reflector.not-one", "session"},
		{"a wrong token", session, page("401 Unauthorized", "", `{"error":"token"}`), "reflector.token.wrong", "token"},
		{"too often", session, page("429 Too Many Requests", "Retry-After: 1200\r\n", `{"error":"rate"}`), "reflector.busy", ""},
		{"an address refused", session, page("403 Forbidden", "", `{"error":"address","message":"it is not public"}`), "reflector.address.refused", "it is not public"},
		{"a proxy that is silent", session, page("502 Bad Gateway", "", `{"error":"peer"}`), "reflector.proxy.silent", ""},
		{"a reason not known", session, page("403 Forbidden", "", `{"error":"moon","message":"the moon is full"}`), "reflector.refused", "the moon is full"},
		{"a long reason", session, page("403 Forbidden", "", `{"error":"moon","message":"`+strings.Repeat("x", 5000)+`"}`), "reflector.refused", "x…"},
		{"an upgrade lost", pipe, page("426 Upgrade Required", "Upgrade: onsite-pipe/1\r\n", `{"error":"upgrade"}`), "reflector.upgrade.lost", ""},
		{"an upgrade answered", pipe, page("200 OK", "", "x"), "reflector.upgrade.lost", "200"},
		{"a WebSocket", pipe, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", "reflector.upgrade.lost", "101"},
		{"no source", pipe, switching + "X-Dial-Ms: 1\r\n\r\n", "reflector.upgrade.lost", ""},
		{"a source without a port", pipe, switching + "X-Source: 11.53.0.11\r\nX-Dial-Ms: 1\r\n\r\n", "reflector.upgrade.lost", ""},
		{"no time", pipe, switching + "X-Source: 11.53.0.11:1\r\n\r\n", "reflector.upgrade.lost", ""},
		{"a negative time", pipe, switching + "X-Source: 11.53.0.11:1\r\nX-Dial-Ms: -1\r\n\r\n", "reflector.upgrade.lost", ""},
		{"an endless time", pipe, switching + "X-Source: 11.53.0.11:1\r\nX-Dial-Ms: 4000000000\r\n\r\n", "reflector.upgrade.lost", ""},
		{"an outcome not known", pipe, page("502 Bad Gateway", "", `{"dial":"eaten","ms":1}`), "reflector.unreachable", "502"},
		{"a time below zero", pipe, page("502 Bad Gateway", "", `{"dial":"refused","ms":-1}`), "reflector.unreachable", "502"},
		{"a port refused", pipe, page("403 Forbidden", "", `{"error":"port","ports":[4500]}`), "reflector.port.refused", "only to 4500"},
		{"a session refused for ever", pipe, page("403 Forbidden", "", `{"error":"session"}`), "reflector.session.refused", ""},
		{"an address that changes for ever", pipe, page("403 Forbidden", "", `{"error":"session-address"}`), "reflector.address.changed", ""},
		{"busy", pipe, page("503 Service Unavailable", "Retry-After: 10\r\n", `{"error":"full"}`), "reflector.busy", ""},
		{"closed in the middle", pipe, "HTTP/1.1 101 Switch", "reflector.not-one", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := &Client{URL: "http://" + answering(t, tt.path, tt.answer), Token: []byte(goodToken)}
			var err error
			if tt.path == who {
				_, err = c.Whoami(limited(t))
			} else {
				_, err = c.Dial(limited(t), 8888)
			}
			e, ok := errors.AsType[*report.Error](err)
			if !ok || e.Code != tt.code || e.Remedy == "" || !strings.Contains(e.Message, tt.says) {
				t.Errorf("%+v, want %s that says %q", err, tt.code, tt.says)
			}
			if e != nil && (strings.Contains(e.Message+e.Remedy, goodToken) || strings.Contains(e.Message, "\n")) {
				t.Errorf("the message is %q", e.Message)
			}
		})
	}
}

func TestDialOutcomes(t *testing.T) {
	t.Parallel()
	for _, outcome := range []string{Refused, Timeout, Unreachable} {
		c := &Client{URL: "http://" + answering(t, "/v1/pipe", page("502 Bad Gateway", "", `{"dial":"`+outcome+`","ms":1234}`)), Token: []byte(goodToken)}
		_, err := c.Dial(limited(t), 8888)
		e, ok := errors.AsType[*DialError](err)
		if !ok || *e != (DialError{Port: 8888, Outcome: outcome, Took: 1234 * time.Millisecond}) || !strings.Contains(e.Error(), "8888") {
			t.Errorf("%s: %v", outcome, err)
		}
	}
}

// A session that has ended, or that a reflector does not know since it was
// started again, is no matter.
func TestNewSession(t *testing.T) {
	t.Parallel()
	b := serve(t, server(t, echo), func(_ *Options, l *limits) { l.pipesPerSession = 1 })
	c := b.client()
	for range 3 {
		conn, err := c.Dial(limited(t), 8888)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	old := c.current
	c.current = &sessionJSON{Token: "of another process", Ports: old.Ports, Expires: time.Now().Add(time.Hour)}
	if conn, err := c.Dial(limited(t), 8888); err != nil {
		t.Error(err)
	} else {
		conn.Close()
	}
	// A computer whose clock is wrong is served all the same.
	c.current.Expires = time.Now().Add(-time.Hour)
	if conn, err := c.Dial(limited(t), 8888); err != nil {
		t.Error(err)
	} else {
		conn.Close()
	}
}

// A client that asks too often waits a moment and asks again, unless it is told
// to wait for long.
func TestImpatience(t *testing.T) {
	t.Parallel()
	b := serve(t, server(t, echo), nil)
	c := b.client()
	for range requestsBurst + 5 {
		if _, err := c.Whoami(limited(t)); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(b.metricsText(), `requests_total{path="whoami",result="rate"}`) {
		t.Error("nothing was refused: is the test right?")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	c = &Client{URL: "http://" + answering(t, "/v1/whoami", page("429 Too Many Requests", "Retry-After: 2\r\n", `{"error":"rate"}`))}
	if _, err := c.Whoami(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	c.URL = "http://" + answering(t, "/v1/whoami", page("429 Too Many Requests", "Retry-After: 1200\r\n", `{"error":"rate"}`))
	if _, err := c.Whoami(limited(t)); !report.HasCode(err, "reflector.busy") || !strings.Contains(report.AsError(err).Remedy, "20 minutes") {
		t.Errorf("told to wait: %+v", report.AsError(err))
	}
}

func TestURLs(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"reflector.example":                    "https://reflector.example",
		" https://reflector.example/ ":         "https://reflector.example",
		"http://reflector.example:8080/r/":     "http://reflector.example:8080/r",
		"https://[2a00:1450::1]:8443":          "https://[2a00:1450::1]:8443",
		"reflector.example/tools/reflector":    "https://reflector.example/tools/reflector",
		"https://user:secret@r.example":        "",
		"https://r.example/?token=secret":      "",
		"https://r.example/#x":                 "",
		"ftp://r.example":                      "",
		"https://":                             "",
		"https://r.example:0":                  "",
		"https://r.example:99999":              "",
		"https://[fe80::1%25eth0]":             "",
		"https://r example":                    "",
		"":                                     "",
		"https://r.example\r\nX-Injected: yes": "",
	} {
		c := &Client{URL: text, Token: []byte(goodToken)}
		u, err := c.parse()
		if want == "" {
			if e, ok := errors.AsType[*report.Error](err); !ok || e.Code != "reflector.url.wrong" || strings.Contains(e.Message, "secret@") {
				t.Errorf("%q: %v, %v", text, u, err)
			}
			continue
		}
		if err != nil || u.String() != want {
			t.Errorf("%q: %v, %v, want %s", text, u, err, want)
		}
	}
	for token, code := range map[string]string{"": "reflector.token.missing", "two words of a token": "reflector.token.wrong", "x\r\nX-Injected: yes": "reflector.token.wrong", "größe": "reflector.token.wrong"} {
		c := &Client{URL: "http://127.0.0.1:1", Token: []byte(token)}
		if _, err := c.Dial(limited(t), 8888); !report.HasCode(err, code) || token != "" && strings.Contains(err.Error(), token) {
			t.Errorf("token %q: %v, want %s", token, err, code)
		}
	}
	for url, warns := range map[string]bool{"http://r.example": true, "https://r.example": false, "http://localhost:1": false, "http://127.0.0.1:1": false, "::": false} {
		if got := len((&Client{URL: url}).Warnings()) > 0; got != warns {
			t.Errorf("Warnings of %s: %t", url, got)
		}
	}
}

// Under a path of its own, as behind a proxy.
func TestPathPrefix(t *testing.T) {
	t.Parallel()
	b := serve(t, server(t, echo), nil)
	front := server(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		if !strings.Contains(line, " /tools/reflector/v1/") {
			t.Errorf("the proxy was asked %q", line)
		}
		back := b.connect(site)
		io.WriteString(back, strings.Replace(line, "/tools/reflector", "", 1))
		go func() { io.Copy(back, r); back.(*net.TCPConn).CloseWrite() }()
		io.Copy(c, back)
	})
	c := &Client{URL: "http://" + front + "/tools/reflector/", Token: []byte(goodToken)}
	if who, err := c.Whoami(limited(t)); err != nil || who.Addr() != netip.MustParseAddr(site) {
		t.Errorf("Whoami = %v, %v", who, err)
	}
	conn, err := c.Dial(limited(t), 8888)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "hello")
	if got, err := io.ReadAll(io.LimitReader(conn, 5)); string(got) != "hello" {
		t.Errorf("the echo is %q, %v", got, err)
	}
}

// No wait is without an end, and a context ends it at once.
func TestSilence(t *testing.T) {
	t.Parallel()
	silent := server(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	c := &Client{URL: "http://" + silent, Token: []byte(goodToken), Timeout: 100 * time.Millisecond}
	if _, err := c.Whoami(limited(t)); !report.HasCode(err, "reflector.unreachable") || !strings.Contains(err.Error(), "in time") {
		t.Errorf("silence: %v", err)
	}
	c = &Client{URL: "https://" + silent, Timeout: 100 * time.Millisecond}
	if _, err := c.Whoami(limited(t)); !report.HasCode(err, "reflector.tls.failed") || !strings.Contains(err.Error(), "in time") {
		t.Errorf("silence of TLS: %v", err)
	}
	c = &Client{URL: "http://" + silent, Token: []byte(goodToken)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		_, err := c.Dial(ctx, 8888)
		done <- err
	}()
	cancel()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	case <-time.After(3 * time.Second):
		t.Error("it did not end when the context did")
	}
	for name, dial := range map[string]error{
		"no resolver": &net.DNSError{Err: "server misbehaving", Name: "x"}, "no such name": &net.DNSError{Err: "no such host", IsNotFound: true},
		"refused": errors.New("odd"),
	} {
		c := &Client{URL: "https://r.example", DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, dial }}
		if _, err := c.Whoami(limited(t)); !report.HasCode(err, "reflector.unreachable") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// pair writes a certificate that is signed by itself, and its key.
func pair(t *testing.T, dir, name string) (certFile, keyFile string, cert *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, IPAddresses: []net.IP{net.ParseIP(name)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, _ = x509.ParseCertificate(der)
	keyDER, _ := x509.MarshalPKCS8PrivateKey(key)
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600)
	os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600)
	return certFile, keyFile, cert
}

// HTTPS, its certificate renewed while it runs, and everything about it that can
// be wrong.
func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, keyFile, cert := pair(t, dir, "127.0.0.1")
	now := time.Now()
	b := serve(t, server(t, echo), func(o *Options, _ *limits) {
		o.CertFile, o.KeyFile, o.Now = certFile, keyFile, func() time.Time { return now }
	})
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	c := &Client{URL: "https://" + b.Addr(), Token: []byte(goodToken), Roots: roots}
	conn, err := c.Dial(limited(t), 8888)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(conn, "hello")
	if got, err := io.ReadAll(io.LimitReader(conn, 5)); string(got) != "hello" {
		t.Errorf("the echo is %q, %v", got, err)
	}
	conn.Close()
	for name, tt := range map[string]struct {
		c    *Client
		code string
	}{
		"not trusted":      {&Client{URL: "https://" + b.Addr()}, "reflector.tls.failed"},
		"another name":     {&Client{URL: strings.Replace("https://"+b.Addr(), "127.0.0.1", "localhost", 1), Roots: roots}, "reflector.tls.failed"},
		"expired":          {&Client{URL: "https://" + b.Addr(), Roots: roots, Now: func() time.Time { return now.Add(48 * time.Hour) }}, "reflector.tls.failed"},
		"HTTP to HTTPS":    {&Client{URL: "http://" + b.Addr()}, "reflector.not-one"},
		"HTTPS to HTTP":    {&Client{URL: "https://" + serve(t, "", nil).Addr()}, "reflector.tls.failed"},
		"HTTPS to nothing": {&Client{URL: "https://" + server(t, func(net.Conn) {})}, "reflector.tls.failed"},
	} {
		_, err := tt.c.Whoami(limited(t))
		if e, ok := errors.AsType[*report.Error](err); !ok || e.Code != tt.code || e.Remedy == "" {
			t.Errorf("%s: %v, want %s", name, err, tt.code)
		}
	}
	// A bad pair does not take the place of a good one; a good one does.
	os.WriteFile(certFile, []byte("rubbish"), 0o600)
	now = now.Add(time.Minute)
	if _, err := (&Client{URL: "https://" + b.Addr(), Roots: roots}).Whoami(limited(t)); err != nil {
		t.Errorf("after a bad pair: %v", err)
	}
	if !strings.Contains(b.log.String(), "a changed file is bad") {
		t.Errorf("the log does not tell of the bad pair:\n%s", b.log)
	}
	_, _, renewed := pair(t, dir, "127.0.0.1")
	now = now.Add(time.Minute)
	roots = x509.NewCertPool()
	roots.AddCert(renewed)
	if _, err := (&Client{URL: "https://" + b.Addr(), Roots: roots}).Whoami(limited(t)); err != nil {
		t.Errorf("after a new pair: %v", err)
	}
}
