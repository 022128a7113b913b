package identity

import (
	"slices"

	"github.com/writ-iam/writ/log/digest"
)

// SSHPublicKey is a user's key for services that are reached by SSH.
type SSHPublicKey struct {
	ID          string
	Body        string // as it was uploaded
	Fingerprint string // the MD5 of the key in SSH's form, in hexadecimal with colons
	Active      bool
	Uploaded    Time
}

// MaxSSHPublicKeys is how many SSH public keys a user may have ("IAM and AWS STS quotas").
const MaxSSHPublicKeys = 5

func appendSSHKeys(b []byte, keys []SSHPublicKey) []byte {
	b = digest.AppendInt(b, len(keys))
	for _, k := range keys {
		b = digest.AppendString(b, k.ID)
		b = digest.AppendString(b, k.Body)
		b = digest.AppendString(b, k.Fingerprint)
		b = digest.AppendBool(b, k.Active)
		b = digest.AppendInt(b, int64(k.Uploaded))
	}
	return b
}

// UploadSSHPublicKey gives a user another key.
type UploadSSHPublicKey struct {
	Account     AccountID
	User        string
	ID          string
	Body        string
	Fingerprint string
}

// SSHPublicKeyUploaded gave a user another key.
type SSHPublicKeyUploaded struct {
	Account     AccountID
	Owner       ID
	ID          string
	Body        string
	Fingerprint string
	Uploaded    Time
}

func (c *UploadSSHPublicKey) decide(s *State, m Meta) ([]Event, error) {
	u, err := s.mustUser(c.Account, c.User)
	if err != nil {
		return nil, err
	}
	keys := s.Keyring(u.ID).SSHKeys
	switch {
	case slices.ContainsFunc(keys, func(k SSHPublicKey) bool { return k.Fingerprint == c.Fingerprint }):
		return nil, refuse(DuplicateSSHPublicKey, "The SSH public key is already associated with the specified IAM user.")
	case len(keys) >= MaxSSHPublicKeys:
		return nil, refuse(LimitExceeded, "Cannot exceed quota for SSHPublicKeysPerUser: %d", MaxSSHPublicKeys)
	case findSSHKey(keys, c.ID) >= 0:
		return nil, refuse(EntityAlreadyExists, "The Public Key with id %s already exists.", c.ID)
	}
	return []Event{&SSHPublicKeyUploaded{Account: c.Account, Owner: u.ID, ID: c.ID, Body: c.Body, Fingerprint: c.Fingerprint, Uploaded: m.Time}}, nil
}

func (e *SSHPublicKeyUploaded) evolve(s *State) {
	s.changeKeyring(e.Account, e.Owner, func(k *Keyring) {
		k.SSHKeys = appended(k.SSHKeys, SSHPublicKey{ID: e.ID, Body: e.Body, Fingerprint: e.Fingerprint, Active: true, Uploaded: e.Uploaded})
	})
}

// UpdateSSHPublicKey activates or deactivates a key.
type UpdateSSHPublicKey struct {
	Account AccountID
	User    string
	ID      string
	Active  bool
}

// SSHPublicKeyUpdated activated or deactivated a key.
type SSHPublicKeyUpdated struct {
	Owner  ID
	ID     string
	Active bool
}

func (c *UpdateSSHPublicKey) decide(s *State, _ Meta) ([]Event, error) {
	owner, err := s.mustOwnSSHKey(c.Account, c.User, c.ID)
	if err != nil {
		return nil, err
	}
	return []Event{&SSHPublicKeyUpdated{Owner: owner, ID: c.ID, Active: c.Active}}, nil
}

func (e *SSHPublicKeyUpdated) evolve(s *State) {
	s.changeKeyring("", e.Owner, func(k *Keyring) {
		k.SSHKeys = altered(k.SSHKeys, findSSHKey(k.SSHKeys, e.ID), func(key *SSHPublicKey) { key.Active = e.Active })
	})
}

// DeleteSSHPublicKey takes a key away.
type DeleteSSHPublicKey struct {
	Account AccountID
	User    string
	ID      string
}

// SSHPublicKeyDeleted took a key away.
type SSHPublicKeyDeleted struct {
	Owner ID
	ID    string
}

func (c *DeleteSSHPublicKey) decide(s *State, _ Meta) ([]Event, error) {
	owner, err := s.mustOwnSSHKey(c.Account, c.User, c.ID)
	if err != nil {
		return nil, err
	}
	return []Event{&SSHPublicKeyDeleted{Owner: owner, ID: c.ID}}, nil
}

func (e *SSHPublicKeyDeleted) evolve(s *State) {
	s.changeKeyring("", e.Owner, func(k *Keyring) {
		k.SSHKeys = without(k.SSHKeys, func(key SSHPublicKey) bool { return key.ID == e.ID })
	})
}

// mustOwnSSHKey finds the user, who must have the key.
func (s *State) mustOwnSSHKey(account AccountID, user, id string) (ID, error) {
	u, err := s.mustUser(account, user)
	if err != nil {
		return "", err
	}
	if findSSHKey(s.Keyring(u.ID).SSHKeys, id) < 0 {
		return "", refuse(NoSuchEntity, "The Public Key with id %s cannot be found.", id)
	}
	return u.ID, nil
}

func findSSHKey(keys []SSHPublicKey, id string) int {
	return slices.IndexFunc(keys, func(k SSHPublicKey) bool { return k.ID == id })
}
