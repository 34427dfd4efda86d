// Package reflector is a tiny TCP pipe back to whoever asks for it, so that a
// site can be looked at from outside without anybody outside who looks.
//
//	GET  /v1/whoami                     {"ip": "203.0.113.10", "port": 51211}
//	POST /v1/session  Bearer TOKEN      {"token": ..., "ports": [...], "expires": ...}
//	GET  /v1/pipe?port=N&token=T        Upgrade: onsite-pipe/1
//	    101 with X-Source and X-Dial-Ms, then raw bytes both ways
//	    502 {"dial": "refused"|"timeout"|"unreachable", "ms": N}
//
// The server knows no HTTP, TLS or clock protocol towards the site: [Client]
// speaks those through it, as over any connection.
//
// A server that connects where strangers tell it to is a weapon. This one
// connects to the address from which the request came and to nothing else; only
// when that address is a public one, and not of its own network; only to a few
// ports; only for who has a token; one connection at a time, of a few kilobytes
// and seconds. Names are never looked up, and what a request says about
// addresses is not heeded.
package reflector

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"onsite/internal/sock"
	"onsite/report"
)

// Options says where to listen and what to allow. Listen and TokenFile are
// needed; the zero value of everything else is the real thing.
type Options struct {
	// Listen is the address to serve on: host:port, or :port for every address.
	Listen string
	// CertFile and KeyFile are the PEM files for HTTPS; both empty: HTTP, for use
	// behind a proxy that adds TLS. They are read again when they change.
	CertFile, KeyFile string
	// TokenFile holds the tokens of those who may use the reflector: a line of
	// name and token for each. It is read again when it changes.
	TokenFile string
	// Ports are those that may be connected to; nil: DefaultPorts.
	Ports []int
	// Proxies are the addresses of proxies in front. From them alone the header
	// X-Forwarded-For is believed.
	Proxies []netip.Prefix
	// DialFrom are the addresses to connect from, at most one of IPv4 and one of
	// IPv6; without one the system chooses. Another address than the listening
	// one is best: a firewall that lets answers in may take it for one.
	DialFrom []netip.Addr
	// Refuse are more networks never to connect to. Those of this computer's
	// interfaces are refused anyhow.
	Refuse []netip.Prefix
	// Metrics is the address of /metrics; "" for none. Without a host it is
	// loopback.
	Metrics string
	// SessionsPerHour is what one address (IPv6: one /56) may ask for; 0: the default.
	SessionsPerHour int
	// Pipes is how many connections may be open at once, of all together; 0: the default.
	Pipes int

	Log *slog.Logger     // sessions, pipes and refusals, without addresses; nil: dropped
	Now func() time.Time // nil: time.Now

	// Listener takes the place of listening on Listen, and DialContext that of
	// connecting to a public address; for tests on one computer.
	Listener    net.Listener
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
}

// limits bounds what one client, and all together, can cost. Tests make them
// smaller.
type limits struct {
	header, idle time.Duration // as in http.Server
	turn         time.Duration // waiting for the pipe before to end
	dial         time.Duration // connecting to the site
	pipe         time.Duration // a pipe's whole life
	linger       time.Duration // of one direction after the end of the other
	grace        time.Duration // for answers under way when Run ends
	session      time.Duration // a session's whole life

	bytes  int64 // through a pipe, each way
	banner int64 // from the site before the client has said anything

	conns, connsPerAddr int // open connections
	sessions            int // remembered
	addrs               int // in each table of rates
	pipesPerSession     int
	portsPerSession     int
}

var defaultLimits = limits{
	header: 5 * time.Second, idle: 15 * time.Second, turn: 10 * time.Second, dial: 5 * time.Second,
	pipe: 10 * time.Second, linger: 500 * time.Millisecond, grace: 3 * time.Second, session: 10 * time.Minute,
	bytes: 16 << 10, banner: 256,
	conns: 1024, connsPerAddr: 16, sessions: 4096, addrs: 16384, pipesPerSession: 32, portsPerSession: 6,
}

// Defaults of the options.
const (
	DefaultSessionsPerHour = 120
	DefaultPipes           = 64
)

