package lease

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/replication/propagation"
	"github.com/writ-iam/writ/test/layout"
	"github.com/writ-iam/writ/test/roundtrip"
)

// lockedLifeFile is the life file of a directory whose lock this process takes.
func lockedLifeFile(t *testing.T, dir string) (r *LifeFile, unlock func()) {
	t.Helper()
	lock, err := setup.Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	return NewLifeFile(dir, lock), func() { lock.Close() }
}

// The nonce that is found recorded is told to be over only where the process before
// is gone for certain: not from a copy of its directory, not after its lock was made
// anew, not on a machine that was booted since.
func TestRecordedLife(t *testing.T) {
	dir := t.TempDir()
	over := func(r *LifeFile, want ...string) {
		t.Helper()
		if got, err := r.over(); err != nil || !slices.Equal(got, want) {
			t.Errorf("over are %v, %v, not %v", got, err, want)
		}
	}
	first, unlock := lockedLifeFile(t, dir)
	over(first)
	for _, nonce := range []string{"n1", "n2"} {
		if err := first.begin(nonce); err != nil {
			t.Fatal(err)
		}
	}
	if info, err := os.Stat(first.path); err != nil || info.Mode().Perm() != setup.SecretMode {
		t.Errorf("%v, %v", info, err)
	}
	if _, err := setup.Lock(dir); err == nil {
		t.Fatal("a second process has the directory")
	}

	// a copy, while the first process runs: as good as a snapshot of the disk
	copied := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	second, unlockCopy := lockedLifeFile(t, copied)
	over(second)
	unlockCopy()

	// the lock is removed under the first process, and a second one starts
	if err := os.Remove(filepath.Join(dir, "lock")); err != nil {
		t.Fatal(err)
	}
	third, unlockThird := lockedLifeFile(t, dir)
	over(third)
	if err := third.begin("n3"); err != nil {
		t.Fatal(err)
	}
	unlockThird()
	unlock()

	// the third is gone, and nothing else has changed
	fourth, unlockFourth := lockedLifeFile(t, dir)
	defer unlockFourth()
	over(fourth, "n3")
	for what, change := range map[string]func(*recorded){
		"another boot":   func(l *recorded) { l.Boot = "another" },
		"another device": func(l *recorded) { l.Device++ },
		"another inode":  func(l *recorded) { l.Inode++ },
		"no nonce":       func(l *recorded) { l.Nonce = "" },
		"a long nonce":   func(l *recorded) { l.Nonce = strings.Repeat("n", propagation.MaxNonce+1) },
	} {
		l := recorded{"n3", fourth.place}
		change(&l)
		text, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(fourth.path, text, setup.SecretMode); err != nil {
			t.Fatal(err)
		}
		if got, err := fourth.over(); err != nil || len(got) > 0 {
			t.Errorf("%s: over are %v, %v", what, got, err)
		}
	}
	if err := os.WriteFile(fourth.path, []byte("{"), setup.SecretMode); err != nil {
		t.Fatal(err)
	}
	if got, err := fourth.over(); err == nil || len(got) > 0 {
		t.Errorf("half a file: %v, %v", got, err)
	}
	nowhere := *fourth
	nowhere.place = place{} // a machine that does not tell when it was booted
	if err := nowhere.begin("n4"); err != nil {
		t.Fatal(err)
	}
	over(&nowhere)
}

// A nonce is recorded before its first request leaves, at the start and at each step
// back; and it is 128 random bits.
func TestNonceIsRecordedFirst(t *testing.T) {
	dir := t.TempDir()
	record, unlock := lockedLifeFile(t, dir)
	defer unlock()
	a := &answers{incarnation: "i", kinds: []propagation.Kind{propagation.KindOpen}}
	r, s := newRenewer(a)
	r.lifeFile = record
	seen := map[string]bool{}
	for range 5 {
		s.Restore(layout.State(t, "i", 5))
		before := a.count()
		if r.once(t.Context()); a.count() != before+1 {
			t.Fatal("nothing was asked")
		}
		asked := a.last().Nonce
		if found, err := record.over(); err != nil || !slices.Equal(found, []string{asked}) {
			t.Errorf("under %s it is asked, recorded is %v, %v", asked, found, err)
		}
		if len(asked) != 32 || seen[asked] {
			t.Errorf("the nonce is %q", asked)
		}
		seen[asked] = true
	}
	// a directory that takes nothing costs a wait after a crash, not the lease
	r.lifeFile = &LifeFile{path: filepath.Join(dir, "none", lifeFileName)}
	before := a.count()
	if r.once(t.Context()); a.count() != before+1 {
		t.Error("it asks no more")
	}
}

