//go:build linux

package netlab

import (
	"cmp"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/ipv4"
)

// Action is one request that a router with a quirk got, and what it answered: 0
// for yes, otherwise the UPnP error.
type Action struct {
	Name, Port, Protocol, Host, Lease string
	Error                             int
}

// Actions are all UPnP requests so far.
func (l *Lab) Actions() []Action {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return append([]Action(nil), l.actions...)
}

// igd is a router whose UPnP has one fault. Its rules are in the chain that
// miniupnpd's would be in.
type igd struct {
	lab     *Lab
	router  *host
	quirk   string
	service string // the connection's service type
	wan     string // the address that it tells
	started time.Time

	mu   sync.Mutex
	maps map[mapKey]mapping
}

type mapKey struct {
	proto string // tcp or udp
	port  int
}

type mapping struct {
	host        string
	port        int
	description string
	until       time.Time // zero: for ever
}

const igdType = "urn:schemas-upnp-org:device:InternetGatewayDevice:1"

func (s *service) igd(l *Lab, site Site) error {
	g := &igd{lab: l, router: l.hosts["router"], quirk: site.Quirk, maps: map[mapKey]mapping{}, started: time.Now()}
	g.service = "urn:schemas-upnp-org:service:WANIPConnection:1"
	if g.quirk == "ppp" {
		g.service = "urn:schemas-upnp-org:service:WANPPPConnection:1"
	}
	g.wan = site.RouterWAN()
	switch {
	case g.quirk == "zero-ip":
		g.wan = "0.0.0.0"
	case g.quirk == "empty-ip":
		g.wan = ""
	case g.quirk == "private-wan" && site.NAT == "single":
		g.wan = "192.168.0.20"
	case site.ExternalIP == "site":
		g.wan = site.Public()
	}
	if err := s.web(g.router, Router+":5000", nil, g); err != nil {
		return err
	}
	pc, err := g.router.listenPacket(":1900")
	if err != nil {
		return err
	}
	s.add(pc)
	if err := g.join(pc); err != nil {
		return err
	}
	s.goes(func() { g.ssdp(pc) })
	return nil
}

// join makes the router listen to what is sent to all in its LAN.
func (g *igd) join(pc *net.UDPConn) error {
	return g.router.on(func() error {
		lan, err := net.InterfaceByName("br-lan")
		if err != nil {
			return err
		}
		return ipv4.NewPacketConn(pc).JoinGroup(lan, &net.UDPAddr{IP: net.IPv4(239, 255, 255, 250)})
	})
}

var searchTarget = regexp.MustCompile(`(?im)^st:\s*(\S+)`)

// ssdp answers searches.
func (g *igd) ssdp(pc *net.UDPConn) {
	buf := make([]byte, 2048)
	for {
		n, from, err := pc.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		text := string(buf[:n])
		target := searchTarget.FindStringSubmatch(text)
		if !strings.HasPrefix(text, "M-SEARCH") || target == nil {
			continue
		}
		kind := target[1]
		switch kind {
		case "ssdp:all", "upnp:rootdevice":
			kind = igdType
		case igdType, g.service:
		default:
			continue
		}
		answer := fmt.Sprintf("HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: %[1]s\r\nUSN: uuid:00000000-0000-4000-8000-000000000001::%[1]s\r\n"+
			"EXT:\r\nSERVER: Lab/1.0 UPnP/1.0 Quirky/1.0\r\nLOCATION: http://%[2]s:5000/root.xml\r\n\r\n", kind, Router)
		g.send(pc, []byte(answer), from)
	}
}

func (g *igd) send(pc *net.UDPConn, answer []byte, to netip.AddrPort) {
	if g.quirk == "odd-port" { // answers from another port than 1900
		other, err := g.router.listenPacket(Router + ":0")
		if err != nil {
			return
		}
		defer other.Close()
		pc = other
	}
	pc.WriteToUDPAddrPort(answer, to)
}

// device nests one device of the description inside another.
func device(kind string, number int, services, inner string) string {
	return fmt.Sprintf("<device><deviceType>urn:schemas-upnp-org:device:%s:1</deviceType><friendlyName>Lab quirky router</friendlyName>"+
		"<manufacturer>lab</manufacturer><modelName>Q-1000</modelName><UDN>uuid:00000000-0000-4000-8000-%012d</UDN>%s%s</device>\n", kind, number, services, inner)
}

