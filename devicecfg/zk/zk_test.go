package zk

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/iotest"
	"time"

	"onsite/report"
)

// vector is one of testdata/vectors.json: packets as they were seen on the wire
// or sent by other programs, and scrambled keys.
type vector struct {
	ID        string  `json:"id"`
	Transport string  `json:"transport"`
	Hex       string  `json:"hex"`
	Command   Command `json:"command"`
	Session   uint16  `json:"session"`
	Reply     uint16  `json:"reply"`
	Payload   string  `json:"payload_hex"`
	Checksum  bool    `json:"checksum_ok"`
	Input     struct {
		Key     Key    `json:"comm_key"`
		Session uint16 `json:"session"`
		Tick    byte   `json:"tick"`
	} `json:"input"`
	Output struct {
		Scrambled string `json:"scrambled_hex"`
	} `json:"output"`
}

func vectors(t testing.TB) []vector {
	t.Helper()
	raw, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []vector
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err)
	}
	return list
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestVectors(t *testing.T) {
	t.Parallel()
	for _, v := range vectors(t) {
		t.Run(v.ID, func(t *testing.T) {
			t.Parallel()
			if v.Hex == "" {
				got := v.Input.Key.scramble(v.Input.Session, v.Input.Tick)
				if want := unhex(t, v.Output.Scrambled); !bytes.Equal(got[:], want) {
					t.Fatalf("scramble(%d, session %d, tick %d) = %x, want %x", v.Input.Key, v.Input.Session, v.Input.Tick, got, want)
				}
				return
			}
			wire := unhex(t, v.Hex)
			body := wire
			if v.Transport == "tcp" {
				var err error
				if body, err = ReadFrame(iotest.OneByteReader(bytes.NewReader(wire))); err != nil {
					t.Fatal(err)
				}
			}
			p, err := Parse(body)
			if v.Checksum != (err == nil) || (err != nil && !errors.Is(err, ErrChecksum)) {
				t.Fatalf("Parse: %v, and the checksum is right: %v", err, v.Checksum)
			}
			if p.Command != v.Command || p.Session != v.Session || p.Reply != v.Reply || hex.EncodeToString(p.Payload) != v.Payload {
				t.Fatalf("Parse = %+v, want %+v", p, v)
			}
			again := p.Append(nil)
			if v.Transport == "tcp" {
				again = p.AppendFrame(nil)
			}
			if v.Checksum && !bytes.Equal(again, wire) {
				t.Fatalf("written again it is %x, want %x", again, wire)
			}
		})
	}
}

func TestReadFrameRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, in string
		want     error
	}{
		{"nothing", "", io.EOF},
		{"an SSH banner", "SSH-2.0-dropbear\r\n", ErrNoFrame},
		{"HTTP", "H", ErrNoFrame},
		{"half a magic", "PP\x82", io.ErrUnexpectedEOF},
		{"another magic", "PP\x82\x7e\x08\x00\x00\x00", ErrNoFrame},
		{"no length", "PP\x82}\x08\x00", io.ErrUnexpectedEOF},
		{"too short", "PP\x82}\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", ErrLength},
		{"too long", "PP\x82}\x01\x00\x00\x01", ErrLength},
		{"cut", "PP\x82}\x08\x00\x00\x00\xd0\x07", io.ErrUnexpectedEOF},
		{"cut before the body", "PP\x82}\x08\x00\x00\x00", io.ErrUnexpectedEOF},
	} {
		if _, err := ReadFrame(bytes.NewReader([]byte(tt.in))); !errors.Is(err, tt.want) {
			t.Errorf("%s: ReadFrame(%q): %v, want %v", tt.name, tt.in, err, tt.want)
		}
	}
}

// clock answers as a terminal does, within what this package asks.
type clock struct {
	key     Key
	session uint16
	options map[string]string
	// before is sent before each answer, as it is.
	before []byte
	exits  chan struct{}
}

