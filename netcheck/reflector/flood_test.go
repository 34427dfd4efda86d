package reflector

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// One address that asks too often has to wait, and no other has.
func TestFloodOfRequests(t *testing.T) {
	t.Parallel()
	now := time.Now()
	b := serve(t, server(t, echo), func(o *Options, _ *limits) { o.Now = func() time.Time { return now } })
	const request = "GET /v1/whoami HTTP/1.1\r\nHost: r\r\n\r\n"
	var a reply
	for range requestsBurst + 1 {
		a = b.ask(site, request)
	}
	if a.status != 429 || a.header.Get("Retry-After") != "1" || !strings.Contains(a.body, whyRate) {
		t.Errorf("after too many requests: %+v", a)
	}
	if a := b.ask("11.20.30.21", request); a.status != 200 {
		t.Errorf("the neighbour: %+v", a)
	}
	if a := b.ask(site, "GET /healthz HTTP/1.1\r\nHost: r\r\n\r\n"); a.status != 200 {
		t.Errorf("healthz: %+v", a)
	}
	// The addresses of one IPv6 customer are one.
	for i := range requestsBurst + 1 {
		a = b.ask(fmt.Sprintf("2a00:1450:0:12%02x::%x", i, i), request)
	}
	if a.status != 429 {
		t.Errorf("after too many requests from one /56: %+v", a)
	}
	now = now.Add(time.Second)
	if a := b.ask(site, request); a.status != 200 {
		t.Errorf("a second later: %+v", a)
	}
	// The log is not filled either, and knows no address.
	if n := strings.Count(b.log.String(), "msg=refused"); n > refusalsBurst+2 || n == 0 {
		t.Errorf("%d lines of refusals in the log", n)
	}
	if log := b.log.String(); strings.Contains(log, "11.20.30") || strings.Contains(log, "2a00") || strings.Contains(log, goodToken) {
		t.Errorf("the log tells too much:\n%s", log)
	}
}

// Who guesses tokens is soon not heard any more, not even with the right one.
func TestGuessing(t *testing.T) {
	t.Parallel()
	now := time.Now()
	b := serve(t, server(t, echo), func(o *Options, _ *limits) { o.Now = func() time.Time { return now } })
	ask := func(from, authorization string) reply {
		return b.ask(from, "POST /v1/session HTTP/1.1\r\nHost: r\r\nContent-Length: 0\r\n"+authorization+"\r\n")
	}
	for i, authorization := range []string{
		"", "Authorization: Bearer \r\n", "Authorization: Bearer " + goodToken[1:] + "\r\n", "Authorization: " + goodToken + "\r\n",
		"Authorization: Basic " + goodToken + "\r\n", "Authorization: Bearer  " + goodToken + "\r\n", "Authorization: Bearer " + goodToken + " x\r\n",
		"Authorization: Bearer anna\r\n", "Authorization: Bearer " + strings.Repeat("x", 4000) + "\r\n",
		"Authorization: Bearer x\r\nAuthorization: Bearer " + goodToken + "\r\n",
	} {
		if a := ask(site, authorization); a.status != 401 || !strings.Contains(a.body, `"token"`) {
			t.Errorf("%d: %q: %+v", i, authorization, a)
		}
	}
	good := "Authorization: Bearer " + goodToken + "\r\n"
	if a := ask(site, good); a.status != 429 {
		t.Errorf("after ten wrong tokens: %+v", a)
	}
	if a := ask("11.20.30.21", "Authorization: bearer "+goodToken+"\r\n"); a.status != 200 {
		t.Errorf("the neighbour: %+v", a)
	}
	now = now.Add(time.Minute / failuresPerMinute)
	if a := ask(site, good); a.status != 200 {
		t.Errorf("after waiting: %+v", a)
	}
}

func TestFloodOfSessions(t *testing.T) {
	t.Parallel()
	now := time.Now()
	b := serve(t, server(t, echo), func(o *Options, l *limits) {
		o.Now, o.SessionsPerHour, l.sessions = func() time.Time { return now }, 3, 5
	})
	const request = "POST /v1/session HTTP/1.1\r\nHost: r\r\nContent-Length: 0\r\nAuthorization: Bearer " + goodToken + "\r\n\r\n"
	for _, want := range []int{200, 200, 200, 429} {
		if a := b.ask(site, request); a.status != want {
			t.Errorf("session: %+v, want %d", a, want)
		}
	}
	if a := b.ask(site, request); a.header.Get("Retry-After") != "1200" {
		t.Errorf("a third of an hour is to be waited, not %v", a.header)
	}
	for i, want := range []int{200, 200, 503} { // five are remembered at most
		if a := b.ask(fmt.Sprintf("11.20.31.%d", i), request); a.status != want {
			t.Errorf("session of another: %+v, want %d", a, want)
		}
	}
	now = now.Add(20 * time.Minute)
	if a := b.ask(site, request); a.status != 200 {
		t.Errorf("later: %+v", a)
	}
}

