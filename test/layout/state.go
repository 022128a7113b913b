package layout

import (
	"errors"
	"testing"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/projection"
)

// State is that of a cluster c which has just begun, folded up to a position, and the
// head of that position, whose hash is zero.
func State(t testing.TB, incarnation string, at event.Position) (*identity.State, event.Head) {
	t.Helper()
	s := identity.NewState()
	events, err := identity.Decide(s, identity.Meta{}, &identity.Bootstrap{
		Cluster: "c", Incarnation: incarnation, Account: setup.DefaultAccount, RootKey: identity.NewAccessKey{ID: "AKIAROOTROOTROOT0000"},
	})
	if err != nil {
		t.Fatal(err)
	}
	identity.Evolve(s, at, identity.Meta{}, events)
	return s, event.Head{Position: at}
}

// Alter changes a record in a node's memory, as a flipped bit would: that of a user of
// the first account. Altered twice, it is as it was.
//
//go:norace
func Alter(p *projection.Projection, user string) error {
	u, ok := p.View().State.User(setup.DefaultAccount, user)
	if !ok {
		return errors.New("no such user")
	}
	u.Changed ^= 1 << 40
	return nil
}
