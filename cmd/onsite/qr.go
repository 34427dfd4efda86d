package main

import (
	"fmt"
	"strings"

	"rsc.io/qr"
)

// showURL prints an address that a telephone is to open, with its QR code where
// the console has the characters for it.
func (a *app) showURL(url string) {
	fmt.Fprintf(a.io.err, "\n  %s\n\n", url)
	if !a.io.errTTY || !a.showsBlocks() {
		return
	}
	if code, err := qr.Encode(url, qr.L); err == nil {
		fmt.Fprintf(a.io.err, "%s\n", halfBlocks(code))
	}
}

// showsBlocks reports whether the console has half blocks: those of UTF-8 do.
func (a *app) showsBlocks() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value, ok := a.env(name); ok && value != "" {
			value = strings.ToUpper(value)
			return strings.Contains(value, "UTF-8") || strings.Contains(value, "UTF8")
		}
	}
	return consoleIsUTF8()
}

// border is the quiet zone, in modules (ISO/IEC 18004 asks for 4; half of it is
// enough on a screen, and fits one of 80 columns).
const border = 2

// halfBlocks draws a code with two modules to a character, upper and lower half. Light
// is drawn and dark is left: a console is dark. On a light one the code is
// inverted, which telephones read too.
func halfBlocks(code *qr.Code) string {
	light := func(x, y int) bool { return !code.Black(x, y) } // beyond the code all is light
	var b strings.Builder
	for y := -border; y < code.Size+border; y += 2 {
		b.WriteString("  ")
		for x := -border; x < code.Size+border; x++ {
			upper, lower := light(x, y), light(x, y+1)
			if y+1 >= code.Size+border {
				lower = false
			}
			switch {
			case upper && lower:
				b.WriteRune('█')
			case upper:
				b.WriteRune('▀')
			case lower:
				b.WriteRune('▄')
			default:
				b.WriteByte(' ')
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}
