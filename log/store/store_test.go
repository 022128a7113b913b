package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/wire"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// chain returns n batches of one history, told apart from others by name.
func chain(t testing.TB, name string, n int) []Entry {
	t.Helper()
	var entries []Entry
	var before event.Head
	for i := range n {
		b := &event.Batch{Cluster: name, Position: before.Position + 1, Index: uint64(i), Prev: before.Hash,
			Events: []identity.Event{&identity.UserDeleted{ID: identity.ID(fmt.Sprintf("AIDA%d", i))}}}
		encoded, err := wire.EncodeBatch(b)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, Entry{Head: b.Head(), Prev: b.Prev, Bytes: encoded})
		before = b.Head()
	}
	return entries
}

func bytesOf(entries []Entry) (all [][]byte) {
	for _, e := range entries {
		all = append(all, e.Bytes)
	}
	return all
}

func open(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func file(t testing.TB) string { return filepath.Join(t.TempDir(), "events") }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantRead checks what Read gives for the whole range from..to.
func wantRead(t *testing.T, s *Store, history []Entry, from, to event.Position) {
	t.Helper()
	got, err := s.Read(from, 1<<20, 1<<30)
	must(t, err)
	want := bytesOf(history[from-1 : to])
	if !slices.EqualFunc(got, want, bytes.Equal) {
		t.Fatalf("Read(%d) gives %d batches, not those of %d to %d", from, len(got), from, to)
	}
}

func TestAppendedIsReadAtOnceAndAfterwards(t *testing.T) {
	path, history := file(t), chain(t, "a", 100)
	s := open(t, path)
	must(t, s.Append(history[:40]))
	wantRead(t, s, history, 1, 40) // from memory
	must(t, s.Sync())
	must(t, s.Append(history[40:]))
	wantRead(t, s, history, 1, 100) // from both
	wantRead(t, s, history, 90, 100)
	must(t, s.Close())

	s = open(t, path)
	wantRead(t, s, history, 1, 100)
	if got := s.Last(); got != history[99].Head {
		t.Errorf("last is %v", got)
	}
	if head, err := s.Verify(t.Context(), nil); err != nil || head != s.Last() {
		t.Errorf("verify: %v, %v", head, err)
	}
	for _, from := range []event.Position{0, 1, 2, 99, 100, 101} {
		if head, err := s.VerifyFrom(t.Context(), from, nil); err != nil || head != s.Last() {
			t.Errorf("verify from %d: %v, %v", from, head, err)
		}
	}
	var missing *MissingError
	if _, err := s.VerifyFrom(t.Context(), 102, nil); !errors.As(err, &missing) {
		t.Errorf("verify from behind the end: %v", err)
	}
}

func TestReadKeepsItsLimits(t *testing.T) {
	history := chain(t, "a", 20)
	s := open(t, file(t))
	must(t, s.Append(history[:10]))
	must(t, s.Sync())
	must(t, s.Append(history[10:]))
	for _, c := range []struct {
		from        event.Position
		count, size int
		want        int
	}{
		{1, 3, 1 << 20, 3}, {9, 4, 1 << 20, 4}, {1, 100, 1, 1}, {11, 100, 1, 1}, {20, 5, 1 << 20, 1}, {21, 5, 1 << 20, 0}, {1000, 5, 1 << 20, 0},
		{1, 0, 1 << 20, 0}, {0, 5, 1 << 20, 0}, {10, 100, len(history[0].Bytes) + 1, 2},
	} {
		got, err := s.Read(c.from, c.count, c.size)
		if err != nil || len(got) != c.want {
			t.Errorf("Read(%d, %d, %d) gives %d batches, %v; want %d", c.from, c.count, c.size, len(got), err, c.want)
		}
	}
}

func TestAppendRefusesAnotherHistory(t *testing.T) {
	history, other := chain(t, "a", 10), chain(t, "b", 10)
	for name, entries := range map[string][]Entry{
		"a position twice": {history[5], history[5]},
		"a hole":           {history[7]},
		"another history":  {other[6]},
		"another batch":    {other[3]},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, file(t))
			must(t, s.Append(history[:6]))
			if name == "a position twice" {
				entries = append(entries, history[7])
			}
			if err := s.Append(entries); !errors.Is(err, ErrChain) {
				t.Fatalf("appended: %v", err)
			}
			wantRead(t, s, history, 1, 6)
			must(t, s.Append(history[6:]))
		})
	}
}

func TestAppendAgainIsCompared(t *testing.T) {
	history := chain(t, "a", 10)
	s := open(t, file(t))
	must(t, s.Append(history[:6]))
	must(t, s.Append(history[2:8]))
	wantRead(t, s, history, 1, 8)
}

