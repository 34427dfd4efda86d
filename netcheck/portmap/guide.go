package portmap

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"onsite/report"
)

// Rule is one line to type into a router by hand.
type Rule struct {
	Name     string   `json:"name"`
	Protocol string   `json:"protocol"`
	External uint16   `json:"external_port"`
	Host     string   `json:"internal_address"`
	Internal uint16   `json:"internal_port"`
	Sources  []string `json:"source_addresses"` // empty: any
}

// RouterRules are the lines for one router.
type RouterRules struct {
	Router string `json:"router"`  // what people call it
	Page   string `json:"address"` // the address of its own page, or "" when it is not known
	Rules  []Rule `json:"rules"`
}

// ClockPort is where time clocks listen, unencrypted.
const ClockPort = 4370

// names are what a site's usual ports are for.
var names = map[uint16]string{8888: "portal-http", 4444: "portal-https", ClockPort: "clock"}

// ParseRule reads a rule as it is written on a command line:
// EXTERNAL[:HOST[:INTERNAL]][/tcp|/udp]. Without a host it is self.
func ParseRule(s string, self netip.Addr) (Rule, error) {
	rest, protocol, given := strings.Cut(strings.TrimSpace(s), "/")
	if !given {
		protocol = "tcp"
	}
	if protocol = strings.ToLower(protocol); protocolNumbers[protocol] == 0 {
		return Rule{}, fmt.Errorf("%q: the protocol is tcp or udp", s)
	}
	parts := strings.Split(rest, ":")
	if len(parts) > 3 {
		return Rule{}, fmt.Errorf("%q has too many parts: give it as 8888:192.168.1.50:8888", s)
	}
	external, err := ParsePort(parts[0])
	if err != nil {
		return Rule{}, fmt.Errorf("%q: %w", s, err)
	}
	rule := Rule{Protocol: protocol, External: external, Internal: external, Sources: []string{}}
	if len(parts) == 3 {
		if rule.Internal, err = ParsePort(parts[2]); err != nil {
			return Rule{}, fmt.Errorf("%q: %w", s, err)
		}
	}
	host := self
	if len(parts) > 1 && parts[1] != "" {
		if host, err = netip.ParseAddr(parts[1]); err != nil || !host.Is4() {
			return Rule{}, fmt.Errorf("%q: %q is not an IPv4 address", s, parts[1])
		}
	}
	if !host.IsValid() {
		return Rule{}, fmt.Errorf("%q: this computer's address is not known, so give it: %d:ADDRESS", s, external)
	}
	rule.Host = host.String()
	rule.Name = "onsite-" + cmp.Or(names[rule.Internal], names[rule.External], strconv.Itoa(int(external)))
	return rule, nil
}

// ParsePort reads a port from 1 to 65535.
func ParsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is not a port from 1 to 65535", s)
	}
	return uint16(n), nil
}

// Guide lays out what to type into each router, the inner one first. When the
// router's own address outside is private, the one in front of it has to
// forward the same ports to that address.
func (r *Router) Guide(rules []Rule) ([]RouterRules, []report.Finding) {
	name := "the router"
	if r.Device != "" {
		name += ", " + r.Device
	}
	tables := []RouterRules{{Router: name, Page: r.Gateway.String(), Rules: rules}}
	findings := exposed(rules)
	a := r.External()
	switch addressKind(a) {
	case "none":
		findings = append(findings, report.Unknown("forward.router.chain", r.Gateway.String(),
			"the router tells no address outside: whether another one stands in front of it is not known",
			"look at the status page of the router: if its Internet address begins with 10., 172.16. to 172.31., 192.168. or 100.64. to 100.127., there is another one"))
	case "carrier":
		findings = append(findings, r.judgeAddress()...)
	case "private":
		outer := slices.Clone(rules)
		for i := range outer {
			outer[i].Host, outer[i].Internal = a.String(), outer[i].External
		}
		tables = append(tables, RouterRules{Router: "the router in front of it, often the provider's box", Rules: outer})
		findings = append(findings, report.Warn("forward.router.private", r.Gateway.String(),
			fmt.Sprintf("the router's address outside is %s, which is private: another router stands in front of it, and both have to forward", a),
			"make the one in front a bridge if you can: then the first table is enough"))
	default:
		findings = append(findings, report.Pass("forward.router.single", r.Gateway.String(), fmt.Sprintf("the router's address outside is %s: this one router is enough", a)))
	}
	return tables, findings
}

// exposed warns of what a rule opens to the Internet.
func exposed(rules []Rule) []report.Finding {
	var list []report.Finding
	for _, rule := range rules {
		if rule.Internal != ClockPort {
			continue
		}
		subject := fmt.Sprintf("%d/%s", rule.External, rule.Protocol)
		if len(rule.Sources) == 0 {
			list = append(list, report.Warn("forward.clock.exposed", subject,
				fmt.Sprintf("this opens the time clock %s to everybody on the Internet: its protocol has no encryption, and its key is weak", rule.Host),
				"let the router accept only the addresses that need it (onsite port guide --source), or use a VPN"))
			continue
		}
		list = append(list, report.Warn("forward.clock.filtered", subject,
			fmt.Sprintf("only %s may connect to the time clock %s, but what they say to each other is not encrypted", strings.Join(rule.Sources, ", "), rule.Host),
			"use a VPN if the router has one"))
	}
	return list
}
