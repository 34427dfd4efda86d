//go:build linux

package netlab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// host is one computer of the lab: a thread of this process that lives in a
// network and a mount namespace of its own. Whatever the thread starts lives there
// too. With the thread, and so with this process, however it ends, the namespaces
// and all that runs in them are gone; they have no name that could be left behind.
type host struct {
	name  string
	dir   string // its home folder
	tid   int
	netns *os.File
	calls chan func()
	ended chan struct{}

	mu      sync.Mutex
	running map[*os.Process]bool
}

// newHost makes a host. What resolv says is its /etc/resolv.conf.
func newHost(name, dir, resolv string) (*host, error) {
	h := &host{
		name: name, dir: filepath.Join(dir, "home-"+name),
		calls: make(chan func()), ended: make(chan struct{}), running: map[*os.Process]bool{},
	}
	etc := filepath.Join(dir, "etc-"+name)
	for _, d := range []string{h.dir, etc} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return nil, err
		}
	}
	files := map[string]string{"resolv.conf": resolv, "hosts": "127.0.0.1 localhost " + name + "\n"}
	for file, text := range files {
		if err := os.WriteFile(filepath.Join(etc, file), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	ready := make(chan error)
	offMainThread(func() { h.live(etc, files, ready) })
	if err := <-ready; err != nil {
		return nil, fmt.Errorf("host %s: %w", name, err)
	}
	return h, nil
}

// offMainThread starts a goroutine on a thread of its own that ends with it. The
// process's first thread would not: Go keeps it, and with it the namespaces.
func offMainThread(f func()) {
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			done := make(chan struct{})
			go func() {
				runtime.LockOSThread()
				close(done)
				f()
			}()
			<-done // until then this thread is taken
			runtime.UnlockOSThread()
			return
		}
		f()
	}()
}

// live is the life of the host's thread.
func (h *host) live(etc string, files map[string]string, ready chan<- error) {
	defer close(h.ended)
	if err := h.enter(etc, files); err != nil {
		ready <- err
		return
	}
	close(ready)
	for call := range h.calls {
		call()
	}
}

func (h *host) enter(etc string, files map[string]string) error {
	if err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	for file := range files {
		if err := unix.Mount(filepath.Join(etc, file), "/etc/"+file, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount /etc/%s: %w", file, err)
		}
	}
	h.tid = unix.Gettid()
	var err error
	if h.netns, err = os.Open("/proc/thread-self/ns/net"); err != nil {
		return err
	}
	// What Debian leaves to the administrator: no IPv6 here, no filters where the
	// lab has none, and a ping for everybody.
	for file, value := range map[string]string{
		"ipv6/conf/all/disable_ipv6": "1", "ipv6/conf/default/disable_ipv6": "1",
		"bridge/bridge-nf-call-iptables": "0", "bridge/bridge-nf-call-ip6tables": "0", "bridge/bridge-nf-call-arptables": "0",
		"ipv4/conf/all/rp_filter": "0", "ipv4/conf/default/rp_filter": "0", "ipv4/ping_group_range": "0 2147483647",
	} {
		if err := os.WriteFile("/proc/sys/net/"+file, []byte(value), 0o644); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// do runs f on the host's own thread.
func (h *host) do(f func()) {
	done := make(chan struct{})
	h.calls <- func() { defer close(done); f() }
	<-done
}

// on runs f on a thread of its own in the host's network, where it may wait. f
// must not leave the making of sockets to other goroutines.
func (h *host) on(f func() error) error {
	done := make(chan error, 1)
	offMainThread(func() {
		if err := unix.Setns(int(h.netns.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("host %s: setns: %w", h.name, err)
			return
		}
		done <- f()
	})
	return <-done
}

// dial connects from this host. The address must be a literal one.
func (h *host) dial(ctx context.Context, network, address string) (conn net.Conn, err error) {
	err = h.on(func() error {
		conn, err = new(net.Dialer).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

func (h *host) listen(address string) (l net.Listener, err error) {
	err = h.bind(func() error {
		l, err = new(net.ListenConfig).Listen(context.Background(), "tcp4", address)
		return err
	})
	return l, err
}

func (h *host) listenPacket(address string) (c *net.UDPConn, err error) {
	err = h.bind(func() error {
		pc, err := new(net.ListenConfig).ListenPacket(context.Background(), "udp4", address)
		c, _ = pc.(*net.UDPConn)
		return err
	})
	return c, err
}

// bind tries for a while: a program that another test starts just now may hold
// the socket of a service that was stopped, until it has closed what it inherited.
func (h *host) bind(listen func() error) error {
	return h.on(func() error {
		for start := time.Now(); ; time.Sleep(5 * time.Millisecond) {
			err := listen()
			if !errors.Is(err, syscall.EADDRINUSE) || time.Since(start) > 5*time.Second {
				return err
			}
		}
	})
}

// start starts a program on this host. It ends with the host at the latest.
func (h *host) start(cmd *exec.Cmd) (err error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	h.do(func() { err = cmd.Start() })
	if err != nil {
		return fmt.Errorf("host %s: %w", h.name, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running[cmd.Process] = true
	return nil
}

// wait waits for what start started.
func (h *host) wait(cmd *exec.Cmd) error {
	err := cmd.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.running, cmd.Process)
	return err
}

// command runs a program to its end and returns what it printed.
func (h *host) command(stdin, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	var out, problems bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &problems
	if err := h.start(cmd); err != nil {
		return "", err
	}
	if err := h.wait(cmd); err != nil {
		return out.String(), fmt.Errorf("%s: %s %s: %w: %s", h.name, name, strings.Join(args, " "), err, bytes.TrimSpace(problems.Bytes()))
	}
	return out.String(), nil
}

// ip runs ip(8) once for many lines.
func (h *host) ip(lines ...string) error {
	if len(lines) == 0 {
		return nil
	}
	_, err := h.command(strings.Join(lines, "\n")+"\n", "ip", "-batch", "-")
	return err
}

// nft changes the host's firewall, all or nothing.
func (h *host) nft(rules string) error {
	_, err := h.command(rules, "nft", "-f", "-")
	if err != nil {
		return fmt.Errorf("%w\n%s", err, rules)
	}
	return nil
}

// close ends everything on this host, and the host.
func (h *host) close() {
	h.mu.Lock()
	for process := range h.running {
		process.Kill()
	}
	h.mu.Unlock()
	close(h.calls)
	<-h.ended
	if h.netns != nil {
		h.netns.Close()
	}
}
