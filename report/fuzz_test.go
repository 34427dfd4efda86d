package report_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"onsite/report"
)

func FuzzShorten(f *testing.F) {
	const most = 255
	f.Add("portal.acme.example")
	f.Add(strings.Repeat("ä", 300))
	f.Add("\xff\xfe")
	f.Fuzz(func(t *testing.T, text string) {
		got := report.Shorten(text, most)
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > most {
			t.Errorf("Shorten(%q) = %q, want at most %d characters of UTF-8", text, got, most)
		}
		if len(text) <= most && utf8.ValidString(text) && got != text {
			t.Errorf("Shorten(%q) = %q, want it unchanged", text, got)
		}
	})
}
