package identity

import (
	"slices"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/table"
)

// LoginProfile is what a user signs in with: a password, of which the log holds a
// sealed hash. A user has one or none.
type LoginProfile struct {
	User      ID
	Account   AccountID
	Created   Time
	Passwords [][]byte // sealed hashes, the one in force first; the others may not come again
	Set       Time     // when the one in force was set
	SetAt     Position // and where: it names that password
	Reset     bool     // the user must choose another at the next sign-in
}

// NewPassword is a password that the proposer has hashed and sealed, with what that
// was for. It is refused as stale when that is another by then.
type NewPassword struct {
	User   ID       // whose password it is to be
	Policy Position // where the account's password policy, which it meets, was set; zero: none
	Sealed []byte   // empty in a repetition of an attempt, which only the first one's answer is for
}

// Handle makes a LoginProfile a record of a table, by its user, as do Is and AppendDigest.
func (p *LoginProfile) Handle() table.Handle { return table.HandleOf(p.User) }

// Is tells whether the LoginProfile is of that user.
func (p *LoginProfile) Is(key string) bool { return string(p.User) == key }

// AppendDigest appends all that the LoginProfile has.
func (p *LoginProfile) AppendDigest(b []byte) []byte {
	b = digest.AppendString(b, "login-profile")
	b = digest.AppendString(b, p.User)
	b = digest.AppendString(b, p.Account)
	b = digest.AppendInt(b, int64(p.Created))
	b = digest.AppendInt(b, len(p.Passwords))
	for _, sealed := range p.Passwords {
		b = digest.AppendString(b, sealed)
	}
	b = digest.AppendInt(b, int64(p.Set))
	b = digest.AppendInt(b, uint64(p.SetAt))
	return digest.AppendBool(b, p.Reset)
}

// Expires is when the password must be changed under a policy, which may be nil; zero: never.
func (p *LoginProfile) Expires(under *PasswordPolicy) Time {
	if under == nil || under.MaxAge == 0 {
		return 0
	}
	return p.Set + Time(under.MaxAge)*day
}

// Expired tells whether the password must be changed by now, under a policy, which may be nil.
func (p *LoginProfile) Expired(under *PasswordPolicy, now Time) bool {
	at := p.Expires(under)
	return at != 0 && at <= now
}

// LoginProfile returns the login profile of the user with that unique identifier.
func (s *State) LoginProfile(user ID) (*LoginProfile, bool) { return s.loginProfiles.Get(user) }

// LoginProfile returns a user's login profile, if it has one. Nothing relies on it: a
// command that was made by what is in it says which password that was.
func (w *Witness) LoginProfile(user ID) (*LoginProfile, bool) { return w.state.LoginProfile(user) }

// Alias returns an account's alias. Nothing relies on it.
func (w *Witness) Alias(account AccountID) string {
	if a, ok := w.state.Account(account); ok {
		return a.Alias
	}
	return ""
}

// CreateLoginProfile gives a user a first password.
type CreateLoginProfile struct {
	Account  AccountID
	User     string
	Password NewPassword
	Reset    bool
}

// LoginProfileCreated gave a user a first password.
type LoginProfileCreated struct {
	Account AccountID
	User    ID
	Sealed  []byte
	Reset   bool
	Created Time
}

func (c *CreateLoginProfile) decide(s *State, m Meta) ([]Event, error) {
	u, err := s.mustUser(c.Account, c.User)
	if err != nil {
		return nil, err
	}
	if _, there := s.LoginProfile(u.ID); there {
		return nil, refuse(EntityAlreadyExists, "Login Profile for user %s already exists.", u.Name)
	}
	if err := s.mayTake(u, &c.Password); err != nil {
		return nil, err
	}
	return []Event{&LoginProfileCreated{Account: u.Account, User: u.ID, Sealed: c.Password.Sealed, Reset: c.Reset, Created: m.Time}}, nil
}

func (e *LoginProfileCreated) evolve(s *State) {
	s.loginProfiles.Put(&LoginProfile{User: e.User, Account: e.Account, Created: e.Created, Passwords: [][]byte{e.Sealed},
		Set: e.Created, SetAt: s.position, Reset: e.Reset})
}

// UpdateLoginProfile sets another password for a user, or whether the user must choose
// another one. Nil fields stay as they are.
type UpdateLoginProfile struct {
	Account  AccountID
	User     string
	Instead  Position // where the password was set that Password is to replace
	Password *NewPassword
	Reset    *bool
}

// LoginProfileUpdated set whether a user must choose another password.
type LoginProfileUpdated struct {
	User  ID
	Reset bool
}

// PasswordSet replaced a user's password.
type PasswordSet struct {
	User   ID
	Sealed []byte
	Keep   uint32 // how many passwords are kept, this one among them
	Set    Time
}

