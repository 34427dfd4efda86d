package csr

import (
	"crypto"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"onsite/report"
)

// summary writes findings as "status code" lines, which is what tests compare.
func summary(findings []report.Finding) []string {
	list := make([]string, len(findings))
	for i, f := range findings {
		list[i] = string(f.Status) + " " + f.Code
	}
	return list
}

func TestPrepareFindings(t *testing.T) {
	t.Parallel()
	label63 := strings.Repeat("a", 63)
	name64 := strings.Repeat("b", 48) + ".acme.com.au.com" // 64 characters
	tests := []struct {
		name   string
		spec   Spec
		want   []string // summary
		remedy string   // part of the first finding's remedy
	}{
		{name: "good", spec: Spec{Subject: Subject{CommonName: "portal.acme.com"}}},
		{name: "everything good", spec: Spec{Subject: Subject{
			Country: "AU", State: "NSW", Locality: "Newcastle",
			Organization: "Acme Bakery Pty Ltd", CommonName: "portal.acme.com.au", Email: "it@acme.com.au",
		}}},

		{name: "no name", spec: Spec{}, want: []string{"fail csr.name.missing"}},
		{name: "blank name", spec: Spec{Subject: Subject{CommonName: " \t"}}, want: []string{"fail csr.name.missing"}},
		{
			name: "address bar", spec: Spec{Subject: Subject{CommonName: "https://portal.acme.com:4444/login?x=1"}},
			want: []string{"fail csr.name.syntax"}, remedy: "did you mean portal.acme.com?",
		},
		{
			name: "port", spec: Spec{Subject: Subject{CommonName: "portal.acme.com:4444"}},
			want: []string{"fail csr.name.syntax"}, remedy: "did you mean portal.acme.com?",
		},
		{
			name: "path", spec: Spec{Subject: Subject{CommonName: "portal.acme.com/"}},
			want: []string{"fail csr.name.syntax"}, remedy: "did you mean portal.acme.com?",
		},
		{
			name: "address with port", spec: Spec{Subject: Subject{CommonName: "[2001:db8::1]:4444"}},
			want: []string{"fail csr.name.syntax"}, remedy: "did you mean 2001:db8::1?",
		},
		{name: "e-mail as name", spec: Spec{Subject: Subject{CommonName: "it@acme.com"}}, want: []string{"fail csr.name.syntax"}, remedy: "did you mean acme.com?"},
		{name: "spaces", spec: Spec{Subject: Subject{CommonName: "Acme Bakery"}}, want: []string{"fail csr.name.syntax"}, remedy: "give a host name"},
		{name: "underscore", spec: Spec{Subject: Subject{CommonName: "front_door.acme.com"}}, want: []string{"fail csr.name.syntax"}},
		{name: "hyphen first", spec: Spec{Subject: Subject{CommonName: "-portal.acme.com"}}, want: []string{"fail csr.name.syntax"}},
		{name: "hyphen last", spec: Spec{Subject: Subject{CommonName: "portal-.acme.com"}}, want: []string{"fail csr.name.syntax"}},
		{name: "two dots", spec: Spec{Subject: Subject{CommonName: "portal..acme.com"}}, want: []string{"fail csr.name.syntax"}},
		{name: "dot first", spec: Spec{Subject: Subject{CommonName: ".acme.com"}}, want: []string{"fail csr.name.syntax"}},
		{name: "dot alone", spec: Spec{Subject: Subject{CommonName: "."}}, want: []string{"fail csr.name.syntax"}},
		{name: "number at the top", spec: Spec{Subject: Subject{CommonName: "192.168.1"}}, want: []string{"fail csr.name.syntax"}},
		{name: "address out of range", spec: Spec{Subject: Subject{CommonName: "192.168.1.256"}}, want: []string{"fail csr.name.syntax"}},
		{
			name: "control character", spec: Spec{Subject: Subject{CommonName: "por\x00tal.acme.com"}},
			want: []string{"fail csr.name.syntax", "fail csr.field.characters"},
		},
		{
			name: "not UTF-8", spec: Spec{Subject: Subject{CommonName: "por\xfftal.acme.com"}},
			want: []string{"fail csr.name.syntax", "fail csr.field.characters"},
		},
		{name: "label of 63", spec: Spec{Subject: Subject{CommonName: "acme.com"}, SANs: []string{label63 + ".acme.com"}}},
		{name: "label of 64", spec: Spec{Subject: Subject{CommonName: "acme.com"}, SANs: []string{label63 + "a.acme.com"}}, want: []string{"fail csr.name.syntax"}},
		{name: "name of 64", spec: Spec{Subject: Subject{CommonName: name64}}},
		{name: "name of 65", spec: Spec{Subject: Subject{CommonName: "b" + name64}}, want: []string{"fail csr.name.too-long"}, remedy: "--san"},
		{name: "name of 254", spec: Spec{Subject: Subject{CommonName: "acme.com"}, SANs: []string{strings.Repeat("abcd.", 50) + "com"}}},
		{name: "name of 255", spec: Spec{Subject: Subject{CommonName: "acme.com"}, SANs: []string{strings.Repeat("abcd.", 50) + "co.uk"}}, want: []string{"fail csr.name.syntax"}},

		{name: "umlaut", spec: Spec{Subject: Subject{CommonName: "bäckerei.acme.com"}}, want: []string{"pass csr.name.idn"}},
		{name: "umlaut in a wildcard", spec: Spec{Subject: Subject{CommonName: "*.bäckerei.com"}}, want: []string{"pass csr.name.idn", "warn csr.wildcard.scope"}},

		{name: "wildcard", spec: Spec{Subject: Subject{CommonName: "*.acme.com"}}, want: []string{"warn csr.wildcard.scope"}, remedy: "--with-apex"},
		{name: "wildcard with its apex", spec: Spec{Subject: Subject{CommonName: "*.acme.com"}, WithApex: true}, want: []string{"pass csr.wildcard.scope"}},
		{
			name: "wildcards with their apexes", spec: Spec{Subject: Subject{CommonName: "*.acme.com"}, SANs: []string{"*.acme.net"}, WithApex: true},
			want: []string{"pass csr.wildcard.scope", "pass csr.wildcard.scope"},
		},
		{name: "apex without a wildcard", spec: Spec{Subject: Subject{CommonName: "portal.acme.com"}, WithApex: true}},
		{name: "star alone", spec: Spec{Subject: Subject{CommonName: "*"}}, want: []string{"fail csr.name.syntax"}},
		{name: "star and dot", spec: Spec{Subject: Subject{CommonName: "*."}}, want: []string{"fail csr.name.syntax"}},
		{name: "two stars", spec: Spec{Subject: Subject{CommonName: "*.*.acme.com"}}, want: []string{"fail csr.name.syntax"}},
		{name: "star in a label", spec: Spec{Subject: Subject{CommonName: "portal*.acme.com"}}, want: []string{"fail csr.name.syntax"}},
		{name: "star in the middle", spec: Spec{Subject: Subject{CommonName: "a.*.acme.com"}}, want: []string{"fail csr.name.syntax"}},
		{name: "star over a top-level domain", spec: Spec{Subject: Subject{CommonName: "*.com"}}, want: []string{"fail csr.wildcard.suffix"}, remedy: "*.acme.com"},
		{name: "star over a public suffix", spec: Spec{Subject: Subject{CommonName: "*.com.au"}}, want: []string{"fail csr.wildcard.suffix"}},

		{name: "internal name", spec: Spec{Subject: Subject{CommonName: "server.local"}}, want: []string{"warn csr.name.internal"}},
		{name: "single label", spec: Spec{Subject: Subject{CommonName: "localhost"}}, want: []string{"warn csr.name.internal"}},
		{name: "reserved for documents", spec: Spec{Subject: Subject{CommonName: "portal.acme.example"}}, want: []string{"warn csr.name.internal"}},
		{name: "private address", spec: Spec{Subject: Subject{CommonName: "192.168.1.10"}}, want: []string{"warn csr.name.internal"}},
		{
			name: "loopback", spec: Spec{Subject: Subject{CommonName: "acme.com"}, SANs: []string{"127.0.0.1", "::1"}},
			want: []string{"warn csr.name.internal", "warn csr.name.internal"},
		},
		{
			name: "link-local and unspecified", spec: Spec{Subject: Subject{CommonName: "acme.com"}, SANs: []string{"169.254.1.1", "0.0.0.0"}},
			want: []string{"warn csr.name.internal", "warn csr.name.internal"},
		},
		{name: "public address", spec: Spec{Subject: Subject{CommonName: "203.0.113.10"}}},
		{name: "public IPv6 address", spec: Spec{Subject: Subject{CommonName: "[2001:db8::1]"}}},

		{
			name: "wrong alternative names", spec: Spec{Subject: Subject{CommonName: "acme.com"}, SANs: []string{
				"IP:portal.acme.com", "IP:fe80::1%eth0", "email:nobody", "it@", "URI:portal", "https://", "URI:https://acme.com/ü", "DNS:a b",
			}},
			want: append(slices.Repeat([]string{"fail csr.san.syntax"}, 7), "fail csr.name.syntax"),
		},
		{name: "good alternative names", spec: Spec{Subject: Subject{CommonName: "acme.com"}, SANs: []string{
			"dns:portal.acme.com", "ip:203.0.113.10", "EMAIL:it@acme.com", "https://acme.com/x", " ", "",
		}}},

		{name: "country UK", spec: Spec{Subject: Subject{CommonName: "acme.com", Country: "UK"}}, want: []string{"fail csr.country.unknown"}, remedy: "--country GB"},
		{name: "country AUS", spec: Spec{Subject: Subject{CommonName: "acme.com", Country: "AUS"}}, want: []string{"fail csr.country.unknown"}, remedy: "--country AU"},
		{name: "country by name", spec: Spec{Subject: Subject{CommonName: "acme.com", Country: "New Zealand"}}, want: []string{"fail csr.country.unknown"}, remedy: "--country NZ"},
		{name: "country xx", spec: Spec{Subject: Subject{CommonName: "acme.com", Country: "xx"}}, want: []string{"fail csr.country.unknown"}, remedy: "two letters"},
		{name: "two countries", spec: Spec{Subject: Subject{CommonName: "acme.com", Country: "AU NZ"}}, want: []string{"fail csr.country.unknown"}},
		{name: "country in small letters", spec: Spec{Subject: Subject{CommonName: "acme.com", Country: " au "}}},

		{name: "unit", spec: Spec{Subject: Subject{CommonName: "acme.com", Unit: "IT"}}, want: []string{"warn csr.unit.dropped"}},
		{name: "organization without a place", spec: Spec{Subject: Subject{CommonName: "acme.com", Organization: "Acme"}}, want: []string{"warn csr.subject.incomplete"}},
		{name: "organization without a state", spec: Spec{Subject: Subject{CommonName: "acme.com", Organization: "Acme", Country: "AU"}}, want: []string{"warn csr.subject.incomplete"}},
		{name: "placeholder", spec: Spec{Subject: Subject{CommonName: "acme.com", State: "Some-State"}}, want: []string{"warn csr.field.placeholder"}, remedy: "--state"},
		{name: "organization of 64", spec: Spec{Subject: Subject{CommonName: "acme.com", Country: "AU", State: "NSW", Organization: strings.Repeat("ž", 64)}}},
		{name: "organization of 65", spec: Spec{Subject: Subject{CommonName: "acme.com", Country: "AU", State: "NSW", Organization: strings.Repeat("ž", 65)}}, want: []string{"fail csr.field.too-long"}},
		{name: "state of 129", spec: Spec{Subject: Subject{CommonName: "acme.com", State: strings.Repeat("a", 129)}}, want: []string{"fail csr.field.too-long"}},
		{name: "line break", spec: Spec{Subject: Subject{CommonName: "acme.com", Locality: "New\ncastle"}}, want: []string{"fail csr.field.characters"}},
		{name: "Latin-1 bytes", spec: Spec{Subject: Subject{CommonName: "acme.com", Locality: "Schl\xe4gl"}}, want: []string{"fail csr.field.characters"}},
		{name: "e-mail", spec: Spec{Subject: Subject{CommonName: "acme.com", Email: "Jo <jo@acme.com>"}}, want: []string{"fail csr.email.syntax"}},
		{name: "e-mail beyond ASCII", spec: Spec{Subject: Subject{CommonName: "acme.com", Email: "jože@acme.com"}}, want: []string{"fail csr.email.syntax"}},

		{name: "challenge password", spec: Spec{Subject: Subject{CommonName: "acme.com"}, ChallengePassword: "not-a-secret"}, want: []string{"warn csr.challenge.visible"}},
		{
			name: "challenge password too long", spec: Spec{Subject: Subject{CommonName: "acme.com"}, ChallengePassword: strings.Repeat("x", 256)},
			want: []string{"fail csr.field.too-long", "warn csr.challenge.visible"},
		},
		{name: "unstructured name", spec: Spec{Subject: Subject{CommonName: "acme.com"}, UnstructuredName: new("a\tb")}, want: []string{"fail csr.field.characters"}},

		{
			name: "everything wrong at once", spec: Spec{Subject: Subject{Country: "UK", Email: "x", CommonName: "a b"}},
			want: []string{"fail csr.country.unknown", "fail csr.email.syntax", "fail csr.name.syntax"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, findings := Prepare(tt.spec)
			if got := summary(findings); !slices.Equal(got, tt.want) {
				t.Errorf("Prepare(%+v) finds %q, want %q", tt.spec, findings, tt.want)
			}
			if (r == nil) != report.Failed(findings) {
				t.Errorf("Prepare(%+v) = %+v with %q", tt.spec, r, findings)
			}
			if tt.remedy != "" && (len(findings) == 0 || !strings.Contains(findings[0].Remedy, tt.remedy)) {
				t.Errorf("Prepare(%+v) finds %q, want a remedy with %q", tt.spec, findings, tt.remedy)
			}
			checkFindings(t, findings)
		})
	}
}

