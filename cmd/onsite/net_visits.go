package main

import (
	"encoding/json"
	"os"
	"path/filepath"

	"onsite/internal/fileset"
	"onsite/netcheck/wan"
)

// visitsFile keeps the public address that was last seen behind each router. A
// different one at a later run proves that it is dynamic.
const visitsFile = "net-visits.json"

// maxVisits bounds the file: routers that were not seen for long are forgotten.
const maxVisits = 200

// readVisits is empty when there are none or they cannot be read: without them
// less is known, and nothing wrong.
func (a *app) readVisits() []wan.Visit {
	dir, err := a.stateDir()
	if err != nil {
		return nil
	}
	data, err := os.ReadFile(filepath.Join(dir, visitsFile))
	if err != nil {
		return nil
	}
	var visits []wan.Visit
	if json.Unmarshal(data, &visits) != nil {
		return nil
	}
	return visits
}

// keepVisit remembers what was seen. A change stays known: the visit before it
// is kept beside the new one.
func (a *app) keepVisit(visits []wan.Visit, now wan.Visit) {
	kept := []wan.Visit{now}
	changed := false
	for _, v := range visits {
		if v.Router != now.Router {
			kept = append(kept, v)
			continue
		}
		if v.Address != now.Address && !changed {
			changed = true
			kept = append(kept, v)
		}
	}
	err := a.writeVisits(kept[:min(len(kept), maxVisits)])
	if err != nil && a.flags.verbose {
		a.say("the address could not be kept for the next time: %v", err)
	}
}

func (a *app) writeVisits(visits []wan.Visit) error {
	dir, err := a.stateDir()
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(visits, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	_, err = fileset.Replace(dir, []fileset.File{{Name: visitsFile, Data: append(data, '\n'), Private: true}},
		fileset.Options{Overwrite: true, Forget: true, Now: a.now})
	return err
}