// Tables do not grow, whoever asks. Where forgetting would be a way around a
// limit, a table that is full takes nobody new.
func TestTables(t *testing.T) {
	t.Parallel()
	now := time.Now()
	forgetful, strict := newTable(100, 1, 2, true), newTable(100, 1, 2, false)
	denied := 0
	for i := range 10_000 {
		key := group(netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}))
		if ok, _ := forgetful.take(key, now); !ok {
			t.Fatalf("%v is not let in", key)
		}
		if ok, after := strict.take(key, now); !ok {
			denied++
			if after <= 0 {
				t.Fatal("no time to wait")
			}
		}
	}
	if forgetful.len() != 100 || strict.len() != 100 || denied != 9900 {
		t.Errorf("%d and %d entries, %d denied", forgetful.len(), strict.len(), denied)
	}
	if ok, _ := strict.take(group(netip.MustParseAddr("11.200.0.1")), now.Add(time.Minute)); !ok || strict.len() != 100 {
		t.Error("who has not asked for long gives way")
	}
}

// One connection of an address is open at a time. Others wait for it, some time
// and not too many of them.
func TestOneAtATime(t *testing.T) {
	t.Parallel()
	b := serve(t, server(t, echo), func(o *Options, l *limits) { o.Pipes, l.turn, l.connsPerAddr = 2, 300*time.Millisecond, 64 })
	token := b.token(site)
	conn, _ := b.open(site, token)
	if a := b.ask(site, pipeFor(token, 8888)); a.status != 429 || !strings.Contains(a.body, whyBusy) {
		t.Errorf("a second one: %+v", a)
	}
	if n := len(b.dials()); n != 1 {
		t.Errorf("%d connections to the site at once", n)
	}
	waiting := b.connect(site)
	io.WriteString(waiting, pipeFor(token, 8888))
	conn.Close()
	if a := b.read(bufio.NewReader(waiting)); a.status != 101 {
		t.Errorf("one that waited for its turn: %+v", a)
	}
	// All together have a bound, too.
	b.open("11.20.30.21", b.token("11.20.30.21"))
	third := b.token("11.20.30.22")
	if a := b.ask("11.20.30.22", pipeFor(third, 8888)); a.status != 503 || !strings.Contains(a.body, whyFull) || a.header.Get("Retry-After") == "" {
		t.Errorf("one too many of all: %+v", a)
	}
	// And so has the line of those that wait.
	var line []net.Conn
	for range maxLine - 1 {
		c := b.connect(site)
		io.WriteString(c, pipeFor(token, 8888))
		line = append(line, c)
	}
	eventually(t, "the line is long", func() bool {
		b.turns.mu.Lock()
		defer b.turns.mu.Unlock()
		return b.turns.lines[group(netip.MustParseAddr(site))].in == maxLine
	})
	start := time.Now()
	if a := b.ask(site, pipeFor(token, 8888)); a.status != 429 || time.Since(start) > b.limits.turn {
		t.Errorf("behind a long line: %+v after %v", a, time.Since(start))
	}
	waiting.Close()
	for _, c := range line {
		c.Close()
	}
	eventually(t, "nobody waits", func() bool {
		b.turns.mu.Lock()
		defer b.turns.mu.Unlock()
		return b.turns.lines[group(netip.MustParseAddr(site))] == nil
	})
}

// eventually waits for what another goroutine does.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("it never came to this: %s", what)
		}
	}
}

// The connections that one address may have are bounded; the rest is closed at
// once, and others do not notice.
func TestManyConnections(t *testing.T) {
	t.Parallel()
	b := serve(t, server(t, echo), func(_ *Options, l *limits) { l.conns, l.connsPerAddr = 12, 4 })
	for range 4 {
		b.connect(site)
	}
	eventually(t, "four are open", func() bool { open, _ := b.gate.state(); return open == 4 })
	conn := b.connect(site)
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("a fifth connection: %d bytes, %v", n, err)
	}
	if a := b.ask("11.20.30.21", "GET /v1/whoami HTTP/1.1\r\nHost: r\r\n\r\n"); a.status != 200 {
		t.Errorf("the neighbour: %+v", a)
	}
	eventually(t, "one was turned away", func() bool { _, turned := b.gate.state(); return turned == 1 })
}

