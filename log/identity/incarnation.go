package identity

import (
	"fmt"
	"slices"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/table"
)

// MaxFormer is how many former incarnations are remembered: of more, the oldest are
// forgotten.
const MaxFormer = 64

// Renewal is why an incarnation began behind another. Numbers are stored.
type Renewal uint8

// The reasons why an incarnation begins.
const (
	Restored  Renewal = 1 // from a backup
	Recovered Renewal = 2 // from one writer, without a majority
)

// String is the reason in a word.
func (r Renewal) String() string {
	switch r {
	case Restored:
		return "restored"
	case Recovered:
		return "recovered"
	}
	return "unknown"
}

// FormerIncarnation is a history of the cluster that another goes on from. What was made in
// it (tokens of positions, sessions, leases) is refused in the present one.
type FormerIncarnation struct {
	Cluster     string // whose it was: a restore may give the state to another cluster
	Incarnation string
	Last        Position // that the next incarnation goes on behind; what came after it, if anything, is lost
	Ended       Time
	Why         Renewal
}

// Incarnations are the former incarnations of a cluster, the oldest first.
type Incarnations struct{ Former []FormerIncarnation }

// incarnationsKey is that of the one record.
const incarnationsKey = "incarnations"

// Handle makes Incarnations a record of a table, by its key, as do Is and AppendDigest.
func (i *Incarnations) Handle() table.Handle { return table.HandleOf(incarnationsKey) }

// Is tells whether the Incarnations have that key.
func (i *Incarnations) Is(key string) bool { return key == incarnationsKey }

// AppendDigest appends all that the Incarnations have.
func (i *Incarnations) AppendDigest(b []byte) []byte {
	b = digest.AppendInt(append(b, "incarnations"...), len(i.Former))
	for _, f := range i.Former {
		b = digest.AppendString(b, f.Cluster)
		b = digest.AppendString(b, f.Incarnation)
		b = digest.AppendInt(b, uint64(f.Last))
		b = digest.AppendInt(b, int64(f.Ended))
		b = digest.AppendInt(b, uint8(f.Why))
	}
	return b
}

// Former returns the former incarnations, the oldest first. Nobody changes them.
func (s *State) Former() []FormerIncarnation {
	if i, ok := s.incarnations.Get(incarnationsKey); ok {
		return i.Former
	}
	return nil
}

// BeginIncarnation goes on from the state as another incarnation. It is decided offline
// alone, when a cluster is restored or recovered: by nobody who has the cluster running.
type BeginIncarnation struct {
	Cluster     string // that goes on; the same one, or the one that the state is restored into
	Incarnation string // 32 hexadecimal digits that were never used
	Why         Renewal
	Writers     []Writer // of the layout that the state is restored into; none for those that it lists
}

// IncarnationBegun is the first event of an incarnation that goes on from another. All
// session and issuer keys are revoked with it: they are sealed for the incarnation in
// which they were made.
type IncarnationBegun struct {
	Cluster     string
	Incarnation string
	Why         Renewal
	At          Time
}

func (c *BeginIncarnation) decide(s *State, m Meta) ([]Event, error) {
	used := c.Incarnation == s.cluster.Incarnation ||
		slices.ContainsFunc(s.Former(), func(f FormerIncarnation) bool { return f.Incarnation == c.Incarnation })
	switch {
	case s.position == 0:
		return nil, refuse(InvalidInput, "There is no state to go on from.")
	case c.Cluster == "" || c.Incarnation == "" || used:
		return nil, refuse(InvalidInput, "An incarnation needs a cluster and an id of its own.")
	}
	events := []Event{&IncarnationBegun{Cluster: c.Cluster, Incarnation: c.Incarnation, Why: c.Why, At: m.Time}}
	if s.cluster.FeatureLevel < renewalLevel {
		events = append(events, &FeatureLevelRaised{Level: renewalLevel})
	}
	if len(c.Writers) > 0 {
		if err := s.mayList(c.Writers); err != nil {
			return nil, err
		}
		events = append(events, &WritersListed{Writers: c.Writers})
	}
	return events, nil
}

// renewalLevel is the feature level of builds that can read an incarnation's beginning. It
// is in force from there on, as in a cluster that begins: no older build is a member then.
const renewalLevel = 2

func (e *IncarnationBegun) evolve(s *State) {
	former := append(slices.Clone(s.Former()), FormerIncarnation{
		Cluster: s.cluster.ID, Incarnation: s.cluster.Incarnation, Last: s.position - 1, Ended: e.At, Why: e.Why,
	})
	s.incarnations.Put(&Incarnations{former[max(0, len(former)-MaxFormer):]})
	s.cluster.ID, s.cluster.Incarnation = e.Cluster, e.Incarnation
	if keys := s.SessionKeys(); len(keys.List) > 0 {
		for _, k := range keys.List {
			keys.ClusterKeys = keys.without(k.Number, e.At)
		}
		s.sessionKeys.Put(&keys)
	}
	if keys := s.IssuerKeys(); len(keys.List) > 0 {
		for _, k := range keys.List {
			keys.ClusterKeys = keys.without(k.Number, e.At)
		}
		s.issuerKeys.Put(&keys)
	}
}

// Renewed says, in the words of a refusal, that the cluster was restored or recovered since
// something was made in a former incarnation; empty where it never was.
func (s *State) Renewed() string {
	former := s.Former()
	if len(former) == 0 {
		return ""
	}
	last := former[len(former)-1]
	return fmt.Sprintf("the cluster was %s and goes on behind position %d as another incarnation, in which nothing of before counts", last.Why, last.Last)
}
