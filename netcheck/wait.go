package netcheck

import (
	"context"
	"time"

	"onsite/report"
)

// Waiting is how a wait stands.
type Waiting struct {
	Verdict report.Finding
	// ChangesAt is when the last cache forgets an old answer; nil when it is the
	// record that must change.
	ChangesAt *time.Time
	Next      time.Time // when it is looked at again
}

// How often is looked. Asking a zone's own servers costs nobody anything and
// finds a change at once. A resolver that has an old answer repeats it until its
// time is over; but it may be emptied earlier.
const (
	authorityPause = 10 * time.Second
	resolverPause  = 30 * time.Second
	// freshPause is after how long the way to the zone's servers is walked anew,
	// for the domain may move to others.
	freshPause = 5 * time.Minute
)

// Wait checks a name until it is right, or the limit is over; what it returns is
// the last check. While the zone's own servers are not right, it asks no
// resolver: that would fill its cache with the wrong answer. tell, when not nil, is
// told before each pause. after makes the pauses; nil: time.After.
func Wait(ctx context.Context, o Options, limit time.Duration, tell func(Waiting), after func(time.Duration) <-chan time.Time) (Result, []report.Finding, error) {
	c, err := newCheck(o)
	if err != nil {
		return Result{}, nil, err
	}
	if after == nil {
		after = time.After
	}
	end := c.Now().Add(limit)
	walked := c.Now()
	result, findings, err := c.run(ctx)
	for {
		pause, settled := c.pause(findings, err)
		if left := end.Sub(c.Now()); settled || left <= 0 || ctx.Err() != nil {
			return result, findings, err
		} else if pause > left {
			pause = left
		}
		if tell != nil {
			w := Waiting{ChangesAt: result.ChangesAt, Next: c.Now().Add(pause)}
			if len(findings) > 0 {
				w.Verdict = findings[0]
			} else {
				w.Verdict = report.Unknown("dns.no-answer", c.Name, report.AsError(err).Message, "")
			}
			tell(w)
		}
		select {
		case <-after(pause):
		case <-ctx.Done():
			return result, findings, ctx.Err()
		}
		if c.Now().Sub(walked) >= freshPause {
			c.f, walked = newFinder(c.Sources), c.Now()
		}
		if pending(findings, err) {
			result, findings, err = c.lookAgain(ctx)
			if pending(findings, err) {
				continue
			}
		}
		result, findings, err = c.run(ctx)
	}
}

// pending reports whether it is the zone's own servers that must change.
func pending(findings []report.Finding, err error) bool {
	if err != nil || len(findings) == 0 {
		return false
	}
	switch findings[0].Status {
	case report.StatusPass, report.StatusWarn:
		return false
	case report.StatusUnknown:
		return false // resolvers are all there is to ask
	}
	return findings[0].Code != "dns.cache.stale" && findings[0].Code != "dns.servfail"
}

// pause is for how long to wait before the next look; settled says that there is
// nothing to wait for.
func (c *check) pause(findings []report.Finding, err error) (pause time.Duration, settled bool) {
	if err != nil {
		return authorityPause, report.AsError(err).Kind != report.KindNoAnswer
	}
	if s := findings[0].Status; s == report.StatusPass || s == report.StatusWarn {
		return 0, true
	}
	if pending(findings, err) {
		return authorityPause, false
	}
	pause = resolverPause
	if c.result.ChangesAt != nil {
		pause = min(pause, max(c.result.ChangesAt.Sub(c.Now())+time.Second, time.Second))
	}
	return pause, false
}

// lookAgain asks the zone's own servers alone.
func (c *check) lookAgain(outer context.Context) (Result, []report.Finding, error) {
	ctx, cancel := context.WithTimeout(outer, c.Limit)
	defer cancel()
	c.f.forget()
	hops, err := c.f.follow(ctx, c.Name)
	if err != nil {
		return c.sum(), nil, noAnswer(outer, c.Name, err)
	}
	c.hops = hops
	findings := c.judge(ctx)
	return c.sum(), findings, outer.Err()
}
