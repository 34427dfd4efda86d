//go:build !linux && !windows

package wan

// linkHints is empty where the system says no more than the interface's name.
func linkHints() map[int]linkHint { return nil }
