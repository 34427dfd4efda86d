package main

import (
	"os"
	"path/filepath"
	"runtime"

	"onsite/report"
)

// stateDir is the folder for what has to be remembered from one run to the next.
// It belongs to the user; a service that has no home gets the system's place.
func (a *app) stateDir() (string, error) {
	variable, below := "HOME", filepath.Join(".local", "state")
	switch runtime.GOOS {
	case "windows":
		variable, below = "LocalAppData", ""
	case "darwin":
		below = filepath.Join("Library", "Application Support")
	}
	if dir, _ := a.env("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "onsite"), nil
	}
	if dir, _ := a.env(variable); filepath.IsAbs(dir) {
		return filepath.Join(dir, below, "onsite"), nil
	}
	if runtime.GOOS != "windows" && os.Geteuid() == 0 {
		return systemState, nil
	}
	return "", report.Errorf(report.KindMissing, "value.missing", "name a folder with --state", "this user has no home folder to remember in what was sent")
}
