package identity

import (
	"fmt"
	"testing"
)

// What a reliance costs a decision: of a user with few tags, and with all it may have.
func BenchmarkReliance(b *testing.B) {
	for _, tags := range []int{0, 5, MaxTags} {
		u := &UserCreated{Account: acct, ID: "AIDA1", Name: "Alice", Path: "/staff/"}
		for i := range tags {
			u.Tags = append(u.Tags, Tag{fmt.Sprintf("key-%02d", i), "a value of common length"})
		}
		s := given(u)
		for _, relies := range []bool{false, true} {
			b.Run(fmt.Sprintf("tags=%d/relies=%v", tags, relies), func(b *testing.B) {
				var on []Reliance
				command := &UpdateUser{Account: acct, Name: "alice", NewPath: "/x/"}
				for b.Loop() {
					if relies {
						w := NewWitness(s)
						w.Find(lookups["user"])
						on = w.Reliances()
					}
					if _, err := Decide(s, Meta{}, command, on...); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
