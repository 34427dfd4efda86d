package reflector

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"onsite/internal/sock"
)

// journal writes what happened, with addresses as hashes: the same address has
// the same hash until the reflector is started again, and nobody can turn it back.
type journal struct {
	log *slog.Logger
	key []byte
	now func() time.Time

	mu      sync.Mutex
	limiter *rate.Limiter // of refusals: strangers must not fill the log
	dropped int
}

const (
	refusalsPerSecond = 1
	refusalsBurst     = 20
)

func (j *journal) hash(addr netip.Addr) string {
	h := hmac.New(sha256.New, j.key)
	h.Write([]byte("onsite-reflector-log/1\x00"))
	b := addr.As16()
	h.Write(b[:])
	return hex.EncodeToString(h.Sum(nil)[:6])
}

func (j *journal) session(operator string, addr netip.Addr) {
	j.log.Info("session", "operator", operator, "address", j.hash(addr))
}

// failed is a connection that the site did not take.
func (j *journal) failed(operator string, to netip.AddrPort, outcome string, dial time.Duration) {
	j.log.Info("pipe", "operator", operator, "address", j.hash(to.Addr()), "port", to.Port(), "outcome", outcome, "dial_ms", dial.Milliseconds())
}

// carried is a pipe that has ended.
func (j *journal) carried(operator string, to netip.AddrPort, dial time.Duration, t traffic) {
	j.log.Info("pipe", "operator", operator, "address", j.hash(to.Addr()), "port", to.Port(), "outcome", connected, "dial_ms", dial.Milliseconds(),
		"bytes_up", t.up, "bytes_down", t.down, "ms", t.took.Milliseconds())
}

// refused writes a refusal, unless there are too many of them: then it counts.
func (j *journal) refused(r *http.Request, what string, f *refusal, s *Server) {
	j.mu.Lock()
	if j.limiter == nil {
		j.limiter = rate.NewLimiter(refusalsPerSecond, refusalsBurst)
	}
	write := j.limiter.AllowN(j.now(), 1)
	dropped := j.dropped
	if write {
		j.dropped = 0
	} else {
		j.dropped++
	}
	j.mu.Unlock()
	if !write {
		return
	}
	args := []any{"path", what, "reason", f.reason}
	if peer, err := s.peer(r); err == nil {
		args = append(args, "address", j.hash(peer.Addr()))
	}
	if dropped > 0 {
		args = append(args, "more", dropped)
	}
	level := slog.LevelInfo
	if f.reason == whyPeer || f.reason == whyInternal {
		level = slog.LevelWarn // the operator has something to mend
	}
	j.log.Log(context.Background(), level, "refused", args...)
}

// dialFailed is a connection that could not be tried: the fault is here.
func (j *journal) dialFailed(err error) {
	j.log.Warn("no connection could be tried", "error", sock.Reason(err))
}

// kept is a changed file that is bad: the old one stays.
func (j *journal) kept(err error) {
	j.log.Warn("a changed file is bad, what was read before stays in use", "error", err)
}
