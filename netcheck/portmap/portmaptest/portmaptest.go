// Package portmaptest is a router on loopback, for tests: a UPnP IGD with its
// search, and a server for NAT-PMP and PCP. Its quirks have the names that bug
// reports give them.
package portmaptest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"onsite/internal/lazyre"
)

// Router is a router. Its fields are set before Start; the zero value is a
// healthy one with everything switched on.
type Router struct {
	// Address is where it listens; "": 127.0.0.1.
	Address string
	// SSDPPort and PMPPort are its ports; 0: free ones, see Ports.
	SSDPPort, PMPPort uint16

	Quirk   string // "permanent-only", "718", …: see act; "": none
	Service string // "": WANIPConnection:1
	WAN     string // its address outside; "-": none; "": 11.20.30.20
	Open    bool   // one host may forward to another
	NoUPnP  bool
	OddPort bool // it answers the search from another port
	// Location is what it answers the search with, in place of the truth; PORT in
	// it is the port of its web server.
	Location string
	URLBase  string // in the description
	Stranger string // a location that somebody else, 127.0.0.2, answers with

	NoPMP, NATPMPOnly, PCPOnly bool
	NATPMPCode                 uint16
	PCPCode                    byte
	ThirdParty                 bool   // PCP may forward to another host
	Assign                     uint16 // the outside port that NAT-PMP gives, whatever is asked for

	mu      sync.Mutex
	epoch   uint32
	maps    map[Port]Mapping
	actions []string

	web       *http.Server
	ssdp, pmp net.PacketConn
	wait      sync.WaitGroup
}

// Port is an outside port.
type Port struct {
	Protocol string // "tcp", "udp"
	Number   int
}

// Mapping is what is behind an outside port.
type Mapping struct {
	Host        string
	Port        int
	Description string
	Lease       int // seconds; 0: it stays
	nonce       [12]byte
}

// Start makes the router answer until Close.
func (r *Router) Start() error {
	r.Address = cmp.Or(r.Address, "127.0.0.1")
	r.Service = cmp.Or(r.Service, "WANIPConnection:1")
	r.WAN = strings.TrimPrefix(cmp.Or(r.WAN, "11.20.30.20"), "-")
	r.epoch = 1000
	if r.maps == nil {
		r.maps = map[Port]Mapping{}
	}
	var lc net.ListenConfig
	ctx := context.Background() // nothing here waits
	l, err := lc.Listen(ctx, "tcp4", net.JoinHostPort(r.Address, "0"))
	if err != nil {
		return err
	}
	_, port, _ := strings.Cut(l.Addr().String(), ":")
	r.Location = strings.ReplaceAll(cmp.Or(r.Location, "http://"+r.Address+":PORT/root.xml"), "PORT", port)
	r.web = &http.Server{Handler: http.HandlerFunc(r.serve), ReadHeaderTimeout: time.Second}
	r.wait.Go(func() { r.web.Serve(l) }) //nolint:errcheck // it ends with Close
	for port, conn := range map[*uint16]*net.PacketConn{&r.SSDPPort: &r.ssdp, &r.PMPPort: &r.pmp} {
		if *conn, err = lc.ListenPacket(ctx, "udp4", net.JoinHostPort(r.Address, strconv.Itoa(int(*port)))); err != nil {
			r.Close()
			return err
		}
		local, err := netip.ParseAddrPort((*conn).LocalAddr().String())
		if err != nil {
			r.Close()
			return err
		}
		*port = local.Port()
	}
	r.wait.Go(func() { r.answer(r.ssdp, r.answerSearch) })
	r.wait.Go(func() { r.answer(r.pmp, r.answerPMP) })
	return nil
}

// Close ends it.
func (r *Router) Close() {
	r.web.Close()
	for _, conn := range []net.PacketConn{r.ssdp, r.pmp} {
		if conn != nil {
			conn.Close()
		}
	}
	r.wait.Wait()
}

// Put adds a mapping that somebody made.
func (r *Router) Put(protocol string, port int, m Mapping) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.maps == nil {
		r.maps = map[Port]Mapping{}
	}
	r.maps[Port{protocol, port}] = m
}

// Get returns what is behind an outside port.
func (r *Router) Get(protocol string, port int) (Mapping, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, ok := r.maps[Port{protocol, port}]
	return m, ok
}

