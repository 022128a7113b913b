package signin

import (
	"container/list"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/admission"
	"github.com/writ-iam/writ/node/password"
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
	// MaxWrongOfSite is MaxWrongOfNetwork for a /56 of IPv6, as one customer of a provider has
	// it, and MaxWrongOfBlock for a /48, as an organization has: each has networks without number.
	MaxWrongOfSite   = 60
	wrongOfSiteTime  = 5 * time.Second
	MaxWrongOfBlock  = 200
	wrongOfBlockTime = 2 * time.Second
	// MaxWrongOfUser is how often a user or root may fail from all networks that it never
	// signed in from.
	MaxWrongOfUser  = 100
	wrongOfUserTime = 15 * time.Second
	// MaxWrongOfAccount is MaxWrongOfUser for all users of an account.
	MaxWrongOfAccount  = 1000
	wrongOfAccountTime = time.Second
)

// Pace is at what multiples of a time after they came sign-ins are refused, whatever is wrong: a
// hash, or the lack of one, takes less while the node is not busy.
const Pace = 250 * time.Millisecond

// How long the prefixes of sites and blocks are.
const (
	siteBits  = 56
	blockBits = 48
)

// MaxHashingOfBlock is how many sign-ins from one /48 of IPv6 hash or wait for it, of
// password.MaxRequests, by whoever never signed in from there.
const MaxHashingOfBlock = password.MaxRequests / 4

// Limits of what is remembered of those who signed in: of how many users and roots, and how
// many networks of each. The latest count. Where they are too many, the account of which most
// are remembered makes room: no account's sign-ins make the node forget those of one with fewer.
const (
	MaxFamiliar         = 10_000
	MaxFamiliarNetworks = 8
)

// limits count failed sign-ins. What they hold is bounded, as admission.Tries are. The hashes
// that a node makes bound how fast strangers can fill those: each failure takes one.
type limits struct {
	known                            *admission.Tries // of users and roots in networks that they signed in from
	pairs, networks, users, accounts *admission.Tries // of others
	sites, blocks                    *admission.Tries // of others, of IPv6
	hashing                          *admission.Slots // of others, by block
	familiar                         familiar
}

func newLimits() *limits {
	return &limits{
		known: admission.NewTries(MaxWrong, wrongTime), pairs: admission.NewTries(MaxWrong, wrongTime),
		networks: admission.NewTries(MaxWrongOfNetwork, wrongOfNetworkTime), users: admission.NewTries(MaxWrongOfUser, wrongOfUserTime),
		accounts: admission.NewTries(MaxWrongOfAccount, wrongOfAccountTime),
		sites:    admission.NewTries(MaxWrongOfSite, wrongOfSiteTime), blocks: admission.NewTries(MaxWrongOfBlock, wrongOfBlockTime),
		hashing: admission.NewShares(password.MaxRequests, MaxHashingOfBlock),
	}
}

// ofNetwork are the limits that those from a network share.
func (l *limits) ofNetwork(network string) []counted {
	shared := []counted{{l.networks, network}}
	if site := wider(network, siteBits); site != "" {
		shared = append(shared, counted{l.sites, site}, counted{l.blocks, wider(network, blockBits)})
	}
	return shared
}

// wider is the network of IPv6, of so many bits, that an address or network is in; empty for
// others.
func wider(network string, bits int) string {
	a, err := netip.ParseAddr(network)
	if err != nil || !a.Is6() {
		return ""
	}
	p, err := a.WithZone("").Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}

// counted is one limit that an attempt counts against, and under which name.
type counted struct {
	tries *admission.Tries
	name  string
}

// take takes a try of each, or none and returns admission.ErrTries.
func take(all []counted, now time.Time) error {
	for i, c := range all {
		if err := c.tries.Take(c.name, now); err != nil {
			giveBack(all[:i], now)
			return err
		}
	}
	return nil
}

func giveBack(all []counted, now time.Time) {
	for _, c := range all {
		c.tries.Return(c.name, now)
	}
}

// familiar are the networks that users and roots have signed in from. Only who signed in is
// remembered. Safe for concurrent use; the zero value is ready.
type familiar struct {
	mu    sync.Mutex
	count uint64                            // of sign-ins; guarded by mu, as are all below
	by    map[identity.ID]*visitor          // all of them
	of    map[identity.AccountID]*list.List // of *visitor, those of each account, the latest first
}

// visitor is one user or root.
type visitor struct {
	id       identity.ID
	account  identity.AccountID
	networks []string      // the latest first
	latest   uint64        // number of its latest sign-in
	own      *list.Element // among those of its account
}

// has tells whether a user or root has signed in from a network.
func (f *familiar) has(who identity.ID, network string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	v := f.by[who]
	return v != nil && slices.Contains(v.networks, network)
}

// note notes that a user or root of an account signed in from a network.
func (f *familiar) note(account identity.AccountID, who identity.ID, network string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count++
	v := f.by[who]
	if v == nil {
		if len(f.by) >= MaxFamiliar {
			f.forget()
		}
		if f.by == nil {
			f.by, f.of = make(map[identity.ID]*visitor), make(map[identity.AccountID]*list.List)
		}
		if f.of[account] == nil {
			f.of[account] = list.New()
		}
		v = &visitor{id: who, account: account}
		f.by[who], v.own = v, f.of[account].PushFront(v)
	}
	v.latest = f.count
	f.of[v.account].MoveToFront(v.own)
	networks := []string{network}
	for _, n := range v.networks {
		if n != network && len(networks) < MaxFamiliarNetworks {
			networks = append(networks, n)
		}
	}
	v.networks = networks
}

// forget forgets who signed in the longest ago of the account of which most are remembered.
// The lock is held.
func (f *familiar) forget() {
	var oldest *visitor
	most := 0
	for _, own := range f.of {
		last := own.Back().Value.(*visitor)
		if n := own.Len(); n > most || n == most && last.latest < oldest.latest {
			oldest, most = last, n
		}
	}
	own := f.of[oldest.account]
	if own.Remove(oldest.own); own.Len() == 0 {
		delete(f.of, oldest.account)
	}
	delete(f.by, oldest.id)
}
