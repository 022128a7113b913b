package peer

import (
	"slices"
	"sync/atomic"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/setup"
)

// Directory is the writers as a node knows them: those that the log lists, as far as the node
// has applied it. Before that, and where the log lists none, they are those of the
// configuration, which otherwise only says where to begin.
type Directory struct {
	configured []setup.Writer
	listed     atomic.Pointer[identity.Writers] // nil before there is a list
}

// NewDirectory returns the directory of a node with that configuration.
func NewDirectory(configured []setup.Writer) *Directory { return &Directory{configured: configured} }

// Take takes the list of a state that the node has applied; one that has none changes nothing.
func (d *Directory) Take(w *identity.Writers) {
	if w != nil {
		d.listed.Store(w)
	}
}

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
