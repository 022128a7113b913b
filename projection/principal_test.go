package projection_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/projection/policy/syntax"
)

// given a cluster with a user, its groups, a role and policies on each
func populated(t testing.TB) *history {
	h, _ := begin(t, "i1")
	h.must(t,
		h.user("alice"), h.user("bob"), h.group("devs"), h.role("worker"),
		h.policy("managed", allow("s3:Get")), h.policy("fence", allow("s3:*")),
		inline(identity.KindUser, "alice", "own", allow("ec2:Run")),
		inline(identity.KindGroup, "devs", "shared", allow("sqs:Send")),
		inline(identity.KindRole, "worker", "own", allow("sns:Publish")),
		&identity.AttachPolicy{Owner: owner(identity.KindUser, "alice"), Policy: policyARN("managed")},
		&identity.AttachPolicy{Owner: owner(identity.KindGroup, "devs"), Policy: policyARN("fence")},
		&identity.AddUserToGroup{Account: account, User: "alice", Group: "devs"},
		&identity.SetBoundary{Owner: owner(identity.KindUser, "bob"), Policy: policyARN("fence")},
		inline(identity.KindUser, "bob", "own", allow("*")),
	)
	return h
}

func TestPrincipals(t *testing.T) {
	h := populated(t)
	v := fresh(h.state.Snapshot(), h.head)
	for _, c := range []struct{ principal, action, want string }{
		{userARN("alice"), "ec2:Run", "allow"},  // her own
		{userARN("alice"), "s3:Get", "allow"},   // attached
		{userARN("alice"), "sqs:Send", "allow"}, // her group's own
		{userARN("alice"), "s3:Put", "allow"},   // attached to her group
		{userARN("alice"), "sns:Publish", "implicitDeny"},
		{userARN("bob"), "s3:Put", "allow"},         // within his boundary
		{userARN("bob"), "ec2:Run", "implicitDeny"}, // beyond it
		{roleARN("worker"), "sns:Publish", "allow"},
		{roleARN("worker"), "s3:Get", "implicitDeny"},
		{"arn:aws:sts::123456789012:assumed-role/worker/s1", "sns:Publish", "allow"},
		{rootARN, "iam:CreateUser", "allow"},
		{"arn:aws:iam::210987654321:root", "iam:CreateUser", "none"},
		{"arn:aws:iam::123456789012:user/nobody", "s3:Get", "none"},
		{"arn:aws:iam::123456789012:user/x/alice", "s3:Get", "none"}, // another path
		{"arn:aws:iam::123456789012:user/Alice", "s3:Get", "none"},   // other letters
		{"arn:aws:iam::210987654321:user/alice", "s3:Get", "none"},
		{"arn:aws:iam::123456789012:group/devs", "s3:Get", "none"}, // no principal
		{"arn:aws:iam::123456789012:role/alice", "s3:Get", "none"},
		{"arn:aws:sts::123456789012:assumed-role/worker/", "s3:Get", "none"},
		{"arn:aws:sts::123456789012:assumed-role/Worker/s1", "s3:Get", "none"},
		{"arn:aws:sts::123456789012:assumed-role/nobody/s1", "s3:Get", "none"},
		{"123456789012:assumed-role/worker/s1", "sns:Publish", "none"},
		{"arn:aws:iam::123456789012", "s3:Get", "none"}, {"arn:aws:iam::", "s3:Get", "none"},
		{"", "s3:Get", "none"}, {"*", "s3:Get", "none"}, {"123456789012", "s3:Get", "none"},
	} {
		if got := ask(v, c.principal, c.action); got != c.want {
			t.Errorf("%s, %s: %s, not %s", c.principal, c.action, got, c.want)
		}
	}
}

