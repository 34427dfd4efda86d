// Package site knows a customer's site as a whole. Here is the simulated one of
// "onsite demo": an in-house authority, a name server and the web portal, all
// inside this process and on loopback.
//
// The simulation exists for the demo and for tests, and says so wherever it
// shows. What is done to the site and how it is checked is not simulated: the
// same functions run as for a real one.
package site

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"onsite/ca"
	"onsite/csr"
	"onsite/internal/fileset"
	"onsite/netcheck"
	"onsite/pkcs"
	"onsite/portal"
	"onsite/report"
)

// The simulated site.
const (
	demoOrganization = "Acme Bakery Pty Ltd"
	demoName         = "portal.example.com"
	demoAddress      = "127.0.0.1"

	demoAuthorityDays = 730
)

// demoNotice is said first wherever the demo's results are shown.
const demoNotice = "This site is simulated: its authority, its name server and its portal run inside " +
	"this program, on loopback. Nothing was changed outside the folder, and nobody trusts these certificates."

// Files and folders that a demo writes.
const (
	demoAbout     = "ABOUT.txt"
	demoRequest   = "request"
	demoAuthority = "authority"
	demoBundle    = "bundle"
	demoArchive   = "certificates.zip"
	demoPortal    = "web-server"
	demoReport    = "report"
)

// DemoOptions says how the demo runs. Dir must be given.
type DemoOptions struct {
	// Dir is made when it is not there. A folder that no demo made is refused,
	// unless it is empty.
	Dir string
	// HTTP and HTTPS are the portal's addresses; empty: free ports on loopback.
	HTTP, HTTPS string
	// Browser adds localhost and 127.0.0.1 to the request, so that a browser on
	// this computer can open the portal.
	Browser bool
	Now     func() time.Time // nil: time.Now
	// Step is told what comes next; nil: nobody.
	Step func(what string)
	// Serve, when not nil, is called after the checks while the portal is up.
	// The portal ends when it returns.
	Serve func(ctx context.Context, d *Demo)
}

// Demo is what a demo came to.
type Demo struct {
	Report *report.Report `json:"report"`
	Dir    string         `json:"dir"`
	Name   string         `json:"name"`  // the simulated site's
	HTTP   string         `json:"http"`  // host:port that the portal listened on
	HTTPS  string         `json:"https"` // likewise
	Root   string         `json:"root"`  // the authority's root certificate, a file
}

// demo is a demo under way.
type demo struct {
	*Demo
	options   DemoOptions
	authority *ca.Authority
	key       crypto.Signer
	password  []byte
	set       *pkcs.Set // that was split from the bundle
}

// RunDemo sets up the simulated site in o.Dir and checks it. It writes the
// report, as text and as JSON, beside the rest. The error says that the work
// could not be done; a failed check is a finding in the report.
func RunDemo(ctx context.Context, o DemoOptions) (*Demo, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Step == nil {
		o.Step = func(string) {}
	}
	d := &demo{options: o, Demo: &Demo{
		Dir: o.Dir, Name: demoName, Root: filepath.Join(o.Dir, demoAuthority, pkcs.RootFile),
		Report: &report.Report{Title: "Site check: " + demoOrganization + ", " + demoName, Notice: demoNotice, Made: o.Now().UTC().Truncate(time.Second)},
	}}
	if err := ctx.Err(); err != nil {
		return nil, err // before the folder is made
	}
	if err := claim(o.Dir); err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{d.request, d.sign, d.split, d.gather} {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	if err := d.serve(ctx); err != nil {
		return nil, err
	}
	return d.Demo, nil
}

// claim makes dir a demo's folder. It takes the traces of an earlier demo away
// and touches nothing else.
func claim(dir string) error {
	if dir == "" { // an unset variable of a batch file: the current folder was not meant
		return report.Errorf(report.KindUsage, "demo.folder", "name a folder with --out", "the name of the folder is empty")
	}
	if info, err := os.Stat(dir); err == nil && !info.IsDir() { // Windows would call the folder in it missing
		return report.Errorf(report.KindRefused, "demo.folder", "name a new folder with --out", "%s is a file", dir)
	}
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return report.Errorf(report.KindInput, "file.unreadable", "name another folder with --out", "cannot use %s: %w", dir, err)
	case len(entries) > 0:
		text, err := os.ReadFile(filepath.Join(dir, demoAbout))
		if err != nil || !bytes.HasPrefix(text, []byte(aboutText[:strings.IndexByte(aboutText, '\n')])) {
			return report.Errorf(report.KindRefused, "demo.folder", "name a new folder with --out", "%s is not empty, and no demo made it", dir)
		}
		for _, n := range []string{demoRequest, demoAuthority, demoBundle, demoPortal, demoReport} {
			if err := os.RemoveAll(filepath.Join(dir, n)); err != nil {
				return report.Errorf(report.KindFailed, "failed", "close what uses it, or name another folder with --out", "clear the last demo away: %w", err)
			}
		}
	}
	if len(entries) > 0 {
		return nil
	}
	_, err = fileset.Replace(dir, []fileset.File{{Name: demoAbout, Data: []byte(aboutText)}}, fileset.Options{})
	return err
}

