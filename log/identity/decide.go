package identity

// Authority is what the proposer relied on when it authorized a command.
// The zero Authority is the cluster itself, which needs no permission.
type Authority struct {
	Account    AccountID
	Principal  ID     // user ID; the account's number for its root
	Credential string // access key ID
	// AuthorizedAt is the position of the view in which the permission was found.
	AuthorizedAt Position
}

// Meta is what the proposer resolved for a command besides its content.
type Meta struct {
	Time Time
	// Key identifies the attempt: commands with one Key take effect at most once.
	// The zero Key is never remembered.
	Key Key
	By  Authority
}

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

// Decide returns the events that carry c out in the state s, or a *Refusal.
// It reads s and changes nothing. Equal state, meta and command give equal events.
func Decide(s *State, m Meta, c Command) ([]Event, error) {
	if r := s.contain(m.By); r != nil {
		return nil, r
	}
	events, err := c.decide(s, m)
	if err != nil {
		return nil, err
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
// deleted, deactivated, or had its permissions changed: after a credential's
// deletion it can author nothing, at any concurrency.
func (s *State) contain(by Authority) *Refusal {
	if by == (Authority{}) {
		return nil
	}
	key, ok := s.AccessKey(by.Credential)
	switch {
	case !ok || key.Owner != by.Principal:
		return refuse(StaleAuthorization, "The access key %s no longer exists.", by.Credential)
	case !key.Active:
		return refuse(StaleAuthorization, "The access key %s is inactive.", by.Credential)
	case s.PermissionsChanged(by.Principal) > by.AuthorizedAt:
		return refuse(StaleAuthorization, "The permissions of %s changed after position %d.", by.Principal, by.AuthorizedAt)
	}
	return nil
}
