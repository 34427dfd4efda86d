package reach

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"onsite/devicecfg/zk"
	"onsite/internal/sock"
)

// The outcomes of connecting.
const (
	Connected   = sock.OutcomeConnected
	Refused     = sock.OutcomeRefused
	Timeout     = sock.OutcomeTimeout
	Unreachable = sock.OutcomeUnreachable
)

// DialError is a connection that a vantage tried and that failed: Outcome is
// Refused, Timeout or Unreachable.
type DialError struct{ Outcome string }

func (e *DialError) Error() string { return e.Outcome }

// outcome says how a dial ended; "" when it shows nothing of the other end.
func outcome(ctx context.Context, err error) string {
	if e, ok := errors.AsType[*DialError](err); ok {
		return e.Outcome
	}
	if err != nil && ctx.Err() != nil {
		return "" // the time for everything was over, or somebody stopped it
	}
	return sock.Outcome(err)
}

// dialer makes one more connection to the port that is looked at. The address is
// where it comes from as the port sees it; it may be zero.
type dialer func(ctx context.Context) (net.Conn, netip.AddrPort, error)

// probe is one look at a port: what it answers, and what it is.
type probe struct {
	dial    dialer
	name    string // that TLS and HTTP ask for: host of the target
	host    string // for HTTP: host:port
	roots   *x509.CertPool
	now     func() time.Time
	key     *zk.Key       // nil: none to send
	beacon  *beacon       // nil: none to expect
	talk    time.Duration // longest wait for an answer on a connection
	expect  Kind          // asked for first
	thrifty bool          // a silent port is asked in one more kind only
	settle  func(source netip.AddrPort)
}

// look connects and finds out what is there. The outcome is that of the first
// connection; err says why it failed, or is empty.
func (p *probe) look(ctx context.Context) (what Identity, out string, err error) {
	tried := map[Kind]bool{}
	queue := p.order()
	best := Identity{}
	for len(queue) > 0 {
		kind := queue[0]
		queue = queue[1:]
		if tried[kind] {
			continue
		}
		tried[kind] = true
		conn, source, dialErr := p.dial(ctx)
		if out == "" {
			out, err = outcome(ctx, dialErr), dialErr
		}
		if dialErr != nil {
			break // a port that was open and is not any more: what was seen counts
		}
		if p.settle != nil {
			p.settle(source)
		}
		got, known := p.ask(ctx, conn, kind)
		if ctx.Err() != nil {
			return Identity{}, "", ctx.Err()
		}
		if known {
			return got, out, nil
		}
		if best.Kind == "" || best.Kind == KindSilent || best.Kind == KindClosed && got.Kind != KindSilent {
			best = got
		}
		if askable(got.Kind) {
			queue = append([]Kind{got.Kind}, queue...) // it said itself what it is
			continue
		}
		if got.Kind != KindSilent && got.Kind != KindClosed || p.thrifty && len(tried) > 1 {
			break
		}
	}
	return best, out, err
}

func askable(k Kind) bool {
	return slices.Contains([]Kind{KindHTTPS, KindHTTP, KindClock, KindBeacon}, k)
}

// order is in which order the kinds are asked for.
func (p *probe) order() []Kind {
	all := []Kind{KindHTTPS, KindHTTP, KindClock}
	if strings.HasSuffix(p.host, ":80") || strings.HasSuffix(p.host, ":8080") || strings.HasSuffix(p.host, ":8888") {
		all = []Kind{KindHTTP, KindHTTPS, KindClock}
	}
	if p.expect == "" || p.expect == KindAny || !askable(p.expect) {
		return all
	}
	return append([]Kind{p.expect}, all...)
}

// ask speaks one protocol on a connection and closes it. known is false when
// something else answered, or nothing; the identity then says what was heard.
func (p *probe) ask(ctx context.Context, conn net.Conn, kind Kind) (got Identity, known bool) {
	heard := &hearing{Conn: conn}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(p.talk)) //nolint:errcheck // a closed connection shows when it is read
	var err error
	switch kind {
	case KindHTTPS:
		got, err = p.askTLS(ctx, heard)
	case KindHTTP:
		got, err = p.askHTTP(heard)
	case KindClock:
		got, err = p.askClock(ctx, heard)
	case KindBeacon:
		got, err = p.beacon.ask(heard)
	}
	if err == nil {
		return got, true
	}
	if got.Kind != "" { // it knows better
		return got, false
	}
	begin := heard.begin()
	if len(begin) == 0 && !sock.TimedOut(err) {
		return Identity{Kind: KindClosed}, false
	}
	got = sniff(begin)
	if got.Kind == kind { // it begins so, and is not: do not ask again
		got.Kind = KindOther
	}
	return got, false
}

