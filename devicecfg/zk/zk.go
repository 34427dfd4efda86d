// Package zk speaks the protocol of port 4370, by which time clocks are read
// and set, as the client.
//
//	c, err := zk.Dial(ctx, zk.Options{Addr: "192.168.1.201:4370"})
//	if err != nil { … } // device.refused, device.foreign, device.key.needed, …
//	defer c.Close()
//	serial, known, err := c.Option(ctx, zk.SerialNumber)
//
// Here is what it takes to know a clock: frames, the connection, the comm key,
// and the options that are read. Nothing is written to the clock.
//
// The protocol encrypts nothing, and the comm key can be computed from what is
// sent: it belongs in a network that is trusted.
package zk

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"onsite/report"
)

// Options that clocks have. What a clock does not know, Option says.
const (
	SerialNumber = "~SerialNumber"
	DeviceName   = "~DeviceName"
	IPAddress    = "IPAddress"
	NetMask      = "NetMask"
	Gateway      = "GATEIPAddress"
	MAC          = "MAC"
)

// DefaultPort is where clocks listen.
const DefaultPort = 4370

// Options says whom to connect to. The zero value of every field but Addr is
// the real thing.
type Options struct {
	Addr string // host:port
	// Network is "tcp" or "udp"; "" is "tcp".
	Network string
	// Key is sent when the clock asks for one; nil: there is none to send.
	Key *Key
	// Timeout bounds the connecting, and the wait for each answer; 0: 3 s.
	Timeout time.Duration
	// DialContext makes the connection, as net.Dialer's method does; nil uses that.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
}

const defaultTimeout = 3 * time.Second

// Client is a session with a clock. It is for one goroutine. Close must follow:
// clocks have few sessions.
type Client struct {
	conn    net.Conn
	addr    string
	packets bool // UDP: a datagram is a packet
	timeout time.Duration
	session uint16
	reply   uint16
	open    bool // the clock has a session for us, or may have
}

// Dial connects to a clock. The error, a *report.Error, tells what is there
// instead: "device.unresolved", "device.timeout", "device.refused",
// "device.unreachable" or "device.connect.failed" when nothing is, of
// KindNoAnswer; "device.silent" (it takes the connection and says nothing),
// "device.closed" (or hangs up), "device.foreign" (another protocol; a
// *ForeignError is in it), "device.panel" (an access panel of the same maker),
// "device.answer" (an answer that no clock gives); "device.key.needed" or
// "device.key.wrong" when it is a clock. With ctx cancelled it is ctx's error.
func Dial(ctx context.Context, o Options) (*Client, error) {
	timeout := cmp.Or(o.Timeout, defaultTimeout)
	dial := o.DialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	network := cmp.Or(o.Network, "tcp")
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := dial(limited, network, o.Addr)
	if err != nil {
		if errors.Is(ctx.Err(), context.Canceled) {
			return nil, ctx.Err()
		}
		return nil, dialError(o.Addr, timeout, err)
	}
	return Open(ctx, conn, o)
}

// Open is Dial on a connection that was made already, of which it is the owner
// from then on: an error has closed it.
func Open(ctx context.Context, conn net.Conn, o Options) (*Client, error) {
	c := &Client{conn: conn, addr: o.Addr, packets: o.Network == "udp", timeout: cmp.Or(o.Timeout, defaultTimeout)}
	if err := c.connect(ctx, o.Key); err != nil {
		c.Close() //nolint:errcheck // the first error is the one that counts
		return nil, err
	}
	return c, nil
}

