package ddns

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"onsite/report"
)

const testSecret = "c2VjcmV0IG9mIHRoZSB0ZXN0cywgMzIgYnl0ZXMgbG9uZw=="

// master is a name server that takes updates, right and wrong ones.
type master struct {
	addr string

	mu      sync.Mutex
	records map[string]string
	got     []*dns.Msg
}

// newMaster starts a server. reply may change the answer to an update; nil sends
// what it returns when it returns bytes.
func newMaster(t *testing.T, reply func(m *master, q, a *dns.Msg, mac string) []byte) *master {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &master{addr: l.Addr().String(), records: map[string]string{}}
	var all sync.WaitGroup
	t.Cleanup(func() { l.Close(); all.Wait() })
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { m.serve(conn, reply) })
		}
	})
	return m
}

func (m *master) serve(conn net.Conn, reply func(m *master, q, a *dns.Msg, mac string) []byte) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	var length uint16
	if binary.Read(conn, binary.BigEndian, &length) != nil {
		return
	}
	raw := make([]byte, length)
	if _, err := io.ReadFull(conn, raw); err != nil {
		return
	}
	q := new(dns.Msg)
	if q.Unpack(raw) != nil {
		return
	}
	a := new(dns.Msg).SetReply(q)
	var out []byte
	switch q.Opcode {
	case dns.OpcodeQuery:
		a.Authoritative = true
		soa := &dns.SOA{Hdr: dns.RR_Header{Name: "acme.example.", Rrtype: dns.TypeSOA, Class: dns.ClassINET}, Ns: "ns1.acme.example.", Mbox: "it.acme.example."}
		a.Ns = []dns.RR{soa}
		out, _ = a.Pack()
	default:
		m.mu.Lock()
		m.got = append(m.got, q)
		m.mu.Unlock()
		mac := ""
		if t := q.IsTsig(); t != nil {
			mac = t.MAC
			if err := dns.TsigVerify(raw, testSecret, "", false); err != nil {
				a.Rcode = dns.RcodeNotAuth
			}
		}
		if out = reply(m, q, a, mac); out == nil {
			return
		}
	}
	conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...))
}

// signed signs an answer as the holder of the key.
func signed(a *dns.Msg, mac string, change ...func(*dns.TSIG)) []byte {
	a.SetTsig("onsite-ddns.", dns.HmacSHA256, 300, time.Now().Unix())
	for _, f := range change {
		f(a.IsTsig())
	}
	out, _, err := dns.TsigGenerate(a, testSecret, mac, false)
	if err != nil {
		panic(err)
	}
	return out
}

func tsigErr(code uint16) func(*dns.TSIG) { return func(t *dns.TSIG) { t.Error = code } }

func testKey() Key {
	return Key{Name: "onsite-ddns.", Algorithm: dns.HmacSHA256, secret: testSecret}
}

