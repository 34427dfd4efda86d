package wan

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// maxEcho bounds what is read of an answer: an address and little more.
const maxEcho = 4 << 10

// errPage is an answer that is a page for people: where an address was asked
// for, somebody on the way wants to be seen first.
var errPage = errors.New("a web page instead of an address: a sign-in page or a filter")

// parseEcho reads what a what-is-my-address service answers: one address and
// nothing else, a JSON object with the member "ip", or the lines of a
// /cdn-cgi/trace with one "ip=". An address somewhere in a text is no answer.
func parseEcho(body []byte) (netip.Addr, error) {
	text := strings.TrimSpace(strings.TrimPrefix(string(body), "\ufeff"))
	switch {
	case len(body) > maxEcho:
		return netip.Addr{}, errors.New("the answer is too long for an address")
	case text == "":
		return netip.Addr{}, errors.New("the answer is empty")
	case text[0] == '<':
		return netip.Addr{}, errPage
	case text[0] == '{':
		var object struct {
			IP string `json:"ip"`
		}
		if err := json.Unmarshal([]byte(text), &object); err != nil {
			return netip.Addr{}, errors.New("the answer is no JSON")
		}
		text = object.IP
	case strings.Contains(text, "ip="):
		var err error
		if text, err = fromTrace(text); err != nil {
			return netip.Addr{}, err
		}
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" {
		return netip.Addr{}, errors.New("the answer is no address")
	}
	return addr.Unmap(), nil
}

// fromTrace finds the address among lines of the form name=value.
func fromTrace(text string) (string, error) {
	found := ""
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		switch {
		case !ok || strings.ContainsAny(name, " <"):
			return "", errors.New("the answer is no address")
		case name == "ip" && found != "":
			return "", errors.New("the answer has several addresses")
		case name == "ip":
			found = value
		}
	}
	return found, nil
}

// client makes the requests of one family ("tcp4" or "tcp6"), each over a
// connection of its own and without any proxy.
func (o PublicOptions) client(network string) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
				return o.DialContext(ctx, network, addr)
			},
			TLSClientConfig:        &tls.Config{RootCAs: o.Roots, MinVersion: tls.VersionTLS12},
			DisableKeepAlives:      true,
			DisableCompression:     true, // or 4 KiB might become megabytes
			MaxResponseHeaderBytes: 16 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// askEcho asks one service which address it sees.
func (o PublicOptions) askEcho(ctx context.Context, client *http.Client, url string) (netip.Addr, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return netip.Addr{}, err
	}
	request.Header.Set("User-Agent", o.UserAgent) // some answer browsers with a page
	request.Header.Set("Accept", "text/plain, application/json;q=0.5")
	response, err := client.Do(request)
	if err != nil {
		return netip.Addr{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxEcho+1))
	switch {
	case response.StatusCode >= 300 && response.StatusCode < 400:
		to, err := request.URL.Parse(response.Header.Get("Location"))
		if err != nil || to.Hostname() == request.URL.Hostname() {
			return netip.Addr{}, fmt.Errorf("status %d instead of an address", response.StatusCode)
		}
		return netip.Addr{}, fmt.Errorf("%w (on %s)", errPage, to.Hostname())
	case response.StatusCode == http.StatusNetworkAuthenticationRequired: // RFC 6585, section 6
		return netip.Addr{}, errPage
	case response.StatusCode != http.StatusOK:
		return netip.Addr{}, fmt.Errorf("status %d instead of an address", response.StatusCode)
	case err != nil:
		return netip.Addr{}, err
	}
	return parseEcho(body)
}
