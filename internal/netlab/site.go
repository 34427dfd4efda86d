//go:build linux

package netlab

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Site says what is wrong with a customer's network. The zero value is right in
// all things: one NAT, the three forwards, loop-back, a good name and certificate,
// UPnP (IGDv2, secure mode), NAT-PMP and PCP. An empty field means its first word.
type Site struct {
	NAT     string `words:"single double cgnat"`
	WAN     string `words:"A B"`                 // which of two addresses the ISP gives
	PTR     string `words:"dynamic static none"` // the name behind them
	NATPort string `words:"keep random"`         // does the NAT keep the source port

	// Forward is what somebody typed into the router: 8888 and 4444 to the portal,
	// 4500 to the clock's 4370.
	Forward string `words:"ok none wrong-host dead-host wrong-port udp portal-only device-only"`
	// Outer is the same for the ISP's box in front (double); admin: its own page answers.
	Outer string `words:"none ok dmz admin"`
	// Hairpin is what a host in the LAN gets at the public address: the service,
	// silence, a refusal, an answer from the wrong address, the router's own page.
	Hairpin string `words:"on off refuse asym admin"`
	// ISPBlock are the TCP ports that the ISP drops on the way in, with commas between.
	ISPBlock string
	Firewall string `words:"off lan-only"` // of the portal's computer

	Portal  string `words:"up down loopback http-on-tls onsite"` // onsite: our own portal serve
	TLS     string `words:"ok expired notyet wrong-name self-signed no-chain"`
	Device  string `words:"up down key silent other c3"` // c3: an access panel that speaks something else
	Gateway string `words:"ok none wrong"`               // set in the clock

	UPnP       string `words:"igd2 igd1 off"`
	PMP        string `words:"on off"` // NAT-PMP and PCP: miniupnpd has one switch for both
	Secure     string `words:"on off"` // UPnP's secure mode: a host maps to itself alone
	ThirdParty string `words:"off on"` // PCP's THIRD_PARTY
	ExternalIP string `words:"router site"`
	// Quirk puts a router with one fault in its UPnP in place of miniupnpd, without
	// NAT-PMP and PCP.
	Quirk string `words:"none plain private-wan zero-ip empty-ip permanent-only conflict same-port self-only other-mechanism listed-dead no-list disconnected ppp odd-port"`

	// DNS is what the servers of example.test say of portal and device.
	DNS   string `words:"right wrong stale stale-cache stale-secondary cname cname-stale cname-dangling nxdomain doubled nodata private aaaa-dead multi lame ns-down servfail"`
	TTL   int    // of those records; 0 is 300
	CAA   string `words:"none le other forbid"`
	Split string `words:"off on"` // the router answers with the portal's address in the LAN
	// Signed is what becomes of signed updates: nothing wrong, a server whose clock
	// is ten minutes off, an answer without a signature, another code, silence.
	Signed string `words:"ok fast slow unsigned servfail notimp hang"`

	DDNS string `words:"auto good nochg badauth badagent abuse nohost notfqdn numhost dnserr 911 !donator !yours !active badsys html http500 hang"`
	Echo string `words:"agree disagree private html down"` // the services that tell one's address
	STUN string `words:"on off"`
}

// fill puts the first word into every field that is empty, and refuses a word
// that is not on the list.
func (s *Site) fill() error {
	v := reflect.ValueOf(s).Elem()
	for i := range v.NumField() {
		field := v.Type().Field(i)
		words := strings.Fields(field.Tag.Get("words"))
		if len(words) == 0 {
			continue
		}
		if v.Field(i).String() == "" {
			v.Field(i).SetString(words[0])
		}
		if got := v.Field(i).String(); !slices.Contains(words, got) {
			return fmt.Errorf("netlab: %s %q: use one of %s", field.Name, got, strings.Join(words, ", "))
		}
	}
	if s.TTL == 0 {
		s.TTL = 300
	}
	return nil
}

// changed names the fields in which two sites differ.
func (s *Site) changed(other *Site) map[string]bool {
	names := map[string]bool{}
	a, b := reflect.ValueOf(s).Elem(), reflect.ValueOf(other).Elem()
	for i := range a.NumField() {
		if !a.Field(i).Equal(b.Field(i)) {
			names[a.Type().Field(i).Name] = true
		}
	}
	return names
}

// The addresses of the lab. Those outside must look public, as miniupnpd forwards
// nothing behind an address that is private, of a carrier, or for documentation:
// they are borrowed from a network that nobody routes, and live in namespaces
// that no link leads out of.
const (
	RootServer = "11.53.0.2"
	NS1        = "11.53.0.53"
	NS2        = "11.53.0.54"
	Resolver   = "11.53.0.55"
	Services   = "11.53.0.80" // echoes, dynamic DNS, missing certificates
	STUN1      = "11.53.0.81"
	STUN2      = "11.53.0.82"
	Parked     = "11.53.0.99" // a page for names that nobody uses
	Outside    = "11.53.0.10" // host wan: anyone on the Internet
	Outside2   = "11.53.0.11" // its second address

	Router  = "192.168.1.1"
	Portal  = "192.168.1.50"
	Laptop  = "192.168.1.60"
	Decoy   = "192.168.1.77" // another box: web on 80, 8888 and 4444, SSH on 4370
	Clock   = "192.168.1.200"
	ispBox  = "192.168.0.1"
	carrier = "100.64.0.1"
)

// Names of the site.
const (
	PortalName = "portal.example.test"
	DeviceName = "device.example.test"
	// UpdateName may be changed with the key UpdateKey, and DynName with the account
	// DynUser and DynPassword at DynServer.
	UpdateName  = "site.dyn.example.test"
	DynName     = "site.dyn.test"
	DynServer   = "ddns.lab.test"
	DynUser     = "lab"
	DynPassword = "labpass"
)

// publicResolvers and publicRoots also answer in the lab.
var (
	publicResolvers = []string{"1.1.1.1", "1.0.0.1", "8.8.8.8", "8.8.4.4", "9.9.9.9", "149.112.112.112", "208.67.222.222"}
	publicRoots     = []string{
		"198.41.0.4", "170.247.170.2", "192.33.4.12", "199.7.91.13", "192.203.230.10", "192.5.5.241", "192.112.36.4",
		"198.97.190.53", "192.36.148.17", "192.58.128.30", "193.0.14.129", "199.7.83.42", "202.12.27.33",
	}
)

// Public is the site's public address, and Old the one it had before.
func (s Site) Public() string { return s.public(s.WAN != "B") }

// Old is the address that the site had before.
func (s Site) Old() string { return s.public(s.WAN == "B") }

func (s Site) public(first bool) string {
	switch {
	case s.NAT == "cgnat" && first:
		return "11.20.31.5"
	case s.NAT == "cgnat":
		return "11.20.31.9"
	case first:
		return "11.20.30.20"
	}
	return "11.20.30.99"
}

// RouterWAN is the address of the customer's router on its outer side.
func (s Site) RouterWAN() string {
	switch s.NAT {
	case "double":
		return "192.168.0.20"
	case "cgnat":
		return "100.64.10.20"
	}
	return s.Public()
}

// uplink is the network that the router's outer side is in.
func (s Site) uplink() (length int, gateway string) {
	switch s.NAT {
	case "double":
		return 24, ispBox
	case "cgnat":
		return 10, carrier
	}
	return 24, "11.20.30.1"
}
