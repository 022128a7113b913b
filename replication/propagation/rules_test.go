package propagation

// rule names one rule of the protocol. A state machine holds the set of the rules
// that it breaks: what is shipped knows of none, and TestMutants builds one that does
// and breaks one rule at a time, to show that the simulation notices.
type rule uint64

const (
	// The leader waits longer than a lease lasts, for the drift of both clocks.
	ruleMargin rule = 1 << iota
	// A lease is counted from before its request was sent, not from the answer.
	ruleAnchor
	// A request is answered only after a log entry that was appended after it.
	ruleFence
	// A new leader knows the lives that the log names.
	ruleGrace
	// A new leader's floor is the head of the log.
	ruleGainFloor
	// Acknowledgements of an earlier life of a replica do not count for a later one.
	ruleForget
	// No lease below the floor.
	ruleFloorCheck
	// A removed replica is waited for until its lease has run out.
	ruleGone
	// A lease does not survive its process.
	ruleVolatile
	// The replica believes the clock that counted most.
	ruleClocks
	// Only what a replica has applied counts, not what it was sent.
	ruleApplied
	// The floor holds for replicas that have just joined, too.
	ruleJoiner
	// A query checks the lease first and loads the view then.
	ruleCheckFirst

	// The fence counts only in the term of the leader that proposed it.
	ruleTerm
	// "Everywhere" is answered when the floor is in the log, not before.
	ruleDurable
	// A leader says that replicas are fenced only from what a fence of its own covers.
	ruleProven
	// A scoped "everywhere" binds the replicas it spoke of.
	ruleScopeFloor
	// A lease ends one window after the commit of what its holder lacked.
	ruleLag
	// A history whose fences did not name lives is waited for.
	ruleNameless
	// A replica drops its lease before its state steps back.
	ruleStepBack
	// An answer below what the replica has reported is not a leased one.
	ruleReported
	// A replica that goes back within an opening is quarantined.
	ruleForward
	// Requests that a later one has overtaken count for nothing.
	ruleSeq

	// A new life of a name stands beside the others and does not replace them.
	ruleBeside
	// A life that the log names is waited for though another of its name has acknowledged.
	ruleInherit
	// A life that the log names may hold a lease when a new leader finds it.
	ruleFound
	// Until when a life may hold a lease is not told by another life of its name.
	ruleOwnHold
	// Acknowledgements of a later life do not count for an earlier one.
	ruleOwnAck
	// A grant to a life ends no other of its name.
	ruleGrantAlone
	// A life that comes back after another of its name keeps what was known of it.
	ruleReturn
	// A later grant does not shorten an earlier one.
	ruleLongest
	// A new registration of a name forgets nothing of its lives.
	ruleAgain
	// No grant to a life that the log does not name.
	ruleNamed
	// A life leaves the log only when it can hold no lease.
	ruleDropLapsed
	// The fence that drops a life is not the fence of a grant to it.
	ruleDropAlone
	// Marks of an earlier term open and drop no lives.
	ruleDropTerm
	// The log says that it names all lives only after those of others have run out.
	ruleComplete
	// That a life is over is told of that life alone.
	ruleEndedAlone
	// A replica that says it stopped has dropped its lease.
	ruleStopDrops
	// A replica that said it stopped takes no grant.
	ruleStopTakes
	// A replica that said it stopped asks no more under its nonce.
	ruleStopAsks
	// The recorded nonce of a process is told to be over only when that process is gone.
	ruleRecorded
)

// keeps says whether r is in force for a state machine that breaks b.
func (b rule) keeps(r rule) bool { return b&r == 0 }
