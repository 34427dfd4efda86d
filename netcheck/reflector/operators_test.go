package reflector

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"onsite/report"
)

func TestOperators(t *testing.T) {
	t.Parallel()
	const anna, bert = "anna-0123456789abcdef", "bert-0123456789abcdef"
	hash := sha256.Sum256([]byte(bert))
	list, err := parseOperators("\ufeff# technicians\r\n\r\n  anna\t" + anna + "  \r\nbert sha256:" + hex.EncodeToString(hash[:]) + "\n#end")
	if err != nil || len(list) != 2 {
		t.Fatalf("parseOperators = %v, %v", list, err)
	}
	for token, want := range map[string]string{anna: "anna", bert: "bert", "": "", anna + " ": "", "sha256:" + hex.EncodeToString(hash[:]): "", hex.EncodeToString(hash[:]): ""} {
		if name, ok := list.find(token); name != want || ok != (want != "") {
			t.Errorf("find(%q) = %q, %t", token, name, ok)
		}
	}
	var many strings.Builder
	for i := range maxOperators + 1 {
		fmt.Fprintf(&many, "x x%020d\n", i)
	}
	for name, text := range map[string]string{
		"nothing": "", "comments alone": "# anna " + anna, "one word": anna, "three words": "anna x " + anna, "short": "anna 0123456789",
		"long": "anna " + strings.Repeat("x", 300), "a name with a slash": "a/b " + anna, "a bad hash": "anna sha256:1234", "no hash": "anna sha256:" + strings.Repeat("x", 64),
		"one token twice": "anna " + anna + "\nbert " + anna, "huge": strings.Repeat("# x\n", 20000), "too many": many.String(),
	} {
		list, err := parseOperators(text)
		if err == nil || strings.Contains(err.Error(), "0123456789") {
			t.Errorf("%s: %v, %v", name, list, err)
		}
	}
}

