package shape

import (
	"strings"
	"time"

	"github.com/writ-iam/writ/log/event"
)

// Cluster is a cluster as one node knows it.
type Cluster struct {
	ID          string         `json:"cluster"`
	Partition   string         `json:"partition"` // Which all ARNs name: "aws", "aws-cn" and so on.
	Incarnation string         `json:"incarnation"`
	Node        string         `json:"node"`   // Who says so.
	Leader      string         `json:"leader"` // Empty: none is known.
	Term        uint64         `json:"term"`
	Position    event.Position `json:"position"`
	Hash        string         `json:"hash"`   // Of the batch at Position, hexadecimal
	Digest      string         `json:"digest"` // Of the state at Position, hexadecimal
	Floor       event.Position `json:"floor"`
	Members     []Member       `json:"members"`
	// Quorum is who votes, as the leader has it; another node leaves it out.
	Quorum *Quorum `json:"quorum,omitempty"`
	// FeatureLevel is which one is in force, as the leader has it; another node leaves it out.
	FeatureLevel *FeatureLevel `json:"feature_level,omitempty"`
	// What the node that says so admits while nothing proves that its view is current:
	// it holds no lease and has not read the head of the log.
	WithoutLease string `json:"without_lease"`
}

// Quorum is who votes in the log, as Raft has it, and how many failures that survives.
type Quorum struct {
	Voters   int `json:"voters"`
	Learners int `json:"learners"` // They follow the log and do not count.
	// Survives is how many more voters may fail until nothing can be written; it is negative
	// when too few answer already.
	Survives int `json:"survives"`
	// Planned is how many failures the writers of the cluster would survive if all of them
	// voted and nobody else did.
	Planned int `json:"planned"`
}

// Writer is where the other nodes reach a writer; addresses are HOST:PORT.
type Writer struct {
	Name   string `json:"name,omitempty"`   // The path may have it.
	Peer   string `json:"peer"`             // Of the Raft log, and of what nodes ask each other.
	Broker string `json:"broker,omitempty"` // Of its NATS server; left out where NATS runs outside.
	Routes string `json:"routes,omitempty"` // For the other writers' NATS servers; left out where NATS runs outside.
	Region string `json:"region,omitempty"`
}

// FeatureLevel is the level of what nodes of all builds of a cluster can read, and who keeps it
// from rising.
type FeatureLevel struct {
	InForce   uint32 `json:"in_force"`
	Supported uint32 `json:"supported"` // By the leader's build.
	// HeldBackBy are the nodes that have not said that they support Supported.
	HeldBackBy []string `json:"held_back_by,omitempty"`
}

// VotersChange answers a change of the writers, of who of them votes, or of who leads.
type VotersChange struct {
	Writer string `json:"writer"` // As the request called it; empty if it left that out.
	// Position is that of the change in the log; left out where only Raft's members changed.
	Position event.Position `json:"position,omitempty"`
	Token    string         `json:"token,omitempty"`
}

// Member is a node as the leader knows it.
type Member struct {
	Name     string         `json:"name"`
	Role     string         `json:"role"` // "writer" or "replica"
	Region   string         `json:"region,omitempty"`
	State    string         `json:"state"`
	Position event.Position `json:"position"`
	// Lag is how many positions the member is behind the head.
	Lag    event.Position `json:"lag"`
	Digest string         `json:"digest,omitempty"`
	// Life tells the processes of one replica apart where it has several, each of which
	// is a member of its own here.
	Life string `json:"life,omitempty"`
	// MayHoldMS is for how long a replica may still answer under a lease.
	MayHoldMS int64 `json:"may_hold_lease_ms,omitempty"`
	// HeardMS is how long ago the leader heard of a replica, or took over.
	HeardMS int64  `json:"heard_ms_ago,omitempty"`
	Detail  string `json:"detail,omitempty"`
	// Endpoint is the URL at which the node serves clients, if it says so.
	Endpoint string `json:"endpoint,omitempty"`
	// Certificates are those that the node uses, as it says itself.
	Certificates []Certificate `json:"certificates,omitempty"`
	// Build is the one that the node runs, as it says itself; left out of an older one, which does
	// not say it, and of a node that does not answer.
	Build *Build `json:"build,omitempty"`
	// Embedded tells of a replica that it is a part of somebody's process and serves no clients.
	Embedded bool `json:"embedded,omitempty"`
	// HoldsLevel is the feature level above which the node keeps the cluster from rising; 0: it does not.
	HoldsLevel uint32 `json:"holds_feature_level,omitempty"`
	// Backups are those that a writer makes by itself; left out where it makes none.
	Backups *Backups `json:"backups,omitempty"`
	// History is what a writer has of the history, as it says itself.
	History *StoredHistory `json:"history,omitempty"`
}

// Build is a build of Writ.
type Build struct {
	Version  string `json:"version"`            // Of the release; "(devel)" or a pseudo-version of one that is none.
	Revision string `json:"revision,omitempty"` // The commit of its sources, if it knows.
	Go       string `json:"go"`                 // The version of Go that made it.
	Level    uint32 `json:"feature_level"`      // The highest that it supports.
}

// String is a name for people: the version, or the commit of a build that has none.
func (b *Build) String() string {
	const shown = 12 // digits of a commit
	switch {
	case b == nil:
		return "unknown"
	case len(b.Revision) >= shown && (b.Version == "" || b.Version == "(devel)" || strings.HasPrefix(b.Version, "v0.0.0-")):
		return "devel-" + b.Revision[:shown]
	}
	return b.Version
}

// Backups are what a writer keeps by a schedule of its own.
type Backups struct {
	EveryS int64     `json:"every_s"`       // Seconds between two.
	Last   time.Time `json:"last,omitzero"` // When the newest good one was made; left out where there is none.
}
