package session

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
	"unicode/utf8"
)

// Limits of sessions. Open refuses what exceeds them, too: a limit may rise, and must not fall
// while tokens may be in use that it would refuse.
const (
	// MaxToken is how long a token is at most, in characters. AWS tells clients to expect
	// 4,096 bytes ("Temporary security credentials in IAM").
	MaxToken = 4096
	// MaxPacked is how many bytes the policies and tags of a session take at most, packed.
	// It is what a token has room for beside all other claims at their longest; AWS says
	// that there is such a limit, and does not say which.
	MaxPacked = 1800

	MaxPolicy   = 2048 // characters of a session policy
	MaxManaged  = 10   // managed session policies
	MaxARN      = 2048 // characters of the ARN of one
	MaxTags     = 50   // session tags, and keys of those that pass on
	MaxTagKey   = 128  // characters
	MaxTagValue = 256  // characters
	// Of what the provider of a web identity says.
	MaxKeys      = 8
	MaxKeyName   = 64  // characters
	MaxKeyValues = 16  // of one
	MaxKeyValue  = 256 // characters

	MaxPrincipal      = 128 // bytes, as are those below
	MaxName           = 64
	MaxSourceIdentity = 64
	MaxProvider       = 512
	MaxSubject        = 255
	MaxParent         = 128
)

// accountDigits is the length of an account's number.
const accountDigits = 12

// maxSeconds is the last second of the year 9999, in Unix time: later times have no form in
// what else tells of sessions.
const maxSeconds = 253402300799

var (
	// ErrMalformed is returned for what is no token at all, or of a format that this build
	// does not know.
	ErrMalformed = errors.New("this is no session token")
	// ErrForged is returned for a token that does not open: it was altered, or belongs to
	// another key, cluster or incarnation.
	ErrForged = errors.New("the session token does not open: it was altered, or belongs elsewhere")
	// ErrTooLarge is returned for claims that exceed a limit, or whose policies and tags
	// have no room in a token together.
	ErrTooLarge = errors.New("the session is too large: shorten its policies and tags")
	// ErrInvalid is returned for claims that no session has.
	ErrInvalid = errors.New("no session has these claims")
)

// Kind is whose a session is. Numbers are in tokens: append, never reorder or reuse.
type Kind uint8

// The kinds of session.
const (
	Role          Kind = 1
	User          Kind = 2 // of a user, by GetSessionToken
	Root          Kind = 3 // of a root, by GetSessionToken
	FederatedUser Kind = 4 // by GetFederationToken
	TaskRoot      Kind = 5 // of another account's root, by AssumeRoot, for one task
	Delegated     Kind = 6 // of whom a user or root delegated permissions to, by GetDelegatedAccessToken
	SignedInUser  Kind = 7 // of a user who signed in with a password
	SignedInRoot  Kind = 8 // of a root that did

	lastKind = SignedInRoot
)

// Tag is a tag of a session.
type Tag struct{ Key, Value string }

// Claim is what the provider of a web identity says of its subject: a claim of the provider's
// token, which is a condition key under the provider's name.
type Claim struct {
	Name   string
	Values []string // at least one
	Many   bool     // a list, however many it has
}

// Claims are what a session is: all that nodes know of it.
type Claims struct {
	Kind      Kind
	Account   string // 12 digits
	Principal string // unique id of the role or user; the account's number for a root
	Name      string // of the session, or of the federated user; empty for users and roots
	AccessKey string // "ASIA" and 16 letters and digits; Mint sets it
	// Issued and Expires are whole seconds, the second later than the first. Open gives
	// them in UTC.
	Issued, Expires time.Time
	Policy          string    // session policy, JSON; empty for none
	Managed         []string  // ARNs of managed session policies
	Tags            []Tag     // no key twice
	Transitive      []string  // keys of those that pass on through role chaining
	SourceIdentity  string    // empty for none
	MFA             time.Time // when a second factor was shown, a whole second; zero for never
	// Provider and Subject are who vouched for a web identity, and for whom; empty for
	// nobody.
	Provider, Subject string
	Keys              []Claim // what the provider says besides; none of a name twice
	Depth             uint8   // of role chaining: 0 for a session made by long-lived credentials
	Position          uint64  // of the view in which it was minted
	Parent            string  // access key id of the credential that asked for it; empty for none
	// Origin is where the chain of the session began. Sessions of web identities have none:
	// they are the first of theirs.
	Origin Origin
}

