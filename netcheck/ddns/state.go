package ddns

import (
	"bytes"
	"cmp"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"onsite/internal/fileset"
	"onsite/report"
)

// StateFile is the file that remembers, in Options.StateDir.
const StateFile = "ddns.json"

const (
	maxState   = 1 << 20 // bytes
	maxEntries = 1000    // names; the oldest go
	maxSent    = 5       // updates in an hour that are no longer normal
	// manyRounds make it slow to try passwords on a file that was stolen.
	manyRounds = 100_000
)

// Why nothing is sent.
const (
	codeWaiting = "ddns.waiting" // the server asked to wait, or may have
	codeStopped = "ddns.stopped" // the answer was final
	codePending = "ddns.pending" // it was sent and accepted
	codeOften   = "ddns.often"   // too much was sent
)

// memory is the content of the file.
type memory struct {
	Version int `json:"version"`
	// NotBefore holds for every name: what was in a damaged file is not known.
	NotBefore time.Time `json:"not_before,omitzero"`
	Entries   []entry   `json:"entries"`
}

// entry is what is known about one name at one server with one user.
type entry struct {
	Protocol string `json:"protocol"`
	Server   string `json:"server"`
	Name     string `json:"name"`
	User     string `json:"user"`

	Salt        []byte      `json:"salt"`
	Fingerprint []byte      `json:"fingerprint"` // of all that was sent, with the secret; slow to guess
	Sent        []time.Time `json:"sent"`        // the last ones, the newest last
	Address     string      `json:"address"`     // that was sent last
	Class       class       `json:"class"`       // what the answer demands; "" while there is none
	Before      class       `json:"before"`      // what the one before it demanded
	Code        string      `json:"code"`
	Detail      string      `json:"detail"`
	Remedy      string      `json:"remedy"`
	Times       int         `json:"times"` // how often in a row
	Until       time.Time   `json:"until,omitzero"`
}

// parse reads a state file. Everything in it may be wrong: it is a file on a disk.
func parse(data []byte) (*memory, error) {
	m := &memory{}
	d := json.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(m); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is something behind its end")
	}
	if len(data) > maxState {
		return nil, errors.New("it is too large")
	}
	if m.Version != 1 {
		return nil, fmt.Errorf("version %d is not known", m.Version)
	}
	for _, e := range m.Entries {
		switch {
		case e.Name == "" || e.Protocol == "":
			return nil, errors.New("an entry has no name")
		case !slices.Contains([]class{"", classDone, classSame, classStop, classRefused, classLater}, e.Class):
			return nil, fmt.Errorf("the answer to %s is of no known kind", e.Name)
		case len(e.Salt) == 0 || len(e.Fingerprint) == 0:
			return nil, fmt.Errorf("the entry of %s is not whole", e.Name)
		}
	}
	return m, nil
}

// store is the file, for one update at a time.
type store struct {
	dir string
	now func() time.Time
	// known keeps the last fingerprint that was worked out, which takes its time.
	known struct{ salt, input, output []byte }
}

// read returns what is remembered. Of a file that is damaged only one thing is
// known, when it was written: damaged is the finding, and nothing may be sent for
// a while after that time.
func (s *store) read() (m *memory, damaged *report.Finding, err error) {
	path := filepath.Join(s.dir, StateFile)
	data, written, err := readState(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &memory{Version: 1}, nil, nil
	}
	if err != nil {
		return nil, nil, report.Errorf(report.KindFailed, "ddns.state.unusable",
			"mend its permissions, or name another folder with --state",
			"read %s, which remembers what was sent: %w", path, err)
	}
	if m, err = parse(data); err == nil {
		return m, nil, nil
	}
	f := report.Warn("ddns.state.damaged", path,
		fmt.Sprintf("what it remembers of earlier updates is lost: %v", err),
		"nothing needs to be done: the next update makes it anew; the old file is kept in the folder onsite-previous beside it")
	return &memory{Version: 1, NotBefore: written.Add(firstWait)}, &f, nil
}

func readState(path string) (data []byte, written time.Time, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, written, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, written, err
	}
	data, err = io.ReadAll(io.LimitReader(f, maxState+1))
	return data, info.ModTime(), err
}

