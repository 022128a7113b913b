package log

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/store"
	"github.com/writ-iam/writ/log/wire"
	"go.etcd.io/bbolt"
)

func TestManyProposersOneHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		leader := c.leader()
		var wg sync.WaitGroup
		for p := range 8 {
			wg.Go(func() {
				for i := range 50 {
					o, err := leader.Propose(t.Context(), createUser(fmt.Sprintf("u%d-%d", p, i)))
					if err != nil || o.Batch == nil || o.Repeated {
						t.Errorf("propose: %+v, %v", o, err)
						return
					}
					if at := leader.Applied().Head.Position; at < o.Batch.Position {
						t.Errorf("answered for position %d before it is visible; at %d", o.Batch.Position, at)
					}
				}
			})
		}
		wg.Wait()
		if got := leader.Applied().Head.Position; got != 401 {
			t.Errorf("head is %d, not 401", got)
		}
		c.agree()
	})
}

func TestRefusalIsTyped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1, nil)
		c.create(c.nodes[0], "u", 1)
		var refusal *identity.Refusal
		if _, err := c.nodes[0].Propose(t.Context(), createUser("u0")); !errors.As(err, &refusal) || refusal.Code != identity.EntityAlreadyExists {
			t.Errorf("second user of a name: %v", err)
		}
		if got := c.nodes[0].Applied().Head.Position; got != 2 {
			t.Errorf("a refusal made a batch: head is %d", got)
		}
	})
}

func TestCommandOfAnotherHistoryIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1, nil)
		cmd := createUser("u")
		cmd.Cluster = "another"
		if _, err := c.nodes[0].Propose(t.Context(), cmd); !errors.Is(err, ErrWrongCluster) {
			t.Errorf("another cluster: %v", err)
		}
		cmd = createUser("u")
		cmd.Incarnation = "another"
		if _, err := c.nodes[0].Propose(t.Context(), cmd); !errors.Is(err, ErrWrongIncarnation) {
			t.Errorf("another incarnation: %v", err)
		}
		if _, err := c.nodes[0].Propose(t.Context(), event.Command{Content: &identity.Bootstrap{Cluster: "x"}}); err == nil {
			t.Error("a cluster began twice")
		}
		if c.nodes[0].Bootstrap() == nil {
			t.Error("bootstrapped twice")
		}
	})
}

func TestNothingBeforeTheBeginning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{t: t}
		m := c.add()
		if _, err := m.Propose(t.Context(), createUser("u")); err == nil {
			t.Error("proposed to nobody")
		}
		must(t, m.Bootstrap())
		c.leader()
		if _, err := m.Propose(t.Context(), createUser("u")); !errors.Is(err, ErrWrongCluster) {
			t.Errorf("proposed before the cluster began: %v", err)
		}
		if err := m.Bootstrap(); !errors.Is(err, ErrBootstrapped) {
			t.Errorf("bootstrapped twice: %v", err)
		}
	})
}

func TestFollowerNamesTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		leader := c.leader()
		for _, m := range c.nodes {
			if m == leader {
				continue
			}
			c.eventually("the leader's name", func() bool { id, _ := m.Leader(); return id == leader.ID() })
			var other *NotLeaderError
			if _, err := m.Propose(t.Context(), createUser("u")); !errors.As(err, &other) || other.Address != string(leader.address) {
				t.Errorf("propose to a follower: %v", err)
			}
			if _, err := m.StrictHead(t.Context()); !errors.As(err, &other) {
				t.Errorf("fence of a follower: %v", err)
			}
		}
	})
}

func TestRestartDerivesTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		leader := c.leader()
		c.create(leader, "a", 100)
		var down *node
		for _, m := range c.nodes {
			if m != leader {
				down = m
			}
		}
		c.close(down)
		c.create(leader, "b", 100)
		c.open(down)
		c.agree()
		for _, m := range c.nodes { // and all at once
			c.close(m)
		}
		for _, m := range c.nodes {
			c.open(m)
		}
		c.create(c.leader(), "c", 10)
		c.agree()
	})
}

func TestCrashLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1, nil)
		m := c.nodes[0]
		c.create(m, "a", 50)
		must(t, m.Snapshot())
		c.create(m, "b", 50)
		image := copyDir(t, m.dir) // within half a second: the store is behind
		head := m.Applied().Head
		c.close(m)
		m.dir = image
		c.open(m)
		c.leader()
		if got := m.Applied().Head; got != head {
			t.Errorf("head is %v, not %v", got, head)
		}
		c.agree()
	})
}

