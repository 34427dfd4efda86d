package pkcs

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"onsite/csr"
	"onsite/internal/ber"
	"onsite/report"
)

// MaxSize is the size in bytes above which a file is no certificate file.
const MaxSize = 16 << 20

// Read finds certificates, requests and private keys in PEM, also inside other
// text, in DER, and in P7B. It goes by content alone. The error is a *report.Error of
// KindInput; a PFX file has the code "file.is-pfx".
func Read(data []byte) (*Bag, error) {
	if len(data) > MaxSize {
		return nil, report.Errorf(report.KindInput, "file.too-large", "name the certificate file itself",
			"the file has %d bytes, and certificate files have at most %d", len(data), MaxSize)
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, report.Errorf(report.KindInput, "file.empty", "copy or download the file again", "the file is empty")
	}
	if bytes.HasPrefix(data, []byte("PK\x03\x04")) {
		return nil, report.Errorf(report.KindInput, "file.unknown", "take the files out of the archive and name the one that is meant",
			"the file is a ZIP archive")
	}
	text := plainText(data)
	// Text may begin with "0", the byte that DER begins with.
	if data[0] == 0x30 && !marker.MatchString(text) {
		return readDER(data)
	}
	bag, err := readPEM(text)
	if err != nil || bag != nil {
		return bag, err
	}
	if der, ok := bareBase64(text); ok && der[0] == 0x30 {
		return readDER(der)
	}
	return nil, errUnknown("")
}

func errUnknown(only string) error {
	return report.Errorf(report.KindInput, "file.unknown",
		"name a PEM or DER file with a certificate, a request or a key",
		"there is no certificate, request or key in the file%s", only)
}

// readDER tells a certificate, a request, a key and a PFX apart by trying. What
// follows the first value, such as a line break, is not looked at.
func readDER(der []byte) (*Bag, error) {
	if IsPFX(der) {
		return nil, report.Errorf(report.KindInput, "file.is-pfx", "open it with onsite pfx split", "the file is a PFX bundle")
	}
	if certs, ok, err := readP7B(der); ok {
		if err != nil {
			return nil, err
		}
		return &Bag{Certs: certs}, nil
	}
	der = firstElement(der)
	if cert, err := x509.ParseCertificate(der); err == nil {
		return &Bag{Certs: []*x509.Certificate{cert}}, nil
	}
	if _, err := x509.ParseCertificateRequest(der); err == nil {
		return &Bag{Requests: [][]byte{der}}, nil
	}
	if t := csr.KeyType(der); t != "" {
		return &Bag{Keys: []*pem.Block{{Type: t, Bytes: der}}}, nil
	}
	return nil, report.Errorf(report.KindInput, "file.damaged", "copy or download the file again",
		"the file begins like a DER file, but is no whole certificate, request or key")
}

// plainText undoes what editors and shells do to text: UTF-16 (PowerShell's
// redirection), byte-order marks, lines that end in CR alone.
func plainText(data []byte) string {
	decoder := unicode.BOMOverride(transform.Nop)
	switch {
	case len(data) < 2:
	case data[0] != 0 && data[1] == 0:
		decoder = unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewDecoder()
	case data[0] == 0 && data[1] != 0:
		decoder = unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM).NewDecoder()
	}
	if decoded, _, err := transform.Bytes(decoder, data); err == nil {
		data = decoded
	}
	return strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(data))
}

// marker matches the lines around a PEM block wherever they stand: also
// indented, and glued to the one before. encoding/pem finds none of those.
var marker = regexp.MustCompile(`-----(BEGIN|END) ([A-Z0-9 ]{1,40})-----`)

// readPEM returns nil and no error when there is no PEM block at all.
func readPEM(text string) (*Bag, error) {
	bag := &Bag{}
	var labels []string
	for {
		begin := marker.FindStringSubmatchIndex(text)
		if begin == nil {
			break
		}
		if text[begin[2]:begin[3]] != "BEGIN" {
			text = text[begin[1]:]
			continue
		}
		label := text[begin[4]:begin[5]]
		text = text[begin[1]:]
		end := strings.Index(text, "-----END "+label+"-----")
		next := strings.Index(text, "-----BEGIN ")
		if end < 0 || (next >= 0 && next < end) {
			return nil, report.Errorf(report.KindInput, "pem.cut", "copy the whole text again, from the BEGIN line to the END line",
				"the END line of a %s block is missing", label)
		}
		block, err := pemBlock(label, text[:end])
		if err != nil {
			return nil, err
		}
		if err := bag.add(block); err != nil {
			return nil, err
		}
		text = text[end:]
		if !slices.Contains(labels, label) {
			labels = append(labels, label)
		}
	}
	switch {
	case len(labels) == 0:
		return nil, nil
	case len(bag.Certs)+len(bag.Requests)+len(bag.Keys) == 0:
		return nil, errUnknown(", only " + strings.Join(labels, ", "))
	}
	return bag, nil
}

