package ddns

import (
	"strings"
	"testing"

	"onsite/report"
)

func TestParseKey(t *testing.T) {
	t.Parallel()
	const s = testSecret
	want := Key{Name: "onsite-ddns.", Algorithm: "hmac-sha256.", secret: s}
	for name, text := range map[string]string{
		"tsig-keygen":         "key \"onsite-ddns\" {\n\talgorithm hmac-sha256;\n\tsecret \"" + s + "\";\n};\n",
		"final dot, one line": `key "onsite-ddns." { algorithm hmac-sha256; secret "` + s + `"; };`,
		"no quotation marks":  "key Onsite-DDNS {algorithm HMAC-SHA256; secret " + s + ";};",
		"other order":         `key "onsite-ddns" { secret "` + s + `"; algorithm "hmac-sha256"; };`,
		"no algorithm":        `key "onsite-ddns" { secret "` + s + `"; };`,
		"comments":            "# a key\n// for DDNS\n/* key \"no\" { */ key \"onsite-ddns\" { /* { */ algorithm hmac-sha256; # x }\n secret \"" + s + "\"; };",
		"others around":       `options { directory "/"; }; key "onsite-ddns" { algorithm hmac-sha256; secret "` + s + `"; }; zone "x" { type primary; };`,
		"Windows":             "\ufeffkey \"onsite-ddns\" {\r\n\talgorithm hmac-sha256;\r\n\tsecret \"" + s + "\";\r\n};\r\n",
		"three words":         "onsite-ddns hmac-sha256 " + s + "\n",
		"two words":           "onsite-ddns " + s,
		"nsupdate":            "hmac-sha256:onsite-ddns:" + s,
		"nsupdate, short":     "onsite-ddns:" + s,
	} {
		got, err := ParseKey(text, "")
		if err != nil || got != want {
			t.Errorf("%s: ParseKey = %v, %v, want %v", name, got, err, want)
		}
	}
	if k, err := ParseKey("a "+s, "hmac-sha512"); err != nil || k.Algorithm != "hmac-sha512." {
		t.Errorf("ParseKey with an algorithm = %v, %v", k, err)
	}
	for name, text := range map[string]string{
		"empty":           "",
		"comment alone":   "# x",
		"one word":        s,
		"not base64":      "onsite-ddns hmac-sha256 not-base64!",
		"empty secret":    `key "a" { algorithm hmac-sha256; secret ""; };`,
		"no secret":       `key "a" { algorithm hmac-sha256; };`,
		"md5":             "a hmac-md5 " + s,
		"unknown":         "a hmac-sha3 " + s,
		"two keys":        `key "a" { secret "` + s + `"; }; key "b" { secret "` + s + `"; };`,
		"no end":          `key "a" { secret "` + s + `";`,
		"no mark":         `key "a { secret`,
		"open comment":    "/* key",
		"too many words":  "a b c " + s,
		"braces only":     "{ } { }",
		"no name":         `key "" { secret "` + s + `"; };`,
		"name too long":   strings.Repeat("a", 64) + " " + s,
		"dots":            ". " + s,
		"too many tokens": strings.Repeat("{", 5000),
		"DNSSEC key":      "onsite-ddns. IN KEY 512 3 163 " + s,
	} {
		k, err := ParseKey(text, "")
		e := report.AsError(err)
		if e == nil || e.Code != "ddns.key.format" || e.Kind != report.KindInput || strings.Contains(e.Error()+e.Remedy, s) {
			t.Errorf("%s: ParseKey = %v, %v, want ddns.key.format without the secret", name, k, err)
		}
	}
}

func FuzzKey(f *testing.F) {
	for _, s := range []string{
		`key "onsite-ddns" { algorithm hmac-sha256; secret "` + testSecret + `"; };`, "a hmac-sha1 AAAA", "hmac-sha256:a:AAAA", "a:AAAA",
		"# x\n/* */ key a{secret AAAA;};", `key "`, "key key { key", "\ufeffa AAAA",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		k, err := ParseKey(text, "")
		if err != nil {
			return
		}
		if !strings.HasSuffix(k.Name, ".") || !strings.HasSuffix(k.Algorithm, ".") || k.secret == "" {
			t.Errorf("ParseKey(%q) = %+v", text, k)
		}
		again, err := ParseKey(`key "`+k.Name+`" { algorithm `+k.Algorithm+`; secret "`+k.secret+`"; };`, "")
		if err != nil || again != k {
			t.Errorf("ParseKey(%q) = %+v, and written again %+v, %v", text, k, again, err)
		}
		// What was read can be used.
		r := &RFC2136{Key: k}
		if a := r.judge(testName, "ns1", "acme.example", addrA, 1, "", nil); a.finding.Code == "" {
			t.Errorf("judge with %q = %+v", text, a)
		}
	})
}
