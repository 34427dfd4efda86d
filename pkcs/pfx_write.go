package pkcs

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // G505: what old Windows and Android read, and identifiers
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"unicode/utf16"

	"onsite/csr"
	"onsite/internal/pbe"
	"onsite/report"
)

// The writer of PFX files (RFC 7292). go-pkcs12, which reads what is written here
// in the tests, gives a key no friendly name, without which Windows shows none
// and Java calls it "1".

// Protection is how a bundle is protected, by who is to read it.
type Protection struct {
	Name string // "modern"
	Who  string // who reads it, for people
	aes  bool   // else TripleDES and SHA-1
	// rounds of the key derivations, and of the one for the checksum.
	rounds int
}

// Protections are those that EncodePFX knows, the usual one first. AES is read by
// OpenSSL 1.0 and later, NSS, GnuTLS, Java 8u301 and later, and Windows from 10
// (1709) and Server 2019 on; older Windows and Android call its password wrong.
var Protections = []Protection{
	{"modern", "Windows 10 and Server 2019 or later, OpenSSL, Firefox", true, 100_000},
	{"windows2016", "Windows Server 2016 and older", false, 2000},
	{"java", "Java 8u301 or later", true, 10_000},
	{"android", "Android", false, 2000},
}

// PFX is what goes into a bundle.
type PFX struct {
	Key   crypto.Signer
	Leaf  *x509.Certificate
	Chain []*x509.Certificate // the certificates above it, in the order to write
	// FriendlyName is what programs call key and certificate; Java's alias.
	FriendlyName string
	Protection   Protection // the zero value: the first of Protections
}

// EncodePFX writes a bundle under a password, which must not be empty. It refuses
// a certificate that does not belong to the key.
func EncodePFX(b PFX, password []byte) ([]byte, error) {
	if !SameKey(b.Key, b.Leaf) {
		return nil, report.Errorf(report.KindInput, "set.key.mismatch", "use the key that the request was made with",
			"the private key does not belong to the certificate %s", name(b.Leaf))
	}
	if b.Protection.Name == "" {
		b.Protection = Protections[0]
	}
	w := pfxWriter{Protection: b.Protection, text: password, password: pbe.NewPassword(password)}
	safe, err := w.authenticatedSafe(b)
	if err != nil {
		return nil, fmt.Errorf("encode the bundle: %w", err)
	}
	return w.whole(safe)
}

type pfxWriter struct {
	Protection
	text     []byte
	password pbe.Password
}

// The structures of RFC 7292, section 4, and RFC 2315.
type (
	contentInfoValue struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue
	}
	encryptedDataValue struct {
		Version int
		Info    encryptedContent
	}
	encryptedContent struct {
		Type      asn1.ObjectIdentifier
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte `asn1:"tag:0"`
	}
	safeBag struct {
		ID         asn1.ObjectIdentifier
		Value      asn1.RawValue
		Attributes []bagAttribute `asn1:"set,omitempty"`
	}
	bagAttribute struct {
		ID     asn1.ObjectIdentifier
		Values []asn1.RawValue `asn1:"set"`
	}
	certBagValue struct {
		ID   asn1.ObjectIdentifier
		Data asn1.RawValue
	}
	pfxValue struct {
		Version int
		Safe    contentInfoValue
		MAC     macData
	}
	macData struct {
		Digest     digestInfo
		Salt       []byte
		Iterations int
	}
	digestInfo struct {
		Algorithm pkix.AlgorithmIdentifier
		Digest    []byte
	}
)

var oidLocalKeyID = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 21}

// explicit puts a DER value under the tag 0.
func explicit(der []byte) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: der}
}

