package reach

import (
	"bufio"
	"encoding/hex"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Socket is one TCP socket of this computer.
type Socket struct {
	Local, Remote netip.AddrPort
	Established   bool
	Listening     bool
}

// The states of the Linux kernel's table (include/net/tcp_states.h).
const (
	tcpEstablished = "01"
	tcpListen      = "0A"
)

// parseProcNet reads /proc/net/tcp or tcp6. Lines that it does not understand
// are left out.
func parseProcNet(r io.Reader) []Socket {
	var list []Socket
	for lines := bufio.NewScanner(r); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) < 4 || (f[3] != tcpEstablished && f[3] != tcpListen) {
			continue
		}
		local, ok1 := parseProcAddr(f[1])
		remote, ok2 := parseProcAddr(f[2])
		if ok1 && ok2 {
			list = append(list, Socket{Local: local, Remote: remote, Established: f[3] == tcpEstablished, Listening: f[3] == tcpListen})
		}
	}
	return list
}

// parseProcAddr reads 0100007F:22B8: words of 32 bits, as the machine has them,
// and a port. Every machine that onsite is built for is little-endian.
func parseProcAddr(s string) (netip.AddrPort, bool) {
	host, port, _ := strings.Cut(s, ":")
	raw, err := hex.DecodeString(host)
	n, portErr := strconv.ParseUint(port, 16, 16)
	if err != nil || portErr != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		slices.Reverse(raw[i : i+4])
	}
	addr, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), ok
}
