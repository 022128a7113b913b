package admission

import (
	"context"
	"time"

	"golang.org/x/time/rate"

	"github.com/writ-iam/writ/node/opened"
	"github.com/writ-iam/writ/node/seal"
	"github.com/writ-iam/writ/node/session"
	"github.com/writ-iam/writ/node/sigv4"
	"github.com/writ-iam/writ/projection"
)

const (
	// DefaultWait is how long a request waits for something, such as a position, when the
	// caller does not say.
	DefaultWait = 5 * time.Second
	// share is which part of what strangers may do one network has: a quarter.
	share = 4
	// signingKeys is how many derived signing keys are remembered.
	signingKeys = 1 << 16
)

// Keyholder has the keys that open secrets.
type Keyholder interface {
	// Confirm says whether a signature is good, and what session it is by, if one: an error
	// of type *sigv4.Error says that it is not. Another error says why nobody answered.
	Confirm(context.Context, sigv4.Claim) (Confirmed, error)
}

// Confirmed is what a Keyholder found out of a signature that is good.
type Confirmed struct {
	Session  *session.Claims `json:"session,omitempty"` // nil where it is by an access key
	SealedBy uint32          `json:"sealed_by,omitempty"`
}

// Meter counts what a desk does.
type Meter interface {
	// Refused counts a request that found no place, by the limit's name and by whether the caller was verified.
	Refused(limit string, verified bool)
	// Worked counts the work of one request, in units of policy.Work.
	Worked(units int64)
}

// Config is what a Desk is made of. All fields are required but Limits and one of Seal and Keyholder.
type Config struct {
	Projection *projection.Projection
	// Seal opens secrets. Where it is nil, Keyholder verifies signatures.
	Seal      *seal.Key
	Keyholder Keyholder
	Now       func() time.Time
	Limits    Limits
	Meter     Meter
}

// Desk finds out who calls and what they may, within Limits. Safe for concurrent use.
type Desk struct {
	cfg    Config
	keys   *sigv4.KeyCache
	places *[places]bounded
	rate   *rate.Limiter // of strangers that are handed on
	shares *Tries        // the same, of each network
	proofs proofs
	shifts *shifts

	sessions sessionKeys
	opened   opened.Sessions
}

// New returns a desk.
func New(cfg Config) *Desk {
	cfg.Limits = cfg.Limits.complete()
	return &Desk{
		cfg: cfg, keys: sigv4.NewKeyCache(signingKeys), places: newPlaces(cfg.Limits), shifts: newShifts(),
		rate:   rate.NewLimiter(rate.Limit(cfg.Limits.StrangersPerSecond), cfg.Limits.Strangers),
		shares: NewTries(max(cfg.Limits.Strangers/share, 1), share*time.Second/time.Duration(cfg.Limits.StrangersPerSecond)),
	}
}

// SigningKeys are how many derived signing keys are remembered, and about how many bytes.
func (d *Desk) SigningKeys() (n, bytes int) { return d.keys.Size() }

// Sessions is how many sessions are remembered that called lately.
func (d *Desk) Sessions() int { return d.opened.Size() }
