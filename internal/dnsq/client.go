package dnsq

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"onsite/internal/sock"
)

// Client asks. The zero value is ready; it may be used by several goroutines.
type Client struct {
	// Dial connects to a server; nil: the system's own. The network is udp or tcp.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Timeout is the longest wait for one answer by one way; 0: 1.5 s. A question
	// goes twice by UDP, for datagrams get lost, and once by TCP.
	Timeout time.Duration
	// Workers is how many questions are on their way at once; 0: 64.
	Workers int
}

const (
	defaultTimeout = 1500 * time.Millisecond
	defaultWorkers = 64
	udpTries       = 2
	// udpSize is what fits through any network in one piece (DNS flag day 2020).
	udpSize = 1232
)

// Ask asks all questions and returns the answers in the same order. It returns
// once each has its answer or cannot have one; ctx ends it at once.
func (c *Client) Ask(ctx context.Context, questions []Question) []Answer {
	answers := make([]Answer, len(questions))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(cmp.Or(c.Workers, defaultWorkers), len(questions)) {
		wg.Go(func() {
			w := worker{client: c}
			defer w.close()
			stop := context.AfterFunc(ctx, w.close)
			defer stop()
			for {
				i := int(next.Add(1)) - 1
				if i >= len(questions) {
					return
				}
				answers[i] = w.ask(ctx, questions[i])
			}
		})
	}
	wg.Wait()
	return answers
}

// worker asks one question after the other. It keeps its UDP sockets, one for
// each server: a socket costs more than a question.
type worker struct {
	client *Client
	packet [64]byte // most questions fit
	buffer [4096]byte

	mu      sync.Mutex
	sockets []socket
	closed  bool
}

type socket struct {
	server netip.AddrPort
	net.Conn
}

func (w *worker) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for _, s := range w.sockets {
		s.Close()
	}
	w.sockets = nil
}

// keep makes close end a connection, and does so itself when it is too late.
func (w *worker) keep(server netip.AddrPort, conn net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		conn.Close()
		return
	}
	w.sockets = append(w.sockets, socket{server, conn})
}

// drop closes a socket on which something went wrong. The next try comes from
// another port, which also leaves late answers behind.
func (w *worker) drop(conn net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	conn.Close()
	for i, s := range w.sockets {
		if s.Conn == conn {
			w.sockets = append(w.sockets[:i], w.sockets[i+1:]...)
			return
		}
	}
}

func (w *worker) socket(ctx context.Context, server netip.AddrPort) (net.Conn, error) {
	w.mu.Lock()
	for _, s := range w.sockets {
		if s.server == server {
			w.mu.Unlock()
			return s.Conn, nil
		}
	}
	w.mu.Unlock()
	conn, err := w.dial(ctx, "udp", server)
	if err == nil {
		w.keep(server, conn)
	}
	return conn, err
}

func (w *worker) dial(ctx context.Context, network string, server netip.AddrPort) (net.Conn, error) {
	dial := w.client.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	return dial(ctx, network, server.String())
}

func (w *worker) timeout() time.Duration { return cmp.Or(w.client.Timeout, defaultTimeout) }

// ask goes the whole way: UDP, UDP, TCP.
func (w *worker) ask(ctx context.Context, q Question) (a Answer) {
	start := time.Now()
	defer func() {
		a.Question, a.Took = q, time.Since(start)
		if a.Err != nil {
			if ctx.Err() != nil {
				a.Err = ctx.Err()
			} else {
				a.Err = reason(a.Err)
			}
		}
	}()
	if !Valid(q.Name) {
		return Answer{Err: ErrName}
	}
	edns := true
	for try := 0; try < udpTries && ctx.Err() == nil; try++ {
		var truncated bool
		if a, truncated = w.udp(ctx, q, edns); a.Err != nil {
			continue
		}
		if truncated {
			break
		}
		if edns && (a.Code == FormErr || a.Code == NotImp) && len(a.Extended) == 0 {
			edns, try = false, try-1 // an old server that knows nothing of EDNS (RFC 6891, section 7)
			continue
		}
		return a
	}
	if ctx.Err() != nil || errors.Is(reason(a.Err), ErrUnreachable) {
		return a
	}
	b := w.tcp(ctx, q, edns)
	b.TCP = true
	if b.Err != nil && a.Err != nil {
		return a // UDP is what counts
	}
	return b
}

