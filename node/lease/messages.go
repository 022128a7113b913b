package lease

import (
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/setup"
	"github.com/writ-iam/writ/replication/propagation"
)

// Paths that a leader answers for replicas.
const (
	// Path takes a Renewal, and is answered with a propagation.Answer.
	Path = "/peer/lease"
	// HeadPath takes a propagation.Read, and is answered with a propagation.Answer.
	HeadPath = "/peer/head"
	// RegisterPath takes a Registration.
	RegisterPath = "/peer/register"
)

// Renewal is a renewal on its way to the leader, with what is not of the protocol.
type Renewal struct {
	propagation.Renewal
	Told
}

// Told is what a replica tells of itself beside the protocol.
type Told struct {
	Endpoint     string              `json:"endpoint,omitempty"`     // where clients reach it
	Certificates []shape.Certificate `json:"certificates,omitempty"` // that it uses
	// SealKeys are the ids of its keys that seal secrets, which are none where it has no keys; nil
	// from a build that does not say it.
	SealKeys []string `json:"seal_keys"`
	// Build is the one that it runs; nil from a build that does not say it.
	Build *shape.Build `json:"build,omitempty"`
	// Embedded is true where it is a part of somebody's process; a build that knows none does not
	// say it.
	Embedded bool `json:"embedded,omitempty"`
}

// Registration asks the leader to enter a replica into the roster.
type Registration struct {
	setup.Replica
	// Attempt is the same for all tries of one registration: they enter the replica once
	// at most. One that was delayed undoes no removal: the name is barred then.
	Attempt string `json:"attempt"`
}
