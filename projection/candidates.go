package projection

import (
	"cmp"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/projection/policy"
	"github.com/writ-iam/writ/projection/policy/syntax"
)

// Place is where a walk through principals is: they come by account, in each its root, its
// users and its roles, by name. The zero Place is before all.
type Place struct {
	Account identity.AccountID
	Stage   Stage
	Name    string
}

// Stage is the kind of principals that a walk is at, in an account.
type Stage uint8

// The stages, in their order.
const (
	StageRoot Stage = iota + 1
	StageUsers
	StageRoles
)

// Work that it takes to look at a principal, or to make one.
const (
	lookCost = 200
	makeCost = 2000
)

// Taker takes principals.
type Taker interface {
	// Take takes one, and tells whether it wants more.
	Take(Place, *Principal) bool
}

// Candidates gives a taker the principals behind a place that may be allowed an action at
// all: the roots, and the users and roles that have an Allow which covers it, whatever its
// resource and conditions. With every, which an action needs that no policy of the principal
// must allow, they are all users and roles. It ends when that says so, or when the work
// does. Documents and groups are looked at once.
func (v *View) Candidates(action string, every bool, after Place, w *policy.Work, to Taker) {
	c := candidates{view: v, action: action, every: every, work: w, managed: map[identity.ID]bool{}, groups: map[identity.ID]bool{}, to: to}
	for _, a := range v.State.Accounts() {
		if a.Closed != 0 || cmp.Compare(a.ID, after.Account) < 0 {
			continue
		}
		from := Place{}
		if a.ID == after.Account {
			from = after
		}
		if !c.account(a, from) {
			return
		}
	}
}

// candidates is one walk.
type candidates struct {
	view    *View
	action  string
	every   bool
	work    *policy.Work
	managed map[identity.ID]bool // managed policies that have an Allow for the action
	groups  map[identity.ID]bool // and groups
	to      Taker
}

func (c *candidates) account(a *identity.Account, from Place) bool {
	more := from.Stage >= StageRoot || c.work.Spend(makeCost) && c.to.Take(Place{a.ID, StageRoot, ""}, c.view.root(a))
	name := func(s Stage) string {
		if from.Stage == s {
			return from.Name
		}
		return ""
	}
	if more && from.Stage <= StageUsers {
		c.view.State.Users(a.ID, name(StageUsers), func(u *identity.User) bool {
			more = c.one(Place{a.ID, StageUsers, u.Name}, u.ID, c.user(u))
			return more
		})
	}
	if more {
		c.view.State.Roles(a.ID, name(StageRoles), func(r *identity.Role) bool {
			more = c.one(Place{a.ID, StageRoles, r.Name}, r.ID, c.holds(r.Attached, r.Inline))
			return more
		})
	}
	return more
}

// one yields a principal, if it is a candidate.
func (c *candidates) one(at Place, id identity.ID, is bool) bool {
	if !is && !c.every {
		return c.work.Spend(lookCost)
	}
	if !c.work.Spend(makeCost) {
		return false
	}
	p, err := c.view.Principal(id)
	return err != nil || c.to.Take(at, p)
}

func (c *candidates) user(u *identity.User) bool {
	for _, id := range u.Groups {
		has, known := c.groups[id]
		if !known {
			if g, ok := c.view.State.GroupByID(id); ok {
				has = c.holds(g.Attached, g.Inline)
			}
			c.groups[id] = has
		}
		if has {
			return true
		}
	}
	return c.holds(u.Attached, u.Inline)
}

func (c *candidates) holds(attached []identity.ID, inline []identity.InlinePolicy) bool {
	for _, id := range attached {
		has, known := c.managed[id]
		if !known {
			if m, ok := c.view.State.PolicyByID(id); ok {
				has = c.allows(m.Document())
			}
			c.managed[id] = has
		}
		if has {
			return true
		}
	}
	for i := range inline {
		if c.allows(inline[i].Document) {
			return true
		}
	}
	return false
}

// allows tells whether a document has an Allow that covers the action.
func (c *candidates) allows(text string) bool {
	statements := c.view.engine.compile(text).Statements
	for i := range statements {
		if s := &statements[i]; s.Effect == syntax.Allow && s.MatchActionWithin(c.action, c.work) {
			return true
		}
	}
	return false
}
