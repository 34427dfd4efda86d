package wan

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"onsite/netcheck/portmap"
	"onsite/report"
)

func at(s string) netip.Addr {
	if s == "" {
		return netip.Addr{}
	}
	return netip.MustParseAddr(s)
}

var silent = portmap.Answer{Err: portmap.ErrSilent}

func gives(addr string) portmap.Answer { return portmap.Answer{External: at(addr)} }

func refuses(code int) portmap.Answer { return portmap.Answer{Code: code, Meaning: "refused"} }

// router is one that answers in these ways by UPnP, NAT-PMP and PCP.
func router(upnp, pmp, pcp portmap.Answer) portmap.Router {
	return portmap.Router{Gateway: at("192.168.1.1"), UPnP: upnp, NATPMP: pmp, PCP: pcp}
}

// TestNATTable goes through the table row by row, with the evidence that leads
// there.
func TestNATTable(t *testing.T) {
	t.Parallel()
	const home = "192.168.1.1"
	mute := router(silent, silent, silent)
	tests := map[string]struct {
		in     natInput
		public string // what the Internet sees; "" for not confirmed
		code   string
		status report.Status
		say    string
	}{
		"no NAT":                            {natInput{router: mute, local: at(site)}, site, "nat.none", report.StatusPass, "own address"},
		"single, all three":                 {natInput{router: router(gives(site), gives(site), gives(site))}, site, "nat.single", report.StatusPass, "UPnP, NAT-PMP and PCP say " + site},
		"single, UPnP alone":                {natInput{router: router(gives(site), silent, silent)}, site, "nat.single", report.StatusPass, "UPnP says"},
		"single, seen one step away":        {natInput{router: router(gives(site), silent, silent), first: Hop{at(site), true}}, site, "nat.single", report.StatusPass, ""},
		"single, by the status page":        {natInput{router: mute, typed: at(site)}, site, "nat.single", report.StatusPass, "status page says"},
		"carrier":                           {natInput{router: router(refuses(501), refuses(3), portmap.Answer{Code: 8, External: at("100.64.10.20")})}, site, "nat.carrier", report.StatusFail, "PCP says 100.64.10.20"},
		"carrier, Internet not reached":     {natInput{router: router(silent, silent, gives("100.127.0.1"))}, "", "nat.carrier", report.StatusFail, ""},
		"carrier, by the status page":       {natInput{router: router(gives(site), silent, silent), typed: at("100.64.1.1")}, site, "nat.carrier", report.StatusFail, "status page says 100.64.1.1"},
		"DS-Lite":                           {natInput{router: router(gives("192.0.0.2"), silent, silent)}, site, "nat.ds-lite", report.StatusFail, ""},
		"double":                            {natInput{router: router(gives("192.168.0.20"), silent, silent)}, site, "nat.double", report.StatusWarn, "192.168.0.20 is private"},
		"double, behind a VPN":              {natInput{router: router(gives("10.0.0.2"), silent, silent), tunnel: "wg0"}, site, "nat.double", report.StatusWarn, ""},
		"double, the rest refuses":          {natInput{router: router(refuses(501), refuses(3), portmap.Answer{Code: 8, External: at("172.16.0.2")})}, site, "nat.double", report.StatusWarn, ""},
		"said to be private, but answers":   {natInput{router: router(gives("10.0.0.2"), silent, silent), first: Hop{at(site), true}}, site, "nat.unknown", report.StatusUnknown, "but it answers for " + site},
		"said to be public, but passes on":  {natInput{router: router(gives(site), gives(site), silent), first: Hop{at(home), false}}, site, "nat.unknown", report.StatusUnknown, "passes packets for it on"},
		"one says public, PCP the truth":    {natInput{router: router(gives(site), silent, gives("100.64.0.9")), first: Hop{at(home), false}}, site, "nat.carrier", report.StatusFail, ""},
		"they contradict each other":        {natInput{router: router(gives(site), silent, gives("100.64.0.9"))}, site, "nat.unknown", report.StatusUnknown, "contradict"},
		"link-local":                        {natInput{router: router(gives("169.254.3.4"), silent, silent)}, site, "nat.private", report.StatusWarn, "169.254.3.4"},
		"a NAT in between":                  {natInput{router: router(silent, silent, refuses(12))}, site, "nat.between", report.StatusWarn, "PCP: refused with 12"},
		"refuses by UPnP":                   {natInput{router: router(refuses(501), silent, silent)}, site, "nat.private", report.StatusWarn, "501"},
		"refuses by NAT-PMP":                {natInput{router: router(silent, refuses(3), silent)}, site, "nat.private", report.StatusWarn, ""},
		"refuses by PCP":                    {natInput{router: router(silent, silent, refuses(8))}, site, "nat.private", report.StatusWarn, ""},
		"refuses, a carrier beyond":         {natInput{router: router(refuses(501), silent, silent), second: Hop{at("100.64.0.1"), false}}, site, "nat.private", report.StatusWarn, "carrier"},
		"refuses, but answers itself":       {natInput{router: router(refuses(501), silent, silent), first: Hop{at(site), true}}, site, "nat.unknown", report.StatusUnknown, "hints at single NAT"},
		"refuses, and the line may be down": {natInput{router: router(refuses(501), silent, silent)}, "", "nat.unknown", report.StatusUnknown, ""},
		"another refusal":                   {natInput{router: router(refuses(606), refuses(2), refuses(2))}, site, "nat.unknown", report.StatusUnknown, "606"},
		"empty":                             {natInput{router: router(portmap.Answer{}, silent, silent)}, site, "nat.unknown", report.StatusUnknown, "no address"},
		"empty, and passes on":              {natInput{router: router(portmap.Answer{}, silent, silent), first: Hop{at(home), false}}, site, "nat.private", report.StatusWarn, "passes packets"},
		"0.0.0.0":                           {natInput{router: router(gives("0.0.0.0"), silent, silent)}, site, "nat.unknown", report.StatusUnknown, ""},
		"several gateways":                  {natInput{router: router(gives(other), silent, silent), others: []portmap.Router{router(gives(site), silent, silent)}}, site, "nat.lines", report.StatusWarn, "another gateway has"},
		"VPN":                               {natInput{router: router(gives(other), silent, silent), tunnel: "wg0 WireGuard"}, site, "nat.vpn", report.StatusWarn, "wg0 WireGuard"},
		"VPN, nothing confirmed":            {natInput{router: router(gives(other), silent, silent), tunnel: "wg0"}, "", "nat.vpn", report.StatusUnknown, ""},
		"VPN, router silent":                {natInput{router: mute, tunnel: "wg0"}, site, "nat.vpn", report.StatusUnknown, "wg0"},
		"several lines on one router":       {natInput{router: router(gives(other), silent, silent), first: Hop{at(site), true}}, site, "nat.lines", report.StatusWarn, other},
		"public, but another":               {natInput{router: router(gives(other), silent, silent)}, site, "nat.differs", report.StatusUnknown, "one-to-one"},
		"public, not confirmed":             {natInput{router: router(gives(site), silent, silent)}, "", "nat.unknown", report.StatusUnknown, "nobody outside confirms"},
		"nobody answers":                    {natInput{router: mute}, site, "nat.unknown", report.StatusUnknown, "no answer"},
		"nobody answers, one step away":     {natInput{router: mute, first: Hop{at(site), true}}, site, "nat.unknown", report.StatusUnknown, "hints at single NAT"},
		"nobody answers, further away":      {natInput{router: mute, first: Hop{at(home), false}}, site, "nat.unknown", report.StatusUnknown, "hints at a second NAT"},
		"nobody answers, private beyond":    {natInput{router: mute, second: Hop{at("10.3.2.1"), false}}, site, "nat.unknown", report.StatusUnknown, "two steps away is 10.3.2.1"},
		"typed in, but passes on":           {natInput{router: mute, typed: at(site), first: Hop{at(home), false}}, site, "nat.unknown", report.StatusUnknown, "typed address"},
		"typed in wrongly, PCP knows":       {natInput{router: router(refuses(501), silent, gives("192.168.0.20")), typed: at(site), first: Hop{at(home), false}}, site, "nat.double", report.StatusWarn, "PCP says 192.168.0.20"},
		"typed in against the router":       {natInput{router: router(gives(site), silent, silent), typed: at("10.0.0.2")}, site, "nat.double", report.StatusWarn, "although UPnP says"},
		"two addresses":                     {natInput{router: router(gives(site), gives("11.0.0.9"), silent)}, site, "nat.unknown", report.StatusUnknown, "contradicts itself"},
		"an odd answer":                     {natInput{router: router(portmap.Answer{Err: errors.New("not XML")}, silent, silent)}, site, "nat.unknown", report.StatusUnknown, "not XML"},
	}
	used := map[int]bool{}
	for name, tt := range tests {
		tt.in.public.Addr, tt.in.gateway = at(tt.public), at(home)
		checkNAT(t, name, tt.in, tt.code, tt.status, tt.say)
		used[row(tt.in)] = true
	}
	for _, in := range twoWays() {
		used[row(in)] = true
	}
	for i, r := range natTable[:len(natTable)-1] { // the last one is for what nobody thought of
		if !used[i] {
			t.Errorf("no case leads to row %d: %v", i, r.When)
		}
	}
}

