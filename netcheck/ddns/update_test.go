package ddns

import (
	"context"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"onsite/report"
)

func TestUpdate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := w.expect("ddns.good ddns.changed", 1)
	r := u.Result
	if r.Name != testName || r.Public != addrA.String() || strings.Join(r.Before, " ") != addrB.String() || strings.Join(r.After, " ") != addrA.String() ||
		!r.Sent || r.NextTry != nil || r.Protocol != "dyndns2" || r.Server != w.provider.URL+"/nic/update" {
		t.Errorf("result = %+v", r)
	}
	if len(r.Observations) != 3 {
		t.Errorf("%d observations, want 3: before, the update, after: %+v", len(r.Observations), r.Observations)
	}
	u = w.expect("ddns.current", 1)
	if u.Due() || u.Result.Sent {
		t.Errorf("Due = %v, Sent = %v for a record that is right", u.Due(), u.Result.Sent)
	}
}

func TestLookSendsNothing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		set  func(w *world)
		want string
		kind report.Kind
	}{
		{"nobody knows the public address", func(w *world) { w.public = Public{Findings: []report.Finding{report.Unknown("wan.x", "", "", "")}} }, "wan.x error:ddns.public.unknown", report.KindNoAnswer},
		{"witnesses differ", func(w *world) {
			w.public = Public{Answered: true, Findings: []report.Finding{report.Unknown("wan.y", "", "", "")}}
		}, "wan.y error:ddns.public.unconfirmed", report.KindRefused},
		{"the public address is private", func(w *world) { w.public.Addr = netip.MustParseAddr("192.168.1.50") }, "error:ddns.address.not-public", report.KindRefused},
		{"the public address is the carrier's", func(w *world) { w.public.Addr = netip.MustParseAddr("100.64.10.20") }, "error:ddns.address.not-public", report.KindRefused},
		{"private inside IPv6", func(w *world) { w.public.Addr = netip.MustParseAddr("::ffff:10.0.0.1") }, "error:ddns.address.not-public", report.KindRefused},
		{"IPv6", func(w *world) { w.public.Addr = netip.MustParseAddr("2620:4f:8000::1") }, "error:ddns.address.not-public", report.KindRefused},
		{"the router has another public address", func(w *world) { w.public.Router = addrB }, "error:ddns.public.elsewhere", report.KindRefused},
		{"a VPN", func(w *world) { w.public.Tunnel = true }, "error:ddns.public.elsewhere", report.KindRefused},
		{"no server answers", func(w *world) { w.records = nil }, "error:ddns.authority.unknown", report.KindNoAnswer},
		{"an alias", func(w *world) { w.records, w.alias = nil, "acme.dyn.example." }, "ddns.alias", 0},
		{"one server is right", func(w *world) { w.records["ns1.acme.example"] = []netip.Addr{addrA} }, "ddns.behind", 0},
		{"all are right", func(w *world) {
			w.records = map[string][]netip.Addr{"ns1.acme.example": {netip.MustParseAddr("::ffff:11.20.30.20")}}
		}, "ddns.current", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tt.set(w)
			w.expect(tt.want, 0)
			if _, err := w.update(); err != nil && report.AsError(err).Kind != tt.kind {
				t.Errorf("kind = %v, want %v", report.AsError(err).Kind, tt.kind)
			}
			if _, err := os.Stat(filepath.Join(w.dir, StateFile)); err == nil {
				t.Error("there is a state file, though nothing was sent")
			}
		})
	}
}

// TestLookSends: what differs is sent, be it that there is nothing, or too much.
func TestLookSends(t *testing.T) {
	t.Parallel()
	for name, addrs := range map[string][]netip.Addr{"none": {}, "another": {addrB}, "one too many": {addrA, addrB}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.records = map[string][]netip.Addr{"ns1.acme.example": addrs}
			w.expect("ddns.good ddns.changed", 1)
		})
	}
}