// TestUpdateAnswers has a name server answer an update in every way.
func TestUpdateAnswers(t *testing.T) {
	t.Parallel()
	rcode := func(code int) func(*master, *dns.Msg, *dns.Msg, string) []byte {
		return func(_ *master, _, a *dns.Msg, mac string) []byte {
			a.Rcode = code
			return signed(a, mac)
		}
	}
	for _, tt := range []struct {
		name   string
		reply  func(m *master, q, a *dns.Msg, mac string) []byte
		want   string
		class  class
		detail string // part of it
	}{
		{"done", rcode(dns.RcodeSuccess), "ddns.good", classDone, "signed"},
		{"not signed", func(_ *master, _, a *dns.Msg, _ string) []byte { b, _ := a.Pack(); return b }, "ddns.tsig.unsigned", classRefused, "does not count"},
		{"signed with another secret", func(_ *master, _, a *dns.Msg, mac string) []byte {
			a.SetTsig("onsite-ddns.", dns.HmacSHA256, 300, time.Now().Unix())
			b, _, _ := dns.TsigGenerate(a, "YW5vdGhlciBzZWNyZXQ=", mac, false)
			return b
		}, "ddns.tsig.foreign", classRefused, "not right"},
		{"signed with another key", func(_ *master, _, a *dns.Msg, mac string) []byte {
			a.SetTsig("other.", dns.HmacSHA256, 300, time.Now().Unix())
			b, _, _ := dns.TsigGenerate(a, testSecret, mac, false)
			return b
		}, "ddns.tsig.foreign", classRefused, "other."},
		{"an answer to another question", func(_ *master, _, a *dns.Msg, _ string) []byte { return signed(a, "00112233") }, "ddns.tsig.foreign", classRefused, ""},
		{"signed long ago", func(_ *master, _, a *dns.Msg, mac string) []byte {
			return signed(a, mac, func(s *dns.TSIG) { s.TimeSigned -= 4000 })
		}, "ddns.tsig.foreign", classRefused, ""},
		{"BADSIG", func(_ *master, _, a *dns.Msg, mac string) []byte {
			a.Rcode = dns.RcodeNotAuth
			return signed(a, mac, tsigErr(dns.RcodeBadSig))
		}, "ddns.tsig.badsig", classRefused, "onsite-ddns"},
		{"BADKEY", func(_ *master, _, a *dns.Msg, mac string) []byte {
			a.Rcode = dns.RcodeNotAuth
			return signed(a, mac, tsigErr(dns.RcodeBadKey))
		}, "ddns.tsig.badkey", classRefused, "onsite-ddns with hmac-sha256"},
		{"BADTIME, ahead", badTime(601), "ddns.tsig.badtime", classRefused, "10 minutes and 1 seconds ahead of"},
		{"BADTIME, behind", badTime(-7300), "ddns.tsig.badtime", classRefused, "121 minutes and 40 seconds behind"},
		{"BADTIME, years", badTime(-10 * 365 * 86400), "ddns.tsig.badtime", classRefused, "3650 days behind"},
		{"BADTIME without a time", func(_ *master, _, a *dns.Msg, mac string) []byte {
			a.Rcode = dns.RcodeNotAuth
			return signed(a, mac, tsigErr(dns.RcodeBadTime))
		}, "ddns.tsig.badtime", classRefused, "more than five minutes"},
		{"BADTIME, but NOERROR", func(_ *master, _, a *dns.Msg, mac string) []byte { return signed(a, mac, tsigErr(dns.RcodeBadTime)) }, "ddns.tsig.badtime", classRefused, ""},
		{"BADTRUNC", func(_ *master, _, a *dns.Msg, mac string) []byte { return signed(a, mac, tsigErr(dns.RcodeBadTrunc)) }, "ddns.tsig.error", classRefused, ""},
		{"some other TSIG error", func(_ *master, _, a *dns.Msg, mac string) []byte { return signed(a, mac, tsigErr(999)) }, "ddns.tsig.error", classRefused, "999"},
		{"REFUSED", rcode(dns.RcodeRefused), "ddns.refused", classRefused, "acme.example"},
		{"REFUSED, not signed", func(_ *master, _, a *dns.Msg, _ string) []byte {
			a.Rcode = dns.RcodeRefused
			b, _ := a.Pack()
			return b
		}, "ddns.refused", classRefused, "not signed"},
		{"NOTAUTH", rcode(dns.RcodeNotAuth), "ddns.notauth", classRefused, ""},
		{"NOTZONE", rcode(dns.RcodeNotZone), "ddns.notzone", classRefused, ""},
		{"SERVFAIL", rcode(dns.RcodeServerFailure), "ddns.servfail", classLater, ""},
		{"FORMERR", rcode(dns.RcodeFormatError), "ddns.formerr", classRefused, ""},
		{"NOTIMP", rcode(dns.RcodeNotImplemented), "ddns.notimp", classRefused, ""},
		{"NXDOMAIN", rcode(dns.RcodeNameError), "ddns.rcode", classRefused, "NXDOMAIN"},
		{"YXDOMAIN", rcode(dns.RcodeYXDomain), "ddns.rcode", classRefused, "YXDOMAIN"},
		{"YXRRSET", rcode(dns.RcodeYXRrset), "ddns.rcode", classRefused, "YXRRSET"},
		{"NXRRSET", rcode(dns.RcodeNXRrset), "ddns.rcode", classRefused, "NXRRSET"},
		{"a code of the future", rcode(13), "ddns.rcode", classRefused, "code 13"},
		{"hangs up", func(*master, *dns.Msg, *dns.Msg, string) []byte { return nil }, "ddns.unreachable", classLater, "closed the connection"},
		{"rubbish", func(*master, *dns.Msg, *dns.Msg, string) []byte { return []byte("HTTP/1.1 400 Bad Request\r\n") }, "ddns.answer", classLater, ""},
		{"an answer to somebody else", func(_ *master, _, a *dns.Msg, mac string) []byte { a.Id++; return signed(a, mac) }, "ddns.answer", classLater, ""},
		{"the question back", func(_ *master, q, _ *dns.Msg, _ string) []byte { b, _ := q.Pack(); return b }, "ddns.answer", classLater, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := newMaster(t, tt.reply)
			r := &RFC2136{Key: testKey(), Host: m.addr}
			a := r.send(t.Context(), testName, addrA, Authority{})
			if a.finding.Code != tt.want || a.class != tt.class || a.unsent || !strings.Contains(a.finding.Detail, tt.detail) {
				t.Errorf("answer = %+v, want %s, %s, with %q", a, tt.want, tt.class, tt.detail)
			}
			if a.finding.Status != report.StatusPass && a.finding.Remedy == "" {
				t.Errorf("the finding has no remedy: %+v", a.finding)
			}
			if s := fmt.Sprintf("%+v", a); strings.Contains(s, testSecret) {
				t.Errorf("the secret is shown: %s", s)
			}
		})
	}
}