func (c *UpdateLoginProfile) decide(s *State, m Meta) ([]Event, error) {
	u, p, err := s.mustSignIn(c.Account, c.User)
	if err != nil {
		return nil, err
	}
	var events []Event
	if c.Password != nil {
		if err := s.mayReplace(u, p, c.Instead, c.Password); err != nil {
			return nil, err
		}
		events = append(events, s.passwordSet(u, c.Password, m))
	}
	e := &LoginProfileUpdated{User: u.ID, Reset: p.Reset}
	if c.Reset != nil {
		e.Reset = *c.Reset
	}
	return append(events, e), nil
}

func (e *LoginProfileUpdated) evolve(s *State) {
	changeRecord(&s.loginProfiles, e.User, func(p *LoginProfile) bool {
		p.Reset = e.Reset
		return true
	})
}

func (e *PasswordSet) evolve(s *State) {
	changeRecord(&s.loginProfiles, e.User, func(p *LoginProfile) bool {
		p.Passwords = slices.Concat([][]byte{e.Sealed}, p.Passwords)
		p.Passwords = slices.Clip(p.Passwords[:min(len(p.Passwords), int(e.Keep))])
		p.Set, p.SetAt = e.Set, s.position
		return true
	})
}

// ChangePassword replaces a user's password by the user's own wish: whoever proposes it
// was told the password that Instead names.
type ChangePassword struct {
	Account  AccountID
	User     string
	Instead  Position // where the password was set that the user knew
	Password NewPassword
}

func (c *ChangePassword) decide(s *State, m Meta) ([]Event, error) {
	// The policy may have been what allowed the user to ask: it comes before any answer.
	if err := s.mayCheck(c.Account, &c.Password); err != nil {
		return nil, err
	}
	u, p, err := s.mustSignIn(c.Account, c.User)
	if err != nil {
		return nil, err
	}
	if err := s.mayReplace(u, p, c.Instead, &c.Password); err != nil {
		return nil, err
	}
	return []Event{s.passwordSet(u, &c.Password, m), &LoginProfileUpdated{User: u.ID}}, nil
}

// DeleteLoginProfile takes a user's password away.
type DeleteLoginProfile struct {
	Account AccountID
	User    string
}

// LoginProfileDeleted took a user's password away.
type LoginProfileDeleted struct {
	User ID
}

func (c *DeleteLoginProfile) decide(s *State, _ Meta) ([]Event, error) {
	u, _, err := s.mustSignIn(c.Account, c.User)
	if err != nil {
		return nil, err
	}
	return []Event{&LoginProfileDeleted{User: u.ID}}, nil
}

func (e *LoginProfileDeleted) evolve(s *State) {
	if p, ok := s.LoginProfile(e.User); ok {
		s.loginProfiles.Delete(p)
	}
}

// mustSignIn finds a user that has a login profile.
func (s *State) mustSignIn(account AccountID, name string) (*User, *LoginProfile, error) {
	u, err := s.mustUser(account, name)
	if err != nil {
		return nil, nil, err
	}
	p, ok := s.LoginProfile(u.ID)
	if !ok {
		return nil, nil, refuse(NoSuchEntity, "Login Profile for User %s cannot be found.", u.Name)
	}
	return u, p, nil
}

// mayTake refuses a password that was made for another user or checked against another policy.
func (s *State) mayTake(u *User, n *NewPassword) error {
	switch {
	case n.User != u.ID:
		return refuse(StaleAuthorization, "The user %s is not the one that the password is for.", u.Name)
	case len(n.Sealed) == 0:
		return refuse(StaleAuthorization, "The attempt that this one repeats is not known any more.")
	}
	return s.mayCheck(u.Account, n)
}

// mayCheck refuses a password that was checked against another policy than the account's.
func (s *State) mayCheck(account AccountID, n *NewPassword) error {
	var policy Position
	if p, ok := s.PasswordPolicy(account); ok {
		policy = p.Changed
	}
	if n.Policy != policy {
		return refuse(StaleAuthorization, "The password was not checked against the account's password policy of now.")
	}
	return nil
}

// mayReplace is mayTake for a password that is to replace the one that was set at instead.
func (s *State) mayReplace(u *User, p *LoginProfile, instead Position, n *NewPassword) error {
	if p.SetAt != instead {
		return refuse(StaleAuthorization, "The password of the user %s was changed meanwhile.", u.Name)
	}
	return s.mayTake(u, n)
}

// passwordSet is the event of a new password, which keeps as many as the account's policy wants.
func (s *State) passwordSet(u *User, n *NewPassword, m Meta) *PasswordSet {
	keep := uint32(1)
	if p, ok := s.PasswordPolicy(u.Account); ok {
		keep = min(max(keep, p.Reuse), MaxPasswordReuse)
	}
	return &PasswordSet{User: u.ID, Sealed: n.Sealed, Keep: keep, Set: m.Time}
}
