package wan

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"onsite/report"
)

const (
	site  = "11.20.30.20"
	other = "11.99.9.9"
)

type (
	echoes = map[string]http.HandlerFunc
	stuns  = map[string]func([]byte, netip.AddrPort) [][]byte
)

func codes(findings []report.Finding) string {
	var list []string
	for _, f := range findings {
		list = append(list, f.Code)
	}
	return strings.Join(list, " ")
}

func TestPublic(t *testing.T) {
	t.Parallel()
	page := says("<html><body>sign in</body></html>")
	tests := map[string]struct {
		https echoes
		stun  stuns
		addr  string // "" for none
		codes string
		say   string // what the last finding says
	}{
		"all agree": {
			echoes{"a": says(site), "b": says(site + "\n"), "c": says(`{"ip":"` + site + `"}`)},
			stuns{"s1": stunSays(site + ":1234"), "s2": stunSays(site + ":5")},
			site, "wan.public.found", "3 of 3 web services and 2 of 2 STUN servers",
		},
		"two lie": {
			echoes{"a": says(site), "b": says(site), "c": says(site), "d": says(site), "e": says(other), "f": says(other)},
			stuns{"s1": stunSays(site + ":1"), "s2": stunSays(site + ":1")},
			site, "wan.public.found wan.public.outvoted", other,
		},
		"one against one": {
			echoes{"a": says(site), "b": says(other)}, nil, "", "wan.public.disagree", other,
		},
		"two against two": {
			echoes{"a": says(site), "b": says(other), "c": says(site), "d": says(other)}, nil, "", "wan.public.disagree", other,
		},
		"one alone": {
			echoes{"a": says(site), "b": says("sorry")}, nil, "", "wan.public.one-witness", "only one",
		},
		"STUN alone": {
			echoes{"a": says(""), "b": says("0")},
			stuns{"s1": stunSays(site + ":1"), "s2": stunSays(site + ":1")},
			site, "wan.public.found", "0 of 2 web services and 2 of 2 STUN",
		},
		"one web service and one STUN server": {
			echoes{"a": says(site)}, stuns{"s1": stunSays(site + ":1")}, site, "wan.public.found", "",
		},
		"the web another way": {
			echoes{"a": says(other), "b": says(other), "c": says(other), "d": says(other)},
			stuns{"s1": stunSays(site + ":1")},
			"", "wan.public.two-ways", "a proxy",
		},
		"private": {
			echoes{"a": says("192.168.1.50"), "b": says("192.168.1.50"), "c": says("100.64.0.7")}, nil, "", "wan.public.special wan.public.none", "no service",
		},
		"private, but STUN knows": {
			echoes{"a": says("192.168.1.50"), "b": says("192.168.1.50")},
			stuns{"s1": stunSays(site + ":1"), "s2": stunSays(site + ":1")},
			site, "wan.public.special wan.public.found", site,
		},
		"sign-in page": {
			echoes{"a": page, "b": page}, nil, "", "wan.sign-in wan.public.none", "no service",
		},
		"redirected to a sign-in page": {
			echoes{"a": func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "https://portal.hotel.example/", http.StatusFound)
			}},
			nil, "", "wan.sign-in wan.public.none", "portal.hotel.example",
		},
		"RFC 6585": {
			echoes{"a": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNetworkAuthenticationRequired) }},
			nil, "", "wan.sign-in wan.public.none", "no service",
		},
		"redirected within": {
			echoes{"a": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusFound) }},
			nil, "", "wan.public.none", "status 302",
		},
		"down": {
			echoes{"a": func(w http.ResponseWriter, _ *http.Request) {
				http.Error(w, "<html>busy", http.StatusServiceUnavailable)
			}},
			stuns{},
			"", "wan.public.none", "status 503",
		},
		"IPv6 over IPv4": {
			echoes{"a": says("2a00:1450::1"), "b": says("2a00:1450::1")}, nil, "", "wan.public.none", "other family",
		},
		"an address in a text": {
			echoes{"a": says("Current IP Address: " + site), "b": says("your ip=" + site)}, nil, "", "wan.public.none", "no address",
		},
		"endless": {
			echoes{"a": endless, "b": says(site), "c": says(site)}, nil, site, "wan.public.found", "2 of 3",
		},
		"STUN that lies about the transaction": {
			echoes{"a": says(site)}, stuns{"s1": func(request []byte, _ netip.AddrPort) [][]byte {
				forged := stunAnswer(stunSuccess, make([]byte, 12), mapped(xorMapped, netip.MustParseAddrPort(other+":1"), request[4:20]))
				return append([][]byte{forged, {1, 2, 3}}, stunSays(site+":1")(request, netip.AddrPort{})...)
			}}, site, "wan.public.found", "1 of 1 STUN",
		},
		"STUN that refuses": {
			echoes{"a": says(site)}, stuns{"s1": func(request []byte, _ netip.AddrPort) [][]byte {
				return [][]byte{stunAnswer(stunFailure, request[8:20], []byte{0, 9, 0, 4, 0, 0, 4, 20})}
			}}, "", "wan.public.one-witness", site,
		},
		"nobody": {nil, nil, "", "wan.public.none", "none was asked"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := (&internet{https: tt.https, stun: tt.stun}).open(t)
			p := Public(t.Context(), w.options())
			addr := ""
			if p.Addr.IsValid() {
				addr = p.Addr.String()
			}
			last := p.Findings[len(p.Findings)-1]
			all := last.Detail
			for _, o := range p.Observations {
				all += " " + o.Error
			}
			if addr != tt.addr || codes(p.Findings) != tt.codes || !strings.Contains(all, tt.say) {
				t.Errorf("address %q, codes %q: %q\nwant %q, %q: %q", addr, codes(p.Findings), all, tt.addr, tt.codes, tt.say)
			}
			if len(p.Observations) != len(tt.https)+len(tt.stun) {
				t.Errorf("%d observations: %+v", len(p.Observations), p.Observations)
			}
		})
	}
}

