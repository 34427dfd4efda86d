package main

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"onsite/netcheck"
	"onsite/netcheck/ddns"
	"onsite/report"
)

type dnsUpdateOptions struct {
	name, protocol, server, user, contact string
	password, tsigKey                     secretFlags
	tsigAlgorithm, zone, address, state   string
	ttl                                   uint32
	timeout, every                        time.Duration
	force, dryRun, watch                  bool
	service                               serviceFlags
	dns                                   dnsFlags
	public                                publicFlags
}

// minEvery is the shortest time between two looks.
const minEvery = 10 * time.Second

// dnsUpdateResult is the JSON result of dns update.
type dnsUpdateResult struct {
	ddns.Result
	DryRun bool `json:"dry_run"`
}

func newDNSUpdateCmd(a *app) *cobra.Command {
	o := &dnsUpdateOptions{}
	cmd := &cobra.Command{
		Use:   "update NAME",
		Short: "Point a dynamic-DNS name at this site's public address",
		Long: `Compare what the name's own servers answer with the public address of this site,
and have the A record changed when it differs. Nothing is sent when it is right,
when the witnesses do not agree on the address, or when it is none that the whole
Internet can reach.

--protocol dyndns2 is what most providers speak; --server is theirs, for example
members.dyndns.org (Dyn), dynupdate.no-ip.com (No-IP) or api.dynu.com (Dynu).
--protocol rfc2136 changes the record at a name server of one's own with a TSIG
key, by default at the primary that the zone names. The key file is that of BIND
(tsig-keygen), or one line: NAME ALGORITHM SECRET.

What the server answered is remembered in a file (--state): after "stop until
something is changed" nothing is sent any more, after "later" not before that
time, however often the command is run. A changed password, key or user is
noticed; after anything else --force sends at once.

--watch goes on until Ctrl-C; with --install the system runs it, as a Windows
service, by systemd or by launchd, and --uninstall ends that.

Only A records are kept: with IPv6 every computer has an address of its own.`,
		Example: `  onsite dns update site.acme.example --server members.dyndns.org --user acme --password-file pw.txt
  onsite dns update site.acme.example --tsig-key-file ddns.key --dry-run
  onsite dns update site.acme.example --tsig-key-file ddns.key --yes --watch
  onsite dns update site.acme.example --tsig-key-file ddns.key --watch --install --dry-run`,
		Args: exactly("NAME"),
	}
	cmd.RunE = a.verb(func(ctx context.Context, args []string) (outcome, error) {
		o.name = args[0]
		if o.service.install || o.service.uninstall {
			return a.serveDNSUpdate(ctx, cmd, o)
		}
		return a.runDNSUpdate(ctx, o)
	})
	f := cmd.Flags()
	f.StringVar(&o.protocol, "protocol", "", "dyndns2 or rfc2136 (default: rfc2136 with a TSIG key, else dyndns2)")
	f.StringVar(&o.server, "server", "", "provider's host or update address; with rfc2136 the name server (default: the zone's primary)")
	f.StringVar(&o.user, "user", "", "name of the account at the provider")
	addSecretFlags(cmd, &o.password, "password", "the account's password or update key")
	f.StringVar(&o.contact, "contact", "", "mail address that the provider is told, for questions about this program")
	addSecretFlags(cmd, &o.tsigKey, "tsig-key", "the TSIG key")
	f.StringVar(&o.tsigAlgorithm, "tsig-algorithm", "", "algorithm of a key that names none: "+strings.Join(ddns.Algorithms(), ", ")+" (default "+ddns.DefaultAlgorithm+")")
	f.StringVar(&o.zone, "zone", "", "zone that the name lies in, for rfc2136 (default: found)")
	f.Uint32Var(&o.ttl, "ttl", 60, "time to live of the record in seconds, for rfc2136")
	f.StringVar(&o.address, "address", "", "public address, where it is known and cannot be found out")
	f.StringVar(&o.state, "state", "", "folder of the file that remembers what was sent (default: the user's own)")
	f.BoolVar(&o.force, "force", false, "send in spite of what an earlier answer asks for, once something was changed")
	f.BoolVar(&o.dryRun, "dry-run", false, "say what would be sent, no more")
	f.BoolVar(&o.watch, "watch", false, "go on until Ctrl-C: look again and again, and send what has to be sent")
	f.DurationVar(&o.every, "every", 5*time.Minute, "time between two looks with --watch")
	f.DurationVar(&o.timeout, "timeout", 15*time.Second, "longest wait for the server's answer")
	o.dns.add(f)
	o.public.add(cmd)
	o.service.add(f)
	return cmd
}

