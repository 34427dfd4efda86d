package ddns

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"onsite/internal/sock"
	"onsite/report"
)

// rcodes are the answers that refuse an update (RFC 2136, section 2.2). Each may
// hold {server}, {zone} and {key}.
var rcodes = map[int]report.Finding{
	dns.RcodeRefused: {
		Code: "ddns.refused", Detail: "the server knows the key, and does not let it change this name (REFUSED)",
		Remedy: "have the zone's administrator allow it: in BIND, update-policy { grant KEY name NAME A; }; or allow-update { key KEY; };",
	},
	dns.RcodeNotAuth: {
		Code: "ddns.notauth", Detail: "the server is not the one that holds this zone (NOTAUTH)",
		Remedy: "name the primary server with --server, or the zone with --zone",
	},
	dns.RcodeNotZone: {
		Code: "ddns.notzone", Detail: "the name does not lie in the zone that was named (NOTZONE)",
		Remedy: "leave --zone away, or give the zone that the name lies in",
	},
	dns.RcodeServerFailure: {
		Code: "ddns.servfail", Detail: "the server could not do it (SERVFAIL)",
		Remedy: "look into the server's log: often it may not write its zone file or journal",
	},
	dns.RcodeFormatError: {
		Code: "ddns.formerr", Detail: "the server does not understand the update (FORMERR)",
		Remedy: "look into the server's log, and check that this is a name server that takes updates",
	},
	dns.RcodeNotImplemented: {
		Code: "ddns.notimp", Detail: "the server takes no updates (NOTIMP)",
		Remedy: "use the way that the provider offers, often --protocol dyndns2, or name another server with --server",
	},
}

// judge says what an answer to an update means. Nothing in it counts as a success
// unless the key has signed it: github.com/miekg/dns takes an unsigned answer to a
// signed question for a good one.
func (r *RFC2136) judge(name, server, zone string, addr netip.Addr, id uint16, mac string, raw []byte) answer {
	in := new(dns.Msg)
	if err := in.Unpack(raw); err != nil || in.Id != id || !in.Response || in.Opcode != dns.OpcodeUpdate {
		return r.failure(name, server, errNotDNS)
	}
	rcode := dns.RcodeToString[in.Rcode]
	a := answer{class: classRefused, word: cmp.Or(rcode, fmt.Sprintf("code %d", in.Rcode))}
	signature := in.IsTsig()
	if signature == nil {
		if in.Rcode == dns.RcodeSuccess {
			a.finding = report.Fail("ddns.tsig.unsigned", name,
				server+": the answer says that it is done, but it is not signed with the key, so anybody may have sent it; it does not count",
				"check who answers there: the server that holds the key signs its answers; a firewall or a proxy in between does not")
			return a
		}
		a = r.judgeRcode(name, server, zone, in.Rcode, a)
		a.finding.Detail += "; the answer is not signed"
		return a
	}
	if f, bad := r.judgeSignature(name, server, signature); bad {
		a.finding, a.word = f, a.word+", "+tsigError(signature.Error)
		return a
	}
	if dns.CanonicalName(signature.Hdr.Name) != r.Key.Name || dns.CanonicalName(signature.Algorithm) != r.Key.Algorithm {
		a.finding = report.Fail("ddns.tsig.foreign", name, fmt.Sprintf("%s: the answer is signed with another key, %s; it does not count", server, signature.Hdr.Name),
			"check who answers there: the server that holds the key signs with it")
		return a
	}
	// The library takes every NOTAUTH for a failed signature; it is a refusal anyway.
	if err := dns.TsigVerify(raw, r.Key.secret, mac, false); err != nil && in.Rcode != dns.RcodeNotAuth {
		a.finding = report.Fail("ddns.tsig.foreign", name, fmt.Sprintf("%s: the signature of the answer is not right (%v); it does not count", server, err),
			"check who answers there, and that this computer's clock is right")
		return a
	}
	if in.Rcode != dns.RcodeSuccess {
		return r.judgeRcode(name, server, zone, in.Rcode, a)
	}
	a.class = classDone
	a.finding = report.Pass("ddns.good", name, fmt.Sprintf("%s has taken A %s into the zone %s, and signed that", server, addr, zone))
	return a
}

func tsigError(code uint16) string {
	return cmp.Or(dns.RcodeToString[int(code)], fmt.Sprintf("TSIG error %d", code))
}

