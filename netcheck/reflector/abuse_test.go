package reflector

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// Whatever a request says, no connection is made but to the address that it
// comes from.
func TestOtherDestinations(t *testing.T) {
	t.Parallel()
	b := serve(t, server(t, echo), func(_ *Options, l *limits) { l.pipesPerSession = 1000 })
	token := b.token(site)
	const (
		other = "11.66.66.66"
		up    = "Host: r\r\nConnection: Upgrade\r\nUpgrade: onsite-pipe/1\r\n"
	)
	for _, tt := range []struct {
		name, request, reason string
		status                int
	}{
		{"host", "GET /v1/pipe?port=8888&host=" + other + "&token=" + token + " HTTP/1.1\r\n" + up + "\r\n", whyRequest, 400},
		{"ip", "GET /v1/pipe?port=8888&token=" + token + "&ip=" + other + " HTTP/1.1\r\n" + up + "\r\n", whyRequest, 400},
		{"two ports", "GET /v1/pipe?port=8888&port=4444&token=" + token + " HTTP/1.1\r\n" + up + "\r\n", whyRequest, 400},
		{"two tokens", "GET /v1/pipe?port=8888&token=" + token + "&token=" + token + " HTTP/1.1\r\n" + up + "\r\n", whyRequest, 400},
		{"an address as port", "GET /v1/pipe?port=" + other + ":8888&token=" + token + " HTTP/1.1\r\n" + up + "\r\n", whyRequest, 400},
		{"a port with a sign", "GET /v1/pipe?port=%2B8888&token=" + token + " HTTP/1.1\r\n" + up + "\r\n", whyRequest, 400},
		{"a port with zeros", "GET /v1/pipe?port=08888&token=" + token + " HTTP/1.1\r\n" + up + "\r\n", whyRequest, 400},
		{"a port too high", "GET /v1/pipe?port=74424&token=" + token + " HTTP/1.1\r\n" + up + "\r\n", whyRequest, 400}, // 8888 + 65536
		{"a port by name", "GET /v1/pipe?port=http&token=" + token + " HTTP/1.1\r\n" + up + "\r\n", whyRequest, 400},
		{"semicolons", "GET /v1/pipe?port=8888;host=" + other + "&token=" + token + " HTTP/1.1\r\n" + up + "\r\n", whyRequest, 400},
		{"port 0", pipeFor(token, 0), whyRequest, 400},
		{"SSH", pipeFor(token, 22), whyPort, 403},
		{"mail", pipeFor(token, 25), whyPort, 403},
		{"a port not listed", pipeFor(token, 8080), whyPort, 403},
		{"a whole URL", "GET http://" + other + ":8888/v1/pipe?port=8888&token=" + token + " HTTP/1.1\r\n" + up + "\r\n", whyRequest, 400},
		{"CONNECT", "CONNECT " + other + ":8888 HTTP/1.1\r\nHost: " + other + "\r\n\r\n", whyRequest, 400},
		{"CONNECT with a path", "CONNECT /v1/pipe HTTP/1.1\r\nHost: " + other + "\r\n\r\n", whyMethod, 405},
		{"the asterisk", "OPTIONS * HTTP/1.1\r\nHost: r\r\n\r\n", whyRequest, 400},
		{"a path behind", "GET /v1/pipe/" + other + "?port=8888&token=" + token + " HTTP/1.1\r\n" + up + "\r\n", whyPath, 404},
		{"a path before", "GET //" + other + "/v1/pipe?port=8888&token=" + token + " HTTP/1.1\r\n" + up + "\r\n", whyPath, 404},
		{"two slashes", "GET //v1/pipe?port=8888&token=" + token + " HTTP/1.1\r\n" + up + "\r\n", whyPath, 404},
		{"dots", "GET /v1/../v1/pipe?port=8888&token=" + token + " HTTP/1.1\r\n" + up + "\r\n", whyPath, 404},
		{"escapes", "GET /v1/%70ipe?port=8888&token=" + token + " HTTP/1.1\r\n" + up + "\r\n", whyPath, 404},
		{"another version", "GET /v2/pipe?port=8888&token=" + token + " HTTP/1.1\r\n" + up + "\r\n", whyVersion, 404},
		{"POST", "POST /v1/pipe?port=8888&token=" + token + " HTTP/1.1\r\nContent-Length: 0\r\n" + up + "\r\n", whyMethod, 405},
		{"HTTP/1.0", "GET /v1/pipe?port=8888&token=" + token + " HTTP/1.0\r\n" + up + "\r\n", whyUpgrade, 426},
		{"another upgrade", "GET /v1/pipe?port=8888&token=" + token + " HTTP/1.1\r\nHost: r\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", whyUpgrade, 426},
		{"no connection header", "GET /v1/pipe?port=8888&token=" + token + " HTTP/1.1\r\nHost: r\r\nUpgrade: onsite-pipe/1\r\n\r\n", whyUpgrade, 426},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", whyRequest, 400},
		{"session for another", "POST /v1/session?ip=" + other + " HTTP/1.1\r\nHost: r\r\nContent-Length: 0\r\nAuthorization: Bearer " + goodToken + "\r\n\r\n", whyRequest, 400},
	} {
		b.rates.requests = newTable(10, requestsPerSecond, requestsBurst, true) // this is not about floods
		a := b.ask(site, tt.request)
		if a.status != tt.status || !strings.Contains(a.body, `"error":"`+tt.reason+`"`) && tt.name != "HTTP/2" {
			t.Errorf("%s: %d %s, want %d and %q", tt.name, a.status, a.body, tt.status, tt.reason)
		}
		if a.header.Get("Location") != "" || a.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: the headers of the answer are %v", tt.name, a.header)
		}
	}
	if got := b.dials(); len(got) > 0 {
		t.Errorf("connections to %v", got)
	}

	// These say something about addresses too, and it is not heeded.
	for name, headers := range map[string]string{
		"Host":            "",
		"X-Forwarded-For": "X-Forwarded-For: " + other + "\r\n",
		"several":         "X-Forwarded-For: " + other + "\r\nX-Forwarded-For: 127.0.0.1\r\nX-Real-IP: " + other + "\r\n",
		"Forwarded":       "Forwarded: for=" + other + ";host=" + other + "\r\n",
		"others":          "True-Client-IP: " + other + "\r\nCF-Connecting-IP: " + other + "\r\nX-Client-IP: " + other + "\r\nX-Forwarded-Host: " + other + "\r\nX-Source: " + other + ":1\r\n",
		"a line folded":   "X-Forwarded-For: 1\r\n " + other + "\r\n",
	} {
		request := strings.Replace(pipeFor(token, 8888, headers), "Host: r", "Host: "+other+":8888", 1)
		if a := b.ask(site, request); a.status != 101 && a.status != 400 {
			t.Errorf("%s: %+v", name, a)
		}
	}
	for _, to := range b.dials() {
		if to != netip.MustParseAddrPort(site+":8888") {
			t.Errorf("a connection to %v", to)
		}
	}
	if n := len(b.dials()); n < 5 {
		t.Errorf("%d connections were made, want those to the site", n)
	}
}

