// Package portal is the web portal: it serves the three files of a site over
// HTTPS and shows what arrived, and it checks such a portal, or any other HTTPS
// server, from wherever it runs.
//
//	s, findings, err := portal.New(portal.Options{Dir: dir, HTTP: ":8888", HTTPS: ":4444"})
//	err = s.Run(ctx) // until ctx ends
//
//	result, findings, err := portal.Check(ctx, portal.CheckOptions{URL: "https://portal.acme.example:4444"})
//
// What a set of files is, and what makes it right or wrong, is package pkcs's.
// The package does not look at ports from outside: give Check a dialer that does.
package portal

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/netutil"

	"onsite/pkcs"
	"onsite/report"
)

// Options says what to serve, and where. At least one of HTTP and HTTPS is
// needed.
type Options struct {
	// Dir is the folder of root.pem, cert.pem and key.pem. Without HTTPS it is
	// not looked at.
	Dir string
	// HTTP and HTTPS are addresses to listen on: ":8888" for every address of
	// this computer, port 0 for any free port, "" to leave it off.
	HTTP, HTTPS string
	// KeyPassword opens an encrypted key.pem; nil when it is in clear.
	KeyPassword []byte
	// Host is a name or address that the certificate must cover; "" for none.
	Host string
	// Site is the title of the page; it may be empty.
	Site string
	// Now is the clock by which certificates are judged; nil: time.Now.
	Now func() time.Time
	// Log is told when a changed set was taken or refused, by one goroutine at
	// a time and never for a single request. Nil drops it.
	Log func(report.Finding)
}

// limits bounds what one client can cost. Tests make them smaller.
type limits struct {
	header, read, write, idle time.Duration // as in http.Server
	grace                     time.Duration // for answers under way when Run ends
	poll                      time.Duration // between two looks at the files
	conns                     int           // open connections of each listener
}

var defaultLimits = limits{
	header: 5 * time.Second, read: 10 * time.Second, write: 10 * time.Second, idle: 60 * time.Second,
	grace: 3 * time.Second, poll: time.Second, conns: 10000,
}

// The most that a client may send, in bytes.
const (
	maxHeader = 16 << 10
	maxBody   = 4 << 10 // no page reads a body at all
)

// Server is a web portal. New makes it; Run must follow, once.
type Server struct {
	o           Options
	limits      limits
	http, https net.Listener         // nil: off
	served      atomic.Pointer[held] // the set that new connections get; nil without HTTPS
	seen        stamp                // the files as they were when the set was read
}

// held is a set with what follows from it.
type held struct {
	set    *pkcs.Installed
	config *tls.Config
}

func hold(set *pkcs.Installed) *held {
	c := &tls.Config{
		Certificates: []tls.Certificate{set.TLS()},
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"h2", "http/1.1"},
	}
	// Tickets under keys of this configuration, which crypto/tls makes and
	// changes by itself: after a reload no client resumes a session with the
	// certificate of before.
	c.WrapSession, c.UnwrapSession = c.EncryptTicket, c.DecryptTicket
	return &held{set: set, config: c}
}

// New reads and judges the set and takes the addresses, so that whatever would
// keep the portal from serving is known before Run. The findings are those of
// the set, right or wrong. With a fail among them there is no server and the
// error has the code "portal.set.bad"; a file that cannot be read at all is an
// error of pkcs.OpenSet. An address that another program holds is
// "portal.address.in-use", one that this user may not take
// "portal.address.denied", one that is none "portal.address.wrong". All are of
// type *report.Error.
func New(o Options) (*Server, []report.Finding, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = func(report.Finding) {}
	}
	s := &Server{o: o, limits: defaultLimits}
	if err := s.sane(); err != nil {
		return nil, nil, err
	}
	var findings []report.Finding
	if o.HTTPS != "" {
		s.seen = look(o.Dir)
		set, f, err := s.open()
		if err != nil {
			return nil, f, err
		}
		findings = f
		s.served.Store(hold(set))
	}
	var err error
	if s.http, err = listen(o.HTTP); err != nil {
		return nil, findings, err
	}
	if s.https, err = listen(o.HTTPS); err != nil {
		if s.http != nil {
			s.http.Close()
		}
		return nil, findings, err
	}
	return s, findings, nil
}

func (s *Server) sane() error {
	if s.o.HTTP == "" && s.o.HTTPS == "" {
		return report.Errorf(report.KindUsage, codeAddressWrong, "give an address to listen on: --https :4444, --http :8888 or both",
			"there is no address to serve on")
	}
	if _, port, err := net.SplitHostPort(s.o.HTTP); err == nil && port != "0" && s.o.HTTP == s.o.HTTPS {
		return report.Errorf(report.KindUsage, codeAddressWrong, "give two ports, for example --http :8888 --https :4444",
			"HTTP and HTTPS cannot share the address %s", s.o.HTTP)
	}
	if s.o.Host != "" && !pkcs.IsHost(s.o.Host) {
		return report.Errorf(report.KindUsage, "portal.host.wrong", "give the name that people type, without https:// and without a port",
			"%q is neither a host name nor an address", s.o.Host)
	}
	return nil
}

