//go:build !windows

package main

import "io"

// terminalDevice is the terminal that the program runs on.
const terminalDevice = "/dev/tty"

// enableColour reports whether the stream understands escape codes.
func enableColour(io.Writer) bool { return true }

// waitIfDoubleClicked is for Windows alone.
func waitIfDoubleClicked(*streams) {}
