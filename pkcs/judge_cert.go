package pkcs

import (
	"bytes"
	"crypto/dsa" //nolint:staticcheck // SA1019: refused, not used
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"

	"onsite/csr"
	"onsite/internal/ber"
	"onsite/report"
)

// judgeEach judges what can be said of every certificate by itself.
func (r Rules) judgeEach(list []*x509.Certificate) []report.Finding {
	var findings []report.Finding
	var soonest *x509.Certificate
	dates := true
	for _, c := range list {
		f := r.judgeDates(c)
		dates = dates && len(f) == 0
		findings = append(findings, f...)
		findings = append(findings, weak(c)...)
		findings = append(findings, judgeForm(c)...)
		if !c.NotAfter.IsZero() && (soonest == nil || c.NotAfter.Before(soonest.NotAfter)) {
			soonest = c
		}
	}
	if dates && soonest != nil {
		findings = append(findings, report.Pass("cert.dates.ok", name(soonest),
			fmt.Sprintf("good until %s, %s left; nothing above it ends sooner", day(soonest.NotAfter), daysLeft(soonest, r.now()))))
	}
	return findings
}

// judgeDates returns what is wrong with the dates of a certificate. Dates that
// could not be read are not judged.
func (r Rules) judgeDates(c *x509.Certificate) []report.Finding {
	now := r.now()
	switch {
	case c.NotAfter.IsZero():
	case now.After(c.NotAfter):
		return []report.Finding{expired(c)}
	case now.Before(c.NotBefore):
		return []report.Finding{report.Fail("cert.not-yet-valid", name(c), "valid only from "+c.NotBefore.UTC().Format("2006-01-02 15:04 MST"),
			"check this computer's clock, or wait")}
	case c.NotAfter.Sub(now) < time.Duration(r.warnDays())*24*time.Hour:
		return []report.Finding{report.Warn("cert.expires-soon", name(c),
			fmt.Sprintf("expires on %s, in %s", day(c.NotAfter), daysLeft(c, now)), "renew it now")}
	}
	return nil
}

// valid reports whether a moment lies within the dates of a certificate.
func valid(c *x509.Certificate, now time.Time) bool {
	return !now.Before(c.NotBefore) && !now.After(c.NotAfter)
}

func expired(c *x509.Certificate) report.Finding {
	remedy := "renew it: make a new request with onsite csr new; if the date is wrong, check this computer's clock"
	if c.IsCA {
		remedy = "get the authority's current certificates, or have the certificate issued again; if the date is wrong, check this computer's clock"
	}
	return report.Fail("cert.expired", name(c), "expired on "+day(c.NotAfter), remedy)
}

func weak(c *x509.Certificate) []report.Finding {
	var findings []report.Finding
	const remedy = "make a new key and request with onsite csr new"
	why := ""
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		switch {
		case k.N.BitLen() < 2048:
			why = "browsers refuse RSA keys of less than 2048 bits"
		case !csr.Checkable(k):
			why = "clients refuse RSA keys of this size"
		case k.E < 3 || k.E%2 == 0:
			why = fmt.Sprintf("the public exponent %d is none for RSA", k.E)
		}
	case *ecdsa.PublicKey:
		if !slices.Contains([]elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()}, k.Curve) {
			why = "browsers know the curves P-256, P-384 and P-521 alone"
		}
	case *dsa.PublicKey:
		why = "no client takes DSA keys any more"
	case ed25519.PublicKey:
		findings = append(findings, report.Warn("cert.key.unusual", name(c), "Ed25519: OpenSSL and Go know this key, browsers do not", remedy))
	case nil:
		switch curve := oddCurve(c); {
		case curve != "":
			findings = append(findings, report.Fail("cert.key.weak", name(c), "EC over the curve "+curve+": browsers know the curves P-256, P-384 and P-521 alone", remedy))
		case !partial(c):
			findings = append(findings, report.Unknown("cert.key.unknown", name(c), "the key is of a kind that is not known here, nor to browsers", remedy))
		}
	}
	if why != "" {
		findings = append(findings, report.Fail("cert.key.weak", name(c), csr.DescribeKey(c.PublicKey)+": "+why, remedy))
	}
	if weaklySigned(c) {
		findings = append(findings, report.Fail("cert.signature.weak", name(c), c.SignatureAlgorithm.String()+": clients refuse this signature",
			"have the certificate issued again with SHA-256"))
	}
	return findings
}

var oidECKey = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}

// oddCurve names the curve of an EC key that Go does not know, as RFC 5480,
// section 2.1.1, writes it; else it returns "".
func oddCurve(c *x509.Certificate) string {
	var key struct {
		Algorithm pkix.AlgorithmIdentifier
		Bits      asn1.BitString
	}
	if _, err := asn1.Unmarshal(c.RawSubjectPublicKeyInfo, &key); err != nil || !key.Algorithm.Algorithm.Equal(oidECKey) {
		return ""
	}
	var curve asn1.ObjectIdentifier
	if _, err := asn1.Unmarshal(key.Algorithm.Parameters.FullBytes, &curve); err != nil {
		return "that it spells out"
	}
	if slices.Contains([]string{"1.2.840.10045.3.1.7", "1.3.132.0.34", "1.3.132.0.35"}, curve.String()) {
		return "" // the key itself is damaged
	}
	return curve.String()
}

