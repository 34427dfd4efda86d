package zk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Command is what a packet asks for, or how it answers.
type Command uint16

// The commands and replies that the package uses.
const (
	CmdOptionsRead Command = 11
	CmdEvent       Command = 500
	CmdConnect     Command = 1000
	CmdExit        Command = 1001
	CmdAuth        Command = 1102

	AckOK      Command = 2000
	AckError   Command = 2001
	AckUnauth  Command = 2005
	AckUnknown Command = 65535
)

// Packet is one message, of either side.
type Packet struct {
	Command Command
	// Session is given out by the clock when it is connected to. Some replies
	// use the field for something else.
	Session uint16
	// Reply numbers the requests; an answer has the number of its request.
	Reply   uint16
	Payload []byte
}

// The sizes of what stands before the payload, and the most that is read of one
// packet: a clock sends at most 64 KiB at a time.
const (
	headerSize   = 8
	envelopeSize = 8
	maxPacket    = 16 << 20
)

// magic begins the envelope that a packet has over TCP.
var magic = []byte{0x50, 0x50, 0x82, 0x7d}

// Errors of what was received. An ErrNoFrame is wrapped in a *ForeignError.
var (
	ErrNoFrame  = errors.New("this is no packet of port 4370's protocol")
	ErrLength   = errors.New("a packet says that it has a length that none has")
	ErrShort    = errors.New("a packet is shorter than its header")
	ErrChecksum = errors.New("a packet's checksum is wrong")
	ErrStrays   = errors.New("there are packets, and none of them is the answer")
)

// ForeignError is an answer of another protocol.
type ForeignError struct {
	Heard []byte // how it begins
}

func (e *ForeignError) Error() string {
	return fmt.Sprintf("the answer begins with %q, which is another protocol", e.Heard)
}

func (e *ForeignError) Unwrap() error { return ErrNoFrame }

// Append appends the packet as it is sent by UDP, with its checksum.
func (p Packet) Append(b []byte) []byte {
	start := len(b)
	b = binary.LittleEndian.AppendUint16(b, uint16(p.Command))
	b = append(b, 0, 0)
	b = binary.LittleEndian.AppendUint16(b, p.Session)
	b = binary.LittleEndian.AppendUint16(b, p.Reply)
	b = append(b, p.Payload...)
	binary.LittleEndian.PutUint16(b[start+2:], checksum(b[start:]))
	return b
}

// AppendFrame appends the packet as it is sent by TCP, in its envelope.
func (p Packet) AppendFrame(b []byte) []byte {
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint32(b, uint32(headerSize+len(p.Payload))) //nolint:gosec // G115: callers send little
	return p.Append(b)
}

// Parse takes a packet apart as it came by UDP, or out of its envelope. With a
// wrong checksum it returns the packet and ErrChecksum: libraries in the field
// look at none, so a terminal might send such. The payload is part of body.
func Parse(body []byte) (Packet, error) {
	if len(body) < headerSize {
		return Packet{}, ErrShort
	}
	p := Packet{
		Command: Command(binary.LittleEndian.Uint16(body)),
		Session: binary.LittleEndian.Uint16(body[4:]),
		Reply:   binary.LittleEndian.Uint16(body[6:]),
		Payload: body[headerSize:],
	}
	if checksum(body) != binary.LittleEndian.Uint16(body[2:]) {
		return p, ErrChecksum
	}
	return p, nil
}

// ReadFrame reads one envelope and returns what is in it. What begins otherwise
// than an envelope is a *ForeignError as soon as that shows: an SSH server's
// banner is never waited for to its end.
func ReadFrame(r io.Reader) ([]byte, error) {
	var head [envelopeSize]byte
	for n := 0; n < envelopeSize; {
		got, err := r.Read(head[n:])
		n += got
		if seen := head[:min(n, len(magic))]; !bytes.HasPrefix(magic, seen) {
			return nil, &ForeignError{Heard: bytes.Clone(head[:n])}
		}
		switch {
		case n == envelopeSize:
		case err == io.EOF && n > 0:
			return nil, io.ErrUnexpectedEOF
		case err != nil:
			return nil, err
		}
	}
	length := binary.LittleEndian.Uint32(head[len(magic):])
	if length < headerSize || length > maxPacket {
		return nil, fmt.Errorf("%w: %d bytes", ErrLength, length)
	}
	// Read as it comes: the length is a claim, and costs nothing until it is true.
	var body bytes.Buffer
	if _, err := io.CopyN(&body, r, int64(length)); err != nil {
		if err == io.EOF { //nolint:errorlint // io.CopyN returns io.EOF itself
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return body.Bytes(), nil
}

// checksum is the Internet checksum (RFC 1071) over little-endian words, with
// the checksum field taken as zero and an odd last byte filled up with zero.
func checksum(body []byte) uint16 {
	var sum uint32
	for i := 0; i < len(body); i += 2 {
		word := uint32(body[i])
		if i+1 < len(body) {
			word |= uint32(body[i+1]) << 8
		}
		if i != 2 {
			sum += word
			sum = sum&0xffff + sum>>16
		}
	}
	return ^uint16(sum)
}
