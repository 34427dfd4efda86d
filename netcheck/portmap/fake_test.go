package portmap

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeRouter is a router on loopback: an IGD with its search, and a server for
// NAT-PMP and PCP. Its quirks have the names that the bug reports give them.
type fakeRouter struct {
	t     *testing.T
	quirk string
	// The IGD.
	service  string // "WANIPConnection:1"
	wan      string
	secure   bool                    // one host may not forward to another
	location func(url string) string // what the search is told; nil: the truth
	// stranger answers the search too, with this location.
	stranger string
	odd      bool   // answers the search from another port
	urlBase  string // of the description
	mute     map[string]bool
	// The other one.
	pmpMute, natpmpOnly, pcpOnly bool
	natpmpCode, pcpCode          int
	epoch                        uint32
	assign                       uint16 // the outside port that NAT-PMP gives, whatever is asked
	thirdParty                   bool

	mu      sync.Mutex
	maps    map[fakeKey]fakeMap
	actions []string
	bodies  []string

	http      *httptest.Server
	ssdp, pmp net.PacketConn
}

type fakeKey struct {
	protocol string
	port     int
}

type fakeMap struct {
	host  string
	port  int
	desc  string
	lease int
	nonce nonce
}

func newFake(t *testing.T, change func(*fakeRouter)) *fakeRouter {
	t.Helper()
	f := &fakeRouter{
		t: t, quirk: "plain", service: "WANIPConnection:1", wan: "11.20.30.20", secure: true,
		epoch: 1000, maps: map[fakeKey]fakeMap{}, mute: map[string]bool{},
	}
	if change != nil {
		change(f)
	}
	f.http = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.http.Close)
	f.ssdp, f.pmp = listenUDP(t, "127.0.0.1:0"), listenUDP(t, "127.0.0.1:0")
	var wait sync.WaitGroup
	wait.Go(f.answerSearches)
	wait.Go(f.answerPMP)
	t.Cleanup(func() {
		f.ssdp.Close()
		f.pmp.Close()
		wait.Wait()
	})
	return f
}

func listenUDP(t *testing.T, addr string) net.PacketConn {
	t.Helper()
	c, err := new(net.ListenConfig).ListenPacket(context.Background(), "udp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func portOf(c net.PacketConn) uint16 { return uint16(c.LocalAddr().(*net.UDPAddr).Port) }

var loopback = netip.MustParseAddr("127.0.0.1")

func (f *fakeRouter) options() Options {
	return Options{Gateway: loopback, Local: loopback, SSDPPort: portOf(f.ssdp), PCPPort: portOf(f.pmp), patience: 40 * time.Millisecond}
}

func (f *fakeRouter) answerSearches() {
	location := f.http.URL + "/root.xml"
	if f.location != nil {
		location = f.location(location)
	}
	buffer := make([]byte, 2048)
	for {
		n, from, err := f.ssdp.ReadFrom(buffer)
		if err != nil {
			return
		}
		if f.stranger != "" {
			c, err := net.ListenPacket("udp4", "127.0.0.2:0")
			if err != nil {
				return
			}
			c.WriteTo([]byte("HTTP/1.1 200 OK\r\nST: "+gatewayType+"1\r\nSERVER: evil\u202e\r\nLOCATION: "+f.stranger), from)
			c.Close()
		}
		target := regexp.MustCompile(`(?im)^st:\s*(\S+)`).FindStringSubmatch(string(buffer[:n]))
		if f.mute["ssdp"] || target == nil || target[1] != gatewayType+"1" {
			continue
		}
		answer := "HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: " + target[1] + "\r\nEXT:\r\nSERVER: fake\r\nLOCATION: " + location + "\r\n\r\n"
		out := f.ssdp
		if f.odd {
			c, err := net.ListenPacket("udp4", "127.0.0.1:0")
			if err != nil {
				return
			}
			defer c.Close()
			out = c
		}
		out.WriteTo([]byte(answer), from)
	}
}

func (f *fakeRouter) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		fmt.Fprintf(w, `<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0">%s
<device><deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType><friendlyName>Fake</friendlyName><modelName>F-1</modelName>
<deviceList><device><deviceType>urn:schemas-upnp-org:device:WANDevice:1</deviceType>
<deviceList><device><deviceType>urn:schemas-upnp-org:device:WANConnectionDevice:1</deviceType>
<serviceList><service><serviceType>urn:schemas-upnp-org:service:%s</serviceType><controlURL>/ctl</controlURL></service></serviceList>
</device></deviceList></device></deviceList></device></root>`, f.urlBase, f.service)
		return
	}
	raw, _ := io.ReadAll(r.Body)
	body := string(raw)
	_, action, _ := strings.Cut(strings.Trim(r.Header.Get("SOAPAction"), `"`), "#")
	f.mu.Lock()
	defer f.mu.Unlock()
	f.actions = append(f.actions, action)
	f.bodies = append(f.bodies, body)
	if code, out := f.act(action, body); code != 0 {
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprintf(w, `<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail><UPnPError xmlns="urn:schemas-upnp-org:control-1-0"><errorCode>%d</errorCode><errorDescription>%s</errorDescription></UPnPError></detail></s:Fault></s:Body></s:Envelope>`, code, out)
	} else {
		fmt.Fprintf(w, `<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><u:%sResponse xmlns:u="urn:schemas-upnp-org:service:%s">%s</u:%sResponse></s:Body></s:Envelope>`, action, f.service, out, action)
	}
}

