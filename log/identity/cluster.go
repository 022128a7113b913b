package identity

import (
	"github.com/writ-iam/writ/log/digest"
)

// Cluster is what the cluster knows of itself.
type Cluster struct {
	ID          string // a uuid, set by whoever initialized the cluster
	Incarnation string // 32 hexadecimal digits, minted at bootstrap and again by a restore
	// FeatureLevel says which handlers are in force. It only rises.
	FeatureLevel uint32
	// StreamGeneration numbers the fan-out streams of this incarnation.
	StreamGeneration uint32
	// RosterChanged is the position of the latest change to the roster of replicas,
	// ReplicaRemoved that of the latest end of a registration.
	RosterChanged  Position
	ReplicaRemoved Position
}

// FeatureLevel is the highest level this build supports.
//
//	1  the first release
//	2  the nouns of the whole IAM API
const FeatureLevel uint32 = 2

// RulesAt are the rules that new commands are put into the log by at a feature level.
// A build that does not know the level may not know the rules.
func RulesAt(level uint32) Rules {
	if level < 2 {
		return BoundedRules
	}
	return LevelRules
}

// level is the feature level at which a cluster begins by the rules r. It is a number of its
// own for each: an old log begins as it did, whatever level this build supports.
func (r Rules) level() uint32 {
	if r < LevelRules {
		return 1
	}
	return 2
}

func (c *Cluster) appendDigest(b []byte) []byte {
	b = append(b, 'c')
	b = digest.AppendString(b, c.ID)
	b = digest.AppendString(b, c.Incarnation)
	b = digest.AppendInt(b, c.FeatureLevel)
	b = digest.AppendInt(b, c.StreamGeneration)
	b = digest.AppendInt(b, uint64(c.RosterChanged))
	return digest.AppendInt(b, uint64(c.ReplicaRemoved))
}

// Cluster returns what the cluster knows of itself.
func (s *State) Cluster() Cluster { return s.cluster }

// Bootstrap begins a cluster: its identity, its first account with a root access
// key, the managed policies that every account sees, and its writers.
type Bootstrap struct {
	Cluster     string
	Incarnation string
	Account     AccountID
	RootKey     NewAccessKey
	Managed     []CreatePolicy // of account "aws", as clusters began before there were catalogues
	Catalogue   []CataloguePolicy
	Writers     []Writer // none as clusters began before the log listed them
}

// ClusterBootstrapped is the first event of every history.
type ClusterBootstrapped struct {
	Cluster      string
	Incarnation  string
	FeatureLevel uint32
}

func (c *Bootstrap) decide(s *State, m Meta) ([]Event, error) { return c.in(PartitionAWS, s, m) }

// in decides the beginning of a cluster in a partition.
func (c *Bootstrap) in(partition Partition, s *State, m Meta) ([]Event, error) {
	if s.position != 0 {
		return nil, refuse(AlreadyBootstrapped, "The cluster %s has a history up to position %d.", s.cluster.ID, s.position)
	}
	// What follows is decided one by one against a state that nobody sees.
	parts := []Command{&CreateAccount{ID: c.Account, RootKey: c.RootKey}}
	for i := range c.Managed {
		parts = append(parts, &c.Managed[i])
	}
	if len(c.Catalogue) > 0 {
		of := CatalogueDigest(c.Catalogue)
		parts = append(parts, &StageCatalogue{Catalogue: of, Policies: c.Catalogue}, &InstallCatalogue{Catalogue: of, Parts: 1})
	}
	if len(c.Writers) > 0 {
		parts = append(parts, &ListWriters{Writers: c.Writers})
	}
	events := []Event{&ClusterBootstrapped{Cluster: c.Cluster, Incarnation: c.Incarnation, FeatureLevel: m.Rules.level()}}
	scratch := NewState()
	if partition != PartitionAWS {
		chosen := &PartitionChosen{Partition: partition}
		chosen.evolve(scratch)
		events = append(events, chosen)
	}
	for _, part := range parts {
		more, err := part.decide(scratch, m)
		if err != nil {
			return nil, err
		}
		for _, e := range more {
			e.evolve(scratch)
		}
		events = append(events, more...)
	}
	return events, nil
}

func (e *ClusterBootstrapped) evolve(s *State) {
	s.cluster = Cluster{ID: e.Cluster, Incarnation: e.Incarnation, FeatureLevel: e.FeatureLevel, StreamGeneration: 1}
}

// RaiseStreamGeneration abandons the fan-out stream of generation From, which
// was found damaged, for a new one. Two publishers may ask at once; one succeeds.
type RaiseStreamGeneration struct {
	From uint32
}

// StreamGenerationRaised names the stream that replaces all earlier ones.
type StreamGenerationRaised struct {
	Generation uint32
}

func (c *RaiseStreamGeneration) decide(s *State, _ Meta) ([]Event, error) {
	if c.From != s.cluster.StreamGeneration {
		return nil, refuse(ConcurrentModification, "The stream generation is %d, not %d.", s.cluster.StreamGeneration, c.From)
	}
	return []Event{&StreamGenerationRaised{Generation: c.From + 1}}, nil
}

func (e *StreamGenerationRaised) evolve(s *State) { s.cluster.StreamGeneration = e.Generation }

// RaiseFeatureLevel puts the handlers of a level in force. Whoever proposes it
// has made sure that every member supports the level.
type RaiseFeatureLevel struct {
	Level uint32
}

// FeatureLevelRaised puts the handlers of a level in force.
type FeatureLevelRaised struct {
	Level uint32
}

func (c *RaiseFeatureLevel) decide(s *State, _ Meta) ([]Event, error) {
	switch {
	case c.Level > FeatureLevel:
		return nil, refuse(UnknownFeature, "Feature level %d is not known here; the highest is %d.", c.Level, FeatureLevel)
	case c.Level <= s.cluster.FeatureLevel:
		return nil, refuse(InvalidInput, "The feature level is %d and only rises.", s.cluster.FeatureLevel)
	}
	return []Event{&FeatureLevelRaised{Level: c.Level}}, nil
}

func (e *FeatureLevelRaised) evolve(s *State) { s.cluster.FeatureLevel = e.Level }
