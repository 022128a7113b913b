package identity

import (
	"slices"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/table"
)

// Writer is where the other nodes reach a writer that belongs to the cluster. Addresses are
// host:port; those of Broker and Routes are empty where NATS runs outside.
type Writer struct {
	Name   string
	Peer   string
	Broker string
	Routes string
	Region string
}

// fields appends all that the Writer has, as digests take it.
func (w *Writer) fields(b []byte) []byte {
	for _, field := range []string{w.Name, w.Peer, w.Broker, w.Routes, w.Region} {
		b = digest.AppendString(b, field)
	}
	return b
}

// addresses are those that a writer has.
func (w *Writer) addresses() []string {
	return slices.DeleteFunc([]string{w.Peer, w.Broker, w.Routes}, func(a string) bool { return a == "" })
}

// RemovedWriter is a name that was taken off the list of writers: whoever comes under it,
// with whatever certificate, is refused until it is added again.
type RemovedWriter struct {
	Name string
	Peer string   // where it was
	At   Position // of the command
}

// fields appends all that the RemovedWriter has, as digests take it.
func (w *RemovedWriter) fields(b []byte) []byte {
	return digest.AppendInt(digest.AppendString(digest.AppendString(b, w.Name), w.Peer), uint64(w.At))
}

// Writers are the writers that belong to the cluster, in order of name, and those that do no
// more. Nobody changes it.
type Writers struct {
	Changed Position // of the latest change
	List    []Writer
	Removed []RemovedWriter // the latest last
}

// writersKey is the key of the one record of writers.
const writersKey = "writers"

// Handle makes Writers a record of a table, by its key, as do Is and AppendDigest.
func (w *Writers) Handle() table.Handle { return table.HandleOf(writersKey) }

// Is tells whether the Writers have that key.
func (w *Writers) Is(key string) bool { return key == writersKey }

// AppendDigest appends all that the Writers have.
func (w *Writers) AppendDigest(b []byte) []byte {
	b = digest.AppendString(b, writersKey)
	b = digest.AppendInt(digest.AppendInt(b, uint64(w.Changed)), uint64(len(w.List)))
	for i := range w.List {
		b = w.List[i].fields(b)
	}
	for i := range w.Removed {
		b = w.Removed[i].fields(b)
	}
	return b
}

// Limits of the writers.
const (
	// MaxWriters is how many writers a cluster may have: each write waits for a majority.
	MaxWriters = 7
	// MaxRemovedWriters is how many names may have been removed. None is ever forgotten, for
	// that would let it in again: one more removal is refused.
	MaxRemovedWriters = 1000
)

// Writers are those that the log lists; nil where it lists none, in a cluster that began
// before it did: then the configuration says who they are. Its identity changes with it.
func (s *State) Writers() *Writers {
	w, _ := s.writers.Get(writersKey)
	return w
}

// Find returns the writer of that name. A nil list has none.
func (w *Writers) Find(name string) (Writer, bool) {
	if w == nil {
		return Writer{}, false
	}
	i := slices.IndexFunc(w.List, func(one Writer) bool { return one.Name == name })
	if i < 0 {
		return Writer{}, false
	}
	return w.List[i], true
}

// Gone tells whether a name was removed, and not added since. In a nil list none was.
func (w *Writers) Gone(name string) bool {
	return w != nil && slices.ContainsFunc(w.Removed, func(r RemovedWriter) bool { return r.Name == name })
}

// mayHave refuses a writer that cannot be told from another node, in a list without it.
func (s *State) mayHave(list []Writer, w *Writer) error {
	if r, ok := s.replicas.Get(w.Name); ok {
		return refuse(EntityAlreadyExists, "The name %s is that of a replica.", r.Name)
	}
	if w.Name == "" || w.Peer == "" {
		return refuse(InvalidInput, "A writer has a name and an address.")
	}
	taken := map[string]string{}
	for _, other := range list {
		for _, a := range other.addresses() {
			taken[a] = other.Name
		}
	}
	for _, a := range w.addresses() {
		if other, ok := taken[a]; ok {
			return refuse(EntityAlreadyExists, "The address %s is that of writer %s.", a, other)
		}
		taken[a] = w.Name
	}
	return nil
}

// listed refuses what changes a list of writers that the log does not have.
func (s *State) listed() (*Writers, error) {
	if w := s.Writers(); w != nil {
		return w, nil
	}
	return nil, refuse(NoSuchEntity, "The log lists no writers yet: a leader whose configuration names them puts them in.")
}

// with returns the writers of which one was added at a position, or is another from there on.
func (w *Writers) with(one Writer, at Position) *Writers {
	next := &Writers{Changed: at, Removed: slices.DeleteFunc(slices.Clone(w.Removed), func(r RemovedWriter) bool { return r.Name == one.Name })}
	next.List = slices.DeleteFunc(slices.Clone(w.List), func(old Writer) bool { return old.Name == one.Name })
	i, _ := slices.BinarySearchFunc(next.List, one.Name, func(old Writer, name string) int {
		if old.Name < name {
			return -1
		}
		return 1
	})
	next.List = slices.Insert(next.List, i, one)
	return next
}

