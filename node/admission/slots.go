package admission

import (
	"errors"
	"strings"
	"sync"
)

// shares is how many parts of all places make a whole: one holder may take one, if
// nothing else is said.
const shares = 4

// Errors of Take.
var (
	// ErrFull is returned when all places are taken.
	ErrFull = errors.New("all places are taken")
	// ErrShare is returned to a holder that has its share.
	ErrShare = errors.New("the holder has its share of all places")
)

// Slots are places for what is under way at once, each of some size: requests, bytes.
// One holder may take a share of them. Safe for concurrent use.
type Slots struct {
	limit, share int

	mu    sync.Mutex
	taken int            // guarded by mu
	by    map[string]int // by holder, those with some; guarded by mu
}

// NewSlots returns limit free places, at least one. The share of a holder is a quarter.
func NewSlots(limit int) *Slots { return NewShares(limit, limit/shares) }

// NewShares is NewSlots with a share, of at least one place.
func NewShares(limit, share int) *Slots {
	return &Slots{limit: max(limit, 1), share: max(share, 1), by: make(map[string]int)}
}

// Limit is how many places there are.
func (s *Slots) Limit() int { return s.limit }

// Share is how many of them one holder may take.
func (s *Slots) Share() int { return s.share }

// Taken is how many are taken.
func (s *Slots) Taken() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken
}

// Take takes n places for a holder, or none and says why. Whoever took them gives
// them back by Free.
func (s *Slots) Take(holder string, n int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch has := s.by[holder]; {
	case s.taken+n > s.limit:
		return ErrFull
	case has+n > s.share:
		return ErrShare
	case has == 0:
		holder = strings.Clone(holder) // it may be a part of a request
		fallthrough
	default:
		s.by[holder] = has + n
	}
	s.taken += n
	return nil
}

// Free gives n places of a holder back.
func (s *Slots) Free(holder string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := s.by[holder] - n
	if left < 0 {
		panic("admission: a holder gives back what it has not taken")
	}
	s.taken -= n
	if s.by[holder] = left; left == 0 {
		delete(s.by, holder)
	}
}