func TestPrincipalFields(t *testing.T) {
	h := populated(t)
	h.must(t, &identity.TagEntity{Kind: identity.KindUser, Account: account, Name: "alice", Tags: []identity.Tag{{Key: "team", Value: "blue"}}})
	v := fresh(h.state.Snapshot(), h.head)
	alice, err := v.PrincipalByARN(userARN("alice"))
	if err != nil {
		t.Fatal(err)
	}
	if p := alice.Principal; p.Type != authz.User || p.Name != "alice" || p.Account != string(account) || len(p.Tags) != 1 || p.Tags[0] != (authz.Tag{Key: "team", Value: "blue"}) {
		t.Errorf("alice is %+v", p)
	}
	if again, err := v.Principal(identity.ID(alice.ID)); err != nil || again.ARN != alice.ARN {
		t.Errorf("by her identifier: %v, %v", again, err)
	}
	session, err := v.PrincipalByARN("arn:aws:sts::123456789012:assumed-role/worker/s1")
	if err != nil {
		t.Fatal(err)
	}
	if p := session.Principal; p.Type != authz.RoleSession || p.Issuer != roleARN("worker") || p.Name != "s1" || !strings.HasPrefix(p.ID, "AROA") {
		t.Errorf("the session is %+v", p)
	}
	role, err := v.PrincipalByARN(roleARN("worker"))
	if err != nil || role.Type != authz.Role || role.Name != "worker" {
		t.Errorf("the role became %+v, %v", role, err)
	}
	if _, err := v.Principal("AIDANOBODY"); !errors.Is(err, projection.ErrNoPrincipal) {
		t.Errorf("an unknown identifier: %v", err)
	}
	group, _ := v.State.Group(account, "devs")
	if _, err := v.Principal(group.ID); !errors.Is(err, projection.ErrNoPrincipal) {
		t.Errorf("a group: %v", err)
	}
}

// A document that does not parse any more must not lose a denial that was in it.
func TestUnreadableDocumentDenies(t *testing.T) {
	h := populated(t)
	u, _ := h.state.User(account, "alice")
	h.fold(&identity.InlinePolicyPut{Kind: identity.KindUser, ID: u.ID, Name: "broken", Document: `{"Statement":`})
	v := fresh(h.state.Snapshot(), h.head)
	for _, action := range []string{"ec2:Run", "s3:Get", "anything:AtAll"} {
		if got := ask(v, userARN("alice"), action); got != "explicitDeny" {
			t.Errorf("%s: %s", action, got)
		}
	}
	if got := ask(v, userARN("bob"), "s3:Get"); got != "allow" {
		t.Errorf("another user: %s", got)
	}
}

// one random command about few names.
func (h *history) random(r *rand.Rand) identity.Command {
	name := func() string { return string("abc"[r.IntN(3)]) }
	text := func() string {
		return []string{allow("s3:Get"), allow("s3:*"), deny("s3:Get"), allow("*"), allow("ec2:Run"),
			`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/k":"v"}}}}`,
			`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:username":"a"}}}}`}[r.IntN(7)]
	}
	holder := func() identity.Owner {
		return owner([]identity.Kind{identity.KindUser, identity.KindGroup, identity.KindRole}[r.IntN(3)], name())
	}
	bounded := func() identity.Owner {
		return owner([]identity.Kind{identity.KindUser, identity.KindRole}[r.IntN(2)], name())
	}
	boundary := func() string { return []string{"", "", policyARN(name())}[r.IntN(3)] }
	tagged := []identity.Kind{identity.KindUser, identity.KindRole}[r.IntN(2)]
	switch r.IntN(22) {
	case 0:
		c := h.user(name())
		c.Boundary = boundary()
		return c
	case 1:
		return &identity.DeleteUser{Account: account, Name: name()}
	case 2:
		return &identity.UpdateUser{Account: account, Name: name(), NewName: name()}
	case 3:
		return h.group(name())
	case 4:
		return &identity.DeleteGroup{Account: account, Name: name()}
	case 5:
		return &identity.UpdateGroup{Account: account, Name: name(), NewName: name()}
	case 6:
		return h.role(name())
	case 7:
		return &identity.DeleteRole{Account: account, Name: name()}
	case 8:
		return h.policy(name(), text())
	case 9:
		return &identity.DeletePolicy{ARN: policyARN(name())}
	case 10:
		return &identity.CreatePolicyVersion{ARN: policyARN(name()), Document: text(), Default: r.IntN(2) == 0}
	case 11:
		return &identity.SetDefaultPolicyVersion{ARN: policyARN(name()), Number: 1 + r.IntN(4)}
	case 12:
		return &identity.DeletePolicyVersion{ARN: policyARN(name()), Number: 1 + r.IntN(4)}
	case 13, 14:
		return &identity.PutInlinePolicy{Owner: holder(), Name: name(), Document: text()}
	case 15:
		return &identity.DeleteInlinePolicy{Owner: holder(), Name: name()}
	case 16, 17:
		return &identity.AttachPolicy{Owner: holder(), Policy: policyARN(name())}
	case 18:
		return &identity.DetachPolicy{Owner: holder(), Policy: policyARN(name())}
	case 19:
		return &identity.SetBoundary{Owner: bounded(), Policy: boundary()}
	case 20:
		return []identity.Command{
			&identity.AddUserToGroup{Account: account, User: name(), Group: name()},
			&identity.AddUserToGroup{Account: account, User: name(), Group: name()},
			&identity.RemoveUserFromGroup{Account: account, User: name(), Group: name()},
		}[r.IntN(3)]
	}
	return []identity.Command{
		&identity.TagEntity{Kind: tagged, Account: account, Name: name(), Tags: []identity.Tag{{Key: "k", Value: string("vw"[r.IntN(2)])}}},
		&identity.UntagEntity{Kind: tagged, Account: account, Name: name(), Keys: []string{"k"}},
	}[r.IntN(2)]
}

