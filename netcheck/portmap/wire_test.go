package portmap

import (
	"net/netip"
	"testing"
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
