package why

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/writ-iam/writ/node/api/shape"
)

// healthy is a cluster in which nothing is wrong, at position 100.
func healthy() *Facts {
	return &Facts{
		Cluster: &shape.Cluster{
			Node: "w1", Leader: "w1", Position: 100, Quorum: &shape.Quorum{Voters: 3, Survives: 1, Planned: 1}, FeatureLevel: &shape.FeatureLevel{InForce: 2, Supported: 2},
			Members: []shape.Member{
				{Name: "w1", Role: "writer", State: "leading", Position: 100}, {Name: "w2", Role: "writer", State: "voting", Position: 100},
				{Name: "w3", Role: "writer", State: "voting", Position: 98, Lag: 2, Endpoint: "http://w3"},
				{Name: "r1", Role: "replica", State: "leased", Position: 100, MayHoldMS: 9000, Endpoint: "http://r1"}, {Name: "r2", Role: "replica", State: "leased", Position: 100, MayHoldMS: 9000},
			},
		},
		Position: 100, Waited: 2 * time.Second, Propagation: &shape.Propagation{Position: 100, State: "everywhere", VisibleOn: []string{"r1", "r2"}},
		Known: map[string]string{"r1": "http://r1", "r2": "http://r2"}, Now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
	}
}

func (f *Facts) pend(names ...string) {
	ms := int64(7000)
	f.Propagation = &shape.Propagation{Position: 100, State: "partial", Pending: names, WorstCaseMS: &ms}
}

