package identity

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestCluster(t *testing.T) { run(t, clusterSpecs()) }

func clusterSpecs() []spec {
	return []spec{
		{name: "a history exists", when: &Bootstrap{Cluster: "another"},
			refused: "AlreadyBootstrapped: The cluster cluster has a history up to position 5."},
		{name: "a history exists", when: &BootstrapIn{Partition: PartitionCN, Bootstrap: Bootstrap{Cluster: "another"}},
			refused: "AlreadyBootstrapped: The cluster cluster has a history up to position 5."},
		{name: "from the present one", when: &RaiseStreamGeneration{From: 1}, then: []Event{&StreamGenerationRaised{Generation: 2}},
			check: func(s *spying) {
				if g := s.Cluster().StreamGeneration; g != 2 {
					s.Errorf("the generation is %d", g)
				}
			}},
		{name: "another was quicker", given: []Event{&StreamGenerationRaised{Generation: 2}}, when: &RaiseStreamGeneration{From: 1},
			refused: "ConcurrentModification: The stream generation is 2, not 1."},
		{name: "to a known level", given: []Event{&FeatureLevelRaised{Level: 0}}, when: &RaiseFeatureLevel{Level: 1},
			then: []Event{&FeatureLevelRaised{Level: 1}},
			check: func(s *spying) {
				if l := s.Cluster().FeatureLevel; l != 1 {
					s.Errorf("the level is %d", l)
				}
			}},
		{name: "to an unknown level", when: &RaiseFeatureLevel{Level: 99},
			refused: "UnknownFeature: Feature level 99 is not known here; the highest is 2."},
		{name: "it only rises", when: &RaiseFeatureLevel{Level: 1}, refused: "InvalidInput: The feature level is 1 and only rises."},
	}
}

func TestBootstrap(t *testing.T) {
	c := &Bootstrap{Cluster: "cluster", Incarnation: "1", Account: acct, RootKey: NewAccessKey{ID: "AKIAROOT", Sealed: []byte("s")},
		Managed: []CreatePolicy{
			{Account: AWSAccount, ID: "ANPA1", Name: "ReadOnlyAccess", Path: "/", Document: "{}"},
			{Account: AWSAccount, ID: "ANPA2", Name: "AdministratorAccess", Path: "/job-function/", Document: "{}"},
		}}
	for rules, level := range map[Rules]uint32{FirstRules: 1, BoundedRules: 1, LevelRules: 2} { // as they were decided then
		if events, err := Decide(NewState(), Meta{Rules: rules}, c); err != nil || events[0].(*ClusterBootstrapped).FeatureLevel != level {
			t.Errorf("by rules %d a cluster begins with %v, %v", rules, events[0], err)
		}
	}
	s := NewState()
	m := Meta{Time: now, Rules: CurrentRules}
	events, err := Decide(s, m, c)
	if err != nil {
		t.Fatal(err)
	}
	Evolve(s, 1, m, events)
	verify(t, s)
	if got := s.Cluster(); got != (Cluster{ID: "cluster", Incarnation: "1", FeatureLevel: FeatureLevel, StreamGeneration: 1}) {
		t.Errorf("the cluster is %+v", got)
	}
	if k, ok := s.AccessKey("AKIAROOT"); !ok || k.Owner != ID(acct) || k.Account != acct || !k.Active || string(k.Sealed) != "s" {
		t.Errorf("the root key is %+v", k)
	}
	if p, ok := s.Policy("arn:aws:iam::aws:policy/job-function/AdministratorAccess"); !ok || p.Document() != "{}" {
		t.Errorf("the managed policy is %+v", p)
	}

	c.Catalogue = []CataloguePolicy{amazon("ANPA3", "AdministratorAccess"), amazon("ANPA4", "New")}
	events, err = Decide(NewState(), Meta{Time: now}, c)
	if err != nil {
		t.Fatal(err)
	}
	s = NewState()
	Evolve(s, 1, Meta{Time: now}, events)
	verify(t, s)
	if got := s.Catalogue(); got.Number != 1 || got.Policies != 2 || got.At != 1 || s.Count(AWSAccount, KindPolicy) != 2 {
		t.Errorf("the cluster begins with the catalogue %+v", got)
	}

	c.Managed[1].ID = "ANPA1"
	if _, err := Decide(NewState(), Meta{}, c); err == nil || !strings.HasPrefix(err.Error(), string(EntityAlreadyExists)) {
		t.Errorf("two policies with one identifier: %v", err)
	}
}