func TestHash(t *testing.T) {
	history := chain(t, "a", 10)
	s := open(t, file(t))
	must(t, s.Append(history[:5]))
	must(t, s.Sync())
	must(t, s.Append(history[5:]))
	for position := event.Position(1); position <= 10; position++ {
		if got, err := s.Hash(position); err != nil || got != history[position-1].Head.Hash {
			t.Errorf("hash of %d: %x, %v", position, got, err)
		}
	}
	if got, err := s.Hash(0); err != nil || got != (event.Hash{}) {
		t.Errorf("hash of 0: %x, %v", got, err)
	}
	var missing *MissingError
	if _, err := s.Hash(11); !errors.As(err, &missing) {
		t.Errorf("hash of 11: %v", err)
	}
}

func TestGapIsFilledFromItsEnd(t *testing.T) {
	path, history := file(t), chain(t, "a", 60)
	s := open(t, path)
	must(t, s.Append(history[:10]))
	must(t, s.SkipTo(history[29].Head))
	must(t, s.Append(history[30:40]))
	must(t, s.SkipTo(history[49].Head))
	must(t, s.Append(history[50:]))
	must(t, s.Close())
	s = open(t, path)

	want := []Gap{{11, 30, history[29].Head.Hash}, {41, 50, history[49].Head.Hash}}
	if got := s.Gaps(); !slices.Equal(got, want) {
		t.Fatalf("gaps %v", got)
	}
	if s.First() != 51 || s.Last() != history[59].Head {
		t.Errorf("first %d, last %v", s.First(), s.Last())
	}
	var missing *MissingError
	if _, err := s.Read(15, 1, 1); !errors.As(err, &missing) || *missing != (MissingError{15, 30}) {
		t.Errorf("read in a gap: %v", err)
	}
	if _, err := s.Verify(t.Context(), nil); !errors.As(err, &missing) {
		t.Errorf("verify with a gap: %v", err)
	}
	if hash, err := s.Hash(30); err != nil || hash != history[29].Head.Hash {
		t.Errorf("hash at the end of a gap: %x, %v", hash, err)
	}
	wantRead(t, s, history, 31, 40)
	wantRead(t, s, history, 51, 60)

	all := bytesOf(history)
	must(t, s.Backfill(all[40:50]))
	must(t, s.Backfill(all[20:30]))
	wantRead(t, s, history, 21, 60)
	must(t, s.Close())
	s = open(t, path)
	if got := s.Gaps(); !slices.Equal(got, []Gap{{11, 20, history[19].Head.Hash}}) {
		t.Fatalf("gaps %v", got)
	}
	must(t, s.Backfill(all[10:20]))
	wantRead(t, s, history, 1, 60)
	if head, err := s.Verify(t.Context(), nil); err != nil || head != history[59].Head {
		t.Errorf("verify: %v, %v", head, err)
	}
}

