package embed

import (
	"cmp"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/writ-iam/writ/node"
	"github.com/writ-iam/writ/node/lease"
	"github.com/writ-iam/writ/node/nats"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/replication/propagation"
)

// Config is what a replica is made of. ClusterFile, Name and Dir are required.
type Config struct {
	// ClusterFile is the path of the cluster's file, cluster.yaml, in which the replica is listed.
	ClusterFile string
	// Name is the replica's in the roster, and in its certificate. Names of replicas are 1 to 63 of the
	// letters a-z, 0-9 and "-". Each process of a name is waited for apart by those who wait for
	// "everywhere"; propagation.MaxLives of one name may hold leases at once, and further ones get none
	// before the leader has forgotten one.
	Name string
	// Dir is where the replica keeps its checkpoints, and the certificate that it is given by the
	// leader. It is made if it is not there, and is of one process: another one gets
	// setup.ErrInUse.
	Dir string
	// CA, Cert and Key are the files of the cluster's authority and of the replica's certificate; empty
	// for those that `writ init` and `writ node add` lay out beside ClusterFile.
	CA, Cert, Key string
	// NATS is how the replica is known to a NATS that the cluster's file names.
	NATS nats.Outside
	// Logger gets what the replica has to say: little, and never a secret. Nil: nobody does.
	Logger *slog.Logger
	// Metrics gets the replica's metrics until Close, each with the label writ_node, which is Name; nil:
	// nobody does. They are those of any replica but go_* and process_*, with
	// writ_embedded_decisions_total beside them.
	Metrics prometheus.Registerer
	// Kept bounds what is kept compiled of the state; zero fields are those of DefaultKept.
	Kept projection.Limits
	// MaxWork bounds what one decision may cost, in units of about a nanosecond; 0 for DefaultMaxWork.
	// Beyond it the decision is policy.ErrWork.
	MaxWork int64

	clocks func() propagation.Clocks // nil: the machine's
}

// DefaultKept is what a replica keeps compiled unless it is told otherwise: less than a node does
// that has a process of its own.
func DefaultKept() projection.Limits {
	return projection.Limits{Principals: 1 << 16, Groups: 1 << 13, Documents: 64 << 20}
}

const (
	// DefaultMaxWork is as nodes bound the decisions of their clients.
	DefaultMaxWork = 100_000_000
	// files is how many files the replica is taken to have: it hands no requests on, opens a handful, and
	// neither looks at the process's limit nor raises it.
	files = 4096
)

// complete returns c with its defaults.
func (c Config) complete() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	laid := setup.DefaultFiles(filepath.Dir(c.ClusterFile), c.Name)
	c.CA, c.Cert, c.Key = cmp.Or(c.CA, laid.CA), cmp.Or(c.Cert, laid.Cert), cmp.Or(c.Key, laid.Key)
	kept := DefaultKept()
	c.Kept = projection.Limits{
		Principals: cmp.Or(c.Kept.Principals, kept.Principals), Groups: cmp.Or(c.Kept.Groups, kept.Groups), Documents: cmp.Or(c.Kept.Documents, kept.Documents),
	}
	c.MaxWork = cmp.Or(c.MaxWork, DefaultMaxWork)
	if c.clocks == nil {
		c.clocks = lease.QuickClocks(time.Now())
	}
	return c
}

// check says what is missing, or makes no sense.
func (c *Config) check() error {
	switch {
	case c.ClusterFile == "" || c.Name == "" || c.Dir == "":
		return fmt.Errorf("%w: an embedded replica needs ClusterFile, Name and Dir", setup.ErrConfig)
	case c.Kept.Principals < 0 || c.Kept.Groups < 0 || c.Kept.Documents < 0 || c.MaxWork < 0:
		return fmt.Errorf("%w: Kept and MaxWork are not negative", setup.ErrConfig)
	}
	return nil
}

// node is the configuration of the node that the replica is.
func (c *Config) node() (node.Config, error) {
	cluster, err := setup.LoadCluster(c.ClusterFile)
	if err != nil {
		return node.Config{}, err
	}
	return node.Config{
		Cluster: cluster, Name: c.Name, Data: c.Dir, NATS: c.NATS, Embedded: true, Kept: c.Kept,
		Files:   setup.Files{CA: c.CA, Cert: c.Cert, Key: c.Key, SealKey: setup.NoSealKey},
		Machine: node.Machine{Files: files, Clocks: c.clocks},
	}, nil
}
