package dn

import (
	"encoding/asn1"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
)

// Canonical returns a text that two names share exactly when RFC 5280, section
// 7.1, takes them for equal: neither the case of letters counts, nor the number
// of spaces, nor the kind of string. Bytes that are no name equal only themselves.
func Canonical(raw []byte) string {
	parts, ok := canonical(raw)
	if !ok {
		return "#" + hex.EncodeToString(raw)
	}
	return strings.Join(parts, ",")
}

// Within reports whether a name stands in the part of the directory under base:
// whether it begins with all of base.
func Within(raw, base []byte) bool {
	name, ok := canonical(raw)
	top, good := canonical(base)
	return ok && good && len(top) <= len(name) && slices.Equal(name[:len(top)], top)
}

// Values returns the values of all attributes of the given type, such as "CN".
func Values(raw []byte, shortName string) []string {
	var seq []rdnSET
	if rest, err := asn1.Unmarshal(raw, &seq); err != nil || len(rest) > 0 {
		return nil
	}
	var list []string
	for _, rdn := range seq {
		for _, a := range rdn {
			if text, ok := Text(a.Value); ok && shortNames[a.Type.String()] == shortName {
				list = append(list, text)
			}
		}
	}
	return list
}

// canonical returns the parts of a name, least specific first.
func canonical(raw []byte) ([]string, bool) {
	var seq []rdnSET
	if rest, err := asn1.Unmarshal(raw, &seq); err != nil || len(rest) > 0 {
		return nil, false
	}
	parts := make([]string, len(seq))
	for i, rdn := range seq {
		var values []string
		for _, a := range rdn {
			values = append(values, a.canonical())
		}
		slices.Sort(values) // a set has no order
		parts[i] = strings.Join(values, "+")
	}
	return parts, true
}

func (a attribute) canonical() string {
	text, ok := Text(a.Value)
	if !ok {
		return a.Type.String() + "=#" + hex.EncodeToString(a.Value.FullBytes)
	}
	return a.Type.String() + "=" + strconv.Quote(strings.Join(strings.Fields(strings.ToLower(text)), " "))
}
