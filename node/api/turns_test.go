package api_test

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
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
		if waited := time.Since(begun); waited != admission.DefaultWait {
			t.Errorf("it waited for %v", waited)
		}
		close(w.release)
		w.wg.Wait()
	})
}

// A write is authorized by the time when it came. When it did not get into the log for
// so long that this tells nothing any more, it is refused: here it goes stale, and a
// window of time that its caller has ends meanwhile.
func TestWritesOfLongAgo(t *testing.T) {
	for _, x := range []struct {
		late time.Duration
		ok   bool
	}{{15 * time.Second, true}, {15*time.Second + time.Millisecond, false}} {
		w := newWorld(t)
		alice := w.user("alice", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:*","Resource":"*"},
			{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateGreaterThan":{"aws:CurrentTime":"`+noon.Add(time.Second).UTC().Format(time.RFC3339)+`"}}}]}`)
		w.must(&identity.CreateUser{Account: account, ID: "AIDABOB", Name: "bob", Path: "/"})
		proposed := 0
		now := noon
		w.now = func() time.Time { return now }
		w.log.before = func(event.Command) {
			if proposed++; proposed == 1 {
				w.must(&identity.TagEntity{Kind: identity.KindUser, Account: account, Name: "bob", Tags: []identity.Tag{{Key: "k", Value: "v"}}})
				now = noon.Add(x.late)
			}
		}
		rec := w.iam(alice, "PutUserPolicy", "UserName", "bob", "PolicyName", "p", "PolicyDocument", allow("*"))
		if x.ok {
			w.accepted("a write in time", rec)
		} else {
			w.refused("a write of long ago", rec, 503, "ServiceUnavailable", "The request has been under way for too long. Try again.")
		}
		if want := map[bool]int{true: 2, false: 1}[x.ok]; proposed != want {
			t.Errorf("%d proposals %v after the request, not %d", proposed, x.late, want)
		}
		w.refused("a write after the window", w.iam(alice, "CreateUser", "UserName", "carol"), 403, "AccessDenied", "")
	}
}

// A write that comes when its caller has gone does not take effect: the caller may have
// sent it again meanwhile, and have been told no.
func TestWritesOfCallersWhoHaveGone(t *testing.T) {
	w := newWorld(t)
	before := w.log.position()
	ctx, gone := context.WithCancel(t.Context())
	gone()
	r, body := form(iamVersion, "CreateUser", "UserName", "late")
	rec := w.serve(w.sign(r, w.root, "iam", body).WithContext(ctx))
	if w.log.position() != before || rec.Code != http.StatusServiceUnavailable {
		t.Errorf("status %d, and it took effect at %d", rec.Code, w.log.position())
	}
}
