package pkcs

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSort(t *testing.T) {
	t.Parallel()
	leaf, issuing, root := chain3(t)
	other, otherIssuing, otherRoot := chain3(t)

	// The issuing authority's key is certified by a second root, for longer.
	second := issue(t, nil, nil, authority("Second Root"))
	cross := authority("Issuing")
	cross.NotAfter = now.AddDate(20, 0, 0)
	crossIssuing := issue(t, second, issuing.key, cross)
	// The second root is in turn certified by an old one that is not there.
	crossRoot := issue(t, issue(t, nil, nil, authority("Old Root")), second.key, authority("Second Root"))

	renewed := server("portal.acme.example")
	renewed.NotAfter = now.AddDate(2, 0, 0)
	newer := issue(t, issuing, leaf.key, renewed)
	placeholder := server("portal.acme.example")
	placeholder.NotAfter = now.AddDate(30, 0, 0)
	waiting := issue(t, nil, leaf.key, placeholder)

	samename := issue(t, nil, nil, authority("Issuing")) // not the one that signed

	aside := func(names ...string) []string {
		var list []string
		for _, n := range names {
			list = append(list, "skip chain.aside "+n)
		}
		return list
	}
	tests := []struct {
		name          string
		certs         []*x509.Certificate
		leaf          *party
		intermediates []*party
		root          *party
		findings      []string
	}{
		{"in order", certs(leaf, issuing, root), leaf, []*party{issuing}, root, nil},
		{"root first", certs(root, issuing, leaf), leaf, []*party{issuing}, root, nil},
		{"leaf in the middle", certs(root, leaf, issuing), leaf, []*party{issuing}, root, nil},
		{"each twice", certs(leaf, leaf, root, issuing, issuing, root), leaf, []*party{issuing}, root, nil},
		{"leaf alone", certs(leaf), leaf, nil, nil, nil},
		{"no root", certs(issuing, leaf), leaf, []*party{issuing}, nil, nil},
		{"no issuing", certs(root, leaf), leaf, nil, nil, []string{"warn chain.aside Root"}},
		{
			"strangers", certs(otherRoot, leaf, other, root, otherIssuing, issuing), leaf,
			[]*party{issuing},
			root,
			aside("Root", "portal.acme.example", "Issuing"),
		},
		{"same name, other key", certs(samename, leaf, issuing, root), leaf, []*party{issuing}, root, aside("Issuing")},
		{"cross-signed, first root there", certs(leaf, crossIssuing, issuing, root), leaf, []*party{issuing}, root, aside("Issuing")},
		{"cross-signed, second root there", certs(leaf, issuing, crossIssuing, second), leaf, []*party{crossIssuing}, second, aside("Issuing")},
		{"cross-signed, both there", certs(leaf, issuing, root, crossIssuing, second), leaf, []*party{crossIssuing}, second, aside("Issuing", "Root")},
		{"cross-signed, none there", certs(leaf, issuing, crossIssuing), leaf, []*party{crossIssuing}, nil, []string{"warn chain.aside Issuing"}},
		{"cross-signed root", certs(leaf, crossIssuing, crossRoot, second), leaf, []*party{crossIssuing}, second, aside("Second Root")},
		{"cross-signed root, its own missing", certs(leaf, crossIssuing, crossRoot), leaf, []*party{crossIssuing, crossRoot}, nil, nil},
		{"renewed with the same key", certs(leaf, newer, issuing, root), newer, []*party{issuing}, root, []string{"warn chain.older portal.acme.example"}},
		{"placeholder of the same key", certs(waiting, leaf, issuing, root), leaf, []*party{issuing}, root, []string{"warn chain.older portal.acme.example"}},
		{"self-signed", certs(waiting), waiting, nil, waiting, nil},
		{"self-signed among strangers", certs(otherRoot, waiting), waiting, nil, waiting, aside("Root")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for range 5 { // in any order
				set, findings, err := Sort(leaf.key, tt.certs)
				if err != nil {
					t.Fatal(err)
				}
				var top *x509.Certificate
				if tt.root != nil {
					top = tt.root.Certificate
				}
				wantSet(t, "Sort("+strings.Join(labels(tt.certs), ", ")+")", set, tt.leaf.Certificate, certs(tt.intermediates...), top)
				got := summary(findings)
				slices.Sort(got)
				want := slices.Clone(tt.findings)
				slices.Sort(want)
				if !slices.Equal(got, want) {
					t.Errorf("Sort(%q) finds %q, want %q", labels(tt.certs), got, want)
				}
				checkFindings(t, findings)
				tt.certs = slices.Clone(tt.certs)
				rand.Shuffle(len(tt.certs), func(i, j int) { tt.certs[i], tt.certs[j] = tt.certs[j], tt.certs[i] })
			}
		})
	}
}

