package report

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// Observation is one question that was put to the world and what came back.
// Results carry all of them, so that a verdict can be checked by hand.
type Observation struct {
	// Server is who was asked: an address with its port, a URL, a router.
	Server string `json:"server"`
	// Question is what was asked, in the protocol's own words.
	Question string `json:"question"`
	// Answer is what came back; empty when nothing did.
	Answer string `json:"answer"`
	// Error says why there is no answer; empty when there is one.
	Error string `json:"error"`
	// Milliseconds is how long it took.
	Milliseconds int64 `json:"ms"`
}

// Fact is one thing that the evidence shows, in a word that the rules know.
type Fact struct {
	Name  string // what it is about, such as "outside"
	Value string // what it is, such as "refused"; empty when it is not known
	How   string // how it is known, or why it is not: one clause for a person
}

// Evidence is all that is known about one subject. Several facts may have the
// same name, from several witnesses: where they agree they count as one, and
// where they contradict each other nothing is known.
type Evidence []Fact

// Value is what the evidence shows about name; empty when that is not known.
func (e Evidence) Value(name string) string {
	value, _ := e.combine(name)
	return value
}

// How says how the value of name is known, or why it is not.
func (e Evidence) How(name string) string {
	_, how := e.combine(name)
	return how
}

func (e Evidence) combine(name string) (value, how string) {
	var reasons, doubts []string
	contradicted := false
	for _, f := range e {
		switch {
		case f.Name != name:
		case f.Value == "":
			doubts = appendNew(doubts, f.How)
		default:
			contradicted = contradicted || (value != "" && value != f.Value)
			value, reasons = f.Value, appendNew(reasons, f.How)
		}
	}
	switch {
	case contradicted:
		return "", "the witnesses contradict each other: " + strings.Join(reasons, "; ")
	case value == "":
		return "", strings.Join(doubts, "; ")
	}
	return value, strings.Join(reasons, "; ")
}

func appendNew(list []string, s string) []string {
	if s == "" || slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// When is what a rule asks of the evidence, as "lan=right outside=refused|timeout":
// for each fact its value, or several of them with "|" between, where "?" is for
// a fact that is not known. What is not named may be anything.
//
// It is text so that tables are part of the program and cost nothing to start it.
type When string

// All yields the facts that a rule names, each with the values that it allows.
func (w When) All() iter.Seq2[string, []string] {
	return func(yield func(string, []string) bool) {
		for condition := range strings.FieldsSeq(string(w)) {
			name, values, _ := strings.Cut(condition, "=")
			if !yield(name, strings.Split(values, "|")) {
				return
			}
		}
	}
}

// Rule is one line of a table: what the evidence must show, and what follows.
// Detail and Remedy may hold the value of a fact, as {name}.
type Rule struct {
	When   When
	Status Status
	Code   string
	Detail string
	Remedy string
}

// Table is a decision table. The first rule that holds decides; the last one
// should ask for nothing, and be StatusUnknown.
type Table []Rule

// Decide judges a subject. The detail of the finding ends with how each fact is
// known that the rule rests on.
func (t Table) Decide(subject string, e Evidence) Finding {
	for _, r := range t {
		if r.holds(e) {
			return r.finding(subject, e)
		}
	}
	panic(fmt.Sprintf("no rule for %+v: the last rule of a table holds always", e))
}

func (r Rule) holds(e Evidence) bool {
	for name, allowed := range r.When.All() {
		if !slices.Contains(allowed, cmp.Or(e.Value(name), "?")) {
			return false
		}
	}
	return true
}

func (r Rule) finding(subject string, e Evidence) Finding {
	detail := r.fill(r.Detail, e)
	var untold, reasons []string
	for name := range r.When.All() {
		untold = append(untold, name)
	}
	for _, f := range e { // in the order of the evidence, which is that of the work
		if i := slices.Index(untold, f.Name); i >= 0 {
			untold = slices.Delete(untold, i, i+1)
			reasons = appendNew(reasons, e.How(f.Name))
		}
	}
	if len(reasons) > 0 {
		detail += ": " + strings.Join(reasons, "; ")
	}
	return Finding{Code: r.Code, Status: r.Status, Subject: subject, Detail: detail, Remedy: r.fill(r.Remedy, e)}
}

func (r Rule) fill(text string, e Evidence) string {
	for _, f := range e {
		text = strings.ReplaceAll(text, "{"+f.Name+"}", e.Value(f.Name))
	}
	return text
}
