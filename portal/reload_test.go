package portal

import (
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onsite/pkcs"
	"onsite/report"
)

// reloading runs a portal that looks at its files every 10 ms and returns what
// it logs.
func reloading(t *testing.T, dir string) (*Server, chan report.Finding) {
	t.Helper()
	log := make(chan report.Finding, 100)
	o := both(dir)
	o.Log = func(f report.Finding) { log <- f }
	s, _ := start(t, o, func(l *limits) { l.poll = 10 * time.Millisecond })
	return s, log
}

// served returns the fingerprint of the certificate that a new connection gets.
func served(t *testing.T, addr string, c *tls.Config) (string, bool) {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, c)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	// The tickets of TLS 1.3 come with the first answer.
	io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	io.Copy(io.Discard, conn)
	return pkcs.Fingerprint(conn.ConnectionState().PeerCertificates[0]), conn.ConnectionState().DidResume
}

func next(t *testing.T, log chan report.Finding) report.Finding {
	t.Helper()
	select {
	case f := <-log:
		return f
	case <-time.After(20 * time.Second):
		t.Fatal("the portal logs nothing")
		panic("unreachable")
	}
}

func TestReload(t *testing.T) {
	t.Parallel()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			t.Parallel()
			first, second := newSet(nil, testName), newSet(nil, testName)
			dir := write(t, first)
			s, log := reloading(t, dir)
			c := clientTLS()
			c.MaxVersion = version
			c.ClientSessionCache = tls.NewLRUClientSessionCache(4)
			served(t, s.HTTPSAddr(), c)
			if got, resumed := served(t, s.HTTPSAddr(), c); got != pkcs.Fingerprint(first.Leaf) || !resumed {
				t.Errorf("before the change: %s, resumed %v; want %s, resumed", got, resumed, pkcs.Fingerprint(first.Leaf))
			}
			if _, err := second.Write(dir, pkcs.WriteOptions{Overwrite: true}); err != nil {
				t.Fatal(err)
			}
			if f := next(t, log); f.Code != "portal.reloaded" || f.Status != report.StatusPass || f.Subject != dir || !strings.Contains(f.Detail, testName) {
				t.Errorf("logged %+v, want portal.reloaded", f)
			}
			if got, resumed := served(t, s.HTTPSAddr(), c); got != pkcs.Fingerprint(second.Leaf) || resumed {
				t.Errorf("after the change: %s, resumed %v; want %s, not resumed", got, resumed, pkcs.Fingerprint(second.Leaf))
			}
		})
	}
}

// A connection that was open shows the certificate that it was made with.
func TestReloadKeepsConnections(t *testing.T) {
	t.Parallel()
	first, second := newSet(nil, testName), newSet(nil, testName)
	dir := write(t, first)
	s, log := reloading(t, dir)
	h1, h2 := client(t, s.HTTPSAddr(), false), client(t, s.HTTPSAddr(), true)
	before := map[*http.Client]string{}
	for _, c := range []*http.Client{h1, h2} {
		_, body := get(t, c, "https://portal.acme.example"+wellKnown)
		seen, _ := parseSeen([]byte(body), "")
		before[c] = seen.Remote
	}
	if _, err := second.Write(dir, pkcs.WriteOptions{Overwrite: true}); err != nil {
		t.Fatal(err)
	}
	next(t, log)
	for _, c := range []*http.Client{h1, h2} {
		_, body := get(t, c, "https://portal.acme.example"+wellKnown)
		seen, ok := parseSeen([]byte(body), "")
		if !ok || seen.Remote != before[c] || seen.Certificate.SHA256 != pkcs.Fingerprint(first.Leaf) {
			t.Errorf("after the change, on the open connection: %s, want that from %s with %s", body, before[c], pkcs.Fingerprint(first.Leaf))
		}
	}
}