func (a *app) runDNSUpdate(ctx context.Context, o *dnsUpdateOptions) (outcome, error) {
	opts, err := a.dnsUpdate(ctx, o)
	if err != nil {
		return outcome{}, err
	}
	if o.watch {
		return a.watchDNS(ctx, o, opts)
	}
	u, err := ddns.Look(ctx, opts)
	switch {
	case err != nil || !u.Due():
	case o.dryRun:
		u.Findings = append(u.Findings, report.Warn("ddns.due", u.Result.Name,
			fmt.Sprintf("A %s would be sent to %s (--dry-run)", u.Public(), u.Result.Server), "run it again without --dry-run"))
	default:
		if err = a.confirmUpdate(ctx, u); err == nil {
			err = u.Send(ctx)
		}
	}
	return o.outcome(u), err
}

// outcome is what is known, also when something went wrong then.
func (o *dnsUpdateOptions) outcome(u *ddns.Update) outcome {
	r := &dnsUpdateResult{Result: u.Result, DryRun: o.dryRun}
	return outcome{Result: r, Findings: u.Findings, IsCheck: true, Text: r.text}
}

func (r *dnsUpdateResult) text(p *printer) {
	if r.Public == "" {
		return
	}
	rows := [][2]string{{"Name", r.Name}, {"Public address", r.Public}, {"Name servers say", addressList(r.Before)}}
	if r.Sent {
		rows = append(rows, [2]string{"Sent to", r.Server + " (" + r.Protocol + ")"}, [2]string{"They say now", addressList(r.After)})
	}
	if r.NextTry != nil {
		rows = append(rows, [2]string{"Not again before", r.NextTry.Local().Format("2006-01-02 15:04:05")})
	}
	p.table(rows)
	p.linef("")
}

func addressList(list []string) string {
	if len(list) == 0 {
		return "no address"
	}
	return strings.Join(list, ", ")
}

func (a *app) confirmUpdate(ctx context.Context, u *ddns.Update) error {
	return a.confirm(ctx, fmt.Sprintf("%s has %s; have it changed to %s by %s?", u.Result.Name, addressList(u.Result.Before), u.Public(), u.Result.Server))
}

// watchDNS looks until it is stopped. Its answer is what it saw last.
func (a *app) watchDNS(ctx context.Context, o *dnsUpdateOptions, opts ddns.Options) (outcome, error) {
	switch {
	case o.every < minEvery:
		return outcome{}, usageError("--every %s: give %s or more; 5m is what providers like", o.every, minEvery)
	case o.dryRun:
		return outcome{}, usageError("--watch changes the record when it has to, and --dry-run changes nothing: give one of them")
	}
	if err := a.confirm(ctx, fmt.Sprintf("Keep %s at this site's public address from now on, without asking again?", o.name)); err != nil {
		return outcome{}, err
	}
	a.say("watching %s, every %s; Ctrl-C ends it.", o.name, o.every)
	var u *ddns.Update
	err := a.asService(ctx, o.serviceName(), a.logFinding, func(ctx context.Context, log func(report.Finding)) (err error) {
		u, err = ddns.Watch(ctx, ddns.WatchOptions{Options: opts, Every: o.every, Log: log})
		return err
	})
	if u == nil {
		return outcome{}, err
	}
	if err == nil {
		a.say("stopped")
	}
	out := o.outcome(u)
	if err == nil {
		// It was told as it happened, and being stopped is the proper end.
		out.Text, out.Listed, out.Findings = nil, true, nil
	}
	return out, err
}

func (o *dnsUpdateOptions) serviceName() string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
			return r
		}
		return '_'
	}, strings.ToLower(strings.TrimSuffix(o.name, ".")))
	return "onsite-dns-update-" + name
}