// pack makes the message of a question.
func (w *worker) pack(q Question, edns bool) (id uint16, wire []byte, err error) {
	var m dns.Msg
	m.Id = uint16(rand.Uint32()) //nolint:gosec // from the runtime's ChaCha8, which is seeded by the system
	m.RecursionDesired = q.Recurse
	m.Question = []dns.Question{{Name: dns.Fqdn(q.Name), Qtype: uint16(q.Type), Qclass: dns.ClassINET}}
	if edns {
		m.SetEdns0(udpSize, false)
	}
	wire, err = m.PackBuffer(w.packet[:])
	return m.Id, wire, err
}

// udp asks once. A message that is not the answer is passed over: it may be a
// late one, or forged.
func (w *worker) udp(ctx context.Context, q Question, edns bool) (a Answer, truncated bool) {
	id, wire, err := w.pack(q, edns)
	if err != nil {
		return Answer{Err: err}, false
	}
	conn, err := w.socket(ctx, q.Server)
	if err != nil {
		return Answer{Err: err}, false
	}
	if err = conn.SetDeadline(deadline(ctx, w.timeout())); err == nil {
		_, err = conn.Write(wire)
	}
	if err != nil {
		w.drop(conn)
		return Answer{Err: err}, false
	}
	for {
		n, err := conn.Read(w.buffer[:])
		if err != nil {
			w.drop(conn)
			return Answer{Err: err}, false
		}
		a, truncated, err = parse(q, id, w.buffer[:n])
		if !errors.Is(err, errForeign) {
			a.Err = err
			return a, truncated
		}
	}
}

// tcp asks once, on a connection of its own (RFC 7766).
func (w *worker) tcp(ctx context.Context, q Question, edns bool) Answer {
	id, wire, err := w.pack(q, edns)
	if err != nil {
		return Answer{Err: err}
	}
	until := deadline(ctx, w.timeout())
	dialing, cancel := context.WithDeadline(ctx, until)
	conn, err := w.dial(dialing, "tcp", q.Server)
	cancel()
	if err != nil {
		return Answer{Err: err}
	}
	w.keep(netip.AddrPort{}, conn)
	defer w.drop(conn)
	if err = conn.SetDeadline(deadline(ctx, w.timeout())); err != nil {
		return Answer{Err: err}
	}
	message, err := Exchange(conn, wire)
	if err != nil {
		return Answer{Err: err}
	}
	a, truncated, err := parse(q, id, message)
	if errors.Is(err, errForeign) || truncated {
		err = ErrDamaged
	}
	a.Err = err
	return a
}

// Exchange sends one message over a TCP connection and reads one back, each
// behind its length (RFC 1035, section 4.2.2): 64 KiB at the most.
func Exchange(conn net.Conn, message []byte) ([]byte, error) {
	framed := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(message)), uint16(len(message))) //nolint:gosec // what is sent has a few hundred bytes
	if _, err := conn.Write(append(framed, message...)); err != nil {
		return nil, err
	}
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return nil, err
	}
	reply := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(conn, reply)
	return reply, err
}

// deadline is in d, or when the context ends.
func deadline(ctx context.Context, d time.Duration) time.Time {
	start := time.Now()
	until := start.Add(d)
	if end, ok := ctx.Deadline(); ok && end.Before(until) {
		return end
	}
	return until
}

// reason says in a technician's words why there is no answer.
func reason(err error) error {
	switch {
	case err == nil, errors.Is(err, ErrDamaged), errors.Is(err, ErrName):
		return err
	case sock.TimedOut(err):
		return ErrSilent
	case sock.Unreachable(err), sock.NotHere(err), sock.NoFamily(err):
		return ErrUnreachable
	case sock.Refused(err), sock.Reset(err):
		return ErrClosed
	case sock.HungUp(err):
		return ErrDamaged
	}
	return err
}
