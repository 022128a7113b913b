package projection_test

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/projection/authz"
)

const (
	account = identity.AccountID("123456789012")
	rootARN = "arn:aws:iam::123456789012:root"
	cluster = "6f1d7c38-3d58-4f67-8d5a-7f2f4f6d3a10"
)

// history makes batches as the log does.
type history struct {
	state *identity.State
	head  event.Head
	ids   int
}

// begin returns a history whose first batch bootstraps a cluster.
func begin(t testing.TB, incarnation string) (*history, *event.Batch) {
	t.Helper()
	h := &history{state: identity.NewState()}
	b, err := h.decide(&identity.Bootstrap{Cluster: cluster, Incarnation: incarnation, Account: account,
		RootKey: identity.NewAccessKey{ID: "AKIAROOTROOTROOT0000"}})
	if err != nil {
		t.Fatal(err)
	}
	return h, b
}

// decide folds a command and returns its batch, or the refusal.
func (h *history) decide(c identity.Command) (*event.Batch, error) {
	events, err := identity.Decide(h.state, identity.Meta{}, c)
	if err != nil {
		return nil, err
	}
	return h.fold(events...), nil
}

// must is decide for commands that are accepted.
func (h *history) must(t testing.TB, commands ...identity.Command) (list []*event.Batch) {
	t.Helper()
	for _, c := range commands {
		b, err := h.decide(c)
		if err != nil {
			t.Fatalf("%T: %v", c, err)
		}
		list = append(list, b)
	}
	return list
}

// fold makes the batch of events, whether or not a command would make them.
func (h *history) fold(events ...identity.Event) *event.Batch {
	at := h.head.Position + 1
	identity.Evolve(h.state, at, identity.Meta{}, events)
	c := h.state.Cluster()
	b := &event.Batch{Cluster: c.ID, Incarnation: c.Incarnation, Position: at, Events: events, State: h.state.Digest(), Prev: h.head.Hash}
	b.Hash = sha256.Sum256(binary.BigEndian.AppendUint64(append(b.Prev[:], c.Incarnation...), uint64(at)))
	h.head = b.Head()
	return b
}

func (h *history) id(prefix string) identity.ID {
	h.ids++
	return identity.ID(fmt.Sprintf("%s%08d", prefix, h.ids))
}

func (h *history) user(name string) *identity.CreateUser {
	return &identity.CreateUser{Account: account, ID: h.id("AIDA"), Name: name, Path: "/"}
}

func (h *history) group(name string) *identity.CreateGroup {
	return &identity.CreateGroup{Account: account, ID: h.id("AGPA"), Name: name, Path: "/"}
}

func (h *history) role(name string) *identity.CreateRole {
	return &identity.CreateRole{Account: account, ID: h.id("AROA"), Name: name, Path: "/", Trust: "{}"}
}

func (h *history) policy(name, document string) *identity.CreatePolicy {
	return &identity.CreatePolicy{Account: account, ID: h.id("ANPA"), Name: name, Path: "/", Document: document}
}

func owner(kind identity.Kind, name string) identity.Owner {
	return identity.Owner{Kind: kind, Account: account, Name: name}
}

func inline(kind identity.Kind, holder, name, document string) *identity.PutInlinePolicy {
	return &identity.PutInlinePolicy{Owner: owner(kind, holder), Name: name, Document: document}
}

func policyARN(name string) string {
	return identity.PartitionAWS.ARN(identity.KindPolicy, account, "/", name)
}
func userARN(name string) string {
	return identity.PartitionAWS.ARN(identity.KindUser, account, "/", name)
}
func roleARN(name string) string {
	return identity.PartitionAWS.ARN(identity.KindRole, account, "/", name)
}

// allow and deny are documents of one statement about one action.
func allow(action string) string { return document("Allow", action) }
func deny(action string) string  { return document("Deny", action) }

func document(effect, action string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":%q,"Action":%q,"Resource":"*"}}`, effect, action)
}

// ask is what a principal is told at a view.
func ask(v *projection.View, principal, action string) string {
	p, err := v.PrincipalByARN(principal)
	if errors.Is(err, projection.ErrNoPrincipal) {
		return "none"
	}
	if err != nil {
		return err.Error()
	}
	r := authz.Request{Principal: &p.Principal, Action: action, Resource: "*"}
	r.FillGlobals(&authz.Globals{})
	return p.Evaluate(&r).Outcome.String()
}

// fresh is a projection that has seen nothing but one state.
func fresh(state *identity.State, head event.Head) *projection.View {
	p := projection.New()
	p.Adopt(state, head)
	return p.View()
}
