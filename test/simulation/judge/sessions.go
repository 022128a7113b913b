package judge

import (
	"slices"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
)

// Session is one that was asked for: who asked is the request's credential; empty where somebody
// signed in. Where nothing was answered, there is none.
type Session struct {
	Request
	ID        string         // its access key id
	Principal identity.ID    // the role, or who signed in
	Key       uint32         // number of the session key that sealed it
	Minted    event.Position // of the view in which it was made
	Issued    identity.Time

	began *Session // of its chain: the one that no session asked for; itself where it is that
}

// ending is an event that ends sessions.
type ending struct {
	at event.Position
	is identity.Event
}

// ends tells whether an event ends a session, by what is promised of each kind of event. What
// revokes the beginning of a chain ends all of it.
func (e ending) ends(s *Session) bool {
	switch is := e.is.(type) {
	case *identity.SessionKeyRevoked:
		return is.Number == s.Key
	case *identity.RoleDeleted:
		return is.ID == s.Principal
	case *identity.SessionsRevoked:
		itself := slices.Contains([]string{s.ID, string(s.Principal), s.asked()}, is.Subject)
		chain := slices.Contains([]string{s.began.asked(), s.began.origin()}, is.Subject)
		if is.Before > 0 {
			return itself && s.Issued <= is.Before || chain && s.began.Issued <= is.Before
		}
		return (itself || chain) && s.Minted < e.at
	}
	return false
}

// nobody is no subject of a revocation.
const nobody = "-"

// asked is the access key that asked for a session.
func (s *Session) asked() string {
	if s.Credential == "" {
		return nobody
	}
	return s.Credential
}

// origin is who signed in, where a chain begins with that.
func (s *Session) origin() string {
	if s.Credential != "" {
		return nobody
	}
	return string(s.Principal)
}

// beginnings finds where the chain of each session began.
func beginnings(byID map[string]*Session) {
	for _, s := range byID {
		for s.began = s; ; {
			before, ok := byID[s.began.Credential]
			if !ok {
				break
			}
			s.began = before
		}
	}
}

// ended is the position at which a session ended; 0: it did not.
func (l *ledger) ended(s *Session) event.Position {
	for _, e := range l.ends {
		if e.ends(s) {
			return e.at
		}
	}
	return 0
}

// refusals of callers who are not known. A session that nothing ended is never refused so.
const unknownCaller = "InvalidClientTokenId"

// sessions judges I19 for sessions. Nothing in the log was authored by one after the position
// that ended it; no answer from that position or a later one accepts it; nor does any that
// is told as fresh, whatever position it names, once that position was everywhere. A session that
// nothing ended goes on.
func sessions(h *History, l *ledger) (found []Violation) {
	byID, ended := map[string]*Session{}, map[string]event.Position{}
	for i := range h.Sessions {
		if s := &h.Sessions[i]; s.Answered() {
			byID[s.ID] = s
		}
	}
	beginnings(byID)
	for id, s := range byID {
		ended[id] = l.ended(s)
	}
	for _, b := range l.batches {
		if end := ended[b.Cause.By.Credential]; end != 0 && end < b.Position {
			found = append(found, violation("I19", "position %d was authored by the session %s, which ended at %d", b.Position, b.Cause.By.Credential, end))
		}
	}
	promised := promises(h)
	look := func(r *Request, what string, at event.Position, fresh bool) {
		s, ok := byID[r.Credential]
		if !ok {
			return
		}
		end := ended[s.ID]
		switch {
		case !r.Answered() && r.Code == unknownCaller && end == 0:
			found = append(found, violation("I19", "%s refuses %s at %v, by the session %s, which nothing ended", r.Node, what, r.Got, s.ID))
		case !r.Answered() || end == 0:
		case at >= end:
			found = append(found, violation("I19", "%s answers %s at position %d by the session %s, which ended at %d", r.Node, what, at, s.ID, end))
		case fresh && promised[h.replica(r.Node)].before(r.Sent) >= end:
			found = append(found, violation("I19", "%s answers %s, asked at %v, by the session %s, which ended at %d, everywhere before that", r.Node, what, r.Sent, s.ID, end))
		}
	}
	for i := range h.Reads {
		r := &h.Reads[i]
		look(&r.Request, "a question", r.Position, r.Freshness == "leased" || r.Freshness == "strict")
	}
	for i := range h.Sessions {
		s := &h.Sessions[i]
		look(&s.Request, "with a session", s.Minted, true)
	}
	for i := range h.Writes {
		w := &h.Writes[i]
		look(&w.Request, "a write", w.Position-1, false) // its own position it may end
	}
	return found
}
