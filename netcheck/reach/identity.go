package reach

import (
	"fmt"
	"slices"
	"strings"

	"onsite/report"
)

// Kind is what a port speaks, as far as it can be told.
type Kind string

// The kinds. A target expects one of the first five.
const (
	KindAny    Kind = "any" // whatever is there
	KindHTTPS  Kind = "https"
	KindHTTP   Kind = "http"
	KindClock  Kind = "clock" // the protocol of port 4370
	KindBeacon Kind = "beacon"

	KindPanel  Kind = "access-panel"
	KindSSH    Kind = "ssh"
	KindFTP    Kind = "ftp or mail"
	KindVNC    Kind = "vnc"
	KindRDP    Kind = "rdp"
	KindRTSP   Kind = "rtsp"
	KindTelnet Kind = "telnet"
	KindOther  Kind = "other"
	KindSilent Kind = "silent" // it takes the connection and says nothing
	KindClosed Kind = "closed" // it takes the connection and hangs up
)

// Identity is what is known of the thing that answers on a port. What proves it
// depends on the kind; the rest is empty.
type Identity struct {
	Kind Kind `json:"kind"` // "" when nothing answered

	// A TLS server holds the private key of what it shows: nobody else can
	// complete the handshake.
	SPKI  string   `json:"spki_sha256"`
	Names []string `json:"names"` // that its certificate covers
	// Valid says that the certificate is good for the name that was asked for,
	// by the roots that are trusted.
	Valid bool `json:"certificate_valid"`

	// A page proves little: it can be copied, and two machines may show the same.
	StatusCode int    `json:"status_code"`
	Server     string `json:"server"`
	Title      string `json:"title"`
	Digest     string `json:"page_sha256"`
	// Varies says that a second look at the page found another digest.
	Varies bool `json:"page_varies"`
	// SignIn says that the page asks for a login in the browser's own window.
	SignIn bool `json:"sign_in"`

	// A clock tells its serial number, unless it wants its comm key first.
	Serial  string `json:"serial"`
	MAC     string `json:"mac"`
	Locked  bool   `json:"key_needed"`
	Address string `json:"address"` // its own settings
	Mask    string `json:"mask"`
	Gateway string `json:"gateway"`

	// Proved says that a beacon answered with the key of this very process.
	Proved bool `json:"beacon_proved"`

	// Banner is how the answer of anything else begins.
	Banner string `json:"banner"`
}

// String says what it is, for people.
func (i Identity) String() string {
	switch i.Kind {
	case "":
		return "nothing"
	case KindHTTPS:
		key := "a key"
		if len(i.SPKI) >= 16 {
			key = "the key " + i.SPKI[:16] + "…"
		}
		if len(i.Names) > 0 {
			return fmt.Sprintf("HTTPS with %s (certificate for %s)", key, shorten(strings.Join(i.Names, ", ")))
		}
		return "HTTPS with " + key
	case KindHTTP:
		s := fmt.Sprintf("a web page over HTTP (status %d", i.StatusCode)
		if i.Server != "" {
			s += fmt.Sprintf(", server %q", shorten(i.Server))
		}
		if i.Title != "" {
			s += fmt.Sprintf(", title %q", shorten(i.Title))
		}
		return s + ")"
	case KindClock:
		switch {
		case i.Serial != "":
			return "the clock with serial number " + shorten(i.Serial)
		case i.Locked:
			return "a clock that asks for its comm key"
		}
		return "a clock that does not tell its serial number"
	case KindBeacon:
		if i.Proved {
			return "this program's own beacon"
		}
		return "something that poses as this program's beacon"
	case KindSilent:
		return "something that takes the connection and says nothing"
	case KindClosed:
		return "something that takes the connection and hangs up"
	case KindPanel:
		return "an access panel (C3 or inBio), which is no clock"
	case KindOther:
		return fmt.Sprintf("something that begins with %q", shorten(i.Banner))
	}
	return fmt.Sprintf("%s (%q)", strings.ToUpper(string(i.Kind)), shorten(i.Banner))
}

// shorten keeps what strangers send from filling a page.
func shorten(s string) string { return report.Shorten(s, 60) }

// How two identities compare.
const (
	same   = "same"   // the same thing
	alike  = "alike"  // of the same kind, and nothing that tells it from others
	other  = "other"  // another thing
	mute   = "mute"   // it takes the connection and does not answer
	router = "router" // a router's own page
)

// compare says whether got is the thing that i is, and how that is known.
func (i Identity) compare(got Identity) (verdict, how string) {
	switch {
	case got.Kind == KindSilent || got.Kind == KindClosed:
		return mute, got.String()
	case i.Kind != got.Kind:
		return other, "it is " + got.String() + ", not " + i.String()
	}
	switch i.Kind {
	case KindHTTPS:
		if i.SPKI == got.SPKI && i.SPKI != "" {
			return same, "the same TLS key " + i.SPKI[:16] + "… in a completed handshake"
		}
		return other, "it is " + got.String() + ", not " + i.String()
	case KindHTTP:
		return i.comparePage(got)
	case KindClock:
		switch {
		case i.Serial != "" && i.Serial == got.Serial:
			return same, "the same serial number " + shorten(i.Serial)
		case i.Serial != "" && got.Serial != "":
			return other, "it is " + got.String() + ", not " + i.String()
		}
		return alike, "it is " + got.String() + ", and nothing tells it from others"
	case KindBeacon:
		if got.Proved {
			return same, "it answered with this process's own secret key"
		}
		return other, "it does not know this process's secret key"
	}
	if i.Banner != got.Banner {
		return other, "it is " + got.String() + ", not " + i.String()
	}
	return alike, "it is " + got.String() + ", as many are"
}

func (i Identity) comparePage(got Identity) (verdict, how string) {
	switch {
	case i.StatusCode != got.StatusCode || i.Server != got.Server || i.Title != got.Title:
		return other, "it is " + got.String() + ", not " + i.String()
	case i.Digest == got.Digest:
		return same, "the same page, byte by byte (which is weak: a page can be copied)"
	case i.Varies:
		return alike, "it is " + got.String() + ", but the page changes with each visit"
	}
	return other, "another page than the one in the LAN, from the same kind of server"
}

// routerServers are the web servers of small routers, as they call themselves.
var routerServers = []string{
	"micro_httpd", "mini_httpd", "goahead", "boa/", "rompager", "allegro", "uhttpd", "lighttpd/1.4.2", "httpd/2.0", "router webserver",
	"tp-link", "mikrotik", "fritz!box", "avm", "zyxel", "draytek", "dnvrs-webs", "httpd_gargoyle", "arris", "technicolor", "huawei", "zte", "ubnt",
}

// isRouter reports whether an answer is a router's own page: that of a gateway
// of this network, or one that looks like it.
func (i Identity) isRouter(gateways []Identity) (how string, ok bool) {
	for _, g := range gateways {
		if v, _ := g.compare(i); v == same {
			return "it is the page that this network's gateway shows", true
		}
	}
	server := strings.ToLower(i.Server)
	known := server != "" && slices.ContainsFunc(routerServers, func(s string) bool { return strings.HasPrefix(server, s) })
	switch {
	case i.Kind == KindHTTP && i.SignIn && known:
		return fmt.Sprintf("it asks for a login and its server is %q, as small routers' are", shorten(i.Server)), true
	case i.Kind == KindHTTP && i.SignIn:
		return "it asks for a login, as routers do", true
	case i.Kind == KindHTTP && known && strings.Contains(strings.ToLower(i.Title), "router"):
		return fmt.Sprintf("its title is %q", shorten(i.Title)), true
	}
	return "", false
}
