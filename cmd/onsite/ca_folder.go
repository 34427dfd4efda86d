package main

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"onsite/ca"
)

// caFolder is where an authority lies when nothing else is said.
const caFolder = "onsite-ca"

// addCAFlag adds the flag that names an authority's folder.
func addCAFlag(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "ca", caFolder, "folder of the authority, as onsite ca init made it")
}

// openCA reads the authority in a folder, all but its keys.
func (a *app) openCA(dir string) (*ca.Folder, error) {
	return ca.Open(dir, ca.Options{Now: a.now})
}

// unlockCA opens keys of an authority, and asks for their password if need be: but
// not where the folder could not be written to afterwards.
func (a *app) unlockCA(ctx context.Context, folder *ca.Folder, s secretFlags, open func(password []byte) error) error {
	if err := folder.Writable(); err != nil {
		return err
	}
	return a.unlock(ctx, s, filepath.Join(folder.Dir, ca.IssuingKeyFile), open)
}

// dirArgument is the folder that the argument DIR names, or the usual one.
func dirArgument(args []string) (string, error) {
	if len(args) == 0 {
		return caFolder, nil
	}
	dir := cleanPath(args[0])
	if dir == "" { // an unset variable of a batch file: the usual one was not meant
		return "", usageError("DIR is empty: name a folder, or leave it away for %s", caFolder)
	}
	return dir, nil
}

// maxDays is a hundred years.
const maxDays = 36525

// checkDays judges a number of days. 0 stands for "as usual" where it is the default.
func checkDays(flag string, days, least int) error {
	if days < least || days > maxDays {
		return usageError("--%s %d: give a number from 1 to %d", flag, days, maxDays)
	}
	return nil
}

// forNames says what an authority may issue for.
func forNames(permitted []string) string {
	if len(permitted) == 0 {
		return "any name"
	}
	return strings.Join(permitted, ", ") + ", and nothing else"
}
