package signed

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/writ-iam/writ/node/client"
	"github.com/writ-iam/writ/node/sigv4"
)

const (
	// MaxKeys is how many signing keys are kept, at most.
	MaxKeys = 4096
	// askTime is how long a node is waited for.
	askTime = 10 * time.Second
)

// keyOf is what a signing key is for. The token stands as its hash.
type keyOf struct {
	accessKey string
	scope     sigv4.Scope
	token     [sha256.Size]byte
}

// kept is a signing key, while it is good.
type kept struct {
	key         sigv4.SigningKey
	told        *client.SigningKey
	fresh, good time.Time // until when it is not asked for anew, and until when it is good
	asking      bool      // guarded by keys.mu
}

// keys are signing keys, each kept for as long as its answer said and no longer. Only keys that the
// cluster gave are kept. Safe for concurrent use.
type keys struct {
	from Authority
	now  func() time.Time

	mu   sync.Mutex
	kept map[keyOf]*kept // guarded by mu
}

// find returns a key that is good now. It asks the cluster for one that is not kept, and beside the
// request for one that will soon be good no more. The error is a *sigv4.Error where there are no such
// credentials.
func (k *keys) find(ctx context.Context, sig *sigv4.Signature) (*kept, error) {
	id := keyOf{sig.AccessKeyID, sig.Scope, sha256.Sum256([]byte(sig.SessionToken))}
	now := k.now()
	k.mu.Lock()
	found := k.kept[id]
	if found != nil && now.Before(found.good) {
		if !now.Before(found.fresh) && !found.asking {
			found.asking = true
			token := sig.SessionToken
			go func() {
				ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
				defer cancel()
				_, _ = k.ask(ctx, id, token) // until it is good no more, it is
			}()
		}
		k.mu.Unlock()
		return found, nil
	}
	k.mu.Unlock()
	return k.ask(ctx, id, sig.SessionToken)
}

// ask asks the cluster for a key, and keeps it. It drops one that the cluster has no more.
func (k *keys) ask(ctx context.Context, id keyOf, token string) (*kept, error) {
	asked := k.now() // the answer's time counts from before the question
	told, err := k.from.SigningKey(ctx, client.SigningKeyOf{
		AccessKeyID: id.accessKey, SessionToken: token, Date: id.scope.Date, Region: id.scope.Region, Service: id.scope.Service,
	}, client.Freshness{})
	var problem *client.Problem
	k.mu.Lock()
	defer k.mu.Unlock()
	if old := k.kept[id]; old != nil {
		old.asking = false
	}
	if errors.As(err, &problem) && problem.Code == "NoSuchEntity" {
		delete(k.kept, id)
		return nil, sigv4.ErrInvalidClientTokenID
	}
	if err != nil {
		return nil, fmt.Errorf("ask for a signing key: %w", err)
	}
	raw, err := hex.DecodeString(told.Key)
	if err != nil || len(raw) != len(sigv4.SigningKey{}) {
		return nil, errors.New("the node answered with what is no signing key")
	}
	made := &kept{key: sigv4.SigningKey(raw), told: told, good: asked.Add(time.Duration(told.GoodMS) * time.Millisecond), fresh: asked.Add(time.Duration(told.RefreshMS) * time.Millisecond)}
	if len(k.kept) >= MaxKeys {
		k.sweep(asked)
	}
	k.kept[id] = made
	return made, nil
}

// sweep makes room: of those that are good no more, or of any. The lock is held.
func (k *keys) sweep(now time.Time) {
	for id, old := range k.kept {
		if !now.Before(old.good) {
			delete(k.kept, id)
		}
	}
	for id := range k.kept {
		if len(k.kept) < MaxKeys {
			return
		}
		delete(k.kept, id)
	}
}
