package reach

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"html/template"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"onsite/internal/special"
	"onsite/report"
)

// ListenOptions says where to wait for a telephone. The zero value of every
// field but Port is the real thing, or leaves that part out.
type ListenOptions struct {
	Port int // to listen on; 0: any free port
	// Outside is the port that is forwarded to it; 0: the same.
	Outside int
	// Addr is where to listen: a local address, or "" for all.
	Addr string
	// Host is what the telephone opens: a name, or the public address.
	Host string
	// Public is the site's confirmed public address; zero: not known.
	Public netip.Addr
	// Local are the networks of this computer; nil: asks the system.
	Local    []netip.Prefix
	Gateways []netip.Addr
	// For is how long to wait; 0: 5 minutes.
	For time.Duration
	Now func() time.Time // nil: time.Now
	// Arrived is told of each visitor as he comes, by one goroutine at a time;
	// nil drops it.
	Arrived func(Visit)
}

// Visit is somebody who opened the page.
type Visit struct {
	Remote string `json:"remote"`
	// From is where that is: outside, lan, router, public, unsure (nobody knows
	// the public address), or wrong when the nonce was not that of the QR code.
	From string    `json:"from"`
	At   time.Time `json:"at"`
}

// Where a visitor comes from. Only the first proves anything.
const (
	FromOutside = "outside"
	FromLAN     = "lan"
	FromRouter  = "router"
	FromPublic  = "public"
	FromUnsure  = "unsure"
	FromWrong   = "wrong"
)

// Door is a temporary listener for a telephone and for beacons. Close must
// follow.
type Door struct {
	o        ListenOptions
	listener net.Listener
	server   *http.Server
	nonce    string
	beacon   *beacon
	counted  chan struct{} // closed by the first visit that counts
	pages    chan net.Conn
	slots    chan struct{}
	work     sync.WaitGroup
	mu       sync.Mutex
	visits   []Visit
	done     bool
}

const (
	doorPath    = "/.well-known/onsite/"
	defaultWait = 5 * time.Minute
	maxVisits   = 1000
	maxGuests   = 32 // connections at once
	greeting    = 10 * time.Second
)

