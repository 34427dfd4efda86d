package reflector

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	goodToken = "token-of-anna-0123456789abcdef"
	site      = "11.20.30.20" // a client whose address can be connected to
)

// bench is a reflector under test. Its clients come from where the test says,
// and where it connects to is written down.
type bench struct {
	*testing.T
	*Server
	from *origin
	log  *syncBuffer

	mu     sync.Mutex
	dialed []netip.AddrPort
	stop   func()
}

// origin is a listener whose connections come from an address of the test's
// choice.
type origin struct {
	net.Listener
	mu   sync.Mutex
	addr string
}

func (o *origin) set(addr string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.addr = addr
}

func (o *origin) Accept() (net.Conn, error) {
	conn, err := o.Listener.Accept()
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	ip, zone, _ := strings.Cut(o.addr, "%")
	return &seenFrom{TCPConn: conn.(*net.TCPConn), addr: &net.TCPAddr{IP: net.ParseIP(ip), Zone: zone, Port: conn.RemoteAddr().(*net.TCPAddr).Port}}, nil
}

type seenFrom struct {
	*net.TCPConn
	addr *net.TCPAddr
}

func (c *seenFrom) RemoteAddr() net.Addr { return c.addr }

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// tokens writes a file of tokens.
func tokens(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// serve runs a reflector until the test ends. What it connects to is the server
// at inside.
func serve(t *testing.T, inside string, change func(*Options, *limits)) *bench {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{T: t, from: &origin{Listener: l, addr: site}, log: &syncBuffer{}}
	o := Options{
		Listener: b.from, TokenFile: tokens(t, "anna "+goodToken+"\n"), SessionsPerHour: 1000,
		Log: slog.New(slog.NewTextHandler(b.log, nil)),
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			b.mu.Lock()
			b.dialed = append(b.dialed, netip.MustParseAddrPort(address))
			b.mu.Unlock()
			return new(net.Dialer).DialContext(ctx, network, inside)
		},
	}
	limits := defaultLimits
	if change != nil {
		change(&o, &limits)
	}
	b.Server, _, err = newServer(o, limits)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Server.Run(ctx) }()
	b.stop = sync.OnceFunc(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	t.Cleanup(b.stop)
	return b
}

// dials are the addresses that were connected to.
func (b *bench) dials() []netip.AddrPort {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]netip.AddrPort(nil), b.dialed...)
}

// connect opens a connection to the reflector from an address.
func (b *bench) connect(from string) net.Conn {
	b.Helper()
	b.from.set(from)
	conn, err := net.Dial("tcp", b.Addr())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn
}

// reply is an answer, read from a connection that may go on.
type reply struct {
	status int
	header http.Header
	body   string
}

// ask sends bytes from an address and reads one answer.
func (b *bench) ask(from, request string) reply {
	b.Helper()
	conn := b.connect(from)
	defer conn.Close()
	io.WriteString(conn, request)
	return b.read(bufio.NewReader(conn))
}

func (b *bench) read(r *bufio.Reader) reply {
	b.Helper()
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		b.Fatalf("no answer: %v", err)
	}
	a := reply{status: response.StatusCode, header: response.Header}
	if a.status != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(io.LimitReader(response.Body, 1<<16))
		a.body = string(body)
	}
	return a
}

func (b *bench) token(from string) string {
	b.Helper()
	a := b.ask(from, "POST /v1/session HTTP/1.1\r\nHost: r\r\nContent-Length: 0\r\nAuthorization: Bearer "+goodToken+"\r\n\r\n")
	_, rest, _ := strings.Cut(a.body, `"token":"`)
	token, _, ok := strings.Cut(rest, `"`)
	if a.status != 200 || !ok {
		b.Fatalf("no session: %+v", a)
	}
	return token
}

// pipeFor is the request for a pipe.
func pipeFor(token string, port int, more ...string) string {
	return fmt.Sprintf("GET /v1/pipe?port=%d&token=%s HTTP/1.1\r\nHost: r\r\nConnection: Upgrade\r\nUpgrade: onsite-pipe/1\r\n%s\r\n", port, token, strings.Join(more, ""))
}

// open opens a pipe and returns it with what reads behind the answer.
func (b *bench) open(from, token string) (net.Conn, *bufio.Reader) {
	b.Helper()
	conn := b.connect(from)
	io.WriteString(conn, pipeFor(token, 8888))
	r := bufio.NewReader(conn)
	if a := b.read(r); a.status != http.StatusSwitchingProtocols {
		b.Fatalf("no pipe: %+v", a)
	}
	return conn, r
}

// server is something in the site: serve is called for each connection.
func server(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	t.Cleanup(func() { l.Close(); work.Wait() })
	work.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(20 * time.Second))
				serve(conn)
			})
		}
	})
	return l.Addr().String()
}

func echo(conn net.Conn) { io.Copy(conn, conn) }