// everyone asks for everyone's permissions at a view.
func everyone(v *projection.View) string {
	var b strings.Builder
	for _, name := range []string{"a", "b", "c"} {
		for _, arn := range []string{userARN(name), roleARN(name), "arn:aws:sts::123456789012:assumed-role/" + name + "/s"} {
			for _, action := range []string{"s3:Get", "s3:Put", "ec2:Run"} {
				fmt.Fprintf(&b, "%s %s %s\n", arn, action, ask(v, arn, action))
			}
		}
	}
	return b.String()
}

// randomHistory is n accepted commands, with the state after each.
func randomHistory(t testing.TB, r *rand.Rand, n int) (heads []event.Head, states []*identity.State, batches []*event.Batch) {
	h, b := begin(t, "i1")
	for {
		heads, states, batches = append(heads, h.head), append(states, h.state.Snapshot()), append(batches, b)
		if len(heads) == n {
			return heads, states, batches
		}
		for b = nil; b == nil; {
			b, _ = h.decide(h.random(r)) // refusals are part of the draw
		}
	}
}

// Whatever the history: what a projection that kept compiled policies says at any
// position, in any order of asking, is what one says that has kept nothing.
func TestCachedDecisionsAreThoseOfAFreshProjection(t *testing.T) {
	for seed := range uint64(10) {
		r := rand.New(rand.NewPCG(seed, 1))
		heads, states, batches := randomHistory(t, r, 100)
		applied, adopted := projection.New(), projection.New()
		var views []*projection.View
		want := make([]string, len(heads))
		check := func(i int, v *projection.View) {
			if got := everyone(v); got != want[i] {
				t.Fatalf("seed %d, position %d (newest %d):\n%s\nfresh:\n%s", seed, i+1, len(views), got, want[i])
			}
		}
		for i := range heads {
			want[i] = everyone(fresh(states[i], heads[i]))
			if err := applied.Apply(batches[i : i+1]); err != nil {
				t.Fatal(err)
			}
			adopted.Adopt(states[i], heads[i])
			views = append(views, adopted.View())
			if r.IntN(3) > 0 { // leave gaps in what was asked
				check(i, applied.View())
				check(i, views[i])
			}
			old := r.IntN(len(views))
			check(old, views[old])
		}
	}
}

// Views at different positions share what is compiled; asked all at once, none
// sees a policy of another's position.
func TestViewsRacedAgainstEachOther(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	heads, states, _ := randomHistory(t, r, 80)
	p := projection.New()
	var views []*projection.View
	want := make([]string, len(heads))
	for i := range heads {
		want[i] = everyone(fresh(states[i], heads[i]))
		p.Adopt(states[i], heads[i])
		views = append(views, p.View())
	}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 3))
			for range 120 {
				i := r.IntN(len(views))
				if got := everyone(views[i]); got != want[i] {
					t.Errorf("position %d:\n%s\nfresh:\n%s", i+1, got, want[i])
					return
				}
			}
		})
	}
	wg.Wait()
}

// Documents may name the partitions that clusters can have.
func TestPartitionsAreTheSame(t *testing.T) {
	for _, name := range identity.PartitionNames() {
		if !syntax.IsPartition(name) {
			t.Errorf("documents cannot name %s", name)
		}
	}
}
