package csr

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"onsite/report"
)

// The bounds of a hosts file.
const (
	MaxHostsSize = 4 << 20 // bytes
	maxHosts     = 10_000
)

// Host is one row of a hosts file.
type Host struct {
	File    string // as in HostsOptions
	Line    int    // where it stands in the file, from 1
	Key     KeySpec
	Request *Request
}

// HostsOptions are what a hosts file is read with. The zero value is a file
// whose rows say everything.
type HostsOptions struct {
	// File is how findings call it; "" means "hosts file".
	File string
	// Defaults are the values for what a row leaves empty. Their common name is
	// not used.
	Defaults Spec
	// Key is for rows that name none; its zero value means DefaultKey.
	Key KeySpec
}

// column is one that a hosts file may have: the name of the flag that gives the
// same value, and what people call it besides.
type column struct {
	name  string
	other []string
	set   func(*row, string) error
}

// row is one row on its way to a Host.
type row struct {
	spec Spec
	key  KeySpec
}

var columns = []column{
	{"cn", []string{"name", "common-name", "host", "host-name", "hostname", "fqdn"}, func(r *row, v string) error {
		r.spec.CommonName = v
		return nil
	}},
	{"san", []string{"sans", "names", "alternative-names", "subject-alternative-names"}, func(r *row, v string) error {
		r.spec.SANs = strings.FieldsFunc(v, func(c rune) bool { return strings.ContainsRune(" ;,\t\r\n\u00a0", c) })
		return nil
	}},
	{"with-apex", []string{"apex"}, func(r *row, v string) (err error) {
		r.spec.WithApex, err = yesNo(v)
		return err
	}},
	{"country", []string{"c"}, subjectField(func(s *Subject) *string { return &s.Country })},
	{"state", []string{"st", "province"}, subjectField(func(s *Subject) *string { return &s.State })},
	{"locality", []string{"l", "city", "town", "suburb"}, subjectField(func(s *Subject) *string { return &s.Locality })},
	{"organization", []string{"o", "organisation", "company"}, subjectField(func(s *Subject) *string { return &s.Organization })},
	{"unit", []string{"ou", "department", "organizational-unit"}, subjectField(func(s *Subject) *string { return &s.Unit })},
	{"email", []string{"e-mail", "emailaddress", "email-address"}, subjectField(func(s *Subject) *string { return &s.Email })},
	{"unstructured-name", []string{"unstructuredname"}, func(r *row, v string) error {
		r.spec.UnstructuredName = &v
		return nil
	}},
	{"key", []string{"key-type"}, func(r *row, v string) (err error) {
		r.key, err = ParseKeySpec(v)
		return err
	}},
}

func subjectField(field func(*Subject) *string) func(*row, string) error {
	return func(r *row, v string) error {
		*field(&r.spec.Subject) = v
		return nil
	}
}

func yesNo(v string) (bool, error) {
	switch strings.ToLower(v) {
	case "yes", "y", "true", "1", "x":
		return true, nil
	case "no", "n", "false", "0", "-":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither yes nor no", v)
}

// HostColumns lists the columns that a hosts file may have.
func HostColumns() []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
	}
	return names
}

// ReadHosts reads a list of hosts as a spreadsheet or an editor writes it, and
// judges every row with Prepare. The first row names the columns by the flags of
// csr new (HostColumns); a file without such a row has one host name a line.
// Separators are comma, semicolon or tab; empty lines, and lines that begin with
// "#", are passed over.
//
// When a finding is a fail, its row is wrong, and the hosts are nil: all rows
// are good or none is used. The subject of a finding names file, line and host.
// The error is about the file as a whole: a *report.Error of KindInput.
func ReadHosts(data []byte, o HostsOptions) ([]Host, []report.Finding, error) {
	if o.File == "" {
		o.File = "hosts file"
	}
	if o.Key.name == "" {
		o.Key = DefaultKey
	}
	text, err := hostsText(data)
	if err != nil {
		return nil, nil, report.InFile(o.File, err)
	}
	l := &hostList{HostsOptions: o, stems: map[string]int{}}
	if err := l.read(text); err != nil {
		return nil, nil, report.InFile(o.File, err)
	}
	if l.rows == 0 {
		return nil, nil, report.Errorf(report.KindInput, "file.empty", "write one host a line below the names of the columns", "%s names no host", o.File)
	}
	findings := l.findings.all(o.File)
	if report.Failed(findings) {
		return nil, findings, nil
	}
	return l.hosts, findings, nil
}