// OpenDoor takes the port and begins to answer. The error, a *report.Error, is
// "port.listen.in-use", "port.listen.denied", "port.listen.wrong" or
// "port.listen.failed".
func OpenDoor(o ListenOptions) (*Door, error) {
	if o.For == 0 {
		o.For = defaultWait
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Arrived == nil {
		o.Arrived = func(Visit) {}
	}
	if o.Local == nil {
		o.Local = localPrefixes()
	}
	l, err := listenBeacon(net.JoinHostPort(o.Addr, strconv.Itoa(o.Port)))
	if err != nil {
		return nil, err
	}
	if tcp, ok := l.Addr().(*net.TCPAddr); ok {
		o.Port = tcp.Port
	}
	if o.Outside == 0 {
		o.Outside = o.Port
	}
	var nonce [16]byte
	rand.Read(nonce[:])
	d := &Door{
		o: o, listener: l, nonce: hex.EncodeToString(nonce[:]), beacon: newBeacon(o.Outside),
		counted: make(chan struct{}), pages: make(chan net.Conn), slots: make(chan struct{}, maxGuests),
	}
	d.server = &http.Server{
		Handler: d, ReadHeaderTimeout: greeting, ReadTimeout: greeting, WriteTimeout: greeting,
		MaxHeaderBytes: 8 << 10, ErrorLog: log.New(io.Discard, "", 0),
	}
	d.server.SetKeepAlivesEnabled(false)
	d.work.Go(d.accept)
	d.work.Go(func() { d.server.Serve(handed{d}) }) //nolint:errcheck // it ends with Close
	return d, nil
}

// URL is what the telephone has to open.
func (d *Door) URL() string {
	return "http://" + net.JoinHostPort(d.o.Host, strconv.Itoa(d.o.Outside)) + doorPath + d.nonce
}

// Port is the port that was taken.
func (d *Door) Port() int { return d.o.Port }

// Close stops answering; nothing is left behind.
func (d *Door) Close() {
	d.listener.Close()
	d.server.Close()
	d.work.Wait()
}

// accept sorts connections: beacons are answered here, pages by the server.
func (d *Door) accept() {
	defer close(d.pages)
	var work sync.WaitGroup
	defer work.Wait()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	for {
		conn, err := d.listener.Accept()
		if err != nil {
			return
		}
		select {
		case d.slots <- struct{}{}:
		default:
			conn.Close()
			continue
		}
		work.Go(func() {
			freed := &guest{Conn: conn, free: sync.OnceFunc(func() { <-d.slots })}
			cut := context.AfterFunc(ctx, freed.end)
			defer cut()
			freed.SetDeadline(time.Now().Add(greeting)) //nolint:errcheck // a closed connection shows when it is read
			freed.reader = bufio.NewReaderSize(conn, len(beaconHello)+nonceSize)
			begin, err := freed.reader.Peek(len("onsite-b"))
			if err == nil && bytes.HasPrefix([]byte(beaconHello), begin) {
				d.beacon.serve(freed)
				freed.end()
				return
			}
			select {
			case d.pages <- freed:
			case <-ctx.Done():
				freed.end()
			}
		})
	}
}

// guest is a connection whose first bytes were looked at, and which has a place.
type guest struct {
	net.Conn
	reader *bufio.Reader
	free   func()
}

func (g *guest) Read(p []byte) (int, error) { return g.reader.Read(p) }

func (g *guest) Close() error {
	g.free()
	return g.Conn.Close()
}

// end closes what was read from.
func (g *guest) end() {
	g.free()
	g.Conn.Close()
}

// handed gives the server the connections that accept sorted out for it.
type handed struct{ d *Door }

func (h handed) Accept() (net.Conn, error) {
	conn, ok := <-h.d.pages
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (h handed) Close() error   { return h.d.listener.Close() }
func (h handed) Addr() net.Addr { return h.d.listener.Addr() }

// ServeHTTP answers a visitor.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "text/html; charset=utf-8")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	given, ok := strings.CutPrefix(r.URL.Path, doorPath)
	right := ok && subtle.ConstantTimeCompare([]byte(given), []byte(d.nonce)) == 1
	v := Visit{Remote: r.RemoteAddr, From: FromWrong, At: d.o.Now().UTC()}
	if remote, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		v.Remote = netip.AddrPortFrom(remote.Addr().Unmap(), remote.Port()).String()
		if right {
			v.From = d.from(remote.Addr().Unmap())
		}
	}
	used := d.note(v, r.Method == http.MethodGet)
	status := http.StatusOK
	switch {
	case v.From == FromWrong:
		status = http.StatusNotFound
	case used:
		v.From, status = "used", http.StatusGone
	}
	var page bytes.Buffer
	if err := doorPage().Execute(&page, doorText(v, d.o)); err != nil {
		page.Reset() // an empty page proves as much
	}
	h.Set("Content-Length", strconv.Itoa(page.Len()))
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return
	}
	w.Write(page.Bytes()) //nolint:errcheck // the visitor is gone: nobody is left to tell
	if v.From == FromOutside {
		http.NewResponseController(w).Flush() //nolint:errcheck // likewise; Close comes next, and would cut the page short
		d.count()
	}
}

// from says where an address is.
func (d *Door) from(addr netip.Addr) string {
	switch {
	case slices.Contains(d.o.Gateways, addr):
		return FromRouter
	case d.o.Public.IsValid() && addr == d.o.Public.Unmap():
		return FromPublic
	case !special.Global(addr), slices.ContainsFunc(d.o.Local, func(p netip.Prefix) bool { return p.Contains(addr) }):
		return FromLAN
	case !d.o.Public.IsValid():
		return FromUnsure // it may be the router's own outside address
	}
	return FromOutside
}

// note keeps a visit and tells of it. It reports whether the nonce was used up.
func (d *Door) note(v Visit, tell bool) (used bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.done {
		return v.From != FromWrong
	}
	if tell && len(d.visits) < maxVisits {
		d.visits = append(d.visits, v)
		d.o.Arrived(v)
	}
	return false
}

func (d *Door) count() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.done {
		d.done = true
		close(d.counted)
	}
}

