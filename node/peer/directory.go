package peer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/writ-iam/writ/log/durable"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/setup"
)

// Directory is the writers as a node knows them: those that the log lists, as far as the node
// has applied it, now or before it was started. Where the log lists none, or the node has not
// seen it, they are those of the configuration, which otherwise only says where to begin.
type Directory struct {
	configured []setup.Writer
	listed     atomic.Pointer[identity.Writers] // nil before there is a list
	mu         sync.Mutex                       // held while listed changes
	file       string                           // that has the list; guarded by mu; empty: none
}

// NewDirectory returns the directory of a node with that configuration.
func NewDirectory(configured []setup.Writer) *Directory { return &Directory{configured: configured} }

// maxList bounds the file of a list, in bytes.
const maxList = 4 << 20

// Keep begins with the list that a file has, if it is there, and has the file have the newest
// from then on. A writer that starts again knows by it who may lead it before it knows what is
// committed.
func (d *Directory) Keep(file string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.file = file
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the list of writers: %w", err)
	}
	defer f.Close()
	var w identity.Writers
	if err := Decode(io.LimitReader(f, maxList), &w); err != nil {
		return fmt.Errorf("read the list of writers in %s, which may be removed where cluster.yaml names all writers: %w", file, err)
	}
	d.listed.Store(&w)
	return nil
}

// Take takes the list of a state that the node has applied, unless it knows a later one, or the
// state has none. An error says that the file does not have it; the node goes by it nevertheless.
func (d *Directory) Take(w *identity.Writers) error {
	if known := d.listed.Load(); w == nil || known != nil && known.Changed >= w.Changed {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if known := d.listed.Load(); known != nil && known.Changed >= w.Changed {
		return nil
	}
	d.listed.Store(w)
	if d.file == "" {
		return nil
	}
	text, err := json.Marshal(w)
	if err != nil {
		return fmt.Errorf("encode the list of writers: %w", err)
	}
	return durable.Write(d.file, 0o600, text)
}

// Listed is the list that the node knows; nil for none.
func (d *Directory) Listed() *identity.Writers { return d.listed.Load() }

// Writers are those that belong to the cluster.
func (d *Directory) Writers() []setup.Writer { return WritersOf(d.listed.Load(), d.configured) }

// WritersOf are those that a list has; where there is none, those of the configuration.
func WritersOf(listed *identity.Writers, configured []setup.Writer) []setup.Writer {
	if listed == nil {
		return configured
	}
	all := make([]setup.Writer, len(listed.List))
	for i, w := range listed.List {
		all[i] = setup.Writer{Name: w.Name, Peer: w.Peer, Broker: w.Broker, Routes: w.Routes}
	}
	return all
}

// Peers are the addresses at which writers may be: of those that belong to the cluster, and of
// those that the configuration names and nobody has removed. A node that was away for long may
// find at the latter alone who took the others' places.
func (d *Directory) Peers() (addrs []string) {
	listed := d.listed.Load()
	for _, w := range append(slices.Clone(d.Writers()), d.configured...) {
		if !slices.Contains(addrs, w.Peer) && !listed.Gone(w.Name) {
			addrs = append(addrs, w.Peer)
		}
	}
	return addrs
}

// Has tells whether a writer's certificate of that name is believed: the log lists it, or the
// configuration names it and the log has not removed it.
func (d *Directory) Has(name string) bool {
	listed := d.listed.Load()
	if _, ok := listed.Find(name); ok {
		return true
	}
	return !listed.Gone(name) && slices.ContainsFunc(d.configured, func(w setup.Writer) bool { return w.Name == name })
}
