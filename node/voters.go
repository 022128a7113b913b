package node

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/singleflight"

	"github.com/writ-iam/writ/log"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/members"
)

// surveyEvery is how often the leader asks who of the log's members answers.
const surveyEvery = 5 * time.Second

// survey asks all writers of cluster.yaml how they fare, and all other members of the log,
// at once.
func (w *writer) survey(ctx context.Context) members.Survey {
	list, told := w.members(), []members.Heard(nil)
	for _, other := range w.node.cfg.Cluster.Writers {
		told = append(told, members.Heard{Name: other.Name, Address: other.Peer})
	}
	for _, s := range list {
		if s.ID != w.log.ID() && !slices.ContainsFunc(told, func(h members.Heard) bool { return h.Address == s.Address }) {
			told = append(told, members.Heard{Address: s.Address})
		}
	}
	var wg sync.WaitGroup
	for i := range told {
		wg.Go(func() {
			var s peerStatus
			h := &told[i]
			if h.Name == w.node.cfg.Name {
				s = w.self()
			} else {
				s, h.Err = w.ask(ctx, h.Address)
			}
			h.Says, h.ID, h.Leads, h.Position, h.Digest, h.Endpoint = s.Name, s.ID, s.Leads, s.Position, s.Digest, s.Endpoint
		})
	}
	wg.Wait()
	list.Match(told)
	return members.Survey{List: list, Told: told}
}

// members are those of the log, as this writer knows them.
func (w *writer) members() (list members.List) {
	for _, s := range w.log.Servers() {
		list = append(list, members.Server{ID: s.ID, Address: s.Address, Votes: s.Voter})
	}
	return list
}

type surveys struct{ singleflight.Group }

// share is what the survey under way finds, or else a new one: however many clients ask about
// the cluster, each member is asked once at a time.
func (s *surveys) share(begin func() members.Survey) members.Survey {
	v, _, _ := s.Do("", func() (any, error) { return begin(), nil })
	return v.(members.Survey)
}

// watchVoters keeps what the metrics and /readyz tell of the quorum, while this writer leads.
func (w *writer) watchVoters(ctx context.Context) {
	defer w.quorums.Store(nil)
	for {
		w.quorums.Store(w.survey(ctx).List.Quorum(len(w.node.cfg.Cluster.Writers)))
		select {
		case <-time.After(surveyEvery):
		case <-ctx.Done():
			return
		}
	}
}

// RemoveWriter takes a member away from the log that cluster.yaml does not have, while this
// writer leads. Errors are dispatch.ErrNotLeader, errChanging, those of members.List.Without or
// the log's.
func (w *writer) RemoveWriter(ctx context.Context, called string) error {
	return w.change(func() error { return w.remove(ctx, called) })
}

// errChanging is returned while another member of the log joins, moves or is removed.
var errChanging = errors.New("another change of the log's members is under way")

// change makes a change of the log's members: one at a time, for each is judged by what the one
// before left. Nobody waits in line.
func (w *writer) change(make func() error) error {
	if !w.changing.TryLock() {
		return errChanging
	}
	defer w.changing.Unlock()
	return make()
}

func (w *writer) remove(ctx context.Context, called string) error {
	if w.leading.Load() == nil {
		return dispatch.ErrNotLeader
	}
	gone, err := w.survey(ctx).List.Without(called)
	if err != nil {
		return err
	}
	if err := inEdgeTerms(w.log.RemoveServer(ctx, gone.ID)); err != nil {
		return err
	}
	w.node.logger.Info("a member was removed from the log", "id", gone.ID, "address", gone.Address)
	return nil
}

// TransferLeadership hands leadership to a writer; to the one furthest ahead if called is
// empty. Errors are dispatch.ErrNotLeader, members.ErrUnknown, members.ErrSilent or the log's.
func (w *writer) TransferLeadership(ctx context.Context, called string) error {
	if w.leading.Load() == nil {
		return dispatch.ErrNotLeader
	}
	if called == "" {
		return inEdgeTerms(w.log.TransferLeadership(ctx))
	}
	to, ok := w.survey(ctx).List.Find(called)
	switch {
	case !ok || !to.Votes:
		return fmt.Errorf("%w is called %q and votes", members.ErrUnknown, called)
	case to.ID == w.log.ID():
		return nil // it leads
	case !to.Answers:
		return members.ErrSilent
	}
	return inEdgeTerms(w.log.TransferLeadershipTo(ctx, log.Server{ID: to.ID, Address: to.Address}))
}

// inEdgeTerms is an error of the log, as the edge knows it.
func inEdgeTerms(err error) error {
	if notLeader := (*log.NotLeaderError)(nil); errors.As(err, &notLeader) || errors.Is(err, log.ErrStopped) {
		return fmt.Errorf("%w: %w", dispatch.ErrNotLeader, err)
	}
	return err
}

// observeVoters shows who votes, as Raft has it; and at the leader what that survives.
func (w *writer) observeVoters() {
	gauge := func(name, help string, value func() float64) {
		w.node.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	gauge("writ_raft_voters", "Voters in the log, as this writer knows them.", func() float64 { return float64(w.members().Votes()) })
	gauge("writ_raft_failures_survived", "How many more voters may fail until nothing can be written, found by the leader every 5 s; NaN at others.", func() float64 {
		if q := w.quorums.Load(); q != nil {
			return float64(q.Survives)
		}
		return math.NaN()
	})
	gauge("writ_raft_failures_planned", "How many failures the writers of cluster.yaml would survive.", func() float64 {
		return float64(members.Planned(len(w.node.cfg.Cluster.Writers)))
	})
}
