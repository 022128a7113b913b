package identity

import (
	"slices"
	"strings"

	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/table"
)

// Replica is an entry of the roster: a replica whose acknowledgement "everywhere"
// waits for.
type Replica struct {
	Name   string
	Region string
	Class  string // of lease: "" for the default, "tight" for a short one
	// Draining replicas get no new leases but are waited for until removed.
	Draining   bool
	Registered Position
}

// Handle makes a Replica a record of a table, by its key, as do Is and AppendDigest.
func (r *Replica) Handle() table.Handle { return table.HandleOf(r.Name) }

// Is tells whether the Replica has that key.
func (r *Replica) Is(key string) bool { return r.Name == key }

// AppendDigest appends all that the Replica has.
func (r *Replica) AppendDigest(b []byte) []byte {
	b = append(b, 'r')
	b = digest.AppendString(b, r.Name)
	b = digest.AppendString(b, r.Region)
	b = digest.AppendString(b, r.Class)
	b = digest.AppendBool(b, r.Draining)
	return digest.AppendInt(b, uint64(r.Registered))
}

// BarredReplica is a name that was taken off the roster by command. Whoever comes
// under it, with whatever certificate and data directory, is refused until an
// operator admits the name again.
type BarredReplica struct {
	Name string
	At   Position // of the command
}

// Handle makes a BarredReplica a record of a table, by its key, as do Is and AppendDigest.
func (r *BarredReplica) Handle() table.Handle { return table.HandleOf(r.Name) }

// Is tells whether the BarredReplica has that key.
func (r *BarredReplica) Is(key string) bool { return r.Name == key }

// AppendDigest appends all that the BarredReplica has.
func (r *BarredReplica) AppendDigest(b []byte) []byte {
	b = append(b, 'b')
	b = digest.AppendString(b, r.Name)
	return digest.AppendInt(b, uint64(r.At))
}

// Limits of the roster.
const (
	// MaxReplicas is how many replicas a cluster may have.
	MaxReplicas = 1000
	// MaxBarred is how many names may be barred. None is ever forgotten to make room,
	// for that would let it in again: one more removal is refused until an operator
	// admits a name that no certificate is left for.
	MaxBarred = 16 * MaxReplicas
)

// Replica returns the roster's entry of that name.
func (s *State) Replica(name string) (*Replica, bool) { return s.replicas.Get(name) }

