package store

import (
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/writ-iam/writ/log/event"
	"go.etcd.io/bbolt"
)

var droppedAt = time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC)

func dropTo(history []Entry, through event.Position) Dropped {
	return Dropped{Through: through, Hash: history[through-1].Head.Hash, At: droppedAt}
}

// sweep deletes all that was dropped.
func sweep(t testing.TB, s *Store) (rounds int) {
	t.Helper()
	for more := true; more; rounds++ {
		var err error
		more, err = s.Sweep()
		must(t, err)
	}
	return rounds
}

// keys counts the batches in the file.
func keys(t testing.TB, s *Store) (n int) {
	t.Helper()
	must(t, s.db.View(func(tx *bbolt.Tx) error {
		n = tx.Bucket(bucketBatches).Stats().KeyN
		return nil
	}))
	return n
}

// wantBeginning checks all that a store of a history says where its beginning is.
func wantBeginning(t *testing.T, s *Store, history []Entry, through event.Position) {
	t.Helper()
	var dropped *DroppedError
	for _, from := range []event.Position{1, through} {
		if _, err := s.Read(from, 10, 1<<20); !errors.As(err, &dropped) || dropped.First != through+1 || !dropped.At.Equal(droppedAt) {
			t.Errorf("Read(%d) gives %v", from, err)
		}
	}
	if _, err := s.Hash(through - 1); !errors.As(err, &dropped) {
		t.Errorf("Hash(%d) gives %v", through-1, err)
	}
	if hash, err := s.Hash(through); err != nil || hash != history[through-1].Head.Hash {
		t.Errorf("Hash(%d) gives %x, %v", through, hash, err)
	}
	if s.First() != through+1 {
		t.Errorf("the first is %d", s.First())
	}
	wantRead(t, s, history, through+1, event.Position(len(history)))
	if head, err := s.Verify(t.Context(), nil); err != nil || head != history[len(history)-1].Head {
		t.Errorf("Verify gives %v, %v", head, err)
	}
	must(t, s.Append(history)) // as Raft derives it again: of what was dropped nothing is compared
}

func TestDroppedIsGone(t *testing.T) {
	path, history := file(t), chain(t, "a", 2000)
	s := open(t, path)
	must(t, s.Append(history))
	must(t, s.Drop(dropTo(history, 1500)))
	wantBeginning(t, s, history, 1500)
	must(t, s.Drop(dropTo(history, 300))) // it begins later already
	if more, err := s.Sweep(); !more || err != nil {
		t.Fatalf("one sweep of %d deletes all: %v", sweepCount, err)
	}
	must(t, s.Close())

	s = open(t, path) // as after a crash half-way
	wantBeginning(t, s, history, 1500)
	if rounds := sweep(t, s); rounds < 2 {
		t.Errorf("%d sweeps", rounds)
	}
	if n := keys(t, s); n != 500 {
		t.Errorf("%d batches are in the file", n)
	}
	wantBeginning(t, s, history, 1500)
	must(t, s.Close())
	wantBeginning(t, open(t, path), history, 1500)
}

func TestDropRefuses(t *testing.T) {
	history, other := chain(t, "a", 20), chain(t, "b", 20)
	s := open(t, file(t))
	must(t, s.Append(history))
	if err := s.Drop(dropTo(other, 10)); !errors.Is(err, ErrChain) {
		t.Errorf("dropped what is another history's: %v", err)
	}
	var missing *MissingError
	if err := s.Drop(Dropped{Through: 21, At: droppedAt}); !errors.As(err, &missing) {
		t.Errorf("dropped what has not come: %v", err)
	}
	if s.First() != 1 {
		t.Errorf("the first is %d", s.First())
	}
	must(t, s.Drop(dropTo(history, 10)))
	if err := s.Append(other[9:]); !errors.Is(err, ErrChain) {
		t.Errorf("appended another history's: %v", err)
	}
}

// The last batch can go, too: the history goes on behind it.
func TestDropAll(t *testing.T) {
	path, history := file(t), chain(t, "a", 20)
	s := open(t, path)
	must(t, s.Append(history[:10]))
	must(t, s.Drop(dropTo(history, 10)))
	sweep(t, s)
	must(t, s.Close())
	s = open(t, path)
	if s.Last() != history[9].Head {
		t.Errorf("the last is %v", s.Last())
	}
	must(t, s.Append(history[10:]))
	wantBeginning(t, s, history, 10)
}

