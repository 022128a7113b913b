package peer

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/setup"
)

// The log's list comes before the configuration, which only says where to begin.
func TestDirectory(t *testing.T) {
	d := NewDirectory([]setup.Writer{{Name: "a", Peer: "a:1"}, {Name: "b", Peer: "b:1"}, {Name: "new", Peer: "new:1"}})
	names := func() (all []string) {
		for _, w := range d.Writers() {
			all = append(all, w.Name)
		}
		return all
	}
	file := filepath.Join(t.TempDir(), "writers.json")
	take := func(s *identity.State) {
		t.Helper()
		if err := d.Take(s); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Keep(file); err != nil {
		t.Fatal(err)
	}
	take(listing(5, "first"))
	if got := names(); !slices.Equal(got, []string{"a", "b", "new"}) || !d.Has("a") || d.Has("c") {
		t.Errorf("without a list: %v", got)
	}
	now := listing(6, "first", "a=moved:1", "b=b:1", "c=c:1")
	identity.Evolve(now, 7, identity.Meta{}, []identity.Event{&identity.WriterRemoved{Name: "b"}})
	take(now)
	take(listing(6, "first", "a=a:1")) // as a log that is read again has it
	take(listing(5, "first"))
	d = NewDirectory(d.configured) // the node starts again
	if err := d.Keep(file); err != nil {
		t.Fatal(err)
	}
	if got := names(); !slices.Equal(got, []string{"a", "c"}) {
		t.Errorf("with a list: %v", got)
	}
	if got := d.Peers(); !slices.Equal(got, []string{"moved:1", "c:1", "a:1", "new:1"}) {
		t.Errorf("they may be at %v", got)
	}
	for name, want := range map[string]bool{"a": true, "c": true, "b": false, "new": true, "other": false} {
		if d.Has(name) != want {
			t.Errorf("%s is believed: %v", name, !want)
		}
	}
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.Keep(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a torn file: %v", err)
	}
}

// listing is the state of an incarnation that has listed writers at a position, or none.
func listing(at identity.Position, incarnation string, writers ...string) *identity.State {
	s := identity.NewState()
	events := []identity.Event{&identity.ClusterBootstrapped{Cluster: "c", Incarnation: incarnation}}
	if len(writers) > 0 {
		events = append(events, listed(writers...))
	}
	identity.Evolve(s, at, identity.Meta{}, events)
	return s
}

func listed(writers ...string) *identity.WritersListed {
	e := &identity.WritersListed{}
	for _, w := range writers {
		name, addr, _ := strings.Cut(w, "=")
		e.Writers = append(e.Writers, identity.Writer{Name: name, Peer: addr})
	}
	return e
}

// Positions of two incarnations say nothing of which is later.
func TestDirectoryOfIncarnations(t *testing.T) {
	d := NewDirectory(nil)
	file := filepath.Join(t.TempDir(), "writers.json")
	if err := d.Keep(file); err != nil {
		t.Fatal(err)
	}
	expect := func(step string, s *identity.State, want ...string) {
		t.Helper()
		if err := d.Take(s); err != nil {
			t.Fatal(err)
		}
		if got := d.Peers(); !slices.Equal(got, want) {
			t.Errorf("%s: %v, expected %v", step, got, want)
		}
	}
	restored := func(incarnation string, at identity.Position, writers ...string) *identity.State {
		s := listing(3, "first", "a=old:1")
		identity.Evolve(s, at, identity.Meta{}, []identity.Event{&identity.IncarnationBegun{Cluster: "c", Incarnation: incarnation}, listed(writers...)})
		return s
	}
	expect("the first", listing(90, "first", "a=old:1"), "old:1")
	expect("a restore of what was before", restored("second", 50, "a=new:1"), "new:1")
	expect("a log of before, read again", listing(95, "first", "a=old:1"), "new:1")
	d = NewDirectory(nil)
	if err := d.Keep(file); err != nil {
		t.Fatal(err)
	}
	expect("the same, after a start", listing(96, "first", "a=old:1"), "new:1")
	expect("another restore of the first", restored("third", 40, "a=other:1"), "other:1")
}

// What another node says is gone by until the log says it, whatever position it names.
func TestHearsay(t *testing.T) {
	d := NewDirectory(nil)
	file := filepath.Join(t.TempDir(), "writers.json")
	if err := d.Keep(file); err != nil {
		t.Fatal(err)
	}
	said := func(addr string) *identity.Writers {
		return &identity.Writers{Changed: 1 << 60, List: []identity.Writer{{Name: "a", Peer: addr}}}
	}
	d.Hear(nil)
	d.Hear(said("said:1"))
	d.Hear(said("later:1"))
	if got := d.Peers(); !slices.Equal(got, []string{"said:1"}) {
		t.Errorf("heard: %v", got)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("hearsay is kept")
	}
	if err := d.Take(listing(3, "first", "a=true:1")); err != nil {
		t.Fatal(err)
	}
	d.Hear(said("said:1"))
	if got := d.Peers(); !slices.Equal(got, []string{"true:1"}) {
		t.Errorf("seen: %v", got)
	}
}
