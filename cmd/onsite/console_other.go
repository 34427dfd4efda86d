//go:build !windows

package main

import "io"

// terminalDevice is the terminal that the program runs on.
const terminalDevice = "/dev/tty"

// enableColour reports whether the stream understands escape codes.
func enableColour(io.Writer) bool { return true }

// waitIfDoubleClicked is for Windows alone.
func waitIfDoubleClicked(*streams) {}

// consoleIsUTF8 is for Windows alone; elsewhere the environment tells.
func consoleIsUTF8() bool { return false }