func TestReloadRefuses(t *testing.T) {
	t.Parallel()
	first := newSet(nil, testName)
	dir := write(t, first)
	s, log := reloading(t, dir)
	for _, change := range []struct {
		name string
		do   func() error
		says string
	}{
		{"expired", func() error {
			_, err := newSet(expired, testName).Write(dir, pkcs.WriteOptions{Overwrite: true})
			return err
		}, "expired on"},
		{"cut short", func() error { return os.WriteFile(filepath.Join(dir, pkcs.CertFile), []byte("-----BEGIN"), 0o600) }, pkcs.CertFile},
		{"gone", func() error { return os.Remove(filepath.Join(dir, pkcs.CertFile)) }, "there is no"},
	} {
		if err := change.do(); err != nil {
			t.Fatal(err)
		}
		f := next(t, log)
		if f.Code != "portal.reload.refused" || f.Status != report.StatusFail || !strings.Contains(f.Detail, change.says) || !strings.Contains(f.Detail, "the old one stays") || f.Remedy == "" {
			t.Errorf("%s: logged %+v, want portal.reload.refused with %q", change.name, f, change.says)
		}
		if got, _ := served(t, s.HTTPSAddr(), clientTLS()); got != pkcs.Fingerprint(first.Leaf) {
			t.Errorf("%s: the portal serves %s, want the old %s", change.name, got, pkcs.Fingerprint(first.Leaf))
		}
	}
	last := newSet(nil, testName)
	if _, err := last.Write(dir, pkcs.WriteOptions{Overwrite: true}); err != nil {
		t.Fatal(err)
	}
	if f := next(t, log); f.Code != "portal.reloaded" {
		t.Errorf("logged %+v, want portal.reloaded after the files were mended", f)
	}
	if got, _ := served(t, s.HTTPSAddr(), clientTLS()); got != pkcs.Fingerprint(last.Leaf) {
		t.Errorf("the portal serves %s, want the new %s", got, pkcs.Fingerprint(last.Leaf))
	}
}

// The looks at a set that is changed file by file, one after the other.
func TestReloadMidChange(t *testing.T) {
	t.Parallel()
	first, second := newSet(nil, testName), newSet(nil, testName)
	dir, fresh := write(t, first), write(t, second)
	var logged []report.Finding
	o := both(dir)
	o.Log = func(f report.Finding) { logged = append(logged, f) }
	s, _, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.http.Close()
	defer s.https.Close()
	move := func(name string) {
		if err := os.Rename(filepath.Join(fresh, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	current := func() string { return pkcs.Fingerprint(s.served.Load().set.Cert[0]) }

	refused := s.reload(nil)
	if refused != nil || len(logged) > 0 {
		t.Errorf("nothing has changed: %v, logged %+v", refused, logged)
	}
	move(pkcs.CertFile)
	if refused = s.reload(refused); refused == nil || len(logged) > 0 || current() != pkcs.Fingerprint(first.Leaf) {
		t.Errorf("in the middle: %v, logged %+v, serves %s; want a second look, nothing logged, the old set", refused, logged, current())
	}
	move(pkcs.KeyFile)
	if refused = s.reload(refused); refused != nil || len(logged) != 1 || logged[0].Code != "portal.reloaded" || current() != pkcs.Fingerprint(second.Leaf) {
		t.Errorf("at the end: %v, logged %+v, serves %s; want the new set", refused, logged, current())
	}
	move(pkcs.RootFile) // the same bytes
	if refused = s.reload(refused); refused != nil || len(logged) != 1 {
		t.Errorf("a file with the same content: %v, logged %+v; want nothing more", refused, logged)
	}
	overwrite(t, dir, pkcs.KeyFile, []byte("no key"))
	refused = s.reload(nil)
	refused = s.reload(refused)
	refused = s.reload(refused)
	if s.reload(refused); len(logged) != 2 || logged[1].Code != "portal.reload.refused" {
		t.Errorf("a bad set that stays: logged %+v, want it told once", logged)
	}
	if strings.Contains(logged[1].Detail, "BEGIN") {
		t.Errorf("the finding shows the file: %q", logged[1].Detail)
	}
}
