package main

import (
	"os"
	"syscall"
)

// peakMemory is the most memory that a process had resident, in bytes, or more:
// Linux counts what this process had resident when it started the other.
func peakMemory(p *os.ProcessState) int64 {
	if usage, ok := p.SysUsage().(*syscall.Rusage); ok {
		return usage.Maxrss << 10 // Linux counts in KiB
	}
	return 0
}
