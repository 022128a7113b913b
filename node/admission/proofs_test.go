package admission

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func networkOf(i int) netip.Addr {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, uint32(i))))
}

func (p *proofs) size() int { return p.young.size + p.old.size }

// A pair is remembered for at least half of a life and no longer than a whole one, after
// the latest signature.
func TestProofsAreForgotten(t *testing.T) {
	var p proofs
	now := time.Unix(1_700_000_000, 0)
	begun := now
	if p.have("key", networkOf(1), now) {
		t.Error("it was never proved")
	}
	p.note("key", networkOf(1), now)
	for _, c := range []struct {
		after time.Duration
		have  bool
	}{{0, true}, {proofLife/2 - 1, true}, {proofLife/2 + 1, true}, {proofLife, false}, {2 * proofLife, false}} {
		now = begun.Add(c.after)
		if have := p.have("key", networkOf(1), now); have != c.have {
			t.Errorf("%v after it was proved: %v", c.after, have)
		}
	}
	p.note("key", networkOf(1), now)
	if p.have("key", networkOf(2), now) || p.have("other", networkOf(1), now) {
		t.Error("another pair was not proved")
	}
	if now = now.Add(proofLife); p.have("key", networkOf(1), now) || p.size() != 0 {
		t.Errorf("after a pause it is still there, with %d pairs", p.size())
	}
}

// However many prove who they are, the pairs are bounded, and those of one key, which
// make the node forget nobody else's.
func TestProofsAreBounded(t *testing.T) {
	var p proofs
	now := time.Unix(1_700_000_000, 0)
	p.note("owner", networkOf(1), now)
	for i := range 4 * maxProofs {
		p.note("one", networkOf(i), now)
	}
	if !p.have("owner", networkOf(1), now) || p.size() > 1+maxProofsOfKey {
		t.Errorf("one key has %d pairs", p.size())
	}
	for i := range 4 * maxProofs {
		p.note(fmt.Sprint("key", i), networkOf(i), now)
		if !p.have(fmt.Sprint("key", i), networkOf(i), now) || p.size() > maxProofs {
			t.Fatalf("the latest is forgotten, or there are %d pairs", p.size())
		}
	}
}
