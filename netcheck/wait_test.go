package netcheck

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// clockwork is a clock that runs only while somebody waits.
type clockwork struct{ now atomic.Int64 }

func (c *clockwork) Now() time.Time { return noon.Add(time.Duration(c.now.Load())) }

func (c *clockwork) after(d time.Duration) <-chan time.Time {
	c.now.Add(int64(d))
	done := make(chan time.Time, 1)
	done <- c.Now()
	return done
}

// changing is a server that becomes another at a moment.
func (c *clockwork) changing(at time.Duration, before, then dns.HandlerFunc) dns.HandlerFunc {
	return func(w dns.ResponseWriter, question *dns.Msg) {
		if time.Duration(c.now.Load()) < at {
			before(w, question)
			return
		}
		then(w, question)
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	t.Run("record, then caches", func(t *testing.T) {
		t.Parallel()
		var clock clockwork
		w := site(t, acmeHead+right, acmeHead+right, hasRight)
		old, now := authority(parseZone(t, "acme.example.", acmeOld+outdated)), authority(parseZone(t, "acme.example.", acmeHead+right))
		for _, a := range []string{ns1Addr, ns2Addr} {
			w.at(a, clock.changing(2*time.Minute, old, now))
		}
		var asked atomic.Int32
		cached := clock.changing(32*time.Minute, resolver(t, hasOld), resolver(t, hasRight))
		w.at(pubAddr, func(w dns.ResponseWriter, question *dns.Msg) {
			if at := clock.Now().Sub(noon); at > 0 && at < 2*time.Minute {
				asked.Add(1)
			}
			cached(w, question)
		})
		var told []Waiting
		o := Options{Sources: w.sources(), Name: "portal.acme.example", Expect: siteAddr, Now: clock.Now, Connect: noIPv6}
		result, findings, err := Wait(t.Context(), o, time.Hour, func(w Waiting) { told = append(told, w) }, clock.after)
		if err != nil || findings[0].Code != "dns.a.matches" || result.ChangesAt != nil {
			t.Fatalf("Wait = %+v, %+v, %v", result, findings, err)
		}
		if at := clock.Now().Sub(noon); at < 32*time.Minute || at > 33*time.Minute {
			t.Errorf("it ended after %v, and the last cache changed after 32m", at)
		}
		if asked.Load() > 0 {
			t.Errorf("a resolver was asked %d times while the record was wrong", asked.Load())
		}
		if told[0].Verdict.Code != "dns.a.mismatch" || told[len(told)-1].Verdict.Code != "dns.cache.stale" || told[len(told)-1].ChangesAt == nil {
			t.Errorf("told of %+v at first, and of %+v at last", told[0], told[len(told)-1])
		}
	})
	t.Run("never", func(t *testing.T) {
		t.Parallel()
		var clock clockwork
		w := site(t, acmeHead+outdated, acmeHead+outdated, hasOld)
		o := Options{Sources: w.sources(), Name: "portal.acme.example", Expect: siteAddr, Now: clock.Now}
		_, findings, err := Wait(t.Context(), o, 7*time.Minute, nil, clock.after)
		if err != nil || findings[0].Code != "dns.a.mismatch" || clock.Now().Sub(noon) != 7*time.Minute {
			t.Errorf("Wait = %+v, %v after %v", findings, err, clock.Now().Sub(noon))
		}
	})
	t.Run("right at once", func(t *testing.T) {
		t.Parallel()
		var clock clockwork
		o := Options{Sources: site(t, acmeHead+right, acmeHead+right, hasRight).sources(), Name: "portal.acme.example", Expect: siteAddr, Now: clock.Now}
		_, findings, err := Wait(t.Context(), o, time.Hour, nil, clock.after)
		if err != nil || findings[0].Code != "dns.a.matches" || !clock.Now().Equal(noon) {
			t.Errorf("Wait = %+v, %v after %v", findings, err, clock.Now().Sub(noon))
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		o := Options{Sources: site(t, acmeHead+outdated, acmeHead+outdated, hasOld).sources(), Name: "portal.acme.example", Expect: siteAddr}
		_, _, err := Wait(ctx, o, time.Hour, func(Waiting) { cancel() }, nil)
		if err != context.Canceled {
			t.Errorf("Wait, interrupted = %v", err)
		}
	})
	t.Run("no network at first", func(t *testing.T) {
		t.Parallel()
		var clock clockwork
		w := newWorld(t)
		o := Options{Sources: w.sources(), Name: "portal.acme.example", Expect: siteAddr, Now: clock.Now}
		there := site(t, acmeHead+right, acmeHead+right, hasRight)
		_, findings, err := Wait(t.Context(), o, time.Hour, func(Waiting) {
			w.mu.Lock()
			w.ports = there.ports
			w.mu.Unlock()
		}, clock.after)
		if err != nil || findings[0].Code != "dns.a.matches" {
			t.Errorf("Wait = %+v, %v", findings, err)
		}
	})
}