func TestReplicas(t *testing.T) { run(t, replicaSpecs()) }

func replicaSpecs() []spec {
	one := &ReplicaRegistered{Name: "one", Region: "eu", Class: "tight"}
	full := make([]Event, MaxReplicas)
	for i := range full {
		full[i] = &ReplicaRegistered{Name: "replica-" + strings.Repeat("x", i)}
	}
	barred := make([]Event, MaxBarred, MaxBarred+1)
	for i := range barred {
		barred[i] = &ReplicaBarred{Name: fmt.Sprintf("barred-%d", i)}
	}
	return []spec{
		{name: "new", when: &RegisterReplica{Name: "one", Region: "eu", Class: "tight"}, then: []Event{one},
			check: func(s *spying) {
				if r, ok := s.Replica("one"); !ok || *r != (Replica{Name: "one", Region: "eu", Class: "tight", Registered: afterBase}) {
					s.Errorf("the replica is %+v", r)
				}
			}},
		{name: "as it is", given: []Event{one}, when: &RegisterReplica{Name: "one", Region: "eu", Class: "tight"},
			refused: "EntityAlreadyExists: Replica one is registered."},
		{name: "moved", given: []Event{one}, when: &RegisterReplica{Name: "one", Region: "us"}, then: []Event{&ReplicaRegistered{Name: "one", Region: "us"}}},
		{name: "no longer draining", given: []Event{one, &ReplicaDrained{Name: "one"}},
			when: &RegisterReplica{Name: "one", Region: "eu", Class: "tight"}, then: []Event{one},
			check: func(s *spying) {
				if r, _ := s.Replica("one"); r.Draining {
					s.Error("it drains still")
				}
			}},
		{name: "too many", given: full, when: &RegisterReplica{Name: "one"}, refused: "LimitExceeded: Cannot exceed quota for Replicas: 1000"},
		{name: "registered", given: []Event{one}, when: &DrainReplica{Name: "one"}, then: []Event{&ReplicaDrained{Name: "one"}},
			check: func(s *spying) {
				if r, ok := s.Replica("one"); !ok || !r.Draining {
					s.Errorf("the replica is %+v", r)
				}
			}},
		{name: "twice", given: []Event{one, &ReplicaDrained{Name: "one"}}, when: &DrainReplica{Name: "one"},
			refused: "EntityAlreadyExists: Replica one is draining."},
		{name: "unknown", when: &DrainReplica{Name: "one"}, refused: "NoSuchEntity: The replica one is not registered."},
		{name: "draining", given: []Event{one, &ReplicaDrained{Name: "one"}}, when: &ResumeReplica{Name: "one"}, then: []Event{one}},
		{name: "not draining", given: []Event{one}, when: &ResumeReplica{Name: "one"}, refused: "EntityAlreadyExists: Replica one is not draining."},
		{name: "unknown", when: &ResumeReplica{Name: "one"}, refused: "NoSuchEntity: The replica one is not registered."},
		{name: "registered", given: []Event{one, &ReplicaRegistered{Name: "a"}}, when: &RemoveReplica{Name: "one"},
			then: []Event{&ReplicaRemoved{Name: "one"}},
			check: func(s *spying) {
				if names := replicaNames(s.State); !slices.Equal(names, []string{"a"}) {
					s.Errorf("the roster is %v", names)
				}
			}},
		{name: "unknown", when: &RemoveReplica{Name: "one"}, refused: "NoSuchEntity: The replica one is not registered."},
		{name: "removed before names were barred", given: []Event{one, &ReplicaRemoved{Name: "one"}},
			when: &RegisterReplica{Name: "one", Region: "eu", Class: "tight"}, then: []Event{one}},

		{name: "registered", given: []Event{one, &ReplicaRegistered{Name: "a"}}, when: &BarReplica{Name: "one"},
			then: []Event{&ReplicaBarred{Name: "one"}},
			check: func(s *spying) {
				if names := replicaNames(s.State); !slices.Equal(names, []string{"a"}) || !s.Barred("one") || s.Barred("a") {
					s.Errorf("the roster is %v; one is barred: %v", names, s.Barred("one"))
				}
				if c := s.Cluster(); c.RosterChanged != s.Position() || c.ReplicaRemoved != s.Position() {
					s.Errorf("the cluster is %+v", c)
				}
			}},
		{name: "draining", given: []Event{one, &ReplicaDrained{Name: "one"}}, when: &BarReplica{Name: "one"}, then: []Event{&ReplicaBarred{Name: "one"}}},
		{name: "unknown", when: &BarReplica{Name: "one"}, refused: "NoSuchEntity: The replica one is not registered."},
		{name: "unknown, and meant so", when: &BarReplica{Name: "one", Unregistered: true}, then: []Event{&ReplicaBarred{Name: "one"}},
			check: func(s *spying) {
				if c := s.Cluster(); !s.Barred("one") || c.RosterChanged != s.Position() || c.ReplicaRemoved != 0 {
					s.Errorf("the cluster is %+v", c)
				}
			}},
		{name: "twice", given: []Event{one, &ReplicaBarred{Name: "one"}}, when: &BarReplica{Name: "one", Unregistered: true},
			refused: "EntityAlreadyExists: Replica one was removed already."},
		{name: "as many as may be", given: append(barred[1:MaxBarred:MaxBarred], one), when: &BarReplica{Name: "one"}, then: []Event{&ReplicaBarred{Name: "one"}}},
		{name: "more than may be: none is let in for it", given: append(barred, one), when: &BarReplica{Name: "one"},
			refused: "LimitExceeded: Cannot exceed quota for RemovedReplicas: 16000. Admit a name that no certificate is left for."},
		{name: "barred", given: []Event{one, &ReplicaBarred{Name: "one"}}, when: &RegisterReplica{Name: "one", Region: "eu", Class: "tight"},
			refused: "Barred: Replica one was removed by command and stays out until it is admitted again."},
		{name: "barred", given: []Event{one, &ReplicaBarred{Name: "one"}}, when: &ResumeReplica{Name: "one"},
			refused: "NoSuchEntity: The replica one is not registered."},
		{name: "barred", given: []Event{one, &ReplicaBarred{Name: "one"}}, when: &AdmitReplica{Name: "one"}, then: []Event{&ReplicaAdmitted{Name: "one"}},
			check: func(s *spying) {
				if _, registered := s.Replica("one"); s.Barred("one") || registered {
					s.Error("it is barred still, or in the roster by itself")
				}
			}},
		{name: "not barred", given: []Event{one}, when: &AdmitReplica{Name: "one"}, refused: "NoSuchEntity: The replica one was not removed."},
		{name: "admitted", given: []Event{one, &ReplicaBarred{Name: "one"}, &ReplicaAdmitted{Name: "one"}},
			when: &RegisterReplica{Name: "one", Region: "eu", Class: "tight"}, then: []Event{one}},
	}
}

func replicaNames(s *State) (names []string) {
	for _, r := range s.Replicas() {
		names = append(names, r.Name)
	}
	return names
}

func TestRosterIsInOrder(t *testing.T) {
	s := given(&ReplicaRegistered{Name: "c"}, &ReplicaRegistered{Name: "a"}, &ReplicaRegistered{Name: "b"})
	if names := replicaNames(s); !slices.Equal(names, []string{"a", "b", "c"}) {
		t.Errorf("the roster is %v", names)
	}
}