func TestStoreOfAnotherHistoryHalts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1, nil)
		m := c.nodes[0]
		c.create(m, "a", 20)
		c.close(m)
		other := newCluster(t, 1, nil)
		other.create(other.nodes[0], "other", 20)
		other.close(other.nodes[0])
		events, err := os.ReadFile(filepath.Join(other.nodes[0].dir, EventsFile))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(m.dir, EventsFile), events, 0o600))
		c.open(m)
		<-m.Failed()
		if !errors.Is(m.Err(), ErrDiverged) {
			t.Errorf("failed with: %v", m.Err())
		}
		if _, err := m.Propose(t.Context(), createUser("u")); !errors.Is(err, ErrStopped) && !errors.As(err, new(*NotLeaderError)) {
			t.Errorf("propose after a failure: %v", err)
		}
	})
}

func TestHoleInTheStoreHalts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1, nil)
		m := c.nodes[0]
		c.create(m, "a", 20)
		c.close(m)
		edit(t, filepath.Join(m.dir, EventsFile), "batches", func(b *bbolt.Bucket) error {
			return b.Delete(binary.BigEndian.AppendUint64(nil, 10))
		})
		c.open(m)
		<-m.Failed()
		if !errors.Is(m.Err(), store.ErrCorrupt) {
			t.Errorf("failed with: %v", m.Err())
		}
	})
}

// edit changes a bucket of a bbolt file that nobody has open.
func edit(t *testing.T, path, bucket string, f func(*bbolt.Bucket) error) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	must(t, err)
	must(t, db.Update(func(tx *bbolt.Tx) error { return f(tx.Bucket([]byte(bucket))) }))
	must(t, db.Close())
}

func TestChangedByteInTheRaftLogHalts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1, nil)
		m := c.nodes[0]
		c.create(m, "some-name-", 20)
		c.close(m)
		edit(t, filepath.Join(m.dir, entriesFile), "logs", func(b *bbolt.Bucket) error {
			return b.ForEach(func(k, v []byte) error {
				at := strings.Index(string(v), "some-name-7")
				if at < 0 {
					return nil
				}
				changed := append([]byte(nil), v...)
				changed[at+10] = '9' // as sound a command, of another name
				return b.Put(k, changed)
			})
		})
		_, m.transport = raft.NewInmemTransport(m.address)
		l, err := Open(c.config(m))
		if err == nil {
			<-l.Failed()
			err = l.Err()
			_ = l.Close(t.Context())
		}
		if !errors.Is(err, wire.ErrCorrupt) {
			t.Errorf("a changed command: %v", err)
		}
	})
}

func TestHoleInTheRaftLogHalts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1, nil)
		m := c.nodes[0]
		c.create(m, "a", 20)
		c.close(m)
		edit(t, filepath.Join(m.dir, entriesFile), "logs", func(b *bbolt.Bucket) error {
			return b.Delete(binary.BigEndian.AppendUint64(nil, 10))
		})
		_, m.transport = raft.NewInmemTransport(m.address)
		if _, err := Open(c.config(m)); !errors.Is(err, wire.ErrCorrupt) {
			t.Errorf("opened: %v", err)
		}
	})
}

func TestDiskErrorLatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		leader := c.leader()
		c.create(leader, "a", 5)
		must(t, leader.disk.Close()) // what a dead disk does
		if _, err := leader.Propose(t.Context(), createUser("u")); err == nil {
			t.Error("proposed without a disk")
		}
		<-leader.Failed()
		if err := leader.Err(); err == nil || !strings.Contains(err.Error(), "raft log") {
			t.Errorf("failed with: %v", err)
		}
		if _, err := leader.Propose(t.Context(), createUser("u")); !errors.Is(err, ErrStopped) {
			t.Errorf("propose after a failure: %v", err)
		}
		c.close(leader) // what its owner does
		c.create(c.leader(), "b", 5)
		c.agree()
	})
}

