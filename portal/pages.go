package portal

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"onsite/internal/dn"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed style.css
	styleCSS []byte

	// Parsed when it is first needed: every command would pay for it.
	pageTemplate = sync.OnceValue(func() *template.Template { return template.Must(template.New("page").Parse(pageHTML)) })
)

// page is what page.html shows.
type page struct {
	Site     string
	Mark     string // a word for the verdict, or ""
	Good     bool   // colours Mark
	Headline string
	Notes    []string
	Groups   []group
}

// group is a titled list of facts.
type group struct {
	Title string
	Facts []fact
}

type fact struct {
	Name, Value string
	Code        bool // to be compared letter by letter
}

// A page needs nothing but its style sheet: whatever else a hostile request
// might bring into it, browsers do not fetch, run or send.
const policy = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// handler answers every request. http.ServeMux is not used: it redirects what
// it finds untidy.
func (s *Server) handler() http.Handler {
	routes := map[string]http.HandlerFunc{
		"/":          s.servePage,
		"/style.css": serveStyle,
		"/healthz":   s.serveHealth,
		wellKnown:    s.serveSeen,
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		route, known := routes[r.URL.Path]
		switch {
		case !known:
			s.render(w, http.StatusNotFound, page{Headline: "There is no such page here.", Notes: []string{"The portal's own page is at its address without a path."}})
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			h.Set("Allow", "GET, HEAD")
			h.Set("Connection", "close") // there may be a body to come, which nobody reads
			s.render(w, http.StatusMethodNotAllowed, page{Headline: "This page can only be read.", Notes: []string{"Nothing was done with what was sent."}})
		default:
			route(w, r)
		}
	})
}

// render writes a page whole, or not at all.
func (s *Server) render(w http.ResponseWriter, status int, p page) {
	p.Site = s.o.Site
	if p.Site == "" {
		p.Site = "onsite portal"
	}
	var b bytes.Buffer
	if err := pageTemplate().Execute(&b, p); err != nil {
		http.Error(w, "the page could not be made", http.StatusInternalServerError)
		return
	}
	send(w, status, "text/html; charset=utf-8", b.Bytes())
}

func send(w http.ResponseWriter, status int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body) //nolint:errcheck // the client is gone: nobody is left to tell
}

func serveStyle(w http.ResponseWriter, _ *http.Request) {
	send(w, http.StatusOK, "text/css; charset=utf-8", styleCSS)
}

// serveHealth is for programs that watch the portal.
func (s *Server) serveHealth(w http.ResponseWriter, _ *http.Request) {
	status, word := http.StatusOK, "ok"
	if h := s.served.Load(); h != nil && s.o.Now().After(h.set.Cert[0].NotAfter) {
		status, word = http.StatusServiceUnavailable, "expired"
	}
	send(w, status, "text/plain; charset=utf-8", []byte(word+"\n"))
}

func (s *Server) serveSeen(w http.ResponseWriter, r *http.Request) {
	seen := s.saw(r)
	query := r.URL.Query()
	if seen.Nonce = query.Get("nonce"); query.Has("nonce") && !isNonce(seen.Nonce) {
		sendJSON(w, http.StatusBadRequest, map[string]string{"error": "nonce: 1 to 128 letters, digits or . _ ~ -"})
		return
	}
	sendJSON(w, http.StatusOK, seen)
}

func sendJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		http.Error(w, "the answer could not be made", http.StatusInternalServerError)
		return
	}
	send(w, status, "application/json", append(body, '\n'))
}

func (s *Server) servePage(w http.ResponseWriter, r *http.Request) {
	seen := s.saw(r)
	arrived := group{Title: "What arrived", Facts: []fact{
		{Name: "Connection", Value: strings.ToUpper(seen.Scheme) + " (" + seen.Protocol + ")"},
		{Name: "Host asked for", Value: seen.Host, Code: true},
		{Name: "Came from", Value: seen.Remote, Code: true},
		{Name: "Time here", Value: seen.Time.Format("2006-01-02 15:04:05 MST")},
	}}
	if seen.TLS == nil {
		s.render(w, http.StatusOK, s.plainPage(arrived))
		return
	}
	encryption := group{Title: "Encryption", Facts: []fact{
		{Name: "Version", Value: seen.TLS.Version},
		{Name: "Cipher", Value: seen.TLS.Cipher, Code: true},
		{Name: "Server name (SNI)", Value: or(seen.TLS.ServerName, "none was sent"), Code: seen.TLS.ServerName != ""},
		{Name: "Protocol (ALPN)", Value: or(seen.TLS.ALPN, "none was agreed on"), Code: seen.TLS.ALPN != ""},
	}}
	leaf := leafOf(r)
	c := seen.Certificate
	certificate := group{Title: "Certificate", Facts: []fact{
		{Name: "Covers", Value: or(strings.Join(c.Names, ", "), "no name"), Code: len(c.Names) > 0},
		{Name: "Issued by", Value: dn.Friendly(leaf.RawIssuer)},
		{Name: "Valid from", Value: day(c.NotBefore)},
		{Name: "Valid until", Value: day(c.NotAfter)},
		{Name: "Time left", Value: left(c.DaysLeft)},
		{Name: "Serial number", Value: c.Serial, Code: true},
		{Name: "SHA-256", Value: c.SHA256, Code: true},
	}}
	p := page{Mark: "Encrypted", Good: true, Headline: "You reached this portal over HTTPS.", Groups: []group{arrived, encryption, certificate}}
	p.Notes = []string{fmt.Sprintf("The connection is encrypted with %s. The certificate is good until %s.", seen.TLS.Version, prose(day(c.NotAfter)))}
	if c.DaysLeft < 0 {
		p.Mark, p.Good = "Expired", false
		p.Notes = []string{fmt.Sprintf("The connection is encrypted, but the certificate expired on %s: browsers warn of this portal until it is renewed.", prose(day(c.NotAfter)))}
	}
	if leaf.VerifyHostname(hostOnly(r.Host)) != nil {
		p.Mark, p.Good = "Wrong name", false
		p.Notes = append(p.Notes, "The certificate does not cover the name that was asked for: browsers warn of it under this name.")
	}
	s.render(w, http.StatusOK, p)
}

func (s *Server) plainPage(arrived group) page {
	p := page{
		Mark: "Not encrypted", Headline: "You reached this portal over HTTP: not encrypted.",
		Notes:  []string{"Whoever is on the way between you and this portal can read and change what is sent."},
		Groups: []group{arrived},
	}
	if _, port, err := net.SplitHostPort(s.HTTPSAddr()); err == nil {
		p.Notes = append(p.Notes, "It also answers over HTTPS, on port "+port+" of its computer.")
	}
	return p
}

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02") }

// prose keeps a date in running text on one line.
func prose(date string) string { return strings.ReplaceAll(date, "-", "\u2011") }

func left(days int) string {
	switch {
	case days < 0:
		return "expired"
	case days == 1:
		return "1 day"
	}
	return fmt.Sprintf("%d days", days)
}

// hostOnly cuts the port, and the brackets of an IPv6 address, off a Host header.
func hostOnly(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		hostport = host
	}
	return strings.Trim(hostport, "[]")
}
