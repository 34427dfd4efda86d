package reflector

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// nonce names a session.
type nonce [16]byte

// A session token is the base64url of nonce, expiry (seconds), address and an
// HMAC over them and the port list, with a key that this process alone has. It
// is of no use from another address, after its time, or to another reflector.
type ticket struct {
	nonce   nonce
	expires int64
	addr    [16]byte
}

const (
	ticketBody = 16 + 8 + 16
	ticketSize = ticketBody + sha256.Size
	ticketText = (ticketSize*8 + 5) / 6 // in base64 without padding
)

var base64url = base64.RawURLEncoding.Strict()

// Why a session token is not taken.
var (
	errToken    = errors.New("this is no session token of this reflector, or it was changed")
	errExpired  = errors.New("the session has ended: ask for a new one")
	errForeign  = errors.New("the session belongs to another address")
	errSpent    = errors.New("the session has had all the connections or ports that it may have: ask for a new one")
	errSessions = errors.New("too many sessions are open")
)

func (s *Server) sign(t ticket) string {
	b := make([]byte, 0, ticketSize)
	b = append(b, t.nonce[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(t.expires)) //nolint:gosec // G115: turned back by verify
	b = append(b, t.addr[:]...)
	return base64url.EncodeToString(append(b, s.mac(b)...))
}

func (s *Server) mac(body []byte) []byte {
	h := hmac.New(sha256.New, s.key[:])
	h.Write([]byte("onsite-reflector-session/1\x00"))
	h.Write(body)
	for _, port := range s.o.Ports {
		h.Write(binary.BigEndian.AppendUint16(nil, uint16(port))) //nolint:gosec // G115: checkPorts saw it
	}
	return h.Sum(nil)
}

// verify reads a session token, wherever it may come from.
func (s *Server) verify(text string) (ticket, error) {
	var t ticket
	if len(text) != ticketText {
		return t, errToken
	}
	b, err := base64url.DecodeString(text)
	if err != nil || len(b) != ticketSize || !hmac.Equal(s.mac(b[:ticketBody]), b[ticketBody:]) {
		return t, errToken
	}
	copy(t.nonce[:], b)
	t.expires = int64(binary.BigEndian.Uint64(b[16:])) //nolint:gosec // G115: sign made it
	copy(t.addr[:], b[24:])
	return t, nil
}

// begin opens a session for an address and returns its token.
func (s *Server) begin(operator string, addr netip.Addr) (token string, expires time.Time, err error) {
	now := s.o.Now()
	expires = now.Add(s.limits.session).Truncate(time.Second)
	t := ticket{expires: expires.Unix(), addr: addr.As16()}
	rand.Read(t.nonce[:])
	if !s.sessions.add(t.nonce, &session{operator: operator, expires: t.expires}, now) {
		return "", time.Time{}, errSessions
	}
	return s.sign(t), expires, nil
}

// use takes one connection to a port out of what the session of a token has, and
// returns whose session it is.
func (s *Server) use(token string, addr netip.Addr, port int) (operator string, err error) {
	t, err := s.verify(token)
	switch {
	case err != nil:
		return "", err
	case s.o.Now().Unix() >= t.expires:
		return "", errExpired
	case t.addr != addr.As16():
		return "", errForeign
	}
	return s.sessions.use(t.nonce, port, s.limits)
}

// session is what one token may still do.
type session struct {
	operator string
	expires  int64
	pipes    int
	ports    []int
}

// sessions remembers what each session has used. There is a bound to it: when it
// is full of sessions that have not ended, no more begin.
type sessions struct {
	most  int
	mu    sync.Mutex
	open  map[nonce]*session
	sweep time.Time // when those that have ended are next thrown out
}

func (l *sessions) add(n nonce, one *session, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.open) >= l.most || !now.Before(l.sweep) {
		l.sweep = now.Add(time.Minute)
		for old, s := range l.open {
			if now.Unix() >= s.expires {
				delete(l.open, old)
			}
		}
	}
	if len(l.open) >= l.most {
		return false
	}
	l.open[n] = one
	return true
}

func (l *sessions) use(n nonce, port int, limits limits) (operator string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.open[n]
	switch {
	case s == nil: // ended, and forgotten
		return "", errExpired
	case s.pipes >= limits.pipesPerSession:
		return "", errSpent
	case !slices.Contains(s.ports, port):
		if len(s.ports) >= limits.portsPerSession {
			return "", errSpent
		}
		s.ports = append(s.ports, port)
	}
	s.pipes++
	return s.operator, nil
}

func (l *sessions) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open)
}
