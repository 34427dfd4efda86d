package ber

import (
	"bytes"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"math"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, data string
		content    string // "-": an error
		rest       string
	}{
		{"definite", "0403616263ff", "616263", "ff"},
		{"length in one byte more than needed", "0481036162630a", "616263", "0a"},
		{"length in four bytes", "048400000003616263", "616263", ""},
		{"empty", "3000", "", ""},
		{"indefinite", "308004016104016200000a", "040161040162", "0a"},
		{"indefinite in indefinite", "3080308004016100000000", "30800401610000", ""},
		{"high tag number", "9f811c0161", "61", ""},
		{"nothing", "", "-", ""},
		{"tag alone", "04", "-", ""},
		{"length cut", "0482ff", "-", ""},
		{"content cut", "0404616263", "-", ""},
		{"length of nine bytes", "0489010000000000000000", "-", ""},
		{"no end of contents", "3080040161", "-", ""},
		{"indefinite simple value", "048000", "-", ""},
		{"endless tag", "9fffffffffffffffff", "-", ""},
	} {
		e, rest, err := Parse(unhex(t, tt.data))
		switch {
		case tt.content == "-":
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("%s: Parse(%s) = %x, %v, want ErrMalformed", tt.name, tt.data, e.Content, err)
			}
		case err != nil || !bytes.Equal(e.Content, unhex(t, tt.content)) || !bytes.Equal(rest, unhex(t, tt.rest)):
			t.Errorf("%s: Parse(%s) = %x, rest %x, %v, want %s, rest %s", tt.name, tt.data, e.Content, rest, err, tt.content, tt.rest)
		case !bytes.Equal(append(bytes.Clone(e.Full), rest...), unhex(t, tt.data)):
			t.Errorf("%s: Parse(%s): Full is %x", tt.name, tt.data, e.Full)
		}
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	deep := bytes.Repeat([]byte{0x30, 0x80}, 1000)
	if _, _, err := Parse(deep); !errors.Is(err, ErrMalformed) {
		t.Errorf("Parse of a thousand levels = %v, want ErrMalformed", err)
	}
	wide := append([]byte{0x30, 0x80}, bytes.Repeat([]byte{0x05, 0x00}, maxElements+1)...)
	if _, _, err := Parse(append(wide, 0, 0)); !errors.Is(err, ErrMalformed) {
		t.Errorf("Parse of too many values = %v, want ErrMalformed", err)
	}
}

func TestOctets(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		"0403616263":                "616263",
		"2480040161040262630000":    "616263",
		"240704016124020400":        "61",
		"a080040161040162" + "0000": "6162", // under an implicit tag
		"2403020161":                "-",
	} {
		e, _, err := Parse(unhex(t, data))
		if err != nil {
			t.Fatal(err)
		}
		got, err := e.Octets()
		if want == "-" {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("Octets(%s) = %x, %v, want ErrMalformed", data, got, err)
			}
		} else if err != nil || !bytes.Equal(got, unhex(t, want)) {
			t.Errorf("Octets(%s) = %x, %v, want %s", data, got, err, want)
		}
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	parse := func(s string) Element {
		e, _, err := Parse(unhex(t, s))
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	for data, want := range map[string]int64{
		"020100": 0, "02020800": 2048, "020500ffffffff": math.MaxUint32, "02090100000000000000ff": math.MaxInt64, "0201ff": -1, "0200": -1, "040100": -1,
	} {
		got, err := parse(data).Int()
		if want >= 0 && (err != nil || got != want) || want < 0 && !errors.Is(err, ErrMalformed) {
			t.Errorf("Int(%s) = %d, %v, want %d", data, got, err, want)
		}
	}
	if oid, err := parse("06092a864886f70d010701").OID(); err != nil || !oid.Equal(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}) {
		t.Errorf("OID = %v, %v", oid, err)
	}
	for _, data := range []string{"0600", "020101", "068200ff" + hex.EncodeToString(bytes.Repeat([]byte{0x81}, 255))} {
		if oid, err := parse(data).OID(); !errors.Is(err, ErrMalformed) {
			t.Errorf("OID(%s) = %v, %v, want ErrMalformed", data, oid, err)
		}
	}
	if list, err := parse("3006020101020102").Sequence(2); err != nil || len(list) != 2 {
		t.Errorf("Sequence = %v, %v", list, err)
	}
	if _, err := parse("3003020101").Sequence(2); !errors.Is(err, ErrMalformed) {
		t.Errorf("Sequence of too few = %v", err)
	}
	if _, err := parse("3103020101").Sequence(1); !errors.Is(err, ErrMalformed) {
		t.Errorf("Sequence of a SET = %v", err)
	}
	if e, err := parse("a003020101").Inside(); err != nil || !e.Is(asn1.TagInteger) {
		t.Errorf("Inside = %v, %v", e, err)
	}
	if _, err := parse("a006020101020101").Inside(); !errors.Is(err, ErrMalformed) {
		t.Errorf("Inside of two = %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"0403616263", "308004016104016200000a", "2480040161040262630000", "9f811c0161", "06092a864886f70d010701"} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e, rest, err := Parse(data)
		if err != nil {
			return
		}
		if !bytes.Equal(append(bytes.Clone(e.Full), rest...), data) {
			t.Fatalf("Parse(%x): Full %x and rest %x are not the whole", data, e.Full, rest)
		}
		walk(e, 0)
	})
}

// walk calls everything on every element, to see that nothing panics.
func walk(e Element, depth int) {
	e.Octets()
	e.OID()
	e.Int()
	children, _ := e.Children()
	for _, c := range children {
		if depth < 8 {
			walk(c, depth+1)
		}
	}
}