const aboutText = `This folder was made by onsite demo. The site in it is simulated.

request/     the private key and the certificate request
authority/   the simulated authority's root certificate
bundle/      the PFX that the authority sends, its password, and the same
             certificates as a ZIP archive
web-server/  root.pem, cert.pem and key.pem, split from the bundle
report/      what was checked, as text and as JSON

Running the demo again replaces all of it. Nothing here is worth keeping.
`

// request does what "onsite csr new" does.
func (d *demo) request(context.Context) error {
	d.options.Step("making a key and a certificate request for " + demoName)
	spec := csr.Spec{Subject: csr.Subject{
		Country: "AU", State: "NSW", Locality: "Newcastle", Organization: demoOrganization,
		CommonName: demoName, Email: "it@example.com",
	}}
	if d.options.Browser {
		spec.SANs = []string{"localhost", demoAddress}
	}
	request, findings := csr.Prepare(spec)
	if request == nil {
		d.Report.Add("Request", findings)
		return report.Errorf(report.KindFailed, "csr.refused", "please report this", "the demo's own request was refused")
	}
	var err error
	if d.key, err = csr.GenerateKey(csr.DefaultKey); err != nil {
		return err
	}
	paths, _, err := csr.Write(request, d.key, csr.WriteOptions{Dir: filepath.Join(d.Dir, demoRequest), Now: d.options.Now})
	if err != nil {
		return err
	}
	info, err := readRequest(paths.Request)
	if err != nil {
		return err
	}
	d.Report.Add("Request", info.Judge())
	return nil
}

func readRequest(path string) (*csr.Info, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	bag, err := pkcs.Read(data)
	if err != nil {
		return nil, report.InFile(path, err)
	}
	return csr.Parse(bag.Requests[0].DER)
}