// weaklySigned reports whether clients refuse a certificate for its signature.
// Nobody looks at a root's own.
func weaklySigned(c *x509.Certificate) bool {
	switch c.SignatureAlgorithm {
	case x509.MD5WithRSA, x509.MD2WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1:
		return !selfSigned(c)
	}
	return false
}

// maxSerial is the longest serial number that RFC 5280 allows, in octets.
const maxSerial = 20

// judgeForm judges how a certificate is made: section 4 of RFC 5280.
func judgeForm(c *x509.Certificate) []report.Finding {
	var findings []report.Finding
	const another = "have the certificate issued again, and tell the authority"
	if bytes.Equal(c.RawIssuer, []byte{0x30, 0}) {
		findings = append(findings, report.Fail("cert.issuer.none", name(c), "the issuer has no name (RFC 5280, section 4.1.2.4): clients refuse that", another))
	}
	if partial(c) && algorithmsDiffer(c) {
		findings = append(findings, report.Fail("cert.signature.mismatch", name(c),
			"it names one signature algorithm in what is signed and another outside (RFC 5280, section 4.1.1.2): clients refuse that", another))
	}
	if n := c.SerialNumber; n != nil && (!c.IsCA || !selfIssued(c)) {
		why := ""
		switch {
		case n.Sign() < 0:
			why = "negative"
		case n.Sign() == 0:
			why = "zero"
		case n.BitLen()/8+1 > maxSerial:
			why = fmt.Sprintf("longer than %d octets", maxSerial)
		}
		if why != "" {
			findings = append(findings, report.Warn("cert.serial", name(c), "the serial number is "+why+", which RFC 5280, section 4.1.2.2, forbids; some programs refuse it", another))
		}
	}
	seen := map[string]bool{}
	for _, e := range c.Extensions {
		oid := e.Id.String()
		switch {
		case seen[oid]:
			findings = append(findings, report.Fail("cert.extension.twice", name(c), "the extension "+oid+" is there twice (RFC 5280, section 4.2): clients refuse that", another))
		case !e.Critical:
		case slices.ContainsFunc(neverCritical, e.Id.Equal):
			findings = append(findings, report.Fail("cert.extension.critical", name(c), "the extension "+oid+" is marked critical, which RFC 5280, section 4.2, forbids: clients refuse that", another))
		case !slices.ContainsFunc(understood, e.Id.Equal):
			findings = append(findings, report.Fail("cert.extension.unknown", name(c),
				"the extension "+oid+" is marked critical, and clients do not know it: they must refuse the certificate (RFC 5280, section 4.2)",
				"ask the authority for a certificate for TLS servers"))
		}
		seen[oid] = true
	}
	return findings
}

// algorithmsDiffer reports whether the two places that name the signature
// algorithm disagree. Go does not parse such a certificate.
func algorithmsDiffer(c *x509.Certificate) bool {
	top, _, err := ber.Parse(c.Raw)
	if err != nil {
		return false
	}
	parts, err := top.Sequence(3)
	if err != nil {
		return false
	}
	fields, err := parts[0].Sequence(tbsRest)
	if err != nil {
		return false
	}
	if fields[0].IsContext(0) {
		fields = fields[1:]
	}
	return !bytes.Equal(fields[tbsAlgorithm].Full, parts[1].Full)
}

// judgeLeaf judges what can be said of a server's own certificate.
func (r Rules) judgeLeaf(leaf *x509.Certificate) []report.Finding {
	var findings []report.Finding
	if !partial(leaf) {
		findings = append(findings, judgeUse(leaf)...)
	}
	for _, n := range leaf.DNSNames {
		if strings.Contains(n, "*") && !usefulWildcard(n) {
			findings = append(findings, report.Warn("cert.name.wildcard", n, "browsers do not take this wildcard: a star stands for one whole label in front, and not right below a suffix such as com.au",
				"have the certificate issued for the names that are meant"))
		}
	}
	if r.Host != "" {
		findings = append(findings, judgeName(leaf, r.Host))
	}
	return findings
}

// judgeUse judges what a certificate is for.
func judgeUse(leaf *x509.Certificate) []report.Finding {
	var findings []report.Finding
	const remedy = "ask the authority for a server (TLS web server) certificate"
	if !forServers(leaf) {
		findings = append(findings, report.Fail("cert.usage", name(leaf), "the certificate is not for servers (extended key usage)", remedy))
	}
	_, isRSA := leaf.PublicKey.(*rsa.PublicKey)
	switch {
	case leaf.IsCA:
		findings = append(findings, report.Warn("cert.is-ca", name(leaf), "this is an authority's certificate: Firefox refuses it for a site", remedy))
	case !has(leaf, oidKeyUsage) || leaf.KeyUsage&x509.KeyUsageDigitalSignature != 0:
	case isRSA && leaf.KeyUsage&x509.KeyUsageKeyEncipherment != 0:
		findings = append(findings, report.Warn("cert.key-usage", name(leaf),
			"the key is not for signing (key usage without digitalSignature, RFC 5280, section 4.2.1.3): only old clients can use it, TLS 1.3 cannot", remedy))
	default:
		findings = append(findings, report.Fail("cert.key-usage", name(leaf),
			"the key is not for TLS (key usage without digitalSignature, RFC 5280, section 4.2.1.3): clients refuse it", remedy))
	}
	return findings
}

