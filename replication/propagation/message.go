package propagation

import (
	"time"

	"github.com/writ-iam/writ/log/event"
)

// Opening numbers what one leader opened for one life of a replica. A replica's
// acknowledgements count only within one opening. The zero Opening is none.
type Opening struct {
	Term   uint64 `json:"term"`   // of the leader
	Number uint64 `json:"number"` // 1, 2, 3, ... within the term
}

// Renewal says what a replica has applied, and asks for a lease.
type Renewal struct {
	Replica     string `json:"replica"` // name in the roster
	Cluster     string `json:"cluster"`
	Incarnation string `json:"incarnation"`
	// Nonce names one life of the replica: another after every start of the process
	// and after every step back of its state. Empty: the replica asks for nothing, it
	// tells what is over.
	Nonce string `json:"nonce"`
	// Ended are nonces of lives of this replica that are over for good: nobody answers
	// under them any more. At most MaxEnded.
	Ended   []string `json:"ended,omitempty"`
	Opening Opening  `json:"session"` // zero before the first OPEN
	Seq     uint64   `json:"seq"`     // rises with every request of one life
	// Position and Hash are the head of what the replica has applied and shows; what
	// it has merely received does not count.
	Position event.Position `json:"position"`
	Hash     event.Hash     `json:"hash"`
	// State is the digest of the replica's state at Position; zero if it has none.
	State event.Hash `json:"state"`
	// Level is the highest feature level that the replica supports.
	Level uint32 `json:"level"`
	// Fault is why the replica is quarantined; empty: it is not. A quarantined replica
	// asks for nothing, it lets the leader know.
	Fault Kind `json:"fault,omitempty"`
}

// Read asks for the head of the log at some moment after the request was sent.
// Any node may ask, in the roster or not.
type Read struct {
	Cluster     string `json:"cluster"`
	Incarnation string `json:"incarnation"`
	Nonce       string `json:"nonce"`
	Seq         uint64 `json:"seq"`
}

// Kind says what an answer means. The names travel; never reuse one.
type Kind string

// Kinds of answers. All but NOT_LEADER and BUSY say that a fence was committed: their
// sender led when the request had already arrived. FORK, DIVERGED and
// WRONG_INCARNATION are alarms on both sides.
const (
	// KindOpen gives the replica an opening. Nothing was acknowledged or granted.
	KindOpen Kind = "OPEN"
	// KindGrant gives a lease of Duration from the moment before the request left.
	KindGrant Kind = "GRANT"
	// KindBehind refuses a lease until the replica has caught up, or was upgraded.
	KindBehind Kind = "BEHIND"
	// KindEnded answers a replica that only told what is over.
	KindEnded Kind = "ENDED"
	// KindDraining refuses a lease because the replica is about to go.
	KindDraining Kind = "DRAINING"
	// KindStale is for a request that a later one had overtaken; it changed nothing.
	KindStale Kind = "STALE"
	// KindUnregistered is for a replica that is not in the roster.
	KindUnregistered Kind = "UNREGISTERED"
	// KindWrongIncarnation is for a replica of another history. It must stop
	// answering and bootstrap anew.
	KindWrongIncarnation Kind = "WRONG_INCARNATION"
	// KindFork is for a replica whose log differs from the committed one, is longer,
	// or went back within an opening. No lease in this opening, ever.
	KindFork Kind = "FORK"
	// KindDiverged is for a replica that has the committed log but another state.
	// No lease in this opening, ever.
	KindDiverged Kind = "DIVERGED"
	// KindHead answers a Read.
	KindHead Kind = "HEAD"
	// KindNotLeader is given when the fence could not be committed.
	KindNotLeader Kind = "NOT_LEADER"
	// KindBusy is given at once when MaxWaiting requests wait already; and after a fence
	// to a life that is one too many, see MaxLives. The reason says which.
	KindBusy Kind = "BUSY"
)

// Answer is what a leader says to a Renewal or a Read.
type Answer struct {
	Kind        Kind   `json:"kind"`
	Cluster     string `json:"cluster"`
	Incarnation string `json:"incarnation"`
	Term        uint64 `json:"term"`

	Nonce   string  `json:"nonce"`   // of the request
	Seq     uint64  `json:"seq"`     // of the request
	Opening Opening `json:"session"` // zero if the sender has none

	// Duration is that of a granted lease, in nanoseconds.
	Duration time.Duration `json:"duration_ns"`
	// Floor is the least position that gets a lease.
	Floor event.Position `json:"floor"`
	// Head is the end of the committed log: what is not in it was committed after
	// the request arrived. Zero with NOT_LEADER and BUSY.
	Head event.Head `json:"head"`
	// Reason is a sentence for people.
	Reason string `json:"reason,omitempty"`
}

// Ticket tells the requests of one tracker apart, so that its driver can route
// the answers.
type Ticket uint64

// Reply is an answer on its way to whoever sent the request of that ticket.
type Reply struct {
	Ticket Ticket
	Answer Answer
}
