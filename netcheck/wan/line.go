package wan

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"onsite/internal/lazyre"
	"onsite/report"
)

// AddressKind says whether a public address stays, as far as can be told.
type AddressKind string

// The kinds. One visit never proves that an address is static.
const (
	AddressUnknown         AddressKind = "unknown"
	AddressDynamic         AddressKind = "dynamic" // it has changed
	AddressProbablyDynamic AddressKind = "probably-dynamic"
	AddressProbablyStatic  AddressKind = "probably-static"
)

// Visit is what one run saw of a line, to be compared with later ones.
type Visit struct {
	Router  string     `json:"router"` // the router's hardware address
	Address netip.Addr `json:"address"`
	Time    time.Time  `json:"time"`
}

// kindTable is the verdict about the address. Its facts:
//
//	changed  it was another one at an earlier run: yes
//	name     what the reverse name looks like: static, dynamic, numbered
//	ppp      the line is dialled: yes
var kindTable = report.Table{
	{
		When: "changed=yes", Status: report.StatusWarn, Code: "wan.address.changed",
		Detail: "dynamic, for it has changed",
		Remedy: "use a dynamic DNS name, and never a plain A record: onsite dns update keeps it right",
	},
	{
		When: "name=dynamic", Status: report.StatusPass, Code: "wan.address.dynamic",
		Detail: "probably dynamic, so use a dynamic DNS name unless the contract says that it is fixed",
	},
	{
		When: "name=static", Status: report.StatusPass, Code: "wan.address.static",
		Detail: "probably static, but treat it as dynamic until the contract says so",
	},
	{
		When: "name=numbered|? ppp=yes", Status: report.StatusPass, Code: "wan.address.dynamic",
		Detail: "probably dynamic, so use a dynamic DNS name unless the contract says that it is fixed",
	},
	{
		When: "name=numbered|?", Status: report.StatusPass, Code: "wan.address.unknown",
		Detail: "nothing shows whether it is static, so treat it as dynamic until the contract says otherwise",
	},
}

var addressWords = map[string]AddressKind{
	"wan.address.changed": AddressDynamic, "wan.address.dynamic": AddressProbablyDynamic,
	"wan.address.static": AddressProbablyStatic, "wan.address.unknown": AddressUnknown,
}

// The words that providers put into reverse names.
var (
	staticWords  = lazyre.New(`(^|[^a-z])(static|statics?ip|sta|fixed|fix|business|biz|dedicated|corporate|leased)([^a-z]|$)|static`)
	dynamicWords = lazyre.New(`(^|[^a-z])(dyn|dynip|pool|dhcp|ppp|pppoe|dial|dialin|dialup|cable|customers?|cust|client|home|res|residential|broadband|bb|mobile|lte|user)([^a-z]|$)|dynamic|[av]?dsl`)
	numbers      = lazyre.New(`\d+`)
)

// readName judges a reverse name: "static", "dynamic", "numbered" for one that
// repeats the address and says no more, or "".
func readName(name string, addr netip.Addr) string {
	name = strings.ToLower(name)
	switch static, dynamic := staticWords().MatchString(name), dynamicWords().MatchString(name); {
	case static && dynamic && strings.Contains(name, "static"): // static.dsl.example
		return "static"
	case static && dynamic:
		return ""
	case static:
		return "static"
	case dynamic:
		return "dynamic"
	}
	if addr.Is4() {
		parts := addr.As4()
		all := 0
		for _, number := range numbers().FindAllString(name, -1) {
			if slices.ContainsFunc(parts[:], func(b byte) bool { return fmt.Sprint(b) == strings.TrimLeft(number, "0") }) {
				all++
			}
		}
		if all >= 3 {
			return "numbered"
		}
	}
	return ""
}

// reverse is what the DNS says of an address.
type reverse struct {
	name      string // "" for none
	confirmed bool   // the name leads back to the address
	err       error  // of the question that was not answered
}

// lookBack asks for the name of an address, and whether that leads back.
func lookBack(ctx context.Context, resolver *net.Resolver, addr netip.Addr) reverse {
	found, err := resolver.LookupAddr(ctx, addr.String())
	if err != nil || len(found) == 0 {
		return reverse{err: unanswered(err)}
	}
	network := "ip4"
	if addr.Is6() {
		network = "ip6"
	}
	forward, err := resolver.LookupNetIP(ctx, network, found[0])
	return reverse{
		name:      strings.TrimSuffix(found[0], "."),
		confirmed: slices.ContainsFunc(forward, func(a netip.Addr) bool { return a.Unmap() == addr }),
		err:       unanswered(err),
	}
}

// unanswered drops an error that is an answer: that there is no such name.
func unanswered(err error) error {
	if e, ok := errors.AsType[*net.DNSError](err); ok && e.IsNotFound {
		return nil
	}
	return err
}

func (r reverse) String() string {
	switch {
	case r.name == "" && r.err != nil:
		return "the reverse name could not be asked for"
	case r.name == "":
		return "there is no reverse name"
	case r.confirmed:
		return "the reverse name is " + r.name
	case r.err != nil:
		return "the reverse name is " + r.name + ", and whether that leads back could not be asked"
	}
	return "the reverse name is " + r.name + ", which does not lead back"
}

// lineEvidence turns what was seen into the facts of kindTable.
func lineEvidence(addr netip.Addr, back reverse, ppp bool, past []Visit, router string) report.Evidence {
	var e report.Evidence
	for _, v := range past {
		if v.Router == router && router != "" && v.Address.IsValid() && v.Address != addr {
			e = append(e, report.Fact{Name: "changed", Value: "yes", How: fmt.Sprintf("behind this router it was %s on %s, and is %s now",
				v.Address, v.Time.Local().Format("2006-01-02"), addr)})
			break
		}
	}
	look := ""
	if back.confirmed {
		look = readName(back.name, addr)
	}
	e = append(e, report.Fact{Name: "name", Value: look, How: back.String()})
	if ppp {
		e = append(e, report.Fact{Name: "ppp", Value: "yes", How: "the line is dialled (PPP)"})
	}
	return e
}