// Count is the number of mappings.
func (r *Router) Count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.maps)
}

// Restart makes it forget its mappings.
func (r *Router) Restart() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.maps)
	r.epoch = 0
}

// Did is how often an action was asked for.
func (r *Router) Did(action string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, a := range r.actions {
		if a == action {
			n++
		}
	}
	return n
}

func (r *Router) answer(conn net.PacketConn, to func(question []byte, from net.Addr) []byte) {
	buffer := make([]byte, 2048)
	for {
		n, from, err := conn.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if answer := to(buffer[:max(n, 0)], from); answer != nil {
			conn.WriteTo(answer, from) //nolint:errcheck // who does not hear it asks again
		}
	}
}

const gateway = "urn:schemas-upnp-org:device:InternetGatewayDevice:1"

func (r *Router) answerSearch(question []byte, from net.Addr) []byte {
	text := func(location, server string) []byte {
		return []byte("HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: " + gateway + "\r\nEXT:\r\nSERVER: " + server + "\r\nLOCATION: " + location + "\r\n\r\n")
	}
	if !strings.Contains(string(question), "ST: "+gateway) {
		return nil
	}
	if r.Stranger != "" {
		r.sendFrom("127.0.0.2", text(r.Stranger, "evil\u202e"), from)
	}
	switch {
	case r.NoUPnP:
		return nil
	case r.OddPort:
		r.sendFrom(r.Address, text(r.Location, "odd"), from)
		return nil
	}
	return text(r.Location, "test")
}

func (r *Router) sendFrom(address string, datagram []byte, to net.Addr) {
	conn, err := new(net.ListenConfig).ListenPacket(context.Background(), "udp4", net.JoinHostPort(address, "0"))
	if err != nil {
		return
	}
	defer conn.Close()
	conn.WriteTo(datagram, to) //nolint:errcheck // who does not hear it asks again
}

const (
	description = `<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0">%s
<device><deviceType>` + gateway + `</deviceType><friendlyName>Test router</friendlyName><modelName>T-1</modelName><UDN>uuid:1</UDN>
<deviceList><device><deviceType>urn:schemas-upnp-org:device:WANDevice:1</deviceType>
<deviceList><device><deviceType>urn:schemas-upnp-org:device:WANConnectionDevice:1</deviceType>
<serviceList><service><serviceType>urn:schemas-upnp-org:service:%s</serviceType><controlURL>/ctl</controlURL></service></serviceList>
</device></deviceList></device></deviceList></device></root>`
	envelope = `<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>%s</s:Body></s:Envelope>`
	fault    = `<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail><UPnPError xmlns="urn:schemas-upnp-org:control-1-0"><errorCode>%d</errorCode><errorDescription>no</errorDescription></UPnPError></detail></s:Fault>`
)

func (r *Router) serve(w http.ResponseWriter, request *http.Request) {
	if request.Method == http.MethodGet {
		fmt.Fprintf(w, description, r.URLBase, r.Service) //nolint:errcheck // who hangs up does not want it
		return
	}
	body, err := io.ReadAll(io.LimitReader(request.Body, 64<<10))
	if err != nil {
		return
	}
	_, action, _ := strings.Cut(strings.Trim(request.Header.Get("SOAPAction"), `"`), "#")
	r.mu.Lock()
	defer r.mu.Unlock()
	r.actions = append(r.actions, action)
	code, out := r.act(action, arguments(string(body)))
	inner := fmt.Sprintf(`<u:%sResponse xmlns:u="urn:schemas-upnp-org:service:%s">%s</u:%sResponse>`, action, r.Service, out, action)
	if code != 0 {
		w.WriteHeader(http.StatusInternalServerError)
		inner = fmt.Sprintf(fault, code)
	}
	fmt.Fprintf(w, envelope, inner) //nolint:errcheck,gosec // who hangs up does not want it; no browser reads it
}

var argument = lazyre.New(`<(New\w+)[^>]*>([^<]*)</`)

func arguments(body string) map[string]string {
	args := map[string]string{}
	for _, m := range argument().FindAllStringSubmatch(body, -1) {
		args[m[1]] = html.UnescapeString(m[2])
	}
	return args
}