// A writer that joined misses what came before its snapshot. What was dropped it misses no
// more, and the rest is proved where it reaches the beginning.
func TestDropWithAGap(t *testing.T) {
	history := chain(t, "a", 100)
	for _, c := range []struct {
		name    string
		through event.Position
		left    []Gap
	}{
		{"a part of the gap", 30, []Gap{{From: 31, To: 60, Hash: history[59].Head.Hash}}},
		{"the whole gap", 60, nil},
		{"more than the gap", 70, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := file(t)
			s := open(t, path)
			must(t, s.SkipTo(history[59].Head))
			must(t, s.Append(history[60:]))
			must(t, s.Drop(dropTo(history, c.through)))
			sweep(t, s)
			must(t, s.Close())
			s = open(t, path)
			if got := s.Gaps(); len(got) != len(c.left) || len(got) > 0 && got[0] != c.left[0] {
				t.Fatalf("gaps are %v", got)
			}
			if len(c.left) > 0 {
				if err := s.Backfill(bytesOf(history[19:60])); !errors.Is(err, ErrChain) {
					t.Errorf("filled with what was dropped: %v", err)
				}
				must(t, s.Backfill(bytesOf(history[30:60])))
			}
			wantBeginning(t, s, history, c.through)
		})
	}
}

// Where the batches of others do not follow what was dropped here, this history is another.
func TestBackfillMeetsTheBeginning(t *testing.T) {
	history, other := chain(t, "a", 100), chain(t, "b", 100)
	s := open(t, file(t))
	must(t, s.SkipTo(history[59].Head))
	must(t, s.Drop(Dropped{Through: 30, Hash: other[29].Head.Hash, At: droppedAt}))
	var own *OwnHistoryError
	if err := s.Backfill(bytesOf(history[30:60])); !errors.As(err, &own) || own.Position != 30 {
		t.Errorf("filled: %v", err)
	}
}

// Under a rule the file stays within what is kept and what was kept, however much comes.
func TestDroppingBoundsTheFile(t *testing.T) {
	const kept, rounds = 1000, 20
	path, history := file(t), chain(t, "a", kept*rounds)
	s := open(t, path)
	var bound int64
	for i := range rounds {
		end := event.Position(i+1) * kept
		must(t, s.Append(history[i*kept:end]))
		must(t, s.Sync())
		if i == 2 {
			bound = s.Usage().File // with three times what is kept
		}
		if i > 0 {
			must(t, s.Drop(dropTo(history, end-kept)))
			sweep(t, s)
		}
	}
	u := s.Usage()
	if bound == 0 || u.File > bound {
		t.Errorf("the file has %d bytes after %d rounds, it had %d after three", u.File, rounds, bound)
	}
	if u.Used > u.File || u.Used > 4*kept*int64(len(history[0].Bytes)+64) {
		t.Errorf("%d bytes of %d are used", u.Used, u.File)
	}
	wantBeginning(t, s, history, kept*(rounds-1))
	must(t, s.Close())
	wantBeginning(t, open(t, path), history, kept*(rounds-1))
}

// Readers see a batch, or that it was dropped, and never damage.
func TestReadersWhileDropping(t *testing.T) {
	history := chain(t, "a", 3000)
	s := open(t, file(t))
	must(t, s.Append(history))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				var gone *DroppedError
				if _, err := s.Read(s.First(), 600, 1<<20); err != nil && !errors.As(err, &gone) {
					t.Errorf("read: %v", err)
					return
				}
				if _, err := s.Verify(t.Context(), nil); err != nil {
					t.Errorf("verify: %v", err)
					return
				}
			}
		})
	}
	for through := event.Position(100); through < 3000; through += 100 {
		must(t, s.Drop(dropTo(history, through)))
		sweep(t, s)
	}
	close(stop)
}

func TestCompact(t *testing.T) {
	path, history := file(t), chain(t, "a", 40_000)
	s := open(t, path)
	must(t, s.Append(history))
	must(t, s.Drop(dropTo(history, 39_000)))
	sweep(t, s)
	if _, _, err := Compact(path); !errors.Is(err, ErrLocked) {
		t.Errorf("compacted what is open: %v", err)
	}
	must(t, s.Close())
	must(t, os.WriteFile(path+".compact", []byte("cut short"), 0o600))
	before, after, err := Compact(path)
	must(t, err)
	info, err := os.Stat(path)
	must(t, err)
	if after*4 > before || info.Size() != after {
		t.Errorf("%d bytes, and %d before; the file has %d", after, before, info.Size())
	}
	if _, err := os.Stat(path + ".compact"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something is left: %v", err)
	}
	s = open(t, path)
	wantBeginning(t, s, history, 39_000)
	if first, at, ok := s.Oldest(); first != 39_001 || !ok || at.UnixMilli() != 0 {
		t.Errorf("the oldest is %d of %s, %t", first, at, ok)
	}
}
