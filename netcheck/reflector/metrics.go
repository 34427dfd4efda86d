package reflector

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// counters are what /metrics shows. Labels are words of this program and the
// names of operators: nothing that strangers choose.
type counters struct {
	mu        sync.Mutex
	series    map[string]int64
	dialTime  time.Duration
	dialCount int64
	up, down  int64
}

// begin sets those series to 0 from which rates are made.
func (c *counters) begin() {
	c.series = map[string]int64{}
	for _, outcome := range []string{connected, Refused, Timeout, Unreachable} {
		c.series[seriesName("pipes_total", "outcome", outcome)] = 0
	}
}

// add counts one; labels are names and values by turns.
func (c *counters) add(name string, labels ...string) {
	series := seriesName(name, labels...)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.series[series]++
}

func seriesName(name string, labels ...string) string {
	var b strings.Builder
	for i := 0; i+1 < len(labels); i += 2 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%s=%q", labels[i], labels[i+1])
	}
	return name + "{" + b.String() + "}"
}

func (c *counters) dialled(took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dialTime += took
	c.dialCount++
}

func (c *counters) carried(t traffic) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.up += t.up
	c.down += t.down
}

const (
	metricPrefix = "onsite_reflector_"
	metricsConns = 16
)

// metricsText writes all numbers in the text format of Prometheus, version 0.0.4.
func (s *Server) metricsText() string {
	c := &s.count
	open, turned := s.gate.state()
	c.mu.Lock()
	defer c.mu.Unlock()
	var b strings.Builder
	head := func(name, kind, help string) {
		fmt.Fprintf(&b, "# HELP %s%s %s\n# TYPE %s%s %s\n", metricPrefix, name, help, metricPrefix, name, kind)
	}
	one := func(name, kind, help string, value any) {
		head(name, kind, help)
		fmt.Fprintf(&b, "%s%s %v\n", metricPrefix, name, value)
	}
	all := func(name, help string) {
		head(name, "counter", help)
		for _, series := range slices.Sorted(maps.Keys(c.series)) {
			if strings.HasPrefix(series, name+"{") {
				fmt.Fprintf(&b, "%s%s %d\n", metricPrefix, series, c.series[series])
			}
		}
	}
	all("requests_total", "Requests by path and result; results but ok are reasons of refusal.")
	all("sessions_total", "Sessions begun, by operator.")
	all("pipes_total", "Connections to sites that were tried, by outcome.")
	head("bytes_total", "counter", "Bytes carried, by direction: up is to the site.")
	fmt.Fprintf(&b, "%sbytes_total{direction=\"up\"} %d\n%sbytes_total{direction=\"down\"} %d\n", metricPrefix, c.up, metricPrefix, c.down)
	head("dial_seconds", "summary", "How long connections to sites took that were made.")
	fmt.Fprintf(&b, "%sdial_seconds_sum %g\n%sdial_seconds_count %d\n", metricPrefix, c.dialTime.Seconds(), metricPrefix, c.dialCount)
	one("connections_turned_away_total", "counter", "Connections closed at once because their address had too many.", turned)
	one("connections_open", "gauge", "Connections from clients that are open.", open)
	one("pipes_open", "gauge", "Pipes that are open or being connected.", len(s.pipes))
	one("sessions_open", "gauge", "Sessions remembered.", s.sessions.len())
	one("addresses_known", "gauge", "Addresses whose requests are counted at the moment, for the limits.", s.rates.requests.len())
	return b.String()
}

func (s *Server) showMetrics(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/metrics" || r.Method != http.MethodGet || fromWebPage(r) {
		http.Error(w, "GET /metrics", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	w.Write([]byte(s.metricsText())) //nolint:errcheck // who asked has gone
}

// loopbackByDefault takes an address without a host for one of loopback: numbers
// are nobody else's business unless somebody says so.
func loopbackByDefault(addr string) string {
	if host, port, err := net.SplitHostPort(addr); err == nil && host == "" {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return addr
}
