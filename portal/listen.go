package portal

import (
	"net"

	"onsite/internal/sock"
)

const (
	codeAddressWrong  = "portal.address.wrong"
	codeAddressInUse  = "portal.address.in-use"
	codeAddressDenied = "portal.address.denied"
	codeServeFailed   = "portal.serve.failed"
)

// listen takes a TCP address. An empty one gives no listener.
func listen(addr string) (net.Listener, error) {
	return sock.Listen(addr, sock.Codes{Wrong: codeAddressWrong, InUse: codeAddressInUse, Denied: codeAddressDenied, Failed: codeServeFailed})
}
