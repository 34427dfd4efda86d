package pkcs

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"onsite/csr"
)

// xca runs the command line of XCA on a terminal of its own, for it asks for
// passwords there, and gives the password whenever it does. It returns what XCA
// prints.
func xca(t *testing.T, dir, password string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("xca")
	if err != nil {
		t.Skip("xca is not installed")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, append([]string{"--no-gui"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir, "QT_QPA_PLATFORM=offscreen", "LC_ALL=C.UTF-8")
	terminal, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	var out bytes.Buffer
	buffer := make([]byte, 4096)
	for asked := 0; ; {
		n, err := terminal.Read(buffer)
		out.Write(buffer[:n])
		for ; asked < bytes.Count(out.Bytes(), []byte("Password:")); asked++ {
			untilHidden(t, terminal)
			if _, err := io.WriteString(terminal, password+"\n"); err != nil {
				t.Fatal(err)
			}
		}
		if err != nil {
			break // the other end of a terminal closes with an error
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("xca %q: %v\n%s", args, err, &out)
	}
	return regexp.MustCompile("\x1b\\[[0-9;]*m|\r").ReplaceAllString(out.String(), "")
}

// untilHidden waits until a terminal shows nothing of what is typed: XCA throws
// away what came before.
func untilHidden(t *testing.T, terminal *os.File) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		state, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		if state.Lflag&unix.ECHO == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("xca asks for a password and shows what is typed")
		}
	}
}

// What is written here, XCA reads; what XCA writes is read here.
func TestXCA(t *testing.T) {
	t.Parallel()
	key, leaf, chain := fixtureKey(t), fixtureCert(t, "leaf.crt"), fixtureChain(t)
	for _, p := range Protections {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			data, err := EncodePFX(PFX{Key: key, Leaf: leaf, Chain: chain, FriendlyName: "Front door", Protection: p}, []byte("geslo"))
			if err != nil {
				t.Fatal(err)
			}
			writeFile(t, dir, "x.p12", data)
			out := xca(t, dir, "geslo", "--print", "x.p12")
			for _, want := range []string{"Descriptor:  Front door\n", "Asymetric Key", "Front door_ca_1"} {
				if !strings.Contains(out, want) {
					t.Errorf("xca --print shows\n%s\nwant %q", out, want)
				}
			}
		})
	}
	dir := t.TempDir()
	p7b, err := EncodeP7B(append(certs(), append(chain, leaf)...))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := csr.EncodeKey(key, csr.PKCS8, []byte("geslo"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, "chain.p7b", p7b)
	writeFile(t, dir, "leaf.key", sealed)
	writeFile(t, dir, "cert.pem", Encode(leaf, chain[0]))
	out := xca(t, dir, "geslo", "--pem", "chain.p7b")
	bag, err := Read([]byte(out))
	if err != nil || len(bag.Certs) != 3 {
		t.Errorf("Read(xca --pem chain.p7b) = %v, %v, want 3 certificates; xca printed\n%s", bag, err, out)
	}
	if out := xca(t, dir, "geslo", "--print", "leaf.key"); !strings.Contains(out, "EC") {
		t.Errorf("xca --print leaf.key shows\n%s", out)
	}
}