// Replicas returns the roster in order of name.
func (s *State) Replicas() []*Replica {
	all := s.replicas.Rows.Values()
	slices.SortFunc(all, func(a, b *Replica) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Barred tells whether a name was taken off the roster by command, and not admitted since.
func (s *State) Barred(name string) bool {
	_, ok := s.barred.Get(name)
	return ok
}

// RegisterReplica enters a replica into the roster, or changes its region or
// class, or ends its draining.
type RegisterReplica struct {
	Name   string
	Region string
	Class  string
}

// ReplicaRegistered entered a replica into the roster.
type ReplicaRegistered struct {
	Name   string
	Region string
	Class  string
}

func (c *RegisterReplica) decide(s *State, _ Meta) ([]Event, error) {
	if s.Barred(c.Name) {
		return nil, refuse(Barred, "Replica %s was removed by command and stays out until it is admitted again.", c.Name)
	}
	old, ok := s.replicas.Rows.Get(table.HandleOf(c.Name))
	if ok && old.Name != c.Name {
		return nil, refuse(EntityAlreadyExists, "The name %s cannot be told from that of replica %s.", c.Name, old.Name)
	}
	if ok && old.Region == c.Region && old.Class == c.Class && !old.Draining {
		return nil, refuse(EntityAlreadyExists, "Replica %s is registered.", c.Name)
	}
	if !ok && s.replicas.Rows.Len() >= MaxReplicas {
		return nil, refuse(LimitExceeded, "Cannot exceed quota for Replicas: %d", MaxReplicas)
	}
	return []Event{&ReplicaRegistered{Name: c.Name, Region: c.Region, Class: c.Class}}, nil
}

func (e *ReplicaRegistered) evolve(s *State) {
	s.cluster.RosterChanged = s.position
	if _, again := s.replicas.Get(e.Name); again {
		s.cluster.ReplicaRemoved = s.position // the registration that this one replaces
	}
	s.replicas.Put(&Replica{Name: e.Name, Region: e.Region, Class: e.Class, Registered: s.position})
}

// DrainReplica stops new leases for a replica that is about to go.
type DrainReplica struct{ Name string }

// ReplicaDrained stopped new leases for a replica.
type ReplicaDrained struct{ Name string }

func (c *DrainReplica) decide(s *State, _ Meta) ([]Event, error) {
	switch r, ok := s.replicas.Get(c.Name); {
	case !ok:
		return nil, refuse(NoSuchEntity, "The replica %s is not registered.", c.Name)
	case r.Draining:
		return nil, refuse(EntityAlreadyExists, "Replica %s is draining.", c.Name)
	}
	return []Event{&ReplicaDrained{Name: c.Name}}, nil
}

func (e *ReplicaDrained) evolve(s *State) {
	if r, ok := s.replicas.Get(e.Name); ok {
		drained := *r
		drained.Draining = true
		s.cluster.RosterChanged = s.position
		s.replicas.Put(&drained)
	}
}

// ResumeReplica ends a replica's draining: it is registered again as it was.
type ResumeReplica struct{ Name string }

func (c *ResumeReplica) decide(s *State, _ Meta) ([]Event, error) {
	r, ok := s.replicas.Get(c.Name)
	switch {
	case !ok:
		return nil, refuse(NoSuchEntity, "The replica %s is not registered.", c.Name)
	case !r.Draining:
		return nil, refuse(EntityAlreadyExists, "Replica %s is not draining.", c.Name)
	}
	return []Event{&ReplicaRegistered{Name: r.Name, Region: r.Region, Class: r.Class}}, nil
}

// RemoveReplica takes a replica off the roster and leaves it free to enter again.
// Histories from before names were barred hold it; nothing proposes it now. See
// BarReplica.
type RemoveReplica struct{ Name string }

// ReplicaRemoved took a replica off the roster and left it free to enter again.
type ReplicaRemoved struct{ Name string }

func (c *RemoveReplica) decide(s *State, _ Meta) ([]Event, error) {
	if _, ok := s.replicas.Get(c.Name); !ok {
		return nil, refuse(NoSuchEntity, "The replica %s is not registered.", c.Name)
	}
	return []Event{&ReplicaRemoved{Name: c.Name}}, nil
}

func (e *ReplicaRemoved) evolve(s *State) {
	if r, ok := s.replicas.Get(e.Name); ok {
		s.cluster.RosterChanged, s.cluster.ReplicaRemoved = s.position, s.position
		s.replicas.Delete(r)
	}
}

// BarReplica takes a replica off the roster and bars its name. "Everywhere" still
// waits until its last lease has run out.
type BarReplica struct {
	Name string
	// Unregistered bars the name also where the roster does not have it: that of a
	// certificate which must not be used. Without it, a mistyped name is refused.
	Unregistered bool
}

// ReplicaBarred took a replica off the roster, if it was there, and barred its name.
type ReplicaBarred struct{ Name string }

func (c *BarReplica) decide(s *State, _ Meta) ([]Event, error) {
	old, taken := s.barred.Rows.Get(table.HandleOf(c.Name))
	_, registered := s.replicas.Get(c.Name)
	switch {
	case taken && old.Name == c.Name:
		return nil, refuse(EntityAlreadyExists, "Replica %s was removed already.", c.Name)
	case taken:
		return nil, refuse(EntityAlreadyExists, "The name %s cannot be told from that of the removed replica %s.", c.Name, old.Name)
	case !registered && !c.Unregistered:
		return nil, refuse(NoSuchEntity, "The replica %s is not registered.", c.Name)
	case s.barred.Rows.Len() >= MaxBarred:
		return nil, refuse(LimitExceeded, "Cannot exceed quota for RemovedReplicas: %d. Admit a name that no certificate is left for.", MaxBarred)
	}
	return []Event{&ReplicaBarred{Name: c.Name}}, nil
}

func (e *ReplicaBarred) evolve(s *State) {
	s.cluster.RosterChanged = s.position
	if r, ok := s.replicas.Get(e.Name); ok {
		s.cluster.ReplicaRemoved = s.position
		s.replicas.Delete(r)
	}
	s.barred.Put(&BarredReplica{Name: e.Name, At: s.position})
}

// AdmitReplica ends the barring of a name: its replica may enter the roster again.
type AdmitReplica struct{ Name string }

// ReplicaAdmitted ended the barring of a name.
type ReplicaAdmitted struct{ Name string }

func (c *AdmitReplica) decide(s *State, _ Meta) ([]Event, error) {
	if !s.Barred(c.Name) {
		return nil, refuse(NoSuchEntity, "The replica %s was not removed.", c.Name)
	}
	return []Event{&ReplicaAdmitted{Name: c.Name}}, nil
}

func (e *ReplicaAdmitted) evolve(s *State) {
	if r, ok := s.barred.Get(e.Name); ok {
		s.barred.Delete(r)
	}
}