// badTime answers as BIND does when the clocks differ by some seconds.
func badTime(seconds int64) func(*master, *dns.Msg, *dns.Msg, string) []byte {
	return func(_ *master, q, a *dns.Msg, mac string) []byte {
		a.Rcode = dns.RcodeNotAuth
		return signed(a, mac, func(s *dns.TSIG) {
			s.TimeSigned = q.IsTsig().TimeSigned
			s.Error, s.OtherLen = dns.RcodeBadTime, 6
			s.OtherData = fmt.Sprintf("%012x", int64(s.TimeSigned)+seconds)
		})
	}
}

func TestUpdateMessage(t *testing.T) {
	t.Parallel()
	m := newMaster(t, func(_ *master, _, a *dns.Msg, mac string) []byte { return signed(a, mac) })
	r := &RFC2136{Key: testKey(), TTL: 300}
	a := r.send(t.Context(), testName, addrA, Authority{Zone: "acme.example", Primary: []string{m.addr}})
	if a.class != classDone {
		t.Fatalf("answer = %+v", a)
	}
	q := m.got[0]
	if q.Opcode != dns.OpcodeUpdate || q.Question[0].Name != "acme.example." || q.Question[0].Qtype != dns.TypeSOA || len(q.Answer) != 0 || len(q.Ns) != 2 {
		t.Fatalf("update = %v", q)
	}
	del, add := q.Ns[0].Header(), q.Ns[1]
	if del.Class != dns.ClassANY || del.Rrtype != dns.TypeA || del.Name != testName+"." || del.Ttl != 0 || add.String() != testName+".\t300\tIN\tA\t11.20.30.20" {
		t.Errorf("update = %v", q.Ns)
	}
	if s := q.IsTsig(); s == nil || s.Hdr.Name != "onsite-ddns." || s.Algorithm != dns.HmacSHA256 || s.Fudge != 300 {
		t.Errorf("signature = %v", s)
	}
}

