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
	take := func(w *identity.Writers) {
		t.Helper()
		if err := d.Take(w); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Keep(file); err != nil {
		t.Fatal(err)
	}
	take(nil)
	if got := names(); !slices.Equal(got, []string{"a", "b", "new"}) || !d.Has("a") || d.Has("c") {
		t.Errorf("without a list: %v", got)
	}
	take(&identity.Writers{Changed: 7, List: []identity.Writer{{Name: "a", Peer: "moved:1"}, {Name: "c", Peer: "c:1"}}, Removed: []identity.RemovedWriter{{Name: "b"}}})
	take(&identity.Writers{Changed: 6, List: []identity.Writer{{Name: "a", Peer: "a:1"}}}) // as a log that is read again has it
	take(nil)
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
