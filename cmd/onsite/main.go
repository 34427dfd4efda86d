// Command onsite takes a customer's site from nothing to a working, proven
// set-up: certificate, web portal, name, forwarded ports, time clocks.
//
// This package parses, asks and prints. What a command does is in the packages
// beside it: csr, pkcs, netcheck, portal, site. Each verb has a file of its own,
// with an options struct, a constructor and a run function.
package main

import "os"

func main() {
	os.Exit(run(os.Args[1:], systemStreams(), os.LookupEnv))
}
