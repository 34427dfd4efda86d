package main

import (
	"context"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"onsite/csr"
	"onsite/report"
)

func newCSRShowCmd(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show FILE",
		Short: "Show what stands in a certificate request, and what is weak in it",
		Example: `  onsite csr show portal.acme.example.csr
  onsite csr show request-from-iis.txt --json
  type request.txt | onsite csr show -`,
		Args: exactly("FILE"),
	}
	cmd.RunE = a.verb(func(ctx context.Context, args []string) (outcome, error) { return a.runCSRShow(ctx, args[0]) })
	return cmd
}

func (a *app) runCSRShow(ctx context.Context, path string) (outcome, error) {
	info, err := a.readRequest(ctx, path)
	if err != nil {
		return outcome{}, err
	}
	return outcome{
		Result: info, Findings: info.Judge(), IsCheck: true,
		Text: func(p *printer) { showRequest(p, info) },
	}, nil
}

// readRequest reads a file with one certificate request.
func (a *app) readRequest(ctx context.Context, path string) (*csr.Info, error) {
	bag, err := a.readBag(ctx, path)
	if err != nil {
		return nil, err
	}
	if len(bag.Requests) == 0 {
		what := "a private key"
		if len(bag.Certs) > 0 {
			what = "a certificate"
		}
		return nil, report.Errorf(report.KindInput, "file.unknown", "name the .csr file",
			"%s holds %s, not a certificate request", inputName(path), what)
	}
	if len(bag.Requests) > 1 {
		return nil, report.Errorf(report.KindInput, "file.unknown", "put each request into a file of its own",
			"%s holds %d requests", inputName(path), len(bag.Requests))
	}
	info, err := csr.Parse(bag.Requests[0].DER)
	return info, report.InFile(inputName(path), err)
}

func showRequest(p *printer, i *csr.Info) {
	rows := subjectRows(i.Fields, i.SANs)
	for _, n := range slices.Sorted(maps.Keys(i.Attributes)) {
		if n != "extensionRequest" {
			rows = append(rows, [2]string{n, i.Attributes[n]})
		}
	}
	rows = append(rows,
		[2]string{"Key", i.Key},
		[2]string{"Key SHA-256", i.SPKISHA256},
		[2]string{"Signature", i.Signature},
	)
	p.table(rows)
	p.linef("")
}

// subjectRows show whom a request is for.
func subjectRows(s csr.Subject, sans []csr.SAN) [][2]string {
	return [][2]string{
		{"Common name (CN)", s.CommonName},
		{"Country (C)", s.Country},
		{"State (ST)", s.State},
		{"Locality (L)", s.Locality},
		{"Organization (O)", s.Organization},
		{"Unit (OU)", s.Unit},
		{"E-mail", s.Email},
		{"Alternative names", joinSANs(sans)},
	}
}
