// Package report is the one way in which onsite says what it found.
//
// A check looks at one thing and yields a [Finding]: a stable code, a status,
// what was looked at, what was found and what to do about it. A [Report] is a
// titled list of them. Work that could not be done at all is an [Error]. Both
// carry codes, and every code has a page of plain text in this package
// ([Explain]), so that a code read out over the telephone can be looked up.
//
//	f := report.Warn("csr.unit.dropped", "OU=IT", "public authorities leave the unit out", "leave --unit away")
//	report.Text(os.Stdout, []report.Finding{f}, report.TextOptions{})
//
// The package renders findings as text and as JSON. It makes no checks, knows
// no colours and never prints by itself.
package report

import "time"

// Status is the verdict of one check.
type Status string

// The five verdicts. Unknown means that the check could not be made; it is
// never shown as a pass or as a fail. Skip means that there was nothing to check.
const (
	StatusPass    Status = "pass"
	StatusWarn    Status = "warn"
	StatusFail    Status = "fail"
	StatusUnknown Status = "unknown"
	StatusSkip    Status = "skip"
)

// rank orders the statuses from harmless to grave.
var rank = map[Status]int{StatusSkip: 0, StatusPass: 1, StatusWarn: 2, StatusUnknown: 3, StatusFail: 4}

// Finding is the result of one check. Nothing in onsite expresses a verdict in
// any other way.
type Finding struct {
	// Code is stable for ever and has a page: see Explain.
	Code string `json:"code"`
	// Status is one of the five verdicts.
	Status Status `json:"status"`
	// Subject is what was looked at: a name, a file, an address. It may be empty.
	Subject string `json:"subject"`
	// Detail is what was found, and how it is known.
	Detail string `json:"detail"`
	// Remedy is what to do now; empty where there is nothing to do.
	Remedy string `json:"remedy"`
}

// Pass says that what was looked at is right.
func Pass(code, subject, detail string) Finding {
	return Finding{Code: code, Status: StatusPass, Subject: subject, Detail: detail}
}

// Warn says that it works, but that somebody should know something.
func Warn(code, subject, detail, remedy string) Finding {
	return Finding{Code: code, Status: StatusWarn, Subject: subject, Detail: detail, Remedy: remedy}
}

// Fail says that it is wrong.
func Fail(code, subject, detail, remedy string) Finding {
	return Finding{Code: code, Status: StatusFail, Subject: subject, Detail: detail, Remedy: remedy}
}

// Unknown says that the check could not be made.
func Unknown(code, subject, detail, remedy string) Finding {
	return Finding{Code: code, Status: StatusUnknown, Subject: subject, Detail: detail, Remedy: remedy}
}

// Skip says that there was nothing to check.
func Skip(code, subject, detail string) Finding {
	return Finding{Code: code, Status: StatusSkip, Subject: subject, Detail: detail}
}

// Worst is the gravest status of findings, or StatusPass when there are none.
func Worst(findings []Finding) Status {
	if len(findings) == 0 {
		return StatusPass
	}
	worst := StatusSkip
	for _, f := range findings {
		if rank[f.Status] > rank[worst] {
			worst = f.Status
		}
	}
	return worst
}

// Failed reports whether any finding is a fail.
func Failed(findings []Finding) bool { return Worst(findings) == StatusFail }

// Count returns how many findings have the status.
func Count(findings []Finding, s Status) int {
	n := 0
	for _, f := range findings {
		if f.Status == s {
			n++
		}
	}
	return n
}

// Report is what a longer piece of work found, in the order in which a person
// would read it.
type Report struct {
	Title string `json:"title"`
	// Notice is said before everything else, for example that the site is
	// simulated. It may be empty.
	Notice   string    `json:"notice"`
	Made     time.Time `json:"made"`
	Sections []Section `json:"sections"`
}

// Section is the part of a report that is about one thing.
type Section struct {
	Title    string    `json:"title"`
	Findings []Finding `json:"findings"`
}

// Add appends a section. A section without findings is left out.
func (r *Report) Add(title string, findings []Finding) {
	if len(findings) > 0 {
		r.Sections = append(r.Sections, Section{Title: title, Findings: findings})
	}
}

// Findings returns the findings of all sections, in order.
func (r *Report) Findings() []Finding {
	var all []Finding
	for _, s := range r.Sections {
		all = append(all, s.Findings...)
	}
	return all
}