// The event store is written beside Raft's files, which may be sound: the leader must
// not go on as one that refuses everything.
func TestErrorOfTheEventStoreEndsLeadership(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		leader := c.leader()
		c.create(leader, "a", 5)
		term := <-leader.Leadership()
		leader.fail.latch(errors.New("write event store: no room")) // as store.Options.Failed does
		select {
		case <-term.Context.Done():
		case <-time.After(patience):
			t.Fatal("a leader whose log has failed leads on")
		}
		c.close(leader) // what its owner does
		c.create(c.leader(), "b", 5)
		c.agree()
	})
}

func TestDiskErrorOfAFollowerLatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		leader := c.leader()
		for _, m := range c.nodes {
			if m != leader {
				must(t, m.disk.Close())
				c.create(leader, "a", 1)
				<-m.Failed()
				c.close(m)
				break
			}
		}
		c.create(leader, "b", 5)
		c.agree()
	})
}

// The votes are on the same disk; Raft answers an error there with a panic.
func TestDiskErrorInAnElectionEndsWithoutPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		leader := c.leader()
		c.cut(leader)
		failed := make(chan error, len(c.nodes))
		for _, m := range c.nodes {
			if m == leader {
				continue
			}
			must(t, m.disk.Close())
			log := m.Log
			go func() { // ends with the node or, for the one that is never voted for, with the test
				select {
				case <-log.Failed():
					failed <- log.Err()
				case <-t.Context().Done():
				}
			}()
		}
		select {
		case err := <-failed:
			if err == nil || !strings.Contains(err.Error(), "raft log") {
				t.Errorf("failed with: %v", err)
			}
		case <-time.After(patience):
			t.Error("no candidate noticed that it cannot keep a vote")
		}
	})
}

func TestDiskNearlyFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1, nil)
		m := c.nodes[0]
		m.room.mu.Lock()
		m.room.need, m.room.at = 1<<62, m.room.at.Add(-roomInterval)
		m.room.mu.Unlock()
		if _, err := m.Propose(t.Context(), createUser("u")); !errors.Is(err, ErrDiskFull) {
			t.Errorf("propose: %v", err)
		}
		if _, err := m.StrictHead(t.Context()); err != nil {
			t.Errorf("reads need no room: %v", err)
		}
	})
}

func TestRepeatedKeyGetsTheFirstAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		leader := c.leader()
		cmd := createUser("u")
		w := identity.NewWitness(leader.Applied().State)
		w.Find(identity.Lookup{By: identity.ByName, Kind: identity.KindUser, Account: "123456789012", Text: "u"})
		cmd.Relies = w.Reliances() // on what the first attempt changes
		first, err := leader.Propose(t.Context(), cmd)
		must(t, err)
		another := createUser("another")
		another.Relies = cmd.Relies
		var refusal *identity.Refusal
		if _, err := leader.Propose(t.Context(), another); !errors.As(err, &refusal) || refusal.Code != identity.StaleAuthorization {
			t.Errorf("another command, authorized where there was no u, is told %v", err)
		}
		c.create(leader, "more", 3)
		c.close(leader) // leadership lost; the answer may have been too
		next := c.leader()
		again, err := next.Propose(t.Context(), cmd)
		must(t, err)
		if !again.Repeated || again.Batch.Head() != first.Batch.Head() {
			t.Errorf("the retry made %+v", again)
		}
		if e, ok := again.Batch.Events[0].(*identity.UserCreated); !ok || e.Name != "u" {
			t.Errorf("the first answer is lost: %+v", again.Batch.Events)
		}
	})
}

func TestOutcomeUnknownIsSafeToRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		old := c.leader()
		c.cut(old)
		cmd := createUser("u")
		if _, err := old.Propose(t.Context(), cmd); !errors.Is(err, ErrOutcomeUnknown) && !errors.As(err, new(*NotLeaderError)) {
			t.Errorf("propose without a majority: %v", err)
		}
		var next *node
		c.eventually("another leader", func() bool { next = c.leader(); return next != old })
		_, err := next.Propose(t.Context(), cmd)
		must(t, err)
		c.connect(old)
		c.agree()
		if again, err := c.leader().Propose(t.Context(), cmd); err != nil || !again.Repeated {
			t.Errorf("retry: %+v, %v", again, err)
		}
	})
}

func TestProposeEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		leader := c.leader()
		c.cut(leader)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := leader.Propose(ctx, createUser("u")); !errors.Is(err, ErrOutcomeUnknown) {
			t.Errorf("propose: %v", err)
		}
	})
}

