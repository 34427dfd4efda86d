package report_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"onsite/report"
)

var some = []report.Finding{
	report.Pass("set.key.matches", "key.pem", "RSA 2048, belongs to the certificate of portal.acme.example"),
	report.Warn("csr.unit.dropped", "OU=IT", "public authorities leave the organizational unit out of certificates since September 2022", "nothing to do"),
	report.Fail("cert.expired", "portal.acme.example", "expired on 2026-11-01", "renew it"),
	report.Unknown("dns.no-answer", "portal.acme.example", "name server 192.0.2.53:53: no answer in time", ""),
	report.Skip("chain.aside", "Other Root", "left aside"),
}

func TestWorst(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		findings []report.Finding
		want     report.Status
	}{
		{"nothing", nil, report.StatusPass},
		{"a skip alone", some[4:], report.StatusSkip},
		{"pass and skip", []report.Finding{some[4], some[0]}, report.StatusPass},
		{"warn above pass", some[:2], report.StatusWarn},
		{"unknown above warn", []report.Finding{some[3], some[1]}, report.StatusUnknown},
		{"fail above all", some, report.StatusFail},
	}
	for _, tt := range tests {
		if got := report.Worst(tt.findings); got != tt.want {
			t.Errorf("%s: Worst = %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := report.Text(&b, some, report.TextOptions{Width: 60}); err != nil {
		t.Fatal(err)
	}
	want := `[ok]   key.pem: RSA 2048, belongs to the certificate of
       portal.acme.example
[warn] OU=IT: public authorities leave the organizational
       unit out of certificates since September 2022
       -> nothing to do
       (onsite explain csr.unit.dropped)
[fail] portal.acme.example: expired on 2026-11-01
       -> renew it
       (onsite explain cert.expired)
[??]   portal.acme.example: name server 192.0.2.53:53: no
       answer in time
       (onsite explain dns.no-answer)
[skip] Other Root: left aside
`
	if b.String() != want {
		t.Errorf("Text =\n%s\nwant\n%s", b.String(), want)
	}
	b.Reset()
	paint := func(s report.Status, word string) string { return "<" + string(s) + ">" + word }
	if err := report.Text(&b, some[:3], report.TextOptions{Brief: true, Paint: paint}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "key.pem") || !strings.Contains(b.String(), "<warn>[warn] OU=IT") {
		t.Errorf("brief and painted Text =\n%s", b.String())
	}
}

// What a certificate or a server says cannot write over the terminal, nor look
// like a finding of ours.
func TestTextOfHostileNames(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	hostile := report.Fail("cert.expired", "a\x1b[2Jb\u202e", "one\n[ok]   two\r", "do\x07")
	if err := report.Text(&b, []report.Finding{hostile}, report.TextOptions{}); err != nil {
		t.Fatal(err)
	}
	want := "[fail] a?[2Jb?: one [ok] two?\n       -> do?\n       (onsite explain cert.expired)\n"
	if b.String() != want {
		t.Errorf("Text = %q, want %q", b.String(), want)
	}
}

func TestReportText(t *testing.T) {
	t.Parallel()
	r := report.Report{Title: "Site check: Acme", Notice: "This site is simulated."}
	r.Add("Empty", nil)
	r.Add("Files", some[:1])
	var b bytes.Buffer
	if err := r.Text(&b, report.TextOptions{}); err != nil {
		t.Fatal(err)
	}
	want := `Site check: Acme
This site is simulated.

Files
[ok]   key.pem: RSA 2048, belongs to the certificate of portal.acme.example

1 check: 1 passed.
`
	if b.String() != want {
		t.Errorf("Report.Text =\n%s\nwant\n%s", b.String(), want)
	}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		findings []report.Finding
		want     string
	}{
		{nil, "Nothing was checked."},
		{some[:1], "1 check: 1 passed."},
		{some, "5 checks: 1 failed, 1 could not be made, 1 warning, 1 passed, 1 skipped."},
		{append(some[1:2:2], some[1]), "2 checks: 2 warnings."},
	} {
		if got := report.Summary(tt.findings); got != tt.want {
			t.Errorf("Summary = %q, want %q", got, tt.want)
		}
	}
}

func TestDocument(t *testing.T) {
	t.Parallel()
	cause := fs.ErrNotExist
	err := report.Errorf(report.KindInput, "file.unreadable", "check the name", "cannot read %s: %w", "x<y>.pfx", cause)
	var b bytes.Buffer
	if err := report.NewDocument("pfx split", nil, nil, err).Write(&b); err != nil {
		t.Fatal(err)
	}
	want := `{
  "schema": "onsite/1",
  "command": "pfx split",
  "ok": false,
  "status": "fail",
  "result": null,
  "findings": [],
  "error": {
    "code": "file.unreadable",
    "message": "cannot read x<y>.pfx: file does not exist",
    "remedy": "check the name"
  }
}
`
	if b.String() != want {
		t.Errorf("Document =\n%s\nwant\n%s", b.String(), want)
	}
	b.Reset()
	if err := report.NewDocument("check", map[string]int{"n": 1}, some[:2], nil).Write(&b); err != nil {
		t.Fatal(err)
	}
	var doc report.Document
	if err := json.Unmarshal(b.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if !doc.OK || doc.Status != report.StatusWarn || doc.Error != nil || len(doc.Findings) != 2 || doc.Findings[1] != some[1] {
		t.Errorf("Document = %+v", doc)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	err := report.Errorf(report.KindInput, "pfx.damaged", "copy it again", "read it: %w", os.ErrClosed)
	named := report.InFile("x.pfx", fmt.Errorf("open: %w", err))
	if got := named.Error(); got != "x.pfx: read it: file already closed" {
		t.Errorf("InFile = %q", got)
	}
	if !report.HasCode(named, "pfx.damaged") || report.HasCode(named, "pfx") || !errors.Is(named, os.ErrClosed) {
		t.Errorf("InFile lost the code or the cause: %+v", named)
	}
	if report.AsError(named).Kind != report.KindInput || err.Message != "read it: file already closed" {
		t.Error("InFile changed the kind, or the error that it was given")
	}
	if report.InFile("x.pfx", nil) != nil || report.AsError(nil) != nil {
		t.Error("no error became one")
	}
	if e := report.AsError(errors.New("disk on fire")); e.Code != "failed" || e.Kind != report.KindFailed || e.Message != "disk on fire" {
		t.Errorf("AsError of a plain error = %+v", e)
	}
}

func TestWrap(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text  string
		width int
		want  string
	}{
		{"", 10, ""},
		{"one two three", 7, "one two\n> three"},
		{"averyverylongword x", 5, "averyverylongword\n> x"},
		{"größe äöü", 9, "größe äöü"},
		{"one\ntwo", 80, "one\n> two"},
	} {
		if got := report.Wrap(tt.text, tt.width, "> "); got != tt.want {
			t.Errorf("Wrap(%q, %d) = %q, want %q", tt.text, tt.width, got, tt.want)
		}
	}
}

func ExampleText() {
	report.Text(os.Stdout, []report.Finding{
		report.Fail("cert.expired", "portal.acme.example", "expired on 2026-11-01", "renew it: onsite csr new"),
	}, report.TextOptions{})
	// Output:
	// [fail] portal.acme.example: expired on 2026-11-01
	//        -> renew it: onsite csr new
	//        (onsite explain cert.expired)
}
