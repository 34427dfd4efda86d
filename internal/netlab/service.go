//go:build linux

package netlab

import (
	"bytes"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// service is a server of this process in a host's network.
type service struct {
	mu      sync.Mutex
	stopped bool
	closers map[io.Closer]bool
	running sync.WaitGroup
}

// restart stops the service of that name and starts it anew. Without anything in
// it, it stays stopped.
func (l *Lab) restart(name string, start func(*service) error) error {
	l.mu.Lock()
	old := l.services[name]
	s := &service{closers: map[io.Closer]bool{}}
	l.services[name] = s
	l.mu.Unlock()
	if old != nil {
		old.stop()
	}
	return start(s)
}

// add puts something in that stop closes.
func (s *service) add(c io.Closer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		c.Close()
		return
	}
	s.closers[c] = true
}

func (s *service) remove(c io.Closer) {
	c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.closers, c)
}

// goes runs f beside; stop waits for it.
func (s *service) goes(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return
	}
	s.running.Go(f)
}

func (s *service) stop() {
	s.mu.Lock()
	s.stopped = true
	for c := range s.closers {
		c.Close()
	}
	s.mu.Unlock()
	s.running.Wait()
}

// tcp gives each connection to address to handle, and closes it after.
func (s *service) tcp(h *host, address string, handle func(net.Conn)) error {
	listener, err := h.listen(address)
	if err != nil {
		return err
	}
	s.add(listener)
	s.goes(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.add(conn)
			s.goes(func() {
				defer s.remove(conn)
				handle(conn)
			})
		}
	})
	return nil
}

// web serves HTTP at address, or HTTPS with a certificate.
func (s *service) web(h *host, address string, certificate *tls.Certificate, handler http.Handler) error {
	listener, err := h.listen(address)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 20 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	if certificate != nil {
		listener = tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{*certificate}, NextProtos: []string{"http/1.1"}})
	}
	s.add(server)
	s.goes(func() { server.Serve(listener) })
	return nil
}

// program is a program that goes on until it is stopped.
type program struct {
	cmd    *exec.Cmd
	output lockedBuffer
	done   chan struct{}
	err    error // how it ended, once done is closed
}

// launch starts a program on the host.
func (h *host) launch(cmd *exec.Cmd) (*program, error) {
	p := &program{cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.output, &p.output
	if err := h.start(p.cmd); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.done)
		p.err = h.wait(p.cmd)
	}()
	return p, nil
}

// stop ends the program; nil is one that was never started.
func (p *program) stop() {
	if p == nil {
		return
	}
	p.cmd.Process.Kill()
	<-p.done
}

func (p *program) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (p *program) log() string { return p.output.String() }

// tail is the end of the log.
func (p *program) tail() string {
	lines := strings.Split(strings.TrimSpace(p.log()), "\n")
	return strings.Join(lines[max(0, len(lines)-8):], "\n")
}

// interrupt ends the program as Ctrl-C would, and waits.
func (p *program) interrupt() error {
	p.cmd.Process.Signal(os.Interrupt)
	<-p.done
	return p.err
}

// lockedBuffer may be read while a program still writes to it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