// TestRouterAgrees: a router that says the same, or is behind another one, or says
// nothing, keeps nobody.
func TestRouterAgrees(t *testing.T) {
	t.Parallel()
	for _, router := range []string{"11.20.30.20", "192.168.0.20", "100.64.10.20", "::ffff:11.20.30.20", "0.0.0.0"} {
		w := newWorld(t)
		w.public.Router = netip.MustParseAddr(router)
		w.expect("ddns.good ddns.changed", 1)
	}
}

func TestStatedAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.public = Public{}
	w.expect("ddns.good ddns.changed", 1, func(o *Options) { o.Address = addrA })
	w.expect("error:ddns.address.not-public", 1, func(o *Options) { o.Address = netip.MustParseAddr("10.1.2.3") })
}

// TestPropagation: what was accepted and does not show yet is not sent again.
func TestPropagation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.follows = false
	u := w.expect("ddns.good ddns.unverified", 1)
	if u.Result.NextTry == nil {
		t.Error("next_try is missing")
	}
	w.pass(5 * time.Minute)
	w.expect("ddns.pending", 1)
	w.pass(26 * time.Minute)
	w.says(200, "nochg "+addrA.String())
	w.expect("ddns.nochg", 2)
	w.pass(29 * time.Minute)
	w.expect("ddns.waiting", 2)
	w.pass(2 * time.Minute)
	w.expect("ddns.nochg", 3) // the second in a row: an hour
	w.pass(59 * time.Minute)
	w.expect("ddns.waiting", 3)
	w.pass(2 * time.Minute)
	w.expect("ddns.nochg", 4)
	w.pass(100 * 24 * time.Hour)
	for range 6 { // whatever happens, a day is enough
		w.expect("ddns.nochg", w.requests()+1)
		w.pass(24 * time.Hour)
	}
}

// TestStops: after a final answer nothing is sent, in this run or another, until
// something is changed.
func TestStops(t *testing.T) {
	t.Parallel()
	for code := range refusals {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.says(200, code)
			u := w.expect(refusals[code].Code, 1)
			if u.Findings[0].Remedy == "" || u.Result.NextTry != nil {
				t.Errorf("finding = %+v, next try %v", u.Findings[0], u.Result.NextTry)
			}
			w.pass(365 * 24 * time.Hour)
			w.expect("ddns.stopped", 1)
			w.expect(refusals[code].Code, 2, force)
			w.expect("ddns.stopped", 2)
			d := w.dyndns2()
			d.Password = []byte("another")
			w.protocol = d
			w.says(200, "good "+addrA.String())
			w.follows = true
			w.expect("ddns.good ddns.changed", 3)
		})
	}
}

func TestStopIsForOneName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.says(200, "nohost")
	w.expect("ddns.nohost", 1)
	w.expect("ddns.nohost", 2, func(o *Options) { o.Name = "other.acme.example" })
	d := w.dyndns2()
	d.Username = "somebody"
	w.protocol = d
	w.expect("ddns.nohost", 3)
}

// TestDoubling: trouble of the server is waited for, twice as long each time.
func TestDoubling(t *testing.T) {
	t.Parallel()
	for body, code := range map[string]string{"dnserr": "ddns.dnserr", "911": "ddns.911", "wait": "ddns.wait"} {
		w := newWorld(t)
		w.says(200, body)
		sent := 0
		for _, wait := range []time.Duration{30, 60, 120, 240, 240} {
			sent++
			u := w.expect(code, sent)
			if got := u.Result.NextTry.Sub(w.clock()); got != wait*time.Minute {
				t.Errorf("%s: next try in %v, want %v min", body, got, wait)
			}
			w.pass(wait*time.Minute - time.Second)
			w.expect("ddns.waiting", sent)
			w.pass(time.Second)
		}
		w.public.Addr = netip.MustParseAddr("11.20.30.21") // the server's trouble stays the same
		w.expect(code, sent+1)
		w.expect("ddns.waiting", sent+1)
		w.says(200, "good 11.20.30.21")
		w.follows = true
		w.pass(4 * time.Hour)
		w.expect("ddns.good ddns.changed", sent+2)
		w.public.Addr = addrA
		w.says(200, body)
		if u := w.expect(code, sent+3); u.Result.NextTry.Sub(w.clock()) != firstWait {
			t.Errorf("%s: after a success the next trouble waits %v, want %v", body, u.Result.NextTry.Sub(w.clock()), firstWait)
		}
	}
}

