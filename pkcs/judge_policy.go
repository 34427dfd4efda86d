package pkcs

import (
	"crypto/x509"

	"onsite/report"
)

const anyPolicy = "2.5.29.32.0"

// policies is the state of the policy processing of RFC 5280, section 6.1, for
// a client that takes any policy. Then only two things matter: whether a policy
// is required, and whether one holds all the way down.
type policies struct {
	// valid is the lowest row of the RFC's tree: the policies that hold so far,
	// each with those that are expected in its place in the next certificate.
	// It is nil when none holds.
	valid map[string][]string
	// How many certificates are left until a policy must hold, until mappings
	// are not applied any more, and until anyPolicy does not count.
	explicit, mapping, any int
}

// judgePolicies judges a chain by the policies that its certificates require. The
// trusted one on top is not looked at: its policies are the client's choice.
func judgePolicies(chain []*x509.Certificate) []report.Finding {
	n := len(chain) - 1
	p := policies{valid: map[string][]string{anyPolicy: {anyPolicy}}, explicit: n + 1, mapping: n + 1, any: n + 1}
	for i := n - 1; i >= 0; i-- {
		c := chain[i]
		p.hold(c, i == 0)
		last := i == 0
		if last {
			p.explicit = max(p.explicit-1, 0)
			if c.RequireExplicitPolicyZero {
				p.explicit = 0
			}
		}
		if p.explicit == 0 && p.valid == nil {
			return []report.Finding{report.Fail("chain.policy", name(c), "an authority above requires a certificate policy, and none holds down to this one (RFC 5280, section 6.1)",
				"ask the authority for a certificate with its policy")}
		}
		if last {
			break
		}
		if !p.mapped(c) {
			return []report.Finding{report.Fail("chain.policy", name(c), "it maps anyPolicy to another policy, which RFC 5280, section 6.1.4, forbids",
				"ask the authority for another intermediate certificate")}
		}
		p.limit(c)
	}
	return nil
}

// hold goes down one certificate: section 6.1.3 (d) and (e).
func (p *policies) hold(c *x509.Certificate, last bool) {
	named := map[string]bool{}
	for _, oid := range c.Policies {
		named[oid.String()] = true
	}
	expected := map[string]bool{}
	for _, list := range p.valid {
		for _, s := range list {
			expected[s] = true
		}
	}
	next := map[string][]string{}
	for s := range named {
		if s != anyPolicy && (expected[s] || expected[anyPolicy]) {
			next[s] = []string{s}
		}
	}
	if named[anyPolicy] && (p.any > 0 || !last && selfIssued(c)) {
		for s := range expected {
			next[s] = []string{s}
		}
	}
	p.valid = next
	if len(next) == 0 {
		p.valid = nil
	}
}

// mapped applies the mappings that an authority makes: section 6.1.4 (a) and (b).
func (p *policies) mapped(c *x509.Certificate) bool {
	to := map[string][]string{}
	for _, m := range c.PolicyMappings {
		from, into := m.IssuerDomainPolicy.String(), m.SubjectDomainPolicy.String()
		if from == anyPolicy || into == anyPolicy {
			return false
		}
		to[from] = append(to[from], into)
	}
	if p.valid == nil {
		return true
	}
	_, all := p.valid[anyPolicy]
	for from, list := range to {
		_, holds := p.valid[from]
		switch {
		case p.mapping == 0:
			delete(p.valid, from)
		case holds || all:
			p.valid[from] = list
		}
	}
	if len(p.valid) == 0 {
		p.valid = nil
	}
	return true
}

// limit counts down, and takes over what an authority limits: section 6.1.4 (h)
// to (j).
func (p *policies) limit(c *x509.Certificate) {
	for _, l := range []struct {
		left  *int
		value int
		zero  bool
	}{
		{&p.explicit, c.RequireExplicitPolicy, c.RequireExplicitPolicyZero},
		{&p.mapping, c.InhibitPolicyMapping, c.InhibitPolicyMappingZero},
		{&p.any, c.InhibitAnyPolicy, c.InhibitAnyPolicyZero},
	} {
		if !selfIssued(c) {
			*l.left = max(*l.left-1, 0)
		}
		if l.zero || l.value > 0 {
			*l.left = min(*l.left, l.value)
		}
	}
}
