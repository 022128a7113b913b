package archive

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// What is named as of the future, by a wrong clock or by whoever may write there, is no newest
// backup, and pushes none out.
func TestArchivesOfTheFuture(t *testing.T) {
	dir := t.TempDir()
	for _, n := range []string{"writ-20991231T235951Z-1.archive", "writ-20991231T235952Z-1.archive"} {
		must(t, os.WriteFile(filepath.Join(dir, n), []byte("x\n"), 0o600))
	}
	k, err := NewKeeper(Schedule{Dir: dir, Every: time.Hour, Keep: 2, Unencrypted: true})
	must(t, err)
	if k.Last() != 0 {
		t.Errorf("the last was made at %v", k.Last())
	}
	name, err := k.make(t.Context(), newPast(t, 5).at(5), time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC))
	must(t, err)
	if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
		t.Errorf("the one just made: %v", err)
	}
}
