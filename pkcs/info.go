package pkcs

import (
	"crypto/x509"
	"math/big"
	"time"

	"onsite/internal/dn"
)

// Info is a certificate for people and scripts to read.
type Info struct {
	Name       string    `json:"name"`        // what people call it: the common name, else another part
	Subject    string    `json:"subject"`     // RFC 4514: most specific part first
	Issuer     string    `json:"issuer"`      // likewise
	Names      []string  `json:"names"`       // the host names and addresses that it covers
	Serial     string    `json:"serial"`      // pairs of lower-case hexadecimal digits
	SHA256     string    `json:"sha256"`      // of the whole certificate, lower-case hexadecimal
	SPKISHA256 string    `json:"spki_sha256"` // of its public key, likewise; see csr.Fingerprint
	NotBefore  time.Time `json:"not_before"`  // UTC
	NotAfter   time.Time `json:"not_after"`   // UTC
	IsCA       bool      `json:"is_ca"`
}

// Describe returns what stands in a certificate.
func Describe(c *x509.Certificate) Info {
	return Info{
		Name: name(c), Subject: dn.String(c.RawSubject), Issuer: dn.String(c.RawIssuer), Names: hostNames(c),
		Serial: Serial(c.SerialNumber), SHA256: Fingerprint(c), SPKISHA256: spkiFingerprint(c),
		NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(), IsCA: c.IsCA,
	}
}

// Serial writes a serial number as OpenSSL and Windows show it: pairs of lower-case
// hexadecimal digits. Nil, of what could not be read, is "".
func Serial(n *big.Int) string {
	if n == nil {
		return ""
	}
	digits := new(big.Int).Abs(n).Text(16)
	if len(digits)%2 == 1 {
		digits = "0" + digits
	}
	if n.Sign() < 0 {
		return "-" + digits
	}
	return digits
}

// DaysLeft counts the whole days until a certificate expires; it is negative
// once it has.
func DaysLeft(c *x509.Certificate, now time.Time) int {
	const day = 24 * time.Hour
	left := c.NotAfter.Sub(now)
	if left < 0 {
		left -= day - 1 // downwards: an hour too late is -1, not 0
	}
	return int(left / day)
}
