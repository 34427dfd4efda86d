//go:build linux

package netlab

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Phone is the public address of the telephone's hotspot.
const Phone = "11.53.0.20"

// Hotspot takes the laptop out of the LAN and into a telephone's hotspot, which is
// one more private network behind one more NAT. Back brings it home.
func (l *Lab) Hotspot(t testing.TB) {
	t.Helper()
	if err := l.hotspot(); err != nil {
		t.Fatalf("netlab: %v", err)
	}
}

func (l *Lab) hotspot() error {
	laptop, inet := l.hosts["laptop"], l.hosts["inet"]
	if l.hosts["phone"] == nil {
		phone, err := newHost("phone", l.dir, "nameserver "+Resolver+"\n")
		if err != nil {
			return err
		}
		l.hosts["phone"] = phone
		err = inet.ip(
			fmt.Sprintf("link add name v-phone netns %d type veth peer name eth0 netns %d", inet.tid, phone.tid),
			fmt.Sprintf("link add name wlan0 netns %d type veth peer name wlan0 netns %d", phone.tid, laptop.tid),
			"link set v-phone up", "link set v-phone master br-svc")
		if err != nil {
			return err
		}
		err = phone.ip("link set lo up", "link set eth0 up", "link set wlan0 up",
			"address add "+Phone+"/24 dev eth0", "address add 172.20.10.1/28 dev wlan0", "route add default via 11.53.0.1")
		if err != nil {
			return err
		}
		err = phone.on(func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644) })
		if err != nil {
			return err
		}
		err = phone.nft("add table inet nat\nadd chain inet nat post { type nat hook postrouting priority 100; policy accept; }\n" +
			"add rule inet nat post oifname \"eth0\" masquerade\n")
		if err != nil {
			return err
		}
	}
	if err := l.resolver("laptop", Resolver); err != nil {
		return err
	}
	return laptop.ip("link set eth0 down", "address flush dev eth0", "link set wlan0 up",
		"address replace 172.20.10.2/28 dev wlan0", "route replace default via 172.20.10.1")
}

// Back brings the laptop from the hotspot into the LAN again.
func (l *Lab) Back(t testing.TB) {
	t.Helper()
	err := l.resolver("laptop", Router)
	if err == nil {
		err = l.hosts["laptop"].ip("link set wlan0 down", "address flush dev wlan0", "link set eth0 up",
			"address replace "+Laptop+"/24 dev eth0", "route replace default via "+Router)
	}
	if err != nil {
		t.Fatalf("netlab: %v", err)
	}
}

// resolver changes a host's /etc/resolv.conf, which is this file.
func (l *Lab) resolver(host, address string) error {
	return os.WriteFile(filepath.Join(l.dir, "etc-"+host, "resolv.conf"), []byte("nameserver "+address+"\n"), 0o644)
}
