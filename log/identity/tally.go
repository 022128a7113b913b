package identity

import (
	"github.com/tidwall/btree"
	"github.com/writ-iam/writ/log/table"
)

// tally is a persistent number for each account, of what would take a walk through its
// records to count. It is derived from the records.
type tally struct {
	numbers btree.Map[table.Handle, int]
}

func (t *tally) of(account AccountID) int {
	n, _ := t.numbers.Get(table.HandleOf(account))
	return n
}

func (t *tally) add(account AccountID, n int) {
	h := table.HandleOf(account)
	if n += t.of(account); n != 0 {
		t.numbers.Set(h, n)
	} else {
		t.numbers.Delete(h)
	}
}

func (t *tally) snapshot() tally { return tally{*t.numbers.Copy()} }

// PolicyVersions is how many versions the managed policies of an account have together.
func (s *State) PolicyVersions(account AccountID) int { return s.versions.of(account) }

// EnabledMFADevices is how many of the MFA devices of an account are enabled for somebody.
func (s *State) EnabledMFADevices(account AccountID) int { return s.enabled.of(account) }

// putPolicy puts a policy in, in place of the one with its identifier.
func (s *State) putPolicy(p *Policy) {
	if old, ok := s.policies.Get(p.ID); ok {
		s.versions.add(old.Account, -len(old.Versions))
	}
	s.versions.add(p.Account, len(p.Versions))
	s.policies.Put(p)
}

// deletePolicy takes a policy out.
func (s *State) deletePolicy(p *Policy) {
	s.versions.add(p.Account, -len(p.Versions))
	s.policies.Delete(p)
}
