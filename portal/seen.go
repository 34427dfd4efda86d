package portal

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"onsite/pkcs"
	"onsite/report"
)

// wellKnown is where a portal says what it saw of a request.
const wellKnown = "/.well-known/onsite"

// service is what a portal calls itself there.
const service = "onsite portal"

// maxShown is the number of characters of a request's words that are shown.
const maxShown = 255

// Seen is what a portal says about the request that reached it: the JSON of
// /.well-known/onsite. It stands there as it arrived, and the client may have
// said anything: nothing in it is checked.
type Seen struct {
	Schema  string `json:"schema"`  // report.Schema
	Service string `json:"service"` // "onsite portal"
	// Nonce is the value of the query parameter "nonce", or "".
	Nonce       string       `json:"nonce"`
	Scheme      string       `json:"scheme"`      // "http" or "https"
	Host        string       `json:"host"`        // as asked for, with the port if it was given
	Remote      string       `json:"remote"`      // where the request came from: address:port
	Protocol    string       `json:"protocol"`    // "HTTP/1.1", "HTTP/2.0"
	TLS         *TLS         `json:"tls"`         // null over HTTP
	Certificate *Certificate `json:"certificate"` // the portal's own; null over HTTP
	Time        time.Time    `json:"time"`        // the portal's clock, UTC
}

// TLS is what two ends agreed on.
type TLS struct {
	Version    string `json:"version"`     // "TLS 1.3"
	Cipher     string `json:"cipher"`      // by its IANA name
	ServerName string `json:"server_name"` // SNI; "" when the client sent none
	ALPN       string `json:"alpn"`        // "h2", "http/1.1"; "" when not negotiated
}

// Certificate is one certificate, as seen at a moment.
type Certificate struct {
	pkcs.Info
	// DaysLeft counts whole days; it is negative once the certificate has expired.
	DaysLeft int `json:"days_left"`
}

func describe(c *x509.Certificate, now time.Time) Certificate {
	return Certificate{Info: pkcs.Describe(c), DaysLeft: pkcs.DaysLeft(c, now)}
}

func describeTLS(s *tls.ConnectionState) *TLS {
	return &TLS{
		Version: tls.VersionName(s.Version), Cipher: tls.CipherSuiteName(s.CipherSuite),
		ServerName: report.Shorten(s.ServerName, maxShown), ALPN: s.NegotiatedProtocol,
	}
}

// saw describes a request.
func (s *Server) saw(r *http.Request) Seen {
	now := s.o.Now()
	seen := Seen{
		Schema: report.Schema, Service: service, Scheme: "http", Host: report.Shorten(r.Host, maxShown), Remote: r.RemoteAddr,
		Protocol: r.Proto, Time: now.UTC().Truncate(time.Second),
	}
	if leaf := leafOf(r); leaf != nil {
		c := describe(leaf, now)
		seen.Scheme, seen.TLS, seen.Certificate = "https", describeTLS(r.TLS), &c
	}
	return seen
}

// isNonce reports whether a client's nonce is one to send back: up to 128
// characters that mean nothing in any language (RFC 3986, unreserved).
func isNonce(s string) bool {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	return s != "" && len(s) <= 128 && strings.Trim(s, letters+"._~-") == ""
}

// parseSeen reads the answer of a portal. It reports false for anything else,
// as other servers give anything for an address that they do not know, and for
// an answer to another question: one with another nonce.
func parseSeen(data []byte, nonce string) (*Seen, bool) {
	var s Seen
	if json.Unmarshal(data, &s) != nil || s.Schema != report.Schema || s.Service != service || s.Nonce != nonce {
		return nil, false
	}
	return &s, true
}
