package wan

import (
	"net"
	"os"
	"path/filepath"
	"strings"
)

// deviceTypes are the kinds by the kernel's DEVTYPE.
var deviceTypes = map[string]Kind{
	"wlan": KindWiFi, "wwan": KindMobile, "wireguard": KindVPN, "ppp": KindPPP, "bridge": KindBridge,
}

// linkHints reads what the kernel says of each interface, by its number.
func linkHints() map[int]linkHint {
	hints := map[int]linkHint{}
	interfaces, err := net.Interfaces()
	if err != nil {
		return hints // Interfaces says so
	}
	for _, i := range interfaces {
		hints[i.Index] = linkHint{kind: kernelKind(filepath.Join("/sys/class/net", i.Name))}
	}
	return hints
}

func kernelKind(dir string) Kind {
	event, err := os.ReadFile(filepath.Join(dir, "uevent"))
	if err != nil {
		return "" // not mounted, as in some containers
	}
	for line := range strings.Lines(string(event)) {
		if kind, ok := deviceTypes[strings.TrimPrefix(strings.TrimSpace(line), "DEVTYPE=")]; ok {
			return kind
		}
	}
	is := func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	}
	link, err := os.ReadFile(filepath.Join(dir, "type")) // ARPHRD_… of <linux/if_arp.h>
	switch kind := strings.TrimSpace(string(link)); {
	case err != nil:
		return ""
	case is("phy80211"):
		return KindWiFi
	case is("tun_flags"), kind == "65534":
		return KindVPN
	case kind == "512":
		return KindPPP
	case kind == "1":
		return KindEthernet
	}
	return ""
}
