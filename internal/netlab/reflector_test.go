//go:build linux

package netlab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"onsite/netcheck/reflector"
	"onsite/report"
)

const reflectorToken = "token-of-the-lab-0123456789"

// reflector starts one on wan and gives it with a client of a host.
func (l *Lab) reflector(t *testing.T, args ...string) *Process {
	t.Helper()
	tokens := l.File(t, "wan", "tokens.txt", "anna "+reflectorToken+"\n")
	p := l.Start(t, "wan", append([]string{"reflector", "serve", "--listen", Outside + ":8080", "--token-file", tokens}, args...)...)
	p.Says("Ctrl-C ends it.")
	return p
}

func (l *Lab) reflected(host string) *reflector.Client {
	return &reflector.Client{
		URL: "http://" + Outside + ":8080", Token: []byte(reflectorToken),
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return l.Dial(ctx, host, network, address)
		},
	}
}

// outcome dials a port of the site through the reflector: what is there, or how it
// failed.
func outcome(c *reflector.Client, port int) string {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := c.Dial(ctx, port)
	if e, ok := errors.AsType[*reflector.DialError](err); ok {
		return e.Outcome
	}
	if err != nil {
		return report.AsError(err).Code
	}
	defer conn.Close()
	if got := conn.Source.Addr().String(); got != Outside2 {
		return "from " + got
	}
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	fmt.Fprintf(conn, "GET /healthz HTTP/1.0\r\nHost: %s\r\n\r\n", PortalName)
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return problem(err)
	}
	answer.Body.Close()
	return fmt.Sprint(answer.StatusCode)
}

// What the reflector sees of a site is what anybody outside sees.
func TestReflectorOutcomes(t *testing.T) {
	t.Parallel()
	l := Up(t, Site{})
	p := l.reflector(t, "--dial-from", Outside2)
	for _, tt := range []struct {
		name   string
		change func(*Site)
		want   string // at 8888
	}{
		{"all well", func(*Site) {}, "200"},
		{"no rules", func(s *Site) { s.Forward = "none" }, reflector.Timeout},
		{"a rule to nobody", func(s *Site) { s.Forward = "dead-host" }, reflector.Unreachable},
		{"a rule to the wrong port", func(s *Site) { s.Forward = "wrong-port" }, reflector.Refused},
		{"the provider drops the port", func(s *Site) { s.Forward, s.ISPBlock = "ok", "8888" }, reflector.Timeout},
		{"the host's firewall", func(s *Site) { s.ISPBlock, s.Firewall = "", "lan-only" }, reflector.Timeout},
		{"all well again", func(s *Site) { s.Firewall = "off" }, "200"},
	} {
		l.Set(t, tt.change)
		c := l.reflected("laptop")
		if got := outcome(c, 8888); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
		who, err := c.Whoami(context.Background())
		if err != nil || who.Addr().String() != l.Site().Public() {
			t.Errorf("%s: whoami = %v, %v", tt.name, who, err)
		}
	}
	if got := outcome(l.reflected("laptop"), 22); got != "reflector.port.refused" {
		t.Errorf("port 22: %s", got)
	}
	exit, output := p.Stop()
	if exit != 0 || !strings.Contains(output, "stopped") || strings.Contains(output, l.Site().Public()) || strings.Contains(output, reflectorToken) {
		t.Errorf("exit status %d, and it printed\n%s", exit, output)
	}
}

// Nobody of the reflector's own network has it connect anywhere, nor has a token
// that was given to another address.
func TestReflectorRefuses(t *testing.T) {
	t.Parallel()
	l := Up(t, Site{})
	p := l.reflector(t, "--dial-from", Outside2)
	for _, host := range []string{"dns", "wan"} {
		if got := outcome(l.reflected(host), 8888); got != "reflector.address.refused" {
			t.Errorf("from %s: %s", host, got)
		}
	}
	// The site's address changes while a session is open: the next connection
	// goes to the new one, never to the old.
	c := l.reflected("laptop")
	if got := outcome(c, 8888); got != "200" {
		t.Fatalf("before the change: %s", got)
	}
	l.Set(t, func(s *Site) { s.WAN = "B" })
	if got := outcome(c, 8888); got != "200" {
		t.Errorf("after the change: %s", got)
	}
	output := p.log()
	if !strings.Contains(output, "reason=session-address") {
		t.Errorf("the old session was not refused:\n%s", output)
	}
}

// Behind a carrier's NAT nothing comes in, whatever the customer's router does.
func TestReflectorBehindCarrier(t *testing.T) {
	t.Parallel()
	l := Up(t, Site{NAT: "cgnat"})
	l.reflector(t, "--dial-from", Outside2)
	if got := outcome(l.reflected("laptop"), 8888); got != reflector.Timeout {
		t.Errorf("behind the carrier's NAT: %s", got)
	}
}
