package main

import (
	"context"
	"fmt"
	"strings"
)

// batchRows compare a list of hosts with a loop of OpenSSL, and with the keys
// alone, below which nothing can go that uses crypto/rsa.
func batchRows(hosts int) []row {
	const (
		ours = "onsite csr new --from hosts.csv --out out --no-input"
		loop = "openssl req -new -newkey rsa:2048 -nodes" +
			" -subj /C=AU/ST=NSW/L=Newcastle/O=Acme/CN=%[1]s" +
			" -addext subjectAltName=DNS:%[1]s" +
			" -keyout out/%[1]s.key -out out/%[1]s.csr"
	)
	var theirs, makes []string
	for _, name := range batchNames(hosts) {
		theirs = append(theirs, fmt.Sprintf(loop, name))
		makes = append(makes, "out/"+name+".key", "out/"+name+".csr")
	}
	setup := func(_ context.Context, l *lab) error { return l.write("hosts.csv", batchList(hosts)) }
	return []row{
		{
			name: fmt.Sprintf("%d requests from a list", hosts), target: 0.25, few: true,
			ours: []string{ours}, theirs: theirs, makes: makes, setup: setup,
			show: []string{ours, fmt.Sprintf(loop, "HOST") + "    (for each HOST)"},
			prove: func(ctx context.Context, l *lab, _ string) error {
				for _, name := range batchNames(hosts) {
					if err := proveBatch(ctx, l, name); err != nil {
						return err
					}
				}
				return nil
			},
			note: `RSA 2048, as a list and as the loop that a batch file would be. onsite uses every
core and brings all files to the disk; OpenSSL uses one core, and the system writes
its files out later.`,
		},
		{
			name: fmt.Sprintf("The same beside bare keys, %d of them", hosts), target: 1.10,
			ours: []string{ours}, theirs: []string{fmt.Sprintf("barersa %d 2048", hosts)}, setup: setup,
			prove: func(ctx context.Context, l *lab, printed string) error {
				if printed == fmt.Sprintf("%d keys of 2048 bits\n", hosts) {
					return nil
				}
				return proveBatch(ctx, l, batchNames(hosts)[hosts-1])
			},
			note: `What signing, encoding and writing cost. The peer makes as many keys with
crypto/rsa, on the same cores, and drops them (internal/bench/barersa). How long
keys take is chance, so single pairs differ.`,
		},
	}
}

func batchNames(hosts int) []string {
	names := make([]string, hosts)
	for i := range names {
		names[i] = fmt.Sprintf("host%03d.acme.example", i+1)
	}
	return names
}

func batchList(hosts int) string {
	return "cn,country,state,locality,organization\n" +
		strings.Join(batchNames(hosts), ",AU,NSW,Newcastle,Acme\n") + ",AU,NSW,Newcastle,Acme\n"
}

// proveBatch: the request is signed by the key beside it and names the host.
func proveBatch(ctx context.Context, l *lab, name string) error {
	request := "openssl req -in out/" + name + ".csr"
	if err := l.same(ctx, request+" -verify -noout -pubkey", "openssl pkey -in out/"+name+".key -pubout"); err != nil {
		return err
	}
	text, err := l.output(ctx, request+" -noout -text")
	if err != nil {
		return err
	}
	for _, want := range []string{"(2048 bit)", "sha256WithRSAEncryption", "DNS:" + name, "Newcastle"} {
		if !strings.Contains(text, want) {
			return fmt.Errorf("the request for %s does not show %s", name, want)
		}
	}
	return nil
}
