package portmap

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// granted is what NAT-PMP or PCP gave.
type granted struct {
	external uint16
	lease    time.Duration
	epoch    uint32
}

var errOtherHost = errors.New("NAT-PMP forwards to the computer that asks, and to no other host")

// mapPCP asks for a mapping, renews it, or takes it away with a lifetime of 0.
// The nonce is that of the mapping's whole life.
func (o Options) mapPCP(ctx context.Context, n *notes, f Forwarding, lifetime time.Duration, secret nonce) (granted, error) {
	conn, err := o.dialPMP(ctx)
	if err != nil {
		return granted{}, plain(err)
	}
	defer conn.Close()
	request := mapRequest{
		protocol: protocolNumbers[f.Protocol], internal: f.Internal, external: f.External,
		lifetime: seconds(lifetime), client: localOf(conn), nonce: secret, exactly: lifetime > 0,
	}
	if host, err := netip.ParseAddr(f.Host); err == nil && host != request.client {
		request.onBehalf = host
	}
	got, err := o.askMap(ctx, n, conn, PCP, request, f)
	if refusedWith(err, PCP, 5) && request.exactly {
		// It may be PREFER_FAILURE that it does not know, and not THIRD_PARTY.
		request.exactly = false
		got, err = o.askMap(ctx, n, conn, PCP, request, f)
	}
	return got, err
}

// mapNATPMP is mapPCP in NAT-PMP.
func (o Options) mapNATPMP(ctx context.Context, n *notes, f Forwarding, lifetime time.Duration) (granted, error) {
	conn, err := o.dialPMP(ctx)
	if err != nil {
		return granted{}, plain(err)
	}
	defer conn.Close()
	if f.Host != localOf(conn).String() {
		return granted{}, errOtherHost
	}
	request := mapRequest{protocol: protocolNumbers[f.Protocol], internal: f.Internal, lifetime: seconds(lifetime)}
	if lifetime > 0 { // to take it away the outside port is 0: RFC 6886, section 3.4
		request.external = f.External
	}
	return o.askMap(ctx, n, conn, NATPMP, request, f)
}

// askMap sends a request and reads what was granted.
func (o Options) askMap(ctx context.Context, n *notes, conn net.Conn, method Method, request mapRequest, f Forwarding) (granted, error) {
	message, version, codes := request.pcp(), byte(versionPCP), pcpCodes
	fits := request.fits
	if method == NATPMP {
		message, version, codes = request.natpmp(), versionNATPMP, natpmpCodes
		fits = func(a pmpAnswer) bool {
			return a.version != versionNATPMP || a.op == message[1] && (!a.mapped || a.internal == request.internal)
		}
	}
	done := n.begin(o.pmpServer(), fmt.Sprintf("%s MAP %s, lifetime %d s", method, f, request.lifetime))
	a, err := o.exchange(ctx, conn, message, fits)
	if err == nil && a.version != version {
		err = fmt.Errorf("the router does not speak %s", method)
	}
	if err == nil && a.code != 0 {
		err = &Refusal{Method: method, Code: a.code, Name: codes[a.code]}
	}
	if err != nil {
		done("", err)
		return granted{}, err
	}
	g := granted{external: a.external, lease: time.Duration(a.lifetime) * time.Second, epoch: a.epoch}
	done(fmt.Sprintf("outside port %d for %d s", g.external, a.lifetime), nil)
	return g, nil
}

// seconds is a lifetime as both protocols write it.
func seconds(d time.Duration) uint32 {
	return uint32(min(max(d, 0), maxLease) / time.Second)
}
