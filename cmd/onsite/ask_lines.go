package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// linePrompter asks line by line, without moving the cursor: for dumb
// terminals, screen readers, tests, and free text everywhere.
type linePrompter struct {
	in      *bufio.Reader
	out     io.Writer
	restore func() // puts the terminal in order after an interrupt
	// hide makes the terminal show nothing of what is typed, until the function
	// that it returns is called.
	hide func() (show func(), err error)
}

var errTooMany = errors.New("no usable answer after five tries")

// tries is how often a wrong answer is asked for again.
const tries = 5

func (l *linePrompter) Text(ctx context.Context, q Question) (string, error) {
	if q.Help != "" {
		fmt.Fprintf(l.out, "  %s\n", q.Help)
	}
	for range tries {
		line, err := l.line(ctx, q.Label, q.Default)
		if err != nil {
			return "", err
		}
		if line == "" {
			line = q.Default
		}
		if q.Validate == nil {
			return line, nil
		}
		if err = q.Validate(line); err == nil {
			return line, nil
		}
		fmt.Fprintf(l.out, "  %s\n", err)
	}
	return "", errTooMany
}

func (l *linePrompter) line(ctx context.Context, label, def string) (string, error) {
	if def != "" {
		label += " [" + def + "]"
	}
	fmt.Fprintf(l.out, "%s: ", label)
	return await(ctx, l.restore, func() (string, error) {
		line, err := l.in.ReadString('\n')
		if err != nil { // the end of the input: Ctrl-D is "stop", never "accept"
			fmt.Fprintln(l.out)
			return "", errCancelled
		}
		return strings.TrimSpace(line), nil
	})
}

func (l *linePrompter) Secret(ctx context.Context, q Question, twice bool) ([]byte, error) {
	for range tries {
		first, err := l.secret(ctx, q.Label)
		if err != nil || !twice {
			return first, err
		}
		second, err := l.secret(ctx, q.Label+", again")
		if err != nil {
			return nil, err
		}
		if bytes.Equal(first, second) {
			return first, nil
		}
		fmt.Fprintln(l.out, "  the two are not the same: type both again")
	}
	return nil, errTooMany
}

func (l *linePrompter) secret(ctx context.Context, label string) ([]byte, error) {
	fmt.Fprintf(l.out, "%s: ", label)
	return await(ctx, l.restore, func() ([]byte, error) {
		show, err := l.hide()
		if err != nil {
			return nil, errCancelled // the terminal is gone
		}
		value, err := l.typed()
		show()
		fmt.Fprintln(l.out)
		return value, err
	})
}

// typed reads a line key by key.
func (l *linePrompter) typed() ([]byte, error) {
	var line []rune
	for {
		key, _, err := l.in.ReadRune()
		if err != nil {
			return nil, errCancelled
		}
		switch key {
		case '\r', '\n':
			return []byte(string(line)), nil
		case 3, 4: // Ctrl-C, Ctrl-D
			return nil, errCancelled
		case 8, 127: // Backspace
			line = line[:max(len(line)-1, 0)]
		case 21: // Ctrl-U
			line = nil
		default:
			line = append(line, key)
		}
	}
}

func (l *linePrompter) Choose(ctx context.Context, q Question, options []string) (int, error) {
	for i, o := range options {
		fmt.Fprintf(l.out, "  %d  %s\n", i+1, o)
	}
	chosen := 0
	q.Validate = func(s string) error {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > len(options) {
			return fmt.Errorf("type a number from 1 to %d", len(options))
		}
		chosen = n - 1
		return nil
	}
	_, err := l.Text(ctx, q)
	return chosen, err
}

func (l *linePrompter) Confirm(ctx context.Context, q Question) (bool, error) {
	if q.Help != "" {
		fmt.Fprintf(l.out, "  %s\n", q.Help)
	}
	for range tries {
		line, err := l.line(ctx, q.Label+" (y/N)", "")
		if err != nil {
			return false, err
		}
		if yes, ok := isYes(line); ok {
			return yes, nil
		}
		fmt.Fprintln(l.out, "  type y or n")
	}
	return false, errTooMany
}
