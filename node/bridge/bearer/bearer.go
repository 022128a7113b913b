package bearer

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/bridge"
	"github.com/writ-iam/writ/node/bridge/webidentity"
	"github.com/writ-iam/writ/projection/authz"
)

// Limits of tokens and of what a mapping says of them.
const (
	// MaxToken is how long a token is, in bytes.
	MaxToken = 16 << 10
	// MaxSources is how many issuers, and how many endpoints, a mapping names.
	MaxSources = 32
	// identitiesAtOnce is how many web identity tokens are verified at once.
	identitiesAtOnce = 2
)

// Refusal is why a token tells nobody: it is the token that is wrong, and not the node.
type Refusal struct{ Reason string }

// Error gives the reason.
func (r *Refusal) Error() string { return r.Reason }

func refuse(format string, args ...any) error { return &Refusal{fmt.Sprintf(format, args...)} }

// Identity is whose a token is.
type Identity struct {
	// ARN is that of a user, a role, or a role's session, and Role that of the session's role.
	ARN, Role string
	Account   string
	ID        identity.ID // of the user or role
	// Session is the session's name, and AccessKey what has signed; empty for none.
	Session, AccessKey string
	// Expires is when the credentials end; zero for those that do not.
	Expires time.Time
}

// Sources are the kinds of tokens that a mapping takes. Fields are read from YAML.
type Sources struct {
	Presigned *Presigned    `yaml:"presigned,omitempty"`
	Web       []WebIdentity `yaml:"web_identity,omitempty"`

	verifier *webidentity.Verifier
}

// At is an error of a mapping: with the file's name and a line. It wraps bridge.ErrConfig.
func At(file string, line int, format string, args ...any) error {
	return fmt.Errorf("%w: %s:%d: %s", bridge.ErrConfig, file, max(line, 1), fmt.Sprintf(format, args...))
}

// Complete checks what a mapping says, and makes it ready. Errors are those of At.
func (s *Sources) Complete(file string) error {
	if s.Presigned != nil {
		if err := s.Presigned.complete(file); err != nil {
			return err
		}
	}
	if len(s.Web) > MaxSources {
		return At(file, s.Web[MaxSources].Issuer.Line, "there are more than %d of `web_identity`", MaxSources)
	}
	for i := range s.Web {
		w := &s.Web[i]
		if err := w.complete(file); err != nil {
			return err
		}
		for j := range i {
			if other := &s.Web[j]; other.Issuer.Value == w.Issuer.Value {
				return At(file, w.Issuer.Line, "the issuer is named before, on line %d: which of the two a token is for is open", other.Issuer.Line)
			}
		}
	}
	s.verifier = webidentity.New(identitiesAtOnce)
	return nil
}

// Any tells whether there is a kind of tokens.
func (s *Sources) Any() bool { return s.Presigned != nil || len(s.Web) > 0 }

// Identify finds out whose a token is, of a call that has begun for freshness.ForSession: what is
// told outlasts the view. The caller of c must be allowed to ask about whoever it is. Errors are of
// type *Refusal, or why the node cannot know, or say that the caller may not ask. The call may have
// another view afterwards.
func (s *Sources) Identify(c *bridge.Call, token string) (Identity, error) {
	is, err := s.find(c, token)
	if err != nil {
		return Identity{}, err
	}
	if err := c.MayAsk(c.Seen.View, is.ARN); err != nil {
		return Identity{}, err
	}
	return is, nil
}

func (s *Sources) find(c *bridge.Call, token string) (Identity, error) {
	switch {
	case token == "":
		return Identity{}, refuse("there is no token")
	case len(token) > MaxToken:
		return Identity{}, refuse("the token is longer than %d bytes", MaxToken)
	case strings.HasPrefix(token, Prefix) && s.Presigned != nil:
		return s.Presigned.identify(c, token)
	case strings.Count(token, ".") == 2 && !strings.HasPrefix(token, Prefix) && len(s.Web) > 0:
		return s.web(c, token)
	}
	return Identity{}, refuse("the token is of no kind that is taken here")
}

// errOther is that of principals whom no later question could be about.
var errOther = errors.New("not told")

// named is the identity of a principal of the view by its ARN.
func named(c *bridge.Call, arn string) (is Identity, p authz.Principal, err error) {
	found, err := c.Seen.View.PrincipalByARN(arn)
	if err != nil {
		return Identity{}, authz.Principal{}, refuse("whoever the token names is no principal of the cluster")
	}
	switch p = found.Principal; p.Type {
	case authz.User, authz.Role:
	case authz.RoleSession:
		is.Role, is.Session = p.Issuer, p.Name
	default:
		return Identity{}, p, errOther
	}
	is.ARN, is.Account, is.ID = p.ARN, p.Account, identity.ID(p.ID)
	return is, p, nil
}