// Origin is where a chain of sessions began, whose links each asked for the next. The zero Origin
// is that of a session which is the first and was asked for by no access key, or whose token was
// made when tokens did not say it.
type Origin struct {
	Account   string    // of the principal: 12 digits
	Principal string    // unique id of whose the key is, or the first session; the account's number for a root
	Key       string    // access key id that asked for the first session; empty for none
	Began     time.Time // when the first session was issued, a whole second
}

// Credentials are what a caller gets. They do not print themselves.
type Credentials struct{ AccessKey, Secret, Token string }

// Format writes the access key id alone, whatever the verb.
func (c Credentials) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, c.String()) // fmt.State reports no errors
}

// String names the access key id alone.
func (c Credentials) String() string { return "session.Credentials(" + c.AccessKey + ")" }

// MarshalText gives the access key id alone: loggers that write JSON ask for it.
func (c Credentials) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// field is a text among the claims, with its limit in bytes.
type field struct {
	name  string
	text  *string
	limit int
}

// fields are the texts that every token has, in their order there. It is forever.
func (c *Claims) fields() [7]field {
	return [...]field{
		{"account", &c.Account, accountDigits},
		{"principal", &c.Principal, MaxPrincipal},
		{"name", &c.Name, MaxName},
		{"source identity", &c.SourceIdentity, MaxSourceIdentity},
		{"provider", &c.Provider, MaxProvider},
		{"subject", &c.Subject, MaxSubject},
		{"parent", &c.Parent, MaxParent},
	}
}

// check finds out whether a session can have the claims, but for the access key id. The error
// wraps ErrTooLarge or ErrInvalid.
func (c *Claims) check() error {
	if c.Kind < Role || c.Kind > lastKind {
		return fmt.Errorf("%w: kind %d", ErrInvalid, c.Kind)
	}
	for _, f := range c.fields() {
		if len(*f.text) > f.limit {
			return fmt.Errorf("%w: %s of %d bytes, at most %d", ErrTooLarge, f.name, len(*f.text), f.limit)
		}
		if !utf8.ValidString(*f.text) {
			return notText(f.name)
		}
	}
	if !isAccount(c.Account) {
		return fmt.Errorf("%w: the account's number has other than %d digits", ErrInvalid, accountDigits)
	}
	if c.Principal == "" {
		return fmt.Errorf("%w: no principal", ErrInvalid)
	}
	if !inRange(c.Issued) || !inRange(c.Expires) || !c.Expires.After(c.Issued) || !c.MFA.IsZero() && !inRange(c.MFA) {
		return fmt.Errorf("%w: times are whole seconds from 1970 to 9999, and a session ends after its beginning", ErrInvalid)
	}
	if err := c.checkOrigin(); err != nil {
		return err
	}
	return c.checkPacked()
}

// checkOrigin is check for where the chain began. What a provider says has no room beside it, nor
// needs any: a web identity's session is the first of its chain.
func (c *Claims) checkOrigin() error {
	o := &c.Origin
	if *o == (Origin{}) {
		return nil
	}
	for _, f := range o.fields() {
		if len(*f.text) > f.limit {
			return fmt.Errorf("%w: %s of %d bytes, at most %d", ErrTooLarge, f.name, len(*f.text), f.limit)
		}
		if !utf8.ValidString(*f.text) {
			return notText(f.name)
		}
	}
	if !isAccount(o.Account) || o.Principal == "" || !inRange(o.Began) || o.Began.After(c.Issued) || c.Provider != "" || c.Subject != "" {
		return fmt.Errorf("%w: a chain begins with a principal, no later than its sessions, and not behind a provider", ErrInvalid)
	}
	return nil
}

