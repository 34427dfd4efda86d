package zk

import (
	"encoding/binary"
	"math/bits"
	"strconv"

	"onsite/report"
)

// Key is the number that a clock may ask for before it answers (the menu calls
// it comm key or communication password); 0 is none.
type Key uint32

// ParseKey reads a key as it is typed into the clock's menu: digits alone. The
// error says nothing of what was read.
func ParseKey(text []byte) (Key, error) {
	n, err := strconv.ParseUint(string(text), 10, 32)
	if err != nil {
		return 0, report.Errorf(report.KindInput, "device.key.format", "give the number from the clock's menu, of up to 6 digits on most clocks",
			"the comm key is not a number")
	}
	return Key(n), nil
}

// tick goes into the scrambled key, and in clear beside it. Any value would do;
// this is what everybody sends.
const tick = 50

// scramble hides a key for CmdAuth. It keeps nothing secret: who hears it can
// compute the key.
func (k Key) scramble(session uint16, tick byte) [4]byte {
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], bits.Reverse32(uint32(k))+uint32(session)) // wraps
	b[0] ^= 'Z'
	b[1] ^= 'K'
	b[2] ^= 'S'
	b[3] ^= 'O'
	return [4]byte{b[2] ^ tick, b[3] ^ tick, tick, b[1] ^ tick}
}
