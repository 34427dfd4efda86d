package reach

import (
	"bytes"
	"os"
)

// Sockets lists this computer's TCP sockets that are established or listen.
func Sockets() ([]Socket, error) {
	var list []Socket
	for _, path := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		table, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			continue // no IPv6
		}
		if err != nil {
			return nil, err
		}
		list = append(list, parseProcNet(bytes.NewReader(table))...)
	}
	return list, nil
}
