package ddns

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"onsite/report"
)

// watcher runs Watch with a clock that moves on when it is told to.
type watcher struct {
	*world
	waits chan time.Duration // what it waits for
	tick  chan time.Time
	done  chan error
	stop  context.CancelFunc

	logMu sync.Mutex
	log   []report.Finding
	last  *Update
}

func newWatcher(t *testing.T, change ...func(*world, *WatchOptions)) *watcher {
	w := &watcher{world: newWorld(t), waits: make(chan time.Duration), tick: make(chan time.Time), done: make(chan error, 1)}
	o := WatchOptions{Options: w.options(), Log: func(f report.Finding) {
		w.logMu.Lock()
		defer w.logMu.Unlock()
		w.log = append(w.log, f)
	}}
	settle := o.After
	o.After = func(d time.Duration) <-chan time.Time {
		if d <= pause {
			return settle(d)
		}
		w.waits <- d
		return w.tick
	}
	for _, f := range change {
		f(w.world, &o)
	}
	ctx, cancel := context.WithCancel(t.Context())
	w.stop = cancel
	t.Cleanup(cancel)
	go func() {
		u, err := Watch(ctx, o)
		w.last = u
		w.done <- err
	}()
	return w
}

// idle waits until it has nothing to do, and returns the codes that it logged
// since the last time.
func (w *watcher) idle(want time.Duration) string {
	w.t.Helper()
	select {
	case d := <-w.waits:
		if d != want {
			w.t.Errorf("it waits %v, want %v", d, want)
		}
	case err := <-w.done:
		w.t.Fatalf("Watch ended: %v", err)
	case <-time.After(10 * time.Second):
		w.t.Fatal("Watch hangs")
	}
	w.logMu.Lock()
	defer w.logMu.Unlock()
	list := codes(w.log)
	w.log = nil
	return list
}

func (w *watcher) next(d time.Duration) {
	w.pass(d)
	w.tick <- w.clock()
}

func TestWatch(t *testing.T) {
	t.Parallel()
	w := newWatcher(t)
	want := func(codes string, requests int, pause time.Duration) {
		t.Helper()
		if got := w.idle(pause); got != codes || w.requests() != requests {
			t.Errorf("logged %q with %d requests, want %q with %d", got, w.requests(), codes, requests)
		}
	}
	want("ddns.good ddns.changed", 1, defaultEvery)
	w.next(defaultEvery)
	want("ddns.current", 1, defaultEvery)
	w.next(defaultEvery)
	want("", 1, defaultEvery) // nothing new is not worth a line
	w.set(func() { w.public.Addr = netip.MustParseAddr("11.20.30.21") })
	w.next(defaultEvery)
	want("ddns.good ddns.changed", 2, defaultEvery)
	w.set(func() { w.public = Public{} })
	w.next(defaultEvery)
	want("ddns.public.unknown", 2, time.Minute) // the line is down
	w.next(time.Minute)
	want("", 2, time.Minute)
	w.set(func() { w.public = Public{Addr: addrB} })
	w.says(200, "911")
	w.next(time.Minute)
	want("ddns.911", 3, defaultEvery)
	w.next(defaultEvery)
	want("ddns.waiting", 3, defaultEvery)
	for range 4 {
		w.next(defaultEvery)
		want("", 3, defaultEvery)
	}
	w.next(defaultEvery)
	want("ddns.911", 4, defaultEvery) // half an hour later
	w.next(defaultEvery)
	want("ddns.waiting", 4, defaultEvery)
	w.set(func() { w.records = map[string][]netip.Addr{"ns1.acme.example": {addrB}} }) // mended by hand
	w.next(defaultEvery)
	want("ddns.current", 4, defaultEvery)
	w.next(heartbeat)
	want("ddns.current", 4, defaultEvery) // once a day that all is well
	w.stop()
	if err := <-w.done; err != nil || w.last == nil || codes(w.last.Findings) != "ddns.current" {
		t.Errorf("Watch = %+v, %v, want the last look", w.last, err)
	}
}

func (w *watcher) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// TestWatchWrong: what only another command line mends ends it.
func TestWatchWrong(t *testing.T) {
	t.Parallel()
	w := newWatcher(t, func(_ *world, o *WatchOptions) { o.Protocol = &RFC2136{Key: testKey(), Zone: "other.example"} })
	if err := <-w.done; err == nil || !strings.Contains(err.Error(), "other.example") {
		t.Errorf("Watch = %v, want the wrong zone", err)
	}
}

// TestWatchForce: --force is for the first update alone.
func TestWatchForce(t *testing.T) {
	t.Parallel()
	w := newWatcher(t, func(w *world, o *WatchOptions) {
		o.Force, o.Every = true, time.Minute
		w.says(200, "abuse")
	})
	first := w.idle(time.Minute)
	w.next(time.Minute)
	second := w.idle(time.Minute)
	if n := w.requests(); n != 1 {
		t.Errorf("%q, then %q: %d requests, want 1", first, second, n)
	}
}

// TestWatchEnds ends it while the provider hangs.
func TestWatchEnds(t *testing.T) {
	t.Parallel()
	w := newWatcher(t, func(_ *world, o *WatchOptions) {
		o.Public = func(ctx context.Context) Public {
			<-ctx.Done()
			return Public{}
		}
	})
	w.stop()
	select {
	case err := <-w.done:
		if err != nil {
			t.Errorf("Watch = %v, want no error", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Watch does not end")
	}
}
