package identity

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestIncarnations(t *testing.T) { run(t, incarnationSpecs()) }

func incarnationSpecs() []spec {
	begun := &IncarnationBegun{Cluster: "cluster", Incarnation: "2", Why: Restored, At: now}
	many := make([]Event, 0, MaxFormer)
	for n := range MaxFormer {
		many = append(many, &IncarnationBegun{Cluster: "cluster", Incarnation: fmt.Sprint("i", n), Why: Recovered, At: past})
	}
	return []spec{
		{name: "behind another", given: []Event{&FeatureLevelRaised{Level: 2}, sessionKey, issuerKey}, when: &BeginIncarnation{Cluster: "cluster", Incarnation: "2", Why: Restored},
			then: []Event{begun},
			check: func(s *spying) {
				want := []FormerIncarnation{{"cluster", "0123456789abcdef0123456789abcdef", s.Position() - 1, now, Restored}}
				if diff := cmp.Diff(want, s.Former()); diff != "" || s.Cluster().Incarnation != "2" || s.Cluster().ID != "cluster" {
					s.Errorf("incarnation %+v after %s", s.Cluster(), diff)
				}
				_, sessions := s.ActiveSessionKey()
				if _, tokens := s.ActiveIssuerKey(); sessions || tokens || s.SessionKeys().Last != 1 || s.SessionKeys().List[0].Sealed != nil {
					s.Error("a key that is sealed for the incarnation before is in force")
				}
				if got := s.Renewed(); !strings.HasPrefix(got, "the cluster was restored and goes on behind position") {
					s.Error(got)
				}
			}},
		{name: "at the first level, as another cluster", given: []Event{&FeatureLevelRaised{Level: 1}}, when: &BeginIncarnation{Cluster: "new", Incarnation: "2", Why: Recovered},
			then: []Event{&IncarnationBegun{Cluster: "new", Incarnation: "2", Why: Recovered, At: now}, &FeatureLevelRaised{Level: 2}},
			check: func(s *spying) {
				if c := s.Cluster(); c.ID != "new" || c.FeatureLevel != 2 || s.Former()[0].Cluster != "cluster" {
					s.Errorf("the cluster is %+v", c)
				}
			}},
		{name: "into another layout", given: []Event{&FeatureLevelRaised{Level: 2}, &WritersListed{Writers: []Writer{{Name: "w1", Peer: "h1:1"}, {Name: "w2", Peer: "h2:1"}, {Name: "w3", Peer: "h3:1"}}}, &WriterRemoved{Name: "w2"}, &WriterRemoved{Name: "w3"}},
			when: &BeginIncarnation{Cluster: "new", Incarnation: "2", Why: Restored, Writers: []Writer{{Name: "n1", Peer: "h1:1"}, {Name: "w3", Peer: "h4:1"}}},
			then: []Event{&IncarnationBegun{Cluster: "new", Incarnation: "2", Why: Restored, At: now}, &WritersListed{Writers: []Writer{{Name: "n1", Peer: "h1:1"}, {Name: "w3", Peer: "h4:1"}}}},
			check: func(s *spying) {
				if w := s.Writers(); len(w.List) != 2 || !w.Gone("w2") || w.Gone("w3") || w.Gone("w1") {
					s.Errorf("the writers are %+v", w)
				}
			}},
		{name: "into a layout of two writers at one address", when: &BeginIncarnation{Cluster: "new", Incarnation: "2", Writers: []Writer{{Name: "n1", Peer: "h1:1"}, {Name: "n2", Peer: "h1:1"}}},
			refused: "EntityAlreadyExists: The address h1:1 is that of writer n1."},
		{name: "the oldest is forgotten", given: append([]Event{&FeatureLevelRaised{Level: 2}}, many...), when: &BeginIncarnation{Cluster: "cluster", Incarnation: "2", Why: Restored},
			then: []Event{begun},
			check: func(s *spying) {
				if f := s.Former(); len(f) != MaxFormer || f[0].Incarnation != "i0" {
					s.Errorf("%d former incarnations from %s on", len(f), f[0].Incarnation)
				}
			}},
		{name: "the present one", when: &BeginIncarnation{Cluster: "cluster", Incarnation: "0123456789abcdef0123456789abcdef"},
			refused: "InvalidInput: An incarnation needs a cluster and an id of its own."},
		{name: "a former one", given: []Event{begun, &IncarnationBegun{Cluster: "cluster", Incarnation: "3"}}, when: &BeginIncarnation{Cluster: "cluster", Incarnation: "2"},
			refused: "InvalidInput: An incarnation needs a cluster and an id of its own."},
		{name: "no cluster", when: &BeginIncarnation{Incarnation: "2"},
			refused: "InvalidInput: An incarnation needs a cluster and an id of its own."},
	}
}

func TestNothingGoesOnFromNothing(t *testing.T) {
	if _, err := Decide(NewState(), Meta{}, &BeginIncarnation{Cluster: "c", Incarnation: "2"}); err == nil {
		t.Error("an incarnation begins behind the empty state")
	}
	if s := NewState(); s.Renewed() != "" || Renewal(9).String() != "unknown" {
		t.Error("the empty state was renewed")
	}
}