func TestBackfillProvesWhatItTakes(t *testing.T) {
	history, other := chain(t, "a", 30), chain(t, "b", 30)
	all, others := bytesOf(history), bytesOf(other)
	s := open(t, file(t))
	must(t, s.Append(history[:10]))
	must(t, s.SkipTo(history[19].Head))
	altered := slices.Clone(all[15:20])
	altered[2] = append(bytes.Clone(altered[2][:50]), altered[2][49:]...)
	for name, run := range map[string][][]byte{
		"another history":    others[15:20],
		"not at the end":     all[12:15],
		"no gap there":       all[5:8],
		"over the beginning": all[8:20],
		"altered":            altered,
		"a hole":             {all[15], all[17], all[18], all[19]},
	} {
		if err := s.Backfill(run); !errors.Is(err, ErrChain) && !errors.Is(err, wire.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := s.Gaps(); !slices.Equal(got, []Gap{{11, 20, history[19].Head.Hash}}) {
		t.Errorf("gaps %v", got)
	}
}

func TestBackfillNoticesOwnHistory(t *testing.T) {
	history, other := chain(t, "a", 30), chain(t, "b", 30)
	s := open(t, file(t))
	must(t, s.Append(other[:10]))
	must(t, s.SkipTo(history[19].Head))
	var own *OwnHistoryError
	if err := s.Backfill(bytesOf(history[10:20])); !errors.As(err, &own) || own.Position != 10 {
		t.Errorf("backfill: %v", err)
	}
}

func TestSkipToWhatIsThere(t *testing.T) {
	history, other := chain(t, "a", 30), chain(t, "b", 30)
	s := open(t, file(t))
	must(t, s.Append(history[:10]))
	must(t, s.SkipTo(history[4].Head))
	if err := s.SkipTo(other[4].Head); !errors.Is(err, ErrChain) {
		t.Errorf("another history: %v", err)
	}
	must(t, s.SkipTo(history[14].Head))
	must(t, s.SkipTo(history[19].Head)) // the gap grows
	must(t, s.SkipTo(history[12].Head)) // unknown here, so not wrong
	if got := s.Gaps(); !slices.Equal(got, []Gap{{11, 20, history[19].Head.Hash}}) {
		t.Errorf("gaps %v", got)
	}
	// A replay from an older snapshot derives what is in the gap.
	must(t, s.Append(history[12:22]))
	if err := s.Append(other[19:20]); !errors.Is(err, ErrChain) {
		t.Errorf("another history at the end of the gap: %v", err)
	}
	wantRead(t, s, history, 21, 22)
}

func TestSecondProcessIsTurnedAway(t *testing.T) {
	path := file(t)
	open(t, path)
	if _, err := Open(path, Options{ReadOnly: true}); !errors.Is(err, ErrLocked) {
		t.Errorf("opened twice: %v", err)
	}
}

func TestReadOnly(t *testing.T) {
	path, history := file(t), chain(t, "a", 5)
	if _, err := Open(path, Options{ReadOnly: true}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	s := open(t, path)
	must(t, s.Append(history[:4]))
	must(t, s.Close())
	before, err := os.ReadFile(path)
	must(t, err)
	r, err := Open(path, Options{ReadOnly: true})
	must(t, err)
	if _, err := r.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
	if err := r.Append(history[4:]); !errors.Is(err, ErrClosed) {
		t.Errorf("appended: %v", err)
	}
	must(t, r.Close())
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was changed: %v", err)
	}
}

func TestCloseKeepsWhatIsPending(t *testing.T) {
	path, history := file(t), chain(t, "a", 3)
	s := open(t, path)
	must(t, s.Append(history))
	must(t, s.Close())
	must(t, s.Close())
	if err := s.Append(chain(t, "a", 4)[3:]); !errors.Is(err, ErrClosed) {
		t.Errorf("appended after close: %v", err)
	}
	if s := open(t, path); s.Last() != history[2].Head {
		t.Errorf("last is %v", s.Last())
	}
}

func TestWriteErrorLatches(t *testing.T) {
	history := chain(t, "a", 3)
	reported := make(chan error, 2)
	s, err := Open(file(t), Options{Failed: func(err error) { reported <- err }})
	must(t, err)
	must(t, s.Append(history[:1]))
	must(t, s.db.Close()) // what a dead disk does
	if s.Sync() == nil {
		t.Fatal("written to a closed file")
	}
	if err := s.Append(history[1:]); err == nil || errors.Is(err, ErrClosed) {
		t.Errorf("append after an error: %v", err)
	}
	if s.Close() == nil {
		t.Error("close hides that batches were lost")
	}
	if err := <-reported; err == nil || len(reported) > 0 {
		t.Errorf("reported %v and %d more", err, len(reported))
	}
}

func TestVerifyStopsWithItsContext(t *testing.T) {
	s := open(t, file(t))
	must(t, s.Append(chain(t, "a", 3)))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Verify(ctx, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A change to any byte of the file is an error or no matter; it is never a panic
// and never other content.
func TestDamagedFile(t *testing.T) {
	path, history := file(t), chain(t, "a", 200)
	s := open(t, path)
	must(t, s.Append(history[:100]))
	must(t, s.Sync())
	must(t, s.Append(history[100:]))
	must(t, s.Close())
	good, err := os.ReadFile(path)
	must(t, err)

	damaged := file(t)
	check := func(name string, content []byte) bool {
		must(t, os.WriteFile(damaged, content, 0o600))
		s, err := Open(damaged, Options{ReadOnly: true})
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s: %v", name, err)
			}
			return false
		}
		defer s.Close()
		head, err := s.Verify(t.Context(), nil)
		if err == nil && head != history[199].Head {
			// The last transaction is undone by a damaged meta page: an end, not other content.
			if head != history[99].Head && head != (event.Head{}) {
				t.Errorf("%s: verified up to %v", name, head)
			}
		}
		return err == nil
	}
	found, tried := 0, 0
	for at := 0; at < len(good); at += 389 {
		tried++
		bad := bytes.Clone(good)
		bad[at] ^= 0x20
		if !check(fmt.Sprintf("byte %d", at), bad) {
			found++
		}
	}
	if found < tried/4 {
		t.Errorf("only %d of %d changes were noticed", found, tried)
	}
	for _, size := range []int{1, 4096, 8192, 16384, len(good) / 2} {
		if check(fmt.Sprintf("cut to %d", size), good[:size]) {
			t.Errorf("cut to %d bytes: not noticed", size)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	history := chain(b, "a", 100_000)
	for b.Loop() {
		s := open(b, file(b))
		for start := 0; start < len(history); start += 50 {
			must(b, s.Append(history[start:start+50]))
		}
		must(b, s.Close())
	}
	b.ReportMetric(float64(len(history)*b.N)/b.Elapsed().Seconds(), "batches/s")
}

func BenchmarkVerify(b *testing.B) {
	history := chain(b, "a", 100_000)
	s := open(b, file(b))
	must(b, s.Append(history))
	must(b, s.Sync())
	for b.Loop() {
		if _, err := s.Verify(b.Context(), nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(history)*b.N)/b.Elapsed().Seconds(), "batches/s")
}
