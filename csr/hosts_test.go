package csr

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"onsite/report"
)

// row summarises a host: line, name, alternative names, organization, key.
func (h Host) summary() string {
	r := h.Request
	names := make([]string, len(r.SANs))
	for i, s := range r.SANs {
		names[i] = s.Value
	}
	return fmt.Sprintf("%d %s [%s] %s %s %s", h.Line, r.Subject.CommonName, strings.Join(names, " "), r.Subject.Country, r.Subject.Organization, h.Key)
}

func TestReadHosts(t *testing.T) {
	t.Parallel()
	a, b := "2 a.acme.com [a.acme.com] AU Acme rsa:2048", "3 b.acme.com [b.acme.com] NZ Other ec:p256"
	tests := []struct {
		name, text string
		want       []string
	}{
		{"commas", "cn,country,organization,key\na.acme.com,,,\nb.acme.com,NZ,Other,ec:p256\n", []string{a, b}},
		{"semicolons", "cn;country;organization;key\na.acme.com;;;\nb.acme.com;NZ;Other;ec:p256\n", []string{a, b}},
		{"tabs", "cn\tcountry\torganization\tkey\na.acme.com\t\t\t\nb.acme.com\tNZ\tOther\tec:p256\n", []string{a, b}},
		{"CRLF", "cn,country,organization,key\r\na.acme.com,,,\r\nb.acme.com,NZ,Other,ec:p256\r\n", []string{a, b}},
		{"no line end", "cn,country,organization,key\na.acme.com,,,\nb.acme.com,NZ,Other,ec:p256", []string{a, b}},
		{"byte-order mark", "\ufeffcn,country,organization,key\na.acme.com,,,\nb.acme.com,NZ,Other,ec:p256\n", []string{a, b}},
		{"UTF-16", utf16("cn,country,organization,key\r\na.acme.com,,,\r\nb.acme.com,NZ,Other,ec:p256\r\n"), []string{a, b}},
		{"other words, capitals, order", "Organisation,Key-Type,--C,Host Name\n,,,a.acme.com\nOther,EC:P256,nz,b.acme.com\n", []string{a, b}},
		{"spaces", " cn , country \n a.acme.com ,\u00a0\n", []string{a}},
		{"emptied columns", "cn,country,,\na.acme.com,,,\n", []string{a}},
		{"short row", "cn,country,key\na.acme.com\n", []string{a}},
		{"comments and empty lines", "# hosts;of;acme\n\ncn\n# \"one\n,,\na.acme.com\n", []string{"6 a.acme.com [a.acme.com] AU Acme rsa:2048"}},
		{"sep=", "sep=;\ncn;san\na.acme.com;b.acme.com,c.acme.com\n", []string{"3 a.acme.com [a.acme.com b.acme.com c.acme.com] AU Acme rsa:2048"}},
		{"names", "cn,san\na.acme.com,b.acme.com DNS:c.acme.com;192.0.2.7\n", []string{"2 a.acme.com [a.acme.com b.acme.com c.acme.com 192.0.2.7] AU Acme rsa:2048"}},
		{"quoted", "cn,organization\na.acme.com,\"Acme, \"\"Best\"\"\nPty\"\nb.acme.com,x\n", nil},
		{"quotes in quotes", "cn,organization\na.acme.com,\"Acme, \"\"Best\"\"\"\n", []string{"2 a.acme.com [a.acme.com] AU Acme, \"Best\" rsa:2048"}},
		{"apex", "cn,with-apex\n*.acme.com,yes\n*.acme.net,no\n", []string{"2 *.acme.com [*.acme.com acme.com] AU Acme rsa:2048", "3 *.acme.net [*.acme.net] AU Acme rsa:2048"}},
		{"one a line", "a.acme.com\nb.acme.com\n", []string{"1 a.acme.com [a.acme.com] AU Acme rsa:2048", "2 b.acme.com [b.acme.com] AU Acme rsa:2048"}},
		{"one a line with a heading", "Host\na.acme.com\n", []string{a}},
		{"international", "cn\nbücher.acme.com\n", []string{"2 xn--bcher-kva.acme.com [xn--bcher-kva.acme.com] AU Acme rsa:2048"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			hosts, findings, err := ReadHosts([]byte(tt.text), HostsOptions{File: "hosts.csv", Defaults: Spec{Subject: Subject{Country: "AU", Organization: "Acme", CommonName: "not used"}}})
			var got []string
			for _, h := range hosts {
				got = append(got, h.summary())
			}
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("ReadHosts(%q) = %q, %v, %v, want %q", tt.text, got, findings, err, tt.want)
			}
		})
	}
}

