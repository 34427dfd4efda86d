package ddns

import (
	"bytes"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"onsite/internal/lazyre"
	"onsite/report"
)

// refusals are the codes after which nothing may be sent until something is
// changed, as Dyn's page of return codes had them.
var refusals = map[string]report.Finding{
	"badauth":  {Code: "ddns.badauth", Detail: "the server does not take this user and password", Remedy: "correct --user or the password; some providers want an update key or an access token instead of the password"},
	"!donator": {Code: "ddns.donator", Detail: "the server does what was asked for paying accounts alone", Remedy: "take an account with that, or another provider"},
	"!yours":   {Code: "ddns.yours", Detail: "the name belongs to another account", Remedy: "check the name, and that --user is the account that it was made with"},
	"nohost":   {Code: "ddns.nohost", Detail: "the account has no such name", Remedy: "make the name at the provider, or correct it"},
	"notfqdn":  {Code: "ddns.notfqdn", Detail: "the server takes this for no whole name", Remedy: "give the whole name, with its domain"},
	"numhost":  {Code: "ddns.numhost", Detail: "the server says that there are too many names, or too few", Remedy: "update one name at a time; tell the provider, for only one was asked for"},
	"abuse":    {Code: "ddns.abuse", Detail: "the name is blocked for too many updates", Remedy: "find which program sent them (an old router or a second updater), stop it, then have the provider lift the block"},
	"badagent": {Code: "ddns.badagent", Detail: "the server refuses this program, or what was asked in this way", Remedy: "ask the provider which program it blocks and why; --contact tells it whom to write to"},
	"badsys":   {Code: "ddns.badsys", Detail: "the server does not know this kind of update", Remedy: "check that the provider speaks dyndns2 for this kind of name"},
	"!active":  {Code: "ddns.inactive", Detail: "the name or its service is switched off at the provider", Remedy: "switch it on at the provider's page; free names end when they are not confirmed"},
}

// troubles are the codes for trouble of the server's own.
var troubles = map[string]report.Finding{
	"dnserr": {Code: "ddns.dnserr", Detail: "the server has trouble with its own name servers"},
	"911":    {Code: "ddns.911", Detail: "the server is out of order"},
	"wait":   {Code: "ddns.wait", Detail: "the server asks to wait"},
}

// waitCode is the older way of the server to say how long: w30m.
var waitCode = lazyre.New(`^w([0-9]{1,4})([smh])$`)

// later is what to do about trouble of the server's own.
const later = "wait, then run the command again; with --watch that happens by itself"

// line is one line of an answer: a code, and what stands behind it.
type line struct{ code, rest string }

// parseBody reads an answer: a line for each host, in order, the first word is
// the code. Lines without anything do not count.
func parseBody(body []byte) []line {
	var list []line
	for text := range bytes.SplitSeq(body, []byte("\n")) {
		text = bytes.TrimRight(text, " \t\r")
		if len(text) == 0 {
			continue
		}
		code, rest, _ := strings.Cut(string(text), " ")
		list = append(list, line{code: code, rest: strings.TrimSpace(rest)})
	}
	return list
}

// judge says what an answer means. A code counts only when it is the first word,
// exactly as it is written, of the only line.
func (d *DynDNS2) judge(name string, addr netip.Addr, status int, header http.Header, body []byte) answer {
	if status >= 300 && status < 400 {
		return d.redirected(name, header.Get("Location"))
	}
	if len(body) <= maxBody {
		if lines := parseBody(body); len(lines) == 1 {
			if a, ok := d.judgeCode(name, addr, status, lines[0]); ok {
				return a
			}
		}
	}
	return d.judgeOther(name, status, header, body)
}

// judgeCode judges a line; ok is false when it is none of the protocol's.
func (d *DynDNS2) judgeCode(name string, addr netip.Addr, status int, l line) (a answer, ok bool) {
	a = answer{word: l.code}
	said := fmt.Sprintf(" (%s answers %q)", d.URL.Host, d.quote(strings.TrimSpace(l.code+" "+l.rest)))
	if r, known := refusals[l.code]; known {
		a.class, a.finding = classStop, report.Fail(r.Code, name, r.Detail+said, r.Remedy)
		return a, true
	}
	if t, known := troubles[l.code]; known {
		a.class, a.finding = classLater, report.Fail(t.Code, name, t.Detail+said, later)
		return a, true
	}
	if m := waitCode().FindStringSubmatch(l.code); m != nil {
		a.class, a.wait = classLater, waitTime(m[1], m[2])
		a.finding = report.Fail("ddns.wait", name, troubles["wait"].Detail+said, later)
		return a, true
	}
	if status != http.StatusOK {
		return a, false // a success says so in both ways
	}
	switch l.code {
	case "good":
		a.class = classDone
	case "nochg":
		a.class = classSame
	default:
		return a, false
	}
	if other := otherAddress(l.rest, addr); other != "" {
		a.finding = report.Fail("ddns.address.other", name,
			fmt.Sprintf("the server has another address than the one it was sent: %s instead of %s%s", other, addr, said),
			"ask the provider why: 127.0.0.1 says that it ignores this program, another address that it takes what it sees instead of what it is told")
		a.class = classSame
		return a, true
	}
	if a.class == classDone {
		a.finding = report.Pass("ddns.good", name, "the server has taken "+addr.String()+said)
		return a, true
	}
	a.finding = report.Warn("ddns.nochg", name,
		fmt.Sprintf("the server has %s already, but the zone's name servers do not show it%s", addr, said),
		"look at the provider's page: whether the name is switched on, and whether the domain's name servers are the provider's")
	return a, true
}

