// Package why is why a change is not everywhere, or takes long: a table of reasons, each with who
// it is about and what to do next. Pure.
package why

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/writ-iam/writ/node/api/shape"
)

// Facts are what a cluster said of itself.
type Facts struct {
	// Cluster is how it is now.
	Cluster *shape.Cluster
	// Position is the head that was asked about, Waited before Cluster was asked.
	Position uint64
	Waited   time.Duration
	// Propagation is how far Position has come; nil: nobody could say.
	Propagation *shape.Propagation
	// Known are nodes that the caller knows of, by name: their URLs.
	Known map[string]string
	// Now is when Cluster was told.
	Now time.Time
}

// Finding is one thing that is wrong, or worth knowing.
type Finding struct {
	Kind string `json:"kind"`
	// Node is whom it is about: a name, or an address; empty for the whole cluster.
	Node string `json:"node,omitempty"`
	// Wrong is false for what somebody wanted so, such as a replica that drains.
	Wrong  bool   `json:"wrong"`
	Reason string `json:"reason"`
	// Next is what to do, with the command to run.
	Next string `json:"next"`
}

// Kinds of findings. Scripts rely on them.
const (
	NoLeader       = "no_leader"
	NoQuorum       = "no_quorum"
	QuorumWeak     = "quorum_weak"
	WriterSilent   = "writer_unreachable"
	WriterJoining  = "writer_joining"
	WriterLearning = "writer_learning"
	WriterMoving   = "writer_moving"
	WriterUnlisted = "writer_unlisted"
	WriterLagging  = "writer_lagging"
	Quarantined    = "replica_quarantined"
	Silent         = "replica_silent"
	Fenced         = "replica_fenced"
	Lagging        = "replica_lagging"
	Draining       = "replica_draining"
	Removed        = "replica_removed"
	NotInRoster    = "replica_not_in_roster"
	HeldUp         = "held_up"
	LevelHeldBack  = "feature_level_held_back"
)

// writersBehind is how many positions a writer may be behind: it hears of commits a moment later.
const writersBehind = 1000

// quietAfter is how long a replica may be unheard of: at least two of its renewals.
const quietAfter = 5 * time.Second

// Find returns what is wrong, the worst first, and what is worth knowing behind it.
func Find(f *Facts) (found []Finding) {
	found = append(found, f.quorum()...)
	for i := range f.Cluster.Members {
		if m := &f.Cluster.Members[i]; m.Role == "replica" {
			found = append(found, f.replica(m)...)
		} else {
			found = append(found, f.writer(m)...)
		}
	}
	found = append(found, f.strangers()...)
	found = append(found, f.heldUp(found)...)
	found = append(found, f.level()...)
	slices.SortStableFunc(found, func(a, b Finding) int { return order(a) - order(b) })
	return found
}

// ranks has the worst first. Kinds that are not in it come behind those that are.
var ranks = []string{NoLeader, NoQuorum, Quarantined, HeldUp, QuorumWeak, Silent, Fenced, Lagging, NotInRoster, WriterSilent, WriterUnlisted}

func order(f Finding) int {
	at := slices.Index(ranks, f.Kind)
	if at < 0 {
		at = len(ranks)
	}
	if !f.Wrong {
		at += 2 * len(ranks)
	}
	return at
}

// Wrong tells whether anything is.
func Wrong(found []Finding) bool {
	return slices.ContainsFunc(found, func(f Finding) bool { return f.Wrong })
}

// quorum is about who votes.
func (f *Facts) quorum() []Finding {
	c := f.Cluster
	if c.Leader == "" {
		return []Finding{{NoLeader, "", true, "no leader is known, as " + c.Node + " has it: nothing can be written, and nothing is proved to be everywhere",
			"`writ health` at each writer; start those that are down: a majority must be up and reach each other"}}
	}
	q := c.Quorum
	switch {
	case q == nil || q.Survives >= q.Planned:
		return nil
	case q.Survives < 0:
		return []Finding{{NoQuorum, "", true, fmt.Sprintf("too few of the %d voters answer: nothing can be written", q.Voters),
			"`writ writer list` names those that do not answer; start them"}}
	}
	return []Finding{{QuorumWeak, "", true, fmt.Sprintf("the %d voters survive %d more failures, of %d that the cluster is laid out for", q.Voters, q.Survives, q.Planned),
		"`writ writer list` names who does not answer, does not vote or is unlisted; stop no other writer meanwhile"}}
}

