package identity

// Authority is what the proposer relied on when it authorized a command.
// The zero Authority is the cluster itself, which needs no permission.
type Authority struct {
	Account    AccountID
	Principal  ID     // user ID; the account's number for its root
	Credential string // access key ID, also of a session
	// AuthorizedAt is the position of the view in which the permission was found.
	AuthorizedAt Position
	// Session is that of temporary credentials; zero for an access key.
	Session Session
}

// Meta is what the proposer resolved for a command besides its content.
type Meta struct {
	Time Time
	// Key identifies the attempt: commands with one Key take effect at most once.
	// The zero Key is never remembered.
	Key Key
	By  Authority
	// Signature is that of the request; see Signature.
	Signature Signature
	Rules     Rules
}

// Rules are what Decide and Evolve go by. What is in a log is decided again whenever it
// is read, and must come out as it did: a change of what commands and events that are
// there already come to is a number more, and the rules before it stay.
type Rules uint8

// The rules there have been.
const (
	// FirstRules are those of whatever does not name any.
	FirstRules Rules = 0
	// BoundedRules refuse attempts that cannot be told apart, forget none that was signed
	// ahead before its time, and bound the white space of inline policies.
	BoundedRules Rules = 1
	// LevelRules begin a cluster at feature level 2.
	LevelRules Rules = 2
	// CurrentRules are the newest. New commands are put into the log by RulesAt.
	CurrentRules = LevelRules
)

// Command asks for a change. Each implementation is the noun's own, in the noun's file.
type Command interface {
	// decide returns the events that carry the command out in s, or a refusal.
	// An accepted command has at least one event.
	decide(s *State, m Meta) ([]Event, error)
}

// Event is a change that was accepted.
type Event interface {
	// evolve folds the event into s. It cannot fail.
	evolve(s *State)
}

// Decide returns the events that carry c out in the state s, or a *Refusal. It is
// told what c was authorized against. It reads s and changes nothing. Equal state,
// meta, command and reliances give equal events.
func Decide(s *State, m Meta, c Command, on ...Reliance) ([]Event, error) {
	if r := s.contain(&m.By, m.Time); r != nil {
		return nil, r
	}
	if r := s.uphold(on); r != nil {
		return nil, r
	}
	if r := s.recall(m); r != nil {
		return nil, r
	}
	events, err := c.decide(s, m)
	if err != nil {
		return nil, err
	}
	if r := s.mustSeal(events); r != nil {
		return nil, r
	}
	return events, nil
}

// Evolve folds the events of one accepted command into s, as the command at
// position at. It cannot fail.
func Evolve(s *State, at Position, m Meta, events []Event) {
	s.begin(at, m)
	for _, e := range events {
		e.evolve(s)
	}
}

// contain refuses what was authorized by a credential that has since been
// deleted, deactivated, revoked, or had its permissions changed: after a credential's
// deletion it can author nothing, at any concurrency.
func (s *State) contain(by *Authority, at Time) *Refusal {
	switch {
	case *by == (Authority{}):
		return nil
	case by.Session != (Session{}):
		if r := s.containSession(by, at); r != nil {
			return r
		}
	default:
		if r := s.containKey(by); r != nil {
			return r
		}
	}
	if s.PermissionsChanged(by.Principal) > by.AuthorizedAt {
		return refuse(StaleAuthorization, "The permissions of %s changed after position %d.", by.Principal, by.AuthorizedAt)
	}
	return nil
}

// containKey refuses what was authorized by an access key that is no longer good.
func (s *State) containKey(by *Authority) *Refusal {
	key, ok := s.AccessKey(by.Credential)
	switch {
	case !ok || key.Owner != by.Principal:
		return refuse(StaleAuthorization, "The access key %s no longer exists.", by.Credential)
	case !key.Active:
		return refuse(StaleAuthorization, "The access key %s is inactive.", by.Credential)
	}
	return nil
}

// PermissionsChanged is the latest position at which anything changed that can
// change what a principal is allowed: the user or role itself, its groups, the
// policies attached to it or them, its boundary. The root of an account is
// named by the account's number. It is zero for a principal that does not exist, or whose
// account is closed.
func (s *State) PermissionsChanged(principal ID) Position {
	u, ok := s.users.Get(principal)
	if !ok {
		if r, ok := s.roles.Get(principal); ok && !s.Closed(r.Account) {
			return s.latestChange(r.Changed, r.Attached, r.Boundary)
		}
		if a, ok := s.accounts.Get(AccountID(principal)); ok && a.Closed == 0 {
			return a.Changed
		}
		return 0
	}
	if s.Closed(u.Account) {
		return 0
	}
	latest := s.latestChange(u.Changed, u.Attached, u.Boundary)
	for _, id := range u.Groups {
		if g, ok := s.groups.Get(id); ok {
			latest = max(latest, s.latestChange(g.Changed, g.Attached, ""))
		}
	}
	return latest
}

func (s *State) latestChange(own Position, attached []ID, boundary ID) Position {
	for _, id := range attached {
		if p, ok := s.policies.Get(id); ok {
			own = max(own, p.Changed)
		}
	}
	if p, ok := s.policies.Get(boundary); ok {
		own = max(own, p.Changed)
	}
	return own
}