// row is the row of the table that decides.
func row(in natInput) int {
	e := in.evidence()
	return slices.IndexFunc(natTable, func(r report.Rule) bool {
		return report.Table{r, {Status: report.StatusSkip}}.Decide("", e).Status != report.StatusSkip
	})
}

// twoWays are cases where HTTPS and STUN contradict each other, or several
// addresses are seen.
func twoWays() map[string]natInput {
	r := router(gives(site), silent, silent)
	return map[string]natInput{
		"nat.proxy":   {router: r, public: PublicAddress{HTTPS: at(other), STUN: at(site)}},
		"nat.unknown": {router: r, public: PublicAddress{HTTPS: at(site), STUN: at(other)}},
		"nat.lines":   {router: r, public: PublicAddress{several: true}},
	}
}

func checkNAT(t *testing.T, name string, in natInput, code string, status report.Status, say string) {
	t.Helper()
	f := natTable.Decide("router", in.evidence())
	if f.Code != code || f.Status != status || !strings.Contains(f.Detail, say) || strings.Contains(f.Detail+f.Remedy, "{") {
		t.Errorf("%s: %s %s: %s\nwant %s %s: …%s…", name, f.Status, f.Code, f.Detail, status, code, say)
	}
	if natWords[f.Code] == "" {
		t.Errorf("%s: there is no word for %s", name, f.Code)
	}
	if (f.Remedy == "") != (f.Status == report.StatusPass) {
		t.Errorf("%s: %s with the remedy %q", name, f.Status, f.Remedy)
	}
}

func TestNATTwoWays(t *testing.T) {
	t.Parallel()
	for code, in := range twoWays() {
		status := report.StatusWarn
		if code == "nat.unknown" {
			status = report.StatusUnknown
		}
		checkNAT(t, code, in, code, status, "UPnP says "+site)
	}
}

func TestClassOf(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		site: "public", "10.1.1.1": "private", "172.31.255.255": "private", "172.32.0.0": "public", "192.168.0.1": "private",
		"100.64.0.1": "carrier", "100.127.255.255": "carrier", "100.128.0.1": "public", "192.0.0.2": "ds-lite", "192.0.0.8": "special",
		"169.254.1.1": "special", "0.0.0.0": "special", "203.0.113.5": "special", "198.18.0.1": "special", "127.0.0.1": "special",
	} {
		if got := classOf(at(addr)); got != want {
			t.Errorf("classOf(%s) = %s, want %s", addr, got, want)
		}
	}
}
