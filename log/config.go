package log

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/raft"
	"github.com/writ-iam/writ/log/durable"
	"github.com/writ-iam/writ/log/event"
)

// Defaults of Config.
const (
	DefaultHeartbeatTimeout   = 1 * time.Second
	DefaultElectionTimeout    = 1 * time.Second
	DefaultLeaderLeaseTimeout = 500 * time.Millisecond
	DefaultCommitTimeout      = 50 * time.Millisecond
	DefaultSnapshotInterval   = 30 * time.Second
	DefaultSnapshotThreshold  = 8192
	DefaultTrailingLogs       = 32768 // at least three thresholds, so that a follower seldom needs a snapshot
	DefaultMinFree            = 256 << 20
)

// Limits that are the same for every log.
const (
	keptSnapshots    = 3
	cachedEntries    = 1024             // of the Raft log, in memory
	appendEntries    = 256              // in one message, one write to disk, and one piece for the state machine
	enqueueTimeout   = 5 * time.Second  // for Raft to take an entry
	changeTimeout    = 10 * time.Second // for Raft to take a change of members
	transportTimeout = 10 * time.Second // for one message between writers
	connectionsKept  = 3                // to each writer
	shutdownTimeout  = 10 * time.Second // for Raft's goroutines to end
	lockTimeout      = 2 * time.Second  // to wait for another process to close the log
)

// Backfill fetches the encoded batches from..to, in order, from another writer,
// and gives each to yield; an error of yield ends it and is returned.
type Backfill func(ctx context.Context, from, to event.Position, yield func([]byte) error) error

// Config says where a log lives and whom it talks to. Zero values of the tunables
// mean the defaults.
type Config struct {
	// Dir is the directory of everything the log keeps: the server's id, Raft's
	// entries and votes, snapshots, and the event store. One process may have it open.
	Dir string
	// Advertise is the host:port by which the other writers reach this one. It is
	// stored in the log as it is written and resolved anew for every connection.
	Advertise string
	// Cluster is the id of the cluster. A directory of another cluster is refused.
	Cluster string

	// Stream makes the connections between writers. Raft's messages have no
	// authentication of their own: it must prove both ends. Its address is
	// replaced by Advertise.
	Stream Stream
	// Transport, if set, is used instead of Stream.
	Transport raft.Transport
	// Backfill fetches what the event store lacks after a snapshot was installed.
	// Without it gaps stay.
	Backfill Backfill
	// Logger gets Raft's diagnostics and the log's own. Nil means slog.Default().
	Logger *slog.Logger
	// Meter is told how long things take; nil measures nothing.
	Meter Meter

	HeartbeatTimeout   time.Duration // without a leader's word until an election begins
	ElectionTimeout    time.Duration // of one election
	LeaderLeaseTimeout time.Duration // without a majority's word until a leader steps down
	CommitTimeout      time.Duration // until followers learn of a commit without a new entry
	SnapshotInterval   time.Duration // between looks at SnapshotThreshold; up to twice as long
	SnapshotThreshold  uint64        // entries since the last snapshot that call for another
	TrailingLogs       uint64        // entries kept behind a snapshot
	MinFree            uint64        // bytes of free disk below which Propose refuses
}

func (c *Config) withDefaults() (Config, error) {
	d := *c
	for _, f := range []struct {
		value    *time.Duration
		standard time.Duration
	}{
		{&d.HeartbeatTimeout, DefaultHeartbeatTimeout}, {&d.ElectionTimeout, DefaultElectionTimeout},
		{&d.LeaderLeaseTimeout, DefaultLeaderLeaseTimeout}, {&d.CommitTimeout, DefaultCommitTimeout},
		{&d.SnapshotInterval, DefaultSnapshotInterval},
	} {
		if *f.value == 0 {
			*f.value = f.standard
		}
	}
	for _, f := range []struct {
		value    *uint64
		standard uint64
	}{{&d.SnapshotThreshold, DefaultSnapshotThreshold}, {&d.TrailingLogs, DefaultTrailingLogs}, {&d.MinFree, DefaultMinFree}} {
		if *f.value == 0 {
			*f.value = f.standard
		}
	}
	if d.Logger == nil {
		d.Logger = slog.Default()
	}
	if d.Meter == nil {
		d.Meter = unmeasured{}
	}
	switch {
	case d.Dir == "":
		return d, errors.New("log: Dir is missing")
	case d.Advertise == "":
		return d, errors.New("log: Advertise is missing")
	case d.Stream == nil && d.Transport == nil:
		return d, errors.New("log: Stream or Transport is needed")
	}
	return d, nil
}

func (c *Config) raft(id string, notify chan<- bool) *raft.Config {
	r := raft.DefaultConfig()
	r.LocalID = raft.ServerID(id)
	r.Logger = bridge(c.Logger)
	r.NotifyCh = notify
	r.HeartbeatTimeout = c.HeartbeatTimeout
	r.ElectionTimeout = c.ElectionTimeout
	r.LeaderLeaseTimeout = c.LeaderLeaseTimeout
	r.CommitTimeout = c.CommitTimeout
	r.SnapshotInterval = c.SnapshotInterval
	r.SnapshotThreshold = c.SnapshotThreshold
	r.TrailingLogs = c.TrailingLogs
	r.ShutdownOnRemove = false // a removed writer stays up, and says that it is none
	r.MaxAppendEntries = appendEntries
	r.NoLegacyTelemetry = true
	return r
}

func (c *Config) transport(id string) raft.Transport {
	if c.Transport != nil {
		return c.Transport
	}
	lines := newLines()
	return transport{lines: lines, NetworkTransport: raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream:                  identified{c.Stream, id, address(c.Advertise), lines},
		MaxPool:                 connectionsKept,
		Timeout:                 transportTimeout,
		Logger:                  bridge(c.Logger),
		MsgpackUseNewTimeFormat: true,
	})}
}

// address is a host:port to be resolved by whoever dials it.
type address string

func (address) Network() string  { return "tcp" }
func (a address) String() string { return string(a) }

// serverID returns the id of the server whose directory this is; it is made once.
// A server that lost its directory is another server.
func serverID(dir string) (string, error) {
	path := filepath.Join(dir, idFile)
	b, err := os.ReadFile(path)
	if err == nil {
		id, err := uuid.ParseBytes(b)
		if err != nil {
			return "", fmt.Errorf("server id in %s: %w", path, err)
		}
		return id.String(), nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	return newServerID(dir)
}

// newServerID makes a directory that of another server.
func newServerID(dir string) (string, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return "", err
	}
	return id.String(), durable.Write(filepath.Join(dir, idFile), 0o600, []byte(id.String()))
}

// idFile is the name of the server's id in Config.Dir.
const idFile = "id"
