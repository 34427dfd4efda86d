package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// streams are the three standard streams and what is known of them.
type streams struct {
	in       io.Reader
	out, err io.Writer
	// The terminals behind them; false for files and pipes.
	inTTY, outTTY, errTTY bool
	// inFile and errFile are what prompts work on; nil in tests.
	inFile, errFile *os.File
	// columns is the width for streams that are no terminals; 0: lines are not
	// broken, so that logs can be searched.
	columns int
}

func systemStreams() *streams {
	return &streams{
		in: os.Stdin, out: os.Stdout, err: os.Stderr,
		inTTY: term.IsTerminal(int(os.Stdin.Fd())), outTTY: term.IsTerminal(int(os.Stdout.Fd())), errTTY: term.IsTerminal(int(os.Stderr.Fd())),
		inFile: os.Stdin, errFile: os.Stderr,
	}
}

// noWrap is wider than any line.
const noWrap = 1 << 20

// width is the number of columns to fill on a stream: the terminal's, within
// reason.
func (s *streams) width(w io.Writer) int {
	if file, ok := w.(*os.File); ok {
		if columns, _, err := term.GetSize(int(file.Fd())); err == nil {
			return min(max(columns, 40), 100)
		}
	}
	if s.columns > 0 {
		return s.columns
	}
	return noWrap
}
