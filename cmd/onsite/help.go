package main

import (
	"embed"
	"strings"

	"github.com/spf13/cobra"
)

// The help topics: help/NAME.txt. The first line is the short description.
//
//go:embed help/*.txt
var topics embed.FS

// helpTopics are commands that only have a text: onsite help exit-codes.
func helpTopics() []*cobra.Command {
	var list []*cobra.Command
	for _, name := range []string{"exit-codes", "json", "batch-files", "secrets", "environment"} {
		raw, err := topics.ReadFile("help/" + name + ".txt")
		if err != nil {
			continue // the names are constants, and a test looks at each
		}
		short, long, _ := strings.Cut(strings.ReplaceAll(string(raw), "\r\n", "\n"), "\n")
		long = strings.ReplaceAll(long, "{exit codes}\n", exitTable())
		cmd := &cobra.Command{Use: name, Short: short, Long: strings.TrimSpace(long)}
		cmd.SetHelpTemplate("{{.Long}}\n")
		list = append(list, cmd)
	}
	return list
}
