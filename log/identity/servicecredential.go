package identity

import (
	"slices"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/table"
)

// ServiceCredential is a name and a secret with which a user proves itself to one
// service that does not take access keys.
type ServiceCredential struct {
	ID      string
	Service string // "codecommit.amazonaws.com"
	Name    string // with which the service knows the user
	Sealed  []byte // the secret, encrypted; the log never holds it in the clear
	Active  bool
	Created Time
	Expires Time // zero for never
}

// MaxServiceCredentials is how many credentials a user may have for one service ("IAM
// and AWS STS quotas").
const MaxServiceCredentials = 2

// Expired tells whether the credential has run out at a time.
func (c *ServiceCredential) Expired(now Time) bool { return c.Expires != 0 && c.Expires <= now }

func appendServices(b []byte, list []ServiceCredential) []byte {
	b = digest.AppendInt(b, len(list))
	for _, c := range list {
		b = digest.AppendString(b, c.ID)
		b = digest.AppendString(b, c.Service)
		b = digest.AppendString(b, c.Name)
		b = digest.AppendString(b, c.Sealed)
		b = digest.AppendBool(b, c.Active)
		b = digest.AppendInt(b, int64(c.Created))
		b = digest.AppendInt(b, int64(c.Expires))
	}
	return b
}

// Served yields the keyrings of an account that have credentials for services, those
// after the one of the owner after, in an order that stays the same.
func (s *State) Served(account AccountID, after ID, yield func(*Keyring) bool) {
	s.served.Each(string(account), string(after), func(owner table.Handle) bool {
		k, _ := s.keyrings.Rows.Get(owner)
		return yield(k)
	})
}

// ServiceOf returns for which service a user has the credential with that identifier, if it
// has it. Nothing relies on it: a credential is for one service as long as there is one.
func (w *Witness) ServiceOf(owner ID, credential string) (service string, ok bool) {
	list := w.state.Keyring(owner).Services
	i := findService(list, credential)
	if i < 0 {
		return "", false
	}
	return list[i].Service, true
}

// CreateServiceCredential gives a user another credential for a service.
type CreateServiceCredential struct {
	Account AccountID
	User    string
	ID      string
	Service string
	Sealed  []byte
	Days    uint32 // until it expires; zero for never
}

// ServiceCredentialCreated gave a user another credential for a service.
type ServiceCredentialCreated struct {
	Account AccountID
	Owner   ID
	ID      string
	Service string
	Name    string
	Sealed  []byte
	Created Time
	Expires Time
}

func (c *CreateServiceCredential) decide(s *State, m Meta) ([]Event, error) {
	u, err := s.mustUser(c.Account, c.User)
	if err != nil {
		return nil, err
	}
	list := s.Keyring(u.ID).Services
	if findService(list, c.ID) >= 0 {
		return nil, refuse(EntityAlreadyExists, "The credential with id %s already exists.", c.ID)
	}
	same := without(list, func(other ServiceCredential) bool { return other.Service != c.Service })
	if len(same) >= MaxServiceCredentials {
		return nil, refuse(LimitExceeded, "Cannot exceed quota for ServiceSpecificCredentialsPerUser: %d", MaxServiceCredentials)
	}
	e := &ServiceCredentialCreated{Account: c.Account, Owner: u.ID, ID: c.ID, Service: c.Service, Name: serviceName(u, same), Sealed: c.Sealed, Created: m.Time}
	if c.Days != 0 {
		e.Expires = m.Time + Time(c.Days)*day
	}
	return []Event{e}, nil
}

// serviceName is by what a service is to know a user, who has other credentials for it.
// It stays what it is when the user is renamed.
func serviceName(u *User, others []ServiceCredential) string {
	name := u.Name + "-at-" + string(u.Account)
	if slices.ContainsFunc(others, func(c ServiceCredential) bool { return c.Name == name }) {
		return u.Name + "+1-at-" + string(u.Account)
	}
	return name
}

func (e *ServiceCredentialCreated) evolve(s *State) {
	s.changeKeyring(e.Account, e.Owner, func(k *Keyring) {
		k.Services = appended(k.Services, ServiceCredential{ID: e.ID, Service: e.Service, Name: e.Name, Sealed: e.Sealed,
			Active: true, Created: e.Created, Expires: e.Expires})
	})
}

// UpdateServiceCredential activates or deactivates a credential.
type UpdateServiceCredential struct {
	Account AccountID
	User    string
	ID      string
	Active  bool
}

// ServiceCredentialUpdated activated or deactivated a credential.
type ServiceCredentialUpdated struct {
	Owner  ID
	ID     string
	Active bool
}

func (c *UpdateServiceCredential) decide(s *State, _ Meta) ([]Event, error) {
	owner, err := s.mustOwnService(c.Account, c.User, c.ID)
	if err != nil {
		return nil, err
	}
	return []Event{&ServiceCredentialUpdated{Owner: owner, ID: c.ID, Active: c.Active}}, nil
}

func (e *ServiceCredentialUpdated) evolve(s *State) {
	s.changeService(e.Owner, e.ID, func(c *ServiceCredential) { c.Active = e.Active })
}

// ResetServiceCredential replaces the secret of a credential.
type ResetServiceCredential struct {
	Account AccountID
	User    string
	ID      string
	Sealed  []byte
}

// ServiceCredentialReset replaced the secret of a credential.
type ServiceCredentialReset struct {
	Account AccountID
	Owner   ID
	ID      string
	Sealed  []byte
}

func (c *ResetServiceCredential) decide(s *State, _ Meta) ([]Event, error) {
	owner, err := s.mustOwnService(c.Account, c.User, c.ID)
	if err != nil {
		return nil, err
	}
	return []Event{&ServiceCredentialReset{Account: c.Account, Owner: owner, ID: c.ID, Sealed: c.Sealed}}, nil
}

func (e *ServiceCredentialReset) evolve(s *State) {
	s.changeService(e.Owner, e.ID, func(c *ServiceCredential) { c.Sealed = e.Sealed })
}

// DeleteServiceCredential ends a credential for good.
type DeleteServiceCredential struct {
	Account AccountID
	User    string
	ID      string
}

// ServiceCredentialDeleted ended a credential for good.
type ServiceCredentialDeleted struct {
	Owner ID
	ID    string
}

func (c *DeleteServiceCredential) decide(s *State, _ Meta) ([]Event, error) {
	owner, err := s.mustOwnService(c.Account, c.User, c.ID)
	if err != nil {
		return nil, err
	}
	return []Event{&ServiceCredentialDeleted{Owner: owner, ID: c.ID}}, nil
}

func (e *ServiceCredentialDeleted) evolve(s *State) {
	s.changeKeyring("", e.Owner, func(k *Keyring) {
		k.Services = without(k.Services, func(c ServiceCredential) bool { return c.ID == e.ID })
	})
}

// mustOwnService finds the user, who must have the credential.
func (s *State) mustOwnService(account AccountID, user, id string) (ID, error) {
	u, err := s.mustUser(account, user)
	if err != nil {
		return "", err
	}
	if findService(s.Keyring(u.ID).Services, id) < 0 {
		return "", refuse(NoSuchEntity, "No such credential %s exists", id)
	}
	return u.ID, nil
}

func (s *State) changeService(owner ID, id string, f func(*ServiceCredential)) {
	s.changeKeyring("", owner, func(k *Keyring) { k.Services = altered(k.Services, findService(k.Services, id), f) })
}

func findService(list []ServiceCredential, id string) int {
	return slices.IndexFunc(list, func(c ServiceCredential) bool { return c.ID == id })
}
