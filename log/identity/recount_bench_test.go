package identity

import "testing"

// BenchmarkRecount measures what it takes to compute the digest of a state from
// its records.
func BenchmarkRecount(b *testing.B) {
	for name, users := range map[string]int{"100000": 100_000, "1000000": 1_000_000} {
		c := newCrowd(3)
		s := c.state()
		for range users {
			s.fold(c.user())
		}
		s = s.Snapshot()
		b.Run(name, func(b *testing.B) {
			for range b.N {
				if s.Recount() != s.Digest() {
					b.Fatal("it differs")
				}
			}
		})
	}
}
