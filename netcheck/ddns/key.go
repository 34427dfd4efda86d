package ddns

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/miekg/dns"

	"onsite/internal/dnsq"
	"onsite/report"
)

// Key is a TSIG key: the secret that a name server shares with those who may
// change its records (RFC 8945).
type Key struct {
	Name      string // with the final dot, in lower case
	Algorithm string // with the final dot: "hmac-sha256."
	secret    string // base64
}

// DefaultAlgorithm is that of a key that names none.
const DefaultAlgorithm = "hmac-sha256"

// Algorithms lists what a key may be for.
func Algorithms() []string {
	return []string{"hmac-sha1", "hmac-sha224", DefaultAlgorithm, "hmac-sha384", "hmac-sha512"}
}

// ParseKey reads a key as BIND keeps it,
//
//	key "onsite-ddns" { algorithm hmac-sha256; secret "..."; };
//
// or on one line: NAME SECRET, NAME ALGORITHM SECRET, or as nsupdate -y takes it,
// [ALGORITHM:]NAME:SECRET. algorithm is for a key that names none; "" means
// DefaultAlgorithm. The error is a *report.Error that shows nothing of the secret.
func ParseKey(text, algorithm string) (Key, error) {
	k, err := parseKey(strings.TrimPrefix(text, "\ufeff"))
	if err == nil {
		if k.Algorithm == "" {
			k.Algorithm = algorithm
		}
		err = k.tidy()
	}
	if err != nil {
		return Key{}, report.Errorf(report.KindInput, "ddns.key.format",
			`a key looks as tsig-keygen writes it: key "name" { algorithm hmac-sha256; secret "..."; }; or on one line: name hmac-sha256 secret`,
			"the TSIG key is wrong: %w", err)
	}
	return k, nil
}

func parseKey(text string) (Key, error) {
	tokens, err := keyTokens(text)
	switch {
	case err != nil:
		return Key{}, err
	case len(tokens) == 0:
		return Key{}, errors.New("there is nothing")
	case slices.Contains(tokens, "{"):
		return parseStatement(tokens)
	}
	tokens = slices.DeleteFunc(tokens, func(t string) bool { return t == ";" })
	if len(tokens) == 1 {
		tokens = strings.Split(tokens[0], ":")
		if len(tokens) == 3 { // nsupdate's order
			tokens[0], tokens[1] = tokens[1], tokens[0]
		}
	}
	switch len(tokens) {
	case 2:
		return Key{Name: tokens[0], secret: tokens[1]}, nil
	case 3:
		return Key{Name: tokens[0], Algorithm: tokens[1], secret: tokens[2]}, nil
	case 1:
		return Key{}, errors.New("there is a single word, where a name and a secret were expected")
	}
	return Key{}, errors.New("there is more than a name, an algorithm and a secret")
}

// parseStatement reads the key statement of named.conf. Others may stand around
// it, but only one key.
func parseStatement(tokens []string) (Key, error) {
	var found []Key
	for len(tokens) > 0 {
		at := slices.Index(tokens, "key")
		if at < 0 || at+2 >= len(tokens) || tokens[at+2] != "{" {
			break
		}
		k := Key{Name: tokens[at+1]}
		tokens = tokens[at+3:]
		end := slices.Index(tokens, "}")
		if end < 0 {
			return Key{}, errors.New("the closing } is missing")
		}
		for i := 0; i+1 < end; i++ {
			switch strings.ToLower(tokens[i]) {
			case "algorithm":
				i++
				k.Algorithm = tokens[i]
			case "secret":
				i++
				k.secret = tokens[i]
			}
		}
		tokens = tokens[end+1:]
		found = append(found, k)
	}
	switch len(found) {
	case 0:
		return Key{}, errors.New(`there is no key "name" { ... }`)
	case 1:
		return found[0], nil
	}
	return Key{}, fmt.Errorf("there are %d keys, and it is not clear which is meant", len(found))
}

// keyTokens splits a text at spaces and punctuation. The three kinds of comment
// of named.conf are left out.
func keyTokens(text string) ([]string, error) {
	const most = 4096
	var tokens []string
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		if len(tokens) > most {
			return nil, errors.New("this is too long for a key")
		}
		switch {
		case text[0] == '#' || strings.HasPrefix(text, "//"):
			_, text, _ = strings.Cut(text, "\n")
		case strings.HasPrefix(text, "/*"):
			_, rest, ok := strings.Cut(text, "*/")
			if !ok {
				return nil, errors.New("a comment has no end")
			}
			text = rest
		case text[0] == '"':
			word, rest, ok := strings.Cut(text[1:], `"`)
			if !ok {
				return nil, errors.New("a quotation mark is missing")
			}
			tokens, text = append(tokens, word), rest
		case strings.ContainsRune("{};", rune(text[0])):
			tokens, text = append(tokens, text[:1]), text[1:]
		default:
			end := strings.IndexFunc(text, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`{};"`, r) })
			if end < 0 {
				end = len(text)
			}
			tokens, text = append(tokens, text[:end]), text[end:]
		}
	}
	return tokens, nil
}

// tidy checks the parts and gives them the form in which they are compared.
func (k *Key) tidy() error {
	algorithm := strings.ToLower(strings.TrimSuffix(k.Algorithm, "."))
	switch algorithm {
	case "":
		algorithm = DefaultAlgorithm
	case "hmac-md5", "hmac-md5.sig-alg.reg.int":
		return errors.New("hmac-md5 is broken and not used any more (RFC 8945, section 6); make a new key with tsig-keygen")
	}
	if !slices.Contains(Algorithms(), algorithm) {
		return fmt.Errorf("its algorithm is none of %s", strings.Join(Algorithms(), ", "))
	}
	k.Algorithm = algorithm + "."
	if !dnsq.Valid(k.Name) || k.Name == "." || strings.ContainsAny(k.Name, `\"{};`) {
		return errors.New("it has no name that a server could know")
	}
	// Without the final dot the library finds no secret for it and says something
	// else: github.com/miekg/dns/issues/1661.
	k.Name = dns.CanonicalName(k.Name)
	raw, err := base64.StdEncoding.DecodeString(k.secret)
	switch {
	case err != nil:
		return errors.New("its secret is not base64")
	case len(raw) == 0:
		return errors.New("its secret is empty")
	}
	return nil
}