// listen serves the clock by TCP and returns its address.
func (k *clock) listen(t *testing.T) string {
	t.Helper()
	k.exits = make(chan struct{}, 10)
	return listen(t, func(conn net.Conn) {
		authorised := k.key == 0
		for {
			body, err := ReadFrame(conn)
			if err != nil {
				return
			}
			p, err := Parse(body)
			if err != nil {
				return
			}
			answer := k.answer(p, &authorised)
			if _, err := conn.Write(append(bytes.Clone(k.before), answer.AppendFrame(nil)...)); err != nil {
				return
			}
		}
	})
}

func (k *clock) answer(p Packet, authorised *bool) Packet {
	a := Packet{Command: AckOK, Session: k.session, Reply: p.Reply}
	switch {
	case p.Command == CmdExit:
		k.exits <- struct{}{}
	case p.Command == CmdAuth:
		want := k.key.scramble(k.session, p.Payload[2])
		if *authorised = bytes.Equal(p.Payload, want[:]); !*authorised {
			a.Command = AckUnauth
		}
	case !*authorised:
		a.Command = AckUnauth
	case p.Command == CmdOptionsRead:
		name := string(bytes.TrimSuffix(p.Payload, []byte{0}))
		value, ok := k.options[name]
		if !ok {
			a.Command = AckError
			break
		}
		a.Payload = append([]byte(name+"="+value), 0, 'x') // more may follow
	}
	return a
}

// listen serves each connection by TCP until the test ends.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(conn)
			}()
		}
	}()
	return l.Addr().String()
}

