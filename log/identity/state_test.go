package identity

import (
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Readers of a snapshot need no lock, whatever the owner of the state does.
func TestSnapshotsAreReadWhileTheStateChanges(t *testing.T) {
	s := given(admins, readS3)
	var readers sync.WaitGroup
	for i := range 200 {
		id := ID(fmt.Sprintf("AIDAx%d", i))
		apply(s, &UserCreated{Account: acct, ID: id, Name: fmt.Sprintf("u%d", i), Path: "/"})
		apply(s, &UserAddedToGroup{Group: "AGPA1", User: id})
		apply(s, &PolicyAttached{Kind: KindUser, ID: id, Policy: "ANPA1"})
		apply(s, &AccessKeyCreated{Account: acct, Owner: id, ID: fmt.Sprintf("AKIAx%d", i)})
		if i%20 != 0 {
			continue
		}
		snapshot := s.Snapshot()
		readers.Go(func() {
			before := dump(snapshot)
			for range 3 {
				if diff := cmp.Diff(before, dump(snapshot), compareContent); diff != "" || snapshot.Count(acct, KindUser) != i+1 {
					t.Errorf("snapshot %d changed: %s", i, diff)
				}
			}
			if snapshot.Recount() != snapshot.Digest() || snapshot.AttachmentCount("ANPA1") != i+1 {
				t.Errorf("snapshot %d is not what it was", i)
			}
		})
	}
	readers.Wait()
	verify(t, s)
}