// Wait waits for a visitor who counts, until the time is over or ctx ends. The
// findings say what was proven; the error is ctx's own.
func (d *Door) Wait(ctx context.Context) ([]Visit, []report.Finding, error) {
	timer := time.NewTimer(d.o.For)
	defer timer.Stop()
	select {
	case <-d.counted:
	case <-timer.C:
	case <-ctx.Done():
	}
	d.mu.Lock()
	visits := append([]Visit{}, d.visits...)
	d.mu.Unlock()
	if f, ok := d.judge(visits); ok || ctx.Err() == nil {
		return visits, []report.Finding{f}, nil
	}
	return visits, nil, ctx.Err()
}

func (d *Door) judge(visits []Visit) (f report.Finding, proven bool) {
	target := net.JoinHostPort(d.o.Host, strconv.Itoa(d.o.Outside))
	if i := slices.IndexFunc(visits, func(v Visit) bool { return v.From == FromOutside }); i >= 0 {
		return report.Pass("port.works", target, "it works from outside: "+visits[i].Remote+" opened the page with the code, and that is neither of this network nor its public address"), true
	}
	for _, from := range []string{FromUnsure, FromRouter, FromPublic, FromLAN} {
		if i := slices.IndexFunc(visits, func(v Visit) bool { return v.From == from }); i >= 0 {
			why := visitWords[from]
			return report.Unknown("port.listen.inside", target, fmt.Sprintf("the page was opened from %s, %s: that does not prove that it works from outside", visits[i].Remote, why.what), why.remedy), false
		}
	}
	return report.Unknown("port.listen.nobody", target, "nobody opened the page in "+d.o.For.String()+": nothing is proven",
		"if the telephone tried and saw nothing: check that its Wi-Fi was off, then the forwarding (onsite port guide), then this computer's firewall"), false
}

var visitWords = map[string]struct{ what, remedy string }{
	FromLAN:    {"which is in this network", "switch Wi-Fi off on the telephone, so that it uses mobile data, and try again"},
	FromPublic: {"which is this site's own public address", "switch Wi-Fi off on the telephone, so that it uses mobile data, and try again"},
	FromRouter: {"which is the router: it hides who comes, from inside and from outside alike", "switch Wi-Fi off on the telephone; if it is off, use --via or hotspot mode: this router hides the visitor"},
	FromUnsure: {"and this site's public address is not known: it may be that", "run onsite net; with a known public address, a telephone proves it"},
}

func localPrefixes() []netip.Prefix {
	var list []netip.Prefix
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			list = append(list, netip.PrefixFrom(p.Addr().Unmap(), p.Bits()).Masked())
		}
	}
	return list
}

// pageText is what the telephone shows.
type pageText struct{ Mark, Headline, Text string }

func doorText(v Visit, o ListenOptions) pageText {
	switch v.From {
	case FromOutside:
		return pageText{"Proven", "You came in from outside.", fmt.Sprintf("Port %d of this site can be reached from the Internet: you came from %s. You may close this page.", o.Outside, v.Remote)}
	case FromWrong:
		return pageText{"Not this page", "There is nothing here.", "Scan the code that the computer shows now."}
	case "used":
		return pageText{"Used", "This code has done its work.", "The computer shows what came of it."}
	case FromUnsure, FromRouter:
		return pageText{"Not proven", "You are here, but nobody knows from where.", "The computer says what to do next."}
	}
	return pageText{"Not proven", "You came from inside.", "Switch Wi-Fi off on this telephone, so that it uses mobile data, and open the address again."}
}

// Parsed when it is first needed: every command would pay for it.
var doorPage = sync.OnceValue(func() *template.Template { return template.Must(template.New("door").Parse(doorHTML)) })

const doorHTML = `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>onsite: {{.Mark}}</title>
<style>:root{color-scheme:light dark}body{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:2rem auto;padding:0 1rem}</style>
</head><body><p><strong>{{.Mark}}</strong></p><h1>{{.Headline}}</h1><p>{{.Text}}</p></body></html>
`

// Check looks at the door through vantages, by its beacon. The options' targets
// are not used.
func (d *Door) Check(ctx context.Context, o Options, inside netip.Addr) (Result, []report.Finding, error) {
	o.Targets = []Target{{Host: d.o.Host, Port: d.o.Outside, Inside: netip.AddrPortFrom(inside, uint16(d.o.Port)).String(), Expect: KindBeacon}} //nolint:gosec // G115: a port
	o.Beacon = false
	return checkWith(ctx, o, d.beacon)
}
