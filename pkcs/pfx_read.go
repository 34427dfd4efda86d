package pkcs

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"  //nolint:gosec // G501: others' files have such checksums
	"crypto/sha1" //nolint:gosec // G505: likewise
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash"
	"unicode/utf8"

	"golang.org/x/crypto/md4"       //nolint:gosec,staticcheck // G506, SA1019: others' files have such checksums
	"golang.org/x/crypto/ripemd160" //nolint:gosec,staticcheck // G507, SA1019: others' files have such checksums

	"onsite/internal/ber"
	"onsite/internal/dn"
	"onsite/internal/pbe"
	"onsite/report"
)

// The reader of PFX files. It takes what RFC 7292 allows and other programs
// write: indefinite lengths and strings in pieces (NSS, older Bouncy Castle),
// any number of safes, safes in safes, no checksum, zero bytes behind the end.
// go-pkcs12 reads DER alone, and with one key.

// Object identifiers of RFC 7292, section 4 and appendix D, and of PKCS#7.
var (
	oidData          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidSignedData    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidEncryptedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 6}

	oidKeyBag      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 1}
	oidShroudedBag = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 2}
	oidCertBag     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 3}
	oidCRLBag      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 4}
	oidSafeBag     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 6}
	oidX509        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 22, 1}
	oidX509CRL     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 23, 1}

	oidFriendlyName = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 20}

	oidSHA1   = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}
	oidSHA256 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidPBMAC1 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 14}
)

// digests are the hashes of checksums.
var digests = []struct {
	oid asn1.ObjectIdentifier
	new func() hash.Hash
}{
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 5}, md5.New},
	{oidSHA1, sha1.New},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 4}, sha256.New224},
	{oidSHA256, sha256.New},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}, sha512.New384},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}, sha512.New},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 5}, sha512.New512_224},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 6}, sha512.New512_256},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 7}, func() hash.Hash { return sha3.New224() }},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 8}, func() hash.Hash { return sha3.New256() }},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 9}, func() hash.Hash { return sha3.New384() }},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 10}, func() hash.Hash { return sha3.New512() }},
	{asn1.ObjectIdentifier{1, 3, 36, 3, 2, 1}, ripemd160.New},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 4}, md4.New},
}

// pfxBag is what a bundle holds, in its order.
type pfxBag struct{ certs, crls, keys []pfxItem }

// pfxItem is one thing in a bundle with its friendly name. A key is PKCS#8, and
// still encrypted when the file's password does not open it.
type pfxItem struct {
	der   []byte
	alias string
}

// readPFX opens a PFX file (PKCS#12, RFC 7292) with the first password that does
// it. The error wraps one of packages ber and pbe.
func readPFX(data []byte, passwords [][]byte) (*pfxBag, error) {
	top, rest, err := ber.Parse(data)
	if err != nil {
		return nil, err
	}
	if len(bytes.Trim(rest, "\x00\r\n")) > 0 {
		return nil, fmt.Errorf("%w: %d bytes behind its end", ber.ErrMalformed, len(rest))
	}
	parts, err := top.Sequence(2)
	if err != nil {
		return nil, err
	}
	safe, err := authenticatedSafe(parts[1])
	if err != nil {
		return nil, err
	}
	candidates := pfxPasswords(passwords)
	verified := len(parts) > 2
	if verified {
		right, err := verifyMAC(parts[2], safe, candidates)
		if err != nil {
			return nil, err
		}
		candidates = []pbe.Password{right}
	}
	for _, p := range candidates {
		r := safeReader{password: p, verified: verified, bag: &pfxBag{}}
		if err = r.readSafe(safe); err == nil {
			return r.bag, nil
		}
		if !errors.Is(err, pbe.ErrPassword) {
			break
		}
	}
	return nil, err
}

// pfxPasswords returns the ways in which programs take passwords. OpenSSL before
// 1.1 took every byte for a character, so that what is UTF-8 today was Latin-1
// there. An empty password is one or none at all, in which programs differ.
func pfxPasswords(passwords [][]byte) []pbe.Password {
	var list []pbe.Password
	for _, p := range passwords {
		if len(p) == 0 {
			continue
		}
		list = append(list, pbe.NewPassword(p))
		if bytes.ContainsFunc(p, func(r rune) bool { return r >= utf8.RuneSelf }) {
			list = append(list, list[len(list)-1].Bytewise())
		}
	}
	empty := pbe.NewPassword(nil)
	return append(list, empty, empty.Absent())
}

// authenticatedSafe returns the bytes of the AuthenticatedSafe as they were
// sent: the checksum is over them.
func authenticatedSafe(info ber.Element) ([]byte, error) {
	oid, content, err := contentInfo(info)
	switch {
	case err != nil:
		return nil, err
	case oid.Equal(oidSignedData):
		return nil, fmt.Errorf("%w: it is protected by a public key", pbe.ErrUnsupported)
	case !oid.Equal(oidData):
		return nil, fmt.Errorf("%w: content %s", pbe.ErrUnsupported, oid)
	}
	return content.Octets()
}