// sign plays the authority: it signs the request and sends a PFX bundle, and the
// certificates without the key in a ZIP archive.
func (d *demo) sign(context.Context) error {
	d.options.Step("having it signed by a simulated authority, which sends a PFX and a ZIP")
	var err error
	if d.authority, err = newAuthority(d.options.Now()); err != nil {
		return err
	}
	info, err := readRequest(filepath.Join(d.Dir, demoRequest, demoName+".csr"))
	if err != nil {
		return err
	}
	draft, findings := d.authority.Prepare(info, ca.Profile{Days: 90, Now: d.options.Now})
	if draft == nil {
		d.Report.Add("Authority", findings)
		return report.Errorf(report.KindFailed, "ca.sign.refused", "please report this", "the demo's own request was not signed")
	}
	leaf, err := d.authority.Issue(draft)
	if err != nil {
		return err
	}
	d.password = []byte(rand.Text())
	bundle, err := pkcs.EncodePFX(pkcs.PFX{Key: d.key, Leaf: leaf, Chain: []*x509.Certificate{d.authority.Issuing, d.authority.Root}, FriendlyName: demoName}, d.password)
	if err != nil {
		return err
	}
	if _, err := fileset.Replace(filepath.Join(d.Dir, demoAuthority), []fileset.File{
		{Name: pkcs.RootFile, Data: pkcs.Encode(d.authority.Root)},
	}, fileset.Options{Now: d.options.Now}); err != nil {
		return err
	}
	archive, err := pack(leaf, d.authority)
	if err != nil {
		return err
	}
	_, err = fileset.Replace(filepath.Join(d.Dir, demoBundle), []fileset.File{
		{Name: demoName + ".pfx", Data: bundle, Private: true},
		{Name: demoArchive, Data: archive},
		{Name: "password.txt", Data: append(d.password, '\n'), Private: true},
	}, fileset.Options{Now: d.options.Now})
	return err
}

// newAuthority makes the simulated authority, with keys that live in memory only.
func newAuthority(now time.Time) (*ca.Authority, error) {
	plan, _ := ca.Prepare(ca.Spec{
		Name: demoOrganization + " simulated", Organization: demoOrganization, Key: csr.DefaultKey, Days: demoAuthorityDays,
	})
	if plan == nil {
		return nil, report.Errorf(report.KindFailed, "ca.refused", "please report this", "the demo's own authority was refused")
	}
	return plan.Make(now)
}

// split does what "onsite pfx split" does.
func (d *demo) split(ctx context.Context) error {
	d.options.Step("splitting the bundle into root.pem, cert.pem and key.pem")
	data, err := os.ReadFile(filepath.Join(d.Dir, demoBundle, demoName+".pfx"))
	if err != nil {
		return err
	}
	bag, err := pkcs.Read(data, d.password)
	if err != nil {
		return err
	}
	gathered, err := bag.Gather(ctx, pkcs.GatherOptions{Rules: pkcs.Rules{Host: demoName, Now: d.options.Now()}})
	if err != nil {
		return err
	}
	if report.Failed(gathered.Findings) {
		d.Report.Add("Bundle", gathered.Findings) // else the files tell the same, once they are written
	}
	d.set = gathered.Sets[0]
	_, err = d.set.Write(filepath.Join(d.Dir, demoPortal), pkcs.WriteOptions{Now: d.options.Now})
	return err
}

// pack puts certificates into an archive as authorities send them: the site's
// own in DER, those above it as P7B, and a letter.
func pack(leaf *x509.Certificate, a *ca.Authority) ([]byte, error) {
	chain, err := pkcs.EncodeP7B([]*x509.Certificate{a.Root, a.Issuing})
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	archive := zip.NewWriter(&out)
	for _, f := range []struct {
		name string
		data []byte
	}{
		{"ServerCertificate.cer", leaf.Raw},
		{"CACertificates.p7b", chain},
		{"Read me.txt", []byte("Your certificate from the simulated authority of onsite demo.\r\n")},
	} {
		w, err := archive.Create(f.name)
		if err == nil {
			_, err = w.Write(f.data)
		}
		if err != nil {
			return nil, err
		}
	}
	err = archive.Close()
	return out.Bytes(), err
}

