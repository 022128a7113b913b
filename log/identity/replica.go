package identity

import (
	"slices"
	"strings"
)

// Replica is an entry of the roster: a reader whose acknowledgement "everywhere"
// waits for.
type Replica struct {
	Name   string
	Region string
	Class  string // of lease: "" for the default, "tight" for a short one
	// Draining replicas get no new leases but are waited for until removed.
	Draining   bool
	Registered Position
}

func (r *Replica) handle() handle { return handleOf(r.Name) }

func (r *Replica) is(key string) bool { return r.Name == key }

func (r *Replica) appendDigest(b []byte) []byte {
	b = append(b, 'r')
	b = appendString(b, r.Name)
	b = appendString(b, r.Region)
	b = appendString(b, r.Class)
	b = appendBool(b, r.Draining)
	return appendInt(b, uint64(r.Registered))
}

// MaxReplicas is how many readers a cluster may have.
const MaxReplicas = 1000

// Replica returns the roster's entry of that name.
func (s *State) Replica(name string) (*Replica, bool) { return s.replicas.get(name) }

// Replicas returns the roster in order of name.
func (s *State) Replicas() []*Replica {
	all := s.replicas.rows.Values()
	slices.SortFunc(all, func(a, b *Replica) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// RegisterReplica enters a reader into the roster, or changes its region or
// class, or ends its draining.
type RegisterReplica struct {
	Name   string
	Region string
	Class  string
}

// ReplicaRegistered entered a reader into the roster.
type ReplicaRegistered struct {
	Name   string
	Region string
	Class  string
}

func (c *RegisterReplica) decide(s *State, _ Meta) ([]Event, error) {
	old, ok := s.replicas.rows.Get(handleOf(c.Name))
	if ok && old.Name != c.Name {
		return nil, refuse(EntityAlreadyExists, "The name %s cannot be told from that of replica %s.", c.Name, old.Name)
	}
	if ok && old.Region == c.Region && old.Class == c.Class && !old.Draining {
		return nil, refuse(EntityAlreadyExists, "Replica %s is registered.", c.Name)
	}
	if !ok && s.replicas.rows.Len() >= MaxReplicas {
		return nil, refuse(LimitExceeded, "Cannot exceed quota for Replicas: %d", MaxReplicas)
	}
	return []Event{&ReplicaRegistered{Name: c.Name, Region: c.Region, Class: c.Class}}, nil
}

func (e *ReplicaRegistered) evolve(s *State) {
	s.cluster.RosterChanged = s.position
	if _, again := s.replicas.get(e.Name); again {
		s.cluster.ReplicaRemoved = s.position // the registration that this one replaces
	}
	s.replicas.put(&Replica{Name: e.Name, Region: e.Region, Class: e.Class, Registered: s.position})
}

// DrainReplica stops new leases for a reader that is about to go.
type DrainReplica struct{ Name string }

// ReplicaDrained stopped new leases for a reader.
type ReplicaDrained struct{ Name string }

func (c *DrainReplica) decide(s *State, _ Meta) ([]Event, error) {
	switch r, ok := s.replicas.get(c.Name); {
	case !ok:
		return nil, refuse(NoSuchEntity, "The replica %s is not registered.", c.Name)
	case r.Draining:
		return nil, refuse(EntityAlreadyExists, "Replica %s is draining.", c.Name)
	}
	return []Event{&ReplicaDrained{Name: c.Name}}, nil
}

func (e *ReplicaDrained) evolve(s *State) {
	if r, ok := s.replicas.get(e.Name); ok {
		drained := *r
		drained.Draining = true
		s.cluster.RosterChanged = s.position
		s.replicas.put(&drained)
	}
}

// ResumeReplica ends a reader's draining: it is registered again as it was.
type ResumeReplica struct{ Name string }

func (c *ResumeReplica) decide(s *State, _ Meta) ([]Event, error) {
	r, ok := s.replicas.get(c.Name)
	switch {
	case !ok:
		return nil, refuse(NoSuchEntity, "The replica %s is not registered.", c.Name)
	case !r.Draining:
		return nil, refuse(EntityAlreadyExists, "Replica %s is not draining.", c.Name)
	}
	return []Event{&ReplicaRegistered{Name: r.Name, Region: r.Region, Class: r.Class}}, nil
}

// RemoveReplica takes a reader off the roster. "Everywhere" still waits until
// its last lease has run out.
type RemoveReplica struct{ Name string }

// ReplicaRemoved took a reader off the roster.
type ReplicaRemoved struct{ Name string }

func (c *RemoveReplica) decide(s *State, _ Meta) ([]Event, error) {
	if _, ok := s.replicas.get(c.Name); !ok {
		return nil, refuse(NoSuchEntity, "The replica %s is not registered.", c.Name)
	}
	return []Event{&ReplicaRemoved{Name: c.Name}}, nil
}

func (e *ReplicaRemoved) evolve(s *State) {
	if r, ok := s.replicas.get(e.Name); ok {
		s.cluster.RosterChanged, s.cluster.ReplicaRemoved = s.position, s.position
		s.replicas.delete(r)
	}
}