// checkFindings holds findings to the form that all have: every code has its
// page, and detail and remedy go on after a colon and an arrow.
func checkFindings(t *testing.T, findings []report.Finding) {
	t.Helper()
	for _, f := range findings {
		if _, ok := report.Explain(f.Code); !ok {
			t.Errorf("the code %s has no page", f.Code)
		}
		for _, text := range []string{f.Detail, f.Remedy} {
			if strings.HasSuffix(text, ".") || (text != "" && text[0] >= 'A' && text[0] <= 'Z' && text[1] >= 'a' && text[1] <= 'z') {
				t.Errorf("%s: %q begins with a capital or ends with a full stop", f.Code, text)
			}
		}
		if (f.Status == report.StatusFail || f.Status == report.StatusWarn || f.Status == report.StatusUnknown) && f.Remedy == "" {
			t.Errorf("%s: %s has no remedy", f.Code, f.Status)
		}
	}
}

func TestPrepareRequest(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		spec Spec
		want Request
	}{
		{"tidied", Spec{
			Subject: Subject{Country: " au", State: " NSW ", CommonName: " Portal.ACME.com. "},
			SANs:    []string{"b.acme.com", "portal.acme.com", "DNS:B.acme.com", "[2001:DB8:0::1]", "it@acme.com", "https://acme.com/", "2001:db8::1"},
		}, Request{
			Subject: Subject{Country: "AU", State: "NSW", CommonName: "portal.acme.com"},
			SANs: []SAN{
				{SANDNS, "portal.acme.com"},
				{SANDNS, "b.acme.com"},
				{SANIP, "2001:db8::1"},
				{SANEmail, "it@acme.com"},
				{SANURI, "https://acme.com/"},
			},
			UnstructuredName: "portal.acme.com", Hash: crypto.SHA256,
		}},
		{"apex behind its wildcard", Spec{
			Subject: Subject{CommonName: "*.acme.com"}, SANs: []string{"portal.acme.net"}, WithApex: true, Hash: crypto.SHA384,
		}, Request{
			Subject: Subject{CommonName: "*.acme.com"}, UnstructuredName: "*.acme.com", Hash: crypto.SHA384,
			SANs: []SAN{{SANDNS, "*.acme.com"}, {SANDNS, "acme.com"}, {SANDNS, "portal.acme.net"}},
		}},
		{"A-labels", Spec{Subject: Subject{CommonName: "Bäckerei.acme.com"}, UnstructuredName: new("")}, Request{
			Subject: Subject{CommonName: "xn--bckerei-5wa.acme.com"}, Hash: crypto.SHA256,
			SANs: []SAN{{SANDNS, "xn--bckerei-5wa.acme.com"}},
		}},
		{"address", Spec{Subject: Subject{CommonName: "[2001:db8::1]"}, UnstructuredName: new(" clock "), ChallengePassword: " kept as typed "}, Request{
			Subject: Subject{CommonName: "2001:db8::1"}, Hash: crypto.SHA256,
			SANs: []SAN{{SANIP, "2001:db8::1"}}, UnstructuredName: "clock", ChallengePassword: " kept as typed ",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, findings := Prepare(tt.spec)
			if got == nil || !reflect.DeepEqual(*got, tt.want) {
				t.Errorf("Prepare(%+v) = %+v, want %+v (%q)", tt.spec, got, tt.want, findings)
			}
		})
	}
}

