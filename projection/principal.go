package projection

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/projection/policy"
)

// ErrNoPrincipal is returned when an ARN or ID names no principal in the view.
var ErrNoPrincipal = errors.New("no such principal")

// Principal is a user, a role or a root as of one view, ready for decisions.
type Principal struct {
	authz.Principal
	*authz.Prepared

	// changed is the position of the latest change to anything that the
	// principal's permissions depend on; with the ID it determines the content.
	changed event.Position
	// through is the latest position at which changed was found to be so still.
	through atomic.Uint64
}

// good tells without looking anything up that p is right at a position.
func (p *Principal) good(at event.Position) bool {
	return p.changed <= at && at <= event.Position(p.through.Load())
}

// Principal returns the principal with a unique identifier: a user's, a role's,
// or the number of an account for its root. Policies are compiled once and kept
// while they do not change. The error is ErrNoPrincipal.
func (v *View) Principal(id identity.ID) (*Principal, error) {
	cached, ok := v.engine.principals.get(id)
	if ok && cached.good(v.Head.Position) {
		return cached, nil
	}
	if !v.exists(id) {
		return nil, noPrincipal(string(id))
	}
	changed := v.State.PermissionsChanged(id)
	if ok && cached.changed == changed {
		raise(&cached.through, uint64(v.Head.Position))
		return cached, nil
	}
	p := v.prepare(id)
	p.changed = changed
	p.through.Store(uint64(v.Head.Position))
	if !ok || cached.changed < changed {
		v.engine.principals.put(id, p)
	}
	return p, nil
}

// raise sets n to at least value.
func raise(n *atomic.Uint64, value uint64) {
	for {
		old := n.Load()
		if old >= value || n.CompareAndSwap(old, value) {
			return
		}
	}
}

// PrincipalByARN is Principal for an ARN: of a user, a role or a root, or of a
// session of a role (arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION). The error
// is ErrNoPrincipal.
func (v *View) PrincipalByARN(arn string) (*Principal, error) {
	rest, ok := strings.CutPrefix(arn, "arn:aws:iam::")
	if !ok {
		return v.session(arn)
	}
	account, resource, _ := strings.Cut(rest, ":")
	noun, path, _ := strings.Cut(resource, "/")
	name := path[strings.LastIndexByte(path, '/')+1:]
	var id identity.ID
	switch noun {
	case "root":
		id = identity.ID(account)
	case "user":
		if u, ok := v.State.User(identity.AccountID(account), name); ok {
			id = u.ID
		}
	case "role":
		if r, ok := v.State.Role(identity.AccountID(account), name); ok {
			id = r.ID
		}
	}
	if p, err := v.Principal(id); err == nil && p.ARN == arn { // with this path, in these letters
		return p, nil
	}
	return nil, noPrincipal(arn)
}

func noPrincipal(name string) error { return fmt.Errorf("%w: %s", ErrNoPrincipal, name) }

// session returns a role's principal as one of its sessions.
func (v *View) session(arn string) (*Principal, error) {
	rest, _ := strings.CutPrefix(arn, "arn:aws:sts::")
	account, resource, _ := strings.Cut(rest, ":assumed-role/")
	name, session, _ := strings.Cut(resource, "/")
	r, ok := v.State.Role(identity.AccountID(account), name)
	if !ok || session == "" || rest == arn || r.Name != name {
		return nil, noPrincipal(arn)
	}
	role, err := v.Principal(r.ID)
	if err != nil {
		return nil, err
	}
	p := &Principal{Principal: role.Principal, Prepared: role.Prepared}
	p.Type, p.ARN, p.Issuer, p.Name = authz.RoleSession, arn, role.ARN, session
	return p, nil
}

func (v *View) exists(id identity.ID) bool {
	if _, ok := v.State.Account(identity.AccountID(id)); ok {
		return true
	}
	kind, ok := v.State.KindOf(id)
	return ok && (kind == identity.KindUser || kind == identity.KindRole)
}

// prepare builds the principal with that ID, which exists.
func (v *View) prepare(id identity.ID) *Principal {
	p := &Principal{}
	var layers authz.Layers
	if u, ok := v.State.UserByID(id); ok {
		p.Principal = authz.Principal{Type: authz.User, ARN: u.ARN(), Account: string(u.Account), ID: string(u.ID), Name: u.Name, Tags: tags(u.Tags)}
		layers = v.layers(authz.SourceUser, u.Name, u.Attached, u.Inline, u.Boundary)
		for _, g := range u.Groups {
			if set := v.group(g); set != nil {
				layers.Identity = append(layers.Identity, set)
			}
		}
	} else if r, ok := v.State.RoleByID(id); ok {
		p.Principal = authz.Principal{Type: authz.Role, ARN: r.ARN(), Account: string(r.Account), ID: string(r.ID), Name: r.Name, Tags: tags(r.Tags)}
		layers = v.layers(authz.SourceRole, r.Name, r.Attached, r.Inline, r.Boundary)
	} else {
		account := identity.AccountID(id)
		p.Principal = authz.Principal{Type: authz.Root, ARN: identity.RootARN(account), Account: string(account), ID: string(id)}
	}
	p.Prepared = authz.Prepare(layers)
	return p
}

