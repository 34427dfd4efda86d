//go:build linux

package netlab

import (
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// startInternet starts what everybody on the Internet can reach.
func (l *Lab) startInternet() error {
	root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: l.pki.root.Raw})
	if err := os.WriteFile(l.rootFile(), root, 0o644); err != nil {
		return err
	}
	return l.restart("internet", func(s *service) error {
		h := l.hosts["dns"]
		parked := page(http.StatusOK, "parking", "<html>this domain is parked</html>")
		for _, err := range []error{
			s.web(h, Services+":80", nil, http.HandlerFunc(l.serviceHost)),
			s.web(h, Services+":443", l.pki.internet, http.HandlerFunc(l.serviceHost)),
			s.web(h, Parked+":80", nil, parked),
			s.web(h, Parked+":8888", nil, parked),
			s.web(h, Parked+":4444", l.pki.decoy, parked),
			s.stun(l, h, STUN1), s.stun(l, h, STUN2),
		} {
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// rootFile is the one root that the lab's computers trust.
func (l *Lab) rootFile() string { return filepath.Join(l.dir, "root.pem") }

// page answers every request with the same page.
func page(status int, server, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Server", server)
		if status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Basic realm="router"`)
		}
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	})
}

func callerOf(r *http.Request) string {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return a.Addr().String()
}

// serviceHost plays all services of the Internet that have a name.
func (l *Lab) serviceHost(w http.ResponseWriter, r *http.Request) {
	name, _, _ := strings.Cut(strings.ToLower(r.Host), ":")
	switch {
	case r.URL.Path == "/nic/update" || r.URL.Path == "/v3/update":
		l.dynUpdate(w, r)
	case strings.HasPrefix(issuerURL, "http://"+name+"/"):
		if "http://"+name+r.URL.Path != issuerURL {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/pkix-cert")
		w.Write(l.pki.issuer.Raw)
	default:
		l.echo(w, r, name)
	}
}

// echo tells the caller's address, in the form that the service of this name uses.
func (l *Lab) echo(w http.ResponseWriter, r *http.Request, name string) {
	address := callerOf(r)
	switch l.Site().Echo {
	case "disagree":
		switch name {
		case "icanhazip.com", "ipv4.icanhazip.com", "ifconfig.me", "ip2.lab.test":
			address = "11.99.9.9"
		}
	case "private":
		address = Portal
	case "down":
		http.Error(w, "unavailable", http.StatusServiceUnavailable)
		return
	case "html":
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<html><body><h1>Hotel guest network: sign in</h1></body></html>")
		return
	}
	switch {
	case name == "checkip.dyndns.org":
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, "<html><head><title>Current IP Check</title></head><body>Current IP Address: %s</body></html>\r\n", address)
	case r.URL.Path == "/cdn-cgi/trace":
		fmt.Fprintf(w, "fl=1f1\nh=%s\nip=%s\nts=%d.000\nvisit_scheme=https\n", name, address, time.Now().Unix())
	case strings.Contains(r.URL.RawQuery, "json") || strings.HasSuffix(r.URL.Path, "json") || name == "ipinfo.io":
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]string{"ip": address})
	default:
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprintln(w, address)
	}
}

// stun answers binding requests (RFC 8489) on both usual ports.
func (s *service) stun(l *Lab, h *host, address string) error {
	for _, port := range []string{"3478", "19302"} {
		pc, err := h.listenPacket(address + ":" + port)
		if err != nil {
			return err
		}
		s.add(pc)
		s.goes(func() {
			buf := make([]byte, 2048)
			for {
				n, from, err := pc.ReadFromUDPAddrPort(buf)
				if err != nil {
					return
				}
				if answer := stunAnswer(buf[:n], from); answer != nil && l.Site().STUN == "on" {
					pc.WriteToUDPAddrPort(answer, from)
				}
			}
		})
	}
	return nil
}

const stunCookie = 0x2112A442

func stunAnswer(request []byte, from netip.AddrPort) []byte {
	if len(request) < 20 || binary.BigEndian.Uint16(request) != 1 || binary.BigEndian.Uint32(request[4:]) != stunCookie {
		return nil
	}
	ip := from.Addr().Unmap().As4()
	// XOR-MAPPED-ADDRESS, then MAPPED-ADDRESS for old clients
	attributes := []byte{0, 0x20, 0, 8, 0, 1}
	attributes = binary.BigEndian.AppendUint16(attributes, from.Port()^(stunCookie>>16))
	attributes = binary.BigEndian.AppendUint32(attributes, binary.BigEndian.Uint32(ip[:])^stunCookie)
	attributes = append(attributes, 0, 1, 0, 8, 0, 1)
	attributes = binary.BigEndian.AppendUint16(attributes, from.Port())
	attributes = append(attributes, ip[:]...)
	answer := binary.BigEndian.AppendUint16([]byte{1, 1}, uint16(len(attributes)))
	return append(append(answer, request[4:20]...), attributes...)
}

// Update is one request that the dynamic DNS provider got, and what it answered.
type Update struct {
	Hosts, Address, User, Agent string
	TLS                         bool
	Answer                      string
}

// Updates are all requests so far.
func (l *Lab) Updates() []Update {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return append([]Update(nil), l.updates...)
}

// dynHost is what the provider remembers of a name.
type dynHost struct {
	address  string
	needless int
}

// libraryAgent is a User-Agent that providers refuse: it names no client.
var libraryAgent = regexp.MustCompile(`^(Go-http-client|python|curl|Wget|$)`)

// dynUpdate is the provider's side of dyndns2.
func (l *Lab) dynUpdate(w http.ResponseWriter, r *http.Request) {
	u := Update{
		Hosts: r.URL.Query().Get("hostname"), Address: r.URL.Query().Get("myip"),
		Agent: r.UserAgent(), TLS: r.TLS != nil,
	}
	var password string
	u.User, password, _ = r.BasicAuth()
	if u.Address == "" {
		u.Address = callerOf(r)
	}
	status := http.StatusOK
	switch kind := l.Site().DDNS; kind {
	case "auto":
		u.Answer = l.dynAnswer(u, password)
	case "hang":
		select {
		case <-r.Context().Done():
		case <-time.After(30 * time.Second):
		}
		status = http.StatusGatewayTimeout
	case "http500":
		status, u.Answer = http.StatusInternalServerError, "internal error"
	case "html":
		u.Answer = "<!DOCTYPE html><html><head><title>Welcome, please sign in</title></head><body>Have a good stay. " +
			"Press OK to go on, 9.11 a day; nochg for guests.</body></html>"
	case "good", "nochg":
		u.Answer = kind + " " + u.Address
	default:
		u.Answer = kind
	}
	l.mu.Lock()
	l.updates = append(l.updates, u)
	l.mu.Unlock()
	if u.Answer == "badauth" {
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", `Basic realm="DynDNS"`)
	}
	w.Header().Set("Content-Type", "text/plain")
	if strings.HasPrefix(u.Answer, "<") {
		w.Header().Set("Content-Type", "text/html")
	}
	w.WriteHeader(status)
	fmt.Fprint(w, u.Answer)
}

// dynAnswer follows the provider's rules.
func (l *Lab) dynAnswer(u Update, password string) string {
	switch {
	case u.User != DynUser || password != DynPassword:
		return "badauth"
	case libraryAgent.MatchString(u.Agent):
		return "badagent"
	case u.Hosts == "":
		return "notfqdn"
	}
	var answers []string
	for _, name := range strings.Split(u.Hosts, ",") {
		answers = append(answers, l.dynOne(strings.ToLower(strings.TrimSuffix(name, ".")), u.Address))
	}
	return strings.Join(answers, "\n")
}

func (l *Lab) dynOne(name, address string) string {
	switch {
	case !strings.Contains(name, "."):
		return "notfqdn"
	case name != DynName:
		return "nohost"
	case net.ParseIP(address).To4() == nil:
		return "dnserr"
	}
	l.mu.Lock()
	known := l.ddns[name]
	if known == nil {
		known = &dynHost{}
		l.ddns[name] = known
	}
	if known.address == address {
		known.needless++
		needless := known.needless
		l.mu.Unlock()
		if needless > 5 {
			return "abuse"
		}
		return "nochg " + address
	}
	l.mu.Unlock()
	if err := l.update("dyn.test.", name, address, 60, NS1); err != nil {
		return "911"
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	known.address, known.needless = address, 0
	return "good " + address
}
