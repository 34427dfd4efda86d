//go:build linux

package netlab

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"
)

// applyServices starts what answers inside the customer's network, and sets the
// clock's gateway and the portal computer's firewall.
func (l *Lab) applyServices() error {
	s := l.Site()
	err := errors.Join(
		l.applyPortal(s),
		l.restart("clock", func(sv *service) error { return sv.clock(l.hosts["device"], s) }),
		l.restart("decoy", func(sv *service) error {
			h, nas := l.hosts["decoy"], page(http.StatusOK, "nginx", "<html><title>NAS</title>another box in the LAN</html>")
			return errors.Join(
				sv.web(h, Decoy+":80", nil, nas), sv.web(h, Decoy+":8888", nil, nas), sv.web(h, Decoy+":4444", l.pki.decoy, nas),
				sv.banner(h, Decoy+":4370"))
		}),
		l.restart("router-page", func(sv *service) error {
			return sv.web(l.hosts["router"], ":80", nil, page(http.StatusUnauthorized, "micro_httpd", "<html><title>Lab router</title>log in</html>"))
		}),
		l.hosts["device"].ip(gatewayOf(s)),
		l.hosts["lan"].nft(hostFirewall(s)),
	)
	if outer := l.hosts["outer"]; outer != nil && s.NAT == "double" {
		err = errors.Join(err, l.restart("outer-page", func(sv *service) error {
			return sv.web(outer, ":80", nil, page(http.StatusUnauthorized, "micro_httpd", "<html><title>ISP gateway</title>log in</html>"))
		}))
	}
	return err
}

// gatewayOf sets the clock's default route. A clock without one answers in the
// LAN alone; a wrong one is nobody's address.
func gatewayOf(s Site) string {
	switch s.Gateway {
	case "none":
		return "route flush default"
	case "wrong":
		return "route replace default via 192.168.1.254"
	}
	return "route replace default via " + Router
}

func hostFirewall(s Site) string {
	rules := "add table inet hostfw\nadd chain inet hostfw input { type filter hook input priority 0; policy accept; }\nflush chain inet hostfw input\n"
	if s.Firewall == "lan-only" {
		rules += `add rule inet hostfw input iifname "eth0" ip saddr != 192.168.1.0/24 tcp dport { 8888, 4444 } drop` + "\n"
	}
	return rules
}

// applyPortal starts the portal on its computer.
func (l *Lab) applyPortal(s Site) error {
	l.onsitePortal.stop()
	l.onsitePortal = nil
	cert, err := l.pki.portal(s.TLS)
	if err != nil {
		return err
	}
	if err := l.pki.write(l.PortalDir(), cert); err != nil {
		return err
	}
	return l.restart("portal", func(sv *service) error {
		h, bind := l.hosts["lan"], ""
		switch s.Portal {
		case "down":
			return nil
		case "onsite":
			l.onsitePortal, err = l.launch("lan", "portal", "serve", "--dir", l.PortalDir())
			return err
		case "loopback":
			bind = "127.0.0.1"
		case "http-on-tls":
			cert = nil
		}
		return errors.Join(sv.web(h, bind+":8888", nil, http.HandlerFunc(portalPage)), sv.web(h, bind+":4444", cert, http.HandlerFunc(portalPage)))
	})
}

// PortalDir is the folder with the portal's three files.
func (l *Lab) PortalDir() string { return filepath.Join(l.dir, "Web Server") }

func portalPage(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Server", "labportal/1.0")
	if strings.HasPrefix(r.URL.Path, "/healthz") {
		io.WriteString(w, "ok\n")
		return
	}
	w.Header().Set("Content-Type", "text/html")
	fmt.Fprint(w, "<html><title>lab portal</title>attendance portal of example.test</html>")
}

// banner is an SSH server as far as its first line.
func (s *service) banner(h *host, address string) error {
	return s.tcp(h, address, func(conn net.Conn) {
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.WriteString(conn, "SSH-2.0-dropbear_2019.78\r\n"); err == nil {
			conn.Read(make([]byte, 512))
		}
	})
}
