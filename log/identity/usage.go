package identity

import (
	"cmp"
	"slices"
	"strings"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/table"
)

// Limits of what is kept of uses.
const (
	// MaxUses is how many uses one command tells of, and MaxUseActions how many actions
	// one use has.
	MaxUses       = 500
	MaxUseActions = 32
	// MaxUsedActions is how many actions are kept of a principal: those used latest.
	MaxUsedActions = 256
	// MaxUseText is how many bytes a region, a service or an action has at most.
	MaxUseText = 64

	// UseInterval is by how much a use must be later than the one that is kept.
	UseInterval Time = 3600 * 1000
)

// Use is what the nodes saw of a credential: its latest use, and the actions it was used
// for of late. A node verified it; its time is the node's.
type Use struct {
	// Credential is the id of an access key, the unique identifier of a role, or a
	// PasswordCredential.
	Credential string
	At         Time
	Region     string
	Service    string
	Actions    []ActionUse
}

// ActionUse is the latest use of an action, as of "iam" and "GetUser".
type ActionUse struct {
	Service string
	Name    string
	At      Time
	Region  string
}

// CredentialUse is the latest use of a credential that is kept.
type CredentialUse struct {
	Credential string
	At         Time
	Region     string
	Service    string
}

// Usage is what is kept of the uses of a principal's credentials. Nothing that anybody is
// allowed depends on it: no use makes an authorization stale.
type Usage struct {
	Owner       ID // of a user or role; the account's number for its root
	Credentials []CredentialUse
	Actions     []ActionUse // in order of service and name
}

// Handle makes a Usage a record of a table, by its key, as do Is and AppendDigest.
func (u *Usage) Handle() table.Handle { return table.HandleOf(u.Owner) }

// Is tells whether the Usage has that key.
func (u *Usage) Is(key string) bool { return string(u.Owner) == key }

// AppendDigest appends all that the Usage has.
func (u *Usage) AppendDigest(b []byte) []byte {
	b = digest.AppendString(b, "usage")
	b = digest.AppendString(b, u.Owner)
	b = digest.AppendInt(b, len(u.Credentials))
	for _, c := range u.Credentials {
		b = digest.AppendString(b, c.Credential)
		b = digest.AppendInt(b, int64(c.At))
		b = digest.AppendString(b, c.Region)
		b = digest.AppendString(b, c.Service)
	}
	b = digest.AppendInt(b, len(u.Actions))
	for _, a := range u.Actions {
		b = digest.AppendString(b, a.Service)
		b = digest.AppendString(b, a.Name)
		b = digest.AppendInt(b, int64(a.At))
		b = digest.AppendString(b, a.Region)
	}
	return b
}

// Usage returns what is kept of a principal's uses; nil for nothing.
func (s *State) Usage(owner ID) *Usage {
	u, _ := s.usages.Get(owner)
	return u
}

// Latest is the latest use of a credential that is kept. A nil Usage has none.
func (u *Usage) Latest(credential string) (CredentialUse, bool) {
	if u != nil {
		for _, c := range u.Credentials {
			if c.Credential == credential {
				return c, true
			}
		}
	}
	return CredentialUse{}, false
}

// Of is the latest use of a service that is kept. A nil Usage has none.
func (u *Usage) Of(service string) (latest ActionUse, ok bool) {
	if u == nil {
		return latest, false
	}
	for _, a := range u.Actions {
		if a.Service == service && (!ok || a.At > latest.At) {
			latest, ok = a, true
		}
	}
	return latest, ok
}

// PasswordCredential is the password of a user, or of a root by its account's number, as a
// credential that is used. What is kept of it stays when the password is gone.
func PasswordCredential(owner ID) string { return passwordPrefix + string(owner) }

const passwordPrefix = "password:"

// credentialOwner is whose a credential is: of an access key the owner, of a role itself.
func (s *State) credentialOwner(credential string) (ID, bool) {
	if key, ok := s.AccessKey(credential); ok {
		return key.Owner, true
	}
	if r, ok := s.roles.Get(ID(credential)); ok {
		return r.ID, true
	}
	if owner, ok := strings.CutPrefix(credential, passwordPrefix); ok {
		_, user := s.users.Get(ID(owner))
		_, root := s.accounts.Get(AccountID(owner))
		return ID(owner), user || root
	}
	return "", false
}

// HasCredential tells whether there is a credential that a use can be of.
func (s *State) HasCredential(credential string) bool {
	_, ok := s.credentialOwner(credential)
	return ok
}

// NoteUses keeps what nodes saw of credentials, as far as it is news by UseInterval. It
// is the nodes' word: what they cannot have seen is dropped.
type NoteUses struct{ Uses []Use }

