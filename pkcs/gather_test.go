package pkcs

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"onsite/csr"
	"onsite/report"
)

// archive packs files, given as name and content in turn.
func archive(t testing.TB, files ...any) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		w, err := z.Create(files[i].(string))
		if err == nil {
			_, err = w.Write(files[i+1].([]byte))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gather(t *testing.T, data []byte, o GatherOptions, passwords ...[]byte) (*Gathered, error) {
	t.Helper()
	bag, err := Read(data, passwords...)
	if err != nil {
		t.Fatal(err)
	}
	o.Now = now
	return bag.In("all").Gather(t.Context(), o)
}

func TestReadArchive(t *testing.T) {
	t.Parallel()
	leaf, issuing, root := chain3(t)
	inner := archive(t, "deep/root.cer", root.Raw)
	data := archive(t,
		"Acme/ServerCertificate.txt", Encode(leaf.Certificate), "Acme/read me.txt", []byte("hello"), "__MACOSX/._x", []byte("junk"),
		`Acme\Chain.pem`, Encode(issuing.Certificate), "more.zip", inner, "key.pem", pemKey(t, leaf.key), "cut.pem", Encode(root.Certificate)[:90])
	bag, err := Read(data)
	if err != nil {
		t.Fatal(err)
	}
	bag.In("acme.zip")
	var got []string
	for _, c := range bag.Certs {
		got = append(got, c.Path+" "+c.Form)
	}
	want := []string{"acme.zip/Acme/ServerCertificate.txt PEM", "acme.zip/Acme/Chain.pem PEM", "acme.zip/more.zip/deep/root.cer DER"}
	if !slices.Equal(got, want) || len(bag.Keys) != 1 || bag.Keys[0].Path != "acme.zip/key.pem" {
		t.Errorf("Read gives certificates of %q, keys %v, want %q", got, bag.Keys, want)
	}
	var aside []string
	for _, a := range bag.Aside {
		aside = append(aside, a.Path+" "+report.AsError(a.Err).Code)
	}
	if want := []string{"acme.zip/Acme/read me.txt file.unknown", "acme.zip/cut.pem pem.cut"}; !slices.Equal(aside, want) {
		t.Errorf("Read leaves aside %q, want %q", aside, want)
	}
	g, err := bag.Gather(t.Context(), GatherOptions{Rules: Rules{Now: now}})
	if err != nil {
		t.Fatal(err)
	}
	wantSet(t, "Gather", g.Sets[0], leaf.Certificate, certs(issuing), root.Certificate)
	if from := g.From(g.Sets[0].Root); from != want[2][:len(want[2])-4] {
		t.Errorf("From(root) = %q", from)
	}
}

func TestReadArchiveErrors(t *testing.T) {
	t.Parallel()
	leaf, _, _ := chain3(t)
	var many []any
	for i := range maxEntries + 1 {
		many = append(many, fmt.Sprint(i), []byte("x"))
	}
	bomb := make([]byte, MaxSize)
	deep := archive(t, "leaf.cer", leaf.Raw)
	for range maxDepth {
		deep = archive(t, "more.zip", deep)
	}
	good := archive(t, "leaf.cer", bytes.Repeat(leaf.Raw, 3))
	for name, tt := range map[string]struct {
		data []byte
		code string
	}{
		"nothing":           {archive(t, "a.txt", []byte("hello")), "file.unknown"},
		"empty":             {archive(t), "file.unknown"},
		"many files":        {archive(t, many...), "file.too-large"},
		"unpacks to much":   {archive(t, "1", bomb, "2", bomb, "3", bomb, "4", bomb, "5", bomb), "file.too-large"},
		"one file too much": {archive(t, "1", append(bomb, 0)), "file.too-large"},
		"too deep":          {deep, "file.unknown"},
		"cut":               {good[:len(good)-30], "file.damaged"},
		"damaged":           {bytes.Replace(good, good[40:60], make([]byte, 20), 1), "file.damaged"},
		"a bundle in it":    {archive(t, "a.pfx", fixture(t, "pfx", "openssl.pfx")), CodePFXPassword},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if bytes.HasPrefix(tt.data, []byte("PK\x05\x06")) { // an empty archive begins otherwise
				return
			}
			_, err := Read(tt.data)
			checkCode(t, err, tt.code)
		})
	}
	if bag, err := Read(archive(t, "a.pfx", fixture(t, "pfx", "openssl.pfx")), []byte("geslo")); err != nil || len(bag.Keys) != 1 {
		t.Errorf("Read(a bundle in an archive) = %v, %v", bag, err)
	}
}

