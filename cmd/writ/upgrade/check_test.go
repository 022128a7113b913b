package upgrade

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/writ-iam/writ/node/client"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// inOrder is a cluster at level 1 that nodes of level 1 run, in order, with a backup.
func inOrder() *Facts {
	old := &client.Build{Version: "v1.0.0", Revision: "a", Level: 1}
	writer := func(name, state string) client.Member {
		return client.Member{Name: name, Role: "writer", State: state, Build: old}
	}
	s := &client.Cluster{
		Node: "w1", Leader: "w1", Quorum: &client.Quorum{Voters: 3, Survives: 1, Planned: 1}, FeatureLevel: &client.FeatureLevel{InForce: 1, Supported: 1},
		Members: []client.Member{
			writer("w1", "leading"), writer("w2", "voting"), writer("w3", "voting"),
			{Name: "r1", Role: "replica", State: "leased", Build: old}, {Name: "r2", Role: "replica", State: "leased", Build: old},
		},
	}
	s.Members[0].Backups = &client.Backups{EveryS: 3600, Last: now.Add(-time.Hour)}
	return &Facts{Cluster: s, Own: client.Build{Version: "v1.1.0", Revision: "b", Level: 2}, Now: now}
}

// upgraded is a cluster that is at this build's level.
func upgraded() *Facts {
	f := inOrder()
	f.Cluster.FeatureLevel = &client.FeatureLevel{InForce: 2, Supported: 2}
	for i := range f.Cluster.Members {
		f.Cluster.Members[i].Build = &client.Build{Version: "v1.1.0", Revision: "b", Level: 2}
	}
	return f
}

// TestFind holds what stands against stopping a node, and what is told of it.
func TestFind(t *testing.T) {
	member := func(i int, change func(*client.Member)) func(*Facts) {
		return func(f *Facts) { change(&f.Cluster.Members[i]) }
	}
	for name, c := range map[string]struct {
		change func(*Facts)
		wrong  string // KIND NODE; empty: nothing is
	}{
		"in order":         {func(*Facts) {}, ""},
		"no leader":        {func(f *Facts) { f.Cluster.Leader = "" }, "no_leader "},
		"weak":             {func(f *Facts) { f.Cluster.Quorum.Survives = 0 }, "quorum_weak "},
		"one of five down": {func(f *Facts) { *f.Cluster.Quorum = client.Quorum{Voters: 5, Survives: 1, Planned: 2} }, ""},
		"one writer":       {func(f *Facts) { *f.Cluster.Quorum = client.Quorum{Voters: 1} }, ""},
		"unreachable":      {member(1, func(m *client.Member) { m.State, m.Build = "unreachable", nil }), "not_in_order w2"},
		"fenced":           {member(3, func(m *client.Member) { m.State = "fenced" }), "not_in_order r1"},
		"drained":          {member(3, func(m *client.Member) { m.State = "draining" }), ""},
		"too old":          {func(f *Facts) { f.Cluster.FeatureLevel = &client.FeatureLevel{InForce: 2, Supported: 2} }, "node_too_old w1"},
		"says no build":    {member(3, func(m *client.Member) { m.Build = nil }), ""},
		"a certificate": {member(2, func(m *client.Member) {
			m.Certificates = []client.Certificate{{Which: "node", State: "urgent", NotAfter: now}}
		}), "certificate_ends w3"},
		"a certificate later": {member(2, func(m *client.Member) {
			m.Certificates = []client.Certificate{{Which: "node", State: "expiring", NotAfter: now}}
		}), ""},
		"a late backup":    {member(0, func(m *client.Member) { m.Backups.Last = now.Add(-2*time.Hour - time.Second) }), "backup_old "},
		"no backup made":   {member(0, func(m *client.Member) { m.Backups.Last = time.Time{} }), "backup_old "},
		"no schedule":      {member(0, func(m *client.Member) { m.Backups = nil }), ""},
		"binary too old":   {func(f *Facts) { *f = *upgraded(); f.Own.Level = 1 }, "binary_too_old "},
		"binary far ahead": {func(f *Facts) { f.Own.Level = 3 }, "binary_too_new "},
		"over":             {func(f *Facts) { *f = *upgraded(); f.Finished = true }, ""},
		"not over: older":  {func(f *Facts) { f.Finished = true }, "node_older w1"},
		"not over: unsaid": {func(f *Facts) { *f = *upgraded(); f.Finished = true; f.Cluster.Members[4].Build = nil }, "node_older r2"},
		"not over: rises":  {func(f *Facts) { *f = *upgraded(); f.Finished = true; f.Cluster.FeatureLevel.InForce = 1 }, "level_waits "},
		"not over: held":   {func(f *Facts) { *f = *held(); f.Finished = true }, "level_held w2"},
		"held":             {func(f *Facts) { *f = *held() }, ""},
	} {
		f := inOrder()
		c.change(f)
		found := Find(f)
		got := ""
		if len(found) > 0 && found[0].Wrong {
			got = found[0].Kind + " " + found[0].Node
		}
		if got != c.wrong || Wrong(found) != (c.wrong != "") {
			t.Errorf("%s: %q is wrong, not %q: %+v", name, got, c.wrong, found)
		}
		for _, one := range found {
			if one.Reason == "" || one.Next == "" {
				t.Errorf("%s: %+v says not why, or not what to do", name, one)
			}
		}
	}
}

// held is a cluster whose nodes run this build, and where one holds the level.
func held() *Facts {
	f := upgraded()
	f.Cluster.FeatureLevel = &client.FeatureLevel{InForce: 1, Supported: 2, HeldBackBy: []string{"w2"}}
	f.Cluster.Members[1].HoldsLevel = 1
	return f
}

// TestOrder holds that replicas go first, and the leader last.
func TestOrder(t *testing.T) {
	f := inOrder()
	next := func() (told []string) {
		for _, one := range Find(f) {
			if one.Kind == NodeOlder {
				first, _, _ := strings.Cut(one.Next, ",")
				told = append(told, one.Node+" "+first)
			}
		}
		return told
	}
	stop, handOver := "stop it", "stop it (it hands leadership over)"
	for _, c := range []struct {
		upgrade []int
		want    []string
	}{
		{nil, []string{"w1 the replicas first", "w2 the replicas first", "w3 the replicas first", "r1 " + stop, "r2 " + stop}},
		{[]int{3, 4}, []string{"w1 the other writers first", "w2 " + handOver, "w3 " + handOver}},
		{[]int{1, 2}, []string{"w1 " + handOver}},
		{[]int{0}, nil},
	} {
		for _, i := range c.upgrade {
			f.Cluster.Members[i].Build = &f.Own
		}
		if got := next(); !slices.Equal(got, c.want) {
			t.Errorf("after %v: %q, not %q", c.upgrade, got, c.want)
		}
	}
}

// TestLevel holds what writ status says of the level.
func TestLevel(t *testing.T) {
	for want, f := range map[string]*Facts{
		"feature level 2\n\n": upgraded(),
		"feature level 1 of 2 that the leader supports, until w2 support it; w2 holds it at 1\n\n": held(),
	} {
		var b strings.Builder
		if err := Level(&b, f.Cluster); err != nil || b.String() != want {
			t.Errorf("%q, not %q", b.String(), want)
		}
	}
}
