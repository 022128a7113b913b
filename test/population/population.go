// Package population makes many users in the directory of a writer that does not run, faster than any
// client could.
package population

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"golang.org/x/sync/errgroup"

	"github.com/writ-iam/writ/log"
	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/log/store"
	"github.com/writ-iam/writ/log/wire"
	"github.com/writ-iam/writ/node/seal"
	"github.com/writ-iam/writ/node/setup"
)

// What every user of a population has: an access key, and a group of so many.
const (
	groupSize = 1000
	secret    = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" // that every access key has
	account   = setup.DefaultAccount
)

const groupPolicy = `{"Version":"2012-10-17","Statement":[` +
	`{"Sid":"Read","Effect":"Allow","Action":["s3:Get*","s3:List*"],"Resource":"arn:aws:s3:::bucket/*"},` +
	`{"Sid":"Secret","Effect":"Deny","Action":"s3:*","Resource":"arn:aws:s3:::bucket/secret/*"}]}`

// UserName is the name of a user.
func UserName(i int) string { return fmt.Sprintf("user-%07d", i) }

// Make makes so many users in the directory of a cluster's only writer, which
// has begun and does not run. It decides, folds, chains and stores every command as
// the state machine behind Raft does, and leaves a Raft snapshot at the end: the
// writer starts as if it had taken them one by one. Each user comes with an access key
// and is put into a group, in commands of their own.
func Make(dir string, w setup.Writer, users int) error {
	key, err := seal.LoadFile(setup.DefaultFiles(dir, w.Name).SealKey)
	if err != nil {
		return fmt.Errorf("make a population: %w", err)
	}
	return Of(dir, w, func(yield func(identity.Command) error) error { return commands(users, key, yield) })
}

// Of is Make of other commands: list yields them until that says that there was an error.
func Of(dir string, w setup.Writer, list func(yield func(identity.Command) error) error) error {
	p, err := openGrowth(filepath.Join(dir, "data", w.Name, "log"))
	if err != nil {
		return err
	}
	err = p.make(list)
	if err := errors.Join(err, p.events.Sync(), p.events.Close()); err != nil {
		return fmt.Errorf("make a population: %w", err)
	}
	return p.snapshot(w)
}

// growth is a history that goes on.
type growth struct {
	dir         string
	events      *store.Store
	state       *identity.State
	head        event.Head
	index, term uint64 // of the last entry of the Raft log
}

// openGrowth reads a writer's history so far.
func openGrowth(dir string) (*growth, error) {
	p := &growth{dir: dir, state: identity.NewState()}
	disk, err := raftboltdb.NewBoltStore(filepath.Join(dir, "raft.db"))
	if err != nil {
		return nil, fmt.Errorf("open the raft log: %w", err)
	}
	p.index, err = disk.LastIndex()
	if err == nil {
		p.term, err = disk.GetUint64([]byte("CurrentTerm"))
	}
	if err := errors.Join(err, disk.Close()); err != nil {
		return nil, fmt.Errorf("read the raft log: %w", err)
	}
	if p.events, err = store.Open(filepath.Join(dir, log.EventsFile), store.Options{}); err != nil {
		return nil, err
	}
	batches, err := p.events.Read(1, 1<<20, 1<<30)
	if err != nil {
		return nil, err
	}
	for _, b := range batches {
		batch, err := wire.DecodeBatch(b)
		if err != nil {
			return nil, err
		}
		identity.Evolve(p.state, batch.Position, batch.Cause.Meta, batch.Events)
		p.head = batch.Head()
	}
	return p, nil
}

// make appends the commands of a population: folding on one processor, encoding on
// another, and storing on a third.
func (p *growth) make(list func(yield func(identity.Command) error) error) error {
	const ahead = 1024
	folded, encoded := make(chan *event.Batch, ahead), make(chan store.Entry, ahead)
	var g errgroup.Group
	g.Go(func() error {
		defer close(folded)
		return list(func(c identity.Command) error { return p.fold(c, folded) })
	})
	g.Go(func() error {
		defer close(encoded)
		var failed error
		for b := range folded {
			b.Prev = p.head.Hash
			bytes, err := wire.EncodeBatch(b)
			if failed = errors.Join(failed, err); failed != nil {
				continue // the folding must come to its end
			}
			p.head = b.Head()
			encoded <- store.Entry{Head: p.head, Prev: b.Prev, Bytes: bytes}
		}
		return failed
	})
	g.Go(func() error {
		var failed error
		for e := range encoded {
			if failed == nil {
				failed = p.events.Append([]store.Entry{e})
			}
		}
		return failed
	})
	return g.Wait()
}