func (g *igd) description() string {
	services := func(kind, id, path string) string {
		return fmt.Sprintf("<serviceList><service><serviceType>%s</serviceType><serviceId>urn:upnp-org:serviceId:%s</serviceId>"+
			"<SCPDURL>/%s.xml</SCPDURL><controlURL>/%s</controlURL><eventSubURL>/%s-events</eventSubURL></service></serviceList>", kind, id, path, path, path)
	}
	list := func(d string) string { return "<deviceList>" + d + "</deviceList>" }
	connection := device("WANConnectionDevice", 3, services(g.service, "WANIPConn1", "ctl"), "")
	wan := device("WANDevice", 2, services("urn:schemas-upnp-org:service:WANCommonInterfaceConfig:1", "WANCommonIFC1", "cif"), list(connection))
	return `<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><specVersion><major>1</major><minor>0</minor></specVersion>` +
		device("InternetGatewayDevice", 1, "", list(wan)) + "</root>"
}

const envelope = `<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" ` +
	`s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>%s</s:Body></s:Envelope>`

// ServeHTTP answers for the description and for actions.
func (g *igd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Server", "Lab/1.0 UPnP/1.0 Quirky/1.0")
	w.Header().Set("Content-Type", `text/xml; charset="utf-8"`)
	if r.Method == http.MethodGet && r.URL.Path == "/root.xml" {
		io.WriteString(w, g.description())
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 64<<10))
	if r.Method != http.MethodPost || r.URL.Path != "/ctl" || err != nil {
		http.NotFound(w, r)
		return
	}
	_, name, _ := strings.Cut(strings.Trim(r.Header.Get("SOAPAction"), `"`), "#")
	c := call{name: name, body: string(body), from: callerOf(r)}
	answer, code := g.act(c)
	g.lab.mu.Lock()
	g.lab.actions = append(g.lab.actions, Action{
		Name: name, Port: c.arg("NewExternalPort"), Protocol: c.arg("NewProtocol"),
		Host: c.arg("NewInternalClient"), Lease: c.arg("NewLeaseDuration"), Error: code,
	})
	g.lab.mu.Unlock()
	if code != 0 {
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprintf(w, envelope, fmt.Sprintf("<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail>"+
			`<UPnPError xmlns="urn:schemas-upnp-org:control-1-0"><errorCode>%d</errorCode><errorDescription>%s</errorDescription></UPnPError>`+
			"</detail></s:Fault>", code, upnpErrors[code]))
		return
	}
	var values strings.Builder
	for i := 0; i < len(answer); i += 2 {
		fmt.Fprintf(&values, "<%[1]s>%[2]s</%[1]s>", answer[i], html.EscapeString(answer[i+1]))
	}
	fmt.Fprintf(w, envelope, fmt.Sprintf(`<u:%[1]sResponse xmlns:u="%[2]s">%[3]s</u:%[1]sResponse>`, name, g.service, values.String()))
}

var upnpErrors = map[int]string{
	401: "Invalid Action", 402: "Invalid Args", 606: "Action not authorized", 713: "SpecifiedArrayIndexInvalid",
	714: "NoSuchEntryInArray", 718: "ConflictInMappingEntry", 724: "SamePortValuesRequired",
	725: "OnlyPermanentLeasesSupported", 729: "ConflictWithOtherMechanisms",
}

// call is one action with its arguments.
type call struct{ name, body, from string }

func (c call) arg(name string) string {
	m := regexp.MustCompile("<" + name + "[^>]*>([^<]*)</" + name + ">").FindStringSubmatch(c.body)
	if m == nil {
		return ""
	}
	return html.UnescapeString(m[1])
}

func (c call) number(name string) int {
	n, err := strconv.Atoi(c.arg(name))
	if err != nil {
		return 0
	}
	return n
}

