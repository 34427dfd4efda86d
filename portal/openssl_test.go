package portal

import (
	"context"
	"crypto/tls"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"onsite/pkcs"
	"onsite/report"
)

// tool returns a command of another program, without the person's settings.
func tool(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "OPENSSL_CONF="+os.DevNull, "HOME="+t.TempDir())
	return cmd
}

// The portal answers curl and openssl s_client, which trust the root alone.
func TestServeToOpenSSL(t *testing.T) {
	t.Parallel()
	set := newSet(nil, testName)
	dir := write(t, set)
	s, _ := start(t, both(dir), nil)
	_, port, _ := net.SplitHostPort(s.HTTPSAddr())
	root := filepath.Join(t.TempDir(), "root-alone.pem")
	if err := os.WriteFile(root, pemOf(set.Root), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, ca := range []string{root, filepath.Join(dir, pkcs.RootFile)} {
		t.Run("curl with "+filepath.Base(ca), func(t *testing.T) {
			t.Parallel()
			out, err := tool(t, "curl", "-q", "-sS", "--fail", "--noproxy", "*", "--cacert", ca, "--resolve", testName+":"+port+":127.0.0.1",
				"https://"+testName+":"+port+"/healthz").CombinedOutput()
			if err != nil || string(out) != "ok\n" {
				t.Errorf("curl = %q, %v, want ok", out, err)
			}
		})
	}
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		t.Run("s_client "+version, func(t *testing.T) {
			t.Parallel()
			out, err := tool(t, "openssl", "s_client", version, "-connect", s.HTTPSAddr(), "-verify_return_error", "-CAfile", root, "-no-CApath",
				"-servername", testName, "-verify_hostname", testName).CombinedOutput()
			if err != nil || !strings.Contains(string(out), "Verify return code: 0 (ok)") {
				t.Errorf("openssl s_client = %v, want a verified chain:\n%s", err, out)
			}
		})
	}
	t.Run("s_client with a wrong name", func(t *testing.T) {
		t.Parallel()
		cmd := tool(t, "openssl", "s_client", "-connect", s.HTTPSAddr(), "-verify_return_error", "-CAfile", root, "-no-CApath", "-verify_hostname", "other.example")
		if out, err := cmd.CombinedOutput(); err == nil {
			t.Errorf("openssl s_client accepts a wrong name:\n%s", out)
		}
	})
}

// The three files are right for OpenSSL's own server, whether it reads the first
// certificate of cert.pem alone and takes the others from root.pem, or all.
func TestCheckOpenSSLServer(t *testing.T) {
	t.Parallel()
	set := newSet(nil, testName)
	dir := write(t, set)
	file := func(name string) string { return filepath.Join(dir, name) }
	for name, args := range map[string][]string{
		"first certificate": {"-cert", file(pkcs.CertFile), "-key", file(pkcs.KeyFile), "-CAfile", file(pkcs.RootFile), "-no-CApath"},
		"cert_chain":        {"-cert", file(pkcs.CertFile), "-key", file(pkcs.KeyFile), "-cert_chain", file(pkcs.CertFile), "-no-CAfile", "-no-CApath"},
		"all of it":         {"-cert", file(pkcs.CertFile), "-key", file(pkcs.KeyFile), "-cert_chain", file(pkcs.CertFile), "-CAfile", file(pkcs.RootFile), "-no-CApath"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr := serveOpenSSL(t, args...)
			r, findings := mustCheck(t, options("https", addr))
			for _, code := range []string{"chain.complete", "cert.name.matches", "portal.tls.version", "portal.http.status"} {
				want(t, findings, code, report.StatusPass)
			}
			// With -cert_chain OpenSSL sends the whole of that file behind the
			// certificate, which then comes twice; clients do not mind.
			if report.Worst(findings) != report.StatusPass || r.Certificates[0].SHA256 != pkcs.Fingerprint(set.Leaf) || r.Portal != nil {
				t.Errorf("Check = %+v, %+v, want every check passed", r, findings)
			}
			conn, err := tls.Dial("tcp", addr, clientTLS())
			if err != nil {
				t.Fatalf("a client that trusts the root does not accept the chain: %v", err)
			}
			conn.Close()
		})
	}
	t.Run("alone", func(t *testing.T) {
		t.Parallel()
		_, findings := mustCheck(t, options("https", serveOpenSSL(t, "-cert", file(pkcs.CertFile), "-key", file(pkcs.KeyFile), "-no-CAfile", "-no-CApath")))
		want(t, findings, "chain.issuer.unknown", report.StatusFail)
	})
	t.Run("over HTTP", func(t *testing.T) {
		t.Parallel()
		o := options("http", serveOpenSSL(t, "-cert", file(pkcs.CertFile), "-key", file(pkcs.KeyFile), "-no-CAfile", "-no-CApath"))
		_, findings := mustCheck(t, o)
		if n := report.Count(findings, report.StatusFail); n != 1 {
			t.Errorf("findings = %+v, want one fail", findings)
		}
	})
}

// serveOpenSSL runs openssl s_server and returns its address once it answers.
func serveOpenSSL(t *testing.T, args ...string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr = l.Addr().String()
	l.Close()
	cmd := tool(t, "openssl", append([]string{"s_server", "-www", "-accept", addr}, args...)...)
	stdin, err := cmd.StdinPipe() // an end of input would end the server
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("openssl s_server:\n%s", out.String())
		}
	})
	eventually(t, "openssl s_server answers on "+addr, func() bool {
		conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			return false
		}
		conn.Close()
		return true
	})
	return addr
}