// validityLimits are the numbers of days for which public authorities may issue
// certificates for TLS servers, by the day of issue: CA/Browser Forum, Baseline
// Requirements, section 6.3.2. Browsers hold them to it.
var validityLimits = []struct {
	from string
	days int
}{
	{"2029-03-15", 47},
	{"2027-03-15", 100},
	{"2026-03-15", 200},
	{"2020-09-01", 398},
	{"2018-03-01", 825},
}

// Apple's limit holds for private authorities too, since its systems of 2019.
const (
	appleSince = "2019-07-01"
	appleDays  = 825
)

// judgeValidity says when clients refuse a certificate for lasting too long.
// public says that the chain ends in a public root.
func judgeValidity(leaf *x509.Certificate, public bool) []report.Finding {
	if leaf.NotAfter.IsZero() || leaf.IsCA && len(hostNames(leaf)) == 0 {
		return nil
	}
	lasts := leaf.NotAfter.Sub(leaf.NotBefore)
	longer := func(limit int) bool { return lasts > time.Duration(limit)*24*time.Hour }
	issued := day(leaf.NotBefore)
	what := fmt.Sprintf("issued on %s for %d days", issued, lasts/(24*time.Hour))
	if !public {
		if issued < appleSince || !longer(appleDays) {
			return nil
		}
		return []report.Finding{report.Warn("cert.validity.too-long", name(leaf), fmt.Sprintf("%s; Apple's systems refuse more than %d", what, appleDays),
			fmt.Sprintf("have it issued again for at most %d days if iPhones and Macs are to open the site", appleDays))}
	}
	for _, l := range validityLimits {
		if issued < l.from {
			continue
		}
		if !longer(l.days) {
			return nil
		}
		return []report.Finding{report.Fail("cert.validity.too-long", name(leaf),
			fmt.Sprintf("%s; from %s on public authorities may issue for %d days, and browsers refuse more", what, l.from, l.days),
			fmt.Sprintf("have it issued again for at most %d days", l.days))}
	}
	return nil
}

// usefulWildcard reports whether clients take a wildcard: RFC 6125, section
// 6.4.3, as browsers read it.
func usefulWildcard(n string) bool {
	rest, ok := strings.CutPrefix(strings.ToLower(n), "*.")
	if !ok || strings.Contains(rest, "*") {
		return false
	}
	suffix, public := publicsuffix.PublicSuffix(rest)
	return strings.Contains(rest, ".") && (!public || suffix != rest)
}

func judgeName(leaf *x509.Certificate, host string) report.Finding {
	covers := strings.Join(hostNames(leaf), ", ")
	switch {
	case coversHost(leaf, host):
		return report.Pass("cert.name.matches", host, "covered by the certificate ("+covers+")")
	case covers == "":
		return report.Fail("cert.name.mismatch", host, fmt.Sprintf("the certificate has no alternative names, only the common name %q, which no browser looks at", name(leaf)),
			"have it issued again with the name among the alternative names: onsite csr new "+host)
	}
	return report.Fail("cert.name.mismatch", host, "the certificate covers only "+covers,
		"open the portal under a name that is covered, or have a certificate issued for this one: onsite csr new "+host)
}

// coversHost reports whether a certificate covers a name or address, for
// clients that do not take every wildcard.
func coversHost(leaf *x509.Certificate, host string) bool {
	useful := x509.Certificate{IPAddresses: leaf.IPAddresses}
	for _, n := range leaf.DNSNames {
		if !strings.Contains(n, "*") || usefulWildcard(n) {
			useful.DNSNames = append(useful.DNSNames, n)
		}
	}
	return useful.VerifyHostname(host) == nil
}

// hostNames are the names and addresses that a certificate covers.
func hostNames(c *x509.Certificate) []string {
	list := append([]string{}, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		list = append(list, ip.String())
	}
	return list
}

// judgeNameless is the verdict on a certificate without a name that browsers
// look at.
func judgeNameless(leaf *x509.Certificate, s report.Status) []report.Finding {
	if len(hostNames(leaf)) > 0 {
		return nil
	}
	f := report.Fail("cert.name.none", name(leaf), "there are no alternative names, and browsers look at nothing else",
		"have it issued again with the name among the alternative names: onsite csr new puts it there")
	f.Status = s
	return []report.Finding{f}
}

// IsHost reports whether s can be compared with a certificate: a host name or
// an address, without a port.
func IsHost(s string) bool {
	return s != "" && (net.ParseIP(s) != nil || !strings.ContainsAny(s, ":/ "))
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func daysLeft(c *x509.Certificate, now time.Time) string {
	n := DaysLeft(c, now)
	if n == 1 {
		return "1 day"
	}
	return fmt.Sprintf("%d days", n)
}
