package log

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hashicorp/raft"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/wake"
	"github.com/writ-iam/writ/log/wire"
)

// Leadership is one time of leading, from when this writer has applied everything
// that was committed before it.
type Leadership struct {
	Term    uint64
	Context context.Context // ends when leadership is lost, or the log has failed
}

// Leadership returns the channel on which each leadership of this writer comes,
// for one receiver. One that is lost before it was received does not come.
func (l *Log) Leadership() <-chan Leadership { return l.leadership }

// retryInterval is the time between attempts to prove a new leadership, and the
// first one between attempts to fill a gap.
const retryInterval = 100 * time.Millisecond

// watch follows Raft's word on who leads until ctx ends. Raft waits for it, so it
// only starts and stops lead. Raft may lead on with a log that has failed: its own
// files may be sound, and nobody proposes any more.
func (l *Log) watch(ctx context.Context, notify <-chan bool) {
	lost, done := func() {}, make(chan struct{})
	close(done)
	failed := l.fail.done
	for {
		var leads bool
		select {
		case leads = <-notify:
		case <-failed:
			failed = nil
		case <-ctx.Done():
		}
		lost()
		<-done
		if ctx.Err() != nil {
			return
		}
		if leads && l.fail.latched() == nil {
			var term context.Context
			term, lost = context.WithCancel(ctx)
			done = make(chan struct{})
			go func() {
				defer close(done)
				l.lead(term)
			}()
		}
	}
}

// lead announces a leadership once it is proved: Raft says that it leads before
// anything of its term is committed.
func (l *Log) lead(ctx context.Context) {
	for {
		term := l.raft.CurrentTerm()
		_, err := l.Fence(ctx, wire.Fence{Term: term, Head: l.Applied().Head})
		if err == nil {
			select {
			case l.leadership <- Leadership{Term: term, Context: ctx}:
			case <-ctx.Done():
			}
			return
		}
		if ctx.Err() != nil || l.fail.latched() != nil {
			return
		}
		l.config.Logger.Warn("a new leadership is not proved yet", slog.Uint64("term", term), slog.Any("error", err))
		if wake.After(ctx, retryInterval) != nil {
			return
		}
	}
}

// Fence commits a fence, which may raise the floor of leases up to the head. It returns what
// the state machine showed as it applied it, neither before nor after. Like StrictHead it proves leadership; its term must be the
// one in which this writer leads.
func (l *Log) Fence(ctx context.Context, m wire.Fence) (*Applied, error) {
	if head := l.Applied().Head.Position; m.Floor > head {
		return nil, fmt.Errorf("fence a floor of %d: the head is at %d", m.Floor, head)
	}
	entry, err := wire.EncodeFence(&m)
	if err != nil {
		return nil, err
	}
	o, err := l.apply(ctx, entry)
	if err != nil {
		return nil, err
	}
	if o.fenced.Term != m.Term { // lost and won again in between
		return nil, l.notLeader()
	}
	return o.fenced, nil
}

// read is one fence that serves all who asked for a head before it was proposed.
type read struct {
	done chan struct{} // closed when head and err are set
	head event.Head
	err  error
}

// StrictHead proves that this writer led at a moment after the call, by an entry of
// the log, and returns the head of the history at that entry: everything that was
// acknowledged before the call is at or before it, and Applied has reached it.
// One entry serves all callers that came before it was proposed. It fails like
// Propose, except that nothing is lost with it; a disk that is nearly full does
// not matter.
func (l *Log) StrictHead(ctx context.Context) (event.Head, error) {
	l.mu.Lock()
	if l.read == nil {
		l.read = &read{done: make(chan struct{})}
	}
	r := l.read
	if !l.reading && !l.closed {
		l.reading = true
		l.proposals.Go(l.runReads)
	}
	l.mu.Unlock()
	select {
	case <-r.done:
		return r.head, r.err
	case <-ctx.Done():
		return event.Head{}, ctx.Err()
	case <-l.closing:
		return event.Head{}, ErrStopped
	}
}

// runReads proposes one fence after the other while callers wait for one.
func (l *Log) runReads() {
	for {
		l.mu.Lock()
		r := l.read
		l.read = nil
		l.reading = r != nil
		l.mu.Unlock()
		if r == nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), fenceTimeout)
		var a *Applied
		if a, r.err = l.Fence(ctx, wire.Fence{Term: l.raft.CurrentTerm(), Head: l.Applied().Head}); r.err == nil {
			r.head = a.Head
		}
		cancel()
		close(r.done)
	}
}