const maxHeader = 8 << 10

const (
	codeAddressWrong  = "reflector.address.wrong"
	codeAddressInUse  = "reflector.address.in-use"
	codeAddressDenied = "reflector.address.denied"
	codeServeFailed   = "reflector.serve.failed"
)

var listenCodes = sock.Codes{Wrong: codeAddressWrong, InUse: codeAddressInUse, Denied: codeAddressDenied, Failed: codeServeFailed}

// Server is a reflector. New makes it; Run must follow, once.
type Server struct {
	o        Options
	limits   limits
	listener net.Listener
	gate     *gate        // before listener
	metrics  net.Listener // nil: off
	cert     *watched[*tls.Certificate]
	tokens   *watched[operators]
	key      [32]byte // of session tokens, and of the hashes in the log; never leaves
	own      func() ([]netip.Prefix, error)
	dial     func(ctx context.Context, to netip.AddrPort) (net.Conn, error)

	rates    rates
	sessions sessions
	turns    turns
	pipes    chan struct{}
	count    counters
	journal  journal

	begun begun
}

// New reads the files and takes the addresses, so that whatever would keep the
// reflector from serving is known before Run. The findings are what somebody
// should know and may live with. Errors are of type *report.Error.
func New(o Options) (*Server, []report.Finding, error) { return newServer(o, defaultLimits) }

func newServer(o Options, l limits) (*Server, []report.Finding, error) {
	s := &Server{o: o, limits: l, own: ownNetworks}
	if err := s.fill(); err != nil {
		return nil, nil, err
	}
	findings, err := s.open()
	if err != nil {
		return nil, findings, err
	}
	if s.listener = s.o.Listener; s.listener == nil {
		if s.listener, err = sock.Listen(s.o.Listen, listenCodes); err != nil {
			return nil, findings, err
		}
	}
	if s.exposed() {
		findings = append(findings, report.Warn("reflector.plain", s.Addr(), "HTTP is served to other computers, without encryption: tokens and what is tested can be read on the way",
			"give --tls-cert and --tls-key, or listen on 127.0.0.1 behind a proxy with TLS and name it with --trusted-proxy"))
	}
	s.gate = newGate(s.listener, s.limits.conns, s.limits.connsPerAddr, s.trusted)
	if s.metrics, err = sock.Listen(loopbackByDefault(s.o.Metrics), listenCodes); err != nil {
		s.listener.Close()
		return nil, findings, err
	}
	return s, findings, nil
}

// fill checks the options and puts the real world into those that are empty.
func (s *Server) fill() error {
	o := &s.o
	if o.Listen == "" && o.Listener == nil {
		return report.Errorf(report.KindUsage, codeAddressWrong, "give host:port or :port, for example :8080", "there is no address to serve on")
	}
	o.SessionsPerHour = cmp.Or(max(o.SessionsPerHour, 0), DefaultSessionsPerHour)
	o.Pipes = cmp.Or(max(o.Pipes, 0), DefaultPipes)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Ports == nil {
		o.Ports = DefaultPorts
	}
	if err := checkPorts(o.Ports); err != nil {
		return err
	}
	if err := checkDialFrom(o.DialFrom); err != nil {
		return err
	}
	if err := checkProxies(o.Proxies); err != nil {
		return err
	}
	s.dial = s.dialDirect
	if o.DialContext != nil {
		s.dial = func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
			return o.DialContext(ctx, "tcp", to.String())
		}
	}
	rand.Read(s.key[:])
	s.pipes = make(chan struct{}, o.Pipes)
	s.journal = journal{log: o.Log, key: s.key[:], now: o.Now}
	s.count.begin()
	s.rates = newRates(s.limits.addrs, o.SessionsPerHour)
	s.sessions = sessions{most: s.limits.sessions, open: map[nonce]*session{}}
	s.turns = turns{lines: map[netip.Prefix]*line{}}
	return nil
}

