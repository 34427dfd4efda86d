package main

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/rogpeppe/go-internal/testscript"
)

// provider is a dynamic-DNS provider and the only name server of a network of its
// own: it holds one name, and takes updates of both protocols.
type provider struct {
	mu       sync.Mutex
	name     string
	addr     string
	answer   string // to dyndns2, in place of the truth
	requests int
}

const providerSecret = "c2VjcmV0IG9mIHRoZSB0ZXN0cywgMzIgYnl0ZXMgbG9uZw=="

// ServeHTTP takes updates by dyndns2.
func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests++
	user, password, _ := r.BasicAuth()
	switch {
	case p.answer != "":
		fmt.Fprint(w, p.answer)
	case user != "acme" || password != "secret":
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, "badauth")
	case r.FormValue("hostname") != p.name:
		fmt.Fprint(w, "nohost")
	default:
		p.addr = r.FormValue("myip")
		fmt.Fprint(w, "good "+p.addr)
	}
}

// ServeDNS answers for the name, and takes updates by RFC 2136.
func (p *provider) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := new(dns.Msg).SetReply(q)
	a.Authoritative = true
	soa, _ := dns.NewRR(". 60 IN SOA ns. it. 1 60 60 60 60")
	switch {
	case q.Opcode == dns.OpcodeUpdate:
		p.requests++
		a.Rcode = dns.RcodeRefused
		if q.IsTsig() != nil && w.TsigStatus() == nil {
			a.Rcode = dns.RcodeSuccess
			for _, rr := range q.Ns {
				if rr, ok := rr.(*dns.A); ok {
					p.addr = rr.A.String()
				}
			}
			a.SetTsig(q.IsTsig().Hdr.Name, dns.HmacSHA256, 300, time.Now().Unix())
		}
	case q.Question[0].Name == p.name+"." && q.Question[0].Qtype == dns.TypeA && p.addr != "":
		rr, _ := dns.NewRR(p.name + ". 60 IN A " + p.addr)
		a.Answer = []dns.RR{rr}
	case q.Question[0].Name == "." && q.Question[0].Qtype == dns.TypeSOA:
		a.Answer = []dns.RR{soa}
	default:
		a.Ns = []dns.RR{soa}
	}
	w.WriteMsg(a)
}

// record sets the address, unless it is empty, and returns the one there is.
func (p *provider) record(addr string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if addr != "" {
		p.addr = addr
	}
	return p.addr
}

// start serves on loopback: the web on one port, DNS by UDP and TCP on another.
func (p *provider) start(cleanup func(func())) (url, server string, err error) {
	web := httptest.NewServer(p)
	cleanup(web.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	c, err := net.ListenPacket("udp", l.Addr().String())
	if err != nil {
		l.Close()
		return "", "", err
	}
	for _, s := range []*dns.Server{{Listener: l}, {PacketConn: c}} {
		s.Handler = p
		s.TsigSecret = map[string]string{"onsite-ddns.": providerSecret}
		s.MsgAcceptFunc = func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept }
		up := make(chan struct{})
		s.NotifyStartedFunc = func() { close(up) }
		go s.ActivateAndServe()
		<-up
		cleanup(func() { s.Shutdown() })
	}
	return web.URL, l.Addr().String(), nil
}

var providers sync.Map // by the script's working folder

// cmdProvider starts a provider that holds NAME with ADDR. PROVIDER is then its
// address and NAMESERVER that of its name server. "provider answer TEXT" lets it
// say something else, and "provider requests N" compares how often it was asked.
func cmdProvider(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(".")
	if p, ok := providers.Load(dir); ok {
		p := p.(*provider)
		p.mu.Lock()
		defer p.mu.Unlock()
		switch args[0] {
		case "answer":
			p.answer = args[1]
		case "requests":
			if got := fmt.Sprint(p.requests); got != args[1] {
				ts.Fatalf("the provider was asked %s times, want %s", got, args[1])
			}
		}
		return
	}
	p := &provider{name: args[0], addr: args[1]}
	url, server, err := p.start(ts.Defer)
	ts.Check(err)
	providers.Store(dir, p)
	ts.Defer(func() { providers.Delete(dir) })
	ts.Setenv("PROVIDER", url)
	ts.Setenv("NAMESERVER", server)
}

// TestDNSUpdateAsks has a person agree, and not.
func TestDNSUpdateAsks(t *testing.T) {
	t.Parallel()
	p := &provider{name: "site.acme.example", addr: "11.20.30.99"}
	url, server, err := p.start(t.Cleanup)
	if err != nil {
		t.Fatal(err)
	}
	state := t.TempDir()
	for answer, want := range map[string]struct {
		code int
		addr string
	}{"no": {exitRefused, "11.20.30.99"}, "yes": {exitOK, "11.20.30.20"}} {
		p.record("11.20.30.99")
		var out, errOut bytes.Buffer
		a := &app{
			io: &streams{in: strings.NewReader(""), out: &out, err: &errOut}, env: func(string) (string, bool) { return "", false }, now: time.Now,
			ask: &scriptPrompter{t: t, answers: map[string]string{"password-file": "secret", "yes": answer}},
		}
		code := a.execute(t.Context(), []string{
			"dns", "update", "site.acme.example", "--server", url, "--user", "acme",
			"--address", "11.20.30.20", "--roots", server, "--state", state,
		})
		if got := p.record(""); code != want.code || got != want.addr {
			t.Errorf("%s: exit status %d, record %s, want %+v\n%s%s", answer, code, got, want, &out, &errOut)
		}
	}
}
