package api_test

import (
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api"
)

// turning is a world in which a write to bob goes stale once; then it is alone with
// bob and held in the log until release is closed.
type turning struct {
	*world
	alone, release chan struct{}
	mu             sync.Mutex
	proposed       []string // guarded by mu
	wg             sync.WaitGroup
}

func newTurning(t *testing.T) *turning {
	w := &turning{world: newWorld(t), alone: make(chan struct{}), release: make(chan struct{})}
	w.must(&identity.CreateUser{Account: account, ID: "AIDABOB", Name: "bob", Path: "/"})
	w.log.before = func(c event.Command) {
		w.mu.Lock()
		w.proposed = append(w.proposed, c.Cause.Action)
		n := len(w.proposed)
		w.mu.Unlock()
		switch n {
		case 1:
			w.must(&identity.TagEntity{Kind: identity.KindUser, Account: account, Name: "bob", Tags: []identity.Tag{{Key: "n", Value: strconv.Itoa(n)}}})
		case 2:
			close(w.alone)
			<-w.release
		}
	}
	w.wg.Go(func() {
		w.accepted("the one that went stale", w.iam(w.root, "PutUserPolicy", "UserName", "bob", "PolicyName", "p", "PolicyDocument", allow("*")))
	})
	<-w.alone
	return w
}

func (w *turning) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.proposed)
}

// A write that went stale once is alone with its target, by whatever spelling others
// name it; writes to others go on beside it.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTurning(t)
		w.wg.Go(func() {
			w.accepted("another write to bob", w.iam(w.root, "TagUser", "UserName", "BOB", "Tags.member.1.Key", "n", "Tags.member.1.Value", "x"))
		})
		synctest.Wait()
		if n := w.count(); n != 2 {
			t.Errorf("%d proposals while one was to be alone", n)
		}
		w.accepted("a write to somebody else", w.iam(w.root, "CreateUser", "UserName", "carol"))
		close(w.release)
		w.wg.Wait()
		if n := w.count(); n != 4 {
			t.Errorf("%d proposals in all", n)
		}
	})
}

// Nobody waits for a turn longer than a request waits for anything.
func TestTurnsThatDoNotCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTurning(t)
		begun := time.Now()
		w.refused("another write to bob", w.iam(w.root, "DeleteUser", "UserName", "bob"), 503, "ServiceUnavailable", "Other writes to the same user, group, role or policy come first. Try again.")
		if waited := time.Since(begun); waited != api.DefaultWait {
			t.Errorf("it waited for %v", waited)
		}
		close(w.release)
		w.wg.Wait()
	})
}
