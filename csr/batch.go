package csr

import (
	"cmp"
	"context"
	"crypto"
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"onsite/internal/fileset"
	"onsite/report"
)

// State is what becomes of a host of a batch.
type State string

// The states. Only Made writes a key: no batch ever replaces one.
const (
	Made        State = "made"         // a new key, and a request for it
	RequestOnly State = "request-only" // a request for the key that was there without one
	There       State = "there"        // key and request were there, and fit
	Left        State = "left"         // nothing yet: the work ended before
)

// Pair is the key and the request of a host of a batch.
type Pair struct {
	Host
	Files      Paths
	State      State
	KeyType    string // "RSA 2048"
	Encrypted  bool   // the key has a password
	SPKISHA256 string // "" for a key that is not made yet

	key crypto.Signer // that was there
}

// BatchOptions say where a batch goes. The zero value is the current folder,
// keys in clear, one worker a core.
type BatchOptions struct {
	Dir         string
	KeyPassword []byte // encrypts new keys, and opens those that are there
	Workers     int    // 0: as many as run at a time
	Now         func() time.Time
	// Done is told how many pairs are done, after each; it is never called twice
	// at a time. Nil does nothing.
	Done func(done int)
}

func (o BatchOptions) workers() int { return cmp.Or(o.Workers, runtime.GOMAXPROCS(0)) }

func (o BatchOptions) done(n int) {
	if o.Done != nil {
		o.Done(n)
	}
}

func (o BatchOptions) options(keepKey bool) WriteOptions {
	return WriteOptions{Dir: o.Dir, KeyPassword: o.KeyPassword, KeepKey: keepKey, Now: o.Now}
}

// Plan looks at what is in the folder and says what Make will do for each host.
// It writes nothing, but finishes what a process left that was killed. A finding
// that is a fail is a host for which nothing can be done; then the pairs are nil.
// There must be a host.
func (o BatchOptions) Plan(ctx context.Context, hosts []Host) ([]Pair, []report.Finding, error) {
	if err := fileset.Recover(cmp.Or(o.Dir, ".")); err != nil {
		return nil, nil, err
	}
	pairs := make([]Pair, len(hosts))
	noted := make([][]report.Finding, len(hosts))
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	looked := share(ctx, o.workers(), len(hosts), func(i int) error {
		pairs[i], noted[i] = o.look(hosts[i])
		return nil
	})
	for done := range hosts {
		select {
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-looked:
			o.done(done + 1)
		}
	}
	var rows rowFindings
	for i, h := range hosts {
		for _, f := range noted[i] {
			rows.add(h.Line, h.Request.Subject.CommonName, f)
		}
	}
	findings := rows.all(hosts[0].File)
	if report.Failed(findings) {
		return nil, findings, nil
	}
	return pairs, findings, nil
}

const (
	// flush is how long a pair that is made waits for others, to be written with
	// them: bringing one pair to the disk takes as much as a dozen. Whoever kills
	// the process loses no more than the keys of that time, which nobody has seen.
	flush = time.Second
	// together is how many pairs are written at once: few enough to end at once.
	together = 50
)

// Make makes what Plan said, in any order; each pair appears whole or not at
// all. On an error, and when ctx ends, what is made stays, and the state of the
// rest is Left: another Plan and Make go on from there. When ctx ends, a key that
// is in the making, which may take seconds, is not waited for.
func (o BatchOptions) Make(ctx context.Context, pairs []Pair) error {
	m := &maker{BatchOptions: o, pairs: pairs}
	for i, p := range pairs {
		if p.State != There {
			m.todo = append(m.todo, made{i: i, state: p.State, key: p.key})
			pairs[i].State = Left
		}
	}
	o.done(len(pairs) - len(m.todo))
	return m.run(ctx)
}

// maker is a Make at work.
type maker struct {
	BatchOptions
	pairs   []Pair
	todo    []made
	ready   []int // of todo: made and not yet written
	written int
}

// made is a pair on its way to the disk.
type made struct {
	i     int // in pairs
	state State
	key   crypto.Signer
	files []fileset.File
}

