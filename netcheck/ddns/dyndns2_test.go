package ddns

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"onsite/report"
)

// TestAnswers has the provider answer in every way that is known, and in some
// that are not.
func TestAnswers(t *testing.T) {
	t.Parallel()
	const html = "<!DOCTYPE html><html><body>good 11.20.30.20, nochg, 911</body></html>"
	for _, tt := range []struct {
		name   string
		status int
		body   string
		want   string
		class  class
	}{
		{"good", 200, "good 11.20.30.20", "ddns.good", classDone},
		{"good with line end", 200, "good 11.20.30.20\r\n", "ddns.good", classDone},
		{"good with empty lines", 200, "\n\ngood 11.20.30.20 \n\n", "ddns.good", classDone},
		{"good alone", 200, "good", "ddns.good", classDone},
		{"good in both families", 200, "good 11.20.30.20,2001:db8::1", "ddns.good", classDone},
		{"good with words", 200, "good 11.20.30.20 updated", "ddns.good", classDone},
		{"good, another address", 200, "good 11.20.30.21", "ddns.address.other", classSame},
		{"good, ignored", 200, "good 127.0.0.1", "ddns.address.other", classSame},
		{"good, a word", 200, "good grief", "ddns.address.other", classSame},
		{"nochg", 200, "nochg 11.20.30.20", "ddns.nochg", classSame},
		{"nochg alone", 200, "nochg", "ddns.nochg", classSame},
		{"nochg, another address", 200, "nochg 11.20.30.21", "ddns.address.other", classSame},
		{"badauth", 200, "badauth", "ddns.badauth", classStop},
		{"badauth as HTTP", 401, "badauth", "ddns.badauth", classStop},
		{"401 with a page", 401, html, "ddns.badauth", classStop},
		{"!donator", 200, "!donator", "ddns.donator", classStop},
		{"!yours", 200, "!yours", "ddns.yours", classStop},
		{"nohost", 200, "nohost", "ddns.nohost", classStop},
		{"notfqdn", 200, "notfqdn", "ddns.notfqdn", classStop},
		{"numhost", 200, "numhost", "ddns.numhost", classStop},
		{"abuse", 200, "abuse", "ddns.abuse", classStop},
		{"abuse as HTTP", 403, "abuse", "ddns.abuse", classStop},
		{"badagent", 200, "badagent", "ddns.badagent", classStop},
		{"badsys", 200, "badsys", "ddns.badsys", classStop},
		{"!active", 200, "!active", "ddns.inactive", classStop},
		{"dnserr", 200, "dnserr", "ddns.dnserr", classLater},
		{"911", 200, "911", "ddns.911", classLater},
		{"911 as HTTP", 500, "911", "ddns.911", classLater},
		{"wait", 200, "wait", "ddns.wait", classLater},
		{"w60m", 200, "w60m", "ddns.wait", classLater},
		{"500", 500, "internal error", "ddns.http", classLater},
		{"good, but 500", 500, "good 11.20.30.20", "ddns.http", classLater},
		{"503", 503, "", "ddns.http", classLater},
		{"429", 429, "slow down", "ddns.http", classLater},
		{"a page", 200, html, "ddns.html", classLater},
		{"a page with spaces", 200, "\xef\xbb\xbf \n  " + html, "ddns.html", classLater},
		{"404", 404, "no such file", "ddns.answer", classLater},
		{"good, but 404", 404, "good 11.20.30.20", "ddns.answer", classLater},
		{"nothing", 200, "", "ddns.answer", classLater},
		{"spaces", 200, " \r\n\t\n", "ddns.answer", classLater},
		{"other letters", 200, "Good 11.20.30.20", "ddns.answer", classLater},
		{"longer word", 200, "goodbye", "ddns.answer", classLater},
		{"not the first word", 200, "result: good", "ddns.answer", classLater},
		{"a space before", 200, " good 11.20.30.20", "ddns.answer", classLater},
		{"two lines", 200, "good 11.20.30.20\nnohost", "ddns.answer", classLater},
		{"JSON", 200, `{"status":"good"}`, "ddns.answer", classLater},
		{"huge", 200, "good 11.20.30.20" + strings.Repeat(" ", 10<<20), "ddns.answer", classLater},
		{"zeroes", 200, "good\x00 11.20.30.20", "ddns.answer", classLater},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.says(tt.status, tt.body)
			a := w.dyndns2().send(t.Context(), testName, addrA, Authority{})
			if a.finding.Code != tt.want || a.class != tt.class || a.silent || a.unsent {
				t.Errorf("%q = %s, %s, silent %v, unsent %v, want %s, %s", tt.body, a.finding.Code, a.class, a.silent, a.unsent, tt.want, tt.class)
			}
			if a.finding.Status != report.StatusPass && (a.finding.Remedy == "" || a.finding.Detail == "") {
				t.Errorf("the finding has no remedy: %+v", a.finding)
			}
			if len(a.finding.Detail) > 400 || len(a.observation.Answer) > 400 {
				t.Errorf("the finding is too long: %+v, %+v", a.finding, a.observation)
			}
			if a.observation.Question == "" || a.observation.Server == "" {
				t.Errorf("observation = %+v", a.observation)
			}
		})
	}
}

func TestRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.expect("ddns.good ddns.changed", 1)
	r := w.asked[0]
	user, password, ok := r.BasicAuth()
	if r.Method != http.MethodGet || r.URL.String() != "/nic/update?hostname=site.acme.example&myip=11.20.30.20" ||
		!ok || user != "acme" || password != testPassword || r.UserAgent() != "onsite/test it@acme.example" {
		t.Errorf("request = %s %s, %s %s, agent %q", r.Method, r.URL, user, password, r.UserAgent())
	}
}

// TestRedirect: credentials go to nobody but the server that was named.
func TestRedirect(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("the redirect was followed, with %q", r.Header.Get("Authorization"))
	}))
	defer elsewhere.Close()
	for _, to := range []string{elsewhere.URL + "/nic/update?x=" + testPassword, "/other", "http://u:p@127.0.0.1/", "", ":", "//"} {
		w := newWorld(t)
		w.follows = false
		w.answer = func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Location", to)
			rw.WriteHeader(http.StatusFound)
		}
		u := w.expect("ddns.redirect", 1)
		if strings.Contains(u.Findings[0].Detail, testPassword) || strings.Contains(u.Findings[0].Detail, "u:p@") {
			t.Errorf("the finding shows a secret: %+v", u.Findings[0])
		}
		w.expect("ddns.waiting", 1)
	}
}

// TestEcho: a server that repeats what it was sent does not bring the password
// into the output.
func TestEcho(t *testing.T) {
	t.Parallel()
	pair := base64.StdEncoding.EncodeToString([]byte("acme:" + testPassword))
	for _, body := range []string{"error: Basic " + pair, "user acme, password " + testPassword, "badauth " + testPassword, "<a href='?p=" + testPassword + "'>"} {
		w := newWorld(t)
		w.says(200, body)
		u, err := w.update()
		if all := fmt.Sprintf("%+v %v", u, err); strings.Contains(fmt.Sprintf("%+v %+v %v", u.Result, u.Findings, err), testPassword) || strings.Contains(fmt.Sprintf("%+v %+v", u.Result, u.Findings), pair) {
			t.Errorf("%q: the output shows the password: %s", body, all)
		}
	}
}