func (f *fakeRouter) act(action, body string) (int, string) {
	arg := func(name string) string {
		m := regexp.MustCompile("<" + name + "[^>]*>([^<]*)</").FindStringSubmatch(body)
		if m == nil {
			return ""
		}
		return m[1]
	}
	number := func(name string) int { n, _ := strconv.Atoi(arg(name)); return n }
	key := fakeKey{strings.ToLower(arg("NewProtocol")), number("NewExternalPort")}
	entry := func(m fakeMap) string {
		return fmt.Sprintf("<NewInternalPort>%d</NewInternalPort><NewInternalClient>%s</NewInternalClient><NewEnabled>1</NewEnabled><NewPortMappingDescription>%s</NewPortMappingDescription><NewLeaseDuration>%d</NewLeaseDuration>", m.port, m.host, m.desc, m.lease)
	}
	switch action {
	case "GetExternalIPAddress":
		if f.quirk == "501" {
			return 501, "Action Failed"
		}
		return 0, "<NewExternalIPAddress>" + f.wan + "</NewExternalIPAddress>"
	case "GetStatusInfo":
		status := "Connected"
		if f.quirk == "disconnected" {
			status = "Disconnected"
		}
		return 0, "<NewConnectionStatus>" + status + "</NewConnectionStatus><NewLastConnectionError>ERROR_NONE</NewLastConnectionError><NewUptime>3600</NewUptime>"
	case "GetConnectionTypeInfo":
		return 0, "<NewConnectionType>IP_Routed</NewConnectionType>"
	case "GetGenericPortMappingEntry":
		if f.quirk == "no-list" {
			return 401, "Invalid Action"
		}
		keys := f.keys()
		i := number("NewPortMappingIndex")
		if i >= len(keys) {
			return 713, "SpecifiedArrayIndexInvalid"
		}
		return 0, fmt.Sprintf("<NewRemoteHost></NewRemoteHost><NewExternalPort>%d</NewExternalPort><NewProtocol>%s</NewProtocol>", keys[i].port, strings.ToUpper(keys[i].protocol)) + entry(f.maps[keys[i]])
	case "GetSpecificPortMappingEntry":
		m, ok := f.maps[key]
		if !ok {
			return 714, "NoSuchEntryInArray"
		}
		return 0, entry(m)
	case "AddPortMapping":
		m := fakeMap{host: arg("NewInternalClient"), port: number("NewInternalPort"), desc: arg("NewPortMappingDescription"), lease: number("NewLeaseDuration")}
		code, forced := strconv.Atoi(f.quirk)
		switch old, taken := f.maps[key]; {
		case forced == nil:
			return code, "as the test wants it"
		case arg("NewProtocol") != "TCP" && arg("NewProtocol") != "UDP":
			return 402, "Invalid Args"
		case f.quirk == "permanent-only" && m.lease != 0:
			return 725, "OnlyPermanentLeasesSupported"
		case f.quirk == "permanent-402" && m.lease != 0:
			return 402, "Invalid Args"
		case f.quirk == "conflict", taken && old.host != m.host:
			return 718, "ConflictInMappingEntry"
		case f.quirk == "same-port" && m.port != key.port:
			return 724, "SamePortValuesRequired"
		case f.quirk == "self-only" && m.host != "127.0.0.1":
			return 606, "Action not authorized"
		case f.secure && m.host != "127.0.0.1":
			return 718, "ConflictInMappingEntry"
		case f.quirk == "other-mechanism":
			return 729, "ConflictWithOtherMechanisms"
		}
		f.maps[key] = m
		return 0, ""
	case "DeletePortMapping":
		if _, ok := f.maps[key]; !ok {
			return 714, "NoSuchEntryInArray"
		}
		delete(f.maps, key)
		return 0, ""
	}
	return 401, "Invalid Action"
}

func (f *fakeRouter) keys() []fakeKey {
	var keys []fakeKey
	for k := range f.maps {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b fakeKey) int {
		return strings.Compare(fmt.Sprintf("%s %05d", a.protocol, a.port), fmt.Sprintf("%s %05d", b.protocol, b.port))
	})
	return keys
}