// Private, reserved and translated addresses, in every notation, get no session;
// nor is one connected to that has a token all the same.
func TestAddressesNotDialled(t *testing.T) {
	t.Parallel()
	b := serve(t, server(t, echo), func(o *Options, _ *limits) {
		o.Refuse = []netip.Prefix{netip.MustParsePrefix("11.99.0.0/16"), netip.MustParsePrefix("2a00:99::/32")}
	})
	b.own = func() ([]netip.Prefix, error) {
		return []netip.Prefix{netip.MustParsePrefix("11.53.0.0/24"), netip.MustParsePrefix("2a00:53::/64")}, nil
	}
	for _, addr := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.1.2.3", "169.254.169.254", "172.16.0.1",
		"172.31.255.255", "192.0.0.1", "192.0.0.9", "192.0.2.1", "192.31.196.1", "192.88.99.1", "192.168.1.1", "192.175.48.1", "198.18.0.1",
		"198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::10.0.0.1",
		"64:ff9b::a00:1", "64:ff9b::7f00:1", "64:ff9b:1::a00:1", "100::1", "2001::1", "2001:0:a00:1::1", "2001:db8::1", "2001:10::1", "2001:20::1",
		"2002:a00:1::1", "2002:7f00:1::1", "2002:b14:1e14::1", "3fff::1", "5f00::1", "fc00::1", "fd00::1", "fe80::1", "fe80::1%1", "fec0::1", "ff02::1", "4000::1",
		"2a00:1::1%eth0",
		"11.53.0.10", "11.53.0.77", "::ffff:11.53.0.10", "2a00:53::1", "11.99.1.2", "::ffff:11.99.1.2", "2a00:99:1::2",
	} {
		a := b.ask(addr, "POST /v1/session HTTP/1.1\r\nHost: r\r\nContent-Length: 0\r\nAuthorization: Bearer "+goodToken+"\r\n\r\n")
		if a.status != 403 || !strings.Contains(a.body, `"error":"address"`) {
			t.Errorf("a session for %s: %d %s", addr, a.status, a.body)
		}
		ip := netip.MustParseAddr(addr)
		token, _, err := b.begin("anna", ip.Unmap().WithZone(""))
		if err != nil {
			t.Fatal(err)
		}
		a = b.ask(addr, pipeFor(token, 8888))
		if a.status != 403 || !strings.Contains(a.body, `"error":"address"`) {
			t.Errorf("a pipe for %s: %d %s", addr, a.status, a.body)
		}
	}
	if got := b.dials(); len(got) > 0 {
		t.Errorf("connections to %v", got)
	}
	for _, addr := range []string{site, "::ffff:" + site, "2a00:1450::1", "11.53.1.1"} {
		if a := b.ask(addr, pipeFor(b.token(addr), 8888)); a.status != 101 {
			t.Errorf("a pipe for %s: %+v", addr, a)
		}
	}
}

