package reflector

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// upgrade is the protocol that a pipe is asked for by.
const upgrade = "onsite-pipe/1"

// refusal is a request that is not answered as asked. The reason is a word for
// programs, and stable.
type refusal struct {
	status  int
	reason  string
	message string
	after   time.Duration // when it may be tried again; 0: it need not be
}

func refuse(status int, reason, message string) *refusal {
	return &refusal{status: status, reason: reason, message: message}
}

func (f *refusal) later(after time.Duration) *refusal {
	f.after = max(after, time.Second)
	return f
}

// The reasons of refusals, as they travel.
const (
	whyWeb      = "web-page"
	whyRequest  = "request"
	whyPath     = "path"
	whyVersion  = "version"
	whyMethod   = "method"
	whyPeer     = "peer"
	whyToken    = "token"
	whyAddress  = "address"
	whyPort     = "port"
	whyUpgrade  = "upgrade"
	whySession  = "session"
	whyForeign  = "session-address"
	whyRate     = "rate"
	whyBusy     = "busy"
	whyFull     = "full"
	whyInternal = "internal"
	whyStopping = "stopping"
)

// refusalJSON is how a refusal travels.
type refusalJSON struct {
	Error   string `json:"error"`
	Message string `json:"message"`
	Ports   []int  `json:"ports,omitempty"`
}

// whoamiJSON is the answer of whoami.
type whoamiJSON struct {
	Service string `json:"service"`
	Version int    `json:"version"`
	IP      string `json:"ip"`
	Port    uint16 `json:"port"` // 0: a proxy in front does not say
}

const (
	serviceName    = "onsite-reflector"
	serviceVersion = 1
)

// sessionJSON is the answer of session.
type sessionJSON struct {
	Token   string    `json:"token"`
	Ports   []int     `json:"ports"`
	Expires time.Time `json:"expires"`
}

// dialJSON says that the site could not be connected to.
type dialJSON struct {
	Dial string `json:"dial"`
	MS   int64  `json:"ms"`
}

// endpoints are the paths, each with its one method.
var endpoints = map[string]struct {
	method string
	serve  func(*Server, http.ResponseWriter, *http.Request) *refusal
}{
	"/healthz":    {http.MethodGet, (*Server).health},
	"/v1/whoami":  {http.MethodGet, (*Server).whoami},
	"/v1/session": {http.MethodPost, (*Server).session},
	"/v1/pipe":    {http.MethodGet, (*Server).pipe},
}

// handle answers every request. No answer is a redirect, or allows a web page to
// read it.
func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	what := "other"
	if _, ok := endpoints[r.URL.Path]; ok {
		what = strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/v1"), "/")
	}
	var refused *refusal
	if s.begun.start() {
		defer s.begun.done()
		refused = s.dispatch(w, r)
	} else {
		refused = refuse(http.StatusServiceUnavailable, whyStopping, "this reflector is being stopped")
		h.Set("Connection", "close")
	}
	if refused == nil {
		s.count.add("requests_total", "path", what, "result", "ok")
		return
	}
	s.count.add("requests_total", "path", what, "result", refused.reason)
	s.journal.refused(r, what, refused, s)
	if refused.after > 0 {
		h.Set("Retry-After", strconv.Itoa(int((refused.after+time.Second-1)/time.Second)))
	}
	body := refusalJSON{Error: refused.reason, Message: refused.message}
	if refused.reason == whyPort {
		body.Ports = s.o.Ports
	}
	writeJSON(w, refused.status, body)
}

// dispatch looks at what all requests have in common.
func (s *Server) dispatch(w http.ResponseWriter, r *http.Request) *refusal {
	if fromWebPage(r) {
		return refuse(http.StatusForbidden, whyWeb, "web pages may not use a reflector: Origin and Sec-Fetch headers are refused")
	}
	// Bodies are of no use here, and what is left of one could pass for the next
	// request of a connection that a proxy shares.
	if r.ContentLength != 0 || len(r.TransferEncoding) > 0 {
		w.Header().Set("Connection", "close")
		http.NewResponseController(w).SetReadDeadline(time.Now().Add(time.Second)) //nolint:errcheck // then the limits of the server hold
		return refuse(http.StatusBadRequest, whyRequest, "a request has no body here")
	}
	if !strings.HasPrefix(r.RequestURI, "/") || r.URL.Host != "" {
		return refuse(http.StatusBadRequest, whyRequest, "this is no proxy: ask for a path")
	}
	path := r.URL.EscapedPath()
	end, ok := endpoints[path]
	switch {
	case !ok && isOtherVersion(path):
		return refuse(http.StatusNotFound, whyVersion, "this reflector speaks version 1: /v1/")
	case !ok:
		return refuse(http.StatusNotFound, whyPath, "there is nothing at this path")
	case r.Method != end.method:
		w.Header().Set("Allow", end.method)
		return refuse(http.StatusMethodNotAllowed, whyMethod, "use "+end.method)
	}
	return end.serve(s, w, r)
}

