package freshness

import (
	"fmt"

	"github.com/writ-iam/writ/node/fault"
)

// WithoutLease is what a node admits while nothing proves that its view is current:
// a replica without a lease, and a writer that has not read the head of the log. In
// such a view a key that was deleted since is still good, and so is a permission
// that was taken away. What that is worth is the operator's choice, never the
// caller's. The zero value is AdmitQuestions.
//
// A view is current under a lease, and when it was read strictly. A token proves no
// more than where the data are from: the caller's key may have been deleted after
// it; and a bound on staleness is one that the caller chose.
type WithoutLease string

// The settings.
const (
	// AdmitNothing refuses everybody.
	AdmitNothing WithoutLease = "nothing"
	// AdmitQuestions admits questions for decisions alone, whose answers say how fresh
	// they are, and in which an allow is "indeterminate": POST /v1/authorize and its batch, without explanations, which show policies.
	// The simulators of IAM are reads, as their answers have no room for that.
	AdmitQuestions WithoutLease = "questions"
	// AdmitReads admits reads, too; and an allow to callers who say how old it may be.
	AdmitReads WithoutLease = "reads"
)

// UnmarshalText reads a setting.
func (w *WithoutLease) UnmarshalText(text []byte) error {
	switch v := WithoutLease(text); v {
	case AdmitNothing, AdmitQuestions, AdmitReads:
		*w = v
		return nil
	}
	return fmt.Errorf("%q is none of %s, %s and %s", text, AdmitNothing, AdmitQuestions, AdmitReads)
}

// MarshalText writes it.
func (w WithoutLease) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// String is its name.
func (w WithoutLease) String() string {
	if w == "" {
		return string(AdmitQuestions)
	}
	return string(w)
}

// Describe says what is admitted, for people.
func (w WithoutLease) Describe() string {
	switch w {
	case AdmitNothing:
		return "without one this node admits nothing"
	case AdmitReads:
		return "without one this node goes on, and flags its answers"
	}
	return "without one this node admits only questions for decisions, and flags the answers"
}

// Use is what a caller wants of a view.
type Use uint8

// The uses.
const (
	ForRead     Use = iota // anything but a question
	ForQuestion            // a decision whose freshness the answer tells
	ForSession             // a session, or the word on who signed: somebody else goes by it after the view
)

// Admits tells whether a use is admitted in a view that is not known to be current.
func (w WithoutLease) Admits(u Use) bool {
	return u != ForSession && w == AdmitReads || u == ForQuestion && w != AdmitNothing
}

// NotCurrent refuses what a node does not admit without a lease.
func (f *Views) NotCurrent(err error) *fault.Fault {
	code, detail := notFresh(err), err.Error()
	if code == fault.NotLeased {
		detail += "; " + f.cfg.WithoutLease.Describe()
	}
	return fault.New(code, detail+".", "")
}
