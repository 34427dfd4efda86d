package reflector_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"onsite/netcheck/reflector"
	"onsite/netcheck/reflector/reflectortest"
)

// echo is a server that gives back what it gets, after a greeting.
func echo(t *testing.T, greeting string) string {
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
				io.WriteString(conn, greeting)
				io.Copy(conn, conn)
			}()
		}
	}()
	return l.Addr().String()
}

func patience(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestPipe(t *testing.T) {
	t.Parallel()
	c := reflectortest.Start(t, map[int]string{8888: echo(t, "hello\n"), 4444: reflector.Timeout, 4500: reflector.Unreachable, 4501: ""})
	who, err := c.Whoami(patience(t))
	if err != nil || who.Addr() != reflectortest.Public || who.Port() == 0 {
		t.Fatalf("Whoami = %v, %v", who, err)
	}
	for range 3 { // one after the other, at once: each waits for the end of the one before
		conn, err := c.Dial(patience(t), 8888)
		if err != nil {
			t.Fatal(err)
		}
		if conn.Source.Addr() != netip.MustParseAddr("127.0.0.1") || conn.Took < 0 {
			t.Errorf("Source = %v, Took = %v", conn.Source, conn.Took)
		}
		r := bufio.NewReader(conn)
		if s, err := r.ReadString('\n'); s != "hello\n" || err != nil {
			t.Errorf("the greeting is %q, %v", s, err)
		}
		io.WriteString(conn, "are you there?\n")
		if s, err := r.ReadString('\n'); s != "are you there?\n" || err != nil {
			t.Errorf("the echo is %q, %v", s, err)
		}
		conn.Close()
	}
	for port, want := range map[int]string{4444: reflector.Timeout, 4500: reflector.Unreachable, 4501: reflector.Refused} {
		conn, err := c.Dial(patience(t), port)
		if e, ok := errors.AsType[*reflector.DialError](err); conn != nil || !ok || e.Outcome != want || e.Port != port || e.Took < 0 {
			t.Errorf("Dial(%d) = %v, %v, want %s", port, conn, err, want)
		}
	}
	ports, err := c.Ports(patience(t))
	if err != nil || len(ports) != 4 {
		t.Errorf("Ports = %v, %v", ports, err)
	}
	if _, err := c.Dial(patience(t), 22); err == nil || !strings.Contains(err.Error(), "22") {
		t.Errorf("Dial(22) = %v", err)
	}
}