func TestSnapshotInstallAndBackfill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, func(c *Config) { c.TrailingLogs = 5 })
		leader := c.leader()
		var down *node
		for _, m := range c.nodes {
			if m != leader {
				down = m
			}
		}
		c.create(leader, "a", 20)
		c.reach(down, 21)
		c.close(down)
		c.create(leader, "b", 700) // more than is fetched at once
		must(t, leader.Snapshot())
		c.create(leader, "c", 20)
		c.open(down)
		c.reach(down, 741)
		c.agree()
		if got := down.Events().First(); got != 1 {
			t.Errorf("first is %d", got)
		}
		c.close(down)
		c.open(down)
		c.agree()
	})
}

// A leader that was sent a snapshot does not have the first answer yet.
func TestRepeatedKeyWaitsForTheFirstAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c *cluster
		gate := make(chan struct{})
		c = newCluster(t, 3, func(config *Config) {
			config.TrailingLogs = 5
			config.Backfill = func(ctx context.Context, from, to event.Position, yield func([]byte) error) error {
				select {
				case <-gate:
					return c.backfill(ctx, from, to, yield)
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		})
		leader := c.leader()
		late := c.nodes[slices.IndexFunc(c.nodes, func(m *node) bool { return m != leader })]
		c.close(late)
		cmd := createUser("u")
		first, err := leader.Propose(t.Context(), cmd)
		must(t, err)
		c.create(leader, "a", 20)
		must(t, leader.Snapshot())
		c.open(late)
		c.reach(late, 22)
		c.lead(late)

		var again Outcome
		answered := make(chan error, 1)
		go func() {
			var err error
			again, err = late.Propose(t.Context(), cmd)
			answered <- err
		}()
		pass(time.Second)
		if len(answered) > 0 {
			t.Fatalf("answered %+v without having the batch: %v", again, <-answered)
		}
		close(gate)
		if err := <-answered; err != nil || !again.Repeated || again.Batch.Head() != first.Batch.Head() {
			t.Errorf("the retry made %+v, %v", again, err)
		}
	})
}

// A snapshot that was installed leaves older entries in the Raft log, and a hole
// behind them: no damage, also for a leader that looks there for what another needs.
func TestHoleBehindASnapshotIsNoDamage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 5, func(c *Config) { c.TrailingLogs = 5 })
		leader := c.leader()
		var others []*node
		for _, m := range c.nodes {
			if m != leader {
				others = append(others, m)
			}
		}
		holed, late := others[0], others[1]
		c.create(leader, "a", 20)
		c.reach(holed, 21)
		c.close(holed)
		c.create(leader, "b", 20)
		c.reach(late, 41)
		c.close(late)
		c.create(leader, "c", 20)
		must(t, leader.Snapshot())
		c.open(holed)
		c.reach(holed, 61)
		c.lead(holed)
		c.open(late)
		c.create(holed, "e", 10)
		c.agree()
	})
}

func TestSnapshotsKeepTheState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1, func(c *Config) { c.TrailingLogs = 1 })
		m := c.nodes[0]
		c.create(m, "a", 30)
		must(t, m.Snapshot())
		pass(time.Millisecond) // Raft names snapshots by the time
		must(t, m.Snapshot())
		c.close(m)
		c.open(m)
		if got := m.Applied().Head.Position; got != 31 {
			t.Errorf("opened at %d, not where the snapshot is", got)
		}
		c.leader()
		c.create(m, "b", 5)
		c.agree()
	})
}

func TestDirectoryOfAnotherClusterIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, snapshot := range []bool{true, false} {
			c := newCluster(t, 1, nil)
			m := c.nodes[0]
			if snapshot {
				must(t, m.Snapshot())
			}
			c.close(m)
			config := c.config(m)
			config.Cluster = "another"
			_, config.Transport = raft.NewInmemTransport(m.address)
			l, err := Open(config)
			if err == nil {
				<-l.Failed()
				err = l.Err()
				_ = l.Close(t.Context())
			}
			if !errors.Is(err, ErrWrongCluster) {
				t.Errorf("with a snapshot %v: %v", snapshot, err)
			}
		}
	})
}

func TestDirectoryIsLocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1, nil)
		config := c.config(c.nodes[0])
		if _, err := Open(config); !errors.Is(err, store.ErrLocked) && !errors.Is(err, ErrLocked) {
			t.Errorf("opened twice: %v", err)
		}
	})
}
