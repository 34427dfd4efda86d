package reach

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/windows"
)

var getExtendedTCPTable = windows.NewLazySystemDLL("iphlpapi.dll").NewProc("GetExtendedTcpTable")

// The states of a TCP row (MIB_TCP_STATE, tcpmib.h), the table that holds all of
// them (TCP_TABLE_OWNER_PID_ALL, iprtrmib.h), and the sizes of its rows.
const (
	mibListen      = 2
	mibEstablished = 5
	tableOfAll     = 5
	rowSize4       = 24
	rowSize6       = 56
)

// Sockets lists this computer's TCP sockets that are established or listen.
func Sockets() ([]Socket, error) {
	var list []Socket
	for _, family := range []uint32{windows.AF_INET, windows.AF_INET6} {
		table, err := tcpTable(family)
		if err != nil {
			return nil, err
		}
		list = append(list, parseTable(table, family == windows.AF_INET6)...)
	}
	return list, nil
}

func tcpTable(family uint32) ([]byte, error) {
	size := uint32(64 << 10)
	for {
		table := make([]byte, size)
		code, _, _ := getExtendedTCPTable.Call(uintptr(unsafe.Pointer(&table[0])), uintptr(unsafe.Pointer(&size)), 0, uintptr(family), tableOfAll, 0) //nolint:gosec // G103: so is the system called
		switch e := windows.Errno(code); {
		case code == 0:
			return table, nil
		case e == windows.ERROR_INSUFFICIENT_BUFFER && size < 64<<20:
			size += size / 4 // it grows while it is read
		default:
			return nil, e
		}
	}
}

// parseTable reads MIB_TCPTABLE_OWNER_PID: a count, then rows of state, local
// and remote address and port, the ports in network order; or that of IPv6, whose
// rows have the state behind the addresses, and a scope with each.
func parseTable(table []byte, v6 bool) []Socket {
	if len(table) < 4 {
		return nil
	}
	var list []Socket
	row, n := rowSize4, binary.LittleEndian.Uint32(table)
	if v6 {
		row = rowSize6
	}
	for rest := table[4:]; n > 0 && len(rest) >= row; n, rest = n-1, rest[row:] {
		var s Socket
		var state uint32
		if v6 {
			state = binary.LittleEndian.Uint32(rest[48:])
			s.Local = netip.AddrPortFrom(netip.AddrFrom16([16]byte(rest)).Unmap(), binary.BigEndian.Uint16(rest[20:]))
			s.Remote = netip.AddrPortFrom(netip.AddrFrom16([16]byte(rest[24:])).Unmap(), binary.BigEndian.Uint16(rest[44:]))
		} else {
			state = binary.LittleEndian.Uint32(rest)
			s.Local = netip.AddrPortFrom(netip.AddrFrom4([4]byte(rest[4:])), binary.BigEndian.Uint16(rest[8:]))
			s.Remote = netip.AddrPortFrom(netip.AddrFrom4([4]byte(rest[12:])), binary.BigEndian.Uint16(rest[16:]))
		}
		if s.Established, s.Listening = state == mibEstablished, state == mibListen; s.Established || s.Listening {
			list = append(list, s)
		}
	}
	return list
}
