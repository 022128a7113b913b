package usage_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/usage"
)

func TestBook(t *testing.T) {
	var b usage.Book
	b.Note("AKIA1", "iam", "GetUser", "us-east-1", 10)
	b.Note("AKIA1", "sts", "GetCallerIdentity", "eu-west-1", 20)
	b.Note("AKIA1", "iam", "GetUser", "us-east-1", 15)
	b.Note("AKIA1", "iam", "", "us-east-1", 12)
	want := []identity.Use{{Credential: "AKIA1", At: 20, Region: "eu-west-1", Service: "sts", Actions: []identity.ActionUse{
		{Service: "iam", Name: "GetUser", At: 15, Region: "us-east-1"}, {Service: "sts", Name: "GetCallerIdentity", At: 20, Region: "eu-west-1"}}}}
	got := b.Take(5, nil)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if again := b.Take(5, nil); len(again) != 0 {
		t.Errorf("taken twice: %v", again)
	}
	b.Add(got)
	if diff := cmp.Diff(want, b.Take(5, nil)); diff != "" {
		t.Error(diff)
	}
	var none *usage.Book
	none.Note("AKIA1", "iam", "GetUser", "us-east-1", 10)
}

// What callers and other nodes can make grow has a bound.
func TestBookIsBounded(t *testing.T) {
	var b usage.Book
	for i := range usage.MaxPending + 1 {
		b.Note(fmt.Sprintf("AKIA%d", i), "iam", "GetUser", "us-east-1", 1)
	}
	for i := range identity.MaxUseActions + 1 {
		b.Note("AKIA0", "iam", fmt.Sprintf("A%d", i), "us-east-1", identity.Time(2+i))
	}
	uses := b.Take(2*usage.MaxPending, nil)
	if len(uses) != usage.MaxPending {
		t.Errorf("%d credentials are held", len(uses))
	}
	for _, u := range uses {
		if u.Credential == "AKIA0" && (len(u.Actions) != identity.MaxUseActions || u.Actions[0].Name == "GetUser") {
			t.Errorf("the actions are %v", u.Actions)
		}
	}
	b.Note("AKIA1", "iam", "GetUser", strings.Repeat("x", identity.MaxUseText+1), 1)
	b.Note("AKIA2", "iam", "GetUser", "=cmd|' /C calc'!A0", 1)
	b.Note(strings.Repeat("A", identity.MaxUseText+1), "iam", "GetUser", "us-east-1", 1)
	b.Add([]identity.Use{{Credential: "AKIA3", Service: "iam", At: 1, Actions: []identity.ActionUse{{Service: "iam", Name: "a b", At: 1}, {Service: "iam", Name: "Late", At: 2}}}})
	uses = b.Take(5, nil)
	if len(uses) != 3 {
		t.Errorf("the uses are %v", uses)
	}
	for _, u := range uses {
		if u.Region != "" || u.Credential == "AKIA3" && len(u.Actions) != 0 {
			t.Errorf("noted %+v", u)
		}
	}
}

// What other nodes tell is dropped where it cannot be: it hides nothing that this node saw,
// and leaves room for that and for others.
func TestHear(t *testing.T) {
	const now = identity.UseInterval * 100
	s := identity.NewState()
	boot := &identity.Bootstrap{Cluster: "c", Incarnation: "i", Account: "123456789012", RootKey: identity.NewAccessKey{ID: "AKIA1"}}
	events, err := identity.Decide(s, identity.Meta{Time: now}, boot)
	if err != nil {
		t.Fatal(err)
	}
	identity.Evolve(s, 1, identity.Meta{Time: now}, events)
	var b usage.Book
	hear := func(at identity.Time) {
		b.Hear("replica-1", []identity.Use{{Credential: "AKIA1", At: at, Service: "sts", Actions: []identity.ActionUse{{Service: "sts", Name: "A", At: at}}}}, now, s)
	}
	b.Note("AKIA1", "iam", "GetUser", "us-east-1", now-1)
	hear(1 << 62)
	hear(now + usage.MaxAhead + 1)
	if uses := b.Take(5, s); len(uses) != 1 || uses[0].At != now-1 || len(uses[0].Actions) != 1 {
		t.Errorf("after uses to come: %v", uses)
	}
	hear(now + usage.MaxAhead)
	if uses := b.Take(5, s); len(uses) != 1 || uses[0].At != now || len(uses[0].Actions) != 1 || uses[0].Actions[0].At != now {
		t.Errorf("by a clock that is ahead: %v", uses)
	}
	b.Hear("replica-1", []identity.Use{{Credential: "AKIANONE", At: now, Service: "sts"}}, now, s)
	if uses := b.Take(5, nil); len(uses) != 0 {
		t.Errorf("of a credential that there is not: %v", uses)
	}
}

// One node has a share of the book, which is free again when its uses were taken.
func TestOneNodesWordIsBounded(t *testing.T) {
	s := identity.NewState()
	run := func(c identity.Command) {
		t.Helper()
		events, err := identity.Decide(s, identity.Meta{}, c)
		if err != nil {
			t.Fatal(err)
		}
		identity.Evolve(s, s.Position()+1, identity.Meta{}, events)
	}
	run(&identity.Bootstrap{Cluster: "c", Incarnation: "i", Account: "123456789012", RootKey: identity.NewAccessKey{ID: "AKIA1"}})
	var uses []identity.Use
	for i := range usage.MaxPendingOne + 1 {
		id := identity.ID(fmt.Sprintf("AROA%d", i))
		run(&identity.CreateRole{Account: "123456789012", ID: id, Name: string(id), Path: "/", Trust: "{}"})
		uses = append(uses, identity.Use{Credential: string(id), At: 1, Service: "sts"})
	}
	var b usage.Book
	for range 2 {
		b.Hear("replica-1", uses, 1, s)
		b.Hear("replica-2", uses[:1], 1, s)
		b.Note("AKIA1", "iam", "GetUser", "us-east-1", 1)
		if got := len(b.Take(2*len(uses), nil)); got != usage.MaxPendingOne+1 {
			t.Errorf("%d uses are held", got)
		}
	}
}

// What is no news yet stays in the book.
func TestTakeWhatIsNews(t *testing.T) {
	s := identity.NewState()
	const now = identity.UseInterval * 100
	for _, c := range []identity.Command{
		&identity.Bootstrap{Cluster: "c", Incarnation: "i", Account: "123456789012", RootKey: identity.NewAccessKey{ID: "AKIA1"}},
		&identity.NoteUses{Uses: []identity.Use{{Credential: "AKIA1", At: now, Service: "iam"}}},
	} {
		m := identity.Meta{Time: now}
		events, err := identity.Decide(s, m, c)
		if err != nil {
			t.Fatal(err)
		}
		identity.Evolve(s, s.Position()+1, m, events)
	}
	var b usage.Book
	b.Note("AKIA1", "iam", "GetUser", "us-east-1", now+identity.UseInterval-1)
	b.Note("AKIA9", "iam", "GetUser", "us-east-1", now)
	if uses := b.Take(5, s); len(uses) != 1 || uses[0].Credential != "AKIA9" {
		t.Errorf("taken: %v", uses)
	}
	b.Note("AKIA1", "iam", "ListUsers", "us-east-1", now+identity.UseInterval)
	if uses := b.Take(5, s); len(uses) != 1 || len(uses[0].Actions) != 2 {
		t.Errorf("taken: %v", uses)
	}
}
