package pkcs

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"slices"
	"strings"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"onsite/report"
)

// PEM as people have it (RFC 7468): pasted out of a mail, indented, quoted, saved
// by PowerShell in UTF-16, with other text around it. encoding/pem finds none of
// the blocks that are indented or glued to the one before.

// plainText undoes what editors and shells do to text: UTF-16 (PowerShell's
// redirection), byte-order marks, lines that end in CR alone.
func plainText(data []byte) string {
	var decoder transform.Transformer
	switch {
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")), bytes.HasPrefix(data, []byte("\xfe\xff")), bytes.HasPrefix(data, []byte("\xff\xfe")):
		decoder = unicode.BOMOverride(transform.Nop)
	case len(data) > 1 && data[0] != 0 && data[1] == 0:
		decoder = unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewDecoder()
	case len(data) > 1 && data[0] == 0 && data[1] != 0:
		decoder = unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM).NewDecoder()
	}
	if decoder != nil {
		if decoded, _, err := transform.Bytes(decoder, data); err == nil {
			data = decoded
		}
	}
	text := string(data)
	if strings.Contains(text, "\r") {
		text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	}
	return text
}

// maxLabel is the longest label of a block that is looked for.
const maxLabel = 40

// marker finds the next line around a PEM block wherever it stands: also
// indented, and glued to the one before. behind is the text after it.
func marker(text string) (kind, label, behind string, ok bool) {
	for {
		_, after, found := strings.Cut(text, "-----")
		if !found {
			return "", "", "", false
		}
		for _, kind := range []string{"BEGIN ", "END "} {
			rest, ok := strings.CutPrefix(after, kind)
			if !ok {
				continue
			}
			label, _, ok := strings.Cut(rest[:min(len(rest), maxLabel+len("-----"))], "-----")
			if ok && isLabel(label) {
				return strings.TrimSpace(kind), label, rest[len(label)+len("-----"):], true
			}
		}
		text = after
	}
}

func isLabel(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != ' ' && r != '#'
	})
}

// pem reads the blocks of a text. It is false when there is none at all.
func (r *reader) pem(text string) (found bool, err error) {
	var labels []string
	for {
		kind, label, behind, ok := marker(text)
		if !ok {
			break
		}
		text = behind
		if kind != "BEGIN" {
			continue
		}
		end := strings.Index(text, "-----END "+label+"-----")
		next := strings.Index(text, "-----BEGIN ")
		if end < 0 || (next >= 0 && next < end) {
			return false, report.Errorf(report.KindInput, "pem.cut", "copy the whole text again, from the BEGIN line to the END line",
				"the END line of a %s block is missing", label)
		}
		block, err := pemBlock(label, text[:end])
		if err == nil {
			err = r.block(block)
		}
		if err != nil {
			return false, err
		}
		text = text[end:]
		if !slices.Contains(labels, label) {
			labels = append(labels, label)
		}
	}
	if len(labels) > 0 && r.bag.empty() {
		return false, errUnknown(", only " + strings.Join(labels, ", "))
	}
	return len(labels) > 0, nil
}

// holders are the labels of blocks that hold certificates, requests or
// revocation lists. Some programs put a P7B or a PFX under the label of a
// certificate, so the content decides.
var holders = []string{
	"CERTIFICATE", "X509 CERTIFICATE", "CERTIFICATE CHAIN", "PKCS7", "PKCS #7 SIGNED DATA", "CMS", "PKCS12",
	"CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST", "X509 CRL", "CRL",
}

// block reads one block; blocks of other kinds, such as parameters, are passed
// over.
func (r *reader) block(block *pem.Block) error {
	switch {
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		r.key(block, r.origin(FormPEM))
	case block.Type == "TRUSTED CERTIFICATE": // OpenSSL puts its trust settings behind it
		return r.cert(firstElement(block.Bytes), r.origin(FormPEM))
	case slices.Contains(holders, block.Type):
		_, err := r.element(block.Bytes, FormPEM)
		if err != nil && strings.HasSuffix(block.Type, "CERTIFICATE") && report.HasCode(err, "file.damaged") {
			return report.Errorf(report.KindInput, "cert.damaged", "copy or download the certificate again",
				"certificate %d in the file is damaged: %w", len(r.bag.Certs)+1, err)
		}
		return err
	}
	return nil
}

// pemBlock decodes what stands between two markers: headers, which are the lines
// with a colon, and base64, maybe quoted as in the answer to a mail.
func pemBlock(label, body string) (*pem.Block, error) {
	block := &pem.Block{Type: label, Headers: map[string]string{}}
	var encoded strings.Builder
	for line := range strings.SplitSeq(body, "\n") {
		line = strings.TrimLeft(line, "> \t")
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

// decodeBase64 takes base64 with white space in it and with or without padding;
// "=3D" is the padding in the source text of a mail (RFC 2045, section 6.7).
func decodeBase64(s string) ([]byte, error) {
	s = strings.Map(func(r rune) rune {
		switch r {
		case ' ', '\t', '\n', '\v', '\f', '\u00a0', '\u200b', '\ufeff':
			return -1
		}
		return r
	}, s)
	return base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.ReplaceAll(s, "=3D", "="), "="))
}

// bareBase64 decodes text that is nothing but base64: a block that lost its
// markers, a bundle as some web pages hand it out.
func bareBase64(text string) ([]byte, bool) {
	der, err := decodeBase64(text)
	return der, err == nil && len(der) > 16
}
