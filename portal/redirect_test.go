package portal

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"onsite/report"
)

func newSilence() *log.Logger { return log.New(io.Discard, "", 0) }

// TestCheckRedirects has a server for each scheme. In locations, HTTP and HTTPS
// stand for their ports.
func TestCheckRedirects(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		start     string
		locations map[string]string // by scheme and path
		code      string
		status    report.Status
		final     int // status code
		redirects []string
	}{
		{
			"to HTTPS", "http://portal.acme.example:HTTP/",
			map[string]string{"http/": "https://portal.acme.example:HTTPS/"},
			"portal.redirect.https", report.StatusPass, 200,
			[]string{"https://portal.acme.example:HTTPS/"},
		},
		{
			"to HTTPS, tidied", "http://PORTAL.acme.example:HTTP",
			map[string]string{"http/": "https://Portal.Acme.Example:HTTPS#top"},
			"portal.redirect.https", report.StatusPass, 200,
			[]string{"https://portal.acme.example:HTTPS/"},
		},
		{
			"within", "https://portal.acme.example:HTTPS/",
			map[string]string{"https/": "sub/page?a=b"},
			"portal.http.status", report.StatusPass, 200,
			[]string{"https://portal.acme.example:HTTPS/sub/page?a=b"},
		},
		{
			"elsewhere", "https://portal.acme.example:HTTPS/",
			map[string]string{"https/": "https://www.acme.example:HTTPS/there"},
			"portal.redirect.elsewhere", report.StatusWarn, 200,
			[]string{"https://www.acme.example:HTTPS/there"},
		},
		{
			"back to HTTP", "https://portal.acme.example:HTTPS/",
			map[string]string{"https/": "http://portal.acme.example:HTTP/"},
			"portal.redirect.downgrade", report.StatusFail, 302,
			[]string{"http://portal.acme.example:HTTP/"},
		},
		{
			"to itself", "https://portal.acme.example:HTTPS/",
			map[string]string{"https/": "/"},
			"portal.redirect.loop", report.StatusFail, 302,
			[]string{"https://portal.acme.example:HTTPS/"},
		},
		{
			"round and round", "http://portal.acme.example:HTTP/",
			map[string]string{"http/": "/a", "http/a": "/"},
			"portal.redirect.loop", report.StatusFail, 302,
			[]string{"http://portal.acme.example:HTTP/a", "http://portal.acme.example:HTTP/"},
		},
		{
			"too many", "http://portal.acme.example:HTTP/",
			map[string]string{"http/": "/1", "http/1": "/2", "http/2": "/3", "http/3": "/4", "http/4": "/5", "http/5": "/6"},
			"portal.redirect.loop", report.StatusFail, 302, nil,
		},
		{
			"five are enough", "http://portal.acme.example:HTTP/",
			map[string]string{"http/": "/1", "http/1": "/2", "http/2": "/3", "http/3": "/4", "http/4": "/5"},
			"portal.http.status", report.StatusPass, 200, nil,
		},
		{
			"to a file", "https://portal.acme.example:HTTPS/",
			map[string]string{"https/": "file:///etc/passwd"},
			"portal.redirect.wrong", report.StatusFail, 302,
			[]string{},
		},
		{
			"with a password", "https://portal.acme.example:HTTPS/",
			map[string]string{"https/": "https://user:word@portal.acme.example/"},
			"portal.redirect.wrong", report.StatusFail, 302,
			[]string{},
		},
		{
			"to nowhere", "https://portal.acme.example:HTTPS/",
			map[string]string{"https/": ""},
			"portal.redirect.wrong", report.StatusFail, 302,
			[]string{},
		},
		{
			"to garbage", "https://portal.acme.example:HTTPS/",
			map[string]string{"https/": "https://[::1"},
			"portal.redirect.wrong", report.StatusFail, 302,
			[]string{},
		},
		{
			"to where nobody is", "http://portal.acme.example:HTTP/",
			map[string]string{"http/": "http://nobody.acme.example/"},
			"portal.name.unresolved", report.StatusFail, 302,
			[]string{"http://nobody.acme.example/"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var ports *strings.Replacer
			handle := func(w http.ResponseWriter, r *http.Request) {
				scheme := "http"
				if r.TLS != nil {
					scheme = "https"
				}
				if to, ok := test.locations[scheme+r.URL.Path]; ok {
					w.Header().Set("Location", ports.Replace(to))
					w.WriteHeader(http.StatusFound)
				}
			}
			ready := make(chan struct{}) // the servers start before their ports are known
			late := func(w http.ResponseWriter, r *http.Request) { <-ready; handle(w, r) }
			plain, encrypted := servePlain(t, late), serveTLS(t, newSet(nil, testName, "www.acme.example"), late, nil)
			_, plainPort, _ := net.SplitHostPort(plain)
			_, encryptedPort, _ := net.SplitHostPort(encrypted)
			ports = strings.NewReplacer("HTTPS", encryptedPort, "HTTP", plainPort)
			close(ready)
			r, findings := mustCheck(t, CheckOptions{
				URL: ports.Replace(test.start), Roots: options("https", encrypted).Roots,
				DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
					host, port, _ := net.SplitHostPort(addr)
					if host != "portal.acme.example" && host != "www.acme.example" {
						return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
					}
					return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+port)
				},
			})
			want(t, findings, test.code, test.status)
			if r.StatusCode != test.final {
				t.Errorf("status = %d, want %d", r.StatusCode, test.final)
			}
			for i := range test.redirects {
				test.redirects[i] = ports.Replace(test.redirects[i])
			}
			if test.redirects != nil && !slices.Equal(r.Redirects, test.redirects) {
				t.Errorf("redirects = %q, want %q", r.Redirects, test.redirects)
			}
			if strings.Contains(test.name, "password") {
				if f, _ := find(findings, test.code); strings.Contains(f.Detail, "word@") {
					t.Errorf("detail %q shows the password", f.Detail)
				}
			}
		})
	}
}

