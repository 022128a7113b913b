package mfa

import (
	"time"

	"github.com/writ-iam/writ/node/admission"
)

// Limits of guessing at devices' codes on one node.
const (
	// MaxWrong is how often a caller may tell the codes of a device wrong, until WrongTime
	// is over.
	MaxWrong = 5
	// WrongTime is after how long one more may be.
	WrongTime = time.Minute
	// MaxWrongOfAll is as MaxWrong, of all devices together. It keeps one caller from
	// using up the room that there is for counting, and so from locking others out.
	MaxWrongOfAll = 50
	// wrongOfAllTime is WrongTime for them: who has used up all has them back as soon.
	wrongOfAllTime = MaxWrong * WrongTime / MaxWrongOfAll
)

// Tries bound how often callers may tell the codes of devices wrong. Each caller has its
// own: nobody can use up another's. They are of one node and kept in memory alone. The nil
// Tries have none. Safe for concurrent use.
type Tries struct {
	all, each *admission.Tries // by caller; by caller and device
}

// NewTries returns the tries at devices' codes of a node.
func NewTries() *Tries {
	return &Tries{all: admission.NewTries(MaxWrongOfAll, wrongOfAllTime), each: admission.NewTries(MaxWrong, WrongTime)}
}

// Take takes one of a caller's tries at a device, or returns admission.ErrTries. It is
// taken before the codes are looked at. Whoever was right gives it back.
func (t *Tries) Take(caller, device string, now time.Time) error {
	if t == nil {
		return admission.ErrTries
	}
	if err := t.all.Take(caller, now); err != nil {
		return err
	}
	err := t.each.Take(holder(caller, device), now)
	if err != nil {
		t.all.Return(caller, now)
	}
	return err
}

// Return gives a try back that Take took.
func (t *Tries) Return(caller, device string, now time.Time) {
	t.all.Return(caller, now)
	t.each.Return(holder(caller, device), now)
}

// holder names a caller and a device; identifiers of callers have no spaces.
func holder(caller, device string) string { return caller + " " + device }
