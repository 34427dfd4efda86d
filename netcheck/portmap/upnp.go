package portmap

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// entry is what the actions about a port mapping carry, in the order of
// WANIPConnection:1, section 2.4: some routers read by place, not by name.
type entry struct {
	NewRemoteHost             string
	NewExternalPort           string
	NewProtocol               string
	NewInternalPort           string
	NewInternalClient         string
	NewEnabled                string
	NewPortMappingDescription string
	NewLeaseDuration          string
}

// key names a mapping.
type key struct{ NewRemoteHost, NewExternalPort, NewProtocol string }

func keyOf(f Forwarding) key {
	return key{f.Source, strconv.Itoa(int(f.External)), strings.ToUpper(f.Protocol)} // in small letters some refuse it
}

// forwarding reads an entry. What is missing in it stays as it is in known.
func (e entry) forwarding(known Forwarding) (Forwarding, error) {
	f := known
	f.Source = strings.TrimSpace(e.NewRemoteHost)
	f.Host = strings.TrimSpace(e.NewInternalClient)
	f.Description = strings.TrimSpace(e.NewPortMappingDescription)
	f.Disabled = strings.TrimSpace(e.NewEnabled) == "0"
	seconds, _ := strconv.ParseUint(strings.TrimSpace(e.NewLeaseDuration), 10, 32) // left out: it stays
	f.Lease = time.Duration(seconds) * time.Second
	internal, err := strconv.ParseUint(strings.TrimSpace(e.NewInternalPort), 10, 16)
	if err != nil {
		return f, fmt.Errorf("the router lists an inside port %q", e.NewInternalPort)
	}
	f.Internal = uint16(internal)
	if f.External == 0 {
		external, err := strconv.ParseUint(strings.TrimSpace(e.NewExternalPort), 10, 16)
		if err != nil {
			return f, fmt.Errorf("the router lists an outside port %q", e.NewExternalPort)
		}
		f.External = uint16(external)
	}
	if f.Protocol == "" {
		f.Protocol = strings.ToLower(strings.TrimSpace(e.NewProtocol))
	}
	f.Ours = isOurs(f.Description, f.External)
	return f, nil
}

// Codes of WANIPConnection that are no refusals but answers.
const (
	codeEndOfList = 713 // SpecifiedArrayIndexInvalid
	codeNoEntry   = 714 // NoSuchEntryInArray
	codeOnlyStays = 725 // OnlyPermanentLeasesSupported
	codeArguments = 402
)

// holder asks who has an outside port; nil: nobody that the router knows of.
func (i *igd) holder(ctx context.Context, n *notes, port Forwarding) (*Forwarding, error) {
	port = Forwarding{Protocol: port.Protocol, External: port.External}
	done := n.begin(i.server(), "GetSpecificPortMappingEntry "+port.name())
	var out entry
	err := i.act(ctx, "GetSpecificPortMappingEntry", keyOf(port), &out)
	if refusedWith(err, UPnP, codeNoEntry) {
		done("none", nil)
		return nil, nil
	}
	if err != nil {
		done("", err)
		return nil, err
	}
	f, err := out.forwarding(port)
	done(fmt.Sprintf("%s %q", f, f.Description), err)
	if err != nil {
		return nil, err
	}
	return &f, nil
}

// add asks for a forwarding. stays says that the router gave it without an end,
// though one was asked for.
func (i *igd) add(ctx context.Context, n *notes, f Forwarding) (stays bool, err error) {
	ask := func(lease time.Duration) error {
		seconds := strconv.FormatInt(int64(lease/time.Second), 10)
		done := n.begin(i.server(), fmt.Sprintf("AddPortMapping %s, lease %s s", f, seconds))
		k := keyOf(f)
		err := i.act(ctx, "AddPortMapping", entry{
			k.NewRemoteHost, k.NewExternalPort, k.NewProtocol, strconv.Itoa(int(f.Internal)), f.Host, "1", f.Description, seconds,
		}, nil)
		done("done", err)
		return err
	}
	err = ask(f.Lease)
	// Some say 402 where 725 is meant.
	if f.Lease != 0 && refusedWith(err, UPnP, codeOnlyStays, codeArguments) {
		if again := ask(0); again == nil {
			return true, nil
		}
	}
	return false, err
}

// remove asks to take a forwarding away. One that is gone already is no error.
func (i *igd) remove(ctx context.Context, n *notes, f Forwarding) error {
	done := n.begin(i.server(), "DeletePortMapping "+f.name())
	err := i.act(ctx, "DeletePortMapping", keyOf(f), nil)
	done("done", err)
	if refusedWith(err, UPnP, codeNoEntry) {
		return nil
	}
	return err
}

// maxEntries is where a list is given up: no router has that many.
const maxEntries = 512

// list asks for all forwardings, one by one. With an error it returns those
// that came before.
func (i *igd) list(ctx context.Context, n *notes) ([]Forwarding, error) {
	var list []Forwarding
	done := n.begin(i.server(), "GetGenericPortMappingEntry")
	for index := range maxEntries {
		var out entry
		err := i.act(ctx, "GetGenericPortMappingEntry", struct{ NewPortMappingIndex string }{strconv.Itoa(index)}, &out)
		// Past the end some answer with 402 or 501 instead of 713.
		if refusedWith(err, UPnP, codeEndOfList, codeNoEntry) || index > 0 && refusedWith(err, UPnP, codeArguments, 501) {
			done(fmt.Sprintf("%d entries", len(list)), nil)
			return list, nil
		}
		if err != nil {
			done(fmt.Sprintf("%d entries", len(list)), err)
			return list, err
		}
		f, err := out.forwarding(Forwarding{})
		if err != nil {
			done(fmt.Sprintf("%d entries", len(list)), err)
			return list, err
		}
		list = append(list, f)
	}
	err := errors.New("the list does not end")
	done(fmt.Sprintf("%d entries", len(list)), err)
	return list, err
}
