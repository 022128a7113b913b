// Package quorum is a writer's part in who votes in the log: it joins, tells how the members
// fare, and changes them while it leads.
package quorum

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/writ-iam/writ/log"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/wake"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/build"
	"github.com/writ-iam/writ/node/certs"
	"github.com/writ-iam/writ/node/members"
	"github.com/writ-iam/writ/node/peer"
	"github.com/writ-iam/writ/node/retention"
	"github.com/writ-iam/writ/node/sealing"
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
	Keys    *sealing.Keys // that seal secrets
	Node    Node
	Build   shape.Build // that runs
	// HoldLevel is the feature level above which the writer keeps the cluster from rising, so that
	// nodes of the build before can still take over; 0: it does not.
	HoldLevel uint32
	Logger    *slog.Logger
}

// Node is the node that the writer is part of.
type Node interface {
	// Leads tells whether it leads, and does what a leader does.
	Leads() bool
	// Endpoint is where clients reach it; empty if nobody knows.
	Endpoint() string
	// Maintain puts a command of the cluster's own into the log, while it leads.
	Maintain(context.Context, identity.Command) error
	// Certificates are those that it uses.
	Certificates() []shape.Certificate
	// Backups are those that it makes by itself; nil: none.
	Backups() *shape.Backups
	// Outlived ends it: the cluster goes on in another incarnation than its own.
	Outlived(error)
}

// Keeper keeps one writer's part of the quorum. Its methods may be called from any number of
// goroutines.
type Keeper struct {
	Config
	found    atomic.Pointer[shape.Quorum] // last; nil while another leads
	changing sync.Mutex                   // held while a member of the log is changed
	added    chan struct{}                // capacity 1: there is a learner to look after
	surveys  surveys
	claimed  atomic.Pointer[string] // an incarnation that another writer says goes on from this one; nil: none
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
	// Level is the highest feature level that the writer lets the cluster rise to: that of its
	// build, unless it holds the level lower. 0: that of an older build, which does not say it.
	Level        uint32              `json:"level"`
	Build        *shape.Build        `json:"build,omitempty"` // nil from a build that does not say it
	Backups      *shape.Backups      `json:"backups,omitempty"`
	Certificates []shape.Certificate `json:"certificates,omitempty"`
	// Writers is the list of writers that it knows, for one that has none yet.
	Writers *identity.Writers `json:"writers,omitempty"`
	// SealKeys are the ids of the keys that seal secrets; nil from a build that does not say it.
	SealKeys []string `json:"seal_keys"`
	// Incarnation is that of the state, and Former are those that it goes on from.
	Incarnation string   `json:"incarnation"`
	Former      []string `json:"former,omitempty"`
	// History is what the writer has of the history; nil from a build that does not say it.
	History *shape.StoredHistory `json:"history,omitempty"`
}

// Self is what this writer tells of itself.
func (k *Keeper) Self() Status {
	a := k.Log.Applied()
	_, leader := k.Log.Leader()
	var former []string
	for _, f := range a.State.Former() {
		former = append(former, f.Incarnation)
	}
	return Status{
		Incarnation: a.State.Cluster().Incarnation, Former: former,
		Name: k.Me.Name, ID: k.Log.ID(), Member: len(k.Log.Servers()) > 0 || a.Head.Position > 0,
		Leads: k.Node.Leads(), Leader: leader, Term: k.Log.Term(),
		Position: a.Head.Position, Hash: a.Head.Hash, Digest: a.State.Digest().String(), Endpoint: k.Node.Endpoint(), Level: k.level(), Build: &k.Build, Backups: k.Node.Backups(),
		Certificates: k.Node.Certificates(), Writers: k.Finder.Writers().Listed(), SealKeys: k.Keys.IDs(), History: retention.Stored(k.Log.Events()),
	}
}