// endless answers with a body that never ends.
func endless(w http.ResponseWriter, r *http.Request) {
	for r.Context().Err() == nil {
		w.Write([]byte(strings.Repeat(" ", 1<<16)))
	}
}

func TestPublicUntrusted(t *testing.T) {
	t.Parallel()
	w := (&internet{https: echoes{"a": says(site), "b": says(site)}}).open(t)
	o := w.options()
	o.Roots = nil
	p := Public(t.Context(), o)
	if p.Addr.IsValid() || !strings.Contains(p.Findings[0].Detail, "not trusted") {
		t.Errorf("%+v", p)
	}
}

// TestPublicDoesNotWait: one service that hangs does not hold up the others,
// and one that could still change the outcome is waited for.
func TestPublicDoesNotWait(t *testing.T) {
	t.Parallel()
	w := (&internet{
		https: echoes{"a": says(site), "b": says(site), "c": says(site), "d": hangs},
		stun:  stuns{"s": stunSays(site + ":1")},
	}).open(t)
	o := w.options()
	o.Timeout = time.Minute
	start := time.Now()
	p := Public(t.Context(), o)
	if took := time.Since(start); !p.Addr.IsValid() || took > 20*time.Second {
		t.Errorf("after %s: %+v", took, p)
	}
	if i := slices.IndexFunc(p.Observations, func(o report.Observation) bool { return strings.Contains(o.Error, "not waited for") }); i < 0 {
		t.Errorf("nobody was given up: %+v", p.Observations)
	}

	w = (&internet{https: echoes{"a": says(site), "b": says(site), "c": hangs, "d": hangs}}).open(t)
	o = w.options()
	o.Timeout = 300 * time.Millisecond
	p = Public(t.Context(), o)
	if !p.Addr.IsValid() {
		t.Errorf("%+v", p)
	}
	for _, o := range p.Observations { // in no order: the services are those of a map
		hangs := o.Server == "https://c" || o.Server == "https://d"
		if strings.Contains(o.Error, errNoAnswer.Error()) != hangs {
			t.Errorf("%+v", o)
		}
	}
}

func TestPublicLostDatagram(t *testing.T) {
	t.Parallel()
	asked := 0
	answer := stunSays(site + ":1")
	w := (&internet{https: echoes{"a": says(site)}, stun: stuns{"s": func(request []byte, from netip.AddrPort) [][]byte {
		if asked++; asked == 1 {
			return nil
		}
		return answer(request, from)
	}}}).open(t)
	if p := Public(t.Context(), w.options()); !p.Addr.IsValid() {
		t.Errorf("%+v", p)
	}
}

func TestPublicCancelled(t *testing.T) {
	t.Parallel()
	w := (&internet{https: echoes{"a": hangs, "b": hangs}, stun: stuns{"s": stunSilent}}).open(t)
	ctx, cancel := context.WithCancel(t.Context())
	o := w.options()
	o.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if network == "udp4" {
			cancel()
		}
		return w.dial(ctx, network, addr)
	}
	o.Timeout = time.Hour
	if p := Public(ctx, o); p.Addr.IsValid() || p.Answered {
		t.Errorf("%+v", p)
	}
}

func TestPublicIPv6(t *testing.T) {
	t.Parallel()
	const six = "2a00:1450::1"
	w := (&internet{https: echoes{"a": says(site), "b": says(site), "c": says(six), "d": says(six)}}).open(t)
	o := w.options()
	o.HasIPv6 = func() bool { return true }
	only := map[string]string{"a": "tcp4", "b": "tcp4", "c": "tcp6", "d": "tcp6"}
	o.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if host, _, _ := net.SplitHostPort(addr); only[host] != network {
			return nil, &net.DNSError{IsNotFound: true}
		}
		return w.dial(ctx, network, addr)
	}
	p := Public(t.Context(), o)
	if p.Addr.String() != site || p.Addr6.String() != six || codes(p.Findings) != "wan.public.found wan.public.found" {
		t.Errorf("%+v", p)
	}
	only["c"], only["d"] = "", ""
	if p := Public(t.Context(), o); p.Addr.String() != site || p.Addr6.IsValid() || codes(p.Findings) != "wan.public.found wan.ipv6.silent" {
		t.Errorf("%+v", p)
	}
}

