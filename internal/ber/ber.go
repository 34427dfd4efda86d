// Package ber walks through ASN.1 in the basic encoding rules (X.690, clause 8),
// as other programs write it into certificate bundles: with indefinite lengths,
// with strings in pieces, with lengths in more bytes than they need.
//
// The standard library and cryptobyte read DER alone. This package reads the
// structure and leaves the bytes as they were sent, which a checksum over them
// needs. It writes nothing.
package ber

import (
	"encoding/asn1"
	"errors"
	"fmt"
	"math"
)

// Bounds on what a file may ask for. Real bundles have about 15 levels.
const (
	maxDepth    = 64
	maxElements = 100_000
)

// ErrMalformed is wrapped by every error of this package.
var ErrMalformed = errors.New("ASN.1 is damaged")

// Element is one value with its tag.
type Element struct {
	Class       int // asn1.ClassUniversal and so on
	Tag         int
	Constructed bool
	// Content is what stands between the header and the end, as it was sent.
	Content []byte
	// Full is the element as it was sent, with header and end marker.
	Full []byte

	depth int
}

// Parse reads the first element of data and returns what stands behind it.
func Parse(data []byte) (e Element, rest []byte, err error) {
	budget := maxElements
	return parse(data, 0, &budget)
}

// parse reads an element. An indefinite length is resolved by walking through
// the elements inside; budget bounds how many.
func parse(data []byte, depth int, budget *int) (e Element, rest []byte, err error) {
	if *budget--; *budget < 0 || depth > maxDepth {
		return e, nil, fmt.Errorf("%w: nested too deep or too many values", ErrMalformed)
	}
	e.depth = depth
	header, length, err := e.header(data)
	if err != nil {
		return e, nil, err
	}
	body := data[header:]
	if length >= 0 {
		if length > len(body) {
			return e, nil, fmt.Errorf("%w: cut short by %d bytes", ErrMalformed, length-len(body))
		}
		e.Content, e.Full = body[:length], data[:header+length]
		return e, body[length:], nil
	}
	if !e.Constructed {
		return e, nil, fmt.Errorf("%w: indefinite length of a simple value", ErrMalformed)
	}
	inside := body
	for len(inside) < 2 || inside[0] != 0 || inside[1] != 0 {
		if len(inside) == 0 {
			return e, nil, fmt.Errorf("%w: the end of an indefinite length is missing", ErrMalformed)
		}
		if _, inside, err = parse(inside, depth+1, budget); err != nil {
			return e, nil, err
		}
	}
	size := len(body) - len(inside)
	e.Content, e.Full = body[:size], data[:header+size+2]
	return e, inside[2:], nil
}

// header reads tag and length. The length is -1 when it is indefinite.
func (e *Element) header(data []byte) (header, length int, err error) {
	short := fmt.Errorf("%w: cut short", ErrMalformed)
	if len(data) < 2 {
		return 0, 0, short
	}
	e.Class, e.Constructed, e.Tag = int(data[0]>>6), data[0]&0x20 != 0, int(data[0]&0x1f)
	header = 1
	if e.Tag == 0x1f { // high tag numbers: base 128
		e.Tag = 0
		for more := true; more; header++ {
			if header >= len(data) || header > 4 {
				return 0, 0, short
			}
			e.Tag = e.Tag<<7 | int(data[header]&0x7f)
			more = data[header]&0x80 != 0
		}
	}
	if header >= len(data) {
		return 0, 0, short
	}
	first := data[header]
	header++
	switch {
	case first < 0x80:
		return header, int(first), nil
	case first == 0x80:
		return header, -1, nil
	}
	var long int64
	for n := int(first & 0x7f); n > 0; n-- {
		if header >= len(data) {
			return 0, 0, short
		}
		if long = long<<8 | int64(data[header]); long > math.MaxInt32 {
			return 0, 0, fmt.Errorf("%w: impossible length", ErrMalformed)
		}
		header++
	}
	return header, int(long), nil
}

// Is reports whether the element has this universal tag.
func (e Element) Is(tag int) bool { return e.Class == asn1.ClassUniversal && e.Tag == tag }

// IsContext reports whether the element has this context-specific tag.
func (e Element) IsContext(tag int) bool { return e.Class == asn1.ClassContextSpecific && e.Tag == tag }

// Children returns the elements inside a constructed element.
func (e Element) Children() ([]Element, error) {
	if !e.Constructed {
		return nil, fmt.Errorf("%w: a simple value where a list is due", ErrMalformed)
	}
	var list []Element
	budget := maxElements
	for rest := e.Content; len(rest) > 0; {
		var child Element
		var err error
		if child, rest, err = parse(rest, e.depth+1, &budget); err != nil {
			return nil, err
		}
		list = append(list, child)
	}
	return list, nil
}

// Sequence returns the elements of a SEQUENCE that has at least least of them.
func (e Element) Sequence(least int) ([]Element, error) {
	if !e.Is(asn1.TagSequence) {
		return nil, fmt.Errorf("%w: tag %d where a SEQUENCE is due", ErrMalformed, e.Tag)
	}
	list, err := e.Children()
	if err == nil && len(list) < least {
		err = fmt.Errorf("%w: a SEQUENCE of %d where %d are due", ErrMalformed, len(list), least)
	}
	return list, err
}

// Octets returns the bytes of an OCTET STRING, also of one in pieces and of one
// under an implicit tag.
func (e Element) Octets() ([]byte, error) {
	if !e.Constructed {
		return e.Content, nil
	}
	pieces, err := e.Children()
	if err != nil {
		return nil, err
	}
	var all []byte
	for _, p := range pieces {
		if !p.Is(asn1.TagOctetString) {
			return nil, fmt.Errorf("%w: tag %d inside an OCTET STRING", ErrMalformed, p.Tag)
		}
		piece, err := p.Octets()
		if err != nil {
			return nil, err
		}
		all = append(all, piece...)
	}
	return all, nil
}

// Inside returns the one element inside an explicit tag.
func (e Element) Inside() (Element, error) {
	list, err := e.Children()
	if err != nil {
		return Element{}, err
	}
	if len(list) != 1 {
		return Element{}, fmt.Errorf("%w: %d values under a tag for one", ErrMalformed, len(list))
	}
	return list[0], nil
}

// OID returns an object identifier.
func (e Element) OID() (asn1.ObjectIdentifier, error) {
	var oid asn1.ObjectIdentifier
	if !e.Is(asn1.TagOID) || e.Constructed {
		return nil, fmt.Errorf("%w: tag %d where an object identifier is due", ErrMalformed, e.Tag)
	}
	if _, err := asn1.Unmarshal(append([]byte{asn1.TagOID}, shortLength(e.Content)...), &oid); err != nil {
		return nil, fmt.Errorf("%w: object identifier", ErrMalformed)
	}
	return oid, nil
}

// shortLength puts the length in front of a content of at most 127 bytes; a
// longer one comes out as a length that does not fit.
func shortLength(content []byte) []byte {
	return append([]byte{byte(min(len(content), 127))}, content...)
}

// Int returns an INTEGER that fits into 63 bits and is not negative; larger
// ones, which no file needs, come out as math.MaxInt64.
func (e Element) Int() (int64, error) {
	if !e.Is(asn1.TagInteger) || e.Constructed || len(e.Content) == 0 || e.Content[0]&0x80 != 0 {
		return 0, fmt.Errorf("%w: no whole number where one is due", ErrMalformed)
	}
	var n int64
	for _, b := range e.Content {
		if n > math.MaxInt64>>8 {
			return math.MaxInt64, nil
		}
		n = n<<8 | int64(b)
	}
	return n, nil
}