// hostsText refuses what is no list of hosts before any of it is repeated in a
// message: the file might hold a private key.
func hostsText(data []byte) ([]byte, error) {
	if len(data) > MaxHostsSize {
		return nil, report.Errorf(report.KindInput, "file.too-large", "divide it into several files",
			"a list of hosts may have %d MiB, and this has more", MaxHostsSize>>20)
	}
	if bytes.HasPrefix(data, []byte("PK\x03\x04")) || bytes.HasPrefix(data, []byte("\xd0\xcf\x11\xe0")) {
		return nil, report.Errorf(report.KindInput, "file.unknown", "save it as CSV (in Excel: Save As, CSV UTF-8) and name that file",
			"this is a workbook or an archive, not a CSV file")
	}
	text, _, err := transform.Bytes(unicode.BOMOverride(transform.Nop), data)
	if err != nil || bytes.IndexByte(text, 0) >= 0 {
		return nil, report.Errorf(report.KindInput, "file.unknown", "save the list as CSV in UTF-8", "this is not a text file")
	}
	if bytes.Contains(text, []byte("-----BEGIN ")) {
		return nil, report.Errorf(report.KindInput, "file.unknown", "name the CSV file with the hosts; for a request that is there, use onsite csr renew",
			"this holds certificates, requests or keys, not a list of hosts")
	}
	return text, nil
}

// hostList collects what a hosts file holds.
type hostList struct {
	HostsOptions
	header   []*column // nil: one host name a line
	rows     int       // good and bad ones
	hosts    []Host
	stems    map[string]int // the line of each file name so far
	findings rowFindings
}

func (l *hostList) read(text []byte) error {
	separator, body, skipped := separatorOf(text)
	r := csv.NewReader(bytes.NewReader(body))
	r.Comma, r.Comment, r.FieldsPerRecord = separator, '#', -1
	for first := true; ; {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if wrong, ok := errors.AsType[*csv.ParseError](err); ok {
			l.rows++
			l.findings.add(wrong.StartLine+skipped, "", report.Fail("hosts.row.syntax", "", "the double quotes are not in pairs",
				`put a value that holds a quote or the separator between double quotes, and write a quote in it twice: "a ""b"" c"`))
			if first {
				return nil // what the columns are is not known
			}
			continue
		}
		if err != nil {
			return err
		}
		line, _ := r.FieldPos(0)
		line += skipped
		for i, f := range fields {
			fields[i] = strings.TrimSpace(f)
		}
		if strings.HasPrefix(fields[0], "#") || strings.Trim(strings.Join(fields, ""), ",;") == "" {
			continue
		}
		if first {
			first = false
			is, err := l.readHeader(fields)
			if err != nil {
				return err
			}
			if is {
				continue
			}
		}
		if l.rows++; l.rows > maxHosts {
			return report.Errorf(report.KindInput, "file.too-large", "divide it into several files", "there are more than %d hosts", maxHosts)
		}
		l.row(line, fields)
	}
}

// separatorOf finds the separator: what a line "sep=;" at the top says, which is
// Excel's own, else what the first line of content has most of. It returns the
// text to be read, and how many lines it left out.
func separatorOf(text []byte) (separator rune, body []byte, skipped int) {
	separator = ','
	for line := range bytes.Lines(text) {
		content := strings.TrimSpace(string(line))
		if content == "" || content[0] == '#' {
			skipped++
			continue
		}
		if said, ok := strings.CutPrefix(strings.ToLower(strings.TrimRight(string(line), "\r\n")), "sep="); ok && len(said) == 1 && strings.ContainsAny(said, ",;\t|") {
			return rune(said[0]), textFrom(text, skipped+1), skipped + 1
		}
		most := 0
		for _, c := range ",;\t" {
			if n := strings.Count(outsideQuotes(content), string(c)); n > most {
				separator, most = c, n
			}
		}
		break
	}
	return separator, text, 0
}

// textFrom is the text without its first lines.
func textFrom(text []byte, lines int) []byte {
	for ; lines > 0; lines-- {
		_, text, _ = bytes.Cut(text, []byte("\n"))
	}
	return text
}

func outsideQuotes(s string) string {
	var b strings.Builder
	for i, part := range strings.Split(s, `"`) {
		if i%2 == 0 {
			b.WriteString(part)
		}
	}
	return b.String()
}

