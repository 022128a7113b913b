package identity

import (
	"slices"
	"strings"

	"github.com/writ-iam/writ/log/table"
)

// Providers of identities, OpenID Connect and SAML, are known by their ARNs. The ARN is
// the key of the record, too: a provider that is made again is the same to those who
// trust it by its ARN.

// provider is the record of a provider.
type provider interface {
	holder
	ARN() string
}

// providersOf lists the providers of an account in order of ARN.
func providersOf[R provider](s *State, t *table.Table[ID, R], account AccountID) (all []R) {
	s.providers.Each(string(account), "", func(h table.Handle) bool {
		if p, ok := t.Rows.Get(h); ok {
			all = append(all, p)
		}
		return true
	})
	slices.SortFunc(all, func(a, b R) int { return strings.Compare(a.ARN(), b.ARN()) })
	return all
}

// putProvider adds a provider, or puts it in the place of the one with its ARN.
func putProvider[R provider](s *State, t *table.Table[ID, R], account AccountID, p R) {
	t.Put(p)
	s.providers.Add(table.HandleOf(account), p.Handle())
}

func deleteProvider[R provider](s *State, t *table.Table[ID, R], id ID) {
	if p, ok := t.Get(id); ok {
		s.providers.Remove(table.HandleOf(p.held().account), p.Handle())
		t.Delete(p)
	}
}

// mustProvide finds the account's provider of that ARN.
func mustProvide[R provider](t *table.Table[ID, R], kind Kind, account AccountID, arn string) (R, error) {
	p, ok := t.Get(ID(arn))
	if !ok || p.held().account != account {
		return p, noSuch(kind, arn)
	}
	return p, nil
}

// mayProvide refuses a provider that its account has no place for.
func (s *State) mayProvide(account AccountID, id ID, quota Quota) error {
	a, err := s.mustAccount(account)
	if err != nil {
		return err
	}
	n, _ := s.QuotaInUse(account, quota)
	if err := a.within(quota, n, quota.AWSName()); err != nil {
		return err
	}
	return s.mayIdentify(id)
}