func TestSortNoMatch(t *testing.T) {
	t.Parallel()
	leaf, issuing, root := chain3(t)
	for _, list := range [][]*x509.Certificate{nil, certs(root, issuing, leaf)} {
		set, _, err := Sort(newKey(t), list)
		checkCode(t, err, "set.key.mismatch")
		if set != nil || err == nil || !strings.Contains(err.Error(), strings.Join(labels(list), ", ")) {
			t.Errorf("Sort(another key, %q) = %s, %v", labels(list), describe(set), err)
		}
	}
}

// A hostile file can hold many authorities that certify each other under two
// names: every one could stand above every other.
func TestSortMaze(t *testing.T) {
	t.Parallel()
	names := []string{"Even", "Odd"}
	keys := []*party{issue(t, nil, nil, authority(names[0])), issue(t, nil, nil, authority(names[1]))}
	leaf := issue(t, keys[0], nil, server("portal.acme.example"))
	list := certs(leaf)
	for i := range 400 {
		list = append(list, issue(t, keys[(i+1)%2], keys[i%2].key, authority(names[i%2])).Certificate)
	}
	set, _, err := Sort(leaf.key, list)
	if err != nil || !set.Leaf.Equal(leaf.Certificate) || set.Root != nil || len(set.Intermediates) >= maxChain {
		t.Errorf("Sort(maze) = %s, %v", describe(set), err)
	}
	set, _, err = Sort(leaf.key, append(list, keys[1].Certificate))
	if err != nil || len(set.Intermediates) > maxChain {
		t.Errorf("Sort(maze with a way out) = %s, %v", describe(set), err)
	}
}

// What Go cannot check, such as MD5, is put together by names and identifiers.
func TestSortUncheckable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run(t, dir, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-md5", "-keyout", "r.key", "-out", "r.pem", "-subj", "/CN=Old Root", "-days", "10")
	run(t, dir, "openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "l.key", "-out", "l.csr", "-subj", "/CN=old.acme.example")
	run(t, dir, "openssl", "x509", "-req", "-md5", "-in", "l.csr", "-CA", "r.pem", "-CAkey", "r.key", "-CAcreateserial", "-days", "5", "-out", "l.pem")
	var bags [3]*Bag
	for i, n := range []string{"r.pem", "l.pem", "l.key"} {
		bag, err := Read(readFile(t, dir, n))
		if err != nil {
			t.Fatal(err)
		}
		bags[i] = bag
	}
	keys, err := bags[2].OpenKeys(nil)
	if err != nil {
		t.Fatal(err)
	}
	root, leaf := bags[0].Certs[0].Certificate, bags[1].Certs[0].Certificate
	set, _, err := Sort(keys[0], []*x509.Certificate{root, leaf})
	if err != nil {
		t.Fatal(err)
	}
	wantSet(t, "Sort(MD5)", set, leaf, nil, root)
	if got := summary(set.Judge(Rules{Now: leaf.NotBefore.Add(time.Hour)})); !slices.Contains(got, "warn cert.signature.weak old.acme.example") {
		t.Errorf("Judge(MD5) = %q, want a warning of the signature", got)
	}
}

func TestSameKey(t *testing.T) {
	t.Parallel()
	leaf, issuing, _ := chain3(t)
	rsaKey := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: big.NewInt(15), E: 3}}
	tests := []struct {
		key  crypto.Signer
		cert *x509.Certificate
		want bool
	}{
		{leaf.key, leaf.Certificate, true},
		{leaf.key, issuing.Certificate, false},
		{rsaKey, leaf.Certificate, false},
		{leaf.key, &x509.Certificate{}, false}, // a kind of key that Go does not know
	}
	for i, tt := range tests {
		if got := SameKey(tt.key, tt.cert); got != tt.want {
			t.Errorf("%d: SameKey = %v, want %v", i, got, tt.want)
		}
	}
}
