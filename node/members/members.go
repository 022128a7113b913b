// Package members is who belongs to the cluster: who votes in the log, how many failures that
// survives, who may be taken away, and how each member is told to fare. Pure.
package members

import (
	"errors"
	"fmt"
	"slices"

	"github.com/writ-iam/writ/log/event"
)

// Server is a member of the log, as Raft has it.
type Server struct {
	ID      string // a uuid, that of its directory
	Address string // of its peer port: host:port
	// Name is that of the writer of the cluster which the server is; empty for one that the
	// cluster does not list.
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
	ErrListed  = errors.New("the cluster has the writer")
	ErrQuorum  = errors.New("the rest could not commit")
)

// ErrLeads is returned for a writer that is to be removed and leads.
var ErrLeads = errors.New("it leads")

// ErrSilent is returned for a writer that is to lead or to join and does not answer.
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

// maxBehind is how many positions a learner may be behind the head that is made a voter: what
// it still lacks comes in a moment.
const maxBehind = 64

// Ready is the learner to make a voter next: a writer that should vote, which answers and has
// caught up, where the voters can commit. At most one at a time, so that the next is judged by
// what this one left.
func (l List) Ready(told []Heard, head event.Position) (s Server, ok bool) {
	if l.Survives() < 0 {
		return s, false
	}
	for _, s := range l {
		if s.Votes || s.Name == "" || !s.Answers {
			continue
		}
		for _, h := range told {
			if h.Err == nil && h.ID == s.ID && h.Address == s.Address && h.Position > 0 && h.Position+maxBehind >= head {
				return s, true
			}
		}
	}
	return s, false
}

// Learns tells whether there are learners.
func (l List) Learns() bool { return l.Votes() < len(l) }

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

// Without returns the member that is to be taken away: one that is no writer of the cluster,
// and without which the rest can commit. Errors are ErrUnknown, ErrListed or ErrQuorum.
func (l List) Without(called string) (Server, error) {
	s, ok := l.Find(called)
	switch {
	case !ok:
		return s, fmt.Errorf("%w is called %q", ErrUnknown, called)
	case s.Name != "":
		return s, fmt.Errorf("%w %s, which would join again", ErrListed, s.Name)
	}
	return s, l.spares(s)
}

// Spare returns the member that a writer is, by its name, unless the rest could not commit
// without it (ErrQuorum); none if it is no member.
func (l List) Spare(name string) (Server, error) {
	i := slices.IndexFunc(l, func(s Server) bool { return s.Name == name })
	if i < 0 {
		return Server{}, nil
	}
	return l[i], l.spares(l[i])
}

// spares refuses to be without a member whom the rest cannot commit without.
func (l List) spares(s Server) error {
	rest := slices.DeleteFunc(slices.Clone(l), func(other Server) bool { return other.ID == s.ID })
	if rest.Survives() < 0 {
		return fmt.Errorf("%w: too few of the %d other voters answer", ErrQuorum, rest.Votes())
	}
	return nil
}

// at is the member at an address.
func (l List) at(address string) (Server, bool) {
	i := slices.IndexFunc(l, func(s Server) bool { return s.Address == address })
	if i < 0 {
		return Server{}, false
	}
	return l[i], true
}
