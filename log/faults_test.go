package log

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/wire"
)

var seed = flag.Uint64("seed", 0, "of the faults; 0 for another one each time")

// TestFaults has clients write through whoever answers while writers are cut off,
// closed, opened again, made to take snapshots and to hand leadership over. Then
// it judges what the clients were told by what the writers hold.
func TestFaults(t *testing.T) {
	s := *seed
	if s == 0 {
		s = rand.Uint64()
	}
	t.Logf("run again with -seed=%d", s)
	synctest.Test(t, func(t *testing.T) { testFaults(t, s) })
}

// told is what clients were told: where the user of a name was created.
type told struct {
	mu      sync.Mutex
	created map[string]event.Position
}

func testFaults(t *testing.T, seed uint64) {
	c := newCluster(t, 3, func(c *Config) { c.TrailingLogs = 20 })
	random := rand.New(rand.NewPCG(seed, 1))
	told := &told{created: map[string]event.Position{}}
	stop := make(chan struct{})
	var clients sync.WaitGroup
	nodes := make(chan struct{}, 1) // full while a node is looked at, closed or opened; a mutex would stop the bubble's clock
	for id := range 4 {
		clients.Go(func() { client(t, c, nodes, told, stop, id) })
	}
	for range 40 {
		pass(time.Duration(random.IntN(3000)) * time.Millisecond)
		m := c.nodes[random.IntN(len(c.nodes))]
		nodes <- struct{}{}
		switch fault := random.IntN(6); {
		case m.Log == nil:
			c.open(m)
		case fault == 0:
			c.close(m)
		case fault == 1:
			c.cut(m)
		case fault == 2:
			_ = m.Snapshot()
		case fault == 3:
			_ = m.TransferLeadership(t.Context())
		default:
			c.connect(m)
		}
		<-nodes
	}
	close(stop)
	nodes <- struct{}{}
	for _, m := range c.nodes {
		if m.Log == nil {
			c.open(m)
		}
		c.connect(m)
	}
	<-nodes
	clients.Wait()
	c.agree()
	told.judge(t, c.leader())
}

// client creates one user after the other, each until it is told where.
func client(t *testing.T, c *cluster, nodes chan struct{}, told *told, stop <-chan struct{}, id int) {
	random := rand.New(rand.NewPCG(uint64(id), 2))
	for i := 0; ; i++ {
		name := fmt.Sprintf("client%d-%d", id, i)
		cmd := createUser(name)
		for {
			nodes <- struct{}{}
			log := c.nodes[random.IntN(len(c.nodes))].Log
			<-nodes
			pass(200 * time.Millisecond)
			if log == nil {
				continue
			}
			o, err := log.Propose(t.Context(), cmd)
			if err == nil {
				told.mu.Lock()
				told.created[name] = o.Batch.Position
				told.mu.Unlock()
				break
			}
			if errors.As(err, new(*identity.Refusal)) {
				t.Errorf("%s: taken for a second one: %v", name, err)
				return
			}
			if log.Err() != nil {
				t.Errorf("a sound writer failed: %v", log.Err())
				return
			}
		}
		select {
		case <-stop:
			return
		default:
		}
	}
}

// judge compares what clients were told with the history: nothing that was
// acknowledged is lost, and nothing took effect twice.
func (d *told) judge(t *testing.T, m *node) {
	seen := map[string]event.Position{}
	last := m.Applied().Head.Position
	for position := event.Position(2); position <= last; position++ {
		found, err := m.Events().Read(position, 1, 1)
		must(t, err)
		b, err := wire.DecodeBatch(found[0])
		must(t, err)
		name := b.Events[0].(*identity.UserCreated).Name
		if at, twice := seen[name]; twice {
			t.Errorf("%s took effect at %d and at %d", name, at, position)
		}
		seen[name] = position
	}
	for name, position := range d.created {
		if seen[name] != position {
			t.Errorf("%s was acknowledged at %d and is at %d", name, position, seen[name])
		}
	}
	t.Logf("%d users, %d acknowledged", len(seen), len(d.created))
	if len(d.created) < 20 {
		t.Errorf("only %d writes got through", len(d.created))
	}
}