func TestGatherChoosesSets(t *testing.T) {
	t.Parallel()
	leaf, issuing, root := chain3(t)
	other := issue(t, issuing, nil, x509.Certificate{Subject: leaf.Subject, DNSNames: []string{"other.acme.example"}})
	loose := newKey(t)
	all := slices.Concat(pemKey(t, other.key), Encode(root.Certificate, other.Certificate), pemKey(t, leaf.key), pemKey(t, loose), Encode(issuing.Certificate, leaf.Certificate))
	g, err := gather(t, all, GatherOptions{})
	if err != nil || len(g.Sets) != 2 {
		t.Fatalf("Gather = %v, %v, want two sets", g, err)
	}
	wantSet(t, "Gather, first", g.Sets[0], other.Certificate, certs(issuing), root.Certificate)
	wantSet(t, "Gather, second", g.Sets[1], leaf.Certificate, certs(issuing), root.Certificate)
	if !slices.ContainsFunc(g.Findings, func(f report.Finding) bool { return f.Code == "set.key.aside" && f.Subject == "all" }) {
		t.Errorf("Gather finds %v, want a word on the key that is left", g.Findings)
	}
	g, err = gather(t, all, GatherOptions{Rules: Rules{Host: "other.acme.example"}})
	if err != nil || len(g.Sets) != 1 {
		t.Fatalf("Gather(host) = %v, %v, want one set", g, err)
	}
	wantSet(t, "Gather(host)", g.Sets[0], other.Certificate, certs(issuing), root.Certificate)
}

func TestGatherParts(t *testing.T) {
	t.Parallel()
	leaf, issuing, root := chain3(t)
	other := issue(t, issuing, nil, x509.Certificate{DNSNames: []string{"other.acme.example"}})
	chain := Encode(root.Certificate, issuing.Certificate)
	sealed, err := csr.EncodeKey(leaf.key, csr.PKCS8, []byte("geslo"))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		data  []byte
		host  string
		files string // that Write would write
		code  string // of an error, or of a finding
	}{
		"no key":                    {data: append(Encode(leaf.Certificate), chain...), files: "root.pem cert.pem", code: "set.key.missing"},
		"no key, two leaves":        {data: Encode(leaf.Certificate, other.Certificate), code: "set.leaf.several"},
		"no key, two leaves, host":  {data: Encode(leaf.Certificate, other.Certificate), host: "other.acme.example", files: "root.pem cert.pem", code: "set.key.missing"},
		"no key, host of none":      {data: Encode(leaf.Certificate), host: "www.acme.example", code: "set.leaf.missing"},
		"authorities alone":         {data: chain, files: "root.pem", code: "set.leaf.missing"},
		"a key alone":               {data: pemKey(t, leaf.key), files: "key.pem", code: "set.certificate.missing"},
		"two keys alone":            {data: append(pemKey(t, leaf.key), pemKey(t, other.key)...), code: "set.keys.several"},
		"a request alone":           {data: csr.PEM(requestDER(t)), code: "set.nothing"},
		"another's key":             {data: append(pemKey(t, other.key), Encode(leaf.Certificate)...), code: "set.key.mismatch"},
		"a locked key":              {data: append(slices.Clone(sealed), Encode(leaf.Certificate)...), code: csr.CodeKeyPasswordRequired},
		"a locked key alone":        {data: sealed, code: csr.CodeKeyPasswordRequired},
		"whole, another key locked": {data: slices.Concat(sealed, pemKey(t, leaf.key), Encode(leaf.Certificate), chain), files: "root.pem cert.pem key.pem", code: csr.CodeKeyPasswordRequired},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, err := gather(t, tt.data, GatherOptions{Rules: Rules{Host: tt.host}})
			if tt.files == "" {
				checkCode(t, err, tt.code)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(g.Sets[0].FileNames(WriteOptions{}), " "); got != tt.files {
				t.Errorf("FileNames() = %q, want %q", got, tt.files)
			}
			if !slices.ContainsFunc(g.Findings, func(f report.Finding) bool { return f.Code == tt.code && f.Status == report.StatusWarn }) {
				t.Errorf("Gather finds %q, want %s", g.Findings, tt.code)
			}
			checkFindings(t, g.Findings)
		})
	}
}

