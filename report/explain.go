package report

import (
	"embed"
	"io/fs"
	"slices"
	"strings"
)

// One page a code: explain/CODE.md. Its first line is "# " and a title, the
// rest is plain text of at most 80 columns.
//
//go:embed explain/*.md
var pages embed.FS

// Page explains one code.
type Page struct {
	Code  string `json:"code"`
	Title string `json:"title"`
	Text  string `json:"text"`
}

// Codes returns the page of every code there is, sorted by code.
func Codes() []Page {
	names, err := fs.Glob(pages, "explain/*.md")
	if err != nil {
		return nil // the pattern is a constant
	}
	list := make([]Page, 0, len(names))
	for _, n := range names {
		if p, ok := Explain(strings.TrimSuffix(strings.TrimPrefix(n, "explain/"), ".md")); ok {
			list = append(list, p)
		}
	}
	slices.SortFunc(list, func(a, b Page) int { return strings.Compare(a.Code, b.Code) })
	return list
}

// Explain returns the page of a code. Upper case and surrounding space do not
// matter: people type what they hear.
func Explain(code string) (Page, bool) {
	code = strings.ToLower(strings.TrimSpace(code))
	if code == "" || strings.ContainsAny(code, `/\`) {
		return Page{}, false
	}
	raw, err := pages.ReadFile("explain/" + code + ".md")
	if err != nil {
		return Page{}, false
	}
	head, body, _ := strings.Cut(strings.ReplaceAll(string(raw), "\r\n", "\n"), "\n")
	return Page{Code: code, Title: strings.TrimPrefix(head, "# "), Text: strings.TrimSpace(body)}, true
}