// elements writes names and values, in turn.
func elements(pairs ...string) string {
	var b strings.Builder
	for pair := range slices.Chunk(pairs, 2) {
		fmt.Fprintf(&b, "<%s>%s</%s>", pair[0], html.EscapeString(pair[len(pair)-1]), pair[0])
	}
	return b.String()
}

func (m Mapping) elements() string {
	return elements("NewInternalPort", strconv.Itoa(m.Port), "NewInternalClient", m.Host, "NewEnabled", "1",
		"NewPortMappingDescription", m.Description, "NewLeaseDuration", strconv.Itoa(m.Lease))
}

// act performs an action: a code of UPnP, or the elements of the answer.
func (r *Router) act(action string, args map[string]string) (int, string) {
	number, _ := strconv.Atoi(args["NewExternalPort"]) // 0 is in no table
	port := Port{strings.ToLower(args["NewProtocol"]), number}
	switch action {
	case "GetExternalIPAddress":
		if r.Quirk == "501" {
			return 501, ""
		}
		return 0, elements("NewExternalIPAddress", r.WAN)
	case "GetStatusInfo":
		status := "Connected"
		if r.Quirk == "disconnected" {
			status = "Disconnected"
		}
		return 0, elements("NewConnectionStatus", status, "NewLastConnectionError", "ERROR_NONE", "NewUptime", "3600")
	case "GetConnectionTypeInfo":
		return 0, elements("NewConnectionType", "IP_Routed")
	case "GetGenericPortMappingEntry":
		return r.generic(args["NewPortMappingIndex"])
	case "GetSpecificPortMappingEntry":
		if m, ok := r.maps[port]; ok {
			return 0, m.elements()
		}
		return 714, ""
	case "AddPortMapping":
		return r.add(port, args), ""
	case "DeletePortMapping":
		if _, ok := r.maps[port]; !ok {
			return 714, ""
		}
		if r.Quirk != "undeletable" {
			delete(r.maps, port)
		}
		return 0, ""
	}
	return 401, ""
}

func (r *Router) generic(index string) (int, string) {
	i, err := strconv.Atoi(index)
	ports := r.ports()
	switch {
	case r.Quirk == "no-list":
		return 401, ""
	case r.Quirk == "endless-list":
		i = 0
	case err != nil || i >= len(ports):
		return 713, ""
	case r.Quirk == "short-list" && i == 1:
		return 603, ""
	}
	return 0, elements("NewRemoteHost", "", "NewExternalPort", strconv.Itoa(ports[i].Number),
		"NewProtocol", strings.ToUpper(ports[i].Protocol)) + r.maps[ports[i]].elements()
}

func (r *Router) ports() []Port {
	var ports []Port
	for p := range r.maps {
		ports = append(ports, p)
	}
	slices.SortFunc(ports, func(a, b Port) int {
		return cmp.Or(strings.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Number, b.Number))
	})
	return ports
}

func (r *Router) add(port Port, args map[string]string) int {
	m := Mapping{Host: args["NewInternalClient"], Description: args["NewPortMappingDescription"]}
	m.Port, _ = strconv.Atoi(args["NewInternalPort"])   // 0 is refused below
	m.Lease, _ = strconv.Atoi(args["NewLeaseDuration"]) // what is missing stays
	old, taken := r.maps[port]
	code, err := strconv.Atoi(r.Quirk)
	self := strings.HasPrefix(m.Host, "127.")
	switch {
	case err == nil:
		return code
	case m.Port == 0 || args["NewProtocol"] != "TCP" && args["NewProtocol"] != "UDP":
		return 402
	case r.Quirk == "permanent-only" && m.Lease != 0:
		return 725
	case r.Quirk == "permanent-402" && m.Lease != 0:
		return 402
	case r.Quirk == "conflict", taken && old.Host != m.Host:
		return 718
	case r.Quirk == "same-port" && m.Port != port.Number:
		return 724
	case r.Quirk == "self-only" && !self:
		return 606
	case !r.Open && !self:
		return 718
	case r.Quirk == "other-mechanism":
		return 729
	case r.Quirk == "forgetful":
		return 0
	case r.Quirk == "sticky": // it keeps an inside port of before
		m.Port = 1
	}
	r.maps[port] = m
	return 0
}