// pemBlock decodes what stands between two markers: headers, which are the lines
// with a colon, and base64.
func pemBlock(label, body string) (*pem.Block, error) {
	block := &pem.Block{Type: label, Headers: map[string]string{}}
	var encoded strings.Builder
	for line := range strings.SplitSeq(body, "\n") {
		if k, v, ok := strings.Cut(line, ":"); ok {
			block.Headers[strings.TrimSpace(k)] = strings.TrimSpace(v)
		} else {
			encoded.WriteString(line)
		}
	}
	der, err := decodeBase64(encoded.String())
	if err != nil {
		return nil, report.Errorf(report.KindInput, "pem.damaged", "copy the whole text again, from the BEGIN line to the END line",
			"the text of a %s block is damaged: %w", label, err)
	}
	block.Bytes = der
	return block, nil
}

func decodeBase64(s string) ([]byte, error) {
	s = strings.Map(func(r rune) rune {
		switch r {
		case ' ', '\t', '\n', '\v', '\f', '\u00a0':
			return -1
		}
		return r
	}, s)
	return base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
}

// bareBase64 decodes text that is nothing but base64: a block that lost its
// markers.
func bareBase64(text string) ([]byte, bool) {
	der, err := decodeBase64(text)
	return der, err == nil && len(der) > 16
}

// readP7B reads the certificates of a P7B file, which is SignedData of PKCS#7
// without content (RFC 2315, section 9.1); what else is in it is passed over. ok
// is false for anything that does not begin like one.
func readP7B(data []byte) (certs []*x509.Certificate, ok bool, err error) {
	top, _, err := ber.Parse(data)
	if err != nil {
		return nil, false, nil //nolint:nilerr // not ASN.1: others will say so
	}
	oid, content, err := contentInfo(top)
	if err != nil || !oid.Equal(oidSignedData) {
		return nil, false, nil //nolint:nilerr // something else
	}
	fields, err := content.Sequence(3)
	if err != nil {
		return nil, true, errP7B(err)
	}
	for _, f := range fields {
		if !f.IsContext(0) {
			continue
		}
		list, err := f.Children()
		if err != nil {
			return nil, true, errP7B(err)
		}
		for _, e := range list {
			cert, err := x509.ParseCertificate(e.Full)
			if err != nil {
				return nil, true, errP7B(fmt.Errorf("certificate %d: %w", len(certs)+1, err))
			}
			certs = append(certs, cert)
		}
	}
	if len(certs) == 0 {
		return nil, true, errP7B(errors.New("it holds no certificate"))
	}
	return certs, true, nil
}

func errP7B(err error) error {
	return report.Errorf(report.KindInput, "file.damaged", "copy or download the file again", "the P7B file cannot be read: %w", err)
}

// firstElement returns the first ASN.1 value of data without what follows it, or
// all of data when there is none.
func firstElement(data []byte) []byte {
	if e, _, err := ber.Parse(data); err == nil {
		return e.Full
	}
	return data
}

func (b *Bag) add(block *pem.Block) error {
	switch block.Type {
	case "CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE":
		// OpenSSL puts its trust settings behind a trusted certificate.
		cert, err := x509.ParseCertificate(firstElement(block.Bytes))
		if err != nil {
			return report.Errorf(report.KindInput, "cert.damaged", "copy or download the certificate again",
				"certificate %d in the file is damaged: %w", len(b.Certs)+1, err)
		}
		b.Certs = append(b.Certs, cert)
	case "PKCS7", "PKCS #7 SIGNED DATA", "CMS":
		certs, ok, err := readP7B(block.Bytes)
		if err == nil && !ok {
			err = errP7B(errors.New("it holds no signed data"))
		}
		b.Certs = append(b.Certs, certs...)
		return err
	case "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST":
		b.Requests = append(b.Requests, block.Bytes)
	default:
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			b.Keys = append(b.Keys, block)
		}
	}
	return nil
}
