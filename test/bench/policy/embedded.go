package policy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node"
	"github.com/writ-iam/writ/node/embed"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/test/population"
)

// embedded is a replica in this process, of a cluster whose writer is in it, too: what a service has
// that embeds one. A decision takes the question as texts, looks at the lease and at the clocks, finds the
// principal by its ARN, and tells where it holds, as none of the others does.
type embedded struct {
	dir       string
	writer    *node.Node
	replica   *embed.Replica
	questions []embed.Question
}

// startTimeout bounds how long the cluster may take to begin and the replica to follow.
const startTimeout = 5 * time.Minute

func newEmbedded(w *World) (_ *embedded, err error) {
	e := &embedded{}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close())
		}
	}()
	if e.dir, err = os.MkdirTemp("", "writ-bench-"); err != nil {
		return nil, err
	}
	addrs, err := setup.FreeAddrs(3)
	if err != nil {
		return nil, err
	}
	c, _, err := setup.Init(filepath.Join(e.dir, "cluster"), setup.Cluster{
		Account:  account,
		Writers:  []setup.Writer{{Name: "writer-1", Peer: addrs[0], Broker: addrs[1], Routes: addrs[2]}},
		Replicas: []setup.Replica{{Name: "replica-1", Region: "eu", Class: "tight"}},
	}, setup.RootKey{}, time.Now())
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := e.start(ctx, c); err != nil { // so that the cluster has begun
		return nil, err
	}
	if _, err := e.writer.Projection().Wait(ctx, 1); err != nil {
		return nil, err
	}
	if err := e.stop(); err != nil {
		return nil, err
	}
	if err := population.Of(filepath.Join(e.dir, "cluster"), c.Writers[0], w.commands); err != nil {
		return nil, err
	}
	if err := e.start(ctx, c); err != nil {
		return nil, err
	}
	return e, e.embed(ctx, w)
}

func (e *embedded) start(ctx context.Context, c setup.Cluster) (err error) {
	dir := filepath.Join(e.dir, "cluster")
	e.writer, err = node.Start(ctx, node.Config{
		Cluster: c, Name: "writer-1", Data: filepath.Join(dir, "data", "writer-1"), API: "127.0.0.1:0", Files: setup.DefaultFiles(dir, "writer-1"), Drain: time.Second,
	}, slog.New(slog.DiscardHandler))
	return err
}

func (e *embedded) stop() error {
	if e.writer == nil {
		return nil
	}
	err := e.writer.Stop()
	e.writer = nil
	return err
}

// embed starts the replica, and makes the questions that a service would have at hand.
func (e *embedded) embed(ctx context.Context, w *World) (err error) {
	dir := filepath.Join(e.dir, "cluster")
	e.replica, err = embed.Start(ctx, embed.Config{
		ClusterFile: filepath.Join(dir, "cluster.yaml"), Name: "replica-1", Dir: filepath.Join(dir, "data", "replica-1"),
		Kept: projection.Limits{Principals: max(embed.DefaultKept().Principals, 8*len(w.Principals))},
	})
	if err != nil {
		return err
	}
	select {
	case <-e.replica.Ready():
	case <-ctx.Done():
		return fmt.Errorf("the replica is not ready: %w", ctx.Err())
	}
	address, err := embed.NewKey("aws:SourceIp")
	if err != nil {
		return err
	}
	for _, r := range w.Requests {
		e.questions = append(e.questions, embed.Question{
			Principal: "arn:aws:iam::" + account + ":user/" + w.Principals[r.Principal].Name, Action: r.Service + ":" + r.Name,
			Resource: r.Resource, Context: []embed.Entry{address.Single(r.Address)},
		})
	}
	return nil
}

// Allowed answers a request.
func (e *embedded) Allowed(i int) bool {
	d, err := e.replica.Decide(e.questions[i])
	if err != nil || d.Flagged {
		panic(fmt.Errorf("decide question %d: %+v, %w", i, d, err))
	}
	return d.Allowed()
}

// Close ends the cluster.
func (e *embedded) Close() error {
	var err error
	if e.replica != nil {
		err = e.replica.Close(context.Background())
	}
	return errors.Join(err, e.stop(), os.RemoveAll(e.dir))
}

// commands make the world in a cluster.
func (w *World) commands(yield func(identity.Command) error) error {
	for i := range w.Groups {
		g := &w.Groups[i]
		list := []identity.Command{&identity.CreateGroup{Account: account, ID: identity.ID(fmt.Sprintf("AGPA%017d", i)), Name: g.Name, Path: "/"}}
		for j := range g.Policies {
			list = append(list, &identity.PutInlinePolicy{
				Owner: identity.Owner{Account: account, Kind: identity.KindGroup, Name: g.Name}, Name: fmt.Sprintf("policy%d", j), Document: document(g.Policies[j][:]),
			})
		}
		for _, c := range list {
			if err := yield(c); err != nil {
				return err
			}
		}
	}
	for i := range w.Principals {
		p := &w.Principals[i]
		if err := yield(&identity.CreateUser{Account: account, ID: identity.ID(fmt.Sprintf("AIDA%017d", i)), Name: p.Name, Path: "/", Tags: []identity.Tag{{Key: "duty", Value: p.Duty}}}); err != nil {
			return err
		}
		for _, g := range p.Groups {
			if err := yield(&identity.AddUserToGroup{Account: account, Group: w.Groups[g].Name, User: p.Name}); err != nil {
				return err
			}
		}
	}
	return nil
}
