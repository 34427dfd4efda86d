package portmap

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"time"

	"onsite/internal/fileset"
	"onsite/report"
)

// Memory is the file in which forwardings are written down that were made here.
// NAT-PMP and PCP do not tell whose a forwarding is, and PCP takes nothing away
// without the number that it was made with.
type Memory struct {
	Dir string // the user's own folder; it is made when it is missing
	Now func() time.Time
}

// MemoryFile is the name of the file.
const MemoryFile = "forwardings.json"

// record is one forwarding in the file.
type record struct {
	Router      string    `json:"router"` // the gateway's address
	Device      string    `json:"device"` // UPnP's name for the device, which no other has; "" without UPnP
	Method      Method    `json:"method"`
	Protocol    string    `json:"protocol"`
	External    uint16    `json:"external_port"`
	Host        string    `json:"host"`
	Internal    uint16    `json:"internal_port"`
	Description string    `json:"description"`
	Nonce       []byte    `json:"nonce"`
	Until       time.Time `json:"until"` // zero: it stays
}

func (r record) over(now time.Time) bool { return !r.Until.IsZero() && r.Until.Before(now) }

func (r record) forwarding(now time.Time) Forwarding {
	f := Forwarding{
		Protocol: r.Protocol, External: r.External, Host: r.Host, Internal: r.Internal,
		Description: r.Description, Ours: true, Method: r.Method,
	}
	if !r.Until.IsZero() {
		f.Lease = r.Until.Sub(now).Round(time.Second)
	}
	return f
}

// of reports whether the record is about a router. Two sites may have routers
// of the same address: the device tells them apart where both are known.
func (r record) of(router *Router) bool {
	return r.Router == router.Gateway.String() && (r.Device == "" || router.udn() == "" || r.Device == router.udn())
}

// load reads the records that are not over. A file that is missing holds none,
// and so does one that cannot be read: the description still tells.
func (m *Memory) load() []record {
	if m == nil || m.Dir == "" {
		return nil
	}
	raw, err := os.ReadFile(filepath.Join(m.Dir, MemoryFile))
	var list []record
	if err != nil || json.Unmarshal(raw, &list) != nil {
		return nil
	}
	now := m.now()
	return slices.DeleteFunc(list, func(r record) bool { return r.over(now) })
}

func (m *Memory) now() time.Time {
	if m.Now == nil {
		return time.Now()
	}
	return m.Now()
}

// change writes the file anew. Another process waits meanwhile.
func (m *Memory) change(edit func([]record) []record) error {
	if m == nil || m.Dir == "" {
		return nil
	}
	if err := os.MkdirAll(m.Dir, 0o700); err != nil {
		return report.Errorf(report.KindFailed, "forward.memory", "make the folder, or see who owns it", "%w", err)
	}
	_, err := fileset.Update(m.Dir, func() ([]fileset.File, error) {
		list := edit(m.load())
		if list == nil {
			list = []record{}
		}
		raw, err := json.MarshalIndent(list, "", "  ")
		if err != nil {
			return nil, err
		}
		return []fileset.File{{Name: MemoryFile, Data: append(raw, '\n'), Private: true}}, nil
	}, fileset.Options{Overwrite: true, Forget: true, Now: m.Now})
	return err
}

// put writes a forwarding down, in place of any other for the same port.
func (m *Memory) put(router *Router, f Forwarding, secret nonce, until time.Time) error {
	return m.change(func(list []record) []record {
		return append(m.without(list, router, Forwarding{Protocol: f.Protocol, External: f.External}), record{
			Router: router.Gateway.String(), Device: router.udn(), Method: f.Method, Protocol: f.Protocol, External: f.External,
			Host: f.Host, Internal: f.Internal, Description: f.Description, Nonce: secret[:], Until: until.UTC().Truncate(time.Second),
		})
	})
}

// drop forgets a forwarding.
func (m *Memory) drop(router *Router, f Forwarding) error {
	return m.change(func(list []record) []record { return m.without(list, router, f) })
}

func (*Memory) without(list []record, router *Router, f Forwarding) []record {
	return slices.DeleteFunc(list, func(r record) bool {
		return r.of(router) && r.Protocol == f.Protocol && r.External == f.External && (f.Method == "" || r.Method == f.Method)
	})
}

// find returns the record of a forwarding of one router.
func (m *Memory) find(router *Router, protocol string, external uint16, methods ...Method) (record, bool) {
	for _, r := range m.load() {
		if r.of(router) && r.Protocol == protocol && r.External == external && (len(methods) == 0 || slices.Contains(methods, r.Method)) {
			return r, true
		}
	}
	return record{}, false
}
