package judge

import (
	"encoding/hex"
	"slices"
	"testing"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
)

const (
	ended = "ASIAENDED"
	other = "ASIAOTHER"
)

// goodSessions is the good history, and after it two sessions of a role, made at position 6:
//
//	position 7  one tags alice "z"    acknowledged at 9 s
//	position 8  that one is revoked   acknowledged at 10 s, everywhere at 11 s
func goodSessions() *History {
	h := good()
	h.add(9, ended, "TagUser", "alice", "z", &identity.EntityTagged{ID: "1", Tags: []identity.Tag{{Key: "mark", Value: "z"}}})
	h.add(10, root, "writ:RevokeSessions", "", "", &identity.SessionsRevoked{Subject: ended})
	for i := range h.Ends {
		h.Ends[i].Floor = 8
	}
	h.Waits = append(h.Waits, Wait{Request: Request{Node: "w1", Sent: at(10), Got: at(11), Status: 200}, Position: 8, State: "everywhere", Floor: 8, Cluster: cluster, Incarnation: incarnation})
	for _, id := range []string{ended, other} {
		h.Sessions = append(h.Sessions, Session{
			Request: Request{Node: "r1", Credential: root, Sent: at(8), Got: at(8.1), Status: 200}, ID: id, Principal: "AROA1", Key: 1, Minted: 6, Issued: 8000,
		})
	}
	read(h, by(ended, decision("r1", 9.5, 7, "leased", "allow")))
	read(h, by(other, decision("r1", 11.5, 8, "leased", "allow")))
	return h
}

// add appends a write and its batch, acknowledged at a time.
func (h *History) add(got float64, by, action, user, value string, e identity.Event) {
	p := event.Position(len(h.Ends[0].Batches) + 1)
	w := Write{Attempt: action + user + value, Action: action, User: user, Value: value, Position: p}
	w.Key[0] = byte(p)
	w.Token = event.Token{Cluster: cluster, Incarnation: incarnation, Position: p, Prefix: prefix(p)}
	w.Request = Request{Client: "c1", Node: "w1", Life: 1, Credential: by, Sent: at(got - 0.5), Got: at(got), Status: 200}
	h.Writes = append(h.Writes, w)
	b := &event.Batch{Cluster: cluster, Incarnation: incarnation, Position: p, Prev: hashOf(p - 1), Hash: hashOf(p), Events: []identity.Event{e}}
	b.Cause.Key, b.Cause.Action, b.Cause.By.Credential = w.Key, w.Named(), by
	for i := range h.Ends {
		end := &h.Ends[i]
		end.Position, end.Hash, end.Digest = p, hex.EncodeToString(b.Hash[:]), b.State.String()
		if end.Node[0] == 'w' {
			end.Batches = append(end.Batches, b)
		}
	}
}

// by is an answer to a caller.
func by(credential string, r Read) Read {
	r.Credential = credential
	return r
}

// ending replaces what ended the one session.
func (h *History) ending(e identity.Event) {
	h.Ends[0].Batches[7].Events[0] = e
}

func TestGoodSessions(t *testing.T) {
	for name, e := range map[string]identity.Event{
		"itself": &identity.SessionsRevoked{Subject: ended}, "another key": &identity.SessionKeyRevoked{Number: 2}, "another role": &identity.RoleDeleted{ID: "AROA2"},
		"what was issued before": &identity.SessionsRevoked{Subject: "AROA1", Before: 7999}, "another's": &identity.SessionsRevoked{Subject: "AKIA2"},
	} {
		h := goodSessions()
		h.ending(e)
		for _, v := range Judge(h) {
			t.Errorf("%s: %v", name, v)
		}
	}
	h := goodSessions() // sessions that were made after the revocation of their role go on
	h.ending(&identity.SessionsRevoked{Subject: "AROA1"})
	h.Sessions[1].Minted = 8
	for _, v := range Judge(h) {
		t.Error(v)
	}
	h = goodSessions() // the chain of one that somebody signed in for ends with it
	h.chained()
	h.ending(&identity.SessionsRevoked{Subject: "AIDA1"})
	read(h, refused(other))
	for _, v := range Judge(h) {
		t.Error(v)
	}
}

