package dn

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"testing"
)

func TestCanonical(t *testing.T) {
	t.Parallel()
	printable := func(s string) asn1.RawValue { return value(asn1.TagPrintableString, s) }
	acme := encode(t, one(oidO, printable("Acme Bakery")), one(oidCN, printable("Root")))
	pair := pkix.RelativeDistinguishedNameSET{{Type: oidOU, Value: utf("IT")}, {Type: oidCN, Value: utf("Root")}}
	turned := pkix.RelativeDistinguishedNameSET{pair[1], pair[0]}
	tests := []struct {
		name string
		a, b []byte
		want bool
	}{
		{"the same", acme, acme, true},
		{"other case", acme, encode(t, one(oidO, printable("ACME bakery")), one(oidCN, printable("root"))), true},
		{"other spaces", acme, encode(t, one(oidO, printable("  Acme   Bakery ")), one(oidCN, printable("Root"))), true},
		{"other kind of string", acme, encode(t, one(oidO, utf("Acme Bakery")), one(oidCN, value(asn1.TagBMPString, "\x00R\x00o\x00o\x00t"))), true},
		{"letters beyond ASCII", encode(t, one(oidO, utf("ÄCME"))), encode(t, one(oidO, value(asn1.TagT61String, "\xe4cme"))), true},
		{"other order", acme, encode(t, one(oidCN, printable("Root")), one(oidO, printable("Acme Bakery"))), false},
		{"other type", encode(t, one(oidO, utf("Acme"))), encode(t, one(oidOU, utf("Acme"))), false},
		{"no space", acme, encode(t, one(oidO, printable("AcmeBakery")), one(oidCN, printable("Root"))), false},
		{"one part less", acme, encode(t, one(oidO, printable("Acme Bakery"))), false},
		{"a set has no order", encode(t, pair), encode(t, turned), true},
		{"a separator in a value", encode(t, one(oidO, utf(`a","2.5.4.10="b`))), encode(t, one(oidO, utf("a")), one(oidO, utf("b"))), false},
		{"no names", []byte{1, 2}, []byte{1, 2}, true},
		{"no names, others", []byte{1, 2}, []byte{1, 3}, false},
	}
	for _, tt := range tests {
		if a, b := Canonical(tt.a), Canonical(tt.b); (a == b) != tt.want {
			t.Errorf("%s: Canonical gives %s and %s", tt.name, a, b)
		}
	}
}

func TestWithin(t *testing.T) {
	t.Parallel()
	base := encode(t, one(oidC, utf("AU")), one(oidO, utf("Acme")))
	for _, tt := range []struct {
		name string
		raw  []byte
		want bool
	}{
		{"itself", base, true},
		{"below", encode(t, one(oidC, utf("au")), one(oidO, utf("ACME")), one(oidCN, utf("Till"))), true},
		{"above", encode(t, one(oidC, utf("AU"))), false},
		{"beside", encode(t, one(oidC, utf("AU")), one(oidO, utf("Other"))), false},
		{"no name", []byte{1}, false},
	} {
		if got := Within(tt.raw, base); got != tt.want {
			t.Errorf("%s: Within = %v", tt.name, got)
		}
	}
	if !Within(base, encode(t)) {
		t.Error("not everything lies within the empty name")
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	raw := encode(t, one(oidE, value(asn1.TagIA5String, "it@acme.example")), one(oidCN, utf("Till")), one(oidE, value(asn1.TagIA5String, "shop@acme.example")))
	if got, want := Values(raw, "emailAddress"), []string{"it@acme.example", "shop@acme.example"}; !slices.Equal(got, want) {
		t.Errorf("Values = %q, want %q", got, want)
	}
}
