package reflector

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

// FuzzTicket: nothing that was not signed is a session token, and what is one
// reads as it was signed.
func FuzzTicket(f *testing.F) {
	s := &Server{o: Options{Ports: DefaultPorts}}
	good := s.sign(ticket{nonce: nonce{1}, expires: 1 << 33, addr: netip.MustParseAddr(site).As16()})
	f.Add(good)
	f.Add(good[:len(good)-1] + "_")
	f.Add("")
	f.Add(strings.Repeat("A", ticketText))
	f.Add(base64.RawURLEncoding.EncodeToString(make([]byte, ticketSize)))
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := s.verify(text); err == nil && s.sign(got) != text {
			t.Errorf("%q is taken for a token", text)
		}
	})
}

// FuzzPipeRequest: what is read of a query is a port and a token, and another
// spelling of the same is not.
func FuzzPipeRequest(f *testing.F) {
	for _, seed := range []string{"port=8888&token=x", "token=x&port=8888", "port=8888&token=x&host=y", "port=%38888&token=", "port=08888&token=x", "port=8888;token=x", "%zz"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		if port, _, err := pipeRequest(query); err == nil && (port < 1 || port > 65535 || strings.Count(query, "=") < 2) {
			t.Errorf("%q is port %d", query, port)
		}
	})
}

// FuzzForwarded: an element of X-Forwarded-For is an address without a zone, or
// nothing.
func FuzzForwarded(f *testing.F) {
	for _, seed := range []string{"11.20.30.20", "11.20.30.20:1", "[2a00::1]:1", "[2a00::1]", "::ffff:1.2.3.4", "fe80::1%eth0", "[[::1]]", "unknown", "1", "0x7f.1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ap, ok := parseForwarded(text)
		if ok && (!ap.Addr().IsValid() || ap.Addr().Zone() != "" || ap.Addr().Is4In6() || !strings.ContainsAny(text, ".:")) {
			t.Errorf("%q is %v", text, ap)
		}
	})
}

// FuzzOperators: a file of tokens is read or refused, and no refusal shows it.
func FuzzOperators(f *testing.F) {
	f.Add("anna 0123456789abcdef0123456789\n")
	f.Add("# x\r\nbert sha256:" + strings.Repeat("0f", 32))
	f.Add("a\x00b c")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseOperators(text)
		if err == nil && (len(list) == 0 || len(list) > maxOperators) {
			t.Errorf("%d tokens", len(list))
		}
		for _, o := range list {
			if !operatorName().MatchString(o.name) {
				t.Errorf("the name %q", o.name)
			}
		}
	})
}

// FuzzAnswer: whatever a server answers, the client ends, has read little, and
// knows no more than was said.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		page("200 OK", "", `{"ip":"11.20.30.20","port":1}`),
		page("200 OK", "", `{"token":"t","ports":[8888],"expires":"2100-01-01T00:00:00Z"}`),
		page("502 Bad Gateway", "", `{"dial":"refused","ms":12}`),
		page("403 Forbidden", "Retry-After: 9\r\n", `{"error":"port","message":"no","ports":[1,2]}`),
		page("302 Found", "Location: https://x/\r\n", ""),
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: onsite-pipe/1\r\nX-Source: 11.53.0.11:1\r\nX-Dial-Ms: 3\r\n\r\nraw",
		"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n{}",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"SSH-2.0-x\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c := &Client{URL: "https://reflector.example"}
		r := &counting{Reader: bytes.NewReader(data)}
		a, err := readAnswer(r, http.MethodGet)
		if r.n > 2*maxAnswer {
			t.Errorf("%d bytes were read", r.n)
		}
		if err != nil {
			return
		}
		if len(a.body) > maxAnswer {
			t.Errorf("a body of %d bytes", len(a.body))
		}
		if who, err := c.parseWhoami(a); err == nil && (!who.Addr().IsValid() || who.Addr().Zone() != "") {
			t.Errorf("whoami: %v", who)
		}
		if s, err := c.parseSession(a); err == nil && (s.Token == "" || len(s.Ports) == 0) {
			t.Errorf("session: %v", s)
		}
		if conn, err := c.parsePiped(a); err == nil && (conn.Took < 0 || !conn.Source.IsValid()) {
			t.Errorf("pipe: %v", conn)
		}
		if err := c.notPiped(a, 8888); err == nil && a.status != http.StatusSwitchingProtocols {
			t.Errorf("status %d is no error", a.status)
		} else if err != nil && len(err.Error()) > 2000 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
	})
}

type counting struct {
	io.Reader
	n int
}

func (c *counting) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.n += n
	return n, err
}
