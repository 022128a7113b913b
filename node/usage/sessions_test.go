package usage

import (
	"fmt"
	"testing"
	"time"

	"github.com/writ-iam/writ/log/identity"
)

// size is how many sessions are remembered, by each of the three ways to find them.
func (s *Sessions) size() (n [3]int) {
	for _, own := range s.of {
		n[2] += own.Len()
	}
	for _, in := range s.in {
		n[1] += in.Len()
	}
	n[0] = len(s.byKey)
	return n
}

func sessionOf(principal identity.ID, n int) *Session {
	return &Session{Account: "111111111111", Principal: principal, AccessKey: fmt.Sprintf("ASIA-%s-%d", principal, n), Last: time.Unix(int64(n), 0)}
}

func TestSessionsOfOneAreForgotten(t *testing.T) {
	var s Sessions
	s.Note(sessionOf("AROA1", 0))
	for n := range 10 * MaxSessionsOne {
		s.Note(sessionOf("AROA2", n))
	}
	if got := s.size(); got != [3]int{MaxSessionsOne + 1, MaxSessionsOne + 1, MaxSessionsOne + 1} {
		t.Errorf("%v are remembered", got)
	}
	found := s.Of("111111111111")
	if last := found[len(found)-1]; last.Principal != "AROA1" || found[0].AccessKey != fmt.Sprintf("ASIA-AROA2-%d", 10*MaxSessionsOne-1) || len(s.Of("222222222222")) != 0 {
		t.Errorf("first %+v, last %+v", found[0], last)
	}
}

func TestSessionsAreForgotten(t *testing.T) {
	var s Sessions
	first := sessionOf("AROA0", 0)
	for n := range 10 * MaxSessions {
		s.Note(sessionOf(identity.ID(fmt.Sprint("AROA", n%100)), n))
		s.Note(first) // that is in use all the time
	}
	if got := s.size(); got != [3]int{MaxSessions, MaxSessions, MaxSessions} {
		t.Errorf("%v are remembered", got)
	}
	if found := s.Of("111111111111"); found[0].AccessKey != first.AccessKey || len(found) != MaxSessions {
		t.Errorf("%d, the first is %+v", len(found), found[0])
	}
}

// No account makes the node forget sessions of one that has fewer.
func TestSessionsOfAccounts(t *testing.T) {
	var s Sessions
	note := func(account identity.AccountID, n int) {
		one := sessionOf(identity.ID(fmt.Sprint("AROA", account, n%50)), n)
		one.Account = account
		s.Note(one)
	}
	for n := range 100 {
		note("222222222222", n)
	}
	for n := range 3 * MaxSessions {
		note("111111111111", 100+n)
	}
	if got := len(s.Of("222222222222")); got != 100 {
		t.Errorf("%d of the one with fewer are remembered", got)
	}
	for n := range MaxSessions {
		note("222222222222", 10*MaxSessions+n)
	}
	if got := [2]int{len(s.Of("111111111111")), len(s.Of("222222222222"))}; got[0] < MaxSessions/2-1 || got[1] < MaxSessions/2 {
		t.Errorf("of two that have many %v are remembered", got)
	}
}
