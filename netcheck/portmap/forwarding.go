package portmap

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Forwarding is one line of a router's table: what arrives at a port outside
// goes to a port of a host inside.
type Forwarding struct {
	Protocol string // "tcp" or "udp"
	External uint16
	// Host is the address inside, as the router writes it.
	Host     string
	Internal uint16
	// Source is the only address that may connect; "": any.
	Source      string
	Description string
	Disabled    bool
	// Lease is the time after which it ends by itself; 0: it stays.
	Lease time.Duration
	// Ours says that onsite made it: it carries onsite's description, or it was
	// written down when it was made.
	Ours bool
	// Method is how it was made; "" when that is not known.
	Method Method
}

func (f Forwarding) String() string {
	return fmt.Sprintf("%d/%s -> %s", f.External, f.Protocol, f.target())
}

func (f Forwarding) target() string { return f.Host + ":" + strconv.Itoa(int(f.Internal)) }

// name is how messages call the outside side of it.
func (f Forwarding) name() string { return fmt.Sprintf("%d/%s", f.External, f.Protocol) }

// same reports whether two lines forward the same port to the same place.
func (f Forwarding) same(g Forwarding) bool {
	return f.Protocol == g.Protocol && f.External == g.External && f.Host == g.Host && f.Internal == g.Internal
}

// maxSite keeps a description below 32 bytes: some routers cut it there, and
// then it would not be known again.
const maxSite = 16

// description marks a forwarding as made here: "onsite <site> <port>".
func description(site string, external uint16) string {
	site = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '.', r == '_':
			return r
		}
		return '-' // routers choke on the rest, each in its own way
	}, strings.TrimSpace(site))
	if site = site[:min(len(site), maxSite)]; site == "" {
		return fmt.Sprintf("onsite %d", external)
	}
	return fmt.Sprintf("onsite %s %d", site, external)
}

// isOurs reports whether a description is one of onsite's.
func isOurs(text string, external uint16) bool {
	words := strings.Fields(text)
	return len(words) >= 2 && len(words) <= 3 && words[0] == "onsite" && words[len(words)-1] == strconv.Itoa(int(external))
}

// Request is a forwarding that is wanted.
type Request struct {
	Protocol string // "tcp" or "udp"
	External uint16
	Host     netip.Addr // zero: this computer
	Internal uint16     // 0: the same as External
	// Lease is how long it is to last when it is not renewed; 0: until it is
	// removed, where the router can do that.
	Lease time.Duration
	// Site goes into the description, which tells onsite's own from others'.
	Site string
	// Method is the only one to use; "" tries UPnP, PCP and NAT-PMP in this order.
	Method Method
	// LowPorts allows outside ports below 1024.
	LowPorts bool
	// Outside connects to what was made from outside; nil: that is not looked at.
	Outside Outside
}