// write changes the file in one step, which no other process sees half done. What
// change is given may be newer than what was read before.
func (s *store) write(change func(*memory) error) error {
	o := fileset.Options{Overwrite: true, Forget: true, Now: s.now}
	if _, damaged, err := s.read(); err == nil && damaged != nil {
		o.Forget = false // somebody may want to see what it was
	}
	_, err := fileset.Update(s.dir, func() ([]fileset.File, error) {
		m, _, err := s.read()
		if err != nil {
			return nil, err
		}
		if err := change(m); err != nil {
			return nil, err
		}
		m.trim()
		data, err := json.MarshalIndent(m, "", "  ")
		return []fileset.File{{Name: StateFile, Data: append(data, '\n'), Private: true}}, err
	}, o)
	if e := report.AsError(err); e != nil && e != errHeld && e.Code != "ddns.state.unusable" {
		return report.Errorf(report.KindFailed, "ddns.state.unusable",
			"mend that, or name another folder with --state: nothing is sent when it cannot be remembered",
			"write %s, which remembers what was sent: %w", filepath.Join(s.dir, StateFile), err)
	}
	return err
}

// trim forgets the names that were sent longest ago.
func (m *memory) trim() {
	if len(m.Entries) > maxEntries {
		slices.SortStableFunc(m.Entries, func(a, b entry) int { return b.last().Compare(a.last()) })
		m.Entries = m.Entries[:maxEntries]
	}
}

func (e *entry) last() time.Time {
	if len(e.Sent) == 0 {
		return time.Time{}
	}
	return e.Sent[len(e.Sent)-1]
}

// find returns the entry of an update, or nil.
func (m *memory) find(o Options) *entry {
	for i := range m.Entries {
		e := &m.Entries[i]
		if e.Name == o.Name && e.Protocol == o.Protocol.Name() && e.Server == o.Protocol.Server() && e.User == o.Protocol.User() {
			return e
		}
	}
	return nil
}

func (m *memory) findOrMake(o Options) *entry {
	if e := m.find(o); e != nil {
		return e
	}
	m.Entries = append(m.Entries, entry{
		Protocol: o.Protocol.Name(), Server: o.Protocol.Server(), Name: o.Name, User: o.Protocol.User(),
		Salt: []byte(rand.Text()), Sent: []time.Time{},
	})
	return &m.Entries[len(m.Entries)-1]
}

// fingerprint makes of all that is sent something that can be compared and gives
// nothing away.
func (s *store) fingerprint(salt []byte, o Options) []byte {
	input := o.Protocol.fingerprint()
	if bytes.Equal(s.known.salt, salt) && bytes.Equal(s.known.input, input) {
		return s.known.output
	}
	output, err := pbkdf2.Key(sha256.New, string(input), salt, cmp.Or(o.rounds, manyRounds), sha256.Size)
	if err != nil {
		panic(err) // only for a length that is none
	}
	s.known.salt, s.known.input, s.known.output = salt, input, output
	return output
}

// changed reports whether something else would be sent than last time.
func (s *store) changed(e *entry, o Options) bool {
	return subtle.ConstantTimeCompare(e.Fingerprint, s.fingerprint(e.Salt, o)) == 0
}

// gate says whether addr may be sent now. A finding with a code says why not; next
// is when it may be by itself, or zero for never.
func (s *store) gate(o Options, addr netip.Addr) (held report.Finding, next time.Time, damaged *report.Finding, err error) {
	m, damaged, err := s.read()
	if err == nil {
		held, next = s.judge(m, o, addr)
	}
	return held, next, damaged, err
}

func (s *store) judge(m *memory, o Options, addr netip.Addr) (held report.Finding, next time.Time) {
	now := s.now()
	if o.Force {
		return held, next
	}
	hold := func(status report.Status, code, remedy string, until time.Time, format string, args ...any) (report.Finding, time.Time) {
		return report.Finding{Code: code, Status: status, Subject: o.Name, Detail: fmt.Sprintf(format, args...), Remedy: remedy}, until
	}
	if until := believe(m.NotBefore, now); until.After(now) {
		return hold(report.StatusFail, codeWaiting, "wait, or add --force to send now, if you know that the provider has not refused anything", until,
			"nothing is sent before %s: what the provider answered last is not known any more", clock(until))
	}
	e := m.find(o)
	if e == nil {
		return held, next
	}
	until, begun := believe(e.Until, now), believe(e.last().Add(retryWait), now)
	waits, same := until.After(now), e.Address == addr.String()
	switch {
	case (e.Class == classStop || e.Class == classRefused) && s.changed(e, o):
		// Something was changed here: that is what the answer asked for.
	case e.Class == classStop:
		return hold(report.StatusFail, codeStopped, e.Remedy+"; a changed password, key or user is noticed, for anything else add --force", time.Time{},
			"nothing is sent any more since %s, when the answer was final: %s", clock(e.last()), e.Detail)
	case e.Class == classDone && same && waits:
		return hold(report.StatusWarn, codePending, "wait; when it takes longer than an hour, look at the provider's page whether this is the right name", until,
			"%s was sent at %s and accepted, but the zone's name servers do not show it yet; it is not sent again before %s", addr, clock(e.last()), clock(until))
	case e.Class == classSame && same && waits:
		return hold(report.StatusFail, codeWaiting, e.Remedy, until,
			"nothing is sent before %s, for asking more often counts as abuse; the answer at %s was: %s", clock(until), clock(e.last()), e.Detail)
	case e.Class == "" && begun.After(now):
		return hold(report.StatusFail, codeWaiting, "wait, or add --force to send now", begun,
			"nothing is sent before %s: an update was sent at %s, and the run ended before its answer came", clock(begun), clock(e.last()))
	case (e.Class == classLater || e.Class == classRefused) && waits:
		return hold(report.StatusFail, codeWaiting, e.Remedy+"; --force sends at once", until,
			"nothing is sent before %s; the answer at %s was: %s", clock(until), clock(e.last()), e.Detail)
	}
	if recent := e.recent(now); len(recent) >= maxSent {
		return hold(report.StatusWarn, codeOften, "find out why the address changes so often: two Internet lines that take turns, or another program that updates the same name",
			recent[0].Add(time.Hour), "%d updates were sent within an hour; the next one waits until %s", len(recent), clock(recent[0].Add(time.Hour)))
	}
	return held, next
}

