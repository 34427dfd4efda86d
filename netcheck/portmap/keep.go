package portmap

import (
	"context"
	"errors"
	"fmt"
	"time"

	"onsite/report"
)

// watchEvery is how often a forwarding that is kept is looked after: routers
// lose their tables when they restart, and some without.
const watchEvery = time.Minute

// farewell is how long the router has to take a forwarding away after ctx ended.
const farewell = 2 * time.Second

// Keep renews the forwarding that Apply made, and makes it anew when the router
// lost it, until ctx ends; then it takes the forwarding away. tell is called
// with what goes wrong meanwhile, and when it is right again. The finding that
// it returns says whether the forwarding is gone.
func (p *Plan) Keep(ctx context.Context, tell func(report.Finding)) report.Finding {
	trouble := "" // the code that was told last
	for {
		timer := time.NewTimer(p.nextLook())
		select {
		case <-ctx.Done():
			timer.Stop()
			return p.Release(ctx)
		case <-timer.C:
		}
		f, ok := p.look(ctx)
		switch {
		case ctx.Err() != nil || !ok && trouble == "":
		case !ok:
			trouble = ""
			tell(report.Pass("forward.renewed", p.Made.name(), "the router answers again, and the forwarding is there"))
		case f.Code == "forward.remade":
			trouble = ""
			tell(f)
		case f.Code != trouble:
			trouble = f.Code
			tell(f)
		}
	}
}

// nextLook is the time to the next look: half of the lease at most.
func (p *Plan) nextLook() time.Duration {
	wait := watchEvery
	if p.router.o.Watch > 0 {
		wait = p.router.o.Watch
	}
	if p.Made.Lease > 0 {
		wait = min(wait, max(p.Made.Lease/2, time.Second))
	}
	return wait
}

// look looks after the forwarding once. ok says that there is something to tell.
func (p *Plan) look(ctx context.Context) (f report.Finding, ok bool) {
	if p.notes.list = p.notes.list[:min(len(p.notes.list), maxNotes)]; p.Made.Method != UPnP {
		return p.lookPMP(ctx)
	}
	listed, err := p.router.igd.holder(ctx, &p.notes, *p.Made)
	due := p.Made.Lease > 0 && !p.router.o.Now().Before(p.begun.Add(p.Made.Lease/2))
	switch {
	case err != nil && !refusedWith(err, UPnP, 401, 402, 501, 602):
		return p.cannotTell(err), true
	case err == nil && listed != nil && !listed.Ours && !listed.same(*p.Made):
		return p.router.refusalFinding(&Refusal{Method: UPnP, Code: 718, Name: upnpCodes[718]}, *p.Made, listed), true
	case err == nil && listed == nil:
		if f, failed := p.again(ctx); failed {
			return f, true
		}
		return report.Warn("forward.remade", p.Made.name(), "the router had lost the forwarding: it was made again", ""), true
	case due:
		return p.again(ctx)
	}
	return report.Finding{}, false
}

// maxNotes bounds the observations of a run that goes on for days.
const maxNotes = 200

// again makes the forwarding once more by the same method. failed says that it
// could not.
func (p *Plan) again(ctx context.Context) (f report.Finding, failed bool) {
	if _, err := p.router.igd.add(ctx, &p.notes, p.wish()); err != nil {
		if refusal, ok := errors.AsType[*Refusal](err); ok {
			return p.router.refusalFinding(refusal, *p.Made, nil), true
		}
		return p.cannotTell(err), true
	}
	p.begun = p.router.o.Now()
	if err := p.router.remember(*p.Made, p.secret); err != nil {
		return forgotten(*p.Made, err), true
	}
	return report.Finding{}, false
}

// wish is what was made, with the lease that is asked for.
func (p *Plan) wish() Forwarding {
	f := *p.Made
	if f.Lease > 0 {
		f.Lease = p.After.Lease
	}
	return f
}

// lookPMP renews: that costs one datagram, and makes a lost mapping anew.
func (p *Plan) lookPMP(ctx context.Context) (f report.Finding, ok bool) {
	before := p.epoch
	got, err := p.mapPMP(ctx, *p.Made, p.After.Lease)
	if refusal, refused := errors.AsType[*Refusal](err); refused {
		return p.router.refusalFinding(refusal, *p.Made, nil), true
	}
	if err == nil && got.external != p.Made.External {
		err = p.otherPort(ctx, *p.Made, got)
	}
	if err != nil {
		return p.cannotTell(err), true
	}
	p.epoch, p.Made.Lease, p.begun = got.epoch, got.lease, p.router.o.Now()
	if err := p.router.remember(*p.Made, p.secret); err != nil {
		return forgotten(*p.Made, err), true
	}
	if got.epoch < before { // RFC 6886, section 3.6; RFC 6887, section 8.5
		return report.Warn("forward.remade", p.Made.name(), "the router had lost its forwardings: this one was made again", ""), true
	}
	return report.Finding{}, false
}

func (p *Plan) cannotTell(err error) report.Finding {
	return report.Unknown("forward.no-answer", p.Made.name(), fmt.Sprintf("asked by %s: %s", p.Made.Method, err),
		"see whether the router is on; it is asked again")
}

// Release takes the forwarding away that Apply made. It does so though ctx has
// ended, and waits no more than two seconds.
func (p *Plan) Release(ctx context.Context) report.Finding {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	if err := p.router.remove(ctx, &p.notes, *p.Made); err != nil {
		until := "it stays"
		if p.Made.Lease > 0 {
			until = "it ends by itself at " + p.router.clock(p.Made.Lease)
		}
		return report.Fail("forward.remove.failed", p.Made.name(), fmt.Sprintf("%s: %s; %s", p.Made.Method, err, until),
			"delete it in the router's page")
	}
	return report.Pass("forward.removed", p.Made.name(), "taken away; it went to "+p.Made.target())
}