// The last check is made by what connects, on what it is given: whatever stood
// before it may have been wrong.
func TestDialChecksAgain(t *testing.T) {
	t.Parallel()
	listening := server(t, func(c net.Conn) { t.Errorf("a connection from %v", c.RemoteAddr()) })
	inside := netip.MustParseAddrPort(listening)
	s := &Server{o: Options{Ports: []int{8888, int(inside.Port())}, Refuse: []netip.Prefix{netip.MustParsePrefix("11.99.0.0/16")}}}
	s.own = func() ([]netip.Prefix, error) { return []netip.Prefix{netip.MustParsePrefix("11.53.0.0/24")}, nil }
	for _, tt := range []struct {
		to   netip.AddrPort
		want error
	}{
		{inside, errNotGlobal},
		{netip.MustParseAddrPort("[::1]:8888"), errNotGlobal},
		{netip.MustParseAddrPort("[::ffff:127.0.0.1]:8888"), errNotGlobal},
		{netip.MustParseAddrPort("11.53.0.1:8888"), errOwn},
		{netip.MustParseAddrPort("11.99.0.1:8888"), errNever},
		{netip.MustParseAddrPort("11.20.30.20:22"), errElsewhere},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		conn, err := s.dialDirect(ctx, tt.to)
		cancel()
		if conn != nil || !errors.Is(err, tt.want) || outcomeOf(err) != "" {
			t.Errorf("dialDirect(%v) = %v, %v (%q), want %v, which is no outcome", tt.to, conn, err, outcomeOf(err), tt.want)
		}
	}
	s.own = func() ([]netip.Prefix, error) { return nil, errors.New("no list") }
	if err := s.mayDial(netip.MustParseAddr(site)); err == nil {
		t.Error("without the own addresses nothing may be connected to")
	}
	s.o.DialFrom = []netip.Addr{netip.MustParseAddr("2a00::1")}
	if _, err := s.dialDirect(context.Background(), netip.MustParseAddrPort(site+":8888")); !errors.Is(err, errNoSource) {
		t.Errorf("IPv4 from an IPv6 address = %v", err)
	}
}

