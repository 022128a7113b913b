package shape

import (
	"github.com/writ-iam/writ/log/digest"
	"github.com/writ-iam/writ/log/event"
)

// Verdict is what a verification has found about one node.
type Verdict string

// Verdicts. The names travel; never reuse one.
const (
	// VerdictOK is for a node that has what the leader's log says.
	VerdictOK Verdict = "ok"
	// VerdictDiffers is for a node whose history or state is another one.
	VerdictDiffers Verdict = "differs"
	// VerdictBroken is for a node whose own chain of batches, or memory, does not hold.
	VerdictBroken Verdict = "broken"
	// VerdictUnfinished is for a node of which nothing wrong was found, but not all
	// could be looked at.
	VerdictUnfinished Verdict = "unfinished"
	// VerdictUnreachable is for a node that did not answer in time.
	VerdictUnreachable Verdict = "unreachable"
)

// Verified is what a verification has found about one node.
type Verified struct {
	Name     string         `json:"name"`
	Role     string         `json:"role"` // "writer" or "replica"
	Verdict  Verdict        `json:"verdict"`
	Detail   string         `json:"detail,omitempty"`
	Position event.Position `json:"position"` // Of the node's state.
	Hash     event.Hash     `json:"hash"`     // Of the batch there, as the node has it.
	Digest   digest.Sum     `json:"digest"`   // Of the state there, recounted from its records.
	Batches  int            `json:"batches"`  // How many were walked in the event store, which only writers have.
	Records  int            `json:"records"`  // How many of the state were recounted.
	// First is the position from which a writer's event store was walked: later than asked for where
	// the retention rule has dropped what was before. An older build leaves it out, as do replicas.
	First  event.Position `json:"first,omitempty"`
	TookMS int64          `json:"took_ms"`
}

// Verification is a comparison of all nodes with the leader's log.
type Verification struct {
	Cluster     string         `json:"cluster"`
	Incarnation string         `json:"incarnation"`
	Node        string         `json:"node"` // The leader.
	From        event.Position `json:"from"` // Where the chain was to be walked from.
	Nodes       []Verified     `json:"nodes"`
	TookMS      int64          `json:"took_ms"`
}
