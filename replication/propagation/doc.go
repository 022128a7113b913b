// Package propagation says who has applied which position of the log, and who may
// still answer as fresh. It is two state machines: the leader's Tracker and the
// replica's Lease. Messages go in and come out; time comes in as readings of three
// clocks. There is no I/O, no clock, no randomness, no lock and no goroutine here.
//
// # What it promises
//
// After a leader has said "everywhere" of a position, no replica ever again answers
// as leased from before it, under any partition, pause, restart or change of
// leaders. And at most one window after a position was committed, every replica
// either shows it or no longer answers as leased.
//
// A replica that is asked while its lease is in force answers as "leased". The
// lease ends a duration D after the moment before its request left, on whichever
// of the replica's clocks counted most. The leader recorded, before its answer
// left, until when the replica may hold that lease; it waits a window W, longer
// than D by the drift of both clocks, before it takes a silent replica as fenced. A
// new leader first waits a window for the leases that others granted, to lives that
// it finds named in the log, and gives leases only at or above the head that it found, so above everything that was
// ever said to be everywhere. A leader may be deposed and not know: it answers
// only what an entry in the log, appended after the request came, proves.
//
// # Lives
//
// A name in the roster is not a process. A replacement starts while the process
// before it is cut off and answers under its lease; two may be connected at once; a
// process that steps its state back is as good as another. So every start and every
// step back is a life of its own, under a nonce of its own, and has an opening of its
// own beside the others: what is known of one is never set from another, a new one
// ends none, and what is known of one stays through the removal and a new
// registration of its name until its last lease must have run out. A name shows a
// position when one of its lives does and none may answer from before it.
//
// The next leader has heard of none of them, and one that is cut off will not tell
// it. So no life gets a lease before a fence has named it in the log, and it is named
// there until it can hold none: a new leader waits a window for each life that it
// finds. It stays named for a while after it was heard last, too, lest it must be
// opened anew between two renewals. A life that is over for good need not be waited
// for: a replica that stops drops its lease and says so, one that steps back says so
// of the life before, and a process that knows its predecessor in the same directory
// to be gone says so of that. How many there may be is bounded, see MaxLives.
//
// A history whose fences named no lives, as earlier versions wrote it, is not complete
// (Shown.Lives): each leader waits a window before it says "everywhere" at all, until
// one has led for so long and a fence of it says that the log names all.
//
// # What it needs
//
//   - While a replica's process is stopped, at least one of its clocks goes on, and
//     no clock's rate is off by more than Params.Drift. A virtual machine that is
//     paused or cloned together with all its clocks breaks this. Strict answers and
//     those at a token hold even then.
//   - A nonce names one life for ever: it is random, of at least 128 bits, and whoever
//     tells that it is over knows that nobody answers under it. Only a process that was
//     copied together with its memory breaks this, as above.
//   - The leader's state machine keeps a floor, the highest that a fence carried, and
//     the lives that fences have opened and not dropped, in its snapshots too. It
//     ignores what a fence says of either unless the fence names the term of the entry
//     that carried it: an entry proposed in one term may be committed in a later one.
//
// # How to drive a Tracker
//
// One goroutine, or one lock, for all calls; the clocks are read inside it, right
// before each call. In each term:
//
//  1. Commit a fence of the new term and wait until the own state machine has
//     applied it. Read the clocks. NewTracker, with the view as of that entry. If
//     the entry's term is another, then the leadership is already over.
//  2. As requests come: Renew and Read; where they return false, answer Busy.
//  3. When NextTick has passed: Observe and BeginTick. If it returns a fence, then
//     commit a fence with all of it, and keep taking requests meanwhile. Committed and applied: EndTick,
//     with the entry's term and the view that the state machine showed as it applied
//     the entry. Anything else, a timeout among it: FailTick. Send the replies, by
//     their tickets.
//  4. After batches were applied: Observe.
//  5. For those who wait for a position: Everywhere, and again after each tick, each
//     Observe, and when Status.Changes comes. Tell them only State; Settled alone
//     binds nobody yet.
//  6. Once deposed, or when the term's context is cancelled: Close, send the replies,
//     drop the tracker.
//
// # How to drive a Lease
//
// One goroutine owns the Lease. It publishes Snapshot in an atomic pointer after
// every call that changes it, before anything else:
//
//  1. NewLease at the start of the process, with a new random nonce. The nonce is
//     recorded in the process's directory before it is first sent, for the process
//     after this one; see NewLease for who may tell of it.
//  2. When Next has passed, or earlier when there is news to tell: read the clocks,
//     then Renew with what queries see now, then publish, then send.
//  3. For each answer: read the clocks, Receive, publish. After FORK, DIVERGED and
//     WRONG_INCARNATION nothing is answered until the state was built anew, and
//     renewals only tell the leader so. A driver that finds itself that its state
//     is not sound calls Quarantine.
//  4. Before the state steps back, for a rebuild or a bootstrap: StepBack, or Rejoin
//     where the incarnation is another; then publish; then change the state.
//  5. At the end, when nobody is answered any more: Stop, publish, send what it
//     returned.
//
// And each query, on any goroutine: Check the published Snapshot after the query
// has arrived, then load the view, then Cover, in this order. A strict query first
// has the owner send a Read, waits for the HEAD answer to it or to a later one, and
// until the view is there; a query at a token waits until the view is there. Both
// then Check, load and Cover as the others do.
package propagation