// fromWebPage reports whether a browser sent this for a page: it must not be made
// to look at its visitor's own address.
func fromWebPage(r *http.Request) bool {
	for name := range r.Header {
		if name == "Origin" || strings.HasPrefix(name, "Sec-Fetch-") {
			return true
		}
	}
	return false
}

func isOtherVersion(path string) bool {
	rest, ok := strings.CutPrefix(path, "/v")
	n, _, slash := strings.Cut(rest, "/")
	v, err := strconv.ParseUint(n, 10, 8)
	return ok && slash && err == nil && v != serviceVersion
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) *refusal {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	io.WriteString(w, "ok\n") //nolint:errcheck // who asked has gone
	return nil
}

// known is who asks, if that is known and not too often.
func (s *Server) known(r *http.Request) (netip.AddrPort, *refusal) {
	peer, err := s.peer(r)
	if err != nil {
		return peer, refuse(http.StatusBadGateway, whyPeer, err.Error())
	}
	if ok, after := s.rates.requests.take(group(peer.Addr()), s.o.Now()); !ok {
		return peer, refuse(http.StatusTooManyRequests, whyRate, "too many requests from this address").later(after)
	}
	return peer, nil
}

func (s *Server) whoami(w http.ResponseWriter, r *http.Request) *refusal {
	peer, refused := s.known(r)
	if refused != nil {
		return refused
	}
	if r.URL.RawQuery != "" {
		return refuse(http.StatusBadRequest, whyRequest, "whoami takes no parameters")
	}
	writeJSON(w, http.StatusOK, whoamiJSON{Service: serviceName, Version: serviceVersion, IP: peer.Addr().String(), Port: peer.Port()})
	return nil
}

func (s *Server) session(w http.ResponseWriter, r *http.Request) *refusal {
	peer, refused := s.known(r)
	if refused != nil {
		return refused
	}
	name, refused := s.operator(r, peer)
	if refused != nil {
		return refused
	}
	if r.URL.RawQuery != "" {
		return refuse(http.StatusBadRequest, whyRequest, "a session takes no parameters: it is for the address that asks")
	}
	if err := s.mayDial(peer.Addr()); err != nil {
		return notDialled(err)
	}
	if ok, after := s.rates.sessions.take(group(peer.Addr()), s.o.Now()); !ok {
		return refuse(http.StatusTooManyRequests, whyRate, "too many sessions for this address").later(after)
	}
	token, expires, err := s.begin(name, peer.Addr())
	if err != nil {
		return refuse(http.StatusServiceUnavailable, whyFull, err.Error()).later(time.Minute)
	}
	s.count.add("sessions_total", "operator", name)
	s.journal.session(name, peer.Addr())
	writeJSON(w, http.StatusOK, sessionJSON{Token: token, Ports: s.o.Ports, Expires: expires.UTC()})
	return nil
}

// operator is who has the token of a request.
func (s *Server) operator(r *http.Request, peer netip.AddrPort) (string, *refusal) {
	key := group(peer.Addr())
	if s.rates.failures.empty(key, s.o.Now()) {
		return "", refuse(http.StatusTooManyRequests, whyRate, "too many wrong tokens from this address").later(time.Minute / failuresPerMinute)
	}
	values := r.Header.Values("Authorization")
	if len(values) == 1 {
		scheme, token, _ := strings.Cut(values[0], " ")
		if name, ok := s.tokens.get().find(token); ok && strings.EqualFold(scheme, "Bearer") {
			return name, nil
		}
	}
	s.rates.failures.take(key, s.o.Now())
	return "", refuse(http.StatusUnauthorized, whyToken, "this takes a token of the reflector's operator, as Authorization: Bearer")
}

func notDialled(err error) *refusal {
	return refuse(http.StatusForbidden, whyAddress, "no connection is made to the address that asks: "+err.Error())
}

// pipeRequest reads the two parameters of a pipe, each of which is there once,
// and nothing else.
func pipeRequest(query string) (port int, token string, err error) {
	wrong := errors.New("a pipe takes port and token, once each, and nothing else: its destination is the address that asks")
	values, err := url.ParseQuery(query)
	if err != nil || len(values) != 2 || len(values["port"]) != 1 || len(values["token"]) != 1 || values["token"][0] == "" {
		return 0, "", wrong
	}
	text := values["port"][0]
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != text {
		return 0, "", wrong
	}
	return int(n), values["token"][0], nil
}

// asksForPipe reports whether a request is for an upgrade (RFC 9110, section 7.8).
func asksForPipe(r *http.Request) bool {
	has := func(header, token string) bool {
		for _, v := range r.Header.Values(header) {
			if slices.ContainsFunc(strings.Split(v, ","), func(t string) bool { return strings.EqualFold(strings.Trim(t, " \t"), token) }) {
				return true
			}
		}
		return false
	}
	return r.ProtoAtLeast(1, 1) && has("Connection", "Upgrade") && has("Upgrade", upgrade)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	body, err := json.Marshal(v)
	if err != nil {
		status = http.StatusInternalServerError // our own types: it does not happen
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(status)
	w.Write(append(body, '\n')) //nolint:errcheck // who asked has gone
}
