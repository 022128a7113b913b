package members

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/node/api/shape"
	"github.com/writ-iam/writ/replication/propagation"
)

// Heard is whom a writer asked how it fares, and what it said.
type Heard struct {
	Name    string // of the cluster; empty for a member of the log that it does not list
	Address string // of its peer port
	Err     error  // it did not answer; the rest is empty

	Says             string // what it is called, by its own configuration
	ID               string // of its directory
	Leads            bool
	Position         event.Position
	Digest, Endpoint string
	Certificates     []shape.Certificate
	SealKeys         []string // ids of those that it has; nil of a build that does not say it
	Level            uint32   // the highest feature level that it lets the cluster rise to
	Build            *shape.Build
	Backups          *shape.Backups
	History          *shape.StoredHistory
}

// Survey is the members of the log, and what they and the writers of the cluster said. Nobody
// changes it.
type Survey struct {
	List List
	Told []Heard
}

// Holder is the writer, other than the one of that name, that runs with an id; empty for none.
// Two of one id would vote twice.
func (s *Survey) Holder(id, name string) string {
	for _, h := range s.Told {
		if h.Err == nil && h.ID == id && h.Says != name {
			return h.Says
		}
	}
	return ""
}

// Replaces refuses a server that does not answer at the address where it would be a member, or
// whose place another has without which the rest could not commit (ErrQuorum).
func (s *Survey) Replaces(id, address string) error {
	if !slices.ContainsFunc(s.Told, func(h Heard) bool { return h.Err == nil && h.ID == id && h.Address == address }) {
		return fmt.Errorf("%w: server %s at %s, as the leader asks it there", ErrSilent, id, address)
	}
	if old, ok := s.List.at(address); ok && old.ID != id {
		return s.List.spares(old)
	}
	return nil
}

// Match gives the members of the log the names of the writers that they are: by what they say
// of themselves, or else by their address. One that answers as a writer of the cluster is that
// writer wherever it does: it moves, and is not to be taken away meanwhile.
func (l List) Match(told []Heard) {
	for i := range l {
		s := &l[i]
		for _, h := range told {
			switch {
			case h.Err == nil && h.ID == s.ID:
				s.Answers = true
				if name := h.of(told); name != "" {
					s.Name = name
				}
			case h.Address == s.Address && !s.Answers:
				s.Name = h.Name
			}
		}
	}
}

// of is the name of the writer of the cluster that was heard; empty for none.
func (h *Heard) of(told []Heard) string {
	if h.Name == "" && slices.ContainsFunc(told, func(other Heard) bool { return other.Name == h.Says }) {
		return h.Says
	}
	return h.Name
}

// Writer tells how a writer fares, or a member of the log that the cluster does not list,
// beside the head and the address of the leader.
func (l List) Writer(h Heard, head event.Position, leader string) shape.Member {
	m := shape.Member{Name: h.Name, Role: "writer"}
	at, _ := l.Find(h.Address)
	is, _ := l.Find(h.ID)
	switch {
	case h.Name == "" && at.Name != "":
		m.Name, m.State = h.Address, "moving"
		m.Detail = "Raft has " + at.Name + " here, and the cluster has it elsewhere: it joins there by itself once it is started there."
	case h.Name == "":
		m.Name, m.State = h.Address, "unlisted"
		m.Detail = "Raft has this member, and the cluster no writer of its address. A writer that moved and is stopped is shown so, too: start it at its new address, and it takes this place. One that is gone for good: `writ writer remove " + h.Address + "`."
	case h.Err != nil:
		m.State, m.Detail = "unreachable", "it does not answer"
	case h.Leads && h.Address == leader:
		m.State = "leading"
	case is.ID == "":
		m.State = "joining"
	case !is.Votes:
		m.State, m.Detail = "learning", "it follows and gets a vote when it has caught up"
	default:
		m.State = "voting"
	}
	if h.Err == nil {
		m.Position, m.Digest, m.Endpoint, m.Certificates, m.History = h.Position, h.Digest, h.Endpoint, h.Certificates, h.History
		m.Lag = head - min(head, h.Position)
		m.Build, m.Backups = h.Build, h.Backups
		if h.Build != nil && h.Level < h.Build.Level {
			m.HoldsLevel = h.Level
		}
	}
	return m
}

// Quorum is who votes, beside the writers that the cluster has.
func (l List) Quorum(writers int) *shape.Quorum {
	n := l.Votes()
	return &shape.Quorum{Voters: n, Learners: len(l) - n, Survives: l.Survives(), Planned: Planned(writers)}
}

// FeatureLevel is the level in force, beside the one that the leader's build supports, and who of
// the members told has not said that it supports that: each node is named once.
func FeatureLevel(inForce, supported uint32, told []Heard, replicas []propagation.ReplicaStatus) *shape.FeatureLevel {
	f := &shape.FeatureLevel{InForce: inForce, Supported: supported}
	if inForce >= supported {
		return f
	}
	for _, h := range told {
		if h.Name != "" && (h.Err != nil || h.Level < supported) {
			f.HeldBackBy = append(f.HeldBackBy, h.Name)
		}
	}
	for _, r := range replicas {
		if r.Level < supported && !slices.Contains(f.HeldBackBy, r.Name) {
			f.HeldBackBy = append(f.HeldBackBy, r.Name)
		}
	}
	return f
}

// Replica tells how a replica fares, as the leader knows it, beside the head.
func Replica(m propagation.ReplicaStatus, head event.Position) shape.Member {
	state := "silent"
	switch {
	case m.Fault != "":
		state = "quarantined"
	case m.Removed:
		state = "removed"
	case m.Draining:
		state = "draining"
	case m.MayHold > 0 && m.Connected:
		state = "leased"
	case m.Connected:
		state = "fenced"
	}
	return shape.Member{
		Name: m.Name, Role: "replica", Region: m.Region, State: state, Position: m.Acked, Life: m.Life,
		Lag: head - min(head, m.Acked), MayHoldMS: m.MayHold.Milliseconds(), HeardMS: m.Heard.Milliseconds(), Detail: lifeDetail(m),
	}
}

// Outgrown is the detail of a replica whose build supports less than the level in force; or else
// detail.
func Outgrown(m propagation.ReplicaStatus, inForce uint32, detail string) string {
	if m.Level == 0 || m.Level >= inForce || m.Removed {
		return detail
	}
	return strings.TrimSpace(fmt.Sprintf("its build is too old: it supports feature level %d, and level %d is in force %s", m.Level, inForce, detail))
}

// lifeDetail tells why a life is quarantined, and of a name that has several lives
// which of them this is.
func lifeDetail(m propagation.ReplicaStatus) string {
	if m.Life == "" {
		return m.Reason
	}
	heard := fmt.Sprintf("heard %v ago", m.Heard.Round(100*time.Millisecond))
	if !m.Connected {
		heard = "not heard since this leader took over"
	}
	return strings.TrimSpace(fmt.Sprintf("One of several processes of this name (life %s), %s. %s", m.Life, heard, m.Reason))
}
