package sealing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/wake"
	"github.com/writ-iam/writ/node/seal"
	"github.com/writ-iam/writ/projection"
)

// askAgain is how long a node that lacks a key waits before it asks again how far the history
// reaches, while nobody answers.
const askAgain = time.Second

// ErrLacksKey is returned where secrets were sealed by a key that a node does not have.
var ErrLacksKey = errors.New("secrets are sealed by a key that this node does not have")

// Keys are those of a node, as the log says that they are used. Safe for concurrent use. The nil
// *Keys are those of a node without.
type Keys struct {
	key    *seal.Key
	source Source
	lost   []identity.SealKeyID

	counter Counter // for nodes that ask

	mu     sync.Mutex
	active identity.SealKeyID // that was chosen last; guarded by mu
	at     identity.Position  // of the newest state; guarded by mu
	news   wake.Bell          // what is needed may have changed
}

// Open reads the keys of a source. Lost are ids of keys that nobody has any more: what they
// sealed stays shut, and the node goes on without them.
func Open(ctx context.Context, source Source, lost []string) (*Keys, error) {
	k := &Keys{source: source, news: wake.NewBell()}
	for _, text := range lost {
		id, ok := seal.ParseID(text)
		if !ok {
			return nil, fmt.Errorf("%w: %q is no id of a key; `writ seal status` shows them", ErrSource, text)
		}
		k.lost = append(k.lost, identity.SealKeyID(id))
	}
	var err error
	k.key, err = source.Load(ctx)
	return k, err
}

// Key is what seals and opens; nil for a node without.
func (k *Keys) Key() *seal.Key {
	if k == nil {
		return nil
	}
	return k.key
}

// IDs are those of the keys; empty, but not nil, for a node without.
func (k *Keys) IDs() []string {
	ids := []string{}
	for _, id := range k.Key().IDs() {
		ids = append(ids, id.String())
	}
	return ids
}

// Follow has the key seal that a state says. It is called before the state is shown to anybody.
func (k *Keys) Follow(s *identity.State) {
	if k == nil || s.Position() == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if s.Position() <= k.at { // several goroutines tell what they see
		return
	}
	first, now := k.at == 0, s.SealKeys().Active
	if k.at = s.Position(); !first && now == k.active {
		return
	}
	k.active = now
	k.key.Choose(seal.ID(now))
	k.news.Ring()
}

// Lacking are the keys that a state needs and others than this node have.
func (k *Keys) Lacking(s *identity.State) (ids []identity.SealKeyID) {
	if k == nil {
		return nil
	}
	has := k.key.IDs()
	for _, id := range CountOf(s).Needed() {
		if !slices.Contains(has, seal.ID(id)) && !slices.Contains(k.lost, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// Shown tells whether another node has shown that it has all keys that a state needs, or by which
// this one seals: see seal.Key.Marks. The secrets are counted only where it has not shown a key that
// this node has, and a node that asks again and again while it lacks one costs a tenth of the time.
func (k *Keys) Shown(s *identity.State, marks map[string]string) bool {
	sealing, missing := identity.SealKeyID(k.Key().Sealing()), map[identity.SealKeyID]bool{}
	for id, mark := range k.Key().Marks() {
		if marks[id] != mark {
			missing[idOf(id)] = true
		}
	}
	needs := func(c *Count) bool {
		return slices.ContainsFunc(c.Needed(), func(id identity.SealKeyID) bool { return missing[id] })
	}
	switch {
	case missing[sealing]:
		return false
	case len(missing) > 0 && (needs(k.counter.Of(s)) || needs(CountOf(s))): // what was counted a moment ago may refuse, and admits nobody
		return false
	}
	return len(marks) > 0
}

// lacks is the error of a node that lacks keys; nil for none.
func lacks(ids []identity.SealKeyID, s *identity.State) error {
	if len(ids) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s, at position %d; put it back into the key file beside the others (`writ seal status` at another node shows who has it)",
		ErrLacksKey, texts(ids), s.Position())
}

func texts(ids []identity.SealKeyID) string {
	var list []string
	for _, id := range ids {
		list = append(list, id.String())
	}
	return strings.Join(list, ", ")
}

// Reload reads the keys again, unless a state needs one that is not among them any more.
func (k *Keys) Reload(ctx context.Context, s *identity.State) error {
	if k == nil {
		return nil
	}
	read, err := k.source.Load(ctx)
	if err != nil {
		return err
	}
	fresh := &Keys{key: read, lost: k.lost}
	if err := lacks(fresh.Lacking(s), s); err != nil {
		return err
	}
	k.key.Replace(read)
	return nil
}

// Heads tells where the cluster's history is.
type Heads interface {
	StrictHead(context.Context) (event.Head, error)
}

// Watch returns an error of ErrLacksKey when a state needs a key that the node does not have,
// which is the newest, or nil when ctx ends: what an old state needs may have been retired
// since. A node that nobody tells how far the history reaches waits.
func (k *Keys) Watch(ctx context.Context, p *projection.Projection, heads Heads, logger *slog.Logger) error {
	if k == nil {
		return nil
	}
	for {
		select {
		case <-k.news:
		case <-ctx.Done():
			return nil
		}
		k.mu.Lock()
		at := k.at
		k.mu.Unlock()
		if _, err := p.Wait(ctx, at); err != nil { // a state is followed before it is shown
			return nil
		}
		if err := k.check(ctx, p, heads, logger); err != nil {
			return err
		}
	}
}

// check says what the newest state needs and the node does not have.
func (k *Keys) check(ctx context.Context, p *projection.Projection, heads Heads, logger *slog.Logger) error {
	for told := false; ; {
		s := p.View().State
		err := lacks(k.Lacking(s), s)
		if err == nil {
			return nil
		}
		if !told {
			told = true
			logger.Warn("a seal key is missing, unless it was retired since", "error", err)
		}
		head, unread := heads.StrictHead(ctx)
		if unread == nil && s.Position() >= head.Position {
			return err
		}
		if unread == nil {
			_, unread = p.Wait(ctx, head.Position)
		}
		if unread != nil && wake.After(ctx, askAgain) != nil {
			return nil
		}
	}
}
