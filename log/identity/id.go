package identity

import (
	"strings"

	"github.com/writ-iam/writ/log/digest"
)

// Position numbers accepted commands 1, 2, 3, ... without gaps, within one
// incarnation of a cluster. Zero is the empty state before the first.
type Position uint64

// Time is an instant in milliseconds since the Unix epoch, UTC. It is always
// brought by a command; the domain has no clock.
type Time int64

// AccountID is the twelve-digit number of an account, or "aws" for the account
// that owns the managed policies every account can see.
type AccountID string

// AWSAccount owns the policies whose ARNs read arn:PARTITION:iam::aws:policy/NAME.
const AWSAccount AccountID = "aws"

// ID is the unique identifier of an entity, such as the user
// AIDA2XKZQJ5VEXAMPLE01. An entity created again under an old name has a new ID.
// The root of an account is identified by the account's number.
type ID string

// Prefixes of unique identifiers, as listed under "Unique identifiers" in the
// IAM User Guide.
const (
	UserIDPrefix      = "AIDA"
	GroupIDPrefix     = "AGPA"
	RoleIDPrefix      = "AROA"
	PolicyIDPrefix    = "ANPA"
	AccessKeyIDPrefix = "AKIA"

	InstanceProfileIDPrefix   = "AIPA"
	ServerCertificateIDPrefix = "ASCA"
	PublicKeyIDPrefix         = "APKA"
	ServiceCredentialIDPrefix = "ACCA"
)

// Kind says what an entity is. Numbers are stored: append, never reorder or reuse.
type Kind uint8

// The kinds of entity that have a name of their own in an account.
const (
	KindUser   Kind = 1
	KindGroup  Kind = 2
	KindRole   Kind = 3
	KindPolicy Kind = 4

	KindInstanceProfile   Kind = 5
	KindServerCertificate Kind = 6
	KindMFADevice         Kind = 7 // virtual; its name is the last part of its serial number
	KindSAMLProvider      Kind = 8 // found by its ARN, not by the index of names
	KindOIDCProvider      Kind = 9 // as KindSAMLProvider

	lastKind = KindOIDCProvider
)

// named tells that entities of the kind are in the index of names.
func (k Kind) named() bool { return KindUser <= k && k <= KindMFADevice }

// Noun is the word for k in ARNs ("user", "group", "role", "policy", "instance-profile" and so on).
func (k Kind) Noun() string {
	switch k {
	case KindUser:
		return "user"
	case KindGroup:
		return "group"
	case KindRole:
		return "role"
	case KindPolicy:
		return "policy"
	case KindInstanceProfile:
		return "instance-profile"
	case KindServerCertificate:
		return "server-certificate"
	case KindMFADevice:
		return "mfa"
	case KindSAMLProvider:
		return "saml-provider"
	case KindOIDCProvider:
		return "oidc-provider"
	}
	return "entity"
}

// title is the word for k that begins a sentence in AWS's messages.
func (k Kind) title() string {
	noun := k.Noun()
	return strings.ToUpper(noun[:1]) + noun[1:]
}

// Owner names the user, group or role that a command is about.
type Owner struct {
	Kind    Kind // KindUser, KindGroup or KindRole
	Account AccountID
	Name    string
}

// lower is s with the letters A to Z in lower case. Case is ignored for these
// alone, here and in tags: what Unicode says of other letters changes with the
// version of Go, and two builds must never decide differently.
func lower(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			return lowered(s)
		}
	}
	return s
}

func lowered(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

func appendIDs(b []byte, ids []ID) []byte {
	b = digest.AppendInt(b, len(ids))
	for _, id := range ids {
		b = digest.AppendString(b, id)
	}
	return b
}