// ask asks another writer for its status, at the address of its peer port.
func (k *Keeper) ask(ctx context.Context, address string) (s Status, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	err = k.Finder.Get(ctx, address, StatusPath, &s)
	if own := k.Log.Incarnation(); err == nil && own != "" && slices.Contains(s.Former, own) {
		_, leader := k.Log.Leader()
		k.outlived(address, own, &s, leader != "")
	}
	return s, err
}

// outlived takes in that a writer says that it goes on from this one's incarnation. Alone it is
// no proof: one writer that was recovered while it was cut off, or whose certificate was stolen,
// says it, too. So a writer that has a leader stays with it. One without may be a directory of
// before a restore, and must not become a majority with others of its kind: it ends.
func (k *Keeper) outlived(address, own string, s *Status, led bool) {
	err := fmt.Errorf("%w: the writer at %s says that it goes on from this writer's incarnation %s, in incarnation %s. If the cluster was restored or recovered, this writer begins again with an empty directory: move this one away, and keep it until all is well. "+
		"If nobody did that, leave all directories as they are and stop the writer at %s: somebody else has its certificate, or it was recovered while it was cut off", log.ErrWrongIncarnation, address, own, s.Incarnation, address)
	if !led {
		k.Node.Outlived(err)
	} else if k.claimed.Swap(&s.Incarnation) == nil {
		k.Logger.Error("this writer goes on, since it has a leader", "error", err)
	}
}

// WatchOthers asks the other writers now and then whether the cluster goes on without this
// one, until ctx ends: a directory from before a restore or recovery is a member of nothing.
func (k *Keeper) WatchOthers(ctx context.Context) {
	for {
		for _, other := range k.writers() {
			if other.Name != k.Me.Name {
				_, _ = k.ask(ctx, other.Peer) // who does not answer is asked again
			}
		}
		if wake.After(ctx, surveyEvery) != nil {
			return
		}
	}
}

// writers are those of the cluster, by this writer's log; by its configuration where that
// lists none.
func (k *Keeper) writers() []setup.Writer {
	return peer.WritersOf(k.Log.Applied().State.Writers(), k.Cluster.Writers)
}

// WriterBelow names a writer of the cluster that has not said that it supports a
// feature level; empty: all have.
func (k *Keeper) WriterBelow(ctx context.Context, level uint32) string {
	for _, other := range k.writers() {
		if s, err := k.ask(ctx, other.Peer); err != nil || s.Level < level {
			return other.Name
		}
	}
	return ""
}

// level is the highest feature level that this writer lets the cluster rise to.
func (k *Keeper) level() uint32 {
	if k.HoldLevel > 0 {
		return min(k.HoldLevel, k.Build.Level)
	}
	return k.Build.Level
}

// members are those of the log, as this writer knows them.
func (k *Keeper) members() (list members.List) {
	for _, s := range k.Log.Servers() {
		list = append(list, members.Server{ID: s.ID, Address: s.Address, Votes: s.Voter})
	}
	return list
}

// survey asks all writers of the cluster how they fare, and all other members of Raft's log,
// at once.
func (k *Keeper) survey(ctx context.Context) members.Survey {
	list, told := k.members(), []members.Heard(nil)
	for _, other := range k.writers() {
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
			h.Certificates, h.SealKeys, h.Build, h.Backups, h.History = certs.Taken(s.Certificates), s.SealKeys, build.Taken(s.Build), s.Backups, s.History
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

// Watch keeps what the metrics and Check tell of the quorum, and finishes changes of who votes,
// while this writer leads, those that an earlier leader began among them: learners become
// voters, and writers that the log's list has lost are members no more.
func (k *Keeper) Watch(ctx context.Context) {
	defer k.found.Store(nil)
	for pause := learnerPause; ; pause = min(2*pause, surveyEvery) {
		found := k.survey(ctx)
		k.found.Store(found.List.Quorum(len(k.writers())))
		if k.retire(ctx, found) || k.promote(ctx, found) {
			pause = 0 // to see what that left
		} else if !found.List.Learns() {
			pause = surveyEvery
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