// When as many connections are open as may be, and all of them silent or slow,
// the limits of time make room again.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	b := serve(t, server(t, echo), func(_ *Options, l *limits) {
		l.conns, l.connsPerAddr, l.header, l.idle = 8, 8, 300*time.Millisecond, 300*time.Millisecond
	})
	var slow []net.Conn
	for i, start := range []string{
		"", "G", "GET /v1/whoami HTTP/1.1\r\nHost: r\r\nX: ", "GET /v1/who",
		"POST /v1/session HTTP/1.1\r\nHost: r\r\nContent-Length: 100\r\n\r\n",
		"POST /v1/session HTTP/1.1\r\nHost: r\r\nTransfer-Encoding: chunked\r\n\r\n",
		"GET /v1/whoami HTTP/1.1\r\nHost: r\r\n\r\n", // and then nothing more
		"\r\n",
	} {
		c := b.connect(fmt.Sprintf("11.20.40.%d", i))
		io.WriteString(c, start)
		slow = append(slow, c)
	}
	ctx, stop := context.WithCancel(context.Background())
	var drips sync.WaitGroup
	defer drips.Wait()
	defer stop()
	for _, c := range slow[1:6] { // they go on, byte by byte
		drips.Go(func() {
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					if _, err := io.WriteString(c, "a"); err != nil {
						return
					}
				case <-ctx.Done():
					return
				}
			}
		})
	}
	if a := b.ask(site, "GET /v1/whoami HTTP/1.1\r\nHost: r\r\n\r\n"); a.status != 200 {
		t.Errorf("an honest client behind them: %+v", a)
	}
	for i, c := range slow {
		if _, err := io.Copy(io.Discard, c); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Errorf("%d is still open", i)
		}
	}
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	b := serve(t, server(t, echo), nil)
	for name, request := range map[string]string{
		"a header":     "GET /v1/whoami HTTP/1.1\r\nHost: r\r\nX: " + strings.Repeat("x", 64<<10),
		"many headers": "GET /v1/whoami HTTP/1.1\r\nHost: r\r\n" + strings.Repeat("X: x\r\n", 16<<10),
		"a path":       "GET /" + strings.Repeat("x", 64<<10),
		"a method":     strings.Repeat("X", 64<<10),
	} {
		conn := b.connect(site)
		go io.WriteString(conn, request) // it may be cut off
		if a := b.read(bufio.NewReader(conn)); a.status != 431 && a.status != 400 {
			t.Errorf("%s: %+v", name, a)
		}
		conn.Close()
	}
}

// Through a pipe goes what may and not a byte more, each way; and before the
// client has spoken no more than a greeting.
func TestBoundsOfAPipe(t *testing.T) {
	t.Parallel()
	flood := make([]byte, 64<<10)
	rand.Read(flood)
	var got []byte
	done := make(chan bool, 1)
	greedy := server(t, func(c net.Conn) {
		got, _ = io.ReadAll(c)
		done <- true
	})
	b := serve(t, greedy, nil)
	conn, r := b.open(site, b.token(site))
	go conn.Write(flood)
	io.Copy(io.Discard, r)
	<-done
	if string(got) != string(flood[:16<<10]) {
		t.Errorf("%d bytes came to the site, want 16384", len(got))
	}
}

func TestBanner(t *testing.T) {
	t.Parallel()
	flood := make([]byte, 64<<10)
	rand.Read(flood)
	loud := server(t, func(c net.Conn) { c.Write(flood) })
	b := serve(t, loud, func(_ *Options, l *limits) { l.pipe = 500 * time.Millisecond })
	token := b.token(site)
	_, quiet := b.open(site, token)
	if silent, _ := io.ReadAll(quiet); string(silent) != string(flood[:256]) {
		t.Errorf("%d bytes came to a client that said nothing, want 256", len(silent))
	}
	conn, r := b.open(site, token)
	io.WriteString(conn, "x")
	if all, _ := io.ReadAll(r); string(all) != string(flood[:16<<10]) {
		t.Errorf("%d bytes came to the client, want 16384", len(all))
	}
}