// readHeader takes the first row for the names of the columns, if it is that. A
// row of one field is a host, unless it is what that column is called.
func (l *hostList) readHeader(fields []string) (bool, error) {
	names := make([]string, len(fields))
	known := make([]*column, len(fields))
	for i, f := range fields {
		names[i] = columnName(f)
		known[i] = columnOf(names[i])
	}
	if len(fields) == 1 && (known[0] == nil || known[0].name != "cn") {
		return false, nil
	}
	if !slices.ContainsFunc(known, func(c *column) bool { return c != nil }) && strings.Contains(fields[0], ".") {
		return false, errColumn("put a first row there such as cn,san,country,organization", "the first row does not name the columns")
	}
	for i, c := range known {
		switch first := slices.Index(known, c); {
		case names[i] == "": // Excel keeps columns that were emptied
		case c == nil:
			return false, errColumn(columnFor(names[i]), "there is no column %q", fields[i])
		case first < i:
			return false, errColumn("leave one of them out", "the columns %q and %q are the same", fields[first], fields[i])
		}
	}
	if !slices.ContainsFunc(known, func(c *column) bool { return c != nil && c.name == "cn" }) {
		return false, errColumn("name the column with the host names cn or name", "no column has the host names")
	}
	l.header = known
	return true, nil
}

func errColumn(remedy, format string, args ...any) error {
	return report.Errorf(report.KindInput, "hosts.column", remedy, format, args...)
}

// columnName is a heading as it is compared: "Unstructured Name" is
// unstructured-name.
func columnName(s string) string {
	s = strings.ToLower(strings.TrimLeft(s, "-"))
	return strings.Join(strings.FieldsFunc(s, func(c rune) bool { return c == ' ' || c == '_' || c == '-' }), "-")
}

func columnOf(name string) *column {
	for i, c := range columns {
		if name == c.name || slices.Contains(c.other, name) {
			return &columns[i]
		}
	}
	return nil
}

// columnFor is the remedy for a heading that is not known.
func columnFor(name string) string {
	best, least := "", 3
	for _, c := range columns {
		for _, known := range append([]string{c.name}, c.other...) {
			if d := distance(name, known); d < least && d < len(known) {
				best, least = c.name, d
			}
		}
	}
	if best != "" {
		return "did you mean " + best + "?"
	}
	return "the columns are " + strings.Join(HostColumns(), ", ")
}

// distance is how many letters have to be changed, added or taken away to make
// one word of the other (Levenshtein). Long words are as far as can be.
func distance(a, b string) int {
	if len(a) > 40 || len(b) > 40 {
		return 40
	}
	before := make([]int, len(b)+1)
	for j := range before {
		before[j] = j
	}
	for i := range len(a) {
		now := make([]int, len(b)+1)
		now[0] = i + 1
		for j := range len(b) {
			changed := before[j]
			if a[i] != b[j] {
				changed++
			}
			now[j+1] = min(changed, before[j+1]+1, now[j]+1)
		}
		before = now
	}
	return before[len(b)]
}

// row judges one row, and adds it to the hosts when it is good.
func (l *hostList) row(line int, fields []string) {
	r := &row{spec: l.Defaults, key: l.Key}
	r.spec.CommonName = ""
	header := l.header
	if header == nil {
		header = []*column{columnOf("cn")}
	}
	name, good := nameIn(fields, header), true
	for i, value := range fields {
		switch {
		case value == "": // the flag's value stays
		case i >= len(header) || header[i] == nil:
			l.findings.add(line, name, report.Fail("hosts.row.syntax", name, l.surplus(i, len(fields)), "put a value that holds the separator between double quotes"))
			return // the values stand in the wrong columns
		default:
			if err := header[i].set(r, value); err != nil {
				good = false
				l.findings.add(line, name, report.Fail("hosts.row.value", name, header[i].name+": "+err.Error(), "correct it, or leave it empty for the value of the flag"))
			}
		}
	}
	request, findings := Prepare(r.spec)
	for _, f := range findings {
		l.findings.add(line, name, f)
	}
	if request == nil {
		return
	}
	stem := strings.ToLower(request.Stem())
	if before, ok := l.stems[stem]; ok {
		l.findings.add(line, name, report.Fail("hosts.row.duplicate", name,
			fmt.Sprintf("line %d has the same file name, %s", before, request.Stem()), "leave one of the two out"))
		return
	}
	l.stems[stem] = line
	if good {
		l.hosts = append(l.hosts, Host{File: l.File, Line: line, Key: r.key, Request: request})
	}
}

// nameIn is the host name of a row, as typed.
func nameIn(fields []string, header []*column) string {
	for i, f := range fields {
		if i < len(header) && header[i] != nil && header[i].name == "cn" {
			return f
		}
	}
	return ""
}

// surplus says what is wrong with a value that stands under no heading.
func (l *hostList) surplus(i, n int) string {
	switch {
	case l.header == nil:
		return fmt.Sprintf("there are %d values, but the first row names no columns, so one host name a line is expected", n)
	case i < len(l.header):
		return fmt.Sprintf("value %d stands in a column without a name", i+1)
	}
	return fmt.Sprintf("there are %d values, but the first row names %d columns", n, len(l.header))
}
