package portmap

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/huin/goupnp/soap"
	natpmp "github.com/jackpal/go-nat-pmp"
)

// TestNATPMPWire compares with the example layouts of RFC 6886, sections 3.2 and 3.3.
func TestNATPMPWire(t *testing.T) {
	t.Parallel()
	r := mapRequest{protocol: 17, internal: 4370, external: 4500, lifetime: 3600}
	if got, want := string(r.natpmp()), "\x00\x01\x00\x00\x11\x12\x11\x94\x00\x00\x0e\x10"; got != want {
		t.Errorf("natpmp() = %x, want %x", got, want)
	}
	a, err := decodePMP([]byte("\x00\x80\x00\x00\x00\x00\x00\x05\x0b\x14\x1e\x14"))
	if err != nil || a.address != netip.MustParseAddr("11.20.30.20") || a.epoch != 5 {
		t.Errorf("decodePMP = %+v, %v", a, err)
	}
}

func FuzzPMP(f *testing.F) {
	f.Add([]byte("\x00\x80\x00\x00\x00\x00\x00\x05\x0b\x14\x1e\x14"))
	f.Add([]byte("\x00\x82\x00\x03\x00\x00\x00\x05"))
	f.Add([]byte("\x00\x82\x00\x00\x00\x00\x00\x05\x11\x12\x11\x94\x00\x00\x0e\x10"))
	f.Add(append([]byte("\x02\x81\x00\x08\x00\x00\x00\x1e"), make([]byte, 52)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := decodePMP(b)
		if err == nil && (a.version != b[0] || a.op|isResponse != b[1] || a.address.IsValid() && a.address.IsUnspecified()) {
			t.Errorf("decodePMP(%x) = %+v", b, a)
		}
	})
}

func FuzzSSDP(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nST: " + gatewayType + "1\r\nLOCATION: http://192.168.1.1:5000/root.xml\r\n\r\n"))
	f.Add([]byte("HTTP/1.0 200 OK\nst: x\nlocation: http://[::1]/"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := decodeSSDP(b)
		if err == nil && (a.location == nil || a.location.Scheme != "http" || a.location.Hostname() == "") {
			t.Errorf("decodeSSDP(%q) = %+v", b, a)
		}
	})
}

// TestOracle has another program's client ask for what ours does, and read what
// ours reads. It knows port 5351 alone.
func TestOracle(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux surely answers from another address of loopback than 127.0.0.1")
	}
	server, err := net.ListenPacket("udp4", "127.0.2.1:5351")
	if err != nil {
		t.Skipf("macOS has 127.0.0.1 alone: %v", err)
	}
	defer server.Close()
	answers := map[byte]string{
		1: "\x00\x81\x00\x00\x00\x00\x00\x05\x1f\xbb\x9c\x41\x00\x00\x0e\x10",
		2: "\x00\x82\x00\x00\x00\x00\x00\x05\x1f\xbb\x9c\x41\x00\x00\x0e\x10",
	}
	requests := make(chan string, 10)
	go func() {
		buffer := make([]byte, 100)
		for {
			n, from, err := server.ReadFrom(buffer)
			if err != nil {
				return
			}
			requests <- string(buffer[:n])
			server.WriteTo([]byte(answers[buffer[1]]), from)
		}
	}()
	client := natpmp.NewClientWithTimeout(net.IPv4(127, 0, 2, 1), 5*time.Second)
	for protocol, op := range map[string]byte{"udp": 1, "tcp": 2} {
		theirs, err := client.AddPortMapping(protocol, 8123, 40001, 3600)
		if err != nil {
			t.Fatal(err)
		}
		ours := mapRequest{protocol: protocolNumbers[protocol], internal: 8123, external: 40001, lifetime: 3600}.natpmp()
		if request := <-requests; request != string(ours) {
			t.Errorf("%s: go-nat-pmp sends %x, ours is %x", protocol, request, ours)
		}
		got, err := decodePMP([]byte(answers[op]))
		if err != nil || got.external != theirs.MappedExternalPort || got.internal != theirs.InternalPort ||
			got.lifetime != theirs.PortMappingLifetimeInSeconds || got.epoch != theirs.SecondsSinceStartOfEpoc {
			t.Errorf("%s: decodePMP = %+v, %v, go-nat-pmp reads %+v", protocol, got, err, theirs)
		}
	}
}

// FuzzDescription reads a device's description and picks the services in it.
func FuzzDescription(f *testing.F) {
	f.Add(`<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><URLBase>http://192.168.1.1:5000/</URLBase><device><friendlyName>x</friendlyName><serviceList><service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType><controlURL>ctl</controlURL></service></serviceList></device></root>`)
	f.Add(`<root><device>` + strings.Repeat("<deviceList><device>", 50))
	f.Add("<?xml version='1.0' encoding='iso-8859-1'?><root><device><friendlyName>\xfc</friendlyName></device></root>")
	f.Fuzz(func(t *testing.T, text string) {
		at := &url.URL{Scheme: "http", Host: "192.168.1.1:5000", Path: "/root.xml"}
		root, err := decodeDescription(strings.NewReader(text), at)
		if err != nil {
			return
		}
		for _, service := range services {
			root.Device.FindService(service)
		}
	})
}

// FuzzSOAP has a router answer an action with anything.
func FuzzSOAP(f *testing.F) {
	f.Add(200, `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><u:R xmlns:u="x"><NewInternalPort>80</NewInternalPort><NewInternalClient>192.168.1.5</NewInternalClient></u:R></s:Body></s:Envelope>`)
	f.Add(500, `<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><detail><UPnPError><errorCode>718</errorCode></UPnPError></detail></s:Fault></s:Body></s:Envelope>`)
	f.Add(204, "")
	f.Fuzz(func(t *testing.T, status int, body string) {
		o := Options{Gateway: loopback}
		client, through := o.client()
		through.base = answering(func() *http.Response {
			return &http.Response{StatusCode: status, ContentLength: -1, Body: io.NopCloser(strings.NewReader(body)), Header: http.Header{}}
		})
		i := &igd{o: o, service: services[0], soap: soap.NewSOAPClient(url.URL{Scheme: "http", Host: "127.0.0.1:1"}), through: through}
		i.soap.HTTPClient = client
		var out entry
		if i.act(t.Context(), "GetSpecificPortMappingEntry", keyOf(Forwarding{Protocol: "tcp", External: 80}), &out) == nil {
			out.forwarding(Forwarding{})
		}
	})
}

type answering func() *http.Response

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	response := a()
	response.Request = r
	return response, nil
}

// BenchmarkSearch finds a router: a search is to end within 0.3 s of the answer.
func BenchmarkSearch(b *testing.B) {
	_, o := start(b, nil)
	o = o.withDefaults()
	for b.Loop() {
		if found, _, err := o.search(b.Context()); err != nil || len(found) == 0 {
			b.Fatal(found, err)
		}
	}
}
