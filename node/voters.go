package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/writ-iam/writ/log"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/dispatch"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/node/voters"
)

// surveyEvery is how often the leader asks who of the log's members answers.
const surveyEvery = 5 * time.Second

// heard is what a writer was asked, and what it said of itself.
type heard struct {
	name, address string // name is empty for a member that cluster.yaml does not have
	peerStatus
	err error
}

// survey asks all writers of cluster.yaml how they fare, and all other members of the log,
// at once.
func (w *writer) survey(ctx context.Context) (list voters.List, told []heard) {
	servers := w.log.Servers()
	for _, other := range w.node.cfg.Cluster.Writers {
		told = append(told, heard{name: other.Name, address: other.Peer})
	}
	for _, s := range servers {
		if s.ID != w.log.ID() && !slices.ContainsFunc(told, func(h heard) bool { return h.address == s.Address }) {
			told = append(told, heard{address: s.Address})
		}
	}
	var wg sync.WaitGroup
	for i := range told {
		wg.Go(func() {
			h := &told[i]
			if h.name == w.node.cfg.Name {
				h.peerStatus = w.self()
			} else {
				h.peerStatus, h.err = w.ask(ctx, setup.Writer{Name: h.name, Peer: h.address})
			}
		})
	}
	wg.Wait()
	for _, s := range servers {
		one := voters.Server{ID: s.ID, Address: s.Address, Votes: s.Voter}
		for i := range told {
			switch h := &told[i]; {
			case h.err == nil && h.ID == s.ID:
				one.Name, one.Answers = h.name, true
			case h.address == s.Address && !one.Answers:
				one.Name = h.name
			}
		}
		list = append(list, one)
	}
	return list, told
}

// writers tells of the writers, and of whoever votes without being one of cluster.yaml's.
func (w *writer) writers(ctx context.Context, head event.Position, leader string) (members []shape.Member, list voters.List) {
	list, told := w.survey(ctx)
	for _, h := range told {
		m := shape.Member{Name: h.name, Role: string(setup.RoleWriter)}
		_, votes := list.Find(h.ID)
		switch {
		case h.name == "":
			m.Name, m.State = h.address, "unlisted"
			m.Detail = "It votes, and cluster.yaml has no writer of this address: `writ writer remove " + h.address + "` ends that."
		case h.err != nil:
			m.State, m.Detail = "unreachable", "it does not answer"
		case h.Leads && (h.address == leader || h.name == w.node.cfg.Name):
			m.State = "leading"
		case !votes:
			m.State = "joining"
		default:
			m.State = "voting"
		}
		if h.err == nil {
			m.Position, m.Digest, m.Endpoint = h.Position, h.Digest, h.Endpoint
			m.Lag = head - min(head, h.Position)
		}
		members = append(members, m)
	}
	return members, list
}

func (w *writer) quorum(list voters.List) *shape.Quorum {
	n := list.Votes()
	return &shape.Quorum{Voters: n, Learners: len(list) - n, Survives: list.Survives(), Planned: voters.Planned(len(w.node.cfg.Cluster.Writers))}
}

// watchVoters keeps what the metrics and /readyz tell of the quorum, while this writer leads.
func (w *writer) watchVoters(ctx context.Context) {
	defer w.quorums.Store(nil)
	for {
		list, _ := w.survey(ctx)
		w.quorums.Store(w.quorum(list))
		select {
		case <-time.After(surveyEvery):
		case <-ctx.Done():
			return
		}
	}
}

// RemoveWriter takes a member away from the log that cluster.yaml does not have, while this
// writer leads. Errors are dispatch.ErrNotLeader, those of voters.List.Without or the log's.
func (w *writer) RemoveWriter(ctx context.Context, called string) error {
	w.changing.Lock() // one at a time: each is judged by what the one before left
	defer w.changing.Unlock()
	if w.leading.Load() == nil {
		return dispatch.ErrNotLeader
	}
	list, _ := w.survey(ctx)
	gone, err := list.Without(called)
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
// empty. Errors are dispatch.ErrNotLeader, voters.ErrUnknown or the log's.
func (w *writer) TransferLeadership(ctx context.Context, called string) error {
	if w.leading.Load() == nil {
		return dispatch.ErrNotLeader
	}
	if called == "" {
		return inEdgeTerms(w.log.TransferLeadership(ctx))
	}
	list, _ := w.survey(ctx)
	to, ok := list.Find(called)
	switch {
	case !ok || !to.Votes:
		return fmt.Errorf("%w is called %q and votes", voters.ErrUnknown, called)
	case to.ID == w.log.ID():
		return nil // it leads
	case !to.Answers:
		return fmt.Errorf("%w: %s does not answer", voters.ErrQuorum, called)
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