// A session token is for one address, one reflector, some minutes, some ports and
// some connections.
func TestTokensOfOthers(t *testing.T) {
	t.Parallel()
	now := time.Now()
	b := serve(t, server(t, echo), func(o *Options, l *limits) {
		o.Now = func() time.Time { return now } // no other goroutine sees it change: requests follow each other
		o.Ports = []int{8888, 4444, 4500}
		l.portsPerSession, l.pipesPerSession = 2, 4
	})
	refused := func(name, from, token string, port int, reason string) {
		t.Helper()
		before := len(b.dials())
		a := b.ask(from, pipeFor(token, port))
		if a.status != 403 || !strings.Contains(a.body, `"error":"`+reason+`"`) || len(b.dials()) != before {
			t.Errorf("%s: %d %s, %d connections; want %q", name, a.status, a.body, len(b.dials())-before, reason)
		}
	}
	allowed := func(token string, port int) {
		t.Helper()
		if a := b.ask(site, pipeFor(token, port)); a.status != 101 {
			t.Errorf("port %d: %+v", port, a)
		}
	}
	good := b.token(site)
	allowed(good, 8888)
	refused("from another address", "11.20.30.21", good, 8888, whyForeign)
	other := serve(t, server(t, echo), nil)
	refused("of another reflector", site, other.token(site), 8888, whySession)
	refused("the operator's", site, goodToken, 8888, whySession)
	refused("cut short", site, good[:len(good)-1], 8888, whySession)
	refused("too long", site, good+"A", 8888, whySession)
	refused("huge", site, strings.Repeat("A", 3000), 8888, whySession)
	refused("padded", site, good+"%3D", 8888, whySession)
	refused("in another alphabet", site, strings.Repeat("%2B", ticketText), 8888, whySession)
	for i := range good {
		change := "A"
		if good[i] == 'A' {
			change = "B"
		}
		// Not one bit can be changed, those that base64 does not use included.
		if _, err := b.verify(good[:i] + change + good[i+1:]); err == nil {
			t.Errorf("changed at %d it is taken", i)
		}
	}
	allowed(good, 4444)
	refused("a third port", site, good, 4500, whySession)
	allowed(good, 8888)
	allowed(good, 8888)
	refused("a fifth time", site, good, 8888, whySession)
	late := b.token(site)
	now = now.Add(defaultLimits.session + time.Second)
	refused("after its time", site, late, 8888, whySession)
	for range 2 { // the ends of sessions are forgotten, and tokens of those are no better
		now = now.Add(time.Hour)
		b.token(site)
	}
	if n := b.sessions.len(); n != 1 {
		t.Errorf("%d sessions are remembered, want that which has not ended", n)
	}
	now = now.Add(-3 * time.Hour)
	refused("of a session forgotten", site, late, 8888, whySession)
}