// fold decides a command and folds its events. Commands have no keys: that of a
// population which grew over more than a few minutes are forgotten.
func (p *growth) fold(c identity.Command, out chan<- *event.Batch) error {
	p.index++
	now := identity.Time(time.Now().UnixMilli())
	cause := event.Cause{Meta: identity.Meta{Time: now}, Request: fmt.Sprintf("00000000-0000-0000-0000-%012d", p.index), Action: "iam:CreateUser", Source: "127.0.0.1"}
	events, err := identity.Decide(p.state, cause.Meta, c)
	if err != nil {
		return fmt.Errorf("decide %T: %w", c, err)
	}
	at := p.state.Position() + 1
	identity.Evolve(p.state, at, cause.Meta, events)
	cluster := p.state.Cluster()
	out <- &event.Batch{
		Cluster: cluster.ID, Incarnation: cluster.Incarnation, Position: at, Index: p.index, Term: p.term,
		Cause: cause, Events: events, State: p.state.Digest(),
	}
	return nil
}

// commands yields those that make so many users.
func commands(users int, key *seal.Key, yield func(identity.Command) error) error {
	for i := range users {
		group := fmt.Sprintf("team-%04d", i/groupSize)
		var list []identity.Command
		if i%groupSize == 0 {
			list = append(list,
				&identity.CreateGroup{Account: account, ID: identity.ID(fmt.Sprintf("AGPA%017d", i/groupSize)), Name: group, Path: "/"},
				&identity.PutInlinePolicy{Owner: identity.Owner{Account: account, Kind: identity.KindGroup, Name: group}, Name: "read", Document: groupPolicy})
		}
		id := fmt.Sprintf("AKIA%016d", i)
		sealed, err := key.Seal(seal.AccessKeySecret, seal.AccessKeyContext(account, id), []byte(secret)) // a node ends where it lacks the key of a secret
		if err != nil {
			return err
		}
		list = append(list,
			&identity.CreateUser{Account: account, ID: identity.ID(fmt.Sprintf("AIDA%017d", i)), Name: UserName(i), Path: "/"},
			&identity.CreateAccessKey{Account: account, User: UserName(i), Key: identity.NewAccessKey{ID: id, Sealed: sealed}},
			&identity.AddUserToGroup{Account: account, Group: group, User: UserName(i)})
		for _, c := range list {
			if err := yield(c); err != nil {
				return err
			}
		}
	}
	return nil
}

// snapshot leaves the state where Raft looks for it.
func (p *growth) snapshot(w setup.Writer) error {
	id, err := os.ReadFile(filepath.Join(p.dir, "id"))
	if err != nil {
		return fmt.Errorf("read the writer's id: %w", err)
	}
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(p.dir, 1, hclog.NewNullLogger())
	if err != nil {
		return fmt.Errorf("open the raft snapshots: %w", err)
	}
	members := raft.Configuration{Servers: []raft.Server{{Suffrage: raft.Voter, ID: raft.ServerID(id), Address: raft.ServerAddress(w.Peer)}}}
	_, transport := raft.NewInmemTransport(raft.ServerAddress(w.Peer))
	sink, err := snapshots.Create(raft.SnapshotVersionMax, p.index, p.term, members, 1, transport)
	if err != nil {
		return fmt.Errorf("write a raft snapshot: %w", err)
	}
	if err := wire.WriteSnapshot(sink, p.state, wire.SnapshotHeader{Head: p.head, Index: p.index, Term: p.term}); err != nil {
		return errors.Join(err, sink.Cancel())
	}
	return sink.Close()
}