// ListWriters begins the list of writers in a log that has none.
type ListWriters struct{ Writers []Writer }

// WritersListed began the list of writers, or began it anew with an incarnation: names that
// were removed before stay out.
type WritersListed struct{ Writers []Writer }

func (c *ListWriters) decide(s *State, _ Meta) ([]Event, error) {
	if s.Writers() != nil {
		return nil, refuse(EntityAlreadyExists, "The log lists its writers already.")
	}
	if err := s.mayList(c.Writers); err != nil {
		return nil, err
	}
	return []Event{&WritersListed{Writers: c.Writers}}, nil
}

// mayList refuses a list of writers of whom one cannot be told from another node.
func (s *State) mayList(list []Writer) error {
	if len(list) == 0 || len(list) > MaxWriters {
		return refuse(LimitExceeded, "Cannot exceed quota for Writers: %d", MaxWriters)
	}
	for i := range list {
		if slices.ContainsFunc(list[:i], func(w Writer) bool { return w.Name == list[i].Name }) {
			return refuse(EntityAlreadyExists, "Writer %s is there already.", list[i].Name)
		}
		if err := s.mayHave(list[:i], &list[i]); err != nil {
			return err
		}
	}
	return nil
}

func (e *WritersListed) evolve(s *State) {
	w := &Writers{}
	if old := s.Writers(); old != nil {
		w.Removed = old.Removed
	}
	for _, one := range e.Writers {
		w = w.with(one, s.position)
	}
	s.writers.Put(w)
}

// AddWriter lists another writer, which may join from then on. A name that was removed is
// another writer's then.
type AddWriter struct{ Writer Writer }

// WriterAdded listed another writer.
type WriterAdded struct{ Writer Writer }

func (c *AddWriter) decide(s *State, _ Meta) ([]Event, error) {
	w, err := s.listed()
	if err != nil {
		return nil, err
	}
	if _, ok := w.Find(c.Writer.Name); ok {
		return nil, refuse(EntityAlreadyExists, "Writer %s is there already.", c.Writer.Name)
	}
	if len(w.List) >= MaxWriters {
		return nil, refuse(LimitExceeded, "Cannot exceed quota for Writers: %d", MaxWriters)
	}
	if err := s.mayHave(w.List, &c.Writer); err != nil {
		return nil, err
	}
	return []Event{&WriterAdded{Writer: c.Writer}}, nil
}

func (e *WriterAdded) evolve(s *State) {
	if w := s.Writers(); w != nil {
		s.writers.Put(w.with(e.Writer, s.position))
	}
}

// ChangeWriter gives a writer other addresses, from which it may join again.
type ChangeWriter struct{ Writer Writer }

// WriterChanged gave a writer other addresses.
type WriterChanged struct{ Writer Writer }

func (c *ChangeWriter) decide(s *State, _ Meta) ([]Event, error) {
	w, err := s.listed()
	if err != nil {
		return nil, err
	}
	switch old, ok := w.Find(c.Writer.Name); {
	case !ok:
		return nil, refuse(NoSuchEntity, "The log lists no writer %s.", c.Writer.Name)
	case old == c.Writer:
		return nil, refuse(EntityAlreadyExists, "Writer %s has these addresses.", c.Writer.Name)
	}
	others := slices.DeleteFunc(slices.Clone(w.List), func(one Writer) bool { return one.Name == c.Writer.Name })
	if err := s.mayHave(others, &c.Writer); err != nil {
		return nil, err
	}
	return []Event{&WriterChanged{Writer: c.Writer}}, nil
}

func (e *WriterChanged) evolve(s *State) {
	if w := s.Writers(); w != nil {
		s.writers.Put(w.with(e.Writer, s.position))
	}
}

// RemoveWriter takes a writer off the list. Its name stays out until it is added again.
type RemoveWriter struct{ Name string }

// WriterRemoved took a writer off the list.
type WriterRemoved struct{ Name string }

func (c *RemoveWriter) decide(s *State, _ Meta) ([]Event, error) {
	w, err := s.listed()
	if err != nil {
		return nil, err
	}
	switch _, ok := w.Find(c.Name); {
	case !ok:
		return nil, refuse(NoSuchEntity, "The log lists no writer %s.", c.Name)
	case len(w.List) == 1:
		return nil, refuse(DeleteConflict, "Writer %s is the only one.", c.Name)
	case len(w.Removed) >= MaxRemovedWriters:
		return nil, refuse(LimitExceeded, "Cannot exceed quota for RemovedWriters: %d", MaxRemovedWriters)
	}
	return []Event{&WriterRemoved{Name: c.Name}}, nil
}

func (e *WriterRemoved) evolve(s *State) {
	w := s.Writers()
	old, ok := w.Find(e.Name)
	if !ok {
		return
	}
	s.writers.Put(&Writers{
		Changed: s.position,
		List:    slices.DeleteFunc(slices.Clone(w.List), func(one Writer) bool { return one.Name == e.Name }),
		Removed: append(slices.Clone(w.Removed), RemovedWriter{Name: e.Name, Peer: old.Peer, At: s.position}),
	})
}