// A proxy in front is believed, and nobody else; of what it says, only what it
// has added itself.
func TestForwarded(t *testing.T) {
	t.Parallel()
	const proxy, second = "10.0.0.1", "10.0.0.2"
	b := serve(t, server(t, echo), func(o *Options, l *limits) {
		o.Proxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/30"), netip.MustParsePrefix("11.44.0.1/32"), netip.MustParsePrefix("::1/128")}
		l.connsPerAddr = 4
	})
	whoami := func(from, headers string) reply {
		b.rates.requests = newTable(10, requestsPerSecond, requestsBurst, true)
		return b.ask(from, "GET /v1/whoami HTTP/1.1\r\nHost: r\r\n"+headers+"\r\n")
	}
	for _, tt := range []struct {
		name, from, headers, want string // want: the address, or the reason
	}{
		{"a stranger", "11.1.1.1", "X-Forwarded-For: " + site + "\r\n", "11.1.1.1"},
		{"a neighbour of the proxy", "10.0.0.4", "X-Forwarded-For: " + site + "\r\n", "10.0.0.4"},
		{"the proxy", proxy, "X-Forwarded-For: " + site + "\r\n", site},
		{"mapped into IPv6", "::ffff:" + proxy, "X-Forwarded-For: " + site + "\r\n", site},
		{"over IPv6", "::1", "X-Forwarded-For: 2a00:1450::1\r\n", "2a00:1450::1"},
		{"forged before", proxy, "X-Forwarded-For: 11.66.66.66, " + site + "\r\n", site},
		{"forged in a line before", proxy, "X-Forwarded-For: 11.66.66.66\r\nX-Forwarded-For: " + site + "\r\n", site},
		{"rubbish before", proxy, "X-Forwarded-For: unknown, <script>, , " + site + "\r\n", site},
		{"two proxies", proxy, "X-Forwarded-For: 11.66.66.66, " + site + ", " + second + "\r\n", site},
		{"a public proxy", "11.44.0.1", "X-Forwarded-For: " + site + "\r\n", site},
		{"with a port", proxy, "X-Forwarded-For: " + site + ":1234\r\n", site},
		{"IPv6 with a port", proxy, "X-Forwarded-For: [2a00:1450::1]:1234\r\n", "2a00:1450::1"},
		{"IPv6 in brackets", proxy, "X-Forwarded-For: [2a00:1450::1]\r\n", "2a00:1450::1"},
		{"mapped", proxy, "X-Forwarded-For: ::ffff:" + site + "\r\n", site},
		{"with spaces", proxy, "X-Forwarded-For:  11.66.66.66 ,\t" + site + "  \r\n", site},
		{"no header", proxy, "", whyPeer},
		{"an empty one", proxy, "X-Forwarded-For: \r\n", whyPeer},
		{"an empty end", proxy, "X-Forwarded-For: " + site + ",\r\n", whyPeer},
		{"proxies alone", proxy, "X-Forwarded-For: " + second + ", " + proxy + "\r\n", whyPeer},
		{"a name", proxy, "X-Forwarded-For: " + site + ", portal.acme.example\r\n", whyPeer},
		{"unknown", proxy, "X-Forwarded-For: " + site + ", unknown\r\n", whyPeer},
		{"octal", proxy, "X-Forwarded-For: 013.024.036.024\r\n", whyPeer},
		{"one number", proxy, "X-Forwarded-For: 186916372\r\n", whyPeer},
		{"a zone", proxy, "X-Forwarded-For: 2a00:1450::1%eth0\r\n", whyPeer},
		{"too many proxies", proxy, "X-Forwarded-For: " + site + strings.Repeat(", "+second, 40) + "\r\n", whyPeer},
		{"X-Real-IP", proxy, "X-Real-IP: " + site + "\r\n", whyPeer},
		{"Forwarded", proxy, "Forwarded: for=" + site + "\r\n", whyPeer},
		{"Forwarded beside", proxy, "Forwarded: for=11.66.66.66\r\nX-Real-IP: 11.66.66.66\r\nX-Forwarded-For: " + site + "\r\n", site},
		{"underscores", proxy, "X_Forwarded_For: " + site + "\r\n", whyPeer},
	} {
		a := whoami(tt.from, tt.headers)
		if !strings.Contains(a.body, `"ip":"`+tt.want+`"`) && !strings.Contains(a.body, `"error":"`+tt.want+`"`) {
			t.Errorf("%s: %d %s, want %s", tt.name, a.status, a.body, tt.want)
		}
	}
	// The proxy itself is connected to by nobody's asking.
	for _, from := range []string{"11.44.0.1", proxy} {
		token, _, _ := b.begin("anna", netip.MustParseAddr("11.44.0.1"))
		if a := b.ask(from, pipeFor(token, 8888, "X-Forwarded-For: 11.44.0.1\r\n")); a.status == 101 {
			t.Errorf("the proxy %s was connected to", from)
		}
	}
	// Behind a proxy many connections come from one address.
	for range 10 {
		b.connect(proxy)
	}
	if a := whoami(proxy, "X-Forwarded-For: "+site+"\r\n"); a.status != 200 {
		t.Errorf("the eleventh connection of the proxy: %+v", a)
	}
	for _, to := range b.dials() {
		t.Errorf("a connection to %v", to)
	}
}