// writer is about one writer, or a member of the log that is none.
func (f *Facts) writer(m *shape.Member) []Finding {
	one := func(kind, reason, next string) []Finding { return []Finding{{kind, m.Name, true, reason, next}} }
	switch m.State {
	case "unreachable":
		return one(WriterSilent, "the writer does not answer the leader", "start it, or let it and the leader reach each other; "+f.health(m))
	case "joining":
		return one(WriterJoining, "the writer runs and is no member of the log yet", "it joins by itself; if that lasts, its log says why; "+f.health(m))
	case "learning":
		return one(WriterLearning, fmt.Sprintf("the writer follows without a vote, %d positions behind", m.Lag), "it gets a vote when it has caught up: `writ writer list`")
	case "moving":
		return one(WriterMoving, "the log has a writer at an address that it left", "start the writer where cluster.yaml has it; `writ writer list` shows when it has joined there")
	case "unlisted":
		return one(WriterUnlisted, "the log has a member that cluster.yaml does not have, and counts it", "`writ writer remove "+m.Name+"`, if it is gone for good")
	}
	if m.Lag > writersBehind {
		return one(WriterLagging, fmt.Sprintf("the writer is %d positions behind", m.Lag), f.health(m))
	}
	return nil
}

// replica is about one replica, or one process of it.
func (f *Facts) replica(m *shape.Member) []Finding {
	one := func(kind string, wrong bool, reason, next string) []Finding {
		return []Finding{{kind, m.Name, wrong, reason, next}}
	}
	hold, state := f.hold(m), m.State
	if (state == "leased" || state == "fenced") && time.Duration(m.HeardMS)*time.Millisecond > quietAfter {
		state = "silent" // its lease, or what is left of it, is all that the leader knows
	}
	switch state {
	case "quarantined":
		return one(Quarantined, true, "the replica is quarantined and answers nothing: "+orElse(plain(m.Detail), "it does not say why"),
			"start it again; if it says FORK, keep its directory as evidence and start it with an empty one; then `writ verify`")
	case "silent":
		if m.Life != "" && f.serves(m.Name) {
			return nil // another process of the name serves
		}
		heard := time.Duration(m.HeardMS) * time.Millisecond
		fresh := m.MayHoldMS > 0 && heard > 0 && heard <= quietAfter // a leader that took over has heard of nobody yet
		return one(Silent, !fresh, "the leader has not heard of the replica "+ago(m.HeardMS)+", "+hold,
			"start it, or let it reach the writers: "+f.health(m)+"; if it is gone for good, `writ replica remove "+m.Name+"`")
	case "fenced":
		return one(Fenced, true, fmt.Sprintf("the replica asks, and gets no lease: it is at position %d, %d behind the head", m.Position, m.Lag),
			f.health(m)+" says what keeps it from catching up: its processor, its disk, its way to the writers")
	case "draining":
		return one(Draining, m.MayHoldMS > 0 && f.pending(m.Name), "the replica drains by command, "+hold, "`writ replica resume "+m.Name+"` ends that, `writ replica remove "+m.Name+"` takes it off")
	case "removed":
		return one(Removed, f.pending(m.Name), "the replica was removed by command, "+hold, "wait; `writ replica admit "+m.Name+"` lets it in again")
	}
	if uint64(m.Position) < f.Position && f.Waited > 0 {
		return one(Lagging, true, fmt.Sprintf("the replica is at position %d, %d behind the head: it has not reached position %d, which was the head %v ago", m.Position, m.Lag, f.Position, f.Waited.Round(time.Millisecond)),
			f.health(m)+" says how it follows; look at its processor, its disk and its way to the writers")
	}
	return nil
}

// serves tells whether a process of that name holds a lease.
func (f *Facts) serves(name string) bool {
	return slices.ContainsFunc(f.Cluster.Members, func(m shape.Member) bool { return m.Name == name && m.State == "leased" })
}

