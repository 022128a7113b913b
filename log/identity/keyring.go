package identity

import (
	"slices"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/table"
)

// Keyring is what a user, or the root of an account, proves itself with besides access
// keys. One who has nothing of it has no keyring. It grants nothing: a change of it is
// no change of permissions.
type Keyring struct {
	Owner        ID // a user's ID, or the account's number for its root
	Account      AccountID
	SSHKeys      []SSHPublicKey       // in the order uploaded
	Certificates []SigningCertificate // in the order uploaded
	Services     []ServiceCredential  // in the order created
}

// Handle makes a Keyring a record of a table, by its owner, as do Is and AppendDigest.
func (k *Keyring) Handle() table.Handle { return table.HandleOf(k.Owner) }

// Is tells whether the Keyring has that owner.
func (k *Keyring) Is(key string) bool { return string(k.Owner) == key }

// AppendDigest appends all that the Keyring has.
func (k *Keyring) AppendDigest(b []byte) []byte {
	b = append(b, 'K')
	b = digest.AppendString(b, k.Owner)
	b = digest.AppendString(b, k.Account)
	b = appendSSHKeys(b, k.SSHKeys)
	b = appendCertificates(b, k.Certificates)
	return appendServices(b, k.Services)
}

// Keyring returns what the user with that ID, or the root of the account with that
// number, has; an empty one for nothing.
func (s *State) Keyring(owner ID) *Keyring {
	if k, ok := s.keyrings.Get(owner); ok {
		return k
	}
	return &Keyring{Owner: owner}
}

// changeKeyring lets f change a copy of a keyring, as changeRecord does. The account is
// that of a keyring which f begins.
func (s *State) changeKeyring(account AccountID, owner ID, f func(*Keyring)) {
	k := Keyring{Owner: owner, Account: account}
	old, there := s.keyrings.Get(owner)
	if there {
		k = *old
	}
	f(&k)
	if len(k.Services) > 0 {
		s.served.Add(table.HandleOf(k.Account), k.Handle())
	} else {
		s.served.Remove(table.HandleOf(k.Account), k.Handle())
	}
	switch {
	case len(k.SSHKeys)+len(k.Certificates)+len(k.Services) > 0:
		s.keyrings.Put(&k)
	case there:
		s.keyrings.Delete(old)
	}
}

// mayLeave refuses to delete a user whose keyring is not empty.
func (s *State) mayLeave(owner ID) error {
	k := s.Keyring(owner)
	switch {
	case len(k.Certificates) > 0:
		return refuse(DeleteConflict, "Cannot delete entity, must delete certificates first.")
	case len(k.SSHKeys)+len(k.Services) > 0:
		return refuse(DeleteConflict, "Cannot delete entity, must remove referenced objects first.")
	}
	return nil
}

func (l *Loader) addKeyring(k *Keyring) {
	table.AddRow(&l.state.keyrings, &l.keyrings, k)
	if len(k.Services) > 0 {
		l.served = append(l.served, table.Edge{From: table.HandleOf(k.Account), To: k.Handle()})
	}
	for i := range k.Certificates {
		l.signers.Add(signer(k.Account, k.Certificates[i].Sum), k.Handle())
	}
}

// altered is list with the element at index i changed by f, in memory of its own.
// Without that element, at an index below zero, it is list as it is.
func altered[E any](list []E, i int, f func(*E)) []E {
	if i < 0 {
		return list
	}
	list = slices.Clone(list)
	f(&list[i])
	return list
}