// act does what is asked and gives names and values in turn, or a UPnP error.
func (g *igd) act(c call) (answer []string, code int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for key, m := range g.maps {
		if !m.until.IsZero() && time.Now().After(m.until) {
			g.remove(key)
		}
	}
	key := mapKey{strings.ToLower(c.arg("NewProtocol")), c.number("NewExternalPort")}
	switch c.name {
	case "GetExternalIPAddress":
		return []string{"NewExternalIPAddress", g.wan}, 0
	case "GetStatusInfo":
		status := "Connected"
		if g.quirk == "disconnected" {
			status = "Disconnected"
		}
		uptime := strconv.Itoa(int(time.Since(g.started).Seconds()))
		return []string{"NewConnectionStatus", status, "NewLastConnectionError", "ERROR_NONE", "NewUptime", uptime}, 0
	case "GetConnectionTypeInfo":
		return []string{"NewConnectionType", "IP_Routed", "NewPossibleConnectionTypes", "IP_Routed"}, 0
	case "GetNATRSIPStatus":
		return []string{"NewRSIPAvailable", "0", "NewNATEnabled", "1"}, 0
	case "GetGenericPortMappingEntry":
		return g.generic(c.number("NewPortMappingIndex"))
	case "GetSpecificPortMappingEntry":
		m, ok := g.maps[key]
		if !ok {
			return nil, 714
		}
		return m.entry(), 0
	case "AddPortMapping":
		return nil, g.add(c, key)
	case "DeletePortMapping":
		if _, ok := g.maps[key]; !ok {
			return nil, 714
		}
		g.remove(key)
		return nil, 0
	}
	return nil, 401
}

func (m mapping) entry() []string {
	left := 0
	if !m.until.IsZero() {
		left = max(1, int(time.Until(m.until).Seconds()))
	}
	return []string{
		"NewInternalPort", strconv.Itoa(m.port), "NewInternalClient", m.host, "NewEnabled", "1",
		"NewPortMappingDescription", m.description, "NewLeaseDuration", strconv.Itoa(left),
	}
}

func (g *igd) generic(index int) ([]string, int) {
	if g.quirk == "no-list" {
		return nil, 401
	}
	var keys []mapKey
	for key := range g.maps {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b mapKey) int { return cmp.Or(cmp.Compare(a.port, b.port), cmp.Compare(a.proto, b.proto)) })
	if index < 0 || index >= len(keys) {
		return nil, 713
	}
	key := keys[index]
	head := []string{"NewRemoteHost", "", "NewExternalPort", strconv.Itoa(key.port), "NewProtocol", strings.ToUpper(key.proto)}
	return append(head, g.maps[key].entry()...), 0
}

func (g *igd) add(c call, key mapKey) int {
	m := mapping{host: c.arg("NewInternalClient"), port: c.number("NewInternalPort"), description: c.arg("NewPortMappingDescription")}
	lease := c.number("NewLeaseDuration")
	if lease > 0 {
		m.until = time.Now().Add(time.Duration(lease) * time.Second)
	}
	old, taken := g.maps[key]
	_, err := netip.ParseAddr(m.host)
	switch p := c.arg("NewProtocol"); {
	case p != "TCP" && p != "UDP", err != nil, key.port < 1, key.port > 65535, m.port < 1, m.port > 65535:
		return 402
	case g.quirk == "permanent-only" && lease != 0:
		return 725
	case g.quirk == "conflict", taken && old.host != m.host:
		return 718
	case g.quirk == "same-port" && m.port != key.port:
		return 724
	case g.quirk == "self-only" && m.host != c.from:
		return 606
	case g.quirk == "other-mechanism":
		return 729
	}
	if taken {
		g.remove(key)
	}
	g.maps[key] = m
	if g.quirk == "listed-dead" {
		return 0
	}
	err = g.router.nft(fmt.Sprintf(`add rule inet filter prerouting_miniupnpd iifname "wan0" %s dport %d dnat ip to %s:%d comment %q`+"\n",
		key.proto, key.port, m.host, m.port, key.comment()))
	if err != nil {
		fmt.Fprintln(os.Stderr, "netlab:", err)
	}
	return 0
}

func (k mapKey) comment() string { return fmt.Sprintf("igd-%s-%d", k.proto, k.port) }

var handle = regexp.MustCompile(`# handle (\d+)`)

// remove forgets a mapping and takes its rule out.
func (g *igd) remove(key mapKey) {
	delete(g.maps, key)
	rules, err := g.router.command("", "nft", "-a", "list", "chain", "inet", "filter", "prerouting_miniupnpd")
	if err != nil {
		return // the lab is on its way down
	}
	for line := range strings.Lines(rules) {
		if m := handle.FindStringSubmatch(line); m != nil && strings.Contains(line, `"`+key.comment()+`"`) {
			g.router.nft("delete rule inet filter prerouting_miniupnpd handle " + m[1] + "\n")
		}
	}
}