// open reads the set and judges it.
func (s *Server) open() (*pkcs.Installed, []report.Finding, error) {
	set, err := pkcs.OpenSet(s.o.Dir, s.o.KeyPassword)
	if err != nil {
		return nil, nil, err
	}
	findings := set.Judge(pkcs.Rules{Host: s.o.Host, Now: s.o.Now()})
	if report.Failed(findings) {
		return nil, findings, report.Errorf(report.KindFailed, "portal.set.bad",
			"mend what the findings name, then start the portal again",
			"serve %s: clients would refuse this set (%s)", s.o.Dir, failures(findings))
	}
	return set, findings, nil
}

// HTTPAddr is the address of HTTP, as host:port with the real port, or "" when
// it is off.
func (s *Server) HTTPAddr() string { return address(s.http) }

// HTTPSAddr is the address of HTTPS, as HTTPAddr.
func (s *Server) HTTPSAddr() string { return address(s.https) }

func address(l net.Listener) string {
	if l == nil {
		return ""
	}
	return l.Addr().String()
}

// Run serves until ctx ends; then it lets answers that are under way finish,
// for three seconds at most, closes every connection and returns nil. The error,
// a *report.Error with the code "portal.serve.failed", says that a listener broke.
// No goroutine is left behind.
func (s *Server) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var work sync.WaitGroup
	broken := make(chan error, 2)
	var doors []*door
	for _, l := range []net.Listener{s.http, s.https} {
		if l == nil {
			continue
		}
		d := s.door(l)
		doors = append(doors, d)
		work.Go(func() { broken <- d.serve(l == s.https) })
	}
	if s.https != nil {
		work.Go(func() { s.watch(ctx) })
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-broken:
		err = report.Errorf(report.KindFailed, codeServeFailed, "start the portal again", "serve the portal: %w", err)
	}
	stop()
	for _, d := range doors {
		work.Go(func() { d.close(s.limits.grace) })
	}
	work.Wait()
	return err
}

// door is one listener with its HTTP server and its connections.
type door struct {
	listener net.Listener
	server   *http.Server
	conns    conns
}

type heldKey struct{}

func (s *Server) door(l net.Listener) *door {
	d := &door{listener: netutil.LimitListener(l, s.limits.conns), conns: conns{open: map[net.Conn]bool{}}}
	d.server = &http.Server{
		Handler:           http.MaxBytesHandler(s.handler(), maxBody),
		ReadHeaderTimeout: s.limits.header,
		ReadTimeout:       s.limits.read,
		WriteTimeout:      s.limits.write,
		IdleTimeout:       s.limits.idle,
		MaxHeaderBytes:    maxHeader,
		ConnState:         d.conns.state,
		// What strangers send is nothing to report.
		ErrorLog: log.New(io.Discard, "", 0),
		// A connection keeps the set that it began with, in its handshake and on
		// the page it shows.
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
			return context.WithValue(ctx, heldKey{}, s.served.Load())
		},
		TLSConfig: &tls.Config{
			MinVersion: tls.VersionTLS12,
			GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
				return heldBy(hello.Context()).config, nil
			},
		},
	}
	d.server.RegisterOnShutdown(d.conns.closeFresh)
	return d
}

// heldBy returns the set of a connection of HTTPS.
func heldBy(ctx context.Context) *held {
	h, _ := ctx.Value(heldKey{}).(*held)
	return h
}

// leafOf returns the certificate that a request's connection was made with, or
// nil when it is not encrypted.
func leafOf(r *http.Request) *x509.Certificate {
	if r.TLS == nil {
		return nil
	}
	return heldBy(r.Context()).set.Cert[0]
}

func (d *door) serve(encrypted bool) error {
	if encrypted {
		return d.server.ServeTLS(d.listener, "", "")
	}
	return d.server.Serve(d.listener)
}

func (d *door) close(grace time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if d.server.Shutdown(ctx) != nil {
		d.server.Close() // closes what was slow
	}
	d.listener.Close() // again, in case serving had not begun
	d.conns.ended.Wait()
}

// conns knows the connections of a server, to wait for their ends, which
// http.Server does not do, and to close at once those on which nothing was asked
// yet, such as half-open TLS, for which http.Server waits.
type conns struct {
	mu      sync.Mutex
	open    map[net.Conn]bool // true: nothing was asked yet
	closing bool
	ended   sync.WaitGroup
}

func (c *conns) state(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, known := c.open[conn]
	switch {
	case state == http.StateNew:
		c.open[conn] = true
		c.ended.Add(1)
		if c.closing {
			conn.Close()
		}
	case state == http.StateClosed && known:
		delete(c.open, conn)
		c.ended.Done()
	case known:
		c.open[conn] = false
	}
}

func (c *conns) closeFresh() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closing = true
	for conn, fresh := range c.open {
		if fresh {
			conn.Close()
		}
	}
}