// TestUpdateFinds: which server is asked, for which zone.
func TestUpdateFinds(t *testing.T) {
	t.Parallel()
	good := newMaster(t, func(_ *master, _, a *dns.Msg, mac string) []byte { return signed(a, mac) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	dead := l.Addr().String()
	for _, tt := range []struct {
		name  string
		r     RFC2136
		known Authority
		want  string
	}{
		{"the zone's primary", RFC2136{}, Authority{Zone: "acme.example", Primary: []string{good.addr}}, "ddns.good"},
		{"the first address is dead", RFC2136{}, Authority{Zone: "acme.example", Primary: []string{dead, good.addr}}, "ddns.good"},
		{"all are dead", RFC2136{}, Authority{Zone: "acme.example", Primary: []string{dead, dead}}, "ddns.unreachable"},
		{"no primary is known", RFC2136{}, Authority{Zone: "acme.example"}, "ddns.zone.unknown"},
		{"a server that was named", RFC2136{Host: good.addr}, Authority{}, "ddns.good"},
		{"server and zone were named", RFC2136{Host: good.addr, Zone: "acme.example"}, Authority{}, "ddns.good"},
		{"a dead server was named", RFC2136{Host: dead}, Authority{}, "ddns.unreachable"},
	} {
		tt.r.Key = testKey()
		if a := tt.r.send(t.Context(), testName, addrA, tt.known); a.finding.Code != tt.want {
			t.Errorf("%s: %+v, want %s", tt.name, a, tt.want)
		}
	}
	for _, q := range good.got {
		if q.Question[0].Name != "acme.example." {
			t.Errorf("zone = %s, want acme.example.", q.Question[0].Name)
		}
	}
	r := RFC2136{Key: testKey(), Host: good.addr}
	if a := r.send(t.Context(), "site.other.example", addrA, Authority{}); a.finding.Code != "ddns.zone.unknown" || a.silent {
		t.Errorf("a zone that the server has not = %+v", a)
	}
}

func TestUpdateHangs(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	m := newMaster(t, func(*master, *dns.Msg, *dns.Msg, string) []byte { <-release; return nil })
	defer close(release)
	r := &RFC2136{Key: testKey(), Host: m.addr, Zone: "acme.example", Timeout: 50 * time.Millisecond}
	if a := r.send(t.Context(), testName, addrA, Authority{}); a.finding.Code != "ddns.timeout" || !a.silent || a.unsent {
		t.Errorf("answer = %+v, want ddns.timeout", a)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.Timeout = time.Minute
	if a := r.send(ctx, testName, addrA, Authority{}); !a.silent {
		t.Errorf("answer = %+v after it was ended", a)
	}
}

// TestUpdateBacksOff: what a name server refuses is tried later, or at once when
// something was changed here.
func TestUpdateBacksOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	asked := 0
	m := newMaster(t, func(_ *master, _, a *dns.Msg, mac string) []byte {
		asked++
		a.Rcode = dns.RcodeRefused
		return signed(a, mac)
	})
	w.protocol = &RFC2136{Key: testKey(), Host: m.addr}
	w.expect("ddns.refused", 0)
	w.expect("ddns.waiting", 0)
	w.pass(firstWait)
	w.expect("ddns.refused", 0)
	w.pass(firstWait)
	w.expect("ddns.waiting", 0)
	w.protocol = &RFC2136{Key: testKey(), Host: m.addr, Zone: "acme.example"}
	w.expect("ddns.refused", 0)
	if asked != 3 {
		t.Errorf("asked %d times, want 3", asked)
	}
}

func TestUpdateZoneOfAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.protocol = &RFC2136{Key: testKey(), Zone: "other.example"}
	if _, err := w.update(); report.AsError(err) == nil || report.AsError(err).Kind != report.KindUsage {
		t.Errorf("a zone that the name is not in = %v, want wrong usage", err)
	}
}

func FuzzRFC2136(f *testing.F) {
	r := &RFC2136{Key: testKey()}
	q := r.message("acme.example", testName, addrA)
	q.Id = 4711
	a := new(dns.Msg).SetReply(q)
	plain, _ := a.Pack()
	f.Add(plain)
	f.Add(signed(a, "00ff"))
	a = new(dns.Msg).SetReply(q)
	a.Rcode = dns.RcodeNotAuth
	f.Add(signed(a, "00ff", tsigErr(dns.RcodeBadSig)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		got := r.judge(testName, "ns1", "acme.example", addrA, 4711, "00ff", bytes.Clone(raw)) // the library writes into it
		if got.finding.Code == "" || got.class == "" {
			t.Errorf("judge(%x) = %+v", raw, got)
		}
		if got.class == classDone && dns.TsigVerify(raw, testSecret, "00ff", false) != nil {
			t.Errorf("judge(%x) is a success without a signature", raw)
		}
	})
}
