package sigv4

import (
	"strings"
	"sync"
)

// KeyCache remembers derived signing keys, so that the steady state derives
// none. It holds at most about twice its limit; what was not asked for while as
// many others were is forgotten. Safe for concurrent use.
type KeyCache struct {
	limit int

	mu     sync.RWMutex
	recent map[cacheKey]SigningKey // guarded by mu
	older  map[cacheKey]SigningKey // guarded by mu
}

// cacheKey names a derived key. secretID is part of it so that a secret that
// replaces another one under the same access key id is never mixed up with it.
type cacheKey struct {
	accessKeyID, secretID string
	scope                 Scope
}

// NewKeyCache returns a cache for about limit keys, at least one.
func NewKeyCache(limit int) *KeyCache {
	return &KeyCache{limit: max(limit, 1), recent: make(map[cacheKey]SigningKey)}
}

// Key returns the signing key for an access key in a scope. secretID identifies
// the secret without revealing it (its sealed form will do); secret is called to
// get the secret itself when the cache does not have the key, and its error is
// returned as it is.
func (c *KeyCache) Key(accessKeyID, secretID string, scope Scope, secret func() ([]byte, error)) (SigningKey, error) {
	id := cacheKey{accessKeyID, secretID, scope}
	key, inRecent, ok := c.find(id)
	if inRecent {
		return key, nil
	}
	if !ok {
		plain, err := secret()
		if err != nil {
			return SigningKey{}, err
		}
		key = DeriveKey(plain, scope)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.recent) >= c.limit {
		c.older, c.recent = c.recent, make(map[cacheKey]SigningKey, c.limit)
	}
	c.recent[id.clone()] = key
	return key, nil
}

func (c *KeyCache) find(id cacheKey) (key SigningKey, inRecent, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if key, ok = c.recent[id]; ok {
		return key, true, true
	}
	key, ok = c.older[id]
	return key, false, ok
}

// clone frees the key from the request's buffers, which it must not keep alive.
func (k cacheKey) clone() cacheKey {
	return cacheKey{
		accessKeyID: strings.Clone(k.accessKeyID),
		secretID:    strings.Clone(k.secretID),
		scope: Scope{
			Date:    strings.Clone(k.scope.Date),
			Region:  strings.Clone(k.scope.Region),
			Service: strings.Clone(k.scope.Service),
		},
	}
}
