package measure

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/writ-iam/writ/node/members"
	"github.com/writ-iam/writ/projection"
	"github.com/writ-iam/writ/replication/propagation"
)

// Leader is a writer that may lead.
type Leader interface {
	// Replicas tells about all replicas; nothing while the writer does not lead.
	Replicas() []propagation.ReplicaStatus
	// Embedded tells whether one of them said that it is a part of somebody's process.
	Embedded(*propagation.ReplicaStatus) bool
}

// replicas shows how the replicas fare, at the leader. There are as many values of the label
// as the roster has places.
type replicas struct {
	leader     Leader
	projection *projection.Projection

	states, state, position, lag, lease, heard, embedded *prometheus.Desc
}

// states are the states of a replica, of which each is counted, also where none is in it.
var states = []string{"leased", "fenced", "silent", "quarantined", "draining", "removed"}

// Replicas shows how the replicas fare, while a writer leads.
func Replicas(r *prometheus.Registry, leader Leader, p *projection.Projection) {
	one := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prefix+name, help, labels, nil)
	}
	r.MustRegister(&replicas{
		leader: leader, projection: p,
		states:   one("replicas", "Replicas by state, at the leader.", "state"),
		state:    one("replica_state", "1 for the state that a replica is in, at the leader.", "replica", "state"),
		position: one("replica_position", "Position that a replica has acknowledged, at the leader.", "replica"),
		lag:      one("replica_lag_positions", "How many positions a replica is behind the head, at the leader.", "replica"),
		lease:    one("replica_lease_seconds", "For how many seconds a replica may still answer under a lease, at the leader; 0: it holds none.", "replica"),
		heard:    one("replica_heard_seconds", "How many seconds ago the leader heard of a replica, or took over.", "replica"),
		embedded: one("replica_embedded", "1 for a replica that is a part of somebody's process and serves no clients, at the leader.", "replica"),
	})
}

// Describe names what is shown.
func (c *replicas) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.states, c.state, c.position, c.lag, c.lease, c.heard, c.embedded} {
		to <- d
	}
}

// Collect shows it. Of a name with several lives the one that is worst off counts: the one
// that acknowledged least of those that may answer.
func (c *replicas) Collect(to chan<- prometheus.Metric) {
	all := c.leader.Replicas()
	if all == nil {
		return
	}
	head := c.projection.Head().Position
	show := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counts := make(map[string]int)
	for i := 0; i < len(all); {
		end := i + 1
		for end < len(all) && all[end].Name == all[i].Name {
			end++
		}
		worst := slices.MinFunc(all[i:end], func(a, b propagation.ReplicaStatus) int { return rank(&a) - rank(&b) })
		m := members.Replica(worst, head)
		counts[m.State]++
		show(c.state, 1, m.Name, m.State)
		show(c.position, float64(m.Position), m.Name)
		show(c.lag, float64(m.Lag), m.Name)
		show(c.lease, worst.MayHold.Seconds(), m.Name)
		show(c.heard, worst.Heard.Seconds(), m.Name)
		show(c.embedded, flag(c.leader.Embedded(&worst)), m.Name)
		i = end
	}
	for _, state := range states {
		show(c.states, float64(counts[state]), state)
	}
}

// rank puts first, of the lives of one name, whom an operator has to hear of: one that is
// quarantined, then those that serve, then those that are gone.
func rank(r *propagation.ReplicaStatus) int {
	switch {
	case r.Fault != "":
		return 0
	case r.MayHold > 0 && r.Connected:
		return 1
	case r.Connected:
		return 2
	}
	return 3
}
