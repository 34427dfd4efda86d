package main

import (
	"context"
	"fmt"
	"strings"
)

// row is one comparison. Its commands are run in the lab's folder as they stand
// here and on the page: words between spaces, no shell. The folder out does not
// exist when onsite starts, which makes it; for the others it is made before.
type row struct {
	name   string
	ours   []string // command lines, one process after the other
	theirs []string
	makes  []string                                  // files that either side leaves, every time
	setup  func(context.Context, *lab) error         // makes what the commands read; nil: nothing
	prove  func(context.Context, *lab, string) error // what a first run printed and left is right
	show   []string                                  // how the page shows the commands; nil: as they are
	target float64                                   // the ratio that it has to reach; 0: none
	times  int                                       // multiple of the usual number of pairs; 0 means 1
	few    bool                                      // a fifth of them: a run takes long, and differs little
	note   string                                    // what the two sides do and do not do
}

// pairs is how many to run where n is usual.
func (r row) pairs(n int) int {
	if r.few {
		return max(n/5, 1)
	}
	return n * max(r.times, 1)
}

// peers is how the other tools say their version.
var peers = [][]string{{"openssl", "version"}}

var rows = append([]row{
	{
		name:   "Start-up",
		ours:   []string{"onsite version"},
		theirs: []string{"openssl version"},
		prove:  proveVersion,
		note: `Load the program, say the version, end: what every command costs before it does
anything.`,
	},
	{
		name: "Split a PFX", target: 0.35,
		ours: []string{"onsite pfx split x.pfx --password-file password.txt --out out --force --no-input"},
		theirs: []string{
			"openssl pkcs12 -in x.pfx -passin file:password.txt -nocerts -nodes -out out/key.pem",
			"openssl pkcs12 -in x.pfx -passin file:password.txt -clcerts -nokeys -out out/cert.pem",
			"openssl pkcs12 -in x.pfx -passin file:password.txt -cacerts -nokeys -out out/root.pem",
		},
		makes: []string{"out/root.pem", "out/cert.pem", "out/key.pem"},
		setup: makePFX,
		prove: proveSplit,
		note: `The bundle holds an RSA 2048 key and three certificates (leaf, intermediate,
root), encrypted with AES-256. onsite also makes the folder, picks and checks the
chain, brings everything to the disk and puts the three files in place as a set;
the recipe leaves three files that the system writes out later. Start-up, the row
above, is part of it: where pages of memory come slowly, as on some virtual
machines, it is most of it.`,
	},
	{
		name: "Key and request, RSA 2048",
		ours: []string{"onsite csr new portal.acme.example --country AU --state NSW --locality Newcastle" +
			" --organization Acme --unit IT --email it@acme.example --out out --no-input"},
		theirs: []string{"openssl req -new -newkey rsa:2048 -nodes" +
			" -subj /C=AU/ST=NSW/L=Newcastle/O=Acme/OU=IT/CN=portal.acme.example/emailAddress=it@acme.example" +
			" -addext subjectAltName=DNS:portal.acme.example" +
			" -keyout out/portal.acme.example.key -out out/portal.acme.example.csr"},
		makes: []string{"out/portal.acme.example.key", "out/portal.acme.example.csr"},
		prove: proveRequest,
		times: 2,
		note: `Making the key is nearly all of it, and takes as long as chance has it: single
pairs differ widely, so only the medians mean something. onsite brings both
files to the disk.`,
	},
}, batchRows(100)...)

func proveVersion(_ context.Context, _ *lab, printed string) error {
	words := strings.Fields(strings.ToLower(printed))
	if len(words) < 2 || words[0] != "onsite" && words[0] != "openssl" {
		return fmt.Errorf("printed %q, not a version", printed)
	}
	return nil
}

// proveSplit: the first certificate is the leaf that was bundled, the key is
// its key, and the chain in root.pem leads from the one to the root.
func proveSplit(ctx context.Context, l *lab, _ string) error {
	err := l.same(ctx,
		"openssl x509 -in leaf.crt -noout -pubkey",
		"openssl x509 -in out/cert.pem -noout -pubkey",
		"openssl pkey -in out/key.pem -pubout")
	if err != nil {
		return err
	}
	_, err = l.output(ctx, "openssl verify -CAfile out/root.pem out/cert.pem")
	return err
}

// proveRequest: the request is signed by the key beside it and names the host.
func proveRequest(ctx context.Context, l *lab, _ string) error {
	err := l.same(ctx,
		"openssl req -in out/portal.acme.example.csr -verify -noout -pubkey",
		"openssl pkey -in out/portal.acme.example.key -pubout")
	if err != nil {
		return err
	}
	text, err := l.output(ctx, "openssl req -in out/portal.acme.example.csr -noout -text")
	if err != nil {
		return err
	}
	for _, want := range []string{"(2048 bit)", "sha256WithRSAEncryption", "DNS:portal.acme.example", "it@acme.example"} {
		if !strings.Contains(text, want) {
			return fmt.Errorf("the request does not show %s", want)
		}
	}
	return nil
}

// makePFX makes x.pfx, its password.txt, and leaf.crt to compare with. The
// ciphers are those that OpenSSL 3 takes unasked.
func makePFX(ctx context.Context, l *lab) error {
	const ca = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n"
	for name, text := range map[string]string{
		"password.txt": "bench-only\n",
		"ca.ext":       ca,
		"leaf.ext":     "basicConstraints=critical,CA:FALSE\nsubjectAltName=DNS:portal.acme.example\n",
	} {
		if err := l.write(name, text); err != nil {
			return err
		}
	}
	for _, command := range []string{
		"openssl req -new -newkey rsa:2048 -nodes -subj /CN=Root -keyout root.key -out root.csr",
		"openssl x509 -req -in root.csr -signkey root.key -days 3650 -set_serial 1 -extfile ca.ext -out root.crt",
		"openssl req -new -newkey rsa:2048 -nodes -subj /CN=Intermediate -keyout middle.key -out middle.csr",
		"openssl x509 -req -in middle.csr -CA root.crt -CAkey root.key -days 3650 -set_serial 2 -extfile ca.ext -out middle.crt",
		"openssl req -new -newkey rsa:2048 -nodes -subj /CN=portal.acme.example -keyout leaf.key -out leaf.csr",
		"openssl x509 -req -in leaf.csr -CA middle.crt -CAkey middle.key -days 365 -set_serial 3 -extfile leaf.ext -out leaf.crt",
	} {
		if _, err := l.output(ctx, command); err != nil {
			return err
		}
	}
	if err := l.join("chain.crt", "middle.crt", "root.crt"); err != nil {
		return err
	}
	_, err := l.output(ctx, "openssl pkcs12 -export -inkey leaf.key -in leaf.crt -certfile chain.crt"+
		" -keypbe AES-256-CBC -certpbe AES-256-CBC -macalg sha256 -passout file:password.txt -out x.pfx")
	return err
}
