package reach

import (
	"context"
	"errors"
	"net"
	"net/netip"

	"onsite/netcheck/reflector"
)

// Reflector is the vantage of a reflector's client.
func Reflector(c *reflector.Client) Vantage { return pipes{c} }

type pipes struct{ client *reflector.Client }

func (p pipes) Name() string { return p.client.URL }

func (p pipes) Seen(ctx context.Context) (netip.Addr, error) {
	seen, err := p.client.Whoami(ctx)
	if err != nil {
		return netip.Addr{}, err
	}
	// A token that is wrong shows now, before anything is concluded from it.
	if _, err := p.client.Ports(ctx); err != nil {
		return netip.Addr{}, err
	}
	return seen.Addr(), nil
}

func (p pipes) Dial(ctx context.Context, port int) (net.Conn, netip.AddrPort, error) {
	conn, err := p.client.Dial(ctx, port)
	if failed, ok := errors.AsType[*reflector.DialError](err); ok {
		return nil, netip.AddrPort{}, &DialError{Outcome: failed.Outcome}
	}
	if err != nil {
		return nil, netip.AddrPort{}, err
	}
	return conn, conn.Source, nil
}