func TestWaitCodes(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]time.Duration{"w45m": 45 * time.Minute, "w1s": time.Minute, "w9999h": 24 * time.Hour, "w2h": 2 * time.Hour} {
		w := newWorld(t)
		w.says(200, body)
		if u := w.expect("ddns.wait", 1); u.Result.NextTry.Sub(w.clock()) != want {
			t.Errorf("%s: next try in %v, want %v", body, u.Result.NextTry.Sub(w.clock()), want)
		}
	}
}

// TestMendedMeanwhile: when the record is right after all, the next trouble is the
// first one again.
func TestMendedMeanwhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.says(200, "911")
	w.expect("ddns.911", 1)
	w.pass(30 * time.Minute)
	w.expect("ddns.911", 2)
	w.records = map[string][]netip.Addr{"ns1.acme.example": {addrA}}
	w.expect("ddns.current", 2)
	w.records = map[string][]netip.Addr{"ns1.acme.example": {addrB}}
	if u := w.expect("ddns.911", 3); u.Result.NextTry.Sub(w.clock()) != firstWait {
		t.Errorf("next try in %v, want %v", u.Result.NextTry.Sub(w.clock()), firstWait)
	}
}

// TestOften: an address that comes and goes is not followed for ever.
func TestOften(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for n := range maxSent {
		w.public.Addr = []netip.Addr{addrA, addrB}[n%2]
		w.expect("ddns.good ddns.changed", n+1)
		w.pass(5 * time.Minute)
	}
	w.public.Addr = netip.MustParseAddr("11.20.30.21")
	if u := w.expect("ddns.often", maxSent); u.Result.NextTry == nil {
		t.Error("next_try is missing")
	}
	w.pass(time.Hour - maxSent*5*time.Minute + time.Minute)
	w.expect("ddns.good ddns.changed", maxSent+1)
}

// TestKilled: a run that ended between question and answer is not forgotten.
func TestKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.options()
	o.defaults()
	s := store{dir: w.dir, now: w.clock}
	if f, _, err := s.begin(o, addrA); f.Code != "" || err != nil {
		t.Fatalf("begin = %v, %v", f, err)
	}
	w.expect("ddns.waiting", 0)
	w.pass(retryWait)
	w.expect("ddns.good ddns.changed", 1)
}

func TestStateFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.says(200, "badauth")
	w.expect("ddns.badauth", 1)
	path := filepath.Join(w.dir, StateFile)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(raw), testPassword) {
		t.Error("the state file holds the password")
	}
	info, err := os.Stat(path)
	if err != nil || runtime.GOOS != "windows" && info.Mode() != 0o600 {
		t.Errorf("mode = %v, %v, want 0600", info.Mode(), err)
	}
	entries, err := os.ReadDir(w.dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v, want the file alone", entries, err)
	}
	m, err := parse(raw)
	if err != nil || len(m.Entries) != 1 {
		t.Fatalf("parse = %+v, %v", m, err)
	}
}

