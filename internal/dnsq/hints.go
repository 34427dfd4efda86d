package dnsq

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/miekg/dns"
)

// ReadZone reads records in the form of a zone file (RFC 1035, section 5), such as
// the list of root servers. Other files are not included.
func ReadZone(r io.Reader) ([]Record, error) {
	const longest = 1 << 20
	text, err := io.ReadAll(io.LimitReader(r, longest+1))
	if err != nil {
		return nil, err
	}
	if len(text) > longest {
		return nil, errors.New("more than 1 MiB")
	}
	var list []dns.RR
	parser := dns.NewZoneParser(strings.NewReader(string(text)), ".", "")
	parser.SetDefaultTTL(uint32(defaultTTL))
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		list = append(list, rr)
	}
	if err := parser.Err(); err != nil {
		return nil, fmt.Errorf("this is no zone file: %w", err)
	}
	return records(list), nil
}

const defaultTTL = 3600