// contentInfo takes a ContentInfo of PKCS#7 apart (RFC 2315, section 7).
func contentInfo(e ber.Element) (asn1.ObjectIdentifier, ber.Element, error) {
	parts, err := e.Sequence(2)
	if err != nil {
		return nil, ber.Element{}, err
	}
	oid, err := parts[0].OID()
	if err != nil {
		return nil, ber.Element{}, err
	}
	content, err := parts[1].Inside()
	return oid, content, err
}

// verifyMAC returns the password with which the checksum comes out right (RFC
// 7292, section 5.1, and RFC 9579).
func verifyMAC(mac ber.Element, safe []byte, passwords []pbe.Password) (pbe.Password, error) {
	parts, err := mac.Sequence(2)
	if err != nil {
		return pbe.Password{}, err
	}
	info, err := parts[0].Sequence(2)
	if err != nil {
		return pbe.Password{}, err
	}
	want, err := info[1].Octets()
	if err != nil {
		return pbe.Password{}, err
	}
	algorithm, err := info[0].Sequence(1)
	if err != nil {
		return pbe.Password{}, err
	}
	oid, err := algorithm[0].OID()
	if err != nil {
		return pbe.Password{}, err
	}
	var sum func(pbe.Password) ([]byte, error)
	if oid.Equal(oidPBMAC1) {
		sum, err = pbmac1(algorithm, safe)
	} else {
		sum, err = classicMAC(oid, parts, safe)
	}
	if err != nil {
		return pbe.Password{}, err
	}
	for _, p := range passwords {
		got, err := sum(p)
		if err != nil {
			return pbe.Password{}, err
		}
		if subtle.ConstantTimeCompare(got, want) == 1 {
			return p, nil
		}
	}
	return pbe.Password{}, pbe.ErrPassword
}

func classicMAC(oid asn1.ObjectIdentifier, macData []ber.Element, safe []byte) (func(pbe.Password) ([]byte, error), error) {
	var newHash func() hash.Hash
	for _, d := range digests {
		if d.oid.Equal(oid) {
			newHash = d.new
		}
	}
	if newHash == nil {
		return nil, fmt.Errorf("%w: checksum %s", pbe.ErrUnsupported, oid)
	}
	salt, err := macData[1].Octets()
	if err != nil {
		return nil, err
	}
	rounds := int64(1)
	if len(macData) > 2 {
		if rounds, err = macData[2].Int(); err != nil {
			return nil, err
		}
	}
	return func(p pbe.Password) ([]byte, error) {
		if err := p.Spend(rounds, 1); err != nil {
			return nil, err
		}
		key := pbe.DerivePKCS12(newHash, pbe.MACMaterial, p, salt, int(rounds), newHash().Size())
		m := hmac.New(newHash, key)
		m.Write(safe)
		return m.Sum(nil), nil
	}, nil
}

// pbmac1 reads PBMAC1-params (RFC 8018, appendix A.5). RFC 9579, section 4,
// demands the key length.
func pbmac1(algorithm []ber.Element, safe []byte) (func(pbe.Password) ([]byte, error), error) {
	if len(algorithm) < 2 {
		return nil, fmt.Errorf("%w: PBMAC1 without parameters", ber.ErrMalformed)
	}
	params, err := algorithm[1].Sequence(2)
	if err != nil {
		return nil, err
	}
	scheme, err := params[1].Sequence(1)
	if err != nil {
		return nil, err
	}
	oid, err := scheme[0].OID()
	if err != nil {
		return nil, err
	}
	newHash, err := pbe.HMAC(oid)
	if err != nil {
		return nil, err
	}
	return func(p pbe.Password) ([]byte, error) {
		key, err := pbe.DeriveKey(params[0], 0, p)
		if err != nil {
			return nil, err
		}
		m := hmac.New(newHash, key)
		m.Write(safe)
		return m.Sum(nil), nil
	}, nil
}

// safeReader collects what the safes hold.
type safeReader struct {
	password pbe.Password
	verified bool // the checksum came out right with the password
	bag      *pfxBag
	depth    int
}