// open reads the files.
func (s *Server) open() ([]report.Finding, error) {
	var findings []report.Finding
	var err error
	if s.tokens, err = watch(s.o.Now, s.journal.kept, func() (operators, error) { return readOperators(s.o.TokenFile) }, s.o.TokenFile); err != nil {
		return nil, err
	}
	if f, ok := judgeMode(s.o.TokenFile); ok {
		findings = append(findings, f)
	}
	if s.o.CertFile == "" && s.o.KeyFile == "" {
		return findings, nil
	}
	s.cert, err = watch(s.o.Now, s.journal.kept, func() (*tls.Certificate, error) { return readPair(s.o.CertFile, s.o.KeyFile) }, s.o.CertFile, s.o.KeyFile)
	return findings, err
}

// exposed reports whether others than a proxy can reach it without encryption.
func (s *Server) exposed() bool {
	return s.cert == nil && len(s.o.Proxies) == 0 && !addrOf(s.listener.Addr()).Addr().IsLoopback()
}

// Addr is the address that is served, as host:port with the real port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// MetricsAddr is the address of /metrics, or "" when it is off.
func (s *Server) MetricsAddr() string {
	if s.metrics == nil {
		return ""
	}
	return s.metrics.Addr().String()
}

// Encrypted reports whether HTTPS is served.
func (s *Server) Encrypted() bool { return s.cert != nil }

// Run serves until ctx ends; then it cuts the pipes, lets short answers finish,
// closes every connection and returns nil. The error, with the code
// "reflector.serve.failed", says that a listener broke. No goroutine is left
// behind.
func (s *Server) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	broken := make(chan error, 2)
	var work sync.WaitGroup
	server := s.server(ctx, http.HandlerFunc(s.handle))
	work.Go(func() {
		if s.cert != nil {
			broken <- server.ServeTLS(s.gate, "", "")
		} else {
			broken <- server.Serve(s.gate)
		}
	})
	doors, servers := []*gate{s.gate}, []*http.Server{server}
	if s.metrics != nil {
		door, server := newGate(s.metrics, metricsConns, metricsConns, nil), s.server(ctx, http.HandlerFunc(s.showMetrics))
		server.TLSConfig = nil
		work.Go(func() { broken <- server.Serve(door) })
		doors, servers = append(doors, door), append(servers, server)
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-broken:
		err = report.Errorf(report.KindFailed, codeServeFailed, "start the reflector again", "serve the reflector: %w", err)
	}
	stop()
	s.begun.close()
	for i, server := range servers {
		work.Go(func() { shut(server, doors[i], s.limits.grace) })
	}
	work.Wait()
	return err
}

func (s *Server) server(ctx context.Context, handler http.Handler) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true) // HTTP/2 has no Upgrade (RFC 9113, section 8.6)
	server := &http.Server{
		Handler:   handler,
		Protocols: &protocols,
		// No ReadTimeout: it would run on while an answer is waited for, and end it.
		ReadHeaderTimeout: s.limits.header,
		// The longest answer: one that waits for its turn, then for the site.
		WriteTimeout:   s.limits.turn + s.limits.dial + s.limits.header,
		IdleTimeout:    s.limits.idle,
		MaxHeaderBytes: maxHeader,
		// OPTIONS * is refused like anything else that is not served.
		DisableGeneralOptionsHandler: true,
		BaseContext:                  func(net.Listener) context.Context { return ctx },
		ErrorLog:                     log.New(io.Discard, "", 0), // what strangers send is nothing to report
	}
	if s.cert != nil {
		server.TLSConfig = &tls.Config{
			MinVersion:     tls.VersionTLS12,
			NextProtos:     []string{"http/1.1"},
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.cert.get(), nil },
		}
	}
	return server
}

func shut(server *http.Server, door *gate, grace time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	door.closeSilent()
	if server.Shutdown(ctx) != nil {
		server.Close() // closes what was slow
	}
	door.shut() // again, in case serving had not begun
	door.ended.Wait()
}

// begun counts requests that are being answered, so that none is left behind:
// http.Server does not wait for those that took their connection over.
type begun struct {
	mu     sync.Mutex
	closed bool
	work   sync.WaitGroup
}

// start reports whether a request may begin; done must follow if so.
func (b *begun) start() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.work.Add(1)
	}
	return !b.closed
}

func (b *begun) done() { b.work.Done() }

func (b *begun) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.work.Wait()
}
