// Package history is a writer's history for tests of what reads it: real batches, in
// memory, served over HTTP in ways that a test can break.
package history

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/wire"
)

// History is a writer's state and event store in memory, with real batches.
type History struct {
	Mu      sync.Mutex
	state   *identity.State
	first   event.Position
	Newest  event.Head
	Batches [][]byte // from position 1 on
	changed chan struct{}
	Seq     uint64
	Users   int // made by Grow

	ChangedAt time.Time // for whoever commits
}

// ClusterID is the cluster of every history.
const ClusterID = "7d8e2a52-0f5e-4f5c-8a53-6f2f4d7f6a01"

// New returns a history with its bootstrap at position 1.
func New(t testing.TB, incarnation string) *History {
	h := &History{state: identity.NewState(), first: 1, changed: make(chan struct{})}
	h.Must(t, &identity.Bootstrap{
		Cluster: ClusterID, Incarnation: incarnation, Account: "123456789012",
		RootKey: identity.NewAccessKey{ID: "AKIAIOSFODNN7EXAMPLE", Sealed: []byte("sealed")},
	})
	return h
}

// commit decides a command, folds its events and appends the batch.
func (h *History) commit(c identity.Command) error {
	h.Mu.Lock()
	defer h.Mu.Unlock()
	h.Seq++
	m := identity.Meta{Time: identity.Time(1_700_000_000_000 + h.Seq)}
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, h.Seq))
	copy(m.Key[:], sum[:]) // a key is a hash, and its first bits tell it from others
	events, err := identity.Decide(h.state, m, c)
	if err != nil {
		return err
	}
	at := h.Newest.Position + 1
	identity.Evolve(h.state, at, m, events)
	b := &event.Batch{
		Cluster: h.state.Cluster().ID, Incarnation: h.state.Cluster().Incarnation,
		Position: at, Index: uint64(at) + 7, Term: 3,
		Cause:  event.Cause{Meta: m, Request: fmt.Sprintf("request-%d", h.Seq), Action: "iam:Test", Source: "192.0.2.1"},
		Events: events, State: h.state.Digest(), Prev: h.Newest.Hash,
	}
	encoded, err := wire.EncodeBatch(b)
	if err != nil {
		return err
	}
	h.Batches = append(h.Batches, encoded)
	h.Newest = b.Head()
	h.ChangedAt = time.Now()
	close(h.changed)
	h.changed = make(chan struct{})
	return nil
}

// Must commits a command; the test fails if it is refused.
func (h *History) Must(t testing.TB, c identity.Command) {
	t.Helper()
	if err := h.commit(c); err != nil {
		t.Fatal(err)
	}
}

// Grow commits n more users.
func (h *History) Grow(t testing.TB, n int) {
	t.Helper()
	for range n {
		h.Users++
		name := fmt.Sprintf("user-%d", h.Users)
		h.Must(t, &identity.CreateUser{Account: "123456789012", ID: identity.ID("AIDA" + name), Name: name, Path: "/"})
	}
}

// First is the lowest position that is kept.
func (h *History) First() event.Position {
	h.Mu.Lock()
	defer h.Mu.Unlock()
	return h.first
}

// Last is the head.
func (h *History) Last() event.Head {
	h.Mu.Lock()
	defer h.Mu.Unlock()
	return h.Newest
}

// Read returns encoded batches from a position on, as tail.Events wants it.
func (h *History) Read(from event.Position, count, size int) (out [][]byte, err error) {
	h.Mu.Lock()
	defer h.Mu.Unlock()
	if from < h.first {
		return nil, fmt.Errorf("the history begins at %d", h.first)
	}
	for ; from <= h.Newest.Position && len(out) < count && size > 0; from++ {
		out = append(out, h.Batches[from-1])
		size -= len(h.Batches[from-1])
	}
	return out, nil
}

// Changed is closed when the head moves on.
func (h *History) Changed() <-chan struct{} {
	h.Mu.Lock()
	defer h.Mu.Unlock()
	return h.changed
}

// Forget drops the batches before first, as a store does that was sent a snapshot.
func (h *History) Forget(first event.Position) {
	h.Mu.Lock()
	defer h.Mu.Unlock()
	h.first = first
}

// Cluster is what the state says of the cluster.
func (h *History) Cluster() identity.Cluster {
	h.Mu.Lock()
	defer h.Mu.Unlock()
	return h.state.Cluster()
}

// Snapshot returns the state and its head.
func (h *History) Snapshot() (*identity.State, wire.SnapshotHeader) {
	h.Mu.Lock()
	defer h.Mu.Unlock()
	return h.state.Snapshot(), wire.SnapshotHeader{Head: h.Newest}
}

// RaiseGeneration is what a publisher's proposal comes to.
func (h *History) RaiseGeneration(_ context.Context, from uint32) error {
	return h.commit(&identity.RaiseStreamGeneration{From: from})
}

// Copy returns another history with the same batches so far.
func Copy(t testing.TB, h *History) *History {
	t.Helper()
	c := &History{state: identity.NewState(), first: 1, changed: make(chan struct{})}
	for _, b := range h.Batches {
		c.append(t, b)
	}
	c.Seq, c.Users = h.Seq, h.Users
	return c
}

// append takes over a batch that another history made.
func (h *History) append(t testing.TB, b []byte) {
	t.Helper()
	batch, err := wire.DecodeBatch(b)
	if err != nil {
		t.Fatal(err)
	}
	h.Mu.Lock()
	defer h.Mu.Unlock()
	identity.Evolve(h.state, batch.Position, batch.Cause.Meta, batch.Events)
	h.Batches, h.Newest = append(h.Batches, b), batch.Head()
	close(h.changed)
	h.changed = make(chan struct{})
}
