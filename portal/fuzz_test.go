package portal

import (
	"encoding/json"
	"strings"
	"testing"
)

// What parseURL takes has a form that it gives back as it is, and leads to one
// host and port.
func FuzzParseURL(f *testing.F) {
	for _, seed := range []string{
		"portal.acme.example", "https://portal.acme.example:4444/a?b#c", "http://[2001:db8::1]:8888", "::1", "localhost:1", "https://büro.example",
		"https://user:word@x", "https://x:0", "//x", "https:x", `https://\x`, "https://xn--/", "https://a..b", "https://x/%zz", "https://[::ffff:1.2.3.4]",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := parseURL(text)
		if err != nil {
			return
		}
		again, err := parseURL(u.String())
		if err != nil || again.String() != u.String() {
			t.Errorf("parseURL(%q) = %q, which gives %v, %v", text, u, again, err)
		}
		if u.User != nil || u.Hostname() == "" || strings.ContainsAny(u.Host, "/@ \\") || u.Scheme != "http" && u.Scheme != "https" {
			t.Errorf("parseURL(%q) = %#v", text, u)
		}
		if connect, err := parseConnect(hostPort(u), u); err != nil || connect != hostPort(u) {
			t.Errorf("parseConnect(%q) = %q, %v", hostPort(u), connect, err)
		}
	})
}

func FuzzParseSeen(f *testing.F) {
	f.Add([]byte(`{"schema":"onsite/1","service":"onsite portal","nonce":"n","remote":"192.0.2.1:5","tls":null,"certificate":{"names":["x"],"not_after":"2026-11-21T00:00:00Z"}}`), "n")
	f.Add([]byte(`{"schema":"onsite/1","tls":{}}`), "")
	f.Add([]byte("[]"), "n")
	f.Fuzz(func(t *testing.T, data []byte, nonce string) {
		seen, ok := parseSeen(data, nonce)
		if !ok {
			return
		}
		text, err := json.Marshal(seen)
		if err != nil {
			return // a year that JSON cannot tell
		}
		if again, ok := parseSeen(text, nonce); !ok || again.Nonce != nonce || again.Remote != seen.Remote {
			t.Errorf("parseSeen(%s) = %+v, which gives %+v", data, seen, again)
		}
	})
}
