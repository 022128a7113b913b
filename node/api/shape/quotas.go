package shape

import (
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
)

// Whose defaults the quotas of an account are that were not set.
const (
	DefaultsWrit = "writ"
	DefaultsAWS  = "aws"
)

// Quotas are what an account may hold, and what it does hold.
type Quotas struct {
	Account  identity.AccountID `json:"account"`
	Defaults string             `json:"defaults"` // Whose defaults those quotas are that were not set.
	Quotas   []Quota            `json:"quotas"`
}

// Quota is one bound of an account.
type Quota struct {
	Quota   string  `json:"quota"`
	AWSName string  `json:"aws_name"`         // As AWS calls it where it refuses more.
	Value   uint32  `json:"value"`            // In force.
	Default uint32  `json:"default"`          // What it is when it is not set.
	Set     bool    `json:"set"`              // It was set, and is not the default.
	Max     uint32  `json:"max"`              // The most that it can be set to.
	InUse   *uint32 `json:"in_use,omitempty"` // How much of it the account uses; not for what one user, group or role may have.
}

// QuotasToSet is a change of an account's quotas. What it does not name stays.
type QuotasToSet struct {
	Defaults string       `json:"defaults,omitempty"` // Go by these defaults from now on, and forget what was set before.
	Quotas   []QuotaToSet `json:"quotas,omitempty"`
}

// QuotaToSet is the value that a quota is to have.
type QuotaToSet struct {
	Quota string `json:"quota"`
	Value uint32 `json:"value"` // 0: the default.
}

// QuotasChange is a change of an account's quotas that was committed.
type QuotasChange struct {
	Account  identity.AccountID `json:"account"`
	Position event.Position     `json:"position"`
	Token    string             `json:"token"` // Of Position.
}

// QuotasOf tells of the quotas of an account of a state.
func QuotasOf(s *identity.State, a *identity.Account) *Quotas {
	said := &Quotas{Account: a.ID, Defaults: DefaultsWrit}
	if a.Quotas.Defaults == identity.DefaultsOfAWS {
		said.Defaults = DefaultsAWS
	}
	for q := range identity.NumQuotas {
		one := Quota{
			Quota: q.String(), AWSName: q.AWSName(), Value: a.Quotas.Of(q), Default: q.Default(a.Quotas.Defaults),
			Set: a.Quotas.Own[q] != 0, Max: q.Max(),
		}
		if n, counted := s.QuotaInUse(a.ID, q); counted {
			used := uint32(n)
			one.InUse = &used
		}
		said.Quotas = append(said.Quotas, one)
	}
	return said
}
