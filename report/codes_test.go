package report_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"onsite/report"
)

// TestEveryCodeHasItsPage looks through the source of the whole module for the
// codes that findings and errors are made with, and compares them with the
// pages: no code without a page, and no page without a code.
func TestEveryCodeHasItsPage(t *testing.T) {
	t.Parallel()
	used := codesInSource(t, "..")
	pages := map[string]bool{}
	for _, p := range report.Codes() {
		pages[p.Code] = true
	}
	for _, code := range slices.Sorted(maps.Keys(used)) {
		if !pages[code] {
			t.Errorf("%s: the code %q has no page report/explain/%s.md", used[code], code, code)
		}
	}
	for _, code := range slices.Sorted(maps.Keys(pages)) {
		if used[code] == "" {
			t.Errorf("report/explain/%s.md explains a code that nothing uses", code)
		}
	}
	if len(used) < 50 {
		t.Errorf("only %d codes found in the source: does this test still look rightly?", len(used))
	}
}

// maker matches the functions that make findings out of a code. Errors come from
// Errorf.
var maker = regexp.MustCompile(`^(Pass|Warn|Fail|Unknown|Skip)$`)

var codeForm = regexp.MustCompile(`^[a-z]+(\.[a-z0-9-]+)*$`)

// codesInSource returns every code with the place where it is used. A code is a
// string: an argument of a maker, a field or a variable called Code, or a
// constant whose name begins with Code.
func codesInSource(t *testing.T, root string) map[string]string {
	t.Helper()
	codes := map[string]string{}
	fset := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root || d.Name() == "testdata" {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(fset, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			for _, e := range codeExpressions(n) {
				if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					if code, err := strconv.Unquote(lit.Value); err == nil && codeForm.MatchString(code) {
						codes[code] = fset.Position(lit.Pos()).String()
					}
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return codes
}

// codeExpressions returns the expressions under n that hold a code.
func codeExpressions(n ast.Node) []ast.Expr {
	switch n := n.(type) {
	case *ast.CallExpr:
		name := ""
		switch f := n.Fun.(type) {
		case *ast.SelectorExpr:
			name = f.Sel.Name
		case *ast.Ident:
			name = f.Name
		}
		switch {
		case name == "Errorf" && len(n.Args) > 1: // kind, code
			return n.Args[1:2]
		case maker.MatchString(name) && len(n.Args) > 1:
			return n.Args[:1]
		}
	case *ast.KeyValueExpr:
		if k, ok := n.Key.(*ast.Ident); ok && k.Name == "Code" {
			return []ast.Expr{n.Value}
		}
	case *ast.AssignStmt:
		for i, lhs := range n.Lhs {
			name := ""
			switch l := lhs.(type) {
			case *ast.SelectorExpr:
				name = l.Sel.Name
			case *ast.Ident:
				name = l.Name
			}
			if strings.EqualFold(name, "code") && i < len(n.Rhs) {
				return n.Rhs[i : i+1] // also the first of several: f.Code, f.Subject = "a.b", x
			}
		}
	case *ast.ValueSpec:
		for i, name := range n.Names {
			if strings.HasPrefix(strings.ToLower(name.Name), "code") && i < len(n.Values) {
				return n.Values[i : i+1]
			}
		}
	case *ast.ReturnStmt: // of a function that chooses a code
		if lit, ok := first(n.Results).(*ast.BasicLit); ok && strings.Contains(lit.Value, ".") {
			return n.Results[:1]
		}
	}
	return nil
}

func TestPages(t *testing.T) {
	t.Parallel()
	for _, p := range report.Codes() {
		if p.Title == "" || strings.HasSuffix(p.Title, ".") || p.Text == "" {
			t.Errorf("%s: the title is %q and the text has %d bytes", p.Code, p.Title, len(p.Text))
		}
		for line := range strings.SplitSeq(p.Text, "\n") {
			if utf8.RuneCountInString(line) > 80 {
				t.Errorf("%s: a line has more than 80 columns: %q", p.Code, line)
			}
		}
	}
	if _, ok := report.Explain("../report"); ok {
		t.Error("Explain leaves its folder")
	}
	if p, ok := report.Explain(" CERT.Expired\n"); !ok || p.Code != "cert.expired" {
		t.Errorf("Explain of a code as typed = %+v, %v", p, ok)
	}
}

func first(list []ast.Expr) ast.Expr {
	if len(list) == 0 {
		return nil
	}
	return list[0]
}
