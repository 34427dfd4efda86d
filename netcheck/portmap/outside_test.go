package portmap

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"onsite/netcheck/portmap/portmaptest"
)

// TestProve: what is dead is made anew once, and what cannot be told is not
// claimed.
func TestProve(t *testing.T) {
	t.Parallel()
	straight := func(to string) func() (net.Conn, string, error) {
		return func() (net.Conn, string, error) {
			conn, err := net.Dial("tcp", to)
			if err != nil {
				return nil, "refused", nil //nolint:nilerr // a refused connection is an outcome
			}
			return conn, "", nil
		}
	}
	silent := func() (net.Conn, string, error) { return nil, "timeout", nil }
	broken := func() (net.Conn, string, error) { return nil, "", errors.New("the reflector is away") }
	for _, tt := range []struct {
		name    string
		serve   bool // a service listens inside
		private bool
		outside func(target string) []func() (net.Conn, string, error) // one for each attempt
		codes   string
		adds    int
	}{
		{
			name: "a service", serve: true, codes: "forward.added forward.open", adds: 1,
			outside: func(to string) []func() (net.Conn, string, error) { return list(straight(to)) },
		},
		{
			name: "nothing listens: this program does", codes: "forward.added forward.proven", adds: 1,
			outside: func(to string) []func() (net.Conn, string, error) { return list(straight(to)) },
		},
		{
			name: "dead, then alive", codes: "forward.added forward.proven", adds: 2,
			outside: func(to string) []func() (net.Conn, string, error) { return list(silent, straight(to)) },
		},
		{
			name: "dead", serve: true, codes: "forward.added forward.dead", adds: 2,
			outside: func(string) []func() (net.Conn, string, error) { return list(silent, silent) },
		},
		{
			name: "behind another router", serve: true, private: true, codes: "forward.added forward.dead", adds: 1,
			outside: func(string) []func() (net.Conn, string, error) { return list(silent) },
		},
		{
			name: "the reflector is away", serve: true, codes: "forward.added forward.unchecked", adds: 1,
			outside: func(string) []func() (net.Conn, string, error) { return list(broken) },
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, o := start(t, func(f *portmaptest.Router) {
				if tt.private {
					f.WAN = "192.168.0.20"
				}
			})
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			target := l.Addr().(*net.TCPAddr)
			if !tt.serve {
				l.Close()
			}
			attempts := tt.outside(target.String())
			r := Ask(t.Context(), o)
			p, _, err := r.Plan(t.Context(), Request{
				Protocol: "tcp", External: 8888, Internal: uint16(target.Port), Lease: time.Hour,
				Outside: func(_ context.Context, port uint16) (net.Conn, string, error) {
					if port != 8888 || len(attempts) == 0 {
						t.Errorf("port %d is tried, %d attempts are left", port, len(attempts))
						return nil, "", errors.New("too often")
					}
					try := attempts[0]
					attempts = attempts[1:]
					return try()
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			got := p.Apply(t.Context())
			if codes(got) != tt.codes || f.Did("AddPortMapping") != tt.adds || len(attempts) > 0 {
				t.Errorf("Apply = %+v, %d times added, %d attempts are left", got, f.Did("AddPortMapping"), len(attempts))
			}
			if tt.name == "dead, then alive" && !strings.Contains(got[1].Detail, "made anew") {
				t.Errorf("it is not said that it was dead: %s", got[1].Detail)
			}
		})
	}
}

func list(l ...func() (net.Conn, string, error)) []func() (net.Conn, string, error) { return l }