func TestGatherFetches(t *testing.T) {
	t.Parallel()
	root := issue(t, nil, nil, x509.Certificate{Subject: pkix.Name{CommonName: "Fetched Root"}, IsCA: true})
	issuing := issue(t, root, nil, x509.Certificate{Subject: pkix.Name{CommonName: "Fetched Issuing"}, IsCA: true, IssuingCertificateURL: []string{"ldap://x/", "http://ca.example/gone", "http://ca.example/root.p7b"}})
	leaf := issue(t, issuing, nil, x509.Certificate{Subject: pkix.Name{CommonName: "portal"}, DNSNames: []string{"portal.acme.example"}, IssuingCertificateURL: []string{"http://ca.example/wrong", "http://ca.example/issuing.cer"}})
	stranger := issue(t, nil, nil, x509.Certificate{Subject: issuing.Subject, IsCA: true})
	p7b, err := EncodeP7B(certs(stranger, root))
	if err != nil {
		t.Fatal(err)
	}
	served := map[string][]byte{"http://ca.example/wrong": stranger.Raw, "http://ca.example/issuing.cer": issuing.Raw, "http://ca.example/root.p7b": p7b}
	fetch := func(_ context.Context, url string) ([]byte, error) {
		if data, ok := served[url]; ok {
			return data, nil
		}
		return nil, errors.New(url + ": gone")
	}
	data := append(pemKey(t, leaf.key), Encode(leaf.Certificate)...)
	g, err := gather(t, data, GatherOptions{Fetch: fetch})
	if err != nil {
		t.Fatal(err)
	}
	wantSet(t, "Gather(fetch)", g.Sets[0], leaf.Certificate, certs(issuing), root.Certificate)
	if got := g.From(g.Sets[0].Root); got != "http://ca.example/root.p7b" {
		t.Errorf("From(root) = %q", got)
	}
	delete(served, "http://ca.example/issuing.cer")
	g, err = gather(t, data, GatherOptions{Fetch: fetch})
	if err != nil {
		t.Fatal(err)
	}
	wantSet(t, "Gather(fetch fails)", g.Sets[0], leaf.Certificate, nil, nil)
	if got := summary(g.Findings); !slices.Contains(got, "unknown chain.fetch.failed portal") {
		t.Errorf("Gather(fetch fails) finds %q", got)
	}
}

// A root of Mozilla's list that is missing is put there, and nothing else is.
func TestGatherCompletesRoot(t *testing.T) {
	t.Parallel()
	root := publicRoot(t, "ISRG Root X1")
	s := &Set{Leaf: parse(t, root.Raw)} // its own issuer, which is in the list
	g := &Gathered{origins: map[*x509.Certificate]string{}}
	findings := g.complete(t.Context(), s, GatherOptions{})
	if s.Root == nil || !s.Root.Equal(root) || len(findings) != 1 || findings[0].Code != "chain.root.completed" || g.From(s.Root) != fromMozilla {
		t.Errorf("complete(%s) = %v, root %v", name(root), findings, s.Root)
	}
	leaf, _, _ := chain3(t)
	s = &Set{Leaf: leaf.Certificate}
	if findings := g.complete(t.Context(), s, GatherOptions{}); len(findings) != 0 || s.Root != nil || len(s.Intermediates) != 0 {
		t.Errorf("complete(a private chain) = %v, %v", findings, describe(s))
	}
}

