package netcheck

import "onsite/report"

// verdicts is the table by which a name is judged. What the zone's own servers
// say comes first; what resolvers say counts where those are right, or mute. Its
// facts:
//
//	zone      what its servers do: answers, lame, silent
//	record    what they say: right, several, found, wrong, earlier, private,
//	          alias-wrong, dangling, circle, none, missing, doubled, twice,
//	          unregistered, differs, behind
//	here      this computer's resolvers: same, old, inside, servfail, silent; and
//	          where the zone's servers say nothing: right, found, wrong, missing
//	public    public resolvers, likewise
//
// A fact that is not known has no value. The other facts are words for the
// sentences.
var verdicts = report.Table{
	{
		When: "record=unregistered", Status: report.StatusFail, Code: "dns.domain.missing",
		Detail: "the domain {domain} does not exist", Remedy: "check the spelling of {domain}; else register it, or renew it: it may have run out",
	},
	{
		When: "record=doubled", Status: report.StatusFail, Code: "dns.name.doubled",
		Detail: "the record was made as {doubled}", Remedy: "rename that record: type {label} alone where the domain's DNS is managed, the form adds {origin}",
	},
	{
		When: "record=twice", Status: report.StatusFail, Code: "dns.name.twice",
		Detail: "the name has its domain twice, and {undoubled} exists", Remedy: "did you mean {undoubled}?",
	},
	{
		When: "record=missing", Status: report.StatusFail, Code: "dns.name.missing",
		Detail: "the name does not exist (NXDOMAIN); the nearest that does is {nearest}", Remedy: "add an A record for {label} where the DNS of {origin} is managed",
	},
	{
		When: "record=none", Status: report.StatusFail, Code: "dns.a.none",
		Detail: "the name exists, but has no {family} record", Remedy: "add an {family} record with the site's address",
	},
	{
		When: "record=dangling", Status: report.StatusFail, Code: "dns.cname.dangling",
		Detail: "the name is an alias that leads nowhere", Remedy: "make {end} lead to the site, or replace the CNAME record of {owner} by an {family} record",
	},
	{
		When: "record=circle", Status: report.StatusFail, Code: "dns.cname.circle",
		Detail: "the aliases lead in a circle, or on without an end", Remedy: "replace the CNAME record of {owner} by an {family} record",
	},
	{
		When: "record=private", Status: report.StatusFail, Code: "dns.a.private",
		Detail: "the address is not one of the public Internet", Remedy: "change the record of {end} to {wanted}",
	},
	{
		When: "record=alias-wrong", Status: report.StatusFail, Code: "dns.cname.stale",
		Detail: "the name is an alias of {end}, which has {found} instead of {wanted}",
		Remedy: "change the address of {end}, there and not here: see to the dynamic DNS update that should do it",
	},
	{
		When: "record=behind", Status: report.StatusFail, Code: "dns.server.behind",
		Detail: "the zone's servers differ, and {behind} has an older version of the zone: visitors get either answer",
		Remedy: "have {behind} fetch the zone {origin} again (zone transfer), or ask the DNS provider to",
	},
	{
		When: "record=differs", Status: report.StatusFail, Code: "dns.server.differs",
		Detail: "the zone's servers differ, though none has an older version: visitors get either answer",
		Remedy: "ask who runs the servers of {origin}: the same zone should be on all of them",
	},
	{
		When: "record=earlier", Status: report.StatusFail, Code: "dns.a.stale",
		Detail: "A {found} instead of {wanted}, everywhere: it looks like an earlier address of the site",
		Remedy: "change the {family} record of {end} to {wanted}, and mend or set up what should keep it current (dynamic DNS)",
	},
	{
		When: "record=wrong", Status: report.StatusFail, Code: "dns.a.mismatch",
		Detail: "{family} {found} instead of {wanted}", Remedy: "change the {family} record of {end} to {wanted} where the domain's DNS is managed",
	},
	{
		When: "zone=lame", Status: report.StatusFail, Code: "dns.zone.lame",
		Detail: "none of the servers of {origin} answers for it: the name is dead as soon as caches forget it",
		Remedy: "load the zone {origin} on its servers, or name the right ones where the domain is registered",
	},
	{
		When: "zone=silent public=servfail", Status: report.StatusFail, Code: "dns.zone.silent",
		Detail: "no server of {origin} gives an answer, to this computer or to public resolvers",
		Remedy: "start the name servers of {origin}, or name others where the domain is registered",
	},
	{
		When: "record=right|several|found public=servfail", Status: report.StatusFail, Code: "dns.servfail",
		Detail: "the zone's servers answer, and public resolvers refuse to pass it on",
		Remedy: "act on the reason that they give; without one, look at the domain's DNSSEC first (a DS record that fits no key)",
	},
	{
		When: "record=right|several|found here=servfail public=silent|?", Status: report.StatusFail, Code: "dns.servfail",
		Detail: "the zone's servers answer, and this computer's resolver refuses to pass it on",
		Remedy: "act on the reason that it gives; without one, look at the domain's DNSSEC first (a DS record that fits no key)",
	},
	{
		When: "record=right|several here=old public=old", Status: report.StatusFail, Code: "dns.cache.stale",
		Detail: "the record is right, and stale here and elsewhere until {until}",
		Remedy: "wait until {until} (--wait does): to change the record once more does not help",
	},
	{
		When: "record=right|several here=old", Status: report.StatusFail, Code: "dns.cache.stale",
		Detail: "the record is right, and stale here until {until}",
		Remedy: "wait until {until} (--wait does), or empty the cache of this network's router and computers",
	},
	{
		When: "record=right|several public=old", Status: report.StatusFail, Code: "dns.cache.stale",
		Detail: "the record is right, and stale elsewhere until {until}", Remedy: "wait until {until} (--wait does): nobody can empty others' caches",
	},
	{
		When: "record=several", Status: report.StatusWarn, Code: "dns.a.several",
		Detail: "{family} {found}: visitors get any of them", Remedy: "remove all but {wanted}, unless each of them leads to the site",
	},
	{
		When: "record=right here=same public=same", Status: report.StatusPass, Code: "dns.a.matches", Detail: "it leads to {wanted}",
	},
	{
		When: "record=right public=same", Status: report.StatusPass, Code: "dns.a.matches", Detail: "it leads to {wanted}",
	},
	{
		When: "record=right here=same", Status: report.StatusPass, Code: "dns.a.matches", Detail: "it leads to {wanted}",
	},
	{
		When: "record=right", Status: report.StatusPass, Code: "dns.a.matches", Detail: "it leads to {wanted}",
	},
	{
		When: "record=found here=old", Status: report.StatusWarn, Code: "dns.cache.differs",
		Detail: "it leads to {found}, and this computer's resolver says something else",
		Remedy: "ask again after {until}: by then an old answer is forgotten; if it still differs, the servers answer by where one asks from",
	},
	{
		When: "record=found public=old", Status: report.StatusWarn, Code: "dns.cache.differs",
		Detail: "it leads to {found}, and public resolvers say something else",
		Remedy: "ask again after {until}: by then an old answer is forgotten; if it still differs, the servers answer by where one asks from",
	},
	{
		When: "record=found here=same public=same", Status: report.StatusPass, Code: "dns.a.found", Detail: "it leads to {found}",
	},
	{
		When: "record=found", Status: report.StatusPass, Code: "dns.a.found", Detail: "it leads to {found}",
	},

	// The zone's servers say nothing: what resolvers say may be old.
	{
		When: "public=wrong", Status: report.StatusFail, Code: "dns.a.mismatch",
		Detail: "it leads to another address than {wanted}; whether the record is wrong or only old answers are about cannot be told",
		Remedy: "look at the record where the domain's DNS is managed; if it is right, wait until caches forget the old one",
	},
	{
		When: "public=missing", Status: report.StatusFail, Code: "dns.name.missing",
		Detail: "the name has no address", Remedy: "look at the record where the domain's DNS is managed; if it is there, wait until caches forget that it was not",
	},
	{
		When: "public=servfail", Status: report.StatusFail, Code: "dns.servfail",
		Detail: "public resolvers cannot find it out", Remedy: "act on the reason that they give; without one, look at the domain's name servers and its DNSSEC",
	},
	{
		When: "public=right|found", Status: report.StatusUnknown, Code: "dns.authority.unknown",
		Detail: "resolvers lead to {found}, but the zone's own servers could not be asked, so a change of late is not seen",
		Remedy: "ask from a network that lets DNS through (port 53, UDP and TCP)",
	},
	{
		When: "here=right|found|wrong|missing", Status: report.StatusUnknown, Code: "dns.authority.unknown",
		Detail: "only this computer's resolver answers, and the zone's own servers could not be asked",
		Remedy: "ask from a network that lets DNS through (port 53, UDP and TCP)",
	},
	{
		When: "here=servfail", Status: report.StatusUnknown, Code: "dns.server.error",
		Detail: "this computer's resolver cannot find it out, and nobody else could be asked",
		Remedy: "ask from a network that lets DNS through (port 53, UDP and TCP)",
	},
	{
		Status: report.StatusUnknown, Code: "dns.authority.unknown", Detail: "could not tell what the name leads to",
		Remedy: "ask from a network that lets DNS through (port 53, UDP and TCP)",
	},
}