// strangers are nodes that the caller knows of and the cluster does not.
func (f *Facts) strangers() (found []Finding) {
	if f.Cluster.Leader == "" {
		return nil // who tells then has not heard of all
	}
	for _, name := range slices.Sorted(maps.Keys(f.Known)) {
		url := f.Known[name]
		if !slices.ContainsFunc(f.Cluster.Members, func(m shape.Member) bool { return m.Name == name }) {
			found = append(found, Finding{NotInRoster, name, true, "$WRIT_REPLICAS has the replica at " + url + ", and the roster does not: it never registered, or was removed, and gets no lease",
				"`writ health --endpoint " + url + "` says which; a removed one is let in by `writ replica admit " + name + "`"})
		}
	}
	return found
}

// pending tells whether a replica holds the position up.
func (f *Facts) pending(name string) bool {
	return f.Propagation != nil && !f.Propagation.Everywhere() && slices.Contains(f.Propagation.Pending, name)
}

// heldUp is about the replicas that a position waits for. Those of which something else was
// found have that as the reason.
func (f *Facts) heldUp(others []Finding) []Finding {
	p := f.Propagation
	if p == nil || p.Everywhere() || f.Cluster.Leader == "" {
		return nil
	}
	until := ""
	if p.WorstCaseMS != nil {
		until = fmt.Sprintf(", for at most %v more", time.Duration(*p.WorstCaseMS)*time.Millisecond)
	}
	if len(p.Pending) == 0 {
		return []Finding{{HeldUp, "", true, fmt.Sprintf("position %d is not everywhere after %v: the leader waits for leases that an earlier leader may have granted%s", p.Position, f.Waited.Round(time.Millisecond), until),
			"ask again: `writ why`; if it lasts, `writ status`"}}
	}
	var found []Finding
	for _, name := range p.Pending {
		next := "`writ status` shows how it fares; wait, or `writ replica drain " + name + "`"
		for _, o := range others {
			if o.Node == name {
				next = o.Next
			}
		}
		found = append(found, Finding{HeldUp, name, true, fmt.Sprintf("position %d is not everywhere after %v: this replica may still answer as fresh from before it%s", p.Position, f.Waited.Round(time.Millisecond), until), next})
	}
	return found
}

// level is about the feature level.
func (f *Facts) level() []Finding {
	l := f.Cluster.FeatureLevel
	if l == nil || l.InForce >= l.Supported {
		return nil
	}
	if len(l.HeldBackBy) == 0 {
		return []Finding{{LevelHeldBack, "", false, fmt.Sprintf("the cluster is at feature level %d, and all nodes support %d: the leader raises it in a moment", l.InForce, l.Supported), "ask again: `writ why`"}}
	}
	return []Finding{{LevelHeldBack, strings.Join(l.HeldBackBy, ", "), false, fmt.Sprintf("the cluster stays at feature level %d, of %d, until these nodes have said that they support it", l.InForce, l.Supported),
		"`writ upgrade check` says whether they run an older build or hold the level; a replica that is gone for good: `writ replica remove NAME`"}}
}

// health is the command that asks one node.
func (f *Facts) health(m *shape.Member) string {
	url := orElse(m.Endpoint, f.Known[m.Name])
	if url == "" || strings.ContainsFunc(url, odd) {
		url = "URL"
	}
	return "`writ health --endpoint " + url + "`"
}

// odd tells whether a character has no place in a command that somebody may copy: a node says
// itself at which URL it is.
func odd(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(":/.-_[]", r)
}

// plain is text on one line, without what a terminal would act on.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
}

// hold says until when a replica may still answer as fresh.
func (f *Facts) hold(m *shape.Member) string {
	left := time.Duration(m.MayHoldMS) * time.Millisecond
	if left <= 0 {
		return "and holds no lease"
	}
	return fmt.Sprintf("and its lease runs out in %v, at %s", left.Round(100*time.Millisecond), f.Now.Add(left).UTC().Format(time.TimeOnly+"Z"))
}

func ago(ms int64) string {
	if ms == 0 {
		return "since it leads"
	}
	return "for " + (time.Duration(ms) * time.Millisecond).Round(100*time.Millisecond).String()
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}
