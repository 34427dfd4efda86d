package portal

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"onsite/csr"
	"onsite/pkcs"
	"onsite/report"
)

// client opens every https://portal.acme.example address at the given server.
func client(t *testing.T, addr string, h2 bool) *http.Client {
	t.Helper()
	tr := &http.Transport{
		TLSClientConfig: clientTLS(), ForceAttemptHTTP2: h2,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

func get(t *testing.T, c *http.Client, url string) (*http.Response, string) {
	t.Helper()
	r, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, string(body)
}

func TestPage(t *testing.T) {
	t.Parallel()
	set := newSet(nil, testName)
	o := both(write(t, set))
	o.Site = "Acme <Bakery>"
	s, _ := start(t, o, nil)
	for _, test := range []struct {
		name, url, addr, proto string
		h2                     bool
		contains               []string
	}{
		{name: "http", url: "http://portal.acme.example/", addr: s.HTTPAddr(), proto: "HTTP/1.1", contains: []string{
			"You reached this portal over HTTP: not encrypted.", "Not encrypted", "HTTP (HTTP/1.1)", "portal.acme.example", "127.0.0.1:", "Acme &lt;Bakery&gt;",
		}},
		{name: "https", url: "https://portal.acme.example/", addr: s.HTTPSAddr(), proto: "HTTP/1.1", contains: []string{
			"You reached this portal over HTTPS.", "TLS 1.3", "<code>TLS_", "Test Issuing", pkcs.Fingerprint(set.Leaf), "89 days",
		}},
		{name: "h2", url: "https://portal.acme.example/?x=1", addr: s.HTTPSAddr(), proto: "HTTP/2.0", h2: true, contains: []string{
			"You reached this portal over HTTPS.", "HTTPS (HTTP/2.0)", "<code>h2</code>",
		}},
		{name: "another name", url: "https://127.0.0.2/", addr: s.HTTPSAddr(), proto: "HTTP/1.1", contains: []string{"Wrong name", "does not cover the name"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r, body := get(t, client(t, test.addr, test.h2), test.url)
			if r.StatusCode != 200 || r.Proto != test.proto {
				t.Errorf("GET %s = %d over %s, want 200 over %s", test.url, r.StatusCode, r.Proto, test.proto)
			}
			for _, text := range test.contains {
				if !strings.Contains(body, text) {
					t.Errorf("GET %s lacks %q:\n%s", test.url, text, body)
				}
			}
			for name, value := range map[string]string{
				"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
				"Cache-Control": "no-store", "Content-Type": "text/html; charset=utf-8",
			} {
				if got := r.Header.Get(name); got != value {
					t.Errorf("GET %s: header %s = %q, want %q", test.url, name, got, value)
				}
			}
			if strings.Contains(body, "<script") || strings.Contains(body, "style=") {
				t.Errorf("GET %s has a script or an inline style, which the policy forbids:\n%s", test.url, body)
			}
		})
	}
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	s, _ := start(t, Options{HTTP: "127.0.0.1:0"}, nil)
	base := "http://" + s.HTTPAddr()
	for _, test := range []struct {
		method, path string
		status       int
		contentType  string
		body         string
	}{
		{"GET", "/", 200, "text/html; charset=utf-8", "</html>"},
		{"HEAD", "/", 200, "text/html; charset=utf-8", ""},
		{"GET", "/style.css", 200, "text/css; charset=utf-8", "--ground"},
		{"GET", "/healthz", 200, "text/plain; charset=utf-8", "ok\n"},
		{"GET", "/.well-known/onsite", 200, "application/json", `"nonce": ""`},
		{"GET", "/favicon.ico", 404, "text/html; charset=utf-8", "There is no such page here."},
		{"GET", "//", 404, "text/html; charset=utf-8", "There is no such page here."},
		{"GET", "/../../etc/passwd", 404, "text/html; charset=utf-8", "There is no such page here."},
		{"GET", "/key.pem", 404, "text/html; charset=utf-8", "There is no such page here."},
		{"POST", "/", 405, "text/html; charset=utf-8", "This page can only be read."},
		{"PUT", "/healthz", 405, "text/html; charset=utf-8", "This page can only be read."},
		{"DELETE", "/nothing", 404, "text/html; charset=utf-8", "There is no such page here."},
	} {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			t.Parallel()
			r, err := http.NewRequest(test.method, base, strings.NewReader(""))
			if err != nil {
				t.Fatal(err)
			}
			r.URL.Opaque = "//" + s.HTTPAddr() + test.path // as it stands, not tidied
			res, err := client(t, s.HTTPAddr(), false).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			body, _ := io.ReadAll(res.Body)
			if res.StatusCode != test.status || res.Header.Get("Content-Type") != test.contentType || !strings.Contains(string(body), test.body) {
				t.Errorf("%s %s = %d %q %q, want %d %q with %q", test.method, test.path,
					res.StatusCode, res.Header.Get("Content-Type"), body, test.status, test.contentType, test.body)
			}
			if test.method == "HEAD" && len(body) > 0 {
				t.Errorf("HEAD %s has a body of %d bytes", test.path, len(body))
			}
			if allow := res.Header.Get("Allow"); (test.status == 405) != (allow == "GET, HEAD") {
				t.Errorf("%s %s: Allow = %q", test.method, test.path, allow)
			}
		})
	}
}

