//go:build linux

package netlab

import (
	"fmt"
	"strings"
	"testing"
)

// moved gives the site another address than its names have.
func moved(t *testing.T, l *Lab) { l.Set(t, func(s *Site) { s.WAN = "B" }) }

const dyndns = "dns update site.dyn.test --server ddns.lab.test --user lab --password-file password.txt --contact it@example.test --yes"

// account writes the password of the account, and moves the site.
func account(password string) func(*testing.T, *Lab) {
	return func(t *testing.T, l *Lab) {
		l.File(t, "laptop", "password.txt", password+"\n")
		moved(t, l)
	}
}

// sent compares how often the provider was asked, and the manners of it.
func sent(times int) func(*testing.T, *Lab, Result) {
	return func(t *testing.T, l *Lab, _ Result) {
		t.Helper()
		list := l.Updates()
		if len(list) != times {
			t.Errorf("the provider was asked %d times, want %d: %+v", len(list), times, list)
		}
		for _, u := range list {
			if !u.TLS || !strings.Contains(u.Agent, "onsite/") || !strings.Contains(u.Agent, "it@example.test") {
				t.Errorf("not as providers want it: %+v", u)
			}
		}
	}
}

// forced is a provider that answers one code whatever it is asked.
func forced(answer, status, found string, exit int) scenario {
	return scenario{
		name: "the provider says " + answer, site: quiet(Site{DDNS: answer}), command: dyndns,
		before: account(DynPassword), exit: exit, status: status, found: found, after: sent(1),
	}
}

func TestDynamicDNS(t *testing.T) {
	t.Parallel()
	list := []scenario{
		{
			name: "changed", site: quiet(Site{}), command: dyndns, before: account(DynPassword), status: "pass", passed: "ddns.good",
			after: func(t *testing.T, l *Lab, r Result) {
				sent(1)(t, l, r)
				want(t, "the name", l.Answer(t, NS1, DynName), l.Site().Public())
				again := l.Run(t, "laptop", l.words(dyndns)...)
				if again.Status != "pass" {
					t.Errorf("once more: %s %v", again.Status, again.Codes())
				}
				sent(1)(t, l, again)
			},
		},
		{
			name: "nothing to change", site: quiet(Site{}), command: dyndns, status: "pass", passed: "ddns.current", after: sent(0),
			before: func(t *testing.T, l *Lab) { l.File(t, "laptop", "password.txt", DynPassword) },
		},
		{name: "a dry run", site: quiet(Site{}), command: dyndns + " --dry-run", before: account(DynPassword), status: "warn", found: "ddns.due:warn", after: sent(0)},
		{
			name: "not confirmed", site: quiet(Site{}), command: strings.TrimSuffix(dyndns, " --yes"), before: account(DynPassword),
			exit: 4, status: "fail", found: "value.missing:error", after: sent(0),
		},
		{name: "wrong password", site: quiet(Site{}), command: dyndns, before: account("wrong"), exit: 1, status: "fail", found: "ddns.badauth:fail", after: sent(1)},
		{
			name: "another's name", site: quiet(Site{}), command: strings.Replace(dyndns, DynName, "ns.dyn.test", 1), before: account(DynPassword),
			exit: 1, status: "fail", found: "ddns.nohost:fail",
		},
		{
			name: "no witness of the public address", site: quiet(Site{Echo: "private", STUN: "off"}), command: dyndns, before: account(DynPassword),
			exit: 6, status: "unknown", found: "ddns.public.unknown:error wan.public.none:unknown wan.public.special:warn", after: sent(0),
		},
		forced("badauth", "fail", "ddns.badauth:fail", 1),
		forced("badagent", "fail", "ddns.badagent:fail", 1),
		forced("abuse", "fail", "ddns.abuse:fail", 1),
		forced("nohost", "fail", "ddns.nohost:fail", 1),
		forced("notfqdn", "fail", "ddns.notfqdn:fail", 1),
		forced("numhost", "fail", "ddns.numhost:fail", 1),
		forced("!donator", "fail", "ddns.donator:fail", 1),
		forced("!yours", "fail", "ddns.yours:fail", 1),
		forced("!active", "fail", "ddns.inactive:fail", 1),
		forced("badsys", "fail", "ddns.badsys:fail", 1),
		forced("dnserr", "fail", "ddns.dnserr:fail", 1),
		forced("911", "fail", "ddns.911:fail", 1),
		forced("http500", "fail", "ddns.http:fail", 1),
		forced("html", "fail", "ddns.html:fail", 1),
		forced("nochg", "warn", "ddns.nochg:warn", 0),
		forced("good", "warn", "ddns.unverified:warn", 0),
		{
			name: "the provider hangs", site: quiet(Site{DDNS: "hang"}), command: dyndns + " --timeout 3s", before: account(DynPassword),
			exit: 6, status: "unknown", found: "ddns.timeout:error", after: sent(1),
		},
	}
	for code, found := range map[string]string{"911": "ddns.waiting:fail", "abuse": "ddns.stopped:fail"} { // kept to across runs
		list = append(list, scenario{
			name: "once more after " + code, site: quiet(Site{DDNS: code}), command: dyndns, exit: 1, status: "fail", found: found,
			before: func(t *testing.T, l *Lab) {
				account(DynPassword)(t, l)
				l.Run(t, "laptop", l.words(dyndns)...)
			},
			after: sent(1),
		})
	}
	judge(t, list)
}

