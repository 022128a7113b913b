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
	known      atomic.Pointer[list] // nil before there is a list
	mu         sync.Mutex           // held while known changes
	file       string               // that has the list; guarded by mu; empty: none
}

// list is one of an incarnation of the log, or what another node says that it is.
type list struct {
	Incarnation string   // empty: another node said it
	Former      []string // incarnations, which the log went through before
	Writers     identity.Writers
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
	var l list
	if err := Decode(io.LimitReader(f, maxList), &l); err != nil {
		return fmt.Errorf("read the list of writers in %s, which may be removed where cluster.yaml names all writers: %w", file, err)
	}
	d.known.Store(&l)
	return nil
}

// Take takes the list of a state that the node has applied, unless it knows a later one of that
// incarnation, or one of an incarnation that followed it, or the state has none.
// An error says that the file does not have it; the node goes by it nevertheless.
func (d *Directory) Take(s *identity.State) error {
	if s.Writers() == nil || d.known.Load().supersedes(s) {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known.Load().supersedes(s) {
		return nil
	}
	l := &list{Incarnation: s.Cluster().Incarnation, Writers: *s.Writers()}
	for _, f := range s.Former() {
		l.Former = append(l.Former, f.Incarnation)
	}
	d.known.Store(l)
	if d.file == "" {
		return nil
	}
	text, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("encode the list of writers: %w", err)
	}
	return durable.Write(d.file, 0o600, text)
}

// supersedes tells whether a list is one that a state's must not replace. A list of a later
// incarnation is the newer one whatever its position is, while a log of before is read again.
func (l *list) supersedes(s *identity.State) bool {
	switch {
	case l == nil || l.Incarnation == "":
		return false
	case l.Incarnation == s.Cluster().Incarnation:
		return l.Writers.Changed >= s.Writers().Changed
	}
	return slices.Contains(l.Former, s.Cluster().Incarnation)
}

// Hear goes by what another node says that the list is, while this one has seen none. It is
// forgotten with the first state that has a list, and when the node ends.
func (d *Directory) Hear(w *identity.Writers) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if w != nil && d.known.Load() == nil {
		d.known.Store(&list{Writers: *w})
	}
}

// Listed is the list that the node knows; nil for none.
func (d *Directory) Listed() *identity.Writers {
	if l := d.known.Load(); l != nil {
		return &l.Writers
	}
	return nil
}

// Writers are those that belong to the cluster.
func (d *Directory) Writers() []setup.Writer { return WritersOf(d.Listed(), d.configured) }

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
	listed := d.Listed()
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
	listed := d.Listed()
	if _, ok := listed.Find(name); ok {
		return true
	}
	return !listed.Gone(name) && slices.ContainsFunc(d.configured, func(w setup.Writer) bool { return w.Name == name })
}