func TestBodyIsNotRead(t *testing.T) {
	t.Parallel()
	s, _ := start(t, Options{HTTP: "127.0.0.1:0"}, nil)
	res, err := client(t, s.HTTPAddr(), false).Post("http://x/", "text/plain", strings.NewReader(strings.Repeat("x", 8<<20)))
	if err != nil {
		return // the portal hung up on it
	}
	res.Body.Close()
	if res.StatusCode != 405 {
		t.Errorf("POST of 8 MiB = %d, want 405", res.StatusCode)
	}
}

// raw sends bytes and returns what comes back until the connection ends.
func raw(t *testing.T, addr, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(conn, request)
	answer, _ := io.ReadAll(conn) // a reset ends it as well
	return string(answer)
}

func TestHostileRequests(t *testing.T) {
	t.Parallel()
	s, _ := start(t, Options{HTTP: "127.0.0.1:0", Site: "Acme"}, nil)
	for _, test := range []struct {
		name, request string
		status        string
		with, without string
	}{
		{"markup in Host", "GET / HTTP/1.1\r\nHost: <script>alert(1)</script>\r\nConnection: close\r\n\r\n", "400 ", "", "<script>"},
		{"quotes in Host", "GET / HTTP/1.1\r\nHost: a'b&c;(d)\r\nConnection: close\r\n\r\n", "200 ", "a&#39;b&amp;c;(d)", "a'b"},
		{"long Host", "GET / HTTP/1.1\r\nHost: " + strings.Repeat("h", 4000) + "\r\nConnection: close\r\n\r\n", "200 ", strings.Repeat("h", 254) + "…", strings.Repeat("h", 255)},
		{"long Host as JSON", "GET /.well-known/onsite HTTP/1.1\r\nHost: " + strings.Repeat("h", 4000) + "\r\nConnection: close\r\n\r\n", "200 ", strings.Repeat("h", 254) + "…", strings.Repeat("h", 255)},
		{"no Host", "GET / HTTP/1.0\r\n\r\n", "200 ", "over HTTP", ""},
		{"markup in the path", "GET /<script> HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "404 ", "no such page", "<script"},
		{"headers too long", "GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 40<<10) + "\r\n\r\n", "431 ", "", "html"},
		{"no HTTP", "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", "400 ", "", "html"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := raw(t, s.HTTPAddr(), test.request)
			if got == "" && test.status == "431 " {
				return // cut off while still sending
			}
			head, body, _ := strings.Cut(got, "\r\n\r\n")
			if !strings.Contains(strings.SplitN(head, "\r\n", 2)[0], test.status) {
				t.Errorf("answer to %.60q = %.200q, want status %q", test.request, got, test.status)
			}
			if !strings.Contains(body, test.with) || test.without != "" && strings.Contains(body, test.without) {
				t.Errorf("answer to %.60q must have %.60q and not %.60q:\n%s", test.request, test.with, test.without, body)
			}
		})
	}
}

func TestWellKnown(t *testing.T) {
	t.Parallel()
	set := newSet(nil, testName, "www.acme.example")
	s, _ := start(t, both(write(t, set)), nil)
	longest := strings.Repeat("n", 128)
	for _, nonce := range []string{"", "a", "AZaz09._~-", longest} {
		url := "https://portal.acme.example" + wellKnown
		if nonce != "" {
			url += "?nonce=" + nonce
		}
		r, body := get(t, client(t, s.HTTPSAddr(), true), url)
		var seen Seen
		if err := json.Unmarshal([]byte(body), &seen); err != nil || r.StatusCode != 200 || seen.TLS == nil || seen.Certificate == nil {
			t.Fatalf("GET %s = %d %s (%v)", url, r.StatusCode, body, err)
		}
		want := Seen{
			Schema: "onsite/1", Service: "onsite portal", Nonce: nonce, Scheme: "https", Host: testName, Remote: seen.Remote, Protocol: "HTTP/2.0",
			TLS: &TLS{Version: "TLS 1.3", Cipher: seen.TLS.Cipher, ServerName: testName, ALPN: "h2"},
			Certificate: &Certificate{Info: pkcs.Info{
				Name: testName, Subject: "CN=portal.acme.example,O=Acme \\<Bakery\\>", Names: []string{testName, "www.acme.example", "127.0.0.1"},
				Issuer: "CN=Test Issuing", Serial: pkcs.Serial(set.Leaf.SerialNumber), SHA256: pkcs.Fingerprint(set.Leaf),
				SPKISHA256: csr.Fingerprint(set.Leaf.PublicKey), NotBefore: set.Leaf.NotBefore, NotAfter: set.Leaf.NotAfter,
			}, DaysLeft: 89},
			Time: seen.Time,
		}
		if !reflect.DeepEqual(seen, want) {
			t.Errorf("GET %s = %s, want %+v %+v %+v", url, body, want, *want.TLS, *want.Certificate)
		}
		if host, _, err := net.SplitHostPort(seen.Remote); err != nil || host != "127.0.0.1" {
			t.Errorf("remote = %q, want 127.0.0.1 and a port", seen.Remote)
		}
	}
	_, body := get(t, client(t, s.HTTPAddr(), false), "http://x"+wellKnown+"?nonce=n")
	for _, text := range []string{`"tls": null`, `"certificate": null`, `"scheme": "http"`, `"nonce": "n"`} {
		if !strings.Contains(body, text) {
			t.Errorf("over HTTP lacks %s: %s", text, body)
		}
	}
	for _, nonce := range []string{"nonce=", "nonce=a+b", "nonce=%3Cscript%3E", "nonce=" + longest + "n", "nonce=%00", "nonce=%C3%A4", "nonce=%22"} {
		r, body := get(t, client(t, s.HTTPAddr(), false), "http://x"+wellKnown+"?"+nonce)
		var answer map[string]string
		if err := json.Unmarshal([]byte(body), &answer); err != nil || r.StatusCode != 400 || answer["error"] == "" || len(answer) != 1 {
			t.Errorf("GET with %q = %d %s, want 400 and an error", nonce, r.StatusCode, body)
		}
	}
}

func TestExpiredWhileServed(t *testing.T) {
	t.Parallel()
	set := newSet(nil, testName)
	o := both(write(t, set))
	late := make(chan time.Time, 1)
	late <- time.Now()
	o.Now = func() time.Time { now := <-late; late <- now; return now }
	s, _ := start(t, o, nil)
	c := client(t, s.HTTPSAddr(), true)
	if r, body := get(t, c, "https://portal.acme.example/healthz"); r.StatusCode != 200 || body != "ok\n" {
		t.Errorf("healthz = %d %q, want 200 ok", r.StatusCode, body)
	}
	<-late
	late <- set.Leaf.NotAfter.Add(time.Hour)
	if r, body := get(t, c, "https://portal.acme.example/healthz"); r.StatusCode != 503 || body != "expired\n" {
		t.Errorf("healthz = %d %q, want 503 expired", r.StatusCode, body)
	}
	if _, body := get(t, c, "https://portal.acme.example/"); !strings.Contains(body, "the certificate expired on "+prose(day(set.Leaf.NotAfter))) {
		t.Errorf("the page does not say that the certificate has expired:\n%s", body)
	}
	if _, body := get(t, c, "https://portal.acme.example"+wellKnown); !strings.Contains(body, `"days_left": -1`) {
		t.Errorf("days_left of a certificate that expired an hour ago: %s, want -1", body)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	good := newSet(nil, testName)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	for _, test := range []struct {
		name    string
		o       Options
		prepare func(dir string)
		code    string
		kind    report.Kind
		finding string // "" for none that fails
	}{
		{name: "no address", code: "portal.address.wrong", kind: report.KindUsage},
		{name: "no port", o: Options{HTTP: "8888"}, code: "portal.address.wrong", kind: report.KindUsage},
		{name: "named port", o: Options{HTTP: ":http"}, code: "portal.address.wrong", kind: report.KindUsage},
		{name: "port too high", o: Options{HTTP: ":65536"}, code: "portal.address.wrong", kind: report.KindUsage},
		{name: "another computer's address", o: Options{HTTP: "192.0.2.1:0"}, code: "portal.address.wrong", kind: report.KindUsage},
		{name: "wrong host", o: Options{HTTPS: "127.0.0.1:0", Host: "https://x:1"}, code: "portal.host.wrong", kind: report.KindUsage},
		{name: "address in use", o: Options{HTTP: "127.0.0.1:0", HTTPS: taken.Addr().String()}, code: "portal.address.in-use", kind: report.KindRefused},
		{name: "name not covered", o: Options{HTTPS: "127.0.0.1:0", Host: "other.example"}, code: "portal.set.bad", kind: report.KindFailed, finding: "cert.name.mismatch"},
		{name: "missing file", o: Options{HTTPS: "127.0.0.1:0"}, code: "set.file.missing", kind: report.KindInput, prepare: func(dir string) {
			os.Remove(filepath.Join(dir, pkcs.CertFile))
		}},
		{name: "key of another", o: Options{HTTPS: "127.0.0.1:0"}, code: "portal.set.bad", kind: report.KindFailed, finding: "set.key.mismatch", prepare: func(dir string) {
			other := write(t, newSet(nil, testName))
			os.Rename(filepath.Join(other, pkcs.KeyFile), filepath.Join(dir, pkcs.KeyFile))
		}},
		{name: "expired", o: Options{HTTPS: "127.0.0.1:0"}, code: "portal.set.bad", kind: report.KindFailed, finding: "cert.expired", prepare: func(dir string) {
			if _, err := newSet(expired, testName).Write(dir, pkcs.WriteOptions{Overwrite: true}); err != nil {
				t.Error(err)
			}
		}},
		{name: "missing intermediate", o: Options{HTTPS: "127.0.0.1:0"}, code: "portal.set.bad", kind: report.KindFailed, finding: "chain.issuer.unknown", prepare: func(dir string) {
			overwrite(t, dir, pkcs.CertFile, pemOf(good.Leaf))
			overwrite(t, dir, pkcs.RootFile, pemOf(good.Root))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.o.Dir = write(t, good)
			if test.prepare != nil {
				test.prepare(test.o.Dir)
			}
			s, findings, err := New(test.o)
			e := report.AsError(err)
			if s != nil || e == nil || e.Code != test.code || e.Kind != test.kind || e.Remedy == "" {
				t.Fatalf("New = %v, %+v, %+v, want an error %q of kind %d with a remedy", s, findings, e, test.code, test.kind)
			}
			if test.finding != "" {
				want(t, findings, test.finding, report.StatusFail)
			}
			if test.code == "portal.address.in-use" && !strings.Contains(e.Message, taken.Addr().String()) {
				t.Errorf("message %q does not name %s", e.Message, taken.Addr())
			}
		})
	}
}

// Connections in every state end when the context does.
func TestShutdown(t *testing.T) {
	t.Parallel()
	s, stop := start(t, both(write(t, newSet(nil, testName))), func(l *limits) { l.grace = 50 * time.Millisecond })
	get(t, client(t, s.HTTPAddr(), false), "http://x/") // stays open, idle
	get(t, client(t, s.HTTPSAddr(), true), "https://portal.acme.example/")
	var conns []net.Conn
	for _, open := range []struct{ addr, send string }{
		{s.HTTPAddr(), ""},
		{s.HTTPAddr(), "GET / HTTP/1.1\r\nHost"},
		{s.HTTPSAddr(), ""},
		{s.HTTPSAddr(), "\x16\x03\x01"},
	} {
		conn, err := net.Dial("tcp", open.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, open.send)
		conns = append(conns, conn)
	}
	// On a second request the portal answers once it has met the others.
	get(t, client(t, s.HTTPAddr(), false), "http://x/")
	get(t, client(t, s.HTTPSAddr(), false), "https://portal.acme.example/")
	if err := stop(); err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
	for i, conn := range conns {
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.Copy(io.Discard, conn); isTimeout(err) {
			t.Errorf("connection %d is still open after Run", i)
		}
	}
	if conn, err := net.Dial("tcp", s.HTTPSAddr()); err == nil {
		conn.Close()
		t.Errorf("%s still accepts connections after Run", s.HTTPSAddr())
	}
}

func isTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

func TestRunWithEndedContext(t *testing.T) {
	t.Parallel()
	s, _, err := New(both(write(t, newSet(nil, testName))))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
	l, err := net.Listen("tcp", s.HTTPAddr())
	if err != nil {
		t.Fatalf("the address is still held after Run: %v", err)
	}
	l.Close()
}

// A listener that breaks ends Run with an error.
func TestBrokenListener(t *testing.T) {
	t.Parallel()
	s, _, err := New(both(write(t, newSet(nil, testName))))
	if err != nil {
		t.Fatal(err)
	}
	s.http.Close()
	if err := s.Run(context.Background()); !report.HasCode(err, "portal.serve.failed") {
		t.Errorf("Run = %v, want portal.serve.failed", err)
	}
}

func TestSlowClientIsCut(t *testing.T) {
	t.Parallel()
	s, _ := start(t, both(write(t, newSet(nil, testName))), func(l *limits) {
		l.header, l.read = 50*time.Millisecond, 50*time.Millisecond
	})
	for _, open := range []struct{ addr, send string }{
		{s.HTTPAddr(), "GET / HTTP/1.1\r\nX: "}, {s.HTTPSAddr(), "\x16\x03\x01"}, {s.HTTPAddr(), ""}, {s.HTTPSAddr(), ""},
	} {
		if got := raw(t, open.addr, open.send); strings.Contains(got, "200 OK") {
			t.Errorf("a client that sent %q got %q", open.send, got)
		}
	}
}

func TestConnectionLimit(t *testing.T) {
	t.Parallel()
	s, _ := start(t, Options{HTTP: "127.0.0.1:0"}, func(l *limits) { l.conns = 1 })
	first, err := net.Dial("tcp", s.HTTPAddr())
	if err != nil {
		t.Fatal(err)
	}
	answer := func(conn net.Conn) bool {
		io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		r, err := http.ReadResponse(bufio.NewReader(conn), nil)
		return err == nil && r.StatusCode == 200
	}
	if !answer(first) {
		t.Fatal("the first connection gets no answer")
	}
	second, err := net.Dial("tcp", s.HTTPAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	second.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if answer(second) {
		t.Error("a second connection gets an answer, with a limit of one")
	}
	first.Close()
	second.SetReadDeadline(time.Now().Add(20 * time.Second))
	if r, err := http.ReadResponse(bufio.NewReader(second), nil); err != nil || r.StatusCode != 200 {
		t.Errorf("the second connection, after the first has ended: %v", err)
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	t.Parallel()
	s, _ := start(t, both(write(t, newSet(nil, testName))), nil)
	c := clientTLS()
	c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	if conn, err := tls.Dial("tcp", s.HTTPSAddr(), c); err == nil {
		conn.Close()
		t.Error("the portal speaks TLS 1.1")
	}
}

func TestEncryptedKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := newSet(nil, testName).Write(dir, pkcs.WriteOptions{KeyPassword: []byte("not a secret")}); err != nil {
		t.Fatal(err)
	}
	o := both(dir)
	o.KeyPassword = []byte("not a secret")
	s, _ := start(t, o, nil)
	if r, _ := get(t, client(t, s.HTTPSAddr(), true), "https://portal.acme.example/healthz"); r.StatusCode != 200 {
		t.Errorf("healthz = %d, want 200", r.StatusCode)
	}
	o.KeyPassword = []byte("wrong")
	if _, _, err := New(o); !report.HasCode(err, "key.password.wrong") {
		t.Errorf("New with a wrong password = %v, want key.password.wrong", err)
	}
}

// The page cannot be made to fail, but if it does, nothing half is sent.
func TestPageIsWhole(t *testing.T) {
	t.Parallel()
	s := &Server{o: Options{Now: time.Now}}
	w := httptest.NewRecorder()
	s.handler().ServeHTTP(w, httptest.NewRequest("GET", "http://x/", nil))
	if !bytes.HasSuffix(w.Body.Bytes(), []byte("</html>\n")) {
		t.Errorf("the page ends with %q", w.Body.String()[max(0, w.Body.Len()-40):])
	}
	if got := left(1) + left(2) + left(-1); got != "1 day2 daysexpired" {
		t.Errorf("left = %q", got)
	}
}

// The colours of the page are told apart by everybody (WCAG 2.2, 1.4.3).
func TestContrast(t *testing.T) {
	t.Parallel()
	blocks := regexp.MustCompile(`:root \{[^}]*\}`).FindAllString(string(styleCSS), -1)
	if len(blocks) != 3 {
		t.Fatalf("style.css has %d sets of colours, want light, dark and print", len(blocks))
	}
	for _, block := range blocks {
		colour := map[string]float64{} // luminance by name
		for _, m := range regexp.MustCompile(`--([a-z-]+): #([0-9a-f]+);`).FindAllStringSubmatch(block, -1) {
			colour[m[1]] = luminance(t, m[2])
		}
		for _, pair := range [][2]string{
			{"text", "ground"}, {"text", "sheet"}, {"quiet", "ground"}, {"quiet", "sheet"}, {"good", "good-ground"}, {"bad", "bad-ground"},
		} {
			a, b := colour[pair[0]], colour[pair[1]]
			if ratio := (max(a, b) + 0.05) / (min(a, b) + 0.05); ratio < 4.5 {
				t.Errorf("contrast of %s on %s = %.1f, want 4.5 or more, in\n%s", pair[0], pair[1], ratio, block)
			}
		}
	}
}

// luminance of "rrggbb" or "rgb", as WCAG defines it.
func luminance(t *testing.T, hex string) (l float64) {
	t.Helper()
	if len(hex) == 3 {
		hex = string([]byte{hex[0], hex[0], hex[1], hex[1], hex[2], hex[2]})
	}
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(n) / 255
		if c <= 0.04045 {
			l += weight * c / 12.92
		} else {
			l += weight * math.Pow((c+0.055)/1.055, 2.4)
		}
	}
	return l
}

func TestDaysLeft(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for after, want := range map[time.Duration]int{
		0: 0, time.Hour: 0, 24 * time.Hour: 1, 25 * time.Hour: 1, -time.Second: -1, -24 * time.Hour: -1, -25 * time.Hour: -2,
	} {
		if got := pkcs.DaysLeft(&x509.Certificate{NotAfter: now.Add(after)}, now); got != want {
			t.Errorf("DaysLeft(%v before the end) = %d, want %d", after, got, want)
		}
	}
}