// cases are all reasons, with whom they name, what they say and which command is next.
var cases = []struct {
	name   string
	change func(*Facts, *shape.Cluster, []shape.Member)
	kinds  string // of the findings, in order; those that are not wrong in parentheses
	node   string // of the first
	says   string // in its reason
	next   string // in its next step
}{
	{"nothing is wrong", func(*Facts, *shape.Cluster, []shape.Member) {}, "", "", "", ""},
	{"no leader", func(f *Facts, c *shape.Cluster, _ []shape.Member) {
		c.Leader, c.Quorum, f.Propagation, f.Known["r3"] = "", nil, nil, "http://r3"
	},
		"no_leader", "", "as w1 has it", "`writ health`"},
	{"no quorum", func(_ *Facts, c *shape.Cluster, _ []shape.Member) { c.Quorum.Survives = -1 }, "no_quorum", "", "too few of the 3 voters", "`writ writer list`"},
	{"quorum at its limit, for want of a writer", func(_ *Facts, c *shape.Cluster, m []shape.Member) { c.Quorum.Survives, m[2].State = 0, "unreachable" },
		"quorum_weak writer_unreachable", "", "survive 0 more failures, of 1", "`writ writer list`"},
	{"a writer is silent", func(_ *Facts, _ *shape.Cluster, m []shape.Member) { m[2].State = "unreachable" }, "writer_unreachable", "w3", "does not answer", "`writ health --endpoint http://w3`"},
	{"a writer joins", func(_ *Facts, _ *shape.Cluster, m []shape.Member) { m[2].State = "joining" }, "writer_joining", "w3", "no member of the log", "joins by itself"},
	{"a writer learns", func(_ *Facts, _ *shape.Cluster, m []shape.Member) { m[2].State = "learning" }, "writer_learning", "w3", "without a vote", "`writ writer list`"},
	{"a writer moves", func(_ *Facts, _ *shape.Cluster, m []shape.Member) { m[2].Name, m[2].State = "h:1", "moving" }, "writer_moving", "h:1", "an address that it left", "`writ writer list`"},
	{"a member is unlisted", func(_ *Facts, _ *shape.Cluster, m []shape.Member) { m[2].Name, m[2].State = "h:1", "unlisted" }, "writer_unlisted", "h:1", "cluster.yaml does not have", "`writ writer remove h:1`"},
	{"a writer lags", func(_ *Facts, _ *shape.Cluster, m []shape.Member) { m[2].Lag = 5000 }, "writer_lagging", "w3", "5000 positions behind", "`writ health"},
	{"a replica is quarantined", func(_ *Facts, _ *shape.Cluster, m []shape.Member) {
		m[3].State, m[3].Detail = "quarantined", "it DIVERGED at 90"
	},
		"replica_quarantined", "r1", "it DIVERGED at 90", "`writ verify`"},
	{"a replica is silent, and may still answer", func(f *Facts, _ *shape.Cluster, m []shape.Member) {
		m[3].State, m[3].MayHoldMS, m[3].HeardMS = "silent", 7000, 6000
		f.pend("r1")
	},
		"held_up replica_silent", "r1", "position 100 is not everywhere after 2s: this replica may still answer as fresh from before it, for at most 7s more", "`writ replica remove r1`"},
	{"a replica is silent, and fenced off", func(_ *Facts, _ *shape.Cluster, m []shape.Member) {
		m[3].State, m[3].MayHoldMS, m[3].HeardMS = "silent", 0, 34_000
	},
		"replica_silent", "r1", "has not heard of the replica for 34s, and holds no lease", "`writ health --endpoint http://r1`"},
	{"a silent replica's lease runs out", func(_ *Facts, _ *shape.Cluster, m []shape.Member) { m[3].State, m[3].MayHoldMS = "silent", 7000 },
		"replica_silent", "r1", "its lease runs out in 7s, at 12:00:07Z", "start it"},
	{"a leader took over a moment ago", func(_ *Facts, _ *shape.Cluster, m []shape.Member) { m[3].State, m[3].HeardMS = "silent", 100 },
		"(replica_silent)", "r1", "for 100ms", "start it"},
	{"a replica stopped a moment ago", func(_ *Facts, _ *shape.Cluster, m []shape.Member) { m[3].MayHoldMS, m[3].HeardMS = 4000, 6000 },
		"replica_silent", "r1", "for 6s, and its lease runs out in 4s", "start it"},
	{"a replica stopped, and its lease ran out", func(_ *Facts, _ *shape.Cluster, m []shape.Member) {
		m[3].State, m[3].MayHoldMS, m[3].HeardMS = "fenced", 0, 60_000
	},
		"replica_silent", "r1", "for 1m0s, and holds no lease", "start it"},
	{"a replica was not seen by this leader", func(_ *Facts, _ *shape.Cluster, m []shape.Member) { m[3].State, m[3].MayHoldMS = "silent", 0 },
		"replica_silent", "r1", "since it leads, and holds no lease", "start it"},
	{"a process of a replica is silent, and another serves", func(_ *Facts, c *shape.Cluster, m []shape.Member) {
		gone := m[3]
		gone.State, gone.Life, m[3].Life = "silent", "abc", "def"
		c.Members = append(c.Members, gone)
	}, "", "", "", ""},
	{"a replica is fenced", func(_ *Facts, _ *shape.Cluster, m []shape.Member) {
		m[3].State, m[3].MayHoldMS, m[3].Position, m[3].Lag = "fenced", 0, 60, 40
	},
		"replica_fenced", "r1", "at position 60, 40 behind", "`writ health --endpoint http://r1`"},
	{"a replica says that it is where a shell would run something", func(_ *Facts, _ *shape.Cluster, m []shape.Member) {
		m[3].State, m[3].Endpoint = "fenced", "http://h/$(id)"
	},
		"replica_fenced", "r1", "gets no lease", "`writ health --endpoint URL`"},
	{"a replica's reason has what a terminal acts on", func(_ *Facts, _ *shape.Cluster, m []shape.Member) {
		m[3].State, m[3].Detail = "quarantined", "\x1b[2Jgone\n"
	},
		"replica_quarantined", "r1", "nothing:  [2Jgone ", "`writ verify`"},
	{"a replica lags", func(_ *Facts, _ *shape.Cluster, m []shape.Member) { m[3].Position, m[3].Lag = 60, 40 },
		"replica_lagging", "r1", "40 behind the head: it has not reached position 100, which was the head 2s ago", "`writ health --endpoint http://r1`"},
	{"a replica has come as far as was asked", func(_ *Facts, c *shape.Cluster, m []shape.Member) { c.Position, m[3].Lag = 140, 40 }, "", "", "", ""},
	{"a replica drains", func(_ *Facts, _ *shape.Cluster, m []shape.Member) { m[3].State, m[3].MayHoldMS = "draining", 0 }, "(replica_draining)", "r1", "drains by command, and holds no lease", "`writ replica resume r1`"},
	{"a replica drains and is waited for", func(f *Facts, _ *shape.Cluster, m []shape.Member) { m[3].State = "draining"; f.pend("r1") }, "held_up replica_draining", "r1", "position 100", "`writ replica resume r1`"},
	{"a removed replica is waited for", func(f *Facts, _ *shape.Cluster, m []shape.Member) { m[3].State = "removed"; f.pend("r1") }, "held_up replica_removed", "r1", "position 100", "`writ replica admit r1`"},
	{"a removed replica", func(_ *Facts, _ *shape.Cluster, m []shape.Member) { m[3].State, m[3].MayHoldMS = "removed", 0 }, "(replica_removed)", "r1", "was removed by command, and holds no lease", "wait"},
	{"a replica is not in the roster", func(f *Facts, _ *shape.Cluster, _ []shape.Member) { f.Known["r3"] = "http://r3" }, "replica_not_in_roster", "r3", "at http://r3, and the roster does not", "`writ replica admit r3`"},
	{"one replica holds a position up, and nothing else is known", func(f *Facts, _ *shape.Cluster, _ []shape.Member) { f.pend("r2") }, "held_up", "r2", "position 100", "`writ replica drain r2`"},
	{"an earlier leader's leases hold a position up", func(f *Facts, _ *shape.Cluster, _ []shape.Member) { f.pend() }, "held_up", "", "an earlier leader may have granted, for at most 7s more", "`writ why`"},
	{"the feature level is held back", func(_ *Facts, c *shape.Cluster, _ []shape.Member) {
		c.FeatureLevel = &shape.FeatureLevel{InForce: 1, Supported: 2, HeldBackBy: []string{"w2", "r1"}}
	},
		"(feature_level_held_back)", "w2, r1", "stays at feature level 1, of 2", "upgrade"},
	{"the feature level rises", func(_ *Facts, c *shape.Cluster, _ []shape.Member) {
		c.FeatureLevel = &shape.FeatureLevel{InForce: 1, Supported: 2}
	}, "(feature_level_held_back)", "", "in a moment", "`writ why`"},
	{"a node of an earlier build tells less", func(_ *Facts, c *shape.Cluster, _ []shape.Member) { c.FeatureLevel, c.Quorum = nil, nil }, "", "", "", ""},
}

