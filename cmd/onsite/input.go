package main

import (
	"context"
	"io"
	"os"
	"strings"

	"onsite/pkcs"
	"onsite/report"
)

// readInput reads a file that a person named; "-" is standard input.
func (a *app) readInput(ctx context.Context, path string) ([]byte, error) {
	if path != "-" {
		return interruptible(ctx, func() ([]byte, error) { return readFile(cleanPath(path)) })
	}
	if err := a.takeStdin("FILE"); err != nil {
		return nil, err
	}
	return interruptible(ctx, func() ([]byte, error) { return limited(a.io.in, "standard input") })
}

// readSmall reads the file that a flag names, or one byte more than most of it.
func (a *app) readSmall(ctx context.Context, flag, path string, most int64) ([]byte, error) {
	if path == "-" {
		if err := a.takeStdin(flag); err != nil {
			return nil, err
		}
		return interruptible(ctx, func() ([]byte, error) { return atMostBytes(a.io.in, "standard input", most) })
	}
	return interruptible(ctx, func() ([]byte, error) {
		f, err := os.Open(cleanPath(path))
		if err != nil {
			return nil, report.Unreadable(path, err)
		}
		defer f.Close()
		return atMostBytes(f, path, most)
	})
}

// readBag reads a file with certificates, requests or keys.
func (a *app) readBag(ctx context.Context, path string) (*pkcs.Bag, error) {
	data, err := a.readInput(ctx, path)
	if err != nil {
		return nil, err
	}
	bag, err := pkcs.Read(data)
	return bag, report.InFile(inputName(path), err)
}

// interruptible reads from what may never answer: a terminal, a pipe.
func interruptible(ctx context.Context, read func() ([]byte, error)) ([]byte, error) {
	return await(ctx, func() {}, read)
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, report.Unreadable(path, err)
	}
	if info.IsDir() {
		return nil, report.Errorf(report.KindInput, "file.unreadable", "name a file in it", "%s is a folder", path)
	}
	if info.Size() > pkcs.MaxSize {
		return nil, tooLarge(path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, report.Unreadable(path, err)
	}
	defer f.Close()
	return limited(f, path)
}

// atMostBytes reads one byte more than most at the most, so that the caller sees
// when there is too much.
func atMostBytes(r io.Reader, name string, most int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, most+1))
	if err != nil {
		return nil, report.Unreadable(name, err)
	}
	return data, nil
}

func limited(r io.Reader, name string) ([]byte, error) {
	data, err := atMostBytes(r, name, pkcs.MaxSize)
	if err != nil {
		return nil, err
	}
	if len(data) > pkcs.MaxSize {
		return nil, tooLarge(name)
	}
	return data, nil
}

func tooLarge(name string) error {
	return report.Errorf(report.KindInput, "file.too-large", "name the certificate file itself",
		"%s has more than %d MiB", name, pkcs.MaxSize>>20)
}

// outFolder is the folder of --out. An empty one comes from a variable that is
// not set, and the current folder was not meant.
func outFolder(path string) (string, error) {
	if path = cleanPath(path); path == "" {
		return "", usageError("--out is empty: name a folder; . is the current one")
	}
	return path, nil
}

// cleanPath repairs a path whose closing quote Windows took for part of it:
// "C:\x\" arrives as C:\x".
func cleanPath(path string) string {
	trimmed, ok := strings.CutSuffix(path, `"`)
	if !ok {
		return path
	}
	if strings.HasSuffix(trimmed, ":") { // "D:\" is the root of a drive, D: some folder on it
		return trimmed + `\`
	}
	return strings.TrimSuffix(trimmed, `\`)
}

// inputName is how messages call a file argument.
func inputName(path string) string {
	if path == "-" {
		return "standard input"
	}
	return path
}
