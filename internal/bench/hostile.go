package main

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"

	"onsite/pkcs"
)

// hostile is a file that is made to keep a reader busy or to fill its memory. It
// must be refused, with exit status 5 and no file written, within the limits.
type hostile struct {
	name  string
	write func(path string) error
}

// The limits that a hostile file is measured against.
const (
	hostileTime   = time.Second
	hostileMemory = 64 << 20 // bytes
)

var hostiles = []hostile{
	{"1 GiB of -----BEGIN", func(path string) error { return repeat(path, "-----BEGIN CERTIFICATE-----\n", 1<<30) }},
	{"BEGIN lines up to the limit of a file", func(path string) error { return repeat(path, "-----BEGIN CERTIFICATE-----\n", pkcs.MaxSize) }},
	{"empty blocks up to the limit", func(path string) error { return repeat(path, "-----BEGIN A-----\n-----END A-----\n", pkcs.MaxSize) }},
	{"2^31 rounds in a key", func(path string) error { return os.WriteFile(path, manyRounds(), 0o600) }},
	{"ASN.1 nested a thousand deep", func(path string) error { return os.WriteFile(path, nested(1000), 0o600) }},
	{"a ZIP bomb", func(path string) error { return zipBomb(path, 200) }},
}

// refusal is how a hostile file fared.
type refusal struct {
	hostile
	Took   time.Duration
	Memory int64 // at most so much was resident, in bytes; 0 where the system does not tell
}

// refuse has onsite read a hostile file, and wants it refused.
func (l *lab) refuse(ctx context.Context, h hostile) (refusal, error) {
	path := filepath.Join(l.dir, "hostile")
	if err := h.write(path); err != nil {
		return refusal{}, err
	}
	defer os.Remove(path) //nolint:errcheck // the folder goes anyway
	if err := l.write("password.txt", "bench-only\n"); err != nil {
		return refusal{}, err
	}
	c := l.command(ctx, "onsite cert gather hostile --password-file password.txt --out refused --no-input")
	start := time.Now()
	err := c.Run()
	r := refusal{hostile: h, Took: time.Since(start)}
	if c.ProcessState == nil || c.ProcessState.ExitCode() != 5 {
		return refusal{}, fmt.Errorf("%s is not refused as a wrong input: %w", h.name, l.failed(c, err))
	}
	if _, err := os.Lstat(filepath.Join(l.dir, "refused")); err == nil {
		return refusal{}, fmt.Errorf("%s: files were written", h.name)
	}
	r.Memory = peakMemory(c.ProcessState)
	return r, nil
}

// line is the row of the table.
func (r refusal) line() string {
	memory, within := "not known", "yes"
	if r.Memory > 0 {
		memory = fmt.Sprintf("%d MiB", r.Memory>>20)
	}
	if r.Took > hostileTime || r.Memory > hostileMemory {
		within = "no"
	}
	return fmt.Sprintf("| %s | %s | %s | %s |", r.name, milliseconds(r.Took), memory, within)
}

// repeat fills a file with a text.
func repeat(path, text string, size int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	block := []byte(strings.Repeat(text, 1<<20/len(text)))
	for n := 0; n+len(block) <= size && err == nil; n += len(block) {
		_, err = f.Write(block)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// der puts a tag and a length in front of a content.
func der(tag byte, parts ...[]byte) []byte {
	content := bytes.Join(parts, nil)
	length := []byte{byte(len(content) & 0x7f)}
	if len(content) > 0x7f {
		n := big.NewInt(int64(len(content))).Bytes()
		length = append([]byte{0x80 | byte(len(n)&0x7f)}, n...)
	}
	return append(append([]byte{tag}, length...), content...)
}

func nested(deep int) []byte {
	var data []byte
	for range deep {
		data = der(0x30, data)
	}
	return data
}

// manyRounds is an EncryptedPrivateKeyInfo with pbeWithSHAAnd3-KeyTripleDES-CBC
// (RFC 7292, appendix C) and 2^31-1 rounds.
func manyRounds() []byte {
	oid := der(0x06, []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01, 0x03})
	params := der(0x30, der(0x04, []byte("saltsalt")), der(0x02, []byte{0x7f, 0xff, 0xff, 0xff}))
	info := der(0x30, der(0x30, oid, params), der(0x04, make([]byte, 64)))
	return pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: info})
}

// zipBomb holds files of nothing but zeros, each just small enough.
func zipBomb(path string, files int) error {
	var out bytes.Buffer
	archive := zip.NewWriter(&out)
	zeros := make([]byte, pkcs.MaxSize)
	for i := range files {
		w, err := archive.Create(fmt.Sprintf("%d.pem", i))
		if err == nil {
			_, err = w.Write(zeros)
		}
		if err != nil {
			return err
		}
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return os.WriteFile(path, out.Bytes(), 0o600)
}