// A pipe ends after its time, however lively it is, or when its client has gone.
func TestEndOfAPipe(t *testing.T) {
	t.Parallel()
	b := serve(t, server(t, echo), func(_ *Options, l *limits) { l.pipe, l.linger = 400*time.Millisecond, 50*time.Millisecond })
	token := b.token(site)
	start := time.Now()
	conn, r := b.open(site, token)
	go func() {
		for {
			if _, err := io.WriteString(conn, "x"); err != nil {
				return
			}
			if _, err := r.ReadByte(); err != nil {
				conn.Close()
				return
			}
		}
	}()
	eventually(t, "the pipe has ended", func() bool { return len(b.pipes) == 0 })
	if took := time.Since(start); took < 300*time.Millisecond {
		t.Errorf("it ended after %v", took)
	}
}

// A site may answer when the client has said all, or close first: what it said
// arrives.
func TestHalfClosed(t *testing.T) {
	t.Parallel()
	b := serve(t, server(t, func(c net.Conn) {
		all, _ := io.ReadAll(c)
		fmt.Fprintf(c, "%d bytes, then more", len(all))
	}), nil)
	conn, r := b.open(site, b.token(site))
	io.WriteString(conn, "12345")
	conn.(*net.TCPConn).CloseWrite()
	if all, err := io.ReadAll(r); string(all) != "5 bytes, then more" {
		t.Errorf("the answer is %q, %v", all, err)
	}
	b = serve(t, server(t, func(c net.Conn) {
		io.ReadFull(c, make([]byte, 1))
		io.WriteString(c, "go away")
	}), nil)
	conn, r = b.open(site, b.token(site))
	io.WriteString(conn, strings.Repeat("x", 1000)) // the site does not read it all
	if all, err := io.ReadAll(r); string(all) != "go away" {
		t.Errorf("the answer is %q, %v", all, err)
	}
}

// A client that goes away while the site is being connected to ends that, too.
func TestGoneClient(t *testing.T) {
	t.Parallel()
	began, ended := make(chan bool, 1), make(chan error, 1)
	b := serve(t, "", func(o *Options, _ *limits) {
		o.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			began <- true
			<-ctx.Done()
			ended <- ctx.Err()
			return nil, ctx.Err()
		}
	})
	token := b.token(site)
	conn := b.connect(site)
	io.WriteString(conn, pipeFor(token, 8888))
	<-began
	conn.Close()
	select {
	case err := <-ended:
		if err != context.Canceled {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(4 * time.Second): // less than the limit of the dial
		t.Error("it went on for a client that has gone")
	}
}

// Run leaves nothing behind, whatever is under way when it ends.
func TestStop(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("busy", func(t *testing.T) {
		held := server(t, echo)
		b := serve(t, held, func(o *Options, l *limits) { l.grace, o.Metrics = 100*time.Millisecond, "127.0.0.1:0" })
		token := b.token(site)
		_, r := b.open(site, token)
		waiting := b.connect(site)
		io.WriteString(waiting, pipeFor(token, 8888))
		b.connect(site)                      // silent
		io.WriteString(b.connect(site), "G") // slow
		idle := b.connect(site)
		io.WriteString(idle, "GET /healthz HTTP/1.1\r\nHost: r\r\n\r\n")
		b.read(bufio.NewReader(idle))
		start := time.Now()
		b.stop()
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("it took %v to end", took)
		}
		if _, err := io.ReadAll(r); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Error("the pipe is still open")
		}
		if conn, err := net.Dial("tcp", b.Addr()); err == nil {
			conn.Close()
			t.Error("it still listens")
		}
	})
	eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= before })
}

// Ten thousand addresses, and as many connections as it lets in, do not make it
// large.
func TestMemory(t *testing.T) {
	b := serve(t, server(t, echo), func(_ *Options, l *limits) { l.addrs, l.conns, l.header = 1000, 100, 2*time.Second })
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range 300 { // three times as many as may be open
		conn, err := net.Dial("tcp", b.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, "GET /v1/whoami HTTP/1.1\r\nX: "+strings.Repeat("x", 4000))
	}
	now := time.Now()
	for i := range 10_000 {
		key := group(netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)}))
		b.rates.requests.take(key, now)
		b.rates.failures.take(key, now)
		b.rates.sessions.take(key, now)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 8<<20 {
		t.Errorf("it has grown by %d KiB", grown>>10)
	}
	open, _ := b.gate.state()
	if open > 100 {
		t.Errorf("%d connections are open", open)
	}
}
