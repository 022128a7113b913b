package quorum

import (
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/writ-iam/writ/log"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/members"
)

// TestOneChangeOfMembersAtATime holds that nobody waits in line behind a change, and that none
// is judged by what the members were before it.
func TestOneChangeOfMembersAtATime(t *testing.T) {
	var k Keeper
	err := k.change(func() error { return k.change(func() error { t.Error("two changes at once"); return nil }) })
	if !errors.Is(err, errChanging) {
		t.Error(err)
	}
	if err := k.change(func() error { return nil }); err != nil {
		t.Errorf("after a change: %v", err)
	}
}

// TestSurveysAreShared asks about the cluster many times at once.
func TestSurveysAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s surveys
		var begun atomic.Int32
		end := make(chan struct{})
		for range 100 {
			go s.share(func() members.Survey {
				begun.Add(1)
				<-end
				return members.Survey{}
			})
		}
		synctest.Wait()
		if n := begun.Load(); n != 1 {
			t.Errorf("%d surveys at once", n)
		}
		close(end)
		synctest.Wait()
		s.share(func() members.Survey { begun.Add(1); return members.Survey{} })
		if n := begun.Load(); n != 2 {
			t.Errorf("the one after is number %d", n)
		}
	})
}

// TestHold holds that a writer says that it supports no more than it is to let the cluster rise to.
func TestHold(t *testing.T) {
	for hold, want := range map[uint32]uint32{0: 2, 1: 1, 2: 2, 3: 2} {
		if got := New(Config{Build: shape.Build{Level: 2}, HoldLevel: hold}).level(); got != want {
			t.Errorf("held at %d, a build of level 2 says %d", hold, got)
		}
	}
}

// ending is a node that notes why it was ended.
type ending struct {
	Node
	why error
}

// Outlived notes it.
func (e *ending) Outlived(err error) { e.why = err }

// TestOutlived holds that one writer's word ends no writer that has a leader: whoever has the
// certificate of one could end all others by it.
func TestOutlived(t *testing.T) {
	for _, led := range []bool{true, false} {
		node := &ending{}
		k := New(Config{Node: node, Logger: slog.New(slog.DiscardHandler)})
		for range 2 {
			k.outlived("w3:8430", "i1", &Status{Name: "w3", Incarnation: "i2", Former: []string{"i1"}}, led)
		}
		if led != (node.why == nil) || !led && !errors.Is(node.why, log.ErrWrongIncarnation) {
			t.Errorf("with a leader %t: %v", led, node.why)
		}
	}
}
