package pbe

import (
	"bytes"
	"crypto/cipher"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

// TestRC2 runs the vectors of RFC 2268, section 5.
func TestRC2(t *testing.T) {
	t.Parallel()
	for _, v := range []struct {
		key           string
		bits          int
		plain, cipher string
	}{
		{"0000000000000000", 63, "0000000000000000", "ebb773f993278eff"},
		{"ffffffffffffffff", 64, "ffffffffffffffff", "278b27e42e2f0d49"},
		{"3000000000000000", 64, "1000000000000001", "30649edf9be7d2c2"},
		{"88", 64, "0000000000000000", "61a8a244adacccf0"},
		{"88bca90e90875a", 64, "0000000000000000", "6ccf4308974c267f"},
		{"88bca90e90875a7f0f79c384627bafb2", 64, "0000000000000000", "1a807d272bbe5db1"},
		{"88bca90e90875a7f0f79c384627bafb2", 128, "0000000000000000", "2269552ab0f85ca6"},
		{"88bca90e90875a7f0f79c384627bafb216f80a6f85920584c42fceb0be255daf1e", 129, "0000000000000000", "5b78d3a43dfff1f1"},
	} {
		c := newRC2(unhex(t, v.key), v.bits)
		got := make([]byte, 8)
		c.Encrypt(got, unhex(t, v.plain))
		if !bytes.Equal(got, unhex(t, v.cipher)) {
			t.Errorf("RC2 key %s, %d bits: Encrypt(%s) = %x, want %s", v.key, v.bits, v.plain, got, v.cipher)
		}
		c.Decrypt(got, got)
		if !bytes.Equal(got, unhex(t, v.plain)) {
			t.Errorf("RC2 key %s, %d bits: Decrypt(%s) = %x, want %s", v.key, v.bits, v.cipher, got, v.plain)
		}
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestCiphers runs the vectors of RFC 3713, appendix A (Camellia), RFC 4269,
// appendix B (SEED), RFC 5794, appendix A (ARIA), and GB/T 32907-2016, annex A
// (SM4).
func TestCiphers(t *testing.T) {
	t.Parallel()
	const digits = "0123456789abcdeffedcba9876543210"
	const counted = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	const doubled = "00112233445566778899aabbccddeeff"
	for _, v := range []struct {
		name               string
		new                func([]byte) (cipher.Block, error)
		key, plain, cipher string
	}{
		{"Camellia", newCamellia, digits, digits, "67673138549669730857065648eabe43"},
		{"Camellia", newCamellia, digits + doubled[:16], digits, "b4993401b3e996f84ee5cee7d79b09b9"},
		{"Camellia", newCamellia, digits + doubled, digits, "9acc237dff16d76c20ef7c919e3a7509"},
		{"SEED", newSEED, strings.Repeat("0", 32), counted[:32], "5ebac6e0054e166819aff1cc6d346cdb"},
		{"SEED", newSEED, counted[:32], strings.Repeat("0", 32), "c11f22f20140505084483597e4370f43"},
		{"SEED", newSEED, "4706480851e61be85d74bfb3fd956185", "83a2f8a288641fb9a4e9a5cc2f131c7d", "ee54d13ebcae706d226bc3142cd40d4a"},
		{"ARIA", newARIA, counted[:32], doubled, "d718fbd6ab644c739da95f3be6451778"},
		{"ARIA", newARIA, counted[:48], doubled, "26449c1805dbe7aa25a468ce263a9e79"},
		{"ARIA", newARIA, counted, doubled, "f92bd7c79fb72e2f2b8f80c1972d24fc"},
		{"SM4", newSM4, digits, digits, "681edf34d206965e86b3e94f536e4246"},
	} {
		c, err := v.new(unhex(t, v.key))
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, c.BlockSize())
		c.Encrypt(got, unhex(t, v.plain))
		if !bytes.Equal(got, unhex(t, v.cipher)) {
			t.Errorf("%s key %s: Encrypt(%s) = %x, want %s", v.name, v.key, v.plain, got, v.cipher)
		}
		c.Decrypt(got, got)
		if !bytes.Equal(got, unhex(t, v.plain)) {
			t.Errorf("%s key %s: Decrypt(%s) = %x, want %s", v.name, v.key, v.cipher, got, v.plain)
		}
		if _, err := v.new(make([]byte, 15)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s with a key of 15 bytes: %v, want ErrDamaged", v.name, err)
		}
	}
}
