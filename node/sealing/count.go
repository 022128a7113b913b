package sealing

import (
	"cmp"
	"slices"

	"github.com/writ-iam/writ/log/identity"
)

// Count is how many secrets of a state each key has sealed.
type Count struct {
	Position identity.Position
	Keys     identity.SealKeys
	Sealed   map[identity.SealKeyID]uint64
}

// CountOf counts, in time linear in the secrets.
func CountOf(s *identity.State) *Count {
	c := &Count{Position: s.Position(), Keys: s.SealKeys(), Sealed: map[identity.SealKeyID]uint64{}}
	s.Secrets(identity.SecretPlace{}, func(_ identity.SecretPlace, of []identity.Secret) bool {
		for i := range of {
			c.Sealed[identity.SealedBy(of[i].Sealed)]++
		}
		return true
	})
	return c
}

// Needed are the keys without which something of the state could not be opened, or sealed, in
// order.
func (c *Count) Needed() (ids []identity.SealKeyID) {
	for id := range c.Sealed {
		ids = append(ids, id)
	}
	if a := c.Keys.Active; a != (identity.SealKeyID{}) && c.Sealed[a] == 0 {
		ids = append(ids, a)
	}
	slices.SortFunc(ids, func(a, b identity.SealKeyID) int { return cmp.Compare(a.String(), b.String()) })
	return ids
}

// Left is how many secrets another key than the one that seals has sealed.
func (c *Count) Left(sealing identity.SealKeyID) (n uint64) {
	for id, sealed := range c.Sealed {
		if id != sealing {
			n += sealed
		}
	}
	return n
}
