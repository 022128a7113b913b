package node

import (
	"github.com/writ-iam/writ/node/freshness"
	"github.com/writ-iam/writ/node/thumbprint"
)

// WithoutLease is what a node admits while nothing proves that it is current.
type WithoutLease = freshness.WithoutLease

// What a node may admit without a lease.
const (
	AdmitNothing   = freshness.AdmitNothing
	AdmitQuestions = freshness.AdmitQuestions
	AdmitReads     = freshness.AdmitReads
)

// ThumbprintReach is where a node fetches the thumbprints of OpenID Connect providers from.
type ThumbprintReach = thumbprint.Reach