func TestNoAnswer(t *testing.T) {
	t.Parallel()
	closed := func(t *testing.T) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return l.Addr().String()
	}
	for _, tt := range []struct {
		name   string
		set    func(t *testing.T, w *world, d *DynDNS2)
		want   string
		unsent bool
	}{
		{"refused", func(t *testing.T, w *world, d *DynDNS2) { d.URL.Host = closed(t) }, "ddns.unreachable", true},
		{"no such host", func(_ *testing.T, w *world, d *DynDNS2) {
			d.DialContext = func(context.Context, string, string) (net.Conn, error) {
				return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "ddns.acme.example", IsNotFound: true}}
			}
		}, "ddns.unreachable", true},
		{"certificate of somebody else", func(_ *testing.T, w *world, d *DynDNS2) { d.RootCAs = nil }, "ddns.tls", true},
		{"no TLS", func(t *testing.T, w *world, d *DynDNS2) {
			plain := httptest.NewServer(http.NotFoundHandler())
			t.Cleanup(plain.Close)
			d.URL.Host = strings.TrimPrefix(plain.URL, "http://")
		}, "ddns.tls", true},
		{"hangs", func(_ *testing.T, w *world, d *DynDNS2) {
			d.Timeout = 50 * time.Millisecond
			w.answer = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
		}, "ddns.timeout", false},
		{"hangs in its body", func(_ *testing.T, w *world, d *DynDNS2) {
			d.Timeout = 50 * time.Millisecond
			w.answer = func(rw http.ResponseWriter, r *http.Request) {
				io.WriteString(rw, "go")
				rw.(http.Flusher).Flush()
				<-r.Context().Done()
				panic(http.ErrAbortHandler) // else the answer would be whole
			}
		}, "ddns.timeout", false},
		{"hangs up", func(_ *testing.T, w *world, d *DynDNS2) {
			w.answer = func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
		}, "ddns.unreachable", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.follows = false
			d := w.dyndns2()
			tt.set(t, w, d)
			w.protocol = d
			u, err := w.update()
			e := report.AsError(err)
			if e == nil || e.Code != tt.want || e.Kind != report.KindNoAnswer || e.Remedy == "" || u.Result.Sent == tt.unsent {
				t.Errorf("update = %+v, %+v, sent %v, want %s, sent %v", e, u.Findings, u.Result.Sent, tt.want, !tt.unsent)
			}
			if u.Result.NextTry == nil {
				t.Error("next_try is missing")
			}
			if strings.Contains(fmt.Sprint(u.Result, u.Findings, e), testPassword) {
				t.Error("the password is shown")
			}
			before := w.requests()
			w.expect("ddns.waiting", before)
		})
	}
}

func TestPlain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	plain := httptest.NewServer(w.provider.Config.Handler)
	defer plain.Close()
	u, err := ParseURL(plain.URL)
	if err != nil {
		t.Fatal(err)
	}
	d := w.dyndns2()
	d.URL = u
	w.protocol = d
	w.expect("ddns.plain ddns.good ddns.changed", 1)
}

func TestParseURL(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"members.dyndns.org":             "https://members.dyndns.org/nic/update",
		" Dynupdate.no-ip.com/ ":         "https://dynupdate.no-ip.com/nic/update",
		"ddns.acme.example:8443":         "https://ddns.acme.example:8443/nic/update",
		"http://router.acme.example":     "http://router.acme.example/nic/update",
		"https://acme.example/update":    "https://acme.example/update",
		"https://acme.example/up?x=1":    "",
		"https://u:secret@acme.example/": "",
		"ftp://acme.example":             "",
		"https://":                       "",
		"https://acme.example/#x":        "",
		"":                               "",
		"a b":                            "",
	} {
		u, err := ParseURL(text)
		if want == "" {
			if err == nil || report.AsError(err).Kind != report.KindUsage || strings.Contains(err.Error(), "secret") {
				t.Errorf("ParseURL(%q) = %v, %v, want wrong usage", text, u, err)
			}
			continue
		}
		if err != nil || u.String() != want {
			t.Errorf("ParseURL(%q) = %v, %v, want %s", text, u, err, want)
		}
	}
}

func FuzzDynDNS2(f *testing.F) {
	for _, body := range []string{"good 1.2.3.4", "nochg", "badauth\n", "w30m", "911\r\n\r\n", "<html>", "good 11.20.30.20,::1", "\xff\xfe"} {
		f.Add(200, body)
	}
	f.Add(401, "")
	d := &DynDNS2{URL: &url.URL{Scheme: "https", Host: "ddns.acme.example"}, Username: "acme", Password: []byte(testPassword)}
	f.Fuzz(func(t *testing.T, status int, body string) {
		a := d.judge(testName, addrA, status, http.Header{"Retry-After": {body}, "Location": {body}}, []byte(body))
		if a.finding.Code == "" || a.class == "" || a.finding.Detail == "" {
			t.Errorf("judge(%d, %q) = %+v", status, body, a)
		}
		if a.class == classDone && (status != 200 || !strings.HasPrefix(strings.TrimLeft(body, "\r\n\t "), "good")) {
			t.Errorf("judge(%d, %q) is a success", status, body)
		}
		if strings.Contains(a.finding.Detail, testPassword) {
			t.Errorf("judge(%d, %q) shows the password", status, body)
		}
		for times := range 40 {
			if next := a.after(start, times); next.Sub(start) > sameWait {
				t.Errorf("judge(%d, %q) waits until %v", status, body, next)
			}
		}
	})
}
