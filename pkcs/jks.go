package pkcs

import (
	"bytes"
	"encoding/asn1"
	"encoding/binary"
	"encoding/pem"
	"slices"

	"github.com/pavlo-v-chernykh/keystore-go/v4"

	"onsite/csr"
	"onsite/internal/ber"
	"onsite/report"
)

// Java keystores of the old kind. Since Java 9, keytool writes PKCS#12.

// The first bytes of the two kinds.
var (
	magicJKS   = []byte{0xfe, 0xed, 0xfe, 0xed}
	magicJCEKS = []byte{0xce, 0xce, 0xce, 0xce}
)

func isJKS(data []byte) bool {
	return bytes.HasPrefix(data, magicJKS) || bytes.HasPrefix(data, magicJCEKS)
}

// jks reads a keystore with the first password that opens it.
func (r *reader) jks(data []byte) error {
	if bytes.HasPrefix(data, magicJCEKS) {
		return report.Errorf(report.KindInput, "jks.unsupported", "convert it: keytool -importkeystore -srckeystore FILE -destkeystore new.p12 -deststoretype pkcs12",
			"the file is a Java keystore of the kind JCEKS")
	}
	if !jksWhole(data) {
		return report.Errorf(report.KindInput, "jks.damaged", "copy the file again", "the Java keystore is damaged: its lengths do not fit")
	}
	for _, p := range r.passwords {
		store := keystore.New(keystore.WithOrderedAliases(), keystore.WithCaseExactAliases())
		if len(p) > 0 && store.Load(bytes.NewReader(data), p) == nil {
			return r.jksEntries(store, p)
		}
	}
	if !hasPassword(r.passwords) {
		return report.Errorf(report.KindInput, CodePFXPassword, "give its password with --password-file or --password-env",
			"the Java keystore has a password")
	}
	return report.Errorf(report.KindInput, CodePFXPassword,
		"check the password: capitals, keyboard layout, a space at its end; if it is surely right, copy the file again",
		"the password does not open the Java keystore")
}

func (r *reader) jksEntries(store keystore.KeyStore, password []byte) error {
	for _, alias := range store.Aliases() {
		var chain []keystore.Certificate
		if store.IsPrivateKeyEntry(alias) {
			r.jksKey(store, alias, password)
			chain, _ = store.GetPrivateKeyEntryCertificateChain(alias)
		} else if entry, err := store.GetTrustedCertificateEntry(alias); err == nil {
			chain = []keystore.Certificate{entry.Certificate}
		}
		for _, c := range chain {
			if err := r.cert(c.Content, r.named(FormJKS, alias)); err != nil {
				return err
			}
		}
	}
	return nil
}

// jksKey adds the key of an entry. It may have a password of its own, which may
// be any of those that were given.
func (r *reader) jksKey(store keystore.KeyStore, alias string, password []byte) {
	for _, p := range append([][]byte{password}, r.passwords...) {
		entry, err := store.GetPrivateKeyEntry(alias, p)
		if err == nil {
			r.key(&pem.Block{Type: csr.KeyType(entry.PrivateKey), Bytes: entry.PrivateKey}, r.named(FormJKS, alias))
			return
		}
	}
	r.bag.Keys = append(r.bag.Keys, Key{Origin: r.named(FormJKS, alias), Block: &pem.Block{}, Err: report.Errorf(report.KindInput, csr.CodeKeyPassword,
		"give the key's password too, or make both the same with keytool -keypasswd", "the key %q in the Java keystore has another password than the keystore", alias)})
}

// jksWhole walks through a keystore and reports whether every length in it fits:
// the library believes them, and asks for that much memory.
func jksWhole(data []byte) bool {
	w := jksWalk{rest: data}
	w.skip(4)
	version := w.number(4)
	entries := w.number(4)
	for ; entries > 0 && !w.bad; entries-- {
		kind := w.number(4)
		w.skip(w.number(2)) // alias
		w.skip(8)           // time
		certs := 1
		if kind == 1 {
			key := w.skip(w.number(4))
			w.bad = w.bad || !jksKeyWhole(key)
			certs = w.number(4)
		}
		for ; certs > 0 && !w.bad; certs-- {
			if version == 2 {
				w.skip(w.number(2)) // type
			}
			w.skip(w.number(4))
		}
	}
	return !w.bad && (version == 1 || version == 2)
}

// jksKeyWhole looks for the least that an EncryptedPrivateKeyInfo of Java has: an
// algorithm, and a salt and a checksum of 20 bytes each.
func jksKeyWhole(der []byte) bool {
	e, _, err := ber.Parse(der)
	if err != nil {
		return false
	}
	parts, err := e.Sequence(2)
	return err == nil && parts[1].Is(asn1.TagOctetString) && len(parts[1].Content) > 40
}

// jksWalk reads numbers and skips what they count.
type jksWalk struct {
	rest []byte
	bad  bool
}

func (w *jksWalk) skip(n int) []byte {
	if n > len(w.rest) {
		w.bad = true
		return nil
	}
	skipped := w.rest[:n]
	w.rest = w.rest[n:]
	return skipped
}

func (w *jksWalk) number(size int) int {
	b := w.skip(size)
	if w.bad {
		return 0
	}
	return int(binary.BigEndian.Uint32(slices.Concat(make([]byte, 4-size), b)))
}