func (f *fakeRouter) mapped(protocol string, port int) (fakeMap, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m, ok := f.maps[fakeKey{protocol, port}]
	return m, ok
}

func (f *fakeRouter) did(action string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, a := range f.actions {
		if a == action {
			n++
		}
	}
	return n
}

func (f *fakeRouter) answerPMP() {
	buffer := make([]byte, 2048)
	for {
		n, from, err := f.pmp.ReadFrom(buffer)
		if err != nil {
			return
		}
		f.mu.Lock()
		mute := f.pmpMute
		var answer []byte
		if !mute && n >= 2 {
			if buffer[0] == versionPCP {
				answer = f.pcpAnswer(buffer[:n])
			} else {
				answer = f.natpmpAnswer(buffer[:n])
			}
		}
		f.mu.Unlock()
		if answer != nil {
			f.pmp.WriteTo(answer, from)
		}
	}
}

func (f *fakeRouter) natpmpAnswer(q []byte) []byte {
	if f.pcpOnly { // RFC 6887, appendix A
		return append([]byte{versionPCP, q[1] | isResponse, 0, 1}, make([]byte, 20)...)
	}
	a := []byte{0, q[1] | isResponse}
	a = binary.BigEndian.AppendUint16(a, uint16(f.natpmpCode))
	a = binary.BigEndian.AppendUint32(a, f.epoch)
	if q[1] == opAddress {
		address := netip.IPv4Unspecified()
		if f.natpmpCode == 0 {
			address = netip.MustParseAddr(f.wan)
		}
		four := address.As4()
		return append(a, four[:]...)
	}
	internal, outside := binary.BigEndian.Uint16(q[4:]), binary.BigEndian.Uint16(q[6:])
	lifetime := binary.BigEndian.Uint32(q[8:])
	protocol := map[byte]string{opMapTCP: "tcp", opMapUDP: "udp"}[q[1]]
	if f.natpmpCode == 0 {
		if lifetime == 0 {
			for k, m := range f.maps {
				if k.protocol == protocol && m.port == int(internal) {
					delete(f.maps, k)
				}
			}
			outside = 0
		} else {
			if f.assign != 0 {
				outside = f.assign
			}
			f.maps[fakeKey{protocol, int(outside)}] = fakeMap{host: "127.0.0.1", port: int(internal), lease: int(lifetime)}
		}
	}
	a = binary.BigEndian.AppendUint16(a, internal)
	a = binary.BigEndian.AppendUint16(a, outside)
	return binary.BigEndian.AppendUint32(a, lifetime)
}

func (f *fakeRouter) pcpAnswer(q []byte) []byte {
	if f.natpmpOnly { // RFC 6887, section 9
		return []byte{0, q[1] | isResponse, 0, 1, 0, 0, 3, 232}
	}
	if len(q) < pcpHeader+pcpMap {
		return nil
	}
	code := f.pcpCode
	lifetime := binary.BigEndian.Uint32(q[4:])
	m := q[pcpHeader:]
	protocol := map[byte]string{6: "tcp", 17: "udp"}[m[12]]
	internal, outside := binary.BigEndian.Uint16(m[16:]), binary.BigEndian.Uint16(m[18:])
	host := netip.AddrFrom16([16]byte(q[8:])).Unmap().String()
	for rest := m[pcpMap:]; len(rest) >= 4; rest = rest[4+binary.BigEndian.Uint16(rest[2:]):] {
		if rest[0] == optionThirdParty {
			host = netip.AddrFrom16([16]byte(rest[4:])).Unmap().String()
			if !f.thirdParty {
				code = 5
			}
		}
	}
	key := fakeKey{protocol, int(outside)}
	old, taken := f.maps[key]
	switch {
	case code != 0:
	case lifetime == 0:
		for k, m := range f.maps {
			switch {
			case k.protocol != protocol || m.port != int(internal) || m.host != host:
			case m.nonce != nonce(q[pcpHeader:]):
				code = 2
			default:
				delete(f.maps, k)
			}
		}
	case taken && (old.nonce != nonce(m) || old.host != host):
		code = 11
	default:
		f.maps[key] = fakeMap{host: host, port: int(internal), lease: int(lifetime), nonce: nonce(m)}
	}
	a := slices.Clone(q[:pcpHeader+pcpMap])
	a[1] |= isResponse
	a[3] = byte(code)
	binary.BigEndian.PutUint32(a[8:], f.epoch)
	copy(a[12:24], make([]byte, 12))
	wan := netip.MustParseAddr("11.20.30.20").As16()
	if address, err := netip.ParseAddr(f.wan); err == nil {
		wan = address.As16()
	}
	copy(a[pcpHeader+20:], wan[:])
	return a
}
