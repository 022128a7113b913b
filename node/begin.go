package node

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/iam"
	"github.com/writ-iam/writ/node/build"
	"github.com/writ-iam/writ/node/managed"
	"github.com/writ-iam/writ/node/setup"
)

// How a cluster's history begins, once its log has a leader.

// bootstrap begins the cluster's history, if it has none: its identity, its first
// account with the root's access key, and the managed policies of AWS.
func (w *writer) bootstrap(ctx context.Context) error {
	n := w.node
	if s := w.log.Applied().State; s.Cluster().ID != "" {
		if err := n.admits(s); err != nil {
			return err
		}
		return w.beginAs(ctx)
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
		RootKey: identity.NewAccessKey{ID: root.AccessKeyID, Sealed: sealed}, Catalogue: policies, Writers: n.cfg.Cluster.Listed(),
	}))
	var refusal *identity.Refusal
	if errors.As(err, &refusal) && refusal.Code == identity.AlreadyBootstrapped {
		return nil
	}
	if err == nil {
		n.logger.Info("a cluster begins", "cluster", n.cfg.Cluster.ID, "account", account, "partition", n.cfg.Cluster.Partition)
		return w.beginAs(ctx)
	}
	return err
}

// beginAs gives the cluster what cluster.yaml says of it besides how it is called: a leader
// that began it may have ended before this, and an earlier build knew less of it.
func (w *writer) beginAs(ctx context.Context) error {
	for _, cmd := range w.node.cfg.Cluster.First(w.log.Applied().State) {
		err := w.propose(ctx, randomKey(), cmd)
		var refusal *identity.Refusal
		if errors.As(err, &refusal) { // somebody has chosen, or the feature level has to rise first
			w.node.logger.Info("the cluster is not yet as cluster.yaml says", "reason", refusal.Message)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// admits refuses a state that is not of the node's configuration, which cannot go on then; of
// others it has the key seal that the state says.
func (n *Node) admits(s *identity.State) error {
	err := n.cfg.Cluster.Holds(s)
	if err != nil {
		n.fail(err)
		return err
	}
	n.keys.Follow(s) // before anybody is shown the state
	if _, err := build.Condition(&n.build, s.Cluster().FeatureLevel); err != nil && !n.outgrown.Swap(true) {
		n.logger.Error("this replica gets no lease", "error", err) // a writer's log has stopped before
	}
	return nil
}

func randomKey() (k identity.Key) {
	rand.Read(k[:]) // never fails
	return k
}
