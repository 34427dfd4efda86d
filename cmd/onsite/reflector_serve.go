package main

import (
	"context"
	"log/slog"
	"net/netip"

	"github.com/spf13/cobra"

	"onsite/netcheck/reflector"
)

type reflectorServeOptions struct {
	listen, tlsCert, tlsKey, tokenFile, metrics string
	ports                                       []int
	dialFrom, trustedProxies, refuse            []string
	sessionsPerHour, pipes                      int
}

// reflectorServeResult is the JSON result of reflector serve, printed when it ends.
type reflectorServeResult struct {
	Address string `json:"address"` // that was served
	URL     string `json:"url"`     // the same as a URL
	Metrics string `json:"metrics"` // the address of /metrics, or ""
	Ports   []int  `json:"ports"`   // that it connected to
}

func newReflectorServeCmd(a *app) *cobra.Command {
	o := &reflectorServeOptions{}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve a pipe back to whoever asks for it, to see a site from outside",
		Long: `Serve a reflector: a server outside, through which onsite connects back to the
site that it runs in, to see what can be reached there from the internet. Run it
on a small server with a public address; docs/reflector.md shows how, behind TLS,
as a service and in a container.

It connects only to the address that a request comes from, only if that is a
public address and not of its own network, only to a few ports, and only for who
has a token from the file. That file has a line for each technician, of a name
and a token; openssl rand -hex 32 makes a good one. Files are read again when
they change. Ctrl-C ends it.

--dial-from is an address of this server that nothing else uses: a site's
firewall then cannot take the test for an answer to something it asked.`,
		Example: `  onsite reflector serve --listen :8080 --token-file tokens.txt
  onsite reflector serve --listen 127.0.0.1:8080 --trusted-proxy 127.0.0.1 --token-file tokens.txt
  onsite reflector serve --tls-cert chain.pem --tls-key key.pem --token-file tokens.txt
  onsite reflector serve --ports 8888,4444,4370 --metrics :9464 --token-file tokens.txt`,
		Args: exactly(),
	}
	cmd.RunE = a.verb(func(ctx context.Context, _ []string) (outcome, error) { return a.runReflectorServe(ctx, o) })
	f := cmd.Flags()
	f.StringVar(&o.listen, "listen", ":8080", "address and port to serve on")
	f.StringVar(&o.tokenFile, "token-file", "", "file with a line of name and token for each who may use it")
	f.StringVar(&o.tlsCert, "tls-cert", "", "PEM file with the certificate and its chain, for HTTPS")
	f.StringVar(&o.tlsKey, "tls-key", "", "PEM file with the key of the certificate")
	f.StringSliceVar(&o.trustedProxies, "trusted-proxy", nil, "address or network of a proxy in front, whose X-Forwarded-For is believed")
	f.IntSliceVar(&o.ports, "ports", reflector.DefaultPorts, "ports that it connects to")
	f.StringSliceVar(&o.dialFrom, "dial-from", nil, "address of this server to connect from")
	f.StringSliceVar(&o.refuse, "refuse", nil, "address or network that it never connects to")
	f.IntVar(&o.sessionsPerHour, "sessions-per-hour", reflector.DefaultSessionsPerHour, "sessions that one address may ask for")
	f.IntVar(&o.pipes, "pipes", reflector.DefaultPipes, "connections that may be open at once, of all together")
	f.StringVar(&o.metrics, "metrics", "", "address and port of /metrics for Prometheus; a port alone, :9464, is on loopback")
	return cmd
}

func (a *app) runReflectorServe(ctx context.Context, o *reflectorServeOptions) (outcome, error) {
	ro, err := a.reflectorOptions(o)
	if err != nil {
		return outcome{}, err
	}
	server, findings, err := reflector.New(ro)
	if err != nil {
		return outcome{Findings: findings}, err
	}
	for _, f := range findings {
		a.note(f)
	}
	result := reflectorServeResult{Address: server.Addr(), URL: "http://" + browserAddr(server.Addr()) + "/", Metrics: server.MetricsAddr(), Ports: ro.Ports}
	if server.Encrypted() {
		result.URL = "https://" + browserAddr(server.Addr()) + "/"
	}
	a.say("serving the reflector on %s", result.URL)
	if result.Metrics != "" {
		a.say("serving its numbers on http://%s/metrics", result.Metrics)
	}
	a.say("Ctrl-C ends it.")
	err = server.Run(ctx)
	if err == nil && ctx.Err() != nil {
		a.say("stopped")
	}
	return outcome{Result: result, Findings: findings, Listed: true}, err
}

func (a *app) reflectorOptions(o *reflectorServeOptions) (reflector.Options, error) {
	ro := reflector.Options{
		Listen: o.listen, CertFile: cleanPath(o.tlsCert), KeyFile: cleanPath(o.tlsKey), TokenFile: cleanPath(o.tokenFile),
		Ports: o.ports, Metrics: o.metrics, SessionsPerHour: o.sessionsPerHour, Pipes: o.pipes, Now: a.now, Log: a.logger(),
	}
	if o.sessionsPerHour < 1 || o.pipes < 1 {
		return ro, usageError("--sessions-per-hour and --pipes are numbers from 1 on")
	}
	for _, text := range o.dialFrom {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return ro, usageError("--dial-from %s: give an address of this computer, without a port", text)
		}
		ro.DialFrom = append(ro.DialFrom, addr)
	}
	var err error
	if ro.Proxies, err = networks("--trusted-proxy", o.trustedProxies); err != nil {
		return ro, err
	}
	ro.Refuse, err = networks("--refuse", o.refuse)
	return ro, err
}

// networks reads addresses and networks.
func networks(flag string, texts []string) ([]netip.Prefix, error) {
	var list []netip.Prefix
	for _, text := range texts {
		if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
			addr = addr.Unmap()
			list = append(list, netip.PrefixFrom(addr, addr.BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(text)
		if err != nil || p.Addr().Is4In6() {
			return nil, usageError("%s %s: give an address or a network, such as 192.0.2.0/24", flag, text)
		}
		list = append(list, p.Masked())
	}
	return list, nil
}

// logger writes what a service does, line by line, to standard error.
func (a *app) logger() *slog.Logger {
	level := slog.LevelInfo
	if a.flags.quiet {
		level = slog.LevelWarn
	}
	options := &slog.HandlerOptions{Level: level}
	if a.flags.json {
		return slog.New(slog.NewJSONHandler(a.io.err, options))
	}
	return slog.New(slog.NewTextHandler(a.io.err, options))
}