// chained has the other session be the third of a chain that a sign-in began.
func (h *History) chained() {
	h.Reads = slices.DeleteFunc(h.Reads, func(r Read) bool { return r.Credential == other })
	first, second := h.Sessions[1], h.Sessions[1]
	first.ID, first.Credential, first.Principal, first.Issued = "ASIAFIRST", "", "AIDA1", 7000
	second.ID, second.Credential, second.Principal = "ASIASECOND", first.ID, "AROA2"
	h.Sessions[1].Credential = second.ID
	h.Sessions = append(h.Sessions, first, second)
}

// refused is a question by a caller who is not known.
func refused(credential string) Read {
	r := by(credential, decision("r1", 12, 0, "", ""))
	r.Status, r.Code = 403, unknownCaller
	return r
}

// badSessions are wrong about sessions in one way each.
var badSessions = map[string]spoiling{
	"accepted where it is revoked":       {"I19", func(h *History) { read(h, by(ended, decision("r1", 11.5, 8, "leased", "allow"))) }},
	"accepted without a lease":           {"I19", func(h *History) { read(h, by(ended, decision("r1", 11.5, 8, "unleased", "implicitDeny"))) }},
	"accepted after everywhere was told": {"I19", func(h *History) { read(h, by(ended, decision("r2", 11.5, 7, "leased", "allow"))) }},
	"a write by it":                      {"I19", func(h *History) { h.add(12, ended, "TagUser", "alice", "y", h.Ends[0].Batches[6].Events[0]) }},
	"a session that it asked for": {"I19", func(h *History) {
		h.Sessions = append(h.Sessions, Session{Request: by(ended, decision("r1", 12, 8, "", "")).Request, ID: "ASIA3", Minted: 8})
	}},
	"another is refused": {"I19", func(h *History) { read(h, refused(other)) }},
	"the end of a chain whose beginning is revoked": {"I19", func(h *History) {
		h.chained()
		h.ending(&identity.SessionsRevoked{Subject: "AIDA1", Before: 7000})
		read(h, by(other, decision("r1", 11.5, 8, "leased", "allow")))
	}},
	"the end of a chain that began later than what is revoked": {"I19", func(h *History) {
		h.chained()
		h.ending(&identity.SessionsRevoked{Subject: "AIDA1", Before: 6999})
		read(h, refused(other))
	}},
	"the end of a chain in whose middle a role is revoked": {"I19", func(h *History) {
		h.chained()
		h.ending(&identity.SessionsRevoked{Subject: "AROA2"})
		read(h, refused(other))
	}},
	"another of the revoked role":          {"I19", func(h *History) { h.ending(&identity.SessionsRevoked{Subject: "AROA1"}) }},
	"another of what was issued before":    {"I19", func(h *History) { h.ending(&identity.SessionsRevoked{Subject: "AROA1", Before: 8000}) }},
	"another of who asked for them":        {"I19", func(h *History) { h.ending(&identity.SessionsRevoked{Subject: root}) }},
	"another of the revoked key":           {"I19", func(h *History) { h.ending(&identity.SessionKeyRevoked{Number: 1}) }},
	"another of the role that was deleted": {"I19", func(h *History) { h.ending(&identity.RoleDeleted{ID: "AROA1"}) }},
	"a sign-in's": {"I19", func(h *History) {
		h.Sessions[1].Credential, h.Sessions[1].Principal = "", "AIDA1"
		h.ending(&identity.SessionsRevoked{Subject: "AIDA1"})
	}},
	"a revocation that was lost": {"I16", func(h *History) { h.Writes[7].Action = "writ:RevokeSessionKey" }},
}

func TestBadSessions(t *testing.T) {
	for name, c := range badSessions {
		t.Run(name, func(t *testing.T) {
			h := goodSessions()
			c.spoil(h)
			c.finds(t, h)
		})
	}
}