func TestStateDamaged(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"empty": "", "cut": `{"version":1,"entries":[{"na`, "text": "hello", "another version": `{"version":7}`,
		"twice": `{"version":1}{"version":1}`, "huge": `{"version":1,"entries":[` + strings.Repeat(" ", maxState) + `]}`,
		"no fingerprint": `{"version":1,"entries":[{"name":"a","server":"b","protocol":"c"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			path := filepath.Join(w.dir, StateFile)
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, start, start); err != nil {
				t.Fatal(err)
			}
			w.expect("ddns.state.damaged ddns.waiting", 0)
			w.pass(29 * time.Minute)
			w.expect("ddns.state.damaged ddns.waiting", 0)
			w.pass(time.Minute)
			w.expect("ddns.state.damaged ddns.good ddns.changed", 1)
			w.expect("ddns.current", 1)
			if kept, err := filepath.Glob(filepath.Join(w.dir, "onsite-previous", "*", StateFile)); err != nil || len(kept) != 1 {
				t.Errorf("the damaged file is not kept: %v, %v", kept, err)
			}
		})
	}
}

// TestStateUnusable: what cannot be remembered is not sent.
func TestStateUnusable(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file := filepath.Join(w.dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w.dir = filepath.Join(file, "below")
	w.expect("error:ddns.state.unusable", 0)
	w.dir = t.TempDir()
	if err := os.Mkdir(filepath.Join(w.dir, StateFile), 0o755); err != nil {
		t.Fatal(err)
	}
	w.expect("error:ddns.state.unusable", 0)
}

// TestTogether: of several runs at once only one sends.
func TestTogether(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.follows = false
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			o := w.options()
			o.Settle = time.Nanosecond
			u, err := Look(t.Context(), o)
			if err == nil {
				err = u.Send(t.Context())
			}
			if err != nil {
				t.Errorf("an update at the same time: %v", err)
			}
		})
	}
	all.Wait()
	if n := w.requests(); n != 1 {
		t.Errorf("%d requests have reached the provider, want 1", n)
	}
}

// TestClockWasWrong: a time far in the future, written by a clock that was wrong,
// does not silence the program for ever.
func TestClockWasWrong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.now = start.Add(10 * 365 * 24 * time.Hour)
	w.says(200, "911")
	w.expect("ddns.911", 1)
	w.now = start
	w.expect("ddns.911", 2)
	u := w.expect("ddns.waiting", 2)
	if u.Result.NextTry == nil || u.Result.NextTry.Sub(start) > sameWait {
		t.Errorf("next try = %v, want within %v", u.Result.NextTry, sameWait)
	}
}

func TestTrim(t *testing.T) {
	t.Parallel()
	m := &memory{}
	for n := range maxEntries + 5 {
		m.Entries = append(m.Entries, entry{Times: n, Sent: []time.Time{start.Add(time.Duration(n) * time.Minute)}})
	}
	m.trim()
	if len(m.Entries) != maxEntries || m.Entries[0].Times != maxEntries+4 {
		t.Errorf("%d entries, the first %d, want %d with the newest first", len(m.Entries), m.Entries[0].Times, maxEntries)
	}
}

func FuzzState(f *testing.F) {
	f.Add([]byte(`{"version":1,"entries":[]}`))
	f.Add([]byte(`{"version":1,"not_before":"2026-03-31T08:00:00Z","entries":[{"protocol":"dyndns2","server":"s","name":"n","user":"u","salt":"AAAA","fingerprint":"AAAA","sent":["2026-03-31T08:00:00Z"],"class":"stop","until":"9999-12-31T23:59:59Z"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parse(data)
		if err != nil {
			return
		}
		m.trim()
		raw, err := json.Marshal(m)
		if err != nil {
			return // a time that JSON cannot hold
		}
		if _, err := parse(raw); err != nil && len(raw) <= maxState {
			t.Errorf("parse(%s) = %v after it was written again", raw, err)
		}
		s := &store{now: func() time.Time { return start }}
		for _, e := range m.Entries {
			o := Options{Name: e.Name, Protocol: fake{e}, Now: s.now}
			s.known.salt, s.known.input, s.known.output = e.Salt, []byte("fake"), []byte("x") // not slow
			if _, next := s.judge(m, o, addrA); next.Sub(start) > sameWait {
				t.Errorf("next = %v, want within a day", next)
			}
		}
	})
}

type fake struct{ e entry }

func (f fake) Name() string                                                   { return f.e.Protocol }
func (f fake) Server() string                                                 { return f.e.Server }
func (f fake) User() string                                                   { return f.e.User }
func (f fake) check(string) ([]report.Finding, error)                         { return nil, nil }
func (f fake) fingerprint() []byte                                            { return []byte("fake") }
func (f fake) send(context.Context, string, netip.Addr, Authority) (a answer) { return a }