const signed = "dns update site.dyn.example.test --tsig-key-file update.key --yes"

// keyed writes a TSIG key in BIND's form, and moves the site.
func keyed(name string, wrong bool) func(*testing.T, *Lab) {
	return func(t *testing.T, l *Lab) {
		secret := l.UpdateSecret()
		if wrong {
			secret = l.WrongSecret()
		}
		l.File(t, "laptop", "update.key", fmt.Sprintf("key %q {\n\talgorithm hmac-sha256;\n\tsecret %q;\n};\n", name, secret))
		moved(t, l)
	}
}

// unchanged sees to it that the record stayed as it was.
func unchanged(t *testing.T, l *Lab, _ Result) {
	t.Helper()
	want(t, "the record", l.Answer(t, NS1, UpdateName), l.Site().Old())
}

func TestSignedDynamicDNS(t *testing.T) {
	t.Parallel()
	judge(t, []scenario{
		{
			name: "changed", site: quiet(Site{}), command: signed, before: keyed(UpdateKey, false), status: "pass", passed: "ddns.good",
			after: func(t *testing.T, l *Lab, _ Result) {
				want(t, "the record", l.Answer(t, NS1, UpdateName), l.Site().Public())
			},
		},
		{name: "a dry run", site: quiet(Site{}), command: signed + " --dry-run", before: keyed(UpdateKey, false), status: "warn", found: "ddns.due:warn", after: unchanged},
		{name: "wrong secret", site: quiet(Site{}), command: signed, before: keyed(UpdateKey, true), exit: 1, status: "fail", found: "ddns.tsig.badsig:fail", after: unchanged},
		{name: "unknown key", site: quiet(Site{}), command: signed, before: keyed("nobody", false), exit: 1, status: "fail", found: "ddns.tsig.badkey:fail", after: unchanged},
		{
			name: "a name that the key may not change", site: quiet(Site{DNS: "cname"}), command: strings.Replace(signed, UpdateName, "dyn.example.test", 1),
			before: keyed(UpdateKey, false), exit: 1, status: "fail", found: "ddns.refused:fail", after: unchanged,
		},
		{name: "the server's clock is fast", site: quiet(Site{Signed: "fast"}), command: signed, before: keyed(UpdateKey, false), exit: 1, status: "fail", found: "ddns.tsig.badtime:fail", says: []string{"10 m"}, after: unchanged},
		{name: "the server's clock is slow", site: quiet(Site{Signed: "slow"}), command: signed, before: keyed(UpdateKey, false), exit: 1, status: "fail", found: "ddns.tsig.badtime:fail", says: []string{"10 m"}, after: unchanged},
		{name: "an answer without a signature", site: quiet(Site{Signed: "unsigned"}), command: signed, before: keyed(UpdateKey, false), exit: 1, status: "fail", found: "ddns.tsig.unsigned:fail"},
		{name: "SERVFAIL", site: quiet(Site{Signed: "servfail"}), command: signed, before: keyed(UpdateKey, false), exit: 1, status: "fail", found: "ddns.servfail:fail", after: unchanged},
		{name: "NOTIMP", site: quiet(Site{Signed: "notimp"}), command: signed, before: keyed(UpdateKey, false), exit: 1, status: "fail", found: "ddns.notimp:fail", after: unchanged},
		{name: "silence", site: quiet(Site{Signed: "hang"}), command: signed + " --timeout 3s", before: keyed(UpdateKey, false), exit: 6, status: "unknown", found: "ddns.timeout:error", after: unchanged},
		{
			name: "a zone that the key is not for", site: quiet(Site{}), command: signed + " --zone example.test", before: keyed(UpdateKey, false),
			exit: 1, status: "fail", found: "ddns.refused:fail", after: unchanged,
		},
	})
}
