package portmap

import (
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/huin/goupnp"
	"github.com/huin/goupnp/soap"
)

const (
	maxDescription = 256 << 10 // bytes of a description; real ones have less than 10 KiB
	maxReply       = 64 << 10  // bytes of an answer to an action
	maxDescribed   = 3         // descriptions that are fetched
	httpWait       = 3 * time.Second
)

// services are those that forward, the best first. On an IGDv2 device the first
// is the only one, though it answers to the search for version 1.
var services = []string{
	"urn:schemas-upnp-org:service:WANIPConnection:2",
	"urn:schemas-upnp-org:service:WANIPConnection:1",
	"urn:schemas-upnp-org:service:WANPPPConnection:1",
}

// igd is the forwarding service of one gateway.
type igd struct {
	o       Options
	device  string // friendly name and model
	udn     string
	service string // one of services
	soap    *soap.SOAPClient
	through *pinned
}

// pinned carries HTTP to the gateway and to nobody else: without proxies,
// without redirects, with a limit on what comes back.
type pinned struct {
	gateway netip.Addr
	base    http.RoundTripper
	failed  error // why the last request got no answer; goupnp keeps the text alone
}

var errElsewhere = errors.New("names an address other than the gateway's")

func (p *pinned) RoundTrip(r *http.Request) (*http.Response, error) {
	p.failed = nil
	if host, err := netip.ParseAddr(r.URL.Hostname()); err != nil || host.Unmap() != p.gateway || r.URL.Scheme != "http" {
		p.failed = errElsewhere
		return nil, p.failed
	}
	limit := int64(maxReply)
	if r.Method == http.MethodGet {
		limit = maxDescription
	}
	response, err := p.base.RoundTrip(r)
	if err != nil {
		p.failed = err
		return nil, err
	}
	response.Body = &limited{ReadCloser: response.Body, left: limit}
	return response, nil
}

// limited is a body that ends with an error where it is too long.
type limited struct {
	io.ReadCloser
	left int64
}

var errTooLong = errors.New("the answer is too long")

func (l *limited) Read(b []byte) (int, error) {
	if l.left <= 0 {
		return 0, errTooLong
	}
	n, err := l.ReadCloser.Read(b[:min(int64(len(b)), l.left)])
	l.left -= int64(n)
	return n, err
}

// client is an HTTP client for one gateway.
func (o Options) client() (http.Client, *pinned) {
	dialer := &net.Dialer{Timeout: httpWait}
	if o.Local.IsValid() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(o.Local, 0))
	}
	through := &pinned{gateway: o.Gateway, base: &http.Transport{
		DialContext: dialer.DialContext,
		// Many routers' servers lose count of connections that stay open.
		DisableKeepAlives: true, DisableCompression: true,
		ResponseHeaderTimeout: httpWait, MaxResponseHeaderBytes: 16 << 10,
	}}
	return http.Client{
		Transport: through, Timeout: 2 * httpWait,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, through
}

// describe fetches the description at a location and picks the forwarding
// services in it, the best first. A location on another host is read at the
// gateway: routers that share a floating address name their own.
func (o Options) describe(ctx context.Context, location *url.URL) ([]*igd, error) {
	at := *location
	at.Host = o.gatewayHost(location)
	client, through := o.client()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, plain(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("its description answers with HTTP %d", response.StatusCode)
	}
	root, err := decodeDescription(response.Body, &at)
	if err != nil {
		return nil, err
	}
	name := strings.TrimSpace(root.Device.FriendlyName)
	if model := strings.TrimSpace(root.Device.ModelName + " " + root.Device.ModelNumber); model != "" && model != name {
		name += " (" + model + ")"
	}
	var list []*igd
	for _, service := range services {
		for _, s := range root.Device.FindService(service) {
			if !s.ControlURL.Ok {
				continue
			}
			control := s.ControlURL.URL
			control.Host = o.gatewayHost(&control)
			i := &igd{o: o, device: name, udn: strings.TrimSpace(root.Device.UDN), service: service, soap: soap.NewSOAPClient(control), through: through}
			i.soap.HTTPClient = client
			list = append(list, i)
		}
	}
	if len(list) == 0 {
		return nil, errors.New("its description offers no service that forwards ports")
	}
	return list, nil
}

// gatewayHost is the host of a URL, with the gateway's address in place of any other.
func (o Options) gatewayHost(u *url.URL) string {
	if port := u.Port(); port != "" {
		return net.JoinHostPort(o.Gateway.String(), port)
	}
	return o.Gateway.String()
}

// decodeDescription reads a description of a device.
func decodeDescription(r io.Reader, at *url.URL) (*goupnp.RootDevice, error) {
	root := new(goupnp.RootDevice)
	decoder := xml.NewDecoder(r)
	decoder.DefaultSpace = goupnp.DeviceXMLNamespace
	// Latin-1 and the like occur in names alone, which are only shown.
	decoder.CharsetReader = func(_ string, input io.Reader) (io.Reader, error) { return input, nil }
	decoder.Strict = false
	if err := decoder.Decode(root); err != nil {
		if errors.Is(err, errTooLong) {
			return nil, errTooLong
		}
		return nil, errors.New("its description cannot be read")
	}
	base := at
	if u, err := url.Parse(strings.TrimSpace(root.URLBaseStr)); err == nil && u.Scheme == "http" && u.Host != "" {
		base = u
	}
	root.SetURLBase(base)
	return root, nil
}

