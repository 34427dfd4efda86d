package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"onsite/pkcs"
	"onsite/report"
)

type certRestoreOptions struct {
	dir    string
	from   string
	list   bool
	dryRun bool
}

// certRestoreResult is the JSON result of cert restore.
type certRestoreResult struct {
	Dir      string       `json:"dir"`
	Restored string       `json:"restored"` // the folder that the set came from; "" with --list and --dry-run
	Kept     string       `json:"kept"`     // where the set is now that was there before
	DryRun   bool         `json:"dry_run"`
	Before   *keptResult  `json:"before"` // the set that is in the folder; null when there is none
	Earlier  []keptResult `json:"earlier"`
	choice   *pkcs.KeptSet
}

// keptResult is one set that can be brought back.
type keptResult struct {
	Name  string     `json:"name"`  // what --from takes: the UTC time at which it was replaced
	Files []string   `json:"files"` // of the three, those that there were
	Leaf  *pkcs.Info `json:"leaf"`  // null when cert.pem cannot be read
}

func newCertRestoreCmd(a *app) *cobra.Command {
	o := &certRestoreOptions{}
	cmd := &cobra.Command{
		Use:   "restore DIR",
		Short: "Bring back the root.pem, cert.pem and key.pem that were there before",
		Long: `Bring back an earlier set of a folder: the last that was replaced, or the one of
--from. The set that is there now is kept in its turn, so a second "restore"
undoes the first.`,
		Example: `  onsite cert restore "C:\Program Files (x86)\ClockOn Services\Web Server"
  onsite cert restore web --list
  onsite cert restore web --from 20261124-131502`,
		Args: exactly("DIR"),
	}
	cmd.RunE = a.verb(func(ctx context.Context, args []string) (outcome, error) {
		o.dir = cleanPath(args[0])
		return a.runCertRestore(o)
	})
	f := cmd.Flags()
	f.StringVar(&o.from, "from", "", "which earlier set, by its name in --list (default: the last)")
	f.BoolVar(&o.list, "list", false, "list the earlier sets, no more")
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would be brought back, no more")
	return cmd
}

func (a *app) runCertRestore(o *certRestoreOptions) (outcome, error) {
	earlier, err := pkcs.KeptSets(o.dir)
	if err != nil {
		return outcome{}, err
	}
	r := &certRestoreResult{Dir: o.dir, DryRun: o.dryRun, Earlier: []keptResult{}}
	for i, k := range earlier {
		r.Earlier = append(r.Earlier, newKeptResult(k))
		if r.choice == nil && (o.from == "" || o.from == k.Name()) {
			r.choice = &earlier[i]
		}
	}
	if now := pkcs.PresentSet(o.dir); len(now.Files) > 0 {
		r.Before = new(newKeptResult(now))
		r.Before.Name = "now"
	}
	if o.list {
		return outcome{Result: r, Text: r.listText}, nil
	}
	if r.choice == nil {
		return outcome{}, o.noSuchSet(r)
	}
	out := outcome{Result: r, Text: r.text}
	if o.dryRun {
		return out, nil
	}
	if r.Kept, err = r.choice.Restore(o.dir, a.now); err != nil {
		return outcome{}, err
	}
	r.Restored = r.choice.Dir
	return out, nil
}

func (o *certRestoreOptions) noSuchSet(r *certRestoreResult) error {
	if len(r.Earlier) == 0 {
		return report.Errorf(report.KindInput, "restore.none", "name the folder of a portal; sets are kept in its folder onsite-previous",
			"no earlier set is kept in %s", o.dir)
	}
	var names []string
	for _, k := range r.Earlier {
		names = append(names, k.Name)
	}
	return report.Errorf(report.KindInput, "restore.none", "there are "+strings.Join(names, ", "), "no earlier set of %s is called %q", o.dir, o.from)
}

func newKeptResult(k pkcs.KeptSet) keptResult {
	r := keptResult{Name: k.Name(), Files: k.Files}
	if k.Leaf != nil {
		r.Leaf = new(pkcs.Describe(k.Leaf))
	}
	return r
}

func (r keptResult) String() string {
	what := strings.Join(r.Files, ", ")
	if r.Leaf != nil {
		what = certLine(*r.Leaf) + " (" + what + ")"
	}
	return what
}

func (r *certRestoreResult) listText(p *printer) {
	var rows [][2]string
	if r.Before != nil {
		rows = append(rows, [2]string{r.Before.Name, r.Before.String()})
	}
	for _, k := range r.Earlier {
		rows = append(rows, [2]string{k.Name, k.String()})
	}
	if len(rows) == 0 {
		p.linef("There is no set in %s, and no earlier one.", r.Dir)
	}
	p.table(rows)
}

func (r *certRestoreResult) text(p *printer) {
	chosen := newKeptResult(*r.choice)
	verb := "Brought back"
	if r.DryRun {
		verb = "Nothing was changed (--dry-run). This set would come back:"
	}
	p.linef("%s %s", verb, report.Printable(chosen.String()))
	if replaced, err := time.Parse("20060102-150405", chosen.Name[:min(len(chosen.Name), 15)]); err == nil {
		p.linef("It was replaced on %s.", replaced.Format("2006-01-02 at 15:04 UTC"))
	}
	if r.Before != nil && !r.DryRun {
		p.linef("What was there now is kept in %s: %s", r.Kept, report.Printable(r.Before.String()))
	}
	if !r.DryRun {
		p.linef("A server that is running may have to be restarted: onsite portal check shows what it serves.")
	}
}
