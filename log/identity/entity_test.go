package identity

import (
	"fmt"
	"strings"
	"testing"

	"github.com/writ-iam/writ/log/table"
)

func TestARNs(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{PartitionAWS.RootARN(acct), "arn:aws:iam::123456789012:root"},
		{PartitionAWS.ARN(KindUser, acct, "/", "a"), "arn:aws:iam::123456789012:user/a"},
		{PartitionAWS.ARN(KindGroup, acct, "/x/y/", "a"), "arn:aws:iam::123456789012:group/x/y/a"},
		{PartitionAWS.ARN(KindRole, acct, "/", "a"), "arn:aws:iam::123456789012:role/a"},
		{PartitionAWS.ARN(KindPolicy, AWSAccount, "/", "a"), "arn:aws:iam::aws:policy/a"},
		{Kind(200).Noun(), "entity"},
	} {
		if c.got != c.want {
			t.Errorf("%s, not %s", c.got, c.want)
		}
	}
}

func TestKindsAndCounts(t *testing.T) {
	s := given(alice, bob, admins, deploy, readS3, theirs)
	for id, want := range map[ID]Kind{"AIDA1": KindUser, "AGPA1": KindGroup, "AROA1": KindRole, "ANPA1": KindPolicy, "AIDA9": 0, ID(acct): 0} {
		if got, ok := s.KindOf(id); got != want || ok != (want != 0) {
			t.Errorf("%s is a %d, %v", id, got, ok)
		}
	}
	if u, p, o := s.Count(acct, KindUser), s.Count(acct, KindPolicy), s.Count(other, KindPolicy); u != 2 || p != 1 || o != 1 {
		t.Errorf("%d users, %d and %d policies", u, p, o)
	}
}

// Case is ignored for ASCII letters alone, so that no table of Unicode decides.
func TestLower(t *testing.T) {
	for text, want := range map[string]string{"": "", "abc-09_": "abc-09_", "AbZ": "abz", "@[`{": "@[`{", "ÄÉ": "ÄÉ", "xÄY": "xÄy"} {
		if got := lower(text); got != want {
			t.Errorf("%q is %q, not %q", text, got, want)
		}
	}
	text := "already-lower"
	if n := testing.AllocsPerRun(10, func() { lower(text) }); n != 0 {
		t.Errorf("%v allocations for nothing", n)
	}
}

// The order of handles is that of snapshots and of pages: it must not change.
func TestHandlesAreForever(t *testing.T) {
	for text, want := range map[string]table.Handle{"": 0x197e539c90844464, "AIDA1": 0xaebdbff988e8be4, "123456789012": 0x12d08a08a11c8e28} {
		if got := table.HandleOf(text); got != want {
			t.Errorf("the handle of %q is %#x, was %#x", text, got, want)
		}
	}
}

func TestHandlesDiffer(t *testing.T) {
	seen := map[table.Handle]string{}
	for i := range 200_000 {
		for _, text := range []string{fmt.Sprintf("AIDA%d", i), fmt.Sprintf("AKIA%017d", i), fmt.Sprintf("%012d", i)} {
			h := table.HandleOf(text)
			if before, ok := seen[h]; ok || h>>table.HandleBits != 0 {
				t.Fatalf("%s and %s have the handle %#x", text, before, h)
			}
			seen[h] = text
		}
	}
}

// What Decide keeps out is asked for nevertheless: another identifier with the
// handle of one that is there.
func TestHandleOfAnother(t *testing.T) {
	s := given(alice)
	u, _ := s.UserByID("AIDA1")
	s.users.Rows.Set(table.HandleOf("twin"), u)
	if found, ok := s.UserByID("twin"); ok {
		t.Errorf("found is %+v", found)
	}
	if kind, ok := s.KindOf("twin"); ok {
		t.Errorf("its kind is %d", kind)
	}
	s.keys.Set(table.HandleOf("AKIAtwin"), table.HandleOf("AIDA1"))
	if k, ok := s.AccessKey("AKIAtwin"); ok {
		t.Errorf("found is %+v", k)
	}
	s.replicas.Rows.Set(table.HandleOf("twin"), &Replica{Name: "one"})
	if _, err := Decide(s, Meta{}, &RegisterReplica{Name: "twin"}); err == nil {
		t.Error("a replica replaces another")
	}
	s.barred.Rows.Set(table.HandleOf("twin"), &BarredReplica{Name: "other"})
	if _, err := Decide(s, Meta{}, &BarReplica{Name: "twin", Unregistered: true}); err == nil || s.Barred("twin") {
		t.Errorf("a barred name makes room for another: %v", err)
	}
}

// Decide and Evolve must not depend on what the next event's record shares with
// the last one's: a snapshot taken in between keeps every list as it was.
func TestListsAreNotShared(t *testing.T) {
	s := given(alice, admins, &GroupCreated{Account: acct, ID: "AGPA2", Name: "b"}, &GroupCreated{Account: acct, ID: "AGPA3", Name: "c"})
	apply(s, &UserAddedToGroup{Group: "AGPA1", User: "AIDA1"})
	apply(s, &UserAddedToGroup{Group: "AGPA2", User: "AIDA1"})
	before := s.Snapshot()
	apply(s, &UserRemovedFromGroup{Group: "AGPA1", User: "AIDA1"})
	apply(s, &UserAddedToGroup{Group: "AGPA3", User: "AIDA1"})
	old, _ := before.UserByID("AIDA1")
	if fmt.Sprint(old.Groups) != "[AGPA1 AGPA2]" {
		t.Errorf("in the snapshot the groups are %v", old.Groups)
	}
	if u, _ := s.UserByID("AIDA1"); fmt.Sprint(u.Groups) != "[AGPA2 AGPA3]" {
		t.Errorf("the groups are %v", u.Groups)
	}
}

// The index of names has accounts by their handles, which are no cryptographic hash: who
// writes an ARN can choose an account whose handle is that of another. It names nobody, or
// a Deny on the resources of an account would not see who asks for them.
func TestAnAccountOfTheSameHandleHasNothing(t *testing.T) {
	const twin AccountID = "twin" // its handle is not that of acct; the index is made as if it were
	s := given(alice, admins, deploy, readS3, webServer, siteCert)
	for _, e := range []struct {
		kind Kind
		name string
	}{{KindUser, "Alice"}, {KindGroup, "Admins"}, {KindRole, "Deploy"}, {KindPolicy, "ReadS3"}, {KindInstanceProfile, "Web"}, {KindServerCertificate, "site"}} {
		to, ok := s.names.find(scopeOf(acct, e.kind), e.name)
		if !ok {
			t.Fatalf("no %s %s", e.kind.Noun(), e.name)
		}
		s.names.add(scopeOf(twin, e.kind), e.name, to)
		if h, ok := s.heldByName(e.kind, twin, e.name); ok {
			t.Errorf("%s has the %s %s of account %s", twin, e.kind.Noun(), h.name, h.account)
		}
	}
	if p, ok := s.Policy(strings.Replace(readS3ARN, string(acct), string(twin), 1)); ok {
		t.Errorf("%s has %s", twin, p.ARN())
	}
	_, user := s.User(twin, "Alice")
	_, role := s.Role(twin, "Deploy")
	if _, group := s.Group(twin, "Admins"); user || role || group {
		t.Errorf("%s has a user %v, a role %v, a group %v", twin, user, role, group)
	}
}
