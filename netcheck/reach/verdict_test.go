package reach

import (
	"slices"
	"strings"
	"testing"

	"onsite/report"
)

// TestEveryRow gives each rule of both tables the evidence that it asks for, and
// nothing else: it must be that rule which decides, for each of its values.
func TestEveryRow(t *testing.T) {
	t.Parallel()
	for name, table := range map[string]report.Table{"verdicts": verdicts, "grades": grades} {
		for i, r := range table {
			list := evidenceFor(r.When)
			if name == "verdicts" && len(r.When) == 0 { // what cannot be
				list = []report.Evidence{{{Name: "lan", Value: "mute"}, {Name: "outside", Value: same}}}
			}
			for fact := range r.When.All() {
				if !slices.Contains([]string{"lan", "inside", "outside", "loopback", "others", "hairpin", "nat", "gateway", "listed", "party"}, fact) {
					t.Errorf("%s, row %d: nobody tells %q", name, i+1, fact)
				}
			}
			for _, e := range list {
				f := table.Decide("x", e)
				if f.Code != r.Code || f.Status != r.Status || !strings.HasPrefix(f.Detail, r.Detail) {
					t.Errorf("%s, row %d: %+v is decided as %s: %s", name, i+1, e, f.Code, f.Detail)
				}
			}
		}
	}
}

// evidenceFor lists the evidence that just fulfils a rule, one for each choice.
func evidenceFor(when report.When) []report.Evidence {
	list := []report.Evidence{nil}
	for name, allowed := range when.All() {
		var longer []report.Evidence
		for _, value := range allowed {
			for _, e := range list {
				if value == "?" {
					longer = append(longer, e)
					continue
				}
				longer = append(longer, append(slices.Clone(e), report.Fact{Name: name, Value: value, How: name + " is " + value}))
			}
		}
		list = longer
	}
	return list
}

// TestDesign holds the tables to what the pair of inside and outside means.
func TestDesign(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		facts string // name=value, space between
		code  string
	}{
		{"lan=right outside=same", "port.works"},
		{"lan=right inside=given outside=other", "port.outside.other"},
		{"lan=right outside=router", "port.outside.router"},
		{"lan=right outside=refused", "port.outside.refused"},
		{"lan=right outside=unreachable", "port.outside.unreachable"},
		{"lan=right outside=timeout others=timeout", "port.outside.silent"},
		{"lan=right outside=timeout others=timeout nat=carrier", "port.nat.carrier"},
		{"lan=right outside=timeout others=timeout nat=double", "port.nat.double"},
		{"lan=right outside=timeout others=same-host", "port.rule.silent"},
		{"lan=right outside=timeout others=same-host loopback=same", "port.filtered"},
		{"lan=right outside=timeout others=same-host loopback=timeout hairpin=works", "port.rule.missing"},
		{"lan=right outside=timeout others=other-host", "port.rule.silent"},
		{"lan=right outside=timeout others=other-host loopback=same", "port.filtered"},
		{"lan=right outside=timeout others=other-host gateway=none", "port.clock.gateway"},
		{"lan=right outside=timeout others=other-host gateway=ok loopback=same", "port.filtered"},
		{"lan=refused outside=refused", "port.lan.refused"},
		{"lan=local outside=refused", "port.lan.local"},
		{"lan=udp outside=refused", "port.clock.udp"},
		{"lan=right loopback=same", "port.loopback.only"},
		{"lan=right loopback=router", "port.loopback.router"},
		{"lan=right loopback=refused", "port.outside.unknown"},
		{"lan=right loopback=timeout listed=yes", "port.outside.unknown"},
		{"", "port.outside.unknown"},
	} {
		var e report.Evidence
		for _, f := range strings.Fields(tt.facts) {
			name, value, _ := strings.Cut(f, "=")
			e = append(e, report.Fact{Name: name, Value: value})
		}
		if f := verdicts.Decide("x", e); f.Code != tt.code {
			t.Errorf("%s: %s, want %s", tt.facts, f.Code, tt.code)
		}
	}
}

// TestNoPassWithoutProof goes through every combination of evidence: it works
// only with a grade of 2 or 3, and never when nobody outside was reached.
func TestNoPassWithoutProof(t *testing.T) {
	t.Parallel()
	lan := []string{"", "right", "refused", "timeout", "unreachable", "mute", "local", "foreign", "udp"}
	looks := []string{"", "same", "named", "alike", "other", "router", "mute", "something", "refused", "timeout", "unreachable"}
	rest := []map[string]string{}
	for _, others := range []string{"", "same-host", "other-host", "open", "answers", "timeout"} {
		for _, nat := range []string{"", "double"} {
			for _, gateway := range []string{"", "none"} {
				rest = append(rest, map[string]string{"others": others, "nat": nat, "gateway": gateway, "hairpin": "works", "listed": "yes", "inside": "given"})
			}
		}
	}
	passed := 0
	for _, l := range lan {
		for _, out := range looks {
			for _, loop := range looks {
				for _, more := range rest {
					e := report.Evidence{{Name: "lan", Value: l}, {Name: "outside", Value: out}, {Name: "loopback", Value: loop}}
					for k, v := range more {
						e = append(e, report.Fact{Name: k, Value: v})
					}
					f, g := verdicts.Decide("x", e), grades.Decide("x", e)
					if (f.Status == report.StatusPass) != (g.Status == report.StatusPass) && f.Code != "port.lan.foreign" {
						t.Fatalf("%+v: %s with %s", e, f.Code, g.Code)
					}
					if f.Status != report.StatusPass {
						continue
					}
					passed++
					if n, ok := gradeOf(g.Code); !ok || n < 2 || (out != same && out != "named" && out != alike) {
						t.Fatalf("%+v passes with %s", e, g.Code)
					}
				}
			}
		}
	}
	if passed == 0 {
		t.Error("nothing passes at all")
	}
}
