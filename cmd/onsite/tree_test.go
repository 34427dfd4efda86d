package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"onsite/report"
)

// verbs returns the commands that do something.
func verbs(root *cobra.Command) []*cobra.Command {
	var list []*cobra.Command
	for _, c := range root.Commands() {
		switch {
		case c.Name() == "help" || c.Name() == "completion" || c.IsAdditionalHelpTopicCommand():
		case c.HasSubCommands():
			list = append(list, verbs(c)...)
		default:
			list = append(list, c)
		}
	}
	return list
}

// TestHelp holds every command to one form of help.
func TestHelp(t *testing.T) {
	t.Parallel()
	root := newRootCmd(&app{io: &streams{}, env: os.LookupEnv})
	for _, c := range verbs(root) {
		path := c.CommandPath()
		if c.Short == "" || strings.HasSuffix(c.Short, ".") || strings.ToUpper(c.Short[:1]) != c.Short[:1] {
			t.Errorf("%s: Short = %q, want a capital and no full stop", path, c.Short)
		}
		examples := strings.Count(c.Example, "  onsite ") + strings.Count(c.Example, "| onsite ")
		if examples < 2 || examples > 5 || !strings.Contains(c.Example, path) {
			t.Errorf("%s: %d examples, want 2 to 5", path, examples)
		}
		for line := range strings.SplitSeq(c.Long+"\n"+c.Example, "\n") {
			if len(line) > 100 {
				t.Errorf("%s: a line of help is too long: %q", path, line)
			}
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Usage == "" || strings.HasSuffix(f.Usage, ".") || strings.ToLower(f.Usage[:1]) != f.Usage[:1] && !strings.HasPrefix(f.Usage, "PEM") {
				t.Errorf("%s --%s: usage %q, want a small letter and no full stop", path, f.Name, f.Usage)
			}
			if strings.Contains(f.Name, "password") && !strings.HasSuffix(f.Name, "-file") && !strings.HasSuffix(f.Name, "-env") {
				t.Errorf("%s --%s takes a secret on the command line", path, f.Name)
			}
		})
	}
	for _, topic := range []string{"exit-codes", "json", "batch-files", "secrets", "environment"} {
		c, _, err := root.Find([]string{topic})
		if err != nil || c.Name() != topic || len(c.Long) < 100 {
			t.Errorf("help topic %s is missing or empty", topic)
		}
	}
}

// TestJSONWhateverHappens asks every command for help, and calls it wrongly: there
// is one document each time.
func TestJSONWhateverHappens(t *testing.T) {
	t.Parallel()
	none := func(string) (string, bool) { return "", false }
	root := newRootCmd(&app{io: &streams{}, env: none})
	group, _, err := root.Find([]string{"csr"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range append(verbs(root), root, group) {
		path := strings.Fields(c.CommandPath())[1:]
		for last, want := range map[string]int{"--help": exitOK, "--no-such-flag": exitUsage, "--color=purple": exitUsage} {
			var out, errOut bytes.Buffer
			code := run(append(path, "--json", last), &streams{in: strings.NewReader(""), out: &out, err: &errOut}, none)
			var doc report.Document
			decoder := json.NewDecoder(&out)
			if err := decoder.Decode(&doc); err != nil || decoder.More() || code != want || doc.OK != (want == exitOK) || errOut.Len() > 0 {
				t.Errorf("onsite %s --json %s: exit status %d, want %d; one document: %v; on standard error: %s",
					strings.Join(path, " "), last, code, want, err, &errOut)
			}
		}
	}
}