// act performs an action. in and out are structs of strings, and what a router
// leaves out of its answer stays empty.
func (i *igd) act(ctx context.Context, action string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, httpWait)
	defer cancel()
	err := i.soap.PerformActionCtx(ctx, i.service, action, in, out)
	if fault, ok := errors.AsType[*soap.SOAPFaultError](err); ok {
		code := fault.Detail.UPnPError.Errorcode
		return &Refusal{Method: UPnP, Code: code, Name: cmp.Or(upnpCodes[code], strings.TrimSpace(fault.Detail.UPnPError.ErrorDescription))}
	}
	switch {
	case err == nil:
		return nil
	case i.through.failed != nil:
		return plain(i.through.failed)
	case ctx.Err() != nil:
		return fmt.Errorf("%w in time", ErrSilent)
	}
	return errors.New("the answer cannot be read")
}

// shortService is a service's name as people write it.
func shortService(urn string) string {
	return strings.TrimPrefix(urn, "urn:schemas-upnp-org:service:")
}

// askUPnP finds the gateway's service and asks for address, status and type.
func (r *Router) askUPnP(ctx context.Context, n *notes) {
	r.UPnP.Err = r.findIGD(ctx, n)
	if r.UPnP.Err == nil {
		r.UPnP = r.igd.askAddress(ctx, n)
		r.ConnectionType = r.igd.askType(ctx, n)
	}
}

// findIGD searches, reads descriptions and takes the first service that is
// connected, else the first.
func (r *Router) findIGD(ctx context.Context, n *notes) error {
	done := n.begin(netip.AddrPortFrom(r.o.Gateway, r.o.SSDPPort).String(), "SSDP search for an Internet gateway")
	gateway, strangers, err := r.o.search(ctx)
	r.Findings = strange(r.o.Gateway, strangers)
	var locations []*url.URL
	for _, f := range gateway {
		if !slices.ContainsFunc(locations, func(u *url.URL) bool { return *u == *f.location }) && len(locations) < maxDescribed {
			locations = append(locations, f.location)
		}
	}
	if err == nil && len(locations) == 0 {
		err = ErrSilent
	}
	if err != nil {
		done("", err)
		return err
	}
	done("LOCATION "+locations[0].String(), nil)
	var list []*igd
	for _, location := range locations {
		done := n.begin(location.String(), "UPnP description")
		list, err = r.o.describe(ctx, location)
		if err != nil {
			done("", err)
			continue
		}
		done(fmt.Sprintf("%s: %s", list[0].device, shortService(list[0].service)), nil)
		break
	}
	if len(list) == 0 {
		return err
	}
	r.igd = list[0]
	r.Status, r.Uptime = list[0].askStatus(ctx, n)
	for _, other := range list[1:min(len(list), maxDescribed)] {
		if r.Status == "Connected" || r.Status == "" {
			break
		}
		if status, uptime := other.askStatus(ctx, n); status == "Connected" {
			r.igd, r.Status, r.Uptime = other, status, uptime
		}
	}
	r.Device, r.Service = r.igd.device, shortService(r.igd.service)
	return nil
}

func (i *igd) server() string { return i.soap.EndpointURL.String() }

// askAddress asks for the outside address.
func (i *igd) askAddress(ctx context.Context, n *notes) Answer {
	done := n.begin(i.server(), "GetExternalIPAddress")
	var out struct{ NewExternalIPAddress string }
	err := i.act(ctx, "GetExternalIPAddress", nil, &out)
	if refused, ok := errors.AsType[*Refusal](err); ok {
		done(refused.Error(), nil)
		return Answer{Code: refused.Code, Meaning: refused.Name}
	}
	done(strconv.Quote(out.NewExternalIPAddress), err)
	if err != nil {
		return Answer{Err: err}
	}
	address, err := netip.ParseAddr(strings.TrimSpace(out.NewExternalIPAddress))
	if err != nil {
		return Answer{} // empty, as a router without an address says
	}
	return Answer{External: external(address.Unmap())}
}

// askStatus asks whether the connection is up, and for how long.
func (i *igd) askStatus(ctx context.Context, n *notes) (string, time.Duration) {
	done := n.begin(i.server(), "GetStatusInfo")
	var out struct{ NewConnectionStatus, NewLastConnectionError, NewUptime string }
	err := i.act(ctx, "GetStatusInfo", nil, &out)
	status := strings.TrimSpace(out.NewConnectionStatus)
	seconds, _ := strconv.ParseUint(strings.TrimSpace(out.NewUptime), 10, 32) // 0 where it is no number
	uptime := time.Duration(seconds) * time.Second
	done(fmt.Sprintf("%s for %s", status, uptime), err)
	return status, uptime
}

// askType asks how the router is connected.
func (i *igd) askType(ctx context.Context, n *notes) string {
	done := n.begin(i.server(), "GetConnectionTypeInfo")
	var out struct{ NewConnectionType, NewPossibleConnectionTypes string }
	err := i.act(ctx, "GetConnectionTypeInfo", nil, &out)
	kind := strings.TrimSpace(out.NewConnectionType)
	done(kind, err)
	return kind
}
