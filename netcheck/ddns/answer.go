package ddns

import (
	"time"

	"onsite/report"
)

// class is what an answer to an update demands of the one who asked.
type class string

const (
	classDone    class = "done"    // the server has taken the address
	classSame    class = "same"    // it had it already: the question was for nothing
	classStop    class = "stop"    // not again until something is changed
	classRefused class = "refused" // later, or at once when something is changed here
	classLater   class = "later"   // later, whatever is changed here
)

// answer is what came of one update.
type answer struct {
	class   class
	word    string // in the protocol's own words: "badauth", "REFUSED"
	finding report.Finding
	// wait is how long to leave the server alone; 0: as the class demands.
	wait time.Duration
	// unsent: nothing was asked of the server. silent: nobody answered.
	unsent, silent bool
	observation    report.Observation
}

// How long to leave a server alone. Dyn asked for 30 minutes after its own
// trouble; the rest of the world's providers took the rules over with the protocol.
const (
	firstWait = 30 * time.Minute
	longWait  = 4 * time.Hour  // the longest after trouble, however often it is met
	sameWait  = 24 * time.Hour // the longest after changes that were none
	// retryWait is the first one after a connection that could not be made: nothing
	// was asked of the server then.
	retryWait = 5 * time.Minute
)

// after is when the server may be asked again after the answer, the times-th of
// its class in a row. The zero time means never by itself.
func (a answer) after(now time.Time, times int) time.Time {
	most := longWait
	switch a.class {
	case classStop:
		return time.Time{}
	case classDone:
		return now.Add(firstWait) // for the same address; another one may go at once
	case classSame:
		most = sameWait
	}
	wait := firstWait
	if a.wait > 0 {
		wait = a.wait
	}
	for ; times > 1 && wait < most; times-- {
		wait *= 2
	}
	return now.Add(min(wait, max(most, a.wait)))
}
