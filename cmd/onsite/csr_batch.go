package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"onsite/csr"
	"onsite/report"
)

// csrBatchResult is the JSON result of csr new --from.
type csrBatchResult struct {
	Dir    string         `json:"dir"`
	DryRun bool           `json:"dry_run"`
	Hosts  []csrBatchHost `json:"hosts"` // in the order of the file
}

// csrBatchHost is what became of one row; with dry_run, what would become of it.
type csrBatchHost struct {
	Line       int       `json:"line"`
	CommonName string    `json:"common_name"`
	SANs       []csr.SAN `json:"sans"`
	Request    string    `json:"request"`
	Key        string    `json:"key"`
	State      csr.State `json:"state"`
	KeyType    string    `json:"key_type"`
	Encrypted  bool      `json:"key_encrypted"`
	SPKISHA256 string    `json:"spki_sha256"` // "" for a key that is not made yet
}

// checkBatch refuses what does not go together with --from.
func (a *app) checkBatch(o *csrNewOptions) error {
	if cn, ok := a.env(environmentName("cn")); ok && cn == o.spec.CommonName {
		o.spec.CommonName = "" // a default, for a command without --from
	}
	switch {
	case o.spec.CommonName != "":
		return usageError("%q and --from %s: the names come from the file; leave one of the two away", o.spec.CommonName, o.from)
	case o.force:
		return usageError("--force and --from: keys of a list are never replaced, not even with --force; move away what is to be made anew, and run it without")
	case o.keyFile != "":
		return usageError("--key-file and --from: one key is not for many hosts; a NAME.key that is in the folder of --out is used for NAME")
	case o.stdout:
		return usageError("--stdout and --from: there is more than one request; they are in the folder of --out")
	}
	return nil
}

// runCSRBatch makes the requests of a whole list. Everything is judged before
// anything is written.
func (a *app) runCSRBatch(ctx context.Context, o *csrNewOptions, key csr.KeySpec, password []byte) (outcome, error) {
	data, err := a.readSmall(ctx, "--from", o.from, csr.MaxHostsSize)
	if err != nil {
		return outcome{}, err
	}
	name := inputName(o.from)
	if o.from != "-" {
		name = filepath.Base(cleanPath(o.from))
	}
	hosts, findings, err := csr.ReadHosts(data, csr.HostsOptions{File: name, Defaults: o.spec, Key: key})
	if err != nil {
		return outcome{}, err
	}
	if report.Failed(findings) {
		return outcome{Findings: findings}, refusal(findings)
	}

	batch := csr.BatchOptions{Dir: o.out, KeyPassword: password, Now: a.now}
	bar := a.progress("hosts looked at", len(hosts))
	batch.Done = bar.done
	pairs, there, err := batch.Plan(ctx, hosts)
	bar.end()
	findings = append(findings, there...)
	if err != nil {
		return outcome{Findings: findings}, err
	}
	if report.Failed(findings) {
		return outcome{Findings: findings}, refusal(findings)
	}
	if !o.dryRun {
		bar = a.progress("requests", len(pairs))
		batch.Done = bar.done
		err = batch.Make(ctx, pairs)
		bar.end()
	}
	result := newBatchResult(o, pairs)
	out := outcome{Result: result, Findings: findings, Text: result.text}
	if errors.Is(err, context.Canceled) {
		err = report.Errorf(report.KindInterrupted, "interrupted", "", "interrupted: run the same again to go on")
	}
	return out, err
}

func newBatchResult(o *csrNewOptions, pairs []csr.Pair) *csrBatchResult {
	r := &csrBatchResult{Dir: o.out, DryRun: o.dryRun, Hosts: make([]csrBatchHost, len(pairs))}
	for i, p := range pairs {
		r.Hosts[i] = csrBatchHost{
			Line: p.Line, CommonName: p.Request.Subject.CommonName, SANs: p.Request.SANs,
			Request: p.Files.Request, Key: p.Files.Key, State: p.State,
			KeyType: p.KeyType, Encrypted: p.Encrypted, SPKISHA256: p.SPKISHA256,
		}
	}
	return r
}

func (r *csrBatchResult) text(p *printer) {
	if r.DryRun {
		p.linef("Nothing was written (--dry-run). This is what would be made:")
	}
	for _, h := range r.Hosts {
		switch h.State {
		case csr.Made:
			p.linef("%s  with a new key, %s", h.Request, h.keyWords())
		case csr.RequestOnly:
			p.linef("%s  for the key that is there, %s", h.Request, h.keyWords())
		case csr.There:
			p.linef("%s  already there, with its key", h.Request)
		}
	}
	if !r.DryRun {
		r.summary(p)
	}
}

// summary says how many, and what to do next.
func (r *csrBatchResult) summary(p *printer) {
	made, only, there, left := r.count(csr.Made), r.count(csr.RequestOnly), r.count(csr.There), r.count(csr.Left)
	var words []string
	add := func(n int, one, many string) {
		if n > 0 {
			words = append(words, plural(n, one, many))
		}
	}
	add(made, "key and request made", "keys and requests made")
	add(only, "request made for a key that was there", "requests made for keys that were there")
	add(there, "pair already there", "pairs already there")
	add(left, "to go", "to go")
	p.linef("%s.", strings.Join(words, ", "))
	if left == 0 {
		p.linef("Send the .csr files in %s to the authority; the .key files stay here: keep them secret, keep a copy.", r.Dir)
	}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func (h csrBatchHost) keyWords() string {
	if h.Encrypted {
		return h.KeyType + ", encrypted"
	}
	return h.KeyType + ", not encrypted"
}

func (r *csrBatchResult) count(s csr.State) int {
	n := 0
	for _, h := range r.Hosts {
		if h.State == s {
			n++
		}
	}
	return n
}