// serveDNSUpdate has the system run this command line with --watch, or not any
// more.
func (a *app) serveDNSUpdate(ctx context.Context, cmd *cobra.Command, o *dnsUpdateOptions) (outcome, error) {
	s := serviceSpec{Name: o.serviceName(), Title: "onsite: keeps " + o.name + " at this site's public address"}
	program, err := os.Executable()
	if err != nil {
		return outcome{}, report.Errorf(report.KindFailed, "service.failed", "run it by its whole path", "find out where this program lies: %w", err)
	}
	s.Program = program
	switch {
	case o.service.install && o.service.uninstall:
		return outcome{}, usageError("--install and --uninstall exclude each other")
	case o.service.uninstall:
		return a.changeService(ctx, o.service, s, o.dryRun)
	case o.password.file == "" && o.password.env == "" && o.tsigKey.file == "" && o.tsigKey.env == "":
		return outcome{}, usageError("a service cannot ask: give --password-file or --tsig-key-file")
	case !o.watch || o.every < minEvery:
		return outcome{}, usageError("--install is for --watch, with --every %s or more", minEvery)
	}
	if s.Args, err = serviceArgs(cmd, []string{o.name}, "password-file", "tsig-key-file", "state"); err != nil {
		return outcome{}, err
	}
	if o.state == "" {
		s.Args = append(s.Args, "--state="+a.serviceState())
	} else if s.State, err = filepath.Abs(cleanPath(o.state)); err != nil {
		return outcome{}, usageError("--state %s: %w", o.state, err)
	}
	if _, err := a.dnsUpdate(ctx, o); err != nil { // what is wrong is said now, and not in a log
		return outcome{}, err
	}
	return a.changeService(ctx, o.service, s, o.dryRun)
}

// logFinding prints a finding at once with its time, for commands that run on.
func (a *app) logFinding(f report.Finding) {
	if a.flags.quiet && f.Status == report.StatusPass {
		return
	}
	line := fmt.Sprintf("%s [%s] %s: %s", a.now().Format("2006-01-02 15:04:05"), f.Status, f.Subject, f.Detail)
	if f.Remedy != "" {
		line += " -> " + f.Remedy
	}
	if _, ok := report.Explain(f.Code); ok {
		line += " (" + f.Code + ")"
	}
	fmt.Fprintf(a.io.err, "%s\n", report.Printable(line))
}

// dnsUpdate puts the values together that were given.
func (a *app) dnsUpdate(ctx context.Context, o *dnsUpdateOptions) (ddns.Options, error) {
	sources, err := o.dns.sources(ctx)
	if err != nil {
		return ddns.Options{}, err
	}
	opts := ddns.Options{Name: o.name, StateDir: cleanPath(o.state), Force: o.force, Now: a.now}
	if o.timeout <= 0 || o.timeout > time.Minute {
		return opts, usageError("--timeout %s: give a time such as 15s, a minute at the most", o.timeout)
	}
	if o.address != "" {
		if opts.Address, err = netip.ParseAddr(o.address); err != nil {
			return opts, usageError("--address %s: give an IPv4 address such as 203.0.113.10", o.address)
		}
	}
	if opts.StateDir == "" {
		if opts.StateDir, err = a.stateDir(); err != nil {
			return opts, err
		}
	}
	public, err := o.public.options(a)
	if err != nil {
		return opts, err
	}
	opts.Public = func(ctx context.Context) ddns.Public { return sitePublic(ctx, public) }
	opts.Authority = func(ctx context.Context) ddns.Authority { return authority(ctx, o.name, sources) }
	opts.Protocol, err = a.dnsProtocol(ctx, o)
	return opts, err
}

// authority asks the zone's own servers, and says what package ddns wants to know
// of it: only IPv4, and only the name's own servers.
func authority(ctx context.Context, name string, sources netcheck.Sources) ddns.Authority {
	found, err := netcheck.Authority(ctx, name, sources)
	a := ddns.Authority{Observations: found.Observations, Zone: strings.TrimSuffix(found.Zone, ".")}
	if err != nil {
		e := report.AsError(err)
		a.Findings = append(a.Findings, report.Unknown(e.Code, name, e.Message, e.Remedy))
		return a
	}
	for _, w := range found.Witnesses {
		if w.Name != found.Name {
			continue // of an alias
		}
		who := strings.TrimSuffix(w.Server, ".")
		switch w.Says {
		case netcheck.SaysAlias:
			a.Alias = strings.TrimSuffix(w.Alias, ".")
		case netcheck.SaysAddresses, netcheck.SaysNone, netcheck.SaysMissing:
			addrs := slices.DeleteFunc(slices.Clone(w.Addresses), func(a netip.Addr) bool { return !a.Unmap().Is4() })
			a.Servers = append(a.Servers, ddns.Answer{Server: who + " (" + w.Address + ")", Addrs: addrs})
		default:
			a.Findings = append(a.Findings, report.Unknown("dns.no-answer", name, fmt.Sprintf("name server %s (%s): %s", who, w.Address, w.Error),
				"check that the name server's address is right and that port 53 is not blocked"))
		}
		if w.Server == found.Primary && w.Address != "" {
			a.Primary = append(a.Primary, w.Address)
		}
	}
	if len(a.Primary) == 0 && found.Primary != "" {
		a.Primary = []string{strings.TrimSuffix(found.Primary, ".")} // it is none of the zone's name servers
	}
	return a
}

