package wan

import (
	"regexp"
	"strings"
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
	pattern *regexp.Regexp
	kind    Kind
	product string
}{
	{regexp.MustCompile(`^docker\d|^br-[0-9a-f]{12}$|^docker_gwbridge|docker`), KindVirtual, "Docker"},
	{regexp.MustCompile(`^vethernet|hyper-v`), KindVirtual, "Hyper-V"},
	{regexp.MustCompile(`^veth`), KindVirtual, "containers"},
	{regexp.MustCompile(`^(cni|flannel|cali|podman|lxc|lxd)`), KindVirtual, "containers"},
	{regexp.MustCompile(`^(virbr|vnet)\d`), KindVirtual, "libvirt"},
	{regexp.MustCompile(`^vmnet\d|vmware`), KindVirtual, "VMware"},
	{regexp.MustCompile(`^vboxnet\d|virtualbox`), KindVirtual, "VirtualBox"},
	{regexp.MustCompile(`tailscale`), KindVPN, "Tailscale"},
	{regexp.MustCompile(`^zt[0-9a-z]{8,}$|zerotier`), KindVPN, "ZeroTier"},
	{regexp.MustCompile(`^wg\d|wireguard|nordlynx|wintun`), KindVPN, "WireGuard"},
	{regexp.MustCompile(`tap-windows|openvpn|tap-nordvpn`), KindVPN, "OpenVPN"},
	{regexp.MustCompile(`anyconnect|cscotun`), KindVPN, "Cisco AnyConnect"},
	{regexp.MustCompile(`forti`), KindVPN, "FortiClient"},
	{regexp.MustCompile(`pangp|globalprotect`), KindVPN, "GlobalProtect"},
	{regexp.MustCompile(`cloudflare.?warp`), KindVPN, "Cloudflare WARP"},
	{regexp.MustCompile(`^(tun|utun|ipsec)\d|vpn`), KindVPN, ""},
	{regexp.MustCompile(`^(ppp|pppoe)`), KindPPP, ""},
	{regexp.MustCompile(`^(wwan|rmnet)|mobile broadband`), KindMobile, ""},
	{regexp.MustCompile(`^(wl|wlan|wifi|wi-fi)`), KindWiFi, ""},
}

// classify names the kind of an interface, and whose it is. A product that is
// known by its name comes before what the system says: a TAP adapter calls
// itself Ethernet.
func classify(name string, hint linkHint, pointToPoint bool) (Kind, string) {
	for _, text := range []string{strings.ToLower(name), strings.ToLower(hint.description)} {
		for _, p := range products {
			if text != "" && p.pattern.MatchString(text) {
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
