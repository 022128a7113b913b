package projection

import (
	"cmp"
	"errors"
	"fmt"
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/projection/authz"
	"github.com/writ-iam/writ/projection/policy"
	"github.com/writ-iam/writ/projection/policy/syntax"
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

// good tells whether p is right in a view.
func (p *Principal) good(v *View) bool {
	at := v.Head.Position
	if p.changed <= at && at <= event.Position(p.through.Load()) {
		return true
	}
	if v.State.PermissionsChanged(identity.ID(p.ID)) != p.changed { // zero if it is gone
		return false
	}
	raise(&p.through, uint64(at))
	return true
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

// Principal returns the principal with a unique identifier: a user's, a role's,
// or the number of an account for its root. Policies are compiled once and kept
// while they do not change. The error is ErrNoPrincipal.
func (v *View) Principal(id identity.ID) (*Principal, error) {
	kept := v.engine.byID.slot(string(id))
	old := kept.Load()
	if old != nil && old.ID == string(id) && old.good(v) {
		return old, nil
	}
	p := v.find(id)
	if p == nil {
		return nil, noPrincipal(string(id))
	}
	keep(kept, old, p)
	return p, nil
}

// find makes the principal with an identifier; nil without one. Of an account that is closed
// there is none, whatever names it.
func (v *View) find(id identity.ID) *Principal {
	if u, ok := v.State.UserByID(id); ok && !v.State.Closed(u.Account) {
		return v.user(u)
	}
	if r, ok := v.State.RoleByID(id); ok && !v.State.Closed(r.Account) {
		return v.role(r)
	}
	if a, ok := v.State.Account(identity.AccountID(id)); ok && a.Closed == 0 {
		return v.root(a)
	}
	return nil
}

// PrincipalByARN is Principal for an ARN: of a user, a role or a root, or of a
// session of a role (arn:PARTITION:sts::ACCOUNT:assumed-role/ROLE/SESSION). One of another
// partition than the cluster's names nobody. The error is ErrNoPrincipal.
func (v *View) PrincipalByARN(arn string) (*Principal, error) {
	kept := v.engine.byARN.slot(arn)
	old := kept.Load()
	if old != nil && old.ARN == arn && old.good(v) {
		return old, nil
	}
	rest, ok := strings.CutPrefix(arn, v.State.Partition().IAM())
	if !ok {
		return v.session(arn)
	}
	p := v.named(rest)
	if p == nil || p.ARN != arn { // with this path, in these letters
		return nil, noPrincipal(arn)
	}
	keep(kept, old, p)
	return p, nil
}

// Issuer returns the ARN of the role that the ARN of a session is of; empty for what is
// no session of a role of the state.
func (v *View) Issuer(arn string) string {
	if !strings.HasPrefix(arn, v.State.Partition().STS()) {
		return ""
	}
	if r, _ := v.sessionRole(arn); r != nil {
		return r.ARN()
	}
	return ""
}

// sessionRole is the role that the ARN of a session names, and the session's name; nil
// without one.
func (v *View) sessionRole(arn string) (role *identity.Role, session string) {
	rest, _ := strings.CutPrefix(arn, v.State.Partition().STS())
	account, resource, _ := strings.Cut(rest, ":assumed-role/")
	name, session, _ := strings.Cut(resource, "/")
	r, ok := v.State.Role(identity.AccountID(account), name)
	if !ok || v.State.Closed(r.Account) || session == "" || rest == arn || r.Name != name {
		return nil, ""
	}
	return r, session
}

// named makes the principal that an ARN names behind its head; nil without one.
func (v *View) named(rest string) *Principal {
	account, resource, _ := strings.Cut(rest, ":")
	if v.State.Closed(identity.AccountID(account)) {
		return nil
	}
	noun, path, _ := strings.Cut(resource, "/")
	name := path[strings.LastIndexByte(path, '/')+1:]
	switch noun {
	case "root":
		if a, ok := v.State.Account(identity.AccountID(account)); ok {
			return v.root(a)
		}
	case "user":
		if u, ok := v.State.User(identity.AccountID(account), name); ok {
			return v.user(u)
		}
	case "role":
		if r, ok := v.State.Role(identity.AccountID(account), name); ok {
			return v.role(r)
		}
	}
	return nil
}

func noPrincipal(name string) error { return fmt.Errorf("%w: %s", ErrNoPrincipal, name) }

// session returns a role's principal as one of its sessions.
func (v *View) session(arn string) (*Principal, error) {
	r, session := v.sessionRole(arn)
	if r == nil {
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

// user, role and root make principals of records of the view.
func (v *View) user(u *identity.User) *Principal {
	layers := v.layers(authz.SourceUser, u.Name, u.Attached, u.Inline, u.Boundary)
	for _, g := range u.Groups {
		if set := v.group(g); set != nil {
			layers.Identity = append(layers.Identity, set)
		}
	}
	return v.principal(layers, authz.Principal{
		Type: authz.User, ARN: u.ARN(), Account: string(u.Account), ID: string(u.ID), Name: u.Name, Tags: tags(u.Tags),
	})
}

func (v *View) role(r *identity.Role) *Principal {
	return v.principal(v.layers(authz.SourceRole, r.Name, r.Attached, r.Inline, r.Boundary), authz.Principal{
		Type: authz.Role, ARN: r.ARN(), Account: string(r.Account), ID: string(r.ID), Name: r.Name, Tags: tags(r.Tags),
	})
}

func (v *View) root(a *identity.Account) *Principal {
	return v.principal(authz.Layers{}, authz.Principal{
		Type: authz.Root, ARN: v.State.Partition().RootARN(a.ID), Account: string(a.ID), ID: string(a.ID),
	})
}

func (v *View) principal(layers authz.Layers, is authz.Principal) *Principal {
	p := &Principal{Principal: is, Prepared: authz.Prepare(layers), changed: v.State.PermissionsChanged(identity.ID(is.ID))}
	p.through.Store(uint64(v.Head.Position))
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
		if m, ok := v.State.PolicyByID(id); ok {
			list = append(list, v.managed(m, holder))
		}
	}
	for _, p := range inline {
		list = append(list, authz.Policy{Name: p.Name, Source: source, Holder: holder, Document: v.engine.compile(p.Document)})
	}
	return list
}

// managed is a managed policy as one of a holder's.
func (v *View) managed(m *identity.Policy, holder string) authz.Policy {
	source := authz.SourceUserManaged
	if m.Account == identity.AWSAccount {
		source = authz.SourceAWSManaged
	}
	return authz.Policy{Name: m.Name, ARN: m.ARN(), Source: source, Holder: holder, Document: v.engine.compile(m.Document())}
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
		v.engine.groups.put(id, groupSet{set, changed}, 1)
	}
	return set
}

type groupSet struct {
	set     *authz.Set
	changed event.Position
}

// Limits bound what a projection keeps compiled; zero fields are as nodes have them that are
// processes of their own. A cache that is full starts anew; principals replace each other.
type Limits struct {
	// Principals are kept by ARN, and as many by identifier; 0 for 131,072. What their policies are
	// compiled to stays with them.
	Principals int
	// Groups are kept with the sets of their policies, and as many roles with their trust policies;
	// 0 for 16,384.
	Groups int
	// Documents is of bytes: of texts, of which a state may hold no trace any more, and of what
	// they are compiled to, which can be 60 times as much; 0 for 512 MiB.
	Documents int64
}

// complete returns l with the defaults where l has nothing.
func (l Limits) complete() Limits {
	return Limits{cmp.Or(l.Principals, maxPrincipals), cmp.Or(l.Groups, maxGroups), cmp.Or(l.Documents, maxDocuments)}
}

const (
	maxPrincipals = 1 << 17
	maxGroups     = 1 << 14
	maxDocuments  = 512 << 20
	// documentOverhead is what keeping one takes besides, in bytes.
	documentOverhead = 512
)

// engine keeps what is costly to make from a view. What it keeps is named by
// position or content, so that it is right for every view of one history.
type engine struct {
	byARN, byID slots
	groups      cache[identity.ID, groupSet]
	trusts      cache[identity.ID, trust] // of roles
	documents   cache[string, *policy.Policy]
}

func newEngine(l Limits) *engine {
	e := &engine{byARN: newSlots(l.Principals), byID: newSlots(l.Principals)}
	e.groups.limit, e.trusts.limit, e.documents.limit = int64(l.Groups), int64(l.Groups), l.Documents
	return e
}

// compile returns the compiled document. The log holds only documents that were
// valid when they were stored; should one not parse any more, it grants nothing
// and denies everything, for a denial in it must not be lost.
func (e *engine) compile(text string) *policy.Policy {
	if p, ok := e.documents.get(text); ok {
		return p
	}
	doc, err := syntax.Parse(text)
	if err != nil {
		doc, err = syntax.Parse(`{"Version":"2012-10-17","Statement":{"Sid":"Unreadable","Effect":"Deny","Action":"*","Resource":"*"}}`)
		if err != nil {
			panic(err) // a constant
		}
	}
	p := policy.Compile(doc)
	e.documents.put(text, p, int64(len(text)+p.Size()+documentOverhead))
	return p
}

// slots keep principals, each where the hash of its ARN or identifier says, in the
// place of whoever was there. With more principals than slots a look-up that finds
// nothing costs one cache miss, and nothing is ever cleared.
type slots struct {
	seed maphash.Seed
	at   []atomic.Pointer[Principal]
}

func newSlots(n int) slots {
	return slots{maphash.MakeSeed(), make([]atomic.Pointer[Principal], n)}
}

func (s *slots) slot(key string) *atomic.Pointer[Principal] {
	return &s.at[maphash.String(s.seed, key)%uint64(len(s.at))]
}

// keep puts p into a slot where old was found, unless that is the same principal as
// of a later position.
func keep(slot *atomic.Pointer[Principal], old, p *Principal) {
	if old == nil || old.ID != p.ID || old.changed < p.changed {
		slot.CompareAndSwap(old, p) // who was quicker is as good
	}
}

// cache is a bounded map that many read at once. When it is full it is emptied,
// which costs the time to fill it again and nothing else.
type cache[K comparable, V any] struct {
	limit int64
	cost  atomic.Int64 // of what it holds
	m     sync.Map
}

func (c *cache[K, V]) get(key K) (v V, ok bool) {
	x, ok := c.m.Load(key)
	if ok {
		v = x.(V)
	}
	return v, ok
}

// put keeps a value, which costs what any of its key does.
func (c *cache[K, V]) put(key K, v V, cost int64) {
	if _, there := c.m.Swap(key, v); there {
		return
	}
	if c.cost.Add(cost) > c.limit {
		c.m.Clear()
		c.m.Store(key, v)
		c.cost.Store(cost)
	}
}