func TestParseURL(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"portal.acme.example":                "https://portal.acme.example/",
		" portal.acme.example:4444 ":         "https://portal.acme.example:4444/",
		"HTTPS://Portal.ACME.example:443":    "https://portal.acme.example/",
		"http://portal.acme.example:80/a?b":  "http://portal.acme.example/a?b",
		"http://portal.acme.example:443":     "http://portal.acme.example:443/",
		"https://portal.acme.example:/#frag": "https://portal.acme.example/",
		"localhost:8888":                     "https://localhost:8888/",
		"192.0.2.1":                          "https://192.0.2.1/",
		"2001:db8::1":                        "https://[2001:db8::1]/",
		"[2001:db8::1]:4444":                 "https://[2001:db8::1]:4444/",
		"https://büro.example":               "https://xn--bro-hoa.example/",
		"host_1.local":                       "https://host_1.local/",
	} {
		if u, err := parseURL(in); err != nil || u.String() != want {
			t.Errorf("parseURL(%q) = %v, %v, want %s", in, u, err, want)
		}
	}
	for _, in := range []string{
		"", "https://", "ftp://x", "file:///etc/passwd", "javascript://x", "https://user:word@x", "user:word@x", "https://x:0", "https://x:65536", "https://x:y",
		"https://a b", "https://x\x00", "://", "https:///path", "https://[::1", "https://[fe80::1%25eth0]/", `C:\x`, "https://a,b", "https://*", "http:8888:1", "https:x", strings.Repeat("a", 254), "https://\xba\xba",
	} {
		u, err := parseURL(in)
		if e := report.AsError(err); e == nil || e.Code != "portal.url.wrong" || e.Kind != report.KindUsage || e.Remedy == "" {
			t.Errorf("parseURL(%q) = %v, %v, want portal.url.wrong", in, u, err)
		} else if strings.Contains(e.Message, "word") || strings.ContainsRune(e.Message, 0) {
			t.Errorf("parseURL(%q): message %q shows what it must not", in, e.Message)
		}
	}
}

func TestConnect(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ url, connect, to, want string }{
		{"https://a.example", "", "https://a.example/x", "a.example:443"},
		{"https://a.example", "192.0.2.1:4444", "https://a.example/x", "192.0.2.1:4444"},
		{"https://a.example", "192.0.2.1", "https://a.example/x", "192.0.2.1:443"},
		{"http://a.example:8888", "192.0.2.1:81", "https://a.example:4444/", "192.0.2.1:4444"},
		{"http://a.example:8888", "192.0.2.1:81", "https://a.example/", "192.0.2.1:443"},
		{"http://a.example:8888", "192.0.2.1:81", "https://b.example:8888/", "b.example:8888"},
		{"https://a.example", "[2001:db8::1]:4444", "https://a.example", "[2001:db8::1]:4444"},
		{"https://a.example:4444", "2001:db8::1", "https://a.example:4444", "[2001:db8::1]:4444"},
	} {
		from, err := parseURL(test.url)
		if err != nil {
			t.Fatal(err)
		}
		to, err := parseURL(test.to)
		if err != nil {
			t.Fatal(err)
		}
		connect, err := parseConnect(test.connect, from)
		c := &check{origin: from, connect: connect}
		if got := c.target(to); err != nil || got != test.want {
			t.Errorf("target(%q) of %q with %q = %q, %v, want %q", test.to, test.url, test.connect, got, err, test.want)
		}
	}
	for _, connect := range []string{":", ":443", "x:0", "x:65536", "x:" + strconv.Itoa(1<<40), "a b:1", "https://x", "[::1:443"} {
		if _, _, err := Check(context.Background(), CheckOptions{URL: "x", Connect: connect}); !report.HasCode(err, "portal.address.wrong") {
			t.Errorf("Check with Connect %q = %v, want portal.address.wrong", connect, err)
		}
	}
}
