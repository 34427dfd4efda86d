package reach

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"onsite/devicecfg/zk"
	"onsite/report"
)

// world is a site of loopback servers under the addresses of a real one: what
// does not exist in it is refused, or never answers.
type world struct {
	mu    sync.Mutex
	addrs map[string]string // "192.168.1.50:8888" -> a loopback server, or an outcome
}

var (
	public  = netip.MustParseAddr("203.0.113.10")
	gateway = netip.MustParseAddr("192.168.1.1")
)

func newWorld(addrs map[string]string) *world { return &world{addrs: addrs} }

func (w *world) set(addr, to string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.addrs[addr] = to
}

func (w *world) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	w.mu.Lock()
	to := w.addrs[addr]
	if network == "udp" {
		to = w.addrs["udp "+addr]
	}
	w.mu.Unlock()
	fail := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	switch to {
	case "", Refused:
		return nil, fail(syscall.ECONNREFUSED)
	case Unreachable:
		return nil, fail(syscall.EHOSTUNREACH)
	case Timeout:
		return nil, &DialError{Outcome: Timeout} // at once: tests do not wait
	}
	var d net.Dialer
	return d.DialContext(ctx, network, to)
}

// vantageIn is a vantage that sees the world's public address.
type vantageIn struct {
	*world
	name string
	seen netip.Addr
	err  error
}

func (v *vantageIn) Name() string                             { return v.name }
func (v *vantageIn) Seen(context.Context) (netip.Addr, error) { return v.seen, v.err }

func (v *vantageIn) Dial(ctx context.Context, port int) (net.Conn, netip.AddrPort, error) {
	conn, err := v.dial(ctx, "tcp", fmt.Sprintf("outside:%d", port))
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	source, _ := netip.ParseAddrPort(conn.LocalAddr().String())
	return conn, source, nil
}

func outside(w *world) []Vantage {
	return []Vantage{&vantageIn{world: w, name: "https://reflector.example", seen: public}}
}

// serve answers each connection until the test ends.
func serve(t testing.TB, answer func(net.Conn)) string {
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
				answer(conn)
			}()
		}
	}()
	return l.Addr().String()
}

func says(t testing.TB, s string) string {
	return serve(t, func(c net.Conn) {
		io.WriteString(c, s)
		io.Copy(io.Discard, c)
	})
}

func silent(t testing.TB) string { return serve(t, func(c net.Conn) { io.Copy(io.Discard, c) }) }

func page(t testing.TB, status int, server, title string) string {
	var n atomic.Int64
	return web(t, nil, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Server", server)
		if status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
		}
		w.WriteHeader(status)
		if title == "clock" { // a page that changes
			fmt.Fprint(w, n.Add(1))
		}
		fmt.Fprintf(w, "<html><title>%s</title></html>", title)
	}))
}

func web(t testing.TB, config *tls.Config, h http.Handler) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if config != nil {
		l = tls.NewListener(l, config)
	}
	s := &http.Server{Handler: h, ErrorLog: quiet}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return addr
}

// secure is an HTTPS server with a key of its own, and its certificate.
func secure(t testing.TB, name string) (addr string, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	roots.AddCert(leaf)
	config := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	return web(t, config, http.NotFoundHandler()), roots
}

// clock is a terminal with options; with a key it asks for it.
func clock(t testing.TB, locked bool, options map[string]string) string {
	return serve(t, func(conn net.Conn) {
		r := bufio.NewReader(conn)
		answer := terminal(locked, options)
		for {
			body, err := zk.ReadFrame(r)
			if err != nil {
				return
			}
			p, err := zk.Parse(body)
			if err != nil {
				return
			}
			if _, err := conn.Write(answer(p).AppendFrame(nil)); err != nil {
				return
			}
		}
	})
}

// oldClock is a terminal that speaks UDP only.
func oldClock(t testing.TB, options map[string]string) string {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	t.Cleanup(func() { conn.Close(); work.Wait() })
	work.Go(func() {
		answer, datagram := terminal(false, options), make([]byte, 2048)
		for {
			n, from, err := conn.ReadFrom(datagram)
			if err != nil {
				return
			}
			if p, err := zk.Parse(datagram[:n]); err == nil {
				conn.WriteTo(answer(p).Append(nil), from)
			}
		}
	})
	return conn.LocalAddr().String()
}

// terminal is how a terminal answers, in one session.
func terminal(locked bool, options map[string]string) func(zk.Packet) zk.Packet {
	open := !locked
	return func(p zk.Packet) zk.Packet {
		a := zk.Packet{Command: zk.AckOK, Session: 77, Reply: p.Reply}
		name := string(bytes.TrimRight(p.Payload, "\x00"))
		switch value, ok := options[name]; {
		case p.Command == zk.CmdExit:
		case p.Command == zk.CmdAuth:
			open = true
		case !open:
			a.Command = zk.AckUnauth
		case p.Command == zk.CmdOptionsRead && ok:
			a.Payload = []byte(name + "=" + value + "\x00")
		case p.Command == zk.CmdOptionsRead:
			a.Command = zk.AckError
		}
		return a
	}
}

func settings(serial, gateway string) map[string]string {
	return map[string]string{zk.SerialNumber: serial, zk.IPAddress: "192.168.1.200", zk.NetMask: "255.255.255.0", zk.Gateway: gateway}
}

// options are those of a check in the world.
func options(w *world, targets ...Target) Options {
	return Options{
		Targets: targets, Public: public, PublicHow: "two services agree", Gateways: []netip.Addr{gateway},
		Timeout: 400 * time.Millisecond, DialContext: w.dial, Siblings: []int{},
		Sockets: func() ([]Socket, error) { return nil, errors.ErrUnsupported },
	}
}

var portal = Target{Host: "portal.acme.example", Port: 8888, Inside: "192.168.1.50:8888"}

func verdict(t *testing.T, o Options) (Port, report.Finding) {
	t.Helper()
	r, findings, err := Check(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	p := r.Ports[0]
	for _, f := range findings {
		if f.Subject == p.Target && f.Code == p.Code {
			return p, f
		}
	}
	t.Fatalf("no finding for %s (%s): %+v", p.Target, p.Code, findings)
	return p, report.Finding{}
}