func (m *maker) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	results := share(ctx, m.workers(), len(m.todo), m.prepare)
	tick := time.NewTicker(flush)
	defer tick.Stop()
	for n := range m.todo {
		var err error
		for next := true; next && err == nil; {
			select {
			case <-ctx.Done():
				return cmp.Or(m.write(), ctx.Err())
			case <-tick.C:
				err = m.write()
			case r := <-results:
				next, err = false, r.err
				if err == nil {
					m.ready = append(m.ready, r.i)
				}
			}
		}
		// While the last keys are made there is nothing else to do, and what is
		// written then need not be waited for at the end.
		if last := len(m.todo)-1-n == m.workers(); err == nil && (last || len(m.ready) >= together) {
			err = m.write()
		}
		if err != nil {
			return errors.Join(err, m.write())
		}
	}
	return m.write()
}

// prepare does what takes time, on several cores at once.
func (m *maker) prepare(n int) (err error) {
	t := &m.todo[n]
	p := &m.pairs[t.i]
	if t.key == nil {
		if t.key, err = GenerateKey(p.Key); err != nil {
			return err
		}
	}
	t.files, err = m.options(t.state == RequestOnly).encode(p.Request, t.key)
	return err
}

// write brings what is ready to the disk: all of it or nothing.
func (m *maker) write() error {
	if len(m.ready) == 0 {
		return nil
	}
	var files []fileset.File
	for _, n := range m.ready {
		files = append(files, m.todo[n].files...)
	}
	ready := m.ready
	m.ready = nil
	if _, err := fileset.Replace(cmp.Or(m.Dir, "."), files, fileset.Options{Now: m.Now}); err != nil {
		return err
	}
	for _, n := range ready {
		t := &m.todo[n]
		p := &m.pairs[t.i]
		p.State, p.KeyType, p.SPKISHA256 = t.state, DescribeKey(t.key.Public()), Fingerprint(t.key.Public())
		t.key, t.files, p.key = nil, nil, nil
	}
	m.written += len(ready)
	m.done(len(m.pairs) - len(m.todo) + m.written)
	return nil
}

// result says that work on one of several things is done.
type result struct {
	i   int
	err error
}

// share has several goroutines do the work for 0 to n-1. They stop taking up
// more when ctx ends; the channel has room for all that they say, so that none
// waits for ever.
func share(ctx context.Context, workers, n int, work func(int) error) <-chan result {
	next := make(chan int, n)
	for i := range n {
		next <- i
	}
	close(next)
	results := make(chan result, n)
	for range min(workers, n) {
		go func() {
			for i := range next {
				if ctx.Err() != nil {
					return
				}
				results <- result{i, work(i)}
			}
		}()
	}
	return results
}

// look says what is to be done for a host.
func (o BatchOptions) look(h Host) (Pair, []report.Finding) {
	paths := o.options(false).Files(h.Request)
	p := Pair{Host: h, Files: paths, State: Made, KeyType: DescribeKind(h.Key), Encrypted: len(o.KeyPassword) > 0}
	keyData, keyErr := readSmall(paths.Key)
	requestData, requestErr := readSmall(paths.Request)
	noKey, noRequest := errors.Is(keyErr, fs.ErrNotExist), errors.Is(requestErr, fs.ErrNotExist)
	switch {
	case noKey && noRequest:
		return p, judgeKind(h.Key)
	case noKey:
		return p, []report.Finding{report.Fail("hosts.there.no-key", h.Request.Subject.CommonName,
			paths.Request+" is there without its key, and is not overwritten",
			"bring its key back as "+paths.Key+", or move the request away")}
	case keyErr != nil:
		return p, []report.Finding{unreadable(h, paths.Key, keyErr)}
	case requestErr != nil && !noRequest:
		return p, []report.Finding{unreadable(h, paths.Request, requestErr)}
	}
	var err error
	if p.key, p.Encrypted, err = o.openKey(keyData); err != nil {
		e := report.AsError(err)
		return p, []report.Finding{report.Fail(e.Code, h.Request.Subject.CommonName, paths.Key+": "+e.Message, e.Remedy)}
	}
	p.KeyType, p.SPKISHA256 = DescribeKey(p.key.Public()), Fingerprint(p.key.Public())
	if noRequest {
		p.State = RequestOnly
		return p, o.judgeKey(p)
	}
	p.State = There
	info, err := openRequest(requestData)
	switch {
	case err != nil:
		e := report.AsError(err)
		return p, []report.Finding{report.Fail(e.Code, h.Request.Subject.CommonName, paths.Request+": "+e.Message, "move the request away: the key then gets a new one")}
	case info.SPKISHA256 != p.SPKISHA256:
		return p, []report.Finding{report.Fail("hosts.there.mismatch", h.Request.Subject.CommonName,
			paths.Request+" is not for the key in "+paths.Key, "move away what does not belong there: a key without a request gets a new one")}
	}
	return p, append(o.judgeKey(p), p.compare(info)...)
}