// authenticatedSafe writes the certificates into one encrypted safe and the
// encrypted key into another that is in clear, as all programs do.
func (w *pfxWriter) authenticatedSafe(b PFX) ([]byte, error) {
	attributes, err := bagAttributes(b.Leaf, b.FriendlyName)
	if err != nil {
		return nil, err
	}
	certs, err := w.certSafe(b, attributes)
	if err != nil {
		return nil, err
	}
	key, err := csr.EncodeKey(b.Key, csr.PKCS8, nil)
	if err != nil {
		return nil, err
	}
	pkcs8, _ := pem.Decode(key)
	shrouded, err := w.encrypt(pkcs8.Bytes)
	if err != nil {
		return nil, err
	}
	der, err := asn1.Marshal(shrouded)
	if err != nil {
		return nil, err
	}
	contents, err := asn1.Marshal([]safeBag{{oidShroudedBag, explicit(der), attributes}})
	if err != nil {
		return nil, err
	}
	keys, err := dataInfo(contents)
	if err != nil {
		return nil, err
	}
	return asn1.Marshal([]contentInfoValue{certs, keys})
}

func (w *pfxWriter) certSafe(b PFX, attributes []bagAttribute) (contentInfoValue, error) {
	var bags []safeBag
	for i, c := range append([]*x509.Certificate{b.Leaf}, b.Chain...) {
		data, err := asn1.Marshal(c.Raw)
		if err != nil {
			return contentInfoValue{}, err
		}
		der, err := asn1.Marshal(certBagValue{oidX509, explicit(data)})
		if err != nil {
			return contentInfoValue{}, err
		}
		bag := safeBag{ID: oidCertBag, Value: explicit(der)}
		if i == 0 {
			bag.Attributes = attributes
		}
		bags = append(bags, bag)
	}
	plain, err := asn1.Marshal(bags)
	if err != nil {
		return contentInfoValue{}, err
	}
	sealed, err := w.encrypt(plain)
	if err != nil {
		return contentInfoValue{}, err
	}
	der, err := asn1.Marshal(encryptedDataValue{0, encryptedContent{oidData, sealed.Algorithm, sealed.Data}})
	return contentInfoValue{oidEncryptedData, explicit(der)}, err
}

func (w *pfxWriter) encrypt(plain []byte) (pbe.Encrypted, error) {
	if w.aes {
		return pbe.EncryptAES(plain, w.text, w.rounds)
	}
	return pbe.EncryptTripleDES(plain, w.password, w.rounds)
}

// bagAttributes are friendlyName and localKeyID (RFC 2985, sections 5.5.1 and
// 5.5.2): the second tells which certificate belongs to which key.
func bagAttributes(leaf *x509.Certificate, friendlyName string) ([]bagAttribute, error) {
	id := sha1.Sum(leaf.Raw) //nolint:gosec // G401: an identifier
	local, err := asn1.Marshal(id[:])
	if err != nil {
		return nil, err
	}
	list := []bagAttribute{{oidLocalKeyID, []asn1.RawValue{{FullBytes: local}}}}
	if friendlyName == "" {
		return list, nil
	}
	var bmp []byte
	for _, unit := range utf16.Encode([]rune(friendlyName)) {
		bmp = binary.BigEndian.AppendUint16(bmp, unit)
	}
	name := asn1.RawValue{Class: asn1.ClassUniversal, Tag: asn1.TagBMPString, Bytes: bmp}
	return append([]bagAttribute{{oidFriendlyName, []asn1.RawValue{name}}}, list...), nil
}

func dataInfo(content []byte) (contentInfoValue, error) {
	der, err := asn1.Marshal(content)
	return contentInfoValue{oidData, explicit(der)}, err
}

// whole puts the checksum beside the safe (RFC 7292, section 5.1).
func (w *pfxWriter) whole(safe []byte) ([]byte, error) {
	newHash, oid := sha1.New, oidSHA1
	if w.aes {
		newHash, oid = sha256.New, oidSHA256
	}
	salt := make([]byte, 16)
	rand.Read(salt)
	mac := hmac.New(newHash, pbe.DerivePKCS12(newHash, pbe.MACMaterial, w.password, salt, w.rounds, newHash().Size()))
	mac.Write(safe)
	info, err := dataInfo(safe)
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(pfxValue{3, info, macData{
		digestInfo{pkix.AlgorithmIdentifier{Algorithm: oid, Parameters: asn1.NullRawValue}, mac.Sum(nil)}, salt, w.rounds,
	}})
}