// judgeSignature reads the error that a server puts into the signature of its
// answer (RFC 8945, section 5.2). Such an answer cannot be signed itself.
func (r *RFC2136) judgeSignature(name, server string, t *dns.TSIG) (f report.Finding, bad bool) {
	key := r.User()
	algorithm := r.Key.Algorithm[:len(r.Key.Algorithm)-1]
	switch int(t.Error) {
	case dns.RcodeSuccess:
		return f, false
	case dns.RcodeBadSig:
		return report.Fail("ddns.tsig.badsig", name,
			fmt.Sprintf("%s knows the key %s, but its secret is another one (BADSIG)", server, key),
			"take the secret from the server again: in BIND, the key statement of its configuration"), true
	case dns.RcodeBadKey:
		return report.Fail("ddns.tsig.badkey", name,
			fmt.Sprintf("%s knows no key %s with %s (BADKEY)", server, key, algorithm),
			"compare name and algorithm with the server's key statement, letter for letter"), true
	case dns.RcodeBadTime:
		return report.Fail("ddns.tsig.badtime", name, fmt.Sprintf("%s: %s (BADTIME)", server, clocks(t)),
			"set the clock that is wrong, best from the network (NTP)"), true
	case dns.RcodeBadTrunc:
		return report.Fail("ddns.tsig.error", name, server+" wants a longer signature (BADTRUNC)", "use a key with hmac-sha256"), true
	}
	return report.Fail("ddns.tsig.error", name, fmt.Sprintf("%s does not take the signature (%s)", server, tsigError(t.Error)),
		"look into the server's log"), true
}

// clocks says by how much two clocks differ: the server puts its own time into
// the answer, as six bytes.
func clocks(t *dns.TSIG) string {
	raw, err := hex.DecodeString(t.OtherData)
	if err != nil || len(raw) != 6 {
		return "the server's clock and this computer's differ by more than five minutes"
	}
	var there int64
	for _, b := range raw {
		there = there<<8 | int64(b)
	}
	here := int64(t.TimeSigned) //nolint:gosec // 48 bits
	word := "ahead of"
	if there < here {
		word = "behind"
	}
	const layout = "2006-01-02 15:04:05 MST"
	return fmt.Sprintf("the server's clock is %s %s this computer's: it says %s, here it is %s",
		apart(there-here), word, time.Unix(there, 0).UTC().Format(layout), time.Unix(here, 0).UTC().Format(layout))
}

// apart is a difference of seconds in the words for it.
func apart(seconds int64) string {
	if seconds < 0 {
		seconds = -seconds
	}
	switch {
	case seconds < 120:
		return fmt.Sprintf("%d seconds", seconds)
	case seconds < 3*3600:
		return fmt.Sprintf("%d minutes and %d seconds", seconds/60, seconds%60)
	case seconds < 2*86400:
		return fmt.Sprintf("%d hours and %d minutes", seconds/3600, seconds%3600/60)
	}
	return fmt.Sprintf("%d days", seconds/86400)
}

// judgeRcode judges a refusal.
func (r *RFC2136) judgeRcode(name, server, zone string, rcode int, a answer) answer {
	if known, ok := rcodes[rcode]; ok {
		a.finding = report.Fail(known.Code, name, fmt.Sprintf("%s, zone %s: %s", server, zone, known.Detail), known.Remedy)
	} else {
		a.finding = report.Fail("ddns.rcode", name, fmt.Sprintf("%s, zone %s: the server answers %s", server, zone, a.word), "look into the server's log")
	}
	if rcode == dns.RcodeServerFailure {
		a.class = classLater
	}
	return a
}

// failure judges an exchange without an answer.
func (r *RFC2136) failure(name, server string, err error) answer {
	a := answer{class: classLater, silent: true, unsent: true, wait: retryWait}
	server = cmp.Or(server, r.Host, "the zone")
	var op *net.OpError
	switch {
	case errors.Is(err, errZone), errors.Is(err, errPrimary):
		a.class, a.silent = classRefused, false
		a.finding = report.Fail("ddns.zone.unknown", name, server+": "+err.Error(), "name the server that holds the zone with --server, or the zone with --zone")
	case errors.Is(err, errNotDNS):
		a.silent, a.unsent = false, false
		a.finding = report.Fail("ddns.answer", name, server+": "+err.Error(), "check the address and port of --server")
	case sock.TimedOut(err):
		a.wait, a.unsent = 0, false
		a.finding = report.Fail("ddns.timeout", name, fmt.Sprintf("%s did not answer within %s; it may have taken the address all the same", server, cmp.Or(r.Timeout, defaultTimeout)),
			"check that TCP port 53 of the server is open from here; the primary of a zone is often hidden: then name a server with --server")
	default:
		a.unsent = errors.As(err, &op) && op.Op == "dial"
		a.finding = report.Fail("ddns.unreachable", name, server+": "+plain(err),
			"check that TCP port 53 of the server is open from here; the primary of a zone is often hidden: then name a server with --server")
	}
	return a
}
