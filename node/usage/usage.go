// Package usage collects which credentials a node saw in use, and for what, until somebody
// takes that: a replica to hand it on to the leader, the leader to put it into the log. What
// is collected lives in memory alone, within a bound; what a node knows when it ends is lost.
package usage

import (
	"slices"
	"sync"

	"github.com/writ-iam/writ/log/identity"
)

// Limits of a Book.
const (
	// MaxPending is how many credentials a Book holds uses of, and MaxPendingOne how many on
	// the word of one other node. Those of more are not noted until some were taken.
	MaxPending    = 10_000
	MaxPendingOne = MaxPending / 4
	// MaxAhead is how far ahead of this node's clock another node's may be. What that says
	// it saw later than now counts as seen now; what it says it saw later still is dropped.
	MaxAhead identity.Time = 60 * 1000
)

// Book collects uses. A nil Book notes nothing. It is safe for concurrent use; the zero
// value is ready.
type Book struct {
	mu      sync.Mutex
	pending map[string]*pending // by credential; guarded by mu
	heard   map[string]int      // of them on another node's word, by its name; guarded by mu
}

// pending is what is to be told of a credential.
type pending struct {
	identity.Use
	from string // the other node that told of it first; empty for this one
}

// Note notes a use of a credential that was verified, of an action of a service; the action
// may be empty.
func (b *Book) Note(credential, service, action, region string, at identity.Time) {
	if b == nil {
		return
	}
	u := identity.Use{Credential: credential, At: at, Region: region, Service: service}
	if action != "" {
		u.Actions = []identity.ActionUse{{Service: service, Name: action, At: at, Region: region}}
	}
	b.Add([]identity.Use{u})
}

// Add adds uses that this node has collected. Texts that no service, action or region has
// count as none: a caller's signature names its region.
func (b *Book) Add(uses []identity.Use) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range uses {
		b.add("", &uses[i])
	}
}

// Hear adds uses that another node tells of at a time, by this node's clock. It is that
// node's word, so that what cannot be is dropped: uses to come, and those of credentials
// that the state does not have.
func (b *Book) Hear(from string, uses []identity.Use, now identity.Time, s *identity.State) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range uses {
		u := uses[i]
		if u.At > now+MaxAhead || !s.HasCredential(u.Credential) {
			continue
		}
		u.At, u.Actions = min(u.At, now), slices.Clone(u.Actions)
		for j := range u.Actions {
			u.Actions[j].At = min(u.Actions[j].At, u.At)
		}
		b.add(from, &u)
	}
}

// add adds a use that a node told of; the caller holds mu.
func (b *Book) add(from string, u *identity.Use) {
	if !plain(u.Credential) || !plain(u.Service) {
		return
	}
	kept := b.pending[u.Credential]
	if kept == nil {
		if len(b.pending) >= MaxPending || from != "" && b.heard[from] >= MaxPendingOne {
			return
		}
		kept = b.keep(from, u.Credential)
	}
	if u.At > kept.At {
		kept.At, kept.Region, kept.Service = u.At, orNone(u.Region), u.Service
	}
	for _, a := range u.Actions {
		if plain(a.Service) && plain(a.Name) && a.At <= u.At {
			a.Region = orNone(a.Region)
			addAction(&kept.Use, a)
		}
	}
}

// keep makes room for a credential; the caller holds mu.
func (b *Book) keep(from, credential string) *pending {
	if b.pending == nil {
		b.pending, b.heard = map[string]*pending{}, map[string]int{}
	}
	kept := &pending{Use: identity.Use{Credential: credential}, from: from}
	b.pending[credential] = kept
	if from != "" {
		b.heard[from]++
	}
	return kept
}

// drop takes a credential out; the caller holds mu.
func (b *Book) drop(u *pending) {
	delete(b.pending, u.Credential)
	if u.from == "" {
		return
	}
	if b.heard[u.from]--; b.heard[u.from] == 0 {
		delete(b.heard, u.from)
	}
}

// addAction keeps a use of an action: in the place of an older one of the same, or of the
// oldest where there are too many.
func addAction(u *identity.Use, a identity.ActionUse) {
	i := slices.IndexFunc(u.Actions, func(b identity.ActionUse) bool { return b.Service == a.Service && b.Name == a.Name })
	if i < 0 && len(u.Actions) < identity.MaxUseActions {
		u.Actions = append(u.Actions, a)
		return
	}
	if i < 0 {
		i = 0
		for j := range u.Actions {
			if u.Actions[j].At < u.Actions[i].At {
				i = j
			}
		}
	}
	if a.At > u.Actions[i].At {
		u.Actions[i] = a
	}
}

// Take takes at most so many uses out of the book, in no order. Those that the state has
// news of already, by less than an interval, stay, to be taken later; nil takes any.
func (b *Book) Take(most int, s *identity.State) (uses []identity.Use) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, u := range b.pending {
		if len(uses) == most {
			break
		}
		if s == nil || s.Due(&u.Use) {
			uses = append(uses, u.Use)
			b.drop(u)
		}
	}
	return uses
}

// plain tells whether a text is the name of something: letters and digits of ASCII, and
// what stands between them.
func plain(text string) bool {
	if text == "" || len(text) > identity.MaxUseText {
		return false
	}
	for i := range len(text) {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == ':', c == '.':
		default:
			return false
		}
	}
	return true
}

// orNone is the text, or none where it is no name.
func orNone(text string) string {
	if plain(text) {
		return text
	}
	return ""
}
