package reach

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"io"
	"net"
)

// beacon is what proves that it is this very process that answers: a key that
// never leaves it, and a fresh question each time.
//
//	asked:    "onsite-beacon/1" LF, 32 random bytes n
//	answered: HMAC-SHA256(key, "onsite-beacon/1" | n | outside port, big-endian)
//
// A pipe in between learns no key and can neither forge nor replay an answer.
// With the port in it, it cannot lead the question to another forwarding either.
type beacon struct {
	key  [32]byte
	port int // outside
}

const (
	beaconName  = "onsite-beacon/1"
	beaconHello = beaconName + "\n"
	nonceSize   = 32
)

func newBeacon(port int) *beacon {
	b := &beacon{port: port}
	rand.Read(b.key[:])
	return b
}

func (b *beacon) answer(nonce []byte) []byte {
	mac := hmac.New(sha256.New, b.key[:])
	mac.Write([]byte(beaconName))
	mac.Write(nonce)
	mac.Write(binary.BigEndian.AppendUint16(nil, uint16(b.port))) //nolint:gosec // G115: a port
	return mac.Sum(nil)
}

// ask sends a question and judges the answer.
func (b *beacon) ask(conn net.Conn) (Identity, error) {
	nonce := make([]byte, nonceSize)
	rand.Read(nonce)
	if _, err := conn.Write(append([]byte(beaconHello), nonce...)); err != nil {
		return Identity{}, err
	}
	got := make([]byte, sha256.Size)
	n, err := io.ReadFull(conn, got)
	switch {
	case err == nil && hmac.Equal(got, b.answer(nonce)):
		return Identity{Kind: KindBeacon, Proved: true}, nil
	case err == nil && sniff(got).Kind != KindOther, n == 0:
		return Identity{}, io.ErrUnexpectedEOF // another service; what was heard says which
	case err != nil:
		return Identity{}, err
	}
	return Identity{Kind: KindOther, Banner: banner(got)}, errNotThisBeacon
}

// serve answers a question that comes on a connection, whose first bytes hello
// were read already. It reports whether it was one.
func (b *beacon) serve(conn io.ReadWriter) bool {
	hello := make([]byte, len(beaconHello)+nonceSize)
	if _, err := io.ReadFull(conn, hello); err != nil || string(hello[:len(beaconHello)]) != beaconHello {
		return false
	}
	_, err := conn.Write(b.answer(hello[len(beaconHello):]))
	return err == nil
}