func TestParseEcho(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		site:                             site,
		"\ufeff" + site + "\r\n":         site,
		"2A00:1450:0::1":                 "2a00:1450::1",
		"::ffff:" + site:                 site,
		`{"ip": "` + site + `", "x": 1}`: site,
		"fl=1f1\nh=a\nip=" + site + "\nts=1.2\nuag=a=b\n": site,
		"":                                "",
		"11.20.30":                        "",
		"fe80::1%eth0":                    "",
		"<html>" + site:                   "",
		`{"address": "` + site + `"}`:     "",
		`{"ip": ` + site:                  "",
		"ip=" + site + "\nip=" + other:    "",
		"my ip=" + site:                   "",
		site + " " + other:                "",
		strings.Repeat(" ", 5000) + site:  "",
		"ip=":                             "",
		"<a href='?ip=1'>\nip=" + site:    "",
		"fl=1\nip=" + site + "\n<script>": "",
	}
	for body, want := range tests {
		addr, err := parseEcho([]byte(body))
		if got := addr.String(); (err == nil) != (want != "") || err == nil && got != want {
			t.Errorf("parseEcho(%q) = %s, %v, want %q", body, got, err, want)
		}
	}
	if _, err := parseEcho([]byte(" <!DOCTYPE html>")); !errors.Is(err, errPage) {
		t.Errorf("a page: %v", err)
	}
}

// TestParseSTUN reads the sample answers of RFC 5769, sections 2.2 and 2.3.
func TestParseSTUN(t *testing.T) {
	t.Parallel()
	id := stunID([]byte("\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae"))
	const software = "\x80\x22\x00\x0btest vector\x20"
	const head = "\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae"
	tests := map[string]string{
		"\x01\x01\x00\x1c" + head + software + "\x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43":                                                 "192.0.2.1:32853",
		"\x01\x01\x00\x28" + head + software + "\x00\x20\x00\x14\x00\x02\xa1\x47\x01\x13\xa9\xfa\xa5\xd3\xf1\x79\xbc\x25\xf4\xb5\xbe\xd2\xb9\xd9": "[2001:db8:1234:5678:11:2233:4455:6677]:32853",
		"\x01\x01\x00\x0c" + head + "\x00\x01\x00\x08\x00\x01\x80\x55\xc0\x00\x02\x01":                                                            "", // MAPPED-ADDRESS alone
		"\x01\x01\x00\x0c" + head + "\x00\x20\x00\x08\x00\x02\xa1\x47\xe1\x12\xa6\x43":                                                            "", // IPv4 said to be IPv6
		"\x01\x01\x00\x0c" + head + "\x00\x20\x00\x09\x00\x01\xa1\x47\xe1\x12\xa6\x43":                                                            "", // longer than the answer
		"\x01\x01\x00\x08" + head + "\x00\x20\x00\x02\x00\x01\x00\x00":                                                                            "", // no room for an address
		"\x01\x01\x00\x00" + head:                                      "",
		"\x01\x11\x00\x08" + head + "\x00\x09\x00\x04\x00\x00\x04\x14": "",
		"\x01\x01\x00\x00" + head[:15]:                                 "",
		"\x00\x01\x00\x00" + head:                                      "", // our own request
		"\x01\x01\x00\x04" + head:                                      "",
		"":                                                             "",
	}
	for b, want := range tests {
		seen, err := parseSTUN([]byte(b), id)
		if (err == nil) != (want != "") || err == nil && seen.String() != want {
			t.Errorf("parseSTUN(%x) = %s, %v, want %q", b, seen, err, want)
		}
	}
	if _, err := parseSTUN([]byte("\x01\x11\x00\x08"+head+"\x00\x09\x00\x04\x00\x00\x04\x14"), id); err == nil || !strings.Contains(err.Error(), "420") {
		t.Errorf("a refusal: %v", err)
	}
}

func FuzzParseSTUN(f *testing.F) {
	id := stunID{1, 2, 3}
	request := id.request()
	for _, addr := range []string{site + ":80", "[2a00::1]:80"} {
		f.Add(stunSays(addr)(request, netip.AddrPort{})[0])
	}
	f.Add(stunAnswer(stunFailure, id[:], []byte{0, 9, 0, 4, 0, 0, 4, 20}))
	f.Add(request)
	f.Fuzz(func(t *testing.T, b []byte) {
		seen, err := parseSTUN(b, id)
		if err == nil && !seen.Addr().IsValid() {
			t.Errorf("no address and no error from %x", b)
		}
	})
}

func FuzzParseEcho(f *testing.F) {
	for _, body := range []string{site, `{"ip":"2a00::1"}`, "fl=1\nip=" + site + "\n", "<html>", ""} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		addr, err := parseEcho(body)
		if err == nil && (!addr.IsValid() || addr.Zone() != "" || addr.Is4In6()) {
			t.Errorf("parseEcho(%q) = %s", body, addr)
		}
	})
}
