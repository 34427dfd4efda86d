// Package lazyre compiles regular expressions when they are first used. Compiled
// where they are declared, they would cost every run of every command its time.
package lazyre

import (
	"regexp"
	"sync"
)

// New returns a function that compiles an expression at its first call, and then
// gives the same one. The expression is part of the program: a wrong one panics.
func New(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}