// utf16 is text as PowerShell writes it.
func utf16(s string) string {
	out := "\xff\xfe"
	for _, r := range s {
		out += string([]byte{byte(r), byte(r >> 8)})
	}
	return out
}

func TestReadHostsBadRows(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text string
		want       []string // status, code, subject: detail
	}{
		{"names of all rows", "cn\nportal_x.acme.com\nb.acme.com\nhttps://c.acme.com/\n", []string{
			"fail csr.name.syntax hosts.csv line 2: portal_x.acme.com: host names have no underscore, and public authorities refuse it",
			"fail csr.name.syntax hosts.csv line 4: https://c.acme.com/: this is more than a host name",
		}},
		{"a value", "cn,country\na.acme.com,UK\n", []string{"fail csr.country.unknown hosts.csv line 2: a.acme.com: country: \"UK\" is not a country code of ISO 3166-1"}},
		{"the same in several rows", "cn,country\na.acme.com,UK\nb.acme.com,UK\nc.acme.com,AU\nd.acme.com,UK\n", []string{
			"fail csr.country.unknown hosts.csv lines 2-3, 5: country: \"UK\" is not a country code of ISO 3166-1",
		}},
		{"the same remark", "cn,unit\na.acme.com,IT\nb.acme.com,HR\n", []string{
			"warn csr.unit.dropped hosts.csv lines 2-3: OU=IT, ...: public authorities leave the organizational unit out of certificates since September 2022",
		}},
		{"no name", "cn,country\n,AU\n", []string{"fail csr.name.missing hosts.csv line 2: common name: there is none"}},
		{"twice", "cn\na.acme.com\nb.acme.com\nA.acme.com\n", []string{"fail hosts.row.duplicate hosts.csv line 4: A.acme.com: line 2 has the same file name, a.acme.com"}},
		{"same file", "cn\n*.acme.com\nwildcard.acme.com\n", []string{
			"warn csr.wildcard.scope hosts.csv line 2: *.acme.com: covers portal.acme.com, but neither acme.com itself nor a.portal.acme.com: a star stands for one label",
			"fail hosts.row.duplicate hosts.csv line 3: wildcard.acme.com: line 2 has the same file name, wildcard.acme.com",
		}},
		{"a comma too many", "cn,organization\na.acme.com,Acme, Inc\n", []string{"fail hosts.row.syntax hosts.csv line 2: a.acme.com: there are 3 values, but the first row names 2 columns"}},
		{"a column without a name", "cn,,country\na.acme.com,x,AU\n", []string{"fail hosts.row.syntax hosts.csv line 2: a.acme.com: value 2 stands in a column without a name"}},
		{"columns in a plain list", "a.acme.com\nb.acme.com,AU\n", []string{"fail hosts.row.syntax hosts.csv line 2: b.acme.com: there are 2 values, but the first row names no columns, so one host name a line is expected"}},
		{"quotes", "cn,organization\na.acme.com,Acme \"Best\" Pty\nb_b.acme.com,\"x\n", []string{
			"fail hosts.row.syntax hosts.csv lines 2-3: the double quotes are not in pairs",
		}},
		{"quotes in the first row", "cn,\"organization\na.acme.com,Acme\n", []string{"fail hosts.row.syntax hosts.csv line 1: the double quotes are not in pairs"}},
		{"key and apex", "cn,key,with-apex\na.acme.com,rsa:1024,perhaps\n", []string{
			`fail hosts.row.value hosts.csv line 2: a.acme.com: key: "rsa:1024" is not a kind of key: use one of rsa:2048, rsa:3072, rsa:4096, ec:p256, ec:p384, ed25519`,
			`fail hosts.row.value hosts.csv line 2: a.acme.com: with-apex: "perhaps" is neither yes nor no`,
		}},
		{"Windows-1252", "cn,locality\na.acme.com,K\xf6ln\n", []string{"fail csr.field.characters hosts.csv line 2: a.acme.com: locality: it holds control characters or bytes that are not UTF-8"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			hosts, findings, err := ReadHosts([]byte(tt.text), HostsOptions{File: "hosts.csv"})
			var got []string
			for _, f := range findings {
				got = append(got, fmt.Sprintf("%s %s %s: %s", f.Status, f.Code, f.Subject, f.Detail))
			}
			if err != nil || !slices.Equal(got, tt.want) || report.Failed(findings) && hosts != nil {
				t.Errorf("ReadHosts(%q) = %v, %v\n%s\nwant\n%s", tt.text, hosts, err, strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
			}
			checkFindings(t, findings)
		})
	}
}