// UseNoted keeps a use of a principal's credential.
type UseNoted struct {
	Owner ID
	Use   Use
}

func (c *NoteUses) decide(s *State, m Meta) ([]Event, error) {
	if len(c.Uses) > MaxUses {
		return nil, refuse(LimitExceeded, "Cannot note more than %d uses at once.", MaxUses)
	}
	var events []Event
	seen := make(map[string]bool, len(c.Uses))
	for i := range c.Uses {
		u := &c.Uses[i]
		owner, ok := s.credentialOwner(u.Credential)
		if !ok || seen[u.Credential] || !u.plausible(m.Time) {
			continue
		}
		if last, used := s.Usage(owner).Latest(u.Credential); used && u.At < last.At+UseInterval {
			continue
		}
		seen[u.Credential] = true
		events = append(events, &UseNoted{Owner: owner, Use: *u})
	}
	if len(events) == 0 {
		return nil, refuse(InvalidInput, "None of the uses is news.")
	}
	return events, nil
}

// plausible tells whether a node can have seen the use by now.
func (u *Use) plausible(now Time) bool {
	if u.At <= 0 || u.At > now || len(u.Region) > MaxUseText || len(u.Service) > MaxUseText || len(u.Actions) > MaxUseActions {
		return false
	}
	for _, a := range u.Actions {
		if a.At <= 0 || a.At > u.At || a.Service == "" || a.Name == "" ||
			len(a.Service) > MaxUseText || len(a.Name) > MaxUseText || len(a.Region) > MaxUseText {
			return false
		}
	}
	return true
}

func (e *UseNoted) evolve(s *State) {
	kept := Usage{Owner: e.Owner}
	if old := s.Usage(e.Owner); old != nil {
		kept = *old
	}
	kept.Credentials = appended(without(kept.Credentials, func(c CredentialUse) bool { return c.Credential == e.Use.Credential }),
		CredentialUse{Credential: e.Use.Credential, At: e.Use.At, Region: e.Use.Region, Service: e.Use.Service})
	kept.Actions = withActions(kept.Actions, e.Use.Actions)
	s.usages.Put(&kept)

	all := Usage{Owner: usageOf(s.accountOf(e.Owner))}
	if old := s.Usage(all.Owner); old != nil {
		all = *old
	}
	all.Actions = withActions(all.Actions, e.Use.Actions)
	s.usages.Put(&all)
}

// usageOf is by what the uses of all principals of an account are kept together.
func usageOf(account AccountID) ID { return ID("account " + account) }

// AccountUsage returns what is kept of the uses of all principals of an account, without
// their credentials; nil for nothing.
func (s *State) AccountUsage(account AccountID) *Usage { return s.Usage(usageOf(account)) }

// accountOf is the account of a principal.
func (s *State) accountOf(principal ID) AccountID {
	if u, ok := s.users.Get(principal); ok {
		return u.Account
	}
	if r, ok := s.roles.Get(principal); ok {
		return r.Account
	}
	return AccountID(principal)
}

// withActions is a list with the uses of others in it, in memory of its own.
func withActions(list, more []ActionUse) []ActionUse {
	list = slices.Clone(list)
	for _, a := range more {
		i, there := slices.BinarySearchFunc(list, a, compareActionUses)
		switch {
		case !there:
			list = slices.Insert(list, i, a)
		case a.At > list[i].At:
			list[i] = a
		}
	}
	for len(list) > MaxUsedActions {
		oldest := 0
		for i := range list {
			if list[i].At < list[oldest].At {
				oldest = i
			}
		}
		list = slices.Delete(list, oldest, oldest+1)
	}
	return list
}

func compareActionUses(a, b ActionUse) int {
	return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Name, b.Name))
}

// forgetCredential ends what is kept of an access key that is deleted.
func (s *State) forgetCredential(owner ID, credential string) {
	if _, used := s.Usage(owner).Latest(credential); used {
		changeRecord(&s.usages, owner, func(u *Usage) bool {
			u.Credentials = without(u.Credentials, func(c CredentialUse) bool { return c.Credential == credential })
			return true
		})
	}
}

// forgetUsage ends what is kept of a user or role that is deleted.
func (s *State) forgetUsage(owner ID) {
	if u := s.Usage(owner); u != nil {
		s.usages.Delete(u)
	}
}

// Due tells whether a use is news by UseInterval, or of a credential that there is not.
func (s *State) Due(u *Use) bool {
	owner, ok := s.credentialOwner(u.Credential)
	last, used := s.Usage(owner).Latest(u.Credential)
	return !ok || !used || u.At >= last.At+UseInterval
}
