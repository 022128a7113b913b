package identity

// AccessKey is a long-term credential of a user or of an account's root.
type AccessKey struct {
	ID      string
	Sealed  []byte // the secret, encrypted; the log never holds it in the clear
	Active  bool
	Created Time
}

// NewAccessKey is a key that the proposer minted.
type NewAccessKey struct {
	ID     string
	Sealed []byte
}

// MaxAccessKeys is how many access keys a user or a root may have ("IAM and AWS STS quotas").
const MaxAccessKeys = 2

// Credential is an access key with whoever owns it.
type Credential struct {
	AccessKey
	Account AccountID
	Owner   ID // a user's ID, or the account's number for its root
}

func appendKeys(b []byte, keys []AccessKey) []byte {
	b = appendInt(b, len(keys))
	for _, k := range keys {
		b = appendString(b, k.ID)
		b = appendString(b, k.Sealed)
		b = appendBool(b, k.Active)
		b = appendInt(b, int64(k.Created))
	}
	return b
}

// CreateAccessKey gives a user, or the root where User is empty, another key.
type CreateAccessKey struct {
	Account AccountID
	User    string
	Key     NewAccessKey
}

// AccessKeyCreated gave its owner another key.
type AccessKeyCreated struct {
	Account AccountID
	Owner   ID
	ID      string
	Sealed  []byte
	Created Time
}

// UpdateAccessKey activates or deactivates a key.
type UpdateAccessKey struct {
	Account AccountID
	User    string
	ID      string
	Active  bool
}

// AccessKeyUpdated activated or deactivated a key.
type AccessKeyUpdated struct {
	Owner  ID
	ID     string
	Active bool
}

// DeleteAccessKey ends a key for good.
type DeleteAccessKey struct {
	Account AccountID
	User    string
	ID      string
}

// AccessKeyDeleted ended a key for good.
type AccessKeyDeleted struct {
	Owner ID
	ID    string
}
