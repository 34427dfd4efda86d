package reflector

import (
	"container/list"
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// rates are the limiters of those who ask, each for one group of addresses.
type rates struct {
	requests table // anything at all
	failures table // wrong tokens
	sessions table
}

const (
	requestsPerSecond = 5
	requestsBurst     = 60
	failuresPerMinute = 6
	failuresBurst     = 10
)

func newRates(most, sessionsPerHour int) rates {
	return rates{
		requests: newTable(most, requestsPerSecond, requestsBurst, true),
		failures: newTable(most, rate.Every(time.Minute/failuresPerMinute), failuresBurst, true),
		// Only those with a token come here, so that a full table is no way for
		// strangers to lock them out, and forgetting would be a way around the limit.
		sessions: newTable(most, rate.Every(time.Hour/time.Duration(sessionsPerHour)), sessionsPerHour, false),
	}
}

// table holds limiters, a bounded number of them. When it is full the one unused
// for longest gives way: with forget always, else only when it is as good as new.
type table struct {
	most   int
	limit  rate.Limit
	burst  int
	forget bool

	mu    *sync.Mutex
	byKey map[netip.Prefix]*list.Element
	order *list.List // of *entry, the last used in front
}

type entry struct {
	key     netip.Prefix
	limiter *rate.Limiter
}

func newTable(most int, limit rate.Limit, burst int, forget bool) table {
	return table{most: most, limit: limit, burst: burst, forget: forget, mu: new(sync.Mutex), byKey: map[netip.Prefix]*list.Element{}, order: list.New()}
}

// take reports whether one more is allowed; if not, after what time.
func (t *table) take(key netip.Prefix, now time.Time) (ok bool, after time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	limiter := t.limiter(key, now)
	if limiter == nil {
		return false, time.Minute
	}
	r := limiter.ReserveN(now, 1)
	if after = r.DelayFrom(now); after > 0 {
		r.CancelAt(now)
		return false, after
	}
	return true, 0
}

// empty reports whether nothing is left for key, and takes nothing.
func (t *table) empty(key netip.Prefix, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	e, ok := t.byKey[key]
	return ok && e.Value.(*entry).limiter.TokensAt(now) < 1 //nolint:errcheck // the list holds nothing else
}

func (t *table) limiter(key netip.Prefix, now time.Time) *rate.Limiter {
	if e, ok := t.byKey[key]; ok {
		t.order.MoveToFront(e)
		return e.Value.(*entry).limiter //nolint:errcheck // the list holds nothing else
	}
	if len(t.byKey) >= t.most {
		last := t.order.Back()
		old := last.Value.(*entry) //nolint:errcheck // the list holds nothing else
		if !t.forget && old.limiter.TokensAt(now) < float64(t.burst) {
			return nil
		}
		t.order.Remove(last)
		delete(t.byKey, old.key)
	}
	e := &entry{key: key, limiter: rate.NewLimiter(t.limit, t.burst)}
	t.byKey[key] = t.order.PushFront(e)
	return e.limiter
}

func (t *table) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.byKey)
}

// turns lets one pipe of a group be open at a time. Others wait in a line, a
// short one.
type turns struct {
	mu    sync.Mutex
	lines map[netip.Prefix]*line
}

type line struct {
	turn chan struct{} // holds one while it is somebody's turn
	in   int
}

const maxLine = 8

var errBusy = errors.New("another connection of this address is open: one at a time")

// wait waits for the turn of key; end must follow when the error is nil.
func (t *turns) wait(ctx context.Context, key netip.Prefix, most time.Duration) (end func(), err error) {
	t.mu.Lock()
	l := t.lines[key]
	if l == nil {
		l = &line{turn: make(chan struct{}, 1)}
		t.lines[key] = l
	}
	if l.in >= maxLine {
		t.mu.Unlock()
		return nil, errBusy
	}
	l.in++
	t.mu.Unlock()
	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if l.in--; l.in == 0 {
			delete(t.lines, key)
		}
	}
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case l.turn <- struct{}{}:
		return func() { <-l.turn; leave() }, nil
	case <-timer.C:
		err = errBusy
	case <-ctx.Done():
		err = ctx.Err()
	}
	leave()
	return nil, err
}
