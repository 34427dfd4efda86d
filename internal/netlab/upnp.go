//go:build linux

package netlab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// applyUPnP starts what the router offers to map ports with: miniupnpd, a router
// with a fault, or nothing.
func (l *Lab) applyUPnP() error {
	s, router := l.Site(), l.hosts["router"]
	l.upnp.stop()
	l.upnp = nil
	err := errors.Join(
		l.restart("igd", func(sv *service) error {
			if s.Quirk == "none" {
				return nil
			}
			return sv.igd(l, s)
		}),
		router.nft(upnpChains))
	if err != nil || s.Quirk != "none" || (s.UPnP == "off" && s.PMP == "off") {
		return err
	}
	config := filepath.Join(l.dir, "miniupnpd.conf")
	if err := os.WriteFile(config, []byte(l.miniupnpd(s)), 0o644); err != nil {
		return err
	}
	if l.upnp, err = router.launch(exec.Command("miniupnpd", "-d", "-f", config, "-P", filepath.Join(l.dir, "miniupnpd.pid"))); err != nil {
		return err
	}
	for start := time.Now(); time.Since(start) < time.Minute && !l.upnp.ended(); time.Sleep(10 * time.Millisecond) {
		if (s.UPnP == "off" || router.bound("tcp", 5000) && router.bound("udp", 1900)) && (s.PMP == "off" || router.bound("udp", 5351)) {
			return nil
		}
	}
	return fmt.Errorf("miniupnpd is not ready:\n%s", l.upnp.tail())
}

// bound reports whether something listens at a port of the host.
func (h *host) bound(proto string, port int) bool {
	var table []byte
	err := h.on(func() (err error) {
		table, err = os.ReadFile("/proc/thread-self/net/" + proto)
		return err
	})
	return err == nil && strings.Contains(string(table), fmt.Sprintf(":%04X 00000000:0000 ", port))
}

func (l *Lab) miniupnpd(s Site) string {
	yes := func(b bool) string {
		if b {
			return "yes"
		}
		return "no"
	}
	lines := []string{
		"ext_ifname=wan0", "listening_ip=br-lan", "http_port=5000", "ipv6_disable=yes",
		"enable_upnp=" + yes(s.UPnP != "off"), "enable_natpmp=" + yes(s.PMP == "on"),
		"force_igd_desc_v1=" + yes(s.UPnP == "igd1"), "secure_mode=" + yes(s.Secure == "on"),
		"min_lifetime=120", "max_lifetime=86400", "system_uptime=no",
		"lease_file=" + filepath.Join(l.dir, "upnp.leases"),
		"uuid=00000000-0000-4000-8000-00000000000a", "friendly_name=Lab router",
		"allow 1024-65535 192.168.1.0/24 1024-65535", "deny 0-65535 0.0.0.0/0 0-65535",
	}
	if s.ExternalIP == "site" {
		lines = append(lines, "ext_ip="+s.Public())
	}
	if s.ThirdParty == "on" {
		lines = append(lines, "pcp_allow_thirdparty=yes")
	}
	return strings.Join(lines, "\n") + "\n"
}
