package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/rogpeppe/go-internal/testscript"

	"onsite/report"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"onsite": main})
}

// TestScripts runs the stories of testdata/script: each tells what a person
// types and sees. Beside testscript's own commands they know
//
//	authority CSR KEY DIR  sign a request; write root.pem, bundle.pfx, … to DIR
//	document [PATH=VALUE]  stdout is one JSON document with these values
//	freeport VAR           put a free port of 127.0.0.1 into VAR
//	nameserver VAR FILE    run a name server with the records of a file
//	untilup ADDR           wait until something listens there
//	utf16 FILE             turn a file into UTF-16 with a byte-order mark
//	folder DIR NAME...     the folder holds exactly these names
//	provider NAME ADDR     a dynamic-DNS provider: see dns_update_test.go
//	forwarded ADDR         wait until that router forwards something
//	router ADDR [QUIRK]    a router for forwardings listens at an address of loopback
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			home := filepath.Join(e.WorkDir, "home")
			// Where answers are kept, on each system, and no colours.
			e.Vars = append(e.Vars, "HOME="+home, "XDG_CONFIG_HOME="+home, "AppData="+home, "LocalAppData="+home, "TERM=xterm", "ONSITE_PROMPT=plain")
			return os.Mkdir(home, 0o755)
		},
		Condition: func(cond string) (bool, error) {
			if cond == "unix-root" {
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"authority": cmdAuthority,
			"document":  cmdDocument,
			"freeport":  cmdFreePort,
			"untilup":   cmdUntilUp,
			"utf16":     cmdUTF16,
			"folder":    cmdFolder,
			"provider":  cmdProvider,

			"nameserver": cmdNameServer,
			"router":     cmdRouter,
			"forwarded":  cmdForwarded,
		},
	})
}

func cmdDocument(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("document cannot be negated")
	}
	decoder := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	var doc map[string]any
	ts.Check(decoder.Decode(&doc))
	if decoder.More() {
		ts.Fatalf("there is more than one document on stdout")
	}
	if doc["schema"] != report.Schema {
		ts.Fatalf("schema = %v, want %s", doc["schema"], report.Schema)
	}
	for _, key := range []string{"command", "ok", "status", "result", "findings", "error"} {
		if _, ok := doc[key]; !ok {
			ts.Fatalf("the document has no %q", key)
		}
	}
	for _, arg := range args {
		path, want, _ := strings.Cut(arg, "=")
		if got := fmt.Sprint(lookup(doc, strings.Split(path, "."))); got != want {
			ts.Fatalf("%s = %q, want %q", path, got, want)
		}
	}
}

// lookup walks into a decoded document: keys, and for lists indexes or "codes",
// which are the codes of all findings.
func lookup(v any, path []string) any {
	for _, key := range path {
		switch x := v.(type) {
		case map[string]any:
			v = x[key]
		case []any:
			var n int
			if key == "codes" {
				var codes []string
				for _, f := range x {
					codes = append(codes, fmt.Sprint(lookup(f, []string{"code"})))
				}
				return strings.Join(codes, ",")
			}
			if _, err := fmt.Sscan(key, &n); err != nil || n >= len(x) {
				return nil
			}
			v = x[n]
		default:
			return nil
		}
	}
	return v
}

func cmdFreePort(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	_, port, err := net.SplitHostPort(l.Addr().String())
	ts.Check(err)
	ts.Check(l.Close())
	ts.Setenv(args[0], port)
}

func cmdUntilUp(ts *testscript.TestScript, _ bool, args []string) {
	deadline := time.Now().Add(20 * time.Second)
	for {
		conn, err := net.DialTimeout("tcp", args[0], time.Second)
		if err == nil {
			ts.Check(conn.Close())
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("nothing listens on %s: %v", args[0], err)
		}
	}
}

func cmdUTF16(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	data, err := os.ReadFile(path)
	ts.Check(err)
	out := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(string(data))) {
		out = append(out, byte(unit), byte(unit>>8))
	}
	ts.Check(os.WriteFile(path, out, 0o600))
}

func cmdFolder(ts *testscript.TestScript, _ bool, args []string) {
	entries, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if got, want := strings.Join(names, " "), strings.Join(args[1:], " "); got != want {
		ts.Fatalf("%s holds %q, want %q", args[0], got, want)
	}
}