// dnsProtocol chooses how the record is changed.
func (a *app) dnsProtocol(ctx context.Context, o *dnsUpdateOptions) (ddns.Protocol, error) {
	withKey := o.tsigKey.file != "" || o.tsigKey.env != ""
	switch {
	case o.protocol == "rfc2136" || o.protocol == "" && withKey:
		if o.user != "" || o.password.file != "" || o.password.env != "" {
			return nil, usageError("--user and --password are for dyndns2; rfc2136 has a key: --tsig-key-file")
		}
		return a.rfc2136(ctx, o, withKey)
	case o.protocol == "dyndns2" || o.protocol == "":
		if withKey {
			return nil, usageError("--tsig-key is for rfc2136; dyndns2 has --user and --password-file")
		}
		return a.dynDNS2(ctx, o)
	}
	return nil, usageError("--protocol %s: use dyndns2 or rfc2136", o.protocol)
}

func (a *app) rfc2136(ctx context.Context, o *dnsUpdateOptions, withKey bool) (ddns.Protocol, error) {
	if !withKey {
		return nil, o.tsigKey.missing("the TSIG key")
	}
	text, err := a.secretText(ctx, o.tsigKey)
	if err != nil {
		return nil, err
	}
	key, err := ddns.ParseKey(text, o.tsigAlgorithm)
	if err != nil {
		if o.tsigKey.file != "" {
			err = report.InFile(inputName(o.tsigKey.file), err)
		}
		return nil, err
	}
	if strings.Contains(o.server, "/") {
		return nil, usageError("--server %s: with rfc2136 it is a name server, HOST or HOST:PORT", o.server)
	}
	return &ddns.RFC2136{Key: key, Host: o.server, Zone: strings.TrimSuffix(o.zone, "."), TTL: o.ttl, Timeout: o.timeout, Now: a.now}, nil
}

func (a *app) dynDNS2(ctx context.Context, o *dnsUpdateOptions) (ddns.Protocol, error) {
	password, given, err := a.secret(ctx, o.password)
	if err != nil {
		return nil, err
	}
	var server *url.URL
	if o.server != "" {
		if server, err = ddns.ParseURL(o.server); err != nil {
			return nil, err
		}
	}
	if _, err := a.prompter(); err != nil || server == nil || o.user == "" {
		what := []string{"", "", ""}
		if server == nil {
			what[0] = "--server (the provider's host)"
		}
		if o.user == "" {
			what[1] = "--user"
		}
		if !given {
			what[2] = "--password-file or --password-env"
		}
		if err := missing(what...); err != nil {
			return nil, err
		}
	}
	if !given {
		if password, err = a.askSecret(ctx, o.password, "the password of "+o.user+" at "+server.Host, false); err != nil {
			return nil, err
		}
	}
	return &ddns.DynDNS2{URL: server, Username: o.user, Password: password, Agent: a.userAgent(o.contact), Timeout: o.timeout}, nil
}

// userAgent is how onsite tells a server what it is, and whom to write to.
func (a *app) userAgent(contact string) string {
	agent := "onsite/" + buildVersion().Version
	if contact = strings.TrimSpace(contact); contact != "" {
		agent += " " + strings.Map(func(r rune) rune {
			if r < ' ' || r > '~' {
				return -1
			}
			return r
		}, contact)
	}
	return agent
}

// maxKeyFile is the length in bytes above which a file holds no TSIG key.
const maxKeyFile = 64 << 10

// secretText is secret for one that may take several lines.
func (a *app) secretText(ctx context.Context, s secretFlags) (string, error) {
	if s.file == "" || s.env != "" {
		value, _, err := a.secret(ctx, s)
		return string(value), err
	}
	data, err := a.readSmall(ctx, "--"+s.name+"-file", s.file, maxKeyFile)
	if err == nil && len(data) <= maxKeyFile {
		if data, _, err := transform.Bytes(unicode.BOMOverride(transform.Nop), data); err == nil {
			return string(data), nil
		}
	}
	if err != nil {
		return "", err
	}
	return "", report.Errorf(report.KindInput, "secret.format", "name the file with the key, as tsig-keygen writes it",
		"--%s-file %s: this is no text file with a key", s.name, s.file)
}
