// Package identity is the domain of Writ: accounts, users, groups, roles,
// policies, access keys, and the cluster's own roster, one file per noun.
//
// A command (imperative, CreateUser) is decided against a State and yields
// events (past, UserCreated) or a *Refusal; an event is folded into the State
// and cannot fail. The package is pure: no I/O, no clock, no randomness, no
// output that depends on map order. Whatever is not determined by the state
// (time, ids, salts, sealed secrets) arrives inside the command.
//
// Grammar (name patterns, document syntax, lengths) is the edge's business and
// stays out of here, so that a fix to it can never make two versions of the
// state machine disagree. Decide checks what only state can show: existence,
// uniqueness, quotas, what is in use, and that the credential which authorized
// the command still stands.
//
// A State is a handle on persistent maps. One goroutine owns it and folds
// events into it; Snapshot hands out an immutable copy in constant time, which
// any number of goroutines may read.
package identity
