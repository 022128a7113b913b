// Package judge decides, after a history of a cluster is over, whether the cluster
// kept its promises. A history is what clients sent, what they got and when, by one
// true clock, and what the nodes held at the end. Nothing here looks inside a node.
//
// The invariants have the names of the design: P5, I13 and so on; each violation
// says which one it is of.
package judge

import (
	"fmt"
	"strings"
	"time"

	"github.com/writ-iam/writ/log/event"
	"github.com/writ-iam/writ/log/identity"
)

// Moment is a time of the history, since its beginning, on the one true clock.
type Moment = time.Duration

// Never is the moment of an answer that did not come.
const Never Moment = 1<<63 - 1

// SomeLife is the life of a process where nobody knows which one it was.
const SomeLife = -1

// Request is what every question and every answer has.
type Request struct {
	Client string
	Node   string // that was asked
	Life   int    // of the node's process; SomeLife: it changed meanwhile
	// Credential is the access key that signed.
	Credential string
	Sent, Got  Moment
	// Status is the HTTP status; zero when no whole answer came.
	Status int
	// Code is the error's, where the status is not 200.
	Code string
}

// Answered says whether the request was carried out.
func (r *Request) Answered() bool { return r.Status == 200 }

// Write is one attempt to change something.
type Write struct {
	Request
	// Attempt is what the client calls it, the same over retries, and Key the
	// idempotency key that follows from it.
	Attempt string
	Key     identity.Key
	Action  string // of IAM, such as CreateUser, or of the native API, such as writ:RevokeSessions
	User    string
	// Value is the tag of TagUser, and the access key of actions on keys.
	Value    string
	Position event.Position
	Token    event.Token
	// Signed is the signature that it came under. Equal calls of one second have one.
	Signed identity.SignatureID
}

// Refused says whether the write certainly had no effect by this request.
func (w *Write) Refused() bool { return w.Status >= 400 && w.Status < 500 }

// Named is the action as the log has it.
func (w *Write) Named() string {
	if strings.Contains(w.Action, ":") {
		return w.Action
	}
	return "iam:" + w.Action
}

// Read is a question about one user, for a decision or for the user itself.
type Read struct {
	Request
	User string
	// Decides tells a question for a decision from one for the user.
	Decides bool
	// Mode, AtLeast and MaxStaleness are what was asked of the answer's freshness.
	Mode         string
	AtLeast      event.Position
	MaxStaleness time.Duration

	Position  event.Position
	Freshness string
	// Cluster, Incarnation and Hash, which is a prefix in hexadecimal, come with decisions.
	Cluster, Incarnation, Hash string
	KnownHead                  event.Position
	Bounded                    bool
	Staleness                  time.Duration
	Decision                   string
	Exists                     bool
	Tag                        string
}

// Told is a position that a client was told of as it watched.
type Told struct {
	Client, Node string
	// After is the position that the client had been told of before.
	After event.Position
	// Gap says that the positions up to this one were left out, openly.
	Gap      bool
	Position event.Position
	Token    event.Token
}

// Wait is a question how far a position has come.
type Wait struct {
	Request
	Position event.Position
	// Replicas, Region and Count are the scope; all empty: every replica.
	Replicas []string
	Region   string
	Count    int

	State                      string
	VisibleOn, Fenced, Pending []string
	Bounded                    bool
	WorstCase                  time.Duration
	Floor, Roster              event.Position
	Cluster, Incarnation       string

	// Effect is "present", "absent" or "pending" where the wait was for a decision
	// about User, to be allowed or not; the position is then the leader's own. It came
	// to Decision, the replicas to what is in Decided.
	Effect, User, Decision string
	Allow                  bool
	Decided                []Decided
}

// Decided is what one replica decided.
type Decided struct {
	Node      string
	Position  event.Position
	Decision  string
	Freshness string
}

// all says whether the question is about every replica.
func (w *Wait) all() bool { return len(w.Replicas) == 0 && w.Region == "" && w.Count == 0 }

// End is what a node held when everything was over.
type End struct {
	Node     string
	Position event.Position
	Hash     string
	Digest   string
	Floor    event.Position
	// Batches are a writer's whole event store, in order; a replica has none.
	Batches []*event.Batch
}

// History is everything that is judged.
type History struct {
	Cluster           string // its id
	Writers, Replicas []string
	// Namesakes are processes that run beside the first one of a replica, under its name.
	Namesakes map[string]string
	// Window is W: at most so long after a commit, a replica shows it or is not fresh.
	Window time.Duration
	// Outsider is the access key of who is denied what is set apart; empty for nobody.
	Outsider string
	// Astray is when a writer's wall clock was wrong. No promise of leases or freshness goes
	// by wall clocks; whether equal calls of one second both take effect does.
	Astray []Span
	Writes []Write
	// Roster are changes of the roster of replicas.
	Roster []Write
	// Sessions are those that were asked for.
	Sessions []Session
	Reads    []Read
	Waits    []Wait
	Told     []Told
	Ends     []End
	// Notes are what could be seen to be wrong while the history went on, such as a
	// node that halted.
	Notes []Violation
}

// Span is from one moment to another.
type Span struct{ From, To Moment }

// replica is the name in the roster of a node that was asked.
func (h *History) replica(node string) string {
	if name, ok := h.Namesakes[node]; ok {
		return name
	}
	return node
}

// Violation is a broken promise.
type Violation struct {
	Invariant string
	Text      string
}

// String is the invariant and what happened.
func (v Violation) String() string { return v.Invariant + ": " + v.Text }

func violation(invariant, format string, args ...any) Violation {
	return Violation{invariant, fmt.Sprintf(format, args...)}
}

// Judge returns every violation that it finds, the checks in a fixed order.
func Judge(h *History) []Violation {
	l := newLedger(h)
	found := append([]Violation(nil), h.Notes...)
	for _, check := range []func(*History, *ledger) []Violation{
		chains, acknowledged, effects, fresh, bounds, present, tokens, strict, flags, monotonic, contained, sessions, denied, floors, answers, typed, told, linear,
	} {
		found = append(found, check(h, l)...)
	}
	return found
}