// Web pages can make their visitors' browsers send much. None of it is answered.
func TestWebPages(t *testing.T) {
	t.Parallel()
	b := serve(t, server(t, echo), nil)
	token := b.token(site)
	for _, header := range []string{
		"Origin: https://evil.example", "Origin: null", "Origin: ", "ORIGIN: x",
		"Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: no-cors", "sec-fetch-dest: image", "Sec-Fetch-User: ?1",
	} {
		for _, request := range []string{
			"GET /v1/whoami HTTP/1.1\r\nHost: r\r\n" + header + "\r\n\r\n",
			"GET /healthz HTTP/1.1\r\nHost: r\r\n" + header + "\r\n\r\n",
			"POST /v1/session HTTP/1.1\r\nHost: r\r\nContent-Length: 0\r\nAuthorization: Bearer " + goodToken + "\r\n" + header + "\r\n\r\n",
			"OPTIONS /v1/session HTTP/1.1\r\nHost: r\r\nAccess-Control-Request-Method: POST\r\n" + header + "\r\n\r\n",
			pipeFor(token, 8888, header+"\r\n"),
		} {
			a := b.ask(site, request)
			if a.status != 403 || !strings.Contains(a.body, whyWeb) {
				t.Errorf("%s: %q: %d %s", header, request[:20], a.status, a.body)
			}
			for name := range a.header {
				if strings.HasPrefix(name, "Access-Control-") {
					t.Errorf("%s: the answer has %s", header, name)
				}
			}
		}
	}
	if got := b.dials(); len(got) > 0 {
		t.Errorf("connections to %v", got)
	}
}

// Bodies, and what pretends to be one, end the connection: nothing behind them
// passes for another request.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	b := serve(t, server(t, echo), nil)
	token := b.token(site)
	hidden := pipeFor(token, 8888)
	for name, request := range map[string]string{
		"a body":               fmt.Sprintf("POST /v1/session HTTP/1.1\r\nHost: r\r\nContent-Length: %d\r\n\r\n%s", len(hidden), hidden),
		"chunks":               "GET /v1/whoami HTTP/1.1\r\nHost: r\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
		"both lengths":         "GET /v1/whoami HTTP/1.1\r\nHost: r\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
		"two lengths":          "GET /v1/whoami HTTP/1.1\r\nHost: r\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n" + hidden,
		"an odd encoding":      "GET /v1/whoami HTTP/1.1\r\nHost: r\r\nTransfer-Encoding: xchunked\r\n\r\n" + hidden,
		"a space before colon": "GET /v1/whoami HTTP/1.1\r\nHost: r\r\nContent-Length : 5\r\n\r\n" + hidden,
		"a length with a sign": "GET /v1/whoami HTTP/1.1\r\nHost: r\r\nContent-Length: +0\r\n\r\n" + hidden,
		"no Host":              "GET /v1/whoami HTTP/1.1\r\n\r\n" + hidden,
		"two Hosts":            "GET /v1/whoami HTTP/1.1\r\nHost: r\r\nHost: s\r\n\r\n" + hidden,
		"expecting":            "POST /v1/session HTTP/1.1\r\nHost: r\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n" + hidden,
	} {
		conn := b.connect(site)
		io.WriteString(conn, request)
		r := bufio.NewReader(conn)
		if a := b.read(r); a.status < 400 {
			t.Errorf("%s: %+v", name, a)
		}
		if rest, _ := io.ReadAll(r); len(rest) > 0 {
			t.Errorf("%s: and then %q", name, rest)
		}
		conn.Close()
	}
	if got := b.dials(); len(got) > 0 {
		t.Errorf("connections to %v", got)
	}
	// Honest pipelining is answered in order.
	conn := b.connect("11.20.30.22")
	io.WriteString(conn, strings.Repeat("GET /v1/whoami HTTP/1.1\r\nHost: r\r\n\r\n", 3))
	r := bufio.NewReader(conn)
	for range 3 {
		if a := b.read(r); a.status != 200 {
			t.Errorf("pipelined: %+v", a)
		}
	}
}
