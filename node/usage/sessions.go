package usage

import (
	"container/list"
	"sync"
	"time"

	"github.com/writ-iam/writ/log/identity"
)

// Limits of Sessions.
const (
	// MaxSessions is how many sessions a node remembers, and MaxSessionsOne how many of one
	// role, user or root: whoever makes sessions without end makes the node forget their own.
	MaxSessions    = 2000
	MaxSessionsOne = MaxSessions / 4
)

// Session is one that a node saw: it had a request of its own, whose signature verified.
type Session struct {
	Account   identity.AccountID
	Principal identity.ID // whose it is; the account's number for a root
	AccessKey string
	Kind      string
	ARN, Name string
	On        identity.Session
	Last      time.Time // when it was seen last
}

// Sessions are those that a node saw last. It knows nothing of sessions that were made and not
// used, that were used at other nodes, or before the node began; and it forgets the ones
// that it saw the longest ago for newer ones. It has no secret. A nil Sessions notes
// nothing. Safe for concurrent use; the zero value is ready.
type Sessions struct {
	mu    sync.Mutex
	byKey map[string]*seen           // guarded by mu, as are all below
	all   list.List                  // of *seen, the latest first
	of    map[identity.ID]*list.List // the same of each principal
}

// seen is a session in both lists.
type seen struct {
	Session
	all, own *list.Element
}

// Note notes that a session was seen.
func (s *Sessions) Note(one *Session) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if old, ok := s.byKey[one.AccessKey]; ok {
		old.Session = *one
		s.all.MoveToFront(old.all)
		s.of[one.Principal].MoveToFront(old.own)
		return
	}
	if s.byKey == nil {
		s.byKey, s.of = make(map[string]*seen), make(map[identity.ID]*list.List)
	}
	if own := s.of[one.Principal]; own != nil && own.Len() >= MaxSessionsOne {
		s.forget(own.Back().Value.(*seen))
	} else if s.all.Len() >= MaxSessions {
		s.forget(s.all.Back().Value.(*seen))
	}
	if s.of[one.Principal] == nil {
		s.of[one.Principal] = list.New()
	}
	n := &seen{Session: *one}
	n.all, n.own = s.all.PushFront(n), s.of[one.Principal].PushFront(n)
	s.byKey[one.AccessKey] = n
}

// forget removes a session; the lock is held.
func (s *Sessions) forget(old *seen) {
	s.all.Remove(old.all)
	own := s.of[old.Principal]
	if own.Remove(old.own); own.Len() == 0 {
		delete(s.of, old.Principal)
	}
	delete(s.byKey, old.AccessKey)
}

// Of returns the sessions of an account, those that were seen last first.
func (s *Sessions) Of(account identity.AccountID) (found []Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for e := s.all.Front(); e != nil; e = e.Next() {
		if one := e.Value.(*seen); one.Account == account {
			found = append(found, one.Session)
		}
	}
	return found
}