func TestCountries(t *testing.T) {
	t.Parallel()
	all := strings.Fields(countries)
	if len(all) != 249 || !slices.IsSorted(all) || len(slices.Compact(slices.Clone(all))) != 249 {
		t.Errorf("there are %d countries, want the 249 of ISO 3166-1, sorted, each once", len(all))
	}
	for wrong, right := range mistaken {
		if isCountry(wrong) || !isCountry(right) {
			t.Errorf("mistaken[%q] = %q: the first must be no country, the second one", wrong, right)
		}
	}
}

func TestStem(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"portal.acme.com": "portal.acme.com",
		"*.acme.com":      "wildcard.acme.com",
		"2001:db8::1":     "2001_db8__1",
		`..\a/b c`:        ".._a_b_c",
		"ž":               "_",
		"con.com":         "_con.com",
		"COM1":            "_COM1",
		"console.com":     "console.com",
		"com.example.com": "com.example.com",
	} {
		if got := Stem(name); got != want {
			t.Errorf("Stem(%q) = %q, want %q", name, got, want)
		}
	}
}

func ExamplePrepare() {
	request, findings := Prepare(Spec{Subject: Subject{Country: "UK", CommonName: "https://portal.acme.com"}})
	fmt.Println(request == nil)
	for _, f := range findings {
		fmt.Printf("%s %s: %s; %s\n", f.Status, f.Code, f.Detail, f.Remedy)
	}
	// Output:
	// true
	// fail csr.country.unknown: "UK" is not a country code of ISO 3166-1; did you mean --country GB?
	// fail csr.name.syntax: this is more than a host name; did you mean portal.acme.com?
}