func TestKeepKey(t *testing.T) {
	t.Parallel()
	leaf, issuing, root := chain3(t)
	dir := t.TempDir()
	sealed, err := csr.EncodeKey(leaf.key, csr.PKCS8, []byte("geslo"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, KeyFile, sealed)
	s := &Set{Key: leaf.key, Leaf: leaf.Certificate, Intermediates: certs(issuing), Root: root.Certificate}
	if kept, err := s.Write(dir, WriteOptions{KeepKey: true}); err != nil || kept != "" {
		t.Fatalf("Write(KeepKey) = %q, %v", kept, err)
	}
	_, err = s.Write(dir, WriteOptions{KeepKey: true})
	checkCode(t, err, "file.exists")
	kept, err := s.Write(dir, WriteOptions{KeepKey: true, Overwrite: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{dir, kept} {
		if got := readFile(t, d, KeyFile); !bytes.Equal(got, sealed) {
			t.Errorf("%s in %s is %q, want it as it was", KeyFile, d, got)
		}
	}
}

// A part of a set is not put beside the rest of another.
func TestWriteRefusesMixture(t *testing.T) {
	t.Parallel()
	leaf, issuing, root := chain3(t)
	whole := &Set{Key: leaf.key, Leaf: leaf.Certificate, Intermediates: certs(issuing), Root: root.Certificate}
	for name, part := range map[string]*Set{
		"certificates alone": {Leaf: issuing.Certificate, Root: root.Certificate},
		"another key alone":  {Key: issuing.key},
		"a root alone":       {Root: root.Certificate},
	} {
		dir := t.TempDir()
		if _, err := whole.Write(dir, WriteOptions{}); err != nil {
			t.Fatal(err)
		}
		_, err := part.Write(dir, WriteOptions{Overwrite: true})
		checkCode(t, err, "set.mixed")
		if got := readFile(t, dir, CertFile); !bytes.Equal(got, Encode(leaf.Certificate, issuing.Certificate)) {
			t.Errorf("after %s cert.pem is %q", name, got)
		}
	}
}

func TestRestore(t *testing.T) {
	t.Parallel()
	leaf, issuing, root := chain3(t)
	dir := t.TempDir()
	first := &Set{Key: leaf.key, Leaf: leaf.Certificate, Intermediates: certs(issuing), Root: root.Certificate}
	second := &Set{Key: issuing.key, Leaf: issuing.Certificate}
	for _, s := range []*Set{first, second} {
		if _, err := s.Write(dir, WriteOptions{Overwrite: true}); err != nil {
			t.Fatal(err)
		}
	}
	sets, err := KeptSets(dir)
	if err != nil || len(sets) != 1 || !sets[0].Leaf.Equal(leaf.Certificate) {
		t.Fatalf("KeptSets = %v, %v", sets, err)
	}
	kept, err := sets[0].Restore(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := PresentSet(dir); got.Leaf == nil || !got.Leaf.Equal(leaf.Certificate) || len(got.Files) != 3 {
		t.Errorf("after Restore there is %v", got)
	}
	if got := PresentSet(kept); got.Leaf == nil || !got.Leaf.Equal(issuing.Certificate) {
		t.Errorf("Restore keeps %v", got)
	}
	if empty, err := KeptSets(t.TempDir()); err != nil || empty != nil {
		t.Errorf("KeptSets(nothing) = %v, %v", empty, err)
	}
}
