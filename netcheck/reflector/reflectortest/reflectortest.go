// Package reflectortest runs a reflector for tests, on loopback, with addresses
// that look public.
package reflectortest

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"onsite/netcheck/reflector"
)

// Token is the operator's token of a reflector that Start runs.
const Token = "token-of-tests-and-of-nothing-else"

// Public is the address that a reflector of Start sees its clients come from.
var Public = netip.MustParseAddr("11.20.30.20")

// Start runs a reflector until the test ends and returns a client of it. What is
// behind the public address is the site's: for each outside port the address of a
// server on loopback, or reflector.Timeout or reflector.Unreachable. Any other
// port is refused. Its ports are those of the site and the default ones.
func Start(t testing.TB, site map[int]string) *reflector.Client {
	t.Helper()
	tokens := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(tokens, []byte("tester "+Token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ports := reflector.DefaultPorts
	for port := range site {
		if port != 8888 && port != 4444 && port != 4500 {
			ports = append(ports[:len(ports):len(ports)], port)
		}
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, _, err := reflector.New(reflector.Options{
		Listener: From(l, Public), TokenFile: tokens, Ports: ports, SessionsPerHour: 10000,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return dial(ctx, network, address, site)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("the reflector ended with %v", err)
		}
	})
	return &reflector.Client{URL: "http://" + s.Addr(), Token: []byte(Token)}
}

func dial(ctx context.Context, network, address string, site map[int]string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil || to.Addr() != Public {
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.EINVAL}
	}
	switch inside := site[int(to.Port())]; inside {
	case "":
		return nil, &net.OpError{Op: "dial", Net: network, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	case reflector.Timeout:
		return nil, &net.OpError{Op: "dial", Net: network, Err: os.ErrDeadlineExceeded}
	case reflector.Unreachable:
		return nil, &net.OpError{Op: "dial", Net: network, Err: os.NewSyscallError("connect", syscall.EHOSTUNREACH)}
	default:
		return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, network, inside)
	}
}

// From makes the connections of a listener look as if they came from an address.
func From(l net.Listener, addr netip.Addr) net.Listener { return &from{Listener: l, addr: addr} }

type from struct {
	net.Listener
	addr netip.Addr
}

func (l *from) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	port := uint16(0)
	if ap, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil {
		port = ap.Port()
	}
	return &moved{Conn: conn, addr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(l.addr, port))}, nil
}

type moved struct {
	net.Conn
	addr net.Addr
}

func (c *moved) RemoteAddr() net.Addr { return c.addr }

// CloseWrite ends what is sent and leaves the other direction open.
func (c *moved) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
