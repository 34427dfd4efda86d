package reflector

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"

	"onsite/report"
)

// watched is something read from files, and read again when they have changed.
type watched[T any] struct {
	paths []string
	read  func() (T, error)
	kept  func(error) // is told that changed files are bad, and the old value stays
	now   func() time.Time

	mu    sync.Mutex
	value T
	state string // of the files when they were last read
	next  time.Time
}

// lookEvery is how often files are looked at, at the most.
const lookEvery = 2 * time.Second

func watch[T any](now func() time.Time, kept func(error), read func() (T, error), paths ...string) (*watched[T], error) {
	w := &watched[T]{paths: paths, read: read, kept: kept, now: now, next: now().Add(lookEvery)}
	w.state = w.look()
	var err error
	w.value, err = read()
	return w, err
}

// get returns the value. Files that are bad now do not take it away: each change
// is told once.
func (w *watched[T]) get() T {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.now()
	if now.Before(w.next) {
		return w.value
	}
	w.next = now.Add(lookEvery)
	if state := w.look(); state != w.state {
		w.state = state
		if value, err := w.read(); err == nil {
			w.value = value
		} else {
			w.kept(err)
		}
	}
	return w.value
}

// look describes the files as they are: it changes when they do.
func (w *watched[T]) look() string {
	var state string
	for _, path := range w.paths {
		if info, err := os.Stat(path); err == nil {
			state += fmt.Sprintf("%s %d %v|", info.ModTime(), info.Size(), info.Mode())
		} else {
			state += "none|"
		}
	}
	return state
}

// readPair reads the certificate and key of HTTPS.
func readPair(certFile, keyFile string) (*tls.Certificate, error) {
	const remedy = "give the PEM files of one certificate, with its chain, and of its key: --tls-cert and --tls-key"
	if certFile == "" || keyFile == "" {
		return nil, report.Errorf(report.KindMissing, "reflector.tls.wrong", remedy, "HTTPS needs a certificate and a key, and one of them is missing")
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, report.Errorf(report.KindInput, "reflector.tls.wrong", remedy, "read %s and %s: %w", certFile, keyFile, err)
	}
	return &pair, nil
}