func tags(list []identity.Tag) []authz.Tag {
	out := make([]authz.Tag, len(list))
	for i, t := range list {
		out[i] = authz.Tag{Key: t.Key, Value: t.Value}
	}
	return out
}

// layers are what hangs on a user or role itself.
func (v *View) layers(source authz.SourceType, holder string, attached []identity.ID, inline []identity.InlinePolicy, boundary identity.ID) (l authz.Layers) {
	if own := v.policies(source, holder, attached, inline); len(own) > 0 {
		l.Identity = append(l.Identity, authz.NewSet(own...))
	}
	if boundary != "" {
		l.Boundaries = append(l.Boundaries, authz.NewSet(v.policies(source, holder, []identity.ID{boundary}, nil)...))
	}
	return l
}

func (v *View) policies(source authz.SourceType, holder string, attached []identity.ID, inline []identity.InlinePolicy) []authz.Policy {
	list := make([]authz.Policy, 0, len(attached)+len(inline))
	for _, id := range attached {
		m, ok := v.State.PolicyByID(id)
		if !ok {
			continue
		}
		managed := authz.SourceUserManaged
		if m.Account == identity.AWSAccount {
			managed = authz.SourceAWSManaged
		}
		list = append(list, authz.Policy{Name: m.Name, ARN: m.ARN(), Source: managed, Holder: holder, Document: v.engine.compile(m.Document())})
	}
	for _, p := range inline {
		list = append(list, authz.Policy{Name: p.Name, Source: source, Holder: holder, Document: v.engine.compile(p.Document)})
	}
	return list
}

// group returns the set of a group's policies, shared by its members.
func (v *View) group(id identity.ID) *authz.Set {
	g, ok := v.State.GroupByID(id)
	if !ok {
		return nil
	}
	changed := g.Changed
	for _, p := range g.Attached {
		if m, ok := v.State.PolicyByID(p); ok {
			changed = max(changed, m.Changed)
		}
	}
	cached, ok := v.engine.groups.get(id)
	if ok && cached.changed == changed {
		return cached.set
	}
	set := authz.NewSet(v.policies(authz.SourceGroup, g.Name, g.Attached, g.Inline)...)
	if !ok || cached.changed < changed {
		v.engine.groups.put(id, groupSet{set, changed})
	}
	return set
}

type groupSet struct {
	set     *authz.Set
	changed event.Position
}

// Limits of what is kept compiled. A cache that is full starts anew.
const (
	maxPrincipals = 1 << 17
	maxGroups     = 1 << 14
	maxDocuments  = 1 << 16
)

// engine keeps what is costly to make from a view. What it keeps is named by
// position or content, so that it is right for every view of one history.
type engine struct {
	principals cache[identity.ID, *Principal]
	groups     cache[identity.ID, groupSet]
	documents  cache[string, *policy.Policy]
}

func newEngine() *engine {
	e := &engine{}
	e.principals.limit, e.groups.limit, e.documents.limit = maxPrincipals, maxGroups, maxDocuments
	return e
}

// compile returns the compiled document. The log holds only documents that were
// valid when they were stored; should one not parse any more, it grants nothing
// and denies everything, for a denial in it must not be lost.
func (e *engine) compile(text string) *policy.Policy {
	if p, ok := e.documents.get(text); ok {
		return p
	}
	doc, err := policy.Parse(text)
	if err != nil {
		doc, err = policy.Parse(`{"Version":"2012-10-17","Statement":{"Sid":"Unreadable","Effect":"Deny","Action":"*","Resource":"*"}}`)
		if err != nil {
			panic(err) // a constant
		}
	}
	p := policy.Compile(doc)
	e.documents.put(text, p)
	return p
}

// cache is a bounded map that many read at once. When it is full it is emptied,
// which costs the time to fill it again and nothing else.
type cache[K comparable, V any] struct {
	limit int64
	count atomic.Int64
	m     sync.Map
}

func (c *cache[K, V]) get(key K) (v V, ok bool) {
	x, ok := c.m.Load(key)
	if ok {
		v = x.(V)
	}
	return v, ok
}

func (c *cache[K, V]) put(key K, v V) {
	if _, there := c.m.Swap(key, v); there {
		return
	}
	if c.count.Add(1) > c.limit {
		c.m.Clear()
		c.m.Store(key, v)
		c.count.Store(1)
	}
}
