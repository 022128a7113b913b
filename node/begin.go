package node

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/writ-iam/writ/log"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/managed"
	"github.com/writ-iam/writ/node/setup"
)

// How a cluster begins. The first writer of the configuration makes itself the
// only member of a new log, once all other writers have said that they have none
// either: so a first writer that lost its disk never begins the cluster a second
// time. The others join through whoever leads.

// Waits of joining.
const (
	joinPause   = 250 * time.Millisecond
	joinTimeout = 20 * time.Second // of one request to join
)

// joinRequest asks the leader to make a server a voter.
type joinRequest struct {
	ID   string `json:"id"`
	Peer string `json:"peer"`
	// Seal is the fingerprint of the keys that seal secrets: a writer with others
	// could open nothing.
	Seal string `json:"seal"`
}

// peerStatus is what a writer tells other nodes of itself.
type peerStatus struct {
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

// join makes this writer a member of the cluster's log, until it is one.
func (w *writer) join() {
	n := w.node
	first := n.cfg.Cluster.Writers[0].Name == n.cfg.Name
	told := ""
	for {
		if w.votes() {
			return
		}
		if err := w.tryJoin(first); err != nil && err.Error() != told {
			told = err.Error()
			n.logger.Info("not a member of the log yet", "reason", err)
		}
		select {
		case <-time.After(joinPause):
		case <-n.ctx.Done():
			return
		}
	}
}

// votes tells whether this writer is in its own log's list of members, at its address: one
// that has moved joins again, so that the others find it.
func (w *writer) votes() bool {
	for _, s := range w.log.Servers() {
		if s.ID == w.log.ID() {
			return s.Address == w.me.Peer
		}
	}
	return false
}

// tryJoin joins a log that exists, at this writer's address, or begins one.
func (w *writer) tryJoin(first bool) error {
	n := w.node
	if w.leading.Load() != nil { // and has moved
		return w.change(func() error { return w.log.AddVoter(n.ctx, w.log.ID(), w.me.Peer) })
	}
	exists, silent := false, 0
	for _, other := range n.cfg.Cluster.Writers {
		if other.Name == n.cfg.Name {
			continue
		}
		s, err := w.ask(n.ctx, other.Peer)
		switch {
		case err != nil:
			silent++
		case s.Member:
			exists = true
		}
	}
	switch {
	case exists || !first:
		ctx, cancel := context.WithTimeout(n.ctx, joinTimeout)
		defer cancel()
		return n.finder.Post(ctx, joinPath, joinRequest{ID: w.log.ID(), Peer: w.me.Peer, Seal: n.seal.Fingerprint()}, nil)
	case silent > 0:
		return fmt.Errorf("%d other writers do not answer; the log begins when all say that they have none", silent)
	}
	if err := w.log.Bootstrap(); err != nil && !errors.Is(err, log.ErrBootstrapped) {
		return err
	}
	return nil
}

// ask asks another writer for its status, at the address of its peer port.
func (w *writer) ask(ctx context.Context, address string) (s peerStatus, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return s, w.node.finder.Get(ctx, address, statusPath, &s)
}

// bootstrap begins the cluster's history, if it has none: its identity, its first
// account with the root's access key, and the managed policies of AWS.
func (w *writer) bootstrap(ctx context.Context) error {
	n := w.node
	if s := w.log.Applied().State; s.Cluster().ID != "" {
		if err := n.admits(s); err != nil {
			return err
		}
		return w.beginAccount(ctx)
	}
	root, err := setup.LoadRootKey(n.cfg.Files.Root)
	policies, damaged := managed.PoliciesIn(n.cfg.Cluster.Partition)
	if err = errors.Join(err, damaged); err != nil {
		return err
	}
	account := n.cfg.Cluster.Account
	sealed, err := iam.SealSecret(n.seal, account, root.AccessKeyID, root.SecretAccessKey)
	if err != nil {
		return err
	}
	incarnation := randomKey()
	err = w.propose(ctx, randomKey(), identity.BeginIn(n.cfg.Cluster.Partition, identity.Bootstrap{
		Cluster: n.cfg.Cluster.ID, Incarnation: hex.EncodeToString(incarnation[:]), Account: account,
		RootKey: identity.NewAccessKey{ID: root.AccessKeyID, Sealed: sealed}, Catalogue: policies,
	}))
	var refusal *identity.Refusal
	if errors.As(err, &refusal) && refusal.Code == identity.AlreadyBootstrapped {
		return nil
	}
	if err == nil {
		n.logger.Info("a cluster begins", "cluster", n.cfg.Cluster.ID, "account", account, "partition", n.cfg.Cluster.Partition)
		return w.beginAccount(ctx)
	}
	return err
}

// beginAccount gives the first account what cluster.yaml says of it besides its number: a
// leader that began the cluster may have ended before this.
func (w *writer) beginAccount(ctx context.Context) error {
	for _, cmd := range w.node.cfg.Cluster.First(w.log.Applied().State) {
		err := w.propose(ctx, randomKey(), cmd)
		var refusal *identity.Refusal
		if errors.As(err, &refusal) { // somebody has chosen, or the feature level has to rise first
			w.node.logger.Info("the account does not begin as cluster.yaml says", "reason", refusal.Message)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// admits refuses a state that is not of the node's configuration, which cannot go on then.
func (n *Node) admits(s *identity.State) error {
	err := n.cfg.Cluster.Holds(s)
	if err != nil {
		n.fail(err)
	}
	return err
}

func randomKey() (k identity.Key) {
	rand.Read(k[:]) // never fails
	return k
}
