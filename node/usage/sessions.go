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
	// Where they are too many, the account of which most are remembered makes room: no account
	// makes the node forget sessions of one that has fewer.
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
	byKey map[string]*seen                  // guarded by mu, as are all below
	in    map[identity.AccountID]*list.List // of *seen, those of each account, the latest first
	of    map[identity.ID]*list.List        // the same of each principal
}

// seen is a session in both lists.
type seen struct {
	Session
	in, own *list.Element
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
		s.in[one.Account].MoveToFront(old.in)
		s.of[one.Principal].MoveToFront(old.own)
		return
	}
	if s.byKey == nil {
		s.byKey, s.in, s.of = make(map[string]*seen), make(map[identity.AccountID]*list.List), make(map[identity.ID]*list.List)
	}
	if own := s.of[one.Principal]; own != nil && own.Len() >= MaxSessionsOne {
		s.forget(own.Back().Value.(*seen))
	} else if len(s.byKey) >= MaxSessions {
		s.forget(s.oldest())
	}
	n := &seen{Session: *one}
	n.in, n.own = latest(s.in, one.Account, n), latest(s.of, one.Principal, n)
	s.byKey[one.AccessKey] = n
}

// latest puts a session first into one of several lists.
func latest[K comparable](lists map[K]*list.List, key K, n *seen) *list.Element {
	if lists[key] == nil {
		lists[key] = list.New()
	}
	return lists[key].PushFront(n)
}

// oldest is the session that was seen the longest ago of the account that has most. The lock
// is held.
func (s *Sessions) oldest() *seen {
	var oldest *seen
	most := 0
	for _, in := range s.in {
		last := in.Back().Value.(*seen)
		if n := in.Len(); n > most || n == most && last.Last.Before(oldest.Last) {
			oldest, most = last, n
		}
	}
	return oldest
}

// forget removes a session; the lock is held.
func (s *Sessions) forget(old *seen) {
	remove(s.in, old.Account, old.in)
	remove(s.of, old.Principal, old.own)
	delete(s.byKey, old.AccessKey)
}

// remove is the opposite of latest.
func remove[K comparable](lists map[K]*list.List, key K, e *list.Element) {
	if lists[key].Remove(e); lists[key].Len() == 0 {
		delete(lists, key)
	}
}

// Of returns the sessions of an account, those that were seen last first.
func (s *Sessions) Of(account identity.AccountID) (found []Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.in[account]
	if in == nil {
		return nil
	}
	for e := in.Front(); e != nil; e = e.Next() {
		found = append(found, e.Value.(*seen).Session)
	}
	return found
}
