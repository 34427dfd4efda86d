package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"

	"onsite/csr"
	"onsite/pkcs"
	"onsite/report"
)

// inputs reads the files of one command and the passwords that they want. A
// password that opened one file is tried on the others too.
type inputs struct {
	a         *app
	secret    secretFlags
	passwords [][]byte
	given     bool // by the flags: then nothing is asked
	mute      bool // nothing is asked at all
	// ready is called before a person is asked for a password: what would make
	// the answer useless is an error. Nil: nothing would.
	ready func() error
}

// thrift is the memory in bytes near which the garbage is collected at once: a
// hostile file must not fill the memory, and no honest one comes near it.
const thrift = 32 << 20

// newInputs takes the password that the flags name.
func (a *app) newInputs(ctx context.Context, s secretFlags) (*inputs, error) {
	debug.SetMemoryLimit(thrift)
	in := &inputs{a: a, secret: s}
	password, given, err := a.secret(ctx, s)
	if given {
		in.given, in.passwords = true, [][]byte{password}
	}
	return in, err
}

// read reads files, folders and archives into one bag. What is named must be
// readable; what lies in a folder or an archive may be left aside.
func (in *inputs) read(ctx context.Context, paths ...string) (*pkcs.Bag, error) {
	all := &pkcs.Bag{}
	for _, path := range paths {
		info, err := os.Stat(cleanPath(path))
		if path != "-" && err == nil && info.IsDir() {
			err = in.folder(ctx, all, cleanPath(path))
		} else {
			err = in.file(ctx, all, path, true)
		}
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// folder reads the files of a folder, not those of folders in it: there may be
// anything. The sets that were kept there are no input.
func (in *inputs) folder(ctx context.Context, all *pkcs.Bag, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return report.Unreadable(dir, err)
	}
	for _, e := range entries {
		if !e.Type().IsRegular() && e.Type()&fs.ModeSymlink == 0 {
			continue
		}
		path := filepath.Join(dir, e.Name())
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
			continue
		}
		if err := in.file(ctx, all, path, false); err != nil {
			return err
		}
	}
	return nil
}

// file reads one file. Named says that it must be of use.
func (in *inputs) file(ctx context.Context, all *pkcs.Bag, path string, named bool) error {
	bag, err := in.open(ctx, path, named)
	switch {
	case err == nil:
	case named || errors.Is(err, errCancelled) || ctx.Err() != nil:
		return err
	default:
		all.Aside = append(all.Aside, pkcs.Aside{Path: path, Err: err})
		return nil
	}
	all.Add(bag.In(inputName(path)))
	return nil
}

// open reads a file and asks for the passwords that it wants: of a bundle, or of
// a key. One that was not named can be left aside with an empty answer.
func (in *inputs) open(ctx context.Context, path string, named bool) (*pkcs.Bag, error) {
	data, err := in.a.readInput(ctx, path)
	if err != nil {
		return nil, err
	}
	for try := 0; ; try++ {
		bag, err := pkcs.Read(data, in.passwords...)
		if !wantsPassword(bag, err) || in.given || in.mute || try == tries {
			return bag, report.InFile(inputName(path), err)
		}
		if try > 0 {
			in.a.say("That is not the password of %s.", inputName(path))
		}
		password, askErr := in.ask(ctx, inputName(path), named)
		if errors.Is(askErr, errNobody) {
			if err == nil {
				return bag, nil // the key stays locked, and may not be needed
			}
			return nil, in.secret.missing("the password of " + inputName(path))
		}
		switch {
		case askErr != nil:
			return nil, askErr
		case len(password) == 0 && !named:
			return bag, report.InFile(inputName(path), err)
		}
		in.passwords = append(in.passwords, password)
	}
}

func (in *inputs) ask(ctx context.Context, name string, named bool) ([]byte, error) {
	p, err := in.a.prompter()
	if err != nil {
		return nil, errNobody
	}
	if in.ready != nil {
		if err := in.ready(); err != nil {
			return nil, err
		}
	}
	label := "The password of " + name
	if !named {
		label += " (empty: leave it aside)"
	}
	return p.Secret(ctx, Question{Flag: in.secret.name + "-file", Label: label}, false)
}

// wantsPassword reports whether another password might open more.
func wantsPassword(bag *pkcs.Bag, err error) bool {
	if err != nil {
		return report.HasCode(err, pkcs.CodePFXPassword)
	}
	for _, k := range bag.Keys {
		if report.HasCode(k.Err, csr.CodeKeyPasswordRequired) || report.HasCode(k.Err, csr.CodeKeyPassword) {
			return true
		}
	}
	for _, aside := range bag.Aside {
		if report.HasCode(aside.Err, pkcs.CodePFXPassword) {
			return true
		}
	}
	return false
}

// explain says in which file an error was met: that of path, or of a key that
// could not be opened. Where a password is wanted, it names the flags that give
// it. An empty path names no file.
func (in *inputs) explain(bag *pkcs.Bag, path string, err error) error {
	switch {
	case err == nil:
		return nil
	case err == bag.Locked(): //nolint:errorlint // that very error
	case path == "":
		return err
	default:
		return report.InFile(inputName(path), err)
	}
	for _, k := range bag.Keys {
		switch {
		case k.Err == nil:
		case report.HasCode(k.Err, csr.CodeKeyPasswordRequired):
			return in.secret.missing("the password of " + k.String())
		default:
			return report.InFile(k.String(), k.Err)
		}
	}
	return err
}
