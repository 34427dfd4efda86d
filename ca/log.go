package ca

import (
	"bytes"
	"crypto/x509"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"
	"unicode"

	"onsite/pkcs"
	"onsite/report"
)

// Entry is one certificate in the log.
type Entry struct {
	Serial    string     `json:"serial"` // lower-case hexadecimal
	Names     []string   `json:"names"`  // the host names and addresses that it covers
	NotBefore time.Time  `json:"not_before"`
	NotAfter  time.Time  `json:"not_after"`
	SHA256    string     `json:"sha256"`     // of the certificate
	RevokedAt *time.Time `json:"revoked_at"` // null: it is not revoked
	Reason    string     `json:"reason"`     // one of Reasons, or ""
}

func entryOf(c *x509.Certificate) Entry {
	i := pkcs.Describe(c)
	return Entry{Serial: i.Serial, Names: i.Names, NotBefore: i.NotBefore, NotAfter: i.NotAfter, SHA256: i.SHA256}
}

// reasons are those for which a server's certificate is revoked, with their
// numbers (RFC 5280, section 5.3.1).
var reasons = map[string]int{
	"unspecified": 0, "keyCompromise": 1, "affiliationChanged": 3, "superseded": 4, "cessationOfOperation": 5, "privilegeWithdrawn": 9,
}

// Reasons lists what Revoke takes.
func Reasons() []string { return slices.Sorted(maps.Keys(reasons)) }

// ParseReason reads one of Reasons, in any case.
func ParseReason(s string) (string, error) {
	for _, r := range Reasons() {
		if strings.EqualFold(r, s) {
			return r, nil
		}
	}
	return "", fmt.Errorf("%q is not a reason: use one of %s", s, strings.Join(Reasons(), ", "))
}

// ParseSerial reads a serial number in hexadecimal as programs show it: in
// either case, with colons or spaces, with 0x or zeros in front. It returns the
// form that the log has, or "" when s is none.
func ParseSerial(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == ':' || unicode.IsSpace(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, s)
	n, ok := new(big.Int).SetString(strings.TrimPrefix(s, "0x"), 16)
	if !ok || n.Sign() <= 0 || n.BitLen() > maxSerialBits {
		return ""
	}
	return pkcs.Serial(n)
}

// maxSerialBits is what 20 octets hold (RFC 5280, section 4.1.2.2).
const maxSerialBits = 159

// columns head the log.
var columns = []string{"serial", "names", "not_before", "not_after", "sha256", "revoked_at", "reason"}

// encodeLog writes the log: CSV (RFC 4180) that a person can open in a text
// editor or a spreadsheet, one certificate a line.
func encodeLog(log []Entry) ([]byte, error) {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	w.UseCRLF = true
	rows := [][]string{columns}
	for _, e := range log {
		revoked := ""
		if e.RevokedAt != nil {
			revoked = stamp(*e.RevokedAt)
		}
		rows = append(rows, []string{e.Serial, strings.Join(e.Names, " "), stamp(e.NotBefore), stamp(e.NotAfter), e.SHA256, revoked, e.Reason})
	}
	err := w.WriteAll(rows)
	return b.Bytes(), err
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// decodeLog reads the log. Editors may have put a byte-order mark in front and
// changed the line ends; anything else that was changed is an error that names
// the line.
func decodeLog(data []byte) ([]Entry, error) {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff"))))
	r.FieldsPerRecord = len(columns)
	head, err := r.Read()
	if err == nil && !slices.Equal(head, columns) {
		err = fmt.Errorf("its first line is not %s", strings.Join(columns, ","))
	}
	if err != nil {
		return nil, logDamaged(err)
	}
	log, seen := []Entry{}, map[string]bool{}
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return log, nil
		}
		if err != nil {
			return nil, logDamaged(err)
		}
		e, err := decodeEntry(row)
		if err == nil && seen[e.Serial] {
			err = fmt.Errorf("the serial number %s was there before", e.Serial)
		}
		if err != nil {
			line, _ := r.FieldPos(0)
			return nil, logDamaged(fmt.Errorf("line %d: %w", line, err))
		}
		seen[e.Serial] = true
		log = append(log, e)
	}
}

func logDamaged(err error) error {
	if errors.Is(err, io.EOF) {
		err = errors.New("it is empty")
	}
	return report.Errorf(report.KindInput, "ca.log.damaged", "undo what was changed in it, or take it from a backup: without it nobody knows what was issued",
		"the log is damaged: %w", err)
}

func decodeEntry(row []string) (e Entry, err error) {
	e = Entry{Serial: row[0], Names: strings.Fields(row[1]), SHA256: row[4], Reason: row[6]}
	if e.Serial == "" || ParseSerial(e.Serial) != e.Serial {
		return e, fmt.Errorf("%q is no serial number", e.Serial)
	}
	if sum, err := hex.DecodeString(e.SHA256); err != nil || len(sum) != 32 || e.SHA256 != strings.ToLower(e.SHA256) {
		return e, fmt.Errorf("%q is no SHA-256", e.SHA256)
	}
	if e.NotBefore, err = decodeTime(row[2]); err != nil {
		return e, err
	}
	if e.NotAfter, err = decodeTime(row[3]); err != nil {
		return e, err
	}
	if row[5] == "" && e.Reason == "" {
		return e, nil
	}
	revoked, err := decodeTime(row[5])
	if err != nil {
		return e, err
	}
	if _, ok := reasons[e.Reason]; !ok {
		return e, fmt.Errorf("%q is no reason", e.Reason)
	}
	e.RevokedAt = &revoked
	return e, nil
}

func decodeTime(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, s)
	t = t.UTC().Truncate(time.Second)
	if err != nil || t.Year() < 1 || t.Year() > 9999 { // the time zone may have led there
		return t, fmt.Errorf("%q is no time", s)
	}
	return t, nil
}
