package wan

import (
	"strings"
	"testing"
	"time"
)

func TestReadName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"pool-11-20-30-20.dsl.dyn.isp.test":       "dynamic",
		"p54812345.dip0.t-ipconnect.de":           "",
		"cust-11-20-30-20.isp.example":            "dynamic",
		"adsl-11-20-30-20.isp.example":            "dynamic",
		"static-11-20-30-20.isp.example":          "static",
		"11.20.30.20.static.dsl.isp.example":      "static",
		"business-line.dyn.isp.example":           "",
		"20.30.20.11.biz.isp.example":             "static",
		"h11-20-30-20.isp.example":                "numbered",
		"mail.acme.example":                       "",
		"customer.acme.example":                   "dynamic",
		"statistics.example":                      "",
		"dynamite.example":                        "",
		"thing-011-020-030-020.metro.isp.example": "numbered",
	} {
		if got := readName(name, at(site)); got != want {
			t.Errorf("readName(%s) = %q, want %q", name, got, want)
		}
	}
}

func TestLine(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)
	const mac = "02:00:00:00:00:01"
	past := []Visit{{Router: mac, Address: at(other), Time: day}}
	tests := map[string]struct {
		back   reverse
		ppp    bool
		past   []Visit
		router string
		kind   AddressKind
		say    string
	}{
		"changed":                   {reverse{name: "static.isp.example", confirmed: true}, false, past, mac, AddressDynamic, "it was " + other + " on 2026-03-31"},
		"changed behind another":    {reverse{}, false, past, "02:00:00:00:00:02", AddressUnknown, ""},
		"router not known":          {reverse{}, false, []Visit{{Address: at(other), Time: day}}, "", AddressUnknown, ""},
		"the same as before":        {reverse{}, false, []Visit{{Router: mac, Address: at(site), Time: day}}, mac, AddressUnknown, "no reverse name"},
		"dynamic name":              {reverse{name: "pool1.isp.example", confirmed: true}, false, nil, mac, AddressProbablyDynamic, "pool1"},
		"static name":               {reverse{name: "static1.isp.example", confirmed: true}, false, nil, mac, AddressProbablyStatic, "contract"},
		"static name, dialled":      {reverse{name: "static1.isp.example", confirmed: true}, true, nil, mac, AddressProbablyStatic, ""},
		"static name, not led back": {reverse{name: "static1.isp.example"}, false, nil, mac, AddressUnknown, "does not lead back"},
		"dialled":                   {reverse{}, true, nil, mac, AddressProbablyDynamic, "PPP"},
		"numbered":                  {reverse{name: "h11-20-30-20.isp.example", confirmed: true}, false, nil, mac, AddressUnknown, ""},
	}
	for name, tt := range tests {
		f := kindTable.Decide(site, lineEvidence(at(site), tt.back, tt.ppp, tt.past, tt.router))
		if addressWords[f.Code] != tt.kind || !strings.Contains(f.Detail, tt.say) {
			t.Errorf("%s: %s: %s, want %s: …%s…", name, f.Code, f.Detail, tt.kind, tt.say)
		}
	}
}
