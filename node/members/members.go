// Package members is who belongs to the cluster: who votes in the log, how many failures that
// survives, who may be taken away, and how each member is told to fare. Pure.
package members

import (
	"errors"
	"fmt"
)

// Server is a member of the log, as Raft has it.
type Server struct {
	ID      string // a uuid, that of its directory
	Address string // of its peer port: host:port
	// Name is that of the writer of cluster.yaml which the server is; empty for one that
	// cluster.yaml does not have.
	Name string
	// Votes is false for a learner, which follows and does not count.
	Votes bool
	// Answers tells whether the server answered lately, as itself.
	Answers bool
}

// List is all members of the log.
type List []Server

// Errors of Without.
var (
	ErrUnknown = errors.New("no such member of the log")
	ErrListed  = errors.New("cluster.yaml has the writer")
	ErrQuorum  = errors.New("the rest could not commit")
)

// ErrSilent is returned for a writer that is to lead and does not answer.
var ErrSilent = errors.New("it does not answer")

// Votes counts the voters.
func (l List) Votes() (n int) {
	for _, s := range l {
		if s.Votes {
			n++
		}
	}
	return n
}

// Survives is how many more voters may fail until nothing can be committed; negative when
// too few answer already.
func (l List) Survives() int {
	answer := 0
	for _, s := range l {
		if s.Votes && s.Answers {
			answer++
		}
	}
	return answer - l.majority()
}

func (l List) majority() int { return l.Votes()/2 + 1 }

// Planned is how many failures a cluster of so many writers is laid out to survive.
func Planned(writers int) int { return max(0, (writers-1)/2) }

// Find returns the member that is called so: by the id, the address or the name.
func (l List) Find(called string) (s Server, ok bool) {
	for _, s := range l {
		if called != "" && (s.ID == called || s.Address == called || s.Name == called) {
			return s, true
		}
	}
	return s, false
}

// Without returns the member that is to be taken away: one that cluster.yaml does not have,
// and without which the rest can commit. Errors are ErrUnknown, ErrListed or ErrQuorum.
func (l List) Without(called string) (Server, error) {
	s, ok := l.Find(called)
	switch {
	case !ok:
		return s, fmt.Errorf("%w is called %q", ErrUnknown, called)
	case s.Name != "":
		return s, fmt.Errorf("%w %s, which would join again", ErrListed, s.Name)
	}
	var rest List
	for _, other := range l {
		if other.ID != s.ID {
			rest = append(rest, other)
		}
	}
	if rest.Survives() < 0 {
		return s, fmt.Errorf("%w: too few of the %d other voters answer", ErrQuorum, rest.Votes())
	}
	return s, nil
}
