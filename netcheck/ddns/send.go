package ddns

import (
	"context"
	"fmt"
	"strings"
	"time"

	"onsite/report"
)

// pause is the time between two looks at the zone's servers.
const pause = time.Second

// Send has the record changed, remembers the answer, and looks at the zone's
// servers until they show the address or Settle has passed. It does nothing when
// nothing is due. An error says that nobody answered, or that nothing was sent;
// every answer is a finding.
func (u *Update) Send(ctx context.Context) error {
	if !u.due {
		return nil
	}
	u.due = false
	held, next, err := u.state.begin(u.o, u.public)
	if err != nil {
		return err
	}
	if held.Code != "" {
		u.hold(held, next)
		return nil
	}
	a := u.o.Protocol.send(ctx, u.o.Name, u.public, u.before)
	u.Result.Sent = !a.unsent
	u.Result.Observations = append(u.Result.Observations, a.observation)
	next, err = u.state.end(u.o, u.public, a) // even when ctx has ended: it was sent
	u.setNext(next)
	if err != nil {
		u.add(a.finding)
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if a.silent {
		return report.Errorf(report.KindNoAnswer, a.finding.Code, a.finding.Remedy, "update %s: %s", u.o.Name, a.finding.Detail)
	}
	u.add(a.finding)
	if a.finding.Status == report.StatusFail {
		return nil
	}
	return u.verify(ctx, a)
}

// verify asks the zone's servers until they show the address.
func (u *Update) verify(ctx context.Context, a answer) error {
	deadline := u.o.Now().Add(u.o.Settle)
	for {
		before := len(u.Result.Observations)
		shown, err := u.ask(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		right, behind := shown.split(u.public)
		if err == nil && len(right) > 0 && len(behind) == 0 {
			u.Result.After = shown.addresses()
			u.add(report.Pass("ddns.changed", u.o.Name, fmt.Sprintf("A %s, %s", u.public, says(shown.Servers))))
			u.Result.NextTry = nil
			return nil
		}
		if !u.o.Now().Add(pause).Before(deadline) {
			u.Result.After = shown.addresses()
			u.unverified(shown, right, behind, a)
			return nil
		}
		u.Result.Observations = u.Result.Observations[:before] // the last look counts
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-u.o.After(pause):
		}
	}
}

func (u *Update) unverified(shown Authority, right, behind []Answer, a answer) {
	switch {
	case a.class == classSame:
		// The finding says already that they do not show it.
	case len(right) > 0:
		u.Result.NextTry = nil
		u.add(report.Warn("ddns.behind", u.o.Name,
			fmt.Sprintf("A %s, %s; but %s", u.public, says(right), others(behind)),
			"wait until the zone's servers have told each other; after an hour, tell who runs them"))
	case len(shown.Servers) == 0:
		u.add(report.Unknown("ddns.unverified", u.o.Name, "the server accepted the address, but the zone's name servers do not answer any more",
			"run the command again in a minute: it only looks when the record is right"))
	default:
		u.add(report.Warn("ddns.unverified", u.o.Name,
			fmt.Sprintf("the server accepted %s (%s), but after %s the zone's name servers do not show it: %s", u.public, strings.TrimSpace(a.word), u.o.Settle, others(behind)),
			"run the command again in a few minutes: it only looks, and sends nothing twice"))
	}
}
