package main

import (
	"context"

	"github.com/spf13/cobra"
)

func newPFXSplitCmd(a *app) *cobra.Command {
	o := &gatherOptions{}
	cmd := &cobra.Command{
		Use:   "split FILE",
		Short: "Split a PFX bundle into root.pem, cert.pem and key.pem",
		Long: `Split a PFX bundle (.pfx, .p12) into the three files of a web portal:
cert.pem holds the certificate, then the intermediates; root.pem the
intermediates, then the root; key.pem the private key. The three change
together or not at all; a set that was there before is kept beside. A bundle
with several keys gives the folders set-1, set-2 and so on; --host chooses one.
It is "onsite cert gather" on one file, which may be of any other form too.`,
		Example: `  onsite pfx split acme.pfx --out "C:\Program Files (x86)\ClockOn Services\Web Server" --force
  onsite pfx split acme.pfx --password-file password.txt --host portal.acme.example --out web
  onsite pfx split acme.pfx --password-env PFXPW --key-format pkcs1 --no-input`,
		Args: exactly("FILE"),
	}
	cmd.RunE = a.verb(func(ctx context.Context, args []string) (outcome, error) {
		o.in = args
		return a.runGather(ctx, o)
	})
	o.addFlags(cmd)
	return cmd
}