// askTLS completes a handshake: only who holds the private key can.
func (p *probe) askTLS(ctx context.Context, conn net.Conn) (Identity, error) {
	c := tls.Client(conn, &tls.Config{
		ServerName:         p.name,
		InsecureSkipVerify: true,             //nolint:gosec // G402: the key is compared; the chain is verified below
		MinVersion:         tls.VersionTLS10, // old devices are to be recognised; nothing is entrusted to them
	})
	if err := c.HandshakeContext(ctx); err != nil {
		return Identity{}, err
	}
	leaf := c.ConnectionState().PeerCertificates
	sum := sha256.Sum256(leaf[0].RawSubjectPublicKeyInfo)
	i := Identity{Kind: KindHTTPS, SPKI: hex.EncodeToString(sum[:]), Names: certNames(leaf[0]), Valid: p.valid(leaf)}
	return i, nil
}

// valid reports whether a chain as sent is good for the name.
func (p *probe) valid(sent []*x509.Certificate) bool {
	pool := x509.NewCertPool()
	for _, c := range sent[1:] {
		pool.AddCert(c)
	}
	_, err := sent[0].Verify(x509.VerifyOptions{DNSName: p.name, Roots: p.roots, Intermediates: pool, CurrentTime: p.now()})
	return err == nil && p.name != ""
}

func certNames(c *x509.Certificate) []string {
	names := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 && c.Subject.CommonName != "" {
		names = append(names, c.Subject.CommonName)
	}
	return names[:min(len(names), 10)]
}

// maxPage bounds what is read of a page, and what its digest is taken of: a pipe
// carries 16 KiB.
const (
	maxPage  = 8 << 10
	maxReply = 12 << 10
)

func (p *probe) askHTTP(conn net.Conn) (Identity, error) {
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nUser-Agent: onsite\r\nAccept: */*\r\nConnection: close\r\n\r\n", p.host); err != nil {
		return Identity{}, err
	}
	response, err := http.ReadResponse(bufio.NewReader(io.LimitReader(conn, maxReply)), nil)
	if err != nil {
		return Identity{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxPage))
	if err != nil && len(body) == 0 && !errors.Is(err, io.ErrUnexpectedEOF) {
		return Identity{Kind: KindOther, Banner: "HTTP without a page"}, err
	}
	if speaksOfTLS(response.StatusCode, body) {
		return Identity{Kind: KindHTTPS}, errors.New("it wants HTTPS")
	}
	sum := sha256.Sum256(body)
	return Identity{
		Kind: KindHTTP, StatusCode: response.StatusCode, Server: banner([]byte(response.Header.Get("Server"))), Title: title(body),
		Digest: hex.EncodeToString(sum[:]),
		SignIn: response.StatusCode == http.StatusUnauthorized || response.Header.Get("WWW-Authenticate") != "",
	}, nil
}

// askClock connects as to a clock. The key is sent where there is one, and only
// when the clock asks for it.
func (p *probe) askClock(ctx context.Context, conn net.Conn) (Identity, error) {
	return clockIdentity(ctx, zk.Options{Addr: p.host, Key: p.key, Timeout: p.talk}, conn)
}

// clockIdentity asks a clock who it is, over a connection, or over one that it
// makes when conn is nil.
func clockIdentity(ctx context.Context, o zk.Options, conn net.Conn) (Identity, error) {
	connect := func() (*zk.Client, error) { return zk.Open(ctx, conn, o) }
	if conn == nil {
		connect = func() (*zk.Client, error) { return zk.Dial(ctx, o) }
	}
	c, err := connect()
	if isOneCode(err, zk.CodeKeyNeeded, zk.CodeKeyWrong) {
		return Identity{Kind: KindClock, Locked: true}, nil
	}
	if err != nil {
		return Identity{}, err
	}
	defer c.Close()
	i := Identity{Kind: KindClock}
	for _, option := range []struct {
		name string
		to   *string
	}{{zk.SerialNumber, &i.Serial}, {zk.MAC, &i.MAC}, {zk.IPAddress, &i.Address}, {zk.NetMask, &i.Mask}, {zk.Gateway, &i.Gateway}} {
		value, _, err := c.Option(ctx, option.name)
		if err != nil {
			break // it answered the connecting, with a checksum: a clock it is
		}
		*option.to = banner([]byte(strings.TrimSpace(value)))
	}
	return i, nil
}

// hearing keeps the first bytes of what comes over a connection.
type hearing struct {
	net.Conn
	mu    sync.Mutex
	heard []byte
}

func (h *hearing) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.heard = append(h.heard, p[:min(n, maxHeard-len(h.heard))]...)
	return n, err
}

func (h *hearing) begin() []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	return bytes.Clone(h.heard)
}
