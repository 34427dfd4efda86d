package ca

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"onsite/report"
)

var revokedAt = today.Add(time.Hour)

var someLog = []Entry{
	{Serial: "3fa001", Names: []string{"portal.acme.example", "192.168.1.7"}, NotBefore: today, NotAfter: today.AddDate(1, 0, 0), SHA256: strings.Repeat("ab", 32)},
	{Serial: "01", Names: []string{"*.acme.example"}, NotBefore: today, NotAfter: today.AddDate(1, 0, 0), SHA256: strings.Repeat("cd", 32), RevokedAt: &revokedAt, Reason: "superseded"},
}

const someCSV = "serial,names,not_before,not_after,sha256,revoked_at,reason\r\n" +
	"3fa001,portal.acme.example 192.168.1.7,2026-11-21T23:18:59Z,2027-11-21T23:18:59Z,abababababababababababababababababababababababababababababababab,,\r\n" +
	"01,*.acme.example,2026-11-21T23:18:59Z,2027-11-21T23:18:59Z,cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd,2026-11-22T00:18:59Z,superseded\r\n"

func TestLog(t *testing.T) {
	t.Parallel()
	data, err := encodeLog(someLog)
	if err != nil || string(data) != someCSV {
		t.Errorf("encodeLog = %q, %v, want %q", data, err, someCSV)
	}
	for name, text := range map[string]string{
		"as written": someCSV, "with line feeds": strings.ReplaceAll(someCSV, "\r\n", "\n"), "with a byte-order mark": "\ufeff" + someCSV,
		"without the last line end": strings.TrimSuffix(someCSV, "\r\n"), "with an empty line": someCSV + "\r\n",
	} {
		if got, err := decodeLog([]byte(text)); err != nil || !reflect.DeepEqual(got, someLog) {
			t.Errorf("decodeLog %s = %+v, %v, want %+v", name, got, err, someLog)
		}
	}
}

func TestLogDamaged(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ old, new, mentions string }{
		{someCSV, "", "it is empty"},
		{"serial,", "number,", "its first line"},
		{",sha256,", ",sha256;", "number of fields"},
		{"3fa001", "3FA001", `line 2: "3FA001" is no serial`},
		{"3fa001", "3.00E+12", "is no serial"},
		{"3fa001", "", "is no serial"},
		{"\r\n01,", "\r\n3fa001,", "line 3: the serial number 3fa001 was there before"},
		{"abab", "abax", "is no SHA-256"},
		{"abab", "ab", "is no SHA-256"},
		{"abab", "ABAB", "is no SHA-256"},
		{"2027-11-21T23:18:59Z", "21/11/2027", `"21/11/2027" is no time`},
		{"2027-11-21T23:18:59Z", "9999-12-31T23:59:59-01:00", "is no time"},
		{",superseded", ",boredom", `"boredom" is no reason`},
		{",superseded", ",", `"" is no reason`},
		{"2026-11-22T00:18:59Z", "", `"" is no time`},
		{"superseded", `"superseded`, "quote"},
	} {
		_, err := decodeLog([]byte(strings.Replace(someCSV, tt.old, tt.new, 1)))
		if !report.HasCode(err, "ca.log.damaged") || !strings.Contains(err.Error(), tt.mentions) {
			t.Errorf("with %q for %q: %v, want ca.log.damaged and %q", tt.new, tt.old, err, tt.mentions)
		}
	}
}

// FuzzLog: what decodes encodes into something that decodes equal.
func FuzzLog(f *testing.F) {
	f.Add([]byte(someCSV))
	f.Add([]byte("\ufeff" + strings.ReplaceAll(someCSV, "\r\n", "\n")))
	f.Add([]byte(strings.Join(columns, ",") + "\n"))
	f.Add([]byte(strings.Replace(someCSV, "portal.acme.example ", "\"a\"\"b\n\" ", 1)))
	f.Fuzz(func(t *testing.T, data []byte) {
		log, err := decodeLog(data)
		if err != nil {
			if !report.HasCode(err, "ca.log.damaged") {
				t.Errorf("decodeLog = %v, want ca.log.damaged", err)
			}
			return
		}
		once, err := encodeLog(log)
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodeLog(once)
		if err != nil {
			t.Fatalf("decodeLog of what encodeLog wrote: %v\n%q", err, once)
		}
		twice, err := encodeLog(again)
		if err != nil || !bytes.Equal(once, twice) || !reflect.DeepEqual(log, again) {
			t.Errorf("the log changes: %q, then %q, %v", once, twice, err)
		}
	})
}
