package portal

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"

	"onsite/report"
)

// Served connects to a TLS server and returns the certificates that it sends for
// the host of address, the leaf first, without judging them. address is
// HOST:PORT. dial is for tests; nil is a net.Dialer. The error, a *report.Error,
// says whether nobody answered or no TLS was spoken.
func Served(ctx context.Context, address string, dial func(ctx context.Context, network, address string) (net.Conn, error)) ([]*x509.Certificate, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, report.Errorf(report.KindUsage, "usage", "give it as HOST:PORT, for example portal.acme.example:4444", "%q is no address: %w", address, err)
	}
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	conn, err := dial(ctx, "tcp", address)
	if err != nil {
		return nil, report.Errorf(report.KindNoAnswer, "portal.connect.failed", "check name and port, and that the service runs: onsite portal check tells more",
			"connect to %s: %w", address, err)
	}
	defer conn.Close()
	client := tls.Client(conn, clientConfig(host))
	if err := client.HandshakeContext(ctx); err != nil {
		return nil, report.Errorf(report.KindNoAnswer, "portal.tls.failed", "check that this port speaks TLS: onsite portal check tells more",
			"make a TLS connection to %s: %w", address, err)
	}
	return client.ConnectionState().PeerCertificates, nil
}
