package identity

import "testing"

func TestSmoke(t *testing.T) {
	s := NewState()
	at := Position(0)
	do := func(c Command) {
		t.Helper()
		m := Meta{Time: 5}
		events, err := Decide(s, m, c)
		if err != nil {
			t.Fatal(err)
		}
		at++
		Evolve(s, at, m, events)
		if s.Digest() != s.Recount() {
			t.Fatal("digest")
		}
	}
	do(&Bootstrap{Cluster: "c", Incarnation: "i", Account: "123456789012", RootKey: NewAccessKey{ID: "AKIAROOT"}})
	do(&CreateUser{Account: "123456789012", ID: "AIDA1", Name: "Bob", Path: "/"})
	do(&CreateGroup{Account: "123456789012", ID: "AGPA1", Name: "g", Path: "/"})
	do(&AddUserToGroup{Account: "123456789012", Group: "g", User: "bob"})
	do(&CreatePolicy{Account: "123456789012", ID: "ANPA1", Name: "p", Path: "/x/", Document: "{}"})
	do(&AttachPolicy{Owner: Owner{KindGroup, "123456789012", "g"}, Policy: "arn:aws:iam::123456789012:policy/x/p"})
	do(&CreateAccessKey{Account: "123456789012", User: "bob", Key: NewAccessKey{ID: "AKIA2"}})
	l := NewLoader()
	s.Records(func(r Record) bool { l.Add(r); return true })
	c, err := l.State()
	if err != nil || c.Digest() != s.Digest() {
		t.Fatal(err)
	}
}
