package reach

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func TestSniff(t *testing.T) {
	t.Parallel()
	for heard, kind := range map[string]Kind{
		"": KindSilent, "SSH-2.0-OpenSSH_9": KindSSH, "HTTP/1.0 401 x": KindHTTP, "RTSP/1.0 200 OK": KindRTSP, "RFB 003.008\n": KindVNC,
		"220 ftp ready\r\n": KindFTP, "220-mail": KindFTP, "* OK IMAP": KindFTP, "+OK POP3": KindFTP, "\x15\x03\x01\x00\x02\x02\x46": KindHTTPS, "\x16\x03\x03": KindHTTPS,
		"PP\x82}\x08\x00": KindClock, "\xaa\x01": KindPanel, "\x03\x00\x00\x13": KindRDP, "\xff\xfd\x01": KindTelnet, "\xff": KindOther, "hello": KindOther, "SSH": KindOther,
	} {
		if i := sniff([]byte(heard)); i.Kind != kind || i.String() == "" {
			t.Errorf("sniff(%q) = %s, want %s", heard, i.Kind, kind)
		}
	}
}

func FuzzSniff(f *testing.F) {
	for _, s := range []string{"SSH-2.0-x\r\n", "HTTP/1.1 200 OK\r\n\r\n<title>a</title>", "\xff\xfd\x01", "\x16\x03\x01\x02", "PP\x82}", "\x1b[2J\u202e"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		i := sniff(data)
		shown := i.String() + i.Banner + title(data)
		if i.Kind == "" || strings.ContainsFunc(i.Banner+title(data), func(r rune) bool { return r < ' ' || r == 0x7f || r == '\u202e' }) || len(shown) > 4*maxHeard+2000 {
			t.Fatalf("%q is shown as %q", data, shown)
		}
		speaksOfTLS(400, data)
		if v, _ := i.compare(i); v == other && i.Kind != KindHTTPS && i.Kind != KindBeacon {
			t.Fatalf("%+v is another than itself", i)
		}
	})
}

func TestCompare(t *testing.T) {
	t.Parallel()
	key := func(s string) Identity { return Identity{Kind: KindHTTPS, SPKI: strings.Repeat(s, 64)} }
	html := Identity{Kind: KindHTTP, StatusCode: 200, Server: "x", Title: "y", Digest: "d"}
	changed := html
	changed.Digest = "e"
	varies := html
	varies.Varies = true
	for _, tt := range []struct {
		name      string
		want, got Identity
		verdict   string
	}{
		{"key", key("a"), key("a"), same},
		{"other key", key("a"), key("b"), other},
		{"no key", Identity{Kind: KindHTTPS}, Identity{Kind: KindHTTPS}, other},
		{"page", html, html, same},
		{"other page", html, changed, other},
		{"page that varies", varies, changed, alike},
		{"other server", html, Identity{Kind: KindHTTP, StatusCode: 200, Server: "z", Title: "y", Digest: "d"}, other},
		{"clock", Identity{Kind: KindClock, Serial: "1"}, Identity{Kind: KindClock, Serial: "1"}, same},
		{"other clock", Identity{Kind: KindClock, Serial: "1"}, Identity{Kind: KindClock, Serial: "2"}, other},
		{"locked clock", Identity{Kind: KindClock, Serial: "1"}, Identity{Kind: KindClock, Locked: true}, alike},
		{"nameless clocks", Identity{Kind: KindClock}, Identity{Kind: KindClock}, alike},
		{"banner", Identity{Kind: KindSSH, Banner: "a"}, Identity{Kind: KindSSH, Banner: "a"}, alike},
		{"other banner", Identity{Kind: KindSSH, Banner: "a"}, Identity{Kind: KindSSH, Banner: "b"}, other},
		{"silent", html, Identity{Kind: KindSilent}, mute},
		{"closed", html, Identity{Kind: KindClosed}, mute},
		{"other kind", html, key("a"), other},
		{"beacon", Identity{Kind: KindBeacon}, Identity{Kind: KindBeacon, Proved: true}, same},
		{"false beacon", Identity{Kind: KindBeacon}, Identity{Kind: KindBeacon}, other},
	} {
		if v, how := tt.want.compare(tt.got); v != tt.verdict || how == "" {
			t.Errorf("%s: %s (%s), want %s", tt.name, v, how, tt.verdict)
		}
	}
}

// talk runs a beacon's question against an answerer.
func talk(t *testing.T, b *beacon, answer func(net.Conn)) (Identity, error) {
	t.Helper()
	conn, err := net.Dial("tcp", serve(t, answer))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	return b.ask(conn)
}

func TestBeacon(t *testing.T) {
	t.Parallel()
	b := newBeacon(8888)
	if i, err := talk(t, b, func(c net.Conn) { b.serve(c) }); err != nil || !i.Proved {
		t.Fatalf("%+v, %v", i, err)
	}
	another := newBeacon(8888)
	elsewhere := &beacon{key: b.key, port: 4444}
	// A pipe that heard an answer once plays it again.
	var heard bytes.Buffer
	talk(t, b, func(c net.Conn) { b.serve(struct{ io.ReadWriter }{&tap{c, &heard}}) })
	replay := heard.Bytes()
	for name, answer := range map[string]func(net.Conn){
		"another key":           func(c net.Conn) { another.serve(c) },
		"another port's":        func(c net.Conn) { elsewhere.serve(c) },
		"replayed":              func(c net.Conn) { io.CopyN(io.Discard, c, 48); c.Write(replay) },
		"the question again":    func(c net.Conn) { io.CopyN(c, c, 48) },
		"cut":                   func(c net.Conn) { io.CopyN(io.Discard, c, 48); c.Write(replay[:31]) },
		"nothing":               func(net.Conn) {},
		"a web server's answer": func(c net.Conn) { io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n") },
	} {
		if i, err := talk(t, b, answer); err == nil || i.Proved {
			t.Errorf("%s: %+v", name, i)
		}
	}
	if len(replay) != 32 {
		t.Errorf("an answer of %d bytes", len(replay))
	}
}

// tap keeps what is written.
type tap struct {
	net.Conn
	w io.Writer
}

func (t *tap) Write(p []byte) (int, error) {
	t.w.Write(p)
	return t.Conn.Write(p)
}

func TestCheckWithBeacon(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	inside := l.Addr().String()
	l.Close()
	w := newWorld(map[string]string{inside: inside, "outside:8888": inside})
	o := options(w, Target{Host: "portal.acme.example", Port: 8888, Inside: inside})
	o.Vantages, o.Beacon = outside(w), true
	if p, f := verdict(t, o); p.Code != "port.works" || !strings.Contains(f.Detail, "secret key") {
		t.Errorf("%+v", f)
	}
	o.Sockets = Sockets
	if p, f := verdict(t, o); p.Code != "port.works" || !strings.Contains(f.Detail, "secret key") {
		t.Errorf("the table of connections hides the better proof: %+v", f)
	}
	// The portal runs: its port is taken.
	taken := page(t, 200, "x", "y")
	o.Targets[0].Inside = taken
	if _, _, err := Check(t.Context(), o); !isOneCode(err, codeInUse) {
		t.Errorf("%v", err)
	}
	o.Targets[0].Inside = "192.0.2.1:8888"
	if _, _, err := Check(t.Context(), o); !isOneCode(err, "port.beacon.elsewhere") {
		t.Errorf("%v", err)
	}
}
