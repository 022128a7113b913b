package archive

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// TestSchedule makes archives for a while, is stopped, and goes on.
func TestSchedule(t *testing.T) {
	p := newPast(t, 5)
	dir := filepath.Join(t.TempDir(), "backups")
	s := Schedule{Dir: dir, Every: time.Hour, Keep: 3, Unencrypted: true}
	logger := slog.New(slog.DiscardHandler)
	must(t, os.MkdirAll(dir, 0o700))
	for _, strange := range []string{"notes.txt", "writ-20990101T000000Z-1.archive.old"} {
		must(t, os.WriteFile(filepath.Join(dir, strange), nil, 0o600))
	}
	must(t, os.WriteFile(filepath.Join(dir, "unfinished-1"), nil, 0o600))
	run := func(t *testing.T, d time.Duration) *Keeper {
		k, err := NewKeeper(s)
		must(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		k.run(ctx, func() *Source { return p.at(5) }, time.Now, logger)
		return k
	}
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		if k := run(t, 4*time.Hour+time.Minute); k.Last() != float64(begun.Add(4*time.Hour).Unix()) {
			t.Errorf("the last of %v was made at %v", begun, k.Last())
		}
		if k := run(t, time.Minute); k.Last() != float64(begun.Add(4*time.Hour).Unix()) { // none is due
			t.Errorf("made again at %v", k.Last())
		}
	})
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 3+2 {
		t.Errorf("left are %v, %v", left, err)
	}
	k, err := NewKeeper(s)
	must(t, err)
	names, err := k.list()
	must(t, err)
	b, err := os.ReadFile(filepath.Join(dir, names[0]))
	must(t, err)
	if found, err := Verify(opened(b)); err != nil || found[0].Position != 5 {
		t.Errorf("found %+v, %v", found, err)
	}
	if k, err := NewKeeper(Schedule{}); k != nil || err != nil {
		t.Errorf("none became %v, %v", k, err)
	}
	for _, bad := range []Schedule{
		{Dir: dir, Every: time.Second, Keep: 1, Unencrypted: true}, {Dir: dir, Every: time.Hour, Unencrypted: true}, {Dir: dir, Every: time.Hour, Keep: 1},
		{Dir: dir, Every: time.Hour, Keep: 1, RecipientsFile: "none"}, {Dir: dir, Every: time.Hour, Keep: 1, RecipientsFile: "x", Unencrypted: true},
	} {
		if _, err := NewKeeper(bad); !errors.Is(err, ErrSchedule) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}
