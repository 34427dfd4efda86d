package report

import (
	"encoding/json"
	"io"
)

// Schema names the shape of a Document. Fields are added to it, never renamed.
const Schema = "onsite/1"

// Document is the one JSON document that a command prints with --json, in
// success and in failure.
type Document struct {
	Schema   string    `json:"schema"`
	Command  string    `json:"command"` // without "onsite": "csr new"
	OK       bool      `json:"ok"`      // true exactly when the exit status is 0
	Status   Status    `json:"status"`
	Result   any       `json:"result"` // an object, or null when there is none
	Findings []Finding `json:"findings"`
	Error    *Problem  `json:"error"` // null when the work was done
}

// Problem is an Error as a Document shows it.
type Problem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Remedy  string `json:"remedy"`
}

// NewDocument puts a command's outcome together. The status is the worst of the
// findings; with an error it is a fail, or unknown when there was no answer or
// somebody stopped it. OK follows the status; a command may know better. err may
// be nil.
func NewDocument(command string, result any, findings []Finding, err error) Document {
	d := Document{Schema: Schema, Command: command, Status: Worst(findings), Result: result, Findings: findings}
	if d.Findings == nil {
		d.Findings = []Finding{}
	}
	if err != nil {
		e := AsError(err)
		switch {
		case d.Status != StatusFail && (e.Kind == KindNoAnswer || e.Kind == KindInterrupted):
			d.Status = StatusUnknown // nothing is known to be wrong
		default:
			d.Status = StatusFail
		}
		d.Error = &Problem{Code: e.Code, Message: e.Message, Remedy: e.Remedy}
	}
	d.OK = err == nil && d.Status != StatusFail
	return d
}

// Write prints the document, indented, with a final newline.
func (d Document) Write(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(d)
}
