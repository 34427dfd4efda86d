package pkcs

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"  //nolint:gosec // G501: others' files have such checksums
	"crypto/sha1" //nolint:gosec // G505: likewise
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"hash"

	"onsite/internal/ber"
	"onsite/internal/pbe"
	"onsite/report"
)

// The reader of PFX files. It takes what RFC 7292 allows and other programs
// write: indefinite lengths and strings in pieces (NSS, older Bouncy Castle),
// any number of safes, safes in safes, no checksum, zero bytes behind the end.
// go-pkcs12, which reads DER alone, writes our bundles.

// Object identifiers of RFC 7292, section 4 and appendix D, and of PKCS#7.
var (
	oidData          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidSignedData    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidEncryptedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 6}

	oidKeyBag      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 1}
	oidShroudedBag = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 2}
	oidCertBag     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 3}
	oidSafeBag     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 6}
	oidX509        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 22, 1}

	oidPBMAC1 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 14}
)

// digests are the hashes of checksums.
var digests = []struct {
	oid asn1.ObjectIdentifier
	new func() hash.Hash
}{
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 5}, md5.New},
	{asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}, sha1.New},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 4}, sha256.New224},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, sha256.New},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}, sha512.New384},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}, sha512.New},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 5}, sha512.New512_224},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 6}, sha512.New512_256},
}

// ReadPFX opens a PFX file (PKCS#12, RFC 7292). The errors tell a wrong
// password, a damaged file and unsupported protection apart.
func ReadPFX(data, password []byte) (*Bag, error) {
	if !IsPFX(data) {
		der, ok := bareBase64(plainText(data)) // as some portals and mail programs hand it out
		if !ok || !IsPFX(der) {
			return nil, notPFX(data)
		}
		data = der
	}
	bag, err := readPFX(data, password)
	if err != nil {
		return nil, pfxError(err, len(password) > 0)
	}
	return bag, nil
}

func readPFX(data, password []byte) (*Bag, error) {
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
	// With an empty password, programs differ in whether there is one at all.
	passwords := []pbe.Password{pbe.NewPassword(password)}
	if len(password) == 0 {
		passwords = append(passwords, passwords[0].Absent())
	}
	verified := len(parts) > 2
	if verified {
		right, err := verifyMAC(parts[2], safe, passwords)
		if err != nil {
			return nil, err
		}
		passwords = []pbe.Password{right}
	}
	for _, p := range passwords {
		r := safeReader{password: p, verified: verified, bag: &Bag{}}
		if err = r.readSafe(safe); err == nil {
			return r.bag, nil
		}
		if !errors.Is(err, pbe.ErrPassword) {
			break
		}
	}
	return nil, err
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
	bag      *Bag
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
			err = r.readBag(oid, value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// readBag reads one SafeBag (RFC 7292, section 4.2). CRLs and secrets are passed
// over.
func (r *safeReader) readBag(oid asn1.ObjectIdentifier, value ber.Element) error {
	switch {
	case oid.Equal(oidKeyBag):
		r.bag.Keys = append(r.bag.Keys, &pem.Block{Type: "PRIVATE KEY", Bytes: value.Full})
	case oid.Equal(oidShroudedBag):
		der, err := r.openKey(value)
		if err != nil {
			return err
		}
		r.bag.Keys = append(r.bag.Keys, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
	case oid.Equal(oidCertBag):
		return r.readCert(value)
	case oid.Equal(oidSafeBag):
		return r.readBags(value)
	}
	return nil
}

// errKeyPassword is a key with another password than the file's, which keytool
// can make.
var errKeyPassword = errors.New("the key has another password than the file")

func (r *safeReader) openKey(info ber.Element) ([]byte, error) {
	der, err := pbe.OpenInfo(info, r.password)
	if err == nil {
		// One in 256 wrong passwords leaves a padding that looks right.
		if e, rest, perr := ber.Parse(der); perr != nil || len(rest) > 0 || !e.Is(asn1.TagSequence) {
			err = pbe.ErrPassword
		}
	}
	if r.verified && errors.Is(err, pbe.ErrPassword) {
		return nil, errKeyPassword
	}
	return der, err
}

func (r *safeReader) readCert(value ber.Element) error {
	kind, content, err := contentInfo(value)
	if err != nil || !kind.Equal(oidX509) {
		return err // another kind than X.509 is passed over
	}
	der, err := content.Octets()
	if err != nil {
		return err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("%w: certificate %d: %w", pbe.ErrUnsupported, len(r.bag.Certs)+1, err)
	}
	r.bag.Certs = append(r.bag.Certs, cert)
	return nil
}

// pfxError turns what the reader met into words.
func pfxError(err error, withPassword bool) error {
	switch {
	case errors.Is(err, errKeyPassword):
		return report.Errorf(report.KindInput, "pfx.key.password", "export the bundle again with one password for all of it",
			"the key in the PFX file has another password than the file")
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