// judgeKey says what is wrong with a key that is there, not what is right.
func (o BatchOptions) judgeKey(p Pair) []report.Finding {
	var findings []report.Finding
	for _, f := range JudgeKey(p.key.Public()) {
		if f.Status != report.StatusPass {
			f.Subject, f.Detail = p.Request.Subject.CommonName, p.Files.Key+", "+f.Subject+": "+f.Detail
			if f.Status == report.StatusFail {
				f.Remedy = "move the pair away for a new one, if you can do without it"
			}
			findings = append(findings, f)
		}
	}
	if !p.Encrypted && len(o.KeyPassword) > 0 {
		findings = append(findings, p.differs(p.Files.Key+" is there without a password, and a key is never replaced",
			"encrypt it with another program, for example openssl pkcs8 -topk8, or move the pair away for a new one"))
	}
	if p.KeyType != DescribeKind(p.Key) {
		findings = append(findings, p.differs(fmt.Sprintf("%s is an %s key, not %s, and a key is never replaced", p.Files.Key, p.KeyType, DescribeKind(p.Key)),
			"move the pair away for a new one"))
	}
	return findings
}

// judgeKind is JudgeKey, but for what is right, of a key that is not made yet: of
// those that are made here, one kind alone is unusual.
func judgeKind(k KeySpec) []report.Finding {
	if DescribeKind(k) == DescribeKey(ed25519.PublicKey{}) {
		return JudgeKey(ed25519.PublicKey{})
	}
	return nil
}

// compare looks whether a request that is there says what the row says.
func (p *Pair) compare(info *Info) []report.Finding {
	if info.Fields == p.Request.Subject && slices.Equal(info.SANs, p.Request.SANs) {
		return nil
	}
	return []report.Finding{p.differs(p.Files.Request+" is there, but with other values than the row's",
		"move the request away and run it again: the key stays and gets a new request")}
}

func (p *Pair) differs(detail, remedy string) report.Finding {
	return report.Warn("hosts.there.differs", p.Request.Subject.CommonName, detail, remedy)
}

func unreadable(h Host, path string, err error) report.Finding {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	}
	return report.Fail("file.unreadable", h.Request.Subject.CommonName, fmt.Sprintf("cannot read %s: %v", path, err), "check what it is and its permissions")
}

// maxPairFile is more than a key or a request of ours ever has.
const maxPairFile = 256 << 10

func readSmall(path string) ([]byte, error) {
	fi, err := os.Stat(path)
	if err == nil && !fi.Mode().IsRegular() {
		err = errors.New("it is not a plain file")
	}
	if err != nil {
		if _, there := os.Lstat(path); errors.Is(err, fs.ErrNotExist) && there == nil {
			err = errors.New("it is a link that leads nowhere")
		}
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxPairFile))
}

// openKey reads the private key of a file.
func (o BatchOptions) openKey(data []byte) (key crypto.Signer, encrypted bool, err error) {
	block := &pem.Block{Bytes: data}
	if found := findPEM(data, "PRIVATE KEY"); found != nil {
		block = found
	} else if KeyType(data) == "" {
		return nil, false, report.Errorf(report.KindInput, CodeKeyDamaged, "move it away, or bring the key back", "it holds no private key")
	}
	key, err = DecodeKey(block, nil)
	if report.HasCode(err, CodeKeyPasswordRequired) {
		key, err = DecodeKey(block, o.KeyPassword)
		encrypted = true
	}
	return key, encrypted, err
}

func openRequest(data []byte) (*Info, error) {
	if block := findPEM(data, "CERTIFICATE REQUEST"); block != nil {
		data = block.Bytes
	}
	return Parse(data)
}

// findPEM returns the first block whose type ends so.
func findPEM(data []byte, kind string) *pem.Block {
	for {
		block, rest := pem.Decode(data)
		if block == nil || strings.HasSuffix(block.Type, kind) {
			return block
		}
		data = rest
	}
}

// DescribeKind is what DescribeKey says of a key of a kind: "RSA 2048".
func DescribeKind(k KeySpec) string {
	kind, size, _ := strings.Cut(k.name, ":")
	switch kind {
	case "rsa":
		return "RSA " + size
	case "ec":
		return "EC P-" + strings.TrimPrefix(size, "p")
	}
	return "Ed25519"
}
