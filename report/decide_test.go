package report_test

import (
	"testing"

	"onsite/report"
)

var doors = report.Table{
	{When: "inside=right outside=same", Status: report.StatusPass, Code: "a", Detail: "works"},
	{When: "inside=right outside=refused|silent", Status: report.StatusFail, Code: "b", Detail: "shut", Remedy: "forward it to {address}"},
	{When: "inside=right outside=?", Status: report.StatusUnknown, Code: "c", Detail: "nobody looked", Remedy: "look"},
	{Status: report.StatusUnknown, Code: "d", Detail: "could not tell", Remedy: "look again"},
}

func TestDecide(t *testing.T) {
	t.Parallel()
	inside := report.Fact{Name: "inside", Value: "right", How: "its key was seen"}
	tests := []struct {
		name     string
		evidence report.Evidence
		want     report.Finding
	}{
		{
			"first rule",
			report.Evidence{inside, {Name: "outside", Value: "same", How: "same key from A"}},
			report.Finding{Status: report.StatusPass, Code: "a", Subject: "door", Detail: "works: its key was seen; same key from A"},
		},
		{
			"one of several values, and a value in the remedy",
			report.Evidence{inside, {Name: "outside", Value: "silent", How: "A waited 5 s"}, {Name: "address", Value: "192.0.2.1"}},
			report.Finding{Status: report.StatusFail, Code: "b", Subject: "door", Detail: "shut: its key was seen; A waited 5 s", Remedy: "forward it to 192.0.2.1"},
		},
		{
			"a fact that nobody knows",
			report.Evidence{inside},
			report.Finding{Status: report.StatusUnknown, Code: "c", Subject: "door", Detail: "nobody looked: its key was seen", Remedy: "look"},
		},
		{
			"a fact that could not be known, and why",
			report.Evidence{inside, {Name: "outside", How: "A is down"}},
			report.Finding{Status: report.StatusUnknown, Code: "c", Subject: "door", Detail: "nobody looked: its key was seen; A is down", Remedy: "look"},
		},
		{
			"witnesses agree, and one knows nothing",
			report.Evidence{inside, {Name: "outside", Value: "same", How: "A"}, {Name: "outside", How: "B is down"}, {Name: "outside", Value: "same", How: "C"}},
			report.Finding{Status: report.StatusPass, Code: "a", Subject: "door", Detail: "works: its key was seen; A; C"},
		},
		{
			"witnesses contradict each other",
			report.Evidence{inside, {Name: "outside", Value: "same", How: "A"}, {Name: "outside", Value: "refused", How: "B"}, {Name: "outside", Value: "same", How: "C"}},
			report.Finding{
				Status: report.StatusUnknown, Code: "c", Subject: "door", Remedy: "look",
				Detail: "nobody looked: its key was seen; the witnesses contradict each other: A; B; C",
			},
		},
		{
			"nothing is known", nil,
			report.Finding{Status: report.StatusUnknown, Code: "d", Subject: "door", Detail: "could not tell", Remedy: "look again"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := doors.Decide("door", tt.evidence); got != tt.want {
				t.Errorf("Decide(%+v) = %+v, want %+v", tt.evidence, got, tt.want)
			}
		})
	}
}

func TestDecideWithoutLastRule(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("a table without a last rule decides")
		}
	}()
	doors[:1].Decide("door", nil)
}