// A replica that stops has no lease any more, tells so, and asks for none.
func TestStoppedReaderTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &answers{incarnation: "i", kinds: []propagation.Kind{propagation.KindOpen, propagation.KindGrant}}
		r, s := newRenewer(a)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); r.Run(ctx) }()
		s.Restore(layout.State(t, "i", 5))
		time.Sleep(2 * time.Second) // of the bubble's clock
		synctest.Wait()
		nonce := a.last().Nonce
		if !r.snapshot.Load().Valid(r.clocks()) {
			t.Fatal("it has no lease")
		}
		r.Stop()
		if last := a.last(); r.snapshot.Load().Valid(r.clocks()) || last.Nonce != "" || !slices.Equal(last.Ended, []string{nonce}) {
			t.Errorf("it tells %+v", last)
		}
		before := a.count()
		s.Restore(layout.State(t, "i", 4)) // the follower ends later
		time.Sleep(time.Minute)
		synctest.Wait()
		cancel()
		<-done
		r.once(t.Context()) // as the loop may have been about to
		if a.count() != before || r.snapshot.Load().Valid(r.clocks()) {
			t.Errorf("%d requests after it stopped", a.count()-before)
		}
	})
}

// A stop ends in time although no leader answers.
func TestStopGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &answers{incarnation: "i", kinds: []propagation.Kind{propagation.KindNotLeader}}
		r, s := newRenewer(a)
		s.Restore(layout.State(t, "i", 5))
		r.once(t.Context())
		r.finder = finderAmong(roundtrip.ByHost{"a:1": roundtrip.Silent, "b:1": roundtrip.Silent, "c:1": roundtrip.Silent})
		begun := time.Now()
		if r.Stop(); time.Since(begun) > stopTimeout+50*time.Millisecond {
			t.Errorf("it took %v", time.Since(begun))
		}
	})
}

// Who is one process too many under its name hears why.
func TestRefusedReaderSaysWhy(t *testing.T) {
	a := &answers{incarnation: "i", kinds: []propagation.Kind{propagation.KindBusy, propagation.KindBusy, propagation.KindOpen}}
	r, s := newRenewer(a)
	s.Restore(layout.State(t, "i", 5))
	for _, refused := range []bool{true, true, false} {
		r.once(t.Context())
		if got := r.refused.Load() != nil; got != refused {
			t.Errorf("refused is %v", got)
		}
	}
}

// Where clients reach the lives of a name is kept for as many as there may be.
func TestEndpointsOfLives(t *testing.T) {
	x := &Tracker{told: make(map[string][]life)}
	for i := range propagation.MaxLives + 2 {
		x.Reached("r1", fmt.Sprintf("%08d-rest", i), Told{Endpoint: fmt.Sprint("http://", i)})
	}
	x.Reached("r1", "00000005-rest", Told{Endpoint: "http://moved", SealKeys: []string{"key"}})
	if n := len(x.told["r1"]); n != propagation.MaxLives {
		t.Errorf("%d are kept", n)
	}
	for life, want := range map[string]string{"00000005": "http://moved", "00000017": "http://17", "00000000": "", "": "http://moved"} {
		if got := x.Told("r1", life).Endpoint; got != want {
			t.Errorf("life %q is at %q, not %q", life, got, want)
		}
	}
	if got := x.Told("r1", "00000005").SealKeys; len(got) != 1 || x.Told("r1", "00000017").SealKeys != nil {
		t.Errorf("the keys are %v", got)
	}
}

// The lives of a full cluster fit into a snapshot; see also the limits of wire.
func TestAllLivesFitIntoASnapshot(t *testing.T) {
	if propagation.MaxAllLives > 4096 || propagation.MaxNonce > 64 || propagation.MaxAllLives < 4*identity.MaxReplicas {
		t.Error("log/wire tests for 4096 lives with nonces of 64 bytes")
	}
}
