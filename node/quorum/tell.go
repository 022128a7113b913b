package quorum

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/writ-iam/writ/log/identity"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/node/members"
	"github.com/writ-iam/writ/replication/propagation"
)

// Tell tells who leads, who lags, and where, of writers. The leader tells who votes, and of which
// feature level all are, beside the replicas that it is told of. What it asks of others may go on until ctx ends, for others who ask the same.
func (k *Keeper) Tell(ctx context.Context, replicas []propagation.ReplicaStatus) shape.Cluster {
	a := k.Log.Applied()
	c := a.State.Cluster()
	s := shape.Cluster{
		ID: c.ID, Partition: a.State.Partition().String(), Incarnation: c.Incarnation, Node: k.Me.Name, Term: k.Log.Term(),
		Position: a.Head.Position, Hash: fmt.Sprintf("%x", a.Head.Hash), Digest: a.State.Digest().String(), Floor: a.Floor,
	}
	_, leader := k.Log.Leader()
	shared := k.surveys.share(func() members.Survey { return k.survey(ctx) })
	for _, h := range shared.Told {
		m := shared.List.Writer(h, a.Head.Position, leader)
		if m.State == "leading" {
			s.Leader = m.Name
		}
		s.Members = append(s.Members, m)
	}
	if k.Node.Leads() {
		s.Quorum = shared.List.Quorum(len(k.writers()))
		s.FeatureLevel = members.FeatureLevel(c.FeatureLevel, identity.FeatureLevel, shared.Told, replicas)
	}
	return s
}

// Heard is what the writers say of themselves now. What it asks goes on as for Tell.
func (k *Keeper) Heard(ctx context.Context) []members.Heard {
	return k.surveys.share(func() members.Survey { return k.survey(ctx) }).Told
}

// Check is a line of /readyz: who votes, and what is wrong if the log has no leader, or nothing.
func (k *Keeper) Check() (detail string, err error) {
	list := k.members()
	detail = fmt.Sprintf("term %d, %d voters", k.Log.Term(), list.Votes())
	if list.Learns() {
		detail += fmt.Sprintf(" and %d learners", len(list)-list.Votes())
	}
	if q := k.found.Load(); q != nil {
		detail += fmt.Sprintf(", which survive %d more failures, of %d planned", q.Survives, q.Planned)
	}
	if _, leader := k.Log.Leader(); leader == "" {
		return detail, errors.New("no leader is known: a majority of the writers must be up and reach each other")
	} else if k.Log.Applied().Head.Position == 0 {
		return detail, errors.New("the cluster has not begun")
	} else if !slices.ContainsFunc(list, func(s members.Server) bool { return s.ID == k.Log.ID() && s.Votes }) {
		return detail, errors.New("this writer has no vote: it gets one when it has joined and caught up")
	}
	return detail, nil
}

// Observe shows who votes, as Raft has it; and at the leader what that survives.
func (k *Keeper) Observe(r *prometheus.Registry) {
	gauge := func(name, help string, value func() float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	gauge("writ_raft_voters", "Voters in the log, as this writer knows them.", func() float64 { return float64(k.members().Votes()) })
	gauge("writ_raft_learners", "Members of the log that follow without a vote, as this writer knows them.", func() float64 {
		list := k.members()
		return float64(len(list) - list.Votes())
	})
	gauge("writ_raft_failures_survived", "How many more voters may fail until nothing can be written, found by the leader every 5 s; NaN at others.", func() float64 {
		if q := k.found.Load(); q != nil {
			return float64(q.Survives)
		}
		return math.NaN()
	})
	gauge("writ_raft_failures_planned", "How many failures the writers of the cluster would survive.", func() float64 {
		return float64(members.Planned(len(k.writers())))
	})
}
