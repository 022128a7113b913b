package upgrade

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/writ-iam/writ/node/client"
)

// Facts are what is checked.
type Facts struct {
	Cluster *client.Cluster
	// Own is the build that checks, which the nodes are to run.
	Own client.Build
	Now time.Time
	// Finished asks whether the upgrade is over, instead of whether a node may be stopped.
	Finished bool
}

// Finding is one thing that stands against going on, or is worth knowing.
type Finding struct {
	Kind string `json:"kind"`
	// Node is whom it is about; empty for the whole cluster.
	Node string `json:"node,omitempty"`
	// Wrong is false for what does not stand against going on.
	Wrong  bool   `json:"wrong"`
	Reason string `json:"reason"`
	// Next is what to do, with the command to run.
	Next string `json:"next"`
}

// Kinds of findings. Scripts rely on them.
const (
	NoLeader     = "no_leader"
	QuorumWeak   = "quorum_weak"
	OneWriter    = "one_writer"
	NotInOrder   = "not_in_order"
	Drained      = "drained"
	OneReplica   = "one_replica"
	BinaryOld    = "binary_too_old"
	BinaryNew    = "binary_too_new"
	NodeOld      = "node_too_old"
	NodeOlder    = "node_older"
	LevelHeld    = "level_held"
	LevelWaits   = "level_waits"
	Certificates = "certificate_ends"
	BackupOld    = "backup_old"
	BackupNone   = "backup_unknown"
)

// backupsLate is how many times the time between two backups the newest may be old.
const backupsLate = 2

// Find returns what stands against going on, and behind it what is worth knowing.
func Find(f *Facts) []Finding {
	if f.Cluster.Leader == "" {
		return []Finding{{NoLeader, "", true, "no leader is known, as " + f.Cluster.Node + " has it: nothing can be written", "`writ why`"}}
	}
	found := f.quorum()
	for i := range f.Cluster.Members {
		found = append(found, f.member(&f.Cluster.Members[i])...)
	}
	found = slices.Concat(found, f.replicas(), f.level(), f.backups())
	slices.SortStableFunc(found, func(a, b Finding) int {
		switch {
		case a.Wrong == b.Wrong:
			return 0
		case a.Wrong:
			return -1
		}
		return 1
	})
	return found
}

// Wrong tells whether anything stands against going on.
func Wrong(found []Finding) bool {
	return slices.ContainsFunc(found, func(f Finding) bool { return f.Wrong })
}

func (f *Facts) quorum() []Finding {
	switch q := f.Cluster.Quorum; {
	case q == nil:
		return nil
	case q.Planned == 0:
		return []Finding{{OneWriter, "", false, "there are too few writers to survive a failure: while one restarts, nothing can be written", "tell those who write, or add writers first: `writ writer add`"}}
	case q.Survives < q.Planned && (q.Survives < 1 || f.Finished):
		return []Finding{{QuorumWeak, "", true, fmt.Sprintf("the %d voters survive %d more failures, of %d that the cluster is laid out for", q.Voters, max(0, q.Survives), q.Planned), "`writ writer list` names who does not answer or does not vote; stop no other writer meanwhile"}}
	}
	return nil
}

// member is about one node, or one process of a replica.
func (f *Facts) member(m *client.Member) (found []Finding) {
	switch m.State {
	case "unreachable", "joining", "learning", "moving", "unlisted", "silent", "fenced", "quarantined":
		found = append(found, Finding{NotInOrder, m.Name, true, fmt.Sprintf("the %s is %s: %s", m.Role, m.State, cmp.Or(m.Detail, "`writ why` tells more")), "`writ why` says what to do; go on when it is in order"})
	case "draining":
		found = append(found, Finding{Drained, m.Name, false, "the replica drains: it serves nobody under a lease", "upgrade it first, then `writ replica resume " + m.Name + "`"})
	}
	for _, c := range m.Certificates {
		if c.State != client.CertificateGood {
			found = append(found, Finding{Certificates, m.Name, c.State != client.CertificateExpiring, fmt.Sprintf("its %s certificate is %s: it ends at %s", c.Which, c.State, c.NotAfter.UTC().Format(time.RFC3339)), "`writ cert list`, then `writ cert renew`: a node that is started with one that has ended does not come back"})
		}
	}
	return append(found, f.build(m)...)
}

// build is about what a node runs, beside the cluster's level and this build.
func (f *Facts) build(m *client.Member) []Finding {
	l := f.Cluster.FeatureLevel
	switch b := m.Build; {
	case m.State == "unreachable" || m.State == "removed" || l == nil:
	case b == nil:
		if slices.Contains(l.HeldBackBy, m.Name) || f.Finished {
			return []Finding{{NodeOlder, m.Name, f.Finished, "it does not say which build it runs: an older one", f.takeOver(m)}}
		}
	case b.Level < l.InForce:
		return []Finding{{NodeOld, m.Name, true, fmt.Sprintf("its build %v supports feature level %d, and level %d is in force: it is too old", b, b.Level, l.InForce), "install the build that the other nodes run"}}
	case b.Level < f.Own.Level || b.Level == f.Own.Level && b.Revision != f.Own.Revision:
		return []Finding{{NodeOlder, m.Name, f.Finished && b.Level < f.Own.Level, fmt.Sprintf("it runs %v, with feature level %d; this is %v, with %d", b, b.Level, &f.Own, f.Own.Level), f.takeOver(m)}}
	}
	return nil
}

