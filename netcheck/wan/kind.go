package wan

import (
	"regexp"
	"strings"

	"onsite/internal/lazyre"
)

// Kind is what an interface is.
type Kind string

// The kinds; empty is one that nothing is known of.
const (
	KindEthernet Kind = "ethernet"
	KindWiFi     Kind = "wifi"
	KindMobile   Kind = "mobile"
	KindVPN      Kind = "vpn"
	KindPPP      Kind = "ppp"     // a dialled line, or a VPN of the old kind
	KindVirtual  Kind = "virtual" // a network inside this computer
	KindBridge   Kind = "bridge"
)

// linkHint is what the system itself says of an interface.
type linkHint struct {
	kind        Kind
	description string // on Windows: "TAP-Windows Adapter V9"
}

// products are interfaces that are known by their name or description.
var products = []struct {
	pattern func() *regexp.Regexp
	kind    Kind
	product string
}{
	{lazyre.New(`^docker\d|^br-[0-9a-f]{12}$|^docker_gwbridge|docker`), KindVirtual, "Docker"},
	{lazyre.New(`^vethernet|hyper-v`), KindVirtual, "Hyper-V"},
	{lazyre.New(`^veth`), KindVirtual, "containers"},
	{lazyre.New(`^(cni|flannel|cali|podman|lxc|lxd)`), KindVirtual, "containers"},
	{lazyre.New(`^(virbr|vnet)\d`), KindVirtual, "libvirt"},
	{lazyre.New(`^vmnet\d|vmware`), KindVirtual, "VMware"},
	{lazyre.New(`^vboxnet\d|virtualbox`), KindVirtual, "VirtualBox"},
	{lazyre.New(`tailscale`), KindVPN, "Tailscale"},
	{lazyre.New(`^zt[0-9a-z]{8,}$|zerotier`), KindVPN, "ZeroTier"},
	{lazyre.New(`^wg\d|wireguard|nordlynx|wintun`), KindVPN, "WireGuard"},
	{lazyre.New(`tap-windows|openvpn|tap-nordvpn`), KindVPN, "OpenVPN"},
	{lazyre.New(`anyconnect|cscotun`), KindVPN, "Cisco AnyConnect"},
	{lazyre.New(`forti`), KindVPN, "FortiClient"},
	{lazyre.New(`pangp|globalprotect`), KindVPN, "GlobalProtect"},
	{lazyre.New(`cloudflare.?warp`), KindVPN, "Cloudflare WARP"},
	{lazyre.New(`^(tun|utun|ipsec)\d|vpn`), KindVPN, ""},
	{lazyre.New(`^(ppp|pppoe)`), KindPPP, ""},
	{lazyre.New(`^(wwan|rmnet)|mobile broadband`), KindMobile, ""},
	{lazyre.New(`^(wl|wlan|wifi|wi-fi)`), KindWiFi, ""},
}

// classify names the kind of an interface, and whose it is. A product that is
// known by its name comes before what the system says: a TAP adapter calls
// itself Ethernet.
func classify(name string, hint linkHint, pointToPoint bool) (Kind, string) {
	for _, text := range []string{strings.ToLower(name), strings.ToLower(hint.description)} {
		for _, p := range products {
			if text != "" && p.pattern().MatchString(text) {
				return p.kind, p.product
			}
		}
	}
	switch {
	case hint.kind != "":
		return hint.kind, ""
	case pointToPoint:
		return KindVPN, ""
	}
	return "", ""
}
