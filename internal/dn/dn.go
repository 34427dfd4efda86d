// Package dn writes distinguished names as text (RFC 4514) and compares them
// (RFC 5280, section 7.1).
//
// It works on the DER of a name, so that a name which Go's pkix types would
// change or refuse is still shown as it stands in the file. It does not build
// names.
package dn

import (
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// shortNames are the types of RFC 4514, section 3, then others under the names
// by which OpenSSL and XCA show them.
var shortNames = map[string]string{
	"2.5.4.3":                    "CN",
	"2.5.4.7":                    "L",
	"2.5.4.8":                    "ST",
	"2.5.4.10":                   "O",
	"2.5.4.11":                   "OU",
	"2.5.4.6":                    "C",
	"2.5.4.9":                    "STREET",
	"0.9.2342.19200300.100.1.25": "DC",
	"0.9.2342.19200300.100.1.1":  "UID",

	"2.5.4.4":                  "SN",
	"2.5.4.42":                 "GN",
	"2.5.4.5":                  "serialNumber",
	"2.5.4.12":                 "title",
	"2.5.4.15":                 "businessCategory",
	"2.5.4.17":                 "postalCode",
	"2.5.4.97":                 "organizationIdentifier",
	"1.2.840.113549.1.9.1":     "emailAddress",
	"1.2.840.113549.1.9.2":     "unstructuredName",
	"1.3.6.1.4.1.311.60.2.1.1": "jurisdictionL",
	"1.3.6.1.4.1.311.60.2.1.2": "jurisdictionST",
	"1.3.6.1.4.1.311.60.2.1.3": "jurisdictionC",
}

// attribute is AttributeTypeAndValue of RFC 5280, with the value unparsed.
type attribute struct {
	Type  asn1.ObjectIdentifier
	Value asn1.RawValue
}

type rdnSET []attribute

// String returns the name whose DER is raw, most specific part first. Bytes
// that are no name come out as "#" and their hexadecimal form.
func String(raw []byte) string {
	var seq []rdnSET
	if rest, err := asn1.Unmarshal(raw, &seq); err != nil || len(rest) > 0 {
		return "#" + hex.EncodeToString(raw)
	}
	parts := make([]string, 0, len(seq))
	for i := len(seq) - 1; i >= 0; i-- {
		values := make([]string, 0, len(seq[i]))
		for _, a := range seq[i] {
			values = append(values, a.String())
		}
		parts = append(parts, strings.Join(values, "+"))
	}
	return strings.Join(parts, ",")
}

// Lookup returns the value of the first attribute of the given type, such as
// "CN", or "".
func Lookup(raw []byte, shortName string) string {
	var seq []rdnSET
	if rest, err := asn1.Unmarshal(raw, &seq); err != nil || len(rest) > 0 {
		return ""
	}
	for _, rdn := range seq {
		for _, a := range rdn {
			if shortNames[a.Type.String()] == shortName {
				text, _ := Text(a.Value)
				return text
			}
		}
	}
	return ""
}

// Friendly returns the part of a name by which people call it: the common
// name, else the unit, else the organization, else the whole. It is for showing:
// what does not show by itself is written as String writes it.
func Friendly(raw []byte) string {
	for _, t := range []string{"CN", "OU", "O"} {
		if v := Lookup(raw, t); v != "" {
			return visible(v)
		}
	}
	return String(raw)
}

func (a attribute) String() string {
	name, known := shortNames[a.Type.String()]
	text, ok := Text(a.Value)
	if !known {
		name = a.Type.String()
	}
	if !ok {
		return name + "=#" + hex.EncodeToString(a.Value.FullBytes)
	}
	return name + "=" + escape(text)
}

// Text decodes an ASN.1 string of any of the types that names are written in.
// It is false for anything else and for bytes that do not fit the type.
func Text(v asn1.RawValue) (string, bool) {
	if v.Class != asn1.ClassUniversal {
		return "", false
	}
	switch v.Tag {
	case asn1.TagUTF8String, asn1.TagPrintableString, asn1.TagIA5String, asn1.TagNumericString, 26 /* VisibleString */ :
		if !utf8.Valid(v.Bytes) {
			return "", false
		}
		return string(v.Bytes), true
	case asn1.TagT61String:
		// In practice Latin-1, whatever the standard says.
		runes := make([]rune, len(v.Bytes))
		for i, b := range v.Bytes {
			runes[i] = rune(b)
		}
		return string(runes), true
	case asn1.TagBMPString:
		if len(v.Bytes)%2 != 0 {
			return "", false
		}
		units := make([]uint16, len(v.Bytes)/2)
		for i := range units {
			units[i] = uint16(v.Bytes[2*i])<<8 | uint16(v.Bytes[2*i+1])
		}
		return string(utf16.Decode(units)), true
	}
	return "", false
}

// visible writes control characters, line separators and marks that turn the
// direction of writing as hexadecimal pairs, so that a name cannot move the
// cursor of a terminal or pass for another.
func visible(s string) string {
	if !strings.ContainsFunc(s, hidden) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if hidden(r) {
			hexPairs(&b, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func hidden(r rune) bool { return !unicode.IsGraphic(r) }

func hexPairs(b *strings.Builder, r rune) {
	for _, c := range []byte(string(r)) {
		fmt.Fprintf(b, `\%02X`, c)
	}
}

// escape follows RFC 4514, section 2.4, which allows hexadecimal pairs for
// any character.
func escape(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case hidden(r):
			hexPairs(&b, r)
		case strings.ContainsRune(`"+,;<>\`, r),
			i == 0 && (r == ' ' || r == '#'),
			i == len(s)-1 && r == ' ':
			b.WriteByte('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
