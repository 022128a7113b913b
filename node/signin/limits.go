package signin

import (
	"sync"
	"time"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
)

// Limits of failed sign-ins. Each try comes back after a time. A network is an address, or a
// /64 of IPv6.
const (
	// MaxWrong is how often a user or root may fail from one network.
	MaxWrong  = 5
	wrongTime = time.Minute
	// MaxWrongOfNetwork is how often all may fail from one network who never signed in from it.
	MaxWrongOfNetwork  = 20
	wrongOfNetworkTime = 15 * time.Second
	// MaxWrongOfUser is how often a user or root may fail from all networks that it never
	// signed in from.
	MaxWrongOfUser  = 100
	wrongOfUserTime = 15 * time.Second
	// MaxWrongOfAccount is MaxWrongOfUser for all users of an account.
	MaxWrongOfAccount  = 1000
	wrongOfAccountTime = time.Second
)

// Limits of what is remembered of those who signed in: of how many users and roots, and how
// many networks of each. The latest count.
const (
	MaxFamiliar         = 10_000
	MaxFamiliarNetworks = 8
)

// limits count failed sign-ins. What they hold is bounded, as admission.Tries are. The hashes
// that a node makes bound how fast strangers can fill those: each failure takes one.
type limits struct {
	known                            *admission.Tries // of users and roots in networks that they signed in from
	pairs, networks, users, accounts *admission.Tries // of others
	familiar                         familiar
}

func newLimits() *limits {
	return &limits{
		known: admission.NewTries(MaxWrong, wrongTime), pairs: admission.NewTries(MaxWrong, wrongTime),
		networks: admission.NewTries(MaxWrongOfNetwork, wrongOfNetworkTime), users: admission.NewTries(MaxWrongOfUser, wrongOfUserTime),
		accounts: admission.NewTries(MaxWrongOfAccount, wrongOfAccountTime),
	}
}

// counted is one limit that an attempt counts against, and under which name.
type counted struct {
	tries *admission.Tries
	name  string
}

// take takes a try of each, or none and returns admission.ErrTries.
func take(list []counted, now time.Time) error {
	for i, c := range list {
		if err := c.tries.Take(c.name, now); err != nil {
			giveBack(list[:i], now)
			return err
		}
	}
	return nil
}

func giveBack(list []counted, now time.Time) {
	for _, c := range list {
		c.tries.Return(c.name, now)
	}
}

// familiar are the networks that users and roots have signed in from. Only who signed in is
// remembered. Safe for concurrent use; the zero value is ready.
type familiar struct {
	mu    sync.Mutex
	count uint64                   // of sign-ins; guarded by mu
	by    map[identity.ID]*visitor // guarded by mu
}

// visitor is one user or root.
type visitor struct {
	networks []string // the latest first
	latest   uint64   // number of its latest sign-in
}

// has tells whether a user or root has signed in from a network.
func (f *familiar) has(who identity.ID, network string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	v := f.by[who]
	if v == nil {
		return false
	}
	for _, n := range v.networks {
		if n == network {
			return true
		}
	}
	return false
}

// note notes that a user or root signed in from a network. Whoever did so the longest ago
// makes room.
func (f *familiar) note(who identity.ID, network string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count++
	v := f.by[who]
	if v == nil {
		if len(f.by) >= MaxFamiliar {
			f.forget()
		}
		if f.by == nil {
			f.by = make(map[identity.ID]*visitor)
		}
		v = &visitor{}
		f.by[who] = v
	}
	v.latest = f.count
	networks := []string{network}
	for _, n := range v.networks {
		if n != network && len(networks) < MaxFamiliarNetworks {
			networks = append(networks, n)
		}
	}
	v.networks = networks
}

// forget forgets one user or root. The lock is held.
func (f *familiar) forget() {
	var oldest identity.ID
	var at uint64
	for who, v := range f.by {
		if oldest == "" || v.latest < at {
			oldest, at = who, v.latest
		}
	}
	delete(f.by, oldest)
}
