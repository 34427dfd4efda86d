package reflector

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"onsite/internal/sock"
)

// Outcomes of a connection to the site that was not made.
const (
	Refused     = sock.OutcomeRefused
	Timeout     = sock.OutcomeTimeout
	Unreachable = sock.OutcomeUnreachable
)

// connected is the other outcome, in numbers and logs.
const connected = sock.OutcomeConnected

// pipe connects back to who asks, then carries bytes both ways.
func (s *Server) pipe(w http.ResponseWriter, r *http.Request) *refusal {
	peer, refused := s.known(r)
	if refused != nil {
		return refused
	}
	if !asksForPipe(r) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", upgrade)
		return refuse(http.StatusUpgradeRequired, whyUpgrade, "the request arrived without Connection: Upgrade and Upgrade: "+upgrade+" in HTTP/1.1; does a proxy in front take them away?")
	}
	port, token, err := pipeRequest(r.URL.RawQuery)
	if err != nil {
		return refuse(http.StatusBadRequest, whyRequest, err.Error())
	}
	operator, refused := s.permit(peer.Addr(), port, token)
	if refused != nil {
		return refused
	}
	end, err := s.turns.wait(r.Context(), group(peer.Addr()), s.limits.turn)
	if err != nil {
		return refuse(http.StatusTooManyRequests, whyBusy, errBusy.Error()).later(s.limits.pipe)
	}
	defer end()
	select {
	case s.pipes <- struct{}{}:
		defer func() { <-s.pipes }()
	default:
		return refuse(http.StatusServiceUnavailable, whyFull, "as many connections are open as may be").later(s.limits.pipe)
	}
	return s.connect(w, r, operator, netip.AddrPortFrom(peer.Addr(), uint16(port))) //nolint:gosec // G115: pipeRequest parsed 16 bits
}

// permit is every check before a connection, the cheap ones first.
func (s *Server) permit(addr netip.Addr, port int, token string) (operator string, refused *refusal) {
	if !slices.Contains(s.o.Ports, port) {
		return "", refuse(http.StatusForbidden, whyPort, fmt.Sprintf("this reflector does not connect to port %d", port))
	}
	if _, err := s.verify(token); err != nil {
		return "", refuse(http.StatusForbidden, whySession, err.Error())
	}
	if err := s.mayDial(addr); err != nil {
		return "", notDialled(err)
	}
	operator, err := s.use(token, addr, port)
	switch {
	case errors.Is(err, errForeign):
		return "", refuse(http.StatusForbidden, whyForeign, err.Error())
	case err != nil:
		return "", refuse(http.StatusForbidden, whySession, err.Error())
	}
	return operator, nil
}

// connect dials the site and answers how that went.
func (s *Server) connect(w http.ResponseWriter, r *http.Request, operator string, to netip.AddrPort) *refusal {
	ctx, cancel := context.WithTimeout(r.Context(), s.limits.dial)
	defer cancel()
	start := time.Now()
	site, err := s.dial(ctx, to)
	took := time.Since(start)
	if err != nil {
		outcome := outcomeOf(err)
		if r.Context().Err() != nil || outcome == "" {
			s.journal.dialFailed(err)
			return refuse(http.StatusServiceUnavailable, whyInternal, "the connection could not be tried").later(time.Minute)
		}
		s.count.add("pipes_total", "outcome", outcome)
		s.journal.failed(operator, to, outcome, took)
		writeJSON(w, http.StatusBadGateway, dialJSON{Dial: outcome, MS: took.Milliseconds()})
		return nil
	}
	defer site.Close()
	s.count.add("pipes_total", "outcome", connected)
	s.count.dialled(took)
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return refuse(http.StatusInternalServerError, whyInternal, "the connection cannot be taken over")
	}
	defer client.Close()
	head := fmt.Sprintf("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\nX-Source: %s\r\nX-Dial-Ms: %d\r\n\r\n",
		upgrade, addrOf(site.LocalAddr()), took.Milliseconds())
	// What came behind the request, then the connection itself: an end of it that
	// http.Server's reader saw would end the request, and the pipe before its time.
	early := io.MultiReader(io.LimitReader(buffered.Reader, int64(buffered.Reader.Buffered())), client)
	c := carrier{client: client, early: early, site: site, limits: s.limits}
	t := c.carry(r.Context(), head)
	s.count.carried(t)
	s.journal.carried(operator, to, took, t)
	return nil
}

// outcomeOf is what a failed connection says about the site; "" when it says
// nothing, because it failed here.
func outcomeOf(err error) string {
	for _, ours := range []error{errElsewhere, errNoSource, errNotGlobal, errOwn, errNever} {
		if errors.Is(err, ours) {
			return ""
		}
	}
	return sock.Outcome(err)
}

// traffic is what went through a pipe.
type traffic struct {
	up, down int64 // bytes to the site, and to the client
	took     time.Duration
}

// carrier carries bytes between a client and a site.
type carrier struct {
	client net.Conn
	early  io.Reader // what the client has sent already, then what it sends
	site   net.Conn
	limits limits
}

// carry sends the head of the answer, then carries bytes until both ends have
// finished, one of them long enough ago, a limit is reached, or ctx ends. The
// site may send a banner; more only when the client has said something: who
// forges nothing but a request gets no flood from it.
func (c *carrier) carry(ctx context.Context, head string) traffic {
	start := time.Now()
	deadline := start.Add(c.limits.pipe)
	c.client.SetDeadline(deadline) //nolint:errcheck // a connection that is broken shows when it is used
	c.site.SetDeadline(deadline)   //nolint:errcheck // likewise
	cut := context.AfterFunc(ctx, func() { c.client.Close(); c.site.Close() })
	defer cut()
	if _, err := io.WriteString(c.client, head); err != nil {
		return traffic{took: time.Since(start)}
	}
	spoken := make(chan struct{})
	var speak sync.Once
	over := make(chan struct{})
	var t traffic
	var ways sync.WaitGroup
	ways.Go(func() {
		defer close(over)
		t.up = c.way(c.site, c.early, func(done int64) int64 {
			if done > 0 {
				speak.Do(func() { close(spoken) })
			}
			return c.limits.bytes - done
		})
	})
	ways.Go(func() {
		t.down = c.way(c.client, c.site, func(done int64) int64 {
			select {
			case <-spoken:
				return c.limits.bytes - done
			default:
			}
			if done < c.limits.banner {
				return c.limits.banner - done
			}
			select {
			case <-spoken:
				return c.limits.bytes - done
			case <-over:
				return 0
			}
		})
	})
	ways.Wait()
	t.took = time.Since(start)
	return t
}

// way carries one direction and returns how many bytes it carried. allow says how
// many more may be read, given those that were.
func (c *carrier) way(to net.Conn, from io.Reader, allow func(done int64) int64) (done int64) {
	buffer := make([]byte, 4<<10)
	for {
		left := allow(done)
		if left <= 0 {
			break
		}
		n, err := from.Read(buffer[:min(left, int64(len(buffer)))])
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				break
			}
			done += int64(n)
		}
		if err != nil {
			break
		}
	}
	closeWrite(to) //nolint:errcheck // it may be closed already
	// What the other end still has to say must come soon.
	c.client.SetDeadline(time.Now().Add(c.limits.linger)) //nolint:errcheck // a connection that is broken ends anyhow
	c.site.SetDeadline(time.Now().Add(c.limits.linger))   //nolint:errcheck // likewise
	return done
}