// readSafe reads an AuthenticatedSafe (RFC 7292, section 4.1).
func (r *safeReader) readSafe(data []byte) error {
	top, _, err := ber.Parse(data)
	if err != nil {
		return err
	}
	safes, err := top.Sequence(0)
	if err != nil {
		return err
	}
	for _, s := range safes {
		oid, content, err := contentInfo(s)
		if err != nil {
			return err
		}
		var contents []byte
		switch {
		case oid.Equal(oidData):
			contents, err = content.Octets()
		case oid.Equal(oidEncryptedData):
			contents, err = r.decrypt(content)
		default:
			err = fmt.Errorf("%w: a safe that is protected by a public key (%s)", pbe.ErrUnsupported, oid)
		}
		if err == nil {
			err = r.readContents(contents, oid.Equal(oidEncryptedData))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// decrypt opens EncryptedData (RFC 2315, section 13).
func (r *safeReader) decrypt(e ber.Element) ([]byte, error) {
	parts, err := e.Sequence(2)
	if err != nil {
		return nil, err
	}
	info, err := parts[1].Sequence(3)
	if err != nil {
		return nil, err
	}
	data, err := info[2].Octets()
	if err != nil {
		return nil, err
	}
	return pbe.Decrypt(info[1], data, r.password)
}

// readContents parses SafeContents. Bytes that were just decrypted and make no
// sense come from a wrong password, if there was no checksum to tell before.
func (r *safeReader) readContents(data []byte, decrypted bool) error {
	top, _, err := ber.Parse(data)
	if err == nil {
		err = r.readBags(top)
	}
	if decrypted && errors.Is(err, ber.ErrMalformed) {
		return pbe.ErrPassword
	}
	return err
}

// maxNesting bounds safes in safes.
const maxNesting = 16

func (r *safeReader) readBags(contents ber.Element) error {
	if r.depth++; r.depth > maxNesting {
		return fmt.Errorf("%w: safes nested too deep", ber.ErrMalformed)
	}
	defer func() { r.depth-- }()
	bags, err := contents.Sequence(0)
	if err != nil {
		return err
	}
	for _, b := range bags {
		oid, value, err := contentInfo(b)
		if err == nil {
			err = r.readBag(oid, value, friendlyName(b))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// readBag reads one SafeBag (RFC 7292, section 4.2). Secrets are passed over.
func (r *safeReader) readBag(oid asn1.ObjectIdentifier, value ber.Element, alias string) error {
	switch {
	case oid.Equal(oidKeyBag):
		r.bag.keys = append(r.bag.keys, pfxItem{value.Full, alias})
	case oid.Equal(oidShroudedBag):
		der, err := r.openKey(value)
		if err != nil {
			return err
		}
		r.bag.keys = append(r.bag.keys, pfxItem{der, alias})
	case oid.Equal(oidCertBag):
		return readInner(value, oidX509, alias, &r.bag.certs)
	case oid.Equal(oidCRLBag):
		return readInner(value, oidX509CRL, alias, &r.bag.crls)
	case oid.Equal(oidSafeBag):
		return r.readBags(value)
	}
	return nil
}

// friendlyName returns the attribute of that name (RFC 2985, section 5.5.1) of a
// SafeBag, or "". What is wrong with attributes is no reason to refuse the bag.
func friendlyName(bag ber.Element) string {
	parts, err := bag.Sequence(3)
	if err != nil {
		return ""
	}
	attributes, err := parts[2].Children()
	if err != nil {
		return ""
	}
	for _, a := range attributes {
		fields, err := a.Sequence(2)
		if err != nil {
			continue
		}
		if oid, err := fields[0].OID(); err != nil || !oid.Equal(oidFriendlyName) {
			continue
		}
		if values, err := fields[1].Children(); err == nil && len(values) > 0 {
			text, _ := dn.Text(asn1.RawValue{Tag: values[0].Tag, Bytes: values[0].Content})
			return text
		}
	}
	return ""
}

// openKey decrypts a key. One that has another password than the file, which
// keytool can make, and one whose cipher is not known come out as they are: the
// rest of the file is of use all the same.
func (r *safeReader) openKey(info ber.Element) ([]byte, error) {
	der, err := pbe.OpenInfo(info, r.password)
	if err == nil {
		// One in 256 wrong passwords leaves a padding that looks right.
		if e, rest, perr := ber.Parse(der); perr != nil || len(rest) > 0 || !e.Is(asn1.TagSequence) {
			err = pbe.ErrPassword
		}
	}
	if r.verified && errors.Is(err, pbe.ErrPassword) || errors.Is(err, pbe.ErrUnsupported) {
		return info.Full, nil
	}
	return der, err
}

// readInner reads what a CertBag and a CRLBag have in common: a kind, and bytes.
// Another kind than X.509 is passed over.
func readInner(value ber.Element, want asn1.ObjectIdentifier, alias string, list *[]pfxItem) error {
	kind, content, err := contentInfo(value)
	if err != nil || !kind.Equal(want) {
		return err
	}
	der, err := content.Octets()
	if err == nil {
		*list = append(*list, pfxItem{der, alias})
	}
	return err
}

// pfxError turns what the reader met into words.
func pfxError(err error, withPassword bool) error {
	switch {
	case errors.Is(err, pbe.ErrPassword) && !withPassword:
		return report.Errorf(report.KindInput, CodePFXPassword, "give its password with --password-file or --password-env",
			"the PFX file has a password")
	case errors.Is(err, pbe.ErrPassword):
		return report.Errorf(report.KindInput, CodePFXPassword,
			"check the password: capitals, keyboard layout, a space at its end; if it is surely right, copy the file again",
			"the password does not open the PFX file")
	case errors.Is(err, pbe.ErrUnsupported):
		return report.Errorf(report.KindInput, CodePFXUnsupported,
			"export it again with AES-256 or TripleDES protection, or write it anew with openssl pkcs12 -legacy",
			"the PFX file is protected or laid out in a way that is not supported: %w", err)
	}
	return report.Errorf(report.KindInput, CodePFXDamaged, "copy or export the file again", "the PFX file is damaged: %w", err)
}
