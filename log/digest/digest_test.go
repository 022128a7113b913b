package digest

import (
	"math/rand/v2"
	"testing"
)

func TestHashNoticesEveryBit(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 70 {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		want := Of(b)
		for bit := range 8 * n {
			b[bit/8] ^= 1 << (bit % 8)
			if got := Of(b); got[0] == want[0] || got[1] == want[1] {
				t.Fatalf("bit %d of %d bytes is not noticed", bit, n)
			}
			b[bit/8] ^= 1 << (bit % 8)
		}
		if got := Of(append(b, 0)); got[0] == want[0] || got[1] == want[1] {
			t.Fatalf("a zero after %d bytes is not noticed", n)
		}
	}
}
