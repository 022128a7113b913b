package measure

import (
	"math"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/replication"
	"github.com/writ-iam/writ/replication/propagation"
)

// Holder is a replica that holds a lease, or not.
type Holder interface {
	// Snapshot is what it knows of its freshness.
	Snapshot() *propagation.Snapshot
}

// Follower is a replica that follows the log.
type Follower interface {
	// Status is how it fares.
	Status() replication.Status
}

// Replica shows how a replica fares, by its own word.
func Replica(r *prometheus.Registry, h Holder, f Follower, clocks func() propagation.Clocks, p *projection.Projection) {
	gauge(r, "lease_remaining_seconds", "For how many seconds this replica may still answer under its lease; 0: it holds none.", func() float64 {
		return h.Snapshot().Remaining(clocks()).Seconds()
	})
	gauge(r, "staleness_bound_seconds", "How many seconds old what this replica shows may be at most; NaN: nobody knows.", func() float64 {
		if bound, ok := h.Snapshot().StalenessBound(clocks(), p.Head().Position); ok {
			return bound.Seconds()
		}
		return math.NaN()
	})
	gauge(r, "lag_positions", "How many positions this replica is behind the highest head that it heard of.", func() float64 {
		at := p.Head().Position
		return float64(max(h.Snapshot().Head(), at) - at)
	})
	gauge(r, "digest_alarm", "1 at a node whose memory or history is not what the log says.", func() float64 {
		return flag(h.Snapshot().Quarantined() != "" || p.Err() != nil)
	})
	gauge(r, "follower_streaming", "1 at a replica that follows the stream of NATS, 0 at one that does so over HTTP or has no state yet.", func() float64 {
		return flag(f.Status().Mode == replication.Streaming)
	})
	gauge(r, "follower_checkpoint_position", "Position of this replica's newest checkpoint on its disk.", func() float64 { return float64(f.Status().Checkpoint) })
	counter(r, "follower_bootstraps_total", "Snapshots that this replica took from writers.", func() float64 { return float64(f.Status().Bootstraps) })
	counter(r, "follower_refused_total", "Feeds that this replica left because a batch did not belong.", func() float64 { return float64(f.Status().Refused) })
	counter(r, "follower_unproved_total", "Feeds that this replica left because no proof of a batch came in time.", func() float64 { return float64(f.Status().Unproved) })
}

// Link is a connection to NATS.
type Link interface {
	// Connected says whether there is one at the moment.
	Connected() bool
}

// NATS shows whether a node is connected to NATS.
func NATS(r *prometheus.Registry, l Link) {
	gauge(r, "nats_connected", "1 at a node that is connected to NATS, 0 at one that is not; nodes that have none leave it out.", func() float64 { return flag(l.Connected()) })
}
