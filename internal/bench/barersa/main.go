// Command barersa makes RSA keys with crypto/rsa and does nothing with them, as
// many at a time as there are cores: no program that makes keys with Go can be
// faster. It is a peer for package bench.
//
//	barersa 100 2048
package main

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "barersa:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: barersa KEYS BITS")
	}
	keys, errKeys := strconv.Atoi(args[0])
	bits, errBits := strconv.Atoi(args[1])
	if err := errors.Join(errKeys, errBits); err != nil {
		return err
	}
	workers := runtime.GOMAXPROCS(0)
	failed := make([]error, workers)
	var begun atomic.Int64
	var working sync.WaitGroup
	for w := range workers {
		working.Go(func() {
			for begun.Add(1) <= int64(keys) && failed[w] == nil {
				_, failed[w] = rsa.GenerateKey(rand.Reader, bits)
			}
		})
	}
	working.Wait()
	if err := errors.Join(failed...); err != nil {
		return err
	}
	_, err := fmt.Printf("%d keys of %d bits\n", keys, bits)
	return err
}
