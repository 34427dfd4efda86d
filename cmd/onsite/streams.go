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
}

func systemStreams() *streams {
	return &streams{
		in: os.Stdin, out: os.Stdout, err: os.Stderr,
		inTTY: term.IsTerminal(int(os.Stdin.Fd())), outTTY: term.IsTerminal(int(os.Stdout.Fd())), errTTY: term.IsTerminal(int(os.Stderr.Fd())),
		inFile: os.Stdin, errFile: os.Stderr,
	}
}

// width is the number of columns to fill: the terminal's, within reason.
func (s *streams) width() int {
	for _, f := range []io.Writer{s.out, s.err} {
		if file, ok := f.(*os.File); ok {
			if w, _, err := term.GetSize(int(file.Fd())); err == nil && w >= 40 {
				return min(w, 100)
			}
		}
	}
	return 80
}
