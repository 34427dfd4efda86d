package ddns

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"onsite/report"
)

const (
	testName     = "site.acme.example"
	testPassword = "Sw0rdfish-of-the-tests"
)

var (
	addrA = netip.MustParseAddr("11.20.30.20")
	addrB = netip.MustParseAddr("11.20.30.99")
	start = time.Date(2026, 3, 31, 8, 0, 0, 0, time.UTC)
)

// world is a site, its provider and its name servers.
type world struct {
	t   *testing.T
	dir string

	mu       sync.Mutex
	now      time.Time
	public   Public
	records  map[string][]netip.Addr // what each of the zone's servers answers
	alias    string
	asked    []*http.Request
	answer   func(w http.ResponseWriter, r *http.Request)
	follows  bool // the zone's servers show what the provider was told
	provider *httptest.Server
	protocol Protocol
}

func newWorld(t *testing.T) *world {
	w := &world{
		t: t, dir: t.TempDir(), now: start, follows: true,
		public:  Public{Addr: addrA, Answered: true},
		records: map[string][]netip.Addr{"ns1.acme.example": {addrB}, "ns2.acme.example": {addrB}},
	}
	w.answer = func(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, "good "+r.FormValue("myip")) }
	w.provider = httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		w.asked = append(w.asked, r)
		answer := w.answer
		w.mu.Unlock()
		answer(rw, r)
		if w.follows {
			w.mu.Lock()
			defer w.mu.Unlock()
			if addr, err := netip.ParseAddr(r.FormValue("myip")); err == nil {
				for server := range w.records {
					w.records[server] = []netip.Addr{addr}
				}
			}
		}
	}))
	t.Cleanup(w.provider.Close)
	w.protocol = w.dyndns2()
	return w
}

func (w *world) dyndns2() *DynDNS2 {
	u, err := url.Parse(w.provider.URL + updatePath)
	if err != nil {
		w.t.Fatal(err)
	}
	pool := w.provider.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	return &DynDNS2{URL: u, Username: "acme", Password: []byte(testPassword), Agent: "onsite/test it@acme.example", RootCAs: pool, Timeout: 5 * time.Second}
}

// says lets the provider answer with a text, and the zone's servers stay.
func (w *world) says(status int, body string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.follows = false
	w.answer = func(rw http.ResponseWriter, _ *http.Request) {
		rw.WriteHeader(status)
		io.WriteString(rw, body)
	}
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) requests() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.asked)
}

func (w *world) options() Options {
	return Options{
		Name: testName + ".", Protocol: w.protocol, StateDir: w.dir, Now: w.clock, Settle: 3 * time.Second, rounds: 1,
		Public: func(context.Context) Public {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.public
		},
		Authority: func(context.Context) Authority {
			w.mu.Lock()
			defer w.mu.Unlock()
			a := Authority{Alias: w.alias, Zone: "acme.example"}
			for _, server := range []string{"ns1.acme.example", "ns2.acme.example"} {
				if addrs, ok := w.records[server]; ok {
					a.Servers = append(a.Servers, Answer{Server: server, Addrs: addrs})
				}
			}
			a.Observations = []report.Observation{{Server: "ns1.acme.example", Question: testName + " A"}}
			return a
		},
		After: func(d time.Duration) <-chan time.Time { // time goes by as it is waited for
			w.pass(d)
			c := make(chan time.Time, 1)
			c <- w.clock()
			return c
		},
	}
}

// update looks and sends what is due.
func (w *world) update(change ...func(*Options)) (*Update, error) {
	w.t.Helper()
	o := w.options()
	for _, f := range change {
		f(&o)
	}
	u, err := Look(w.t.Context(), o)
	if err == nil {
		err = u.Send(w.t.Context())
	}
	return u, err
}

func force(o *Options) { o.Force = true }

func codes(findings []report.Finding) string {
	var list []string
	for _, f := range findings {
		list = append(list, f.Code)
	}
	return strings.Join(list, " ")
}

// expect runs an update and compares the codes of its findings and of its error,
// and how many requests have reached the provider so far.
func (w *world) expect(want string, requests int, change ...func(*Options)) *Update {
	w.t.Helper()
	u, err := w.update(change...)
	got := codes(u.Findings)
	if err != nil {
		got = strings.TrimSpace(got + " error:" + report.AsError(err).Code)
	}
	if got != want {
		w.t.Fatalf("findings = %q, want %q\n%+v\n%v", got, want, u.Findings, err)
	}
	if n := w.requests(); n != requests {
		w.t.Fatalf("%s: %d requests have reached the provider, want %d", got, n, requests)
	}
	return u
}
