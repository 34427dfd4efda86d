package reflector

import (
	"net"
	"net/netip"
	"sync"
)

// gate is a listener that bounds the open connections: of all together, and of
// each address. It knows them, to close those that are silent.
type gate struct {
	net.Listener
	slots    chan struct{}
	each     int
	exempt   func(netip.Addr) bool // no bound for this address; nil: for none
	closing  chan struct{}
	closeone sync.Once
	ended    sync.WaitGroup

	mu     sync.Mutex
	open   map[*guarded]bool
	groups map[netip.Prefix]int
	turned int64 // connections turned away
}

func newGate(l net.Listener, all, each int, exempt func(netip.Addr) bool) *gate {
	return &gate{
		Listener: l, slots: make(chan struct{}, all), each: each, exempt: exempt, closing: make(chan struct{}),
		open: map[*guarded]bool{}, groups: map[netip.Prefix]int{},
	}
}

// Accept waits for a connection. While there are as many as may be, new ones
// wait in the system's queue: the limits of time free a place within seconds.
func (g *gate) Accept() (net.Conn, error) {
	for {
		select {
		case g.slots <- struct{}{}:
		case <-g.closing:
			return nil, net.ErrClosed
		}
		conn, err := g.Listener.Accept()
		if err != nil {
			<-g.slots
			return nil, err
		}
		if c := g.admit(conn); c != nil {
			return c, nil
		}
		conn.Close()
		<-g.slots
	}
}

func (g *gate) admit(conn net.Conn) *guarded {
	peer := addrOf(conn.RemoteAddr())
	c := &guarded{Conn: conn, gate: g, group: group(peer.Addr())}
	free := g.exempt != nil && g.exempt(peer.Addr())
	g.mu.Lock()
	defer g.mu.Unlock()
	if !free && g.groups[c.group] >= g.each {
		g.turned++
		return nil
	}
	g.groups[c.group]++
	g.open[c] = true
	g.ended.Add(1)
	return c
}

func (g *gate) Close() error {
	g.shut()
	return nil
}

func (g *gate) shut() {
	g.closeone.Do(func() { close(g.closing) })
	g.Listener.Close()
}

// closeSilent closes the connections on which nothing has been sent, for which
// http.Server would wait.
func (g *gate) closeSilent() {
	g.mu.Lock()
	var silent []*guarded
	for c := range g.open {
		if !c.heard {
			silent = append(silent, c)
		}
	}
	g.mu.Unlock()
	for _, c := range silent {
		c.shut()
	}
}

// state is how many connections are open, and how many were turned away.
func (g *gate) state() (open int, turned int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.open), g.turned
}

// guarded is a connection that came through a gate.
type guarded struct {
	net.Conn
	gate  *gate
	group netip.Prefix
	once  sync.Once
	heard bool // guarded by gate.mu
}

func (c *guarded) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.gate.mu.Lock()
		c.heard = true
		c.gate.mu.Unlock()
	}
	return n, err
}

// CloseWrite ends what is sent and leaves the other direction open.
func (c *guarded) CloseWrite() error { return closeWrite(c.Conn) }

func (c *guarded) Close() error {
	c.shut()
	return nil
}

func (c *guarded) shut() {
	c.Conn.Close()
	c.once.Do(func() {
		g := c.gate
		g.mu.Lock()
		delete(g.open, c)
		if g.groups[c.group]--; g.groups[c.group] == 0 {
			delete(g.groups, c.group)
		}
		g.mu.Unlock()
		<-g.slots
		g.ended.Done()
	})
}

// closeWrite half-closes a connection that can do so.
func closeWrite(conn net.Conn) error {
	if c, ok := conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return nil
}

// addrOf is the address of a connection's end; the zero value when it has none.
func addrOf(a net.Addr) netip.AddrPort {
	if a == nil {
		return netip.AddrPort{}
	}
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// group is whom limits are for: an IPv4 address, or the /56 that an IPv6
// provider gives to one customer (RFC 6177).
func group(addr netip.Addr) netip.Prefix {
	bits := 32
	if addr = addr.Unmap().WithZone(""); addr.Is6() {
		bits = 56
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // no address at all: all of those together
	}
	return p
}
