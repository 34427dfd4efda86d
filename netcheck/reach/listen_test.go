package reach

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"onsite/report"
)

// visit opens a path of a door, as a telephone would.
func visit(t *testing.T, d *Door, path string) (int, string) {
	t.Helper()
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get("http://" + net.JoinHostPort("127.0.0.1", portText(d)) + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(body)
}

func portText(d *Door) string {
	_, port, _ := net.SplitHostPort(d.listener.Addr().String())
	return port
}

func openDoor(t *testing.T, o ListenOptions) *Door {
	t.Helper()
	o.Addr, o.Host, o.Public = "127.0.0.1", public.String(), public
	d, err := OpenDoor(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func TestDoor(t *testing.T) {
	t.Parallel()
	var seen []Visit
	d := openDoor(t, ListenOptions{For: 20 * time.Millisecond, Arrived: func(v Visit) { seen = append(seen, v) }})
	path := strings.TrimPrefix(d.URL(), "http://"+net.JoinHostPort(public.String(), portText(d)))
	if len(path) != len(doorPath)+32 {
		t.Fatalf("the URL is %s", d.URL())
	}
	if status, body := visit(t, d, path); status != 200 || !strings.Contains(body, "Switch Wi-Fi off") {
		t.Errorf("from inside: %d %s", status, body)
	}
	for _, wrong := range []string{"/", doorPath, doorPath + strings.Repeat("0", 32), path + "0", path[:len(path)-1]} {
		if status, body := visit(t, d, wrong); status != 404 || strings.Contains(body, d.nonce) {
			t.Errorf("%s: %d %s", wrong, status, body)
		}
	}
	visits, findings, err := d.Wait(t.Context())
	if err != nil || len(visits) != 6 || findings[0].Code != "port.listen.inside" || findings[0].Status != report.StatusUnknown {
		t.Errorf("%v %+v %+v", err, visits, findings)
	}
	if len(seen) != 6 || seen[0].From != FromLAN || seen[1].From != FromWrong {
		t.Errorf("told of %+v", seen)
	}
}

func TestDoorJudgesWhere(t *testing.T) {
	t.Parallel()
	d := openDoor(t, ListenOptions{Gateways: []netip.Addr{gateway}, Local: []netip.Prefix{netip.MustParsePrefix("203.0.114.0/24")}})
	for addr, from := range map[string]string{
		"198.51.100.7": FromLAN, // a documentation address is nobody's
		"11.53.0.11":   FromOutside, "192.168.1.1": FromRouter, "192.168.1.60": FromLAN, "127.0.0.1": FromLAN, "100.64.1.2": FromLAN,
		"203.0.113.10": FromPublic, "203.0.114.9": FromLAN, "2a00:1450::1": FromOutside, "fe80::1": FromLAN,
	} {
		if got := d.from(netip.MustParseAddr(addr)); got != from {
			t.Errorf("%s is %s, want %s", addr, got, from)
		}
	}
	d.o.Public = netip.Addr{}
	if got := d.from(netip.MustParseAddr("11.53.0.11")); got != FromUnsure {
		t.Errorf("without a public address it is %s", got)
	}
}

// asIf serves requests as if they came from an address.
func asIf(t *testing.T, d *Door, remote, path string) *recorder {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.RemoteAddr = remote
	w := &recorder{header: http.Header{}}
	d.ServeHTTP(w, r)
	return w
}

type recorder struct {
	header http.Header
	status int
	body   strings.Builder
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(s int)           { r.status = s }
func (r *recorder) Write(p []byte) (int, error) { return r.body.Write(p) }

func TestDoorIsProvenOnce(t *testing.T) {
	t.Parallel()
	d := openDoor(t, ListenOptions{})
	if w := asIf(t, d, "203.0.113.10:5000", doorPath+d.nonce); w.status != 200 || !strings.Contains(w.body.String(), "Not proven") {
		t.Errorf("over the loop-back: %d %s", w.status, w.body.String())
	}
	if w := asIf(t, d, "11.53.0.11:5000", doorPath+d.nonce); w.status != 200 || !strings.Contains(w.body.String(), "from outside") {
		t.Errorf("from outside: %d %s", w.status, w.body.String())
	}
	visits, findings, err := d.Wait(t.Context())
	if err != nil || len(visits) != 2 || findings[0].Code != "port.works" {
		t.Errorf("%v %+v %+v", err, visits, findings)
	}
	if w := asIf(t, d, "11.53.0.12:5000", doorPath+d.nonce); w.status != http.StatusGone {
		t.Errorf("a second time: %d", w.status)
	}
}

func TestDoorNobody(t *testing.T) {
	t.Parallel()
	d := openDoor(t, ListenOptions{For: time.Millisecond})
	if _, findings, err := d.Wait(t.Context()); err != nil || findings[0].Code != "port.listen.nobody" {
		t.Errorf("%v %+v", err, findings)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := openDoor(t, ListenOptions{}).Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

// The door answers beacons beside pages, so that a reflector can prove it.
func TestDoorThroughVantage(t *testing.T) {
	t.Parallel()
	d := openDoor(t, ListenOptions{Outside: 8888})
	addr := d.listener.Addr().String()
	w := newWorld(map[string]string{addr: addr, "outside:8888": addr})
	o := options(w)
	o.Vantages = outside(w)
	r, findings, err := d.Check(t.Context(), o, netip.MustParseAddr("127.0.0.1"))
	if err != nil || findings[0].Code != "port.works" || *r.Ports[0].Grade != 2 {
		t.Errorf("%v %+v", err, findings)
	}
	w.set("outside:8888", page(t, 200, "nginx", "NAS"))
	if _, findings, err = d.Check(t.Context(), o, netip.MustParseAddr("127.0.0.1")); err != nil || findings[0].Code != "port.outside.other" {
		t.Errorf("%v %+v", err, findings)
	}
}

func TestDoorIsTaken(t *testing.T) {
	t.Parallel()
	d := openDoor(t, ListenOptions{})
	_, err := OpenDoor(ListenOptions{Addr: "127.0.0.1", Port: d.Port()})
	if !report.HasCode(err, codeInUse) || !strings.Contains(report.AsError(err).Remedy, "port check") {
		t.Errorf("%v", err)
	}
}

// Slow and silent visitors keep nobody else out, and Close does not wait for them.
func TestDoorUnderSlowVisitors(t *testing.T) {
	t.Parallel()
	d := openDoor(t, ListenOptions{})
	for range maxGuests - 2 {
		c, err := net.Dial("tcp", d.listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	if status, _ := visit(t, d, "/"); status != 404 {
		t.Errorf("status %d", status)
	}
	d.Close()
}
