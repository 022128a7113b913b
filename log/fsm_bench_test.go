package log

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/store"
	"github.com/writ-iam/writ/log/wire"
)

// BenchmarkFSM applies commands in pieces as large as Raft hands them over.
func BenchmarkFSM(b *testing.B) {
	for _, size := range []int{1, 64} {
		b.Run(fmt.Sprintf("entries=%d", size), func(b *testing.B) {
			s, err := store.Open(filepath.Join(b.TempDir(), EventsFile), store.Options{})
			must(b, err)
			defer s.Close()
			f := newFSM("", s, newFailure(), func() {})
			index := uint64(0)
			entry := func(cmd event.Command) *raft.Log {
				index++
				data, err := wire.EncodeCommand(&cmd)
				must(b, err)
				return &raft.Log{Index: index, Term: 1, Type: raft.LogCommand, Data: data}
			}
			f.Apply(entry(event.Command{Content: &identity.Bootstrap{Cluster: testCluster, Incarnation: "1", Account: "123456789012",
				RootKey: identity.NewAccessKey{ID: "AKIAROOT"}}}))
			b.ReportAllocs()
			var entries []*raft.Log
			b.StopTimer()
			for i := range b.N {
				cmd := createUser(fmt.Sprintf("user-%d", i))
				cmd.Cluster, cmd.Incarnation = testCluster, "1"
				entries = append(entries, entry(cmd))
				if len(entries) == size || i == b.N-1 {
					b.StartTimer()
					f.ApplyBatch(entries)
					b.StopTimer()
					entries = nil
				}
			}
			if got := f.applied.Load().Head.Position; got != event.Position(b.N+1) {
				b.Fatalf("head is %d: %v", got, f.fail.latched())
			}
		})
	}
}
