package reach

import (
	"bytes"
	"strings"
	"unicode"

	"onsite/internal/lazyre"
)

// maxHeard is how much of a foreign answer is looked at.
const maxHeard = 256

// sniff tells by how an answer begins what speaks there. It decides nothing:
// it says which questions are worth asking, and names what is no target.
func sniff(heard []byte) Identity {
	heard = heard[:min(len(heard), maxHeard)]
	i := Identity{Kind: KindOther, Banner: banner(heard)}
	begins := func(s string) bool { return bytes.HasPrefix(heard, []byte(s)) }
	switch {
	case len(heard) == 0:
		return Identity{Kind: KindSilent}
	case begins("SSH-"):
		i.Kind = KindSSH
	case begins("HTTP/"), bytes.HasPrefix(bytes.ToLower(heard), []byte("<!doctype html")), bytes.HasPrefix(bytes.ToLower(heard), []byte("<html")):
		i.Kind = KindHTTP // some answer what they do not understand with a bare page (HTTP/0.9)
	case begins("RTSP/"):
		i.Kind = KindRTSP
	case begins("RFB "):
		i.Kind = KindVNC
	case begins("PP\x82}"):
		i.Kind = KindClock
	case begins("220 "), begins("220-"), begins("* OK"), begins("+OK"):
		i.Kind = KindFTP
	case isTLS(heard):
		i.Kind = KindHTTPS
	case begins("\x03\x00\x00"):
		i.Kind = KindRDP
	case heard[0] == 0xff && len(heard) > 1 && heard[1] >= 0xfb && heard[1] < 0xff:
		i.Kind = KindTelnet // IAC WILL, WONT, DO, DONT (RFC 854)
	case heard[0] == 0xaa:
		i.Kind = KindPanel
	}
	return i
}

// isTLS recognises a record of a handshake or an alert (RFC 8446, section 5.1).
func isTLS(b []byte) bool {
	return len(b) >= 3 && (b[0] == 21 || b[0] == 22) && b[1] == 3 && b[2] <= 4
}

// banner is the first line of an answer, as far as it can be shown.
func banner(heard []byte) string {
	line, _, _ := bytes.Cut(heard, []byte("\n"))
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return '.'
		}
		return r
	}, string(line)))
}

// speaksOfTLS recognises the answer of an HTTPS server to plain HTTP: that of
// Go, nginx, Apache and Tomcat, in this order.
func speaksOfTLS(status int, body []byte) bool {
	if status != 400 {
		return false
	}
	text := strings.ToLower(string(body))
	for _, s := range []string{
		"sent an http request to an https server", "plain http request was sent to https port",
		"speaking plain http to an ssl-enabled", "requires tls",
	} {
		if strings.Contains(text, s) {
			return true
		}
	}
	return false
}

var titleElement = lazyre.New(`(?is)<title[^>]*>(.{0,200}?)</title>`)

// title is what a page calls itself.
func title(page []byte) string {
	m := titleElement().FindSubmatch(page)
	if m == nil {
		return ""
	}
	return banner(bytes.ReplaceAll(bytes.TrimSpace(m[1]), []byte("\n"), []byte(" ")))
}
