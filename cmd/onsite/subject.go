package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"onsite/csr"
)

// addSubjectFlags adds the flags that say whom a certificate is for.
func addSubjectFlags(cmd *cobra.Command, s *csr.Spec) {
	f := cmd.Flags()
	f.StringVar(&s.CommonName, "cn", "", "common name, the same as NAME")
	f.StringSliceVar(&s.SANs, "san", nil, "further name, address, e-mail or URI to be covered (repeatable)")
	f.BoolVar(&s.WithApex, "with-apex", false, "for *.example.com, cover example.com too")
	f.StringVar(&s.Country, "country", "", "country, two letters (C)")
	f.StringVar(&s.State, "state", "", "state or province (ST)")
	f.StringVar(&s.Locality, "locality", "", "town or suburb (L)")
	f.StringVar(&s.Organization, "organization", "", "registered name of the business (O)")
	f.StringVar(&s.Unit, "unit", "", "department (OU)")
	f.StringVar(&s.Email, "email", "", "e-mail address (emailAddress)")
}

// nameArgument takes the common name from the argument NAME, if it is there.
func (a *app) nameArgument(s *csr.Spec, args []string) error {
	if len(args) == 0 {
		return nil
	}
	fromEnvironment, _ := a.env(environmentName("cn"))
	if cn := s.CommonName; cn != "" && cn != args[0] && cn != fromEnvironment {
		return usageError("NAME is %q, but --cn is %q: give one of them", args[0], cn)
	}
	s.CommonName = args[0]
	return nil
}

// checkApex refuses --with-apex where there is no wildcard that it could mean.
func checkApex(s *csr.Spec) error {
	if s.WithApex && s.CommonName != "" && !slices.ContainsFunc(append(slices.Clone(s.SANs), s.CommonName), isWildcard) {
		return usageError("--with-apex is for wildcards, and no name begins with *.")
	}
	return nil
}

func isWildcard(name string) bool { return strings.Contains(name, "*.") }

// subjectArgs are the flags that give the same subject, but for the name.
func subjectArgs(s *csr.Spec) []string {
	var args []string
	for _, san := range s.SANs {
		args = append(args, "--san", san)
	}
	if s.WithApex {
		args = append(args, "--with-apex")
	}
	for _, f := range [][2]string{
		{"country", s.Country},
		{"state", s.State},
		{"locality", s.Locality},
		{"organization", s.Organization},
		{"unit", s.Unit},
		{"email", s.Email},
	} {
		if f[1] != "" {
			args = append(args, "--"+f[0], f[1])
		}
	}
	return args
}
