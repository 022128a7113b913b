package sigv4

import (
	"crypto/sha256"
	"strings"
	"sync"
)

// Limits of a KeyCache.
const (
	// keysPerAccessKey is how many scopes are remembered of one access key: a few
	// services in a few regions, on both sides of midnight. Whoever signs for more
	// pushes out their own.
	keysPerAccessKey = 8
	// maxKeySize bounds what one derived key takes, in bytes; a longer one is derived
	// each time.
	maxKeySize = 1 << 10
	// keyOverhead is about what a derived key takes besides its strings.
	keyOverhead = 160
)

// KeyCache verifies signatures, and remembers the derived keys by which it did, so
// that the steady state derives none. Nothing is remembered of a signature that did
// not verify: without the secret nobody makes it grow. Of one access key it holds
// keysPerAccessKey at most, in all at most twice its limit; what was not asked for
// while as many others were is forgotten. Safe for concurrent use.
type KeyCache struct {
	limit int

	mu     sync.RWMutex
	recent generation // guarded by mu
	older  generation // guarded by mu
}

// generation is what was remembered between two turns of the cache.
type generation struct {
	keys    map[string][]derived // by access key id; the oldest of each first
	entries int
	bytes   int
}

// derived is a key and what it was derived from. secretID is part of it so that a
// secret that replaces another one under the same access key id is never mixed up
// with it.
type derived struct {
	secretID string
	scope    Scope
	key      SigningKey
}

// NewKeyCache returns a cache for about limit keys, at least one.
func NewKeyCache(limit int) *KeyCache {
	return &KeyCache{limit: max(limit, 1), recent: generation{keys: make(map[string][]derived)}}
}

// Verify verifies s by the secret of its access key; see [Signature.Verify].
// secretID identifies the secret without revealing it (its sealed form will do);
// secret is called to get the secret itself when the cache does not have the key,
// and its error is returned as it is.
func (c *KeyCache) Verify(s *Signature, bodyHash [sha256.Size]byte, secretID string, secret func() ([]byte, error)) error {
	return c.verify(s, secretID, secret, func(key SigningKey) error { return s.Verify(key, bodyHash) })
}

// VerifyClaim is Verify for what is known of a signature by its claim alone.
func (c *KeyCache) VerifyClaim(claim *Claim, secretID string, secret func() ([]byte, error)) error {
	return c.verify(&Signature{AccessKeyID: claim.AccessKeyID, Scope: claim.Scope}, secretID, secret, claim.Verify)
}

// verify verifies by the key of the access key and scope in s.
func (c *KeyCache) verify(s *Signature, secretID string, secret func() ([]byte, error), verify func(SigningKey) error) error {
	key, inRecent, ok := c.find(s, secretID)
	if !ok {
		plain, err := secret()
		if err != nil {
			return err
		}
		key = DeriveKey(plain, s.Scope)
	}
	if err := verify(key); err != nil {
		return err
	}
	if !inRecent {
		c.keep(s, derived{secretID, s.Scope, key})
	}
	return nil
}

// Size is how many keys the cache holds, and about how many bytes they take.
func (c *KeyCache) Size() (entries, bytes int) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.recent.entries + c.older.entries, c.recent.bytes + c.older.bytes
}

func (c *KeyCache) find(s *Signature, secretID string) (key SigningKey, inRecent, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if d := c.recent.find(s, secretID); d != nil {
		return d.key, true, true
	}
	if d := c.older.find(s, secretID); d != nil {
		return d.key, false, true
	}
	return SigningKey{}, false, false
}

func (g *generation) find(s *Signature, secretID string) *derived {
	list := g.keys[s.AccessKeyID]
	for i := range list {
		if list[i].scope == s.Scope && list[i].secretID == secretID {
			return &list[i]
		}
	}
	return nil
}

// keep remembers a key that has verified a signature.
func (c *KeyCache) keep(s *Signature, d derived) {
	size := d.size(s.AccessKeyID)
	if size > maxKeySize {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.recent.find(s, d.secretID) != nil {
		return // another request was faster
	}
	list := c.recent.keys[s.AccessKeyID]
	if len(list) == keysPerAccessKey {
		c.recent.entries--
		c.recent.bytes -= list[0].size(s.AccessKeyID)
		list = append(list[:0], list[1:]...)
	} else if c.recent.entries >= c.limit {
		c.older, c.recent = c.recent, generation{keys: make(map[string][]derived)}
		list = nil
	}
	c.recent.entries++
	c.recent.bytes += size
	// The clones keep the request's buffers from living on.
	d.scope = Scope{strings.Clone(d.scope.Date), strings.Clone(d.scope.Region), strings.Clone(d.scope.Service)}
	d.secretID = strings.Clone(d.secretID)
	c.recent.keys[strings.Clone(s.AccessKeyID)] = append(list, d)
}

// size is about how many bytes a key takes in the cache.
func (d *derived) size(accessKeyID string) int {
	return keyOverhead + len(accessKeyID) + len(d.secretID) + len(d.scope.Date) + len(d.scope.Region) + len(d.scope.Service)
}
