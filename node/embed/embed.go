// Package embed is a replica in the Go process of a service. It follows the cluster's log, verifies
// it, and answers under leases, as the replicas do that are processes of their own; what it is
// asked costs a function call instead of a request.
//
// It has the whole state of the cluster in memory, and asks nobody whether they may know a decision: the
// process that has the replica's certificate is trusted with all users, roles and policies. It
// needs no seal key, and without one opens no secret. It serves no clients.
//
// It leaves the process as it is: no signals, no limits, no global state. What it begins ends
// with Close.
package embed

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node"
	"github.com/writ-iam/writ/node/api"
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/node/lease"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/replication/propagation"
)

// Replica is a replica that runs. Safe for concurrent use.
type Replica struct {
	node       *node.Node
	lease      *lease.Renewer
	projection *projection.Projection
	heads      *freshness.Views // reads the head of the log
	clocks     func() propagation.Clocks
	maxWork    int64
	shown      shown // in the process's metrics

	scratches sync.Pool // of *scratch
	shards    [shards]counts
	next      atomic.Uint32 // whose turn it is to be a scratch's

	ctx    context.Context // until Close
	cancel context.CancelFunc
	once   sync.Once
	ended  chan struct{} // closed when the node has stopped, with err set
	err    error
}

// shards is how many counts of decisions there are, so that processors need not share one.
const shards = 32

// Start starts a replica, which runs until Close. It returns before the replica has a state: wait for
// Ready. Writers that do not answer yet are no error. ctx bounds the start alone. Errors are those of the
// configuration (setup.ErrConfig), of files, and of a directory that is in use (setup.ErrInUse).
func Start(ctx context.Context, cfg Config) (*Replica, error) {
	cfg = cfg.complete()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	nodeConfig, err := cfg.node()
	if err != nil {
		return nil, err
	}
	n, err := node.Start(ctx, nodeConfig, cfg.Logger)
	if err != nil {
		return nil, err
	}
	r := &Replica{
		node: n, lease: n.Renewer(), projection: n.Projection(), clocks: cfg.clocks, maxWork: cfg.MaxWork, ended: make(chan struct{}),
	}
	r.heads = freshness.New(freshness.Config{Projection: r.projection, Heads: r.lease, Lease: r.lease})
	r.scratches.New = func() any { return &scratch{counts: &r.shards[r.next.Add(1)%shards]} }
	r.ctx, r.cancel = context.WithCancel(context.Background())
	if cfg.Metrics != nil {
		r.shown.to = prometheus.WrapRegistererWith(prometheus.Labels{"writ_node": cfg.Name}, cfg.Metrics)
		if err := r.observe(); err != nil {
			return nil, errors.Join(err, r.Close(context.Background()))
		}
	}
	return r, nil
}

// Ready returns a channel that is closed when the replica has got its first lease: from then on it
// decides, for as long as it holds one. It may lose it later: decisions say so.
func (r *Replica) Ready() <-chan struct{} { return r.lease.Granted() }

// Failed tells why the replica cannot go on, once: it belongs to another cluster, for instance. It
// then gets no further, and is to be closed. What it says by itself to be wrong, such as that it is
// quarantined, Checks say.
func (r *Replica) Failed() <-chan error { return r.node.Failed() }

// Checks are how the replica fares, as GET /readyz of a replica has it: its lease, its place in the
// roster, its state, its certificates, its build.
func (r *Replica) Checks() []api.Check { return r.node.Checks() }

// Token is the token of the state that the replica shows; false before there is one.
func (r *Replica) Token() (event.Token, bool) {
	v := r.projection.View()
	return v.Token(), v.Head.Position > 0
}

// Reload reads the replica's certificate again. Without it that is done when the file has changed.
func (r *Replica) Reload() error { return r.node.Reload() }

// Close gives the lease up, so that nobody waits for it, and ends the replica: no goroutine is left
// when it returns without an error. If ctx ends first its error is returned, and the replica goes on
// ending. Decisions under way are finished, later ones are ErrClosed. It may be called again.
func (r *Replica) Close(ctx context.Context) error {
	r.once.Do(func() {
		r.cancel()
		go func() {
			defer close(r.ended)
			r.err = r.node.Stop()
			r.shown.forget()
		}()
	})
	select {
	case <-r.ended:
		return r.err
	case <-ctx.Done():
		return fmt.Errorf("close the embedded replica: %w", ctx.Err())
	}
}