// fenceTimeout bounds one fence, so that a later one is not held up by an entry
// that a majority does not confirm.
const fenceTimeout = 2 * time.Second

// IsLeader says whether Raft takes this writer for the leader. Another may lead
// already: only Fence proves it.
func (l *Log) IsLeader() bool { return l.raft.State() == raft.Leader }

// Leader returns the id and address of the leader, empty when none is known.
func (l *Log) Leader() (id, address string) {
	a, i := l.raft.LeaderWithID()
	return string(i), string(a)
}

// Term is Raft's current term.
func (l *Log) Term() uint64 { return l.raft.CurrentTerm() }

func (l *Log) notLeader() error {
	id, address := l.Leader()
	if id == l.id { // deposed, or handing over: not to be asked again
		return &NotLeaderError{}
	}
	return &NotLeaderError{ID: id, Address: address}
}

// Server is a member of the cluster.
type Server struct {
	ID      string
	Address string // host:port
	Voter   bool
}

// Servers returns the members as this writer knows them; the latest change may
// not be committed yet.
func (l *Log) Servers() []Server {
	future := l.raft.GetConfiguration()
	if future.Error() != nil { // it reads memory
		return nil
	}
	var out []Server
	for _, s := range future.Configuration().Servers {
		out = append(out, Server{ID: string(s.ID), Address: string(s.Address), Voter: s.Suffrage == raft.Voter})
	}
	return out
}

// AddVoter makes a server a voter; see AddLearner.
func (l *Log) AddVoter(ctx context.Context, id, address string) error {
	return l.add(ctx, id, address, true, l.raft.AddVoter)
}

// AddLearner makes a server a member that follows the log and has no vote; a voter that has
// moved keeps its vote. Another server at the same address, which is this one before it lost
// its disk, is removed first; it is not this writer, which has to move from there itself. A
// server that is a member there already, perhaps by a change that is not committed yet,
// changes nothing: one that does not hear of it asks again and again. On errors see Propose.
func (l *Log) AddLearner(ctx context.Context, id, address string) error {
	return l.add(ctx, id, address, false, l.raft.AddNonvoter)
}

func (l *Log) add(ctx context.Context, id, address string, voter bool, as func(raft.ServerID, raft.ServerAddress, uint64, time.Duration) raft.IndexFuture) error {
	for _, s := range l.Servers() {
		switch {
		case s.Address != address:
		case s.ID == id && (s.Voter || !voter) && l.IsLeader():
			return nil
		case s.ID == id:
		case s.ID == l.id:
			return fmt.Errorf("the leader is still a member at %s", address)
		default:
			if err := l.RemoveServer(ctx, s.ID); err != nil {
				return fmt.Errorf("remove server %s, which had the address %s: %w", s.ID, address, err)
			}
		}
	}
	return l.change(ctx, func(timeout time.Duration) raft.Future {
		return as(raft.ServerID(id), raft.ServerAddress(address), 0, timeout)
	})
}

// RemoveServer ends a membership. On errors see Propose.
func (l *Log) RemoveServer(ctx context.Context, id string) error {
	return l.change(ctx, func(timeout time.Duration) raft.Future {
		return l.raft.RemoveServer(raft.ServerID(id), 0, timeout)
	})
}

func (l *Log) change(ctx context.Context, f func(timeout time.Duration) raft.Future) error {
	if !l.enter() {
		return ErrStopped
	}
	defer l.proposals.Done()
	return l.wait(ctx, f(untilDeadline(ctx, changeTimeout)))
}

// TransferLeadership hands leadership to the voter that is furthest ahead.
func (l *Log) TransferLeadership(ctx context.Context) error {
	return l.transfer(ctx, l.raft.LeadershipTransfer)
}

// TransferLeadershipTo hands leadership to one voter. On errors see TransferLeadership.
func (l *Log) TransferLeadershipTo(ctx context.Context, to Server) error {
	return l.transfer(ctx, func() raft.Future {
		return l.raft.LeadershipTransferToServer(raft.ServerID(to.ID), raft.ServerAddress(to.Address))
	})
}

func (l *Log) transfer(ctx context.Context, begin func() raft.Future) error {
	if !l.IsLeader() {
		return l.notLeader()
	}
	err := l.wait(ctx, begin())
	if errors.Is(err, ErrOutcomeUnknown) {
		return fmt.Errorf("transfer leadership: %w", err)
	}
	return err
}