func TestReadHostsErrors(t *testing.T) {
	t.Parallel()
	many := "cn\n" + strings.Repeat("#\n", 5)
	for i := range maxHosts + 1 {
		many += fmt.Sprintf("h%d.acme.com\n", i)
	}
	tests := []struct{ name, text, code, message, remedy string }{
		{"misspelt", "cn,contry\na.acme.com,AU\n", "hosts.column", `hosts.csv: there is no column "contry"`, "did you mean country?"},
		{"unknown", "cn,password\na.acme.com,x\n", "hosts.column", `hosts.csv: there is no column "password"`, "the columns are cn, san, with-apex, country"},
		{"twice", "cn,name\na.acme.com,x\n", "hosts.column", `hosts.csv: the columns "cn" and "name" are the same`, "leave one"},
		{"no names", "country,state\nAU,NSW\n", "hosts.column", "hosts.csv: no column has the host names", "name the column"},
		{"no first row", "a.acme.com,AU\n", "hosts.column", "hosts.csv: the first row does not name the columns", "put a first row there"},
		{"empty", "", "file.empty", "hosts.csv names no host", "write one host"},
		{"only a first row", "cn,san\n# none yet\n;;\n", "file.empty", "hosts.csv names no host", "write one host"},
		{"workbook", "PK\x03\x04 and so on", "file.unknown", "hosts.csv: this is a workbook or an archive, not a CSV file", "save it as CSV"},
		{"UTF-16 without a mark", "c\x00n\x00\n\x00", "file.unknown", "hosts.csv: this is not a text file", "save the list"},
		{"a key", "-----BEGIN PRIVATE KEY-----\nMIGH\n", "file.unknown", "hosts.csv: this holds certificates, requests or keys, not a list of hosts", "name the CSV file"},
		{"large", strings.Repeat("a", MaxHostsSize+1), "file.too-large", "hosts.csv: a list of hosts may have 4 MiB, and this has more", "divide"},
		{"long", many, "file.too-large", "hosts.csv: there are more than 10000 hosts", "divide"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			hosts, _, err := ReadHosts([]byte(tt.text), HostsOptions{File: "hosts.csv"})
			if e := report.AsError(err); e == nil || hosts != nil || e.Code != tt.code || e.Message != tt.message || !strings.HasPrefix(e.Remedy, tt.remedy) || e.Kind != report.KindInput {
				t.Errorf("ReadHosts(%.40q) = %v, %+v, want %s: %s (%s)", tt.text, hosts, e, tt.code, tt.message, tt.remedy)
			}
		})
	}
}

func FuzzReadHosts(f *testing.F) {
	for _, s := range []string{
		"cn,country,organization,key\na.acme.com,AU,\"Acme, \"\"Best\"\"\",ec:p256\n", "sep=;\r\nname;san\r\na.acme.com;b.acme.com c.acme.com\r\n",
		"a.acme.com\nb.acme.com\n", "# none\n\ncn\tkey\n", utf16("cn,san\r\n*.acme.com,\r\n"), "cn,\"x\n", "cn,with-apex\n*.acme.com,y\nA.acme.com,1,2\n", "",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		hosts, findings, err := ReadHosts(data, HostsOptions{File: "hosts.csv"})
		if err != nil {
			if !slices.Contains([]string{"hosts.column", "file.unknown", "file.empty", "file.too-large"}, report.AsError(err).Code) {
				t.Errorf("ReadHosts(%q): %v", data, err)
			}
			return
		}
		if report.Failed(findings) != (hosts == nil) {
			t.Fatalf("ReadHosts(%q) = %v with %v", data, hosts, findings)
		}
		stems := map[string]bool{}
		for _, h := range hosts {
			stem := strings.ToLower(h.Request.Stem())
			if stems[stem] || stem == "" || h.Line < 1 || h.Line > 1+strings.Count(string(data), "\n") || h.Key.name == "" {
				t.Errorf("ReadHosts(%q): host %+v", data, h)
			}
			stems[stem] = true
		}
		for _, f := range findings {
			if !strings.HasPrefix(f.Subject, "hosts.csv line") || utf8.RuneCountInString(f.Subject) > 40+2*len(data)+100 {
				t.Errorf("ReadHosts(%q): finding %+v", data, f)
			}
		}
	})
}