// fields are the texts of an origin, in their order in tokens. It is forever.
func (o *Origin) fields() [3]field {
	return [...]field{
		{"account of the first principal", &o.Account, accountDigits},
		{"first principal", &o.Principal, MaxPrincipal},
		{"first access key", &o.Key, MaxParent},
	}
}

// checkPacked is check for policies and tags.
func (c *Claims) checkPacked() error {
	if err := checkText("policy", c.Policy, MaxPolicy); err != nil {
		return err
	}
	if err := checkList("managed policies", c.Managed, MaxManaged, MaxARN); err != nil {
		return err
	}
	if err := checkList("transitive tags", c.Transitive, MaxTags, MaxTagKey); err != nil {
		return err
	}
	if len(c.Tags) > MaxTags {
		return fmt.Errorf("%w: %d tags, at most %d", ErrTooLarge, len(c.Tags), MaxTags)
	}
	for i, t := range c.Tags {
		if err := checkText("key of a tag", t.Key, MaxTagKey); err != nil {
			return err
		}
		if err := checkText("value of a tag", t.Value, MaxTagValue); err != nil {
			return err
		}
		if t.Key == "" || slices.ContainsFunc(c.Tags[:i], func(other Tag) bool { return other.Key == t.Key }) {
			return fmt.Errorf("%w: a tag without key, or two with the same", ErrInvalid)
		}
	}
	return c.checkKeys()
}

// checkKeys is check for what the provider says.
func (c *Claims) checkKeys() error {
	if len(c.Keys) > MaxKeys {
		return fmt.Errorf("%w: %d keys of a provider, at most %d", ErrTooLarge, len(c.Keys), MaxKeys)
	}
	for i, k := range c.Keys {
		if err := checkText("name of a key", k.Name, MaxKeyName); err != nil {
			return err
		}
		if len(k.Values) > MaxKeyValues {
			return fmt.Errorf("%w: %d values of a key, at most %d", ErrTooLarge, len(k.Values), MaxKeyValues)
		}
		for _, value := range k.Values {
			if err := checkText("value of a key", value, MaxKeyValue); err != nil {
				return err
			}
		}
		if k.Name == "" || len(k.Values) == 0 || len(k.Values) > 1 && !k.Many || c.Provider == "" ||
			slices.ContainsFunc(c.Keys[:i], func(other Claim) bool { return other.Name == k.Name }) {
			return fmt.Errorf("%w: a key without provider, name or value, or two with the same name", ErrInvalid)
		}
	}
	return nil
}

// checkList is check for a list of texts, of which none is empty and none there twice.
func checkList(name string, list []string, most, limit int) error {
	if len(list) > most {
		return fmt.Errorf("%w: %d %s, at most %d", ErrTooLarge, len(list), name, most)
	}
	for i, text := range list {
		if err := checkText(name, text, limit); err != nil {
			return err
		}
		if text == "" || slices.Contains(list[:i], text) {
			return fmt.Errorf("%w: among the %s, one is empty or there twice", ErrInvalid, name)
		}
	}
	return nil
}

// checkText is check for a text whose limit is one of characters.
func checkText(name, text string, limit int) error {
	if n := utf8.RuneCountInString(text); n > limit {
		return fmt.Errorf("%w: %s of %d characters, at most %d", ErrTooLarge, name, n, limit)
	}
	if !utf8.ValidString(text) {
		return notText(name)
	}
	return nil
}

func notText(name string) error { return fmt.Errorf("%w: %s is not UTF-8", ErrInvalid, name) }

func isAccount(text string) bool {
	return len(text) == accountDigits && !slices.ContainsFunc([]byte(text), func(b byte) bool { return b < '0' || b > '9' })
}

// inRange tells whether a time is a second that tokens have a form for.
func inRange(t time.Time) bool {
	return t.Nanosecond() == 0 && t.Unix() > 0 && t.Unix() <= maxSeconds
}
