// Package csr makes keys and certificate requests, reads them and judges them.
//
// The way is: a [Spec] holds what a person wants; [Prepare] judges all of it at
// once and, when nothing is wrong, returns a [Request]; [Request.Sign] makes the
// PKCS#10 bytes of RFC 2986; [Write] puts request and key into a folder.
// [Parse] reads any request back. A list of hosts is read with [ReadHosts] and
// made with [BatchOptions]; [FromCertificate] begins the next request.
//
//	req, findings := csr.Prepare(csr.Spec{Subject: csr.Subject{CommonName: "portal.acme.example"}})
//	if req == nil { /* findings say why */ }
//	key, err := csr.GenerateKey(csr.DefaultKey)
//	der, err := req.Sign(key)
//
// The package asks nobody and knows no authority: what comes back from one is
// for package pkcs.
package csr

import (
	"crypto"
	"net/url"
	"slices"
	"strings"
)

// Subject is the distinguished name of a request, in the fields that
// authorities, XCA and a NetClock's page ask for. Empty fields are left out.
type Subject struct {
	Country      string `json:"country"`      // C, two letters of ISO 3166-1
	State        string `json:"state"`        // ST
	Locality     string `json:"locality"`     // L
	Organization string `json:"organization"` // O
	Unit         string `json:"unit"`         // OU
	CommonName   string `json:"common_name"`  // CN, a host name or an address
	Email        string `json:"email"`        // emailAddress of PKCS#9
}

// Spec is what a person asks for, as typed.
type Spec struct {
	Subject
	// SANs are further subject alternative names: host names, IP addresses,
	// e-mail addresses and URIs, each recognised by its form or by a prefix
	// such as "DNS:". The common name is always added in front of them.
	SANs []string
	// WithApex adds example.com for each *.example.com.
	WithApex bool
	// UnstructuredName is the PKCS#9 attribute; nil means the common name.
	UnstructuredName *string
	// ChallengePassword is the PKCS#9 attribute; empty leaves it out. It stands
	// in the request in clear.
	ChallengePassword string
	// Hash is the signature's; 0 means SHA-256.
	Hash crypto.Hash
}

// SAN types, as OpenSSL writes them.
const (
	SANDNS   = "DNS"
	SANIP    = "IP"
	SANEmail = "email"
	SANURI   = "URI"
)

// SAN is one subject alternative name. As text, and in JSON, it is written as
// OpenSSL takes it: "DNS:portal.acme.example".
type SAN struct {
	Type  string // SANDNS, SANIP, SANEmail or SANURI
	Value string
}

func (s SAN) String() string { return s.Type + ":" + s.Value }

// MarshalText implements encoding.TextMarshaler.
func (s SAN) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Request is a judged request: it can be signed.
type Request struct {
	Subject           Subject
	SANs              []SAN
	UnstructuredName  string // empty: left out
	ChallengePassword string // empty: left out
	Hash              crypto.Hash
}

// Stem is the request's name as part of a file name: "*." becomes "wildcard.",
// and what file systems refuse becomes "_".
func (r *Request) Stem() string { return Stem(r.Subject.CommonName) }

// isDevice reports whether Windows takes a file name for a device, whatever its
// ending: CON, NUL, COM1.
func isDevice(name string) bool {
	first, _, _ := strings.Cut(strings.ToLower(name), ".")
	if n := len(first) - 1; n == 3 && first[n] >= '0' && first[n] <= '9' {
		return first[:n] == "com" || first[:n] == "lpt"
	}
	return slices.Contains([]string{"con", "prn", "aux", "nul"}, first)
}

// Stem turns a common name into part of a file name.
func Stem(commonName string) string {
	if rest, ok := strings.CutPrefix(commonName, "*."); ok {
		commonName = "wildcard." + rest
	}
	if isDevice(commonName) {
		commonName = "_" + commonName
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-', r == '_':
			return r
		}
		return '_'
	}, commonName)
}

// parseSAN recognises one alternative name. The value of a DNS name is left for
// judging.
func parseSAN(s string) SAN {
	s = strings.TrimSpace(s)
	for _, t := range []string{SANDNS, SANIP, SANEmail, SANURI} {
		if len(s) > len(t) && s[len(t)] == ':' && strings.EqualFold(s[:len(t)], t) {
			return SAN{Type: t, Value: strings.TrimSpace(s[len(t)+1:])}
		}
	}
	switch {
	case parseIP(s).IsValid():
		return SAN{Type: SANIP, Value: parseIP(s).String()}
	case strings.Contains(s, "://"):
		return SAN{Type: SANURI, Value: s}
	case strings.Contains(s, "@"):
		return SAN{Type: SANEmail, Value: s}
	}
	return SAN{Type: SANDNS, Value: s}
}

// hostOf digs the host name out of what people paste: an address bar's content,
// or a name with a port. It returns "" when there is none.
func hostOf(s string) string {
	if !strings.Contains(s, "://") {
		s = "//" + s
	}
	u, err := url.Parse(s)
	if err != nil {
		return ""
	}
	return u.Hostname()
}
