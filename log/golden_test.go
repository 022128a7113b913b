package log

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
)

// TestDirectoriesOfEarlierLevels goes on in directories as the releases of earlier feature levels
// left them: Raft's entries, a snapshot and the event store, made by tests of those releases. Each
// has beside it the head that it ends with, and the digest of the state there. Nobody changes
// them; before a level rises, the last release of it leaves one.
func TestDirectoriesOfEarlierLevels(t *testing.T) {
	for level := uint32(1); level < identity.FeatureLevel; level++ {
		golden := filepath.Join("testdata", fmt.Sprintf("level-%d", level))
		want, err := os.ReadFile(filepath.Join(golden, "head"))
		must(t, err)
		for _, from := range []string{"snapshot", "entries"} {
			t.Run(fmt.Sprintf("level %d from its %s", level, from), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c := &cluster{t: t}
					m := &node{dir: filepath.Join(t.TempDir(), "log"), address: "writer-0:1"}
					must(t, os.CopyFS(m.dir, os.DirFS(golden)))
					if from == "entries" {
						must(t, os.RemoveAll(filepath.Join(m.dir, "snapshots")))
					}
					c.nodes = append(c.nodes, m)
					c.open(m)
					a := c.leader().Applied()
					if got := fmt.Sprintf("%d %x %s", a.Head.Position, a.Head.Hash, a.State.Digest()); got != strings.TrimSpace(string(want)) {
						t.Errorf("it ends with %s, not %s", got, want)
					}
					if got := a.State.Cluster().FeatureLevel; got != level {
						t.Errorf("it is at feature level %d", got)
					}
					stored, err := m.Events().Read(1, int(a.Head.Position), 1<<20)
					if err != nil || len(stored) != int(a.Head.Position) {
						t.Errorf("%d batches are stored: %v", len(stored), err)
					}
					o, err := m.Propose(t.Context(), event.Command{Content: createUser("carol").Content})
					if err != nil || o.Batch.Position != a.Head.Position+1 || o.Batch.Prev != a.Head.Hash {
						t.Errorf("it goes on with %+v, %v", o, err)
					}
				})
			})
		}
	}
}
