package ddns

import (
	"cmp"
	"context"
	"slices"
	"time"

	"onsite/report"
)

// WatchOptions says what to watch, and how often.
type WatchOptions struct {
	Options
	Every time.Duration // 0: 5 minutes
	// Log is told what is new: a finding that was not there the time before, and
	// once a day that all is well.
	Log func(report.Finding)
}

const (
	defaultEvery = 5 * time.Minute
	// hurry is the longest pause after a look that nobody answered: a computer that
	// has just started has no network yet.
	hurry     = time.Minute
	heartbeat = 24 * time.Hour
)

// Watch looks again and again, and sends what has to be sent, until ctx ends: then
// it returns the last look, and no error. Whatever goes wrong is logged and tried
// again, except what only another command line can mend, which is an error.
func Watch(ctx context.Context, o WatchOptions) (*Update, error) {
	o.defaults()
	o.Every = cmp.Or(o.Every, defaultEvery)
	var told []report.Finding
	var when time.Time
	var last *Update
	for {
		u, err := Look(ctx, o.Options)
		if err == nil {
			err = u.Send(ctx)
		}
		if ctx.Err() != nil {
			return cmp.Or(last, u), nil //nolint:nilerr // it was ended, and that is how it ends
		}
		if e := report.AsError(err); e != nil && e.Kind == report.KindUsage {
			return u, err
		}
		last = u
		o.Force = o.Force && !u.Result.Sent
		pause := o.Every
		if e := report.AsError(err); e != nil {
			f := report.Fail(e.Code, o.Name, e.Message, e.Remedy)
			if e.Kind == report.KindNoAnswer {
				f.Status, pause = report.StatusUnknown, min(pause, hurry)
			}
			u.add(f)
		}
		if now := o.Now(); !slices.Equal(u.Findings, told) || now.Sub(when) >= heartbeat {
			for _, f := range u.Findings {
				if now.Sub(when) >= heartbeat || !slices.Contains(told, f) {
					o.Log(f)
				}
			}
			told, when = u.Findings, now
		}
		select {
		case <-ctx.Done():
			return last, nil
		case <-o.After(pause):
		}
	}
}
