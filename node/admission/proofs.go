package admission

import (
	"net/netip"
	"sync"
	"time"
)

// Limits of what is remembered of callers who have proved who they are.
const (
	// maxProofs is how many pairs of an access key and an address are remembered, and
	// maxProofsOfKey how many of one key: whoever has one makes the node forget no other.
	maxProofs      = 4096
	maxProofsOfKey = maxProofs / 4
	// proofLife is how long a pair is remembered at most, after a signature of it was
	// verified; at least half of it, while there is room.
	proofLife = 10 * time.Minute
)

// proofs remember from which addresses access keys have lately made a signature that verified. An id
// of a key is no secret: what is held for a request before its signature can be verified counts
// against the key only where it comes from such an address, so that others who know the id take
// nothing from its owner. Nothing is remembered of whom no signature proved. Safe for concurrent use.
type proofs struct {
	mu         sync.Mutex
	young, old proofGeneration // guarded by mu
	turned     time.Time       // when young was begun; guarded by mu
}

// proofGeneration are pairs that were noted in the same half of a life.
type proofGeneration struct {
	size  int
	byKey map[string]map[netip.Addr]struct{} // by network
}

func (g *proofGeneration) has(key string, network netip.Addr) bool {
	_, ok := g.byKey[key][network]
	return ok
}

// note remembers that a signature of a key, from a network, was verified.
func (p *proofs) note(key string, network netip.Addr, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn(now)
	if p.young.has(key, network) || len(p.young.byKey[key]) >= maxProofsOfKey/2 {
		return
	}
	if p.young.size >= maxProofs/2 {
		p.old, p.young, p.turned = p.young, proofGeneration{}, now
	}
	if p.young.byKey == nil {
		p.young.byKey = make(map[string]map[netip.Addr]struct{})
	}
	if p.young.byKey[key] == nil {
		p.young.byKey[key] = make(map[netip.Addr]struct{})
	}
	p.young.byKey[key][network] = struct{}{}
	p.young.size++
}

// have tells whether note was called lately.
func (p *proofs) have(key string, network netip.Addr, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn(now)
	return p.young.has(key, network) || p.old.has(key, network)
}

// turn forgets what is too old. The lock is held.
func (p *proofs) turn(now time.Time) {
	const half = proofLife / 2
	switch age := now.Sub(p.turned); {
	case age >= 2*half:
		p.old, p.young, p.turned = proofGeneration{}, proofGeneration{}, now
	case age >= half:
		p.old, p.young, p.turned = p.young, proofGeneration{}, p.turned.Add(half)
	}
}
