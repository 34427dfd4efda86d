package main

import (
	"bufio"
	"fmt"
	"io"
	"os"

	"github.com/inconshreveable/mousetrap"
	"github.com/spf13/cobra"
	"golang.org/x/sys/windows"
)

// A double click in Explorer is welcome (see waitIfDoubleClicked); cobra would
// scold and end the program.
func init() { cobra.MousetrapHelpText = "" }

// terminalDevice is the console that the program runs on.
const terminalDevice = "CONOUT$"

// enableColour switches escape codes on for a console, which old ones do not
// know. A file or pipe, chosen with --color always, takes them as they are.
func enableColour(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return true
	}
	var mode uint32
	handle := windows.Handle(file.Fd())
	if windows.GetConsoleMode(handle, &mode) != nil {
		return true
	}
	return windows.SetConsoleMode(handle, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}

// waitIfDoubleClicked keeps the window open that Explorer made for a double
// click: it would be gone before anybody could read it.
func waitIfDoubleClicked(s *streams) {
	if s.inTTY && mousetrap.StartedByExplorer() {
		fmt.Fprint(s.err, "\nPress Enter to close this window.")
		bufio.NewReader(s.in).ReadString('\n') //nolint:errcheck // whatever comes, the window closes
	}
}

// consoleIsUTF8 reports whether the console shows UTF-8 (code page 65001).
func consoleIsUTF8() bool {
	page, err := windows.GetConsoleOutputCP()
	return err == nil && page == 65001
}