// gather does what "onsite cert gather" does: the archive and the key of the
// request must give the same certificates as the bundle.
func (d *demo) gather(ctx context.Context) error {
	d.options.Step("sorting the archive out, for the key of the request")
	bag := &pkcs.Bag{}
	for _, path := range []string{filepath.Join(d.Dir, demoBundle, demoArchive), filepath.Join(d.Dir, demoRequest, demoName+".key")} {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		part, err := pkcs.Read(data)
		if err != nil {
			return report.InFile(path, err)
		}
		bag.Add(part.In(path))
	}
	gathered, err := bag.Gather(ctx, pkcs.GatherOptions{Rules: pkcs.Rules{Host: demoName, Now: d.options.Now()}})
	if err != nil {
		return err
	}
	set := gathered.Sets[0]
	same := pkcs.SameKey(set.Key, d.set.Leaf) && slices.EqualFunc(set.CertFile(), d.set.CertFile(), (*x509.Certificate).Equal) &&
		slices.EqualFunc(set.RootFile(), d.set.RootFile(), (*x509.Certificate).Equal)
	f := report.Pass("demo.same", demoArchive, "sorted out, it gives the same cert.pem and root.pem as the bundle")
	if !same {
		f = report.Fail("demo.same", demoArchive, "it gives other files than the bundle", "please report this")
	}
	d.Report.Add("Archive", []report.Finding{f})
	return nil
}

// serve starts name server and portal, checks them from the visitor's side and
// writes the report.
func (d *demo) serve(ctx context.Context) error {
	d.options.Step("starting the portal and a name server on loopback")
	names, err := startNameServer(ctx, demoName, netip.MustParseAddr(demoAddress))
	if err != nil {
		return err
	}
	defer names.close()
	server, findings, err := portal.New(portal.Options{
		Dir: filepath.Join(d.Dir, demoPortal), HTTP: orLoopback(d.options.HTTP), HTTPS: orLoopback(d.options.HTTPS),
		Host: demoName, Site: demoOrganization + " (simulated)", Now: d.options.Now,
	})
	if err != nil {
		return err
	}
	d.Report.Add("Files", findings)
	d.HTTP, d.HTTPS = server.HTTPAddr(), server.HTTPSAddr()
	portalContext, stop := context.WithCancel(ctx)
	stopped := make(chan error, 1)
	go func() { stopped <- server.Run(portalContext) }()

	d.options.Step("checking it as a visitor would")
	err = d.visit(ctx, names.addresses())
	if err == nil {
		err = d.writeReport()
	}
	if err == nil && d.options.Serve != nil {
		d.options.Serve(ctx, d.Demo)
	}
	stop()
	return errors.Join(err, <-stopped)
}

func orLoopback(addr string) string {
	if addr == "" {
		return demoAddress + ":0"
	}
	return addr
}

// visit resolves the name, then opens the portal at the address that the name
// servers gave: they are all the DNS there is in the simulated network.
func (d *demo) visit(ctx context.Context, nameServer []netip.AddrPort) error {
	name, findings, err := netcheck.Check(ctx, netcheck.Options{
		Name: demoName, Expect: netip.MustParseAddr(demoAddress), Now: d.options.Now,
		Sources: netcheck.Sources{Roots: nameServer, Resolvers: []netip.AddrPort{}},
	})
	if err != nil {
		return err
	}
	d.Report.Add("Name", findings)
	if len(name.Addresses) == 0 {
		return ctx.Err()
	}
	_, port, err := net.SplitHostPort(d.HTTPS)
	if err != nil {
		return err
	}
	_, findings, err = portal.Check(ctx, portal.CheckOptions{
		URL: "https://" + net.JoinHostPort(demoName, port), Connect: net.JoinHostPort(name.Addresses[0].String(), port),
		Roots: []*x509.Certificate{d.authority.Root}, Now: d.options.Now,
	})
	d.Report.Add("Portal over HTTPS", findings)
	return err
}

func (d *demo) writeReport() error {
	var text, document bytes.Buffer
	if err := d.Report.Text(&text, report.TextOptions{}); err != nil {
		return err
	}
	encoder := json.NewEncoder(&document)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(d.Report); err != nil {
		return err
	}
	_, err := fileset.Replace(filepath.Join(d.Dir, demoReport), []fileset.File{
		{Name: "report.txt", Data: text.Bytes()},
		{Name: "report.json", Data: document.Bytes()},
	}, fileset.Options{Now: d.options.Now})
	return err
}