// recent are the updates of the last hour.
func (e *entry) recent(now time.Time) []time.Time {
	var list []time.Time
	for _, t := range e.Sent {
		if age := now.Sub(t); age >= 0 && age < time.Hour {
			list = append(list, t)
		}
	}
	return list
}

// believe returns the end of a wait, or the zero time when it is further away than
// any wait is: a clock was wrong when it was written, or is now. One update too
// many does less harm than none for years.
func believe(until, now time.Time) time.Time {
	if until.After(now.Add(sameWait)) {
		return time.Time{}
	}
	return until
}

func clock(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }

// errHeld says that another process got there first.
var errHeld = &report.Error{Kind: report.KindFailed, Message: "another process has sent an update meanwhile"}

// begin notes that addr is about to be sent, so that a run that is killed is not
// forgotten. The finding says why it may not be, after all.
func (s *store) begin(o Options, addr netip.Addr) (held report.Finding, next time.Time, err error) {
	err = s.write(func(m *memory) error {
		if held, next = s.judge(m, o, addr); held.Code != "" {
			return errHeld
		}
		if o.Force {
			m.NotBefore = time.Time{}
		}
		e := m.findOrMake(o)
		now := s.now().UTC().Truncate(time.Second)
		switch {
		case s.changed(e, o):
			e.Before, e.Times, e.Fingerprint = "", 0, s.fingerprint(e.Salt, o)
		case e.Class != "":
			e.Before = e.Class
		}
		e.Sent = append(e.recent(now), now)
		e.Sent = e.Sent[max(0, len(e.Sent)-maxSent):]
		e.Address, e.Class, e.Code, e.Detail, e.Remedy, e.Until = addr.String(), "", "", "", "", time.Time{}
		return nil
	})
	if errors.Is(err, errHeld) {
		err = nil
	}
	return held, next, err
}

// end notes the answer and returns when the server may be asked again.
func (s *store) end(o Options, addr netip.Addr, a answer) (next time.Time, err error) {
	err = s.write(func(m *memory) error {
		e := m.findOrMake(o)
		if e.Before != a.class {
			e.Times = 0
		}
		e.Times++
		e.Fingerprint = s.fingerprint(e.Salt, o)
		e.Address, e.Class, e.Code, e.Detail, e.Remedy = addr.String(), a.class, a.finding.Code, a.finding.Detail, a.finding.Remedy
		if next = a.after(s.now(), e.Times); !next.IsZero() {
			next = next.UTC().Truncate(time.Second)
		}
		e.Until = next
		return nil
	})
	return next, err
}

// settle notes that the zone's servers show the right address: what was waited
// for has come, by this program or by another. A final refusal stays.
func (s *store) settle(o Options) (damaged *report.Finding, err error) {
	m, damaged, err := s.read()
	if err != nil {
		return nil, nil //nolint:nilerr // nothing is to be sent, so nothing need be remembered
	}
	if e := m.find(o); e == nil || e.Class != classLater && e.Class != classRefused && e.Class != classSame {
		return damaged, nil
	}
	return damaged, s.write(func(m *memory) error {
		if e := m.find(o); e != nil {
			e.Class, e.Before, e.Times, e.Until = classDone, "", 0, time.Time{}
		}
		return nil
	})
}
