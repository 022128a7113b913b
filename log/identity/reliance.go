package identity

import (
	"crypto/sha256"
	"fmt"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/table"
)

// Reliance is one thing that an authorization took from a state: what it looked
// up, and what it found there. A command is decided only in a state where all that
// it was authorized against is found again.
type Reliance struct {
	Lookup Lookup
	// Found is the fingerprint of the target; zero where there was none.
	Found Fingerprint
}

// MaxReliances is how many targets one command may be authorized against. A trust
// policy at its quota names fewer.
const MaxReliances = 256

// Lookup names a target.
type Lookup struct {
	By      By
	Kind    Kind      // where By is ByName or ByProviderARN
	Account AccountID // where By is ByName
	Text    string    // a name, an ARN, a unique identifier or the id of an access key, as By says
}

// By is how a target is looked up, and stands for what its fingerprint covers, too.
// Numbers are stored: append, never reorder or reuse. Whoever lets authorizations
// see more of a target, or makes fingerprints another way, gives new numbers:
// entries of the log are decided again when a node starts.
type By uint8

// The ways to look a target up.
const (
	ByName By = 1 // the entity of an account that has the name; not policies and providers
	ByARN  By = 2 // the managed policy
	ByID   By = 3 // the entity of any kind
	ByKey  By = 4 // the user whose access key it is

	ByProviderARN By = 5 // the provider of identities

	ByContent By = 6 // the managed policy, with the position of its latest change: what it grants
)

// Known says whether this build knows the way.
func (b By) Known() bool { return ByName <= b && b <= ByContent }

// Target is all that an authorization may see of an entity.
// It has no more: the rest, such as inline policies, may change between an
// authorization and the decision.
type Target struct {
	Kind     Kind
	ID       ID
	Account  AccountID
	Name     string
	Path     string
	Boundary string // ARN of the policy that bounds a user or role; empty for none
	Tags     []Tag
	In       Partition // the cluster's
	Changed  Position  // by ByContent alone: when what it grants changed last
}

// ARN is that of the entity.
func (t *Target) ARN() string { return t.In.ARN(t.Kind, t.Account, t.Path, t.Name) }

// Fingerprint is the SHA-256 of a target. It is one that nobody can make two
// targets for: tags are chosen by those whom it is to contain.
type Fingerprint [sha256.Size]byte

func (t *Target) fingerprint() Fingerprint {
	b := make([]byte, 0, 256)
	b = digest.AppendInt(b, t.Kind)
	b = digest.AppendString(b, t.ID)
	b = digest.AppendString(b, t.Account)
	b = digest.AppendString(b, t.Name)
	b = digest.AppendString(b, t.Path)
	b = digest.AppendString(b, t.Boundary)
	b = appendTags(b, t.Tags)
	if t.Changed != 0 {
		b = digest.AppendInt(b, uint64(t.Changed))
	}
	return sha256.Sum256(b)
}

// target finds what a lookup names, which is nothing in an account that is closed.
func (s *State) target(l Lookup) (Target, bool) {
	var h held
	var ok bool
	var changed Position
	switch l.By {
	case ByName:
		if l.Kind.named() {
			h, ok = s.heldByName(l.Kind, l.Account, l.Text)
		}
	case ByProviderARN:
		h, ok = s.heldByARN(l.Kind, l.Text)
	case ByARN, ByContent:
		var p *Policy
		if p, ok = s.Policy(l.Text); ok {
			h = p.held()
		}
		if ok && l.By == ByContent {
			changed = p.Changed
		}
	case ByID:
		var kind Kind
		if kind, ok = s.KindOf(ID(l.Text)); ok {
			h, ok = s.held(kind, table.HandleOf(ID(l.Text)))
		}
	case ByKey:
		var u *User
		key, _ := s.AccessKey(l.Text)
		if u, ok = s.users.Get(key.Owner); ok {
			h = u.held()
		}
	}
	if !ok || s.Closed(h.account) {
		return Target{}, false
	}
	t := Target{In: s.partition, Kind: h.kind, ID: h.id, Account: h.account, Name: h.name, Path: h.path, Changed: changed}
	if h.tags != nil {
		t.Tags = *h.tags
	}
	if h.boundary != nil {
		if p, ok := s.policies.Get(*h.boundary); ok {
			t.Boundary = p.ARN()
		}
	}
	return t, true
}

// uphold refuses what was authorized against targets of which one is another now:
// made, deleted, made again under its name, moved, tagged or bounded since.
func (s *State) uphold(on []Reliance) *Refusal {
	for i := range on {
		var found Fingerprint
		t, ok := s.target(on[i].Lookup)
		if ok {
			found = t.fingerprint()
		}
		if found != on[i].Found || !on[i].Lookup.By.Known() {
			return refuse(StaleAuthorization, "What %s names is not what the command was authorized against.", on[i].Lookup)
		}
	}
	return nil
}

// String names the lookup for a refusal.
func (l Lookup) String() string {
	if l.By == ByName {
		return fmt.Sprintf("the %s name %s", l.Kind.Noun(), l.Text)
	}
	return l.Text
}

// Witness looks targets up in a state and notes what it told of them, so that
// whoever authorizes by it cannot forget what the authorization relies on. One
// goroutine may use it.
type Witness struct {
	state *State
	told  []told
}

type told struct {
	lookup Lookup
	target Target
	found  bool
}

// NewWitness returns a witness of a state that does not change.
func NewWitness(s *State) *Witness { return &Witness{state: s} }

// Find tells what an authorization may know of a target, if there is one.
func (w *Witness) Find(l Lookup) (Target, bool) {
	for i := range w.told {
		if w.told[i].lookup == l {
			return w.told[i].target, w.told[i].found
		}
	}
	t, ok := w.state.target(l)
	w.told = append(w.told, told{l, t, ok})
	return t, ok
}

// Partition is the cluster's. Nothing relies on it: it never changes.
func (w *Witness) Partition() Partition { return w.state.partition }

// Holds tells whether there is an account. Nothing relies on it: accounts do not go, and
// of one that comes later it is as if the command had come before it. Closed ones are held.
func (w *Witness) Holds(account AccountID) bool {
	_, ok := w.state.Account(account)
	return ok
}

// Foresee tells what the state refuses a command with that is decided at a time; nil if it
// would accept it. Nothing relies on it: a command that is refused is not proposed, and
// one that is proposed is decided by itself. So whoever has much to do for a command may
// first ask for one that lacks what comes of it.
func (w *Witness) Foresee(at Time, c Command) error {
	_, err := c.decide(w.state, Meta{Time: at, Rules: RulesAt(w.state.Cluster().FeatureLevel)})
	return err
}

// Reliances are what the witness was asked, with what it told.
func (w *Witness) Reliances() (on []Reliance) {
	for i := range w.told {
		r := Reliance{Lookup: w.told[i].lookup}
		if w.told[i].found {
			r.Found = w.told[i].target.fingerprint()
		}
		on = append(on, r)
	}
	return on
}