func TestClient(t *testing.T) {
	t.Parallel()
	event := Packet{Command: CmdEvent, Session: 1, Payload: make([]byte, 12)}.AppendFrame(nil)
	k := &clock{key: 131071, session: 0xffff, options: map[string]string{SerialNumber: "A1234", Gateway: "192.168.1.1", "Empty": ""}, before: event}
	key := k.key
	c, err := Dial(t.Context(), Options{Addr: k.listen(t), Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, value string
		known       bool
	}{{SerialNumber, "A1234", true}, {Gateway, "192.168.1.1", true}, {MAC, "", false}, {"Empty", "", false}} {
		if value, known, err := c.Option(t.Context(), tt.name); err != nil || value != tt.value || known != tt.known {
			t.Errorf("Option(%s) = %q, %v, %v", tt.name, value, known, err)
		}
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	<-k.exits
}

func TestReplyNumbersWrap(t *testing.T) {
	t.Parallel()
	k := &clock{session: 7, options: map[string]string{MAC: "00:17:61:00:00:01"}}
	c, err := Dial(t.Context(), Options{Addr: k.listen(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.reply = 65533
	for range 3 {
		if _, known, err := c.Option(t.Context(), MAC); err != nil || !known {
			t.Fatalf("reply %d: %v, %v", c.reply, known, err)
		}
	}
	if c.reply != 1 {
		t.Errorf("after 65533, 65534 and 0 comes %d", c.reply)
	}
}

func TestDialTellsWhatIsThere(t *testing.T) {
	t.Parallel()
	one := Key(1)
	closed := listen(t, func(net.Conn) {})
	silent := listen(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	says := func(s []byte) string {
		return listen(t, func(c net.Conn) {
			c.Write(s)
			io.Copy(io.Discard, c)
		})
	}
	answers := func(p Packet) string { return says(p.AppendFrame(nil)) }
	damaged := Packet{Command: AckOK, Session: 1}.AppendFrame(nil)
	damaged[10] ^= 1
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	locked := &clock{key: 12, session: 5}
	for _, tt := range []struct {
		name, addr string
		key        *Key
		code       string
	}{
		{"nobody", l.Addr().String(), nil, CodeRefused},
		{"hangs up", closed, nil, CodeClosed},
		{"says nothing", silent, nil, CodeSilent},
		{"ssh", says([]byte("SSH-2.0-x\r\n")), nil, CodeForeign},
		{"http", says([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")), nil, CodeForeign},
		{"access panel", says([]byte{0xaa, 1, 2}), nil, CodePanel},
		{"damaged", says(damaged), nil, CodeAnswer},
		{"odd", answers(Packet{Command: 4989}), nil, CodeAnswer},
		{"asks for a key", locked.listen(t), nil, CodeKeyNeeded},
		{"another key", locked.listen(t), &one, CodeKeyWrong},
		{"only strays", says(bytes.Repeat(Packet{Command: CmdEvent}.AppendFrame(nil), strays+1)), nil, CodeAnswer},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, err := Dial(t.Context(), Options{Addr: tt.addr, Key: tt.key, Timeout: 300 * time.Millisecond})
			if c != nil || !report.HasCode(err, tt.code) {
				t.Fatalf("Dial: %v (%s), want %s", err, report.AsError(err).Code, tt.code)
			}
		})
	}
}

// A session that the clock gave out is ended, whatever comes after.
func TestExitIsAlwaysSent(t *testing.T) {
	t.Parallel()
	k := &clock{key: 12, session: 5}
	if _, err := Dial(t.Context(), Options{Addr: k.listen(t)}); !report.HasCode(err, CodeKeyNeeded) {
		t.Fatal(err)
	}
	<-k.exits
	ctx, cancel := context.WithCancel(t.Context())
	k = &clock{session: 5}
	c, err := Dial(ctx, Options{Addr: k.listen(t)})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, _, err := c.Option(ctx, MAC); !errors.Is(err, context.Canceled) {
		t.Errorf("Option after an interrupt: %v", err)
	}
	c.Close()
	<-k.exits
}

func TestDialIsInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	addr := listen(t, func(c net.Conn) {
		ReadFrame(c)
		cancel()
		io.Copy(io.Discard, c)
	})
	if _, err := Dial(ctx, Options{Addr: addr, Timeout: time.Minute}); !errors.Is(err, context.Canceled) {
		t.Fatalf("Dial: %v", err)
	}
}

func TestUDP(t *testing.T) {
	t.Parallel()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k := &clock{session: 9, options: map[string]string{SerialNumber: "U1"}, exits: make(chan struct{}, 1)}
	go func() {
		b := make([]byte, 2048)
		authorised := true
		for {
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			if p, err := Parse(b[:n]); err == nil {
				conn.WriteTo(k.answer(p, &authorised).Append(nil), from)
			}
		}
	}()
	o := Options{Addr: conn.LocalAddr().String(), Network: "udp", Timeout: 300 * time.Millisecond}
	c, err := Dial(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if serial, known, err := c.Option(t.Context(), SerialNumber); serial != "U1" || !known || err != nil {
		t.Errorf("Option = %q, %v, %v", serial, known, err)
	}
	c.Close()
	<-k.exits
	conn.Close()
	if _, err := Dial(t.Context(), o); !report.HasCode(err, CodeRefused) && !report.HasCode(err, CodeSilent) {
		t.Errorf("Dial when it is gone: %v", err)
	}
}

func TestParseKey(t *testing.T) {
	t.Parallel()
	if k, err := ParseKey([]byte("123456")); k != 123456 || err != nil {
		t.Errorf("ParseKey = %d, %v", k, err)
	}
	for _, s := range []string{"", "abc", "-1", "4294967296", "12 "} {
		if _, err := ParseKey([]byte(s)); !report.HasCode(err, "device.key.format") {
			t.Errorf("ParseKey(%q): %v", s, err)
		}
	}
}

func FuzzReadFrame(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(unhex(f, v.Hex))
	}
	f.Add([]byte("SSH-2.0-x\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		body, err := ReadFrame(bytes.NewReader(data))
		if err != nil {
			return
		}
		if n := binary.LittleEndian.Uint32(data[4:]); int(n) != len(body) {
			t.Fatalf("%d bytes of %d", len(body), n)
		}
		p, err := Parse(body)
		if err != nil {
			return
		}
		if again := p.AppendFrame(nil); !bytes.Equal(again, data[:len(again)]) {
			t.Fatalf("%x was written again as %x", data, again)
		}
	})
}
