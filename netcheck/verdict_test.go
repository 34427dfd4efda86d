package netcheck

import (
	"slices"
	"strings"
	"testing"

	"onsite/report"
)

// Every row of the table decides where its facts hold: none is hidden by one
// before it, and no sentence has a hole.
func TestVerdictRows(t *testing.T) {
	t.Parallel()
	words := report.Evidence{}
	for _, name := range []string{"domain", "doubled", "undoubled", "label", "origin", "nearest", "family", "end", "owner", "wanted", "found", "behind", "until"} {
		words = append(words, report.Fact{Name: name, Value: "<" + name + ">"})
	}
	for i, row := range verdicts {
		e := append(report.Evidence{}, words...)
		for fact, allowed := range row.When.All() {
			if !slices.Contains([]string{"zone", "record", "here", "public"}, fact) {
				t.Errorf("row %d, %v: nobody tells %q", i, row.When, fact)
			}
			e = append(e, report.Fact{Name: fact, Value: strings.Trim(allowed[0], "?"), How: "seen"})
		}
		f := verdicts.Decide("portal.acme.example", e)
		detail, _, _ := strings.Cut(f.Detail, ": seen")
		if f.Code != row.Code || f.Status != row.Status || !strings.HasPrefix(detail, strings.Split(row.Detail, "{")[0]) {
			t.Errorf("row %d, %v: %s decides, want %s", i, row.When, f.Code, row.Code)
		}
		sound(t, f)
	}
}
