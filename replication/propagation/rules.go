package propagation

// rule names one rule of the protocol. A state machine holds the set of the rules
// that it breaks: none, except in tests, which break one at a time to show that
// the simulation notices.
type rule uint32

const (
	// The leader waits longer than a lease lasts, for the drift of both clocks.
	ruleMargin rule = 1 << iota
	// A lease is counted from before its request was sent, not from the answer.
	ruleAnchor
	// A request is answered only after a log entry that was appended after it.
	ruleFence
	// A new leader waits until leases of leaders before it have run out.
	ruleGrace
	// A new leader's floor is the head of the log.
	ruleGainFloor
	// Acknowledgements of an earlier life of a reader do not count.
	ruleForget
	// No lease below the floor.
	ruleFloorCheck
	// A removed reader is waited for until its lease has run out.
	ruleGone
	// A lease does not survive its process.
	ruleVolatile
	// The reader believes the clock that counted most.
	ruleClocks
	// Only what a reader has applied counts, not what it was sent.
	ruleApplied
	// The floor holds for readers that have just joined, too.
	ruleJoiner
	// A query checks the lease first and loads the view then.
	ruleCheckFirst

	// The fence counts only in the term of the leader that proposed it.
	ruleTerm
	// "Everywhere" is answered when the floor is in the log, not before.
	ruleDurable
	// A leader says that readers are fenced only from what a fence of its own covers.
	ruleProven
	// A scoped "everywhere" binds the readers it spoke of.
	ruleScopeFloor
	// A lease ends one window after the commit of what its holder lacked.
	ruleLag
	// Readers removed before this leader's term are waited for.
	ruleFormer
	// A reader drops its lease before its state steps back.
	ruleStepBack
	// An answer below what the reader has reported is not a leased one.
	ruleReported
	// A reader that goes back within a session is quarantined.
	ruleForward
	// Requests that a later one has overtaken count for nothing.
	ruleSeq
)

// keeps says whether r is in force for a state machine that breaks b.
func (b rule) keeps(r rule) bool { return b&r == 0 }