// otherAddress is what stands behind good and nochg when it is not what was sent;
// empty when it is, or when nothing stands there.
func otherAddress(rest string, addr netip.Addr) string {
	first, _, _ := strings.Cut(rest, " ")
	if first == "" {
		return ""
	}
	for part := range strings.SplitSeq(first, ",") {
		if got, err := netip.ParseAddr(part); err == nil && got.Unmap() == addr {
			return ""
		}
	}
	if got, err := netip.ParseAddr(first); err == nil {
		return got.String()
	}
	return "no address"
}

func waitTime(number, unit string) time.Duration {
	n, _ := strconv.Atoi(number) // four digits at the most
	each := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[unit]
	return min(max(time.Duration(n)*each, time.Minute), sameWait)
}

// redirected judges an answer that leads elsewhere. It is not followed: the
// password is for the server that was named.
func (d *DynDNS2) redirected(name, location string) answer {
	where := "nowhere"
	remedy := "ask the provider for the address of its update page"
	if to, err := d.URL.Parse(location); err == nil && location != "" {
		to.User, to.RawQuery, to.Fragment = nil, "", ""
		where = d.quote(to.String())
		remedy = "if that is the provider's, give it with --server; else somebody stands in the way, such as a sign-in page"
	}
	return answer{class: classLater, word: "redirect", finding: report.Fail("ddns.redirect", name,
		fmt.Sprintf("%s leads on to %s; the password was not sent there", d.URL.Host, where), remedy)}
}

// judgeOther judges what is no answer of the protocol.
func (d *DynDNS2) judgeOther(name string, status int, header http.Header, body []byte) answer {
	a := answer{class: classLater, word: strconv.Itoa(status)}
	text := bytes.TrimSpace(bytes.TrimPrefix(bytes.TrimSpace(body), []byte("\xef\xbb\xbf")))
	switch {
	case status == http.StatusUnauthorized:
		r := refusals["badauth"]
		a.class = classStop
		a.finding = report.Fail(r.Code, name, fmt.Sprintf("%s (%s answers with status 401)", r.Detail, d.URL.Host), r.Remedy)
	case status >= 500 || status == http.StatusTooManyRequests:
		if seconds, err := strconv.Atoi(header.Get("Retry-After")); err == nil {
			a.wait = min(max(time.Duration(min(max(seconds, 0), 86400))*time.Second, firstWait), sameWait)
		}
		a.finding = report.Fail("ddns.http", name, strings.TrimSpace(fmt.Sprintf("%s answers with status %d %s", d.URL.Host, status, http.StatusText(status))),
			later)
	case bytes.HasPrefix(text, []byte("<")):
		a.finding = report.Fail("ddns.html", name, fmt.Sprintf("%s answers with a web page instead of a code%s", d.URL.Host, onStatus(status)),
			"open "+pageURL(d.URL)+" in a browser: a sign-in page of the network, a proxy, or another path than the provider's")
	case len(text) == 0:
		a.finding = report.Fail("ddns.answer", name, fmt.Sprintf("%s answers with nothing%s", d.URL.Host, onStatus(status)),
			"check the path of --server: it must be the provider's update page")
	default:
		a.finding = report.Fail("ddns.answer", name,
			fmt.Sprintf("%s answers what is none of the protocol's codes%s: %q", d.URL.Host, onStatus(status), d.quote(string(text))),
			"check the path of --server, and that the provider speaks dyndns2; what counts is one line with one code")
	}
	return a
}

func onStatus(status int) string {
	if status == http.StatusOK {
		return ""
	}
	return strings.TrimRight(fmt.Sprintf(", with status %d %s", status, http.StatusText(status)), " ")
}

func pageURL(u *url.URL) string { return u.Scheme + "://" + u.Host + "/" }
