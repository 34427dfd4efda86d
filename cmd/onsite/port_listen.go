package main

import (
	"context"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"onsite/netcheck/reach"
	"onsite/report"
)

type portListenOptions struct {
	outside outsideFlags
	port    int
	forward int
	host    string
	wait    time.Duration
}

// portListenResult is the JSON result of port listen.
type portListenResult struct {
	Address string        `json:"address"` // where it listened
	URL     string        `json:"url"`     // what the telephone had to open
	Visits  []reach.Visit `json:"visits"`
	reach.Result
}

func newPortListenCmd(a *app) *cobra.Command {
	o := &portListenOptions{}
	cmd := &cobra.Command{
		Use:   "listen PORT",
		Short: "Prove a forwarding with a telephone: a page to open, as a QR code",
		Long: `Listen on a port of this computer, in place of the service that it is forwarded
for, and show an address to open on a telephone, also as a QR code. Wi-Fi must be off
there, so that it comes in over mobile data: a visitor counts only when he comes
neither from this network, nor from the router, nor from the public address. The code
is good once and for five minutes.

With --via URL a reflector takes the telephone's place: no telephone is needed.

If the port is taken, the service runs: look at it with onsite port check instead.
Windows may ask whether onsite may be reached: allow it, or nobody gets in.`,
		Example: `  onsite port listen 8888
  onsite port listen 8888 --outside 80 --host portal.acme.example
  onsite port listen 8888 --via https://reflector.example --token-file token.txt`,
		Args: exactly("PORT"),
	}
	cmd.RunE = a.verb(func(ctx context.Context, args []string) (outcome, error) {
		port, err := strconv.ParseUint(args[0], 10, 16)
		if err != nil || port == 0 {
			return outcome{}, usageError("%q is not a port: give a number from 1 to 65535", args[0])
		}
		o.port = int(port)
		return a.runPortListen(ctx, o)
	})
	f := cmd.Flags()
	f.IntVar(&o.forward, "outside", 0, "outside port that is forwarded to it (default: the same)")
	f.StringVar(&o.host, "host", "", "name to open instead of the public address")
	f.DurationVar(&o.wait, "for", 5*time.Minute, "how long to wait")
	o.outside.add(cmd)
	return cmd
}

func (a *app) runPortListen(ctx context.Context, o *portListenOptions) (outcome, error) {
	if o.forward < 0 || o.forward > 65535 {
		return outcome{}, usageError("--outside %d: give a port from 1 to 65535", o.forward)
	}
	if o.wait <= 0 {
		return outcome{}, usageError("--for %s: give a time such as 5m", o.wait)
	}
	vantages, err := a.vantages(ctx, &o.outside)
	if err != nil {
		return outcome{}, err
	}
	l, err := a.line(ctx, &o.outside)
	if err != nil {
		return outcome{}, err
	}
	if o.host == "" {
		if !l.public.IsValid() {
			return outcome{}, report.Errorf(report.KindMissing, "value.missing", "give it with --public, or a name that leads to it with --host",
				"the public address is missing: it could not be confirmed")
		}
		o.host = l.public.String()
	}
	door, err := reach.OpenDoor(reach.ListenOptions{
		Port: o.port, Outside: o.forward, Host: o.host, Public: l.public, Gateways: l.gatewayAddrs(nil), For: o.wait, Now: a.now,
		Arrived: func(v reach.Visit) { a.say("%s", visitLine(v)) },
	})
	if err != nil {
		return outcome{}, err
	}
	defer door.Close()
	result := portListenResult{Address: ":" + strconv.Itoa(door.Port()), URL: door.URL(), Visits: []reach.Visit{}, Result: reach.Result{Via: []string{}, Ports: []reach.Port{}}}
	if runtime.GOOS == "windows" {
		a.say("If Windows asks whether onsite may be reached from the network: allow it.")
	}
	var findings []report.Finding
	if len(vantages) > 0 {
		inside := l.local()
		if !inside.IsValid() {
			inside = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		}
		result.Result, findings, err = door.Check(ctx, reach.Options{
			Vantages: vantages, Public: l.public, PublicHow: l.how, NAT: l.nat, Timeout: o.outside.timeout, Now: a.now,
		}, inside)
	} else {
		a.showURL(door.URL())
		a.say("Switch Wi-Fi off on the telephone and open it there. Waiting %s; Ctrl-C ends it.", o.wait)
		result.Visits, findings, err = door.Wait(ctx)
	}
	result.Observations = slices.Concat([]report.Observation{}, l.observed, result.Observations)
	if err != nil {
		return outcome{Result: result, Findings: findings}, err
	}
	return outcome{Result: result, Findings: findings, IsCheck: true}, nil
}

var visitWords = map[string]string{
	reach.FromOutside: "from outside: proven",
	reach.FromLAN:     "from this network: switch Wi-Fi off on the telephone",
	reach.FromRouter:  "from the router's own address: it does not show who comes",
	reach.FromPublic:  "from this site's own public address: switch Wi-Fi off on the telephone",
	reach.FromUnsure:  "from an address that may be this site's own: its public address is not known",
	reach.FromWrong:   "for another page: not counted",
}

func visitLine(v reach.Visit) string { return v.Remote + " came " + visitWords[v.From] }
