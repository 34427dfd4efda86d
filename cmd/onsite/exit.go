package main

import (
	"fmt"
	"strings"

	"onsite/report"
)

// The exit statuses. They are the same with and without --json and stay as
// they are for ever.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitStrict      = 3
	exitMissing     = 4
	exitInput       = 5
	exitNoAnswer    = 6
	exitRefused     = 7
	exitInterrupted = 130
)

// exitMeanings is the table of onsite help exit-codes and of the README.
var exitMeanings = []struct {
	code    int
	meaning string
}{
	{exitOK, "done; every check passed (warnings and unknowns allowed, unless --strict)"},
	{exitFailed, "a check failed, or the work could not be done"},
	{exitUsage, "wrong usage"},
	{exitStrict, "only warnings or unknowns, with --strict"},
	{exitMissing, "a value is missing and nobody can be asked"},
	{exitInput, "an input file is unreadable, damaged or of the wrong kind, or its password or key is wrong"},
	{exitNoAnswer, "no answer from a resolver, router, device or authority"},
	{exitRefused, "refused for safety: would overwrite, address in use, not confirmed"},
	{exitInterrupted, "interrupted"},
}

var kindExit = map[report.Kind]int{
	report.KindFailed:      exitFailed,
	report.KindUsage:       exitUsage,
	report.KindMissing:     exitMissing,
	report.KindInput:       exitInput,
	report.KindNoAnswer:    exitNoAnswer,
	report.KindRefused:     exitRefused,
	report.KindInterrupted: exitInterrupted,
}

// exitStatus is the one place that turns what happened into an exit status.
func exitStatus(findings []report.Finding, err error, strict bool) int {
	if err != nil {
		if code, ok := kindExit[report.AsError(err).Kind]; ok {
			return code
		}
		return exitFailed
	}
	switch report.Worst(findings) {
	case report.StatusFail:
		return exitFailed
	case report.StatusWarn, report.StatusUnknown:
		if strict {
			return exitStrict
		}
	}
	return exitOK
}

func exitTable() string {
	var b strings.Builder
	for _, e := range exitMeanings {
		fmt.Fprintf(&b, "  %-4d %s\n", e.code, e.meaning)
	}
	return b.String()
}
