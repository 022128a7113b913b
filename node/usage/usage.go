// Package usage collects which credentials a node saw in use, and for what, until somebody
// takes that: a replica to hand it on to the leader, the leader to put it into the log. What
// is collected lives in memory alone, within a bound; what a node knows when it ends is lost.
package usage

import (
	"slices"
	"sync"

	"github.com/writ-iam/writ/log/identity"
)

// MaxPending is how many credentials a Book holds uses of. Those of more are not noted until
// some were taken.
const MaxPending = 10_000

// Book collects uses. A nil Book notes nothing. It is safe for concurrent use; the zero
// value is ready.
type Book struct {
	mu      sync.Mutex
	pending map[string]*identity.Use // by credential; guarded by mu
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

// Add adds uses that a node has collected. Texts that no service, action or region has
// count as none: a caller's signature names its region, and a node its word for all.
func (b *Book) Add(uses []identity.Use) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pending == nil {
		b.pending = map[string]*identity.Use{}
	}
	for i := range uses {
		b.add(&uses[i])
	}
}

// add adds a use; the caller holds mu.
func (b *Book) add(u *identity.Use) {
	if !plain(u.Credential) || !plain(u.Service) {
		return
	}
	kept := b.pending[u.Credential]
	if kept == nil {
		if len(b.pending) >= MaxPending {
			return
		}
		kept = &identity.Use{Credential: u.Credential}
		b.pending[u.Credential] = kept
	}
	if u.At > kept.At {
		kept.At, kept.Region, kept.Service = u.At, orNone(u.Region), u.Service
	}
	for _, a := range u.Actions {
		if plain(a.Service) && plain(a.Name) && a.At <= u.At {
			a.Region = orNone(a.Region)
			addAction(kept, a)
		}
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
	for credential, u := range b.pending {
		if len(uses) == most {
			break
		}
		if s == nil || s.Due(u) {
			uses = append(uses, *u)
			delete(b.pending, credential)
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