func (c *Client) connect(ctx context.Context, key *Key) error {
	answer, err := c.Do(ctx, CmdConnect, nil)
	if err != nil {
		return err
	}
	c.session, c.open = answer.Session, true
	switch answer.Command {
	case AckOK:
		return nil
	case AckUnauth:
	default:
		c.open = false
		return c.oddAnswer("to the connecting", answer.Command)
	}
	if key == nil {
		return report.Errorf(report.KindMissing, CodeKeyNeeded, "give the number with --key-file; it is in the clock's menu under communication",
			"the clock at %s asks for its comm key", c.addr)
	}
	scrambled := key.scramble(c.session, tick)
	answer, err = c.Do(ctx, CmdAuth, scrambled[:])
	switch {
	case err != nil:
		return err
	case answer.Command == AckUnauth:
		return report.Errorf(report.KindInput, CodeKeyWrong, "compare it with the clock's menu, under communication",
			"the clock at %s refuses this comm key", c.addr)
	case answer.Command != AckOK:
		return c.oddAnswer("to the comm key", answer.Command)
	}
	return nil
}

// Option reads one option. known is false when the clock does not have it.
func (c *Client) Option(ctx context.Context, name string) (value string, known bool, err error) {
	// Without the final zero some clocks garble the last character.
	answer, err := c.Do(ctx, CmdOptionsRead, append([]byte(name), 0))
	if err != nil {
		return "", false, err
	}
	switch answer.Command {
	case AckOK:
	case AckError, AckUnknown:
		return "", false, nil
	default:
		return "", false, c.oddAnswer("to the question for "+name, answer.Command)
	}
	text, _, _ := bytes.Cut(answer.Payload, []byte{0})
	is, value, _ := strings.Cut(string(text), "=")
	if is != name {
		return "", false, nil // some clocks answer what they do not know with nothing
	}
	return value, value != "", nil
}

// Do sends a request and waits for its answer, whatever that says.
func (c *Client) Do(ctx context.Context, command Command, payload []byte) (Packet, error) {
	request := Packet{Command: command, Session: c.session, Reply: c.reply, Payload: payload}
	if c.reply++; c.reply == 65535 { // which is never used
		c.reply = 0
	}
	answer, err := c.exchange(ctx, request)
	switch {
	case err == nil:
		return answer, nil
	case errors.Is(ctx.Err(), context.Canceled):
		return Packet{}, ctx.Err()
	}
	return Packet{}, c.broken(err)
}

// strays is how many packets may come that are no answer before it counts as
// none: events, and answers to a request that was given up.
const strays = 100

func (c *Client) exchange(ctx context.Context, request Packet) (Packet, error) {
	stop := context.AfterFunc(ctx, func() { c.conn.SetDeadline(time.Unix(1, 0)) }) //nolint:errcheck // it fails when closed, which ends the wait too
	defer stop()
	if ctx.Err() != nil {
		return Packet{}, ctx.Err()
	}
	c.conn.SetDeadline(time.Now().Add(c.timeout)) //nolint:errcheck // likewise
	var frame []byte
	if c.packets {
		frame = request.Append(nil)
	} else {
		frame = request.AppendFrame(nil)
	}
	if _, err := c.conn.Write(frame); err != nil {
		return Packet{}, err
	}
	for range strays {
		body, err := c.receive()
		if err != nil {
			return Packet{}, err
		}
		answer, err := Parse(body)
		if err != nil {
			return Packet{}, err
		}
		if answer.Command != CmdEvent && answer.Reply == request.Reply {
			return answer, nil
		}
	}
	return Packet{}, ErrStrays
}

func (c *Client) receive() ([]byte, error) {
	if !c.packets {
		return ReadFrame(c.conn)
	}
	datagram := make([]byte, 64<<10)
	n, err := c.conn.Read(datagram)
	return datagram[:n], err
}

// exitTimeout bounds the wait for the answer to CmdExit.
const exitTimeout = time.Second

// Close ends the session and the connection.
func (c *Client) Close() error {
	if c.open {
		c.open = false
		c.timeout = min(c.timeout, exitTimeout)
		// Also after an interrupt: else the clock keeps the session.
		c.Do(context.Background(), CmdExit, nil) //nolint:errcheck // some close without an answer
	}
	return c.conn.Close()
}
