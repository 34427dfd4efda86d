package wan

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

// interfaceTypes are the kinds by the number of IANA's ifType registry.
var interfaceTypes = map[uint32]Kind{
	windows.IF_TYPE_ETHERNET_CSMACD: KindEthernet,
	windows.IF_TYPE_IEEE80211:       KindWiFi,
	windows.IF_TYPE_PPP:             KindPPP,
	windows.IF_TYPE_TUNNEL:          KindVPN,
	53:                              KindVPN,    // proprietary virtual: Wintun, as WireGuard uses it
	243:                             KindMobile, // WWAN, GSM
	244:                             KindMobile, // WWAN, CDMA
}

// linkHints asks Windows what each adapter is, by its number.
func linkHints() map[int]linkHint {
	hints := map[int]linkHint{}
	size := uint32(32 << 10)
	for range 3 { // adapters come and go between two calls
		buffer := make([]byte, size)
		first := (*windows.IpAdapterAddresses)(unsafe.Pointer(&buffer[0])) //nolint:gosec // G103: the call fills it so
		err := windows.GetAdaptersAddresses(windows.AF_UNSPEC, 0, 0, first, &size)
		if err == windows.ERROR_BUFFER_OVERFLOW { //nolint:errorlint // a plain Errno
			continue
		}
		if err != nil {
			return hints
		}
		for a := first; a != nil; a = a.Next {
			hints[int(a.IfIndex)] = linkHint{kind: interfaceTypes[a.IfType], description: windows.UTF16PtrToString(a.Description)}
		}
		return hints
	}
	return hints
}