// Who is taken out of the file is locked out, who is put in is let in; a file that
// is wrong changes nothing.
func TestTokensChange(t *testing.T) {
	t.Parallel()
	now := time.Now()
	b := serve(t, server(t, echo), func(o *Options, _ *limits) { o.Now = func() time.Time { return now } })
	path := b.o.TokenFile
	session := func(token string) int {
		return b.ask(site, "POST /v1/session HTTP/1.1\r\nHost: r\r\nContent-Length: 0\r\nAuthorization: Bearer "+token+"\r\n\r\n").status
	}
	const other = "another-token-0123456789"
	if got := session(goodToken); got != 200 {
		t.Fatalf("session = %d", got)
	}
	os.WriteFile(path, []byte("bert "+other+"\n"), 0o600)
	now = now.Add(lookEvery)
	if old, fresh := session(goodToken), session(other); old != 401 || fresh != 200 {
		t.Errorf("after the change: the old token %d, the new one %d", old, fresh)
	}
	os.WriteFile(path, []byte("rubbish\n"), 0o600)
	now = now.Add(lookEvery)
	if got := session(other); got != 200 {
		t.Errorf("after a wrong change: %d", got)
	}
	os.Remove(path)
	now = now.Add(lookEvery)
	if got := session(other); got != 200 {
		t.Errorf("without the file: %d", got)
	}
	if n := strings.Count(b.log.String(), "a changed file is bad"); n != 2 {
		t.Errorf("the log tells of %d bad changes:\n%s", n, b.log)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	good := tokens(t, "anna "+goodToken)
	dir := t.TempDir()
	for name, tt := range map[string]struct {
		o    Options
		code string
	}{
		"no address":            {Options{TokenFile: good}, "reflector.address.wrong"},
		"no tokens":             {Options{Listen: "127.0.0.1:0"}, "reflector.tokens.missing"},
		"no such file":          {Options{Listen: "127.0.0.1:0", TokenFile: filepath.Join(dir, "none")}, "file.unreadable"},
		"a folder":              {Options{Listen: "127.0.0.1:0", TokenFile: dir}, "file.unreadable"},
		"wrong tokens":          {Options{Listen: "127.0.0.1:0", TokenFile: tokens(t, "anna")}, "reflector.tokens.wrong"},
		"SSH":                   {Options{Listen: "127.0.0.1:0", TokenFile: good, Ports: []int{8888, 22}}, "reflector.ports.dangerous"},
		"no ports":              {Options{Listen: "127.0.0.1:0", TokenFile: good, Ports: []int{}}, "reflector.ports.wrong"},
		"many ports":            {Options{Listen: "127.0.0.1:0", TokenFile: good, Ports: make([]int, 17)}, "reflector.ports.wrong"},
		"a port twice":          {Options{Listen: "127.0.0.1:0", TokenFile: good, Ports: []int{8888, 8888}}, "reflector.ports.wrong"},
		"a port too high":       {Options{Listen: "127.0.0.1:0", TokenFile: good, Ports: []int{65536}}, "reflector.ports.wrong"},
		"everybody is a proxy":  {Options{Listen: "127.0.0.1:0", TokenFile: good, Proxies: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}}, "reflector.address.wrong"},
		"no address to be from": {Options{Listen: "127.0.0.1:0", TokenFile: good, DialFrom: []netip.Addr{netip.IPv4Unspecified()}}, "reflector.address.wrong"},
		"another's address":     {Options{Listen: "127.0.0.1:0", TokenFile: good, DialFrom: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}, "reflector.address.wrong"},
		"a key alone":           {Options{Listen: "127.0.0.1:0", TokenFile: good, KeyFile: good}, "reflector.tls.wrong"},
		"no certificate":        {Options{Listen: "127.0.0.1:0", TokenFile: good, CertFile: good, KeyFile: good}, "reflector.tls.wrong"},
		"metrics of another":    {Options{Listen: "127.0.0.1:0", TokenFile: good, Metrics: "192.0.2.1:0"}, "reflector.address.wrong"},
	} {
		s, _, err := New(tt.o)
		if e := report.AsError(err); s != nil || e == nil || e.Code != tt.code || e.Remedy == "" || strings.Contains(e.Message, goodToken) {
			t.Errorf("%s: New = %v, %v, want %s", name, s, err, tt.code)
		}
	}
	if runtime.GOOS != "windows" {
		os.Chmod(good, 0o644)
	}
	s, findings, err := New(Options{Listen: ":0", TokenFile: good, Metrics: ":0"})
	if err != nil {
		t.Fatal(err)
	}
	s.listener.Close()
	s.metrics.Close()
	var codes []string
	for _, f := range findings {
		codes = append(codes, f.Code)
	}
	if got := strings.Join(codes, " "); got != "reflector.tokens.readable reflector.plain" && runtime.GOOS != "windows" {
		t.Errorf("findings %q", got)
	}
	if !strings.HasPrefix(s.MetricsAddr(), "127.0.0.1:") {
		t.Errorf("metrics are served on %s", s.MetricsAddr())
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	b := serve(t, server(t, echo), func(o *Options, _ *limits) { o.Metrics = ":0" })
	c := b.client()
	conn, err := c.Dial(limited(t), 8888)
	if err != nil {
		t.Fatal(err)
	}
	conn.Write([]byte("hello"))
	conn.Read(make([]byte, 5))
	conn.Close()
	b.ask(site, "GET /v1/whoami?x HTTP/1.1\r\nHost: r\r\n\r\n")
	b.ask(site, "GET /\"}1 HTTP/1.1\r\nHost: r\r\n\r\n")
	eventually(t, "the pipe has ended", func() bool { return strings.Contains(b.metricsText(), `bytes_total{direction="up"} 5`) })
	front := &bench{T: t, Server: &Server{listener: b.metrics}, from: b.from}
	a := front.ask("", "GET /metrics HTTP/1.1\r\nHost: r\r\n\r\n")
	if a.status != 200 || !strings.HasPrefix(a.header.Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Errorf("/metrics: %+v", a)
	}
	form := regexp.MustCompile(`^(# (HELP|TYPE) onsite_reflector_[a-z_]+ .+|onsite_reflector_[a-z_]+(\{[a-z]+="[a-zA-Z0-9._-]*"(,[a-z]+="[a-zA-Z0-9._-]*")*\})? [0-9.e+-]+)$`)
	for line := range strings.Lines(a.body) {
		if !form.MatchString(strings.TrimSuffix(line, "\n")) {
			t.Errorf("a line of /metrics: %q", line)
		}
	}
	for _, want := range []string{
		`requests_total{path="whoami",result="request"} 1`, `requests_total{path="other",result="path"} 1`, `requests_total{path="pipe",result="ok"} 1`,
		`sessions_total{operator="anna"} 1`, `pipes_total{outcome="connected"} 1`, `pipes_total{outcome="timeout"} 0`, `bytes_total{direction="down"} 5`,
		"dial_seconds_count 1", "sessions_open 1", "pipes_open 0",
	} {
		if !strings.Contains(a.body, "onsite_reflector_"+want+"\n") {
			t.Errorf("/metrics lacks %s:\n%s", want, a.body)
		}
	}
	for _, request := range []string{"GET / HTTP/1.1\r\nHost: r\r\n\r\n", "POST /metrics HTTP/1.1\r\nHost: r\r\nContent-Length: 0\r\n\r\n", "GET /metrics HTTP/1.1\r\nHost: r\r\nOrigin: x\r\n\r\n"} {
		if a := front.ask("", request); a.status != 404 {
			t.Errorf("%q: %+v", request, a)
		}
	}
	if a := b.ask(site, "GET /metrics HTTP/1.1\r\nHost: r\r\n\r\n"); a.status != 404 {
		t.Errorf("numbers are shown to everybody: %+v", a)
	}
}
