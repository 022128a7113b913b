// Package quorum is a writer's part in who votes in the log: it joins, tells how the members
// fare, and changes them while it leads.
package quorum

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/writ-iam/writ/log"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/members"
	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/node/setup"
)

// Paths of the peer port.
const (
	// StatusPath is where a writer tells other nodes of itself, as a Status.
	StatusPath = "/peer/status"
	// JoinPath is where a writer asks the leader to make it a member of the log.
	JoinPath = "/peer/join"
)

const (
	// surveyEvery is how often the leader asks who of the log's members answers.
	surveyEvery = 5 * time.Second
	// learnerPause is the first pause between looks at a learner; each is twice as long, up
	// to surveyEvery.
	learnerPause = 20 * time.Millisecond
	// askTimeout bounds a question for another writer's status.
	askTimeout = time.Second
)

// Config is what a Keeper works with.
type Config struct {
	Me      setup.Writer
	Cluster setup.Cluster
	Log     *log.Log
	Finder  *peer.Finder
	// Seal is the fingerprint of the keys that seal secrets.
	Seal   string
	Node   Node
	Logger *slog.Logger
}

// Node is the node that the writer is part of.
type Node interface {
	// Leads tells whether it leads, and does what a leader does.
	Leads() bool
	// Endpoint is where clients reach it; empty if nobody knows.
	Endpoint() string
}

// Keeper keeps one writer's part of the quorum. Its methods may be called from any number of
// goroutines.
type Keeper struct {
	Config
	found    atomic.Pointer[shape.Quorum] // last; nil while another leads
	changing sync.Mutex                   // held while a member of the log is changed
	added    chan struct{}                // capacity 1: there is a learner to look after
	surveys  surveys
}

// New makes the Keeper of a writer.
func New(c Config) *Keeper { return &Keeper{Config: c, added: make(chan struct{}, 1)} }

// Status is what a writer tells other nodes of itself.
type Status struct {
	Name     string         `json:"name"`
	ID       string         `json:"id"`
	Member   bool           `json:"member"` // of a log: it has or had one
	Leads    bool           `json:"leads"`
	Leader   string         `json:"leader"` // its peer address; empty: none is known
	Term     uint64         `json:"term"`
	Position event.Position `json:"position"`
	Hash     event.Hash     `json:"hash"`
	Digest   string         `json:"digest"`
	Endpoint string         `json:"endpoint"` // for clients; empty: none is known
	// Level is the highest feature level that the writer supports; 0: that of an older
	// build, which does not say it.
	Level uint32 `json:"level"`
}

// Self is what this writer tells of itself.
func (k *Keeper) Self() Status {
	a := k.Log.Applied()
	_, leader := k.Log.Leader()
	return Status{
		Name: k.Me.Name, ID: k.Log.ID(), Member: len(k.Log.Servers()) > 0 || a.Head.Position > 0,
		Leads: k.Node.Leads(), Leader: leader, Term: k.Log.Term(),
		Position: a.Head.Position, Hash: a.Head.Hash, Digest: a.State.Digest().String(), Endpoint: k.Node.Endpoint(), Level: identity.FeatureLevel,
	}
}

// ask asks another writer for its status, at the address of its peer port.
func (k *Keeper) ask(ctx context.Context, address string) (s Status, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return s, k.Finder.Get(ctx, address, StatusPath, &s)
}

// WriterBelow names a writer of the cluster's file that has not said that it supports a
// feature level; empty: all have.
func (k *Keeper) WriterBelow(ctx context.Context, level uint32) string {
	for _, other := range k.Cluster.Writers {
		if s, err := k.ask(ctx, other.Peer); err != nil || s.Level < level {
			return other.Name
		}
	}
	return ""
}

// members are those of the log, as this writer knows them.
func (k *Keeper) members() (list members.List) {
	for _, s := range k.Log.Servers() {
		list = append(list, members.Server{ID: s.ID, Address: s.Address, Votes: s.Voter})
	}
	return list
}

// survey asks all writers of cluster.yaml how they fare, and all other members of the log,
// at once.
func (k *Keeper) survey(ctx context.Context) members.Survey {
	list, told := k.members(), []members.Heard(nil)
	for _, other := range k.Cluster.Writers {
		told = append(told, members.Heard{Name: other.Name, Address: other.Peer})
	}
	for _, s := range list {
		if s.ID != k.Log.ID() && !slices.ContainsFunc(told, func(h members.Heard) bool { return h.Address == s.Address }) {
			told = append(told, members.Heard{Address: s.Address})
		}
	}
	var wg sync.WaitGroup
	for i := range told {
		wg.Go(func() {
			var s Status
			h := &told[i]
			if h.Name == k.Me.Name {
				s = k.Self()
			} else {
				s, h.Err = k.ask(ctx, h.Address)
			}
			h.Says, h.ID, h.Leads, h.Position, h.Digest, h.Endpoint, h.Level = s.Name, s.ID, s.Leads, s.Position, s.Digest, s.Endpoint, s.Level
		})
	}
	wg.Wait()
	list.Match(told)
	return members.Survey{List: list, Told: told}
}

type surveys struct{ singleflight.Group }

// share is what the survey under way finds, or else a new one: however many clients ask about
// the cluster, each member is asked once at a time.
func (s *surveys) share(begin func() members.Survey) members.Survey {
	v, _, _ := s.Do("", func() (any, error) { return begin(), nil })
	return v.(members.Survey)
}

// Watch keeps what the metrics and Check tell of the quorum, and makes voters of learners, while
// this writer leads: those that an earlier leader added, too.
func (k *Keeper) Watch(ctx context.Context) {
	defer k.found.Store(nil)
	for pause := learnerPause; ; pause = min(2*pause, surveyEvery) {
		found := k.survey(ctx)
		k.found.Store(found.List.Quorum(len(k.Cluster.Writers)))
		if !found.List.Learns() {
			pause = surveyEvery
		} else if k.promote(ctx, found) {
			pause = 0 // to see what that left
		}
		select {
		case <-time.After(pause):
		case <-k.added:
			pause = learnerPause
		case <-ctx.Done():
			return
		}
	}
}