// takeOver is how a node gets this build: replicas first, and the leader last.
func (f *Facts) takeOver(m *client.Member) string {
	switch others := f.older(m.Role); {
	case m.Role != "replica" && len(f.older("replica")) > 0:
		return "the replicas first"
	case m.State == "leading" && len(others) > 1:
		return "the other writers first"
	case m.Role == "replica":
		return "stop it, install this build, start it; go on when `writ upgrade check` is content"
	}
	return "stop it (it hands leadership over), install this build, start it; go on when `writ upgrade check` is content"
}

// older are the nodes of a role that run another build, or do not say which.
func (f *Facts) older(role string) (names []string) {
	for _, m := range f.Cluster.Members {
		if m.Role == role && m.State != "removed" && (m.Build == nil || *m.Build != f.Own && m.Build.Level <= f.Own.Level) && !slices.Contains(names, m.Name) {
			names = append(names, m.Name)
		}
	}
	return names
}

// replicas says when there is none to answer beside the one that is stopped.
func (f *Facts) replicas() []Finding {
	var leased []string
	for _, m := range f.Cluster.Members {
		if m.Role == "replica" && m.State == "leased" && !slices.Contains(leased, m.Name) {
			leased = append(leased, m.Name)
		}
	}
	if len(leased) == 1 && !f.Finished {
		return []Finding{{OneReplica, leased[0], false, "it is the only replica with a lease: while it restarts, writers alone answer", "have clients know the writers, too, or add a replica first: `writ node add replica`"}}
	}
	return nil
}

// level is about the feature level.
func (f *Facts) level() (found []Finding) {
	l := f.Cluster.FeatureLevel
	switch {
	case l == nil:
		return nil
	case f.Own.Level < l.InForce:
		found = append(found, Finding{BinaryOld, "", true, fmt.Sprintf("this build supports feature level %d, and level %d is in force: no node of it could read the log", f.Own.Level, l.InForce), "check with the build that is to be installed; there is no way back below the level in force but a backup"})
	case f.Own.Level > l.InForce+1:
		found = append(found, Finding{BinaryNew, "", true, fmt.Sprintf("this build supports feature level %d, and level %d is in force: nodes of two adjacent releases run together, and no others", f.Own.Level, l.InForce), fmt.Sprintf("upgrade to the release of feature level %d first", l.InForce+1)})
	}
	held := false
	for _, m := range f.Cluster.Members {
		if m.HoldsLevel > 0 && m.HoldsLevel < max(l.Supported, f.Own.Level) && m.HoldsLevel >= l.InForce {
			held = true
			found = append(found, Finding{LevelHeld, m.Name, f.Finished, fmt.Sprintf("it holds the feature level at %d: nodes can go back to the build before", m.HoldsLevel), "to let the level rise, start it without --hold-feature-level"})
		}
	}
	switch next := max(l.Supported, f.Own.Level); {
	case l.InForce >= next:
	case len(l.HeldBackBy) > 0 && !held:
		found = append(found, Finding{LevelWaits, "", f.Finished, fmt.Sprintf("the feature level is %d; it waits for %s", l.InForce, strings.Join(l.HeldBackBy, ", ")), "it rises by itself when all run a build that supports the next; whoever is gone for good: `writ replica remove NAME`, `writ writer remove NAME`"})
	case !held:
		found = append(found, Finding{LevelWaits, "", f.Finished, fmt.Sprintf("the feature level is %d, and the leader supports %d", l.InForce, l.Supported), "it rises by itself when all nodes run a build that supports the next; to keep the way back open, start a writer with --hold-feature-level " + fmt.Sprint(l.InForce)})
	}
	return found
}

// backups is about the newest that a writer made by itself.
func (f *Facts) backups() []Finding {
	if f.Finished {
		return nil
	}
	var last time.Time
	var every time.Duration
	for _, m := range f.Cluster.Members {
		if m.Backups != nil {
			every = max(every, time.Duration(m.Backups.EveryS)*time.Second)
			if m.Backups.Last.After(last) {
				last = m.Backups.Last
			}
		}
	}
	switch {
	case every == 0:
		return []Finding{{BackupNone, "", false, "no writer makes backups by itself: whether there is one is not known", "`writ backup` makes one, and `writ backup verify` checks it: the way back once the feature level has risen"}}
	case last.IsZero():
		return []Finding{{BackupOld, "", true, "no writer has made a backup", "`writ backup` makes one; the writers' logs say why their schedule made none"}}
	case f.Now.Sub(last) > backupsLate*every:
		return []Finding{{BackupOld, "", true, fmt.Sprintf("the newest backup is of %s, and one is to be made every %v", last.UTC().Format(time.RFC3339), every), "`writ backup` makes one; the writers' logs say why their schedule made none"}}
	}
	return nil
}