func TestFind(t *testing.T) {
	kinds := make(map[string]bool)
	for _, x := range cases {
		f := healthy()
		x.change(f, f.Cluster, f.Cluster.Members)
		found := Find(f)
		var told []string
		wrong := false
		for _, one := range found {
			kinds[one.Kind] = true
			wrong = wrong || one.Wrong
			if one.Next == "" || one.Reason == "" {
				t.Errorf("%s: %+v says too little", x.name, one)
			}
			if text := one.Kind; one.Wrong {
				told = append(told, text)
			} else {
				told = append(told, "("+text+")")
			}
		}
		if got := strings.Join(told, " "); got != x.kinds || wrong != Wrong(found) {
			t.Errorf("%s: found %q, want %q", x.name, got, x.kinds)
			continue
		}
		if len(found) > 0 && (found[0].Node != x.node || !strings.Contains(found[0].Reason, x.says) || !strings.Contains(found[0].Next, x.next)) {
			t.Errorf("%s: %+v", x.name, found[0])
		}
	}
	for _, kind := range []string{NoLeader, NoQuorum, QuorumWeak, WriterSilent, WriterJoining, WriterLearning, WriterMoving, WriterUnlisted, WriterLagging,
		Quarantined, Silent, Fenced, Lagging, Draining, Removed, NotInRoster, HeldUp, LevelHeldBack} {
		if !kinds[kind] {
			t.Errorf("no case has %s", kind)
		}
	}
	if slices.ContainsFunc(ranks, func(kind string) bool { return !kinds[kind] }) {
		t.Error("a rank is of no kind")
	}
}
