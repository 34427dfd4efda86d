package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"onsite/ca"
	"onsite/csr"
	"onsite/netcheck"
	"onsite/netcheck/wan"
	"onsite/portal"
	"onsite/report"
	"onsite/site"
)

// TestTranscripts runs every command that README and docs show in a console
// block, in order and in one folder, and compares what it prints. Ports, dates,
// fingerprints and line breaks may differ.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, f := range append(files, "../../README.md") {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.Base(f)] = strings.ReplaceAll(string(raw), "\r\n", "\n")
	}
	home := t.TempDir()
	env := map[string]string{"COLUMNS": "80"}
	for _, k := range []string{"XDG_CONFIG_HOME", "HOME", "AppData"} {
		t.Setenv(k, home)
	}
	for name, text := range texts {
		t.Chdir(t.TempDir())
		for _, block := range blocks(text, "console") {
			for _, step := range strings.Split("\n"+block, "\n$ ")[1:] {
				command, want, _ := strings.Cut(step, "\n")
				args, ok := strings.CutPrefix(command, "onsite ")
				if !ok {
					t.Errorf("%s: %q does not begin with onsite", name, command)
					continue
				}
				var out bytes.Buffer
				run(splitArgs(args), &streams{in: strings.NewReader(""), out: &out, err: &out}, func(k string) (string, bool) {
					v, ok := env[k]
					return v, ok
				})
				if got := out.String(); timeless(got) != timeless(want) {
					t.Errorf("%s: $ %s\nprints\n%s\nbut the text shows\n%s", name, command, got, want)
				}
			}
		}
	}
}

// blocks returns the contents of a Markdown text's fenced blocks of one kind.
func blocks(text, kind string) []string {
	var list []string
	for {
		_, rest, ok := strings.Cut(text, "```"+kind+"\n")
		if !ok {
			return list
		}
		block, after, _ := strings.Cut(rest, "```")
		list, text = append(list, block), after
	}
}

// splitArgs splits at spaces; double quotes keep a value together.
func splitArgs(s string) []string {
	var args []string
	for i, part := range strings.Split(s, `"`) {
		if i%2 == 1 {
			args = append(args, part)
		} else {
			args = append(args, strings.Fields(part)...)
		}
	}
	return args
}

var varying = []struct{ pattern, replacement string }{
	{`\d{4}-\d\d-\d\d`, "DATE"},
	{`:\d{4,5}\b`, ":PORT"},
	{`\b\d+ days`, "N days"},
	{`after \d+ ms`, "after N ms"},
	{`[0-9a-f]{64}`, "FINGERPRINT"},
	{`\b[0-9a-f]{28,32}\b`, "SERIAL"},
	{`\\`, "/"},
	{`\s+`, " "},
}

func timeless(s string) string {
	for _, v := range varying {
		s = regexp.MustCompile(v.pattern).ReplaceAllString(s, v.replacement)
	}
	return strings.TrimSpace(s)
}

// TestReadmeTables compares the tables of the README with the program.
func TestReadmeTables(t *testing.T) {
	raw, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme := string(raw)
	for _, e := range exitMeanings {
		if row := fmt.Sprintf("| %d | %s |", e.code, e.meaning); !strings.Contains(readme, row) {
			t.Errorf("README.md lacks the row %s", row)
		}
	}
	root := newRootCmd(&app{io: &streams{}, env: os.LookupEnv})
	for _, c := range verbs(root) {
		if row := fmt.Sprintf("| `%s` | %s |", strings.ReplaceAll(c.UseLine(), "|", `\|`), c.Short); !strings.Contains(strings.ReplaceAll(readme, " [flags]", ""), strings.ReplaceAll(row, " [flags]", "")) {
			t.Errorf("README.md lacks the row %s", strings.ReplaceAll(row, " [flags]", ""))
		}
	}
}

// TestJSONFieldsAreDocumented looks for every field of every result in
// docs/json.md.
func TestJSONFieldsAreDocumented(t *testing.T) {
	raw, err := os.ReadFile("../../docs/json.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{
		report.Document{},
		report.Problem{},
		certVerifyResult{},
		caInitResult{},
		caSignResult{},
		ca.Info{},
		caRevokeResult{},
		caCRLResult{},
		certSelfSignResult{},
		csrNewResult{},
		csrBatchResult{},
		csrRenewResult{},
		csr.Info{},
		gatherResult{},
		certShowResult{},
		certConvertResult{},
		certRestoreResult{},
		wan.Site{},
		pfxMakeResult{},
		portForwardAddResult{},
		portForwardListResult{},
		portForwardRemoveResult{},
		portGuideResult{},
		portCheckResult{},
		portListenResult{},
		portalServeResult{},
		portal.Result{},
		portal.Seen{},
		reflectorServeResult{},
		netcheck.Result{},
		dnsUpdateResult{},
		site.Demo{},
		report.Page{},
		versionResult{},
	} {
		for _, field := range jsonFields(reflect.TypeOf(v)) {
			if !strings.Contains(string(raw), "`"+field+"`") {
				t.Errorf("docs/json.md does not mention %q of %T", field, v)
			}
		}
	}
}

// jsonFields returns the names of a struct's fields in JSON, and of those below.
func jsonFields(t reflect.Type) []string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t == reflect.TypeFor[time.Time]() {
		return nil
	}
	var names []string
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name != "" && name != "-" {
			names = append(names, name)
		}
		if name != "-" && (f.IsExported() || f.Anonymous) {
			names = append(names, jsonFields(f.Type)...)
		}
	}
	return names
}
