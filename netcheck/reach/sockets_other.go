//go:build !linux && !windows

package reach

import "errors"

// Sockets is not known how to ask on this system.
func Sockets() ([]Socket, error) { return nil, errors.ErrUnsupported }
