package wan

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"
)

// internet is a small Internet on loopback: names lead to handlers and STUN
// servers, and whatever else is dialled is refused.
type internet struct {
	https map[string]http.HandlerFunc
	stun  map[string]func(request []byte, from netip.AddrPort) [][]byte
	roots *x509.CertPool
	web   string
	udp   map[string]string
}

// open starts the servers. They end with the test.
func (w *internet) open(t *testing.T) *internet {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	for name := range w.https {
		template.DNSNames = append(template.DNSNames, name)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	w.roots = x509.NewCertPool()
	w.roots.AddCert(leaf)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.https[r.Host](rw, r) }))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	w.web = server.Listener.Addr().String()
	w.udp = map[string]string{}
	for name, answer := range w.stun {
		w.udp[name] = w.serveSTUN(t, answer)
	}
	return w
}

func (w *internet) serveSTUN(t *testing.T, answer func([]byte, netip.AddrPort) [][]byte) string {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		b := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			for _, a := range answer(b[:n], from) {
				conn.WriteToUDPAddrPort(a, from)
			}
		}
	})
	t.Cleanup(func() { conn.Close(); wg.Wait() })
	return conn.LocalAddr().String()
}

func (w *internet) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	to := w.udp[host]
	if _, ok := w.https[host]; ok && network[:3] == "tcp" {
		to = w.web
	}
	if to == "" {
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	return new(net.Dialer).DialContext(ctx, network[:3], to)
}

// options asks everybody in the internet.
func (w *internet) options() PublicOptions {
	o := PublicOptions{
		Echoes: []string{}, STUN: []string{}, Roots: w.roots, DialContext: w.dial,
		HasIPv6: func() bool { return false }, Timeout: 20 * time.Second,
	}
	for name := range w.https {
		o.Echoes = append(o.Echoes, "https://"+name)
	}
	for name := range w.stun {
		o.STUN = append(o.STUN, name+":3478")
	}
	return o
}

func says(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) }
}

// hangs answers nothing until the client gives up.
func hangs(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// stunSays is a STUN server that sees everybody come from one address.
func stunSays(addr string) func([]byte, netip.AddrPort) [][]byte {
	seen := netip.MustParseAddrPort(addr)
	return func(request []byte, _ netip.AddrPort) [][]byte {
		return [][]byte{stunAnswer(stunSuccess, request[8:20], mapped(xorMapped, seen, request[4:20]))}
	}
}

func stunSilent([]byte, netip.AddrPort) [][]byte { return nil }

func stunAnswer(kind uint16, id, attributes []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, kind)
	b = binary.BigEndian.AppendUint16(b, uint16(len(attributes)))
	b = binary.BigEndian.AppendUint32(b, stunCookie)
	return append(append(b, id...), attributes...)
}

// mapped is an attribute with an address, masked with mask.
func mapped(name uint16, seen netip.AddrPort, mask []byte) []byte {
	raw, family := seen.Addr().AsSlice(), byte(1)
	if seen.Addr().Is6() {
		family = 2
	}
	for i := range raw {
		raw[i] ^= mask[i]
	}
	b := binary.BigEndian.AppendUint16(nil, name)
	b = binary.BigEndian.AppendUint16(b, uint16(4+len(raw)))
	b = append(b, 0, family)
	b = binary.BigEndian.AppendUint16(b, seen.Port()^binary.BigEndian.Uint16(mask))
	return append(b, raw...)
}
