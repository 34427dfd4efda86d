package pkcs

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
)

// The extensions of RFC 5280, section 4.2, that are judged here.
var (
	oidSubjectKeyID      = asn1.ObjectIdentifier{2, 5, 29, 14}
	oidKeyUsage          = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidAlternativeNames  = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidBasicConstraints  = asn1.ObjectIdentifier{2, 5, 29, 19}
	oidNameConstraints   = asn1.ObjectIdentifier{2, 5, 29, 30}
	oidRevocationLists   = asn1.ObjectIdentifier{2, 5, 29, 31}
	oidPolicies          = asn1.ObjectIdentifier{2, 5, 29, 32}
	oidPolicyMappings    = asn1.ObjectIdentifier{2, 5, 29, 33}
	oidAuthorityKeyID    = asn1.ObjectIdentifier{2, 5, 29, 35}
	oidPolicyConstraints = asn1.ObjectIdentifier{2, 5, 29, 36}
	oidExtendedKeyUsage  = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidInhibitAnyPolicy  = asn1.ObjectIdentifier{2, 5, 29, 54}
	oidAuthorityInfo     = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 1}
)

// understood are the extensions that clients process when they are critical.
// They look at no revocation list that a certificate names, critical or not.
var understood = []asn1.ObjectIdentifier{
	oidKeyUsage, oidAlternativeNames, oidBasicConstraints, oidNameConstraints, oidRevocationLists, oidPolicies,
	oidPolicyMappings, oidPolicyConstraints, oidExtendedKeyUsage, oidInhibitAnyPolicy,
}

// neverCritical are those that RFC 5280 forbids to mark critical.
var neverCritical = []asn1.ObjectIdentifier{oidSubjectKeyID, oidAuthorityKeyID, oidAuthorityInfo}

// extension returns the extension of a kind, if the certificate has it.
func extension(c *x509.Certificate, oid asn1.ObjectIdentifier) (pkix.Extension, bool) {
	for _, e := range c.Extensions {
		if e.Id.Equal(oid) {
			return e, true
		}
	}
	return pkix.Extension{}, false
}

func has(c *x509.Certificate, oid asn1.ObjectIdentifier) bool {
	_, ok := extension(c, oid)
	return ok
}
